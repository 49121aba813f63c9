"""Says what was done to an answer, in words and as a marker, for the log, the flow list and the status page.

write, bash · call without <tool_call>                        repaired
would call write · would repair: call without <tool_call>     only observed
read · as the server sent it                                  nothing to do
no call · left as text: in code, a quotation, a table or a comment
not read: content-type text/html                              no answer that can be read
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from toolstream import Ledger, Refused

from ..apis import CHAT
from ..outcome import Outcome
from ..terminal import printable
from .report import CUT, FAULTS, Kind, Report

FAILED = ":red_circle:"
REPAIRED = ":wrench:"
REFUSED = ":eyes:"

UNFINISHED = "call sent unfinished, so that nobody runs it"
LEAKED = "call as text"  # a leaked call without other damage
SHOWN_TOOLS = 5


def line(report: Report) -> str:
    """Return the line of the log for a chat."""
    status = str(report.status) if report.status else "no answer"
    parts = (report.client, report.api, report.model, status, said(report), duration(report.seconds))
    return printable(" · ".join(filter(None, parts)))


def comment(report: Report) -> str:
    """Return the comment for the flow list. Its column is narrow, so the model comes last, and the API only
    if it is not the usual one."""
    api = "" if report.api == CHAT.name else report.api
    return printable(" · ".join(filter(None, (said(report), report.model, api))))


def said(report: Report) -> str:
    """Say which tools are called, and what was done."""
    return printable(" · ".join(filter(None, (_tools(report), done(report)))))


def _tools(report: Report) -> str:
    told = report.tools if report.told is None else report.told
    would = list((Counter(report.tools) - Counter(told)).elements())
    called = filter(None, (_listed(told), f"would call {_listed(would)}" if would else ""))
    nothing = "" if report.down or report.status >= 400 or report.kind == Kind.NOT_READ else _no_call(report)
    return " · ".join(called) or nothing


def _listed(names: Sequence[str]) -> str:
    more = [f"{len(names) - SHOWN_TOOLS} more"] if len(names) > SHOWN_TOOLS else []
    return ", ".join([*names[:SHOWN_TOOLS], *more])


def _no_call(report: Report) -> str:
    if report.with_tools:
        return "no call"
    return f"no tools ({report.why_no_tools})" if report.why_no_tools else "no tools"


def done(report: Report) -> str:
    """Say what was or would have been done, what was left, and what went wrong."""
    ledger = report.ledger
    repaired = words_of(ledger.repairs) or (LEAKED if ledger.calls else "")
    parts = (
        _after("would repair: " if report.observed else "", repaired),
        _after("left as text: ", words_of(left_as_text(report))),
        words_of(_faults(ledger)),
        UNFINISHED if report.unfinished else "",
        "cut off at the token limit" if report.truncated else "",
        _after("the rewriter failed, the rest was passed through unchanged: ", _last_line(ledger)),
        "the server sent no finish_reason" if report.is_endless and not report.aborted else "",
        f"not read: {report.unread}" if report.kind == Kind.NOT_READ else "",
        _after("broke off: ", report.aborted),
        _after("the server's error: " if report.status else "the server gave no answer: ", report.down),
    )
    return "; ".join(filter(None, parts))


def _faults(ledger: Ledger) -> dict[Refused, int]:
    return {reason: n for reason, n in ledger.refused.items() if reason in FAULTS}


def _after(intro: str, text: str) -> str:
    return intro + text if text else ""


def left_as_text(report: Report) -> Counter[Refused]:
    """Return the reasons for which candidates stayed text. The library has the same reasons for a call whose
    beginning had already been sent."""
    left = Counter({reason: n for reason, n in report.ledger.refused.items() if reason not in FAULTS})
    sent = report.unfinished
    for reason in CUT:
        taken = min(sent, left[reason])
        left[reason], sent = left[reason] - taken, sent - taken
    return +left


def words_of(names: Mapping[Any, int]) -> str:
    """Return counts in words, ordered by name: `call without <tool_call>, damaged tag x2`."""
    return ", ".join(name.words if n == 1 else f"{name.words} x{n}" for name, n in sorted(names.items()))


def duration(seconds: float) -> str:
    """7 ms, 1.5 s, 3 min, 2 h 5 min"""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds >= 1 else f"{max(0, round(seconds * 1000))} ms"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _last_line(ledger: Ledger) -> str:
    return "".join(ledger.failure.strip().splitlines()[-1:])


def marker(ledger: Ledger) -> str:
    """Return the marker for the flow list, the worst first; empty if there is nothing to mark."""
    if ledger.failure:
        return FAILED
    if ledger.repairs or ledger.calls:
        return REPAIRED
    return REFUSED if ledger.refused else ""


def word(outcome: Outcome, status: int = 200) -> str:
    """Return the outcome in one word, for the name of a recording."""
    if outcome.aborted:
        return "aborted"
    if status >= 400:
        return "error"
    found = marker(outcome.ledger)
    return {FAILED: "failed", REPAIRED: "repaired", REFUSED: "refused"}.get(found, "passed")
