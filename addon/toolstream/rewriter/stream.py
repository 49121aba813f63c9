"""A streamed answer of any API: bytes in, bytes out, with the calls in its text rewritten.

A frame is read into slices, and each slice goes to the reader of its lane. The frame waits in a queue
until all of its slices are decided. If their texts come back unchanged, it leaves as the bytes it came
in, so a healthy stream stays byte-identical. Whatever a lane produces besides text goes into the queue at
its place: after the current frame, or before it if that frame ends the lane.

A failure costs a repair and never an answer: see fail_open.py.
"""

import traceback
from contextlib import suppress
from functools import partial

from ..events import Event, Repaired, Text
from ..ledger import Ledger
from ..limits import UNFINISHED_EVENT
from ..native.call import NativeCall
from ..native.new_arguments import native_calls
from ..native.reader import Calls
from ..parser.parser import ToolCallParser, argument_parsers
from ..schema.json_read import Json
from ..schema.rules import Rules
from ..schema.toolset import Toolset
from ..wire import WIRES
from ..wire.base import At, Kind, LaneId, Reading, Slice
from ..wire.envelope import Envelopes
from . import fail_open
from .early_end import EarlyEnd
from .engine_errors import read_unparsed
from .fail_open import FRAMED, InWork, Reads
from .lanes import Lane, Output, leading_text
from .message import Message
from .parsers import Parsers
from .queue import Ending, Held, Item, OutputQueue, Own, Slot
from .steady import Steady

OPEN, TEXT, CLOSE = At
CONTENT, REASONING = Kind.CONTENT, Kind.REASONING
ALL = Reads.ALL


class StreamRewriter:
    """Rewrites one streamed answer to `request_body`, the decoded request to `api`.

    `feed` takes the body of the answer in pieces cut anywhere, and returns what can be sent, never an
    empty piece; `close` returns the rest. Neither raises. If the request has no tools, or tool_choice
    "none", the answer passes unread. `rules` are the user's rules for its tools.
    """

    def __init__(
        self, request_body: Json, recovery: str = "tolerant", *, rules: Rules | None = None, api: str = "chat"
    ) -> None:
        self.ledger = Ledger()
        self.wire = WIRES[api](request_body)
        self.asked = self.wire.asked
        self.queue = OutputQueue(self.wire.encoder(self.ledger))
        self.framer = self.wire.framer()
        self.messages: dict[int, Message] = {}
        self._envelopes = Envelopes(self.wire.read)
        self._steady = Steady(self._envelopes, self.messages, self.queue, self._deliver)
        self._early_end = EarlyEnd(self.messages, self.queue, self.ledger)
        self.last = Reading(b"")  # the last frame that was read
        self.in_work: list[InWork] = []
        self._toolset = Toolset(self.asked.tools, self.asked.tool_choice, rules, self.asked.aliases)
        parser = partial(ToolCallParser, self._toolset, recovery=recovery, parallel=self.asked.parallel)
        self.parsers = Parsers(parser, self.wire, self.ledger)
        self._recovered = False  # calls were read from an error, and nothing after it is read
        self._ready: Message | None = None  # made before the answer begins, to save time then
        self.reads = ALL if self._toolset.tools and not self.asked.unread else Reads.NOTHING
        self.line = b""  # the beginning of a line, while lines are read
        if self.reads is ALL:
            self.parsers.prepare()
            with suppress(Exception):  # it is made again once there is text
                self._ready = self._new_message()

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the body; return the bytes to send."""
        if self.reads not in FRAMED:
            return fail_open.passed(self, data)
        if not self.framer.pending and self._goes_on(data):
            return fail_open.give_up(self, []) if self.reads not in FRAMED else self.queue.take()
        try:
            frames = self.framer.feed(data)
        except Exception:
            self._note_failure()
            return fail_open.give_up(self, [bytes(self.framer.pending), data])
        for at, frame in enumerate(frames):
            if frame is data or not self._goes_on(frame):
                self._try_to_read(frame)
            if self.reads not in FRAMED:
                return fail_open.give_up(self, [*frames[at + 1 :], bytes(self.framer.pending)])
        if len(self.framer.pending) > UNFINISHED_EVENT:
            return fail_open.give_up(self, [bytes(self.framer.pending)])
        return self.queue.take()

    def close(self) -> list[bytes]:
        """The body is over; return the rest of the bytes to send."""
        if self.reads not in FRAMED:
            return fail_open.passed(self, b"", over=True)
        rest = bytes(self.framer.pending)
        self.framer.pending.clear()
        if rest:
            self._try_to_read(rest)
        try:
            self._end_if_over(None)
            if self.reads is ALL:
                self._end()
        except Exception:
            self._note_failure()
            end, self.queue.end = self.queue.end, None
            fail_open.stop_reading_texts(self, end.reading.frame if end else None)
        self._release()
        try:
            self.queue.out.append(self.queue.encoder.close())
        except Exception:
            self._note_failure()
        if self.reads not in FRAMED:
            return fail_open.give_up(self, [])
        return self.queue.take()

    @property
    def held(self) -> int:
        """About how many bytes have come and not left, in whatever form."""
        lanes = [lane for message in self.messages.values() for lane in message.lanes.values()]
        dropped = [lane for lane in lanes if lane.id.call and lane.id.call.dropped]
        waiting = sum(lane.reader.held for lane in lanes if not lane.aligned and lane not in dropped)
        return self.queue.size + waiting + len(self.framer.pending) + len(self.line)

    def _note_failure(self) -> None:
        self.ledger.failure = self.ledger.failure or traceback.format_exc()

    # Reading

    def _goes_on(self, frame: bytes) -> bool:
        """Whether a frame is more text of the steady lane: then it is in the queue or has left."""
        steady = self._steady
        steady.fed = ""
        try:
            waits = steady.take(frame)
        except Exception:
            self._note_failure()
            if not (steady.lane and steady.fed):
                return False
            self.in_work = [InWork(steady.lane, steady.fed, steady.start)]
            fail_open.stop_reading_texts(self, frame)
            waits = True
        if waits:
            self._release()
        return waits is not None

    def _try_to_read(self, frame: bytes) -> None:
        self.in_work = []
        try:
            self.read(frame)
        except Exception:
            self._note_failure()
            fail_open.stop_reading_texts(self, frame)
        self._release()

    def _release(self) -> None:
        self.in_work = []
        try:
            if self.queue.is_long:
                self._empty_frames()
            self.queue.release()
        except Exception:
            self._note_failure()
            fail_open.stop_reading_texts(self, None)

    def read(self, frame: bytes) -> None:
        """Read a frame, and put it into the queue."""
        reading = self._envelopes.read(frame)
        if reading.aside:
            self.queue.put_aside(frame)
            return
        if self.queue.end:
            self._end_if_over(reading)
        self.last, self._steady.lane, self._steady.last = reading, None, None
        unread = self.reads is not ALL or self._recovered or self.wire.blocks or not self.wire.pieces
        if reading.ends and not unread and self._early_end.hold(reading):
            return
        self._put(reading)

    def _end_if_over(self, reading: Reading | None) -> None:
        """Put an end that waited into the queue, if the next frame does not go on; None: there is none."""
        if end := self._early_end.over(reading):
            self._put(end)
            self.queue.end = None

    def _put(self, reading: Reading) -> None:
        may_hold_calls = reading.error is not None and self.reads is ALL
        if self._recovered or (may_hold_calls and self._recover(reading)):
            return
        if self.reads is not ALL or not (reading.slices or reading.ends):
            self.queue.items.append(Held(reading, []))
        else:
            self._read_slices(reading)
            self._steady.last = reading.slices[-1].lane if reading.slices else None

    def _read_slices(self, reading: Reading) -> None:
        held, output = Held(reading, []), Output()
        calling: set[Message] = set()  # the frame has said something about their calls
        for part in reading.slices:
            message, lane = self._lane_of(part, calling, output)
            if part.at is not CLOSE and message.active is not lane:
                message.take_turn(lane, part, output)
            held.slots.append(Slot(part, lane, lane.fed))
            if part.at is CLOSE and not lane.waits:
                lane.sealed = True
            if part.text and not lane.over and lane not in output.over:
                self.in_work.append(InWork(lane, part.text, lane.fed))
                message.take(lane, lane.feed(part.text), output)
            if part.call_piece:
                message.after_call(lane, part.call_piece.whole, output)
        self._close_ended(reading, output)
        self._deliver(held, output)

    def _close_ended(self, reading: Reading, output: Output) -> None:
        """Close the messages that a frame ends."""
        for group, reason in reading.ends:
            if group is not None:
                self._message(group)  # even if it has no text
            for message in self.messages.values():
                if group in (None, message.group):
                    message.close(reason, output)

    def _pass_by_calls(self) -> None:
        """Text does not wait for an undecided call before it: the frames of that call are emptied, and if
        the call is kept, it comes later."""
        for message in self.messages.values():
            for lane in message.undecided if message.natives.calls else ():
                self.queue.diverge(lane, "")
                self.queue.cut(lane)

    def _message(self, group: int) -> Message:
        message = self.messages.get(group)
        if message is None:
            message, self._ready = self._ready or self._new_message(), None
            message.group = group
            self.messages[group] = message
        return message

    def _new_message(self) -> Message:
        in_arguments = argument_parsers(self._toolset)
        natives = native_calls(self.wire, self._toolset, self.ledger, in_arguments, takes_prose=True)
        return Message(0, natives, self.parsers.reader, self.wire.blocks)

    def _lane_of(self, part: Slice, calling: set[Message], output: Output) -> tuple[Message, Lane]:
        """The message and the lane that a slice belongs to. What earlier calls produce when a call begins
        goes into `output`."""
        message = self._message(part.group)
        if part.lane and not part.call_piece:
            lane = message.lane(part.lane)
            if part.text.strip() and not self.wire.blocks:
                self._pass_by_calls()
            return message, lane
        if message not in calling:
            message.natives.begin_frame()
            calling.add(message)
        lane, late = message.lane_of_call(part, output)
        if late:
            self.queue.diverge(lane, "")
        return message, lane

    # What becomes of what was read

    def _deliver(self, held: Held | None, output: Output) -> None:
        """Put what came out of the lanes into the queue. `held` is the current frame."""
        after: list[Item] = []
        frame = held or Held(self.last, [])
        extra = [found for message in self.messages.values() for found in message.extra()]  # it may fail
        for lane, events in sorted(output.events.items(), key=_is_of_text):  # the server's calls come first
            self._settle(lane, events, frame, lane in output.over, after)
        ended = {lane.id.group for lane in output.over}
        for lane_id, events in extra:
            early = held is None or lane_id.group in ended
            (self.queue.items if early else after).append(Own(lane_id, events, frame.reading))
        if held:
            self.queue.items.append(held)
        self.queue.items.extend(after)

    def _settle(self, lane: Lane, came: list[Event], frame: Held, over: bool, after: list[Item]) -> None:
        """Count what came out of one lane, or rewrite the lane, if that is not the text that went in."""
        if lane.id.call and not lane.id.call.settled:
            return
        kept = self.messages[lane.id.group].filtered(lane, came, over)
        if lane.aligned and lane.account(kept):
            lane.over = lane.over or over
            return
        slots = frame.slots_of(lane)
        early = over or not slots  # anything besides text goes before the current frame
        place = self.queue.place_of_end(lane) if early else len(after)
        rest = self._rewrite(lane, kept, slots, over)
        lane.settle(came, over)
        if rest:
            (self.queue.items if early else after).insert(place, Own(lane.id, rest, frame.reading))

    def _rewrite(self, lane: Lane, came: list[Event], slots: list[Slot], over: bool) -> list[Event]:
        """Cut the frames that hold the text of a lane. Return what came out of it and did not leave with
        them; [] if that is nothing but repairs."""
        lead, rest = leading_text(came)
        before = bool(over and rest)  # together with this frame's part of the text
        if lane.aligned:
            lead = self._cut(lane, lead, slots, before)
        lead = _fill(slots, lead, before)
        if lead:
            return [Text(lead), *rest]
        return [] if all(isinstance(event, Repaired) for event in rest) else rest

    def _cut(self, lane: Lane, lead: str, slots: list[Slot], before: bool) -> str:
        """From here on the output of a lane differs from its input: cut the frames that hold its text.
        `lead` is the text that comes out first; return the part of it that did not leave with held
        frames. `before`: whatever comes out besides text goes before the slots' frame."""
        text = lead if lane.raw.startswith(lead) else ""
        if before and slots:
            text = text[: max(0, slots[0].start - lane.passed)]
        self.queue.diverge(lane, text, slots)
        return lead[len(text) :]

    def _end(self) -> None:
        """The body is over, although no frame has said so."""
        output = Output()
        for message in self.messages.values():
            message.close(None, output)
        self._deliver(None, output)

    def _empty_frames(self) -> None:
        """Too many frames wait: what they hold of their text will come in a frame of our own."""
        for message in self.messages.values():
            for lane in message.lanes.values():
                if lane.came:
                    self.queue.diverge(lane, "")

    # An error that contains the calls that the engine could not parse

    def _recover(self, reading: Reading) -> bool:
        """Go on with the calls that an error contains; False if it contains none, or they do not continue
        what was sent."""
        message = next(iter(self.messages.values()), None) or self._message(0)
        content = message.content()
        ledger = Ledger()
        unparsed = read_unparsed(reading.error, self.parsers.new(CONTENT, ledger, live=False), ledger)
        if unparsed is None or len(self.messages) > 1 or content.over or message.natives.open_in_text:
            return False
        resumed = message.natives.resume(unparsed.calls)
        if resumed is None:
            return False
        self._recovered = True
        self._close_in_error(message, content)
        if not content.fed and unparsed.text:
            self._own(content.id, [Text(unparsed.text)])
        self._resume(message, *resumed)
        self.queue.items.append(Ending(self.last, message.group))
        self.ledger.add(ledger)
        return True

    def _resume(self, message: Message, begun: NativeCall | None, rest: str, calls: Calls) -> None:
        """Send the rest of the call that has begun, and the calls that have not."""
        for lane in message.lanes.values():
            if rest and lane.reader is begun:
                self._own(lane.id, [Text(rest)])
        for name, arguments in calls:
            self._own(message.swallowed_lane, message.whole_call(name, arguments))

    def _close_in_error(self, message: Message, content: Lane) -> None:
        """An error ends the message: its text goes on as if there had been more of it, so that nothing
        waits any longer."""
        for lane in message.lanes.values():
            if lane.id.kind is Kind.ARGUMENTS:
                self.queue.diverge(lane, "")
        output = Output()
        if message.active is not content:
            message.take_turn(content, Slice(content.id, "answer"), output)
        message.close(None, output)
        self._deliver(None, output)

    def _own(self, lane: LaneId, events: list[Event]) -> None:
        self.queue.items.append(Own(lane, events, self.last))


def _fill(slots: list[Slot], lead: str, before: bool) -> str:
    """Decide which text of this lane leaves with the frame. Return the text that does not: all of it if
    something besides text goes `before` the frame."""
    texts = [slot for slot in slots if slot.slice.at is TEXT and slot.slice.text]
    for slot in texts:
        slot.final = slot.final or ""
    if not texts or before:
        return lead
    texts[-1].final = (texts[-1].final or "") + lead
    return ""


def _is_of_text(came: tuple[Lane, list[Event]]) -> bool:
    """Whether these events come from a text, and not from a call that the server parsed."""
    return came[0].id.kind is not Kind.ARGUMENTS
