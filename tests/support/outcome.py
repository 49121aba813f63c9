"""What became of a text: the parser is fed, its events are checked, and what they say is gathered.

Where one `Text` or `ArgumentsDelta` ends and the next begins says nothing, so adjacent ones
are merged; everything else about the sequence of events counts, and must be the same however
the text was cut.
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
    """The text, the complete calls as (name, JSON), and the call that was left open, if one was."""

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
    """Feed the pieces to a new parser and close it; `options` are the parser's."""
    parser = ToolCallParser(tools, **options)
    events = [event for piece in pieces for event in parser.feed(piece)] + parser.close(finish)
    assert parser.pending == "", f"still pending after close: {parser.pending!r}"
    outcome = gather(events)
    ledger = parser.ledger
    assert ledger.calls == len(outcome.calls), "the ledger counts the complete calls"
    assert sorted(ledger.repairs.elements()) == sorted(outcome.repairs), "the ledger counts the repairs"
    return replace(outcome, refused=[str(reason) for reason in sorted(ledger.refused.elements())])


def gather(events: list[Event]) -> Outcome:
    """What legal events say; AssertionError if they are not."""
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
    """One call at a time, numbered from 0, and nothing of a call outside of it."""
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
    """The events, adjacent ones of text and of arguments merged, without the excerpts."""
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
    """The text alone."""
    return "".join(event.text for event in events if isinstance(event, Text))
