"""Finds secrets in a body: the values of keys, parameters and tags whose names name a secret.

    "api_key": "…"   "auth": {"user": "…"}     JSON, also inside JSON strings at any depth
    <parameter=api_key>…   <api_key>…</api_key>   calls in XML, and markup
    https://host/?key=…   <tool token="…">        parameters of URLs, attributes of tags

This is a search, not a parser. It looks for the few ROOTS that names of secrets contain, and only
reads on around those. So it costs little, and it works at every depth of escaping, in text that is cut off
and in text that is not JSON. The inside of a value is not searched again, so no byte is read twice.

A span is the text to overwrite, without quotes and whitespace. In lists and objects each
value is a separate span, so that JSON stays JSON and types stay types.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from .secret_names import LONGEST_NAME, ROOTS, is_secret

_NAME = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.$-"
_NO_NAME = b"\"'\\<>=:/&?;{}[], \t\r\n"
_SPACE = rb"(?:\s|\\+[nrt])*"
_LESS, _MORE = rb"(?:<|\\+u003c)", rb"(?:>|\\+u003e)"

# What may follow a name
_AFTER = (
    rb'(?P<key>(?P<slashes>\\*)"%(space)s:%(space)s)'
    rb"|(?P<single>'\s*:\s*'(?=[^'\"\\\n]*'))"
    rb"|(?P<tag>[\"'\\]*[ \t]*%(more)s)"
    rb"|(?P<pair>%(less)s\\*/\w+%(more)s%(space)s%(less)s\w+%(more)s)"
    rb"|(?P<equals>[ \t]*=[\"'\\]*)"
) % {b"space": _SPACE, b"more": _MORE, b"less": _LESS}
_IN_TAG = re.compile(_LESS + rb"([A-Za-z_][\w.-]*)[\s=:\"'\\]+(?:(?:name|key)[\s=:\"'\\]*)?\Z")
_TAG = re.compile(_LESS + rb"[A-Za-z_][^<>]*[\s=:\"'\\]\Z")
_TAG_BEFORE = re.compile(_MORE + rb"\Z")
_DIRECT = re.compile(_LESS + rb"\Z")
_VALUE_ENDS = re.compile(_LESS + rb"(?:\\*/\w|param|func|tool_call|invoke|arg_)")
_PLAIN = re.compile(rb"[^&;#\s\"'<>\\(){}\[\]]+")
_NUMBER = re.compile(rb"-?\d[\d.eE+-]*")
_LEADING = re.compile(_SPACE)
_TRAILING = re.compile(rb"(?:\s|\\+[nrt])+\Z")
_WORD = re.compile(rb"(?i:true|false|null|none|yes|no|on|off)")  # a type, not a secret
_TOKEN = re.compile(rb'[{}\[\]]|"|-?\d[\d.eE+-]*')
_COLON = re.compile(_SPACE + rb":")
_END_OF_STRING = re.compile(rb'"\s*(?:[,:}\]]|\Z)')
_LOGPROB_AFTER = re.compile(_SPACE + rb',%s\\*"(?:logprob|bytes|prob)\\*"' % _SPACE)
_LOGPROB_BEFORE = re.compile(
    rb'"(?:logprob|bytes|prob|id)\\*"\s*:[^"{}]*,\s*\Z|"(?:top_)?logprobs\\*"\s*:[\s\[{]*\Z'
)

_CALL_OPENS = (b"<function", b"<tool_call", b"u003cfunction", b"u003ctool_call")
_CALL_ENDS = (b"/function", b"/tool_call")
MOST_SLASHES = 1_100  # before a quote in ten nested strings
NEAR = 2_000  # bytes within which a call must have begun
_NAMING = (b"arg_key", b"key")  # as tags they hold names: `<key>api_key</key><string>…</string>`

# A definition in a schema has only such keys. Only the values under VALUES may be secrets.
_VALUES = frozenset((b"const", b"default", b"example", b"examples"))
_KEYWORDS = b"""
    $anchor $comment $defs $id $ref additionalProperties allOf anyOf contentEncoding contentMediaType
    dependentRequired deprecated description else enum exclusiveMaximum exclusiveMinimum format if items
    maxItems maxLength maxProperties maximum minItems minLength minProperties minimum multipleOf not
    nullable oneOf pattern patternProperties prefixItems properties propertyNames readOnly required then
    title type uniqueItems writeOnly
"""
_SCHEMA = _VALUES | frozenset(_KEYWORDS.split())


class Found(NamedTuple):
    """The text to overwrite, and how many JSON strings it is nested in."""

    start: int
    end: int
    escaped: int

    def value(self, text: bytes) -> str:
        """Return the secret itself."""
        raw = text[self.start : self.end]
        for _ in range(self.escaped):
            raw = _unescaped(raw)
        return raw.decode("utf-8", "surrogateescape")


def secret_spans(text: bytes, names: frozenset[str] = frozenset(), escaped: int = 0) -> list[Found]:
    """Return the secrets of a text in order, and the values of `names` (lower case). `escaped` is 1 for a
    JSON document, and for text inside a JSON string."""
    return list(_Search(text, names, escaped).found())


class _Search:
    def __init__(self, text: bytes, names: frozenset[str], escaped: int) -> None:
        self._text = text
        self._names = names
        self._escaped = escaped
        own = [name.encode() for name in names if name]
        self._roots = [*ROOTS, *own]
        self._letters = _NAME + bytes(b for name in own for b in name if b not in _NO_NAME)
        self._after = _after(bytes(sorted(set(self._letters))))
        self._longest = max([LONGEST_NAME, *map(len, own)])
        self._limit = (0, 0)  # no string ends in this range
        self._next = (0, 0)  # no value ends in this range

    def found(self) -> Iterator[Found]:
        done = 0
        for at in sorted(self._places()):
            if at >= done:
                for span in self._around(at):
                    done = max(done, span.end)
                    if span.end > span.start:
                        yield span

    def _places(self) -> set[int]:
        low = self._text.lower()
        places: set[int] = set()
        for root in self._roots:
            at = low.find(root)
            while at >= 0:
                places.add(at)
                at = low.find(root, at + len(root))
        return places

    def _around(self, at: int) -> list[Found]:
        text = self._text
        after = self._after.match(text, at)
        if after is None:
            return []
        start = self._start_of_name(at)
        name = text[start : after.end("rest")].decode("latin-1")
        before = text[max(0, start - 8) : start]
        if before.endswith(b" ") and after.lastgroup == "key":
            start, name = self._with_words_before(start, name)
        if not (is_secret(name) or name.lower() in self._names):
            return []
        match after.lastgroup:
            case "key":
                return self._of_key(start, after.end(), len(after["slashes"]))
            case "single":
                return self._of_single(before, after.end())
            case "tag":
                return self._of_tag(start, after.end(), name.encode("latin-1"))
            case "pair":
                return self._to_tag(after.end()) if _TAG_BEFORE.search(before) else []
            case _:
                return self._of_equals(start, after.end())

    def _start_of_name(self, at: int) -> int:
        """Return where the name begins that goes on at `at`."""
        text = self._text
        near = text[max(0, at - self._longest) : at]
        start = at - len(near) + len(near.rstrip(self._letters))
        if text[start - 1 : start] == b"\\":  # an escape: \n, or \u003c for a bracket
            return min(at, start + (5 if text.startswith(b"u00", start) else 1))
        return start

    def _with_words_before(self, start: int, name: str) -> tuple[int, str]:
        """Return the whole of a key that contains spaces: `"API key":`."""
        near = self._text[max(0, start - LONGEST_NAME) : start]
        words = near[near.rfind(b'"') + 1 :]
        return start - len(words), words.decode("latin-1") + name

    # JSON

    def _of_key(self, start: int, at: int, slashes: int) -> list[Found]:
        quote = b"\\" * slashes + b'"'
        before = self._text[max(0, start - slashes - 2) : start]
        if not before.endswith(quote) or before.endswith(b"\\" + quote):
            return []
        spans = self._json(at, slashes)
        is_token = self._text[start : start + 6].lower() in (b"token\\", b'token"')
        is_token = is_token and self._text[at : at + 1] not in (b"{", b"[")
        return [] if is_token and self._is_logprob(start - len(quote), at, spans) else spans

    def _of_single(self, before: bytes, at: int) -> list[Found]:
        """Find the value of a Python string on one line."""
        end = self._text.find(b"'", at)
        return [Found(at, end, 0)] if before.endswith(b"'") else []

    def _is_logprob(self, start: int, at: int, spans: list[Found]) -> bool:
        """Whether a `token` is a piece of the model's text."""
        text = self._text
        end = text.find(b'"', spans[-1].end) + 1 if spans and text[at : at + 1] not in b"0123456789" else at
        before = text[max(0, start - 200) : start]
        return bool(_LOGPROB_AFTER.match(text, end) or _LOGPROB_BEFORE.search(before))

    def _json(self, at: int, slashes: int) -> list[Found]:
        text = self._text
        if text.startswith(b"\\" * slashes + b'"', at):
            whole = self._string(at + slashes + 1, slashes)
            return self._document(whole.start, whole.end) or [whole]
        if text[at : at + 1] in (b"{", b"["):
            return self._values(at, slashes)
        number = _NUMBER.match(text, at)
        return [Found(*number.span(), 0)] if number else []

    def _string(self, start: int, slashes: int) -> Found:
        return Found(start, self._end_of_string(start, slashes)[0], _depth(slashes) + 1)

    def _end_of_string(self, start: int, slashes: int) -> tuple[int, int]:
        """Return where the inside of a string ends, and after how many backslashes. They are fewer than
        `slashes` if the enclosing string ended first."""
        text = self._text
        quote = text.find(b'"', start)
        while quote >= 0:
            closing = _closing(len(_run_before(text, quote, start)), slashes)
            if closing >= 0:
                return quote - closing, closing
            quote = text.find(b'"', quote + 1)
        return len(text), -1

    def _values(self, at: int, slashes: int) -> list[Found]:
        """Return every string and number in a list or object; of a schema definition only its examples."""
        text, end = self._text, at
        found: list[tuple[bytes, Found]] = []
        keys: list[bytes] = []  # the last key of every open list or object
        direct: set[bytes] = set()
        while token := _TOKEN.search(text, end):
            end = token.end()
            match token[0]:
                case b"{" | b"[":
                    keys.append(keys[-1] if keys and token[0] == b"[" else b"")
                case b"}" | b"]":
                    keys.pop()
                    if not keys:
                        break
                case b'"':
                    if len(_run_before(text, end - 1)) < slashes:
                        end -= 1  # the enclosing string has ended
                        break
                    inside = self._string(end, slashes)
                    end = inside.end + slashes + 1
                    if not _COLON.match(text, end):
                        found.append((keys[-1], inside))
                        if not text.startswith(b"\\" * slashes + b'"', inside.end):
                            end = inside.end  # it was cut off
                            break
                        continue
                    keys[-1] = text[inside.start : inside.end]
                    direct |= {keys[-1]} if len(keys) == 1 else set()
                case _:
                    found.append((keys[-1], Found(*token.span(), 0)))
        is_schema = bool(direct) and all(key in _SCHEMA or key.startswith(b"x-") for key in direct)
        spans = [span for key, span in found if not is_schema or key in _VALUES]
        return [*spans, Found(min(end, len(text)), min(end, len(text)), 0)]

    def _document(self, start: int, end: int) -> list[Found]:
        """Return the values of a list or object if it is all of the text; else nothing."""
        text = self._text
        if text[start : start + 1] not in (b"{", b"["):
            return []
        quote = text.find(b'"', start, end)
        slashes = len(_run_before(text, quote)) if quote > 0 else 0
        inside = text[start:end]
        for _ in range(_depth(slashes)):
            inside = _unescaped(inside)
        try:
            json.loads(inside)
        except (ValueError, RecursionError):
            return []
        return self._values(start, slashes)

    # Tags

    def _of_tag(self, start: int, at: int, name: bytes) -> list[Found]:
        before = self._text[max(0, start - LONGEST_NAME) : start]
        if _IN_TAG.search(before):
            return self._to_tag(at)
        return self._of_direct(at, name) if _DIRECT.search(before) else []

    def _of_direct(self, at: int, name: bytes) -> list[Found]:
        """Find the value of `<api_key>…</api_key>`. Without an end it may be a placeholder."""
        if name.lower() in _NAMING:
            return []
        end = self._end_of_value(at)
        if self._is_in_call(at):
            return self._trimmed(at, end)
        closer = re.compile(_LESS + rb"\\*/" + re.escape(name) + rb"\s*" + _MORE)
        return self._trimmed(at, end) if closer.match(self._text, end) else []

    def _is_in_call(self, at: int) -> bool:
        near = self._text[max(0, at - NEAR) : at]
        return max(map(near.rfind, _CALL_OPENS)) > max(map(near.rfind, _CALL_ENDS))

    def _to_tag(self, at: int) -> list[Found]:
        return self._trimmed(at, self._end_of_value(at))

    def _end_of_value(self, at: int) -> int:
        """Return where a tag ends the value, or where the string ends."""
        limit = self._end_around(at)
        if not self._next[0] <= at <= self._next[1]:
            end = _VALUE_ENDS.search(self._text, at)
            self._next = (at, end.start() if end else len(self._text))
        return min(self._next[1], limit)

    def _end_around(self, at: int) -> int:
        """Return where the JSON string around `at` ends."""
        if not self._escaped:
            return len(self._text)
        if not self._limit[0] <= at < self._limit[1]:
            self._limit = (at, self._find_end(at))
        return self._limit[1]

    def _find_end(self, at: int) -> int:
        for quote in _END_OF_STRING.finditer(self._text, at):
            if len(_run_before(self._text, quote.start())) % 2 == 0:
                return quote.start()
        return len(self._text)

    def _trimmed(self, start: int, end: int) -> list[Found]:
        text = self._text
        leading = _LEADING.match(text, start, end)
        start = leading.end() if leading else start
        if trailing := _TRAILING.search(text[max(start, end - 64) : end]):
            end -= len(trailing[0])
        if start >= end or _WORD.fullmatch(text, start, end):
            return []
        if spans := self._document(start, end):
            return spans
        return [Found(start, end, self._escaped and _levels(leading[0] if leading else b""))]

    # Parameters of URLs, attributes

    def _of_equals(self, start: int, at: int) -> list[Found]:
        before = self._text[max(0, start - LONGEST_NAME) : start]
        value = _PLAIN.match(self._text, at)
        if value is None or not (before[-1:] in (b"?", b"&") or _TAG.search(before)):
            return []
        return [Found(*value.span(), 0)]


@lru_cache(maxsize=8)
def _after(letters: bytes) -> re.Pattern[bytes]:
    return re.compile(
        rb"(?=(?P<rest>[%s]{0,%d}))(?P=rest)(?:%s)" % (re.escape(letters), LONGEST_NAME, _AFTER)
    )


def _run_before(text: bytes, at: int, start: int = 0) -> bytes:
    """Return the backslashes before a place, from `start` on."""
    before = text[max(start, at - MOST_SLASHES) : at]
    return before[len(before.rstrip(b"\\")) :]


def _depth(slashes: int) -> int:
    """Return how many JSON strings a quote is nested in, by its backslashes: 0, 1, 3, 7 …"""
    return (slashes + 1).bit_length() - 1


def _closing(run: int, slashes: int) -> int:
    """Return how many of the backslashes before a quote belong to it, if it ends a string that began with
    `slashes` or an enclosing one; -1 if it is inside the string."""
    left = run
    for depth in range(_depth(slashes)):
        if left % 2 == 0:
            return min(run, (1 << depth) - 1)
        left //= 2
    return slashes if left % 2 == 0 else -1


def _levels(space: bytes) -> int:
    """Return how often a text that begins with this is escaped: `\\n` once, `\\\\n` twice."""
    run = space.find(b"n") if space.startswith(b"\\") else 1
    return max(1, run).bit_length()


def _unescaped(raw: bytes) -> bytes:
    if b"\\" not in raw:
        return raw
    try:
        text = json.loads(b'"%b"' % raw, strict=False)
    except ValueError:
        return raw
    return str(text).encode("utf-8", "surrogatepass")
