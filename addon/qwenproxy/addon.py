"""The addon: mitmproxy's hooks, and what a chat looks like to mitmproxy and to its user.

A chat is open from `request` until `response` or `error`, whichever comes; nothing else frees
it, but `done` finishes those that a shutdown cuts off. In between, `responseheaders` decides:

    an event stream         its pieces go through a `StreamedAnswer`, live
    anything else           mitmproxy collects the body, `response` rewrites it at once
    set by an addon         as by server replay: there is a body already, `response` rewrites it
    loaded from a file      `flow.live` is false; left alone, or recordings were rewritten twice

Event streams of requests that are no chats are passed on as they come, for mitmproxy would
hold them until their end.

Fail open: an exception in a hook is logged with its flow, and the flow goes on without us.
"""

import asyncio
import functools
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from mitmproxy import ctx, http, version
from mitmproxy.addonmanager import Loader
from mitmproxy.exceptions import AddonHalt

from toolstream.grammar.grammar import grammar
from toolstream.repairs import Repair
from toolstream.requests.history import repair_request
from toolstream.rewriter.whole import recover_error
from toolstream.schema.rules import Rules

from . import optional, options
from .answer import (
    Outcome,
    StreamedAnswer,
    as_error,
    pass_whole,
    rewrite_streamed,
    rewrite_whole,
)
from .backend import probe
from .backend.addresses import DEFAULT_PORTS, BadAddressError, url
from .encoding import Decoder, TooLargeError, decoder
from .mitm import internals
from .mitm.hangup import end_on_hangup
from .mitm.listeners import backends, failed_upstream, ready_lines, refuse_modes
from .mitm.terminal import guard_dumper, guard_handlers, printable
from .options import Settings
from .recording import format as recording
from .recording.format import Recording
from .recording.recorder import Recorder, file_stem
from .replay.overview import client_of
from .rules.file import LiveRules, RulesError, as_text
from .ui import contentview, endpoints, unread, words
from .ui.commands import Commands
from .ui.health import Backends
from .ui.log import quieten
from .ui.mitmweb import COLUMNS, FlowList, prefer
from .ui.observer import Observer
from .ui.report import Report, called, shown

log = logging.getLogger("qwen_fix")

OURS = "qwen_fix_endpoint"  # in the metadata of a flow that the proxy answers itself
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

    @property
    def is_stream(self) -> bool:
        """Whether the answer is events."""
        headers = dict(self.head.get("headers", ()))
        return any(k.lower() == "content-type" and "event-stream" in v for k, v in headers.items())


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
            self.forget(flow)
            log.exception("%s: error in %s, the flow goes on untouched", flow_name(flow), hook.__name__)
            return None

    return guarded


class QwenFix:
    """mitmproxy's hooks."""

    def __init__(self) -> None:
        self._settings = options.read({})
        self._recorder: Recorder | None = None
        self._rules: LiveRules | None = None
        self._open: dict[str, Chat] = {}  # by flow.id
        self._probes: set[asyncio.Task[None]] = set()
        self._start = time.monotonic()
        self._observer = Observer()
        self._backends = Backends(ask_backend)
        self.addons = [
            FlowList(lambda: self._settings.web_keep),
            Commands(self._observer, lambda: self._settings.recovery, lambda: self._settings.redact),
        ]

    def load(self, loader: Loader) -> None:
        for name, line in options.unreadable(ctx.options.deferred).items():
            del ctx.options.deferred[name]
            log.error(line)  # an OptionsError would go unseen here
        options.register(loader)
        internals.answer_errors_in_json()
        internals.note_hosts()
        internals.send_held()
        internals.keep_whole(lambda request: is_chat_path(request, self._settings))
        guard_handlers(logging.getLogger().handlers)
        guard_dumper(ctx.master.addons.get("dumper"))
        quieten()
        contentview.register()
        prefer("connection_strategy", "lazy")  # eager gives no answer when the upstream is down
        prefer("flow_detail", 0)  # each chat has its line already
        prefer("web_columns", COLUMNS)

    def configure(self, updated: set[str]) -> None:
        if updated.intersection(("mode", "listen_host", "listen_port")):
            try:
                refuse_modes(ctx.options.mode, ctx.options.listen_host, ctx.options.listen_port)
            except BadAddressError as e:
                raise options.BadValueError(str(e)) from None
        if updated.intersection(options.NAMES):
            settings = options.read({name: getattr(ctx.options, name) for name in options.NAMES})
            self._rules = rules_for(settings, self._rules)
            self._settings = settings
            grammar(settings.recovery)  # is compiled now, for it would halt the first answer
        if updated.intersection(("qwen_record", "qwen_record_what", "qwen_redact")):
            self._recorder = recorder_for(self._settings)

    def running(self) -> None:
        end_on_hangup(ctx.master.shutdown)
        misspelt = options.misspelt(ctx.options.deferred)
        for line in misspelt:
            log.error(line)
        if misspelt:
            return
        if version.VERSION.startswith("11."):
            log.warning(
                "mitmproxy %s lacks security fixes that 12 has; it needs Python 3.12", version.VERSION
            )
        for line in optional.missing():
            log.info(line)
        servers = ctx.master.addons.get("proxyserver").servers
        for line in ready_lines(servers, summary(self._settings, self._rules), self._settings.control):
            log.info(line)
        for backend in model_servers():
            self._probes.add(asyncio.create_task(probe.watch(backend, tell, ask_backend)))

    @fail_open
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        if flow.live and endpoints.is_ours(flow, self._settings.control):
            flow.metadata[OURS] = True
        hide_ours(flow)
        if flow.live and not self._settings.observe and is_chat_path(flow.request, self._settings):
            flow.request.headers.pop("accept-encoding", None)

    @fail_open
    def request(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        if not flow.live:
            return None
        if loop := endpoints.recognise(flow):
            flow.response = loop
        elif endpoints.is_ours(flow, self._settings.control):
            flow.metadata[OURS] = True
            return answer_ourselves(flow, self._state())
        elif body := chat_body(flow.request, self._settings):
            chat = self._open[flow.id] = Chat(flow, self._settings, body, self._rules_for(body))
            if self._settings.repair_history:
                mend_history(chat)
        else:
            self._note_unread(flow)
        return None

    def _note_unread(self, flow: http.HTTPFlow) -> None:
        path = flow.request.path.partition("?")[0]
        if flow.request.method == "POST" and path.endswith(unread.PATHS):
            body = recording.parse_object(flow.request.get_content(strict=False) or b"")
            if line := self._observer.unread.note(path, body, client_name(flow.request)):
                log.warning("%s", line)

    def _state(self) -> endpoints.State:
        return endpoints.State(
            self._settings,
            self._rules,
            self._observer,
            self._backends,
            urls=model_servers(),
            options={name: getattr(ctx.options, name) for name in options.NAMES},
            uptime=time.monotonic() - self._start,
            open_chats=len(self._open),
            bytes_held=sum(chat.answer.held for chat in self._open.values() if chat.answer),
        )

    @fail_open
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        hide_ours(flow)
        response = flow.response
        if not flow.live or response is None or response.raw_content is not None:
            return
        if is_live_format(response):
            response.stream = response.stream or True
        if is_event_stream(response) and (chat := self._open.get(flow.id)):
            stream(chat, response)

    @fail_open
    def response(self, flow: http.HTTPFlow) -> None:
        hide_ours(flow)
        self._finish(flow)

    @fail_open
    def error(self, flow: http.HTTPFlow) -> None:
        hide_ours(flow)
        failed_upstream.set(url(flow.request.scheme, flow.request.host, flow.request.port))
        self._finish(flow, aborted=flow.error.msg if flow.error else "error")

    def done(self) -> None:
        for task in self._probes:
            task.cancel()
        for chat in list(self._open.values()):
            self._finish_at_shutdown(chat.flow)
        for line in self._observer.summary():
            log.info("%s", line)

    @fail_open
    def _finish_at_shutdown(self, flow: http.HTTPFlow) -> None:
        self._finish(flow, aborted=SHUTDOWN)

    def _rules_for(self, body: dict[str, Any]) -> Rules | None:
        if self._rules is None:
            return None
        self._rules.refresh_soon()
        return self._rules.file.for_model(str(body.get("model", "")))

    def forget(self, flow: http.HTTPFlow) -> None:
        """Give a flow up."""
        self._open.pop(flow.id, None)

    def _finish(self, flow: http.HTTPFlow, aborted: str = "") -> None:
        chat = self._open.pop(flow.id, None)
        if chat is None:
            return
        if flow.response is None:
            self._observer.finished(report_of(chat, Outcome(), aborted))
            return
        outcome = chat.answer.outcome if chat.answer else answer_at_once(chat, flow.response)
        outcome.aborted = outcome.aborted or aborted
        for repair in chat.repairs:
            outcome.ledger.repaired(repair)
        report = report_of(chat, outcome, "")
        annotate(flow, report)
        record = as_recording(chat, outcome)
        flow.metadata[recording.KEY] = metadata(record)
        if chat.answer:
            show_streamed(chat, outcome)
        self._observer.finished(report, record.body, record.out, record.is_stream)
        if self._recorder:
            self._recorder.write(record)


async def answer_ourselves(flow: http.HTTPFlow, state: endpoints.State) -> None:
    """Set the answer of one of our endpoints; mitmproxy waits for it with this flow only."""
    try:
        flow.response = await endpoints.answer(flow, state)
    except Exception:
        log.exception("%s: error in an endpoint", flow_name(flow))
        flow.response = endpoints.response(500, endpoints.error("internal_error", "see the proxy's log"))
    hide_ours(flow)


def hide_ours(flow: http.HTTPFlow) -> None:
    """Show our own answers to no other addon: a status page asks each second. Raises AddonHalt."""
    if flow.live and flow.metadata.get(OURS):
        raise AddonHalt


def model_servers() -> list[str]:
    """The URLs of the servers behind this proxy."""
    found = dict.fromkeys(backends(ctx.options.mode))
    return [url for url in found if url.partition("://")[0] in DEFAULT_PORTS]


async def ask_backend(url: str) -> probe.Heard:
    return await probe.question(url, verify=not ctx.options.ssl_insecure)


# What is a chat


def is_chat_path(request: http.Request, settings: Settings) -> bool:
    path = request.path.partition("?")[0]
    return request.method == "POST" and settings.paths.search(path) is not None


def chat_body(request: http.Request, settings: Settings) -> dict[str, Any] | None:
    """The JSON body of a chat request for one of our models; None for anything else."""
    if not is_chat_path(request, settings):
        return None
    body = recording.parse_object(request.get_content(strict=False) or b"")
    ours = isinstance(body.get("messages"), list) and settings.models.search(str(body.get("model", "")))
    return body if ours else None


def mend_history(chat: Chat) -> None:
    """Make earlier calls readable, or the server refuses this request and all that follow (P17)."""
    request = chat.flow.request
    plain = request.get_content(strict=False) or b""
    mended, chat.repairs = repair_request(plain, chat.body)
    if mended is not plain and not chat.settings.observe:
        request.content = mended


def content_type(response: http.Response) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


def is_event_stream(response: http.Response) -> bool:
    return content_type(response) == "text/event-stream"


def is_live_format(response: http.Response) -> bool:
    """A body to be passed on as it comes, whatever it is about."""
    return is_event_stream(response) or content_type(response) in (
        "application/x-ndjson",
        "application/jsonl",
    )


# Answers


def stream(chat: Chat, response: http.Response) -> None:
    """Put a StreamedAnswer between an upstream that has begun to answer and the client."""
    coding, readable = decoder_of(response)
    chat.head = upstream_head(response, decoded=coding is not None)
    if not readable or response.status_code >= 400:
        chat.answer = StreamedAnswer(None, observe=True)
    else:
        settings = chat.settings
        chat.answer = rewrite_streamed(
            chat.body, settings.recovery, coding, settings.observe, chat.rules, settings.keepalive
        )
        if not chat.settings.observe:
            free_length(chat.flow.request, response)
    response.stream = chat.answer


def answer_at_once(chat: Chat, response: http.Response) -> Outcome:
    """Rewrite a body that mitmproxy has collected, or that another addon has set."""
    body = response.raw_content or b""
    coding, readable = decoder_of(response)
    chat.head = upstream_head(response, decoded=coding is not None)
    if not readable or not is_completion(response):
        return pass_whole(body)
    try:
        plain = coding.feed(body) if coding else body
    except ValueError as e:
        chat.head = upstream_head(response, decoded=False)
        return refuse(chat, response, e) if isinstance(e, TooLargeError) else pass_broken(chat, body, e)
    if response.status_code >= 400:
        return answer_error(chat, response, plain)
    outcome = rewrite_whole(chat.body, chat.settings.recovery, plain, is_event_stream(response), chat.rules)
    if not chat.settings.observe and (rewritten := b"".join(outcome.out)) != plain:
        response.headers.pop("content-encoding", None)
        response.content = rewritten
    return outcome


def pass_broken(chat: Chat, body: bytes, error: Exception) -> Outcome:
    log.warning("%s: passed untouched: %s", flow_name(chat.flow), error)
    return pass_whole(body)


def refuse(chat: Chat, response: http.Response, error: TooLargeError) -> Outcome:
    """Send an error for a body that nobody could hold."""
    outcome = pass_whole(response.raw_content or b"")
    outcome.aborted = str(error)
    if not chat.settings.observe:
        response.headers.pop("content-encoding", None)
        response.headers["content-type"] = "application/json"
        response.status_code, response.reason = 502, "Bad Gateway"
        response.content = json.dumps(as_error(error)).encode()
        outcome.out = [response.content]
    return outcome


def answer_error(chat: Chat, response: http.Response, body: bytes) -> Outcome:
    """The answer that an error of the engine holds, if it holds one; else the error."""
    outcome = pass_whole(body)
    if recovered := recover_error(chat.body, body, chat.settings.recovery, rules=chat.rules):
        completion, outcome.ledger = recovered
        outcome.out = [completion]
        if not chat.settings.observe:
            response.headers.pop("content-encoding", None)
            response.status_code, response.reason, response.content = 200, "OK", completion
    return outcome


def is_completion(response: http.Response) -> bool:
    return is_event_stream(response) or content_type(response) == "application/json"


def decoder_of(response: http.Response) -> tuple[Decoder | None, bool]:
    """The decoder the body needs, if any, and whether it can be read."""
    try:
        return decoder(response.headers.get("content-encoding", "")), True
    except ValueError as e:
        warn_once(printable(f"passed untouched: {e}"))
        return None, False


@functools.lru_cache(maxsize=64)  # servers choose what is in it
def warn_once(line: str) -> None:
    log.warning(line)


def upstream_head(response: http.Response, decoded: bool) -> dict[str, Any]:
    """The head as it came, but true of the decoded body that a recording holds."""
    head = recording.head_of(response)
    if decoded:
        coded = ("content-encoding", "content-length")
        head["headers"] = tuple((k, v) for k, v in head["headers"] if k.lower() not in coded)
    return head


def free_length(request: http.Request, response: http.Response) -> None:
    """Make the head fit a body that is not coded and whose length is not known yet."""
    response.headers.pop("content-encoding", None)
    if response.headers.pop("content-length", None) is None:
        return
    # HTTP/2 frames the body itself; with HTTP/1.0 it ends with the connection.
    if request.http_version == "HTTP/1.1" and response.http_version != "HTTP/1.0":
        response.headers["transfer-encoding"] = "chunked"


# What the user sees of it


def flow_name(flow: http.HTTPFlow) -> str:
    return printable(f"{flow.request.method} {flow.request.path.partition('?')[0]}")


def client_name(request: http.Request) -> str:
    return shown(client_of(request.headers.get("user-agent", "")))


def report_of(chat: Chat, outcome: Outcome, down: str) -> Report:
    """The chat as its user sees it. `down`: why there is no answer."""
    flow, response = chat.flow, chat.flow.response
    tools, truncated = called(b"".join(outcome.out), chat.is_stream)
    left = down.lower().startswith("client disconnect")
    return Report(
        started=flow.request.timestamp_start,
        seconds=time.time() - flow.request.timestamp_start,
        client=client_name(flow.request),
        api="chat",
        model=shown(chat.body.get("model", "")),
        status=response.status_code if response else 0,
        streamed=chat.body.get("stream") is True,
        with_tools=bool(chat.body.get("tools")) and chat.body.get("tool_choice") != "none",
        observed=chat.settings.observe,
        tools=tools,
        truncated=truncated,
        ledger=outcome.ledger,
        aborted=down if left else outcome.aborted,
        down="" if left else down,
    )


def annotate(flow: http.HTTPFlow, report: Report) -> None:
    """Say in the flow list what was done."""
    flow.comment = words.comment(report)
    flow.marked = words.marker(report.ledger)


def show_streamed(chat: Chat, outcome: Outcome) -> None:
    """Give a streamed flow the body that its client got, for mitmproxy kept none."""
    response = chat.flow.response
    assert response is not None
    if outcome.aborted != SHUTDOWN:  # then the callable may still be needed
        response.stream = False
    response.raw_content = b"".join(outcome.chunks if chat.settings.observe else outcome.out)
    if chat.settings.observe and "content-encoding" not in dict(chat.head["headers"]):
        response.headers.pop("content-encoding", None)  # the client has the head already


def recorder_for(settings: Settings) -> Recorder | None:
    if settings.record is None:
        return None
    return Recorder(settings.record, settings.redact, settings.record_what)


def rules_for(settings: Settings, current: LiveRules | None) -> LiveRules | None:
    """The rules to go by; those that are there already, if they come from the same file."""
    if settings.rules is None or (current and current.path == settings.rules):
        return current if settings.rules else None
    try:
        return LiveRules(settings.rules)
    except RulesError as e:
        raise options.BadValueError(f"qwen_rules: {e}") from None


def as_recording(chat: Chat, outcome: Outcome) -> Recording:
    request = recording.request_of(chat.flow)
    model = str(chat.body.get("model", ""))
    return Recording(
        name=file_stem(request["started"], model, words.word(outcome, chat.head["status"]), chat.flow.id),
        chunks=outcome.chunks,
        times=outcome.times,
        out=b"".join(outcome.out),
        ledger=outcome.ledger.as_dict(),
        aborted=outcome.aborted,
        observed=chat.settings.observe,
        rules=as_text(chat.rules) if chat.rules and chat.rules.tools else "",
        **chat.head,
        **request,
    )


def metadata(record: Recording) -> dict[str, Any]:
    """What the live flow says of itself. Its body is the rewritten one, so the raw one goes along."""
    data = recording.metadata(record)
    if record.body != record.out:
        data["raw"] = record.body
    return data


def summary(settings: Settings, rules: LiveRules | None) -> str:
    """`recovery tolerant, mode fix`, and the rules in force."""
    return f"recovery {settings.recovery}, mode {settings.mode}{f', {rules.summary}' if rules else ''}"


def tell(is_bad: bool, line: str) -> None:
    log.log(logging.WARNING if is_bad else logging.INFO, printable(line))
