"""Tags outside of calls that open no call: of examples, thinking, comments and results that the model made
up, and closing tags that close nothing.
"""

from __future__ import annotations

import re

from ..grammar.dialects import BASE
from ..grammar.kinds import TagKind
from ..grammar.tag import Tag
from ..grammar.text import WHITESPACE, end_of
from ..limits import LOOK_AHEAD
from ..repairs import Repair
from .message import Message
from .states import Envelope, State, Step

_SHOWN = ("<", "{", "[")


def show_example(m: Message, example: re.Match[str]) -> Step:
    """An element that shows an example, if a tag or JSON is the first thing in it, and not prose."""
    text, end = m.buffer.text, example.end()
    first = end_of(WHITESPACE, text, end)
    if first == len(text) and not m.buffer.over:
        return Step.MORE
    m.emit_text(end)
    sure = text[first : first + 1] in _SHOWN
    if sure or "\n" in text[end:first]:  # alone on its line it may show what comes after text
        m.context.show_until(f"</{example[1]}>", sure)
    return m.go(State.TEXT)


def show_code(m: Message, code: re.Match[str]) -> Step:
    """An element that shows code, and may show a call."""
    text = m.buffer.text
    first = end_of(WHITESPACE, text, code.end())
    if first - code.end() <= LOOK_AHEAD and not m.buffer.over and "<code>".startswith(text[first:].lower()):
        return Step.MORE
    m.emit_text(code.end())
    if "\n" in text[code.end() : first] or text[first : first + 1] in _SHOWN:
        m.context.show_until(f"</{code[1]}>", False)
    return m.go(State.TEXT)


def think(m: Message, tag: Tag) -> Step:
    """<think> or </think>: text, and a call may follow directly. A </think> that closes nothing waits,
    because directly before a call it is dropped."""
    if m.context.think(tag.kind):
        m.show_context(tag.end)
        m.orphan_think = True
    else:
        m.emit_text(tag.end)
    m.context.new_line()
    return m.go(State.LINE_START if tag.kind is TagKind.THINK_CLOSE and m.tolerant else State.TEXT)


def comment(m: Message, tag: Tag) -> Step:
    begins = m.context.at_line_start
    m.emit_text(tag.end)
    if begins:
        m.context.show_until("-->")
    return Step.GO


def result(m: Message, tag: Tag) -> Step:
    m.context.enter_or_leave_result(tag, tag.raw)
    m.emit_text(tag.end)
    m.context.last = "."
    return Step.GO


def orphan_closer(m: Message, tag: Tag) -> Step:
    """A closing tag at the start of a line. It is dropped if nothing else follows in the message, the
    text had no opening tag that it may belong to, and the text does not announce it with a colon."""
    context = m.context
    if tag.kind is TagKind.WRAP_CLOSE and m.envelope is Envelope.LEFT:
        m.log.repair(Repair.STRAY_CLOSER, tag.raw)
        m.envelope = Envelope.NONE
        m.drop(tag.end)
        return Step.GO
    context.function_seen = context.function_seen and tag.kind is TagKind.PARAMETER_CLOSE
    context.tags_seen = context.tags_seen or context.last == ":"
    said = context.tags_seen or context.thinking or not context.at_line_start
    if said or tag.dialect.by_name:
        m.emit_text(tag.end)
        return Step.GO
    m.begin_trial(None, at_end=True)
    context.needs_call = context.needs_call or tag.dialect not in BASE  # documents may have it, too
    return m.go(State.AFTER)
