"""Whatever raises in a wire, an encoder or a reader: in no API a word is lost, and nobody runs half a call.

As test_failures.py for chat completions, with the functions that each API has of its own.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

import toolstream
from support.cases import read_tool
from support.planted import PlantedError, Point, can_run, failures, functions, modules_of
from support.wires import APIS, Api
from toolstream import StreamRewriter, ToolCallParser
from toolstream.ledger import Ledger
from toolstream.native.call import NativeCall
from toolstream.native.calls import NativeCalls
from toolstream.rewriter import fail_open
from toolstream.rewriter.queue import OutputQueue

TOOLS = [read_tool("write(path?: string, content: string)"), read_tool("ls(path?: string)")]
WORDS = [f"w{n}" for n in range(10, 60)]
HANDLING = {
    StreamRewriter: {"feed", "close", "_goes_on", "_try_to_read", "_release", "_note_failure"},
    OutputQueue: {"take"},
    fail_open: {"stop_reading_texts", "give_up", "passed", "_unsent", "_without_end"},
}
MODULES = {
    "messages": ("anthropic_",),
    "responses": ("responses",),
    "ollama": ("ollama_", "ndjson"),
}
READERS = [
    *((ToolCallParser, name) for name in ("feed", "close", "interrupt")),
    *((NativeCall, name) for name in ("feed", "drain")),
    *((NativeCalls, name) for name in ("read", "after", "close", "note", "without_copies", "more")),
]


def leak(words: list[str]) -> str:
    parameter = f"<parameter=content>\n{' '.join(words)}\n</parameter>"
    return f"\n<tool_call>\n<function=write>\n{parameter}\n</function>\n</tool_call>\n"


def said(*words: str) -> str:
    return " ".join(words)


ANSWERS = {
    "a call in the text": [("text", said(*WORDS[:10]) + leak(WORDS[10:40]) + said(*WORDS[40:]))],
    "a call of the server's": [
        ("text", said(*WORDS[:10])),
        ("call", "write", json.dumps({"content": said(*WORDS[10:])})),
    ],
    "one that has to be mended": [("call", "write", json.dumps({"path": 5, "content": said(*WORDS)}))],
    "reasoning": [("thinking", said(*WORDS[:20])), ("text", said(*WORDS[20:25]) + leak(WORDS[25:]))],
}


def points(api: str) -> list[Point]:
    """Every function of the rewriter and of the API's own modules."""
    rooms = (*(f"toolstream.wire.{own}" for own in MODULES[api]), "toolstream.rewriter.")
    modules = [module for module in modules_of(toolstream) if module.__name__.startswith(rooms)]
    return [*functions(modules, HANDLING), *READERS]


def strings(json_value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """(key, string) of every string in a JSON value."""
    if isinstance(json_value, dict):
        for name, member in json_value.items():
            yield from strings(member, name)
    elif isinstance(json_value, list):
        for item in json_value:
            yield from strings(item, key)
    elif isinstance(json_value, str):
        yield key, json_value


def frames(body: bytes) -> Iterator[Any]:
    for line in body.decode().splitlines():
        data = line.removeprefix("data: ")
        if data.startswith("{"):
            yield json.loads(data)


PIECES = ("text", "thinking", "partial_json", "delta", "content", "reasoning_content", "arguments")


def words_in(body: bytes) -> list[str]:
    """The words of the deltas; what is said again at the end apart."""
    text = ""
    for frame in frames(body):
        kind = frame.get("type", "")
        if kind.endswith((".done", ".added", "completed", "incomplete", "in_progress", "created")):
            continue
        text += "".join(piece for key, piece in strings(frame) if key in PIECES)
    return re.findall(r"w\d\d", text)


def half_calls(body: bytes) -> list[str]:
    """The calls that a client would run and cannot."""
    arguments: dict[Any, str] = {}
    runs = False
    for frame in frames(body):
        match frame:
            case {"type": "content_block_delta", "index": at, "delta": {"partial_json": text}}:
                arguments[at] = arguments.get(at, "") + text
            case {"type": "message_delta", "delta": {"stop_reason": reason}}:
                runs = reason == "tool_use"
            case {
                "type": "response.output_item.done",
                "item": {"type": "function_call", "status": "completed"} as i,
            }:
                arguments[i["id"]], runs = i["arguments"], True
            case {"choices": [{"delta": delta, **choice}]}:
                for call in delta.get("tool_calls") or []:
                    arguments[call["index"]] = (
                        arguments.get(call["index"], "") + call["function"]["arguments"]
                    )
                runs = choice.get("finish_reason") == "tool_calls" or runs
    return [text for text in arguments.values() if not can_run(text)] if runs else []


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("api", APIS, ids=lambda api: api.title)
def test_an_encoder_that_always_fails_costs_no_word(
    api: Api, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = api.request(TOOLS)
    assert request
    rewriter = StreamRewriter(request, api=api.name)

    def broken(*_: Any) -> bytes:
        raise PlantedError

    monkeypatch.setattr(type(rewriter.queue.encoder), "frame", broken)
    body = api.streamed(ANSWERS[name], "stop", 5)
    assert b"".join([*rewriter.feed(body), *rewriter.close()]) == body
    assert rewriter.ledger.failure


@pytest.mark.slow
@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("api", [api for api in APIS if api.name != "chat"], ids=lambda api: api.title)
def test_no_failure_costs_a_word_or_makes_half_a_call(api: Api, name: str, thorough: bool) -> None:
    request = api.request(TOOLS)
    assert request
    reason = "tool_calls" if ANSWERS[name][-1][0] == "call" and api.tells_calls else "stop"
    body = api.streamed(ANSWERS[name], reason, 5)
    sent = [body[at : at + 400] for at in range(0, len(body), 400)]

    def make() -> StreamRewriter:
        return StreamRewriter(request, api=api.name)

    def act(rewriter: StreamRewriter) -> tuple[bytes, Ledger]:
        out = [piece for one in sent for piece in rewriter.feed(one)] + rewriter.close()
        return b"".join(out), rewriter.ledger

    tried, wrong = [], []
    uses = range(1, 40) if thorough else (1, 4)
    for where, (out, ledger) in failures(points(api.name), uses, make, act):
        tried.append(where)
        assert ledger.failure
        if {*words_in(out)} != {*WORDS} or half_calls(out):
            wrong.append(where)
    assert len(tried) > 50
    assert wrong == []
