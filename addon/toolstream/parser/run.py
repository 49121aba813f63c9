"""A run: tags in a row that may close what is open, and what that costs (P21)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import NamedTuple

from ..grammar.kinds import Cost, TagKind
from ..grammar.tag import Tag
from ..grammar.tokens import Token
from ..limits import CLOSING_RUN


class Level(IntEnum):
    """What a run of tags has closed so far."""

    VALUE = 0  # nothing: a value is open
    CALL = 1  # the value
    ENVELOPE = 2  # the call
    NOTHING = 3  # the envelope


class FollowedBy(Enum):
    """What follows a run of tags."""

    END = 0  # of the message; or more closing tags than are waited for
    PARAMETER = 1  # one opens
    CALL = 2  # a call, or its envelope, opens
    OTHER = 3


@dataclass(slots=True)
class Run:
    """Tags in a row, at positions in the message. `level`: what they close."""

    tags: list[Tag]
    end: int
    level: Level
    cost: int = 0
    followed_by: FollowedBy | None = None  # None while it takes more text to tell
    begins_in_loop: bool = False  # of closing tags, which another run has read

    @property
    def closes_call(self) -> bool:
        """Whether it closes the call, and perhaps its envelope."""
        return self.level >= Level.ENVELOPE

    @property
    def ends_message(self) -> bool:
        """Whether it closes the call, and the message ends after it."""
        return self.closes_call and self.followed_by is FollowedBy.END

    @property
    def has_exact_end(self) -> bool:
        """Whether the exact closing tag of the call comes after its first tag."""
        return len(self.tags) > 1 and self.tags[1].kind is TagKind.CALL_CLOSE and self.tags[1].exact

    @property
    def is_before_next(self) -> bool:
        """Whether it ends with that tag, and perhaps that of the envelope, and then another call opens."""
        return self.has_exact_end and self.followed_by is FollowedBy.CALL

    @property
    def in_loop(self) -> bool:
        """Whether its tags say nothing about what comes before them: a model that is caught in a loop writes
        the same closing tags again and again."""
        return self.begins_in_loop or (self.ends_message and len(self.tags) >= CLOSING_RUN)

    @property
    def is_before_text(self) -> bool:
        """Whether it ends, and text follows it."""
        return self.followed_by is FollowedBy.OTHER

    @property
    def ends_calls(self) -> bool:
        """Whether the message ends after it, or the next call opens."""
        return self.followed_by in (FollowedBy.END, FollowedBy.CALL)

    @property
    def closes_one_call(self) -> bool:
        """Whether it is the closing tags of one call, and the next call or the end of the message follows."""
        return self.count(TagKind.PARAMETER_CLOSE) == 1 and self.closes_call and self.ends_calls

    @property
    def sibling(self) -> Tag | None:
        """The opening tag of another parameter, which comes last in it; None if there is none."""
        return self.tags[-1] if self.followed_by is FollowedBy.PARAMETER else None

    @property
    def has_closed_call(self) -> bool:
        """Whether tags of its own have closed the call, or its envelope, and none by its mere shape."""
        costs = [tag.cost for tag in self.tags if tag.closes_call]
        return bool(costs) and max(costs) <= Cost.ALIKE

    def is_supported_by(self, tag: Tag) -> bool:
        """Whether another tag is evidence for the first one: not if both are unknown words, or both are
        misspelt closing tags of a value."""
        first = self.tags[0]
        twice = tag.kind is first.kind is TagKind.PARAMETER_CLOSE and not (tag.spelt or first.spelt)
        return not (twice or tag.cost is first.cost is Cost.SHAPE)

    def count(self, kind: TagKind) -> int:
        """How many of its tags are of this kind."""
        return sum(tag.kind is kind for tag in self.tags)


@dataclass(frozen=True, slots=True)
class KnownChain:
    """Tags in a row that were read, at positions in the message. `start`: that of the first tag, and whether
    an envelope is open around them. `end`: reading them again continues there. `fence`: as in `Chain`."""

    start: tuple[int, bool]
    wraps: Sequence[Tag]
    end: int
    fence: str


@dataclass(slots=True)
class Choice:
    """The tag that is chosen at a level, what the run has closed after it, and the cost of the tags that
    are missing before it."""

    tag: Tag
    level: Level
    missing: int


@dataclass(slots=True)
class Seen:
    """What is at a place, with indexes counted from the position `base`: all tags that it may be, and the
    token."""

    readings: list[Tag]
    token: Token | None
    base: int


class Loop(NamedTuple):
    """Closing tags from the position `start` to `end` that a run did not keep, and what they close. `kind`:
    that of all of them, if it is the same."""

    start: int = 0
    end: int = 0
    level: Level = Level.VALUE
    kind: TagKind | None = None

    def has(self, position: int) -> bool:
        """Whether this position is in it."""
        return self.start <= position < self.end


NO_LOOP = Loop()


@dataclass(slots=True)
class Memory:
    """What need not be read again: runs by their position and level, what is seen at a position, the tags in
    the last long run, and from where to where tokens that end a turn stand."""

    loop: Loop = NO_LOOP
    tokens: tuple[int, int] = 0, 0
    runs: dict[tuple[int, Level], Run] = field(default_factory=dict)
    seen: dict[int, Seen] = field(default_factory=dict)

    def clear(self) -> None:
        self.runs.clear()
        self.seen.clear()


# How far a closing tag closes
CLOSED_BY = {
    TagKind.PARAMETER_CLOSE: Level.CALL,
    TagKind.CALL_CLOSE: Level.ENVELOPE,
    TagKind.WRAP_CLOSE: Level.NOTHING,
}
CLOSES_AT = {level: kind for kind, level in CLOSED_BY.items()}
# The cost of what is missing before a tag, or surplus, at each level: 4 for one tag, 8 for two, 12 for three;
# 1 for a tag that closes what is closed
_MISSING = {
    TagKind.PARAMETER_CLOSE: (0, 1, 1, 1),
    TagKind.CALL_CLOSE: (Cost.MISSING, 0, 1, 1),
    TagKind.WRAP_CLOSE: (8, Cost.MISSING, 0, 1),
    TagKind.PARAMETER_OPEN: (Cost.MISSING, 0, 0, 0),
    TagKind.NAMELESS_OPEN: (Cost.MISSING, 0, 0, 0),
    TagKind.CALL_OPEN: (8, Cost.MISSING, 0, 0),
    TagKind.WRAP_OPEN: (12, 8, Cost.MISSING, 0),
}
# The same for the tags of an envelope, if none is open
_UNWRAPPED = {TagKind.WRAP_OPEN: (8, 6, 4, 2), TagKind.WRAP_CLOSE: (9, Cost.MISSING + 1, 1, 2)}


def missing_before(kind: TagKind, level: Level, wrapped: bool) -> int:
    """The cost of the tags that are missing before a tag of this kind, at this level. `wrapped`: an envelope
    is open."""
    known = {} if wrapped else _UNWRAPPED
    return known.get(kind, _MISSING[kind])[level]
