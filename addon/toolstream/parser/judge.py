"""Whether a tag in a value ends the value.

`read_run` reads the tags in a row from there: what they would close, and what follows them. That decides
whether the first one is believed or is payload.

A whole example call in a value is payload. So calls that open alone on a line are counted. A run that
closes what such an example has opened is not the end, unless the message ends with it. If text follows a
complete run, the next few hundred characters decide: a second run shows that the first one was payload.
"""

from __future__ import annotations

import re

from ..grammar.kinds import MORE, Cost, TagKind, Wait
from ..grammar.likeness import FUNCTION, SYNONYMS, is_structural, squeeze
from ..grammar.tag import Tag
from ..grammar.text import end_of, skip_whitespace
from ..grammar.tokens import IN_BARS, Token, read_tag
from ..limits import LETTERS
from .behind_run import (
    before_last,
    before_sibling,
    before_tag_of_ours,
    ends_before_text,
    look_behind,
    opens_next,
)
from .by_place import OPENERS, by_place, is_by_place, is_cut
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
    example,
    is_cut_in_example,
    is_ours,
    open_element,
    opened_in_line,
)
from .message import Message
from .open_value import Value
from .place import Place
from .run import FollowedBy, Level, Run
from .runs import read_run

_BRACKETS = re.compile(rf"[</ ]{{0,{LETTERS}}}(?=<[/\w])")
_NAMELESS = re.compile(r"<\s?parameter\b", re.I)  # also in documents of other kinds


def judge(m: Message, value: Value, at: int) -> tuple[Tag | None, Judgement]:
    """The tag at `at`, and whether it ends the value."""
    alone = value.starts_line(m.buffer, at)
    tag = _tag(m, value, at, alone)
    return (tag, _judged(m, value, tag, alone)) if isinstance(tag, Tag) else (None, tag)


def _tag(m: Message, value: Value, at: int, alone: bool) -> Tag | Judgement:
    """The tag at `at`, if it may be one."""
    text, over, within = m.buffer.text, m.buffer.over, value.tables.within
    if tag := within.match(text, at):
        return tag
    return MORE if not over and within.may_begin(text, at) else _unknown(m, value, at, alone)


def _judged(m: Message, value: Value, tag: Tag, alone: bool) -> Judgement:
    assert m.call
    place = m.call.place
    opens = tag.kind in (TagKind.WRAP_OPEN, TagKind.CALL_OPEN) and tag.spelt and not is_by_place(tag)
    if opens and alone and (run := _before_next(m, value, tag)):
        return run
    if opens and (shown := example(m, value, tag, alone)):
        value.opened.example = value.opened.example or isinstance(shown, Payload)
        return shown
    value.opened.note(tag.kind in OPENERS, tag.kind in (TagKind.WRAP_OPEN, TagKind.CALL_OPEN))
    if tag.kind is TagKind.PARAMETER_OPEN and tag.spelt and not place.may_be_sibling(tag, alone):
        return _no_sibling(m, value, tag, alone)
    if _ends_at_once(value, place, tag):
        return Run([tag.moved(m.buffer.base)], m.buffer.base + tag.end, Level.CALL)
    run = _run(m, place, tag.start, alone)
    return MORE if run is MORE else _with_run(m, value, tag, run, alone)


def _before_next(m: Message, value: Value, opener: Tag) -> Run | Wait | None:
    """The run that begins with the opening tag of the next call, alone on its line, if the value ends before
    it: no closing tag has come. None if it does not."""
    assert m.call
    if not _may_end_anywhere(value):
        opens = opens_next(m, value, opener)
        if opens is not True:
            return MORE if opens is MORE else None
    run = _run(m, m.call.place, opener.start, alone=True)
    return run if run is MORE or run.followed_by is FollowedBy.CALL else None


def _run(m: Message, place: Place, at: int, alone: bool) -> Run | Wait:
    """The run of tags that begins at `at`. `alone`: the first one starts its line."""
    place.alone = alone
    return read_run(place, m.buffer.text, at, m.buffer.over, Level.VALUE, m.buffer.base)


def _with_run(m: Message, value: Value, tag: Tag, run: Run, alone: bool) -> Judgement:
    """The same, with the run that begins with the tag."""
    assert m.call
    if value.opened.in_element and closes_element(m.call.place, tag, run):
        value.opened.close_element()
        return Payload.TAG
    within = value.opened.in_example or opened_in_line(value, tag, run)
    if within and not (m.call.place.is_only_ours(tag) and not value.opened.in_element):
        return _in_example(m, value, tag, run, alone)
    lacks_its_closer = value.opened.any_tag and tag.kind is not TagKind.PARAMETER_CLOSE
    if (value.opened.in_element or lacks_its_closer) and is_cut_in_example(m, value, run):
        return close_example(value, tag)
    judgement = _by_run(m, value, run, alone)
    if judgement is run and tag.kind is TagKind.PARAMETER_OPEN and value.verbatim:
        judgement = before_sibling(m, value, run)
        if judgement is Payload.EXAMPLE:
            open_element(m, value, tag.start, tag.raw, alone)
    if judgement is Payload.TAG and _NAMELESS.match(tag.raw):
        open_element(m, value, tag.start, tag.raw, alone)
    return judgement


def _in_example(m: Message, value: Value, tag: Tag, run: Run, alone: bool) -> Judgement:
    """A run inside of an example: its closing tags are payload. But those that the message ends with are
    ours, and those that the example has not opened."""
    assert m.call
    if tag.kind is TagKind.PARAMETER_OPEN:
        open_element(m, value, tag.start, tag.raw, alone)
        return Payload.EXAMPLE
    wrapped = m.call.place.wrapped
    bare = not wrapped and bool(run.tags) and run.tags[0].kind is TagKind.WRAP_CLOSE
    if goes_on(run.tags) or (bare and value.opened.wraps):  # the envelope is the example's
        return close_example(value, tag)
    if ends_message(m, value, run) or is_ours(m, value, tag, run):
        return run
    if value.opened.in_element and closes_before_free(m.call.place, tag, run):
        judgement = before_last(m, value, run)
        return judgement if isinstance(judgement, Run | Wait) else close_example(value, tag)
    closes_ours = wrapped and closes_envelope(value, run)
    if closes_ours and run.followed_by is FollowedBy.OTHER and is_complete(value, run, True):
        judgement = look_behind(m, value, run)
        return judgement if isinstance(judgement, Run | Wait) else close_example(value, tag)
    return close_example(value, tag)


def _no_sibling(m: Message, value: Value, tag: Tag, alone: bool) -> Judgement:
    """The opening tag of a parameter that this call cannot have here. It is payload; or, if it is named
    after the open parameter, it is its closing tag without the slash."""
    assert m.call
    place = m.call.place
    if alone and place.may_lack_slash(tag):
        run = _run(m, place, tag.start, alone)
        if run is MORE or is_believed(value, run, alone):
            return run
    open_element(m, value, tag.start, tag.raw, alone)
    return Payload.EXAMPLE


def _ends_at_once(value: Value, place: Place, tag: Tag) -> bool:
    """Whether a tag ends a value whatever follows, because a value of this type contains no tag, or none
    after its last bracket."""
    closes = tag.kind is TagKind.PARAMETER_CLOSE and tag.cost is Cost.EXACT and not place.is_foreign(tag)
    return _may_end_anywhere(value) and closes and not value.opened.in_example


def _may_end_anywhere(value: Value) -> bool:
    """Whether a value of this type contains no tag, or none after its last bracket."""
    return not value.verbatim and (value.json is None or value.json.complete)


def _unknown(m: Message, value: Value, at: int, alone: bool) -> Tag | Judgement:
    """What a tag may be that is in no dialect table."""
    assert m.call
    if not m.tolerant or ((not alone or at == m.buffer.at) and _is_before_exact(m, at)):
        return Payload.TAG
    slipped = m.call.place.slipped(m.buffer.text, at, m.buffer.over)
    if slipped is MORE or (slipped and (alone or slipped.raw[0] == "<")):
        return slipped
    token = read_tag(m.buffer.text, at, m.buffer.over)
    if token is MORE:
        return MORE
    if token is None or is_cut(token, m.buffer.text):
        return Payload.TAG
    return _by_token(m, value, token, alone)


def _by_token(m: Message, value: Value, token: Token, alone: bool) -> Tag | Payload:
    """What may be meant by a token that is shaped like a tag. If it is payload, note what it opens or
    closes."""
    assert m.call
    place, at = m.call.place, token.start
    readings = place.alike(token)
    if (token.bracket or alone) and readings:
        tag = readings[0]
    elif token.bracket and (alone or not value.has_lines(m.buffer, at)) and place.inner.may_be_none(token):
        return by_place(token, TagKind.PARAMETER_CLOSE, Cost.SHAPE)
    else:
        tag = None
    if tag is None and _NAMELESS.match(token.raw):
        open_element(m, value, at, token.raw, alone)
    place.inner.note(token, closes=tag is None)
    if not token.slash:
        value.opened.note(is_structural(token.word), SYNONYMS.get(squeeze(token.word)) == FUNCTION)
    return tag or Payload.TAG


def _is_before_exact(m: Message, at: int) -> bool:
    """Whether the bracket at `at` is payload because an exact tag begins directly after it, or after a
    few more brackets."""
    assert m.call
    text = m.buffer.text
    tag = m.call.place.tags.match(text, end_of(_BRACKETS, text, at + 1))
    return tag is not None and tag.cost is Cost.EXACT


def _by_run(m: Message, value: Value, run: Run, alone: bool) -> Judgement:
    """Whether a run ends the value, by what it closes and what follows it."""
    assert m.call
    if not run.tags:
        return Payload.TAG
    first = run.tags[0]
    if not (alone or value.same_line) and (end := _line_of_its_own(m, run)):
        value.payload_to = end
        return Payload.TAG
    if not alone and first.cost > Cost.TABLE and IN_BARS.search(first.raw) and _opens_in_line(m, run):
        return Payload.TAG  # marked as no tag of this call is
    if not (alone or value.same_line) and _is_mentioned(m, value, run):
        return Payload.TAG
    lines = value.has_lines(m.buffer, first.start - m.buffer.base)
    last = not lines and is_cut_off_by_ours(run)
    if is_believed(value, run, alone or last) and (alone or not is_misspelt(run)):
        return run
    return _doubt(m, value, run, alone, lines)


def _opens_in_line(m: Message, run: Run) -> bool:
    """Whether another parameter opens in the line of a run's first tag."""
    text, base = m.buffer.text, m.buffer.base
    opens = run.followed_by is FollowedBy.PARAMETER
    return opens and "\n" not in text[run.tags[0].end - base : run.tags[-1].start - base]


def _is_mentioned(m: Message, value: Value, run: Run) -> bool:
    """Whether a run at the end of a line of text is a part of it, although a call follows: a blank comes
    before it, and closing tags are missing."""
    first = run.tags[0]
    lacks = first.kind is not TagKind.PARAMETER_CLOSE or run.level < Level.ENVELOPE
    blank = value.has_blank_before(m.buffer, first.start - m.buffer.base)
    return blank and lacks and run.followed_by is FollowedBy.CALL


def _line_of_its_own(m: Message, run: Run) -> int:
    """The position where the value's own closing tag begins a line later in the run, so that the tags before
    it are the end of the value; 0 if there is none."""
    text, base, end = m.buffer.text, m.buffer.base, run.tags[0].end
    for tag in run.tags[1:]:
        if tag.kind is TagKind.PARAMETER_CLOSE and tag.cost is Cost.EXACT:
            return tag.start if "\n" in text[end - base : tag.start - base] else 0
        end = tag.end
    return 0


def _doubt(m: Message, value: Value, run: Run, alone: bool, lines: bool) -> Judgement:
    """Decide about a run that is not believed at once. `lines`: the value has several lines."""
    assert m.call
    first = run.tags[0]
    if first.kind in OPENERS:
        return Payload.TAG
    if first.cost <= Cost.ALIKE and _may_end_anywhere(value):
        return run
    if ends_before_text(m, value, run, alone, lines):
        return look_behind(m, value, run) if value.verbatim else run
    judgement = _by_text_after(m, value, run, alone, lines)
    if judgement is Payload.TAG and first.spelt and alone:
        m.call.unclear = True
    return judgement


def _by_text_after(m: Message, value: Value, run: Run, alone: bool, lines: bool) -> Judgement:
    """What the text after a run that lacks a tag says about it. Without such evidence it is payload."""
    if not value.verbatim:
        return Payload.TAG
    if alone and _lacks_its_closer(m, run):
        return look_behind(m, value, run, Payload.TAG)
    if (alone or not lines) and _is_own_closer(m, value, run, alone):
        return before_tag_of_ours(m, value, run, lines)
    return Payload.TAG


def _lacks_its_closer(m: Message, run: Run) -> bool:
    """Whether a run that text follows on another line would be the end, but the value's own closing tag is
    missing."""
    first, text, end = run.tags[0], m.buffer.text, run.end - m.buffer.base
    closes = first.kind is TagKind.CALL_CLOSE and first.cost is Cost.EXACT
    return closes and run.followed_by is FollowedBy.OTHER and "\n" in text[end : skip_whitespace(text, end)]


def _is_own_closer(m: Message, value: Value, run: Run, alone: bool) -> bool:
    """Whether a run with text behind it, on another line, is the closing tag of a value that has something,
    and no other."""
    first, text, base = run.tags[0], m.buffer.text, m.buffer.base
    own = first.kind is TagKind.PARAMETER_CLOSE and first.cost is Cost.EXACT
    has_text = value.passed or bool(text[m.buffer.at : first.start - base].strip())
    if not own or not has_text or len(run.tags) > 1 or run.followed_by is not FollowedBy.OTHER:
        return False
    return alone or "\n" in text[run.end - base : skip_whitespace(text, run.end - base)]
