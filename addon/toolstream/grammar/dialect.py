"""A dialect is a table: how one family of models or templates spells the tags of a call.

There is one tuple of spellings for each kind of tag. `spelling` explains the words in braces and the `~`.
All other differences between dialects are flags here, so that no state of the parser asks for a dialect
by name.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import Enum

from ..repairs import Repair
from .writing import Writing


class Body(Enum):
    """How a dialect writes the arguments of a call."""

    XML = "xml"  # each in a tag of its own
    JSON = "json"  # one object


@dataclass(frozen=True, eq=False)
class Dialect:
    """One table, and its flags:

    `rank`: if two spellings match, the one of the dialect with the lower rank counts. Dialects without a
    rank come last.
    `level`: the lowest recovery level that reads this dialect.
    `repair`: the repair that reading one of its opening tags counts as.
    `taught`: models are taught exactly these spellings, so a call that keeps to them needs no repair.
    `body`: how arguments are written.
    `needs_no_closer`: a call needs no closing tag of its own.
    `in_values`: its tags are also searched in values that another dialect opened.
    `common`: any XML document may contain its opening tags.
    `by_name`: its tags are named after the tool and the parameters. They are text unless one of the
    tool's own parameters follows.
    `damaged`: its tags are tags of another dialect with something lost or added. Closing tags count as
    repairs, too, and in the middle of a line of a value they are payload.
    `writing`: templates for writing calls, if there are any.
    """

    name: str
    rank: int = 100
    level: str = "tolerant"
    repair: Repair = Repair.FOREIGN_SPELLING
    taught: bool = False
    body: Body = Body.XML
    needs_no_closer: bool = False
    in_values: bool = True
    common: bool = False
    by_name: bool = False
    damaged: bool = False
    writing: Writing | None = None
    wrap_open: tuple[str, ...] = ()
    wrap_close: tuple[str, ...] = ()
    call_open: tuple[str, ...] = ()
    call_in_envelope: tuple[str, ...] = ()
    line_open: tuple[str, ...] = ()
    nameless_open: tuple[str, ...] = ()
    call_close: tuple[str, ...] = ()
    parameter_open: tuple[str, ...] = ()
    parameter_close: tuple[str, ...] = ()
    think_open: tuple[str, ...] = ()
    think_close: tuple[str, ...] = ()
    result_open: tuple[str, ...] = ()
    result_close: tuple[str, ...] = ()
    comment_open: tuple[str, ...] = ()
    stray: tuple[str, ...] = ()

    def spellings(self) -> Iterator[str]:
        """Every spelling of every kind of tag."""
        for field in fields(self):
            value = getattr(self, field.name)
            yield from value if isinstance(value, tuple) else ()


# Of tags that are in no table, and were recognised by their place or by a declared name
BY_PLACE = Dialect("by_place", damaged=True, repair=Repair.DAMAGED_TAG)
BY_NAME = Dialect("by_name", damaged=True, by_name=True, common=True, repair=Repair.DAMAGED_TAG)
