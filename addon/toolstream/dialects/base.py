"""A dialect is a table of tag spellings, one tuple per kind of tag.

In a spelling, `{name}` stands for the name of a function or parameter and `{attributes}`
for whatever else an opening tag may carry before its `>`. Everything else is literal.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """How one family of models or templates spells the tags of a call."""

    name: str
    wrap_open: tuple[str, ...] = ()
    wrap_close: tuple[str, ...] = ()
    call_open: tuple[str, ...] = ()
    call_close: tuple[str, ...] = ()
    parameter_open: tuple[str, ...] = ()
    parameter_close: tuple[str, ...] = ()
    think_open: tuple[str, ...] = ()
    think_close: tuple[str, ...] = ()
    stray: tuple[str, ...] = ()  # closes nothing we know; swallowed right after a call
