"""Judges each of the doctor's answers: its state, and why. No IO.

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

Each question is asked twice with temperature 0, streamed and not. A call that came only once was most
likely made both times, and the server lost it.

What the findings say about the server is in `diagnosis`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from toolstream import Named, Refused, Repair

from ...apis import CHAT, Api
from ...replay.golden import Golden
from ...replay.outline import Message
from .questions import DAMAGE, Flaw, Question

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
                return f"well-formed: {in_words(self.others)}"
            case _:
                return self.state.words

    @property
    def through(self) -> str:
        """Return what the proxy makes of it, for the table."""
        match self.state:
            case State.RIGHT:
                return "unchanged"
            case State.LEAKED | State.DAMAGED if self.repaired:
                return f"well-formed: {in_words(self.others)}" if self.others else "right"
            case State.LEAKED:
                return self.why or self._still_text
            case State.SPOILT:
                return self.why
            case State.DAMAGED:
                return "lost"
            case _:
                return "the same"

    @property
    def _still_text(self) -> str:
        refused = [reason for reason in Refused if reason in self.answer.new.refused]
        return f"still text{': ' if refused else ''}{in_words(refused)}"

    @property
    def why(self) -> str:
        """Say what is wrong: the names of the repairs if they suffice, else the flaws."""
        repairs = ", ".join(self.answer.new.repairs) if self.repaired else ""
        return self.reason or repairs or in_words(self.flaws)

    @property
    def others(self) -> list[Flaw]:
        """Return how the model did something else than it was asked."""
        return [flaw for flaw in self.odd if flaw is not Flaw.LAST_BREAK]

    @property
    def came_right(self) -> bool:
        """Whether the answer is right, as the server sent it or repaired."""
        return self.state is State.RIGHT or self.repaired

    @property
    def is_json(self) -> bool:
        """Whether a JSON call begins in the text that the server sent."""
        return bool(_JSON_LEAK.search(_texts(_message(self.answer.raw))))


def in_words(named: Iterable[Named]) -> str:
    """Return the words of repairs, flaws or refusals, separated by commas."""
    return ", ".join(one.words for one in named)


def find(answer: Answer) -> Finding:
    """Judge one answer."""
    raw, new = _message(answer.raw), _message(answer.new)
    before, after = (answer.question.flaws(message, answer.api) for message in (raw, new))
    damage, left, odd = _damage(before), _damage(after), _odd(after)
    error = answer.error or answer.raw.error
    is_wrong = bool(error or damage)
    if broken := _broken(answer, error, complete=bool(new.calls and not left)):
        return broken
    if _is_leak(answer, raw, new):
        came = len(new.calls) > len(raw.calls)
        return Finding(answer, State.LEAKED, came and not left, left, odd)
    if not is_wrong and (spoilt := left or _lost_call(before, after)):
        return Finding(answer, State.SPOILT, flaws=spoilt)
    if answer.question.calls and not (raw.calls or new.calls):
        return _without_call(answer, before, raw)
    if not (is_wrong or _is_changed(answer.new)):
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


def _lost_call(before: list[Flaw], after: list[Flaw]) -> tuple[Flaw, ...]:
    return (Flaw.NO_CALL,) if Flaw.NO_CALL in after and Flaw.NO_CALL not in before else ()


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
    if not is_short or other is None or Flaw.NO_CALL in other.odd or not other.came_right:
        return finding
    reason = f"a call missing, which came when {'not ' if finding.answer.is_stream else ''}streamed"
    return replace(finding, state=State.DAMAGED, repaired=False, flaws=(Flaw.NO_CALL,), reason=reason, odd=())


def _is_other_way(one: Finding, other: Finding) -> bool:
    return one.answer.question is other.answer.question and one.answer.is_stream != other.answer.is_stream
