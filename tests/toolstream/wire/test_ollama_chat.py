"""Lines of Ollama's API: what is read in them, and what is written, by the protocol of wires alone."""

import json
import re
from typing import Any

import pytest

from support import strict_ollama
from support.strict_ollama import done, line
from toolstream.events import ArgumentsDelta, CallEnd, CallStart, Event, Repaired, Text
from toolstream.ledger import Ledger
from toolstream.repairs import Repair
from toolstream.wire.base import Found, Kind, LaneId, Reading, ServerCall, Wire
from toolstream.wire.ollama_chat import OllamaChat, OllamaEncoder

Json = dict[str, Any]

OSLO = {"city": "Oslo", "days": 3}
CONTENT = LaneId(0, Kind.CONTENT, "content")
THINKING = LaneId(0, Kind.REASONING, "thinking")
LEAK: list[Event] = [CallStart(0, "f"), ArgumentsDelta(0, '{"a": '), ArgumentsDelta(0, "1}"), CallEnd(0)]


def wire(**request: Any) -> Wire:
    return OllamaChat(request)


def element(arguments: Any = OSLO, index: int | None = 0, **more: Any) -> Json:
    function = {} if index is None else {"index": index}
    return more | {"function": function | {"name": "get_weather", "arguments": arguments}}


def native(*elements: Any, content: str = "", is_done: bool = False) -> bytes:
    message = {"content": content, "tool_calls": list(elements)}
    return done(message=message) if is_done else line(message)


def resolved(reading: Reading, number: int = 0, **differs: Any) -> ServerCall:
    """Play the rewriter: say what becomes of a call that the server parsed."""
    part = [part for part in reading.slices if part.call_piece][number]
    assert part.call_piece
    call = ServerCall()
    call.id, call.name = part.call_piece.id or "call_new", part.call_piece.name
    for key, value in differs.items():
        setattr(call, key, value)
    part.lane = LaneId(0, Kind.ARGUMENTS, part.call_piece.index, call)
    return call


def said(sent: bytes) -> list[Json]:
    return [json.loads(raw)["message"] for raw in sent.splitlines()]


def calls(sent: bytes) -> list[Json]:
    return [call for message in said(sent) for call in message.get("tool_calls", [])]


# The request


def test_what_is_asked() -> None:
    history = [
        {"role": "user", "content": "?"},
        {
            "role": "assistant",
            "tool_calls": [{"id": "call_1", "function": {}}, {"function": {}}, None, {"id": 7}],
        },
        {"role": "tool", "tool_call_id": "call_1"},
        None,
    ]
    asked = wire(
        model="qwen3", tools=[{"type": "function"}], messages=history, options={"num_predict": 9}
    ).asked
    assert (asked.tools, asked.tool_choice, asked.parallel) == ([{"type": "function"}], "auto", True)
    assert (asked.model, asked.stream, asked.limit, asked.unread) == ("qwen3", True, 9, "")
    assert asked.ids == {"call_1"}


@pytest.mark.parametrize(
    ("stream", "streams"), [({}, True), ({"stream": True}, True), ({"stream": False}, False)]
)
def test_an_answer_is_streamed_unless_the_request_says_no(stream: Json, streams: bool) -> None:
    assert wire(**stream).asked.stream is streams


@pytest.mark.parametrize(
    "options", [None, [], {}, {"num_predict": -1}, {"num_predict": True}, {"num_predict": "9"}]
)
def test_no_limit(options: Any) -> None:
    assert wire(options=options).asked.limit is None


@pytest.mark.parametrize("messages", [None, {}, "x", [1], [{"tool_calls": 1}], [{"tool_calls": [1]}]])
def test_a_history_that_is_none(messages: Any) -> None:
    assert wire(messages=messages).asked.ids == frozenset()


@pytest.mark.parametrize(
    ("path", "is_ours"), [("/api/chat", True), ("/x/api/chat", True), ("/api/chats", False)]
)
def test_its_path(path: str, is_ours: bool) -> None:
    assert bool(re.search(OllamaChat.path, path)) is is_ours


def test_an_id_is_new() -> None:
    ids = {wire().new_id() for _ in range(9)}
    assert len(ids) == 9
    assert all(re.fullmatch("call_[0-9a-f]{24}", made) for made in ids)


# Reading


def test_the_texts_of_a_line() -> None:
    reader = wire()
    reading = reader.read(line({"content": "b", "thinking": "a"}))
    assert [(s.lane.kind, s.lane.key, s.text) for s in reading.slices if s.lane] == [
        (Kind.REASONING, "thinking", "a"),
        (Kind.CONTENT, "content", "b"),
    ]
    assert [s.paths for s in reading.slices] == [[("message", "thinking")], [("message", "content")]]
    assert reader.read(line({"content": "c"})).slices[0].lane is reading.slices[1].lane
    assert not reading.ends


@pytest.mark.parametrize(
    ("end", "ends"),
    [
        ({"done_reason": "stop"}, "stop"),
        ({"done_reason": "length"}, "length"),
        ({"done_reason": "load"}, "load"),
        ({}, "stop"),
        ({"eval_count": 8}, "stop"),
        ({"eval_count": 9}, "length"),
        ({"eval_count": 9, "done_reason": "stop"}, "stop"),
    ],
)
def test_the_reason_of_a_done_line(end: Json, ends: str) -> None:
    assert wire(options={"num_predict": 9}).read(line(None, True, **end)).ends == [(0, ends)]


def test_an_error_ends_every_lane() -> None:
    reading = wire().read(b'{"error":"XML syntax error on line 7"}\n')
    assert (reading.error, reading.ends) == ("XML syntax error on line 7", [(None, None)])


@pytest.mark.parametrize("raw", [b"\n", b"\r\n", b"", b"  \n"])
def test_a_blank_line_is_aside(raw: bytes) -> None:
    assert wire().read(raw).aside


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\n",
        b"{\n",
        b"[]\n",
        b"7\n",
        b'{"message":[]}\n',
        b'{"message":{"content":["x"],"tool_calls":{}}}\n',
    ],
)
def test_a_line_without_anything_to_read_passes(raw: bytes) -> None:
    reader = wire()
    reading = reader.read(raw)
    assert (reading.slices, list(reading.ends), reading.aside) == ([], [], False)
    assert reader.encoder(Ledger()).frame(reading, None) == raw


def test_calls_that_the_server_parsed() -> None:
    reader = wire()
    first = reader.read(native(element({"b": 1.10}, id="call_1"), "no call", element("{}", type="function")))
    (second,) = reader.read(native(element(None, type="custom"))).slices
    pieces = [part.call_piece for part in (*first.slices, second)]
    assert [(p.index, p.id, p.name, p.text, p.foreign, p.whole) for p in pieces if p] == [
        (0, "call_1", "get_weather", '{"b":1.1}', False, True),
        (1, "", "get_weather", "{}", False, True),
        (2, "", "get_weather", "", True, True),
    ]
    assert [part.paths for part in first.slices] == [
        [("message", "tool_calls", 0, "function", "arguments")],
        [("message", "tool_calls", 2, "function", "arguments")],
    ]


def test_arguments_are_read_as_they_are_written() -> None:
    text = '{ "a" : 1.10,\t"b": "\\u00fc" }'
    raw = f'{{"message": {{"tool_calls": [ {{"function": {{"arguments": {text}, "name": "f"}}}} ] }}}}\n'
    (part,) = wire().read(raw.encode()).slices
    assert part.call_piece
    assert part.call_piece.text == part.text == text


# Writing text


def test_a_line_that_does_not_change_is_the_same_bytes() -> None:
    reader = wire()
    encoder = reader.encoder(Ledger())
    for raw in (line({"content": "a"}), line({"content": "a"}).replace(b"\n", b"\r\n"), native(element())):
        reading = reader.read(raw)
        assert encoder.frame(reading, None) is reading.frame


def test_another_text_changes_nothing_else() -> None:
    raw = b'{ "message": {"content" : "a<b", "role":"assistant"}, "x": 1.10, "done":false}\r\n'
    reader = wire()
    assert reader.encoder(Ledger()).frame(reader.read(raw), ["\u00fc\ud83d"]) == raw.replace(
        b'"a<b"', '"\u00fc\\ud83d"'.encode()
    )


def test_a_line_of_which_only_the_envelope_was_read() -> None:
    reader = wire()
    encoder = reader.encoder(Ledger())
    known = reader.read(line({"content": "x"}))
    reading = Reading(line({"content": "a<b"}), json=known.json, slices=known.slices, facts=known.facts)
    assert encoder.frame(reading, None) == line({"content": "a<b"})
    assert encoder.frame(reading, ["a"]) == line({"content": "a"})
    assert encoder.frame(reading, [""]) == b""


def test_a_line_with_nothing_left_is_dropped() -> None:
    reader = wire()
    encoder = reader.encoder(Ledger())
    assert encoder.frame(reader.read(line({"content": "a", "thinking": "b"})), ["", ""]) == b""
    for kept in (
        line({"content": "a", "images": ["x"]}),
        line({"content": "a"}, logprobs=[1]),
        done(message={"content": "a"}),
    ):
        assert encoder.frame(reader.read(kept), [""]) == kept.replace(b'"content":"a"', b'"content":""')


def test_text_of_our_own() -> None:
    reader = wire()
    encoder = reader.encoder(Ledger())
    near = reader.read(line({"content": "x"}))
    events = [Text("a "), Repaired(Repair.STRAY_CLOSER), Text("\u00fc")]
    assert encoder.events(CONTENT, events, near) == line({"content": "a \u00fc"})
    assert encoder.events(THINKING, events, near) == line({"thinking": "a \u00fc"})
    assert encoder.events(CONTENT, [], near) == b""


def test_a_line_of_our_own_copies_the_envelope_of_the_line_in_work() -> None:
    encoder = wire().encoder(Ledger())
    near = Reading(b"", json={"model": "m", "created_at": "then", "total_duration": 1})
    assert json.loads(encoder.events(CONTENT, [Text("a")], near)) == {
        "model": "m",
        "created_at": "then",
        "message": {"role": "assistant", "content": "a"},
        "done": False,
    }


def test_beside_an_error_the_envelope_is_that_of_the_line_before() -> None:
    reader = wire()
    encoder = reader.encoder(Ledger())
    encoder.frame(reader.read(line({"content": "x"})), None)
    assert encoder.events(CONTENT, [Text("a")], reader.read(b'{"error":"x"}\n')) == line({"content": "a"})


def test_our_line_is_a_line_even_if_the_server_did_not_end_its_last_one() -> None:
    reader = wire()
    encoder = reader.encoder(Ledger())
    raw = line({"content": "x"}).rstrip()
    reading = reader.read(raw)
    assert encoder.frame(reading, None) == raw
    assert encoder.events(CONTENT, [], reading) == b""
    assert encoder.events(CONTENT, [Text("a")], reading) == b"\n" + line({"content": "a"})
    assert encoder.events(CONTENT, [Text("a")], reading) == line({"content": "a"})


def test_what_we_write_holds_nothing_that_a_client_takes_for_a_line_end() -> None:
    reader, hostile = wire(), "\x85\u2028\u2029\x0b\x0c\x1c\x1e\r\n"
    near = reader.read(line({"content": hostile + "<"}))
    encoder = reader.encoder(Ledger())
    call = [CallStart(0, "f"), ArgumentsDelta(0, '{"a":\r\n [\n1]}'), CallEnd(0)]
    sent = [
        encoder.frame(near, [hostile]),
        encoder.events(CONTENT, [Text(hostile)], near),
        encoder.events(CONTENT, call, near),
    ]
    assert [raw.decode().splitlines()[1:] for raw in sent] == [[], [], []]
    assert [said(raw)[0]["content"] for raw in sent] == [hostile, hostile, ""]
    assert calls(sent[2])[0]["function"]["arguments"] == {"a": [1]}


def test_arguments_of_the_servers_call_are_written_in_one_line() -> None:
    sent, _ = sent_for(native(element('{\n"a": "\ud83d"}')))
    assert sent.count(b"\n") == 1
    assert calls(sent)[0]["function"]["arguments"] == {"a": "\ud83d"}


# Writing calls


def test_a_call_of_ours_has_a_line_of_its_own() -> None:
    reader = wire()
    encoder = reader.encoder(Ledger())
    near = reader.read(line({"content": "x"}))
    sent = encoder.events(CONTENT, [Text("a"), *LEAK, Text("b"), *LEAK], near)
    texts = [message["content"] for message in said(sent)]
    assert texts == ["a", "", "b", ""]
    first, second = calls(sent)
    assert re.fullmatch("call_[0-9a-f]{24}", first.pop("id"))
    assert first == {"function": {"index": 0, "name": "f", "arguments": {"a": 1}}}
    assert second["function"]["index"] == 1
    assert second["id"] != first


def test_a_call_may_come_in_several_parts() -> None:
    reader = wire()
    encoder = reader.encoder(Ledger())
    near = reader.read(line({"content": "x"}))
    assert [encoder.events(CONTENT, [event], near) for event in LEAK[:-1]] == [b"", b"", b""]
    (call,) = calls(encoder.events(CONTENT, LEAK[-1:], near))
    assert call["function"]["arguments"] == {"a": 1}


def test_a_call_of_the_servers_whose_line_was_not_sent() -> None:
    reader = wire()
    reading = reader.read(native(element()))
    resolved(reading, id="call_9", name="other")
    lane = reading.slices[0].lane
    assert lane
    sent = reader.encoder(Ledger()).events(
        lane, [CallStart(0, ""), Text('{"a"'), ArgumentsDelta(0, ":1}"), CallEnd(0)], reading
    )
    assert calls(sent) == [{"id": "call_9", "function": {"index": 0, "name": "other", "arguments": {"a": 1}}}]


def test_what_comes_of_a_call_that_was_sent_is_not_said_again() -> None:
    reader = wire()
    reading = reader.read(native(element()))
    resolved(reading)
    lane = reading.slices[0].lane
    assert lane
    assert reader.encoder(Ledger()).events(lane, [Text("}"), CallEnd(0)], reading) == b""


def test_numbers_of_the_servers_change_only_after_a_call_of_ours() -> None:
    reader = wire()
    encoder = reader.encoder(Ledger())
    constant = reader.read(native(element(), element()))
    assert encoder.frame(constant, None) == constant.frame
    encoder.events(CONTENT, LEAK, constant)
    sent = encoder.frame(reader.read(native(element(), element(index=None), element())), None)
    assert [call["function"].get("index") for call in calls(sent)] == [3, None, 5]


def sent_for(raw: bytes, texts: list[str] | None = None, **differs: Any) -> tuple[bytes, Ledger]:
    """What one call becomes."""
    reader, ledger = wire(), Ledger()
    reading = reader.read(raw)
    resolved(reading, **differs)
    return reader.encoder(ledger).frame(reading, texts), ledger


def test_a_call_that_is_right_is_the_same_bytes() -> None:
    for raw in (native(element()), native(element(id="call_1")), native(element(index=None), is_done=True)):
        sent, ledger = sent_for(raw)
        assert sent == raw
        assert not ledger.repairs


def test_a_name_arguments_and_id_are_written() -> None:
    sent, ledger = sent_for(
        native(element(id="call_1", x=[1.10])), ['{"city": "Rom"}'], id="call_2", name="weather"
    )
    function = {"index": 0, "name": "weather", "arguments": {"city": "Rom"}}
    assert calls(sent) == [{"id": "call_2", "x": [1.1], "function": function}]
    assert not ledger.repairs


@pytest.mark.parametrize("arguments", ['{"city":"Oslo","days":3}', None, ""])
def test_arguments_that_were_no_object_become_one(arguments: Any) -> None:
    sent, ledger = sent_for(native(element(arguments)))
    (call,) = calls(sent)
    assert call == {"id": "call_new", "function": element(OSLO if arguments else {})["function"]}
    assert ledger.repairs == ({Repair.CALL_SHAPE: 1} if arguments else {})


def test_arguments_that_are_missing_become_an_object() -> None:
    raw = native({"id": "call_1", "function": {"name": "f"}})
    sent, ledger = sent_for(raw)
    assert calls(sent) == [{"id": "call_1", "function": {"name": "f", "arguments": {}}}]
    assert not ledger.repairs  # its mender counts that


@pytest.mark.parametrize("arguments", ['{"city":"Os', "x", [1], 7])
def test_arguments_that_stay_broken_pass(arguments: Any) -> None:
    raw = native(element(arguments))
    assert sent_for(raw, broken=True)[0] == raw
    assert sent_for(raw)[0] == raw


def test_an_id_is_only_added_to_a_call_that_changes_anyway() -> None:
    assert "id" not in calls(sent_for(native(element()))[0])[0]
    assert calls(sent_for(native(element()), name="other")[0])[0]["id"] == "call_new"


def test_a_call_that_is_dropped_leaves_no_line() -> None:
    assert sent_for(native(element()), [""], dropped=True)[0] == b""


def test_the_other_calls_of_its_line_stay() -> None:
    reader = wire()
    reading = reader.read(native(element(id="call_1"), "x", element(id="call_2"), content="a"))
    resolved(reading, 0, dropped=True)
    resolved(reading, 1)
    (message,) = said(reader.encoder(Ledger()).frame(reading, ["a", "", reading.slices[2].text]))
    assert message == {"role": "assistant", "content": "a", "tool_calls": ["x", element(id="call_2")]}


def test_text_beside_a_call_that_is_dropped_stays() -> None:
    reader = wire()
    reading = reader.read(native(element(), content="a"))
    resolved(reading, dropped=True)
    assert reader.encoder(Ledger()).frame(reading, ["a", ""]) == line({"content": "a"})


# The done line


def test_a_call_in_the_done_line_that_has_to_be_rewritten_leaves_before_it() -> None:
    sent, _ = sent_for(native(element(id="call_1"), content="a", is_done=True), name="other")
    before, last = map(json.loads, sent.splitlines())
    assert before["message"]["content"] == "a"
    assert before["message"]["tool_calls"][0]["function"]["name"] == "other"
    assert before["done"] is False
    assert last == json.loads(done())


def test_so_does_one_that_follows_a_call_of_ours() -> None:
    reader = wire()
    encoder = reader.encoder(Ledger())
    reading = reader.read(native(element(index=None), is_done=True))
    encoder.events(CONTENT, LEAK, reading)
    assert encoder.frame(reading, None) == native(element(index=None)) + done()


def test_a_call_that_is_dropped_leaves_the_done_line() -> None:
    assert sent_for(native(element(), is_done=True), [""], dropped=True)[0] == done()


def test_the_end_of_an_answer_that_lacks_one() -> None:
    encoder = wire().encoder(Ledger())
    sent = encoder.end(Reading(b"", json=dict(strict_ollama.ENVELOPE)), 0)
    assert strict_ollama.read(sent) == ([], "stop")
    assert encoder.close() == b""
    assert wire().disarmed(sent) == sent


# Not streamed


def whole(raw: bytes, texts: list[str | None], calls: list[list[tuple[str, str]]], **differs: Any) -> Json:
    reader, ledger = wire(), Ledger()
    reading = reader.read_whole(raw.decode())
    if any(part.call_piece for part in reading.slices):
        resolved(reading, **differs)
    answer = json.loads(reader.write_whole(reading, Found(texts, calls), ledger))
    return answer["message"]


def test_a_whole_answer_that_does_not_change_is_the_same_text() -> None:
    reader = wire()
    body = native(element(), content="a", is_done=True).decode()
    reading = reader.read_whole(body)
    resolved(reading)
    assert reader.write_whole(reading, Found([None, None], [[], []]), Ledger()) is body
    assert reading.ends == [(0, "stop")]


def test_calls_of_a_whole_answer() -> None:
    message = whole(done(message={"content": "a <x"}), ["a"], [[("f", '{"a": 1}'), ("g", "{}")]])
    assert message["content"] == "a"
    assert [call["function"] for call in message["tool_calls"]] == [
        {"index": 0, "name": "f", "arguments": {"a": 1}},
        {"index": 1, "name": "g", "arguments": {}},
    ]


def test_calls_beside_those_of_the_server() -> None:
    message = whole(native(element(id="call_1"), content="a"), ["", None], [[("f", "{}")], []], name="other")
    first, second = message["tool_calls"]
    assert first == {"id": "call_1", "function": {"index": 0, "name": "other", "arguments": OSLO}}
    assert second["function"]["index"] == 1


def test_a_call_that_leaves_a_whole_answer() -> None:
    raw = native(element(), content="a", is_done=True)
    assert whole(raw, [None, ""], [[], []], dropped=True) == {"role": "assistant", "content": "a"}
    assert whole(raw, [None, "b\n"], [[], []], dropped=True) == {"role": "assistant", "content": "ab\n"}
    raw = raw.replace(b'"content":"a",', b"")
    assert whole(raw, ["b"], [[]], dropped=True) == {"role": "assistant", "content": "b"}


def test_a_whole_answer_of_our_own() -> None:
    body = wire(model="m").written_whole("a", [("f", '{"a": 1}')])
    said, reason = strict_ollama.read_whole(body.encode())
    assert said == [("text", "a"), ("call", "f", '{"a": 1}', True)]
    assert reason == "stop"


def test_an_encoder_is_that_of_one_answer() -> None:
    reader = wire()
    assert isinstance(reader.encoder(Ledger()), OllamaEncoder)
    assert reader.encoder(Ledger()) is not reader.encoder(Ledger())
