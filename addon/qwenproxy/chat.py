"""One open chat: which requests are chats, and what is known until the answer ends."""

from dataclasses import dataclass, field
from typing import Any, Self

from mitmproxy import http

from toolstream import Repair, Rules, repair_request

from .answer import StreamedAnswer
from .options import Settings
from .recording.format import parse_object
from .terminal import printable

SHUTDOWN = "shutdown"  # the reason when only we know why a flow was aborted


@dataclass(slots=True)
class Chat:
    """An open chat, with the settings that were in force when it began."""

    flow: http.HTTPFlow
    settings: Settings
    body: dict[str, Any]  # of the request
    rules: Rules | None = None  # for its model
    repairs: list[Repair] = field(default_factory=list)  # to the request
    answer: StreamedAnswer | None = None
    head: dict[str, Any] = field(default_factory=dict)  # of the response, as the upstream sent it

    @classmethod
    def begin(
        cls, flow: http.HTTPFlow, body: dict[str, Any], settings: Settings, rules: Rules | None
    ) -> Self:
        """Open a chat. Repair earlier calls in its request: a server that cannot read one refuses this
        request and every later one."""
        chat = cls(flow, settings, body, rules)
        if settings.repair_history:
            plain = flow.request.get_content(strict=False) or b""
            repaired, chat.repairs = repair_request(plain, body)
            if repaired is not plain and not settings.observe:
                flow.request.content = repaired
        return chat

    @property
    def is_stream(self) -> bool:
        """Whether the answer is an event stream."""
        headers = dict(self.head.get("headers", ()))
        return any(k.lower() == "content-type" and "event-stream" in v for k, v in headers.items())


def is_chat_path(request: http.Request, settings: Settings) -> bool:
    path = request.path.partition("?")[0]
    return request.method == "POST" and settings.paths.search(path) is not None


def chat_body(request: http.Request, settings: Settings) -> dict[str, Any] | None:
    """Return the JSON body of a chat request for one of our models; None for anything else."""
    if not is_chat_path(request, settings):
        return None
    body = parse_object(request.get_content(strict=False) or b"")
    ours = isinstance(body.get("messages"), list) and settings.models.search(str(body.get("model", "")))
    return body if ours else None


def is_refused(flow: http.HTTPFlow) -> bool:
    """Whether another addon, such as proxyauth, has already refused the client."""
    return flow.response is not None and flow.response.status_code in (401, 407)


def flow_name(flow: http.HTTPFlow) -> str:
    """Return how log lines name a flow."""
    return printable(f"{flow.request.method} {flow.request.path.partition('?')[0]}")
