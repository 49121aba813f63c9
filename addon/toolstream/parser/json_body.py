"""Reads the arguments of a call in JSON member by member, while they stream.

The caret says what may come next. A value that may be a string leaves as it arrives. Any other value is
first completed, and typed by the schema. Damage is repaired where the member shows what was meant.
Missing brackets are added if the tool needs no further arguments. The bracket that closes the arguments
leaves together with the one that closes the call, because a member after it may still be an argument.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..grammar.kinds import MORE, Wait
from ..grammar.text import JSON_WHITESPACE, end_of
from ..repairs import Repair
from ..schema.call_shape import BESIDE, fits
from .json_head import Head, read_head
from .json_key import COMMENT_MARKS, QUOTES, Key, after_comment, read_key
from .json_member import at_value, go, in_container, in_string, next_char, say, skip
from .json_quote import closes_all, goes_on, is_enough
from .json_reader import Body, Caret, Progress
from .message import Message

_TAG = re.compile(r"<[/|\w]")


def read_members(m: Message, body: Body) -> Progress:
    """Read as much of the arguments as is certain."""
    progress = Progress.GO
    while progress is Progress.GO:
        progress = _READERS[body.caret](m, body)
    return progress


def _next_mark(m: Message) -> str:
    """The next character that is no whitespace, "" if none has come; "<" also for the end of a fence around
    the call, which ends it as a tag does."""
    char = next_char(m)
    if not (char and m.fence.startswith(char)):
        return char
    if m.buffer.text.startswith(m.fence, m.buffer.at):
        return "<"
    is_half = m.fence.startswith(m.buffer.unread) and not m.buffer.over
    return "" if is_half else char


# Keys


def _at_key(m: Message, body: Body) -> Progress:
    char = _next_mark(m)
    if char in COMMENT_MARKS:
        return _skip_comment(m, body)
    if char == "}":
        body.mended = body.mended or body.comma
        return _close(m, body)
    if char in ("", "<"):
        return _stop(m, body, char)
    if char == "," and body.comma:
        return skip(m, body)
    found = _free_key(m, body)
    if not isinstance(found, Key):
        return Progress.MORE if found is MORE else Progress.FAILED
    body.comma = False
    return _open_member(m, body, found)


def _skip_comment(m: Message, body: Body) -> Progress:
    end = after_comment(m.buffer.text, m.buffer.at, m.buffer.over)
    if end is MORE:
        return Progress.MORE
    size = end - m.buffer.at
    body.mended = True
    return go(m, body, body.caret, size) if size else Progress.FAILED


def _free_key(m: Message, body: Body) -> Key | Wait | None:
    """The next key. A damaged one must be a parameter that was not given yet."""
    found = read_key(m.buffer.text, m.buffer.at)
    if found is MORE:
        return None if m.buffer.over else MORE
    return found if found and (not found.damaged or body.is_free(found.name)) else None


def _open_member(m: Message, body: Body, key: Key, dropped: bool = False) -> Progress:
    body.key, m.buffer.at, body.dropped, body.gap = key.name, key.end, dropped, ""
    body.mended = body.mended or key.damaged
    return go(m, body, Caret.VALUE)


def _after_member(m: Message, body: Body) -> Progress:
    match _next_mark(m):
        case ",":
            body.comma = True
            return go(m, body, Caret.KEY, 1)
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
        case char if char in COMMENT_MARKS:
            return _skip_comment(m, body)
    return Progress.FAILED


def _without_comma(m: Message, body: Body, size: int, is_key: Callable[[str], bool]) -> Progress:
    """A key whose comma was lost, or replaced by `size` other characters; or by a bracket, so that the
    arguments begin once more. `is_key` says whether the key is accepted."""
    buffer = m.buffer
    at = end_of(JSON_WHITESPACE, buffer.text, buffer.at + size)
    found = read_key(buffer.text, at)
    if (found is MORE or at == len(buffer.text)) and not buffer.over:
        return Progress.MORE
    if not isinstance(found, Key) or not is_key(found.name):
        return Progress.FAILED
    body.mended, body.inside = True, True
    return go(m, body, Caret.KEY, size)


def _swapped(m: Message, body: Body) -> Progress:
    """A bracket of another kind, if all that have to be there follow; or one too many before them."""
    text, at, over = m.buffer.text, m.buffer.at, m.buffer.over
    brackets, over = body.brackets + body.inside, is_enough(text, at, over)
    closes, surplus = closes_all(text, at, brackets, over), closes_all(text, at + 1, brackets, over)
    if MORE in (closes, surplus):
        return Progress.MORE
    body.mended = True
    return _close(m, body) if closes else skip(m, body) if surplus else Progress.FAILED


# The end


def _close(m: Message, body: Body) -> Progress:
    """The closing bracket of the arguments, or of the call."""
    m.buffer.at, body.comma = m.buffer.at + 1, False
    if body.inside:
        body.inside = False
    else:
        body.brackets -= 1
    if body.brackets:
        return go(m, body, Caret.OUTSIDE)
    return _done(m, body)


def _done(m: Message, body: Body) -> Progress:
    say(m, body, body.writer.close())
    if body.mended:
        m.log.repair(Repair.JSON_REPAIRED, body.tool.name)
    return Progress.DONE


def _outside(m: Message, body: Body) -> Progress:
    match _next_mark(m):
        case "}":
            return _close(m, body)
        case ",":
            return go(m, body, Caret.BESIDE, 1)
        case '"':
            body.mended = True
            return go(m, body, Caret.BESIDE)
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
    """A `]`: brackets are missing and the array of calls ends here; or it stands for another bracket, or
    is surplus."""
    more = goes_on(m.buffer.text, m.buffer.at, body.in_array, m.buffer.over, m.complete)
    if more is MORE:
        return Progress.MORE
    body.mended = True
    return Progress.FAILED if more else _done(m, body)


def _at_bracket(m: Message, body: Body) -> Progress:
    """A `{`: brackets are missing and another call follows; or the arguments begin once more."""
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
    char = next_char(m)
    if char != '"':
        body.mended = True
        return go(m, body, Caret.OUTSIDE) if char else _stop(m, body, char)
    found = read_key(m.buffer.text, m.buffer.at)
    if not isinstance(found, Key):
        return Progress.MORE if found is MORE and not m.buffer.over else Progress.FAILED
    body.mended = body.mended or found.name not in BESIDE
    return _open_member(m, body, found, dropped=not body.is_free(found.name))


def _stop(m: Message, body: Body, char: str) -> Progress:
    """Brackets are missing before a tag or the end of the message."""
    stops = _may_stop(m, body, char)
    if stops is MORE:
        return Progress.MORE
    if not stops or (body.inside and not fits(body.tool, body.writer.given)):
        return Progress.FAILED
    body.mended = True
    return _done(m, body)


def _may_stop(m: Message, body: Body, char: str) -> bool | Wait:
    """Whether the call may end without its brackets before this character: that of a tag, or of the end of a
    fence around the call; or at the end of the message, where there is none."""
    over = m.buffer.over
    if char == "":
        return m.complete and not body.comma if over else MORE
    if _TAG.match(m.buffer.text, m.buffer.at) or next_char(m) in m.fence[:1]:
        return True
    return MORE if m.buffer.unread == "<" and not over else False


_READERS: dict[Caret, Callable[[Message, Body], Progress]] = {
    Caret.KEY: _at_key,
    Caret.VALUE: at_value,
    Caret.STRING: in_string,
    Caret.CONTAINER: in_container,
    Caret.COMMA: _after_member,
    Caret.OUTSIDE: _outside,
    Caret.BESIDE: _beside,
}
