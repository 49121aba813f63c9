"""The runs of tags that begin at a place (P21).

`read_run` reads the tags in a row: what they close, what they cost, and what follows them. By that evidence a
state decides whether it believes the first one.
"""

from __future__ import annotations

import re

from ..grammar.brackets import CLOSE, OPEN
from ..grammar.kinds import CLOSERS, MORE, Cost, TagKind, Wait
from ..grammar.tag import Tag
from ..grammar.text import BLANK, skip_whitespace
from ..grammar.tokens import end_of_tag, held_from, next_place, read_tag
from ..limits import AFTER_CALL, CLOSING_RUN, RUNS
from .buffer import Buffer
from .by_place import OPENERS, by_place, index_after, is_by_place, is_cut
from .place import Place
from .run import CLOSED_BY, CLOSES_AT, NO_LOOP, Choice, FollowedBy, Level, Loop, Run, Seen, missing_before

_SLASH, _SLASH_PART = re.compile(r"[(\[{|]?/[A-Za-z]"), re.compile(r"[(\[{|]?/?")


def read_run(place: Place, buffer: Buffer, at: int, level: Level) -> Run | Wait:
    """The tags in a row from `at` on, read as what closes everything that is open at this level. If
    more text is needed, the run is continued, not read again, when that arrives."""
    start = buffer.base + at
    run = place.memory.runs.get((start, level))
    if run is None:
        if len(place.memory.runs) > RUNS:
            place.memory.runs = {key: old for key, old in place.memory.runs.items() if key[0] > start}
        run = place.memory.runs[start, level] = Run([], start, level)
    if run.followed_by is None:
        after = _read_on(place, run, buffer)
        if after is MORE:
            return MORE
        run.followed_by, run.begins_in_loop = after, place.memory.loop.has(start)
    return run


def _read_on(place: Place, run: Run, buffer: Buffer) -> FollowedBy | Wait:
    """Read tag after tag into the run. Return what follows it."""
    while len(run.tags) < CLOSING_RUN or _loops(place, run):
        here = _next_in(run, buffer)
        if here >= len(buffer.text):
            run.end = buffer.base + here if buffer.over else run.end
            return FollowedBy.END if buffer.over else MORE
        choice = _choose_next(place, run, buffer, here)
        if not isinstance(choice, Choice):
            return choice
        if (ends := _go_on(place, run, choice, buffer)) is not None:
            return ends
    return FollowedBy.OTHER


def _loops(place: Place, run: Run) -> bool:
    """Whether the run is only exact closing tags, as a model writes them that is caught in a loop. Those that
    another run has read are skipped."""
    if not all(tag.exact and tag.kind in CLOSERS for tag in run.tags):
        return False
    loop = place.memory.loop
    if loop.has(run.end) and run.tags[0].kind in (TagKind.PARAMETER_CLOSE, loop.kind):
        run.end, run.level = loop.end, max(run.level, loop.level)
    return True


def _choose_next(place: Place, run: Run, buffer: Buffer, at: int) -> Choice | FollowedBy | Wait:
    """The next tag of a run, at `at`; if there is none, what follows the run."""
    text = buffer.text
    same_line = bool(run.tags) and "\n" not in text[run.end - buffer.base : at]
    may_be = not run.tags or may_be_tag(place, buffer, at, same_line)
    if may_be is not True:
        return MORE if may_be is MORE else FollowedBy.OTHER
    if choice := choose(place, buffer, at, run.level, same_line):
        return choice
    if tag := _sibling_after(place, run, text, at):
        return Choice(tag, run.level, 0)
    cut = buffer.over and bool(run.tags) and place.tags.may_begin(text, at)
    return FollowedBy.END if cut else FollowedBy.OTHER


def _sibling_after(place: Place, run: Run, text: str, at: int) -> Tag | None:
    """Another parameter's opening tag after the closing tag of the open value, although the run has
    closed the call before that."""
    if not place.key or not run.has_closed_call or run.tags[-1].kind is not TagKind.PARAMETER_CLOSE:
        return None
    tag = place.tags.match(text, at)
    if tag is None or tag.kind is not TagKind.PARAMETER_OPEN or not tag.exact:
        return None
    return tag if place.may_have_next(tag) else None


def _go_on(place: Place, run: Run, choice: Choice, buffer: Buffer) -> FollowedBy | Wait | None:
    """Add a tag to the run. If the run ends here: what follows it. None if it goes on."""
    if run.tags and not run.is_supported_by(choice.tag):
        return FollowedBy.OTHER
    loops = len(run.tags) >= CLOSING_RUN
    if choice.tag.kind in OPENERS:
        if loops and choice.tag.kind is TagKind.PARAMETER_OPEN and run.closes_call:
            run.end, place.memory.loop = run.tags[-1].end, NO_LOOP
            return FollowedBy.OTHER  # the call goes on, so this was no end of it
        return _end_at_opener(place, run, choice, buffer)
    if loops:
        return _loop_on(place, run, choice, buffer.base)
    return None if _add(run, choice, buffer) else MORE


def _loop_on(place: Place, run: Run, choice: Choice, base: int) -> FollowedBy | None:
    """Another closing tag in a loop, which is not kept. Of a loop that is too long to wait for its end, only
    a value's closing tag is believed. One that does not begin with such a tag repeats its first tag."""
    first, tag = run.tags[0], choice.tag
    if not tag.exact or tag.kind not in CLOSERS or first.kind not in (TagKind.PARAMETER_CLOSE, tag.kind):
        return FollowedBy.OTHER
    loop, goes_on = place.memory.loop, place.memory.loop.end == run.end
    start, kind = (loop.start, loop.kind) if goes_on else (run.end, tag.kind)
    run.end, run.level = base + tag.end, choice.level
    place.memory.loop = Loop(start, run.end, run.level, kind if kind is tag.kind else None)
    if run.end - first.start <= AFTER_CALL:
        return None
    return FollowedBy.END if first.kind is TagKind.PARAMETER_CLOSE else FollowedBy.OTHER


def may_be_tag(place: Place, buffer: Buffer, at: int, same_line: bool) -> bool | Wait:
    """Whether a tag may be at `at`. One that lost its bracket has to start its line."""
    text, over = buffer.text, buffer.over
    if text[at] in OPEN or place.tags.read(text, at, over):
        return True
    if same_line:  # another bracket, or none, with the slash of a closing tag
        partial = not over and _SLASH_PART.fullmatch(text, at)
        return MORE if partial else _SLASH.match(text, at) is not None
    if next_place(text, at, True, place.missing, at + 1) == at:
        return True
    return MORE if not over and held_from(text, at, True, place.missing) <= at else False


def _end_at_opener(place: Place, run: Run, choice: Choice, buffer: Buffer) -> FollowedBy | Wait:
    """Add the opening tag with which a run ends, if a parameter or a call begins there. Return what follows
    the run."""
    tag = choice.tag
    if tag.kind is TagKind.PARAMETER_OPEN:
        named = tag.name and tag.raw.startswith(tag.name)  # it lacks its first tag
        certain = not run.tags or (run.tags[0].exact and not named)
        if not (certain or place.is_free(tag.name)):
            return FollowedBy.OTHER
    else:
        opens = opens_call(place, tag, buffer)
        if opens is MORE:
            return MORE
        if not opens:
            return FollowedBy.OTHER
    run.tags.append(tag.moved(buffer.base))
    run.cost += tag.cost + choice.missing
    run.end = buffer.base + tag.start
    return FollowedBy.PARAMETER if tag.kind is TagKind.PARAMETER_OPEN else FollowedBy.CALL


def _add(run: Run, choice: Choice, buffer: Buffer) -> bool:
    """Add a closing tag to the run; False if more text is needed to tell where it ends."""
    tag = choice.tag
    end = end_of_tag(tag.end, tag.spelt or tag.cost is Cost.SHAPE, buffer.text, buffer.over)
    if end is MORE:
        return False
    if tag.kind is not TagKind.STRAY:
        run.tags.append(tag.moved(buffer.base))
        run.cost += tag.cost + choice.missing
    run.end, run.level = buffer.base + end, choice.level
    return True


def choose(
    place: Place, buffer: Buffer, at: int, level: Level, same_line: bool = False
) -> Choice | Wait | None:
    """The cheapest reading of what is at `at`; None if it is no tag. `same_line`: it follows another
    tag on its line, where a word without a bracket is no tag."""
    seen = _look(place, buffer, at)
    if seen is MORE:
        return MORE
    by = seen.base - buffer.base
    readings = seen.readings if by == 0 else [tag.moved(by) for tag in seen.readings]
    if same_line and readings and not _has_bracket(readings[0]):
        return None
    decided = _with_or_without_slash(place, readings, buffer)
    if decided is MORE:
        return MORE
    return _cheapest(place, decided, level) or _by_shape(place, seen, buffer, level)


def _with_or_without_slash(place: Place, readings: list[Tag], buffer: Buffer) -> list[Tag] | Wait:
    """The readings. If the first is the opening tag of an envelope, the others are its closing tag without
    the slash: it is that if nothing opens in it."""
    if len(readings) < 2 or readings[0].kind is not TagKind.WRAP_OPEN:
        return readings
    opens = readings[0].raw[-1] not in CLOSE or opens_call(place, readings[0], buffer)
    if opens is MORE:
        return MORE
    return readings[:1] if opens else readings[1:]


def _by_shape(place: Place, seen: Seen, buffer: Buffer, level: Level) -> Choice | None:
    """What is seen as the closing tag that is due at a level, if it has the shape of one."""
    token = seen.token
    if token is None or is_cut(token, buffer.text):
        return None
    if not place.inner.may_be_ours(token, after_call=level >= Level.ENVELOPE):
        return None
    after = Level(min(level + 1, Level.NOTHING))
    return Choice(by_place(token, CLOSES_AT[after], Cost.SHAPE).moved(seen.base - buffer.base), after, 0)


def _cheapest(place: Place, readings: list[Tag], level: Level) -> Choice | None:
    """The reading that costs the least at a level; None if none is possible."""
    best, least = None, 0
    for tag in readings:
        choice = _weigh(place, tag, level)
        if best and tag.kind is TagKind.STRAY:
            continue  # that it closes nothing is the weakest reading
        if choice and (best is None or choice.missing + tag.cost < least):
            best, least = choice, choice.missing + tag.cost
    return best


def _look(place: Place, buffer: Buffer, at: int) -> Seen | Wait:
    """What is at `at`. It is remembered, because runs that begin nearby read the same tags."""
    text, over, base = buffer.text, buffer.over, buffer.base
    seen = place.memory.seen.get(base + at)
    if seen is None:
        readings = place.readings(text, at, over)
        if readings is MORE:
            return MORE
        token = None if readings or place.grammar.level == "strict" else read_tag(text, at, over)
        if token is MORE:
            return MORE
        if len(place.memory.seen) > 2 * CLOSING_RUN:
            place.memory.seen = {old: known for old, known in place.memory.seen.items() if old > base + at}
        seen = place.memory.seen[base + at] = Seen(readings, token, base)
    return seen


def _weigh(place: Place, tag: Tag, level: Level) -> Choice | None:
    """What a reading means at a level: what it closes, and what is missing before it; None if it is
    impossible."""
    if tag.cost > Cost.EXACT and tag.raw[1:2] == "/" and place.inner.words.get(tag.raw[2:-1].strip()):
        return None  # the value's own tag
    match tag.kind:
        case TagKind.STRAY:
            return Choice(tag, level, 0) if _may_be_surplus(place, level) else None
        case TagKind.PARAMETER_OPEN | TagKind.NAMELESS_OPEN if not _may_open(place, tag, level):
            return None
    missing = missing_before(tag.kind, level, place.wrapped)
    return Choice(tag, max(level, CLOSED_BY.get(tag.kind, level)), missing)


def _may_be_surplus(place: Place, level: Level) -> bool:
    """Whether a tag that closes nothing may be in a run. At the strict level it may only be at the
    end."""
    end = Level.NOTHING if place.wrapped else Level.ENVELOPE
    return level >= (end if place.grammar.level == "strict" else Level.CALL)


def _may_open(place: Place, tag: Tag, level: Level) -> bool:
    """Whether a parameter may open at a level: between parameters, or in a value that lacks its closing tag,
    at the start of a line."""
    declared = place.tool is not None and place.tool.declares(tag.name)
    if level is Level.CALL:
        return declared or tag.spelt or not tag.name
    opens = tag.raw[1:2] != "/" and place.alone  # a slash is forgiven only where nothing can close
    return level is Level.VALUE and declared and tag.name not in place.given and opens


def opens_call(place: Place, tag: Tag, buffer: Buffer) -> bool | Wait:
    """Whether a call opens with this tag: it has a declared name, or is an envelope with something
    inside. A tag that is only named after a tool proves nothing, unless the open call is written in
    such tags."""
    if tag.kind is TagKind.CALL_OPEN:
        if not (tag.spelt and place.is_tool(tag.name)):
            return False
        if not tag.dialect.by_name:
            return True
        if not place.closes_by_name:
            return False
    return _holds_call(place, tag, buffer)


def _holds_call(place: Place, tag: Tag, buffer: Buffer) -> bool | Wait:
    """Whether JSON follows an opening tag, or a tag that opens something of a call."""
    text = buffer.text
    at = skip_whitespace(text, tag.end)
    if at >= len(text):
        return buffer.over or MORE
    if tag.raw[-1] not in CLOSE and "\n" not in text[tag.end : at]:
        return False  # `[tool_call] [1]`: a link
    return text[at] in "{[" or _opens_inside(place, buffer, at)


def proves(place: Place, tag: Tag, buffer: Buffer) -> bool | Wait:
    """Whether something follows the tag that may stand in a call of this tool.

    After a tag in a dialect table, any tag of a call is enough. After another tag it has to be one of
    the tool's own parameters, or the call's end if the tool requires nothing. There, a tag that is
    only named after a parameter proves nothing.
    """
    text, over = buffer.text, buffer.over
    at = index_after(text, tag)
    if at >= len(text):
        return False if over else MORE
    readings = place.readings(text, at, over)
    if readings is MORE:
        return MORE
    direct = tag.dialect.by_name and not tag.spelt
    if is_by_place(tag) or direct:
        return any(_proves(place, found, direct) for found in readings)
    return any(_is_part(place, found, text[at]) for found in readings)


def _is_part(place: Place, tag: Tag, bracket: str) -> bool:
    """Whether a tag that begins with this character may stand in a call: unless its tool requires nothing,
    none that is surplus, or opens a call of another tool."""
    assert place.tool
    other = tag.kind is TagKind.CALL_OPEN and place.toolset.find(tag.name) not in (None, place.tool)
    if place.tool.required and (other or tag.kind is TagKind.STRAY):
        return False
    return bracket == "<" or tag.kind is TagKind.PARAMETER_OPEN


def _proves(place: Place, tag: Tag, direct: bool) -> bool:
    assert place.tool
    if tag.kind is TagKind.PARAMETER_OPEN:
        return place.tool.declares(tag.name) and (direct or not tag.dialect.by_name)
    return tag.kind is TagKind.CALL_CLOSE and tag.cost is Cost.EXACT and not place.tool.required


def _opens_inside(place: Place, buffer: Buffer, at: int) -> bool | Wait:
    text, over = buffer.text, buffer.over
    envelope = place.grammar.envelope
    if place.own and not place.own.by_name:  # a name alone says nothing, but in calls of this dialect
        envelope = envelope.with_names(place.toolset.names)
    if found := envelope.read(text, at, over):
        return MORE if found is MORE else True
    inner = place.readings(text, at, over)
    if inner is MORE:
        return MORE
    return any(tag.kind in OPENERS and (tag.spelt or tag.kind is not TagKind.WRAP_OPEN) for tag in inner)


def _next_in(run: Run, buffer: Buffer) -> int:
    """The index where the next tag of a run may begin. A surplus bracket belongs to the tag before."""
    end = run.end - buffer.base
    return skip_whitespace(buffer.text, end + (bool(run.tags) and buffer.text.startswith(">", end)))


def _has_bracket(tag: Tag) -> bool:
    raw = tag.raw.lstrip(BLANK)
    return raw[:1] in OPEN or "</" in raw or _SLASH.match(raw) is not None
