"""What stands behind a run of tags in a value, where only that says whether the run is its end: text, and in
it another run, a parameter or a call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ..grammar.kinds import MORE, Cost, TagKind, Wait
from ..grammar.tag import Tag
from ..grammar.text import LINE_REST, skip_whitespace
from ..grammar.tokens import next_place
from ..limits import BEHIND_CALL, LOOK_AHEAD
from .evidence import Judgement, Payload, is_believed, is_complete
from .message import Message
from .open_value import Value
from .place import Place
from .run import FollowedBy, Level, Run
from .runs import opens_call, proves, read_run

_NAMELESS = re.compile(r"<\s?parameter\b(?![^<>]*/>)", re.I)
_FENCE = re.compile(r"[ \t]*\r?\n[ \t]*(?:```+|~~~+)[ \t]*\r?\n")  # its closing line


def ends_before_text(m: Message, value: Value, run: Run, alone: bool, lines: bool) -> bool:
    """Whether a run with text behind it may be the end. `lines`: the value has several, so that one within
    a line is payload."""
    if (
        run.level < Level.ENVELOPE
        or run.followed_by is not FollowedBy.OTHER
        or not is_complete(value, run, alone)
    ):
        return False
    text, end = m.buffer.text, run.end - m.buffer.base
    start = run.tags[0].end - m.buffer.base if value.tight else end  # the first tag ends a line of text
    return alone or not lines or "\n" in text[start : skip_whitespace(text, end)]


def look_behind(m: Message, value: Value, run: Run, otherwise: Payload | None = None) -> Judgement:
    """A run, and text behind it: payload if a second run follows soon, the end if another call does. If
    neither does, a complete run is the end, too, unless a code fence of the value closes behind it."""
    if (
        otherwise is None
        and (value.opened.example or value.opened.any_tag)
        and not (m.fence or m.buffer.over)
    ):
        fence = _FENCE.match(m.buffer.text, run.end - m.buffer.base)
        otherwise = Payload.TAG if fence else None
    return _search(m, value, run, _second, otherwise or run)


def before_tag_of_ours(m: Message, value: Value, run: Run, lines: bool) -> Judgement:
    """A value's own closing tag, and text behind it: the end if the next tag of a call opens another
    parameter or closes the call, for that would lack a closing tag before it."""
    assert m.call
    own = m.call.place.own
    ends = (own is not None and own.by_name) or (m.buffer.over and not lines)
    return _search(m, value, run, _next_of_ours, run if ends else Payload.TAG)


def before_sibling(m: Message, value: Value, run: Run) -> Judgement:
    """A parameter of the call opens in a value of several lines that nothing has closed: payload if text
    follows its closing tag, and then the value's own one comes, or the same parameter, as in an example."""
    opener, opened, closed = run.tags[-1], 0, False
    start = opener.end - m.buffer.base
    if not value.has_several_lines(m.buffer, opener.start - m.buffer.base):
        return run
    for at, tag in _readings_behind(m, value, start, run.end - m.buffer.base + BEHIND_CALL):
        if tag is MORE:
            return MORE
        if tag is None or tag.cost is not Cost.EXACT or tag.dialect.by_name:
            opened += _NAMELESS.match(m.buffer.text, at) is not None
            continue
        match tag.kind:
            case TagKind.CALL_CLOSE | TagKind.WRAP_CLOSE:
                return run
            case TagKind.PARAMETER_OPEN if closed:
                return Payload.EXAMPLE if tag.name == opener.name else run
            case TagKind.PARAMETER_OPEN:
                opened += 1
            case TagKind.PARAMETER_CLOSE if opened:
                opened -= 1
            case TagKind.PARAMETER_CLOSE if closed:
                return Payload.EXAMPLE
            case TagKind.PARAMETER_CLOSE:
                closes = _closes_example(m, tag, start)
                if closes is not True:
                    return MORE if closes is MORE else run
                closed = True
    return run


def before_last(m: Message, value: Value, run: Run) -> Judgement:
    """An example in a value has left a parameter open, and a run closes one before another parameter of the
    call: the end if nothing but such parameters follows up to the end of the message, and with them the call
    has all that it requires."""
    assert m.call
    place, given = m.call.place, set(m.call.writer.given)
    required = m.call.tool.required - given
    opener, end = run.tags[-1], run.end - m.buffer.base
    for at, tag in _readings_behind(m, value, end, end + BEHIND_CALL):
        if at < end or at == opener.start - m.buffer.base:
            continue
        if tag is MORE:
            return MORE
        if tag is None or tag.cost is not Cost.EXACT or tag.dialect.by_name:
            continue
        given.add(opener.name)
        last = _run(m, at)
        if last is MORE:
            return MORE
        if last.followed_by is not FollowedBy.PARAMETER:
            ends = m.complete and last.level >= Level.ENVELOPE and last.followed_by is FollowedBy.END
            return run if ends and required and required <= given else Payload.TAG
        opener, end = last.tags[-1], last.end - m.buffer.base
        if opener.name in given or not place.is_free(opener.name):
            return Payload.TAG
    return Payload.TAG


def opens_next(m: Message, value: Value, opener: Tag) -> bool | Wait:
    """Whether the same call opens once more behind a value of one line that nothing has closed: it gives the
    same parameter, and up to the end of the message nothing comes but calls, each with its closing tags."""
    if not _is_unclosed_line(m, value, opener):
        return False
    order = [TagKind.WRAP_OPEN, TagKind.CALL_OPEN, TagKind.PARAMETER_OPEN]
    order = order[order.index(opener.kind) :]
    awaited, end, is_same, begins = order[1:], opener.end, True, 0
    for at, tag in _readings_behind(m, value, opener.end, opener.end + BEHIND_CALL):
        if at < end:
            continue
        if tag is MORE:
            return MORE
        if tag is None or tag.cost is not Cost.EXACT:
            return False
        if awaited or tag.kind is opener.kind:
            first, (kind, *awaited) = not awaited, awaited or order
            is_line = not first or _is_line(m.buffer.text[begins:at])
            if tag.kind is not kind or not is_line or (is_same and not _is_same(m, tag)):
                return False
            begins = tag.end
            continue
        run = _run(m, at)
        if run is MORE or not (_closes_call(run) and _is_line(m.buffer.text[begins:at], alone=False)):
            return MORE if run is MORE else False
        if run.followed_by is FollowedBy.END:
            return m.complete
        awaited, end, is_same = order, run.end - m.buffer.base, False
    return False


def _is_unclosed_line(m: Message, value: Value, opener: Tag) -> bool:
    """Whether a value is one line of text, up to a tag that opens what the open call began with."""
    assert m.call
    has_text = value.passed or bool(m.buffer.text[m.buffer.at : opener.start].strip())
    wraps, is_first = opener.kind is TagKind.WRAP_OPEN, len(m.call.writer.given) == 1
    begins = has_text and is_first and wraps is m.call.place.wrapped
    return begins and not value.has_several_lines(m.buffer, opener.start)


def _is_line(text: str, alone: bool = True) -> bool:
    """Whether a value is one line, with the quotes in it closed. `alone`: what follows begins a line."""
    one = text.strip().count("\n") == 0 and not (text.count('"') % 2 or text.count("'") % 2)
    return one and (not alone or text.rstrip(" \t").endswith("\n"))


def _is_same(m: Message, tag: Tag) -> bool:
    """Whether a tag opens what is open: an envelope, a call of this tool, or this parameter."""
    assert m.call
    if tag.kind is TagKind.CALL_OPEN:
        return m.toolset.find(tag.name) is m.call.tool
    return tag.name in ("", m.call.place.key)


def _closes_call(run: Run) -> bool:
    """Whether these are the closing tags of one call, and the next call or the end of the message follows."""
    once = sum(tag.kind is TagKind.PARAMETER_CLOSE for tag in run.tags) == 1
    return once and run.level >= Level.ENVELOPE and run.followed_by in (FollowedBy.END, FollowedBy.CALL)


def _readings_behind(
    m: Message, value: Value, start: int, end: int
) -> Iterator[tuple[int, Tag | Wait | None]]:
    """The indexes from `start` to `end` where a tag may be, each with its likeliest reading; last, MORE if
    there may be others."""
    text, at, place = m.buffer.text, start, _place(m)
    while 0 <= (at := next_place(text, at)) < end:
        reading = _first_reading(m, value, place, at)
        yield at, reading
        if reading is MORE:
            return
        at += 1
    if len(text) < end and not m.buffer.over:
        yield len(text), MORE


def _closes_example(m: Message, tag: Tag, start: int) -> bool | Wait:
    """Whether a parameter's closing tag on a line of its own, with something since `start`, has text after
    it."""
    inside = m.buffer.text[start : tag.start]
    if not inside.strip() or inside[inside.rfind("\n") + 1 :].strip():
        return False
    run = _run(m, tag.start)
    return MORE if run is MORE else run.level is Level.CALL and run.followed_by is FollowedBy.OTHER


def _run(m: Message, at: int) -> Run | Wait:
    return read_run(_place(m), m.buffer.text, at, m.buffer.over, Level.VALUE, m.buffer.base)


def _place(m: Message) -> Place:
    assert m.call
    return m.call.place


def _search(
    m: Message,
    value: Value,
    run: Run,
    decide: Callable[[Message, Value, Run, int], Judgement | None],
    otherwise: Judgement,
) -> Judgement:
    """What the first tag behind a run says of it by which that can be decided."""
    text, over, base = m.buffer.text, m.buffer.over, m.buffer.base
    end = run.end - base
    at = max(end, value.searched - base)
    while 0 <= (at := next_place(text, at)) < end + BEHIND_CALL:
        value.searched = base + at
        found = decide(m, value, run, at)
        if found is not None:
            return found
        at += 1
    if len(text) < end + BEHIND_CALL and not over:
        value.searched = base + max(end, len(text) - LOOK_AHEAD)
        return MORE
    return otherwise


def _next_of_ours(m: Message, value: Value, run: Run, at: int) -> Judgement | None:
    """What a tag behind the value's own closing tag says of that; None if it is none of a call."""
    assert m.call
    place = m.call.place
    tag = _first_reading(m, value, place, at)
    if tag is MORE or tag is None:
        return tag
    alone = _is_alone(m, run, at)
    if tag.kind is TagKind.PARAMETER_OPEN:
        return run if tag.spelt and place.may_be_sibling(tag, alone) else Payload.TAG
    if not alone or tag.kind not in (TagKind.CALL_CLOSE, TagKind.WRAP_CLOSE):
        return Payload.TAG
    second = _run(m, at)
    if second is MORE:
        return MORE
    own = place.own is not None and place.own.by_name
    ends = second.level >= Level.ENVELOPE and (own or second.followed_by in (FollowedBy.END, FollowedBy.CALL))
    return run if ends and tag.cost is Cost.EXACT else Payload.TAG


def _is_alone(m: Message, run: Run, at: int) -> bool:
    """Whether only an indentation stands before this index on its line, behind a run."""
    text = m.buffer.text
    return not text[text.rfind("\n", run.end - m.buffer.base, at) + 1 : at].strip()


def _second(m: Message, value: Value, run: Run, at: int) -> Judgement | None:
    """What a tag behind a complete run says of it; None if nothing."""
    tag = _first_reading(m, value, _place(m), at)
    if tag is MORE or tag is None:
        return tag
    alone = _is_alone(m, run, at)
    if tag.kind is TagKind.WRAP_OPEN or (tag.kind is TagKind.CALL_OPEN and alone):
        opens = _opens_call(m, tag)
        within = opens is True and _is_within_value(m, value, run, tag.end)
        return MORE if opens is MORE or within is MORE else run if opens and not within else None
    if tag.kind is TagKind.PARAMETER_CLOSE and tag.spelt and not _is_open_behind(m, value, run, at):
        second = _run(m, at)
        if second is MORE:
            return MORE
        if is_believed(value, second, alone) or ends_before_text(m, value, second, alone, lines=True):
            return Payload.TAG
    return None


def _is_within_value(m: Message, value: Value, run: Run, at: int) -> bool | Wait:
    """Whether a call that opens before `at`, behind a run within a line, is payload, too: the first tag in
    it that means anything closes a parameter."""
    if value.same_line or value.starts_line(m.buffer, run.tags[0].start - m.buffer.base):
        return False
    for _, tag in _readings_behind(m, value, at, run.end - m.buffer.base + BEHIND_CALL):
        if tag is MORE:
            return MORE
        if tag and tag.kind not in (TagKind.WRAP_OPEN, TagKind.CALL_OPEN, TagKind.STRAY):
            return tag.kind is TagKind.PARAMETER_CLOSE
    return False


def _first_reading(m: Message, value: Value, place: Place, at: int) -> Tag | Wait | None:
    """The likeliest reading of what stands at `at`. To strict, another dialect's call is one, too."""
    text, over = m.buffer.text, m.buffer.over
    readings = place.readings(text, at, over)
    if readings is MORE:
        return MORE
    if readings or m.tolerant:
        return readings[0] if readings else None
    if not over and value.tables.within.may_begin(text, at):
        return MORE
    return value.tables.within.match(text, at)


def _is_open_behind(m: Message, value: Value, run: Run, at: int) -> bool:
    """Whether a parameter that opened behind a complete run, alone on its line, is still open at `at`: what
    closes there is that one."""
    text, end, opened = m.buffer.text, run.end - m.buffer.base, 0
    while (end := text.find("<", end, at)) >= 0:
        tag = value.tables.within.match(text, end)
        line, rest = text[text.rfind("\n", 0, end) + 1 : end], LINE_REST.match(text, tag.end if tag else end)
        if tag and tag.kind is TagKind.PARAMETER_OPEN and not tag.dialect.by_name:
            opened += not line.strip() and rest is not None and rest[1] is not None
        elif tag and tag.kind is TagKind.PARAMETER_CLOSE and opened:
            opened -= 1
        end += 1
    return opened > 0


def _opens_call(m: Message, tag: Tag) -> bool | Wait:
    """Whether an opening tag behind a complete run begins another call; a misspelt one needs proof."""
    assert m.call
    if tag.spelt:
        return opens_call(m.call.place, tag, m.buffer.text, m.buffer.over)
    tool = m.toolset.find(tag.name) if tag.kind is TagKind.CALL_OPEN else None
    return tool is not None and proves(m.inside(tool), tag, m.buffer.text, m.buffer.over)
