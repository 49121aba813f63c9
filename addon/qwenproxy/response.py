"""The server's response: whether it can be read, and how it gets to the rewriter.

declared as a stream              a `StreamedAnswer`
no telling type, and no length    an `UntypedAnswer`: its first bytes decide; so for JSON where a stream
                                  was asked for
JSON, or a length that is known   collected by mitmproxy, and rewritten as a whole
anything else                     passed on live; the chat's line in the log says why
"""

import json
from typing import Any

from mitmproxy import http

from toolstream import StreamRewriter, recover_error

from . import apis
from .answer import StreamedAnswer, pass_live, rewrite_streamed, rewrite_whole
from .chat import Chat
from .encoding import Decoder, TooLargeError, decoder
from .errors import too_large
from .form import JSON, Form, declared, form_of, trouble_with
from .outcome import Outcome, pass_whole
from .recording import format as recording
from .terminal import printable
from .untyped import UntypedAnswer


def content_type(response: http.Response) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


def is_live_format(response: http.Response) -> bool:
    """Whether a body must be passed on as it arrives, even if it is not a chat's."""
    kind = content_type(response)
    return apis.streamed_as(kind) is not None or kind == "application/jsonl"


def is_open_ended(response: http.Response) -> bool:
    """Whether a body comes as it is made, such as speech. Of JSON and pages a client needs all, and mitmweb
    shows them."""
    kind = content_type(response)
    return bool(kind) and "content-length" not in response.headers and kind not in (JSON, "text/html")


def begin(response: http.Response, chat: Chat | None) -> None:
    """Handle the headers of a response. What is not read is passed on live, and without a chat so is a live
    format or an open end. mitmproxy collects the rest."""
    if is_live_format(response) or (chat is None and is_open_ended(response)):
        response.stream = response.stream or True
    if chat is None:
        return
    form = declared(content_type(response), chat.api)
    if form is Form.STREAM:
        stream(chat, response)
    elif response.status_code < 400 and (live := _live_answer(chat, response, form)):
        chat.head = upstream_head(response, decoded=False)
        chat.answer = response.stream = live


def _live_answer(chat: Chat, response: http.Response, form: Form | None) -> StreamedAnswer | None:
    """Return what passes on an answer that is not declared as a stream; None if it has to be collected: it
    has an end that is known, or it is encoded."""
    coding, trouble = decoder_of(response)
    if trouble or form is Form.OTHER:
        chat.unread = trouble
        return pass_live(chat.api, Form.OTHER)
    if "content-length" in response.headers:
        return None
    if coding:
        return pass_live(chat.api, Form.OTHER) if form is None else None
    return untyped(chat) if form is None or chat.request.asked.stream else None


def untyped(chat: Chat) -> UntypedAnswer:
    """Return the stream callable for an answer whose first bytes decide."""
    settings, body, api = chat.settings, chat.request.body, chat.api

    def whole(answer: bytes) -> Outcome:
        return rewrite_whole(body, settings.recovery, answer, False, chat.rules, api)

    rewriter = StreamRewriter(body, recovery=settings.recovery, rules=chat.rules, api=api.name)
    asked = chat.request.asked
    return UntypedAnswer(rewriter, whole, asked.stream, settings.observe, settings.keepalive, api=api)


def stream(chat: Chat, response: http.Response) -> None:
    """Put a StreamedAnswer between the upstream and the client."""
    coding, trouble = decoder_of(response)
    chat.head = upstream_head(response, decoded=coding is not None)
    chat.unread = trouble
    if trouble or response.status_code >= 400:
        chat.answer = pass_live(chat.api, Form.STREAM)
    else:
        settings = chat.settings
        chat.answer = rewrite_streamed(
            chat.request.body,
            settings.recovery,
            coding,
            settings.observe,
            chat.rules,
            settings.keepalive,
            chat.api,
        )
        if not chat.settings.observe:
            free_length(chat.flow.request, response)
    response.stream = chat.answer


def answer_at_once(chat: Chat, response: http.Response) -> Outcome:
    """Rewrite a body that mitmproxy has collected or another addon has set."""
    body = response.raw_content or b""
    coding, chat.unread = decoder_of(response)
    chat.head = upstream_head(response, decoded=coding is not None)
    chat.body_form = declared(content_type(response), chat.api)
    if chat.unread or chat.body_form is Form.OTHER:
        return pass_whole(body)
    try:
        plain = coding.feed(body) if coding else body
    except ValueError as e:
        chat.head = upstream_head(response, decoded=False)
        return refuse(chat, response, e) if isinstance(e, TooLargeError) else pass_broken(chat, body, e)
    if response.status_code >= 400:
        return answer_error(chat, response, plain) if chat.body_form else pass_whole(plain)
    return _answer(chat, response, plain)


def _answer(chat: Chat, response: http.Response, plain: bytes) -> Outcome:
    form = form_of(plain, chat.api, chat.request.asked.stream, is_over=True)
    chat.body_form = form if form is Form.STREAM else chat.body_form or form
    if chat.body_form is Form.OTHER:
        return pass_whole(plain)
    outcome = rewrite_whole(
        chat.request.body, chat.settings.recovery, plain, chat.is_stream, chat.rules, chat.api
    )
    if not chat.settings.observe and (rewritten := b"".join(outcome.out)) != plain:
        response.headers.pop("content-encoding", None)
        response.content = rewritten
    return outcome


def why_unread(chat: Chat, outcome: Outcome) -> str:
    """Say why a finished answer was passed on unread; empty if it was read, or broke off, or is an error."""
    if chat.head["status"] >= 400 or outcome.aborted:
        return ""
    if chat.unread or not (outcome.chunks and chat.form):
        return chat.unread or trouble_with(b"", Form.OTHER)
    if chat.form is Form.OTHER:
        return _type_said(chat.head["headers"])
    return "" if chat.is_stream else trouble_with(b"".join(outcome.chunks), chat.form)


def _type_said(headers: recording.Headers) -> str:
    said = {name: printable(recording.header(headers, name)) for name in ("content-type", "content-encoding")}
    return ", ".join(f"{name} {value}" for name, value in said.items() if value) or "no content-type"


def pass_broken(chat: Chat, body: bytes, error: Exception) -> Outcome:
    chat.unread = printable(str(error))
    chat.body_form = Form.OTHER
    return pass_whole(body)


def refuse(chat: Chat, response: http.Response, error: TooLargeError) -> Outcome:
    """Send an error instead of a body that is too large."""
    outcome = pass_whole(response.raw_content or b"")
    outcome.aborted = str(error)
    if not chat.settings.observe:
        response.headers.pop("content-encoding", None)
        response.headers["content-type"] = "application/json"
        response.status_code, response.reason = 502, "Bad Gateway"
        response.content = json.dumps(too_large(error, chat.api)).encode()
        outcome.out = [response.content]
    return outcome


def answer_error(chat: Chat, response: http.Response, body: bytes) -> Outcome:
    """Return the answer that an engine error contains, if there is one; else the error."""
    outcome = pass_whole(body)
    recovery, api = chat.settings.recovery, chat.api.name
    if recovered := recover_error(chat.request.body, body, recovery, rules=chat.rules, api=api):
        completion, outcome.ledger = recovered
        outcome.out = [completion]
        if not chat.settings.observe:
            response.headers.pop("content-encoding", None)
            response.status_code, response.reason, response.content = 200, "OK", completion
    return outcome


def decoder_of(response: http.Response) -> tuple[Decoder | None, str]:
    """Return the decoder that the body needs, if any, and why the body cannot be decoded, if it cannot."""
    try:
        return decoder(response.headers.get("content-encoding", "")), ""
    except ValueError as e:
        return None, printable(str(e))


def upstream_head(response: http.Response, decoded: bool) -> dict[str, Any]:
    """Return the head as it came, adjusted to the decoded body that a recording holds."""
    head = recording.head_of(response)
    if decoded:
        coded = ("content-encoding", "content-length")
        head["headers"] = tuple((k, v) for k, v in head["headers"] if k.lower() not in coded)
    return head


def free_length(request: http.Request, response: http.Response) -> None:
    """Adjust the head to a body that is not encoded and whose length is not known yet."""
    response.headers.pop("content-encoding", None)
    if response.headers.pop("content-length", None) is None:
        return
    # HTTP/2 frames the body itself; with HTTP/1.0 it ends with the connection.
    if request.http_version == "HTTP/1.1" and response.http_version != "HTTP/1.0":
        response.headers["transfer-encoding"] = "chunked"
