"""Streamed and whole answers of the Responses API, rewritten: one strict client reads them all."""

import json
import random
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from support.strict_responses import (
    Outcome,
    Part,
    canonical,
    events_of,
    late,
    llamacpp,
    read,
    read_whole,
    sse,
    whole,
)
from toolstream import StreamRewriter, rewrite_completion
from toolstream.ledger import Ledger
from toolstream.native.calls import NativeCall
from toolstream.parser.parser import ToolCallParser
from toolstream.repairs import Repair
from toolstream.wire.responses_encoder import ResponsesEncoder

Json = dict[str, Any]

CAPTURES = Path(__file__).parents[2] / "captures"
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "detailed": {"type": "boolean"}},
    "required": ["city"],
}
TOOL = {"type": "function", "name": "get_weather", "parameters": PARAMETERS}
ASKED: Json = {"model": "qwen", "tools": [TOOL], "stream": True, "input": "?"}
LIMITED = ASKED | {"max_output_tokens": 9}

OPENED = "<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo"
LEAK = f"{OPENED}\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>"
LEAK_ROME = LEAK.replace("Oslo", "Rome")
OSLO = ("call", "get_weather", '{"city": "Oslo", "days": 3}', True)
ROME = ("call", "get_weather", '{"city": "Rome", "days": 3}', True)
NICE = '{"city":"Nice","days":1}'
NATIVE = ("call", "get_weather", NICE)

HEALTHY: dict[str, list[Part]] = {
    "text": [("text", "Hello, world.\n\n")],
    "a call": [NATIVE],
    "text and a call": [("text", "Hi.\n\n"), NATIVE],
    "two calls": [NATIVE, ("call", "get_weather", '{"city":"Rom"}')],
    "thinking and text": [("thinking", "Hm <b> \n"), ("text", "Yes a<b\n")],
    "thinking and a call": [("thinking", "Hm"), NATIVE],
    "two messages": [("text", "One <"), ("text", "Two")],
    "prose about tags": [("text", "Use `<tool_call>` or <fun> now")],
    "words in an envelope before a call": [("text", "<tool_call>\nNow"), NATIVE],
}
LEAKING: dict[str, tuple[list[Part], list[tuple[Any, ...]]]] = {
    "after text": ([("text", f"Hi.\n\n{LEAK}")], [("text", "Hi."), OSLO]),
    "alone": ([("text", LEAK)], [OSLO]),
    "before text": ([("text", f"{LEAK}\n\nDone.")], [OSLO, ("text", "\n\nDone.")]),
    "twice": ([("text", f"{LEAK}\n{LEAK_ROME}")], [OSLO, ROME]),
    "twice, with text": (
        [("text", f"A\n{LEAK}\nB\n{LEAK_ROME}")],
        [("text", "A"), OSLO, ("text", "\nB"), ROME],
    ),
    "in the second message": (
        [("text", "One."), ("text", f"Two.\n{LEAK}")],
        [("text", "One."), ("text", "Two."), OSLO],
    ),
    "before a message": ([("text", LEAK), ("text", "after")], [OSLO, ("text", "after")]),
    "before a call": ([("text", f"x\n{LEAK}"), NATIVE], [("text", "x"), OSLO, (*NATIVE, True)]),
    "after a call": ([NATIVE, ("text", LEAK)], [(*NATIVE, True), OSLO]),
    "after thinking": ([("thinking", "Hm"), ("text", LEAK)], [("thinking", "Hm"), OSLO]),
    "in thinking": ([("thinking", f"Let me.\n{LEAK}")], [("thinking", "Let me."), OSLO]),
    "alone in thinking": ([("thinking", LEAK)], [OSLO]),
}

Server = Callable[..., bytes]


def summarised(parts: list[Part], end: str = "completed") -> bytes:
    return canonical(parts, end, summary=True)


SERVERS: list[Server] = [canonical, late, summarised, llamacpp]


def rewrite(data: bytes, body: Json = ASKED, pieces: list[bytes] | None = None) -> tuple[bytes, Ledger]:
    rewriter = StreamRewriter(body, api="responses")
    out = b"".join(b"".join(rewriter.feed(piece)) for piece in pieces or [data])
    out += b"".join(rewriter.close())
    assert not rewriter.ledger.failure, rewriter.ledger.failure
    return out, rewriter.ledger


def rewrite_whole(data: bytes, body: Json = ASKED) -> tuple[bytes, Ledger]:
    out, ledger = rewrite_completion(body, data, api="responses")
    assert not ledger.failure, ledger.failure
    return out, ledger


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """Per byte, at a sample of the places, and at random."""
    choose = random.Random(len(data))
    yield [data[at : at + 1] for at in range(len(data))]
    for place in choose.sample(range(1, len(data)), 6):
        yield [data[:place], data[place:]]
    for _ in range(4):
        places = sorted(choose.choices(range(len(data)), k=20))
        yield [data[a:b] for a, b in pairwise([0, *places, len(data)])]


def steady(data: bytes) -> bytes:
    """With ids of our own numbered, which are others each time."""
    ids: dict[bytes, bytes] = {}
    own = rb"(fc|msg|call|rs|resp)_[0-9a-f]{24}"
    return re.sub(own, lambda found: ids.setdefault(found[0], b"#%d" % len(ids)), data)


def rewrite_at_every_cut(data: bytes, body: Json = ASKED) -> tuple[bytes, Ledger]:
    out, ledger = rewrite(data, body)
    for pieces in cuts(data):
        again, its_ledger = rewrite(data, body, pieces)
        assert steady(again) == steady(out)
        assert its_ledger.as_dict() == ledger.as_dict()
    return out, ledger


def repairs(ledger: Ledger) -> list[Repair]:
    return sorted(ledger.repairs.elements())


# Streamed


@pytest.mark.parametrize("server", [canonical, late, summarised])
@pytest.mark.parametrize("parts", HEALTHY.values(), ids=HEALTHY)
def test_a_healthy_stream_keeps_every_byte(parts: list[Part], server: Server) -> None:
    data = server(parts)
    out, ledger = rewrite_at_every_cut(data)
    assert out == data
    assert not ledger.repairs


@pytest.mark.parametrize("parts", HEALTHY.values(), ids=HEALTHY)
def test_the_envelope_of_llamacpp_is_repaired_and_nothing_else(parts: list[Part]) -> None:
    out, ledger = rewrite_at_every_cut(llamacpp(parts))
    right = read(canonical(parts))
    assert read(out) == right
    assert repairs(ledger) == [Repair.ENVELOPE]


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(("parts", "said"), LEAKING.values(), ids=LEAKING)
def test_a_leaked_call_becomes_an_item(parts: list[Part], said: list[Any], server: Server) -> None:
    out, ledger = rewrite_at_every_cut(server(parts))
    assert read(out) == Outcome(said, "tool_calls")
    assert repairs(ledger) == ([Repair.ENVELOPE] if server is llamacpp else [])


@pytest.mark.parametrize("server", [canonical, late])
def test_a_cut_call_is_incomplete(server: Server) -> None:
    out, _ = rewrite_at_every_cut(server([("text", f"Hi.\n{OPENED}")], "incomplete"))
    assert read(out) == Outcome([("text", "Hi."), ("call", "get_weather", '{"city": "Oslo', False)], "length")


def test_a_call_that_was_cut_before_it_was_sent_stays_text() -> None:
    data = canonical([("text", "Hi.\n<tool_call>\n<function=get_wea")], "incomplete")
    assert rewrite_at_every_cut(data)[0] == data


def test_completed_is_not_believed_if_the_limit_was_reached() -> None:
    parts = [("text", f"Hi.\n{OPENED}")]
    out, _ = rewrite_at_every_cut(llamacpp(parts), LIMITED)
    assert read(out) == Outcome([("text", "Hi."), ("call", "get_weather", '{"city": "Oslo', False)], "length")
    assert read(rewrite(canonical(parts))[0]).end == "tool_calls"


def test_completed_is_not_believed_of_a_server_that_says_it_of_everything() -> None:
    """llama.cpp says it of an answer that its context has cut, too: what is open stays open."""
    out, _ = rewrite_at_every_cut(llamacpp([("text", f"Hi.\n{OPENED}")]))
    assert read(out) == Outcome([("text", "Hi."), ("call", "get_weather", '{"city": "Oslo', False)], "length")


@pytest.mark.parametrize("parts", [[NATIVE], [("text", "Hi <func")]])
def test_an_answer_that_breaks_off_in_an_event_keeps_its_order(parts: list[Part]) -> None:
    data = canonical(parts)
    for end in range(1, len(data)):
        assert rewrite(data[:end])[0] == data[:end]


@pytest.mark.parametrize("server", [canonical, late])
def test_a_servers_call_that_says_that_it_is_cut_keeps_every_byte(server: Server) -> None:
    data = server([("text", "x"), ("call", "get_weather", NICE[:-6])], "incomplete")
    assert rewrite_at_every_cut(data)[0] == data


def test_a_servers_call_that_is_cut_is_never_completed() -> None:
    out, ledger = rewrite_at_every_cut(llamacpp([("text", "x"), ("call", "get_weather", NICE[:-6])]), LIMITED)
    assert read(out) == Outcome([("text", "x"), ("call", "get_weather", NICE[:-6], False)], "length")
    assert repairs(ledger) == [Repair.ENVELOPE]


@pytest.mark.parametrize("server", SERVERS)
def test_arguments_of_the_server_are_mended(server: Server) -> None:
    parts: list[Part] = [
        ("text", "x"),
        ("call", "get_weather", '{"city":"Nice","days":"1"}'),
        ("call", "get_weather", '{"city":"Rom"}'),
    ]
    out, ledger = rewrite_at_every_cut(server(parts))
    calls = [("call", "get_weather", NICE, True), ("call", "get_weather", '{"city":"Rom"}', True)]
    assert read(out) == Outcome([("text", "x"), *calls], "tool_calls")
    assert Repair.WRONG_TYPE in ledger.repairs


@pytest.mark.parametrize("server", SERVERS)
def test_arguments_that_only_the_end_completes(server: Server) -> None:
    out, _ = rewrite_at_every_cut(server([("call", "get_weather", "<parameter=city>\nNice"), ("text", "x")]))
    call = ("call", "get_weather", '{"city": "Nice"}', True)
    assert read(out) == Outcome([call, ("text", "x")], "tool_calls")


@pytest.mark.parametrize("server", SERVERS)
def test_a_call_without_arguments_gets_empty_ones(server: Server) -> None:
    body = ASKED | {
        "tools": [
            TOOL,
            {"type": "function", "name": "now", "parameters": {"type": "object", "properties": {}}},
        ]
    }
    out, _ = rewrite_at_every_cut(server([("text", "x"), ("call", "now", "")]), body)
    assert read(out) == Outcome([("text", "x"), ("call", "now", "{}", True)], "tool_calls")


@pytest.mark.parametrize("server", SERVERS)
def test_a_call_that_is_in_the_text_as_well_is_sent_once(server: Server) -> None:
    parts: list[Part] = [
        ("text", f"x\n{LEAK}"),
        ("call", "get_weather", '{"city":"Oslo","days":3}'),
        ("text", "more"),
    ]
    out, ledger = rewrite_at_every_cut(server(parts))
    assert read(out) == Outcome([("text", "x"), OSLO, ("text", "more")], "tool_calls")
    assert Repair.DUPLICATE_CALL in ledger.repairs


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("tags", ["<tool_call>", "<tool_call>\n", "</tool_call>"])
def test_a_message_of_which_nothing_is_left(tags: str, server: Server) -> None:
    out, _ = rewrite_at_every_cut(server([("text", tags), NATIVE]))
    assert read(out) == Outcome([(*NATIVE, True)], "tool_calls")


@pytest.mark.parametrize("server", SERVERS)
def test_one_call_only_if_they_may_not_be_parallel(server: Server) -> None:
    body = ASKED | {"parallel_tool_calls": False}
    out, ledger = rewrite_at_every_cut(server([("text", f"{LEAK}\n{LEAK_ROME}")]), body)
    assert read(out).said == [OSLO]
    out, ledger = rewrite_at_every_cut(server([NATIVE, ("call", "get_weather", '{"city":"Rom"}')]), body)
    assert read(out).said == [(*NATIVE, True)]
    assert Repair.PARALLEL_DROPPED in ledger.repairs


def test_ids_are_put_right() -> None:
    data = canonical([NATIVE, ("call", "get_weather", '{"city":"Rom"}')]).replace(b"call_1", b"call_0")
    out, ledger = rewrite_at_every_cut(data)
    assert [item[0] for item in read(out).said] == ["call", "call"]
    assert repairs(ledger) == [Repair.CALL_SHAPE]
    data = canonical([NATIVE]).replace(b'"id":"fc_0",', b"").replace(b'"call_id":"call_0",', b"")
    out, ledger = rewrite_at_every_cut(data)
    assert read(out) == Outcome([(*NATIVE, True)], "tool_calls")
    assert repairs(ledger) == [Repair.CALL_SHAPE]


def test_an_id_of_the_history_is_not_used_again() -> None:
    earlier = {"type": "function_call", "call_id": "call_0", "name": "get_weather", "arguments": "{}"}
    out, ledger = rewrite_at_every_cut(canonical([NATIVE]), ASKED | {"input": [earlier]})
    assert read(out).said == [(*NATIVE, True)]
    assert b'"call_0"' not in out
    assert repairs(ledger) == [Repair.CALL_SHAPE]


SPACE: Json = {"tools": [{"type": "namespace", "name": "mcp", "tools": [TOOL]}]}


@pytest.mark.parametrize("name", ["mcp.get_weather", "mcp__get_weather", "mcp/get_weather"])
def test_a_call_in_text_may_join_its_namespace(name: str) -> None:
    """Servers that know no namespaces show the model such names."""
    said = f"{LEAK.replace('get_weather', name)}\n\nDone."
    out, ledger = rewrite_at_every_cut(canonical([("text", said)]), ASKED | SPACE)
    assert read(out).said == [("call", "mcp:get_weather", *OSLO[2:]), ("text", "\n\nDone.")]
    assert repairs(ledger) == [Repair.NAME_NORMALISED]


@pytest.mark.parametrize("server", SERVERS)
def test_a_call_names_its_namespace(server: Server) -> None:
    out, _ = rewrite_at_every_cut(server([("text", LEAK)]), ASKED | SPACE)
    assert read(out).said == [("call", "mcp:get_weather", *OSLO[2:])]


@pytest.mark.parametrize("name", ["get_weather", "mcp.get_weather", "mcp__get_weather", "mcp/get_weather"])
def test_a_servers_call_is_told_its_namespace(name: str) -> None:
    out, ledger = rewrite_at_every_cut(canonical([("text", "x"), ("call", name, NICE)]), ASKED | SPACE)
    assert read(out).said == [("text", "x"), ("call", "mcp:get_weather", NICE, True)]
    assert repairs(ledger) == [Repair.CALL_SHAPE]


# Answers that are odd


def test_a_call_that_only_its_end_tells_of() -> None:
    item = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "get_weather",
        "arguments": NICE,
        "status": "completed",
    }
    data = numbered(created(), ("output_item.done", {"output_index": 0, "item": item}), ended(item))
    assert rewrite_at_every_cut(data)[0] == data
    mended = rewrite_at_every_cut(data.replace(rb"\"days\":1", rb"\"days\":\"1\""))[0]
    assert read(mended) == Outcome([("call", "get_weather", NICE, True)], "tool_calls")


def test_arguments_that_only_their_end_tells() -> None:
    data = canonical([("text", "x"), NATIVE], step=100)
    events = [
        (kind, members)
        for kind, members in events_of(data)
        if kind != "response.function_call_arguments.delta"
    ]
    data = numbered(*[(kind.removeprefix("response."), members) for kind, members in events])
    assert rewrite_at_every_cut(data)[0] == data
    out = rewrite_at_every_cut(data.replace(rb"\"days\":1", rb"\"days\":\"1\""))[0]
    assert read(out) == Outcome([("text", "x"), (*NATIVE, True)], "tool_calls")


def test_a_call_that_is_not_announced() -> None:
    events = [
        (kind, members)
        for kind, members in events_of(canonical([("text", "x"), NATIVE]))
        if "fc_1" in str(members) or "msg_0" in str(members)
    ]
    left = [
        (kind, members)
        for kind, members in events
        if not (kind.endswith("item.added") and "fc_1" in str(members))
    ]
    data = numbered(created(), *[(kind.removeprefix("response."), members) for kind, members in left])
    out, ledger = rewrite_at_every_cut(data)
    assert read(out) == Outcome([("text", "x"), (*NATIVE, True)], "tool_calls")
    assert repairs(ledger) == [Repair.CALL_SHAPE]


def test_a_call_that_is_announced_without_its_name() -> None:
    data = canonical([("text", "x"), NATIVE])
    added = data.index(b"event: response.output_item.added", data.index(b"msg_0") + 900)
    head, tail = data[:added], data[added:]
    assert tail.count(b'"name":"get_weather"') == 4
    out, _ = rewrite_at_every_cut(head + tail.replace(b'"name":"get_weather",', b"", 1))
    assert read(out) == Outcome([("text", "x"), (*NATIVE, True)], "tool_calls")


def test_a_text_that_only_its_end_tells() -> None:
    parts = [("text", f"Hi.\n{LEAK}\nmore")]
    events = [
        (kind, members)
        for kind, members in events_of(canonical(parts))
        if kind != "response.output_text.delta"
    ]
    for left in (
        events,
        [e for e in events if e[0] != "response.output_text.done"],
        [*events[:2], *events[-2:]],
    ):
        data = numbered(*[(kind.removeprefix("response."), members) for kind, members in left])
        out = rewrite_at_every_cut(data)[0]
        assert read(out) == Outcome([("text", "Hi."), OSLO, ("text", "\nmore")], "tool_calls")


def test_an_item_that_is_no_text_stays_in_its_place() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "score": 1.50}
    text = canonical([("text", LEAK)])
    events = [(kind.removeprefix("response."), members) for kind, members in events_of(text)]
    added = ("output_item.added", {"output_index": 0, "item": search})
    done = ("output_item.done", {"output_index": 0, "item": search})
    later = [(k, v | {"output_index": 1}) if "output_index" in v else (k, v) for k, v in events[2:]]
    later[-1][1]["response"]["output"].insert(0, search)
    out = rewrite(numbered(*events[:2], added, done, *later))[0]
    end = events_of(out)[-1][1]["response"]["output"]
    assert [item["type"] for item in end] == ["web_search_call", "function_call"]
    assert b'"output_index":1' in out
    assert b'"output_index":2' not in out


def test_a_call_of_a_tool_that_is_no_function_stays_as_it_is() -> None:
    patch = {"type": "custom_tool_call", "id": "ct_1", "call_id": "call_9", "name": "patch", "input": LEAK}
    response: Json = {
        "id": "resp_1",
        "created_at": 1,
        "model": "qwen",
        "status": "completed",
        "output": [patch],
    }
    data = numbered(
        ("created", {"response": response | {"status": "in_progress", "output": []}}),
        ("output_item.added", {"output_index": 0, "item": patch | {"input": ""}}),
        ("custom_tool_call_input.delta", {"output_index": 0, "item_id": "ct_1", "delta": LEAK}),
        ("custom_tool_call_input.done", {"output_index": 0, "item_id": "ct_1", "input": LEAK}),
        ("output_item.done", {"output_index": 0, "item": patch}),
        ("completed", {"response": response}),
    )
    out, ledger = rewrite_at_every_cut(data)
    assert (out, repairs(ledger)) == (data, [])
    body = json.dumps(response).encode()
    assert rewrite_whole(body)[0] is body


def test_a_refusal_stays_as_it_is() -> None:
    part = {"type": "refusal", "refusal": f"I will not.\n{LEAK}"}
    item: Json = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }
    response: Json = {
        "id": "resp_1",
        "created_at": 1,
        "model": "qwen",
        "status": "completed",
        "output": [item],
    }
    place = {"output_index": 0, "item_id": "msg_1", "content_index": 0}
    data = numbered(
        ("created", {"response": response | {"status": "in_progress", "output": []}}),
        ("output_item.added", {"output_index": 0, "item": item | {"content": []}}),
        ("content_part.added", place | {"part": part | {"refusal": ""}}),
        ("refusal.delta", place | {"delta": part["refusal"]}),
        ("refusal.done", place | {"refusal": part["refusal"]}),
        ("content_part.done", place | {"part": part}),
        ("output_item.done", {"output_index": 0, "item": item}),
        ("completed", {"response": response}),
    )
    out, ledger = rewrite_at_every_cut(data)
    assert (out, repairs(ledger)) == (data, [])


def test_nothing_is_said_twice_in_encrypted_content() -> None:
    data = canonical([("thinking", f"Hm.\n{LEAK}")], summary=True)
    text = json.dumps(f"Hm.\n{LEAK}").encode()
    data = data.replace(b'"type":"reasoning",', b'"type":"reasoning","encrypted_content":' + text + b",")
    out = rewrite(data)[0]
    last = events_of(out)[-1][1]["response"]["output"]
    assert last[0]["encrypted_content"] == "Hm."


def test_an_error_in_the_middle_is_passed_on() -> None:
    cut = canonical([("text", f"Hi.\n{OPENED}")], "")
    start = cut.index(b"event: response.output_text.done")
    number = cut[:start].count(b"event: ")
    for error in ({"type": "error", "message": "boom"}, {"error": {"message": "boom", "code": 500}}):
        data = cut[:start] + sse("error", **error, sequence_number=number)
        out, _ = rewrite_at_every_cut(data)
        outcome = read(out)
        assert outcome.end == "error"
        assert outcome.said == [("text", "Hi."), ("call", "get_weather", '{"city": "Oslo', False)]


def test_a_lost_connection_leaves_a_call_open() -> None:
    out, _ = rewrite_at_every_cut(canonical([("text", f"Hi.\n{OPENED}")], ""))
    outcome = read(out, dropped=True)
    assert outcome.end == ""
    assert [item for item in outcome.said if item[0] == "call" and item[3]] == []
    assert ("text", "Hi.") in outcome.said


@pytest.mark.parametrize("server", [canonical, llamacpp])
@pytest.mark.parametrize("text", ["", "Hi.\n"])
def test_an_error_that_holds_the_call_becomes_it(text: str, server: Server) -> None:
    parts = [("text", text)] if text else []
    data = server(parts)
    start = data[
        : data.index(b"event: response.output_text.done")
        if text
        else data.index(b"event: response.completed")
    ]
    message = f"Failed to parse input at pos {len(text)}: {LEAK}"
    error = json.dumps({"code": 500, "message": message, "type": "server_error"})
    for sent in (
        f'data: {{"error":{error}}}',
        f"error: {error}",
        f'event: error\ndata: {{"type":"error","error":{error}}}',
    ):
        out, ledger = rewrite_at_every_cut(start + sent.encode() + b"\n\ndata: [DONE]\n\n")
        assert read(out) == Outcome([*parts, OSLO], "tool_calls")
        assert Repair.ENGINE_ERROR in ledger.repairs


def test_an_answer_that_the_server_has_stored_is_not_read() -> None:
    data = canonical([("text", LEAK)])
    for more in ({"previous_response_id": "resp_0"}, {"store": True}, {"conversation": "conv_1"}):
        assert rewrite(data, ASKED | more)[0] == data
    assert rewrite(data, ASKED | {"store": False})[0] != data


def test_comments_overtake_what_is_held() -> None:
    rewriter = StreamRewriter(ASKED, api="responses")
    data = canonical([("text", OPENED[:20])], "")
    assert b"output_item.added" not in b"".join(rewriter.feed(data))
    assert rewriter.feed(b": ping\n\n") == [b": ping\n\n"]


def test_a_message_waits_for_its_first_text() -> None:
    rewriter = StreamRewriter(ASKED, api="responses")
    data = canonical([("text", "Hello")], "")
    start = data.index(b"event: response.output_text.delta")
    assert b"output_item.added" not in b"".join(rewriter.feed(data[:start]))
    assert b"output_item.added" in b"".join(rewriter.feed(data[start:]))


# Failures


@pytest.mark.parametrize("server", [canonical, late, llamacpp])
def test_no_word_is_lost_if_the_parser_fails(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = ToolCallParser.feed
    data = server([("text", f"Hi.\n{LEAK}\nSo."), ("text", "The end.")], step=9)
    for broken in range(30):
        calls = 0

        def fail(self: ToolCallParser, text: str, at: int = broken) -> Any:
            nonlocal calls
            calls += 1
            if calls == at + 1:
                raise ValueError("on purpose")
            return feed(self, text)

        with monkeypatch.context() as patched:
            patched.setattr(ToolCallParser, "feed", fail)
            rewriter = StreamRewriter(ASKED, api="responses")
            out = b"".join(b"".join(rewriter.feed(piece)) for piece in data.splitlines(keepends=True))
            out += b"".join(rewriter.close())
        outcome = read(out)
        assert outcome.said[-1] == ("text", "The end.")
        assert outcome.said[0][1].startswith("Hi.")


@pytest.mark.parametrize("server", [canonical, late, llamacpp])
@pytest.mark.parametrize("name", ["feed", "drain"])
def test_no_call_is_lost_if_a_reader_of_calls_fails(
    name: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = server([("text", f"Hi.\n{LEAK}"), NATIVE, ("call", "get_weather", '{"city":"Rome"}')], step=3)
    real = getattr(NativeCall, name)
    for broken in range(10):
        calls = 0

        def fail(self: NativeCall, *given: Any, at: int = broken) -> Any:
            nonlocal calls
            calls += 1
            if calls == at + 1:
                raise ValueError("on purpose")
            return real(self, *given)

        with monkeypatch.context() as patched:
            patched.setattr(NativeCall, name, fail)
            rewriter = StreamRewriter(ASKED, api="responses")
            out = b"".join(b"".join(rewriter.feed(line)) for line in data.splitlines(keepends=True))
            out += b"".join(rewriter.close())
        assert "on purpose" in rewriter.ledger.failure
        rome = ("call", "get_weather", '{"city":"Rome"}', True)
        assert read(out) == Outcome([("text", "Hi."), OSLO, (*NATIVE, True), rome], "tool_calls")


def test_frames_leave_as_they_came_if_the_encoder_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ResponsesEncoder, "frame", lambda *_: 1 / 0)
    data = canonical([("text", LEAK)])
    rewriter = StreamRewriter(ASKED, api="responses")
    out = b"".join(b"".join(rewriter.feed(data[at : at + 7])) for at in range(0, len(data), 7))
    assert out + b"".join(rewriter.close()) == data


# Not streamed


@pytest.mark.parametrize("parts", HEALTHY.values(), ids=HEALTHY)
def test_a_healthy_body_keeps_every_byte(parts: list[Part]) -> None:
    data = whole(parts)
    out, ledger = rewrite_whole(data)
    assert out is data
    assert not ledger.repairs


@pytest.mark.parametrize("summary", [False, True])
@pytest.mark.parametrize(("parts", "said"), LEAKING.values(), ids=LEAKING)
def test_a_leaked_call_becomes_an_item_of_a_body(parts: list[Part], said: list[Any], summary: bool) -> None:
    out, _ = rewrite_whole(whole(parts, summary=summary))
    outcome = read_whole(out)
    assert outcome.end == "tool_calls"
    assert [item for item in outcome.said if item[0] == "call"] == [
        item for item in said if item[0] == "call"
    ]
    assert words(outcome.said) == words(said)


def words(said: list[tuple[Any, ...]]) -> str:
    return "".join(item[1] for item in said if item[0] != "call")


def test_items_of_a_body_that_do_not_change_keep_every_byte() -> None:
    data = whole([("thinking", "Hm."), NATIVE, ("text", f"x\n{LEAK}")]).replace(b'"Hm."', b'"H\\u006d."')
    out, _ = rewrite_whole(data)
    assert b'"H\\u006d."' in out
    assert all(text in out for text in data.split(b', {"type": "message"')[0].split(b"}, {"))
    assert [item[0] for item in read_whole(out).said] == ["thinking", "call", "text", "call"]


def test_a_message_of_a_body_is_divided_at_its_calls() -> None:
    body = json.loads(whole([("text", "x")]))
    texts = [f"One.\n{LEAK}", "Two.", f"Three.\n{LEAK_ROME}", "Four."]
    parts = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    body["output"][0]["content"] = parts
    out = read_whole(rewrite_whole(json.dumps(body).encode())[0])
    texts = [("text", text) for text in ("One.", "Two.", "Three.", "Four.")]
    assert out.said == [texts[0], OSLO, texts[1], texts[2], ROME, texts[3]]


def test_calls_of_a_body_are_put_right() -> None:
    data = whole([("call", "get_weather", '{"city":"Nice","days":"1"}')])
    out, ledger = rewrite_whole(data)
    assert read_whole(out).said == [(*NATIVE, True)]
    assert repairs(ledger) == [Repair.WRONG_TYPE]
    data = whole([NATIVE, NATIVE, ("call", "get_weather", '{"city":"Rom"}')])
    data = data.replace(b"call_1", b"call_0").replace(b"call_2", b"call_0")
    out, ledger = rewrite_whole(data)
    assert [item[2] for item in read_whole(out).said] == [NICE, '{"city":"Rom"}']
    assert repairs(ledger) == sorted([Repair.CALL_SHAPE, Repair.DUPLICATE_CALL])
    out, ledger = rewrite_whole(whole([("call", "mcp.get_weather", NICE)]), ASKED | SPACE)
    assert read_whole(out).said == [("call", "mcp:get_weather", NICE, True)]


def test_a_cut_call_of_a_body_is_never_completed() -> None:
    data = whole([("call", "get_weather", NICE[:-6])])
    out, ledger = rewrite_whole(data, LIMITED)
    assert read_whole(out) == Outcome([("call", "get_weather", NICE[:-6], False)], "length")
    assert not ledger.repairs
    data = whole([("text", f"Hi.\n{OPENED}")])
    assert rewrite_whole(data, LIMITED)[0] == data


# What llama.cpp really sent


def capture(name: str) -> bytes:
    return (CAPTURES / f"rsp-{name}.http").read_bytes().partition(b"\r\n\r\n")[2]


ZURICH = ("call", "get_weather", {"city": "Zürich", "days": 3, "detailed": True}, True)


def with_arguments(outcome: Outcome) -> list[tuple[Any, ...]]:
    return [(*i[:2], json.loads(i[2]), i[3]) if i[0] == "call" else i for i in outcome.said]


@pytest.mark.parametrize("form", ["good", "noopen", "think"])
def test_what_llamacpp_leaks_becomes_a_call(form: str) -> None:
    out, ledger = rewrite_at_every_cut(capture(f"raw-gw-{form}"))
    outcome = read(out)
    assert outcome.end == "tool_calls"
    assert [item[0] for item in outcome.said] == ["text", "call"]
    assert with_arguments(outcome)[-1] == ZURICH
    assert ledger.repairs[Repair.ENVELOPE] == 1
    assert b'"timings"' in out


@pytest.mark.parametrize(
    "form", ["jinja-gw-good", "jinja-gw-noopen", "jinja-gw-think", "jinja-text", "raw-text"]
)
def test_what_llamacpp_parses_gets_its_envelope(form: str) -> None:
    data = capture(form)
    out, ledger = rewrite_at_every_cut(data)
    outcome = read(out)
    assert repairs(ledger) == [Repair.ENVELOPE]
    assert outcome.end == ("stop" if form.endswith("text") else "tool_calls")
    theirs, ours = events_of(data), events_of(out)
    added = [event for event in ours if event[0] == "response.function_call_arguments.done"]
    assert [kind for kind, _ in ours if kind != "response.function_call_arguments.done"] == [
        k for k, _ in theirs
    ]
    assert len(added) == (outcome.end == "tool_calls")
    assert ours[-1][1]["response"] == theirs[-1][1]["response"]
    kept = [event for event in ours if event not in added]
    assert all(
        event.items() >= before.items()
        for (_, before), (_, event) in list(zip(theirs, kept, strict=True))[2:]
    )


def test_what_llamacpp_sends_in_one_piece() -> None:
    data = capture("jinja-gw-good-ns")
    assert rewrite_whole(data)[0] is data
    out = read_whole(rewrite_whole(capture("raw-gw-good-ns"))[0])
    assert with_arguments(out) == [("text", "I'll create the file."), ZURICH]
    assert out.end == "tool_calls"


# Streams by hand


def created() -> tuple[str, Json]:
    response = {"id": "resp_1", "created_at": 1, "model": "qwen", "status": "in_progress", "output": []}
    return "created", {"response": response}


def ended(*items: Json) -> tuple[str, Json]:
    return "completed", {
        "response": created()[1]["response"] | {"status": "completed", "output": list(items)}
    }


def numbered(*events: tuple[str, Json]) -> bytes:
    out = b""
    for number, (kind, members) in enumerate(events):
        more = {key: value for key, value in members.items() if key != "type"}
        out += sse(f"response.{kind}", **more | {"sequence_number": number})
    return out


def test_items_may_be_announced_before_their_arguments() -> None:
    """The arguments of two calls may come one after the other or by turns, once both items are there."""
    parts: list[Part] = [NATIVE, ("call", "get_weather", '{"city":"Rom","days":2}')]
    events = [event + b"\n\n" for event in canonical(parts, step=30).split(b"\n\n") if event]
    first, second = ([e for e in events if b'"output_index":%d' % at in e] for at in (0, 1))
    others = [event for event in events if event not in first + second]
    for order in ("one after the other", "by turns"):
        calls = first[1:] + second[1:]
        if order == "by turns":
            calls = [event for pair in zip(first[1:], second[1:], strict=True) for event in pair]
        data = b"".join([*others[:-1], first[0], second[0], *calls, others[-1]])
        out, ledger = rewrite_at_every_cut(data)
        assert (out, ledger.repairs.total()) == (data, 0), order
