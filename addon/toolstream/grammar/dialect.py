"""A dialect is a table of tag spellings, one tuple per kind of tag.

In a spelling everything is literal but the words in braces, which `grammar` explains, and `~`:
what stands behind it is no part of the tag, but has to follow it, blanks between them or not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

from ..repairs import Repair


@dataclass(frozen=True)
class Dialect:
    """How one family of models or templates spells the tags of a call.

    `level` is the lowest recovery level that reads it, `repair` what reading one of its opening tags
    is called. `closed`: a call needs no closing tag of its own. `in_values`: its tags are looked for in
    the values of other dialects. `common`: documents in XML may have its opening tags as well.
    """

    name: str
    level: str = "tolerant"
    repair: Repair = Repair.FOREIGN_SPELLING
    closed: bool = False
    in_values: bool = True
    common: bool = False
    wrap_open: tuple[str, ...] = ()
    wrap_close: tuple[str, ...] = ()
    call_open: tuple[str, ...] = ()
    call_in_envelope: tuple[str, ...] = ()  # opens a call only right behind the opening tag of an envelope
    line_open: tuple[str, ...] = ()  # opens a call only at the start of a line
    nameless_open: tuple[str, ...] = ()  # opens a call and does not say of which tool
    call_close: tuple[str, ...] = ()
    parameter_open: tuple[str, ...] = ()
    parameter_close: tuple[str, ...] = ()
    think_open: tuple[str, ...] = ()
    think_close: tuple[str, ...] = ()
    result_open: tuple[str, ...] = ()
    result_close: tuple[str, ...] = ()
    comment_open: tuple[str, ...] = ()
    stray: tuple[str, ...] = ()  # closes nothing we know; swallowed right after a call

    def spellings(self) -> Iterator[str]:
        """Every spelling of every kind of tag."""
        for field in fields(self):
            value = getattr(self, field.name)
            yield from value if isinstance(value, tuple) else ()
