"""Whether a run of tags is believed to end a value: by the spelling of its tags, by what it would cost,
and by what follows it (P21).
"""

from __future__ import annotations

from enum import Enum

from ..grammar.brackets import CLOSE
from ..grammar.kinds import CALL_CLOSERS, Cost, TagKind, Wait
from ..grammar.tag import Tag
from ..limits import NO_END
from .by_place import OPENERS
from .elements import ELEMENTS
from .open_value import Value
from .run import CLOSED_BY, FollowedBy, Level, Run


class Payload(Enum):
    """How much of a tag in a value is payload, if it does not end the value."""

    TAG = 0  # its bracket: another tag may begin directly after that
    EXAMPLE = 1  # all of it


# The run of tags before which the value ends; or that the tag is payload; or MORE
Judgement = Run | Payload | Wait


def is_misspelt(run: Run) -> bool:
    """Whether the run is too damaged to be believed in the middle of a line. Damage is accepted if
    another tag cuts the first one off, if the next parameter opens, or if the message ends with all tags
    that close the call."""
    first = run.tags[0]
    if not (first.damaged or first.raw[0] != "<" or first.lacks_bracket):
        return False
    return len(run.tags) == 1 or not (run.ends_message or _is_cut_off_by(first, run.tags[1]))


def _is_cut_off_by(first: Tag, following: Tag) -> bool:
    """Whether a damaged tag is believed because of the one after it: that begins where it breaks off, or is
    that of the next parameter, and it begins as a tag itself."""
    if not following.spelt:
        return False
    begins = first.raw[0] == "<" or first.raw[1:2] == "/"
    return following.start == first.end or (begins and following.kind is TagKind.PARAMETER_OPEN)


def is_complete(value: Value, run: Run, alone: bool) -> bool:
    """Whether a run that text follows has all the tags that close a call."""
    first = run.tags[0]
    if first.kind is TagKind.CALL_CLOSE:  # its own closing tag is missing: all others have to be there
        return alone and _closes_all_exactly(run)
    if first.kind is not TagKind.PARAMETER_CLOSE or _begins_later(value, run):
        return False
    return first.spelt or (alone and first.cost is Cost.ALIKE and any(tag.spelt for tag in run.tags))


def _closes_all_exactly(run: Run) -> bool:
    """Whether the exact tags of a run begin with those that close a call and its envelope."""
    exact = tuple(tag.kind for tag in run.tags if tag.exact)
    return exact[:2] == CALL_CLOSERS or exact[:3] == (
        CALL_CLOSERS[0],
        TagKind.PARAMETER_CLOSE,
        CALL_CLOSERS[1],
    )


def _cost_of_rest(tags: list[Tag]) -> int:
    """What these tags of a run cost if those before them are payload."""
    return NO_END if tags[0].kind in OPENERS or not tags[0].spelt else _cost(tags)


def _cost(tags: list[Tag]) -> int:
    """What the tags of a run cost in a value, and those that are missing between them."""
    level, cost = Level.VALUE, 0
    for tag in tags:
        if tag.kind in CLOSED_BY:
            after = CLOSED_BY[tag.kind]
            cost += tag.cost + (Cost.MISSING * (after - 1 - level) if after > level else Cost.TABLE)
            level = max(level, Level.ENVELOPE if tag.dialect.needs_no_closer else after)
    return cost


def _begins_later(value: Value, run: Run) -> bool:
    """Whether the first tags of a run are payload, because less is wrong with the rest alone. An exact first
    tag that the value cannot have opened is payload only if the rest is perfect, for closing tags may be out
    of order or doubled. So are all tags but the last if a run closes the call, then the value, and another
    parameter follows."""
    first = run.tags[0]
    if run.sibling and goes_on(run.tags):
        return True
    if first.kind is TagKind.PARAMETER_CLOSE and (first.exact or first.dialect is ELEMENTS):
        return False
    most, is_ours = _cost(run.tags), _is_ours(value, run)
    for i in range(1, len(run.tags)):
        rest, cost = run.tags[i:], _cost_of_rest(run.tags[i:])
        if (cost == 0 and _closes_call(rest)) if is_ours else cost < most:
            return True
    return False


def _is_ours(value: Value, run: Run) -> bool:
    """Whether a run begins with a tag that closes a call, and the value contains no opening tag it could
    belong to."""
    first = run.tags[0]
    closes = first.kind in CLOSED_BY and first.exact and run.closes_call
    return closes and not value.opened.any_tag and run.ends_calls


def _closes_call(tags: list[Tag]) -> bool:
    """Whether one of these tags closes a call."""
    return any(tag.closes_call for tag in tags)


def is_believed(value: Value, run: Run, alone: bool) -> bool:
    """Whether the first tag of a run in a value ends the value. `alone`: it starts its line."""
    if not run.tags or run.is_before_text or _begins_later(value, run):
        return False
    if run.level is Level.VALUE and not run.sibling:
        return False  # it closes nothing
    first, rest = run.tags[0], run.tags[1:]
    if first.spelt:
        return first.kind in (TagKind.PARAMETER_CLOSE, *OPENERS) or run.closes_call
    if first.cost is Cost.ALIKE:
        return _speaks_for_likeness(run, rest, alone)
    return alone and _speaks_for_shape(run, rest)


def _speaks_for_likeness(run: Run, rest: list[Tag], alone: bool) -> bool:
    """Whether what follows a tag is evidence enough, if the tag is nearly a known one."""
    if run.followed_by is FollowedBy.CALL and not run.closes_call:
        return False
    if _begins_opener(run.tags[0]):
        return False
    if run.ends_message or any(tag.spelt for tag in rest):
        return True
    return alone and (bool(rest) or run.followed_by is FollowedBy.END)


def _begins_opener(tag: Tag) -> bool:
    """Whether a tag that is nearly one that closes more than a value may be the beginning of an opening
    tag: it has neither a slash nor its last bracket."""
    return tag.kind is not TagKind.PARAMETER_CLOSE and "/" not in tag.raw and tag.raw[-1] not in CLOSE


def _speaks_for_shape(run: Run, rest: list[Tag]) -> bool:
    """Whether what follows a tag is evidence enough, if the tag only has the right shape."""
    sure = any(tag.spelt or tag.kind is TagKind.PARAMETER_OPEN for tag in rest)
    closes = run.sibling is not None or run.closes_call
    return sure and closes and rest[0].cost <= Cost.ALIKE


def goes_on(tags: list[Tag]) -> bool:
    """Whether a value is closed in a run after the end of a call: then that was the end of an example."""
    ends = next((i for i, tag in enumerate(tags) if tag.closes_call), len(tags))
    return any(tag.kind is TagKind.PARAMETER_CLOSE for tag in tags[ends:])


def is_cut_off_by_ours(run: Run) -> bool:
    """Whether a run within a line ends the call, before the end of the message or another call; or the next
    parameter opens directly after its first tag."""
    if run.sibling:
        return len(run.tags) == 2 and run.tags[1].start == run.tags[0].end
    return run.ends_message or run.is_before_next
