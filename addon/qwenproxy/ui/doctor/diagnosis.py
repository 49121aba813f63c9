"""Judges the doctor's answers: a finding for each, a verdict on all. No IO.

An answer is read twice, as the server sent it and as the proxy would pass it on. Each time its flaws
are noted (`questions`). Together they give its state:

    right      nothing is wrong, and the proxy changes nothing
    leaked     a call is in the text
    damaged    the server parsed the call, and something about it is wrong
    no call    the model made no call where one was asked for
    cut        the token limit ended the answer
    error      the server answered with an error, broke off, or did not answer
    spoilt     the answer is right, and the proxy would change it: a bug of ours

A leaked or damaged answer counts as repaired if nothing is wrong with it after the proxy. A damaged answer
that is not repaired was lost before any proxy could help. If a model did something else than it was asked,
that is noted and does not count.

Other APIs of the same server are asked for one call only: they share the model, but not always the parser.

Each question is asked twice with temperature 0, streamed and not. A call that came only once was most
likely made both times, and the server lost it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from toolstream import Named, Refused, Repair

from ...apis import CHAT, MOST_TOKENS, Api
from ...replay.golden import Golden
from ...replay.outline import Message
from .engines import Engine, cures, refusing
from .questions import DAMAGE, Flaw, Question

HEALTHY, REPAIRED, UNASKED, LOST = range(4)  # exit codes

FILLED = {str(Repair.ENVELOPE)}  # the repair of events that lack what strict clients need; no call needs it

_LEAK = re.compile(r"</?tool_call|</?function\b|</?parameter\b|</?invoke\b|\"arguments\"\s*:")
_JSON_LEAK = re.compile(r"\{\s*\"name\"\s*:")


class State(Named):
    """The state of an answer, with the words for the table."""

    RIGHT = "right", "right"
    LEAKED = "leaked", "call as text"
    DAMAGED = "damaged", "damaged"
    NO_CALL = "no-call", "no call"
    CUT = "cut", "cut by the token limit"
    ERROR = "error", "error"
    SPOILT = "spoilt", "right"


class Kind(StrEnum):
    """The verdict in one word, for programs."""

    HEALTHY = "healthy"
    LEAKS = "leaks"
    DAMAGES = "damages"
    LEAKS_AND_DAMAGES = "leaks-and-damages"
    NO_CALLS = "no-calls"
    CUT = "cut"
    REFUSES_TOOLS = "refuses-tools"
    ERRORS = "errors"
    UNREACHABLE = "unreachable"
    PROXY = "qwen-fix"  # the server is a proxy already
    SPOILT = "spoilt"


NOTHING = Golden()


@dataclass(frozen=True, slots=True)
class Answer:
    """The response to a question. Status 0 means no answer; `error` says what went wrong."""

    question: Question
    is_stream: bool
    status: int = 200
    error: str = ""
    seconds: float = 0.0
    raw: Golden = NOTHING  # as the server sent it
    new: Golden = NOTHING  # as the proxy would pass it on
    api: Api = CHAT


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of an answer, and why."""

    answer: Answer
    state: State
    repaired: bool = False
    flaws: tuple[Flaw, ...] = ()  # the damage: what the proxy repairs, or else what it leaves
    odd: tuple[Flaw, ...] = ()  # how the model did something else than it was asked
    reason: str = ""  # in words, if the flaws do not say it

    @property
    def as_sent(self) -> str:
        """Return what the server sent, for the table."""
        match self.state:
            case State.DAMAGED:
                return f"{self.state.words}: {self.why}"
            case State.ERROR:
                return f"{self.state.words}: {self.reason}"
            case State.RIGHT if self.others:
                return f"well-formed: {_words(self.others)}"
            case _:
                return self.state.words

    @property
    def through(self) -> str:
        """Return what the proxy makes of it, for the table."""
        match self.state:
            case State.RIGHT:
                return "unchanged"
            case State.LEAKED | State.DAMAGED if self.repaired:
                return f"well-formed: {_words(self.others)}" if self.others else "right"
            case State.LEAKED:
                refused = [reason for reason in Refused if reason in self.answer.new.refused]
                return self.why or f"still text{': ' if refused else ''}{_words(refused)}"
            case State.SPOILT:
                return self.why
            case State.DAMAGED:
                return "lost"
            case _:
                return "the same"

    @property
    def why(self) -> str:
        """Say what is wrong: the names of the repairs if they suffice, else the flaws."""
        repairs = ", ".join(self.answer.new.repairs) if self.repaired else ""
        return self.reason or repairs or _words(self.flaws)

    @property
    def others(self) -> list[Flaw]:
        """Return how the model did something else than it was asked."""
        return [flaw for flaw in self.odd if flaw is not Flaw.LAST_BREAK]


def _words(named: Iterable[Named]) -> str:
    return ", ".join(one.words for one in named)


def find(answer: Answer) -> Finding:
    """Judge one answer."""
    raw, new = _message(answer.raw), _message(answer.new)
    before, after = (answer.question.flaws(message, answer.api) for message in (raw, new))
    damage, left, odd = _damage(before), _damage(after), _odd(after)
    error = answer.error or answer.raw.error
    if broken := _broken(answer, error, complete=bool(new.calls and not left)):
        return broken
    if _is_leak(answer, raw, new):
        came = len(new.calls) > len(raw.calls)
        return Finding(answer, State.LEAKED, came and not left, left, odd)
    spoilt = left or (Flaw.NO_CALL,) * (Flaw.NO_CALL in {*after} - {*before})
    if spoilt and not (error or damage):
        return Finding(answer, State.SPOILT, flaws=spoilt)
    if answer.question.calls and not raw.calls and not new.calls:
        return _without_call(answer, before, raw)
    if not (error or damage or _is_changed(answer.new)):
        return Finding(answer, State.RIGHT, odd=odd)
    repaired = not left and bool(new.calls or not answer.question.calls)
    return Finding(answer, State.DAMAGED, repaired, _remaining(damage, left), odd, error)


def _broken(answer: Answer, error: str, complete: bool) -> Finding | None:
    """Judge an answer that says nothing of the calls. `complete`: all calls came, in spite of an error."""
    if answer.new.crash:
        return Finding(answer, State.SPOILT, reason=answer.new.crash)
    if error and (not complete or answer.new.error):
        return Finding(answer, State.ERROR, reason=error)
    return Finding(answer, State.CUT) if _message(answer.raw).finish_reason == "length" else None


def _message(golden: Golden) -> Message:
    return golden.choices[0] if golden.choices else Message()


def _damage(flaws: Iterable[Flaw]) -> tuple[Flaw, ...]:
    return tuple(dict.fromkeys(flaw for flaw in flaws if flaw in DAMAGE))


def _is_changed(new: Golden) -> bool:
    return not new.unchanged and set(new.repairs) != FILLED


def _remaining(damage: tuple[Flaw, ...], left: tuple[Flaw, ...]) -> tuple[Flaw, ...]:
    return tuple(flaw for flaw in left if flaw in damage) or left or damage


def _odd(flaws: Iterable[Flaw]) -> tuple[Flaw, ...]:
    return tuple(dict.fromkeys(flaw for flaw in flaws if flaw not in DAMAGE))


def _is_leak(answer: Answer, raw: Message, new: Message) -> bool:
    """Whether a call is in the text. One that the proxy cannot read is recognised by its tags."""
    if "swallowed-call" in answer.new.repairs or answer.raw.error:
        return False
    is_short = len(raw.calls) < len(answer.question.calls)
    return len(new.calls) > len(raw.calls) or (is_short and bool(_LEAK.search(_texts(raw))))


def _texts(message: Message) -> str:
    return f"{message.reasoning}\n{message.content}"


def _without_call(answer: Answer, before: list[Flaw], raw: Message) -> Finding:
    """Judge an answer without the call that was asked for: the model made none, or the server lost it."""
    if Flaw.FINISH in before:
        reason = f"finish_reason {raw.finish_reason}, but no call"
        return Finding(answer, State.DAMAGED, False, (Flaw.NO_CALL,), reason=reason)
    if not raw.content.strip() and not raw.reasoning.strip():
        return Finding(answer, State.DAMAGED, False, (Flaw.NO_CALL,), reason="an empty answer")
    return Finding(answer, State.NO_CALL)


def findings(answers: Iterable[Answer]) -> list[Finding]:
    """Judge all answers."""
    found = [find(answer) for answer in answers]
    return [_compared(finding, found) for finding in found]


def _compared(finding: Finding, found: list[Finding]) -> Finding:
    """Compare a finding with that of the same question asked the other way, streamed or not."""
    is_short = finding.state is State.NO_CALL or Flaw.NO_CALL in finding.odd
    other = next((f for f in found if _is_other_way(f, finding)), None)
    if not is_short or other is None or Flaw.NO_CALL in other.odd or not _came_right(other):
        return finding
    reason = f"a call missing, which came when {'not ' if finding.answer.is_stream else ''}streamed"
    return replace(finding, state=State.DAMAGED, repaired=False, flaws=(Flaw.NO_CALL,), reason=reason, odd=())


def _is_other_way(one: Finding, other: Finding) -> bool:
    return one.answer.question is other.answer.question and one.answer.is_stream != other.answer.is_stream


def _came_right(finding: Finding) -> bool:
    return finding.state is State.RIGHT or finding.repaired


# The verdict


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with a server, and what to do."""

    kind: Kind
    exit_code: int
    said: list[str]  # the first line is the summary
    details: list[str] = field(default_factory=list)
    cures: list[str] = field(default_factory=list)
    needs_proxy: bool = False
    findings: list[Finding] = field(default_factory=list)
    others: list["Other"] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "verdict": str(self.kind),
            "exit_code": self.exit_code,
            "said": self.said,
            "details": self.details,
            "cures": self.cures,
            "needs_proxy": self.needs_proxy,
            "answers": [_plain(finding) for finding in self.findings],
            "apis": [other.as_dict() for other in self.others],
        }


def _plain(finding: Finding) -> dict[str, Any]:
    answer = finding.answer
    return {
        "question": answer.question.name,
        "streamed": answer.is_stream,
        "state": str(finding.state),
        "repaired": finding.repaired,
        "as_sent": finding.as_sent,
        "through": finding.through,
        "flaws": [str(flaw) for flaw in finding.flaws],
        "odd": [str(flaw) for flaw in finding.odd],
        "repairs": answer.new.repairs,
        "refused": answer.new.refused,
        "status": answer.status,
        "seconds": answer.seconds,
    }


@dataclass(frozen=True, slots=True)
class Other:
    """Another API of the server: what was found there; without findings it has none, or `error` says what it
    said."""

    api: Api
    findings: tuple[Finding, ...] = ()
    error: str = ""

    @property
    def bad(self) -> list[Finding]:
        """Return the answers in which a call leaked or was damaged."""
        return [f for f in self.findings if f.state in (State.LEAKED, State.DAMAGED, State.SPOILT)]

    @property
    def said(self) -> str:
        """Return a sentence about the API."""
        where = self.api.address
        if self.error:
            return f"{where} answers with an error: {self.error}."
        if not self.findings:
            return f"It does not serve {where}."
        if not self.bad:
            right = any(finding.state is State.RIGHT for finding in self.findings)
            filled = any(finding.answer.new.repairs.keys() >= FILLED for finding in self.findings)
            more = ", and the call came right there" if right else ""
            more += "; the proxy adds what strict clients miss in its events (envelope)" if filled else ""
            return f"It also serves {where}{more}."
        leaks = any(finding.state is State.LEAKED for finding in self.bad)
        count = f"{len(self.bad)} of {len(self.findings)} answers"
        return f"Calls {'leak' if leaks else 'are damaged'} on {where}, too: {count}. {_remedy(self.bad)}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "api": self.api.name,
            "served": bool(self.findings),
            "error": self.error,
            "answers": [_plain(finding) for finding in self.findings],
        }


def with_others(verdict: Verdict, others: list[Other], engine: Engine | None) -> Verdict:
    """Add what was found on the other APIs of the server."""
    bad = [finding for other in others for finding in other.bad]
    lost = any(not finding.repaired for finding in bad)
    leaks = any(finding.state is State.LEAKED for finding in bad)
    kind = verdict.kind
    if bad and kind is Kind.HEALTHY:
        kind = Kind.LEAKS if leaks else Kind.DAMAGES
    return replace(
        verdict,
        kind=kind,
        exit_code=max(verdict.exit_code, LOST if lost else REPAIRED if bad else HEALTHY),
        said=[*verdict.said, *(other.said for other in others if other.bad)],
        details=[*verdict.details, *(other.said for other in others if not other.bad)],
        cures=verdict.cures or (cures(engine, "leak" if leaks else "damage") if bad else []),
        needs_proxy=verdict.needs_proxy or any(finding.repaired for finding in bad),
        others=others,
    )


def unasked(kind: Kind, line: str) -> Verdict:
    """Return the verdict on a server that could not be asked."""
    return Verdict(kind, UNASKED, [line])


def refused(answer: Answer, without_tools: Answer, engine: Engine | None, backend: str) -> Verdict:
    """Return the verdict on a server that answers with errors. One answer is to a request without tools."""
    said = f"status {answer.status}: {answer.error}"
    known = refusing(answer.error)
    if known is None and (without_tools.error or without_tools.raw.error):
        return unasked(Kind.ERRORS, f"{backend} answers with an error: {said}")
    details = [
        "It answers without them." if not without_tools.error else "It does not answer without them, either."
    ]
    line = f"Your server refuses tools: {said}"
    return Verdict(Kind.REFUSES_TOOLS, LOST, [line], details, cures(known or engine, "tools"))


def verdict(found: list[Finding], engine: Engine | None) -> Verdict:
    """Return the verdict on a server that was asked everything."""
    leaked, damaged = _of(found, State.LEAKED), _of(found, State.DAMAGED)
    needing = [*leaked, *damaged]
    lost = [f for f in found if not _came_right(f)]
    return Verdict(
        _kind(found),
        LOST if lost else REPAIRED if needing else HEALTHY,
        _said(found),
        list(_details(found)),
        _cures(found, engine),
        any(finding.repaired for finding in found),
        found,
    )


def _of(found: list[Finding], state: State) -> list[Finding]:
    return [finding for finding in found if finding.state is state]


def _kind(found: list[Finding]) -> Kind:
    states = {finding.state for finding in found}
    with_calls = {finding.state for finding in found if finding.answer.question.calls}
    if State.SPOILT in states:
        return Kind.SPOILT
    if State.LEAKED in states:
        return Kind.LEAKS_AND_DAMAGES if State.DAMAGED in states else Kind.LEAKS
    if State.DAMAGED in states:
        return Kind.DAMAGES
    if State.ERROR in states:
        return Kind.ERRORS
    if State.RIGHT in with_calls:
        return Kind.HEALTHY
    return Kind.NO_CALLS if State.NO_CALL in with_calls else Kind.CUT


def _said(found: list[Finding]) -> list[str]:
    """Say what is wrong, worst first; or what is right, if nothing is wrong."""
    lines = [line for state, say in _SENTENCES.items() if (line := _sentence(found, state, say))]
    return [_parses(found), *lines] if _kind(found) is Kind.HEALTHY else lines


def _parses(found: list[Finding]) -> str:
    right = _of(found, State.RIGHT)
    well = "well-formed" if any(finding.others for finding in right) else "right"
    line = f"Your server parses tool calls itself: {len(right)} of {len(found)} answers were {well}."
    needless = " You do not need qwen-fix for it, but it does no harm."
    return line + (needless if len(right) == len(found) else "")


def _sentence(found: list[Finding], state: State, say: Callable[[list[Finding], str], str]) -> str:
    of = _of(found, state)
    return say(of, f"{len(of)} of {len(found)} answers") if of else ""


def _leaks(of: list[Finding], count: str) -> str:
    return f"Calls leak as text: {count}. {_remedy(of)}"


def _damages(of: list[Finding], count: str) -> str:
    return f"Your server's parser damages calls: {count}. {_remedy(of)}"


def _remedy(of: list[Finding]) -> str:
    repaired = sum(finding.repaired for finding in of)
    if repaired == len(of):
        return "The proxy repairs all of them." if repaired > 1 else "The proxy repairs it."
    return f"The proxy repairs {repaired} of them." if repaired else "The proxy cannot help there."


def _makes_none(of: list[Finding], count: str) -> str:
    return f"The model made no call where one was asked for: {count}."


def _is_cut(of: list[Finding], count: str) -> str:
    return f"The token limit cut {count}; {MOST_TOKENS} tokens were allowed."


def _fails(of: list[Finding], count: str) -> str:
    reasons = dict.fromkeys(finding.reason for finding in of)
    return f"Your server answers with errors: {count} ({'; '.join(reasons)})."


def _spoils(of: list[Finding], count: str) -> str:
    return f"qwen-fix itself would change right answers: {count}. Please report this, with a recording."


_SENTENCES: dict[State, Callable[[list[Finding], str], str]] = {
    State.SPOILT: _spoils,
    State.LEAKED: _leaks,
    State.DAMAGED: _damages,
    State.NO_CALL: _makes_none,
    State.ERROR: _fails,
    State.CUT: _is_cut,
}


def _details(found: list[Finding]) -> Iterator[str]:
    leaked, damaged = _of(found, State.LEAKED), _of(found, State.DAMAGED)
    if leaked and all(finding.answer.is_stream for finding in leaked):
        yield "Only streamed answers leak."
    if repaired := [finding for finding in damaged if finding.repaired]:
        yield f"The proxy repairs: {_listed(repaired)}."
    if lost := [finding for finding in damaged if not finding.repaired]:
        yield f"Lost before any proxy can help: {_listed(lost)}."
    if odd := [finding for finding in found if finding.others]:
        what = dict.fromkeys(flaw for finding in odd for flaw in finding.others)
        yield f"In {len(odd)} answers the model did something else than it was asked: {_words(what)}."
    if broken := [finding for finding in found if Flaw.LAST_BREAK in finding.odd]:
        strips = "" if broken == _of(broken, State.LEAKED) else "the server strips line breaks, or "
        yield f"The line break at the end of the file is missing: {strips}the model left it out."


def _listed(found: list[Finding]) -> str:
    """Say what is wrong, each with its questions."""
    where: dict[str, list[Answer]] = {}
    for finding in found:
        where.setdefault(_explained(finding), []).append(finding.answer)
    return "; ".join(f"{what} ({_places(answers)})" for what, answers in where.items())


def _explained(finding: Finding) -> str:
    """Say what is wrong; a repair by its name and in words."""
    repairs = [f"{r}: {r.words}" for r in Repair if r in finding.answer.new.repairs and finding.repaired]
    return finding.reason or ", ".join(repairs) or _words(finding.flaws)


def _places(answers: list[Answer]) -> str:
    ways: dict[str, list[str]] = {}
    for answer in answers:
        ways.setdefault(answer.question.name, []).append("streamed" if answer.is_stream else "not streamed")
    return ", ".join(name if len(how) > 1 else f"{name} {how[0]}" for name, how in ways.items())


def _cures(found: list[Finding], engine: Engine | None) -> list[str]:
    leaked, damaged = _of(found, State.LEAKED), _of(found, State.DAMAGED)
    if leaked:
        is_json = any(_JSON_LEAK.search(_texts(_message(finding.answer.raw))) for finding in leaked)
        return cures(engine, "leak", is_json) + (cures(engine, "damage") if damaged and engine else [])
    if damaged:
        return cures(engine, "damage")
    if _kind(found) is Kind.NO_CALLS:
        return cures(engine, "tools")
    known = [known for finding in _of(found, State.ERROR) if (known := refusing(finding.reason))]
    return cures(known[0], "tools") if known else []
