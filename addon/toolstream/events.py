"""What the parser says happened, in the order it happened.

Adjacent `Text` events, and adjacent `ArgumentsDelta` events of one call, may be split anywhere: where one
ends says nothing about the text. `index` numbers the calls of one message from 0. Nobody changes an event;
they are not frozen because one is made for each piece, and a frozen one takes three times as long.
"""

from dataclasses import dataclass

from .repairs import Repair

# The finish_reasons of a model that stopped by itself
COMPLETE = frozenset({"stop", "tool_calls", "function_call", "eos"})

# The finish_reason of a message that is over, but may have been cut off: nothing unfinished is completed
OVER = "over"


@dataclass(slots=True, unsafe_hash=True)
class Text:
    """Text outside of calls, verbatim."""

    text: str


@dataclass(slots=True, unsafe_hash=True)
class CallStart:
    """A call has begun. `name` is the declared name of its tool, or an undeclared one as the model wrote
    it."""

    index: int
    name: str


@dataclass(slots=True, unsafe_hash=True)
class ArgumentsDelta:
    """A piece of the call's arguments; the pieces joined are one JSON object."""

    index: int
    fragment: str


@dataclass(slots=True, unsafe_hash=True)
class CallEnd:
    """The call is complete: its fragments form a JSON object."""

    index: int


@dataclass(slots=True, unsafe_hash=True)
class Repaired:
    """Something was repaired here. `excerpt` is the beginning of the text it was found in."""

    repair: Repair
    excerpt: str = ""


Event = Text | CallStart | ArgumentsDelta | CallEnd | Repaired


def calls_of(events: list[Event]) -> list[tuple[str, str]]:
    """The complete calls of a message as (name, arguments), in order."""
    calls: list[tuple[str, str]] = []
    for event in events:
        match event:
            case CallStart(_, name):
                calls.append((name, ""))
            case ArgumentsDelta(_, fragment):
                calls[-1] = calls[-1][0], calls[-1][1] + fragment
    ended = sum(isinstance(event, CallEnd) for event in events)
    return calls[:ended]
