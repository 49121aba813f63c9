"""The verdict on a server: what the findings come to, in words, and what to do. No IO.

All answers of chat completions are judged together (`verdict`). The summary has a sentence for each state
that is not right, worst first; or it says what is right. Details follow: what the proxy repairs, what is
lost, and how the model did something else than it was asked. The cures come from the table of `engines`.

Other APIs of the same server are asked for one call only: they share the model, but not always the parser.
What was found there is added afterwards (`with_others`). It can make a verdict worse, never better.

How a single answer is judged is in `findings`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from toolstream import Repair

from ...apis import MOST_TOKENS, Api
from .engines import Engine, cures, refusing
from .findings import FILLED, Answer, Finding, State, in_words
from .questions import Flaw

NAMED = 8  # models
HEALTHY, REPAIRED, UNASKED, LOST = range(4)  # exit codes


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
    if bad := [finding for other in others for finding in other.bad]:
        verdict = _worse(verdict, bad, engine)
    return replace(
        verdict,
        said=[*verdict.said, *(other.said for other in others if other.bad)],
        details=[*verdict.details, *(other.said for other in others if not other.bad)],
        others=others,
    )


def _worse(verdict: Verdict, bad: list[Finding], engine: Engine | None) -> Verdict:
    """Return a verdict that these findings of another API make worse."""
    lost, leaks = any(not f.repaired for f in bad), any(f.state is State.LEAKED for f in bad)
    kind = Kind.LEAKS if leaks else Kind.DAMAGES
    return replace(
        verdict,
        kind=kind if verdict.kind is Kind.HEALTHY else verdict.kind,
        exit_code=max(verdict.exit_code, LOST if lost else REPAIRED),
        cures=verdict.cures or cures(engine, "leak" if leaks else "damage"),
        needs_proxy=verdict.needs_proxy or any(finding.repaired for finding in bad),
    )


def unasked(kind: Kind, line: str) -> Verdict:
    """Return the verdict on a server that could not be asked."""
    return Verdict(kind, UNASKED, [line])


def unlisted(model: str, listed: list[str]) -> str:
    """Say that the server does not list a model; empty if it does, or lists none. Ollama adds `:latest`."""
    if not model or not listed or {model, f"{model}:latest"} & {*listed}:
        return ""
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return f"The server lists no model {model}. It lists {', '.join(listed[:NAMED])}{more}."


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
    lost = [f for f in found if not f.came_right]
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


# The worst first: what is found where this is wrong
_KINDS = {
    Kind.SPOILT: {State.SPOILT},
    Kind.LEAKS_AND_DAMAGES: {State.LEAKED, State.DAMAGED},
    Kind.LEAKS: {State.LEAKED},
    Kind.DAMAGES: {State.DAMAGED},
    Kind.ERRORS: {State.ERROR},
}


def _kind(found: list[Finding]) -> Kind:
    states = {finding.state for finding in found}
    for kind, of_kind in _KINDS.items():
        if of_kind <= states:
            return kind
    with_calls = {finding.state for finding in found if finding.answer.question.calls}
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
    yield from _of_the_model(found)


def _of_the_model(found: list[Finding]) -> Iterator[str]:
    """Say what the model did, and no parser."""
    if odd := [finding for finding in found if finding.others]:
        what = dict.fromkeys(flaw for finding in odd for flaw in finding.others)
        yield f"In {len(odd)} answers the model did something else than it was asked: {in_words(what)}."
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
    return finding.reason or ", ".join(repairs) or in_words(finding.flaws)


def _places(answers: list[Answer]) -> str:
    ways: dict[str, list[str]] = {}
    for answer in answers:
        ways.setdefault(answer.question.name, []).append("streamed" if answer.is_stream else "not streamed")
    return ", ".join(name if len(how) > 1 else f"{name} {how[0]}" for name, how in ways.items())


def _cures(found: list[Finding], engine: Engine | None) -> list[str]:
    leaked, damaged = _of(found, State.LEAKED), _of(found, State.DAMAGED)
    if leaked:
        is_json = any(finding.is_json for finding in leaked)
        return cures(engine, "leak", is_json) + (cures(engine, "damage") if damaged and engine else [])
    if damaged:
        return cures(engine, "damage")
    if _kind(found) is Kind.NO_CALLS:
        return cures(engine, "tools")
    known = [known for finding in _of(found, State.ERROR) if (known := refusing(finding.reason))]
    return cures(known[0], "tools") if known else []
