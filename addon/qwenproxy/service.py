"""qwen-fix service: prints the files that run it as a service; writes none.

qwen-fix service systemd        a user unit: ~/.config/systemd/user/qwen-fix.service
qwen-fix service environment    what the unit reads: ~/.config/qwen-fix.env
qwen-fix service compose        a compose file with vLLM behind it
qwen-fix service                all three, one after the other
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from .backend.addresses import BadAddressError, read_backend, read_listener

ADDON = Path(__file__).parents[1]
MODEL = "Qwen/Qwen3-Coder-30B-A3B-Instruct"

SYSTEMD = """\
# ~/.config/systemd/user/qwen-fix.service
#   systemctl --user daemon-reload && systemctl --user enable --now qwen-fix
#   journalctl --user -u qwen-fix -f
[Unit]
Description=qwen-fix: repairs tool calls of a Qwen model between agent and server

[Service]
EnvironmentFile=%h/.config/qwen-fix.env
ExecStart={command} run $QWEN_FIX_ARGS
Restart=on-failure
RestartSec=2
# 2: an address or a setting that cannot work
RestartPreventExitStatus=2

[Install]
WantedBy=default.target
"""

ENVIRONMENT = """\
# ~/.config/qwen-fix.env
QWEN_FIX_BACKEND={backend}
QWEN_FIX_LISTEN={listen}
# further arguments, such as --set qwen_record=/var/tmp/qwen-fix --set qwen_recovery=strict
QWEN_FIX_ARGS=
"""

COMPOSE = """\
# compose.yaml: docker compose up; the base URL of your agent is http://localhost:{port}/v1
services:
  vllm:
    image: vllm/vllm-openai
    command: --model {model}
    deploy:
      resources:
        reservations:
          devices: [{{driver: nvidia, count: all, capabilities: [gpu]}}]
    environment: {{HF_HOME: /models}}
    volumes: ["models:/models"]
    ipc: host
  qwen-fix:
    image: mitmproxy/mitmproxy
    command: mitmdump -s /addon/qwen_fix.py --mode reverse:http://vllm:8000@0.0.0.0:9090
    ports: ["{published}:9090"]
    volumes:
{volumes}
    depends_on: [vllm]
    restart: unless-stopped
volumes:
  models:
"""


def command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="qwen-fix service", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", metavar="WHAT", help=f"{', '.join(FILES)} (default: all)")
    parser.add_argument("--backend", default="http://localhost:8080", metavar="URL", help="(%(default)s)")
    parser.add_argument("--listen", default="127.0.0.1:9090", metavar="[HOST:]PORT", help="(%(default)s)")
    options = parser.parse_args(arguments)
    if unknown := [what for what in options.what if what not in FILES]:
        parser.error(f"{unknown[0]}: write {', '.join(FILES)}, or nothing for all")
    try:
        values = _values(options.backend, options.listen)
    except BadAddressError as e:
        print(f"qwen-fix service: {e}", file=sys.stderr)
        return 2
    if "/uv/" in values["command"] and "archive" in values["command"]:
        print(
            "qwen-fix service: this program is in uv's cache, which may be emptied: "
            "install it first (uv tool install . or pipx install .)",
            file=sys.stderr,
        )
    print("\n".join(FILES[what].format_map(values) for what in options.what or FILES), end="")
    return 0


def _values(backend: str, listen: str) -> dict[str, str]:
    """Return what stands in the files. Raises BadAddressError."""
    listener = read_listener(listen)
    if not listener.port:
        raise BadAddressError(f"{listen}: a service needs a fixed port, such as 9090")
    return {
        "backend": read_backend(backend, listener),
        "listen": str(listener),
        "port": str(listener.port),
        "published": str(listener),
        "command": executable(),
        "model": MODEL,
        "volumes": "\n".join(f"      - {ADDON / name}:/addon/{name}:ro" for name in MOUNTED),
    }


def executable() -> str:
    """Return how a service starts this program, whatever its PATH and folder are; quoted for systemd."""
    script = Path(sys.executable).with_name("qwen-fix")
    words = [str(script)] if script.exists() else [sys.executable, "-P", "-m", "qwenproxy"]
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    word = word.replace("%", "%%").replace("$", "$$")
    return f'"{word}"' if re.search(r"\s", word) else word


MOUNTED = ("qwen_fix.py", "qwenproxy", "toolstream")
FILES = {"systemd": SYSTEMD, "environment": ENVIRONMENT, "compose": COMPOSE}
