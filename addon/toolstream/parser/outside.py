"""Outside of calls: text, up to what may open a call. That is a tag or, at the start of a line, an
untagged call.

Text is emitted at once, except for a tail that may still become a tag. On the way everything is
recognised that cannot hold calls: thinking, comments, results that the model made up, quoted tags, and
closing tags that close nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..grammar.brackets import OPEN
from ..grammar.kinds import MORE, THINK, TagKind, Wait
from ..grammar.likeness import CODE, DOCUMENT, EXAMPLE, SHOW_CODE
from ..grammar.tag import Tag
from ..grammar.text import BLANK, WHITESPACE, end_of
from ..grammar.tokens import NO_TAG, WORD, Token, held_from, next_place, read_tag
from ..limits import PIECE
from ..repairs import Refused
from ..schema.tool_name import read_opening
from .after_opener import kind_after
from .bare_json import open_bare_json
from .by_place import attribute_of
from .chain import Chain, is_word_of_ours, read_chain
from .lookout import BEGINS_UNTAGGED
from .message import Message
from .opening import open_bare, open_nameless
from .other_tags import (
    comment,
    orphan_closer,
    result,
    show_code,
    show_example,
    think,
)
from .quotation import is_candidate, may_be_quoted, quote
from .states import State, Step

_UNTAGGED = rf" {{0,3}}(?={BEGINS_UNTAGGED.pattern})"
_JSON = r" {0,3}(?=\{)"
_AT_START, _AT_LINE = re.compile(_UNTAGGED), re.compile(r"\n" + _UNTAGGED)
_JSON_AT_START, _JSON_AT_LINE = re.compile(_JSON), re.compile(r"\n" + _JSON)
_MARK_BEFORE_TAG = re.compile(rf"[{OPEN.replace('<', '')}][ \t]{{0,8}}(?=<)")
_SHOWS_NOTHING = DOCUMENT - {"think", "result", "output", "example", *SHOW_CODE}  # a call in it is said
_OPENING = (TagKind.WRAP_OPEN, TagKind.CALL_OPEN)


@dataclass(slots=True)
class Found:
    """Where the search for a tag has stopped: the text up to the index `at` has none. There stands a `tag` of
    a dialect table, or what may be a tag by its `place`; or more text is needed."""

    at: int
    tag: Tag | None = None
    place: bool = False
    passes: bool = False  # the text up to there was looked at, and more of it has come


def at_line_start(m: Message) -> Step:
    """State: at the start of the message; at the aggressive level, of any line. An untagged call may
    stand here."""
    text = m.buffer.text
    end = end_of(WHITESPACE, text, m.seen)
    waits = end == len(text) and not m.buffer.over
    m.emit_text(end - (waits and text.endswith("\r")))  # `\r` may be half of a line break
    if waits:
        return Step.MORE
    if m.context.at_line_start and BEGINS_UNTAGGED.match(text, m.seen):
        return _begins_untagged(m)
    return m.go(State.TEXT)


def _begins_untagged(m: Message) -> Step:
    """A line begins as an untagged call does."""
    if m.tolerant and (step := _at_lost_bracket(m)):
        return step
    if m.context.may_open_json and (m.aggressive or not m.calls):
        return _at_untagged(m)
    if m.aggressive:
        m.emit_text(m.seen + 1)
    return m.go(State.TEXT)


def _at_lost_bracket(m: Message) -> Step | None:
    """A bracket that may stand for the opening bracket of a tag."""
    text, at = m.buffer.text, m.seen
    if _is_lost(m, at):
        return m.go(State.TEXT)
    may_be = text[at] in "[{" and held_from(text, at, True, m.lookout.missing) <= at
    return Step.MORE if may_be and not m.buffer.over else None


def _is_lost(m: Message, at: int) -> bool:
    """Whether the word of a tag follows the bracket at `at`."""
    text = m.buffer.text
    return text[at] in "[{" and next_place(text, at, True, m.lookout.missing, at + 1) == at


def _at_untagged(m: Message) -> Step:
    """A bracket, a fence or a word with which an untagged call may begin."""
    text = m.buffer.text
    if tag := m.lookout.lines.match(text, m.seen):
        m.go(State.TEXT)
        return open_bare(m, tag)
    if not m.buffer.over and m.lookout.lines.may_begin(text, m.seen):
        return Step.MORE
    m.go(State.TEXT)
    return open_bare_json(m)


def in_text(m: Message) -> Step:
    """State: in text, up to the next tag that may open a call."""
    end = _end_of_piece(m.buffer.text, m.seen)
    line = _untagged_before(m, end) if m.tolerant else None
    found = _find(m, end if line is None else line)
    if line is not None and found.at >= line:
        m.emit_text(line)
        return m.go(State.LINE_START) if m.aggressive else _at_json(m)
    m.emit_text(found.at)
    if found.tag:
        return _at_tag(m, found.tag)
    if found.place:
        return m.go(State.PLACE)
    if found.passes:
        return Step.GO
    if m.buffer.over:
        m.emit_all(found.at)
    return Step.MORE


def _untagged_before(m: Message, end: int) -> int | None:
    """Where an untagged call may begin in the text before `end`; if not aggressive, one in JSON."""
    text, at = m.buffer.text, m.seen
    at_start, at_line = (_AT_START, _AT_LINE) if m.aggressive else (_JSON_AT_START, _JSON_AT_LINE)
    found = at_start.match(text, at, end) if m.context.at_line_start else None
    while found is None or _is_lost(m, found.end()):
        found = at_line.search(text, found.end() if found else at, end)
        if found is None:
            return None
    return found.end()


def _at_json(m: Message) -> Step:
    """A bracket at the start of a line. It may begin a call whose envelope lacks its opening tag: the closing
    tag has to follow the JSON, at the end of the message, and no tag in the text may have opened it."""
    if step := _at_lost_bracket(m):
        return step
    if m.context.may_open_json and not m.context.tags_seen:
        return open_bare_json(m, orphan=True)
    m.emit_text(m.seen + 1)
    return Step.GO


# The next tag


def _end_of_piece(text: str, at: int) -> int:
    """The end of a piece that is looked at in one go: within no line break, and no pair of surrogates."""
    end = at + PIECE
    half = text[end - 1 : end]
    return end - (half == "\r" or "\ud800" <= half < "\udc00")


def _find(m: Message, end: int) -> Found:
    """The next place that has to be looked at, if there is one before `end`."""
    text, start = m.buffer.text, m.seen
    fresh = m.tolerant and m.context.on_blank_line
    at, found = _next(m, start, fresh, end), None
    while at >= 0 and not (found := _look(m, at)):
        at = _next(m, at + 1, False, end)
    if found is None and end < len(text):
        return Found(end, passes=True)
    held = len(text) if m.buffer.over else _held(m, start, fresh)
    return found if found and found.at <= held else Found(held)


def _held(m: Message, start: int, fresh: bool) -> int:
    """The index of the tail that may become a tag without its bracket, or a line break; len(text) if
    there is none."""
    text = m.buffer.text
    end = held_from(text, start, fresh, m.lookout.missing) if m.tolerant else len(text)
    return max(start, min(end, len(text) - 1)) if text.endswith("\r") else end


def _next(m: Message, at: int, fresh: bool, end: int) -> int:
    """The index before `end` where the next tag may begin, skipping tags of documents; -1 if there is
    none."""
    text, missing = m.buffer.text, m.lookout.missing
    while (at := next_place(text, at, fresh, missing, end) if m.tolerant else text.find("<", at, end)) >= 0:
        word = WORD.match(text, at)
        if word is None or word[1] not in _SHOWS_NOTHING or m.lookout.names.has("tool", word[1]):
            return at
        at, fresh = word.end() - 1, False
    return -1


def _look(m: Message, at: int) -> Found | None:
    """What may be a tag at `at`; None if nothing is."""
    text, over = m.buffer.text, m.buffer.over
    tag = m.lookout.openers.match(text, at)
    if tag and not is_word_of_ours(tag):
        return Found(at, tag)
    if not over and m.lookout.openers.may_begin(text, at):
        return Found(at)
    if not m.tolerant or NO_TAG.match(text, at):
        return None
    before_tag = _is_before_tag(m, at)
    if before_tag is MORE:
        return Found(at)
    return None if before_tag else _look_by_place(m, at)


def _is_before_tag(m: Message, at: int) -> bool | Wait:
    """Whether a mark that looks like a bracket stands before a tag that has brackets of its own."""
    ahead = _MARK_BEFORE_TAG.match(m.buffer.text, at)
    tag = ahead and m.lookout.openers.read(m.buffer.text, ahead.end(), m.buffer.over)
    return MORE if tag is MORE else tag is not None


def _look_by_place(m: Message, at: int) -> Found | None:
    """What may be a tag at `at` that is in no dialect table; None if nothing is."""
    text, over = m.buffer.text, m.buffer.over
    if _starts_line(m, at):
        if slipped := m.outside.slipped_opener(text, at, over, False):
            return Found(at, place=slipped is not MORE)
    elif (word := WORD.match(text, at)) and m.lookout.is_of_no_call(word[1]):
        return None
    token = read_tag(text, at, over)
    if token is MORE:
        return Found(at)
    if token is None or token.slash or not _may_open(m, token):
        return None
    return Found(at, place=True)


def _may_open(m: Message, token: Token) -> bool:
    """Whether what is shaped like an opening tag may open a call, by its shape, its word or a name in it."""
    if token.bracket and token.closed and not token.name:
        return True
    if any(tag.kind in _OPENING for tag in m.outside.alike(token)):
        return True
    return bool(m.toolset.find(token.name) or m.toolset.find(attribute_of(token)))


def _starts_line(m: Message, at: int) -> bool:
    """Whether only whitespace comes before this index on its line."""
    text, start = m.buffer.text, m.seen
    line = text.rfind("\n", start, at) + 1
    return (line > 0 or m.context.on_blank_line) and not text[line or start : at].strip(BLANK)


def at_place(m: Message) -> Step:
    """State: at a tag that is in no dialect table, but may open a call because of what follows it."""
    if m.context.quoted or m.context.in_result:
        return _pass(m)
    if m.context.at_line_start and (step := _at_element_that_shows(m)):
        return step
    chain = read_chain(m, m.seen)
    if chain is MORE:
        return Step.MORE
    return _open_chain(m, chain) if chain.opens else _pass(m)


def _open_chain(m: Message, chain: Chain) -> Step:
    """Tags that open a call, of which the first is in no table."""
    if m.context.code_span or (chain.first and may_be_quoted(m, chain.first)):
        return m.go(State.SPAN)
    if chain.wraps:
        return m.go(State.ENVELOPE)
    assert chain.tag
    return open_bare(m, chain.tag)


def _at_element_that_shows(m: Message) -> Step | None:
    """An element that shows an example or code begins its line; None if none does."""
    if example := EXAMPLE.match(m.buffer.text, m.seen):
        return show_example(m, example)
    if code := CODE.match(m.buffer.text, m.seen):
        return show_code(m, code)
    return None


def _pass(m: Message) -> Step:
    """A bracket that begins no tag of a call. The letter after it shows the context that the text has
    tags."""
    text, end = m.buffer.text, m.seen + 1
    m.emit_text(end + text[end : end + 1].isalpha())
    return m.go(State.TEXT)


# Tags in a dialect table


def _at_tag(m: Message, tag: Tag) -> Step:
    if m.context.quoted:
        return quote(m, tag)
    if m.context.code_span:
        return m.go(State.SPAN) if is_candidate(tag) or tag.kind in THINK else quote(m, tag)
    if may_be_quoted(m, tag):
        return m.go(State.SPAN)
    match tag.kind:
        case kind if kind in THINK:
            return think(m, tag)
        case TagKind.COMMENT_OPEN:
            return comment(m, tag)
        case TagKind.RESULT_OPEN | TagKind.RESULT_CLOSE:
            return result(m, tag)
        case TagKind.PARAMETER_CLOSE | TagKind.CALL_CLOSE | TagKind.WRAP_CLOSE:
            return orphan_closer(m, tag)
    return _at_opener(m, tag)


def _at_opener(m: Message, tag: Tag) -> Step:
    if m.context.in_result:
        return m.refuse(Refused.IN_RESULT, tag.end, wrap=tag.kind is TagKind.WRAP_OPEN)
    match tag.kind:
        case TagKind.WRAP_OPEN:
            return m.go(State.ENVELOPE)
        case TagKind.CALL_OPEN if tag.dialect.by_name:
            return _direct(m, tag)
        case TagKind.CALL_OPEN:
            return open_bare(m, tag)
    return open_nameless(m, tag, [])


def _direct(m: Message, tag: Tag) -> Step:
    """A tag named after a tool: text, unless a parameter of the tool follows it."""
    opening = read_opening(tag, m.buffer.text, m.toolset, m.grammar.level)
    assert opening
    if m.context.begins_plain_line:
        kind = kind_after(m, tag, opening.tool)
        if kind is MORE:
            return Step.MORE
        if kind is TagKind.PARAMETER_OPEN:
            return open_bare(m, tag)
    m.emit_text(tag.end)
    return Step.GO
