"""The first steps of a new user: a wheel in an empty environment, a command in another folder, a client."""

import os
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from environments import answer_of, new_environment, run_pip
from openai import OpenAI
from proxy import LEAK, PATIENCE, ROOT, WEATHER, Proxy, Upstream, events, streamed

from qwenproxy import __version__

MESSAGES = [{"role": "user", "content": "What is the weather like?"}]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run_pip("wheel", "-qq", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_environment(tmp_path_factory.mktemp("environment"), str(wheel))


def test_the_wheel_holds_all_that_is_needed_and_nothing_else(wheel: Path) -> None:
    names = {Path(name) for name in zipfile.ZipFile(wheel).namelist()}
    assert {Path("qwen_fix.py"), Path("qwenproxy/rules/default_rules.yaml")} <= names
    assert {name.parts[0].split("-")[0] for name in names} == {
        "qwen_fix.py",
        "qwenproxy",
        "toolstream",
        "qwen_fix",
    }
    sources = {path.relative_to(ROOT / "addon") for path in (ROOT / "addon").rglob("*.py")}
    assert sources == {name for name in names if name.suffix == ".py"}
    assert len([name for name in names if name.suffix == ".flow"]) == 4


def test_from_the_wheel_to_a_call(
    programs: Path, upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    program = (str(programs / "qwen-fix"), "run", "--backend", upstream.url, "--listen", "0")
    proxy = start_proxy(
        "", program=program, script=False, environment={"HOME": str(home)}, qwen_rules="default"
    )
    upstream.answer = streamed(events(f"Let me see.\n{LEAK}"))
    client = OpenAI(base_url=f"{proxy.url}/v1", api_key="none", max_retries=0, timeout=PATIENCE)
    with client.chat.completions.stream(model="qwen", messages=MESSAGES, tools=[WEATHER]) as stream:
        choice = stream.get_final_completion().choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Let me see.", "tool_calls")
    (call,) = choice.message.tool_calls or []
    assert (call.function.name, call.function.arguments) == ("get_weather", '{"city": "Zürich", "days": 3}')
    assert "is not installed" not in proxy.log
    assert proxy.stop() == 0
    assert "Traceback" not in proxy.log


def test_it_works_from_any_folder_without_a_model(programs: Path, tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    demo = subprocess.run(
        [programs / "qwen-fix", "demo"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert demo.returncode == 0, demo.stderr
    assert demo.stdout.endswith("4 of 4 outcomes are right.\n")
    said = subprocess.check_output(
        [programs / "python", "-m", "qwenproxy", "--version"], text=True, cwd=tmp_path
    )
    assert said.startswith(f"qwen-fix {__version__}, mitmproxy ")
    assert answer_of(programs / "python", "import toolstream; print(toolstream.ToolCallParser.__name__)") == (
        "ToolCallParser"
    )
