"""A tag that was found in a text."""

from dataclasses import dataclass

from ..repairs import Repair
from .dialect import Body, Dialect
from .kinds import CALL_CLOSERS, CALL_OPENERS, CLOSERS, Cost, TagKind


@dataclass(slots=True)  # not frozen: that would take four times as long to make
class Tag:
    """A complete tag at text[start:end]. `name` has no whitespace around it, and is empty for closing
    tags."""

    kind: TagKind
    name: str
    start: int
    end: int
    raw: str
    dialect: Dialect
    cost: Cost = Cost.TABLE

    @property
    def ends_itself(self) -> bool:
        """Whether it opens and closes at once: `<function=now/>`."""
        return self.raw.endswith("/>") and self.dialect.body is Body.XML

    @property
    def lacks_bracket(self) -> bool:
        """Whether it does not end with a bracket, as a tag does."""
        return self.raw[-1] != ">"

    @property
    def lacks_slash(self) -> bool:
        """Whether it is a closing tag by its place alone, and an opening one by its letters."""
        return self.kind in CLOSERS and "/" not in self.raw

    @property
    def lacks_quote(self) -> bool:
        """Whether only one quote is in it."""
        return self.raw.count('"') == 1

    @property
    def damaged(self) -> bool:
        """Whether something about it had to be repaired."""
        return self.dialect.damaged or self.cost > Cost.TABLE

    @property
    def repair(self) -> Repair:
        """The repair that reading it counts as."""
        return Repair.DAMAGED_TAG if self.cost > Cost.TABLE else self.dialect.repair

    @property
    def opens_call(self) -> bool:
        """Whether it opens a call, or the envelope of calls."""
        return self.kind in CALL_OPENERS

    @property
    def closes_call(self) -> bool:
        """Whether it closes a call, or the envelope of calls."""
        return self.kind in CALL_CLOSERS

    @property
    def exact(self) -> bool:
        """Whether it is spelt to the letter."""
        return self.cost is Cost.EXACT

    @property
    def closes_exactly(self) -> bool:
        """Whether it is the exact closing tag of a parameter."""
        return self.kind is TagKind.PARAMETER_CLOSE and self.cost is Cost.EXACT

    @property
    def spelt(self) -> bool:
        """Whether it is in a dialect table, exactly or tolerantly."""
        return self.cost <= Cost.TABLE

    def moved(self, by: int) -> "Tag":
        """The same tag, with its indexes moved."""
        if by == 0:
            return self
        return Tag(self.kind, self.name, self.start + by, self.end + by, self.raw, self.dialect, self.cost)
