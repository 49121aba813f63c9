"""An end that may come too early: some servers of chat completions give a finish_reason before the arguments,
or with every chunk.

While a call is incomplete, the frame that ends its message waits outside of the queue. If the next frame goes
on with the message, it waits on; and if that is an end itself, the earlier one leaves the answer (P12).
"""

from collections.abc import Mapping

from ..events import COMPLETE
from ..ledger import Ledger
from ..repairs import Repair
from ..wire.base import Reading
from .message import Message
from .queue import Held, OutputQueue


class EarlyEnd:
    """Finds the ends that may come too early. The one that waits is `queue.end`."""

    def __init__(self, messages: Mapping[int, Message], queue: OutputQueue, ledger: Ledger) -> None:
        self._messages, self._queue, self._ledger = messages, queue, ledger
        self._passed_by = False  # the message has gone on since the end that waits

    def hold(self, reading: Reading) -> bool:
        """Let a frame wait if it may be such an end, and says nothing else. Return whether it does."""
        if reading.slices or reading.says_more or reading.error is not None or len(reading.ends) != 1:
            return False
        ((group, reason),) = reading.ends
        message = self._messages.get(group) if group is not None else None
        if message is None or not message.in_call or reason not in COMPLETE:
            return False
        self._queue.end, self._passed_by = Held(reading, []), False
        return True

    def over(self, reading: Reading | None) -> Reading | None:
        """The frame that waits, if this next one shows that it was the end; None if it still waits, or has
        left the answer. `reading` is None once the body is over."""
        end = self._queue.end
        if end is None:
            return None
        ((group, _),) = end.reading.ends
        if reading is None:
            return None if self._passed_by and self._in_call(group) else end.reading
        if any(ended == group for ended, _ in reading.ends):
            self._ledger.repaired(Repair.FINISH_REASON)
            self._queue.end = None
            return None
        goes_on = any(part.group == group for part in reading.slices)
        self._passed_by = self._passed_by or goes_on
        return None if goes_on else end.reading

    def _in_call(self, group: int | None) -> bool:
        return group is not None and group in self._messages and self._messages[group].in_call
