"""Calls that are quoted: in inline code, or between quotation marks.

Which marks are a pair is said by Unicode: by their categories and names.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from ..grammar.kinds import MORE, TagKind, Wait
from ..grammar.likeness import SHOWING
from ..grammar.tag import Tag
from ..grammar.text import BLANK
from ..grammar.tokens import WORD
from ..limits import CODE_SPAN, ENDS, QUOTE_MARKS
from ..repairs import Refused
from .chain import Chain, read_chain
from .message import Message, Quotation, Span
from .place import Place
from .quotation_end import GAPS, read_end
from .states import Before, State, Step

_OPENING = (TagKind.WRAP_OPEN, TagKind.CALL_OPEN)
_SYMMETRICAL = "\"'"
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
    if tag.kind is TagKind.WRAP_OPEN and _marks(context.ends):
        return True
    opens = tag.kind is TagKind.WRAP_OPEN or (context.at_line_start and tag.kind is TagKind.CALL_OPEN)
    return opens and not tag.dialect.by_name and SHOWING.search(context.ends) is not None


def _marks(before: str) -> str:
    """A text may end with the opening mark of a quotation. Return the marks that close it; "" if there is
    none. A mark directly after a word closes, unless it can only open. A blank may follow a mark that can
    only open."""
    spaced = before[-1:] in GAPS
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
    The tag is quoted if the code span closes. After a mark or an element it is if it opens a call, and the
    closing mark or the end of the element follows that directly. A blank line ends a code span and a
    quotation."""
    m.span = m.span or _begin_span(m)
    if m.span is None:
        return Step.MORE
    end = _end_of_span(m, m.span)
    if end is MORE:
        return Step.MORE
    quotation, m.span = m.span.quotation, None
    if end is None:
        return _close_span(m)
    m.go(State.TEXT)
    if tag := m.lookout.openers.match(m.buffer.text, m.seen):
        quote(m, tag, end)
    elif quotation:
        m.refuse(Refused.FENCED, end)
    m.emit_text(end)
    m.before = Before.TEXT
    return Step.GO


def _begin_span(m: Message) -> Span | None:
    """The span that begins here; None if more text is needed."""
    position = m.buffer.base + m.seen
    if m.context.code_span:
        return Span(position)
    chain = read_chain(m, m.seen)
    if chain is MORE:
        return None
    return Span(position, _quotation(m, chain) if chain.opens else None)


def _end_of_span(m: Message, span: Span) -> int | Wait | None:
    """The index where the span ends; None if nothing in it is quoted."""
    if m.context.code_span:
        return _end_of_code(m, span)
    return read_end(m, span, span.quotation) if span.quotation else None


def _quotation(m: Message, chain: Chain) -> Quotation:
    """The quotation that may have begun before these tags of a call."""
    ends = m.context.ends
    place = Place(m.toolset, m.grammar, wrapped=True)
    place.speak(*(tag.dialect for tag in (*chain.wraps, chain.tag) if tag))
    element = SHOWING.search(ends)
    partner = f"((?i:</{re.escape(element[1])}>))" if element else f"([{re.escape(_marks(ends))}])"
    return Quotation(
        re.compile(partner if element else rf"{partner}|\n[ \t]*\r?\n"),
        _closers(chain.first),
        place,
        block=element is not None,
        spaced=ends[-1:] in GAPS,
        json_to=m.buffer.base + (chain.tag.end if chain.tag else chain.at),
    )


def _closers(tag: Tag | None) -> tuple[str, ...]:
    """The tags that may close what the tag has opened."""
    if tag is None:
        return ()
    word = WORD.match(tag.raw)
    call = () if tag.kind is TagKind.WRAP_OPEN else tag.dialect.call_close
    return (*((f"</{word[1]}>",) if word else ()), *tag.dialect.wrap_close, *call)


def _end_of_code(m: Message, span: Span) -> int | Wait | None:
    """The index where the code span ends; None if it does not, before a blank line."""
    text, at, run = m.buffer.text, m.seen, m.context.code_span
    start = max(at, span.searched - m.buffer.base)
    end = re.compile(rf"((?<!`)`{{{run}}}(?!`))|\n[ \t]*\r?\n").search(text, start, at + CODE_SPAN)
    goes_on = end is None or (end[1] is not None and end.end() == len(text))  # by a further backtick
    if goes_on and not m.buffer.over and len(text) - at < CODE_SPAN:
        span.searched = m.buffer.base + max(at, len(text.rstrip("`" + BLANK)) - ENDS)
        return MORE
    return None if end is None or end[1] is None else end.end()


def _close_span(m: Message) -> Step:
    """The backtick or the quotation mark has opened nothing."""
    m.context.close_span()
    m.context.ends = ""
    return m.go(State.TEXT)
