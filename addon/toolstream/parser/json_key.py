"""The keys of a JSON object, including those that lost a quote or their colon, have a surplus one, or
have another character in its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..grammar.kinds import MORE, Wait
from ..grammar.text import COMMENT, COMMENT_PART, JSON_WHITESPACE, end_of
from ..grammar.text import JSON_SPACE as _S
from ..limits import COMMENTS, JSON_KEY
from ..schema.json_read import loads

COMMENT_MARKS = ("/", "#")
_COMMENTS = re.compile(rf"(?:{COMMENT}{_S}){{1,{COMMENTS}}}")
_COMMENT_PART = re.compile(COMMENT_PART)
QUOTES = "\"'`“”"
_QUOTE = f"[{QUOTES}]"
_OPENER = rf"(?:{_QUOTE}{{0,2}}+|\\(?=\w|\Z))"  # or the rest of `\"`
_LETTER = r'(?:[^"\\\n]|\\.|\n(?=[\w \t"]|\Z))'
_KEY = re.compile(rf'"(?P<key>{_LETTER}{{0,{JSON_KEY}}})"{_S}:')
_KEY_PART = re.compile(rf'"{_LETTER}{{0,{JSON_KEY}}}\\?(?:"{_S})?')
_BREAK = re.compile(r"\s*\n\s*")  # written as it is, which no key has
_WORD = re.compile(
    rf"""(?P<opener>{_OPENER})(?P<key>\w[\w.-]{{0,{JSON_KEY}}}+)(?P<quotes>{_QUOTE}{{0,2}}+)"""
    rf"""{_S}(?P<colon>[:=;,]?+){_S}"""
)
_WORD_PART = re.compile(_OPENER)
_VALUE = re.compile(rf"[{QUOTES}{{\[\w:-]")


@dataclass(frozen=True, slots=True)
class Key:
    """A key, and the index after which its value is. `damaged`: it is not valid JSON. `loose`: a comma
    stands for its colon."""

    name: str
    end: int
    damaged: bool
    loose: bool = False


def after_comment(text: str, at: int, over: bool) -> int | Wait:
    """The index after whitespace and comments as in JavaScript or Python; MORE if the text ends in one."""
    at = end_of(JSON_WHITESPACE, text, at)
    if text[at : at + 1] not in COMMENT_MARKS:
        return at
    at = end_of(_COMMENTS, text, at)
    return MORE if not over and _COMMENT_PART.fullmatch(text, at) else at


def read_key(text: str, at: int) -> Key | Wait | None:
    """The key at `at`; MORE if the text ends in it."""
    if found := _KEY.match(text, at):
        key, breaks = _BREAK.subn("", found["key"])
        name = loads(f'"{key}"', strict=False)
        return Key(key if name is None else name, found.end(), breaks > 0)
    if _KEY_PART.fullmatch(text, at):
        return MORE
    found = _WORD.match(text, at)
    if found is None:
        return MORE if _WORD_PART.fullmatch(text, at) else None
    return MORE if found.end() == len(text) else _damaged(text, found)


def _damaged(text: str, found: re.Match[str]) -> Key | None:
    """A word that is a key because of what follows it: a quote or a colon, and a value."""
    quotes, colon = found["quotes"], found["colon"]
    if not (quotes or colon) or (colon in ("=", ";", ",") and not (found["opener"] and quotes)):
        return None
    opens = len(quotes) == 2 and not colon  # the second one opens the value
    if _VALUE.match(text, found.end()) and not opens:
        return Key(found["key"], found.end(), True, loose=colon == ",")
    return Key(found["key"], found.start("quotes") + 1, True) if opens else None
