"""What each API has for itself: paths, requests, conversations, errors."""

import json
from typing import Any

import pytest
from api_answers import NAMES, asked, stream, whole
from proxy import LEAK, WEATHER

from qwenproxy import apis
from qwenproxy.apis import APIS, CHAT, SERVERS_FAULT, Turn, error_text
from qwenproxy.errors import api_error
from qwenproxy.recording.format import parse_object
from toolstream.wire import WIRES

TOOL = WEATHER["function"]


def test_each_wire_has_its_api() -> None:
    assert list(APIS) == list(WIRES)
    assert all(api.name == name for name, api in APIS.items())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/chat/completions", "chat"),
        ("/api/v1/chat/completions?x=/v1/messages", "chat"),
        ("/v1/chat/completions/", "chat"),
        ("/v1/messages", "messages"),
        ("/v1/messages?beta=true", "messages"),
        ("/v1/messages/count_tokens", None),
        ("/v1/responses", "responses"),
        ("/v1/responses/resp_1", None),
        ("/api/chat", "ollama"),
        ("/api/chat/?x", "ollama"),
        ("/", None),
        ("/api/generate", None),
        ("/v1/completions", None),
    ],
)
def test_the_path_says_of_which_api_a_request_is(path: str, name: str | None) -> None:
    found = apis.at(path)
    assert (found.name if found else None) == name


@pytest.mark.parametrize("name", NAMES)
def test_its_usual_address_is_its_own(name: str) -> None:
    assert apis.at(APIS[name].address) is APIS[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_request_is_understood_by_its_wire(name: str) -> None:
    api = APIS[name]
    request = asked(name) | api.greedy(77)
    assert api.is_request(request)
    found = api.asked(request)
    assert (found.model, found.stream, found.limit) == ("qwen", True, 77)
    assert [tool["function"]["name"] for tool in found.tools] == ["get_weather"]
    assert found.tools[0]["function"]["parameters"] == TOOL["parameters"]
    assert not found.unread
    assert not api.asked(asked(name, stream=False)).stream
    assert list(api.turns(request)) == [Turn("user", ("hi",))]


@pytest.mark.parametrize("body", [{}, {"messages": "hi"}, {"input": 1}, {"messages": {}, "input": {}}])
@pytest.mark.parametrize("name", NAMES)
def test_other_bodies_are_no_requests(name: str, body: dict[str, Any]) -> None:
    assert not APIS[name].is_request(body)


@pytest.mark.parametrize("name", NAMES)
def test_a_tool_may_be_written_as_in_any_api(name: str) -> None:
    api = APIS[name]
    ways = [APIS[other].tool(WEATHER) for other in NAMES] + [TOOL]
    assert {json.dumps(api.tool(way), sort_keys=True) for way in ways} == {
        json.dumps(api.tool(WEATHER), sort_keys=True)
    }


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_is_recognised(name: str) -> None:
    api = APIS[name]
    first = parse_object(api.data(stream(name, "hi")[0]).encode())
    for value in (first, parse_object(whole(name, "hi")), api.answer("hi", "stop")):
        assert apis.of_answer(value) is api


def test_what_is_no_answer() -> None:
    for value in ({}, {"error": "x"}, {"log": {}}, {"type": "error"}):
        assert apis.of_answer(value) is None


@pytest.mark.parametrize("name", NAMES)
def test_data_of_a_frame_can_be_replaced(name: str) -> None:
    api, frame = APIS[name], stream(name, LEAK)[2]
    assert api.with_data(frame, api.data(frame)) == frame
    other = api.with_data(frame, '{"a": "ü"}')
    assert api.data(other) == '{"a": "ü"}'
    assert api.frames(other + other) == [other, other]


# Conversations


def test_a_conversation_of_chat_completions() -> None:
    call = {"function": {"name": "ls", "arguments": "{}"}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "files"},
        "odd",
    ]
    assert list(CHAT.turns({"messages": messages})) == [
        Turn("system", ("Be brief.",)),
        Turn("user", ("a", "b")),
        Turn("assistant", (), (("ls", "{}"),)),
        Turn("tool", ("files",)),
    ]


def test_a_conversation_of_messages() -> None:
    messages = [
        {"role": "user", "content": "a"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "name": "ls", "input": {}, "id": "toolu_1"},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [{"type": "text", "text": "files"}],
                },
                {"type": "text", "text": "and now?"},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "content": "no"}]},
    ]
    body = {"system": [{"type": "text", "text": "Be brief."}], "messages": messages}
    assert list(APIS["messages"].turns(body)) == [
        Turn("system", ("Be brief.",)),
        Turn("user", ("a",)),
        Turn("assistant", ("I look.",), (("ls", {}),)),
        Turn("tool", ("files",)),
        Turn("user", ("and now?",)),
        Turn("tool", ("no",)),
    ]


def test_a_conversation_of_responses() -> None:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
        {"type": "reasoning", "summary": []},
        {"type": "function_call", "name": "ls", "arguments": "{}", "call_id": "call_1"},
        {"type": "function_call_output", "call_id": "call_1", "output": "files"},
    ]
    turns = [
        Turn("system", ("Be brief.",)),
        Turn("user", ("a",)),
        Turn("assistant", (), (("ls", "{}"),)),
        Turn("tool", ("files",)),
    ]
    assert list(APIS["responses"].turns({"instructions": "Be brief.", "input": items})) == turns
    assert list(APIS["responses"].turns({"input": "a"})) == [Turn("user", ("a",))]


# Errors


def test_the_shapes_of_errors() -> None:
    said = {name: api_error("c", "m", SERVERS_FAULT, api) for name, api in APIS.items()}
    openai = {"error": {"message": "m", "type": "upstream_error", "param": None, "code": "c"}}
    assert said == {
        "chat": openai,
        "messages": {"type": "error", "error": {"type": "api_error", "message": "m"}},
        "responses": openai,
        "ollama": {"error": "m"},
    }
    assert APIS["messages"].error("c", "m")["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("name", NAMES)
def test_an_error_within_a_stream_is_a_frame(name: str) -> None:
    api = APIS[name]
    frame = api.error_frame("c", "it is so", SERVERS_FAULT)
    assert api.frames(frame) == [frame]
    assert error_text(api.wire({}).read(frame).error) == "it is so"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ("m", "m"),
        ({"message": "m"}, "m"),
        ({"type": "error", "error": {"message": "m"}}, "m"),
        ({"error": "m"}, "m"),
        ({"code": 5}, '{"code": 5}'),
        (None, ""),
        ("", ""),
    ],
)
def test_the_message_of_an_error(error: Any, text: str) -> None:
    assert error_text(error) == text
