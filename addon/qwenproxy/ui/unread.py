"""Requests that are passed through unread. If one has tools, the client may print XML, so the log says why.

Each client is named once for each path in the log; if it sends tools, also on the status page.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mitmproxy import http

from ..recording.format import parse_object
from ..terminal import printable
from .report import client_name
from .verdict import Level, Verdict

MOST = 100  # pairs of client and path that are remembered
LONGEST_PATH = 80  # characters


@dataclass(frozen=True, slots=True)
class Api:
    """One API that is not read, known by the end of its path."""

    path: str
    instead: str  # what to do


APIS = (
    Api(
        "/responses",
        "make it use chat completions (OpenAI SDK: chat.completions; AI SDK: @ai-sdk/openai-compatible)",
    ),
    Api("/messages", "put LiteLLM between it and this proxy, as the README shows for Claude Code"),
    Api("/api/chat", "make it use Ollama's OpenAI-compatible API: the same address, with /v1"),
)
PATHS = tuple(api.path for api in APIS)


def is_api(request: http.Request) -> bool:
    """Whether a request is for one of these APIs."""
    return request.method == "POST" and _path(request).endswith(PATHS)


def _path(request: http.Request) -> str:
    return request.path.partition("?")[0]


class Unread:
    """Which clients sent which requests, and how often."""

    def __init__(self) -> None:
        self.seen: Counter[tuple[str, str]] = Counter()  # (client, path of the API), for requests with tools
        self._others: set[tuple[str, str]] = set()  # (client, path)

    def note(self, request: http.Request) -> Iterator[tuple[int, str]]:
        """Count a request; yield a log level and a line if it is the client's first on this path."""
        client, path = client_name(request.headers.get("user-agent", "")), _path(request)
        if is_api(request) and _has_tools(request):
            api = next(api for api in APIS if path.endswith(api.path))
            key = client, api.path
            if is_new(key, self.seen):
                yield logging.WARNING, printable(sentence(client, api))
                self.seen[key] = 0
            if key in self.seen:
                self.seen[key] += 1
        elif request.method == "POST" and is_new((client, path), self._others):
            self._others.add((client, path))
            yield logging.INFO, printable(f"{client} · POST {path[:LONGEST_PATH]} · passed through unread")

    def clear(self) -> None:
        self.seen.clear()
        self._others.clear()

    def verdicts(self) -> Iterator[Verdict]:
        for client, path in self.seen:
            api = next(api for api in APIS if api.path == path)
            yield Verdict("", sentence(client, api), Level.BAD)

    def as_json(self) -> list[dict[str, Any]]:
        return [{"client": c, "api": path, "requests": n} for (c, path), n in self.seen.items()]


def is_new(key: tuple[str, str], known: Counter[tuple[str, str]] | set[tuple[str, str]]) -> bool:
    return key not in known and len(known) < MOST


def _has_tools(request: http.Request) -> bool:
    return bool(parse_object(request.get_content(strict=False) or b"").get("tools"))


def sentence(client: str, api: Api) -> str:
    return f"{client} sends tools to {api.path}, which is not read: its calls are not repaired; {api.instead}"
