"""The text of one value as its schema wants it, also that of an array or object with a slip in it.

What is well written, or in Python's notation, `coercion` reads. What it cannot read is mended as JSON of a
call is (`lenient_json`), and counts only if the result is what the schema describes.
"""

import re
from collections.abc import Iterator
from typing import Any

from ..limits import EXCERPT, FENCE_INFO
from .coercion import CONTAINERS, FAILED, coerced, conform, is_wanted, too_deep
from .json_read import loads
from .lenient_json import read_damaged, with_last_bracket
from .schema import Parameter

_FENCE = re.compile(rf"```\w{{0,{FENCE_INFO}}}[ \t]*\n")
_MARKS = ",;. \t\r\n"


def coerce_leniently(text: str, parameter: Parameter) -> Any:
    """The JSON value of a complete text, mended if it has a slip in it; or FAILED, or OMITTED."""
    return coerced_leniently(text, parameter)[0]


def coerced_leniently(text: str, parameter: Parameter) -> tuple[Any, str, bool]:
    """The value, its JSON text if that is known already, and whether it had to be mended."""
    value, written = coerced(text, parameter)
    bare = text.strip()
    if value is not FAILED or not bare or not parameter.types & CONTAINERS:
        return value, written, False
    value = _damaged_container(bare, parameter)
    return value, "", value is not FAILED


def read_string(value: Any, parameter: Parameter) -> tuple[Any, bool]:
    """A value; or, if it is a string by mistake and has a slip in it, what it says, and True."""
    if not isinstance(value, str) or not parameter.types & CONTAINERS or "string" in parameter.types:
        return value, False
    if is_torn(value):
        return value, False
    found, _, mended = coerced_leniently(value, parameter)
    return (found if mended else value), mended


def is_torn(text: str) -> bool:
    """Whether JSON in a string has lost its first bracket, or ends in a comma: then more may be missing."""
    bare = text.strip()
    torn = bare[:1] + bare[-1:] in ("{]", "[}", "[,", "{,")
    return torn and loads(bare.rstrip(_MARKS)) is None


def excerpt_of(key: str, text: str) -> str:
    """What a repair quotes of a value."""
    return f"{key}={text[:EXCERPT]}"[:EXCERPT]


def _damaged_container(bare: str, parameter: Parameter) -> Any:
    """An array or object with a slip in it, conformed, if it is what the schema describes."""
    for text in _unwrapped(bare):

        def fits(value: Any, text: str = text) -> bool:
            return not too_deep(text, value) and is_wanted(value, parameter)

        value = read_damaged(text, fits, is_value=True)
        if value is not None and fits(value):
            return conform(value, parameter)[0]
    return FAILED


def _unwrapped(bare: str) -> Iterator[str]:
    """The text, and without what stands around an array or object by mistake: a fence, a mark after it; or
    with its last bracket."""
    yield bare
    opening = _FENCE.match(bare)
    if opening and bare.endswith("```"):
        yield bare[opening.end() : -3].strip()
    elif (inner := bare.rstrip(_MARKS)) != bare and inner[-1:] in ("}", "]"):
        yield inner
    elif lengthened := with_last_bracket(bare):
        yield lengthened
