"""Earlier calls in a request, of any API: those that no server can read are mended, all else stays."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import read_tool
from toolstream import repair_request
from toolstream.wire import WIRES
from toolstream.wire.earlier_calls import EARLIER_CALLS

Json = dict[str, Any]
TOOLS = [read_tool("write(path: string, content: string)"), read_tool("ls(path?: string)")]
TEXT = {"type": "text", "text": "Go"}

# A call with arguments, ... if there are none, and a request with calls, for each API


def chat_call(arguments: Any, name: str = "write") -> Json:
    return {"id": "call_1", "type": "function", "function": _with({"name": name}, "arguments", arguments)}


def chat(*calls: Any, role: str = "assistant") -> Json:
    messages: list[Any] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [TEXT]},
        {"role": role, "content": None, "tool_calls": list(calls)},
        {"role": "tool", "tool_call_id": "call_1", "content": "{"},
    ]
    return {"model": "qwen", "messages": messages, "tools": TOOLS, "temperature": 0.1}


def messages_call(arguments: Any, name: str = "write") -> Json:
    return _with({"type": "tool_use", "id": "toolu_1", "name": name}, "input", arguments)


def messages(*calls: Any, role: str = "assistant") -> Json:
    tools = [{"name": t["function"]["name"], "input_schema": t["function"]["parameters"]} for t in TOOLS]
    history: list[Any] = [
        {"role": "user", "content": "Go"},
        {"role": role, "content": [TEXT, *calls]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "{"}]},
    ]
    return {"model": "qwen", "max_tokens": 99, "system": "Be brief.", "messages": history, "tools": tools}


def responses_call(arguments: Any, name: str = "write") -> Json:
    return _with({"type": "function_call", "call_id": "call_1", "name": name}, "arguments", arguments)


def responses(*calls: Any) -> Json:
    items: list[Any] = [
        {"type": "message", "role": "user", "content": "Go"},
        *calls,
        {"type": "function_call_output", "call_id": "call_1", "output": "{"},
    ]
    tools = [{"type": "function", **t["function"]} for t in TOOLS]
    return {"model": "qwen", "input": items, "tools": tools, "store": False}


APIS: dict[str, tuple[Callable[..., Json], Callable[..., Json]]] = {
    "chat": (chat, chat_call),
    "messages": (messages, messages_call),
    "responses": (responses, responses_call),
    "ollama": (chat, chat_call),
}
AS_TEXT = ("chat", "responses")


def _with(json: Json, member: str, value: Any) -> Json:
    return json if value is ... else json | {member: value}


def repaired(body: Json, api: str = "chat") -> tuple[Json | None, list[str]]:
    """What the request becomes, None if it is the same, and the repairs."""
    raw = json.dumps(body).encode()
    before = copy.deepcopy(body)
    new, repairs = repair_request(raw, body, api)
    assert body == before
    assert (new is raw) == (not repairs)
    return (None if new is raw else json.loads(new)), [str(repair) for repair in repairs]


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name not in WIRES:
        pytest.skip("no such API yet")
    return name


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
    ('{"path": "a"}', '{"path": "a"}'),
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
def test_broken_arguments_become_readable(arguments: Any, expected: str, api: str) -> None:
    request, call = APIS[api]
    right = json.loads(expected)
    is_right = isinstance(arguments, dict) if api not in AS_TEXT else arguments == expected != "{}"
    good = call('{"path": "x"}' if api in AS_TEXT else {"path": "x"})
    new, repairs = repaired(request(good, call(arguments)), api)
    if is_right:
        assert (new, repairs) == (None, [])
        return
    assert repairs == ["broken-history"]
    assert new is not None
    (kept, mended) = EARLIER_CALLS[api](new)
    assert kept.value == ('{"path": "x"}' if api in AS_TEXT else {"path": "x"})
    assert (json.loads(mended.value) if api in AS_TEXT else mended.value) == right
    expected_body = request(good, call(mended.value))
    assert new == expected_body
    assert list(new) == list(expected_body)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": None},
        {"messages": [None, 5, "text", {}]},
        chat(),
        chat(chat_call("{}"), chat_call(' {"path" : "a"} ')),
        chat(chat_call('{"path": 5, "unknown": true}'), chat_call("{}", name="unknown")),
        chat(chat_call("{"), role="user"),
        chat(None, 5, {}, {"function": None}),
        {"messages": [{"role": "assistant", "tool_calls": None}, {"role": "assistant", "content": "{"}]},
    ],
)
def test_everything_else_is_left(body: Json) -> None:
    assert repaired(body) == (None, [])


@pytest.mark.parametrize(
    ("api", "body"),
    [
        ("messages", {}),
        ("messages", {"messages": "text"}),
        ("messages", {"messages": [None, {"role": "assistant", "content": "{"}, {"content": [None, "{"]}]}),
        ("messages", messages()),
        ("messages", messages(messages_call({}), messages_call({"path": 5, "unknown": True}))),
        ("messages", messages({"type": "server_tool_use", "input": "{"}, {"type": "tool_result"})),
        ("responses", {"input": "text"}),
        ("responses", responses(responses_call("{}"), {"type": "custom_tool_call", "input": "{"}, None)),
        ("ollama", {"messages": [{"role": "assistant", "content": "{", "tool_calls": [None, {}]}]}),
        ("ollama", chat(chat_call({"path": "a"}))),
    ],
)
def test_everything_else_is_left_in_the_other_apis(api: str, body: Json) -> None:
    assert repaired(body, api) == (None, [])


def test_nothing_else_changes_not_even_whitespace() -> None:
    raw = rb"""{ "model":"qwen", "temperature":0.10, "messages":[{"role":"assistant", "content":[
      {"type":"tool_use", "id":"1", "name":"ls"} , {"type":"tool_use", "input":{"a":1.10}},
      {"type":"tool_use","input": "{\"a\":1.10}", "name":"ls" } ]}]}"""
    new, repairs = repair_request(raw, json.loads(raw), "messages")
    assert len(repairs) == 2
    expected = raw.replace(b'"name":"ls"} ,', b'"name":"ls","input":{}} ,')
    assert new == expected.replace(rb'"{\"a\":1.10}"', b'{"a":1.10}')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@given(st.text() | JSON, st.sampled_from([name for name in APIS if name in WIRES]))
def test_whatever_it_was_it_can_be_read(arguments: Any, api: str) -> None:
    request, call = APIS[api]
    new, _ = repaired(request(call(arguments)), api)
    if new:
        (mended,) = EARLIER_CALLS[api](new)
        assert isinstance(json.loads(mended.value) if mended.as_text else mended.value, dict)
        assert repaired(new, api) == (None, [])


def test_h08_a_call_that_an_earlier_answer_leaked_stays_text() -> None:
    leaked = "<tool_call>\n<function=ls>\n</function>\n</tool_call>"
    body = chat()
    body["messages"][2] = {"role": "assistant", "content": leaked}
    assert repaired(body) == (None, [])
