"""qwen-fix demo: what a leaking model sends, beside what a client gets through the proxy.

The recorded answers of a real llama.cpp server are served on loopback in their own pieces, and `qwen-fix run`
runs in front of them, in its own process. Each answer is requested twice, streamed and with a tool: directly,
which is what a client prints today, and through the proxy.

The exit code is 0 only if every outcome is right.
"""

import argparse
import http.client
import json
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .replay.outline import Message, messages_of
from .replay.record import WEATHER
from .upstream.server import Pace, in_background, read_library

HERE = Path(__file__).parent
WIDTH = 46  # of a column
PATIENCE = 60.0  # seconds

Calls = list[tuple[str, dict[str, Any]]]
ZURICH: Calls = [("get_weather", {"city": "Zürich", "days": 3, "detailed": True})]


@dataclass(frozen=True, slots=True)
class Scene:
    """A recording, and what a client must get from it."""

    title: str
    recording: str
    content: str
    calls: Calls

    def is_right(self, message: Message) -> bool:
        calls = [(call.name, call.values) for call in message.calls]
        finish = "tool_calls" if self.calls else "stop"
        return (message.content, calls, message.finish_reason) == (self.content, self.calls, finish)


SCENES = (
    Scene("the opening <tool_call> is missing", "llamacpp-raw-noopen", "I'll create the file.", ZURICH),
    Scene("no closing tags; 3 and true are typed", "llamacpp-raw-nopclose", "I'll create the file.", ZURICH),
    Scene(
        "two calls in one answer",
        "llamacpp-raw-par",
        "Both cities:",
        [("get_weather", {"city": "Oslo", "days": 1}), ("get_weather", {"city": "Łódź", "days": 2})],
    ),
    Scene(
        "prose that only mentions <tool_call>",
        "llamacpp-raw-prose",
        "Qwen writes a call as `<tool_call>` then `<function=name>`; "
        "this is only prose about <tool_call> tags.\n",
        [],
    ),
)


def recordings() -> Path:
    """Return the folder of recordings: a wheel has some of them, a checkout has all."""
    shipped = HERE / "recordings"
    return shipped if shipped.is_dir() else HERE.parents[1] / "recordings"


def ask(base_url: str, recording: str) -> Message:
    """Ask for a recording by name, as an agent does: streamed, and with a tool."""
    connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=PATIENCE)
    messages = [{"role": "user", "content": "What is the weather like?"}]
    request = {"model": recording, "stream": True, "messages": messages, "tools": [WEATHER]}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(request))
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise SystemExit(f"{base_url}: status {response.status}: {body.decode(errors='replace')}")
        return messages_of(body, True)[0]
    finally:
        connection.close()


@contextmanager
def proxy(backend: str) -> Iterator[str]:
    """Run `qwen-fix run` in front of a server, on a free port; yield its URL."""
    with tempfile.TemporaryDirectory() as confdir:
        command = [sys.executable, "-P", "-m", "qwenproxy", "run", "--backend", backend]
        process = subprocess.Popen(
            [*command, "--listen", "127.0.0.1:0", "--set", f"confdir={confdir}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield _ready_url(process)
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)


def _ready_url(process: subprocess.Popen[str]) -> str:
    """Return the address in the ready line."""
    said = []
    for line in process.stdout or ():
        said.append(line)
        if match := re.search(r"qwen_fix ready: (http://\S+)", line):
            return match[1]
    raise SystemExit(f"qwen-fix run did not start:\n{''.join(said)}")


# What is printed


def as_text(message: Message) -> str:
    calls = [f"tool call: {c.name}({json.dumps(c.values, ensure_ascii=False)})" for c in message.calls]
    content = [f"content: {message.content}"] if message.content else []
    return "\n".join([*content, *calls, f"finish_reason: {message.finish_reason}"])


def side_by_side(left: str, right: str) -> str:
    columns = [
        [piece for line in text.splitlines() for piece in textwrap.wrap(line, WIDTH) or [""]]
        for text in (left, right)
    ]
    height = max(map(len, columns))
    rows = zip(*(column + [""] * (height - len(column)) for column in columns), strict=True)
    return "\n".join(f"  {left:{WIDTH}} | {right}".rstrip() for left, right in rows)


def command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="qwen-fix demo",
        description="Show what a leaking model sends, beside what a client gets through the proxy.",
    )
    parser.parse_args(arguments)
    wrong = 0
    library = read_library([recordings() / f"{scene.recording}.flow" for scene in SCENES])
    with in_background(library, Pace(speed=0)) as server, proxy(server) as proxied:
        for number, scene in enumerate(SCENES, 1):
            sent, received = ask(server, scene.recording), ask(proxied, scene.recording)
            right = scene.is_right(received)
            wrong += not right
            print(f"\n{number}. {scene.title}: {'right' if right else 'WRONG'}\n")
            print(side_by_side("THE MODEL SENT", "THE CLIENT RECEIVED"))
            print(side_by_side("-" * WIDTH, "-" * WIDTH))
            print(side_by_side(as_text(sent), as_text(received)))
    print(f"\n{len(SCENES) - wrong} of {len(SCENES)} outcomes are right.")
    return 1 if wrong else 0
