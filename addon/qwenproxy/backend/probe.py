"""Asks a model server in the background whether it answers, and reports it in the log.

Without this, a proxy in front of nothing looks fine until the first chat. Every server of this kind answers
`GET /v1/models`; an error is an answer, too. The answer may also show that the address is wrong: the
server speaks http and not https, or the other way round, or it is this very proxy.

The connection is our own and bypasses mitmproxy. It carries no key and is not a chat. The request carries a
random number (`SIGNATURE`), by which the proxy recognises its own question.
"""

import asyncio
import errno
import http.client
import io
import json
import logging
import re
import secrets
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..terminal import printable
from .addresses import DEFAULT_PORTS, Address, url

log = logging.getLogger("qwen_fix")

PATH = "/v1/models"
PATIENCE = 2.0  # seconds for an answer
PAUSES = (1.0, 2.0, 5.0, 10.0)  # seconds between questions to a server that is down; the last one repeats
LARGEST_ANSWER = 1 << 20  # bytes
MOST_MODELS, LONGEST_NAME = 3, 60  # named in a line; characters
STARTING = (502, 503, 504)  # from a gateway whose server is not up yet, or from a server that loads its model
REFUSED = "nothing is listening there"
CLOSED = "it closed the connection"
TRUST = "--ssl-insecure, or --set ssl_verify_upstream_trusted_ca=FILE"
SIGNATURE_HEADER = "x-qwen-fix-probe"
SIGNATURE = secrets.token_hex(16)  # of this process

_ERRNO = re.compile(r"\[Errno -?\d+\] ")
_LENGTH = re.compile(rb"(?i)\ncontent-length:\s*(\d{1,9})\s*(?:\r|$)")
_CHUNKED = re.compile(rb"(?i)\ntransfer-encoding:\s*chunked\s*(?:\r|$)")


@dataclass(frozen=True, slots=True)
class Heard:
    """The result of one question. `down` says why nothing came; `wrong` says what to write instead."""

    said: str = ""
    down: str = ""
    wrong: str = ""


async def question(backend: str, verify: bool = True) -> Heard:
    """Ask once. `backend` is a URL without a path; `verify`: check its certificate."""
    parts = urlsplit(backend)
    host, port = parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
    other = "http" if parts.scheme == "https" else "https"
    answer, reason = b"", CLOSED
    try:
        answer = await _ask(parts.scheme, host, port, verify)
    except ssl.SSLCertVerificationError as e:
        return Heard(wrong=f"{backend}: its certificate is not trusted ({e.verify_message}): write {TRUST}")
    except (OSError, TimeoutError, UnicodeError) as e:
        reason = _reason(e)
        if reason == REFUSED or isinstance(e, socket.gaierror | UnicodeError):
            return Heard(down=reason)
    if answer.startswith(b"HTTP/") and not (parts.scheme == "http" and _wants_tls(answer)):
        return _understood(backend, answer)
    if await _speaks(other, host, port):
        return Heard(wrong=f"{backend} speaks {other}, not {parts.scheme}: write {url(other, host, port)}")
    if answer:
        return Heard(wrong=f"{backend} speaks no {parts.scheme}: is it the port of another program?")
    return Heard(down=reason)


Ask = Callable[[str], Awaitable[Heard]]


async def watch(backend: str, tell: Callable[[bool, str], None], ask: Ask = question, down: str = "") -> None:
    """Ask until the server answers. Call `tell` once with each piece of news: (is it bad?, line). `down`: why
    it does not answer any more, if that is known."""
    pauses = iter(PAUSES)
    heard = Heard(down=down) if down else await ask(backend)
    if heard.down:
        more = " any more" if down else ""
        tell(True, f"{backend} does not answer{more} ({heard.down}); waiting for it")
    while heard.down:
        await asyncio.sleep(next(pauses, PAUSES[-1]))
        heard = await ask(backend)
    tell(bool(heard.wrong), heard.wrong or heard.said)


def tell(is_bad: bool, line: str) -> None:
    log.log(logging.WARNING if is_bad else logging.INFO, "%s", printable(line))


async def _speaks(scheme: str, host: str, port: int) -> bool:
    try:
        return (await _ask(scheme, host, port)).startswith(b"HTTP/")
    except (OSError, TimeoutError):  # SSLError is an OSError
        return False


async def _ask(scheme: str, host: str, port: int, verify: bool = False) -> bytes:
    """Return the bytes that arrive in time. Raises OSError, or TimeoutError if none arrive."""
    answer = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            context = _tls(verify) if scheme == "https" else None
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
            try:
                writer.write(_request(Address(host, port)))
                while not _is_enough(answer) and (piece := await reader.read(65536)):
                    answer += piece
            finally:
                writer.close()
    except (TimeoutError, ConnectionError):
        if not answer:
            raise
    return bytes(answer)


def _is_enough(answer: bytearray) -> bool:
    """Whether the whole body has arrived, or more than is plausible. Not every server hangs up."""
    head, _, body = answer.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    is_whole = (
        body.endswith(b"0\r\n\r\n") if _CHUNKED.search(head) else length and len(body) >= int(length[1])
    )
    return bool(is_whole) or len(answer) >= LARGEST_ANSWER


def _request(server: Address) -> bytes:
    lines = (
        f"GET {PATH} HTTP/1.1",
        f"Host: {server}",
        "Accept: application/json",
        f"{SIGNATURE_HEADER}: {SIGNATURE}",
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def _tls(verify: bool) -> ssl.SSLContext:
    """Return a TLS context. To find out whether a server speaks https at all, its name does not matter."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _wants_tls(answer: bytes) -> bool:
    """Whether this is how an https server refuses a client that speaks http."""
    return answer.split(b" ", 2)[1:2] == [b"400"] and b"https" in answer.lower()


def _reason(error: Exception) -> str:
    """Say why nothing came. If a name has several addresses, asyncio only lists one error for each."""
    if isinstance(error, TimeoutError):
        return f"nothing for {PATIENCE:g} seconds"
    if isinstance(error, ConnectionRefusedError) or _is_refusal(str(error)):
        return REFUSED
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _is_refusal(said: str) -> bool:
    refusals = said.count(f"Errno {errno.ECONNREFUSED}]")
    return bool(refusals) and refusals == said.count("Errno ")


def is_unreachable(said: str) -> bool:
    """Whether an error of mitmproxy's says that there was no connection to a server."""
    return "Errno " in said


def in_words(said: str) -> str:
    """Return an error of mitmproxy's about a server that did not answer, in the words of this module."""
    if _is_refusal(said):
        return REFUSED
    return CLOSED if "closed connection" in said else _ERRNO.sub("", said)


def _understood(backend: str, answer: bytes) -> Heard:
    response = http.client.HTTPResponse(_Received(answer))  # type: ignore[arg-type]
    try:
        response.begin()
    except (http.client.HTTPException, ValueError):
        return Heard(wrong=f"{backend} speaks no HTTP that can be read: is it the port of another program?")
    if response.headers.get(SIGNATURE_HEADER) == SIGNATURE:
        return Heard(wrong=f"{backend} is this proxy itself: give it the address of your model server")
    if response.status in STARTING:
        return Heard(down=f"status {response.status}")
    if response.status != 200:
        return Heard(said=f"{backend} answers (status {response.status} to {PATH})")
    models = _models(response)
    more = [f"{len(models) - MOST_MODELS} more"] if len(models) > MOST_MODELS else []
    named = ", ".join([*models[:MOST_MODELS], *more])
    return Heard(said=f"{backend} answers" + (f", with {named}" if named else ""))


class _Received:
    """A stand-in for a socket, for `http.client`: everything has already been read from it."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._answer)


def _models(response: http.client.HTTPResponse) -> list[str]:
    """Return the names in a list of models, safe to print."""
    try:
        listed: Any = json.loads(response.read())["data"]
        return ["".join(filter(str.isprintable, str(model["id"])))[:LONGEST_NAME] for model in listed]
    except (http.client.HTTPException, ValueError, KeyError, TypeError, RecursionError):
        return []
