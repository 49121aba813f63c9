"""A dialect is a table of tag spellings, one tuple per kind of tag.

In a spelling everything is literal but the names in braces, which `grammar` explains, and `~`:
what stands behind it is no part of the tag, but has to follow it, blanks between them or not.
"""

from dataclasses import dataclass

from ..repairs import Repair


@dataclass(frozen=True)
class Dialect:
    """How one family of models or templates spells the tags of a call.

    `level` is the lowest recovery level that reads it. `repair` is what reading one of its opening
    tags is called; None for the canonical dialect.
    """

    name: str
    level: str = "tolerant"
    repair: Repair | None = Repair.FOREIGN_SPELLING
    wrap_open: tuple[str, ...] = ()
    wrap_close: tuple[str, ...] = ()
    call_open: tuple[str, ...] = ()
    call_close: tuple[str, ...] = ()
    parameter_open: tuple[str, ...] = ()
    parameter_close: tuple[str, ...] = ()
    think_open: tuple[str, ...] = ()
    think_close: tuple[str, ...] = ()
    stray: tuple[str, ...] = ()  # closes nothing we know; swallowed right after a call
