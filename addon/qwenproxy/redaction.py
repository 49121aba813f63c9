"""Takes out of a recording what is nobody's business, before it is written.

Credentials, always: in headers, cookies, query parameters and well-known JSON keys, and what
`names` adds to them. A secret is overwritten with asterisks wherever it occurs, be it echoed in
an error message.

With the name `messages` also all that user and model wrote: the contents of messages, arguments
of calls and reasoning, in request and answer and where the ledger quotes them; `wording` does it.

Lengths and the sizes of the pieces stay, so a redacted recording is cut where the original was.
"""

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from .recording import Headers, Recording, cut, parse_object
from .wording import without_wording

MESSAGES = "messages"  # among the names: redact what was written, too
REDACTED = "REDACTED"
SHORTEST_SECRET = (
    12  # characters; shorter values ("lm-studio") are words, to be overwritten only in their header
)

SECRET_HEADER = re.compile(
    r"auth|cookie|secret|password|credential|token(?!s)|(api|subscription)-?_?key", re.I
)
SECRET_PARAMETER = re.compile(r"^(key|sig|signature)$|auth|secret|password|token|api-?_?key", re.I)
# Only of strings: a tool may have a parameter of this name, and that is an object in the schema.
SECRET_KEY = (
    r"[\w-]*(?:api[_-]?key|(?:access|auth|bearer|refresh|session)[_-]?token|authorization|password|secret"
    r"|secret[_-]?key)"
)


def redact(recording: Recording, names: Iterable[str] = ()) -> Recording:
    """The recording without secrets: known ones, and headers, parameters and JSON keys called `names`."""
    extra = frozenset(n.lower() for n in names)
    clean = _without_secrets(recording, extra - {MESSAGES})
    return without_wording(clean) if MESSAGES in extra else clean


def _without_secrets(recording: Recording, names: frozenset[str]) -> Recording:
    scrub = _Scrubber(_secrets(recording, names), names)
    request_body = scrub.body(recording.request_body)
    return dataclasses.replace(
        recording,
        name=scrub.file_name(recording.name),
        request=parse_object(request_body),
        request_body=request_body,
        request_headers=scrub.headers(recording.request_headers),
        headers=scrub.headers(recording.headers),
        url=scrub.url(recording.url),
        chunks=cut(scrub.body(recording.body), [len(c) for c in recording.chunks]),
        out=scrub.body(recording.out),
        ledger=scrub.plain(recording.ledger),
        aborted=scrub.text(recording.aborted),
        rules=scrub.text(recording.rules),
        comment=scrub.text(recording.comment),
    )


def _secrets(recording: Recording, extra: frozenset[str]) -> Iterator[str]:
    for key, value in recording.request_headers + recording.headers:
        if _is_secret(key, SECRET_HEADER, extra):
            yield from _secrets_in(key.lower(), value)
    for key, value in parse_qsl(urlsplit(recording.url).query):
        if _is_secret(key, SECRET_PARAMETER, extra):
            yield value
    yield from _secret_values(recording.request, re.compile(SECRET_KEY, re.I), extra)


def _secrets_in(name: str, value: str) -> list[str]:
    match name:
        case "cookie":
            return [cookie.partition("=")[2] for cookie in value.split(";")]
        case "set-cookie":
            return [value.partition(";")[0].partition("=")[2]]
        case "www-authenticate" | "proxy-authenticate":
            return []  # asks for a secret
        case _:
            return value.split()[-1:]  # "Bearer KEY" or "KEY"


def _secret_values(value: Any, known: re.Pattern[str], extra: frozenset[str]) -> Iterator[str]:
    """The strings of a request's body that stand under a secret key, outside of its tools."""
    match value:
        case dict():
            for key, item in value.items():
                if isinstance(item, str) and (known.fullmatch(key) or key.lower() in extra):
                    yield item
                elif key != "tools":
                    yield from _secret_values(item, known, extra)
        case list():
            for item in value:
                yield from _secret_values(item, known, extra)


def _is_secret(name: str, pattern: re.Pattern[str], extra: frozenset[str]) -> bool:
    return name.lower() in extra or pattern.search(name) is not None


class _Scrubber:
    """Takes known secrets, and the values of named keys, out of all that a recording holds."""

    def __init__(self, secrets: Iterable[str], names: frozenset[str]) -> None:
        self._secrets = sorted({s for s in secrets if len(s) >= SHORTEST_SECRET}, key=len, reverse=True)
        self._names = names
        self._keys = _keys_pattern(names)

    def text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "*" * len(secret))
        return text

    def file_name(self, name: str) -> str:
        for secret in self._secrets:
            name = name.replace(secret, REDACTED).replace(_in_file_name(secret), REDACTED)
        return name

    def body(self, body: bytes) -> bytes:
        # latin-1 has one character per byte, so lengths and places stay what they are
        text = body.decode("latin-1")
        for secret in self._secrets:
            for written in {secret, json.dumps(secret)[1:-1]}:
                coded = written.encode("utf-8", "surrogateescape").decode("latin-1")
                text = text.replace(coded, "*" * len(coded))
        return _blank_values(text, self._keys).encode("latin-1")

    def headers(self, headers: Headers) -> Headers:
        return tuple(
            (key, REDACTED if _is_secret(key, SECRET_HEADER, self._names) else self.text(value))
            for key, value in headers
        )

    def url(self, url: str) -> str:
        parts = urlsplit(url)
        query = "&".join(self._parameter(p) for p in parts.query.split("&"))
        return self.text(urlunsplit(parts._replace(query=query)))

    def _parameter(self, parameter: str) -> str:
        key, equals, _value = parameter.partition("=")
        return key + equals + REDACTED if _is_secret(key, SECRET_PARAMETER, self._names) else parameter

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


def _in_file_name(secret: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", secret).strip("-.")[:40]


def _keys_pattern(names: frozenset[str]) -> re.Pattern[str]:
    named = "|".join([*map(re.escape, sorted(names)), r"(?!)"])
    return re.compile(rf'"(?:(?:{named})"\s*:\s*|{SECRET_KEY}"\s*:\s*(?="))', re.I)


def _blank_values(text: str, keys: re.Pattern[str]) -> str:
    """Overwrite the JSON value after each key with one of the same length."""
    out, done = [], 0
    for match in keys.finditer(text):
        start = match.end()
        if start < done:
            continue  # inside a value that is gone already
        end = _end_of_value(text, start)
        out += [text[done:start], _blank(end - start)]
        done = end
    return "".join([*out, text[done:]])


def _end_of_value(text: str, start: int) -> int:
    try:
        return json.JSONDecoder(strict=False).raw_decode(text, start)[1]
    except (ValueError, RecursionError):  # cut off: the rest of the line may belong to it
        newline = text.find("\n", start)
        return len(text) if newline < 0 else newline


def _blank(length: int) -> str:
    return '"' + "*" * (length - 2) + '"' if length >= 2 else "0" * length
