"""Whatever raises inside of the library: `feed` does not, no word is lost, and nobody runs half a call.

Each function of each module is made to raise once, at its first uses, while answers of each kind pass. What
may happen then is that a word is said twice; that is rare, and better than a lost one.
"""

import json
import re
from typing import Any

import pytest

import toolstream
from support.cases import read_tool
from support.planted import can_run, failures, functions, modules_of
from support.streams import LLAMA_CPP, send
from toolstream import StreamRewriter
from toolstream.rewriter import fail_open
from toolstream.rewriter.queue import OutputQueue

TOOLS = [read_tool("write(path?: string, content: string)"), read_tool("ls(path?: string, limit?: integer)")]
ASKED = {"model": "qwen", "stream": True, "messages": [], "tools": TOOLS}
WORDS = [f"w{n}" for n in range(10, 60)]
OTHERS = ("anthropic_", "responses", "ollama_", "ndjson")  # APIs: see test_failures_of_wires.py
USES = (1, 3)
MORE_USES = (1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 65)
# What a failure is handled with, and where it is only the caller who can be told: when a rewriter is made.
HANDLING = {
    StreamRewriter: {"feed", "close", "_goes_on", "_try_to_read", "_release", "_note_failure"},
    OutputQueue: {"take"},
    fail_open: {"stop_reading_texts", "give_up", "passed", "_unsent"},
}


def said(*words: str) -> list[Any]:
    return [{"content": piece} for piece in re.findall("(?s).{1,5}", " ".join(words))]


def leak(words: list[str]) -> str:
    parameter = f"<parameter=content>\n{' '.join(words)}\n</parameter>"
    return f"\n<tool_call>\n<function=write>\n{parameter}\n</function>\n</tool_call>\n"


def parsed(words: list[str]) -> list[Any]:
    """A call that the server parsed."""
    pieces = re.findall("(?s).{1,5}", json.dumps({"content": " ".join(words)}))
    head = {"index": 0, "id": "x0", "type": "function", "function": {"name": "write", "arguments": ""}}
    return [
        {"tool_calls": [call]}
        for call in (head, *({"index": 0, "function": {"arguments": p}} for p in pieces))
    ]


HERMES = '\n<tool_call>\n{"name": "write", "arguments": {"content": "%s"}}\n</tool_call>\n'
ANSWERS = {
    "a call in the text": (said(*WORDS[:10], leak(WORDS[10:40]), *WORDS[40:]), "stop"),
    "a call in JSON": (said(*WORDS[:10], HERMES % " ".join(WORDS[10:40]), *WORDS[40:]), "stop"),
    "a call of the server's": ([*said(*WORDS[:10]), *parsed(WORDS[10:])], "tool_calls"),
    "one, and one in the text": (
        [*parsed(WORDS[:10]), *said(*WORDS[10:20], leak(WORDS[20:40]), *WORDS[40:])],
        "tool_calls",
    ),
    "reasoning": (
        [*({"reasoning_content": f"{w} "} for w in WORDS[:20]), *said(*WORDS[20:25], leak(WORDS[25:]))],
        "stop",
    ),
}


MODULES = [m for m in modules_of(toolstream) if not m.__name__.rpartition(".")[2].startswith(OTHERS)]
POINTS = list(functions(MODULES, HANDLING))


def read(body: bytes) -> tuple[list[str], list[str], str]:
    """The words of an answer, the arguments of its calls, and its finish_reason."""
    text, calls, finish = "", {}, ""
    for block in body.decode().split("\n\n"):
        for choice in json.loads(block[6:])["choices"] if block.startswith("data: {") else []:
            delta = choice["delta"]
            text += (delta.get("reasoning_content") or "") + (delta.get("content") or "")
            for call in delta.get("tool_calls") or []:
                arguments = call["function"].get("arguments", "")
                calls[call["index"]] = calls.get(call["index"], "") + arguments
                text += arguments  # a word may begin in a value and go on as text
            finish = choice["finish_reason"] or finish
    return re.findall(r"w\d\d", text), list(calls.values()), finish


@pytest.mark.slow
@pytest.mark.parametrize("name", ANSWERS)
def test_no_failure_costs_a_word_or_makes_half_a_call(name: str, thorough: bool) -> None:
    deltas, finish = ANSWERS[name]
    events = [*LLAMA_CPP.open(), *(LLAMA_CPP.chunk((0, d, None)) for d in deltas), *LLAMA_CPP.ending(finish)]
    assert sorted(read(send(events, ASKED)[0])[0]) == WORDS

    def make() -> StreamRewriter:
        return StreamRewriter(ASKED)

    def act(rewriter: StreamRewriter) -> bytes:
        return b"".join([piece for event in events for piece in rewriter.feed(event)] + rewriter.close())

    tried, wrong = [], []
    for where, out in failures(POINTS, MORE_USES if thorough else USES, make, act):
        tried.append(where)
        words, calls, reason = read(out)
        if {*words} != {*WORDS} or (reason == "tool_calls" and not all(map(can_run, calls))):
            wrong.append(where)
    assert len(tried) > 200
    assert wrong == []
