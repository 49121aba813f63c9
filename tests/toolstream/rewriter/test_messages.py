"""Anthropic Messages through the rewriter: leaks, healthy answers and odd ones, streamed and not."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.streams import byte_cuts, send
from support.strict_messages import (
    BEGIN,
    ORDERS,
    PING,
    Part,
    block,
    canonical,
    end,
    error,
    event,
    read_stream,
    read_whole,
    stop,
    whole,
)
from toolstream import Ledger, ToolCallParser, rewrite_completion
from toolstream.wire.anthropic_encoder import MessagesEncoder
from toolstream.wire.anthropic_messages import AnthropicMessages

pytestmark = pytest.mark.slow

CAPTURES = Path(__file__).parents[2] / "captures"
PROPERTIES = {"city": {"type": "string"}, "days": {"type": "integer"}, "detailed": {"type": "boolean"}}
SCHEMA = {"type": "object", "properties": PROPERTIES, "required": ["city"]}
REQUEST = {
    "model": "qwen",
    "max_tokens": 1000,
    "stream": True,
    "tools": [{"name": "get_weather", "description": "The weather", "input_schema": SCHEMA}],
    "messages": [{"role": "user", "content": "What is the weather?"}],
}
OSLO = {"city": "Oslo", "days": 3}
LEAK = (
    "<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n"
    "<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>"
)
BARE = "<function=get_weather>\n<parameter=city>\nRome\n</parameter>\n</function>"
CUT = "<tool_call>\n<function=get_weather>\n<parameter=city>\nOsl"
CUT_NAME = "<tool_call>\n<function=get_wea"
OWN_ID = re.compile(rb"toolu_[0-9a-f]{24}")
ANY_OWN_ID = re.compile(rb"(toolu|msg)_[0-9a-f]{24}")


def text(said: str) -> Part:
    return "text", said


def thinking(said: str) -> Part:
    return "thinking", said


def call(arguments: str = '{"city":"Nice","days":1}', name: str = "get_weather") -> Part:
    return "call", name, arguments, True


def found(arguments: Any = OSLO) -> Part:
    return "call", "get_weather", json.dumps(arguments), True


def same_ids(body: bytes) -> bytes:
    return ANY_OWN_ID.sub(b"", body)


def rewrite(pieces: Iterable[bytes], asked: Any = REQUEST) -> tuple[bytes, Ledger]:
    body, rewriter = send(pieces, asked, api="messages")
    return body, rewriter.ledger


def rewrite_at_cuts(events: list[bytes], asked: Any = REQUEST) -> tuple[bytes, Ledger]:
    """What becomes of a stream, which must be the same at every cut."""
    expected, ledger = rewrite(events, asked)
    data = b"".join(events)
    for pieces in byte_cuts(data, every=max(1, len(data) // 15), random_cuts=3):
        assert same_ids(rewrite(pieces, asked)[0]) == same_ids(expected)
    return expected, ledger


# Leaks: the parts of the server's answer, and what becomes of them; whole if that is different

LEAKS: dict[str, tuple[list[Part], list[Part]] | tuple[list[Part], list[Part], list[Part]]] = {
    "a leak": ([text(f"Hi.\n\n{LEAK}")], [text("Hi."), found()]),
    "nothing but a leak": ([text(LEAK)], [found()]),
    "blanks before it": ([text(f"  {LEAK}")], [found()]),  # they are no text here, and no block
    "blanks in the thinking": ([thinking(f" \t{LEAK}")], [found()]),
    "blanks before text": ([text(f"  Hi.\n{LEAK}")], [text("  Hi."), found()]),
    "without tool_call": ([text(f"Hi.\n\n{BARE}")], [text("Hi."), found({"city": "Rome"})]),
    "nothing is closed": (
        [text(LEAK.partition("</function>")[0])],
        [found()],
    ),
    "text after it": ([text(f"{LEAK}\n\nDone.")], [found(), text("\n\nDone.")], [text("\n\nDone."), found()]),
    "two": ([text(f"Both:\n{LEAK}\n{BARE}")], [text("Both:"), found(), found({"city": "Rome"})]),
    "text between": (
        [text(f"One\n{LEAK}\nTwo\n{BARE}")],
        [text("One"), found(), text("\nTwo"), found({"city": "Rome"})],
        [text("One\nTwo"), found(), found({"city": "Rome"})],
    ),
    "in the second block": ([text("One."), text(f"Two.\n{LEAK}")], [text("One."), text("Two."), found()]),
    "another block after it": ([text(LEAK), text("After.")], [found(), text("After.")]),
    "an empty block after it": ([text(LEAK), text("")], [found()], [found(), text("")]),
    "thinking before it": ([thinking("Hm."), text(LEAK)], [thinking("Hm."), found()]),
    "in the thinking": ([thinking(f"So.\n{LEAK}")], [thinking("So."), found()]),
    "nothing but that in the thinking": ([thinking(LEAK)], [found()]),
    "a call of the server after it": (
        [text(f"Hi.\n{LEAK}"), call()],
        [text("Hi."), found(), call()],
    ),
    "a call of the server before it": ([call(), text(LEAK)], [call(), found()]),
    "a copy of it": ([text(f"Hi.\n{LEAK}"), call(json.dumps(OSLO))], [text("Hi."), found()]),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", LEAKS)
def test_a_leak(name: str, order: str) -> None:
    parts, expected, *_ = LEAKS[name]
    has_calls = any(part[0] == "call" for part in parts)
    for size in (3, 1000):
        events = ORDERS[order](parts, "tool_calls" if has_calls else "stop", size)
        body, ledger = rewrite_at_cuts(events)
        outcome = read_stream(body, late_stops=order != "canonical")
        assert outcome.said == (expected, "tool_calls")
        assert ledger.calls >= 1
        assert b"<function" not in body
        usages = [e for e in body.split(b"\n\n") if b"message_delta" in e]
        assert len(usages) == 1
        assert b'"output_tokens":65' in usages[0]


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_that_is_not_streamed(name: str) -> None:
    parts, *expected = LEAKS[name]
    if name == "an empty block after it":
        pytest.skip("an empty block of the server's stays")
    body, ledger = rewrite_completion(REQUEST, whole(parts), api="messages")
    assert ledger.failure == ""
    outcome = read_whole(body)
    assert _normal(outcome.parts) == _normal(expected[-1])
    assert outcome.reason == "tool_calls"
    assert json.loads(body)["usage"] == json.loads(whole(parts))["usage"]


ONLY_TAGS: dict[str, list[Part]] = {
    "an opening tag": [text("<tool_call>"), call()],
    "an opening tag, and a closing one after the call": [
        text("<tool_call>\n"),
        call(),
        text("\n</tool_call>"),
    ],
    "a closing tag": [text("</tool_call>\n"), call()],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ONLY_TAGS)
def test_a_block_of_which_nothing_is_left(name: str, order: str) -> None:
    for size in (3, 1000):
        body, _ = rewrite_at_cuts(ORDERS[order](ONLY_TAGS[name], "tool_calls", size))
        assert read_stream(body, late_stops=order != "canonical").said == ([call()], "tool_calls")


def _normal(parts: list[Part]) -> list[Any]:
    return [(*part[:2], json.loads(part[2])) if part[0] == "call" else part for part in parts]


def test_calls_found_have_ids_of_their_own() -> None:
    body, _ = rewrite(canonical([text(f"{LEAK}\n{LEAK}"), call()], "stop"))
    ids = re.findall(rb'"id":"(toolu_[^"]+)"', body)
    assert len(ids) == len(set(ids)) == 3
    assert sum(bool(OWN_ID.fullmatch(one)) for one in ids) == 2


def test_numbers_are_as_they_were_written() -> None:
    leak = LEAK.replace("\n3\n", "\n1.10\n")
    asked = json.loads(json.dumps(REQUEST).replace("integer", "number"))
    body, _ = rewrite(canonical([text(leak)]), asked)
    assert b"1.10" in body
    body, _ = rewrite_completion(asked, whole([text(leak)]), api="messages")
    assert b'"days": 1.10' in body


# Healthy answers leave as they came

HEALTHY: dict[str, list[Part]] = {
    "text": [text("Hello, world.\n\n")],
    "two texts": [text("One <"), text("Two")],
    "thinking": [thinking("Hm <b> \n"), text("Yes, a<b.\n")],
    "a call": [text("Hi.\n\n"), call()],
    "two calls": [call(), call('{"city": "Rome"}')],
    "a tag in prose": [text("Use `<tool_call>` or <fun> now. <tool_call>")],
    "only whitespace": [text("\n\n"), call()],
    "text after a call": [call(), text("And more.")],
    "a call of a tool that is not declared": [call("{}", "other")],
    "a beginning that a block ends": [text(f"x\n{CUT_NAME}"), text("after")],
    "words in an envelope that a call ends": [text("<tool_call>\nNow"), call()],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", HEALTHY)
def test_what_is_right_stays(name: str, order: str) -> None:
    for size in (1, 3, 1000):
        events = ORDERS[order](HEALTHY[name], size=size)
        body, ledger = rewrite_at_cuts(events)
        assert body == b"".join(events)
        assert not ledger.repairs


@pytest.mark.parametrize("name", HEALTHY)
def test_what_is_right_and_not_streamed_stays(name: str) -> None:
    sent = whole(HEALTHY[name])
    body, ledger = rewrite_completion(REQUEST, sent, api="messages")
    assert body is sent
    assert not ledger.repairs


@pytest.mark.parametrize("reason", ["length", "refusal", "pause_turn", "model_context_window_exceeded"])
def test_what_is_cut_off_stays(reason: str) -> None:
    for parts in (
        [text(f"Hi.\n{CUT_NAME}")],
        [text("Hi"), call('{"city":"Ni')],
        [text("Hi"), call('{"city":"x"')],
    ):
        for make in ORDERS.values():
            events = make(parts, reason)
            assert rewrite_at_cuts(events)[0] == b"".join(events)


def test_an_empty_block_holds_nothing() -> None:
    events = canonical([text(""), call()])
    assert rewrite(events)[0] == b"".join(events)


def test_what_nobody_knows_passes() -> None:
    odd = [
        event(
            "content_block_start",
            index=0,
            content_block={"type": "server_tool_use", "id": "s", "name": "web"},
        ),
        event("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": "{}"}),
        stop(0),
        event(
            "content_block_start", index=1, content_block={"type": "web_search_tool_result", "content": []}
        ),
        stop(1),
        event("content_block_start", index=2, content_block={"type": "text", "text": "", "citations": []}),
        event("content_block_delta", index=2, delta={"type": "citations_delta", "citation": {}}),
        event("content_block_delta", index=2, delta={"type": "text_delta", "text": "Hi"}),
        stop(2),
        event("content_block_delta", index=7, delta={"type": "text_delta", "text": "Hi"}),
        event("new_event", index=None),
        b"event: x\ndata: no JSON\n\n",
    ]
    events = [BEGIN, *odd, *end("stop")]
    assert rewrite_at_cuts(events)[0] == b"".join(events)


def test_missing_members_are_the_servers_own_affair() -> None:
    events = [event("message_start", message={}), *block(0, text("Hi")), stop(0)]
    events += [event("message_delta", delta={"stop_reason": "end_turn"}), event("message_stop")]
    assert rewrite(events)[0] == b"".join(events)


@pytest.mark.parametrize("asked", [REQUEST | {"tools": []}, REQUEST | {"tool_choice": {"type": "none"}}])
def test_without_tools_nothing_is_read(asked: Any) -> None:
    events = canonical([text(LEAK)])
    assert rewrite(events, asked)[0] == b"".join(events)


# Calls that are cut off


def test_a_call_that_is_cut_off_is_never_run() -> None:
    for make in ORDERS.values():
        body, _ = rewrite_at_cuts(make([text(f"Hi.\n{CUT}")], "length"))
        outcome = read_stream(body)
        assert outcome.said == ([text("Hi."), ("call", "get_weather", '{"city": "Osl', False)], "length")


def test_not_streamed_it_stays_text() -> None:
    sent = whole([text(f"Hi.\n{CUT}")], "length")
    assert rewrite_completion(REQUEST, sent, api="messages")[0] is sent


def test_a_call_of_the_server_that_is_cut_off_is_never_run() -> None:
    """Nor if the server says so."""
    for make in ORDERS.values():
        body, _ = rewrite_at_cuts(make([text("Hi"), call('{"city":"Ni')], "tool_calls"))
        outcome = read_stream(body, late_stops=True)
        assert outcome.said == ([text("Hi"), ("call", "get_weather", '{"city":"Ni', False)], "length")


# Calls that the server parsed, mended

LEAKING = [text(f"Hi.\n{LEAK}")]

MENDED: dict[str, tuple[Part, str, list[str]]] = {
    "wrong type": (call('{"city":"Nice","days":"1"}'), '{"city":"Nice","days":1}', ["wrong-type"]),
    "no arguments": (call(""), "{}", ["call-shape"]),
    "the last brace is missing": (call('{"city":"Nice"'), '{"city":"Nice"}', ["json-repaired"]),
    "twice": (call('{"city":"Nice"}{"city":"Nice"}'), '{"city":"Nice"}', ["repeated-arguments"]),
    "XML": (call("<parameter=city>\nNice\n</parameter>"), '{"city": "Nice"}', ["xml-arguments"]),
    "in a string": (call('"{\\"city\\":\\"Nice\\"}"'), '{"city":"Nice"}', ["double-encoded"]),
    "the name": (call('{"city":"Nice"}', "Get-Weather"), '{"city":"Nice"}', ["name-normalised"]),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", MENDED)
def test_a_call_of_the_server_is_mended(name: str, order: str) -> None:
    broken, right, repairs = MENDED[name]
    for before, after in (([], []), ([text("Hi.")], [call()]), (LEAKING, [])):
        for size in (3, 1000):
            events = ORDERS[order]([*before, broken, *after], size=size)
            body, ledger = rewrite_at_cuts(events)
            outcome = read_stream(body, late_stops=order != "canonical")
            mended = ("call", "get_weather", right, True)
            assert mended in outcome.parts
            assert len(outcome.calls) == 1 + len(after) + (before == LEAKING)
            assert outcome.reason == "tool_calls"
            assert sorted(ledger.repairs.elements()) == repairs


def test_a_call_of_the_server_is_mended_if_not_streamed() -> None:
    sent = whole([text("Hi."), call('{"city":"Nice","days":"1"}'), call('{"city": "Rome"}')])
    body, ledger = rewrite_completion(REQUEST, sent, api="messages")
    assert read_whole(body).calls == [
        ("get_weather", {"city": "Nice", "days": 1}),
        ("get_weather", {"city": "Rome"}),
    ]
    assert list(ledger.repairs) == ["wrong-type"]
    assert b'{"type": "text", "text": "Hi."}' in body, "what does not change keeps its bytes"


SHAPES: dict[str, list[bytes]] = {}


def _shape(name: str, index: int = 1, delta: bool = True, is_stopped: bool = True, **members: Any) -> None:
    head = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}} | members
    events = [
        event("content_block_start", index=index, content_block={k: v for k, v in head.items() if v != ...})
    ]
    if delta:
        arguments = {"type": "input_json_delta", "partial_json": '{"city":"Nice"}'}
        events.append(event("content_block_delta", index=index, delta=arguments))
    SHAPES[name] = [BEGIN, *block(0, text("Hi.")), stop(0), *events, *([stop(index)] if is_stopped else [])]


_shape("a gap", index=2)
_shape("an index twice", index=0)
_shape("no id", id=...)
_shape("an empty id", id="")
_shape("no stop", is_stopped=False)
_shape("all input in the start", delta=False, input={"city": "Nice"})
_shape("all input in the start, and a delta", input={"city": "Nice"})


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("reason", ["tool_calls", "stop"])
def test_the_shape_of_a_call_is_put_right(name: str, reason: str) -> None:
    body, ledger = rewrite_at_cuts([*SHAPES[name], *end(reason)])
    assert read_stream(body).said == ([text("Hi."), call('{"city":"Nice"}')], "tool_calls")
    assert ledger.repairs["call-shape"] == 1  # type: ignore[index]
    assert ledger.repairs["finish-reason"] == (reason == "stop")  # type: ignore[index]


def test_what_all_clients_take_is_no_fault() -> None:
    head = {"type": "tool_use", "id": "toolu_1", "name": "get_weather"}
    arguments = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", '{"city":"Nice"}')]
    deltas = [event("content_block_delta", index=0, delta=delta) for delta in arguments]
    events = [BEGIN, event("content_block_start", index=0, content_block=head), *deltas, stop(0)]
    events += end("tool_calls")
    assert rewrite(events)[0] == b"".join(events)


@pytest.mark.parametrize("said", ["\n", "More.", f"\n{LEAK}"])
def test_text_in_a_call_gets_a_block_of_its_own(said: str) -> None:
    stray = event("content_block_delta", index=0, delta={"type": "text_delta", "text": said})
    events = [BEGIN, *block(0, call()), stray, stop(0), *end("tool_calls")]
    body, ledger = rewrite_at_cuts(events)
    more = [found()] if LEAK in said else [text(said)] if said.strip() else []
    assert read_stream(body).said == ([call(), *more], "tool_calls")
    assert ledger.repairs["call-shape"] == (LEAK not in said)  # type: ignore[index]


def test_one_id_for_two_calls() -> None:
    events = canonical([call(), call('{"city":"Rome"}')])
    events = [e.replace(b"toolu_server1", b"toolu_server0") for e in events]
    assert len(read_stream(rewrite_at_cuts(events)[0]).calls) == 2
    copies = [e.replace(b"toolu_server1", b"toolu_server0") for e in canonical([call(), call()])]
    body, ledger = rewrite_at_cuts(copies)
    assert len(read_stream(body).calls) == 1
    assert list(ledger.repairs) == ["duplicate-call"]


def test_an_id_of_the_history_is_taken() -> None:
    asked = REQUEST | {
        "messages": [
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "toolu_server0", "name": "x", "input": {}}],
            }
        ]
    }
    body, ledger = rewrite_at_cuts(canonical([call()]), asked)
    assert b"toolu_server0" not in body
    assert list(ledger.repairs) == ["call-shape"]
    body, _ = rewrite_completion(asked, whole([call()]), api="messages")
    assert b"toolu_server0" not in body
    assert read_whole(body).calls == [("get_weather", {"city": "Nice", "days": 1})]


def test_tool_use_without_a_call() -> None:
    body, ledger = rewrite_at_cuts(canonical([text("Hi.")], "tool_calls"))
    assert read_stream(body).said == ([text("Hi.")], "stop")
    assert list(ledger.repairs) == ["finish-reason"]
    body, ledger = rewrite_completion(REQUEST, whole([text("Hi.")], "tool_calls"), api="messages")
    assert read_whole(body).said == ([text("Hi.")], "stop")
    assert list(ledger.repairs) == ["finish-reason"]


@pytest.mark.parametrize("reason", ["stop_sequence", None])
def test_a_reason_that_nobody_runs_a_call_for(reason: str | None) -> None:
    events = [*canonical([text(LEAK)])[:-2], *end(reason)]
    assert read_stream(rewrite_at_cuts(events)[0]).said == ([found()], "tool_calls")


def test_one_call_only() -> None:
    asked = REQUEST | {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
    for parts in (
        [text(f"{LEAK}\n{BARE}")],
        [text(LEAK), text(BARE)],
        [text(LEAK), call()],
        [call(), text(LEAK)],
    ):
        for make in ORDERS.values():
            body, ledger = rewrite_at_cuts(make(parts, "tool_calls"), asked)
            assert len(read_stream(body, late_stops=True).calls) == 1
            assert ledger.repairs["parallel-dropped"] == 1  # type: ignore[index]
        body, _ = rewrite_completion(asked, whole(parts, "tool_calls"), api="messages")
        assert len(read_whole(body).calls) == 1


def test_a_tool_that_is_forced() -> None:
    asked = REQUEST | {"tool_choice": {"type": "tool", "name": "get_weather"}}
    assert read_stream(rewrite(canonical([text(LEAK)]), asked)[0]).calls == [("get_weather", OSLO)]


def test_a_call_that_the_next_block_cuts_off_is_over() -> None:
    for make in ORDERS.values():
        events = make([text(f"Hi.\n{CUT}"), call(), text("After.")], "tool_calls")
        outcome = read_stream(rewrite_at_cuts(events)[0], late_stops=True)
        cut = ("call", "get_weather", '{"city": "Osl', False)
        assert outcome.said == ([text("Hi."), cut, call(), text("After.")], "length")


def test_each_text_keeps_its_own_calls() -> None:
    parts = [call(), text(""), text(f"Hi.\n{BARE.partition('</function>')[0]}")]
    for make in ORDERS.values():
        outcome = read_stream(rewrite_at_cuts(make(parts, "tool_calls"))[0], late_stops=True, empty=True)
        assert outcome.parts == [call(), *([text("")] * 1), text("Hi."), found({"city": "Rome"})]


def test_an_index_of_a_text_that_comes_twice() -> None:
    first, second = block(0, text("Hi, you. All of you.")), block(0, text(f"{LEAK}\nAnd more words."))
    body, _ = rewrite_at_cuts([BEGIN, *first, stop(0), *second, stop(0), *end("stop")])
    assert read_stream(body).parts == [text("Hi, you. All of you."), found(), text("\nAnd more words.")]


# Pings, errors, and connections that drop


def test_pings_overtake_what_is_held() -> None:
    events = canonical([text(CUT_NAME)])
    _, rewriter = send([], REQUEST, api="messages")
    held = b"".join(out for e in events[:-3] for out in rewriter.feed(e))
    assert b"content_block" not in held
    assert rewriter.feed(PING) == [PING]
    assert rewriter.feed(b": keep-alive\n\n") == [b": keep-alive\n\n"]


@pytest.mark.parametrize("name", HEALTHY)
def test_pings_are_kept(name: str) -> None:
    events = [e for one in canonical(HEALTHY[name]) for e in (PING, one)]
    body, _ = rewrite(events)
    assert body.replace(PING, b"") == b"".join(events).replace(PING, b"")
    assert body.count(PING) == events.count(PING)


def test_pings_in_a_leak() -> None:
    for name, (parts, expected, *_) in LEAKS.items():
        events = [e for one in canonical(parts, "tool_calls") for e in (one, PING)]
        outcome = read_stream(rewrite_at_cuts(events)[0])
        assert outcome.parts == expected, name
        assert outcome.pings == len(events) // 2


def test_an_error_in_a_call_that_has_begun() -> None:
    events = [BEGIN, *block(0, text(f"Hi.\n{CUT}")), error("boom"), event("message_stop")][:-1]
    body, _ = rewrite_at_cuts(events)
    assert body.endswith(error("boom"))
    outcome = read_stream(body)
    assert outcome.parts == [text("Hi."), ("call", "get_weather", '{"city": "Osl', False)]
    assert outcome.errors == [{"type": "api_error", "message": "boom"}]


def test_an_error_gives_back_what_is_held() -> None:
    events = [BEGIN, *block(0, text(f"Hi.\n{CUT_NAME}")), error("boom")]
    assert rewrite_at_cuts(events)[0] == b"".join(events)


def _engine_error(message: str) -> bytes:
    """As llama.cpp writes it: no type of the API's, and nothing around it."""
    data = json.dumps({"code": 500, "message": message, "type": "server_error"})
    return f"event: error\ndata: {data}\n\n".encode()


def test_the_calls_in_an_engines_error() -> None:
    failed = _engine_error(f"Failed to parse input at pos 4: {LEAK}")
    for said in (block(0, text("Hi.\n")), []):
        body, ledger = rewrite_at_cuts([BEGIN, *said, failed])
        assert read_stream(body).said == ([text("Hi.\n")] * bool(said) + [found()], "tool_calls")
        assert list(ledger.repairs) == ["engine-error"]


def test_an_engines_error_before_anything_else() -> None:
    body, _ = rewrite_at_cuts([_engine_error(f"Failed to parse input at pos 0: Hi.\n{LEAK}")])
    assert read_stream(body).said == ([text("Hi."), found()], "tool_calls")


def test_any_other_error_of_an_engine_passes() -> None:
    events = [BEGIN, *block(0, text("Hi.\n")), _engine_error("out of memory")]
    assert rewrite_at_cuts(events)[0] == b"".join(events)


def test_a_connection_that_drops() -> None:
    """A call that has begun is not stopped: nobody may take it for a whole one."""
    events = [BEGIN, *block(0, text(f"Hi.\n{CUT}"))]
    outcome = read_stream(rewrite_at_cuts(events)[0], dropped=True)
    assert outcome.said == ([text("Hi."), ("call", "get_weather", '{"city": "Osl', False)], None)
    assert not any(part[-1] is True for part in outcome.parts)


def test_a_connection_that_drops_gives_back_what_is_held() -> None:
    events = [BEGIN, *block(0, text(f"Hi.\n{CUT_NAME}"))]
    assert rewrite_at_cuts(events)[0] == b"".join(events)
    events = [BEGIN, *block(0, text(f"{LEAK}\nSo <tool_"))]
    outcome = read_stream(rewrite_at_cuts(events)[0], dropped=True)
    assert outcome.parts == [found(), text("\nSo <tool_")]


def test_a_connection_that_drops_at_any_byte() -> None:
    data = b"".join(canonical([text(f"Hi.\n{LEAK}\nDone."), call()]))
    for at in range(0, len(data), 7):
        body, _ = rewrite([data[:at]])
        whole_events = body[: body.rfind(b"\n\n") + 2] if b"\n\n" in body else b""
        outcome = read_stream(whole_events, dropped=True, empty=True)
        assert [name for name, _ in outcome.calls] in ([], ["get_weather"], ["get_weather"] * 2)


# Whatever fails


@pytest.mark.parametrize(
    "culprit", [(ToolCallParser, "feed"), (AnthropicMessages, "read"), (MessagesEncoder, "events")]
)
def test_whatever_fails_no_text_is_lost(culprit: tuple[Any, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time another call of it fails."""
    owner, name = culprit
    right = getattr(owner, name)
    events = canonical([text(f"Hi, you.\n{LEAK}\nDone, I think."), text("After.")])
    for fails in range(1, 60, 3):
        calls = iter(range(1, 10_000))

        def broken(*given: Any, fails: int = fails, calls: Iterator[int] = calls) -> Any:
            if next(calls) == fails:
                raise RuntimeError("on purpose")
            return right(*given)

        monkeypatch.setattr(owner, name, broken)
        _, rewriter = send([], REQUEST, api="messages")
        body = b"".join(out for e in events for out in rewriter.feed(e)) + b"".join(rewriter.close())
        monkeypatch.setattr(owner, name, right)
        outcome = read_stream(body, late_stops=True, empty=True, dropped=True)
        said = "".join(part[1] for part in outcome.parts if part[0] == "text")
        assert "Hi, you." in said
        assert "After." in said
        if not all(part[3] for part in outcome.parts if part[0] == "call"):
            assert outcome.sent_reason == "max_tokens", fails


# What llama.cpp really sent, with its parser ("jinja") and without ("raw")


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("msg-*.http")), ids=lambda path: path.stem)
def test_captures(path: Path) -> None:
    body = path.read_bytes().partition(b"\r\n\r\n")[2] or path.read_bytes().partition(b"\n\n")[2]
    name = path.stem
    if name.endswith("-ns"):
        sent, _ = rewrite_completion(REQUEST, body, api="messages")
        outcome = read_whole(sent)
    else:
        sent, _ = rewrite_at_cuts([body])
        outcome = read_stream(sent, late_stops=True)
    if "raw-gw" not in name:
        assert sent == body
    if "text" not in name:
        assert outcome.calls == [("get_weather", {"city": "Zürich", "days": 3, "detailed": True})]
        assert outcome.reason == "tool_calls"
        assert b"<function" not in sent
