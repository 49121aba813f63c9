"""Whole calls and elements in a value, which are payload: examples. They are counted as they open, and what
closes them is payload, too.
"""

from __future__ import annotations

from ..grammar.kinds import MORE, Cost, TagKind, Wait
from ..grammar.tag import Tag
from ..grammar.text import LINE_REST, skip_whitespace
from .evidence import Judgement, Payload
from .message import Message
from .open_value import Value
from .place import Place
from .run import FollowedBy, Level, Run


def open_element(m: Message, value: Value, at: int, raw: str, alone: bool) -> None:
    """A parameter's opening tag is payload, and so is its closing tag, if that could close the value."""
    assert m.call
    if m.call.place.may_nest(raw):
        value.look(m.buffer, at)
        value.opened.open_element(raw, alone)


def closes_element(place: Place, tag: Tag, run: Run) -> bool:
    """Whether a parameter's closing tag belongs to an element that the value has opened: then the value's
    own closing tag follows, or a parameter that is not one of this call, or a call without the end of this
    one."""
    if tag.kind is not TagKind.PARAMETER_CLOSE or tag.cost is not Cost.EXACT:
        return False
    if len(run.tags) > 1 and run.tags[1].kind is tag.kind and run.tags[1].cost <= Cost.ALIKE:
        return True
    if run.followed_by is FollowedBy.CALL and run.level is Level.CALL:
        return True
    sibling = run.tags[-1] if run.followed_by is FollowedBy.PARAMETER else None
    return sibling is not None and not (place.is_free(sibling.name) and place.may_go_with(sibling))


def opened_in_line(value: Value, tag: Tag, run: Run) -> bool:
    """Whether a closing tag belongs to a call that was opened in the same line: it closes the parameter
    of that call, and the run closes no other envelope; or after that, it closes that call or its
    envelope."""
    opened, before_call = value.opened, run.followed_by is FollowedBy.CALL
    match tag.kind:
        case TagKind.PARAMETER_CLOSE if opened.inline and opened.line_calls:
            return opened.line_wraps > 0 or all(t.kind is not TagKind.WRAP_CLOSE for t in run.tags)
        case TagKind.CALL_CLOSE:
            return opened.line_calls > 0 and (opened.line_ends or before_call)
        case TagKind.WRAP_CLOSE:
            return opened.line_wraps > 0 and (opened.line_ends or before_call)
    return False


def example(m: Message, value: Value, tag: Tag, alone: bool) -> Judgement | None:
    """A call that opens in the value. It is an example if it is alone on its line, or at the end of a
    line with its content on the next one. Otherwise it is only mentioned, or it is all in this line. None
    if it is the last tag of the message, and a closing tag that lacks its slash."""
    text, over = m.buffer.text, m.buffer.over
    wraps = tag.kind is TagKind.WRAP_OPEN
    rest = LINE_REST.match(text, tag.end)
    if tag.raw.endswith("/>") or (tag.dialect.damaged and tag.lacks_bracket) or rest is None:
        return Payload.EXAMPLE
    if rest[1] in ("", "\r") and not over:
        return MORE
    if rest[1] is None and (opens := _opens_with_another(m, value, tag)) is not True:
        if opens is MORE:
            return MORE
        value.look(m.buffer, tag.start)
        value.opened.open_in_line(wraps)
        return Payload.EXAMPLE
    if not alone and (opens := _opens_inside(m, value, tag)) is not True:
        return MORE if opens is MORE else Payload.EXAMPLE
    if wraps:
        if over and rest.end() == len(text):
            return None
        value.opened.wraps += 1
    else:
        value.opened.calls += 1
    return Payload.EXAMPLE


def _opens_with_another(m: Message, value: Value, tag: Tag) -> bool | Wait:
    """Whether the tag of what is inside follows on the same line, and ends it."""
    inner = _opens_inside(m, value, tag)
    if inner is not True:
        return inner
    found = value.tables.within.match(m.buffer.text, skip_whitespace(m.buffer.text, tag.end))
    assert found
    rest = LINE_REST.match(m.buffer.text, found.end)
    if rest and rest[1] in ("", "\r") and not m.buffer.over:
        return MORE
    return rest is not None and rest[1] is not None


def _opens_inside(m: Message, value: Value, tag: Tag) -> bool | Wait:
    """Whether the content of a call or an envelope follows its tag."""
    text, over, within = m.buffer.text, m.buffer.over, value.tables.within
    at = skip_whitespace(text, tag.end)
    inner = within.match(text, at)
    if inner is None and not over and (at == len(text) or within.may_begin(text, at)):
        return MORE
    kind = TagKind.CALL_OPEN if tag.kind is TagKind.WRAP_OPEN else TagKind.PARAMETER_OPEN
    return inner is not None and inner.kind is kind and inner.cost is Cost.EXACT


def is_ours(m: Message, value: Value, tag: Tag, run: Run) -> bool:
    """Whether a run begins with a closing tag that the example has not opened, and another parameter of the
    call, or its end and another call, follows."""
    assert m.call
    place = m.call.place
    if not _closes_own(place, tag) or value.opened.in_element:
        return False
    if run.followed_by is FollowedBy.PARAMETER:
        return closes_before_free(place, tag, run)
    exact = [other.kind for other in run.tags[:-1] if other.cost is Cost.EXACT]
    ends = [TagKind.PARAMETER_CLOSE, TagKind.CALL_CLOSE, TagKind.WRAP_CLOSE]
    return run.followed_by is FollowedBy.CALL and place.wrapped and exact == ends


def closes_before_free(place: Place, tag: Tag, run: Run) -> bool:
    """Whether a run closes a parameter, and another one that the call may have follows."""
    last = run.tags[-1] if run.followed_by is FollowedBy.PARAMETER else None
    return (
        last is not None and _closes_own(place, tag) and place.is_free(last.name) and place.may_go_with(last)
    )


def _closes_own(place: Place, tag: Tag) -> bool:
    """Whether a tag closes parameters, as that of the open value does."""
    return tag.kind is TagKind.PARAMETER_CLOSE and tag.cost is Cost.EXACT and not place.is_foreign(tag)


def ends_message(m: Message, value: Value, run: Run) -> bool:
    """Whether the message ends with a run that closes the call, and no more than the examples have
    opened."""
    if run.followed_by is not FollowedBy.END or run.level < Level.ENVELOPE:
        return False
    calls, wraps = _count(run, TagKind.CALL_CLOSE), _count(run, TagKind.WRAP_CLOSE)
    fits = calls <= max(value.opened.calls, 1) and wraps <= max(value.opened.wraps, 1)
    return fits and not is_cut_in_example(m, value, run)


def is_cut_in_example(m: Message, value: Value, run: Run) -> bool:
    """Whether the message was cut off after a run that closes no more than an example in the value has
    opened."""
    assert m.call
    place = m.call.place
    if m.complete or run.followed_by is not FollowedBy.END or closes_envelope(value, run):
        return False
    if place.own and place.own.by_name:  # no example has its closing tags
        return False
    opened = max(value.opened.calls + value.opened.line_calls, value.opened.any_call)
    return _count(run, TagKind.CALL_CLOSE) <= opened


def closes_envelope(value: Value, run: Run) -> bool:
    """Whether a run closes an envelope that no example has opened."""
    return _count(run, TagKind.WRAP_CLOSE) > (value.opened.wraps or value.opened.line_wraps)


def _count(run: Run, kind: TagKind) -> int:
    return sum(tag.kind is kind for tag in run.tags)


def close_example(value: Value, tag: Tag) -> Judgement:
    """A tag is payload and closes what an example has opened."""
    value.opened.close(tag.kind)
    return Payload.TAG
