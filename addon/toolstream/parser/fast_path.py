"""The fast path: a piece of text in which nothing begins that a state would have to look at passes at once.

So do the tags between two values, if they are as Qwen's template writes them. It only saves time: the states
(`at_line_start`, `in_text`, `in_call`, `in_value`) come to the same events with any piece. A function returns
None if a piece has to be looked at: nothing has changed, and the state reads it.
"""

from __future__ import annotations

import re

from ..events import ArgumentsDelta, Event, Text
from ..grammar.brackets import OPEN
from ..grammar.dialects import BASE
from ..grammar.kinds import Cost, TagKind
from ..grammar.tag import Tag
from ..grammar.tokens import BRACKET, NO_TAG, PARTIAL, WORD
from ..limits import NAME, PIECE
from .lookout import BEGINS_UNTAGGED
from .message import Call, Message
from .open_value import Opened, Value
from .parameter import begin_value
from .states import Before, State
from .value_place import leave_value
from .value_text import break_before, finish, held_in

# What a piece of text, or a line of it, must not hold; and what a piece of a value must not
_LOOK_IN_LINE = re.compile(rf"[{OPEN.replace('<', '')}\r`\ud800-\udfff]")
_LOOK_IN_TEXT = re.compile(rf"{_LOOK_IN_LINE.pattern}|\n")
_LOOK_IN_VALUE = re.compile(rf"{BRACKET.pattern}|\n")
_BEGINS_WORD = re.compile(r"</?[A-Za-z]")
# The tags between two values, as Qwen's template writes them
_OPENS = re.compile(rf"<parameter=([\w.-]{{1,{NAME}}})>\n")
_CLOSES = re.compile(rf"\n</parameter>\n(?:{_OPENS.pattern})?")
_QWEN, _NOTHING = BASE[0], Opened()
# To look up a member of an enum takes Python 3.11 ten times as long as to look up a global name
_AFTER_TEXT, _IN_TEXT, _IN_CALL = Before.TEXT, State.TEXT, State.CALL
_EXACT, _PARAMETER_OPEN = Cost.EXACT, TagKind.PARAMETER_OPEN


def pass_start(m: Message, piece: str) -> list[Event] | None:
    """Pass a piece that begins the message with a letter, with which no untagged call begins."""
    buffer = m.buffer
    if buffer.text or not piece[0].isalpha() or BEGINS_UNTAGGED.match(piece):
        return None
    events = pass_text(m, piece)
    if events is not None:
        m.state = _IN_TEXT
    return events


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
        m.before, m.orphan_think = _AFTER_TEXT, False
    return [Text(passed)]


def _pass_lines_of_text(m: Message, piece: str) -> list[Event] | None:
    """Pass a piece that has line breaks, begins a line, or comes after whitespace that a call would drop."""
    buffer, context = m.buffer, m.context
    begun, unseen = context.settled, buffer.text[m.seen :]
    text = unseen + piece
    if not (begun or context.at_line_start) or "<" in text or _LOOK_IN_LINE.search(text):
        return None
    missing = m.lookout.missing
    if not missing.lines.fullmatch(text if begun else "\n" + text):
        waits = not begun and missing.part.match(text)
        return _wait(m, piece) if waits else None
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
    if value.waits or buffer.at != len(buffer.text) or _LOOK_IN_VALUE.search(text):
        return _pass_markup(m, call, value, text) if len(text) < PIECE else None
    value.blank, value.spaced = value.blank and text.isspace(), text[-1] in " \t"
    fragment = call.writer.feed(text)
    buffer.skip("", len(text))
    value.judged_to = buffer.base
    return [ArgumentsDelta(call.index, fragment)] if fragment else []


def _pass_markup(m: Message, call: Call, value: Value, piece: str) -> list[Event] | None:
    """Pass a piece of a value that has line breaks or tags, or comes after one that waits."""
    text = m.buffer.text[m.buffer.at :] + piece
    found = _CLOSES.fullmatch(text) if text[-2:] == ">\n" else None
    if found and _is_closed(m, call, value, found[1]):
        m.buffer.feed(piece)
        return _close_value(m, call, found)
    if value.waits:
        closes = value.verbatim and value.tables.closer.fullmatch(text)
        return _wait(m, piece) if closes else None  # only what follows closing tags can tell more
    return _pass_lines_of_value(m, call, value, text)


def _wait(m: Message, piece: str) -> list[Event]:
    m.buffer.feed(piece)
    return []


def _pass_lines_of_value(m: Message, call: Call, value: Value, text: str) -> list[Event] | None:
    """Pass a text that has line breaks or tags of documents, or of which a line break has waited."""
    found = value.tables.plain.match(text)
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


# From one value to the next


def pass_tags(m: Message, piece: str) -> list[Event] | None:
    """Pass a piece that completes the opening tag of a parameter, between the parameters of a call."""
    call, buffer, log = m.call, m.buffer, m.log
    if piece[-2:] != ">\n" or log.marks or log.events or call is None or buffer.high:
        return None
    found = _OPENS.fullmatch(buffer.text[buffer.at :] + piece)
    if found is None or not _may_open(m, call, found[1]):
        return None
    buffer.feed(piece)
    _open_value(m, call, found[1], 0)
    return log.take()


def _is_closed(m: Message, call: Call, value: Value, key: str | None) -> bool:
    """Whether an exact closing tag on a line of its own, and then the opening tag of this parameter, end the
    value. None: no tag follows yet, and a string may go on."""
    if value.verbatim if key is None else not _may_open(m, call, key):
        return False
    return call.place.dialect is _QWEN and not value.tight and value.opened == _NOTHING


def _close_value(m: Message, call: Call, tags: re.Match[str]) -> list[Event]:
    """Close the value before these tags, which are all that the buffer holds, and open the next one."""
    buffer, key = m.buffer, tags[1]
    m.seen_to = buffer.base + 1
    finish(m, 0)
    if key:
        _open_value(m, call, key, tags.start(1) - len("<parameter="))
    else:
        call.certain, call.gap = True, "\n"
        leave_value(call.place, [])
        buffer.at = len(buffer.text)
        m.state = _IN_CALL
    return m.log.take()


def _may_open(m: Message, call: Call, key: str) -> bool:
    """Whether an exact tag of this parameter opens it, and nothing else depends on that."""
    plain = not (call.body_done or call.stray or call.said.strip() or m.doubt)
    return plain and _QWEN in m.kept and call.tool.declares(key)


def _open_value(m: Message, call: Call, key: str, at: int) -> None:
    """Open the value of this parameter, whose tag is at the index `at` and ends the buffer."""
    text = m.buffer.text
    tag = Tag(_PARAMETER_OPEN, key, at, len(text) - 1, text[at:-1], _QWEN, _EXACT)
    call.certain, call.gap, call.said = True, "", ""
    begin_value(m, call, tag)
    m.open_value.start(m.buffer, len(text))
