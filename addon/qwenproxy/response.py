"""The server's response: whether it can be read, and how it gets to the rewriter.

A stream gets a `StreamedAnswer`; a complete body is rewritten as a whole. A response that cannot be
read is passed through unchanged.
"""

import functools
import json
import logging
from typing import Any

from mitmproxy import http

from toolstream import recover_error

from . import apis
from .answer import StreamedAnswer, rewrite_streamed, rewrite_whole
from .chat import Chat, flow_name
from .encoding import Decoder, TooLargeError, decoder
from .errors import too_large
from .outcome import Outcome, pass_whole
from .recording import format as recording
from .terminal import printable

log = logging.getLogger("qwen_fix")


def content_type(response: http.Response) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


def is_stream(response: http.Response, chat: Chat) -> bool:
    """Whether a response is a stream of the API of this chat."""
    return content_type(response) == chat.api.wire.media_type


def is_live_format(response: http.Response) -> bool:
    """Whether a body must be passed on as it arrives, even if it is not a chat's."""
    kind = content_type(response)
    return apis.streamed_as(kind) is not None or kind == "application/jsonl"


def begin(response: http.Response, chat: Chat | None) -> None:
    """Handle the headers of a response. A live format is passed on live, even without a chat."""
    if is_live_format(response):
        response.stream = response.stream or True
    if chat and is_stream(response, chat):
        stream(chat, response)


def stream(chat: Chat, response: http.Response) -> None:
    """Put a StreamedAnswer between the upstream and the client."""
    coding, readable = decoder_of(response)
    chat.head = upstream_head(response, decoded=coding is not None)
    if not readable or response.status_code >= 400:
        chat.answer = StreamedAnswer(None, observe=True, api=chat.api)
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
    coding, readable = decoder_of(response)
    chat.head = upstream_head(response, decoded=coding is not None)
    if not readable or not is_answer(response, chat):
        return pass_whole(body)
    try:
        plain = coding.feed(body) if coding else body
    except ValueError as e:
        chat.head = upstream_head(response, decoded=False)
        return refuse(chat, response, e) if isinstance(e, TooLargeError) else pass_broken(chat, body, e)
    if response.status_code >= 400:
        return answer_error(chat, response, plain)
    recovery, streamed = chat.settings.recovery, is_stream(response, chat)
    outcome = rewrite_whole(chat.request.body, recovery, plain, streamed, chat.rules, chat.api)
    if not chat.settings.observe and (rewritten := b"".join(outcome.out)) != plain:
        response.headers.pop("content-encoding", None)
        response.content = rewritten
    return outcome


def pass_broken(chat: Chat, body: bytes, error: Exception) -> Outcome:
    log.warning("%s: passed through unchanged: %s", flow_name(chat.flow), error)
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


def is_answer(response: http.Response, chat: Chat) -> bool:
    return is_stream(response, chat) or content_type(response) == "application/json"


def decoder_of(response: http.Response) -> tuple[Decoder | None, bool]:
    """Return the decoder that the body needs, if any, and whether the body can be read."""
    try:
        return decoder(response.headers.get("content-encoding", "")), True
    except ValueError as e:
        warn_once(printable(f"passed through unchanged: {e}"))
        return None, False


@functools.lru_cache(maxsize=64)  # servers choose the text
def warn_once(line: str) -> None:
    log.warning(line)


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
