"""A string of JSON while it streams: what it is made of, put right, and where it ends.

Inside its quotes the text is JSON already, but for what models write as it is: line breaks, backslashes, and
quotes. A quote ends the string if what may follow a string follows it: a comma and a key, the brackets that
close the call, a tag. Every other one belongs to the text. Once a string has such a quote, nothing of that is
believed without more: the key has to be one of the tool, and all brackets have to be there, with nothing but
the end of the call after them.

The quote at the end may also be the one that was lost. Then the comma or the brackets are in the string. So
they wait, when they are the last that came.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from ..grammar.kinds import CLOSERS, MORE, TagKind, Wait
from ..grammar.matcher import TagMatcher
from ..grammar.text import JSON_WHITESPACE, end_of, skip_blanks
from ..limits import AFTER_QUOTE, CLOSING_RUN, COMMA_GAP, STRING_TAIL
from ..schema.json_write import encodable
from .json_key import Key, read_key

_PLAIN = re.compile(r'[^"\\<\x00-\x1f]++')
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_ESCAPE_PART = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?")
_RAW = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_BRACKETS = re.compile(r"[}\]\s]*+")
_TAIL = re.compile(rf"(?:,\s{{0,{COMMA_GAP}}}|(?:</?[\w-]{{0,{STRING_TAIL}}}>?|[}}\]\s]|(?!))++)\Z")
_COMMA_BEFORE = re.compile(rf",\s{{0,{COMMA_GAP}}}\Z")
_CLOSER = re.compile(rf"</([\w-]{{1,{STRING_TAIL}}})>\Z")
_BREAK_BEFORE = re.compile(r"\r?\n[ \t]*\Z")
_COMMAS = re.compile(r"[,\s]*+")
_BESIDE = ("id", "type")


class Quote(Enum):
    """What a quote in a string is."""

    END = 0
    INNER = 1
    DOUBLED = 2  # the end, and another one after it
    OPENS_KEY = 3  # the next key's: the end was lost, before the comma


class Ending(Enum):
    """What became of a string."""

    OPEN = 0  # more of it may come
    ENDED = 1


@dataclass(slots=True)
class OpenString:
    """The string that is the value of this key. `brackets`: how many have to follow its end. `is_key`:
    whether a word is a parameter that is still free. `mended`: a quote in it was put right."""

    key: str
    brackets: int
    is_key: Callable[[str], bool]
    tags: TagMatcher
    mended: bool = False
    opened: int = 0  # envelopes that are open in it
    closer: str = ""  # a tag that closed it instead of a quote
    pieces: list[str] = field(default_factory=list)  # of a string that is waited for


def read_string(string: OpenString, text: str, start: int, over: bool) -> tuple[str, int, Ending]:
    """The inside of the string from the index `start` on as JSON, where what is left of the text begins, and
    what became of the string."""
    out: list[str] = []
    at, limit = start, len(text) if over else _held_from(text, start, len(text))
    while at < limit:
        if plain := _PLAIN.match(text, at, limit):
            out.append(plain[0])
            at = plain.end()
            continue
        end: tuple[str, int] | Wait
        match text[at]:
            case '"':
                end = _read_quote(string, text, start, at, over)
            case "<":
                end = _read_tag(string, text, start, at, over)
            case "\\":
                end = _read_escape(text, at)
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
    """The same if the string was read up to `at`, and what is behind `end` is none of it."""
    return _joined(out).removesuffix(_escaped(text[end:at])), end, ending


_ENDS = "\0"  # said instead of a piece of the string


def _joined(out: list[str]) -> str:
    return encodable("".join(out))


def _escaped(raw: str) -> str:
    return "".join(char if char >= " " else _RAW.get(char) or f"\\u{ord(char):04x}" for char in raw)


def _held_from(text: str, start: int, end: int) -> int:
    """Where the tail of text[start:end] begins that may belong to what follows a lost quote."""
    if "<" not in text and text[end - 1 : end].isalnum():
        return end
    tail = _TAIL.search(text, max(start, end - 2 * STRING_TAIL), end)
    return tail.start() if tail else end


def _read_escape(text: str, at: int) -> tuple[str, int] | Wait:
    if found := _ESCAPE.match(text, at):
        return found[0], found.end()
    return MORE if _ESCAPE_PART.fullmatch(text, at) else ("\\\\", at + 1)


# Quotes


def _read_quote(string: OpenString, text: str, start: int, at: int, over: bool) -> tuple[str, int] | Wait:
    match _judge(string, text, start, at, over or len(text) - at > AFTER_QUOTE):
        case Wait.MORE:
            return MORE
        case Quote.END:
            return _ENDS, at + 1
        case Quote.DOUBLED:
            string.mended = True
            return _ENDS, at + 2
        case Quote.OPENS_KEY:
            string.mended = True
            return _ENDS, _comma_before(text, start, at)
    string.mended = True
    return '\\"', at + 1


def _judge(string: OpenString, text: str, start: int, at: int, over: bool) -> Quote | Wait:
    after = end_of(JSON_WHITESPACE, text, at + 1)
    if after == len(text):
        return Quote.END if over else MORE
    match text[after]:
        case ",":
            found = _after_comma(string, text, after, over)
        case "}":
            found = _after_brackets(string, text, after, over)
        case '"':
            found = _after_quote(string, text, at, after, over)
        case "<":
            found = _before_tag(string, text, after, over)
        case _:
            found = Quote.INNER
    return _opens_key(string, text, start, at, over) if found is Quote.INNER else found


def _comma_before(text: str, start: int, at: int) -> int:
    """Where the comma is that has nothing but whitespace between it and `at`; -1 if there is none."""
    found = _COMMA_BEFORE.search(text, max(start, at - COMMA_GAP - 1), at)
    return found.start() if found else -1


def _opens_key(string: OpenString, text: str, start: int, at: int, over: bool) -> Quote | Wait:
    """Whether it is the quote of the next key, for a comma is before it."""
    key = read_key(text, at) if _comma_before(text, start, at) >= 0 else None
    if key is MORE:
        return Quote.INNER if over else MORE
    is_key = isinstance(key, Key) and not key.damaged and string.is_key(key.name)
    return Quote.OPENS_KEY if is_key else Quote.INNER


def _after_comma(string: OpenString, text: str, comma: int, over: bool) -> Quote | Wait:
    at = end_of(_COMMAS, text, comma)
    if at == len(text):
        return Quote.END if over else MORE
    if text[at] == "}":
        return _after_brackets(string, text, at, over)
    if text[at] == "<":
        return _before_tag(string, text, at, over)
    return _before_key(string, text, at, over)


def _before_key(string: OpenString, text: str, at: int, over: bool, beside: bool = False) -> Quote | Wait:
    """A key: if it or the string is damaged, one that is free. `beside`: it may be one of the call."""
    key = read_key(text, at)
    if key is MORE:
        return MORE if not over else Quote.INNER if string.mended else Quote.END
    if not isinstance(key, Key):
        return Quote.INNER
    is_sure = not (key.damaged or string.mended) or (beside and key.name in _BESIDE)
    return Quote.END if is_sure or string.is_key(key.name) else Quote.INNER


def _after_brackets(string: OpenString, text: str, at: int, over: bool) -> Quote | Wait:
    end = end_of(_BRACKETS, text, at)
    if end == len(text):
        return Quote.END if over else MORE
    closes_all = text.count("}", at, end) >= string.brackets
    # Behind the call anything may stand, but not right behind its last bracket
    if closes_all and not string.mended and (text[end] in "{[" or text[end - 1].isspace()):
        return Quote.END
    match text[end]:
        case "<":
            return _before_tag(string, text, end, over)
        case ",":
            return _before_member(string, text, end, over)
        case ")" if closes_all:
            return Quote.END
    return Quote.INNER


def _before_member(string: OpenString, text: str, comma: int, over: bool) -> Quote | Wait:
    """A comma after brackets: before a member beside the arguments, or before the next call of an array."""
    at = end_of(_COMMAS, text, comma)
    if at == len(text):
        return Quote.END if over else MORE
    return Quote.END if text[at] in "{}" else _before_key(string, text, at, over, beside=True)


def _after_quote(string: OpenString, text: str, at: int, after: int, over: bool) -> Quote | Wait:
    """Two quotes: a comma was lost between them, or one is too many."""
    key = read_key(text, after)
    if key is MORE and not over:
        return MORE
    if isinstance(key, Key) and not key.damaged:
        return Quote.END if string.is_key(key.name) else Quote.INNER
    if after != at + 1 or string.mended:
        return Quote.INNER
    second = end_of(JSON_WHITESPACE, text, after + 1)
    match text[second : second + 1]:
        case ",":
            found = _after_comma(string, text, second, over)
        case "}":
            found = _after_brackets(string, text, second, over)
        case "":
            return Quote.DOUBLED if over else MORE
        case _:
            return Quote.INNER
    return Quote.DOUBLED if found is Quote.END else found


def _before_tag(string: OpenString, text: str, at: int, over: bool) -> Quote | Wait:
    if string.tags.match(text, at):
        return Quote.END
    if not over and string.tags.may_begin(text, at):
        return MORE
    return Quote.INNER if string.mended or not text.startswith("</", at) else Quote.END


# Tags


def _read_tag(string: OpenString, text: str, start: int, at: int, over: bool) -> tuple[str, int] | Wait:
    """A tag in a string: its text, unless it closes the call, and the quote or even more is missing."""
    tag = string.tags.match(text, at)
    if tag is None:
        partial = not over and string.tags.may_begin(text, at)
        return MORE if partial else ("<", at + 1)
    if tag.kind is TagKind.WRAP_OPEN:
        string.opened += 1
    elif tag.kind is TagKind.WRAP_CLOSE and string.opened:
        string.opened -= 1
    elif (
        tag.kind in CLOSERS
        and not string.mended
        and (end := _end_before(string, text, start, at)) is not None
    ):
        last = _is_last(string, text, at, over)
        if last is MORE:
            return MORE
        if last:
            string.mended = True
            return _ENDS, end
    return tag.raw, tag.end


def _end_before(string: OpenString, text: str, start: int, at: int) -> int | None:
    """Where the string ends if the tag at `at` closes the call: before the brackets it wants, or before the
    line break; None if neither is there."""
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
    closer = _CLOSER.search(text, max(start, end - 2 * STRING_TAIL), end)
    if closer and closer[1] in (string.key, "parameter"):
        string.closer = closer[0]
        return closer.start()
    return end


def _before_break(text: str, start: int, end: int) -> int:
    """Where the line break and the indentation begin that text[start:end] ends with; `end` if it does not."""
    found = _BREAK_BEFORE.search(text, start, end)
    return found.start() if found else end


def _is_last(string: OpenString, text: str, at: int, over: bool) -> bool | Wait:
    """Whether the closing tags at `at` are the last of the message, or another call follows."""
    for _ in range(CLOSING_RUN):
        tag = string.tags.match(text, at)
        if tag is None or tag.kind not in CLOSERS:
            break
        at = skip_blanks(text, tag.end)
    if at == len(text) or (tag is None and string.tags.may_begin(text, at)):
        return at == len(text) if over else MORE
    return tag is not None and tag.kind in (TagKind.WRAP_OPEN, TagKind.CALL_OPEN)
