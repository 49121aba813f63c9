"""JSON in whose strings quotes lack their backslash.

A quote ends a string if what may follow it does: a colon after a key, a bracket that closes what is open,
or a comma with a key or an item after it. Every other one is a part of the string. That counts only if all
quotes that are parts of one string have a partner, and it does not look like two strings and what is between.
One between two letters or digits needs no partner (`5"x7`, a Hebrew abbreviation): JSON has none there.
"""

import re
from collections.abc import Callable
from typing import Any

from ..grammar.text import JSON_STRING_REST
from ..limits import ONE_CHANGE
from .json_read import loads_if

_BRACKET = re.compile(r"[{}\[\]]")
_AFTER_KEY = re.compile(r"\s*+:")
_AFTER_MEMBER = re.compile(r'\s*+(?:\}|,\s*+(?:"[^"\\\n]*+"\s*+:|\}))')
_AFTER_ITEM = re.compile(r'\s*+(?:\]|,\s*+["{\[\d\-tfn\]])')

_BETWEEN = re.compile(r"""["'`“”]\s*+[,:;.]\s*+\\?\"""")
_AFTER = (_AFTER_MEMBER, _AFTER_ITEM)
_IN_WORD = re.compile(r'(?<=\w)"(?=\w)')


def quotes_escaped(text: str, accept: Callable[[Any], bool]) -> Any:
    """What a text says if quotes in strings are escaped; None if it is not certain."""
    if len(text) > ONE_CHANGE:
        return None
    escaped, words = _IN_WORD.subn(r'\\"', text)
    for written in (_written(text), escaped if words else "", _written(escaped) if words else ""):
        if (value := loads_if(written, accept)) is not None:
            return value
    return None


def _written(text: str) -> str:
    """The text with these quotes escaped; "" if there are none, or one has no partner."""
    out: list[str] = []
    opened: list[str] = []
    at, any_inner = 0, False
    while (quote := text.find('"', at)) >= 0:
        before = text[at:quote]
        out.append(before + '"')
        _follow(before, opened)
        is_key = opened[-1:] == ["{"] and ":" not in _BRACKET.split(before)[-1]
        after = _AFTER_KEY if is_key else _AFTER[opened[-1:] == ["["]]
        pieces, at = _string(text, quote + 1, after)
        if not (string := _with_quotes(pieces)):
            return ""
        any_inner = any_inner or len(pieces) > 1
        out.append(string)
    return "".join([*out, text[at:]]) if any_inner else ""


def _follow(outside: str, opened: list[str]) -> None:
    """Note the brackets that are open after this text, which holds no string."""
    for bracket in _BRACKET.findall(outside):
        if bracket in "{[":
            opened.append(bracket)
        else:
            del opened[-1:]


def _with_quotes(pieces: list[str]) -> str:
    """The rest of a string with the quotes between these pieces escaped; "" if one has no partner, or they
    look like two strings."""
    string = r"\"".join(pieces)
    if not len(pieces) % 2 or any(map(_is_between, pieces[1::2])):
        return ""
    return "" if pieces[1:] and _BETWEEN.search(string) else string


def _string(text: str, at: int, after: re.Pattern[str]) -> tuple[list[str], int]:
    """The rest of the string that begins at `at`, parted at the quotes in it that are not escaped, and where
    it ends; nothing if it does not."""
    pieces: list[str] = []
    while found := JSON_STRING_REST.match(text, at):
        at = found.end()
        if after.match(text, at):
            return [*pieces, found[0]], at
        pieces.append(found[0][:-1])
    return [], at


def _is_between(piece: str) -> bool:
    """Whether what two quotes in a string have between them is no quotation, but stands between two strings
    of which a comma was lost: `"a" "b"`."""
    return piece.strip() != piece or not piece
