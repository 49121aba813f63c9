"""One open chat: what is one, and what is known of it until its answer is over."""

from dataclasses import dataclass, field
from typing import Any, Self

from mitmproxy import http

from toolstream import Repair, Rules, repair_request

from .answer import StreamedAnswer
from .options import Settings
from .recording.format import parse_object
from .terminal import printable

SHUTDOWN = "shutdown"  # why a flow was aborted when nobody but us knows


@dataclass(slots=True)
class Chat:
    """A chat that is open, with the settings it began under."""

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
        """Open a chat. Earlier calls in its request are made readable: a server that cannot read one refuses
        this request, and all that follow."""
        chat = cls(flow, settings, body, rules)
        if settings.repair_history:
            plain = flow.request.get_content(strict=False) or b""
            repaired, chat.repairs = repair_request(plain, body)
            if repaired is not plain and not settings.observe:
                flow.request.content = repaired
        return chat

    @property
    def is_stream(self) -> bool:
        """Whether the answer is events."""
        headers = dict(self.head.get("headers", ()))
        return any(k.lower() == "content-type" and "event-stream" in v for k, v in headers.items())


def is_chat_path(request: http.Request, settings: Settings) -> bool:
    path = request.path.partition("?")[0]
    return request.method == "POST" and settings.paths.search(path) is not None


def chat_body(request: http.Request, settings: Settings) -> dict[str, Any] | None:
    """The JSON body of a chat request for one of our models; None for anything else."""
    if not is_chat_path(request, settings):
        return None
    body = parse_object(request.get_content(strict=False) or b"")
    ours = isinstance(body.get("messages"), list) and settings.models.search(str(body.get("model", "")))
    return body if ours else None


def is_refused(flow: http.HTTPFlow) -> bool:
    """Whether another addon has refused the client already, as proxyauth does."""
    return flow.response is not None and flow.response.status_code in (401, 407)


def flow_name(flow: http.HTTPFlow) -> str:
    """A flow in a line of the log."""
    return printable(f"{flow.request.method} {flow.request.path.partition('?')[0]}")
