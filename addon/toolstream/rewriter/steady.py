"""The fast path for the common frame: more text of the active lane, in a known envelope.

It only saves time: `StreamRewriter.read` does the same with every frame. A lane is *steady* while its
output depends on nothing but its reader: no call of the server waits, or may be a copy of a call in the
text. Only a frame that is read in full can change that, so this is checked after each of those.
"""

from collections.abc import Callable, Mapping

from ..events import ArgumentsDelta, Event
from ..wire.base import NO_TEXT, LaneId, Reading
from ..wire.envelope import Envelopes, copied
from .lanes import Lane, Output, leading_text
from .message import Message
from .queue import Held, OutputQueue, Own, Slot

Deliver = Callable[[Held, Output], None]


class Steady:
    """The lane that goes on. `deliver` takes whatever comes out of it that is neither its text nor
    arguments."""

    __slots__ = ("_deliver", "_envelopes", "_messages", "_queue", "fed", "lane", "last", "start")

    def __init__(
        self, envelopes: Envelopes, messages: Mapping[int, Message], queue: OutputQueue, deliver: Deliver
    ) -> None:
        self._envelopes, self._messages, self._queue, self._deliver = envelopes, messages, queue, deliver
        self.lane: Lane | None = None  # None: there is none
        self.last: LaneId | None = None  # the lane of the last frame, if it has to be checked
        self.fed = ""  # what it was fed from the current frame
        self.start = 0  # how many characters it was fed before that

    def _look(self, lane_id: LaneId) -> Lane | None:
        """The lane of the last frame, if it is steady."""
        self.last = None
        lane = self._messages[lane_id.group].active
        if lane is None or lane.id is not lane_id or lane.over:
            return None
        call = lane_id.call
        for other in self._messages.values():
            if other.natives.suspects or (other.natives.calls and not call):
                return None
        return lane if call is None or call.announced else None

    def take(self, frame: bytes) -> bool | None:
        """Take a frame if it is more text of the steady lane: then it is in the queue or has left. Return
        None if it is not, else whether anything that waits may leave now."""
        if self.last:
            self.lane = self._look(self.last)
        lane = self.lane
        if lane is None or lane.over or (reading := self._envelopes.known(frame)) is None:
            return None
        part, queue = reading.slices[0], self._queue
        if part.lane is not lane.id:
            return None
        self.fed, self.start, call = part.text, lane.fed, lane.id.call
        events = lane.go_on(part.text)
        if events is None and not queue.items and not (call and call.decided):
            queue.out.append(queue.encoder.frame(reading, None))
        elif events is None or lane.aligned or call or queue.items:
            return self._wait(reading, lane, events) or queue.is_long
        elif lane.in_call and (not events or (len(events) == 1 and type(events[0]) is ArgumentsDelta)):
            out = queue.encoder.frame(reading, NO_TEXT)
            if events:
                self._messages[lane.id.group].natives.note(events)
                out += queue.encoder.events(lane.id, events, reading)
            queue.out.append(out)
        else:
            return self._rewrite(reading, lane, events)
        return False

    def _rewrite(self, reading: Reading, lane: Lane, events: list[Event]) -> bool:
        """Send a frame of a lane that has diverged, with nothing waiting before it. It leaves with the
        text that came out of the lane; other events follow. Return whether there are any."""
        message, queue = self._messages[lane.id.group], self._queue
        message.note(lane, events)
        lead, rest = leading_text(message.filtered(lane, events, False))
        queue.out.append(queue.encoder.frame(reading, None if lead == reading.slices[0].text else [lead]))
        lane.settle(events, False)
        if rest:
            queue.items.append(Own(lane.id, rest, copied(reading)))
            self.last = lane.id
        return bool(rest)

    def _wait(self, reading: Reading, lane: Lane, events: list[Event] | None) -> bool:
        """Handle a frame before which others wait, or which has to wait itself. Return whether anything
        in the queue may leave now."""
        queue, call = self._queue, lane.id.call
        more = not (call and call.decided)  # only its text can come out
        counted = more and (events is None or (lane.aligned and lane.account(events)))
        if counted and events and lane.passed == lane.fed:  # so all that waited before it can leave
            queue.release()
            if not queue.items:
                queue.out.append(queue.encoder.frame(reading, None))
                return False
        reading = copied(reading)
        part = reading.slices[0]
        part.lane = lane.id
        held = Held(reading, [Slot(part, lane, self.start)])
        if counted:
            queue.items.append(held)
            return events != []
        self._read(held, lane, events)
        return True

    def _read(self, held: Held, lane: Lane, events: list[Event] | None) -> None:
        """Deliver a frame whose events are more than its text as it came."""
        message, output = self._messages[lane.id.group], Output()
        if events is not None:
            message.take(lane, events, output)
        if lane.id.call:
            message.after_call(lane, False, output)
        self._deliver(held, output)
        self.last = lane.id
