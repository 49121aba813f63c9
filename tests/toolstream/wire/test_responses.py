"""OpenAI Responses: what is read of a request, of events and of bodies, and how frames are written."""

import json
from typing import Any

import pytest

from support.strict_responses import canonical, events_of, llamacpp, read, sse, whole
from toolstream.events import ArgumentsDelta, CallEnd, CallStart, Text
from toolstream.ledger import Ledger
from toolstream.repairs import Repair
from toolstream.schema.toolset import Toolset
from toolstream.wire.base import SAID, At, Kind, LaneId, Reading, ServerCall, Slice
from toolstream.wire.json_edit import value_at
from toolstream.wire.responses import Responses
from toolstream.wire.responses_encoder import ResponsesEncoder
from toolstream.wire.responses_items import edited, with_more

Json = dict[str, Any]

WEATHER = {"type": "function", "name": "get_weather", "description": "…", "parameters": {"type": "object"}}
TIME = {"type": "function", "name": "now", "parameters": {"type": "object"}}


def readings(data: bytes, request: Json | None = None) -> list[Reading]:
    wire = Responses(request or {})
    return [wire.read(frame) for frame in wire.framer().feed(data)]


def slices(data: bytes) -> list[list[Slice]]:
    return [reading.slices for reading in readings(data)]


def brief(piece: Slice) -> tuple[Any, ...]:
    kind = piece.lane.kind if piece.lane else Kind.ARGUMENTS
    return piece.at, kind, piece.text


# Requests


def test_tools_of_a_request() -> None:
    space = {"type": "namespace", "name": "mcp", "tools": [TIME, WEATHER, {"type": "custom", "name": "x"}]}
    asked = Responses({"tools": [{"type": "web_search"}, space, WEATHER, "?", None]}).asked
    assert [tool["function"]["name"] for tool in asked.tools] == ["get_weather", "now"]
    assert asked.tools[0]["function"]["parameters"] == {"type": "object"}
    assert asked.namespaces == {"now": "mcp"}
    assert Responses({}).asked.tools == []
    assert Responses({"tools": "?"}).asked.tools == []


@pytest.mark.parametrize(
    ("choice", "allowed"),
    [
        (None, {"get_weather", "now"}),
        ("auto", {"get_weather", "now"}),
        ("required", {"get_weather", "now"}),
        ({"type": "function", "name": "now"}, {"now"}),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "now"}]}, {"now"}),
        ({"type": "custom", "name": "x"}, set()),
    ],
)
def test_tool_choice(choice: Any, allowed: set[str]) -> None:
    asked = Responses({"tools": [WEATHER, TIME], "tool_choice": choice}).asked
    toolset = Toolset(asked.tools, asked.tool_choice)
    assert {name for name in toolset.tools if toolset.allows(name)} == allowed


def test_no_tools_may_be_called() -> None:
    asked = Responses({"tools": [WEATHER], "tool_choice": "none"}).asked
    assert not Toolset(asked.tools, asked.tool_choice).tools


def test_the_rest_of_a_request() -> None:
    earlier = [{"type": "function_call", "call_id": "call_1"}, {"role": "user", "content": "Hi"}, None]
    asked = Responses(
        {"model": "q", "stream": True, "max_output_tokens": 5, "parallel_tool_calls": False, "input": earlier}
    ).asked
    assert (asked.model, asked.stream, asked.limit, asked.parallel) == ("q", True, 5, False)
    assert asked.ids == {"call_1"}
    empty = Responses({"input": "Hi"}).asked
    assert (empty.model, empty.stream, empty.limit, empty.parallel) == ("", False, None, True)
    assert empty.ids == set()
    assert empty.unread == ""


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"store": True}, "store true"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
    ],
)
def test_answers_that_the_server_has_stored(more: Json, why: str) -> None:
    assert Responses(more).asked.unread == f"the server has stored the answer: the request has {why}"
    assert not Responses({"store": False, "previous_response_id": None}).asked.unread


# Events


def test_texts_are_read_once() -> None:
    found = [[brief(piece) for piece in pieces] for pieces in slices(canonical([("text", "Hello")]))]
    content = Kind.CONTENT
    assert found == [
        [],
        [],
        [(At.OPEN, content, "")],
        [(At.OPEN, content, "")],
        [(At.TEXT, content, "Hel")],
        [(At.TEXT, content, "lo")],
        [(At.CLOSE, content, "")],
        [(At.CLOSE, content, "")],
        [(At.CLOSE, content, "")],
        [],
    ]


@pytest.mark.parametrize("summary", [False, True])
def test_reasoning_is_read_and_its_item_does_not_wait(summary: bool) -> None:
    found = slices(canonical([("thinking", "Hm")], summary=summary))
    assert found[2] == []
    assert [brief(piece) for piece in found[3] + found[4]] == [
        (At.OPEN, Kind.REASONING, ""),
        (At.TEXT, Kind.REASONING, "Hm"),
    ]


def test_all_of_a_part_is_one_lane() -> None:
    for server in (canonical, llamacpp):
        lanes = {
            piece.lane for pieces in slices(server([("text", "Hello"), ("text", "Ho")])) for piece in pieces
        }
        assert len(lanes) == 2


def test_calls_are_pieces() -> None:
    for server in (canonical, llamacpp):
        found = slices(server([("call", "f", '{"a":1}'), ("call", "g", "{}")]))
        pieces = [piece.call_piece for group in found for piece in group if piece.call_piece]
        assert {piece.index for piece in pieces} == {0, 1}
        assert [(p.id, p.name) for p in pieces if p.name] == [("call_0", "f"), ("call_1", "g")]
        assert "".join(p.text for p in pieces if p.index == 0) == '{"a":1}'
        assert not any(p.whole for p in pieces)


def test_ends() -> None:
    def end(name: str, request: Json | None = None, tokens: int = 9) -> Any:
        return readings(canonical([("text", "x")], name, tokens=tokens), request)[-1].ends

    assert end("completed") == [(None, "stop")]
    assert end("incomplete") == [(None, "length")]
    assert end("failed") == [(None, None)]
    assert end("completed", {"max_output_tokens": 9}) == [(None, "length")]
    assert end("completed", {"max_output_tokens": 10}) == [(None, "stop")]
    reason = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
    filtered = readings(sse("response.incomplete", response=reason))[0]
    assert filtered.ends == [(None, "content_filter")]


def test_errors() -> None:
    failed = readings(sse("response.failed", response={"error": {"message": "boom"}}))[0]
    typed = readings(sse("error", message="boom", code=None))[0]
    (bare,) = readings(b'data: {"error": {"message": "boom"}}\n\n')
    (line,) = readings(b'error: {"message": "boom"}\n\n')
    for reading in (failed, typed, bare, line):
        assert reading.error["message"] == "boom"
        assert list(reading.ends) == [(None, None)]


def test_comments_are_aside_and_nothing_else() -> None:
    assert readings(b": ping\n\n")[0].aside
    for frame in (
        b"data: [DONE]\n\n",
        b"data: \xff\n\n",
        b'data: {"type":"keepalive","sequence_number":3}\n\n',
    ):
        (reading,) = readings(frame)
        assert not reading.aside
        assert not reading.slices


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.output_item.added", "item": None},
        {"type": "response.output_item.added", "item": {"type": "message", "content": [None, {"type": 3}]}},
        {"type": "response.output_item.done"},
        {"type": "response.output_text.delta", "delta": None, "content_index": "x"},
        {"type": "response.output_text.done", "output_index": "0"},
        {"type": "response.content_part.added", "part": {"type": "refusal"}},
        {"type": "response.content_part.done", "part": []},
        {"type": "response.function_call_arguments.delta"},
        {"type": "response.completed", "response": {"usage": []}},
        {"type": "response.completed"},
        {"type": ["?"]},
        {"type": "response.created"},
    ],
)
def test_odd_events_pass(event: Json) -> None:
    frame = b"data: " + json.dumps(event).encode() + b"\n\n"
    wire = Responses({})
    reading = wire.read(frame)
    out = wire.encoder(Ledger()).frame(reading, None)
    assert out == frame or event["type"] in ("response.created", "response.output_item.added")


# Bodies


def test_slices_of_a_body() -> None:
    wire = Responses({})
    reading = wire.read_whole(whole([("thinking", "Hm"), ("text", "Hi"), ("call", "f", "{}")]).decode())
    assert [brief(piece) for piece in reading.slices] == [
        (At.TEXT, Kind.REASONING, "Hm"),
        (At.TEXT, Kind.CONTENT, "Hi"),
        (At.TEXT, Kind.ARGUMENTS, "{}"),
    ]
    for piece in reading.slices:
        ((*path,),) = piece.paths
        assert value_at(reading.data, tuple(path)) == json.dumps(piece.text)
    call = reading.slices[2].call_piece
    assert call
    assert (call.id, call.name, call.whole) == ("call_2", "f", True)
    assert reading.ends == [(None, "stop")]


def test_a_body_that_is_none() -> None:
    reading = Responses({}).read_whole('{"error": {"message": "boom"}}')
    assert (reading.slices, reading.error) == ([], {"message": "boom"})
    assert Responses({}).read_whole("[]").slices == []


def test_an_answer_of_our_own() -> None:
    wire = Responses({"model": "q", "tools": [{"type": "namespace", "name": "mcp", "tools": [WEATHER]}]})
    body = json.loads(wire.written_whole("Hi.", [("get_weather", '{"city": "Oslo"}')]))
    assert (body["status"], body["model"]) == ("completed", "q")
    message, call = body["output"]
    assert message["content"][0]["text"] == "Hi."
    assert (call["name"], call["namespace"], call["status"]) == ("get_weather", "mcp", "completed")
    assert [item["type"] for item in json.loads(wire.written_whole("", []))["output"]] == []


def test_ids_are_new() -> None:
    wire = Responses({})
    ids = {wire.new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(i) == 29 and i.startswith("call_") for i in ids)


# Unread


def test_lines_that_pass_unread_say_of_no_cut_call_that_it_is_complete() -> None:
    wire = Responses({})
    cut = canonical([("text", "x"), ("call", "f", '{"a'), ("call", "g", "{}")])
    out = b"".join(wire.disarmed(line) for line in cut.splitlines(keepends=True))
    calls = [
        item for _, event in events_of(out) for item in items_of(event) if item["type"] == "function_call"
    ]
    done = [(call["name"], call["status"]) for call in calls if call["status"] != "in_progress"]
    assert done == [("f", "incomplete"), ("g", "completed")] * 2
    for data in (
        canonical([("call", "g", "{}")]),
        b"data: [DONE]\n\n",
        b'data: {"function_call": \xff}\n',
        b"",
    ):
        assert wire.disarmed(data) == data


def items_of(event: Json) -> list[Json]:
    return [event["item"]] if "item" in event else event.get("response", {}).get("output", [])


# Frames of our own


def near() -> Reading:
    return Reading(b"")


def announced(encoder: ResponsesEncoder, wire: Responses) -> bytes:
    start = canonical([], "")
    return b"".join(encoder.frame(wire.read(frame), None) for frame in wire.framer().feed(start))


def test_events_of_our_own_make_an_answer() -> None:
    wire = Responses({"tools": [WEATHER]})
    encoder = wire.encoder(Ledger())
    out = announced(encoder, wire)
    lane = LaneId(0, Kind.CONTENT, "")
    out += encoder.events(
        lane, [Text("H"), Text("i"), CallStart(0, "get_weather"), ArgumentsDelta(0, "{")], near()
    )
    out += encoder.events(lane, [ArgumentsDelta(0, "}"), CallEnd(0), Text("more")], near())
    out += encoder.events(lane, [CallStart(1, "get_weather"), ArgumentsDelta(1, "{")], near())
    out += encoder.end(near(), 0)
    calls = [("call", "get_weather", "{}", True), ("call", "get_weather", "{", False)]
    assert read(out).said == [("text", "Hi"), calls[0], ("text", "more"), calls[1]]


def test_a_call_of_the_servers_that_was_not_announced() -> None:
    wire = Responses({"tools": [WEATHER]})
    encoder = wire.encoder(ledger := Ledger())
    out = announced(encoder, wire)
    call = ServerCall()
    call.id, call.name = "call_9", "get_weather"
    lane = LaneId(0, Kind.ARGUMENTS, 0, call)
    item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": ""}
    reading = wire.read(sse("response.output_item.added", output_index=0, item=item, sequence_number=2))
    reading.slices[0].lane = lane
    assert encoder.frame(reading, [""]) == b""
    out += encoder.events(lane, [CallStart(0, "get_weather"), Text('{"city": "Oslo"'), Text("}")], near())
    done = item | {"arguments": "{}", "status": "completed"}
    reading = wire.read(sse("response.output_item.done", output_index=0, item=done, sequence_number=3))
    reading.slices[0].lane = lane
    out += encoder.frame(reading, [""]) + encoder.end(near(), 0)
    assert read(out).said == [("call", "get_weather", '{"city": "Oslo"}', True)]
    assert b'"call_9"' in out
    assert b'"fc_1"' in out
    assert ledger.repairs == {Repair.CALL_SHAPE: 1}


def test_nothing_of_a_call_that_leaves_the_answer() -> None:
    wire = Responses({"tools": [WEATHER]})
    encoder = wire.encoder(Ledger())
    out = announced(encoder, wire)
    call = ServerCall()
    call.dropped = True
    lane = LaneId(0, Kind.ARGUMENTS, 0, call)
    for frame in wire.framer().feed(canonical([("call", "f", "{}"), ("text", "x")]))[2:]:
        reading = wire.read(frame)
        for piece in reading.slices:
            piece.lane = piece.lane or lane
        dropped = any(piece.call_piece for piece in reading.slices)
        out += encoder.frame(reading, ["" for _ in reading.slices] if dropped else None)
    assert read(out).said == [("text", "x")]


def test_a_part_that_has_nothing_is_left_out() -> None:
    wire = Responses({"tools": [WEATHER]})
    encoder = wire.encoder(Ledger())
    out = b""
    texts = {"text 0": "", "text 1": "x"}
    parts = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    for reading in by_hand(wire, parts):
        said = [
            texts.get(piece.text, piece.text) if piece.at is At.TEXT else SAID for piece in reading.slices
        ]
        if (
            reading.slices
            and _part_of(reading.slices[0]) == 0
            and reading.json["type"] != "response.output_item.done"
        ):
            said = [""]
        if reading.json["type"] == "response.output_item.added":
            said = [""]
        out += encoder.frame(reading, said if reading.slices else None)
    assert read(out).said == [("text", "x")]
    assert b"text 0" not in out


def _part_of(piece: Slice) -> int:
    assert piece.lane
    assert isinstance(piece.lane.key, tuple)
    number = piece.lane.key[2]
    assert isinstance(number, int)
    return number


def by_hand(wire: Responses, parts: list[Json]) -> list[Reading]:
    """A message of several parts."""
    head = {"type": "message", "id": "msg_0", "role": "assistant", "status": "in_progress", "content": []}
    events: list[tuple[str, Json]] = events_of(canonical([], ""))
    events.append(("response.output_item.added", {"output_index": 0, "item": head}))
    for number, part in enumerate(parts):
        where = {"item_id": "msg_0", "output_index": 0, "content_index": number}
        events += [
            ("response.content_part.added", where | {"part": part | {"text": ""}}),
            ("response.output_text.delta", where | {"delta": part["text"]}),
            ("response.output_text.done", where | {"text": part["text"]}),
            ("response.content_part.done", where | {"part": part}),
        ]
    item = head | {"status": "completed", "content": parts}
    events.append(("response.output_item.done", {"output_index": 0, "item": item}))
    response = events[0][1]["response"] | {"status": "completed", "output": [item]}
    events.append(("response.completed", {"response": response}))
    found = []
    for number, (kind, members) in enumerate(events):
        more = {key: value for key, value in members.items() if key != "type"}
        found.append(wire.read(sse(kind, **more | {"sequence_number": number})))
    return found


# JSON text


def test_members_are_edited_or_added() -> None:
    text = '{"a": 1.50, "b": {}, "c": [{"d": "x"}]}'
    assert edited(text, [(("a",), "2")]) == '{"a": 2, "b": {}, "c": [{"d": "x"}]}'
    assert edited(text, [(("b", "e"), "2")]) == '{"a": 1.50, "b": {"e":2}, "c": [{"d": "x"}]}'
    assert edited(text, [(("f",), "2"), (("c", 0, "g"), "[]")]) == (
        '{"a": 1.50, "b": {}, "c": [{"d": "x","g":[]}],"f":2}'
    )
    assert edited(text, [(("x", "y"), "2"), (("a", "y"), "2"), (("c", "y"), "2")]) == text
    assert with_more(text + " ", ',"f":2') == '{"a": 1.50, "b": {}, "c": [{"d": "x"}],"f":2} '
    assert with_more(text, "") == text
