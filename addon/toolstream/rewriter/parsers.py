"""The parsers of one streamed answer.

To make one takes as long as dozens of frames. So the one for the content is made before the answer begins,
while nobody waits for a frame.
"""

from contextlib import suppress

from ..parser.parser import ToolCallParser
from ..repairs import Ledger
from ..schema.toolset import Toolset
from ..wire.base import Asked, Kind


class Parsers:
    """Makes them. `live`: calls may leave before they are complete."""

    def __init__(self, asked: Asked, toolset: Toolset, recovery: str, ledger: Ledger, live: bool) -> None:
        self._asked, self._toolset, self._recovery = asked, toolset, recovery
        self._ledger, self._live = ledger, live
        self._ready: ToolCallParser | None = None
        if toolset.tools and not asked.unread:
            with suppress(Exception):  # it is tried again once there is text, and noted then
                self._ready = self.new(Kind.CONTENT)

    def reader(self, kind: Kind) -> ToolCallParser:
        """The parser for a lane of this kind."""
        ready = self._ready
        if ready is None or kind is not Kind.CONTENT:
            return self.new(kind)
        self._ready = None
        return ready

    def new(self, kind: Kind, ledger: Ledger | None = None, live: bool = True) -> ToolCallParser:
        """A new parser for a text of this kind; `ledger` in place of the answer's."""
        return ToolCallParser(
            self._toolset,
            recovery=self._recovery,
            parallel=self._asked.parallel,
            live=live and self._live,
            reasoning=kind is Kind.REASONING,
            ledger=self._ledger if ledger is None else ledger,
        )
