"""The keys of a JSON object, also those that lost a quote or their colon, or have one too many."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..grammar.kinds import MORE, Wait
from ..grammar.text import JSON_SPACE as _S
from ..limits import JSON_KEY
from ..schema.json_read import loads

_KEY = re.compile(rf'"(?P<key>(?:[^"\\\n]|\\.){{0,{JSON_KEY}}})"{_S}:')
_KEY_PART = re.compile(rf'"(?:[^"\\\n]|\\.){{0,{JSON_KEY}}}\\?(?:"{_S})?')
_WORD = re.compile(
    rf"""["']{{0,2}}+(?P<key>\w[\w.-]{{0,{JSON_KEY}}}+)(?P<quotes>["']{{0,2}}+){_S}(?P<colon>:?+){_S}"""
)
_WORD_PART = re.compile(r"""["']{0,2}""")
_VALUE = re.compile(r"""["'{\[\w:-]""")


@dataclass(frozen=True, slots=True)
class Key:
    """A key, and the index at which its value is looked for. `damaged`: it is none to the letter."""

    name: str
    end: int
    damaged: bool


def read_key(text: str, at: int) -> Key | Wait | None:
    """The key at `at`; MORE if the text ends in it."""
    if found := _KEY.match(text, at):
        name = loads(f'"{found["key"]}"', strict=False)
        return Key(found["key"] if name is None else name, found.end(), False)
    if _KEY_PART.fullmatch(text, at):
        return MORE
    found = _WORD.match(text, at)
    if found is None:
        return MORE if _WORD_PART.fullmatch(text, at) else None
    return MORE if found.end() == len(text) else _damaged(text, found)


def _damaged(text: str, found: re.Match[str]) -> Key | None:
    """A word that is a key by what follows it: a quote or a colon, and a value."""
    quotes, end = found["quotes"], found.end()
    if not (quotes or found["colon"]):
        return None
    if _VALUE.match(text, end):
        return Key(found["key"], end, True)
    opens = len(quotes) == 2 and not found["colon"]  # the second one is that of the value
    return Key(found["key"], found.start("quotes") + 1, True) if opens else None
