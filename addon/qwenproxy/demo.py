"""make demo: what a leaking model sends, beside what a client gets through the addon.

The recorded answers of a real llama.cpp server are served on loopback at their own pieces;
mitmdump with the addon stands in front; the real OpenAI SDK asks, streaming, with a tool. The
left column is the content a client without the addon would print (the same request, sent
past the proxy), the right one what the SDK made of the answer that came through it.

Exit code 0 only if every outcome is right.
"""

import json
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from openai import OpenAI

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
WIDTH = 46  # of a column

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "detailed": {"type": "boolean"},
            },
            "required": ["city", "days"],
        },
    },
}

Calls = list[tuple[str, dict[str, Any]]]
ZURICH: Calls = [("get_weather", {"city": "Zürich", "days": 3, "detailed": True})]


@dataclass(frozen=True)
class Scene:
    """A recording, and what a client has to get of it."""

    title: str
    recording: str
    content: str
    calls: Calls


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


@dataclass(frozen=True)
class Answer:
    """What the SDK made of one answer."""

    content: str
    calls: Calls
    finish_reason: str | None

    def __str__(self) -> str:
        calls = [f"{name}({json.dumps(arguments, ensure_ascii=False)})" for name, arguments in self.calls]
        lines = [f"content: {self.content}"] if self.content else []
        return "\n".join(
            [*lines, *(f"tool call: {c}" for c in calls), f"finish_reason: {self.finish_reason}"]
        )


@cache
def client_of(base_url: str) -> OpenAI:
    return OpenAI(base_url=f"{base_url}/v1", api_key="sk-none", max_retries=0, timeout=20)


def ask(base_url: str, recording: str) -> Answer:
    """Ask for a recording with the SDK's streaming helper."""
    client = client_of(base_url)
    messages = [{"role": "user", "content": "What is the weather like?"}]
    with client.chat.completions.stream(model=recording, messages=messages, tools=[WEATHER]) as stream:
        for _ in stream:
            pass
        choice = stream.get_final_completion().choices[0]
    calls = [(c.function.name, json.loads(c.function.arguments)) for c in choice.message.tool_calls or []]
    return Answer(choice.message.content or "", calls, choice.finish_reason)


def is_right(scene: Scene, answer: Answer) -> bool:
    finish = "tool_calls" if scene.calls else "stop"
    return answer == Answer(scene.content, scene.calls, finish)


@contextmanager
def running(ready: str, *command: str) -> Iterator[str]:
    """A program of ours, once it has said the URL the pattern `ready` finds; ended afterwards."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = []
    try:
        for line in process.stdout or ():
            said.append(line)
            if match := re.search(ready, line):
                yield match[1]
                return
        raise SystemExit(f"{command[0]} did not start:\n{''.join(said)}")
    finally:
        process.terminate()
        process.communicate(timeout=20)


@contextmanager
def stage() -> Iterator[tuple[str, str]]:
    """The URLs of the recordings, and of the addon in front of them."""
    serve = (sys.executable, "-u", "-m", "qwenproxy.upstream", "recordings", "--speed", "0")
    with tempfile.TemporaryDirectory() as confdir, running(r"on (http://\S+)", *serve) as upstream:
        mode = f"reverse:{upstream}@127.0.0.1:0"
        proxy = (
            str(BIN / "mitmdump"),
            "-s",
            "addon/qwen_fix.py",
            "--mode",
            mode,
            "--set",
            f"confdir={confdir}",
        )
        with running(r"qwen_fix ready: (http://\S+)", *proxy) as proxied:
            yield upstream, proxied


def side_by_side(left: str, right: str) -> str:
    columns = [
        [piece for line in text.splitlines() for piece in textwrap.wrap(line, WIDTH) or [""]]
        for text in (left, right)
    ]
    height = max(map(len, columns))
    rows = zip(*(column + [""] * (height - len(column)) for column in columns), strict=True)
    return "\n".join(f"  {left:{WIDTH}} | {right}".rstrip() for left, right in rows)


def main() -> int:
    wrong = 0
    with stage() as (upstream, proxied):
        for number, scene in enumerate(SCENES, 1):
            sent, received = ask(upstream, scene.recording), ask(proxied, scene.recording)
            right = is_right(scene, received)
            wrong += not right
            print(f"\n{number}. {scene.title}: {'right' if right else 'WRONG'}\n")
            print(side_by_side("THE MODEL SENT", "THE CLIENT RECEIVED"))
            print(side_by_side("-" * WIDTH, "-" * WIDTH))
            print(
                side_by_side(f"content: {sent.content}\nfinish_reason: {sent.finish_reason}", str(received))
            )
    print(f"\n{len(SCENES) - wrong} of {len(SCENES)} outcomes are right.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
