"""One open chat: which requests are chats, of which API, and what is known until the answer ends.

The path says of which API a request is: each API has its own. `qwen_paths` narrows that down, and adds
paths of chat completions that are unusual. A request is a chat if its body is one of that API.
"""

from dataclasses import dataclass, field
from typing import Any, Self

from mitmproxy import http

from toolstream import Repair, Rules, repair_request
from toolstream.wire.base import Asked

from . import apis
from .answer import StreamedAnswer
from .apis import CHAT, Api
from .form import Form
from .options import Settings
from .recording.format import parse_object
from .recording.redaction import path_without_keys
from .terminal import printable

SHUTDOWN = "shutdown"  # the reason when only we know why a flow was aborted


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """The request of a chat: its API, its body, and what that asks for."""

    api: Api
    body: dict[str, Any]
    asked: Asked


@dataclass(slots=True)
class Chat:
    """An open chat, with the settings that were in force when it began."""

    flow: http.HTTPFlow
    settings: Settings
    request: ChatRequest
    rules: Rules | None = None  # for its model
    repairs: list[Repair] = field(default_factory=list)  # to the request
    answer: StreamedAnswer | None = None
    head: dict[str, Any] = field(default_factory=dict)  # of the response, as the upstream sent it
    body_form: Form | None = None  # of an answer that is not passed on live
    unread: str = ""  # why the answer was passed on unread; empty if it was not

    @classmethod
    def begin(
        cls, flow: http.HTTPFlow, request: ChatRequest, settings: Settings, rules: Rules | None
    ) -> Self:
        """Open a chat. Repair earlier calls in its request: a server that cannot read one refuses this
        request and every later one."""
        chat = cls(flow, settings, request, rules)
        if settings.repair_history:
            plain = flow.request.get_content(strict=False) or b""
            repaired, chat.repairs = repair_request(plain, request.body, api=request.api.name)
            if repaired is not plain and not settings.observe:
                flow.request.content = repaired
        return chat

    @property
    def api(self) -> Api:
        return self.request.api

    @property
    def form(self) -> Form | None:
        """Return the form in which the answer was read; None if it has none."""
        return self.answer.form if self.answer else self.body_form

    @property
    def is_stream(self) -> bool:
        """Whether the answer is a stream."""
        return self.form is Form.STREAM


def api_of(request: http.Request, settings: Settings) -> Api | None:
    """Return the API of a request, by its path; None if it is none that is read."""
    path = request.path.partition("?")[0]
    if request.method != "POST" or not settings.paths.search(path):
        return None
    api = apis.at(path) or (CHAT if settings.paths.pattern else None)
    return api if api and api.name in settings.apis else None


def chat_request(request: http.Request, settings: Settings) -> ChatRequest | None:
    """Read a chat request for one of our models; None for anything else."""
    api = api_of(request, settings)
    if api is None:
        return None
    body = parse_object(request.get_content(strict=False) or b"")
    ours = api.is_request(body) and settings.models.search(str(body.get("model", "")))
    return ChatRequest(api, body, api.asked(body)) if ours else None


def is_refused(flow: http.HTTPFlow) -> bool:
    """Whether another addon, such as proxyauth, has already refused the client."""
    return flow.response is not None and flow.response.status_code in (401, 407)


def flow_name(flow: http.HTTPFlow) -> str:
    """Return how log lines name a flow."""
    path = path_without_keys(flow.request.path.partition("?")[0])
    return printable(f"{flow.request.method} {path}")
