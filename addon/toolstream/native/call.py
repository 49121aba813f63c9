"""One tool call that the server parsed: its state, and the reader of its lane."""

import re
from collections.abc import Collection, Sequence
from typing import Any

from ..events import Event, Text
from ..ledger import Ledger
from ..repairs import Repair
from ..schema.json_read import loads_object
from ..schema.schema import NO_TOOL, Tool
from ..wire.base import ServerCall
from .arguments import Arguments
from .reader import Calls

_WORD = re.compile(r"\w")


class NativeCall(ServerCall):
    """One call that the server parsed. It is also the reader of its lane: `feed` and `drain` return the
    arguments to send, as text. Nothing comes out before it is decided what becomes of the call.
    `foreign`: it is not a function call, and passes unchanged."""

    __slots__ = (
        *("_ending", "_originals", "_out", "_out_size", "_swallowed_sent", "_unread", "_unread_size"),
        *("arguments", "foreign"),
        *("server_id", "server_name", "tool", "turn", "waits"),
    )

    def __init__(self, server_id: str, turn: int, arguments: Arguments, foreign: bool = False) -> None:
        super().__init__()
        self.server_id = server_id  # "" if it sent none
        self.server_name = ""  # the name, as the server wrote it, or as its arguments tell
        self.turn = turn  # the frame it came with
        self.arguments = arguments
        self.foreign = self.announced = foreign
        self.tool = NO_TOOL
        self.waits = False  # it may be a copy, or rules may convert it to a call of another tool
        self._originals: Sequence[NativeCall] = ()  # calls of the server that it may be a copy of
        self._unread: list[str] | None = None if foreign else []  # arguments that came before the name
        self._unread_size = 0
        self._out: list[str] = []
        self._out_size = 0
        self._swallowed_sent = 0
        self._ending = False  # its last arguments are being read

    @property
    def named(self) -> bool:
        """Whether its name has come, or it needs none."""
        return self._unread is None

    @property
    def unread(self) -> str:
        """The arguments that came before the name."""
        return "".join(self._unread or ())

    @property
    def as_text(self) -> str:
        """What it says if it is no call; "" if that is nothing: `{}`."""
        return self.unread if _WORD.search(self.unread) else ""

    @property
    def meaning(self) -> tuple[str, Any]:
        """The name, and the arguments; None in place of arguments that are not complete."""
        return self.tool.name, self.arguments.value

    @property
    def decided(self) -> bool:
        """Whether nothing that comes can change its tool."""
        return self.arguments.findings.decided

    @property
    def can_be_over(self) -> bool:
        """Whether it may be complete already."""
        return (self.announced or self.arguments.findings.has_rules) and self.arguments.can_end

    # What becomes of it

    def add_name(self, piece: str) -> None:
        """Its name, or a piece of it, has come."""
        self.server_name += piece

    def take_name(self, tool: Tool, arguments: Arguments) -> None:
        """It is a call of this tool. The arguments so far are read now."""
        self.tool, self.name = tool, tool.name
        self.arguments = arguments
        self._give_out(arguments.feed(self.unread))
        self._unread, self._unread_size = None, 0

    def become(self, tool: Tool) -> None:
        """Rules have converted it to a call of this tool."""
        self.tool, self.name = tool, tool.name

    def wait(self, originals: Sequence["NativeCall"] = ()) -> None:
        """It waits until it is over. It may be a copy of one of these calls."""
        self.waits, self._originals = True, originals

    def stop_waiting(self) -> Sequence["NativeCall"]:
        """It no longer waits. Return the calls that it may be a copy of."""
        originals = self._originals
        self.waits, self._originals = False, ()
        return originals

    def announce(self, call_id: str, name: str) -> None:
        """The client is told about the call."""
        self.id, self.name, self.announced = call_id, name, True

    def drop(self) -> None:
        """The call leaves the answer."""
        self.dropped = True

    def end(self, stopped: bool) -> None:
        """No more arguments come. `stopped`: because the model stopped by itself."""
        self._ending = True
        self._give_out(self.arguments.close(stopped))
        self._ending = False
        self.beside = self.arguments.findings.prose

    def judge(self) -> None:
        """The call is over: note whether it is broken."""
        self.broken = self.announced and self.arguments.broken

    def abandon(self, in_work: bool) -> None:
        """Nothing is read any more. If the call was changed so far, it cannot run, unless all of it was
        sent. `in_work`: what was read last was not."""
        waits = in_work or self._ending or self._out or self.arguments.pending
        is_whole = not waits and loads_object(self.arguments.text) is not None
        self.broken = self.arguments.findings.changed and not is_whole

    def take_swallowed(self) -> Calls:
        """The calls that were in its arguments; each is returned once."""
        if not (self.announced and self.arguments.findings.complete):
            return []
        new = self.arguments.findings.swallowed[self._swallowed_sent :]
        self._swallowed_sent += len(new)
        return new

    def reshape(self, ledger: Ledger) -> None:
        self.arguments.count(Repair.CALL_SHAPE)

    # As the reader of a lane

    @property
    def pending(self) -> str:
        """Arguments that have come and are in no event yet."""
        waits = "".join(self._out)
        return waits + (self.unread if self._unread else self.arguments.pending)

    @property
    def held(self) -> int:
        """The number of characters of those."""
        return self._out_size + self._unread_size + self.arguments.held

    def feed(self, text: str) -> list[Event]:
        """Take the next piece of the arguments."""
        if self.foreign:
            return [Text(text)] if text else []
        if self._unread is None:
            out = self.arguments.feed(text)
            if self.settled and not self._out:
                return [Text(out)] if out else []
            self._give_out(out)
        else:
            self._unread.append(text)
            self._unread_size += len(text)
        return self.drain()

    def close(self, finish_reason: str | None = None) -> list[Event]:
        """The answer is over. (`NativeCalls.close` closes the calls of an answer all together.)"""
        return self.drain()

    def interrupt(self, _calls: Collection[str] | None = None) -> list[Event]:
        """Something else follows; more may come."""
        return self.drain()

    def forget_thinking(self) -> None: ...

    def drain(self) -> list[Event]:
        """The arguments that have come out since the last time; none while it is not decided what becomes
        of the call."""
        if not (self._out and self.settled):
            return []
        text = self._out[0] if len(self._out) == 1 else "".join(self._out)
        self._out, self._out_size = [], 0
        return [Text(text)]

    def _give_out(self, text: str) -> None:
        if text:
            self._out.append(text)
            self._out_size += len(text)
