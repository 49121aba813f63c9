"""The fast path: a piece of text in which nothing begins that a state would have to look at passes at once.

It only saves time: the states `in_text` (`outside`) and `in_value` (`value`) come to the same events with any
piece. A function returns None if a piece has to be looked at: nothing has changed, and the state reads it.
"""

from __future__ import annotations

import re

from ..events import ArgumentsDelta, Event, Text
from ..grammar.brackets import OPEN
from ..grammar.tokens import BRACKET, NO_TAG, PARTIAL, WORD
from ..limits import PIECE
from .message import Message
from .open_value import Value
from .states import Before
from .value_text import break_before, held_in

# What a piece of text, or a line of it, must not hold; and what a piece of a value must not
_LOOK_IN_LINE = re.compile(rf"[{OPEN.replace('<', '')}\r`\ud800-\udfff]")
_LOOK_IN_TEXT = re.compile(rf"{_LOOK_IN_LINE.pattern}|\n")
_LOOK_IN_VALUE = re.compile(rf"{BRACKET.pattern}|\n")
_BEGINS_WORD = re.compile(r"</?[A-Za-z]")
TEXT = Before.TEXT  # to look up a member of an enum takes Python 3.11 ten times as long


def pass_text(m: Message, piece: str) -> list[Event] | None:
    """Pass a piece outside of calls in which no tag of a call begins, with what waits. Return its events."""
    buffer, log, context = m.buffer, m.log, m.context
    if _LOOK_IN_LINE.search(piece) or log.marks or log.events or buffer.high or m.aggressive or context.shown:
        return None
    waits = buffer.at < len(buffer.text)
    if "\n" in piece or not context.settled or (waits and m.seen_to > buffer.base + buffer.at):
        return _pass_lines_of_text(m, piece)
    text = piece
    if waits:
        if _LOOK_IN_TEXT.search(buffer.text, buffer.at):
            return None
        text = buffer.text[buffer.at :] + piece
    end = _plain_end(m, text) if "<" in text else len(text)
    if end < 0 or (m.orphan_think and text.isspace()):
        return None
    buffer.skip(text, end)
    m.seen_to = buffer.base
    m.tag_at = m.seen_to if end < len(text) else -1
    if end == 0:
        return []
    passed = text[:end]
    if context.note(passed):
        m.before, m.orphan_think = TEXT, False
    return [Text(passed)]


def _pass_lines_of_text(m: Message, piece: str) -> list[Event] | None:
    """Pass a piece that has line breaks, begins a line, or comes after whitespace that a call would drop."""
    buffer, context = m.buffer, m.context
    begun, unseen = context.settled, buffer.text[m.seen :]
    text = unseen + piece
    if not (begun or context.at_line_start) or "<" in text or _LOOK_IN_LINE.search(text):
        return None
    if not m.lookout.missing.lines.fullmatch(text if begun else "\n" + text):
        return None
    if text.isspace() and (unseen or not ("\n" in piece or buffer.at < len(buffer.text))):
        return None  # it may indent a tag
    buffer.feed(piece)
    m.emit_text(len(buffer.text))
    return m.log.take()


def _plain_end(m: Message, text: str) -> int:
    """The index up to which a text without line breaks holds no tag that may belong to a call; -1 if it
    has to be looked at."""
    at = text.find("<")
    while at >= 0:
        word = WORD.match(text, at)
        if word is None and not NO_TAG.match(text, at):
            return at if PARTIAL.fullmatch(text, at) else -1
        if word and not m.lookout.is_of_no_call(word[1]):
            return -1
        at = text.find("<", at + 1)
    return len(text)


def pass_value(m: Message, text: str) -> list[Event] | None:
    """Pass a piece of the open value in which no tag of a call begins, with what waits. Return its events."""
    call, buffer, log = m.call, m.buffer, m.log
    if log.marks or log.events or call is None or call.value is None or buffer.high:
        return None
    value = call.value
    if not value.passed or value.json or not (log.parallel or m.calls == 1):
        return None
    if value.waits:
        return _wait_after_closer(m, value, text)
    if _LOOK_IN_VALUE.search(text) or buffer.at != len(buffer.text):
        return _pass_lines_of_value(m, value, buffer.text[buffer.at :] + text) if len(text) < PIECE else None
    value.blank, value.spaced = value.blank and text.isspace(), text[-1] in " \t"
    fragment = call.writer.feed(text)
    buffer.skip("", len(text))
    value.judged_to = buffer.base
    return [ArgumentsDelta(call.index, fragment)] if fragment else []


def _wait_after_closer(m: Message, value: Value, piece: str) -> list[Event] | None:
    """Let a piece wait that is the rest of closing tags: only what follows these can tell more."""
    waiting = m.buffer.text[m.buffer.at :] + piece
    if not (value.verbatim and value.tables.closer.fullmatch(waiting)):
        return None
    m.buffer.feed(piece)
    return []


def _pass_lines_of_value(m: Message, value: Value, text: str) -> list[Event] | None:
    """Pass a text that has line breaks or tags of documents, or of which a line break has waited."""
    call = m.call
    found = value.tables.plain.match(text)
    assert call
    assert found
    end = found.end()
    waits = end < len(text)
    if waits and PARTIAL.fullmatch(text, end):
        m.tag_at = m.buffer.position + end
    elif waits and value.verbatim and value.tables.closer.fullmatch(text, end):
        value.waits = True
    elif waits:
        return None
    solid = break_before(text, 0, end) if waits and text[end] == "<" else end
    if solid == 0 or (held := held_in(value, text, 0, False)) == 0:
        m.buffer.skip(text, 0)
        value.judged_to = m.buffer.base
        return []
    markup = _BEGINS_WORD.search(text, 0, end) is not None
    end = min(solid, held)
    value.pass_over(text, 0, end)
    call.place.inner.has_markup = call.place.inner.has_markup or markup
    fragment = call.writer.feed(text[:end])
    m.buffer.skip(text, end)
    value.judged_to = m.buffer.base
    return [ArgumentsDelta(call.index, fragment)] if fragment else []
