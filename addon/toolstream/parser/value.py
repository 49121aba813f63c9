"""Finds the end of a parameter's value while it streams.

A value is any text, including text full of tags. At every tag that could be structural, `judge` says
whether it ends the value. Until that is known, only the tag and the one line break before it wait in the
buffer.
"""

from __future__ import annotations

import re

from ..grammar.kinds import MORE, TagKind
from ..grammar.likeness import DOCUMENT, is_structural
from ..grammar.tag import Tag
from ..grammar.text import BLANK, ends_line
from ..grammar.tokens import NO_TAG, WORD, end_of_tag, next_place
from ..limits import LOOK_AHEAD, WORDS
from ..repairs import Repair
from .evidence import Payload
from .judge import judge
from .message import Call, Message
from .open_value import Opened, Value
from .run import Run
from .states import Envelope, State, Step
from .value_place import leave_value
from .value_text import break_before, finish, held_in, write_up_to

# The last bracket of the opening tag, on the next line
_LATE_BRACKET = re.compile(r"\r?\n>(?:\r?\n|(?=[^\s>]))")
_LATE_PART = re.compile(r"\r?(?:\n(?:>\r?)?)?")


def in_value(m: Message) -> Step:
    """State: in a value, up to the tag that ends it."""
    value = m.open_value
    if not (value.started or _start(m, value)):
        return Step.MORE
    buffer = m.buffer
    at = _next(m, value)
    value.waits = False
    if at < 0:
        if buffer.over:
            return m.go(State.CUT)
        write_up_to(m, value, _held(m, value))
        return Step.MORE
    if value.json:
        _pass_before(m, value, at)
    value.leave_line(buffer, at)
    tag, judgement = judge(m, value, at)
    if judgement is MORE:
        value.waits = True
        _pass_before(m, value, at)
        return Step.MORE
    if isinstance(judgement, Run):
        return _end_value(m, value, judgement)
    step = _at_first_tag(m, value, tag) if tag else None
    return step or _pass(m, value, tag, judgement, at)


def _pass(m: Message, value: Value, tag: Tag | None, what: Payload, at: int) -> Step:
    """The bracket at this index is payload, and all of the tag there if that belongs to an example."""
    end = tag.end if tag and what is Payload.EXAMPLE else at + 1
    value.advance_to(m.buffer, max(end, value.payload_to - m.buffer.base))
    return Step.GO


def _at_first_tag(m: Message, value: Value, tag: Tag) -> Step | None:
    """A tag that is the first thing in a value, and is no payload: it names the tool, or is surplus. None
    if it is payload."""
    if _is_named_late(m, value, tag):
        return _leave_nameless(m, m.buffer.base + tag.end)
    if m.buffer.base + tag.start != value.begins or not m.tolerant:
        return None
    twice = _is_said_twice(m, value, tag)
    if not (twice or _is_closed_early(m, value, tag)):
        return None
    m.log.repair(Repair.STRAY_OPENER if twice else Repair.STRAY_CLOSER, tag.raw)
    m.buffer.at, value.started, value.opened = tag.end, False, Opened()
    return Step.GO


def _is_said_twice(m: Message, value: Value, tag: Tag) -> bool:
    """Whether a value begins with its own opening tag again. In a string that may be payload."""
    return not value.verbatim and tag.kind is TagKind.PARAMETER_OPEN and tag.name == m.place.key


def _is_closed_early(m: Message, value: Value, tag: Tag) -> bool:
    """Whether the closing tag comes directly after the opening one, and the value on the lines after it."""
    ends_line_of_tag = value.same_line and ends_line(m.buffer.text, tag.end)
    return ends_line_of_tag and tag.closes_exactly and not m.place.is_foreign(tag)


def _is_named_late(m: Message, value: Value, tag: Tag) -> bool:
    """Whether a function's tag is the first thing in a value of a call without a name: it should have
    come earlier."""
    if m.open_call.named or m.trial is None or tag.kind is not TagKind.CALL_OPEN:
        return False
    return not value.passed and not m.buffer.text[m.buffer.at : tag.start].strip(BLANK)


def _leave_nameless(m: Message, end: int) -> Step:
    """A new call begins with that tag. In an envelope the text up to this position is text; otherwise the
    inner call would leave without the parameter."""
    wrapped = m.envelope is Envelope.OPEN
    m.reject()
    if wrapped:
        m.emit_all(end - m.buffer.base)
        m.context.function_seen = True
    return Step.GO


def _start(m: Message, value: Value) -> bool:
    """Drop the one line break after the opening tag, and what belongs to that. A space there may be markup,
    too: some models write `<parameter=path> a.py` without a closing tag. Return whether there is text to
    look at."""
    text, at, over = m.buffer.text, m.buffer.at, m.buffer.over
    if not over and _may_go_on(value, text[at : at + LOOK_AHEAD]):
        return False
    start = _after_rest_of_tag(value, text, at)
    if text.startswith(("\n", "\r\n"), start):
        start = text.index("\n", start) + 1
    elif over and text[start:] == "\r":
        start += 1
    value.same_line = start == at
    value.lead = value.same_line and text[at : at + 1] == " " and not text[at + 1 : at + 2].isspace()
    value.start(m.buffer, start)
    return over or start < len(text)


def _after_rest_of_tag(value: Value, text: str, at: int) -> int:
    """The index after what belongs to the opening tag: its quote or its bracket, or one bracket too many."""
    if value.lacks_quote and text.startswith(('"\n', '"\r'), at):
        at += 1  # the quote belongs to the name in the tag
    surplus = not value.tight and text.startswith((">\n", ">\r"), at)
    if surplus or (value.lacks_bracket and _LATE_BRACKET.match(text, at)):
        at = text.index(">", at) + 1
    return at


def _may_go_on(value: Value, rest: str) -> bool:
    """Whether what follows the opening tag may be half of the markup at its end."""
    if value.lacks_quote:
        rest = rest.removeprefix('"')
    if rest in ("", "\r", " ", ">", ">\r"):
        return True
    return value.lacks_bracket and _LATE_PART.fullmatch(rest) is not None


# Where a tag may be


def _next(m: Message, value: Value) -> int:
    """The index of the next tag that could be structural; -1 if there is none. Tags that only documents
    have are noted."""
    text, place = m.buffer.text, m.place
    at = max(m.buffer.at, value.judged_to - m.buffer.base)
    fresh = value.blank and at == value.judged_to - m.buffer.base
    while (at := next_place(text, at, fresh, value.tables.missing)) >= 0:
        fresh = False
        if NO_TAG.match(text, at):
            at += 1
            continue
        word = WORD.match(text, at)
        if word is None or not _is_of_no_call(word, place.names, value.tables.within.words):
            return at
        if word[1] not in DOCUMENT and len(place.inner.words) < WORDS:
            place.inner.words[word[1]] = place.inner.words.get(word[1], 0) + 1
        place.inner.has_markup = True
        at = word.end() - 1
        value.advance_to(m.buffer, at)
    return -1


def _is_of_no_call(found: re.Match[str], names: frozenset[str], words: frozenset[str]) -> bool:
    """Whether a word in a bracket cannot belong to a tag of a call."""
    word = found[1]
    if word in names or word in words:
        return False
    closes = found[0][1] == "/"
    if closes and found[0][-1] in " \t":
        return False  # it may be part of a longer word: `</p arameter>`
    return word in DOCUMENT or not (closes or is_structural(word) or found[0][-1] not in " \t\r\n")


# Payload and end


def _pass_before(m: Message, value: Value, at: int) -> None:
    """The text before this index is payload, except for a line break and what may become a tag."""
    write_up_to(m, value, min(break_before(m.buffer.text, m.buffer.at, at), _held(m, value)))


def _held(m: Message, value: Value) -> int:
    """The index of the end of the buffer that waits."""
    if m.tolerant:
        return held_in(value, m.buffer.text, m.buffer.at, not value.passed)
    text = m.buffer.text
    return len(text) - 1 if text[-1:] == "\r" else break_before(text, m.buffer.at, len(text))


def _end_value(m: Message, value: Value, run: Run) -> Step:
    """The value ends before the first tag of the run."""
    first = run.tags[0].moved(-m.buffer.base)
    closes = first.kind is TagKind.PARAMETER_CLOSE
    value.lead = value.lead and not closes
    finish(m, _end_before(m, value, first))
    m.buffer.at = first.start
    m.seen_to = m.buffer.position
    if closes:
        _close(m, m.open_call, first)
    else:
        m.log.repair(Repair.MISSING_PARAMETER_CLOSE, first.raw)
    leave_value(m.place, run.tags[1:])
    return m.go(State.CALL)


def _end_before(m: Message, value: Value, tag: Tag) -> int:
    """The index where the value ends before this tag. A line break there is markup, but in a tight dialect
    only if one follows the opening tag; an indentation is, if the tag is alone on its line."""
    text = m.buffer.text
    if tag.kind is TagKind.PARAMETER_CLOSE and value.tight and value.same_line:
        return tag.start
    end = break_before(text, m.buffer.at, tag.start)
    is_indented = end < tag.start and text[tag.start - 1] in " \t"
    return tag.start if is_indented and not ends_line(text, tag.end) else end


def _close(m: Message, call: Call, closer: Tag) -> None:
    """The closing tag of the value, in which letters may have slipped after its bracket."""
    call.certain = call.certain or closer.exact
    if closer.damaged:
        m.log.repair(Repair.DAMAGED_TAG, closer.raw)
    end = end_of_tag(closer.end, closer.spelt, m.buffer.text, True)
    m.buffer.at = closer.end if end is MORE else end
