"""The real programs on both sides of the addon: a model server, and agents.

All ports are free ones, and processes are stopped by their id. Clients run with an empty HOME and
only PATH from our environment. Agents have no terminal, and everything that would contact another
host is switched off. The tiny model's calls name files in /tmp/qwen-e2e, so only one run at a time
can use it.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "tiny-qwen"))
sys.path.insert(0, str(Path(__file__).parents[1] / "qwenproxy"))

from transcripts import WORKDIR

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYTHON = ROOT / ".venv-e2e" / "bin" / "python"
CLIENTS = ROOT / ".e2e-clients"
NODE = CLIENTS / "bin" / "node"
WORK = Path(WORKDIR)
HOME = WORK / "home"
MODEL = "tiny-qwen3"
KEY = "sk-fake"
ENVIRONMENT = {"HOME": str(HOME), "PATH": f"{NODE.parent}:{os.environ['PATH']}"}  # no proxy, no real key
LIMIT = 90  # seconds for a session


@contextmanager
def model_server(*options: str) -> Iterator[str]:
    """Run llama.cpp with the tiny model; yield its URL."""
    command = [PYTHON, HERE / "tiny-qwen" / "serve.py", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        word, _, url = process.stdout.readline().strip().partition(" ")
        if word != "listening":
            raise SystemExit(f"llama.cpp's server did not start, with exit code {process.wait()}")
        yield url
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def work_folder() -> Iterator[None]:
    """Reserve /tmp/qwen-e2e; wait until another run ends."""
    WORK.mkdir(exist_ok=True)
    with WORK.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Agent:
    """An agent, and the transcripts of the model that call its tools."""

    name: str
    tools: str
    command: Callable[[str, str], list[str]]  # from base URL and prompt
    environment: Callable[[str], dict[str, str]]  # from base URL


@dataclass(frozen=True)
class Session:
    """The output and the files of an agent."""

    output: str
    files: dict[str, bytes]


def run(agent: Agent, server: str, task: str) -> Session:
    """Let an agent do a task in an empty folder, and return the session."""
    shutil.rmtree(WORK)
    HOME.mkdir(parents=True)
    base_url = f"{server}/v1"
    process = subprocess.Popen(
        agent.command(base_url, f"Please do TASK:{task}"),
        cwd=WORK,
        env=ENVIRONMENT | agent.environment(base_url),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:  # Qwen Code may hang at the end: its files show the result
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return Session(output.decode(errors="replace"), {p.name: p.read_bytes() for p in WORK.glob("*.txt")})


def _opencode(_base_url: str, prompt: str) -> list[str]:
    return [str(CLIENTS / "opencode"), "run", "--auto", prompt]


def _opencode_environment(base_url: str) -> dict[str, str]:
    limit = {"context": 65536, "output": 4096}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "local",
        "options": {"baseURL": base_url, "apiKey": KEY},
        "models": {MODEL: {"name": MODEL, "tool_call": True, "limit": limit}},
    }
    configuration = {
        "autoupdate": False,
        "share": "disabled",
        "provider": {"local": provider},
        "model": f"local/{MODEL}",
        "small_model": f"local/{MODEL}",
        "permission": {"edit": "allow", "bash": "allow", "webfetch": "deny"},
    }
    switches = ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "DEFAULT_PLUGINS")
    return {
        "OPENCODE_CONFIG_CONTENT": json.dumps(configuration),
        **{f"OPENCODE_DISABLE_{switch}": "1" for switch in switches},
    }


def _qwen_code(_base_url: str, prompt: str) -> list[str]:
    return [str(CLIENTS / "node_modules" / ".bin" / "qwen"), "--yolo", "--auth-type", "openai", "-p", prompt]


def _qwen_code_environment(base_url: str) -> dict[str, str]:
    settings = {
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"enableAutoUpdate": False},
        "telemetry": {"enabled": False},
        "security": {"auth": {"selectedType": "openai"}},
    }
    folder = HOME / ".qwen"
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps(settings))
    return {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": base_url, "OPENAI_MODEL": MODEL}


def _claude_code(_base_url: str, prompt: str) -> list[str]:
    program = CLIENTS / "node_modules" / ".bin" / "claude"
    return [str(program), "-p", prompt, "--dangerously-skip-permissions"]


def _claude_code_environment(base_url: str) -> dict[str, str]:
    switches = ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_TELEMETRY", "DISABLE_AUTOUPDATER")
    return {
        "ANTHROPIC_BASE_URL": base_url.removesuffix("/v1"),
        "ANTHROPIC_AUTH_TOKEN": KEY,
        "ANTHROPIC_MODEL": MODEL,
        "ANTHROPIC_SMALL_FAST_MODEL": MODEL,
        "CLAUDE_CODE_MAX_RETRIES": "1",
        "IS_SANDBOX": "1",  # else it refuses to run as root
        **dict.fromkeys(switches, "1"),
    }


def _codex(_base_url: str, prompt: str) -> list[str]:
    program = CLIENTS / "node_modules" / ".bin" / "codex"
    switches = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    return [str(program), "exec", *switches, prompt]


def _codex_environment(base_url: str) -> dict[str, str]:
    folder = HOME / ".codex"
    folder.mkdir()
    (folder / "config.toml").write_text(
        f"""\
model = "{MODEL}"
model_provider = "local"
check_for_update_on_startup = false
analytics.enabled = false
model_providers.local = {{name = "local", base_url = "{base_url}", wire_api = "responses"}}
"""
    )
    return {"CODEX_HOME": str(folder)}


OPENCODE = Agent("opencode", "oc", _opencode, _opencode_environment)
QWEN_CODE = Agent("qwen-code", "qc", _qwen_code, _qwen_code_environment)
CLAUDE_CODE = Agent("claude-code", "cc", _claude_code, _claude_code_environment)
CODEX = Agent("codex", "cx", _codex, _codex_environment)
