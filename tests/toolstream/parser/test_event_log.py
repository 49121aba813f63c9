"""What was said, and may be taken back."""

import pytest

from toolstream.events import ArgumentsDelta, CallEnd, CallStart, Event, Repaired, Text
from toolstream.ledger import Ledger
from toolstream.limits import EXCERPT, HELD
from toolstream.parser.buffer import Buffer
from toolstream.parser.event_log import EventLog
from toolstream.repairs import Refused, Repair

CALL: list[Event] = [CallStart(0, "read"), ArgumentsDelta(0, "{}"), CallEnd(0)]


@pytest.fixture
def buffer() -> Buffer:
    return Buffer()


@pytest.fixture
def log(buffer: Buffer) -> EventLog:
    return EventLog(buffer, Ledger())


def read(log: EventLog, buffer: Buffer, text: str) -> None:
    """Receive and understand a text, which is said as such."""
    buffer.feed(text)
    log.text(buffer.take(len(buffer.text)))


def test_pieces_that_belong_together_are_joined(log: EventLog) -> None:
    log.text("a")
    log.text("b")
    for event in CALL:
        log.emit(event)
    for other in (CallStart(1, "x"), ArgumentsDelta(1, "{"), ArgumentsDelta(1, "}"), CallEnd(1)):
        log.emit(other)
    log.text("c")
    log.repair(Repair.STRAY_CLOSER, "</x>")
    log.text("d")
    log.text("e")
    log.text("")
    assert log.take() == [
        Text("ab"),
        *CALL,
        CallStart(1, "x"),
        ArgumentsDelta(1, "{}"),
        CallEnd(1),
        Text("c"),
        Repaired(Repair.STRAY_CLOSER, "</x>"),
        Text("de"),
    ]
    assert log.take() == []
    assert (log.ledger.calls, log.ledger.repairs) == (2, {Repair.STRAY_CLOSER: 1})


def test_an_excerpt_is_short(log: EventLog) -> None:
    log.repair(Repair.STRAY_CLOSER, "x" * 1000)
    assert log.take() == [Repaired(Repair.STRAY_CLOSER, "x" * EXCERPT)]


def test_without_parallel_only_the_first_call_is_emitted(buffer: Buffer) -> None:
    log = EventLog(buffer, Ledger(), parallel=False)
    others: list[Event] = [CallStart(1, "read"), ArgumentsDelta(1, "{}"), CallEnd(1), Text("x")]
    for event in CALL + others:
        log.emit(event)
    assert log.take() == [*CALL, Text("x")]


def test_what_is_behind_a_mark_waits(log: EventLog, buffer: Buffer) -> None:
    read(log, buffer, "sure ")
    mark = log.mark()
    read(log, buffer, "or not")
    buffer.feed(" yet")
    assert (log.take(), log.sure) == ([Text("sure ")], False)
    assert log.take() == []
    assert (log.pending, log.held) == ("or not yet", len("or not yet"))
    log.commit(mark)
    assert (log.take(), log.sure) == ([Text("or not")], True)
    assert (log.pending, log.held) == (" yet", 4)


def test_rolled_back_the_text_is_text(log: EventLog, buffer: Buffer) -> None:
    buffer.feed("a <x> \n ")
    log.text(buffer.take(2))
    mark = log.mark(Refused.NO_CALL)
    for event in CALL:
        log.emit(event)
    buffer.take(7)
    assert log.rollback(mark) == "<x> "
    assert log.take() == [Text("a <x> ")]
    assert (log.sure, log.ledger.calls, log.ledger.refused) == (True, 0, {Refused.NO_CALL: 1})
    assert buffer.unread == "\n "


def test_a_rollback_may_give_another_reason_or_none(log: EventLog, buffer: Buffer) -> None:
    mark = log.mark(Refused.NO_CALL)
    read(log, buffer, "x")
    log.rollback(mark, Refused.LIMIT)
    silent = log.mark()
    read(log, buffer, "y")
    log.rollback(silent, Refused.LIMIT)
    assert log.ledger.refused == {Refused.LIMIT: 1}
    assert log.take() == [Text("xy")]


def test_a_rollback_may_end_before_what_is_read_again(log: EventLog, buffer: Buffer) -> None:
    mark = log.mark(Refused.NO_CALL)
    buffer.feed("<x>\n<y>")
    buffer.take(7)
    assert log.rollback(mark, end=4) == "<x>"
    assert (log.take(), buffer.unread, buffer.position) == ([Text("<x>")], "\n<y>", 3)


@pytest.mark.parametrize("outer_is_kept", [True, False])
@pytest.mark.parametrize("inner_is_kept", [True, False])
def test_nested(outer_is_kept: bool, inner_is_kept: bool, log: EventLog, buffer: Buffer) -> None:
    outer = log.mark(Refused.NO_CALL)
    buffer.feed("ab")
    log.repair(Repair.DAMAGED_TAG, buffer.take(1))
    inner = log.mark(Refused.TRUNCATED)
    log.repair(Repair.STRAY_CLOSER, buffer.take(2))
    if inner_is_kept:
        log.commit(inner)
    else:
        assert log.rollback(inner) == "b"
    assert (log.take(), log.sure, log.pending) == ([], False, "ab")
    if outer_is_kept:
        log.commit(outer)
    else:
        assert log.rollback(outer) == "ab"
    a, b = Repaired(Repair.DAMAGED_TAG, "a"), Repaired(Repair.STRAY_CLOSER, "b")
    kept = [a, b if inner_is_kept else Text("b")]
    assert log.take() == (kept if outer_is_kept else [Text("ab")])
    assert (log.sure, log.pending) == (True, "")
    refused = [Refused.NO_CALL] * (not outer_is_kept) + [Refused.TRUNCATED] * (not inner_is_kept)
    assert sorted(log.ledger.refused.elements()) == sorted(refused)


def test_an_outer_mark_closes_the_inner_ones(log: EventLog, buffer: Buffer) -> None:
    outer = log.mark()
    read(log, buffer, "a")
    log.mark()
    read(log, buffer, "b")
    log.commit(outer)
    assert (log.sure, log.take()) == (True, [Text("ab")])


def test_a_mark_moves_with_the_events_that_are_taken(log: EventLog, buffer: Buffer) -> None:
    read(log, buffer, "a")
    read(log, buffer, "b")
    mark = log.mark(Refused.NO_CALL)
    assert log.take() == [Text("ab")]
    log.emit(CALL[0])
    read(log, buffer, "c")
    log.rollback(mark)
    assert log.take() == [Text("c")]


def test_what_tags_lacked_since_a_mark(log: EventLog) -> None:
    log.repair(Repair.DAMAGED_TAG, "before")
    mark = log.mark()
    assert (log.damaged_since(mark), log.mended_since(mark)) == (False, False)
    log.repair(Repair.MISSING_TOOL_CALL_OPEN, "harmless")
    assert (log.damaged_since(mark), log.mended_since(mark)) == (False, False)
    log.repair(Repair.STRAY_CLOSER, "mended, not damaged")
    assert (log.damaged_since(mark), log.mended_since(mark)) == (False, True)
    log.repair(Repair.DAMAGED_TAG, "no tool that nobody knows")
    assert (log.damaged_since(mark), log.mended_since(mark)) == (False, True)
    mark.why = Refused.UNDECLARED
    assert (log.damaged_since(mark), log.mended_since(mark)) == (True, True)
    mark.why = None
    log.repair(Repair.MISSING_PARAMETER_CLOSE, "damaged")
    assert (log.damaged_since(mark), log.mended_since(mark)) == (True, True)


def test_overdue_is_the_oldest_mark_past_the_limit(log: EventLog, buffer: Buffer) -> None:
    read(log, buffer, "x" * HELD)
    assert log.overdue is None
    oldest = log.mark()
    log.mark()
    read(log, buffer, "x" * HELD)
    assert log.overdue is None
    read(log, buffer, "x")
    assert log.overdue is oldest
