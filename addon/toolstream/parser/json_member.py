"""The values of the members of a call's arguments in JSON, while they stream.

A string that may be one leaves as it comes. Any other value is complete first, and typed by the schema.
"""

from __future__ import annotations

from typing import Any

from ..events import ArgumentsDelta
from ..grammar.kinds import MORE, Wait
from ..grammar.text import JSON_WHITESPACE, end_of
from ..limits import LOOK_AHEAD, TOKEN
from ..schema.coercion import FAILED, OMITTED, coerce
from ..schema.json_read import keys_of, loads
from ..schema.lenient_json import is_half_quote
from .json_key import QUOTES
from .json_quote import OpenString
from .json_reader import Body, Caret, Progress
from .json_string import Ending, read_string, whole
from .json_text import Ended, JsonText, read_text
from .json_value import BARE_WORD, read_container, read_single, read_word, value_of
from .message import Message

_AFTER, _AFTER_SCALAR = ",}<", ",}<)]>;:=/#"  # what may stand after a word
_AFTER_CONTAINER = ("", *'}])>,<"')  # what may stand after an array or object
_CLOSING = {"“": "”", "\\": ""}
_FENCE = "```"
_WHOLE = ('"', "}", "]")  # the ends of what nothing can be missing of but brackets


def next_char(m: Message) -> str:
    """The next character that is no whitespace; "" if none has come."""
    buffer = m.buffer
    buffer.at = end_of(JSON_WHITESPACE, buffer.text, buffer.at)
    return buffer.text[buffer.at : buffer.at + 1]


def go(m: Message, body: Body, caret: Caret, size: int = 0) -> Progress:
    m.buffer.at += size
    body.caret = caret
    return Progress.GO


def skip(m: Message, body: Body) -> Progress:
    """A character that is one too many."""
    body.mended = True
    return go(m, body, body.caret, 1)


def say(m: Message, body: Body, fragment: str) -> None:
    if fragment:
        m.log.emit(ArgumentsDelta(body.index, fragment))
    while body.writer.repairs:
        m.log.repair(*body.writer.repairs.pop(0))


# Values


def at_value(m: Message, body: Body) -> Progress:
    """Before a value."""
    start = m.buffer.at
    char = next_char(m)
    body.gap = (body.gap + m.buffer.text[start : m.buffer.at])[:TOKEN]
    match char:
        case "":
            return Progress.FAILED if m.buffer.over else Progress.MORE
        case '"':
            body.spaced = body.gap[:1] == " "
            return _at_quote(m, body)
        case "{" | "[":
            body.mark = m.log.mark()
            body.container = JsonText(
                m.buffer, m.grammar.ends_json, lambda text: _read_container(body, text) is not None
            )
            return go(m, body, Caret.CONTAINER)
        case "'":
            return _single_quotes(m, body)
        case "`":
            return _at_backtick(m, body)
        case quote if quote in QUOTES:
            return _other_quote(m, body, quote)
        case ":":
            return skip(m, body)
        case "<":
            return _at_tag(m, body)
        case "]" if "array" in body.tool.parameter(body.key).types:
            body.mended = True
            m.buffer.at += 1
            return _end_value(m, body, [])
    return _scalar(m, body)


def _at_tag(m: Message, body: Body) -> Progress:
    """A tag that is none of a call, or else begins a string that lost its first quote."""
    tag = m.grammar.body.read(m.buffer.text, m.buffer.at, m.buffer.over)
    if tag is None:
        return _without_quote(m, body)
    return Progress.MORE if tag is MORE else Progress.FAILED


def _at_backtick(m: Message, body: Body) -> Progress:
    """A mark in place of a quote; or a fence, with which a string begins that lost its first quote."""
    marks = m.buffer.text[m.buffer.at : m.buffer.at + len(_FENCE)]
    if marks in ("`", "``") and not m.buffer.over:
        return Progress.MORE
    return _without_quote(m, body) if marks == _FENCE else _other_quote(m, body, "`")


def _at_quote(m: Message, body: Body) -> Progress:
    text, at = m.buffer.text, m.buffer.at + 1
    if text[at:] in ("", '"', '""') and not m.buffer.over:
        return Progress.MORE
    if text.startswith('""', at) and text[at + 2 : at + 3] not in ("", ",", "}", "]"):
        return _other_quote(m, body, '"""')
    return _open_string(m, body, at, is_empty=text[at : at + 1] == '"')


def _open_string(
    m: Message, body: Body, at: int, is_empty: bool = False, quote: str = "", blanks: str = ""
) -> Progress:
    """The inside of a string begins at this index, after this `quote` if it is not that of JSON. It begins
    with these `blanks`."""
    opener = None if body.dropped or is_empty else body.writer.open_string(body.key)
    string = (body.key, body.brackets + body.inside, body.is_free, body.tool.declares, m.grammar.body)
    body.string = OpenString(*string, m.is_slipped, m.fence, quote, is_empty)
    body.streams = opener is not None
    if opener is None:
        body.mark = m.log.mark()
        body.string.pieces.append(blanks)
    else:
        say(m, body, opener + blanks)
    m.buffer.at = at
    return go(m, body, Caret.STRING)


def in_string(m: Message, body: Body) -> Progress:
    """In a string."""
    string, buffer = body.string, m.buffer
    assert string
    string.complete = m.complete
    piece, buffer.at, ending = read_string(string, buffer.text, buffer.at, buffer.over)
    if body.streams:
        say(m, body, piece)
    if ending is Ending.ENDED:
        return _end_string(m, body, string, piece)
    if not body.streams:
        string.pieces.append(piece)
    return Progress.FAILED if buffer.over else Progress.MORE


def _end_string(m: Message, body: Body, string: OpenString, piece: str) -> Progress:
    """A string has ended with this piece."""
    m.buffer.at += len(string.closer)
    body.mended = body.mended or string.mended
    value = None if body.streams else loads(f'"{whole(string, piece)}"')
    if string.mended and not (_may_be_string(body) or _is_typed(body, value)):
        return Progress.FAILED
    if not body.streams:
        return _end_value(m, body, value)
    say(m, body, '"')
    return go(m, body, _caret_after_value(body))


def _may_be_string(body: Body) -> bool:
    return body.tool.parameter(body.key).takes_text


def _is_typed(body: Body, value: Any) -> bool:
    """Whether a string says what is wanted in its place."""
    return isinstance(value, str) and coerce(value, body.tool.parameter(body.key)) not in (FAILED, OMITTED)


def _read_container(
    body: Body, text: str, is_all: bool = True, is_long: bool = True
) -> tuple[Any, bool, int] | None:
    parameter = body.tool.parameter(body.key)
    return read_container(text, parameter, body.brackets + body.inside, is_all, is_long)


def in_container(m: Message, body: Body) -> Progress:
    """In an array or object that is a value."""
    container = body.container
    assert container
    ended = read_text(container)
    if ended is MORE:
        return Progress.MORE
    is_all = ended is Ended.TAG or container.so_far.rstrip().endswith(_WHOLE)
    found = _read_container(body, container.so_far, is_all, ended is not Ended.BRACKET)
    goes_on = ended is Ended.BRACKET and _goes_on(m, found)
    if goes_on is MORE:
        return Progress.MORE
    if goes_on:
        container.go_on()
        return Progress.GO
    if found is None or (ended is Ended.MESSAGE and not m.complete):
        return Progress.FAILED
    return _end_container(m, body, *found)


def _goes_on(m: Message, found: tuple[Any, bool, int] | None) -> bool | Wait:
    """Whether the last bracket closed nothing, because what was `found` up to there cannot be read, or cannot
    end there."""
    if found and not found[1]:
        return False
    follows = _next_char(m)
    return MORE if follows is MORE else found is None or follows not in _AFTER_CONTAINER


def _next_char(m: Message) -> str | Wait:
    """The next character that is no whitespace, which stays."""
    text, at = m.buffer.text, m.buffer.at
    end = end_of(JSON_WHITESPACE, text, at)
    return MORE if end == len(text) and not m.buffer.over and end - at < LOOK_AHEAD else text[end : end + 1]


def _end_container(m: Message, body: Body, value: Any, mended: bool, after: int) -> Progress:
    if mended and not all(BARE_WORD.fullmatch(key) and not body.is_free(key) for key in keys_of(value)):
        return Progress.FAILED  # it may have swallowed what is after it
    body.mended = body.mended or mended
    m.buffer.rewind(m.buffer.position - after)
    return _end_value(m, body, value)


def _scalar(m: Message, body: Body) -> Progress:
    """A number or a word; or a string that lost its first quote."""
    found = read_word(m.buffer.text, m.buffer.at, m.buffer.over)
    if not isinstance(found, tuple):
        return Progress.MORE if found is MORE else Progress.FAILED
    word, after = found
    if after == "":
        return _end_scalar(m, body, word) if m.complete else Progress.FAILED  # it may be cut
    takes_text = _may_be_string(body)
    if after in QUOTES and not takes_text:
        return _scalar_in_quote(m, body, word)
    ends = after in (_AFTER if takes_text else _AFTER_SCALAR)
    return _end_scalar(m, body, word) if ends else _without_quote(m, body)


def _end_scalar(m: Message, body: Body, word: str) -> Progress:
    """A number or a word is complete; quotes at its end are surplus."""
    bare = word if _may_be_string(body) else word.rstrip(QUOTES)
    value, mended = value_of(bare, body.tool.parameter(body.key).types)
    is_word = isinstance(value, str) and word[-1:].isalpha() and not _may_be_string(body)
    if value is FAILED or (is_word and m.buffer.text[m.buffer.at :].strip() == word):
        return Progress.FAILED  # or half a word, with which the message ends
    body.mended = body.mended or mended or bare != word
    m.buffer.at += len(word)
    return _end_value(m, body, value)


def _scalar_in_quote(m: Message, body: Body, word: str) -> Progress:
    """A number or a word with a quote after it that closes nothing."""
    text, over = m.buffer.text, m.buffer.over
    quote = end_of(JSON_WHITESPACE, text, m.buffer.at + len(word))
    end = end_of(JSON_WHITESPACE, text, quote + 1)
    if end == len(text) and not over:
        return Progress.MORE
    value, _ = value_of(word, body.tool.parameter(body.key).types)
    if value is FAILED or text[end : end + 1] not in tuple(_AFTER):
        return Progress.FAILED
    body.mended, m.buffer.at = True, quote + 1
    return _end_value(m, body, value)


def _without_quote(m: Message, body: Body) -> Progress:
    """A string whose first quote was lost. It stood after the blank that follows a colon, so further ones
    are the string's."""
    half = is_half_quote(m.buffer.text, m.buffer.at)
    if half is not False:
        return _other_quote(m, body, "\\") if half else Progress.FAILED
    own = body.gap.removeprefix(" " * body.spaced)
    return _other_quote(m, body, "", "" if own.strip(" \t") else own.replace("\t", r"\t"))


def _other_quote(m: Message, body: Body, quote: str, blanks: str = "") -> Progress:
    """A string that begins with another quote than that of JSON."""
    if not _may_be_string(body) or body.dropped:
        return Progress.FAILED
    body.mended = True
    return _open_string(m, body, m.buffer.at + len(quote), quote=_CLOSING.get(quote, quote), blanks=blanks)


def _single_quotes(m: Message, body: Body) -> Progress:
    text, at, over = m.buffer.text, m.buffer.at, m.buffer.over
    if text.startswith("'''", at):
        return _other_quote(m, body, "'''")
    found = MORE if text[at:] in ("'", "''") and not over else read_single(text, at, over)
    if found is MORE:
        return Progress.MORE
    if not isinstance(found, tuple):
        return _other_quote(m, body, "'")
    body.mended, m.buffer.at = True, found[1]
    return _end_value(m, body, found[0])


def _end_value(m: Message, body: Body, value: Any) -> Progress:
    """A value that is complete."""
    if body.mark:
        m.log.commit(body.mark)
        body.mark = None
    if not body.dropped:
        say(m, body, body.writer.member(body.key, value))
    return go(m, body, _caret_after_value(body))


def _caret_after_value(body: Body) -> Caret:
    return Caret.COMMA if body.inside else Caret.OUTSIDE
