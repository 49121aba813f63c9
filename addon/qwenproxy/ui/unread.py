"""Requests with tools on an API that is not read: the client will print XML, and nobody would know why.

Each client is told of once for each API, in the log and on the status page.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..mitm.terminal import printable
from .verdict import Level, Verdict

MOST = 100  # pairs of client and API that are remembered


@dataclass(frozen=True, slots=True)
class Api:
    """One API that is not read, by the end of its path."""

    path: str
    instead: str  # what to do


APIS = (
    Api(
        "/responses",
        "let it use chat completions (OpenAI SDK: chat.completions; AI SDK: @ai-sdk/openai-compatible)",
    ),
    Api("/messages", "put LiteLLM between it and this proxy, as the README shows for Claude Code"),
    Api("/api/chat", "let it use Ollama's OpenAI-compatible API: the same address, with /v1"),
)
PATHS = tuple(api.path for api in APIS)


class Unread:
    """Which clients were seen on such an API, and how often."""

    def __init__(self) -> None:
        self.seen: Counter[tuple[str, str]] = Counter()  # (client, API's path)

    def note(self, path: str, body: dict[str, Any], client: str) -> str:
        """Count a request; the line to say of it, if it is the client's first there."""
        api = next((api for api in APIS if path.endswith(api.path)), None)
        if api is None or not body.get("tools"):
            return ""
        key = client, api.path
        if key not in self.seen and len(self.seen) >= MOST:
            return ""
        self.seen[key] += 1
        return printable(sentence(client, api)) if self.seen[key] == 1 else ""

    def verdicts(self) -> Iterator[Verdict]:
        for client, path in self.seen:
            api = next(api for api in APIS if api.path == path)
            yield Verdict("", sentence(client, api), Level.BAD)

    def as_json(self) -> list[dict[str, Any]]:
        return [{"client": c, "api": path, "requests": n} for (c, path), n in self.seen.items()]


def sentence(client: str, api: Api) -> str:
    return f"{client} sends tools to {api.path}, which is not read: its calls are not repaired; {api.instead}"
