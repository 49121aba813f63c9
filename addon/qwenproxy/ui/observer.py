"""Receives each finished chat, and passes it on to the log, the counts and the last chats."""

from collections.abc import Iterable
from typing import Any

from mitmproxy import http

from ..options import Settings
from . import log
from .recent import Recent
from .report import Report
from .stats import Stats
from .unread import Unread
from .verdict import Verdict, verdicts


class Observer:
    """The counts, the last chats, and the clients that are not read."""

    def __init__(self) -> None:
        self.stats = Stats()
        self.recent = Recent()
        self.unread = Unread()

    def finished(
        self,
        report: Report,
        sent: bytes | None = b"",
        received: bytes | None = b"",
        is_stream: bool = False,
    ) -> None:
        """Handle a finished chat: `sent` is the server's answer, `received` the client's; None: not kept."""
        log.tell(report)
        self.stats.add(report)
        self.recent.add(report, sent, received, is_stream)

    def unread_request(self, request: http.Request, settings: Settings, reason: str = "") -> None:
        """Handle a request that is passed through unread. Its client is logged once."""
        for level, line in self.unread.note(request, settings, reason):
            log.log.log(level, "%s", line)

    def reset(self) -> None:
        self.stats.reset()
        self.recent.clear()
        self.unread.clear()

    def summary(self) -> Iterable[str]:
        return log.summary(self.stats)

    def verdicts(self) -> list[Verdict]:
        return [*self.unread.verdicts(), *verdicts(self.stats.models)]

    def as_json(self) -> dict[str, Any]:
        """Return the answer of `GET /_qwen/stats`, without the mode."""
        said = {"verdicts": [verdict.as_json() for verdict in self.verdicts()]}
        return said | self.stats.as_json() | {"unread": self.unread.as_json()}
