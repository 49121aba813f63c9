"""Whatever raises while arguments of each kind are mended: no word is lost, and nobody runs half a call.

As rewriter/test_failures.py, for the functions of this room.
"""

# ruff: noqa: RUF001

import json
import re
from typing import Any

import pytest

from qwenproxy.rules.file import read_text
from support.cases import read_tool
from support.planted import can_run, failures, functions, modules_of
from support.streams import LLAMA_CPP
from toolstream import StreamRewriter, native

ASKED = {
    "model": "qwen",
    "stream": True,
    "messages": [],
    "tools": [read_tool("write(path?: string, content: string)")],
}
RULES = read_text(
    """
tools:
  write:
    fixes:
      - {name: a, parameter: path, condition: missing_or_empty, action: set_default, default_value: x}
      - {name: b, parameter: hint, condition: exists, action: remove_parameter}
""",
    "rules",
).for_model("")
WORDS = [f"w{n}" for n in range(10, 60)]
TEXT = " ".join(WORDS)
USES, MORE_USES = (1, 3), (1, 2, 3, 5, 9, 17, 33, 60)
ARGUMENTS = {
    "right": json.dumps({"content": TEXT}),
    "a list for a string": json.dumps({"limit": 1, "content": WORDS}),
    "a number for a string": '{"path": 5, "content":"' + TEXT + '"}',
    "encoded": json.dumps(json.dumps({"content": TEXT})),
    "XML": f"<parameter=content>\n{TEXT}\n</parameter>\n</function>",
    "DSML": f'<｜DSML｜parameter name="content" string="true">{TEXT}</｜DSML｜parameter>',
    "swallowed": '{"content":"' + TEXT + '</parameter>\\n<parameter=path>\\na\\n</parameter>"}',
    "closing tags": '{"content":"' + TEXT + '\\n</parameter>\\n</function>"}',
    "left over": json.dumps({"content": TEXT}) + "}</tool_call>",
    "single quotes": "{'content': '" + TEXT + "'}",
    "wrapped": json.dumps({"arguments": {"content": TEXT}}),
    "no bracket": '"content":"' + TEXT + '"}',
    "nothing that can be read": TEXT,
    "a parameter too many": json.dumps({"hint": 1, "content": TEXT}),
}


POINTS = list(functions(modules_of(native), {}))


def stream(arguments: str) -> list[bytes]:
    head = {"index": 0, "id": "x0", "type": "function", "function": {"name": "write", "arguments": ""}}
    pieces = ({"index": 0, "function": {"arguments": p}} for p in re.findall("(?s).{1,5}", arguments))
    chunks = [LLAMA_CPP.chunk((0, {"tool_calls": [call]}, None)) for call in (head, *pieces)]
    return [*LLAMA_CPP.open(), *chunks, *LLAMA_CPP.ending("tool_calls")]


def read(body: bytes) -> tuple[str, str, str]:
    """The text, the arguments of the call, and the finish_reason."""
    text = arguments = finish = ""
    for block in body.decode().split("\n\n"):
        for choice in json.loads(block[6:])["choices"] if block.startswith("data: {") else []:
            text += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls") or []:
                arguments += call["function"].get("arguments", "")
            finish = choice["finish_reason"] or finish
    return text, arguments, finish


@pytest.mark.slow
@pytest.mark.parametrize("rules", [None, RULES], ids=["", "rules"])
@pytest.mark.parametrize("kind", ARGUMENTS)
def test_no_failure_costs_a_word_or_makes_half_a_call(kind: str, rules: Any, thorough: bool) -> None:
    events = stream(ARGUMENTS[kind])

    def make() -> StreamRewriter:
        return StreamRewriter(ASKED, rules=rules)

    def act(rewriter: StreamRewriter) -> bytes:
        return b"".join([piece for event in events for piece in rewriter.feed(event)] + rewriter.close())

    uses = MORE_USES if thorough else USES[: 1 if rules else 2]
    tried, wrong = [], []
    for where, out in failures(POINTS, uses, make, act):
        tried.append(where)
        text, arguments, finish = read(out)
        half = finish == "tool_calls" and not can_run(arguments) and arguments != ARGUMENTS[kind]
        if half or {*re.findall(r"w\d\d", text + arguments)} != {*WORDS}:
            wrong.append(where)
    assert len(tried) > 40
    assert wrong == []
