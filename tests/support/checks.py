"""Checks a case at many cuts, streamed and not: text, calls, exact repairs and refusals."""

import json
from collections.abc import Iterable

from qwenproxy.replay.casefile import Case
from support.cuts import Cuts, all_cuts, few_cuts
from support.outcome import Outcome, run


def parse(case: Case, pieces: Iterable[str], live: bool) -> Outcome:
    """Return the outcome of one cut of a case."""
    return run(
        pieces,
        case.request["tools"],
        case.finish,
        tool_choice=case.request["tool_choice"],
        recovery=case.recovery,
        parallel=case.parallel,
        reasoning=case.reasoning,
        live=live,
        rules=case.user_rules,
    )


def normal(calls: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return calls with normalised JSON: keys sorted, 5 and 5.0 still different."""
    return [(name, json.dumps(json.loads(arguments))) for name, arguments in calls]


def check(case: Case, cuts: Cuts) -> None:
    """Check a case streamed at these cuts, and not streamed at a few, because less depends on cuts there.
    The events must be the same, unless the answer was cut off inside a call."""
    whole = check_cuts(case, cuts, live=True)
    count = 10 if cuts is all_cuts else 4
    buffered = check_cuts(case, lambda text: few_cuts(text, count), live=False)
    if not case.open:
        assert buffered.events == whole.events


def check_cuts(case: Case, cuts: Cuts, live: bool) -> Outcome:
    """Check the case at these cuts."""
    first, *others = cuts(case.input)
    whole = parse(case, first, live)
    compare(case, whole, live)
    for pieces in others:
        outcome = parse(case, pieces, live)
        assert outcome.events == whole.events, f"cut into {pieces}"
        assert outcome.refused == whole.refused, f"cut into {pieces}"
    return whole


def compare(case: Case, outcome: Outcome, live: bool) -> None:
    streams = live and case.recovery != "strict"
    cut_off = case.open is not None and not streams
    assert outcome.text == (case.buffered if cut_off else case.text)
    assert normal(outcome.calls) == normal(case.calls)
    assert outcome.open_call == (None if cut_off else case.open)
    assert outcome.repairs == list(case.buffered_repairs if cut_off else case.repairs)
    assert outcome.refused == list(case.refused)
