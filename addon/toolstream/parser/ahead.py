"""The tags that stand further on in a value, where they are evidence for what stands before them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

from ..grammar.kinds import MORE, Wait
from ..grammar.tag import Tag
from ..grammar.tokens import next_place
from .buffer import Buffer
from .open_value import Value
from .place import Place


def readings_after(
    place: Place, buffer: Buffer, value: Value, start: int, end: int
) -> Iterator[tuple[int, Tag | Wait | None]]:
    """The indexes from `start` to `end` where a tag may be, each with its likeliest reading. Of what comes
    after MORE nothing is known."""
    text, at = buffer.text, start
    while 0 <= (at := next_place(text, at)) < end:
        yield at, first_reading(place, buffer, value, at)
        at += 1
    if len(text) < end and not buffer.over:
        yield len(text), MORE


def first_reading(place: Place, buffer: Buffer, value: Value, at: int) -> Tag | Wait | None:
    """The likeliest reading of what stands at `at`. To strict, another dialect's call is one, too."""
    text, over = buffer.text, buffer.over
    readings = place.readings(text, at, over)
    if readings is MORE:
        return MORE
    if readings or place.grammar.level != "strict":
        return readings[0] if readings else None
    if not over and value.tables.within.may_begin(text, at):
        return MORE
    return value.tables.within.match(text, at)


def is_exact(tag: Tag | None) -> TypeGuard[Tag]:
    """Whether there is a tag that is spelt to the letter, and not only named after a tool or parameter."""
    return tag is not None and tag.exact and not tag.dialect.by_name


def is_alone(buffer: Buffer, after: int, at: int) -> bool:
    """Whether only an indentation stands before this index on its line, after the position `after`."""
    text = buffer.text
    return not text[text.rfind("\n", after - buffer.base, at) + 1 : at].strip()
