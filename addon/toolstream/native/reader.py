"""What all have in common that read the arguments of a call that the server parsed.

The arguments pass through readers that are put one into the other, as pipes are: `Mender` puts right what is
wrong with the JSON, `RuledArguments` applies the user's rules. Each takes text and gives out the text that is
to be sent. What they find out beside the text goes into one `Findings`.
"""

from typing import Protocol

from ..events import Event
from ..repairs import Ledger, Refused, Repair
from ..schema.rules import Applied
from ..schema.schema import Tool

Calls = list[tuple[str, str]]  # name, arguments


class ArgumentsReader(Protocol):
    """Reads the arguments of one call. Neither `feed` nor `close` raises for any text."""

    @property
    def pending(self) -> str:
        """Received, and not given out."""
        ...

    @property
    def held(self) -> int:
        """How many characters that is."""
        ...

    def feed(self, text: str) -> str:
        """Take the next piece; return what can be sent."""
        ...

    def close(self, stopped: bool) -> str:
        """The arguments are over; return the rest. `stopped`: because the model says so."""
        ...


class TextParser(Protocol):
    """Finds calls in text."""

    def feed(self, text: str) -> list[Event]: ...

    def close(self, finish_reason: str | None = None) -> list[Event]: ...


class NewParser(Protocol):
    """Makes a parser for the tools of the request, and for this one if it is not among them."""

    def __call__(
        self, tool: Tool | None = None, live: bool = True, recovery: str = "tolerant"
    ) -> TextParser: ...


class Findings:
    """What is known of the arguments of one call beside their text."""

    def __init__(self, ledger: Ledger, takes_prose: bool = False) -> None:
        self.takes_prose = takes_prose  # prose behind the object can be said elsewhere
        self.prose = ""
        self.complete = False  # what was given out is one JSON object
        self.changed = False  # what was given out is not what came
        self.swallowed: Calls = []  # calls that were in the arguments
        self.has_rules = False  # rules may change them
        self.tool = ""  # the name of the tool that rules have made it a call of
        self.awaits_end = False  # rules have to see all of them first
        self._gave_up = False
        self._ledger = ledger
        self._repairs: set[Repair] = set()

    def count(self, repair: Repair, changes: bool = True) -> None:
        """Count a repair, once for these arguments; `changes`: their text is another one by it."""
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
        """Whether it was made."""
        return repair in self._repairs

    def refuse(self, reason: Refused, excerpt: str) -> None:
        """Count what stays as it is although something is wrong with it."""
        self._ledger.refuse(reason, excerpt)

    def set_complete(self, complete: bool = True) -> None:
        """Whether what was given out is one JSON object."""
        self.complete = complete

    def add_calls(self, calls: Calls) -> None:
        """Calls that were in the arguments."""
        self.swallowed += calls

    def expect_rules(self, live: bool) -> None:
        """Rules apply to them; unless they are `live` they have to see all of them first."""
        self.has_rules, self.awaits_end = True, not live

    def rename(self, tool: str) -> None:
        """Rules have made it a call of this tool."""
        self.tool = tool

    def give_up_rules(self) -> None:
        """The arguments are too long for rules that have to see all of them."""
        self._gave_up = True

    @property
    def decided(self) -> bool:
        """Whether nothing that comes can change what it is a call of."""
        return self.complete or self._gave_up


class Passage:
    """What passes a reader: text that waits, and text that has been written."""

    def __init__(self) -> None:
        self._held: list[str] = []
        self.held = 0  # characters that wait
        self._written: list[str] = []
        self._taken = 0  # how many pieces of it were given out

    @property
    def pending(self) -> str:
        """What waits, after what was written and not given out."""
        return "".join(self._written[self._taken :]) + self.waiting

    @property
    def waiting(self) -> str:
        """What waits."""
        return "".join(self._held)

    @property
    def text(self) -> str:
        """All that was written."""
        return "".join(self._written)

    @property
    def mark(self) -> int:
        """A place in what was written, for `since`."""
        return len(self._written)

    def since(self, mark: int) -> str:
        """What was written after this place."""
        return "".join(self._written[mark:])

    def take(self) -> str:
        """What was written since the last time."""
        written = self._written[self._taken :]
        self._taken = len(self._written)
        return written[0] if len(written) == 1 else "".join(written)

    def hold(self, text: str) -> None:
        """Text waits."""
        if text:
            self._held.append(text)
            self.held += len(text)

    def write(self, text: str) -> None:
        """Text leaves, and what waited leaves before it."""
        if self._held:
            self._written += self._held
            self._held, self.held = [], 0
        if text:
            self._written.append(text)

    def replace(self, text: str) -> None:
        """Text leaves in place of what waited."""
        if text:
            self._written.append(text)
        self._held, self.held = [], 0
