"""JSON values: numbers and what models write instead, strings in single quotes, doubled brackets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..grammar.kinds import MORE, Wait
from ..grammar.text import JSON_CLOSERS, JSON_WHITESPACE, end_of
from ..grammar.text import JSON_SPACE as _S
from ..limits import TOKEN
from ..schema.coercion import FAILED, is_wanted
from ..schema.json_call import read_value
from ..schema.json_read import loads
from ..schema.lenient_json import read_damaged, with_brackets, with_last_bracket
from ..schema.schema import Parameter, type_of

BARE_WORD = re.compile(r"[\w./~-]+")
_ODD = re.compile(r"[+.-]{0,2}\w[\w.-]*")  # a number as JSON does not write it, or a word
_SCALAR = re.compile(rf"""[^\s,{{}}\[\]()"'<>:;=]{{1,{TOKEN}}}""")
_SINGLE = re.compile(rf"'((?:[^'\\\n]|\\.){{0,{TOKEN}}})'(?={_S}[,}}])")
_SINGLE_PART = re.compile(rf"'(?:[^'\\\n]|\\.){{0,{TOKEN}}}\\?(?:'{_S})?")
_PYTHON = {"True": True, "False": False, "None": None}


def read_word(text: str, at: int, over: bool) -> tuple[str, str] | Wait | None:
    """The word at `at`, and the character after it, "" at the end of the message. None for half a number
    there: `5.`."""
    found = _SCALAR.match(text, at)
    end = end_of(JSON_WHITESPACE, text, found.end()) if found else at
    if end == len(text) and not over:
        return MORE
    if found is None or (end == len(text) and found[0][-1] == "."):
        return None
    return found[0], text[end : end + 1]


def value_of(word: str, types: frozenset[str]) -> tuple[Any, bool]:
    """The value of a word if these types are allowed, FAILED if it has none; and whether it had to be
    repaired. What is no JSON is a string, which the schema may yet make a number."""
    if found := read_value(word):
        return found[0], False
    if word in _PYTHON:
        return _PYTHON[word], True
    bare = BARE_WORD if "string" in types else _ODD
    return word if bare.fullmatch(word) else FAILED, True


def read_single(text: str, at: int, over: bool) -> tuple[Any, int] | Wait | None:
    """A string in single quotes, if a JSON mark follows it; and its end."""
    found = _SINGLE.match(text, at)
    if found is None:
        return MORE if not over and _SINGLE_PART.fullmatch(text, at) else None
    value = read_damaged(f"[{found[0]}]")
    return (value[0], found.end()) if value else None


def read_container(
    text: str, parameter: Parameter, brackets: int, is_all: bool = False, is_long: bool = False
) -> tuple[Any, bool, int] | None:
    """The array or object at the beginning of a text, whether it had to be repaired, and how many
    characters of the text come after it: up to so many of the `brackets` that close the call. None if it
    cannot be read. `is_all`: what it lacks are brackets. `is_long`: all that close the call should be
    there."""
    # Doubled: the last one closes the call
    if text[:2] in ("[[", "{{") and text[-1] != JSON_CLOSERS[text[0]]:
        value = loads(text[1:-1], strict=False)
        if value is not None:
            return value, True, 1
    for tail in _closers(text, brackets):
        if exact := read_value(text[: len(text) - tail]):
            return exact[0], False, tail
    if found := _damaged_container(text, parameter, brackets + is_long, is_long):
        return found
    value = loads(with_brackets(text), strict=False) if is_all else None
    return None if value is None else (value, True, 0)


def _damaged_container(
    text: str, parameter: Parameter, brackets: int, is_long: bool
) -> tuple[Any, bool, int] | None:
    """What `read_container` returns for a text that is no JSON. A reading that its schema wants is tried
    before one that only has the right type."""

    def is_meant(value: Any) -> bool:
        return is_wanted(value, parameter)

    def has_type(value: Any) -> bool:
        return not parameter.types or type_of(value) in parameter.types

    tails = sorted(_closers(text, brackets), reverse=is_long)
    for accept, more in ((is_meant, False), (is_meant, is_long), (has_type, False)):
        for tail in tails:
            inner = text[: len(text) - tail].rstrip()
            value = read_damaged(with_last_bracket(inner) if more else inner, accept)
            if value is not None and accept(value):
                return value, True, tail
    return None


def _closers(text: str, brackets: int) -> Iterator[int]:
    """How many characters at the end of the text may close the call: none, or up to so many brackets."""
    yield 0
    end = len(text)
    for _ in range(brackets):
        end = len(text[:end].rstrip()) - 1
        if end < 0 or text[end] != "}":
            return
        yield len(text) - end
