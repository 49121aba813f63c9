"""Whether a tag in a value ends the value. These questions decide, in this order:

1. What tag is it (`value_tag`)? If it can be none of a call, it is payload. 2. Does it open a call? Then it
begins an example, or the next call if the value was never closed. 3. Which tags follow it in a row (`runs`),
what would they close, and what comes after them? 4. Has the value opened something that they may belong to
(`examples`)? A whole example call in a value is payload, so calls that open alone on a line are counted. A
run that closes what such an example has opened is not the end, unless the message ends with it. 5. Is the run
believed, by its spelling and by what follows it (`evidence`)? 6. If not, is there evidence in the text after
it (`after_run`, `only_calls`)?
"""

from __future__ import annotations

from ..grammar.kinds import MORE, Cost, TagKind, Wait
from ..grammar.tag import Tag
from ..grammar.text import breaks_line
from .after_run import (
    before_call_goes_on,
    before_last_parameters,
    before_sibling,
    before_tag_of_ours,
    ends_before_text,
    look_beyond,
    may_be_of_line,
)
from .by_place import OPENERS, is_in_table
from .evidence import (
    Judgement,
    Payload,
    goes_on,
    is_believed,
    is_complete,
    is_cut_off_by_ours,
    is_misspelt,
)
from .examples import (
    close_example,
    closes_before_free,
    closes_element,
    closes_envelope,
    ends_message,
    is_cut_in_example,
    is_ours,
    judge_opener,
    opened_in_line,
)
from .in_line import is_in_text
from .message import Message
from .only_calls import before_calls, opens_next
from .open_value import Value
from .place import Place
from .run import FollowedBy, Level, Run
from .runs import read_run
from .value_place import open_element
from .value_tag import NAMELESS, end_of_turn, tag_in_value


def judge(m: Message, value: Value, at: int) -> tuple[Tag | None, Judgement]:
    """The tag at `at`, None if there is none; and whether it ends the value."""
    if m.buffer.text.startswith("<|", at) and (ends := end_of_turn(m, value, at)):
        return (None, MORE) if ends is MORE else (ends.tags[0], ends)
    alone = value.starts_line(m.buffer, at)
    tag = tag_in_value(m, value, at, alone)
    return (tag, _judged(m, value, tag, alone)) if isinstance(tag, Tag) else (None, tag)


def _judged(m: Message, value: Value, tag: Tag, alone: bool) -> Judgement:
    """Whether this tag ends the value. `alone`: it begins a line."""
    if found := _at_call(m, value, tag, alone):
        return found
    _note(m, value, tag)
    if tag.kind is TagKind.PARAMETER_OPEN and tag.spelt and not m.place.may_be_sibling(tag, alone):
        in_line = _may_open_in_line(m, value, tag)
        return _in_line(m, value, tag) if in_line else _no_sibling(m, value, tag, alone)
    if _ends_at_once(value, m.place, tag):
        return Run([tag.moved(m.buffer.base)], m.buffer.base + tag.end, Level.CALL)
    run = _run(m, tag.start, alone)
    if run is MORE:
        return MORE
    return _in_opened(m, value, tag, run, alone) or _outside(m, value, tag, run, alone)


def _note(m: Message, value: Value, tag: Tag) -> None:
    """A tag that may be payload opens something in the value."""
    opens_call = tag.opens_call or (tag.lacks_slash and tag.closes_call)
    value.opened.note(tag.kind in OPENERS or tag.lacks_slash, opens_call)
    if tag.raw[1:2] != "/":
        m.place.inner.note_opener(tag.raw)


def _at_call(m: Message, value: Value, opener: Tag, alone: bool) -> Judgement | None:
    """The opening tag of a call: of the next one, or of an example. None if it is neither."""
    if not opener.opens_call or not is_in_table(opener):
        return None
    if alone and (run := _before_next(m, value, opener)):
        return run
    shown = judge_opener(m, value, opener, alone)
    value.opened.example = value.opened.example or isinstance(shown, Payload)
    return shown


def _before_next(m: Message, value: Value, opener: Tag) -> Run | Wait | None:
    """The run that begins with the opening tag of the next call, alone on its line, if the value ends before
    it: no closing tag has come. None if it does not."""
    opens = _may_end_anywhere(value) or opens_next(m, value, opener)
    if opens is not True:
        return MORE if opens is MORE else None
    run = _run(m, opener.start, alone=True)
    return run if run is MORE or run.followed_by is FollowedBy.CALL else None


def _run(m: Message, at: int, alone: bool) -> Run | Wait:
    """The run of tags that begins at `at`. `alone`: the first one starts its line."""
    m.place.alone = alone
    return read_run(m.place, m.buffer, at, Level.VALUE)


def _in_opened(m: Message, value: Value, tag: Tag, run: Run, alone: bool) -> Judgement | None:
    """What a run is by what has opened in the value: a part of an example or of an element, or the end of the
    value after all. None if nothing that has opened says anything."""
    opened = value.opened
    if opened.in_element and (
        closes_element(m.place, tag, run) or _closes_within_line(m, value, tag, run, alone)
    ):
        opened.close_element()
        return Payload.TAG
    if _is_in_example(m.place, value, tag, run):
        return _in_example(m, value, tag, run, alone)
    lacks_its_closer = opened.any_tag and tag.kind is not TagKind.PARAMETER_CLOSE
    if (opened.in_element or lacks_its_closer) and is_cut_in_example(m, value, run):
        return close_example(value, tag)
    return None


def _closes_within_line(m: Message, value: Value, tag: Tag, run: Run, alone: bool) -> bool:
    """Whether a tag closes a parameter between other text of its line, or one that began this line, where the
    value has begun on a line of its own."""
    if alone or not tag.closes_exactly:
        return False
    if value.opened.line_element and not value.same_line:
        return True
    return len(run.tags) == 1 and run.is_before_text and not breaks_line(m.buffer.text, tag.end)


def _is_in_example(place: Place, value: Value, tag: Tag, run: Run) -> bool:
    """Whether an example is open, which may have the tags of a run."""
    if place.is_only_ours(tag) and not value.opened.in_element:
        return False
    return value.opened.in_example or opened_in_line(value, tag, run)


def _outside(m: Message, value: Value, tag: Tag, run: Run, alone: bool) -> Judgement:
    """What a run is that is in nothing that the value has opened."""
    judgement = _by_run(m, value, run, alone)
    if judgement is run and tag.kind is TagKind.PARAMETER_OPEN and value.verbatim:
        judgement = before_sibling(m, value, run)
    if judgement is Payload.EXAMPLE or (judgement is Payload.TAG and NAMELESS.match(tag.raw)):
        open_element(m.place, m.buffer, value, tag.start, tag.raw, alone)
    return judgement


def _in_example(m: Message, value: Value, tag: Tag, run: Run, alone: bool) -> Judgement:
    """A run inside of an example: its closing tags are payload. But those that the message ends with are
    ours, and those that the example has not opened."""
    if tag.kind is TagKind.PARAMETER_OPEN:
        open_element(m.place, m.buffer, value, tag.start, tag.raw, alone)
        return Payload.EXAMPLE
    judgement = _end_in_example(m, value, tag, run)
    return close_example(value, tag) if isinstance(judgement, Payload) else judgement


def _end_in_example(m: Message, value: Value, tag: Tag, run: Run) -> Judgement:
    """Whether closing tags in an example are those of the open call, which lack some of the example."""
    if goes_on(run.tags) or _closes_its_envelope(m.place, value, run):
        return Payload.TAG
    if ends_message(m, value, run) or is_ours(m, value, tag, run):
        return run
    if value.opened.in_element and closes_before_free(m.place, tag, run):
        return before_last_parameters(m, value, run)
    if _closes_our_envelope(m.place, value, run):
        return look_beyond(m, value, run)
    return Payload.TAG


def _closes_its_envelope(place: Place, value: Value, run: Run) -> bool:
    """Whether a run begins with the closing tag of an envelope that an example has opened: the open call
    has none."""
    closes = bool(run.tags) and run.tags[0].kind is TagKind.WRAP_CLOSE
    return closes and not place.wrapped and value.opened.wraps > 0


def _closes_our_envelope(place: Place, value: Value, run: Run) -> bool:
    """Whether a complete run closes an envelope that no example has opened, and text follows it."""
    closes = place.wrapped and closes_envelope(value, run)
    return closes and run.is_before_text and is_complete(value, run, alone=True)


def _no_sibling(m: Message, value: Value, tag: Tag, alone: bool) -> Judgement:
    """The opening tag of a parameter that this call cannot have here. It is payload; or, if it is named
    after the open parameter, it is its closing tag without the slash."""
    if alone and m.place.may_lack_slash(tag):
        run = _run(m, tag.start, alone)
        if run is MORE or is_believed(value, run, alone):
            return run
    open_element(m.place, m.buffer, value, tag.start, tag.raw, alone)
    return Payload.EXAMPLE


def _may_open_in_line(m: Message, value: Value, tag: Tag) -> bool:
    """Whether another parameter may open within the line of a value that nothing has closed, where a format
    has its parameters in one line: one that the tool requires, or no string, directly after the text."""
    tool, start = m.place.tool, tag.start
    if not (value.tight and tool and m.place.own and m.place.may_have_next(tag)) or value.opened.any_call:
        return False
    awaited = tag.name in tool.required or not tool.parameter(tag.name).takes_text
    plain = value.has_text(m.buffer, start) and not value.has_blank_before(m.buffer, start)
    return awaited and plain and not value.has_break(m.buffer, start)


def _in_line(m: Message, value: Value, tag: Tag) -> Judgement:
    """Decide about such a parameter: it is an example unless the tags of the call follow its value."""
    run = _run(m, tag.start, alone=True)
    judgement = run if run is MORE else before_call_goes_on(m, value, run)
    if judgement is Payload.EXAMPLE:
        open_element(m.place, m.buffer, value, tag.start, tag.raw, False)
    return judgement


def _ends_at_once(value: Value, place: Place, tag: Tag) -> bool:
    """Whether a tag ends a value whatever follows."""
    closes = tag.closes_exactly and not place.is_foreign(tag)
    return _may_end_anywhere(value) and closes and not value.opened.in_example


def _may_end_anywhere(value: Value) -> bool:
    """Whether a value of this type contains no tag, or none after its last bracket."""
    return not value.verbatim and (value.json is None or value.json.complete)


def _by_run(m: Message, value: Value, run: Run, alone: bool) -> Judgement:
    """Whether a run ends the value, by what it closes and what follows it."""
    if not run.tags:
        return Payload.TAG
    if not alone and (in_text := is_in_text(m, value, run)):
        return MORE if in_text is MORE else Payload.TAG
    lines = value.has_break(m.buffer, run.tags[0].start - m.buffer.base)
    last = not lines and is_cut_off_by_ours(run)
    if is_believed(value, run, alone or last) and (alone or not _is_unlikely(m, value, run)):
        return run
    return _doubt(m, value, run, alone, lines)


def _is_unlikely(m: Message, value: Value, run: Run) -> bool:
    """Whether a run within a line is too damaged to be believed. Before another call it is believed, unless
    its first tag may be a part of the line."""
    return is_misspelt(run) and (not run.is_before_next or may_be_of_line(m, value, run))


def _doubt(m: Message, value: Value, run: Run, alone: bool, lines: bool) -> Judgement:
    """Decide about a run that is not believed at once. `lines`: a line break is in the value before it."""
    first = run.tags[0]
    if first.kind in OPENERS:
        return Payload.TAG
    if first.cost <= Cost.ALIKE and _may_end_anywhere(value):
        return run
    if ends_before_text(m, value, run, alone, lines):
        return look_beyond(m, value, run) if value.verbatim else run
    judgement = _by_text_after(m, value, run, alone, lines)
    if judgement is Payload.TAG and first.spelt and alone:
        m.open_call.unclear = True
    return judgement


def _by_text_after(m: Message, value: Value, run: Run, alone: bool, lines: bool) -> Judgement:
    """What the text after a run that lacks a tag says about it. Without such evidence it is payload."""
    if not value.verbatim:
        return Payload.TAG
    if alone and not value.opened.any_call and _lacks_its_closer(m, run):
        return look_beyond(m, value, run, Payload.TAG)
    if alone and _closes_envelope_alone(m, run):
        return before_calls(m, value, run)
    if (alone or not lines) and _is_own_closer(m, value, run, alone):
        return before_tag_of_ours(m, value, run, lines)
    return Payload.TAG


def _lacks_its_closer(m: Message, run: Run) -> bool:
    """Whether a run that text follows on another line would be the end, but the value's own closing tag is
    missing."""
    first = run.tags[0]
    closes = first.kind is TagKind.CALL_CLOSE and first.exact
    return closes and run.is_before_text and breaks_line(m.buffer.text, run.end - m.buffer.base)


def _closes_envelope_alone(m: Message, run: Run) -> bool:
    """Whether a run that text follows on another line is the closing tag of the envelope, and no other."""
    first = run.tags[0]
    closes = m.place.wrapped and first.kind is TagKind.WRAP_CLOSE and first.exact and len(run.tags) == 1
    return closes and run.is_before_text and breaks_line(m.buffer.text, run.end - m.buffer.base)


def _is_own_closer(m: Message, value: Value, run: Run, alone: bool) -> bool:
    """Whether a run is the value's closing tag alone, with text after it on another line, and the value is
    not empty."""
    first, text, base = run.tags[0], m.buffer.text, m.buffer.base
    if not first.closes_exactly or len(run.tags) > 1 or not run.is_before_text:
        return False
    has_text = value.has_text(m.buffer, first.start - base)
    return has_text and (alone or breaks_line(text, run.end - base))
