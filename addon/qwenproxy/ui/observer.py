"""Sees each chat that is over, and tells everybody who shows something of it."""

from collections.abc import Iterable
from typing import Any

from mitmproxy import http

from . import log
from .recent import Recent
from .report import Report
from .stats import Stats
from .unread import Unread
from .verdict import Verdict, verdicts


class Observer:
    """The counts, the last chats, and who is not read."""

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
        """A chat is over: `sent` is the server's answer, `received` what was made of it. None is not kept."""
        log.tell(report)
        self.stats.add(report)
        self.recent.add(report, sent, received, is_stream)

    def unread_request(self, request: http.Request) -> None:
        """A request that is passed on unread; who sends such ones is said once."""
        for level, line in self.unread.note(request):
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
        """What `GET /_qwen/stats` answers, but for the mode."""
        said = {"verdicts": [verdict.as_json() for verdict in self.verdicts()]}
        return said | self.stats.as_json() | {"unread": self.unread.as_json()}
