"""The arguments of a call in JSON while they stream, member by member.

The caret says what may come next. A string that may be one leaves as it comes. Any other value is complete
first, and typed by the schema. What is damaged is mended where the member shows what was meant; missing
brackets are, if the arguments are all that the tool wants. The bracket that closes the arguments leaves with
the one that closes the call, for a member beside them may still be one of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ..events import ArgumentsDelta
from ..grammar.kinds import MORE, Wait
from ..grammar.text import JSON_WHITESPACE, end_of
from ..limits import AFTER_QUOTE
from ..repairs import Repair
from ..schema.coercion import FAILED
from ..schema.json_call import BESIDE, fits
from ..schema.json_read import keys_of, loads
from .json_head import Head, read_head
from .json_key import QUOTES, Key, read_key
from .json_quote import OpenString, closes_all, goes_on
from .json_reader import Body, Caret, Progress
from .json_string import Ending, read_string, whole
from .json_text import Ended, JsonText, read_text
from .json_value import BARE_WORD, read_container, read_single, read_word, value_of
from .message import Message

_BEHIND, _BEHIND_SCALAR = ",}<", ",}<)]>;:="  # what may stand behind a word
_WHOLE = ('"', "}", "]")  # the ends of what nothing can be missing of but brackets
_TAG = re.compile(r"<[/|\w]")


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
        case ("" | "<") as char:
            return _stop(m, body, char)
        case char if char in QUOTES:
            return _without_comma(m, body, 0, body.is_free)
        case ":" | ";" | "." | "=":
            return _without_comma(m, body, 1, body.is_free)
        case "{":
            return _without_comma(m, body, 1, body.tool.declares)
        case ")" | "]" | ">":
            return _swapped(m, body)
    return Progress.FAILED


def _without_comma(m: Message, body: Body, size: int, is_key: Callable[[str], bool]) -> Progress:
    """A key, if it is such a one: the comma before it was lost, or other marks of this size are in its place,
    or a bracket, and the arguments begin once more."""
    buffer = m.buffer
    at = end_of(JSON_WHITESPACE, buffer.text, buffer.at + size)
    found = read_key(buffer.text, at)
    if (found is MORE or at == len(buffer.text)) and not buffer.over:
        return Progress.MORE
    if not isinstance(found, Key) or not is_key(found.name):
        return Progress.FAILED
    body.mended, body.inside = True, True
    return _go(m, body, Caret.KEY, size)


def _swapped(m: Message, body: Body) -> Progress:
    """A bracket of another kind, if all that there have to be follow."""
    text, at, over = m.buffer.text, m.buffer.at, m.buffer.over
    closes = closes_all(text, at, body.brackets + body.inside, over or len(text) - at > AFTER_QUOTE)
    if closes is MORE:
        return Progress.MORE
    body.mended = True
    return _close(m, body) if closes else Progress.FAILED


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
                m.buffer, m.grammar.ends_json, lambda text: _read_container(body, text) is not None
            )
            return _go(m, body, Caret.CONTAINER)
        case "'":
            return _single_quotes(m, body)
        case quote if quote in QUOTES:
            return _without_quote(m, body, 1)
        case ":":
            return _skip(m, body)
        case "<":
            return _at_tag(m, body)
        case "]" if "array" in body.tool.parameter(body.key).types:
            body.mended = True
            m.buffer.at += 1
            return _end_value(m, body, [])
    return _scalar(m, body)


def _at_tag(m: Message, body: Body) -> Progress:
    """A tag that is none of a call, or else begins a string that lost its first quote."""
    text, at, tags = m.buffer.text, m.buffer.at, m.grammar.body
    if tags.match(text, at):
        return Progress.FAILED
    if not m.buffer.over and tags.may_begin(text, at):
        return Progress.MORE
    return _without_quote(m, body, 0)


def _at_quote(m: Message, body: Body) -> Progress:
    text, at = m.buffer.text, m.buffer.at + 1
    if at == len(text) and not m.buffer.over:
        return Progress.MORE
    return _open_string(m, body, at, is_empty=text[at : at + 1] == '"')


def _open_string(m: Message, body: Body, at: int, is_empty: bool = False) -> Progress:
    """The inside of a string begins at this index."""
    opener = None if body.dropped or is_empty else body.writer.open_string(body.key)
    string = (body.key, body.brackets + body.inside, body.is_free, body.tool.declares, m.grammar.body)
    body.string = OpenString(*string, m.slipped, is_empty)
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
    elif ending is Ending.OPEN:
        string.pieces.append(piece)
    if ending is Ending.OPEN:
        return Progress.FAILED if buffer.over else Progress.MORE
    buffer.at += len(string.closer)
    body.mended = body.mended or string.mended
    if string.mended and not _may_be_string(body):
        return Progress.FAILED
    if not body.streams:
        return _end_value(m, body, loads(f'"{whole(string, piece)}"'))
    _say(m, body, '"')
    return _go(m, body, _behind(body))


def _may_be_string(body: Body) -> bool:
    types = body.tool.parameter(body.key).types
    return not types or "string" in types


def _read_container(body: Body, text: str, is_all: bool = True) -> tuple[Any, bool, int] | None:
    return read_container(text, body.tool.parameter(body.key).types, body.brackets + body.inside, is_all)


def _container(m: Message, body: Body) -> Progress:
    container = body.container
    assert container
    ended = read_text(container)
    if ended is MORE:
        return Progress.MORE
    is_all = ended is Ended.TAG or container.so_far.rstrip().endswith(_WHOLE)
    found = _read_container(body, container.so_far, is_all)
    if found is None or (ended is Ended.MESSAGE and not m.complete):
        return Progress.FAILED
    value, mended, behind = found
    if mended and not all(BARE_WORD.fullmatch(key) and not body.is_free(key) for key in keys_of(value)):
        return Progress.FAILED  # it may have swallowed what is behind it
    body.mended = body.mended or mended
    m.buffer.rewind(m.buffer.position - behind)
    return _end_value(m, body, value)


def _scalar(m: Message, body: Body) -> Progress:
    """A number or a word; or a string that lost its first quote."""
    found = read_word(m.buffer.text, m.buffer.at, m.buffer.over)
    if not isinstance(found, tuple):
        return Progress.MORE if found is MORE else Progress.FAILED
    word, behind = found
    if behind and behind not in (_BEHIND if _may_be_string(body) else _BEHIND_SCALAR):
        return _without_quote(m, body, 0)
    value, mended = value_of(word, body.tool.parameter(body.key).types)
    if value is FAILED or not (behind or m.complete):  # or it may be cut
        return Progress.FAILED
    body.mended = body.mended or mended
    m.buffer.at += len(word)
    return _end_value(m, body, value)


def _without_quote(m: Message, body: Body, size: int) -> Progress:
    """A string whose first quote was lost, or has `size` and is another one."""
    if not _may_be_string(body) or body.dropped:
        return Progress.FAILED
    body.mended = True
    return _open_string(m, body, m.buffer.at + size)


def _single_quotes(m: Message, body: Body) -> Progress:
    found = read_single(m.buffer.text, m.buffer.at, m.buffer.over)
    if found is MORE:
        return Progress.MORE
    if not isinstance(found, tuple):
        return _without_quote(m, body, 1)
    body.mended, m.buffer.at = True, found[1]
    return _end_value(m, body, found[0])


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
    m.buffer.at, body.comma = m.buffer.at + 1, False
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
        case "{":
            return _at_bracket(m, body)
        case "]":
            return _at_array_end(m, body)
        case ")" | ">":
            return _swapped(m, body)
    return Progress.FAILED


def _at_array_end(m: Message, body: Body) -> Progress:
    """Brackets are missing, and the array of the calls ends; or one is another one, or too many."""
    more = goes_on(m.buffer.text, m.buffer.at, body.in_array, m.buffer.over, m.complete)
    if more is MORE:
        return Progress.MORE
    body.mended = True
    return Progress.FAILED if more else _done(m, body)


def _at_bracket(m: Message, body: Body) -> Progress:
    """Brackets are missing, and another call follows; or the arguments begin once more."""
    head = read_head(m.buffer.text, m.buffer.at, m.buffer.over)
    if head is MORE:
        return Progress.MORE
    again = Progress.FAILED if isinstance(head, Head) else _without_comma(m, body, 1, body.tool.declares)
    if again is not Progress.FAILED:
        return again
    body.mended = True
    return _done(m, body)


def _beside(m: Message, body: Body) -> Progress:
    """A member beside the arguments: one of them if the tool has it, else it does not count."""
    char = _next(m)
    if char != '"':
        body.mended = True
        return _go(m, body, Caret.OUTSIDE) if char else _stop(m, body, char)
    found = read_key(m.buffer.text, m.buffer.at)
    if not isinstance(found, Key):
        return Progress.MORE if found is MORE and not m.buffer.over else Progress.FAILED
    body.mended = body.mended or found.name not in BESIDE
    return _open_member(m, body, found, dropped=not body.is_free(found.name))


def _stop(m: Message, body: Body, char: str) -> Progress:
    """A tag, or the end of the message, and brackets are missing."""
    if char == "" and not m.buffer.over:
        return Progress.MORE
    if not (_TAG.match(m.buffer.text, m.buffer.at) if char else m.complete and not body.comma):
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
