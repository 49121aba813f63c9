"""The arguments of a call in JSON while they stream, member by member.

The caret says what may come next. A string that may be one leaves as it comes. Any other value is complete
first, and typed by the schema. What is damaged is mended where the member shows what was meant; missing
brackets are, if the arguments are all that the tool wants. The bracket that closes the arguments leaves with
the one that closes the call, for a member beside them may still be one of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..events import ArgumentsDelta
from ..grammar.kinds import MORE, Wait
from ..grammar.text import JSON_SPACE as _S
from ..grammar.text import JSON_WHITESPACE, end_of
from ..limits import TOKEN
from ..repairs import Repair
from ..schema.arguments import ArgumentsWriter
from ..schema.coercion import FAILED
from ..schema.json_call import fits, read_value
from ..schema.json_read import loads
from ..schema.lenient_json import keys_of
from ..schema.schema import Tool
from .event_log import Mark
from .json_key import Key, read_key
from .json_string import Ending, OpenString, read_string
from .json_text import Ended, JsonText, read_text
from .message import Message

_SCALAR = re.compile(rf"""[^\s,{{}}\[\]"'<:]{{1,{TOKEN}}}""")
_SINGLE = re.compile(rf"'((?:[^'\\\n]|\\.){{0,{TOKEN}}})'(?={_S}[,}}])")
_SINGLE_PART = re.compile(rf"'(?:[^'\\\n]|\\.){{0,{TOKEN}}}\\?(?:'{_S})?")
_BARE_WORD = re.compile(r"[\w./~-]+")
_TAG = re.compile(r"<[/|\w]")
_PYTHON = {"True": True, "False": False, "None": None}
_BESIDE = ("id", "type")


class Caret(Enum):
    """Where in the JSON we are."""

    KEY = 0  # before a key of the arguments
    VALUE = 1
    STRING = 2
    CONTAINER = 3  # in an array or object that is a value
    COMMA = 4  # behind a member of the arguments
    OUTSIDE = 5  # behind the arguments, or behind a member beside them
    BESIDE = 6  # before a key beside them


class Progress(Enum):
    """How far the arguments are."""

    MORE = 0
    GO = 1
    DONE = 2  # they are written, and closed
    FAILED = 3  # nobody can tell what they are


@dataclass(slots=True)
class Body:
    """The arguments of the call number `index`, from their first key on. `brackets`: how many close the call
    after theirs. `mended`: something in it was not quite JSON."""

    index: int
    tool: Tool
    writer: ArgumentsWriter
    brackets: int
    mended: bool = False
    caret: Caret = Caret.KEY
    inside: bool = True  # not behind the arguments
    comma: bool = False  # the last thing was a comma
    key: str = ""
    dropped: bool = False  # the member is none of the arguments
    string: OpenString | None = None
    streams: bool = False  # the string does
    container: JsonText | None = None
    mark: Mark | None = None  # before a value that waits

    def is_free(self, key: str) -> bool:
        """Whether this is a parameter of the tool that was not given yet."""
        return self.tool.declares(key) and key not in self.writer.given


def read_members(m: Message, body: Body) -> Progress:
    """Take what has come of the arguments, as far as it is certain."""
    progress = Progress.GO
    while progress is Progress.GO:
        progress = _READERS[body.caret](m, body)
    return progress


def _next(m: Message) -> str:
    """The next character that is no whitespace; "" if none has come."""
    buffer = m.buffer
    buffer.at = end_of(JSON_WHITESPACE, buffer.text, buffer.at)
    return buffer.text[buffer.at : buffer.at + 1]


def _go(m: Message, body: Body, caret: Caret, size: int = 0) -> Progress:
    m.buffer.at += size
    body.caret = caret
    return Progress.GO


def _skip(m: Message, body: Body) -> Progress:
    """A character that is one too many."""
    body.mended = True
    return _go(m, body, body.caret, 1)


def _say(m: Message, body: Body, fragment: str) -> None:
    if fragment:
        m.log.emit(ArgumentsDelta(body.index, fragment))
    while body.writer.repairs:
        m.log.repair(*body.writer.repairs.pop(0))


# Keys


def _key(m: Message, body: Body) -> Progress:
    char = _next(m)
    if char == "}":
        body.mended = body.mended or body.comma
        return _close(m, body)
    if char in ("", "<"):
        return _stop(m, body, char)
    if char == "," and body.comma:
        return _skip(m, body)
    found = _free_key(m, body)
    if not isinstance(found, Key):
        return Progress.MORE if found is MORE else Progress.FAILED
    body.comma = False
    return _open_member(m, body, found)


def _free_key(m: Message, body: Body) -> Key | Wait | None:
    """The key that comes next: one that is damaged must be one that is free."""
    found = read_key(m.buffer.text, m.buffer.at)
    if found is MORE:
        return None if m.buffer.over else MORE
    return found if found and (not found.damaged or body.is_free(found.name)) else None


def _open_member(m: Message, body: Body, key: Key, dropped: bool = False) -> Progress:
    body.key, m.buffer.at, body.dropped = key.name, key.end, dropped
    body.mended = body.mended or key.damaged
    return _go(m, body, Caret.VALUE)


def _comma(m: Message, body: Body) -> Progress:
    match _next(m):
        case ",":
            body.comma = True
            return _go(m, body, Caret.KEY, 1)
        case "}":
            return _close(m, body)
        case '"':
            return _without_comma(m, body)
        case ("" | "<") as char:
            return _stop(m, body, char)
    return Progress.FAILED


def _without_comma(m: Message, body: Body) -> Progress:
    """A key, if it is one that is free: the comma before it was lost."""
    found = _free_key(m, body)
    if found is MORE:
        return Progress.MORE
    if not isinstance(found, Key) or not body.is_free(found.name):
        return Progress.FAILED
    body.mended = True
    return _go(m, body, Caret.KEY)


# Values


def _value(m: Message, body: Body) -> Progress:
    match _next(m):
        case "":
            return Progress.FAILED if m.buffer.over else Progress.MORE
        case '"':
            return _at_quote(m, body)
        case "{" | "[":
            body.mark = m.log.mark()
            body.container = JsonText(
                m.buffer, m.grammar.ends_json, lambda text: read_value(text) is not None
            )
            return _go(m, body, Caret.CONTAINER)
        case "'":
            return _single_quotes(m, body)
        case ":":
            return _skip(m, body)
    return _scalar(m, body)


def _at_quote(m: Message, body: Body) -> Progress:
    text, at = m.buffer.text, m.buffer.at + 1
    if at == len(text) and not m.buffer.over:
        return Progress.MORE
    return _open_string(m, body, at, is_empty=text[at : at + 1] == '"')


def _open_string(m: Message, body: Body, at: int, is_empty: bool = False) -> Progress:
    """The inside of a string begins at this index."""
    opener = None if body.dropped or is_empty else body.writer.open_string(body.key)
    body.string = OpenString(body.key, body.brackets + body.inside, body.is_free, m.grammar.body)
    body.streams = opener is not None
    if opener is None:
        body.mark = m.log.mark()
    else:
        _say(m, body, opener)
    m.buffer.at = at
    return _go(m, body, Caret.STRING)


def _string(m: Message, body: Body) -> Progress:
    string, buffer = body.string, m.buffer
    assert string
    piece, buffer.at, ending = read_string(string, buffer.text, buffer.at, buffer.over)
    if body.streams:
        _say(m, body, piece)
    else:
        string.pieces.append(piece)
    if ending is Ending.OPEN:
        return Progress.FAILED if buffer.over else Progress.MORE
    buffer.at += len(string.closer)
    body.mended = body.mended or string.mended
    if string.mended and not _may_be_string(body):
        return Progress.FAILED
    if not body.streams:
        return _end_value(m, body, loads('"' + "".join(string.pieces) + '"'))
    _say(m, body, '"')
    return _go(m, body, _behind(body))


def _may_be_string(body: Body) -> bool:
    types = body.tool.parameter(body.key).types
    return not types or "string" in types


def _container(m: Message, body: Body) -> Progress:
    container = body.container
    assert container
    ended = read_text(container)
    if ended is MORE:
        return Progress.MORE
    found = read_value(container.so_far)
    if found is None or (ended is Ended.MESSAGE and not m.complete):
        return Progress.FAILED
    value, mended = found
    if mended and not all(_BARE_WORD.fullmatch(key) and not body.is_free(key) for key in keys_of(value)):
        return Progress.FAILED  # it may have swallowed what is behind it
    body.mended = body.mended or mended
    return _end_value(m, body, value)


def _scalar(m: Message, body: Body) -> Progress:
    """A number or a word; or a string that lost its first quote."""
    text, at, over = m.buffer.text, m.buffer.at, m.buffer.over
    found = _SCALAR.match(text, at)
    end = end_of(JSON_WHITESPACE, text, found.end()) if found else at
    if end == len(text) and not over:
        return Progress.MORE
    if found is None:
        return Progress.FAILED
    if text[end : end + 1] not in ("", ",", "}", "<"):
        if not _may_be_string(body) or body.dropped:
            return Progress.FAILED
        body.mended = True
        return _open_string(m, body, at)
    value = _read_scalar(found[0], body)
    if value is FAILED:
        return Progress.FAILED
    m.buffer.at = found.end()
    return _end_value(m, body, value)


def _read_scalar(word: str, body: Body) -> Any:
    if found := read_value(word):
        return found[0]
    body.mended = True
    if word in _PYTHON:
        return _PYTHON[word]
    types = body.tool.parameter(body.key).types
    return word if "string" in types and _BARE_WORD.fullmatch(word) else FAILED


def _single_quotes(m: Message, body: Body) -> Progress:
    text, at = m.buffer.text, m.buffer.at
    found = _SINGLE.match(text, at)
    if found is None:
        partial = not m.buffer.over and _SINGLE_PART.fullmatch(text, at)
        return Progress.MORE if partial else Progress.FAILED
    value = read_value(f"[{found[0]}]")
    if value is None:
        return Progress.FAILED
    body.mended, m.buffer.at = True, found.end()
    return _end_value(m, body, value[0][0])


def _end_value(m: Message, body: Body, value: Any) -> Progress:
    """A value that is complete."""
    if body.mark:
        m.log.commit(body.mark)
        body.mark = None
    if not body.dropped:
        _say(m, body, body.writer.member(body.key, value))
    return _go(m, body, _behind(body))


def _behind(body: Body) -> Caret:
    return Caret.COMMA if body.inside else Caret.OUTSIDE


# The end


def _close(m: Message, body: Body) -> Progress:
    """The bracket of the arguments, or of the call."""
    m.buffer.at += 1
    if body.inside:
        body.inside = False
    else:
        body.brackets -= 1
    if body.brackets:
        return _go(m, body, Caret.OUTSIDE)
    return _done(m, body)


def _done(m: Message, body: Body) -> Progress:
    _say(m, body, body.writer.close())
    if body.mended:
        m.log.repair(Repair.JSON_REPAIRED, body.tool.name)
    return Progress.DONE


def _outside(m: Message, body: Body) -> Progress:
    match _next(m):
        case "}":
            return _close(m, body)
        case ",":
            return _go(m, body, Caret.BESIDE, 1)
        case '"':
            body.mended = True
            return _go(m, body, Caret.BESIDE)
        case ("" | "<") as char:
            return _stop(m, body, char)
        case "{" | "]":  # brackets are missing, and another call follows, or an array ends
            body.mended = True
            return _done(m, body)
    return Progress.FAILED


def _beside(m: Message, body: Body) -> Progress:
    """A member beside the arguments: one of them if the tool has it, else it does not count."""
    char = _next(m)
    if char != '"':
        body.mended = True
        return _go(m, body, Caret.OUTSIDE) if char else _stop(m, body, char)
    found = read_key(m.buffer.text, m.buffer.at)
    if not isinstance(found, Key):
        return Progress.MORE if found is MORE and not m.buffer.over else Progress.FAILED
    body.mended = body.mended or found.name not in _BESIDE
    return _open_member(m, body, found, dropped=not body.is_free(found.name))


def _stop(m: Message, body: Body, char: str) -> Progress:
    """A tag, or the end of the message, and brackets are missing."""
    if char == "" and not m.buffer.over:
        return Progress.MORE
    if not (_TAG.match(m.buffer.text, m.buffer.at) if char else m.complete):
        return Progress.MORE if char and m.buffer.unread == "<" and not m.buffer.over else Progress.FAILED
    if body.inside and not fits(body.tool, body.writer.given):
        return Progress.FAILED
    body.mended = True
    return _done(m, body)


_READERS: dict[Caret, Callable[[Message, Body], Progress]] = {
    Caret.KEY: _key,
    Caret.VALUE: _value,
    Caret.STRING: _string,
    Caret.CONTAINER: _container,
    Caret.COMMA: _comma,
    Caret.OUTSIDE: _outside,
    Caret.BESIDE: _beside,
}
