"""One chat that is over, as its user sees it: what the log, the counts, mitmweb and the status page go by."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from toolstream.repairs import Ledger, Refused

from ..replay.golden import outline_of

MOST_TOOLS = 20  # names kept of one answer
LONGEST_NAME = 60  # characters of a name that a client, or a model, has chosen

# Reasons to leave a candidate that was a call all the same. The others are for quotations, drafts and prose,
# and for the server's own calls.
LEAKS = frozenset(
    (
        *(Refused.UNDECLARED, Refused.NAMELESS, Refused.TRUNCATED),
        *(Refused.UNCLEAR_END, Refused.INVALID_JSON, Refused.LIMIT),
    )
)


class Kind(StrEnum):
    """How a chat went; each has one. Of several the first holds that is true."""

    BACKEND_ERROR = "backend-error"  # no answer came, or one with an error status
    FAILED_OPEN = "failed-open"  # the rewriter failed, and the rest passed as it came
    BROKEN_OFF = "broken-off"
    LEFT = "left"  # a call stayed text
    MENDED = "mended"
    WOULD_MEND = "would-mend"  # observed only
    PASSED = "passed"


@dataclass(frozen=True, slots=True)
class Report:
    """One chat. Names are fit to print; `tools` are those the client was told to call, or would have been."""

    started: float  # Unix time
    seconds: float
    client: str
    api: str
    model: str
    status: int  # that the client got; 0 if none
    streamed: bool
    with_tools: bool
    observed: bool
    tools: tuple[str, ...]
    truncated: bool  # finish_reason: length
    ledger: Ledger
    aborted: str = ""  # why the answer broke off
    down: str = ""  # why the server gave no answer

    @property
    def kind(self) -> Kind:
        ledger = self.ledger
        changed = bool(ledger.repairs or ledger.calls)
        if self.down or (self.status >= 400 and not changed):
            return Kind.BACKEND_ERROR
        if ledger.failure:
            return Kind.FAILED_OPEN
        if self.aborted:
            return Kind.BROKEN_OFF
        if self.left:
            return Kind.LEFT
        if changed:
            return Kind.WOULD_MEND if self.observed else Kind.MENDED
        return Kind.PASSED

    @property
    def left(self) -> bool:
        """Whether a call stayed text that was hardly meant to."""
        return not LEAKS.isdisjoint(self.ledger.refused)

    @property
    def leaked(self) -> bool:
        """Whether the answer had a call in its text, be it mended or left."""
        return bool(self.ledger.calls) or self.left

    @property
    def damaged(self) -> bool:
        """Whether nothing leaked, but something the server or the client had made had to be repaired."""
        return bool(self.ledger.repairs) and not self.leaked


def called(body: bytes, is_stream: bool) -> tuple[tuple[str, ...], bool]:
    """The tools that a body calls, and whether it says that it was cut for its length."""
    messages = outline_of(body, is_stream)
    names = [call.name for message in messages for call in message.calls]
    cut = any(message.finish_reason == "length" for message in messages)
    return tuple(shown(name) for name in names[:MOST_TOOLS]), cut


def shown(name: Any) -> str:
    """A name that somebody else has chosen, fit to be shown."""
    return "".join(filter(str.isprintable, str(name)))[:LONGEST_NAME] or "unknown"
