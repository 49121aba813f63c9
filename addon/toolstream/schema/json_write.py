"""JSON as text. What was well-formed is written as it was: `1.10` does not become `1.1`."""

import re
from json import JSONDecoder, JSONEncoder, dumps
from json.encoder import encode_basestring
from math import isfinite
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")


_encode = JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Written(float):
    """A number that remembers how it was written."""

    __slots__ = ("text",)
    text: str


def dump(value: Any) -> str:
    """JSON text. Numbers stay as they were written. NaN and infinities, which JSON lacks, become strings."""
    match value:
        case str():
            return quoted(value)
        case dict():
            return "{" + ", ".join([f"{quoted(key)}: {dump(member)}" for key, member in value.items()]) + "}"
        case list():
            return "[" + ", ".join([dump(item) for item in value]) + "]"
        case None | True | False:
            return str(value).lower() if value is not None else "null"
        case Written():
            return value.text
        case float() if not isfinite(value):
            return quoted(dumps(value))
    return repr(value)


def quoted(text: str) -> str:
    """A JSON string. Lone surrogates become escapes, because UTF-8 cannot encode them."""
    written = encode_basestring(text)
    return written if written.isascii() else encodable(written)


def escaped(text: str) -> str:
    """The inside of a JSON string."""
    return quoted(text)[1:-1]


def encodable(json: str) -> str:
    """The JSON text with all surrogates escaped, so that it can be encoded as UTF-8."""
    return json if json.isascii() else _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", json)


def compact(value: Any) -> str:
    """JSON text without spaces, for values whose numbers were not read from JSON text."""
    return str(value) if type(value) is int else encodable(_encode(value))


def as_written(text: str) -> float:
    """A number that `dump` writes as it was; for `parse_float`. ValueError if it overflows to infinity."""
    number = float(text)
    if not isfinite(number):
        raise ValueError("overflows a double")
    if repr(number) == text:
        return number
    written = Written(number)
    written.text = text
    return written


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


STRICT = JSONDecoder(parse_float=as_written, parse_constant=_refuse_constant)
# Strings may contain line breaks as they are
LENIENT = JSONDecoder(parse_float=as_written, parse_constant=_refuse_constant, strict=False)
LENIENT_WITH_NAN = JSONDecoder(parse_float=as_written, strict=False)
