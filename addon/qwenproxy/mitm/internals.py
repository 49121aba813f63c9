"""What mitmproxy has no hook for: parts of it that are replaced or wrapped when the addon is loaded.

All such changes are in this file, one function each. Names are those of mitmproxy 11.0.2 to 12.3.1.

`answer_errors_in_json` replaces mitmproxy's HTML error pages: clients of this API can only read JSON.
`note_hosts` keeps what the client wrote into `Host` or `:authority`: a reverse proxy overwrites it with
its upstream's name before the first hook runs.
`keep_whole` makes mitmproxy collect chats of any size: `stream_large_bodies` would pass them through unread.
`send_held` sends what a rewriter holds back when the server breaks off: in `error` it is too late for that.
"""

import functools
import json
import logging
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakKeyDictionary

from mitmproxy import ctx, http, version
from mitmproxy.net.http import http1, status_codes
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import (
    HttpStream,
    ResponseData,
    ResponseProtocolError,
    SendHttp,
    _http1,
    _http2,
)

from ..answer import StreamedAnswer
from ..apis import SERVERS_FAULT
from ..backend import probe
from ..errors import api_error
from .listeners import failed_api, upstream_named

log = logging.getLogger("qwen_fix")

Step = Callable[[HttpStream, Any], CommandGenerator[None]]  # how a stream handles an event
Wrapper = Callable[[Step, HttpStream, Any], CommandGenerator[None]]

PROGRAM = "qwen-fix"
_JSON = "application/json"


def wrap(name: str, wrapper: Wrapper) -> None:
    """Wrap a method of mitmproxy's streams in `wrapper`; only once, however often the addon is loaded."""
    step = getattr(HttpStream, name, None)
    if step is None:
        log.debug("this mitmproxy has no HttpStream.%s", name)
    if step is None or getattr(step, "wrapper", None) is wrapper:
        return

    @functools.wraps(step)
    def wrapped(stream: HttpStream, event: Any) -> CommandGenerator[None]:
        return wrapper(step, stream, event)

    wrapped.wrapper = wrapper  # type: ignore[attr-defined]
    setattr(HttpStream, name, wrapped)


# Error pages


def answer_errors_in_json() -> None:
    _http1.make_error_response = error_response
    _http2.format_error = error_body
    _http2.BufferedH2Connection = JsonErrorConnection  # type: ignore[misc]


def error_response(status_code: int, message: str = "") -> bytes:
    headers = http.Headers(Connection="close", Content_Type=_JSON)
    page = http.Response.make(status_code, error_body(status_code, message), headers)
    return bytes(http1.assemble_response(page))


def error_body(status_code: int, message: str) -> bytes:
    """Return the error in the format of the API. Unlike mitmproxy's message it names the upstream."""
    reason = status_codes.RESPONSES.get(status_code, "Unknown")
    ours = status_code < 500  # the request is at fault
    code = reason.lower().replace(" ", "_").replace("-", "_")
    if ours:
        return json.dumps(api_error(code, message, api=failed_api())).encode()
    said = _failure(upstream_named(ctx.options.mode), message)
    return json.dumps(api_error(code, said, SERVERS_FAULT, failed_api())).encode()


def _failure(server: str, message: str) -> str:
    """Say who speaks, what is wrong with which server, and what to do if it is down."""
    said = f"{PROGRAM}: {server} does not answer ({probe.in_words(message)})."
    if probe.is_unreachable(message):
        said += f" Start your model server, or start {PROGRAM} with its address."
    return said if probe.in_words(message) != message else f"{PROGRAM}: {server}: {message}"


class JsonErrorConnection(_http2.BufferedH2Connection):
    """mitmproxy builds the head of an error page where it sends it, so it is recognised by its content."""

    def send_headers(self, stream_id: int, headers: Iterable[Any], *more: Any, **named: Any) -> None:
        fields = list(headers)
        if fields[1:] == [(b"server", version.MITMPROXY.encode()), (b"content-type", b"text/html")]:
            fields[2] = (b"content-type", _JSON.encode())
        super().send_headers(stream_id, fields, *more, **named)


# The client's Host

_hosts: "WeakKeyDictionary[http.Request, str]" = WeakKeyDictionary()


def note_hosts() -> None:
    wrap("state_wait_for_request_headers", _note_host)


def _note_host(begin: Step, stream: HttpStream, event: Any) -> CommandGenerator[None]:
    _hosts[event.request] = event.request.host_header or ""
    yield from begin(stream, event)


def client_host(request: http.Request) -> str:
    """Return the Host that the client wrote, or the current one if that is not known."""
    return _hosts.get(request, request.host_header or "")


# Chats that are large

_is_whole: Callable[[http.Request], bool] = lambda _request: False  # noqa: E731


class NothingStreamed:
    """mitmproxy's options, with `stream_large_bodies` unset."""

    stream_large_bodies = None

    def __init__(self, options: Any) -> None:
        self._options = options

    def __getattr__(self, name: str) -> Any:
        return getattr(self._options, name)


def keep_whole(is_chat: Callable[[http.Request], bool]) -> None:
    """Never stream the body of such a request, or of its answer, because of its size."""
    global _is_whole
    _is_whole = is_chat
    wrap("check_body_size", _check_whole)


def _check_whole(check: Step, stream: HttpStream, event: Any) -> CommandGenerator[None]:
    options = stream.context.options
    if options.stream_large_bodies and _is_whole(stream.flow.request):
        stream.context.options = NothingStreamed(options)  # type: ignore[assignment]
    return (yield from check(stream, event))


# What is held when the server breaks off


def send_held() -> None:
    wrap("handle_protocol_error", _send_held)


def _send_held(handle: Step, stream: HttpStream, event: Any) -> CommandGenerator[None]:
    for piece in _held(stream, event):
        yield SendHttp(ResponseData(stream.stream_id, piece), stream.context.client)
    yield from handle(stream, event)


def _held(stream: HttpStream, event: Any) -> list[bytes]:
    """Return what one of our answers still holds back, if a client waits for it. Half a call stays text."""
    try:
        broke_off = isinstance(event, ResponseProtocolError)
        if not broke_off or stream.server_state != stream.state_stream_response_body:
            return []
        answer = stream.flow.response and stream.flow.response.stream
        listens = stream.client_state != stream.state_errored
        return answer(b"") if listens and isinstance(answer, StreamedAnswer) else []
    except AttributeError as e:
        log.debug("unknown version of mitmproxy: %s; held text is lost", e)
        return []
