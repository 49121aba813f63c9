"""Removes secrets from a recording before it is written.

Always: the values of names that name a secret (`secret_names`), in headers, cookies, the URL, JSON
and XML calls (`secret_spans`), and the values of further `names`. A secret is overwritten
wherever it occurs (`repeats`), even where the deltas of a stream cut it (`joined`).

With the name `messages` also everything that user and model wrote: the contents of messages, arguments
of calls and reasoning, in request and answer and where the ledger quotes them (`anonymise`).

In bodies each secret is replaced by asterisks, and a number by another one, of the same length. The
sizes of the pieces stay true, JSON stays JSON, and the rules give the same result.
"""

import base64
import dataclasses
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote_plus, urlsplit, urlunsplit

from .anonymise import KEPT, KNOWN_KEYS, OPENED, without_wording
from .format import Headers, Recording, cut, parse_object
from .joined import Joined, is_stream, joined
from .placeholder_text import OWN_WORDS, vocabulary
from .repeats import Repeats, Span, coded
from .secret_names import is_secret, is_secret_parameter
from .secret_spans import Found, secret_spans

PROTOCOL = OPENED | KEPT | KNOWN_KEYS | OWN_WORDS | {"chat.completion", "chat.completion.chunk"}
MESSAGES = "messages"  # a special name: redact everything that was written, too
REDACTED = "REDACTED"

_ERROR = re.compile(rb'^(?:data:|error:)?[ \t]*\{\s*(?:"error"\s*:\s*[{"]|"type"\s*:\s*"error"\s*,)', re.M)
# Headers with a list of named values, such as `Digest username="…", response="…"`
_PART = re.compile(r"([\w-]+)=(?:\"([^\"]*)\"|([^\s,;]+))")
_IN_DIGEST = frozenset(("response", "nonce", "cnonce", "opaque"))
_PARAMETER = re.compile(r"(?<=[?&;#])([^?&;#=\s]+)=([^&;#\s\"'<>]+)")
_PASSWORD = re.compile(r"(?<=://)[^/@\s]+(?=@)")
# A token is one word that mixes letters and digits; a model's name is several words, a UUID has shorter ones.
_TOKEN = re.compile(
    r"(?:bot\d{6,}:[\w-]+|(?:sk|pk|rk|hf|gh[a-z]|gsk|glpat|xox[a-z])[-_][\w-]{8,}|AIza[\w-]{20,}|eyJ[\w.-]{20,})"
    r"|(?=(?:\D*\d){2})(?=(?:[^A-Za-z]*[A-Za-z]){2}).*?[A-Za-z0-9]{16}.*"
)
_LOGPROBS = re.compile(rb'"token"\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)"|"bytes"\s*:\s*\[([\d,\s]*)\]', re.S)
_NUMBER = re.compile(rb"-?\d[\d.eE+-]*")
_DIGITS = bytes.maketrans(b"0123456789", b"1" * 10)


def redact(recording: Recording, names: Iterable[str] = ()) -> Recording:
    """Return the recording without secrets: known ones, and the values of `names`."""
    extra = frozenset(n.lower() for n in names)
    clean = _without_secrets(recording, extra - {MESSAGES})
    return without_wording(clean) if MESSAGES in extra else clean


def _without_secrets(recording: Recording, names: frozenset[str]) -> Recording:
    bodies = {data: Body(data, names) for data in (recording.request_body, recording.body, recording.out)}
    headers = recording.request_headers + recording.headers
    found = set(credentials(headers, recording.url, names))
    written = {value for body in bodies.values() for value in body.values()}
    written -= _protocol(recording.request, names) if written else set()
    is_error = recording.status >= 400 or _ERROR.search(recording.body) is not None
    scrub = Scrubber(Repeats(found | written, found if is_error else ()), names)
    clean = {
        data: body.clean(scrub.repeats, is_error and data != recording.request_body)
        for data, body in bodies.items()
    }
    request_body = clean[recording.request_body]
    return dataclasses.replace(
        recording,
        name=scrub.file_name(recording.name),
        request=recording.request if request_body is recording.request_body else parse_object(request_body),
        request_body=request_body,
        request_headers=scrub.headers(recording.request_headers),
        headers=scrub.headers(recording.headers),
        url=scrub.url(recording.url),
        chunks=cut(clean[recording.body], [len(c) for c in recording.chunks]),
        out=clean[recording.out],
        ledger=scrub.plain(recording.ledger),
        aborted=scrub.text(recording.aborted),
        rules=scrub.known(recording.rules),
        comment=scrub.text(recording.comment),
    )


def _protocol(request: dict[str, Any], names: frozenset[str]) -> set[str]:
    """Return the words that mean something to the rules. They stay, even if a secret has such a value."""
    return vocabulary(request.get("tools")) | PROTOCOL | {str(request.get(n)) for n in {"model"} - names}


# What is secret


def credentials(headers: Headers, url: str, names: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the secrets in headers and URL."""
    return filter(None, _credentials(headers, url, names))


def _credentials(headers: Headers, url: str, names: frozenset[str]) -> Iterator[str]:
    for key, value in headers:
        if is_secret(key) or key.lower() in names:
            yield from _secrets_in(key.lower(), value)
        yield from (v for k, v in _parameters(value) if is_secret_parameter(k))
    for key, value in _parameters(url):
        if is_secret_parameter(key) or key.lower() in names:
            yield value
    yield from filter(is_key, urlsplit(url).path.split("/"))
    yield from _PASSWORD.findall(url)


def is_key(word: str) -> bool:
    """Whether a word looks like a key or a token."""
    return _TOKEN.fullmatch(word) is not None


def _secrets_in(name: str, value: str) -> Iterator[str]:
    match name:
        case "cookie":
            yield from (cookie.partition("=")[2].strip() for cookie in value.split(";"))
        case "set-cookie":
            yield value.partition(";")[0].partition("=")[2]
        case "www-authenticate" | "proxy-authenticate":
            return  # it asks for a secret
        case _:
            yield from _of_authorization(value)


def _of_authorization(value: str) -> Iterator[str]:
    last = value.split()[-1:]  # "Bearer KEY" or "KEY"
    yield from (value, *last)
    if value.lower().startswith("basic ") and last:
        yield from _of_basic(last[0])
    for key, quoted, plain in _PART.findall(value):
        if is_secret(key) or key.lower() in _IN_DIGEST:
            yield quoted or plain


def _of_basic(value: str) -> Iterator[str]:
    """Yield the password of Basic auth, and `user:password`."""
    try:
        pair = base64.b64decode(value + "==").decode("utf-8", "surrogateescape")
    except ValueError:
        return
    yield pair
    yield pair.partition(":")[2]


def _parameters(url: str) -> Iterator[tuple[str, str]]:
    return ((unquote_plus(m[1]), unquote_plus(m[2])) for m in _PARAMETER.finditer(url))


# Bodies


class Body:
    """A body, and the secrets that are named in it."""

    def __init__(self, data: bytes, names: frozenset[str]) -> None:
        self._data = data
        self._is_stream = is_stream(data)
        is_json = self._is_stream or data.lstrip()[:1] in (b"{", b"[")
        texts = joined(data) if self._is_stream else []
        alone = outside(texts, secret_spans(data, names, int(is_json)))  # one piece alone says too little
        self._texts = [(Joined.of(data), data, alone)]
        self._texts += [(text, text.text, secret_spans(text.text, names, 1)) for text in texts]

    def values(self) -> Iterator[str]:
        for _, text, found in self._texts:
            yield from (span.value(text) for span in found)

    def clean(self, repeats: Repeats, is_error: bool = False) -> bytes:
        """Return the body without the secrets found in it and without known secrets."""
        data = bytearray(self._data)
        touched: set[int] = set()
        for joint, text, found in self._texts:
            for start, end in [*((f.start, f.end) for f in found), *repeats.spans(text, is_error)]:
                new = blank(text[start:end])
                for at, upto in joint.in_body(start, end):
                    data[at:upto], new = new[: upto - at], new[upto - at :]
                    touched.add(at)
        if touched and b'"logprobs"' in self._data:
            for at, upto in _logprobs(self._data, self._is_stream, touched):
                data[at:upto] = blank(data[at:upto])
        return bytes(data) if touched else self._data


def outside(texts: list[Joined], found: list[Found]) -> list[Found]:
    """Return the findings that are not in a piece of a text."""
    places = sorted(
        (at, at + len(p)) for text in texts for at, p in zip(text.places, text.pieces, strict=True)
    )
    starts = [at for at, _ in places]
    return [span for span in found if not _is_within(span, starts, places)]


def _is_within(span: Found, starts: list[int], places: list[Span]) -> bool:
    number = bisect_right(starts, span.start) - 1
    return number >= 0 and span.start <= places[number][1]


def _logprobs(data: bytes, in_events: bool, touched: set[int]) -> Iterator[Span]:
    """Yield the tokens of a text that contains a secret: they spell it, too."""
    events = {_event_around(data, at) if in_events else (0, len(data)) for at in touched}
    for start, end in events:
        for match in _LOGPROBS.finditer(data, start, end):
            if match[1] is not None:
                yield match.span(1)
            else:
                yield from (n.span() for n in re.compile(rb"\d+").finditer(data, *match.span(2)))


def _event_around(data: bytes, at: int) -> Span:
    gap = b"\n" if data[:1] == b"{" else b"\n\n"  # lines, or events
    end = data.find(gap, at)
    return data.rfind(gap, 0, at) + 1, len(data) if end < 0 else end


def blank(raw: bytes | bytearray) -> bytes:
    """Return what replaces a secret: of the same length, and a number if it was one."""
    if not _NUMBER.fullmatch(raw):
        return b"*" * len(raw)
    return bytes(raw.translate(_DIGITS)) if len(raw) > 1 else b"0"


# Everything else


class Scrubber:
    """Removes known secrets, and the values of secret names, from the rest of a recording."""

    def __init__(self, repeats: Repeats, names: frozenset[str]) -> None:
        self.repeats = repeats
        self._names = names

    def text(self, text: str) -> str:
        """Return the text without known secrets and without the values of secret names."""
        return self._without(text, is_known=False)

    def known(self, text: str) -> str:
        return self._without(text, is_known=True)

    def _without(self, text: str, is_known: bool) -> str:
        data = coded(text)
        spans = set(self.repeats.spans(data, is_error=True))
        if not is_known:
            spans |= {(f.start, f.end) for f in secret_spans(data, self._names)}
        clean = bytearray(data)
        for start, end in spans:
            clean[start:end] = blank(clean[start:end])
        return _decoded(bytes(clean)) if spans else text

    def file_name(self, name: str) -> str:
        for secret in self.repeats.values:
            for written in {secret, in_file_name(secret)} - {""}:
                name = name.replace(written, REDACTED)
        return name

    def headers(self, headers: Headers) -> Headers:
        return tuple(
            (key, REDACTED if is_secret(key) or key.lower() in self._names else self._header(value))
            for key, value in headers
        )

    def _header(self, value: str) -> str:
        return self.text(_PARAMETER.sub(self._parameter, value))

    def url(self, url: str) -> str:
        parts = urlsplit(_PASSWORD.sub(REDACTED, _PARAMETER.sub(self._parameter, url)))
        return self.known(urlunsplit(parts._replace(path=path_without_keys(parts.path))))

    def _parameter(self, parameter: re.Match[str]) -> str:
        key = unquote_plus(parameter[1])
        is_ours = is_secret_parameter(key) or key.lower() in self._names
        return f"{parameter[1]}={REDACTED}" if is_ours else parameter[0]

    def plain(self, value: Any) -> Any:
        match value:
            case str():
                return self.text(value)
            case dict():
                return {key: self.plain(item) for key, item in value.items()}
            case list():
                return [self.plain(item) for item in value]
            case _:
                return value


def path_without_keys(path: str) -> str:
    return "/".join(REDACTED if is_key(part) else part for part in path.split("/"))


def in_file_name(text: str) -> str:
    """Return the part of a text that is safe in a file name; it may be empty."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:40]


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogateescape")
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogatepass")
