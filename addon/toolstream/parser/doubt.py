"""A doubt about a call in another: it may be quoted in a value of which the opening tag is lost. Then one
closing tag too many follows.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..grammar.kinds import TagKind
from ..grammar.matcher import TagMatcher
from ..grammar.tag import Tag
from ..limits import SPELLING
from .buffer import Buffer


@dataclass(slots=True)
class Doubt:
    """A call may be quoted. It was read up to the position `read_to`, at first that of its opening tag.
    `tags`: those of the open call. `ends`: how a tag ends if it is in quotation marks."""

    read_to: int
    tags: TagMatcher
    ends: str = ""
    parameters: int = 0  # how many are open
    calls: int = 0
    closes: bool = False  # a parameter is closed that was not open

    def note(self, tag: Tag, text: str) -> None:
        """A parameter opens with this tag. One in a dialect table is read with the text."""
        self.parameters += self.tags.match(text, tag.start) is None

    def is_quoted(self, buffer: Buffer) -> bool:
        """Whether that is so, as far as the text is understood."""
        if buffer.position > self.read_to:
            self._read(buffer.since(self.read_to))
            self.read_to = buffer.position
        return self.closes

    def is_whole(self, buffer: Buffer) -> bool:
        """Whether what was understood is nothing but calls with all of their closing tags."""
        return not (self.is_quoted(buffer) or self.parameters or self.calls)

    def _read(self, text: str) -> None:
        self.closes = self.closes or (self.ends != "" and self.ends in text)
        at = text.find("<")
        while at >= 0 and not self.closes:
            if tag := self.tags.match(text[at : at + SPELLING], 0):
                self._count(tag.kind)
            at = text.find("<", at + 1)

    def _count(self, kind: TagKind) -> None:
        self.parameters += (kind is TagKind.PARAMETER_OPEN) - (kind is TagKind.PARAMETER_CLOSE)
        self.calls += (kind is TagKind.CALL_OPEN) - (kind is TagKind.CALL_CLOSE)
        self.closes = self.parameters < 0
