"""Requests that are passed through unread. If one has tools, the client may print XML, so the log says why.

A request of an API that is known may stay unread because an option leaves its API out, or because its wire
says that a rewritten answer would do harm (`Asked.unread`). Each client is named once for each path in the
log; if it sends tools, also on the status page.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mitmproxy import http

from .. import apis
from ..options import Settings
from ..recording.format import parse_object
from ..terminal import printable
from .report import client_name
from .verdict import Level, Verdict

MOST = 100  # pairs of client and path that are remembered
LONGEST_PATH = 80  # characters


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends tools to which API, and why its answers stay unread."""

    client: str
    api: str
    reason: str

    def __str__(self) -> str:
        path = apis.APIS[self.api].address
        return f"{self.client} sends tools to {path}, and its calls are not repaired: {self.reason}"


def is_api(request: http.Request) -> bool:
    """Whether a request is of an API that is known, be it read or not."""
    return request.method == "POST" and apis.at(request.path) is not None


def why(request: http.Request, settings: Settings, unread: str) -> tuple[str, str]:
    """Return the API of a request with tools and the reason why it stays unread; "" for the reason if nobody
    has to know. `unread` is what its wire says."""
    api = apis.at(request.path) if request.method == "POST" else None
    if api is None or not parse_object(request.get_content(strict=False) or b"").get("tools"):
        return "", ""
    if unread:
        return api.name, unread
    if api.name not in settings.apis:
        return api.name, f"qwen_apis does not name {api.name}"
    left_out = not settings.paths.search(_path(request))
    return api.name, "qwen_paths leaves this path out" if left_out else ""


def _path(request: http.Request) -> str:
    return request.path.partition("?")[0]


class Unread:
    """Which clients sent which requests, and how often."""

    def __init__(self) -> None:
        self.seen: Counter[Sender] = Counter()  # of requests with tools
        self._others: set[tuple[str, str]] = set()  # (client, path)

    def note(self, request: http.Request, settings: Settings, unread: str) -> Iterator[tuple[int, str]]:
        """Count a request; yield a log level and a line if it is the client's first on this path."""
        client, path = client_name(request.headers.get("user-agent", "")), _path(request)
        api, reason = why(request, settings, unread)
        if reason:
            sender = Sender(client, api, reason)
            if is_new(sender, self.seen):
                yield logging.WARNING, printable(str(sender))
                self.seen[sender] = 0
            if sender in self.seen:
                self.seen[sender] += 1
        elif request.method == "POST" and is_new((client, path), self._others):
            self._others.add((client, path))
            more = f": {unread}" if unread else ""
            yield (
                logging.INFO,
                printable(f"{client} · POST {path[:LONGEST_PATH]} · passed through unread{more}"),
            )

    def clear(self) -> None:
        self.seen.clear()
        self._others.clear()

    def verdicts(self) -> Iterator[Verdict]:
        for sender in self.seen:
            yield Verdict("", str(sender), Level.BAD)

    def as_json(self) -> list[dict[str, Any]]:
        return [
            {"client": s.client, "api": s.api, "reason": s.reason, "requests": n}
            for s, n in self.seen.items()
        ]


def is_new(key: Any, known: Counter[Any] | set[Any]) -> bool:
    return key not in known and len(known) < MOST
