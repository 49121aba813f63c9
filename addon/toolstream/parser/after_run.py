"""Where only what comes after a run of tags in a value says whether the run is the end of the value (P4).

Text comes after it, which may be more of the value or of the message. So the text is searched, up to
AFTER_CALL characters, for something that decides: a second run closes the value once more, so the first was
payload; another call opens, so the value is over. In the same way it is decided about a parameter that opens
in the value.

Each function that decides takes the run, and returns a judgement (see `evidence`): the run, if the value ends
before it; how much of it is payload; or MORE.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ..grammar.dialects import TAUGHT
from ..grammar.kinds import MORE, Cost, TagKind, Wait, decided
from ..grammar.tag import Tag
from ..grammar.text import ends_line, skip_whitespace
from ..grammar.tokens import next_place
from ..limits import AFTER_CALL, LOOK_AHEAD
from .ahead import first_reading, is_alone, is_exact, readings_after
from .evidence import Judgement, Payload, goes_on, is_believed, is_complete
from .message import Message
from .open_value import Value
from .run import Level, Run
from .runs import opens_call, proves, read_run

_MARKS = ('"', "'", "`")  # directly after a run they are the end of a quotation
_PLAIN_WORD = re.compile(r"</\s?[^\W\dA-Z][^\WA-Z]{0,64}>")
_FENCE = re.compile(r"[ \t]*\r?\n[ \t]*(?:```+|~~~+)[ \t]*\r?\n")  # its closing line
_NAMELESS = re.compile(r"<\s?parameter\b(?![^<>]*/>)", re.I)
_WRAPS = [tag for dialect in TAUGHT for tag in dialect.wrap_open]
# What opens a call, with slips
_HEAD = re.compile(
    r"\s*(?=[^\s/])(?!</)(?:\s++|<[^<>\n]{1,96}+>?|[^<>\n]{1,64}+>|[\w.:-]{1,64}+(?=\s*(?:<|\Z))|(?!)){1,16}+"
)


def ends_before_text(m: Message, value: Value, run: Run, alone: bool, lines: bool) -> bool:
    """Whether a run that text follows may be the end of the value. `lines`: the value has several lines, so
    that a run within one of them is payload."""
    if not (run.closes_call and run.is_before_text):
        return False
    if not (is_complete(value, run, alone) or (not alone and _is_only_misspelt(m, value, run, lines))):
        return False
    text, end = m.buffer.text, run.end - m.buffer.base
    # Where values have no line breaks around them, a line may also end after the first tag
    start = run.tags[0].end - m.buffer.base if value.tight else end
    return alone or not lines or "\n" in text[start : skip_whitespace(text, end)]


def _is_only_misspelt(m: Message, value: Value, run: Run, lines: bool) -> bool:
    """Whether a run that begins within a line has all closing tags, and nothing but the first is misspelt. An
    unknown word is none if the value has several lines."""
    first = run.tags[0]
    if first.kind is not TagKind.PARAMETER_CLOSE or first.cost > (Cost.ALIKE if lines else Cost.SHAPE):
        return False
    closes_all = run.has_exact_end and (run.level is Level.NOTHING or not m.place.wrapped)
    return closes_all and not may_be_of_line(m, value, run)


def may_be_of_line(m: Message, value: Value, run: Run) -> bool:
    """Whether a misspelt tag at the end of a line may be a part of it: it closes an element of the value, or
    what is an element by its capitals or dots, or stands after a blank."""
    first = run.tags[0]
    if value.has_blank_before(m.buffer, first.start - m.buffer.base):
        return True
    is_element = first.cost is Cost.SHAPE and not _PLAIN_WORD.fullmatch(first.raw)
    return is_element or m.place.inner.closes_element(first.raw)


def look_beyond(m: Message, value: Value, run: Run, otherwise: Payload | None = None) -> Judgement:
    """Decide about a run that text follows: it is payload if a second run comes soon, and the end if another
    call does. If neither does it is what `otherwise` says; by default the end, unless a code fence of the
    value closes directly after it."""
    fenced = otherwise is None and _closes_fence(m, value, run)
    quoted = value.opened.any_tag and m.buffer.text.startswith(_MARKS, run.end - m.buffer.base)
    if quoted or (fenced and value.opened.in_example):
        return _look_beyond_quotation(m, value, run)
    return _search(m, value, run, _by_second_run, otherwise or (Payload.TAG if fenced else run))


def _look_beyond_quotation(m: Message, value: Value, run: Run) -> Judgement:
    """Decide about a run directly before the end of a quotation of the value, or of the fence around an
    example in it: it is the end only if the message ends soon, without a second run."""
    is_near_end = len(m.buffer.text) < run.end - m.buffer.base + AFTER_CALL
    found = _search(m, value, run, _by_second_closers, run if is_near_end else Payload.TAG)
    if found is Payload.TAG:
        value.pass_run(run.tags)
    return found


def _closes_fence(m: Message, value: Value, run: Run) -> bool:
    """Whether the line after a run closes a code fence, which may have opened in the value."""
    if m.fence or m.buffer.over or not (value.opened.example or value.opened.any_tag):
        return False
    return _FENCE.match(m.buffer.text, run.end - m.buffer.base) is not None


def _by_second_run(m: Message, value: Value, run: Run, at: int) -> Judgement | None:
    """What the tag at `at`, somewhere after a run, says about the run; None if it says nothing."""
    tag = first_reading(m.place, m.buffer, value, at)
    if not isinstance(tag, Tag):
        return tag
    alone = is_alone(m.buffer, run.end, at)
    if tag.kind is TagKind.WRAP_OPEN or (tag.kind is TagKind.CALL_OPEN and alone):
        return decided(_opens_own_call(m, value, run, tag), run, None)
    ours = tag.kind is TagKind.PARAMETER_CLOSE and tag.spelt and not _is_open_after(m, value, run, at)
    closes = ours and _closes_value(m, value, at, alone)
    return decided(closes, Payload.TAG, None)


def _by_second_closers(m: Message, value: Value, run: Run, at: int) -> Judgement | None:
    """What the tag at `at` says about a run of which a call that opens says nothing, since the value may show
    that, too."""
    found = _by_second_run(m, value, run, at)
    return None if found is run else found


def _closes_value(m: Message, value: Value, at: int, alone: bool) -> bool | Wait:
    """Whether a second run, at `at`, may be the end of the value."""
    run = read_run(m.place, m.buffer, at, Level.VALUE)
    if run is MORE:
        return MORE
    if not run.tags or run.in_loop:
        return False
    return is_believed(value, run, alone) or ends_before_text(m, value, run, alone, lines=True)


def _opens_own_call(m: Message, value: Value, run: Run, tag: Tag) -> bool | Wait:
    """Whether a tag after a run opens a call that is not payload."""
    opens = _opens_call(m, tag)
    if opens is not True:
        return opens
    within = _is_within_value(m, value, run, tag.end)
    return decided(within, False, True)


def _opens_call(m: Message, tag: Tag) -> bool | Wait:
    """Whether an opening tag after a run begins another call; a misspelt one needs proof."""
    if tag.spelt:
        return opens_call(m.place, tag, m.buffer)
    tool = m.toolset.find(tag.name) if tag.kind is TagKind.CALL_OPEN else None
    return tool is not None and proves(m.inside(tool), tag, m.buffer)


def _is_within_value(m: Message, value: Value, run: Run, at: int) -> bool | Wait:
    """Whether a call that opens before `at`, after a run within a line, is payload, too: the first tag in it
    that means anything closes a parameter."""
    if value.same_line or value.starts_line(m.buffer, run.tags[0].start - m.buffer.base):
        return False
    for _, tag in readings_after(m.place, m.buffer, value, at, run.end - m.buffer.base + AFTER_CALL):
        if tag is MORE:
            return MORE
        if tag and not (tag.opens_call or tag.kind is TagKind.STRAY):
            return tag.kind is TagKind.PARAMETER_CLOSE
    return False


def _is_open_after(m: Message, value: Value, run: Run, at: int) -> bool:
    """Whether a parameter that opened after a run is still open at `at`: what closes there is that one. It
    has opened alone on its line; or, in a format without line breaks around values, after nothing but tags
    and names."""
    opened, start = 0, run.end - m.buffer.base
    while (start := m.buffer.text.find("<", start, at)) >= 0:
        opened, start = _open_after_tag(m, value, run, start, opened)
    return opened > 0


def _open_after_tag(m: Message, value: Value, run: Run, at: int, opened: int) -> tuple[int, int]:
    """How many parameters are open after the tag at `at`, if `opened` are before it; and where the search for
    the next tag goes on."""
    tag, last = value.tables.within.match(m.buffer.text, at), _last_tag(m)
    if tag and tag.kind is TagKind.PARAMETER_OPEN and not tag.dialect.by_name:
        return opened + _opens_in_place(m, value, run, tag, opened), tag.end
    if tag and tag.kind is TagKind.PARAMETER_CLOSE and opened:
        return opened - 1, at + 1
    if last and m.buffer.text.startswith(last, at):
        return opened + (opened > 0 or _is_head(m, run, at)), at + 1
    return opened, at + 1


def _last_tag(m: Message) -> str:
    """The last of several tags with which a parameter opens in the dialect of the open value; "" if there is
    only one."""
    spelling = m.place.own.parameter_open[0] if m.place.own else ""
    tag = spelling.rpartition("}")[2]
    return tag if tag.startswith("<") else ""


def _opens_in_place(m: Message, value: Value, run: Run, tag: Tag, opened: int) -> bool:
    """Whether a parameter opens after a run where one may stand. `opened`: how many are open there."""
    text = m.buffer.text
    line = text[text.rfind("\n", 0, tag.start) + 1 : tag.start]
    if not line.strip() and ends_line(text, tag.end):
        return True
    return value.tight and (opened > 0 or _is_head(m, run, tag.start))


def _is_head(m: Message, run: Run, end: int) -> bool:
    """Whether nothing but tags and names stands between a run and this index, from the last opening tag of an
    envelope on, if there is any."""
    start = run.end - m.buffer.base
    if goes_on(run.tags) or not any(tag.closes_call and tag.exact for tag in run.tags):
        return False
    at = max(m.buffer.text.rfind(tag, start, end) for tag in _WRAPS)
    return _HEAD.fullmatch(m.buffer.text, max(start, at), end) is not None


# The closing tag of the value alone


def before_tag_of_ours(m: Message, value: Value, run: Run, lines: bool) -> Judgement:
    """Decide about the value's closing tag alone, if text follows it: it is the end if the next tag of a call
    opens another parameter or closes the call, for that would lack a closing tag before it."""
    ends = m.place.closes_by_name or (m.buffer.over and not lines)
    return _search(m, value, run, _by_tag_of_ours, run if ends else Payload.TAG)


def _by_tag_of_ours(m: Message, value: Value, run: Run, at: int) -> Judgement | None:
    """What the tag at `at`, after the value's closing tag, says about that one; None if it is no tag of a
    call."""
    tag = first_reading(m.place, m.buffer, value, at)
    if not isinstance(tag, Tag):
        return tag
    alone = is_alone(m.buffer, run.end, at)
    if tag.kind is TagKind.PARAMETER_OPEN:
        return run if tag.spelt and m.place.may_be_sibling(tag, alone) else Payload.TAG
    ends = alone and tag.closes_call and _ends_call(m, tag)
    return decided(ends, run, Payload.TAG)


def _ends_call(m: Message, tag: Tag) -> bool | Wait:
    """Whether an exact closing tag after that of the value closes the call, and another call or the end of
    the message follows. If only tags with the parameter's name close the value, anything may follow."""
    run = read_run(m.place, m.buffer, tag.start, Level.VALUE)
    if run is MORE:
        return MORE
    return tag.exact and run.closes_call and (m.place.closes_by_name or run.ends_calls)


# What both search


def _search(
    m: Message,
    value: Value,
    run: Run,
    decide: Callable[[Message, Value, Run, int], Judgement | None],
    otherwise: Judgement,
) -> Judgement:
    """What the first tag after a run says about it that says anything; `otherwise` if none does. `decide` is
    asked with the index of each. The search goes on where it stopped when more text has come."""
    text, over, base = m.buffer.text, m.buffer.over, m.buffer.base
    end = run.end - base
    start = max(end, value.searched[1] - base) if value.searched[0] == run.end else end
    while 0 <= (at := next_place(text, start)) < end + AFTER_CALL:
        found = decide(m, value, run, at)
        if found is not None:
            return found
        start = at + 1
        value.searched = run.end, base + start
    if len(text) < end + AFTER_CALL and not over:
        value.searched = run.end, base + max(end, len(text) - LOOK_AHEAD)
        return MORE
    return otherwise


# Another parameter


def before_sibling(m: Message, value: Value, run: Run) -> Judgement:
    """Decide about a parameter of the call that opens in a value that nothing has closed. It is an example if
    text follows its closing tag, and then a further closing tag comes, or the same parameter once more. After
    a single line, a parameter that the tool requires is believed."""
    opener, base = run.tags[-1], m.buffer.base
    start = opener.end - base
    required = m.place.tool.required if m.place.tool else ()
    if opener.name in required and not value.has_inner_break(m.buffer, opener.start - base):
        return run
    tags = _outer_tags(m, value, start, run.end - base + AFTER_CALL)
    shown = _closes_before_text(m, tags, start)
    if shown is True:
        shown = _comes_again(tags, opener.name)
    return decided(shown, Payload.EXAMPLE, run)


def before_call_goes_on(m: Message, value: Value, run: Run) -> Judgement:
    """Decide about a parameter of the call that opens in the line of a value: it is an example unless one
    closing tag comes next, and after that a parameter of another name or the end of the call."""
    opener, base = run.sibling, m.buffer.base
    if opener is None:
        return Payload.EXAMPLE
    after = _next_run(m, value, opener.end - base, run.end - base + AFTER_CALL)
    if not isinstance(after, Run):
        return MORE if after is MORE else Payload.EXAMPLE
    return run if _closes_parameter(m, after, opener.name) else Payload.EXAMPLE


def _closes_parameter(m: Message, run: Run, name: str) -> bool:
    """Whether a run closes the parameter of this name, with one tag, and then opens another one or ends the
    call."""
    if run.count(TagKind.PARAMETER_CLOSE) != 1 or run.tags[0].kind is not TagKind.PARAMETER_CLOSE:
        return False
    if following := run.sibling:
        return m.place.is_free(following.name) and following.name != name
    return run.closes_call and run.ends_calls


def _closes_before_text(m: Message, tags: Iterator[Tag | Wait], start: int) -> bool | Wait:
    """Whether the first of these tags that closes anything is a parameter's, as an example that begins at
    `start` has it."""
    for tag in tags:
        if tag is MORE:
            return MORE
        if tag.kind is not TagKind.PARAMETER_OPEN:
            return tag.kind is TagKind.PARAMETER_CLOSE and _closes_example(m, tag, start)
    return False


def _closes_example(m: Message, tag: Tag, start: int) -> bool | Wait:
    """Whether a parameter's closing tag has text after it, and something since `start`: on lines of its own,
    or all in one line."""
    inside = m.buffer.text[start : tag.start]
    if not inside.strip() or ("\n" in inside and inside[inside.rfind("\n") + 1 :].strip()):
        return False
    run = read_run(m.place, m.buffer, tag.start, Level.VALUE)
    return MORE if run is MORE else run.level is Level.CALL and run.is_before_text


def _comes_again(tags: Iterator[Tag | Wait], name: str) -> bool | Wait:
    """Whether the next of these tags closes a parameter once more, or opens the one of this name again."""
    tag = next(tags, None)
    if not isinstance(tag, Tag):
        return MORE if tag is MORE else False
    return tag.kind is TagKind.PARAMETER_CLOSE or (tag.kind is TagKind.PARAMETER_OPEN and tag.name == name)


def _outer_tags(m: Message, value: Value, start: int, end: int) -> Iterator[Tag | Wait]:
    """The exact tags from `start` to `end` that open a parameter, or close a call or a parameter that did not
    open there. Last comes MORE if there may be others."""
    opened = 0
    for at, tag in readings_after(m.place, m.buffer, value, start, end):
        if tag is MORE:
            yield MORE
        elif not is_exact(tag):
            opened += _NAMELESS.match(m.buffer.text, at) is not None
        elif tag.kind is TagKind.PARAMETER_CLOSE and opened:
            opened -= 1
        elif tag.closes_call or tag.kind in (TagKind.PARAMETER_OPEN, TagKind.PARAMETER_CLOSE):
            yield tag
            opened += tag.kind is TagKind.PARAMETER_OPEN


def before_last_parameters(m: Message, value: Value, run: Run) -> Judgement:
    """Decide about a run that closes a parameter before another one of the call, in a value in which an
    example has left a parameter open. It is the end if nothing but such parameters comes up to the end of the
    message, and with them the call has all that it requires. It is payload if the example ends in a later
    run."""
    call = m.open_call
    given = set(call.writer.given)
    required = call.tool.required - given
    last, base, limit = run, m.buffer.base, run.end - m.buffer.base + AFTER_CALL
    while sibling := last.sibling:
        if sibling.name in given or not m.place.is_free(sibling.name):
            return Payload.TAG
        given.add(sibling.name)
        following = _next_run(m, value, sibling.start - base + 1, limit)
        if not isinstance(following, Run):
            return following or Payload.TAG
        if goes_on(following.tags):
            return Payload.TAG
        last = following
    has_all = set() < required <= given
    return run if has_all and m.complete and last.ends_message else Payload.TAG


def _next_run(m: Message, value: Value, start: int, end: int) -> Run | Wait | None:
    """The run that begins with the first exact tag between these indexes; None if there is none."""
    for at, tag in readings_after(m.place, m.buffer, value, start, end):
        if tag is MORE:
            return MORE
        if is_exact(tag):
            return read_run(m.place, m.buffer, at, Level.VALUE)
    return None
