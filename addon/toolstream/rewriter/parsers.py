"""Makes the parsers of one streamed answer.

Making one takes as long as reading dozens of frames. So the parser for the content is made before the
answer begins, while nobody waits for a frame.
"""

from contextlib import suppress

from ..ledger import Ledger
from ..parser.parser import ToolCallParser
from ..schema.toolset import Toolset
from ..wire.base import Kind, Wire
from .lanes import Reader, Solid


class Parsers:
    """Makes the parsers for an answer of this API."""

    def __init__(self, wire: Wire, toolset: Toolset, recovery: str, ledger: Ledger) -> None:
        self._asked, self._toolset, self._recovery = wire.asked, toolset, recovery
        self._ledger, self._live, self._solid = ledger, wire.pieces, wire.solid
        self._ready: ToolCallParser | None = None
        if toolset.tools and not wire.asked.unread:
            with suppress(Exception):  # it is made again once there is text, and a failure is noted then
                self._ready = self.new(Kind.CONTENT)

    def reader(self, kind: Kind) -> Reader:
        """The reader for a lane of this kind."""
        ready = self._ready if kind is Kind.CONTENT else None
        if ready:
            self._ready = None
        parser = ready or self.new(kind)
        return Solid(parser) if self._solid else parser

    def new(self, kind: Kind, ledger: Ledger | None = None, live: bool = True) -> ToolCallParser:
        """A new parser for a text of this kind. `ledger` is used in place of the answer's."""
        return ToolCallParser(
            self._toolset,
            recovery=self._recovery,
            parallel=self._asked.parallel,
            live=live and self._live,
            reasoning=kind is Kind.REASONING,
            ledger=self._ledger if ledger is None else ledger,
        )
