"""The tags that are searched outside of calls, with the names that the request declares."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Protocol, Self

from ..grammar.kinds import TagKind
from ..grammar.likeness import is_structural
from ..grammar.matcher import TagMatcher
from ..grammar.names import Names
from ..grammar.tokens import Lost
from ..limits import WORDS
from ..schema.declared import DeclaredTools

BEGINS_UNTAGGED = re.compile(r"[{\[`~C]")  # an untagged call: JSON, a fence, `Calling tool:`


class Openers(Protocol):
    """What may open a call."""

    openers: TagMatcher
    lines: TagMatcher
    envelope: TagMatcher
    after: TagMatcher

    def nearly_wraps(self, word: str) -> bool: ...

    def lost(self, kinds: tuple[TagKind, ...]) -> Lost: ...


@dataclass(frozen=True, slots=True)
class Lookout:
    """One matcher for each state. `lines`: what opens an untagged call at the start of a line. `missing`:
    opening tags without their bracket."""

    grammar: Openers
    names: Names
    openers: TagMatcher
    lines: TagMatcher
    envelope: TagMatcher
    after: TagMatcher
    missing: Lost
    _of_no_call: dict[str, bool] = field(default_factory=dict)

    def is_of_no_call(self, word: str) -> bool:
        """Whether a tag with this word, in the middle of a line, cannot belong to a call."""
        known = self._of_no_call.get(word)
        if known is None:
            ours = word in self.openers.words or is_structural(word) or self.names.has("tool", word)
            known = not (ours or self.grammar.nearly_wraps(word))
            if len(self._of_no_call) < WORDS:
                self._of_no_call[word] = known
        return known

    @classmethod
    def of(cls, toolset: DeclaredTools, grammar: Openers) -> Self:
        """What to search in an answer to a request with these tools."""
        names = toolset.names
        return cls(
            grammar,
            names,
            grammar.openers.with_names(names),
            grammar.lines.with_names(names),
            grammar.envelope.with_names(names),
            grammar.after.with_names(names),
            grammar.lost((TagKind.WRAP_OPEN,)),
        )
