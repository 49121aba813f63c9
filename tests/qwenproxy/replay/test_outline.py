"""What a client reads from an answer, of whichever API."""

import json

import pytest
from api_answers import CITY, NAMES, event, stream, whole
from proxy import LEAK

from qwenproxy.apis import APIS
from qwenproxy.replay.golden import golden
from qwenproxy.replay.outline import Call, Message, messages_of, outline_of, read
from toolstream import Ledger, StreamRewriter

TEXT = "Hello,\nworld 🙂."
MESSAGES, RESPONSES, OLLAMA = (APIS[name] for name in ("messages", "responses", "ollama"))
CALLED = Call("get_weather", json.dumps(CITY, ensure_ascii=False, sort_keys=True))


@pytest.mark.parametrize("name", NAMES)
def test_the_text_of_an_answer(name: str) -> None:
    body = b"".join(stream(name, TEXT))
    expected = (Message(TEXT, finish_reason="stop"),)
    assert (
        messages_of(body, True, APIS[name]) == messages_of(whole(name, TEXT), False, APIS[name]) == expected
    )
    assert golden(body, body, True, Ledger(), APIS[name]).choices == expected


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_without_a_word_is_one(name: str) -> None:
    for body, is_stream in ((b"".join(stream(name, "")), True), (whole(name, ""), False)):
        assert messages_of(body, is_stream, APIS[name]) == (Message(finish_reason="stop"),)


@pytest.mark.parametrize("name", NAMES)
def test_a_body_that_is_none(name: str) -> None:
    for body in (b"", b"{}", b"null", b"[1]", b"{", b"\xff", b"data: {\n\n", b'{"type": 5, "message": 5}\n'):
        assert read(body, True, APIS[name])[1] == ""
        assert read(body, False, APIS[name])[1] == ""


@pytest.mark.parametrize("name", NAMES)
def test_the_error_of_an_answer(name: str) -> None:
    api = APIS[name]
    assert read(json.dumps(api.error("c", "no room")).encode(), False, api) == ((), "no room")
    body = b"".join(stream(name, "Hi")[:4]) + api.error_frame("c", "no room", "x")
    assert read(body, True, api)[1] == outline_of(body, True, api)[1] == "no room"


@pytest.mark.parametrize("name", NAMES)
def test_calls_and_why_it_ended_are_found_in_the_middle_of_a_long_answer(name: str) -> None:
    api = APIS[name]
    long = f"{LEAK}\n" + "and so on. " * 2_000
    body = _rewritten(name, long)
    messages, error = outline_of(body, True, api)
    assert error == ""
    assert [call.name for call in messages[0].calls] == ["get_weather"]
    assert messages[0].finish_reason == ("tool_calls" if api.says_calls else "stop")


def _rewritten(name: str, text: str) -> bytes:
    rewriter = StreamRewriter(APIS[name].request("hi", "qwen", True, [TOOL]), api=name)
    return b"".join([*rewriter.feed(b"".join(stream(name, text))), *rewriter.close()])


TOOL = {
    "name": "get_weather",
    "parameters": {"properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
}


def test_blocks_of_messages() -> None:
    deltas = [
        {"type": "input_json_delta", "partial_json": p} for p in ("", '{"city": "Zü', 'rich", "days": 3}')
    ]
    body = b"".join(
        [
            event({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking"}}),
            event(delta(0, {"type": "thinking_delta", "thinking": "hm"})),
            event(delta(0, {"type": "signature_delta", "signature": "xyz"})),
            event(
                {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": "A"}}
            ),
            event({"type": "ping"}),
            event(delta(1, {"type": "text_delta", "text": "B"})),
            event({"type": "content_block_start", "index": 2, "content_block": TOOL_USE}),
            *(event(delta(2, piece)) for piece in deltas),
            event({"type": "content_block_start", "index": 3, "content_block": {"type": "text", "text": ""}}),
            event(delta(3, {"type": "text_delta", "text": "C"})),
            event({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
        ]
    )
    assert messages_of(body, True, MESSAGES) == (Message("ABC", "hm", (CALLED,), "tool_calls"),)


TOOL_USE = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}


def delta(index: int, piece: dict[str, str]) -> dict[str, object]:
    return {"type": "content_block_delta", "index": index, "delta": piece}


def test_items_of_responses() -> None:
    item = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "get_weather",
        "arguments": "",
    }
    text = json.dumps(CITY)
    done = item | {"arguments": text}
    place = {"item_id": "fc_1", "output_index": 0}
    events = [
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.function_call_arguments.delta", **place, "delta": text[:9]},
        {"type": "response.function_call_arguments.delta", **place, "delta": text[9:]},
        {"type": "response.function_call_arguments.done", **place, "arguments": text},
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {"type": "response.completed", "response": {"status": "completed", "output": [done]}},
    ]
    expected = (Message("", "", (CALLED,), "stop"),)
    assert messages_of(b"".join(map(event, events)), True, RESPONSES) == expected
    only_done = [events[4], events[5]]  # some servers send no more
    assert messages_of(b"".join(map(event, only_done)), True, RESPONSES) == expected
    body = json.dumps({"object": "response", "status": "completed", "output": [done]}).encode()
    assert messages_of(body, False, RESPONSES) == expected


def test_lines_of_ollama() -> None:
    call = {"function": {"name": "get_weather", "arguments": CITY}}
    lines = [
        {"message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False},
        {"message": {"role": "assistant", "content": "A"}, "done": False},
        {"message": {"role": "assistant", "content": "", "tool_calls": [call]}, "done": False},
        {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"},
    ]
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    assert messages_of(body, True, OLLAMA) == (Message("A", "hm", (CALLED,), "stop"),)
