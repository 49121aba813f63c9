"""Requests that are passed through unread. If one has tools, the client may print XML, so the log says why.

A request may stay unread because an option leaves its API, its path or its model out, because its wire says
that a rewritten answer would do harm (`Asked.unread`), because no API has its path, or because its body is
none of the API's. Each client is named once for each path in the log; if it sends tools, also on the status
page.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mitmproxy import http

from .. import apis
from ..options import Settings
from ..recording.format import parse_object
from ..recording.redaction import path_without_keys
from ..terminal import printable
from .report import client_name, shown
from .verdict import Level, Verdict

MOST = 100  # pairs of client and path that are remembered
LONGEST_PATH = 80  # characters
NO_API = "no API has this path; if it is one of chat completions, set qwen_paths"

_ONLY_READS = re.compile("token|template")


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends tools to which API, and why its answers stay unread."""

    client: str
    api: str  # "" if the path is none of an API's
    reason: str
    path: str

    def __str__(self) -> str:
        return f"{self.client} sends tools to {self.path}, and its calls are not repaired: {self.reason}"


def is_api(request: http.Request) -> bool:
    """Whether a request is of an API that is known, be it read or not."""
    return request.method == "POST" and apis.at(request.path) is not None


def why(request: http.Request, settings: Settings, unread: str) -> str:
    """Say why a request stays unread; empty if it looks like no chat. `unread` is what its wire says."""
    api, path = apis.at(request.path), _path(request)
    if unread or request.method != "POST":
        return unread
    body = _body(request)
    if not (api or _looks_like_chat(body, path)):
        return ""
    if api and api.name not in settings.apis:
        return f"qwen_apis does not name {api.name}"
    if not settings.paths.search(path):
        return "qwen_paths leaves this path out"
    if api is None:
        return NO_API
    if not api.is_request(body):
        return f"its body is no request of the API {api.name}"
    if settings.models.search(str(body.get("model", ""))):
        return ""
    return f"qwen_models does not match {shown(body.get('model'))}"


def _looks_like_chat(body: dict[str, Any], path: str) -> bool:
    """Whether a request has messages that a model could answer at such a path: not one that only counts
    tokens or fills in a template."""
    above, _, last = path.rstrip("/").rpartition("/")
    only_reads = apis.at(above) or _ONLY_READS.search(last)
    return isinstance(body.get("messages"), list) and not only_reads


def _body(request: http.Request) -> dict[str, Any]:
    return parse_object(request.get_content(strict=False) or b"")


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
        shown_path = path_without_keys(path)[:LONGEST_PATH]
        reason = why(request, settings, unread)
        if reason and _body(request).get("tools"):
            api = apis.at(path)
            sender = Sender(client, api.name if api else "", reason, api.address if api else shown_path)
            if is_new(sender, self.seen):
                yield logging.WARNING, printable(str(sender))
                self.seen[sender] = 0
            if sender in self.seen:
                self.seen[sender] += 1
        elif request.method == "POST" and is_new((client, path), self._others):
            self._others.add((client, path))
            more = f": {reason}" if reason else ""
            yield logging.INFO, printable(f"{client} · POST {shown_path} · passed through unread{more}")

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
