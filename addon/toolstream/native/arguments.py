"""The arguments of one call: the reader that they pass through, and what came out of it."""

from typing import Any, Protocol

from ..grammar.text import joined
from ..ledger import Ledger
from ..repairs import Refused, Repair
from ..schema.json_read import Json, loads
from ..schema.schema import Tool
from .reader import ArgumentsReader, Findings


class Arguments:
    """Reads the arguments of one call, and keeps what `reader` has given out. `findings` holds everything
    else that is known about them."""

    def __init__(self, reader: ArgumentsReader, findings: Findings) -> None:
        self._reader, self.findings = reader, findings
        self._sent: list[str] = []
        self._closed = False
        self.fed = 0  # characters that have come

    @property
    def pending(self) -> str:
        """Arguments that were received and not given out."""
        return self._reader.pending

    @property
    def held(self) -> int:
        """The number of characters of those."""
        return self._reader.held

    @property
    def text(self) -> str:
        """All that was given out."""
        return "".join(self._sent)

    @property
    def broken(self) -> bool:
        """Whether they are over and not one JSON object."""
        return self._closed and not self.findings.complete

    @property
    def value(self) -> Any:
        """The arguments as a value, if they are complete; else None."""
        return loads(joined(self.text)) if self.findings.complete else None

    @property
    def can_end(self) -> bool:
        """Whether only a complete `{}` is held: some engines send one before the real object."""
        return self.held in (1, 2) and self.pending in ("}", "{}")

    def count(self, repair: Repair) -> None:
        """Count a repair that is made elsewhere, once for these arguments."""
        self.findings.count(repair, changes=False)

    def feed(self, text: str) -> str:
        """Take the next piece."""
        out = self._reader.feed(text)
        self.fed += len(text)
        if out:
            self._sent.append(out)
        return out

    def close(self, stopped: bool) -> str:
        """The arguments are over. `stopped`: because the model stopped by itself."""
        if self._closed:
            return ""
        self._closed = True
        out = self._reader.close(stopped)
        self._sent.append(out)
        if stopped and not self.findings.complete:
            self.findings.refuse(Refused.INVALID_JSON, self.text)
        return out


class NewArguments(Protocol):
    """Makes the reader for the arguments of a call of this tool. `preset` are members that came in place
    of the tool's name. Repairs and refusals go into `ledger`."""

    def __call__(self, tool: Tool, ledger: Ledger, preset: Json | None = None) -> Arguments: ...
