"""The strict reader of Messages objects to what some client stumbles over, and to nothing else."""

import json
from typing import Any

import pytest

from support.strict_messages import (
    BEGIN,
    ORDERS,
    block,
    canonical,
    end,
    event,
    read_stream,
    read_whole,
    stop,
    whole,
)

TEXT, CALL = ("text", "Hi."), ("call", "ls", '{"a":1}')
PARTS = [("thinking", "Hm."), TEXT, (*CALL, True)]


@pytest.mark.parametrize("order", ORDERS)
def test_what_is_right_is_read(order: str) -> None:
    events = ORDERS[order](PARTS)
    outcome = read_stream(b"".join(events), late_stops=order != "canonical")
    assert outcome.said == (PARTS, "tool_calls")
    assert outcome.calls == [("ls", {"a": 1})]


def test_a_whole_answer_is_read() -> None:
    assert read_whole(whole([TEXT, CALL])).said == ([TEXT, ("call", "ls", '{"a": 1}', True)], "tool_calls")


def delta(index: int, **members: Any) -> bytes:
    return event("content_block_delta", index=index, delta=members)


HEAD = {"type": "tool_use", "id": "toolu_1", "name": "ls"}
WRONG: dict[str, list[bytes]] = {
    "no beginning": canonical([TEXT])[1:],
    "no end": canonical([TEXT])[:-2],
    "no message_stop": canonical([TEXT])[:-1],
    "no stop": [BEGIN, *block(0, TEXT), *end("stop")],
    "stopped twice": [BEGIN, *block(0, TEXT), stop(0), stop(0), *end("stop")],
    "a gap": [BEGIN, *block(1, TEXT), stop(1), *end("stop")],
    "an index twice": [BEGIN, *block(0, TEXT), stop(0), *block(0, TEXT), stop(0), *end("stop")],
    "two blocks at a time": [BEGIN, *block(0, TEXT), *block(1, TEXT), stop(0), stop(1), *end("stop")],
    "text in a call": [
        BEGIN,
        *block(0, CALL),
        delta(0, type="text_delta", text="x"),
        stop(0),
        *end("tool_calls"),
    ],
    "a delta after the stop": [
        BEGIN,
        *block(0, TEXT),
        stop(0),
        delta(0, type="text_delta", text="x"),
        *end("stop"),
    ],
    "an empty block": canonical([("text", "")]),
    "only whitespace": canonical([("text", "\n")]),
    "no delta": canonical([("call", "ls", "")]),
    "a cut call": canonical([("call", "ls", '{"a')]),
    "calls that nobody runs": canonical([CALL], "stop"),
    "no calls": canonical([TEXT], "tool_calls"),
    "a block after the end": [BEGIN, *block(0, TEXT), stop(0), *end("stop")[:1], *block(1, TEXT), stop(1)],
    "an id twice": [e.replace(b"server1", b"server0") for e in canonical([CALL, CALL])],
    "input in the start": [
        BEGIN,
        event("content_block_start", index=0, content_block=HEAD | {"input": {"a": 1}}),
        stop(0),
        *end("tool_calls"),
    ],
    "another name": [BEGIN.replace(b"event: message_start", b"event: message"), *canonical([TEXT])[1:]],
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_objected_to(name: str) -> None:
    with pytest.raises(AssertionError):
        read_stream(b"".join(WRONG[name]))


@pytest.mark.parametrize("change", [("tool_use", "end_turn"), ("toolu_server1", ""), ('{"a": 1}', "5")])
def test_what_is_wrong_in_a_whole_answer_is_objected_to(change: tuple[str, str]) -> None:
    body = whole([TEXT, CALL]).decode()
    assert json.loads(body)["stop_reason"] == "tool_use"
    head, _, tail = body.rpartition(change[0])
    with pytest.raises(AssertionError):
        read_whole(f"{head}{change[1]}{tail}".encode())
