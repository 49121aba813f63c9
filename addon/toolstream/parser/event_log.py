"""The events of the parser: emitted at once, or once a trial has shown whether they are a call or text.

A call on trial is parsed like any other. Its events wait beside the raw text until one of the two is
emitted. The ledger counts only what is emitted.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..events import CallEnd, Event, Repaired, Text
from ..limits import EXCERPT
from ..repairs import Ledger, Refused, Repair

# What a call must not need that is certain only because it is complete
_DAMAGE = frozenset(
    {Repair.MISSING_PARAMETER_CLOSE, Repair.MISSING_FUNCTION_CLOSE, Repair.MISSING_TOOL_CALL_CLOSE}
    | {Repair.MISSING_PARAMETER_OPEN, Repair.DAMAGED_TAG, Repair.JSON_REPAIRED, Repair.NAME_INFERRED}
)
# What a call may need that is written as the template asks: <tool_call> is optional, and these are
# about what stands around it, or what its values say
_HARMLESS = frozenset(
    {Repair.MISSING_TOOL_CALL_OPEN, Repair.ORPHAN_THINK_CLOSE, Repair.PARALLEL_DROPPED}
    | {Repair.REPEATED_PARAMETER, Repair.COERCION_FAILED}
    | {Repair.RULE_DEFAULT, Repair.RULE_CONVERTED, Repair.RULE_REMOVED, Repair.RULE_TOOL}
)


@dataclass(slots=True)
class Trial:
    """A call that may still turn out to be text: its events, and all text since it began."""

    at_end: bool  # certain only if the message ends after it; else once it is complete
    refused: Refused | None  # why, if it turns out to be text; None if that is no news
    blanks: str  # before the call
    calls: int  # of the message before it
    raw: list[str]
    size: int = 0
    events: list[Event] = field(default_factory=list)
    json_at: int = 0  # in the text: where calls in JSON begin that follow another call

    @property
    def damaged(self) -> bool:
        """Whether tags were missing or broken."""
        return any(isinstance(e, Repaired) and e.repair in _DAMAGE for e in self.events)

    @property
    def mended(self) -> bool:
        """Whether its tags are not what the template asks for."""
        return any(isinstance(e, Repaired) and e.repair not in _HARMLESS for e in self.events)


class EventLog:
    """The events of one message. Without `parallel` only the first call is emitted."""

    __slots__ = ("_events", "_parallel", "ledger", "trial")

    def __init__(self, ledger: Ledger, parallel: bool) -> None:
        self.ledger = ledger
        self.trial: Trial | None = None
        self._parallel = parallel
        self._events: list[Event] = []

    def emit(self, event: Event) -> None:
        """Emit an event, now or after the trial."""
        if self.trial:
            self.trial.events.append(event)
        elif isinstance(event, Repaired):
            self._events.append(event)
            self.ledger.repaired(event.repair)
        elif isinstance(event, Text) or self._parallel or event.index == 0:
            self._events.append(event)
            self.ledger.calls += isinstance(event, CallEnd)

    def emit_all(self, events: Iterable[Event]) -> None:
        """Emit all of them."""
        for event in events:
            self.emit(event)

    def text(self, text: str) -> None:
        """Emit text, if there is any."""
        if text:
            self.emit(Text(text))

    def repair(self, repair: Repair, excerpt: str) -> None:
        """Emit that something was mended."""
        self.emit(Repaired(repair, excerpt[:EXCERPT]))

    def accept(self) -> None:
        """What was on trial is a call."""
        trial, self.trial = self.trial, None
        self.emit_all(trial.events if trial else ())

    def reject(self, refused: Refused | None, text: str) -> Trial:
        """What was on trial is `text`; why goes into the ledger, unless that is no news."""
        trial, self.trial = self.trial, None
        assert trial
        if trial.refused:
            self.ledger.refuse(refused or trial.refused, text)
        return trial

    def take(self) -> list[Event]:
        """What is certain by now."""
        events, self._events = self._events, []
        return events
