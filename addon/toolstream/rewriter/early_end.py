"""An end that may come too early: some servers give a finish_reason with every chunk of chat completions,
or before the arguments.

While a call is incomplete, the frame that ends its message waits behind the queue. If the next frame goes
on with the message, it waits on; and if that is an end itself, the earlier one leaves the answer (P12).
"""

from collections.abc import Mapping
from typing import Protocol

from ..events import COMPLETE
from ..ledger import Ledger
from ..repairs import Repair
from ..wire.base import Reading
from .queue import Held, OutputQueue


class Speaking(Protocol):
    """The part of a message that is needed here."""

    @property
    def in_call(self) -> bool: ...


class EarlyEnd:
    """Finds the ends that may come too early. The one that waits is `queue.end`."""

    def __init__(self, messages: Mapping[int, Speaking], queue: OutputQueue, ledger: Ledger) -> None:
        self._messages, self._queue, self._ledger = messages, queue, ledger

    def hold(self, reading: Reading) -> bool:
        """Let a frame wait if it may be such an end. Return whether it does."""
        if reading.slices or not reading.ends or reading.error is not None:
            return False
        for group, reason in reading.ends:
            message = self._messages.get(group) if group is not None else None
            if message is None or not message.in_call or reason not in COMPLETE:
                return False
        self._queue.end = Held(reading, [])
        return True

    def over(self, reading: Reading | None) -> Reading | None:
        """The frame that waits, if the next one shows that it is the end. None in place of the next one:
        the body is over."""
        end = self._queue.end
        if end is None or reading is None:
            return end.reading if end else None
        ended = {group for group, _ in end.reading.ends}
        if any(group in ended for group, _ in reading.ends):
            self._ledger.repaired(Repair.FINISH_REASON)
            self._queue.end = None
            return None
        return None if any(piece.group in ended for piece in reading.slices) else end.reading
