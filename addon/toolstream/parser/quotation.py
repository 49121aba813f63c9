"""Calls that are quoted: in inline code, or between quotation marks.

Which marks are a pair is said by Unicode: by their categories and names.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from ..grammar.kinds import MORE, TagKind
from ..grammar.likeness import SHOWING
from ..grammar.tag import Tag
from ..grammar.text import BLANK
from ..grammar.tokens import WORD
from ..limits import CODE_SPAN, ENDS, QUOTE_MARKS
from ..repairs import Refused
from .chain import read_chain
from .message import Message
from .states import Before, State, Step

_OPENING = (TagKind.WRAP_OPEN, TagKind.CALL_OPEN)
_SYMMETRICAL = "\"'"
_GAPS = " \u00a0\u2009\u202f"  # blanks that typography has within the marks
_SIDE = re.compile("LEFT|RIGHT")


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
    """Whether an opening quotation mark stands directly before an envelope, within a line; or an element that
    shows or quotes opens before a call."""
    context = m.context
    if tag.kind is TagKind.WRAP_OPEN and not context.at_line_start and _marks(context.ends):
        return True
    opens = tag.kind is TagKind.WRAP_OPEN or (context.at_line_start and tag.kind is TagKind.CALL_OPEN)
    return opens and not tag.dialect.by_name and SHOWING.search(context.ends) is not None


def _marks(before: str) -> str:
    """A text may end with the opening mark of a quotation. Return the marks that close it; "" if there is
    none. A mark directly after a word closes, unless it can only open. A blank may follow a mark that can
    only open."""
    spaced = before[-1:] in _GAPS
    lead, mark = before[: -1 - spaced][-1:], before[: len(before) - spaced][-1:]
    category = unicodedata.category(mark) if mark else ""
    if lead.isalnum() and category not in ("Pi", "Ps"):
        return ""
    if spaced and not (category == "Ps" or (category == "Pi" and "ANGLE" in unicodedata.name(mark))):
        return ""
    return "" if _is_open(before[: len(before) - spaced - 1].rpartition("\n")[2], mark) else _pairs_of(mark)


def _is_open(line: str, mark: str) -> bool:
    """Whether a line has a quotation that this mark closes: »so«. After a word, a closing mark opens
    nothing: it may be an apostrophe."""
    closing, before = "", ""
    for sign in line:
        if closing:
            closing = "" if sign in closing else closing
        elif not (sign.isascii() or (before.isalnum() and unicodedata.category(sign) == "Pf")):
            closing = _pairs_of(sign)
        before = sign
    return mark in closing


@lru_cache(QUOTE_MARKS)
def _pairs_of(mark: str) -> str:
    """The marks that may close what this one opens; "" if it is no quotation mark. Brackets as in ASCII
    quote nothing."""
    if mark in _SYMMETRICAL:
        return mark
    category = unicodedata.category(mark)
    if category not in ("Pi", "Pf", "Ps") or unicodedata.normalize("NFKC", mark).isascii():
        return ""
    name = unicodedata.name(mark, "")
    sides = _SIDE.findall(name)
    other = _SIDE.sub(lambda side: "RIGHT" if side[0] == "LEFT" else "LEFT", name, count=1)
    if sides:
        return _named(other) + mark * (category == "Pf")
    high = name.replace("LOW-9 ", "")
    closing = _named(f"LEFT {high}") + _named(f"RIGHT {high}")
    return closing and closing + _SYMMETRICAL[high.startswith("SINGLE")]


def _named(name: str) -> str:
    """The character of this name; "" if there is none."""
    try:
        return unicodedata.lookup(name)
    except KeyError:
        return ""


def in_span(m: Message) -> Step:
    """State: at a tag after an open backtick, an opening quotation mark, or an element that shows something.
    The tag is quoted if the code span closes. After a mark or an element it is if the envelope holds a call,
    and the closing mark or the end of the element follows that. A blank line ends a code span and a
    quotation."""
    text, at, context = m.buffer.text, m.seen, m.context
    tag = m.lookout.openers.match(text, at)
    if not context.code_span and tag:
        chain = read_chain(m, at)
        if chain is MORE:
            return Step.MORE
        if not chain.opens:
            return _close_span(m)
    end = _end_of_span(m, tag)
    if _may_end_later(m, end):
        m.span_searched = m.buffer.base + max(at, len(text.rstrip("`" + BLANK + _GAPS)) - 2 * ENDS)
        return Step.MORE
    if end is None or end[1] is None:
        return _close_span(m)
    m.go(State.TEXT)
    if tag:
        quote(m, tag, end.end())
    m.emit_text(end.end())
    m.before = Before.TEXT
    return Step.GO


def _may_end_later(m: Message, end: re.Match[str] | None) -> bool:
    """Whether more text may bring the end of the span; or a further backtick, so that this was not it."""
    text = m.buffer.text
    if m.buffer.over or len(text) - m.seen >= CODE_SPAN:
        return False
    return end is None or (m.context.code_span > 0 and end.end() == len(text) and end[1] is not None)


def _end_of_span(m: Message, tag: Tag | None) -> re.Match[str] | None:
    """The end of the code span, quotation or element, with a group; or the blank line before it, which does
    not matter in an element."""
    text, at, run = m.buffer.text, m.seen, m.context.code_span
    start, blank = max(at, m.span_searched - m.buffer.base), r"|\n[ \t]*\r?\n"
    if run:
        close = rf"(?<!`)`{{{run}}}(?!`)"
    elif element := SHOWING.search(m.context.ends):
        close, blank = rf"{_closers(tag)}\s{{0,16}}(?i:</{re.escape(element[1])}>)", ""
    else:
        close = f"{_closers(tag)}[{_GAPS}]?[{re.escape(_marks(m.context.ends))}]"
    return re.compile(f"({close}){blank}").search(text, start, at + CODE_SPAN)


def _closers(tag: Tag | None) -> str:
    """A pattern for the place after the tags that may close what this tag has opened."""
    word = WORD.match(tag.raw) if tag else None
    closers = {f"</{word[1] if word else ''}>"}
    if tag:
        wraps = tag.kind is TagKind.WRAP_OPEN
        closers |= {*tag.dialect.wrap_close, *(() if wraps else tag.dialect.call_close)}
    return "(?:" + "|".join(f"(?<={re.escape(text)})" for text in sorted(closers)) + ")"


def _close_span(m: Message) -> Step:
    """The backtick or the quotation mark has opened nothing."""
    m.context.close_span()
    m.context.ends = ""
    return m.go(State.TEXT)
