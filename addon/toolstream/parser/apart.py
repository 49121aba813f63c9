"""What is no call outside of calls: examples, quoted tags, thinking, comments, results that the model made
up, and closing tags that close nothing.
"""

from __future__ import annotations

import re

from ..grammar.dialects import BASE
from ..grammar.kinds import MORE, TagKind
from ..grammar.tag import Tag
from ..grammar.text import BLANK, WHITESPACE, end_of
from ..grammar.tokens import WORD
from ..limits import CODE_SPAN, LOOK_AHEAD
from ..repairs import Refused, Repair
from .chain import read_chain
from .message import Before, Envelope, Message, State, Step

_OPENING = (TagKind.WRAP_OPEN, TagKind.CALL_OPEN)
_SHOWN = ("<", "{", "[")
QUOTED = {'"': '"', "'": "'", "“": "”", "„": "“", "‘": "’", "«": "»"}  # noqa: RUF001


def show_example(m: Message, example: re.Match[str]) -> Step:
    """An element that shows an example, if a tag or JSON is the first thing in it, and not prose."""
    text, end = m.buffer.text, example.end()
    first = end_of(WHITESPACE, text, end)
    if first == len(text) and not m.buffer.over:
        return Step.MORE
    m.emit_text(end)
    if text[first : first + 1] in _SHOWN:
        m.context.show_until(f"</{example[1]}>")
    return Step.GO


def show_code(m: Message, code: re.Match[str]) -> Step:
    """An element that shows code, if a call is the first thing in it."""
    text = m.buffer.text
    first = end_of(WHITESPACE, text, code.end())
    near = first - code.end() <= LOOK_AHEAD
    if near and not m.buffer.over and "<code>".startswith(text[first:].lower()):
        return Step.MORE
    chain = read_chain(m, first) if near and first < len(text) else None
    if chain is MORE:
        return Step.MORE
    m.emit_text(code.end())
    tag = chain.tag if chain else None
    opens = tag is not None and tag.kind is TagKind.CALL_OPEN and not tag.dialect.by_name
    if opens or (chain and chain.json):
        m.context.show_until(f"</{code[1]}>")
    return Step.GO


def quote(m: Message, tag: Tag, end: int = 0) -> Step:
    """A tag that is quoted, and the text up to `end`."""
    if is_candidate(tag):
        return m.refuse(Refused.FENCED, end or tag.end, wrap=tag.kind is TagKind.WRAP_OPEN)
    m.emit_text(end or tag.end)
    return Step.GO


def is_candidate(tag: Tag) -> bool:
    """Whether a user may wonder why this tag opens no call. Tags that are named after a tool may be
    anything."""
    opens = tag.kind in _OPENING or tag.kind is TagKind.NAMELESS_OPEN
    return opens and not tag.dialect.by_name


def may_be_quoted(m: Message, tag: Tag) -> bool:
    """Whether an opening quotation mark stands directly before an envelope, within a line."""
    before, mark = m.context.ends[:-1], m.context.ends[-1:]
    opens = tag.kind is TagKind.WRAP_OPEN and mark in QUOTED and not before.isalnum()
    return opens and not m.context.at_line_start


def in_span(m: Message) -> Step:
    """State: at a tag after an open backtick or quotation mark. It is quoted if the code span closes, or if
    the envelope holds a call and a quotation mark follows it, before a blank line."""
    text, at, context = m.buffer.text, m.seen, m.context
    tag = m.lookout.openers.match(text, at)
    if not context.code_span and tag:
        chain = read_chain(m, at)
        if chain is MORE:
            return Step.MORE
        if not chain.opens:
            return _close_span(m)
    end = _end_of_span(m, tag)
    waits = end is None or (context.code_span > 0 and end.end() == len(text) and end[1] is not None)
    if waits and not m.buffer.over and len(text) - at < CODE_SPAN:
        m.looked = m.buffer.base + len(text.rstrip("`" + BLANK))
        return Step.MORE
    if end is None or end[1] is None:
        return _close_span(m)
    m.go(State.TEXT)
    if tag:
        quote(m, tag, end.end())
    m.emit_text(end.end())
    m.before = Before.TEXT
    return Step.GO


def _end_of_span(m: Message, tag: Tag | None) -> re.Match[str] | None:
    """The end of the code span or quotation, with a group, or the blank line before it."""
    text, at, run = m.buffer.text, m.seen, m.context.code_span
    if run:
        close = rf"(?<!`)`{{{run}}}(?!`)"
    else:
        word = WORD.match(tag.raw) if tag else None
        closers = {f"</{word[1] if word else ''}>", *(tag.dialect.wrap_close if tag else ())}
        closer = "|".join(f"(?<={re.escape(text)})" for text in sorted(closers))
        close = f"(?:{closer}){QUOTED[m.context.ends[-1]]}"
    start = max(at, m.looked - m.buffer.base)
    return re.compile(rf"({close})|\n[ \t]*\r?\n").search(text, start, at + CODE_SPAN)


def _close_span(m: Message) -> Step:
    """The backtick or the quotation mark has opened nothing."""
    m.context.close_span()
    m.context.ends = ""
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
    if tag.dialect.by_name or not context.at_line_start or context.tags_seen or context.thinking:
        m.emit_text(tag.end)
        return Step.GO
    m.begin_trial(None, at_end=True)
    context.needs_call = context.needs_call or tag.dialect not in BASE  # documents may have it, too
    return m.go(State.AFTER)
