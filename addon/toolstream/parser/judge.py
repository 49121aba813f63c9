"""Whether a tag in a value ends the value.

`read_run` reads the tags in a row from there: what they would close, and what follows them. That decides
whether the first one is believed or is payload.

A whole example call in a value is payload. So calls that open alone on a line are counted. A run that
closes what such an example has opened is not the end, unless the message ends with it. If text follows a
complete run, the next few hundred characters decide: a second run shows that the first one was payload.
"""

from __future__ import annotations

import re
from itertools import pairwise

from ..grammar.kinds import MORE, Cost, TagKind, Wait
from ..grammar.likeness import FUNCTION, SYNONYMS, is_structural, squeeze
from ..grammar.tag import Tag
from ..grammar.text import breaks_line, end_of, skip_whitespace
from ..grammar.tokens import IN_BARS, Token
from ..limits import AFTER_CALL, LETTERS
from .after_run import (
    before_last_parameters,
    before_sibling,
    before_tag_of_ours,
    ends_before_text,
    look_beyond,
)
from .by_place import OPENERS, by_place, is_in_table, read_whole
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
    open_element,
    opened_in_line,
)
from .message import Message
from .only_calls import before_calls, opens_next
from .open_value import Value
from .place import Place
from .run import FollowedBy, Level, Run
from .runs import read_run

_BRACKETS = re.compile(rf"[</ \t]{{0,{LETTERS}}}(?=<[/\w])")
_NAMELESS = re.compile(r"<\s?parameter\b", re.I)  # also in documents of other kinds


def judge(m: Message, value: Value, at: int) -> tuple[Tag | None, Judgement]:
    """The tag at `at`, and whether it ends the value."""
    if m.buffer.text.startswith("<|", at) and (ends := _end_of_turn(m, value, at)):
        return (None, MORE) if ends is MORE else (ends.tags[0], ends)
    alone = value.starts_line(m.buffer, at)
    tag = _tag(m, value, at, alone)
    return (tag, _judged(m, value, tag, alone)) if isinstance(tag, Tag) else (None, tag)


def _end_of_turn(m: Message, value: Value, at: int) -> Run | Wait | None:
    """The tokens that end a turn, and the message with it, in a value that has no closing tag."""
    if not m.tolerant or value.opened.in_example:
        return None
    end, base = _after_tokens(m, at), m.buffer.base
    if end is MORE:
        return MORE
    first = m.lookout.after.match(m.buffer.text, at)
    if first is None or end < len(m.buffer.text) or not m.complete:
        return None
    return Run([first.moved(base)], base + end, Level.VALUE, followed_by=FollowedBy.END)


def _after_tokens(m: Message, at: int) -> int | Wait:
    """The index behind the tokens that end a turn, and the whitespace behind each; `at` if there are none, or
    more than are waited for. Those that were read before, from the first of them or from another one, are not
    read again."""
    text, over, tags, base = m.buffer.text, m.buffer.over, m.lookout.after, m.buffer.base
    start, end = m.place.memory.tokens
    if start <= base + at < end:
        after = skip_whitespace(text, end - base)
    else:
        start, end, after = base + at, base + at, at
    while isinstance(tag := tags.read(text, after, over), Tag) and tag.raw.startswith("<|"):
        end, after = base + tag.end, skip_whitespace(text, tag.end)
        if end - start > AFTER_CALL:
            break
    m.place.memory.tokens = start, end
    if end - start > AFTER_CALL:
        return at
    return MORE if tag is MORE else after


def _tag(m: Message, value: Value, at: int, alone: bool) -> Tag | Judgement:
    """The tag at `at`, if it may be one."""
    tag = value.tables.within.read(m.buffer.text, at, m.buffer.over)
    return _unknown(m, value, at, alone) if tag is None else tag


def _judged(m: Message, value: Value, tag: Tag, alone: bool) -> Judgement:
    if found := _at_call(m, value, tag, alone):
        return found
    opens_call = tag.opens_call or (tag.lacks_slash and tag.closes_call)
    value.opened.note(tag.kind in OPENERS or tag.lacks_slash, opens_call)
    if tag.kind is TagKind.PARAMETER_OPEN and tag.spelt and not m.place.may_be_sibling(tag, alone):
        return _no_sibling(m, value, tag, alone)
    if _ends_at_once(value, m.place, tag):
        return Run([tag.moved(m.buffer.base)], m.buffer.base + tag.end, Level.CALL)
    run = _run(m, tag.start, alone)
    if run is MORE:
        return MORE
    return _in_opened(m, value, tag, run, alone) or _outside(m, value, tag, run, alone)


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
    if judgement is Payload.EXAMPLE or (judgement is Payload.TAG and _NAMELESS.match(tag.raw)):
        open_element(m, value, tag.start, tag.raw, alone)
    return judgement


def _in_example(m: Message, value: Value, tag: Tag, run: Run, alone: bool) -> Judgement:
    """A run inside of an example: its closing tags are payload. But those that the message ends with are
    ours, and those that the example has not opened."""
    if tag.kind is TagKind.PARAMETER_OPEN:
        open_element(m, value, tag.start, tag.raw, alone)
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
    open_element(m, value, tag.start, tag.raw, alone)
    return Payload.EXAMPLE


def _ends_at_once(value: Value, place: Place, tag: Tag) -> bool:
    """Whether a tag ends a value whatever follows."""
    closes = tag.closes_exactly and not place.is_foreign(tag)
    return _may_end_anywhere(value) and closes and not value.opened.in_example


def _may_end_anywhere(value: Value) -> bool:
    """Whether a value of this type contains no tag, or none after its last bracket."""
    return not value.verbatim and (value.json is None or value.json.complete)


def _unknown(m: Message, value: Value, at: int, alone: bool) -> Tag | Judgement:
    """What a tag may be that is in no dialect table."""
    text, over = m.buffer.text, m.buffer.over
    if not m.tolerant or _is_before_exact(m, at, alone):
        return Payload.TAG
    slipped = m.place.slipped(text, at, over)
    if slipped is MORE or (slipped and (alone or slipped.raw[0] == "<")):
        return slipped
    token = read_whole(text, at, over)
    return _by_token(m, value, token, alone) if isinstance(token, Token) else token or Payload.TAG


def _by_token(m: Message, value: Value, token: Token, alone: bool) -> Tag | Payload:
    """What may be meant by a token that is shaped like a tag. If it is payload, note what it opens or
    closes."""
    readings = m.place.alike(token) if token.bracket or alone else []
    if not readings and _may_be_closer(m, value, token, alone):
        return by_place(token, TagKind.PARAMETER_CLOSE, Cost.SHAPE)
    if not readings and _NAMELESS.match(token.raw):
        open_element(m, value, token.start, token.raw, alone)
    m.place.inner.note(token, closes=not readings)
    if not token.slash:
        value.opened.note(is_structural(token.word), SYNONYMS.get(squeeze(token.word)) == FUNCTION)
    return readings[0] if readings else Payload.TAG


def _may_be_closer(m: Message, value: Value, token: Token, alone: bool) -> bool:
    """Whether an unknown word may be the value's own closing tag, by its shape: the value has no more lines
    than that, or the word is alone on its line."""
    begins = token.bracket and (alone or not value.has_break(m.buffer, token.start))
    return begins and m.place.inner.may_be_ours(token)


def _is_before_exact(m: Message, at: int, alone: bool) -> bool:
    """Whether the bracket at `at` is payload because an exact tag begins directly after it, or after a few
    more brackets, on a line with other text or at the beginning of the value."""
    if alone and at != m.buffer.at:
        return False
    text = m.buffer.text
    tag = m.place.tags.match(text, end_of(_BRACKETS, text, at + 1))
    return tag is not None and tag.exact


def _by_run(m: Message, value: Value, run: Run, alone: bool) -> Judgement:
    """Whether a run ends the value, by what it closes and what follows it."""
    if not run.tags or (not alone and _is_in_text(m, value, run)):
        return Payload.TAG
    lines = value.has_break(m.buffer, run.tags[0].start - m.buffer.base)
    last = not lines and is_cut_off_by_ours(run)
    if is_believed(value, run, alone or last) and (alone or not is_misspelt(run)):
        return run
    return _doubt(m, value, run, alone, lines)


def _is_in_text(m: Message, value: Value, run: Run) -> bool:
    """Whether a run that does not begin a line is a part of the text before it. If the value's own closing
    tag begins a line later in the run, all tags before that one are."""
    if not value.same_line and (end := _line_of_its_own(m, run)):
        value.payload_to = end
        return True
    return _is_marked(m, run) or _is_mentioned(m, value, run)


def _is_marked(m: Message, run: Run) -> bool:
    """Whether a misspelt tag in bars, as no tag of this call is, stands in the line where another parameter
    opens."""
    first, base, sibling = run.tags[0], m.buffer.base, run.sibling
    if first.spelt or sibling is None or not IN_BARS.search(first.raw):
        return False
    return "\n" not in m.buffer.text[first.end - base : sibling.start - base]


def _is_mentioned(m: Message, value: Value, run: Run) -> bool:
    """Whether a run at the end of a line of text, which is not the first of the value, is a part of it,
    although a call follows: a blank comes before it, and closing tags are missing."""
    first = run.tags[0]
    lacks = first.kind is not TagKind.PARAMETER_CLOSE or not run.closes_call
    if value.same_line or not lacks or run.followed_by is not FollowedBy.CALL:
        return False
    return value.has_blank_before(m.buffer, first.start - m.buffer.base)


def _line_of_its_own(m: Message, run: Run) -> int:
    """The position where the value's own closing tag begins a line later in the run, so that the tags before
    it are the end of the value; 0 if there is none."""
    text, base = m.buffer.text, m.buffer.base
    for before, tag in pairwise(run.tags):
        if tag.closes_exactly:
            return tag.start if "\n" in text[before.end - base : tag.start - base] else 0
    return 0


def _doubt(m: Message, value: Value, run: Run, alone: bool, lines: bool) -> Judgement:
    """Decide about a run that is not believed at once. `lines`: a line break is in the value before it."""
    assert m.call
    first = run.tags[0]
    if first.kind in OPENERS:
        return Payload.TAG
    if first.cost <= Cost.ALIKE and _may_end_anywhere(value):
        return run
    if ends_before_text(m, value, run, alone, lines):
        return look_beyond(m, value, run) if value.verbatim else run
    judgement = _by_text_after(m, value, run, alone, lines)
    if judgement is Payload.TAG and first.spelt and alone:
        m.call.unclear = True
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
    """Whether a run with text behind it, on another line, is the closing tag of a value that has something,
    and no other."""
    first, text, base = run.tags[0], m.buffer.text, m.buffer.base
    if not first.closes_exactly or len(run.tags) > 1 or not run.is_before_text:
        return False
    has_text = value.has_text(m.buffer, first.start - base)
    return has_text and (alone or breaks_line(text, run.end - base))
