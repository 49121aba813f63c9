"""Messages: what is read of requests, events and whole answers, and how an encoder writes them."""

import json
import re
from typing import Any

import pytest

from support.strict_messages import BEGIN, PING, block, end, event, events, read_stream, stop, whole
from toolstream.events import ArgumentsDelta, CallEnd, CallStart, Text
from toolstream.ledger import Ledger
from toolstream.wire.anthropic_encoder import MessagesEncoder, stop_reason
from toolstream.wire.anthropic_messages import AnthropicMessages
from toolstream.wire.base import SAID, At, Found, Kind, LaneId, Reading, ServerCall

TOOL = {"name": "ls", "description": "List", "input_schema": {"type": "object"}}
LS = {"type": "function", "function": {"name": "ls", "parameters": {"type": "object"}}}
TEXT, THINKING, CALL = ("text", "Hi."), ("thinking", "Hm."), ("call", "ls", '{"a":1}')


def wire(**request: Any) -> AnthropicMessages:
    return AnthropicMessages({"model": "qwen", "tools": [TOOL], **request})


# The request


def test_tools() -> None:
    assert wire().asked.tools == [LS]
    custom, server = TOOL | {"type": "custom"}, {"type": "web_search_20250305", "name": "web"}
    late = {"name": "late", "defer_loading": True}
    asked = wire(tools=[custom, server, None, late]).asked
    assert [tool["function"]["name"] for tool in asked.tools] == ["ls", "late"]
    for odd in (None, "ls", {}, 5):
        assert wire(tools=odd).asked.tools == []


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, "auto"),
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "ls"}, {"type": "function", "function": {"name": "ls"}}),
        ("none", "auto"),
        ({"type": ["any"]}, "auto"),
    ],
)
def test_tool_choice(choice: Any, expected: Any) -> None:
    assert wire(tool_choice=choice).asked.tool_choice == expected


def test_what_else_is_asked() -> None:
    asked = wire(
        stream=True, max_tokens=7, tool_choice={"type": "any", "disable_parallel_tool_use": True}
    ).asked
    assert (asked.model, asked.stream, asked.limit, asked.parallel) == ("qwen", True, 7, False)
    asked = wire().asked
    assert (asked.stream, asked.limit, asked.parallel, asked.unread) == (False, None, True, "")


def test_ids_in_the_history() -> None:
    content = [{"type": "tool_use", "id": "toolu_1"}, {"type": "tool_use", "id": 5}, {"type": "text"}, None]
    messages = [{"role": "user", "content": "toolu_2"}, {"role": "assistant", "content": content}, None]
    assert wire(messages=messages).asked.ids == {"toolu_1"}
    assert wire(messages="none").asked.ids == set()


def test_the_path() -> None:
    for path in ("/v1/messages", "/api/v1/messages"):
        assert re.search(AnthropicMessages.path, path)
    for path in ("/v1/messages/count_tokens", "/v1/messages/batches"):
        assert not re.search(AnthropicMessages.path, path)


def test_ids_are_new() -> None:
    one, other = wire().new_id(), wire().new_id()
    assert re.fullmatch("toolu_[0-9a-f]{24}", one)
    assert one != other


def test_disarmed() -> None:
    for reason in ("tool_use", "end_turn", "stop_sequence"):
        assert wire().disarmed(b"".join(end(reason))) == b"".join(end("length"))
    said = b"".join(block(0, ("text", json.dumps({"stop_reason": "tool_use"})), 1000))
    assert wire().disarmed(said + BEGIN) == said + BEGIN


# Events


def read_all(*frames: bytes) -> list[Reading]:
    api = wire()
    return [api.read(frame) for frame in frames]


def test_a_block_of_text_is_a_lane() -> None:
    start, delta, ended = read_all(*block(0, TEXT), stop(0))
    slices = [piece for reading in (start, delta, ended) for piece in reading.slices]
    assert [piece.at for piece in slices] == [At.OPEN, At.TEXT, At.CLOSE]
    assert [piece.text for piece in slices] == ["", "Hi.", ""]
    assert slices[1].paths == [("delta", "text")]
    assert len({piece.lane for piece in slices}) == 1
    assert slices[0].lane
    assert slices[0].lane.kind is Kind.CONTENT


def test_a_signature_comes_after_the_thinking() -> None:
    readings = read_all(*block(0, THINKING), stop(0))
    slices = [piece for reading in readings for piece in reading.slices]
    assert [piece.at for piece in slices] == [At.OPEN, At.TEXT, At.CLOSE, At.CLOSE]
    assert {piece.lane.kind for piece in slices if piece.lane} == {Kind.REASONING}


def test_a_call() -> None:
    readings = read_all(*block(0, CALL, 100), stop(0))
    pieces = [piece.call_piece for reading in readings for piece in reading.slices]
    assert [piece and (piece.index, piece.id, piece.name, piece.text) for piece in pieces] == [
        (0, "toolu_server0", "ls", ""),
        (0, "", "", '{"a":1}'),
        (0, "", "", ""),
    ]
    assert all(piece.lane is None for reading in readings for piece in reading.slices)


def test_an_index_twice_is_two_blocks() -> None:
    readings = read_all(*block(0, TEXT), *block(0, TEXT), *block(0, CALL), *block(0, CALL))
    lanes = {piece.lane for reading in readings for piece in reading.slices if piece.lane}
    indexes = {piece.call_piece.index for reading in readings for piece in reading.slices if piece.call_piece}
    assert (len(lanes), indexes) == (2, {2, 3})


def test_input_that_comes_with_the_start() -> None:
    for given, expected in (({"a": 1}, '{"a":1}'), ("{}", '"{}"'), ([1], "[1]"), ({}, ""), (None, "")):
        head = {"type": "tool_use", "id": "1", "name": "ls", "input": given}
        (reading,) = read_all(event("content_block_start", index=0, content_block=head))
        assert "".join(piece.text for piece in reading.slices) == expected


def test_text_in_a_call_is_a_lane_of_its_own() -> None:
    stray = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hi"})
    *_, one, other = read_all(*block(0, CALL), stray, stray)
    assert one.slices[0].lane
    assert one.slices[0].lane is other.slices[0].lane
    assert one.slices[0].lane.kind is Kind.CONTENT


@pytest.mark.parametrize(
    "frame",
    [
        b"\n\n",
        b"data: \n\n",
        b"data: [DONE]\n\n",
        b"data: []\n\n",
        b'data: {"type": ["x"]}\n\n',
        b"event: x\n\n",
        event("message_start", message=None),
        event("content_block_delta", index=3, delta={"type": "text_delta", "text": "x"}),
        event("content_block_delta", index=[], delta=None),
        event("content_block_stop", index=None),
    ],
)
def test_what_is_not_read(frame: bytes) -> None:
    (reading,) = read_all(frame)
    assert (reading.slices, reading.ends, reading.aside, reading.error) == ([], (), False, None)
    assert MessagesEncoder(str, "", Ledger()).frame(reading, None) == frame


@pytest.mark.parametrize(
    "frame", [PING, b": keep-alive\n\n", b"event: ping\n\n", AnthropicMessages.keep_alive]
)
def test_asides(frame: bytes) -> None:
    assert read_all(frame)[0].aside


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
        (None, None),
        (5, None),
    ],
)
def test_ends(reason: Any, expected: str | None) -> None:
    delta, over = read_all(event("message_delta", delta={"stop_reason": reason}), event("message_stop"))
    assert (delta.ends, over.ends) == ([(0, expected)], [(0, None)])
    assert wire().read_whole(json.dumps({"content": [], "stop_reason": reason})).ends == [(0, expected)]


@pytest.mark.parametrize(
    "frame",
    [
        event("error", error={"message": "boom"}),
        b'data: {"error": {"message": "boom"}}\n\n',
        b'event: error\ndata: {"message": "boom"}\n\n',
    ],
)
def test_errors(frame: bytes) -> None:
    (reading,) = read_all(frame)
    assert (reading.error, reading.ends) == ({"message": "boom"}, [(None, None)])


# The encoder


class Answer:
    """An encoder, and a wire that reads the server's events for it. Calls of the server keep id and name."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.wire = wire()
        self.encoder = self.wire.encoder(self.ledger)
        self.calls: dict[int | None, LaneId] = {}
        self.out = b""
        self.near = Reading(b"")
        self.frames(BEGIN)

    def read(self, frame: bytes) -> Reading:
        reading = self.near = self.wire.read(frame)
        for piece in reading.slices:
            if piece.call_piece:
                lane = self.calls.setdefault(
                    piece.call_piece.index, LaneId(0, Kind.ARGUMENTS, "", ServerCall())
                )
                assert lane.call
                lane.call.id, lane.call.name = (
                    lane.call.id or piece.call_piece.id,
                    lane.call.name or piece.call_piece.name,
                )
                piece.lane = lane
        return reading

    def frames(self, *frames: bytes) -> None:
        """They leave as they are."""
        for frame in frames:
            self.out += self.encoder.frame(self.read(frame), None)

    def frame(self, frame: bytes, *texts: str) -> LaneId:
        """It leaves with other texts; the lane it is about."""
        reading = self.read(frame)
        self.out += self.encoder.frame(reading, list(texts))
        assert reading.slices[0].lane
        return reading.slices[0].lane

    def events(self, lane: LaneId, *given: Any) -> None:
        self.out += self.encoder.events(lane, given, self.near)

    def close(self) -> bytes:
        return self.out + self.encoder.close()


OURS = (CallStart(0, "ls"), ArgumentsDelta(0, '{"b":'), ArgumentsDelta(0, "2}"), CallEnd(0))
FOUND = ("call", "ls", '{"b":2}', True)


def test_what_does_not_change_keeps_its_bytes() -> None:
    answer = Answer()
    given = [
        *block(0, THINKING),
        *block(1, TEXT),
        *block(2, CALL),
        stop(0),
        stop(1),
        stop(2),
        *end("tool_calls"),
    ]
    answer.frames(*given)
    assert answer.close() == BEGIN + b"".join(given)


def test_after_a_call_blocks_are_numbered_anew() -> None:
    answer = Answer()
    start, delta = block(0, TEXT)
    answer.frames(start)
    answer.events(answer.frame(delta, "Hi"), *OURS)
    answer.frames(stop(0), *block(1, CALL), stop(1), *block(2, TEXT), stop(2), *end("stop"))
    parts = [("text", "Hi"), FOUND, (*CALL, True), ("text", "Hi.")]
    assert read_stream(answer.close()).said == (parts, "tool_calls")
    assert not answer.ledger.repairs


def test_a_block_that_was_nothing_but_a_call() -> None:
    for part in (TEXT, THINKING):
        answer = Answer()
        start, delta, *signature = block(0, part)
        answer.frame(start, "")
        answer.events(answer.frame(delta, ""), *OURS)
        answer.frames(*signature, stop(0), *end("stop"))
        assert read_stream(answer.close()).said == ([FOUND], "tool_calls")


def test_a_signature_of_a_thought_that_a_call_has_ended_is_left_out() -> None:
    answer = Answer()
    start, delta, signature = block(0, THINKING)
    answer.frames(start)
    answer.events(answer.frame(delta, "H"), *OURS)
    answer.frames(signature, stop(0), *end("stop"))
    body = answer.close()
    assert read_stream(body).parts == [("thinking", "H"), FOUND]
    assert [e["delta"]["signature"] for e in events(body) if "signature" in e.get("delta", ())] == [""]


def test_thinking_that_is_nothing_but_a_signature_stays() -> None:
    answer = Answer()
    answer.events(answer.frame(block(0, TEXT)[0], ""), *OURS)
    start, _, signature = block(1, THINKING)
    answer.frames(stop(0), start, signature, stop(1), *end("stop"))
    assert read_stream(answer.close(), empty=True).parts == [FOUND, ("thinking", "")]


def test_text_in_a_call_waits_for_its_end() -> None:
    answer = Answer()
    lane = answer.frame(block(0, TEXT)[0], "")
    answer.events(lane, *OURS[:2], Text("so"))
    answer.events(lane, Text(" it is"), *OURS[2:])
    answer.frames(stop(0), *end("stop"))
    assert read_stream(answer.close()).parts == [FOUND, ("text", "so it is")]


def test_whitespace_alone_is_no_block() -> None:
    for more, expected in ((" ", []), ("x", [("text", "\n\nx")])):
        answer = Answer()
        answer.events(answer.frame(block(0, TEXT)[0], ""), *OURS, Text("\n"), Text("\n"), Text(more))
        answer.frames(stop(0), *end("stop"))
        assert read_stream(answer.close()).parts == [FOUND, *expected]


def test_the_servers_call_in_other_words() -> None:
    answer = Answer()
    start, delta = block(0, CALL, 100)
    reading = answer.read(start)
    call = answer.calls[0].call
    assert call
    call.id, call.name = "toolu_other", "dir"
    answer.out += answer.encoder.frame(reading, None)
    answer.frame(delta, '{"a":')
    answer.events(answer.calls[0], Text("2"), Text("}"))
    answer.frames(stop(0), *end("tool_calls"))
    body = answer.close()
    assert read_stream(body).parts == [("call", "dir", '{"a":2}', True)]
    assert b'"toolu_other"' in body


def test_a_call_of_the_server_that_begins_late() -> None:
    answer = Answer()
    start, delta = block(0, CALL, 100)
    answer.frame(start, "")
    answer.frame(delta, "")
    answer.events(answer.calls[0], Text('{"a":1}'))
    answer.frames(stop(0), *end("tool_calls"))
    assert read_stream(answer.close()).parts == [(*CALL, True)]


def test_a_call_that_is_dropped() -> None:
    answer = Answer()
    start, *deltas = block(0, CALL)
    answer.frame(start, "")
    call = answer.calls[0].call
    assert call
    call.dropped = True
    for frame in (*deltas, stop(0)):
        answer.frame(frame, "")
    answer.events(answer.calls[0], Text("{}"))
    answer.frames(*block(1, TEXT), stop(1), *end("tool_calls"))
    assert read_stream(answer.close()).said == ([("text", "Hi.")], "stop")
    assert list(answer.ledger.repairs) == ["finish-reason"]


def test_a_call_that_is_broken() -> None:
    answer = Answer()
    answer.frames(*block(0, ("call", "ls", '{"a"')), stop(0))
    call = answer.calls[0].call
    assert call
    call.broken = True
    answer.frames(*end("tool_calls"))
    assert read_stream(answer.close()).reason == "length"
    assert not answer.ledger.repairs


def test_the_end_of_our_own() -> None:
    answer = Answer()
    lane = answer.frame(block(0, TEXT)[0], "")
    answer.events(lane, *OURS)
    answer.out += answer.encoder.end(answer.near, 0)
    assert read_stream(answer.close()).said == ([FOUND], "tool_calls")


def test_half_an_event_stays_last() -> None:
    answer = Answer()
    answer.events(answer.frame(block(0, TEXT)[0], ""), *OURS)
    answer.frames(b"event: cont")
    answer.events(LaneId(0, Kind.CONTENT, ""), Text("x"))
    body = answer.close()
    assert body.endswith(b"event: cont")
    assert read_stream(body.removesuffix(b"event: cont"), dropped=True).parts == [FOUND, ("text", "x")]


def test_an_event_without_its_blank_line() -> None:
    answer = Answer()
    start, delta = block(0, TEXT)
    answer.frames(start)
    lane = answer.frame(delta.rstrip(b"\n"), "Hi")
    answer.events(lane, *OURS)
    assert read_stream(answer.close(), dropped=True).parts == [("text", "Hi"), FOUND]


@pytest.mark.parametrize(
    ("sent", "called", "found", "cut", "expected"),
    [
        ("end_turn", True, True, False, "tool_use"),
        ("stop_sequence", True, True, False, "tool_use"),
        (None, True, True, False, "tool_use"),
        ("max_tokens", True, True, False, "max_tokens"),
        ("refusal", True, True, False, "refusal"),
        ("end_turn", True, False, False, "tool_use"),
        ("stop_sequence", True, False, False, "stop_sequence"),
        (None, True, False, False, None),
        ("tool_use", False, False, False, "end_turn"),
        ("end_turn", False, False, False, "end_turn"),
        ("tool_use", True, True, True, "max_tokens"),
        ("end_turn", False, False, True, "max_tokens"),
        ("stop_sequence", True, False, True, "max_tokens"),
        ("max_tokens", True, True, True, "max_tokens"),
    ],
)
def test_stop_reason(sent: str | None, called: bool, found: bool, cut: bool, expected: str | None) -> None:
    ledger = Ledger()
    assert stop_reason(sent, called, found, cut, ledger) == expected
    counted = expected not in (sent, "max_tokens") and not found
    assert list(ledger.repairs) == ["finish-reason"] * counted


# Whole answers


def test_the_slices_of_a_whole_answer() -> None:
    body = whole([TEXT, THINKING, CALL, ("other", "x")]).decode().replace("1}}", "1.10}}")
    reading = wire().read_whole(body)
    assert [piece.text for piece in reading.slices] == ["Hi.", "Hm.", '{"a": 1.10}', ""]
    kinds = [piece.lane.kind if piece.lane else None for piece in reading.slices]
    assert kinds == [Kind.CONTENT, Kind.REASONING, None, Kind.OTHER]
    call = reading.slices[2].call_piece
    assert call
    assert (call.id, call.name, call.whole) == ("toolu_server2", "ls", True)


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"content": "x"}', '{"content": [null, 5, "x", {}, []]}'])
def test_a_whole_answer_that_is_none(body: str) -> None:
    api = wire()
    reading = api.read_whole(body)
    nothing = Found([None] * len(reading.slices), [[] for _ in reading.slices])
    assert api.write_whole(reading, nothing, Ledger()) == body


def test_writing_a_whole_answer() -> None:
    api = wire()
    body = whole([TEXT, THINKING, ("text", "call")], "stop").decode()
    reading = api.read_whole(body)
    found = Found(["Hi", None, ""], [[], [], [("ls", '{"b":1.10}')]])
    written = api.write_whole(reading, found, Ledger())
    message = json.loads(written)
    assert [one["type"] for one in message["content"]] == ["text", "thinking", "tool_use"]
    assert message["content"][0]["text"] == "Hi"
    assert '"input":{"b":1.10}' in written
    assert '{"type": "thinking", "thinking": "Hm."}' in written
    assert message["stop_reason"] == "tool_use"


def test_an_answer_of_our_own() -> None:
    message = json.loads(wire().written_whole("Hi.", [("ls", '{"a":1}')]))
    assert message["stop_reason"] == "tool_use"
    assert [one["type"] for one in message["content"]] == ["text", "tool_use"]
    assert {"id", "type", "role", "model", "stop_sequence", "usage"} <= message.keys()
    assert json.loads(wire().written_whole(" ", []))["content"] == []


def test_what_is_text_in_the_start_is_said() -> None:
    answer = Answer()
    start = event("content_block_start", index=0, content_block={"type": "text", "text": "Hi <x"})
    answer.events(answer.frame(start, SAID, "Hi"), *OURS)
    answer.frames(stop(0), *end("stop"))
    assert read_stream(answer.close()).parts == [("text", "Hi"), FOUND]
