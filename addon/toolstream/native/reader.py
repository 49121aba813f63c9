"""What all readers of a server's arguments have in common.

The arguments pass through readers that are nested like pipes: `Mender` corrects the JSON,
`RuledArguments` applies the user's rules. Each takes text and gives out the text to send. Everything else
that they find out goes into one `Findings`.
"""

from typing import Protocol

from ..events import Event
from ..ledger import Ledger
from ..repairs import Applied, Refused, Repair
from ..schema.schema import Tool

Calls = list[tuple[str, str]]  # name, arguments


class ArgumentsReader(Protocol):
    """Reads the arguments of one call. Neither `feed` nor `close` raises for any text."""

    @property
    def pending(self) -> str:
        """Text that was received and not given out."""
        ...

    @property
    def held(self) -> int:
        """The number of characters of that text."""
        ...

    def feed(self, text: str) -> str:
        """Take the next piece; return what can be sent."""
        ...

    def close(self, stopped: bool) -> str:
        """The arguments are over; return the rest. `stopped`: because the model stopped by itself."""
        ...


class TextParser(Protocol):
    """Finds calls in text."""

    def feed(self, text: str) -> list[Event]: ...

    def close(self, finish_reason: str | None = None) -> list[Event]: ...


class NewParser(Protocol):
    """Makes a parser for the tools of the request, and for this tool if it is not among them."""

    def __call__(
        self, tool: Tool | None = None, live: bool = True, recovery: str = "tolerant"
    ) -> TextParser: ...


class Findings:
    """What is known about the arguments of one call, besides their text."""

    def __init__(self, ledger: Ledger, takes_prose: bool = False) -> None:
        self.takes_prose = takes_prose  # prose after the object can become text of the answer
        self.prose = ""
        self.complete = False  # the text that was given out is one JSON object
        self.changed = False  # the text that was given out is not the text that came
        self.swallowed: Calls = []  # calls that were in the arguments
        self.has_rules = False  # rules may change them
        self.tool = ""  # the name of the tool to which rules have converted the call
        self.awaits_end = False  # rules need to see all of the arguments first
        self._gave_up = False
        self._ledger = ledger
        self._repairs: set[Repair] = set()

    def count(self, repair: Repair, changes: bool = True) -> None:
        """Count a repair, once for these arguments. `changes`: it changes their text."""
        self.changed = self.changed or changes
        if repair not in self._repairs:
            self._ledger.repaired(repair)
            self._repairs.add(repair)

    def count_rules(self, applied: Applied) -> None:
        """Count what rules have done, each time."""
        self.changed = self.changed or bool(applied)
        for repair, _ in applied:
            self._ledger.repaired(repair)

    def has(self, repair: Repair) -> bool:
        """Whether this repair was made."""
        return repair in self._repairs

    def refuse(self, reason: Refused, excerpt: str) -> None:
        """Count something that is wrong and stays as it is."""
        self._ledger.refuse(reason, excerpt)

    def set_complete(self, complete: bool = True) -> None:
        """Set whether the text that was given out is one JSON object."""
        self.complete = complete

    def add_calls(self, calls: Calls) -> None:
        """Add calls that were in the arguments."""
        self.swallowed += calls

    def expect_rules(self, live: bool) -> None:
        """Rules apply to the arguments. Unless they are `live`, they need to see all of them first."""
        self.has_rules, self.awaits_end = True, not live

    def rename(self, tool: str) -> None:
        """Rules have converted the call to one of this tool."""
        self.tool = tool

    def give_up_rules(self) -> None:
        """The arguments are too long for rules that need to see all of them."""
        self._gave_up = True

    @property
    def decided(self) -> bool:
        """Whether nothing that comes can change the tool of the call."""
        return self.complete or self._gave_up


class Passage:
    """What passes through a reader: text that waits, and text that was written."""

    def __init__(self) -> None:
        self._held: list[str] = []
        self.held = 0  # characters that wait
        self._written: list[str] = []
        self._taken = 0  # how many of these pieces were given out

    @property
    def pending(self) -> str:
        """Text that was written and not given out, and after it the text that waits."""
        return "".join(self._written[self._taken :]) + self.waiting

    @property
    def waiting(self) -> str:
        """The text that waits."""
        return "".join(self._held)

    @property
    def text(self) -> str:
        """All text that was written."""
        return "".join(self._written)

    @property
    def mark(self) -> int:
        """A place in the text that was written, for `since`."""
        return len(self._written)

    def since(self, mark: int) -> str:
        """The text that was written after this place."""
        return "".join(self._written[mark:])

    def take(self) -> str:
        """The text that was written since the last time."""
        written = self._written[self._taken :]
        self._taken = len(self._written)
        return written[0] if len(written) == 1 else "".join(written)

    def hold(self, text: str) -> None:
        """Let text wait."""
        if text:
            self._held.append(text)
            self.held += len(text)

    def write(self, text: str) -> None:
        """Write text, after everything that waits."""
        if self._held:
            self._written += self._held
            self._held, self.held = [], 0
        if text:
            self._written.append(text)

    def replace(self, text: str) -> None:
        """Write text in place of everything that waits."""
        if text:
            self._written.append(text)
        self._held, self.held = [], 0


class Around:
    """The base of readers that hold nothing themselves: they change what goes into `inner`, or comes out of
    it."""

    def __init__(self, inner: ArgumentsReader) -> None:
        self._inner = inner

    @property
    def pending(self) -> str:
        return self._inner.pending

    @property
    def held(self) -> int:
        return self._inner.held


class Holding:
    """The base of readers that hold what has come in a passage."""

    def __init__(self) -> None:
        self._passage = Passage()

    @property
    def pending(self) -> str:
        return self._passage.pending

    @property
    def held(self) -> int:
        return self._passage.held
