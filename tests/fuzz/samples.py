"""What the three gates are made of: a text, what has to become of it, and the judgement of what does.

`slips`, `documents` and `soup` write samples. Here each is run whole, character by character, in pieces of
four and cut at random, streamed and not. All must give the same events. Only a call that is left open when
the answer ends is text for a caller that does not stream (P9).
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

from support.cases import read_tool
from support.cuts import at_random, cut_at, joined, per_character, units
from support.outcome import Outcome, run

Named = tuple[str, Any]


class Verdict(StrEnum):
    """What became of a sample, the worst last."""

    EXACT = "exact"
    LEFT = "call, and text left over"
    TEXT = "all text"
    WRONG = "wrong call"
    UNSAFE = "part of a call can be executed"
    LOST = "characters lost"
    CUT = "depends on the cut"
    RAISED = "exception"


SERIOUS = {Verdict.UNSAFE, Verdict.LOST, Verdict.CUT, Verdict.RAISED}  # findings, however rare


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, and what there is to say for it."""

    verdict: Verdict
    note: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """A text, and what it has to come to: `row` is where it counts, `about` what was done to it."""

    row: str
    text: str
    tools: tuple[str, ...]  # as in a case file
    calls: tuple[Named, ...] = ()
    left: str = ""
    finish: str | None = "stop"
    options: dict[str, Any] = field(default_factory=dict)
    about: str = ""
    check: "Callable[[Sample, Outcome], Judged] | None" = None  # in place of calls and left
    core: str = ""  # the part that may be shortened, and the sample with another one
    remake: "Callable[[str], Sample | None] | None" = None
    judged_by: "Callable[[Sample], Judged] | None" = None  # in place of the parser's judge

    def run(self, pieces: Sequence[str], live: bool = True) -> Outcome:
        return run(pieces, declared(self.tools), self.finish, live=live, **self.options)


@lru_cache
def declared(tools: tuple[str, ...]) -> list[dict[str, Any]]:
    """The tools as a request declares them."""
    return [read_tool(line) for line in tools]


def cuts(text: str, seed: int) -> Iterator[list[str]]:
    """Every kind of cut but none at all."""
    yield per_character(text)
    yield cut_at(text, range(4, len(units(text)), 4))
    yield from at_random(text, 1, seed)


def judge(sample: Sample, seed: int = 0) -> Judged:
    """Run a sample at all kinds of cuts."""
    if sample.judged_by:
        return sample.judged_by(sample)
    try:
        whole = sample.run([joined(sample.text)])
        for pieces in cuts(sample.text, seed):
            if different := difference(whole, sample.run(pieces)):
                return Judged(Verdict.CUT, different)
        buffered = sample.run([joined(sample.text)], live=False)
        if whole.open_call is None and (different := difference(whole, buffered)):
            return Judged(Verdict.CUT, f"not streamed: {different}")
    except Exception as error:  # an engine may raise whatever it likes
        return Judged(Verdict.RAISED, f"{type(error).__name__}: {error}")
    check = sample.check or expected
    judged = check(sample, whole)
    return check(sample, buffered) if judged.verdict is Verdict.EXACT else judged


def expected(sample: Sample, outcome: Outcome) -> Judged:
    """Compare with what a sample has to come to."""
    calls = [(name, json.loads(arguments)) for name, arguments in outcome.calls]
    right = normal(calls) == normal(sample.calls or ())
    if right and outcome.open_call is None and outcome.text == sample.left:
        return Judged(Verdict.EXACT)
    note = said(outcome)
    if right and calls:
        return Judged(Verdict.LEFT, note)
    if not calls and outcome.open_call is None and outcome.text == sample.text:
        return Judged(Verdict.TEXT, note)
    return Judged(Verdict.WRONG, note)


def normal(calls: Sequence[Named]) -> list[tuple[str, str]]:
    """JSON written alike, so that 5 and 5.0 differ."""
    return [(name, json.dumps(arguments)) for name, arguments in calls]


def said(outcome: Outcome) -> str:
    open_call = f" open {outcome.open_call}" if outcome.open_call else ""
    return f"text {outcome.text!r} calls {outcome.calls}{open_call} repairs {outcome.repairs}"


def difference(one: Outcome, other: Outcome) -> str:
    """In what two outcomes differ; empty if they are the same."""
    if (one.events, one.refused) == (other.events, other.refused):
        return ""
    if (one.text, one.calls, one.open_call) == (other.text, other.calls, other.open_call):
        return f"repairs {one.repairs} refused {one.refused}\n      or {other.repairs} {other.refused}"
    return f"{said(one)}\n      or {said(other)}"
