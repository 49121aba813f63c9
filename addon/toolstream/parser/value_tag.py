"""The tag at a place in a value: what it is if it belongs to the call. Whether it does, `judge` says.

A tag in a dialect table is what the table says. A misspelt one is what can stand there (`place`). Of an
unknown word only the value's own closing tag can have become, if the value has not opened that word itself.
"""

from __future__ import annotations

import re

from ..grammar.kinds import MORE, Cost, TagKind, Wait
from ..grammar.likeness import FUNCTION, SYNONYMS, is_structural, squeeze
from ..grammar.tag import Tag
from ..grammar.text import end_of, skip_whitespace
from ..grammar.tokens import Token
from ..limits import AFTER_CALL, LETTERS
from .by_place import by_place, read_whole
from .evidence import Payload
from .message import Message
from .open_value import Value
from .run import FollowedBy, Level, Run
from .value_place import open_element

_BRACKETS = re.compile(rf"[</ \t]{{0,{LETTERS}}}(?=<[/\w])")
NAMELESS = re.compile(r"<\s?parameter\b", re.I)  # also in documents of other kinds


def tag_in_value(m: Message, value: Value, at: int, alone: bool) -> Tag | Payload | Wait:
    """The tag at `at`, if it may be one of a call. `alone`: it begins a line."""
    tag = value.tables.within.read(m.buffer.text, at, m.buffer.over)
    return _unknown(m, value, at, alone) if tag is None else tag


def _unknown(m: Message, value: Value, at: int, alone: bool) -> Tag | Payload | Wait:
    """What a tag may be that is in no dialect table."""
    text, over = m.buffer.text, m.buffer.over
    if not m.tolerant or _is_before_exact(m, value, at, alone):
        return Payload.TAG
    slipped = m.place.slipped(text, at, over)
    if slipped is MORE or (slipped and (alone or slipped.raw[0] == "<")):
        return slipped
    token = read_whole(text, at, over)
    return _by_token(m, value, token, alone) if isinstance(token, Token) else token or Payload.TAG


def _by_token(m: Message, value: Value, token: Token, alone: bool) -> Tag | Payload:
    """What may be meant by a token that is shaped like a tag. If it is payload, note what it opens or
    closes."""
    readings = m.place.alike(token) if token.bracket or alone else []
    if not readings and _may_be_closer(m, value, token, alone):
        return by_place(token, TagKind.PARAMETER_CLOSE, Cost.SHAPE)
    if not readings and NAMELESS.match(token.raw):
        open_element(m.place, m.buffer, value, token.start, token.raw, alone)
    m.place.inner.note(token, closes=not readings)
    if not token.slash:
        m.place.inner.note_opener(token.raw)
        value.opened.note(is_structural(token.word), SYNONYMS.get(squeeze(token.word)) == FUNCTION)
    return readings[0] if readings else Payload.TAG


def _may_be_closer(m: Message, value: Value, token: Token, alone: bool) -> bool:
    """Whether an unknown word may be the value's own closing tag, by its shape: the word is alone on its
    line, or that is the only line of the value."""
    begins = token.bracket and (alone or not value.has_break(m.buffer, token.start))
    return begins and m.place.inner.may_be_ours(token)


def _is_before_exact(m: Message, value: Value, at: int, alone: bool) -> bool:
    """Whether the bracket at `at` is payload because an exact tag begins directly after it, or after a few
    more brackets, on a line with other text, at the beginning of the value, or where no line break comes
    before a closing tag."""
    if alone and at != m.buffer.at and not (value.tight and value.same_line):
        return False
    text = m.buffer.text
    tag = m.place.tags.match(text, end_of(_BRACKETS, text, at + 1))
    return tag is not None and tag.exact


def end_of_turn(m: Message, value: Value, at: int) -> Run | Wait | None:
    """The tokens that end a turn, and the message with it, in a value that has no closing tag."""
    if not m.tolerant or value.opened.in_example:
        return None
    end, base = _after_tokens(m, at), m.buffer.base
    if end is MORE:
        return MORE
    first = m.lookout.after.match(m.buffer.text, at)
    if first is None or end < len(m.buffer.text) or not m.complete:
        return None
    return Run([first.moved(base)], base + end, Level.VALUE, followed_by=FollowedBy.END)


def _after_tokens(m: Message, at: int) -> int | Wait:
    """The index after the tokens that end a turn, and the whitespace after each; `at` if there are none, or
    more than are waited for. Tokens that were read before are not read again."""
    text, over, tags, base = m.buffer.text, m.buffer.over, m.lookout.after, m.buffer.base
    start, end = m.place.memory.tokens
    if start <= base + at < end:
        after = skip_whitespace(text, end - base)
    else:
        start, end, after = base + at, base + at, at
    while isinstance(tag := tags.read(text, after, over), Tag) and tag.raw.startswith("<|"):
        end, after = base + tag.end, skip_whitespace(text, tag.end)
        if end - start > AFTER_CALL:
            break
    m.place.memory.tokens = start, end
    if end - start > AFTER_CALL:
        return at
    return MORE if tag is MORE else after
