"""Whether a run of tags is believed to end a value: by the spelling of its tags, by what it would cost,
and by what follows it (P21).
"""

from __future__ import annotations

from enum import Enum

from ..grammar.brackets import CLOSE
from ..grammar.kinds import Cost, TagKind, Wait
from ..grammar.tag import Tag
from ..limits import NO_END
from .by_place import OPENERS
from .elements import ELEMENTS
from .open_value import Value
from .run import CLOSED_BY, FollowedBy, Level, Run


class Payload(Enum):
    """What a tag in a value is that does not end it."""

    TAG = 0  # a bracket
    EXAMPLE = 1  # all of it is


Judgement = Run | Payload | Wait


def is_misspelt(run: Run) -> bool:
    """Whether the run is too damaged to be believed in the middle of a line. Damage is accepted if
    another tag cuts the first one off, if the next parameter opens, or if the message ends with all tags
    that close the call."""
    first, rest = run.tags[0], run.tags[1:]
    if rest and run.followed_by is FollowedBy.END and run.level >= Level.ENVELOPE:
        return False
    if rest and rest[0].spelt:
        adjacent, opens = rest[0].start == first.end, rest[0].kind is TagKind.PARAMETER_OPEN
        if adjacent or (opens and (first.raw[0] == "<" or first.raw[1:2] == "/")):
            return False
    return first.damaged or first.raw[0] != "<" or first.lacks_bracket


def is_complete(value: Value, run: Run, alone: bool) -> bool:
    """Whether a run that text follows has all the tags that close a call."""
    first = run.tags[0]
    if first.kind is TagKind.CALL_CLOSE:  # its own closing tag is missing: all others have to be there
        exact = [tag.kind for tag in run.tags if tag.cost is Cost.EXACT]
        return alone and exact[:2] == [TagKind.CALL_CLOSE, TagKind.WRAP_CLOSE]
    if first.kind is not TagKind.PARAMETER_CLOSE or _begins_later(value, run):
        return False
    spelt = sum(tag.spelt for tag in run.tags)
    return first.spelt or (alone and first.cost is Cost.ALIKE and spelt >= 1)


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
            level = max(level, Level.ENVELOPE if tag.dialect.closed else after)
    return cost


def _begins_later(value: Value, run: Run) -> bool:
    """Whether less is wrong with a run if its first tags are payload. An exact first tag that the value
    cannot have opened is only payload if the rest is perfect: closing tags may be out of order, or
    doubled. If a run closes the call and then the value, and another parameter follows, it is the end of
    its last tag only."""
    first = run.tags[0]
    if run.followed_by is FollowedBy.PARAMETER and goes_on(run.tags):
        return True
    if first.kind is TagKind.PARAMETER_CLOSE and (first.cost is Cost.EXACT or first.dialect is ELEMENTS):
        return False
    rests = [run.tags[i:] for i in range(1, len(run.tags))]
    if _is_ours(value, run):
        return any(_closes(rest) and not _cost_of_rest(rest) for rest in rests)
    return any(_cost_of_rest(rest) < _cost(run.tags) for rest in rests)


def _is_ours(value: Value, run: Run) -> bool:
    """Whether a run begins with a tag that closes a call, and the value contains no opening tag it could
    belong to."""
    first = run.tags[0]
    closes = first.kind in CLOSED_BY and first.cost is Cost.EXACT and run.level >= Level.ENVELOPE
    return closes and not value.opened.any_tag and run.followed_by in (FollowedBy.END, FollowedBy.CALL)


def _closes(tags: list[Tag]) -> bool:
    """Whether these tags close a call."""
    return any(tag.kind in (TagKind.CALL_CLOSE, TagKind.WRAP_CLOSE) for tag in tags)


def is_believed(value: Value, run: Run, alone: bool) -> bool:
    """Whether the first tag of a run in a value ends the value. `alone`: it starts its line."""
    if not run.tags or run.followed_by is FollowedBy.OTHER:
        return False
    if run.level is Level.VALUE and run.followed_by is not FollowedBy.PARAMETER:
        return False  # it closes nothing
    first, rest = run.tags[0], run.tags[1:]
    if _begins_later(value, run):
        return False
    if first.spelt:
        return first.kind in (TagKind.PARAMETER_CLOSE, *OPENERS) or run.level >= Level.ENVELOPE
    if first.cost is Cost.ALIKE:
        return _speaks_for_likeness(run, rest, alone)
    return alone and _speaks_for_shape(run, rest)


def _speaks_for_likeness(run: Run, rest: list[Tag], alone: bool) -> bool:
    """Whether what follows a tag is evidence enough, if the tag is nearly a known one."""
    if run.followed_by is FollowedBy.CALL and run.level < Level.ENVELOPE:
        return False
    first = run.tags[0]
    if first.kind is not TagKind.PARAMETER_CLOSE and "/" not in first.raw and first.raw[-1] not in CLOSE:
        return False  # the beginning of an opening tag
    ends = run.followed_by is FollowedBy.END and (alone or run.level >= Level.ENVELOPE)
    return any(tag.spelt for tag in rest) or ends or (alone and bool(rest))


def _speaks_for_shape(run: Run, rest: list[Tag]) -> bool:
    """Whether what follows a tag is evidence enough, if the tag only has the right shape."""
    sure = any(tag.spelt or tag.kind is TagKind.PARAMETER_OPEN for tag in rest)
    closes = run.followed_by is FollowedBy.PARAMETER or run.level >= Level.ENVELOPE
    return sure and closes and rest[0].cost <= Cost.ALIKE


def goes_on(tags: list[Tag]) -> bool:
    """Whether a value is closed in a run after the end of a call: then that was the end of an example."""
    kinds = [tag.kind for tag in tags]
    ends = [i for i, kind in enumerate(kinds) if kind in (TagKind.CALL_CLOSE, TagKind.WRAP_CLOSE)]
    return bool(ends) and TagKind.PARAMETER_CLOSE in kinds[ends[0] :]


def is_cut_off_by_ours(run: Run) -> bool:
    """Whether a run within a line ends the message with the call, or the next parameter directly after its
    first tag."""
    if run.followed_by is FollowedBy.PARAMETER:
        return len(run.tags) == 2 and run.tags[1].start == run.tags[0].end
    return run.followed_by is FollowedBy.END and run.level >= Level.ENVELOPE
