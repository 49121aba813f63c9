"""Chat streams in which the engine for all APIs once did worse than the one for chat alone."""

from typing import Any

import pytest

from support.streams import DONE, LLAMA_CPP, Answer, event, read_answer, request, send
from toolstream import StreamRewriter
from toolstream.parser.parser import ToolCallParser

GOAL = "<tool_call>\n<function=get_goal>\n</function>\n</tool_call>"
HEAD = {"index": 0, "id": "a", "type": "function"}


def said(delta: dict[str, Any], finish: str | None = None) -> bytes:
    return LLAMA_CPP.chunk((0, delta, finish))


def calls(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"tool_calls": list(elements)}


def answer(events: list[bytes]) -> Answer:
    return read_answer(send(events, request())[0])


def test_two_deltas_of_a_call_in_one_chunk_and_no_arguments_in_the_first() -> None:
    two = calls(HEAD | {"function": {"name": "get_goal"}}, HEAD | {"function": {"arguments": "{}"}})
    events = [*LLAMA_CPP.open(), said(two), said({}, "tool_calls"), DONE]
    assert answer(events).message.named == [("get_goal", {})]


def test_nothing_waits_for_a_bracket_that_is_dropped() -> None:
    rewriter = StreamRewriter(request())
    call = calls(HEAD | {"function": {"name": "write", "arguments": '{"path":"a","content":"b"}}'}})
    for piece in [*LLAMA_CPP.open(), said(call), said({"content": "So."})]:
        rewriter.feed(piece)
    assert rewriter.held == 0


def test_an_error_behind_the_end_stays_an_error() -> None:
    error = event({"error": {"message": f"Failed to parse input at pos 0: {GOAL}"}})
    events = [said({"role": "assistant"}, "length"), error]
    assert send(events, request())[0].endswith(error)


def test_text_behind_the_end_is_not_read() -> None:
    events = [said({"role": "assistant"}, "stop"), said({"content": GOAL})]
    assert send(events, request())[0] == b"".join(events)


def test_a_call_of_the_servers_is_complete_before_one_of_ours_begins() -> None:
    xml = "<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n</function>"
    call = calls(HEAD | {"function": {"name": "get_weather", "arguments": xml}})
    texts = [said({"content": GOAL[:20]}), said({"content": GOAL[20:]}, "stop")]
    events = [*LLAMA_CPP.open(), said(call), *texts]
    assert [name for name, _ in answer(events).message.named] == ["get_weather", "get_goal"]


def test_a_ping_does_not_overtake_arguments_that_leave_as_they_came() -> None:
    head = calls(HEAD | {"function": {"name": "get_weather", "arguments": ""}})
    first = calls({"index": 0, "function": {"arguments": '{"city": "a", "detailed": t'}})
    rest = calls({"index": 0, "function": {"arguments": "rue}"}})
    arguments = [said(first), b": ping\n\n", said(rest)]
    events = [*LLAMA_CPP.open(), said(head), *arguments, said({}, "tool_calls"), DONE]
    assert send(events, request())[0] == b"".join(events)


def test_blind_calls_go_on_with_their_number_and_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    rewriter = StreamRewriter(request())
    events = [*LLAMA_CPP.open(), said({"content": f"{GOAL}\n"}), said({"content": "x"})]
    call = calls(HEAD | {"function": {"name": "get_weather", "arguments": '{"city": "a"}'}})
    out = b"".join(piece for one in events for piece in rewriter.feed(one))

    def fail(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(ToolCallParser, "feed", fail)
    for one in [said({"content": "y"}), said(call), said({}, "tool_calls"), DONE]:
        out += b"".join(rewriter.feed(one))
    message = read_answer(out).message
    assert rewriter.ledger.failure
    assert [call.name for call in message.calls] == ["get_goal", "get_weather"]
    assert message.finish == "tool_calls"
