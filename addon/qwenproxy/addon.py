"""The addon: mitmproxy's hooks, and what a chat looks like to mitmproxy and to its user.

A chat is open from `request` until `response` or `error`, whichever comes first. Nothing else closes
it, except that `done` finishes the chats that a shutdown cuts off. In between, `responseheaders` decides:

    a stream                its pieces go through a `StreamedAnswer`, live
    anything else           mitmproxy collects the body, `response` rewrites it as a whole
    set by an addon         as in server replay: the body is already there, `response` rewrites it
    loaded from a file      `flow.live` is false; left alone, or recordings would be rewritten twice

Streams that do not belong to a chat are passed through as they arrive. mitmproxy would
hold them until they end.

Fail open: an exception in a hook is logged with its flow, and the flow continues unchanged.
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable

from mitmproxy import ctx, http
from mitmproxy.addonmanager import Loader
from mitmproxy.exceptions import AddonHalt

from . import response, setup
from .backend import probe
from .chat import SHUTDOWN, Chat, api_of, chat_request, flow_name, is_refused
from .configuration import Configuration
from .finish import finish
from .mitm.hangup import end_on_hangup
from .mitm.listeners import ask_backend, model_servers, note_failure
from .ui import unread
from .ui.commands import Commands
from .ui.mitmweb import FlowList
from .ui.observer import Observer
from .ui.own_flows import OwnFlows, hide

log = logging.getLogger("qwen_fix")

Hook = Callable[["QwenFix", http.HTTPFlow], Awaitable[None] | None]


def fail_open(hook: Hook) -> Hook:
    """Let an exception in a hook cost a repair, never an answer."""

    @functools.wraps(hook)
    def guarded(self: "QwenFix", flow: http.HTTPFlow) -> Awaitable[None] | None:
        try:
            return hook(self, flow)
        except AddonHalt:
            raise
        except Exception:
            self.open.pop(flow.id, None)
            log.exception("%s: error in %s, the flow continues unchanged", flow_name(flow), hook.__name__)
            return None

    return guarded


class QwenFix:
    """mitmproxy's hooks."""

    def __init__(self) -> None:
        self.configuration = Configuration()
        self.open: dict[str, Chat] = {}  # by flow.id
        self.observer = Observer()
        self._own = OwnFlows(self.configuration, self.observer, self._in_progress)
        self._watched: dict[str, asyncio.Task[None]] = {}  # model servers that do not answer yet, or any more
        self.addons = [FlowList(self.configuration), Commands(self.configuration, self.observer)]

    def load(self, loader: Loader) -> None:
        setup.prepare(loader, self._is_whole)

    def configure(self, updated: set[str]) -> None:
        self.configuration.update(updated)

    def running(self) -> None:
        end_on_hangup(ctx.master.shutdown)
        if setup.greet(self.configuration):
            for backend in model_servers():
                self._watch(backend)

    @fail_open
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        self._own.claim(flow)
        hide(flow)
        settings = self.configuration.settings
        if flow.live and not settings.observe and api_of(flow.request, settings):
            flow.request.headers.pop("accept-encoding", None)

    @fail_open
    def request(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        if not flow.live or is_refused(flow):
            return None
        if self._own.claim(flow):
            return self._own.answer(flow)
        settings = self.configuration.settings
        chat = chat_request(flow.request, settings)
        if chat and not chat.asked.unread:
            rules = self.configuration.rules_for(chat.body)
            self.open[flow.id] = Chat.begin(flow, chat, settings, rules)
        else:
            self.observer.unread_request(flow.request, settings, chat.asked.unread if chat else "")
        return None

    @fail_open
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        hide(flow)
        if flow.live and flow.response and flow.response.raw_content is None:
            response.begin(flow.response, self.open.get(flow.id))

    @fail_open
    def response(self, flow: http.HTTPFlow) -> None:
        hide(flow)
        self._finish(flow)

    @fail_open
    def error(self, flow: http.HTTPFlow) -> None:
        hide(flow)
        server, reason = note_failure(flow.request), flow.error.msg if flow.error else "error"
        if not flow.response and probe.is_unreachable(reason) and server in model_servers():
            self._watch(server, probe.in_words(reason))
        self._finish(flow, aborted=reason)

    def done(self) -> None:
        for task in self._watched.values():
            task.cancel()
        for chat in list(self.open.values()):
            self._finish_at_shutdown(chat.flow)
        for line in self.observer.summary():
            log.info("%s", line)

    @fail_open
    def _finish_at_shutdown(self, flow: http.HTTPFlow) -> None:
        self._finish(flow, aborted=SHUTDOWN)

    def _finish(self, flow: http.HTTPFlow, aborted: str = "") -> None:
        if chat := self.open.pop(flow.id, None):
            finish(chat, aborted, self.observer, self.configuration.recorder)

    def _watch(self, server: str, down: str = "") -> None:
        """Log when the server answers. `down`: why it does not any more."""
        task = self._watched.get(server)
        if task is None or task.done():
            watching = probe.watch(server, probe.tell, ask_backend, down)
            self._watched[server] = asyncio.create_task(watching)

    def _is_whole(self, request: http.Request) -> bool:
        """Whether a request must be read in full, however large it is."""
        is_chat = api_of(request, self.configuration.settings) is not None
        return is_chat or self._own.is_for_us(request) or unread.is_api(request)

    def _in_progress(self) -> tuple[int, int]:
        """Return how many chats are open, and how many bytes they hold back."""
        return len(self.open), sum(chat.answer.held for chat in self.open.values() if chat.answer)
