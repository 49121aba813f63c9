"""One tool call that the server parsed: what is known of it, and the reader of its arguments."""

from typing import Any

from ..events import Event, Text
from ..repairs import Ledger, Repair
from ..schema.schema import Tool
from ..wire.base import ServerCall
from .mender import Mender
from .ruled import RuledMender


class NativeCall(ServerCall):
    """One call that the server parsed. It reads its own arguments: what comes out of `feed` and `drain` are
    the arguments to send, as text."""

    __slots__ = (
        *("_out", "_passed", "_waiting", "copied", "foreign", "mender", "more_sent", "said"),
        *("server_id", "tool", "turn", "unread"),
    )

    def __init__(self, server_id: str, turn: int, mender: Mender) -> None:
        super().__init__()
        self.server_id = server_id  # "" if it sent none
        self.turn = turn  # the frame it came with
        self.said = ""  # the name as the server wrote it
        self.tool = Tool("")
        self.mender: Mender | RuledMender = mender
        self.unread: str | None = ""  # arguments that came before the name
        self.copied: list[NativeCall] | None = None  # what it may be a copy of; None if it does not wait
        self.foreign = False  # it is no function
        self.more_sent = 0
        self._waiting: list[str] = []  # came, and did not leave as it is
        self._passed = 0
        self._out: list[Event] = []

    @property
    def meaning(self) -> tuple[str, Any]:
        """Name and arguments; None as long as they are not complete."""
        return self.tool.name, self.mender.value

    @property
    def decided(self) -> bool:
        """Whether nothing that comes can change what it is a call of."""
        gave_up = isinstance(self.mender, RuledMender) and self.mender.gave_up
        return self.mender.complete or gave_up

    def reshape(self, ledger: Ledger) -> None:
        self.mender.count(Repair.CALL_SHAPE)

    # What the rewriter asks of a reader of text

    @property
    def pending(self) -> str:
        """Arguments that have come, and are in no event."""
        waits = "".join(event.text for event in self._out if isinstance(event, Text))
        return waits + (self.mender.pending if self.unread is None else self.unread)

    @property
    def held(self) -> int:
        """How many characters that is."""
        waits = sum(len(event.text) for event in self._out if isinstance(event, Text))
        return waits + (self.mender.held if self.unread is None else len(self.unread))

    def feed(self, text: str) -> list[Event]:
        """Take the next piece of the arguments."""
        if self.foreign:
            return [Text(text)] if text else []
        if self.unread is not None:
            self.unread += text
            return self.drain()
        mender = self.mender
        idle = type(mender) is Mender and not (mender.changed or self._waiting or self._out)
        if idle and self.settled and mender.follow(text):
            self._passed = mender.passed
            return [Text(text)]
        self._waiting.append(text)
        mender.feed(text)
        return self.drain()

    def close(self, finish_reason: str | None = None) -> list[Event]:
        """The answer is over. (The calls of an answer are closed all together, by `NativeCalls.close`.)"""
        return self.drain()

    def interrupt(self) -> list[Event]:
        """Something else follows; more may come."""
        return self.drain()

    def take_unread(self, text: str) -> None:
        """What had come before it was named."""
        self._waiting.append(text)
        self.mender.feed(text)

    def drain(self) -> list[Event]:
        """What the mender has given out since the last time; nothing as long as nobody knows what becomes of
        the call."""
        mender = self.mender
        if passed := mender.passed - self._passed:
            self._passed = mender.passed
            waiting = "".join(self._waiting)
            self._out.append(Text(waiting[:passed]))
            self._waiting = [waiting[passed:]]
        if mender.changed:
            self._waiting = []
            if text := mender.take():
                self._out.append(Text(text))
        if not self.settled:
            return []
        out, self._out = self._out, []
        return out
