"""Whether nothing but calls comes from a place in a value up to the end of the message. That is evidence that
the value ends there, although its closing tags are missing (P4).

A call counts only if it is as plain as can be: exact tags, one parameter, one line. So a document that shows
calls is not taken for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..grammar.kinds import MORE, TagKind, Wait, decided
from ..grammar.tag import Tag
from ..grammar.text import is_one_line
from ..limits import AFTER_CALL
from .ahead import is_alone, readings_after
from .evidence import Judgement, Payload
from .message import Message
from .open_value import Value
from .run import FollowedBy, Level, Run
from .runs import read_run

_ORDER = (TagKind.WRAP_OPEN, TagKind.CALL_OPEN, TagKind.PARAMETER_OPEN)  # in which a call opens


def opens_next(m: Message, value: Value, opener: Tag) -> bool | Wait:
    """Whether the same call opens once more after a value of one line that nothing has closed: it gives the
    same parameter, and up to the end of the message nothing comes but calls, each with its closing tags."""
    if not _is_unclosed_line(m, value, opener):
        return False
    calls = _Calls(m, value, _order_from(opener), opener.end + AFTER_CALL)
    return calls.end_message(calls.end_of_next(opener.end, again=True))


def before_calls(m: Message, value: Value, run: Run) -> Judgement:
    """The closing tag of the envelope alone, after a single line, and text after it: the end if the call has
    all that it requires, and after the text nothing comes but calls up to the end of the message."""
    call = m.open_call
    lacks = call.tool.required - call.writer.given
    if lacks or value.has_inner_break(m.buffer, run.tags[0].start - m.buffer.base):
        return Payload.TAG
    return decided(_calls_come(m, value, run), run, Payload.TAG)


def _calls_come(m: Message, value: Value, run: Run) -> bool | Wait:
    """Whether the first tag after a run and text opens a call on a line of its own, and nothing but calls
    comes from there to the end of the message."""
    start = run.end - m.buffer.base
    readings = readings_after(m.place, m.buffer, value, start, start + AFTER_CALL)
    at, tag = next((found for found in readings if found[1]), (0, None))
    if not isinstance(tag, Tag):
        return MORE if tag is MORE else False
    if not (tag.opens_call and is_alone(m.buffer, run.end, at)):
        return False
    calls = _Calls(m, value, _order_from(tag), start + AFTER_CALL)
    return calls.end_message(calls.end_of_next(at))


def _order_from(opener: Tag) -> Sequence[TagKind]:
    """The kinds of the tags with which a call opens that begins with this one."""
    return _ORDER[_ORDER.index(opener.kind) :]


@dataclass(frozen=True, slots=True)
class _Calls:
    """Calls that may follow, up to the index `limit`. Each opens with tags of the kinds in `order`."""

    m: Message
    value: Value
    order: Sequence[TagKind]
    limit: int

    def end_message(self, run: Run | Wait | None) -> bool | Wait:
        """Whether the message ends with such calls, the first of which this run closes."""
        while isinstance(run, Run) and run.followed_by is FollowedBy.CALL:
            run = self.end_of_next(run.end - self.m.buffer.base)
        return MORE if run is MORE else run is not None and self.m.complete

    def end_of_next(self, start: int, again: bool = False) -> Run | Wait | None:
        """The closing tags of the next call, which has one parameter of one line; None if anything else
        comes. `again`: the open call opens once more, perhaps several times, and the first of its tags comes
        before `start`."""
        awaited, begins = self.order[1:] if again else self.order, start
        for at, tag in self._exact_tags(start):
            if tag is MORE:
                return MORE
            if not awaited and tag.kind is not self.order[0]:
                return _end_of_line(self.m, begins, at)
            if not awaited and is_one_line(self.m.buffer.text[begins:at]):
                awaited = self.order  # it opens before it was closed
            if not _is_awaited(self.m, tag, awaited, again):
                return None
            awaited, begins = awaited[1:], tag.end
        return None

    def _exact_tags(self, start: int) -> Iterator[tuple[int, Tag | Wait]]:
        """The tags from the index `start` on, up to the first that is not exact; MORE may be the last one."""
        for at, tag in readings_after(self.m.place, self.m.buffer, self.value, start, self.limit):
            if tag is None or not (tag is MORE or tag.exact):
                return
            yield at, tag


def _end_of_line(m: Message, start: int, at: int) -> Run | Wait | None:
    """The run at `at`, if it closes a call whose value begins at `start` and is one line; None if not."""
    run = read_run(m.place, m.buffer, at, Level.VALUE)
    if run is MORE:
        return MORE
    return run if run.closes_one_call and is_one_line(m.buffer.text[start:at], alone=False) else None


def _is_unclosed_line(m: Message, value: Value, opener: Tag) -> bool:
    """Whether a value is one line of text, up to a tag that opens what the open call began with."""
    has_text = value.has_text(m.buffer, opener.start)
    wraps, is_first = opener.kind is TagKind.WRAP_OPEN, len(m.open_call.writer.given) == 1
    begins = has_text and is_first and wraps is m.place.wrapped
    return begins and not value.has_inner_break(m.buffer, opener.start)


def _is_awaited(m: Message, tag: Tag, awaited: Sequence[TagKind], again: bool) -> bool:
    """Whether a tag is of the kind that is awaited first. `again`: it has to open what is open, too, which is
    an envelope, a call of this tool, or this parameter."""
    if tag.kind not in awaited[:1]:
        return False
    if not again:
        return True
    if tag.kind is TagKind.CALL_OPEN:
        return m.toolset.find(tag.name) is m.open_call.tool
    return tag.name in ("", m.place.key)
