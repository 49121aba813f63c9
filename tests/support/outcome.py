"""The outcome of a text: feeds the parser, checks its events, and collects what they say.

The boundaries between `Text` or `ArgumentsDelta` events mean nothing, so adjacent ones are merged.
Everything else about the sequence of events matters, and must be the same however the text was cut.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from toolstream import ToolCallParser
from toolstream.events import (
    ArgumentsDelta,
    CallEnd,
    CallStart,
    Event,
    Repaired,
    Text,
)


@dataclass(frozen=True)
class Outcome:
    """The text, the complete calls as (name, JSON), and the call that was left open, if any."""

    events: list[Event]
    text: str
    calls: list[tuple[str, str]]
    open_call: tuple[str, str] | None
    repairs: list[str]
    refused: list[str]


@dataclass
class _Call:
    name: str
    fragments: list[str] = field(default_factory=list)
    ended: bool = False


def run(pieces: Iterable[str], tools: Any, finish: str | None = "stop", **options: Any) -> Outcome:
    """Feed the pieces to a new parser with these options, and close it."""
    parser = ToolCallParser(tools, **options)
    events = [event for piece in pieces for event in parser.feed(piece)] + parser.close(finish)
    assert parser.pending == "", f"still pending after close: {parser.pending!r}"
    outcome = gather(events)
    ledger = parser.ledger
    assert ledger.calls == len(outcome.calls), "the ledger counts the complete calls"
    assert sorted(ledger.repairs.elements()) == sorted(outcome.repairs), "the ledger counts the repairs"
    return replace(outcome, refused=[str(reason) for reason in sorted(ledger.refused.elements())])


def gather(events: list[Event]) -> Outcome:
    """Collect what the events say. Raises AssertionError if their order is not legal."""
    calls: list[_Call] = []
    for event in events:
        _check(event, calls)
        match event:
            case CallStart(_, name):
                calls.append(_Call(name))
            case ArgumentsDelta(_, fragment):
                calls[-1].fragments.append(fragment)
            case CallEnd():
                calls[-1].ended = True
    complete = [(call.name, "".join(call.fragments)) for call in calls if call.ended]
    for _, arguments in complete:
        assert isinstance(json.loads(arguments), dict), "arguments are one JSON object"
    open_calls = [(call.name, "".join(call.fragments)) for call in calls if not call.ended]
    return Outcome(
        merged(events),
        "".join(e.text for e in events if isinstance(e, Text)),
        complete,
        open_calls[0] if open_calls else None,
        [str(e.repair) for e in events if isinstance(e, Repaired)],
        [],
    )


def _check(event: Event, calls: list[_Call]) -> None:
    """Check that one call is open at a time, numbered from 0, with nothing of a call outside it."""
    is_open = bool(calls) and not calls[-1].ended
    match event:
        case CallStart(index, name):
            assert not is_open, "a call begins inside of a call"
            assert index == len(calls), "calls are numbered without a gap"
            assert name, "a call has a name"
        case ArgumentsDelta(index, fragment):
            assert is_open, "arguments outside of a call"
            assert index == len(calls) - 1, "arguments belong to the call that is open"
            assert fragment, "no empty fragments"
        case CallEnd(index):
            assert is_open, "an end without a call"
            assert index == len(calls) - 1, "the call that ends is the one that is open"
        case Text(text):
            assert text, "no empty texts"


def merged(events: Iterable[Event]) -> list[Event]:
    """Return the events without excerpts, adjacent texts and arguments merged."""
    out: list[Event] = []
    for event in events:
        match out[-1] if out else None, event:
            case Text(before), Text(text):
                out[-1] = Text(before + text)
            case ArgumentsDelta(index, before), ArgumentsDelta(_, fragment):
                out[-1] = ArgumentsDelta(index, before + fragment)
            case _, Repaired(repair):
                out.append(Repaired(repair))
            case _:
                out.append(event)
    return out


def text_of(events: Iterable[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))
