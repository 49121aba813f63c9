"""make e2e: the doctor judges three servers, each with a different verdict.

    doctor.py

llama.cpp without its parser leaks calls, llama.cpp with it is healthy, and a scripted server damages calls.
Its streams strip the lines of the file, which no proxy can restore. Its other answers encode arguments twice.

Prints what the doctor says. The exit code is 0 only if each verdict is right.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stage import ROOT, model_server

sys.path.insert(0, str(ROOT / "tests" / "qwenproxy" / "ui"))

from model_servers import CALLS, key_of, native, server
from proxy import Upstream

WANTED = {  # server: exit code, start of the verdict, and further lines
    "llama.cpp --raw": (
        1,
        "Calls leak as text: 8 of 10 answers. The proxy repairs all of them.",
        "at the source, llama.cpp: start llama-server without --skip-chat-parsing",
    ),
    "llama.cpp with its parser": (
        0,
        "Your server parses tool calls itself: 10 of 10 answers were right.",
        "You do not need qwen-fix for it",
    ),
    "scripted": (
        3,
        "Your server's parser damages calls: 5 of 10 answers. The proxy repairs 4 of them.",
        "Lost before any proxy can help: indentation or line breaks lost (a file streamed).",
    ),
}


def damaging(body: dict[str, Any]) -> dict[str, Any]:
    """Answer like a server whose parser damages calls."""
    calls = CALLS[key_of(body)]
    if not body["stream"]:
        return native([(name, json.dumps(json.dumps(arguments))) for name, arguments in calls])
    return native([(name, {k: stripped(v) for k, v in arguments.items()}) for name, arguments in calls])


def stripped(value: Any) -> Any:
    return "\n".join(line.strip() for line in value.splitlines()) if isinstance(value, str) else value


@contextmanager
def scripted() -> Iterator[str]:
    """Run a server that damages calls; yield its URL."""
    upstream = Upstream(server(damaging))
    try:
        yield upstream.url
    finally:
        upstream.stop()


def wrong(name: str, url: str) -> str:
    """Return what is wrong with the doctor's verdict on this server."""
    command = [sys.executable, "-m", "qwenproxy", "doctor", "--backend", url]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    print(f"\n{name}: exit code {run.returncode}\n\n{run.stdout}", flush=True)
    code, beginning, more = WANTED[name]
    said = " ".join(run.stdout.split())
    is_right = run.returncode == code and said.startswith(beginning) and more in said
    return "" if is_right else f"{name}: not {code}, {beginning!r} and {more!r}"


def main() -> int:
    servers = (model_server("--raw"), model_server(), scripted())
    failed = []
    for name, started in zip(WANTED, servers, strict=True):
        with started as url:
            failed += [said for said in [wrong(name, url)] if said]
    print(*failed, sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
