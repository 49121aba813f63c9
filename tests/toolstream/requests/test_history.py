"""Earlier calls in a request: those that no server can read are mended, all else stays."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import read_tool
from toolstream.requests.history import repair_history

TOOLS = [read_tool("write(path: string, content: string)"), read_tool("ls(path?: string)")]


def call(arguments: Any, name: str = "write") -> dict[str, Any]:
    function = {"name": name} if arguments is ... else {"name": name, "arguments": arguments}
    return {"id": "call_1", "type": "function", "function": function}


def request(*calls: Any, role: str = "assistant") -> dict[str, Any]:
    messages: list[Any] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Go"}]},
        {"role": role, "content": None, "tool_calls": list(calls)},
        {"role": "tool", "tool_call_id": "call_1", "content": "{"},
    ]
    return {"model": "qwen", "messages": messages, "tools": TOOLS, "temperature": 0.1}


BROKEN = [
    ("", "{}"),
    (" \n", "{}"),
    (None, "{}"),
    (..., "{}"),
    ([1], "{}"),
    (5, "{}"),
    ("null", "{}"),
    ("[1]", "{}"),
    ('"text"', "{}"),
    ({"path": "é"}, '{"path": "é"}'),
    ({}, "{}"),
    ('{"path": "a", "content": "import o', "{}"),  # cut: nobody knows how it went on
    ("{", "{}"),
    ('{"path": "a", "content": "b",}', '{"path": "a", "content": "b"}'),
    ('{"path": "a", "content": "b"', '{"path": "a", "content": "b"}'),
    ("{'path': 'a', 'content': 'b'}", '{"path": "a", "content": "b"}'),
    ('{"path": "C:\\Users", "content": "b"}', '{"path": "C:\\\\Users", "content": "b"}'),
    ('{}{"path": "a", "content": "b"}', '{"path": "a", "content": "b"}'),
    ("<parameter=path>\na\n</parameter>", '{"path": "a"}'),
    ('"{\\"path\\": \\"a\\"}"', '{"path": "a"}'),
    ("}{", "{}"),
]


@pytest.mark.parametrize(("arguments", "expected"), BROKEN)
def test_broken_arguments_become_readable(arguments: Any, expected: str) -> None:
    good = call('{"path": "x"}')
    body = request(good, call(arguments))
    before = copy.deepcopy(body)
    mended, repairs = repair_history(body)
    assert body == before
    assert mended is not None
    assert repairs == ["broken-history"]
    assert json.loads(mended["messages"][2]["tool_calls"][1]["function"]["arguments"]) == json.loads(expected)
    expected_body = request(good, call(mended["messages"][2]["tool_calls"][1]["function"]["arguments"]))
    assert mended == expected_body
    assert list(mended) == list(body)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": None},
        {"messages": [None, 5, "text", {}]},
        request(),
        request(call("{}"), call(' {"path" : "a"} ')),
        request(call('{"path": 5, "unknown": true}'), call("{}", name="unknown")),
        request(call("{"), role="user"),
        request(None, 5, {}, {"function": None}),
        {"messages": [{"role": "assistant", "tool_calls": None}, {"role": "assistant", "content": "{"}]},
    ],
)
def test_everything_else_is_left(body: dict[str, Any]) -> None:
    assert repair_history(body) == (None, [])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@given(st.text() | JSON)
def test_whatever_it_was_it_can_be_read(arguments: Any) -> None:
    mended, _ = repair_history(request(call(arguments)))
    if mended:
        text = mended["messages"][2]["tool_calls"][0]["function"]["arguments"]
        assert isinstance(json.loads(text), dict)
        assert repair_history(mended) == (None, [])


def test_h08_a_call_that_an_earlier_answer_leaked_stays_text() -> None:
    leaked = "<tool_call>\n<function=ls>\n</function>\n</tool_call>"
    body = request()
    body["messages"][2] = {"role": "assistant", "content": leaked}
    assert repair_history(body) == (None, [])
