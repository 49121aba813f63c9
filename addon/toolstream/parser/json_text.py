"""JSON that is read as a whole: it ends at its last bracket, or at a tag that cannot be in it.

A JSON string contains no line break. So if a tag starts a line inside of what looks like a string, and
the text before it can be read, the string has lost its quote and the tag ends the JSON. Otherwise a model
wrote a line break unescaped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from ..grammar.kinds import MORE, TagKind, Wait
from ..grammar.matcher import TagMatcher
from ..grammar.tag import Tag
from ..grammar.text import skip_whitespace
from ..limits import HELD, JSON_LINE, QUOTE_TEXT, QUOTE_TRIES
from ..schema.json_scanner import JsonScanner, ends_in_string, quotes_all
from .buffer import Buffer
from .states import Step

_GOES_ON = re.compile(r"[\w/.~$*-]")  # a word or a path


class Ended(Enum):
    """What the JSON ended with."""

    BRACKET = 0
    TAG = 1
    MESSAGE = 2


@dataclass(slots=True)
class JsonText:
    """The JSON from here on, which is pinned in the buffer. One of the `tags` may end it. `readable`:
    whether a text can be read. `suspect`: the position of the first envelope that opens at the start of a
    line in what looks like a string; -1 if there is none."""

    buffer: Buffer
    tags: TagMatcher
    readable: Callable[[str], bool]
    scanner: JsonScanner = field(default_factory=JsonScanner)
    start: int = field(init=False)
    suspect: int = -1
    ended: Ended | None = None
    line: str = ""  # the last line that was read, up to JSON_LINE characters
    brackets: int = 0  # with which it did not end
    tries: int = 0  # tags at which it was tried whether it can be read
    tried: int = 0  # characters that were read for that
    looked: int = 0  # characters of text after it that were searched for tags

    def __post_init__(self) -> None:
        self.start = self.buffer.position

    @property
    def so_far(self) -> str:
        """The text that was read."""
        return self.buffer.since(self.start)

    def go_on(self, opened: int = HELD) -> Step:
        """It did not end with that bracket: it goes on to a tag, or until so many brackets are closed."""
        self.ended, self.scanner = None, JsonScanner(opened)
        self.brackets += 1
        return Step.GO


def read_text(json: JsonText) -> Ended | Wait:
    """Read the text up to its end, and return what it ended with."""
    if json.ended is None:
        found = _read_on(json)
        if found is MORE:
            return MORE
        json.ended = found
    return json.ended


def may_be_in_value(json: JsonText, bare: bool, ends: str) -> bool | Wait:
    """Whether the last bracket may stand in a value without double quotes, because text follows it. `bare`:
    the values have no quotes. `ends`: what follows is no text if it begins so."""
    text, at = json.buffer.text, json.buffer.at
    end = skip_whitespace(text, at)
    if end == len(text):
        return not json.buffer.over and MORE
    if text[end] in ends or json.brackets == QUOTE_TRIES:
        return False
    goes_on = end == at and _GOES_ON.match(text, at) is not None and not quotes_all(json.so_far)
    return bare or goes_on or ends_in_string(json.so_far)


def may_be_all(text: str) -> bool:
    """Whether nothing but brackets is missing from this JSON, with which the message ends."""
    return not text.rstrip().endswith((",", ":"))


def _read_on(json: JsonText) -> Ended | Wait:
    buffer, tags = json.buffer, json.tags
    while True:
        text, at = buffer.text, buffer.at
        tag = tags.search(text, buffer.over, at)
        before = tag.start if tag else len(text) if buffer.over else tags.hold_from(text, at)
        size = json.scanner.feed(text[at:before])
        _take(json, before if size is None else at + size)
        if size is not None:
            return Ended.BRACKET
        if tag is None:
            return Ended.MESSAGE if buffer.over else MORE
        if _ends_it(json):
            return Ended.TAG
        _pass(json, tag)


def _pass(json: JsonText, tag: Tag) -> None:
    """Read a tag as part of a string."""
    if tag.kind is TagKind.WRAP_OPEN and json.suspect < 0 and not json.line.strip(" \t"):
        json.suspect = json.buffer.position
    json.scanner.feed(tag.raw)
    _take(json, tag.end)


def _ends_it(json: JsonText) -> bool:
    """Whether the next tag ends the JSON although brackets are missing."""
    if not json.scanner.in_string:
        return True
    if json.line.strip(" \t") or json.tries == QUOTE_TRIES:
        return False
    text = json.so_far
    if json.tries and json.tried + len(text) > QUOTE_TEXT:
        return False
    json.tries, json.tried = json.tries + 1, json.tried + len(text)
    return json.readable(text)


def _take(json: JsonText, end: int) -> None:
    taken = json.buffer.take(end)
    line = taken.rfind("\n") + 1
    json.line = taken[line:] if line else (json.line + taken)[:JSON_LINE]
