"""Whole calls and elements in a value, which are payload: examples. They are counted as they open, and what
closes them is payload, too.
"""

from __future__ import annotations

from ..grammar.kinds import CLOSERS, MORE, Cost, TagKind, Wait
from ..grammar.tag import Tag
from ..grammar.text import LINE_REST, end_of, read_line_end, skip_whitespace
from .evidence import Judgement, Payload
from .message import Message
from .open_value import Value
from .place import Place
from .run import FollowedBy, Level, Run


def closes_element(place: Place, tag: Tag, run: Run) -> bool:
    """Whether a parameter's closing tag closes an element that the value has opened. It does if one of these
    follows: a second closing tag of a parameter; another call, although this one was not closed; a parameter
    that this call cannot have."""
    if not tag.closes_exactly:
        return False
    if len(run.tags) > 1 and run.tags[1].kind is tag.kind and run.tags[1].cost <= Cost.ALIKE:
        return True
    if run.followed_by is FollowedBy.CALL and run.level is Level.CALL:
        return True
    return run.sibling is not None and not place.may_have_next(run.sibling)


def opened_in_line(value: Value, tag: Tag, run: Run) -> bool:
    """Whether a closing tag belongs to a call that the value has opened in the same line. First it is the tag
    of that call's parameter, if the run closes no envelope that was not opened there; after that, the tag of
    the call or of its envelope."""
    opened = value.opened
    if tag.kind is TagKind.PARAMETER_CLOSE:
        in_call = opened.inline > 0 and opened.line_calls > 0
        return in_call and (opened.line_wraps > 0 or not run.count(TagKind.WRAP_CLOSE))
    open_in_line = {TagKind.CALL_CLOSE: opened.line_calls, TagKind.WRAP_CLOSE: opened.line_wraps}
    ends = opened.line_ends or run.followed_by is FollowedBy.CALL
    return ends and open_in_line.get(tag.kind, 0) > 0


def judge_opener(m: Message, value: Value, tag: Tag, alone: bool) -> Judgement | None:
    """Decide about a call that opens in the value. It is an example if its tag is alone on its line, or ends
    the line and its content comes on the next one. Otherwise it is only mentioned, or is all in this line.
    None if the tag is a closing one without its slash, the last of the message."""
    if _opens_nothing(tag):
        return Payload.EXAMPLE
    ends_line = _ends_line(m, value, tag)
    opens = alone or (ends_line is True and _opens_inside(m, value, tag))
    if ends_line is MORE or opens is MORE:
        return MORE
    if not ends_line:
        value.advance_to(m.buffer, tag.start)
        value.opened.open_in_line(tag.kind)
    elif opens and _lacks_slash(m, tag):
        return None
    elif opens:
        value.opened.open(tag.kind)
    return Payload.EXAMPLE


def _opens_nothing(tag: Tag) -> bool:
    """Whether a tag is all of its call: it ends itself, or is damaged and broken off."""
    return tag.raw.endswith("/>") or (tag.dialect.damaged and tag.lacks_bracket)


def _lacks_slash(m: Message, tag: Tag) -> bool:
    """Whether an envelope's opening tag was meant to close it: the message ends with it and its line."""
    if tag.kind is not TagKind.WRAP_OPEN:
        return False
    return m.buffer.over and end_of(LINE_REST, m.buffer.text, tag.end) == len(m.buffer.text)


def _ends_line(m: Message, value: Value, tag: Tag) -> bool | Wait:
    """Whether the opening tag of a call ends its line, alone or with the tag of what is inside."""
    ends = read_line_end(m.buffer.text, tag.end, m.buffer.over)
    return ends or _opens_with_another(m, value, tag)


def _opens_with_another(m: Message, value: Value, tag: Tag) -> bool | Wait:
    """Whether the tag of what is inside follows on the same line, and ends it."""
    inner = _opens_inside(m, value, tag)
    if inner is not True:
        return inner
    found = value.tables.within.match(m.buffer.text, skip_whitespace(m.buffer.text, tag.end))
    assert found
    return read_line_end(m.buffer.text, found.end, m.buffer.over)


def _opens_inside(m: Message, value: Value, tag: Tag) -> bool | Wait:
    """Whether the content of a call or an envelope follows its tag."""
    text = m.buffer.text
    inner = value.tables.within.read(text, skip_whitespace(text, tag.end), m.buffer.over)
    if inner is MORE:
        return MORE
    kind = TagKind.CALL_OPEN if tag.kind is TagKind.WRAP_OPEN else TagKind.PARAMETER_OPEN
    return inner is not None and inner.kind is kind and inner.exact


def is_ours(m: Message, value: Value, tag: Tag, run: Run) -> bool:
    """Whether a run begins with a closing tag that the example has not opened, and another parameter of the
    call, or its end and another call, follows."""
    place = m.place
    if not _closes_own(place, tag) or value.opened.in_element:
        return False
    if run.sibling:
        return closes_before_free(place, tag, run)
    exact = [other.kind for other in run.tags[:-1] if other.exact]
    return run.followed_by is FollowedBy.CALL and place.wrapped and exact == list(CLOSERS)


def closes_before_free(place: Place, tag: Tag, run: Run) -> bool:
    """Whether a run closes a parameter, and another one that the call may have follows."""
    return run.sibling is not None and _closes_own(place, tag) and place.may_have_next(run.sibling)


def _closes_own(place: Place, tag: Tag) -> bool:
    """Whether a tag closes parameters, as that of the open value does."""
    return tag.closes_exactly and not place.is_foreign(tag)


def ends_message(m: Message, value: Value, run: Run) -> bool:
    """Whether the message ends with a run that closes the call, and no more than the examples have
    opened."""
    if not run.ends_message:
        return False
    calls, wraps = run.count(TagKind.CALL_CLOSE), run.count(TagKind.WRAP_CLOSE)
    fits = calls <= max(value.opened.calls, 1) and wraps <= max(value.opened.wraps, 1)
    return fits and not is_cut_in_example(m, value, run)


def is_cut_in_example(m: Message, value: Value, run: Run) -> bool:
    """Whether the message was cut off after a run that closes no more than an example in the value may have
    opened."""
    if m.complete or run.followed_by is not FollowedBy.END or closes_envelope(value, run):
        return False
    return run.count(TagKind.CALL_CLOSE) <= value.opened.calls_at_most


def closes_envelope(value: Value, run: Run) -> bool:
    """Whether a run closes an envelope that no example has opened for certain."""
    return run.count(TagKind.WRAP_CLOSE) > value.opened.wraps_at_least


def close_example(value: Value, tag: Tag) -> Judgement:
    """A tag is payload and closes what an example has opened."""
    value.opened.close(tag.kind)
    return Payload.TAG
