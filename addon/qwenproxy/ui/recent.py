"""The last chats, with what the model sent and what the client got, for the status page. In memory only.

Bodies are kept as they are and only parsed on request. A body that is too long is not kept, so a
proxy that runs for months holds at most MOST_CHATS times two bodies of LONGEST.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from ..apis import APIS
from ..replay.outline import Message, messages_of
from . import words
from .report import Report
from .stats import moment

Json = dict[str, Any]

MOST_CHATS = 50
LONGEST = 256 * 1024  # bytes of a body
TOO_LONG = "too long to be kept"


@dataclass(frozen=True, slots=True)
class Kept:
    """One chat. `sent` is what the model sent, `received` what the client got or would have got; None if it
    is too long."""

    id: str
    report: Report
    sent: bytes | None
    received: bytes | None
    is_stream: bool

    def as_json(self) -> Json:
        """Return the chat without its texts."""
        report = self.report
        return {
            "id": self.id,
            "time": moment(report.started),
            "client": report.client,
            "api": report.api,
            "model": report.model,
            "status": report.status,
            "streamed": report.streamed,
            "seconds": round(report.seconds, 3),
            "outcome": str(report.kind),
            "tools": list(report.tools),
            "said": words.said(report),
        }

    def in_full(self) -> Json:
        """Return the chat with its texts."""
        ledger = self.report.ledger
        more: Json = {
            "sent": self._messages(self.sent),
            "received": self._messages(self.received),
            "repairs": repairs_of(ledger.repairs),
            "refusals": [refusal(r.reason, r.excerpt) for r in ledger.refusals],
            "failure": ledger.failure,
        }
        return self.as_json() | more | ({} if None not in (self.sent, self.received) else {"note": TOO_LONG})

    def _messages(self, body: bytes | None) -> list[Json] | None:
        if body is None:
            return None
        return [message_json(m) for m in messages_of(body, self.is_stream, APIS[self.report.api])]


class Recent:
    """The last chats, newest first."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._chats: deque[Kept] = deque(maxlen=MOST_CHATS)

    def __iter__(self) -> Iterator[Kept]:
        return iter(self._chats)

    def add(self, report: Report, sent: bytes | None, received: bytes | None, is_stream: bool) -> None:
        number = f"c{next(self._numbers)}"
        received = sent if received == sent else received  # kept once if both are the same
        before, after = (body if len(body or b"") <= LONGEST else None for body in (sent, received))
        self._chats.appendleft(Kept(number, report, before, after, is_stream))

    def clear(self) -> None:
        self._chats.clear()

    def get(self, number: str) -> Kept | None:
        return next((kept for kept in self._chats if kept.id == number), None)


def message_json(message: Message) -> Json:
    return {
        "content": message.content,
        "reasoning": message.reasoning,
        "calls": [
            {"name": c.name, "arguments": c.arguments if c.values is None else c.values}
            for c in message.calls
        ],
        "finish_reason": message.finish_reason,
    }


def repairs_of(repairs: Any) -> list[Json]:
    """Return [{name, count, words}] for a counter of repairs."""
    return [{"name": str(name), "count": n, "words": name.words} for name, n in sorted(repairs.items())]


def refusal(reason: Any, excerpt: str) -> Json:
    return {"name": str(reason), "words": reason.words, "excerpt": excerpt}
