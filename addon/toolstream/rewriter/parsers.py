"""Makes the parsers of one streamed answer.

Making one takes as long as reading dozens of frames. So the parser for the content is made before the
answer begins, while nobody waits for a frame.
"""

from collections.abc import Callable
from contextlib import suppress

from ..ledger import Ledger
from ..wire.base import Kind, Wire
from .lanes import Reader, Solid


class Parsers:
    """Makes the parsers for an answer of this API. `make` makes one for its tools."""

    def __init__(self, make: Callable[..., Reader], wire: Wire, ledger: Ledger) -> None:
        self._make, self._ledger = make, ledger
        self._live, self._solid = wire.pieces, wire.solid
        self._ready: Reader | None = None

    def prepare(self) -> None:
        """Make the parser for the content ahead."""
        with suppress(Exception):  # it is made again once there is text, and a failure is noted then
            self._ready = self.new(Kind.CONTENT)

    def reader(self, kind: Kind) -> Reader:
        """The reader for a lane of this kind."""
        ready = self._ready if kind is Kind.CONTENT else None
        if ready:
            self._ready = None
        parser = ready or self.new(kind)
        return Solid(parser) if self._solid else parser

    def new(self, kind: Kind, ledger: Ledger | None = None, live: bool = True) -> Reader:
        """A new parser for a text of this kind. `ledger` is used in place of the answer's."""
        return self._make(
            live=live and self._live,
            reasoning=kind is Kind.REASONING,
            ledger=self._ledger if ledger is None else ledger,
        )
