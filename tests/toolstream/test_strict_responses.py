"""The strict client for Responses: it reads what is right, and nothing else."""

import json
from typing import Any

import pytest

from support.strict_responses import Outcome, canonical, events_of, late, read, read_whole, sse, whole

Json = dict[str, Any]

PARTS = [("thinking", "Hm."), ("text", "Hello"), ("call", "f", '{"a": 1}'), ("call", "g", "{}")]
SAID = [("thinking", "Hm."), ("text", "Hello"), ("call", "f", '{"a": 1}', True), ("call", "g", "{}", True)]


@pytest.mark.parametrize("server", [canonical, late])
@pytest.mark.parametrize("summary", [False, True])
def test_what_is_right(server: Any, summary: bool) -> None:
    assert read(server(PARTS, summary=summary)) == Outcome(SAID, "tool_calls")
    assert read_whole(whole(PARTS, summary=summary)) == Outcome(SAID, "tool_calls")


def test_how_it_ended() -> None:
    assert read(canonical([("text", "Hi")])).end == "stop"
    assert read(canonical([("text", "Hi")], "incomplete")).end == "length"
    assert read(canonical([("text", "Hi")], "failed")).end == "error"
    cut = read(canonical([("call", "f", '{"a')], "incomplete"))
    assert cut == Outcome([("call", "f", '{"a', False)], "length")
    assert read(canonical(PARTS, ""), dropped=True) == Outcome(SAID, "")


def written(events: list[tuple[str, Json]]) -> bytes:
    """Events, numbered."""
    out = b""
    for number, (kind, members) in enumerate(events):
        more = {key: value for key, value in members.items() if key != "type"}
        out += sse(kind, **more | {"sequence_number": number})
    return out


EVENTS = events_of(canonical(PARTS))
# No client needs it to be there
OPTIONAL = {"response.in_progress"}


@pytest.mark.parametrize("at", range(len(EVENTS)))
def test_an_event_is_missing(at: int) -> None:
    data = written([*EVENTS[:at], *EVENTS[at + 1 :]])
    if EVENTS[at][0] in OPTIONAL:
        read(data)
        return
    with pytest.raises((AssertionError, KeyError)):
        read(data)


@pytest.mark.parametrize("at", range(len(EVENTS)))
def test_an_event_comes_twice(at: int) -> None:
    if EVENTS[at][0] in ("response.created", "response.in_progress"):
        return
    with pytest.raises((AssertionError, KeyError)):
        read(written([*EVENTS[: at + 1], *EVENTS[at:]]))


def with_member(name: str, old: str, new: str) -> bytes:
    """The stream with the first `old` in the event of this name replaced."""
    out = []
    for kind, members in EVENTS:
        text = json.dumps(members)
        if kind == name and old in text:
            text, name = text.replace(old, new, 1), ""
        out.append((kind, json.loads(text)))
    assert not name
    return written(out)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("response.created", '"created_at": 1, ', ""),
        ("response.created", '"model": "qwen", ', ""),
        ("response.output_item.added", '"output_index": 0', '"output_index": 1'),
        ("response.output_item.added", '"id": "fc_2"', '"id": "msg_1"'),
        ("response.output_item.added", '"call_id": "call_3"', '"call_id": "call_2"'),
        ("response.output_item.added", '"call_id": "call_2"', '"call_id": ""'),
        ("response.content_part.added", '"content_index": 0', '"content_index": 1'),
        ("response.output_text.delta", '"content_index": 0', '"content_index": 1'),
        ("response.output_text.delta", '"delta": "Hel"', '"delta": "hel"'),
        ("response.output_text.delta", '"item_id": "msg_1"', '"item_id": "msg_2"'),
        ("response.output_text.done", '"Hello"', '"hello"'),
        ("response.content_part.done", '"Hello"', '"hello"'),
        ("response.function_call_arguments.done", '1}"', '2}"'),
        ("response.output_item.done", '"Hello"', '"hello"'),
        ("response.output_item.done", '1}"', '2}"'),
        ("response.output_item.done", '"name": "f"', '"name": "g"'),
        ("response.output_item.done", '"status": "completed", "name"', '"name"'),
        ("response.completed", '"Hello"', '"hello"'),
        ("response.completed", '"id": "fc_2"', '"id": "fc_9"'),
        ("response.completed", '"id": "resp_1"', '"id": "resp_2"'),
    ],
)
def test_a_member_is_wrong(name: str, old: str, new: str) -> None:
    with pytest.raises((AssertionError, KeyError)):
        read(with_member(name, old, new))


def test_a_call_that_cannot_be_run_says_so() -> None:
    with pytest.raises(ValueError, match="Unterminated"):
        read(canonical([("call", "f", '{"a')]))
    with pytest.raises(ValueError, match="Unterminated"):
        read_whole(whole([("call", "f", '{"a')]))


def test_no_message_is_empty() -> None:
    with pytest.raises(AssertionError, match="empty"):
        read(canonical([("text", "")]))
