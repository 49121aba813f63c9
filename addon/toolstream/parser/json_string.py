"""Reads a JSON string while it streams: repairs what is in it, and finds its end.

Inside of its quotes the text already is JSON, apart from what models write unescaped: line breaks,
backslashes and quotes. A quote ends the string if something follows that may follow a string: a comma and
a key, the brackets that close the call, or a tag. Every other quote belongs to the text. Once a string
has contained such a quote, more evidence is needed: the key has to be one of the tool's, and all brackets
have to follow, with nothing but the end of the call after them.

The quote at the end may also be missing. Then the comma or the brackets are part of the string. So they
wait while they are the last text that has arrived.
"""

from __future__ import annotations

import re
from dataclasses import replace
from enum import Enum

from ..grammar.kinds import CLOSERS, MORE, TagKind, Wait, decided
from ..grammar.tag import Tag
from ..limits import COMMA_GAP, STRING_TAIL
from ..schema.escapes import ESCAPE, ESCAPE_PART, is_bare, may_begin_path
from ..schema.json_write import encodable
from .json_end import after_closers, is_last_before, opens_call
from .json_key import QUOTES
from .json_quote import OpenString, Quote, comma_before, is_enough, judge

_PLAIN = {mark: re.compile(rf'[^"\\<\x00-\x1f{mark}]++') for mark in ("", *QUOTES)}
_RAW = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ODD = re.compile(f"[{QUOTES[1:]}]")
_WAIT = frozenset(",}]>" + QUOTES[1:])  # last characters of a possible tail, apart from whitespace
_TAIL = re.compile(
    rf"(?:{_ODD.pattern}?(?:,\s{{0,{COMMA_GAP}}}|(?:</?[\w-]{{0,{STRING_TAIL}}}>?|[}}\]\s]|(?!))++)"
    rf"|{_ODD.pattern})\Z"
)
_CLOSER = re.compile(rf"</([\w-]{{1,{STRING_TAIL}}})>\Z")
_BREAK_BEFORE = re.compile(r"\r?\n[ \t]*\Z")
_ENDS = "\0"  # in place of a piece: the string ends. A piece has no control characters


class Ending(Enum):
    """Whether a string is over."""

    OPEN = 0  # more of it may come
    ENDED = 1


def read_string(string: OpenString, text: str, start: int, over: bool) -> tuple[str, int, Ending]:
    """The next piece of the inside of the string as JSON, read from the index `start` on; the index where
    the rest begins; and whether the string is over."""
    string.counted.clear()
    piece, at, ending = _read(string, text, start, over)
    string.opened = next((opened for tag, opened in string.counted if tag >= at), string.opened)
    if string.head is not None:
        string.head = string.head + piece if may_begin_path(string.head + piece) else None
    _count(string.odd, piece)
    if string.lost and ending is Ending.ENDED and _closes(string.odd, piece[-1:]):
        piece = piece[:-1]
    return piece, at, ending


def _count(odd: dict[str, int], piece: str) -> None:
    """Count the quotes of other languages in a piece."""
    if piece.isascii() and not ("'" in piece or "`" in piece):
        return  # most have none
    for mark in QUOTES[1:]:
        if count := piece.count(mark):
            odd[mark] = odd.get(mark, 0) + count


def _closes(odd: dict[str, int], mark: str) -> bool:
    """Whether this quote has no partner in the string, so that it stands for the last one."""
    if mark in ("“", "”"):
        other = "”" if mark == "“" else "“"
        return odd.get(mark, 0) > odd.get(other, 0)
    return odd.get(mark, 0) % 2 == 1


def whole(string: OpenString, last: str) -> str:
    """The inside of a string that is complete now, as JSON. A surplus quote at its beginning is dropped."""
    inside = "".join([*string.pieces, last])
    return inside[2:] if string.doubled and inside.count('\\"') % 2 and inside[:2] == '\\"' else inside


def _read(string: OpenString, text: str, start: int, over: bool) -> tuple[str, int, Ending]:
    """As `read_string`, up to the first quote, tag or escape for which more text is needed."""
    out: list[str] = []
    at, limit = start, len(text) if over else _held_from(text, start, len(text))
    plains = _PLAIN[string.quote[:1]]
    while at < limit:
        if plain := plains.match(text, at, limit):
            out.append(plain[0])
            at = plain.end()
            continue
        end: tuple[str, int] | Wait
        match text[at]:
            case mark if mark == string.quote[:1]:
                end = _read_other_quote(string, text, start, at, over)
            case '"':
                end = _read_quote(string, text, start, at, over)
            case "<":
                end = _read_tag(string, text, start, at, over)
            case "\\":
                end = _read_escape(string, out, text, at, over)
            case raw:
                end = _escaped(raw), at + 1
        if isinstance(end, Wait):
            return _before(out, text, _held_from(text, start, at), at, Ending.OPEN)
        written, after = end
        if written is _ENDS:
            return _before(out, text, after, at, Ending.ENDED)
        out.append(written)
        at = after
    return _joined(out), at, Ending.OPEN


def _before(out: list[str], text: str, end: int, at: int, ending: Ending) -> tuple[str, int, Ending]:
    """The result of `_read` if the string was read up to `at`, but what comes after `end` does not belong
    to it."""
    return _joined(out).removesuffix(_escaped(text[end:at])), end, ending


def _joined(out: list[str]) -> str:
    return encodable("".join(out))


def _escaped(raw: str) -> str:
    return "".join(char if char >= " " else _RAW.get(char) or f"\\u{ord(char):04x}" for char in raw)


def _held_from(text: str, start: int, end: int) -> int:
    """Where the tail of text[start:end] begins that may follow a lost quote."""
    last = text[end - 1 : end]
    if "<" not in text and last not in _WAIT and not last.isspace():
        return end
    tail = _TAIL.search(text, max(start, end - 2 * STRING_TAIL), end)
    return tail.start() if tail else end


def _read_escape(
    string: OpenString, before: list[str], text: str, at: int, over: bool
) -> tuple[str, int] | Wait:
    if string.head is not None:
        bare = is_bare(string.head + "".join(before), text, at, over)
        if bare is None:
            return MORE
        string.head, string.bare = None, bare
    after = text[at + 1 : at + 2]
    if after == string.quote[:1] != "":
        return after.replace('"', r"\""), at + 2
    is_text = _is_backslash(string, text, at, over)
    if is_text is MORE:
        return MORE
    if is_text:
        return "\\\\", at + 1
    if escape := ESCAPE.match(text, at):
        string.escaped += after == '"'
        return escape[0], escape.end()
    return MORE if ESCAPE_PART.fullmatch(text, at) else ("\\\\", at + 1)


def _is_backslash(string: OpenString, text: str, at: int, over: bool) -> bool | Wait:
    """Whether a backslash is a character of a path, in which none is an escape: also directly before the
    quote that ends it."""
    after = text[at + 1 : at + 2]
    if not string.bare or after != '"':
        return string.bare and after not in ("", "\\")
    found = judge(string, text, at, at + 1, is_enough(text, at, over))
    return MORE if found is MORE else found is Quote.END


# Quotes


def _read_quote(string: OpenString, text: str, start: int, at: int, over: bool) -> tuple[str, int] | Wait:
    if string.quote and (len(string.quote) > 1 or string.inner % 2):
        return _inner(string, at)
    match judge(string, text, start, at, is_enough(text, at, over)):
        case Wait.MORE:
            return MORE
        case Quote.END:
            return _ENDS, at + 1
        case Quote.DOUBLED:
            string.mended = True
            return _ENDS, at + 2
        case Quote.OPENS_KEY if not string.quote:
            string.mended = string.lost = True
            return _ENDS, comma_before(text, start, at)
    return _inner(string, at)


def _inner(string: OpenString, at: int) -> tuple[str, int]:
    string.mended, string.inner = True, string.inner + 1
    return '\\"', at + 1


def _read_other_quote(
    string: OpenString, text: str, start: int, at: int, over: bool
) -> tuple[str, int] | Wait:
    """The quote that the string began with, and which is none of JSON: its end, as for `_read_quote`."""
    quote, end = string.quote, at + len(string.quote)
    if len(text) <= end and not over and quote.startswith(text[at:]):
        return MORE
    if text.startswith(quote, at) and not (len(quote) > 1 and text.startswith(quote[0], end)):
        found = judge(replace(string, mended=False), text, start, end - 1, is_enough(text, at, over))
        if found is MORE:
            return MORE
        if found is Quote.END:
            return _ENDS, end
    return _inner(string, at) if quote[0] == '"' else (quote[0], at + 1)


# Tags


def _read_tag(string: OpenString, text: str, start: int, at: int, over: bool) -> tuple[str, int] | Wait:
    """A tag in a string: its text, unless it closes the call and the quote, or even more, is missing."""
    tag = string.tags.read(text, at, over)
    if not isinstance(tag, Tag):
        return tag or ("<", at + 1)
    string.counted.append((at, string.opened))
    if tag.kind is TagKind.WRAP_OPEN:
        string.opened += 1
    elif tag.kind is TagKind.WRAP_CLOSE and string.opened:
        string.opened -= 1
    elif (end := _end_at_closer(string, text, start, tag, over)) is not None:
        if end is MORE:
            return MORE
        string.mended = string.lost = True
        string.closer = _closer_before(string, text, start, end)
        return _ENDS, end - len(string.closer)
    return (tag.raw, tag.end) if _PLAIN[""].fullmatch(tag.raw, 1) else ("<", at + 1)


def _end_at_closer(string: OpenString, text: str, start: int, tag: Tag, over: bool) -> int | Wait | None:
    """Where the string ends if this tag closes the call; None if it is a part of the string."""
    end = None if string.mended or tag.kind not in CLOSERS else _end_before(string, text, start, tag.start)
    if end is None:
        return None
    last = _is_end(string, text, tag.start, over)
    return decided(last, end, None)


def _end_before(string: OpenString, text: str, start: int, at: int) -> int | None:
    """Where the string ends if the tag at `at` closes the call: before the required brackets, or before
    the line break; None if neither is there."""
    tail = _TAIL.search(text, max(start, at - 2 * STRING_TAIL), at)
    if tail is None:
        return None
    brackets = [i for i in range(tail.start(), at) if text[i] == "}"][-string.brackets :]
    if len(brackets) == string.brackets:
        end = _before_break(text, tail.start(), brackets[0])
    else:
        end = _before_break(text, tail.start(), at)
        if end == at:
            return None
    return end


def _closer_before(string: OpenString, text: str, start: int, end: int) -> str:
    """The tag that closed the string in place of its quote; "" if none did."""
    closer = _CLOSER.search(text, max(start, end - 2 * STRING_TAIL), end)
    return closer[0] if closer and closer[1] in (string.key, "parameter") else ""


def _before_break(text: str, start: int, end: int) -> int:
    """Where the line break and the indentation at the end of text[start:end] begin; `end` if there are
    none."""
    found = _BREAK_BEFORE.search(text, start, end)
    return found.start() if found else end


def _is_end(string: OpenString, text: str, at: int, over: bool) -> bool | Wait:
    """Whether the closing tags at `at` are the last ones of the message, or a call in an envelope follows
    them. A call after them may also belong to an example in the string: if the string has opened an
    envelope, or if the call has none."""
    after, tag = after_closers(string.tags, text, at)
    last = is_last_before(string.tags, text, after, tag, over)
    if last is not True or tag is None or after == len(text):
        return last
    if string.opened or tag.kind is not TagKind.WRAP_OPEN:
        return False
    return opens_call(string.tags, text, tag, over)
