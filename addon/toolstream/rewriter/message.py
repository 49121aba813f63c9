"""One message of an answer: its lanes, which take turns, and the calls that the server parsed.

Several things end a lane's turn. Reasoning is over when an answer begins, because a call in it only
counts at the end of a message without content and other calls. A call that the server parsed interrupts
what a parser holds. And if an API's lanes are blocks, a lane never continues once another one has begun.
"""

from collections.abc import Callable

from ..events import ArgumentsDelta, CallEnd, CallStart, Event, Text
from ..native.call import NativeCall
from ..native.calls import NativeCalls
from ..native.in_text import calls_in_json
from ..schema.call_shape import Call
from ..wire.base import At, Kind, LaneId, Slice
from .lanes import Lane, Output, Reader, Unread, leading_text

NewReader = Callable[[Kind], Reader]

REASONING, CONTENT, CALL = Kind.REASONING, Kind.CONTENT, Kind.ARGUMENTS
OPEN, TEXT, CLOSE = At
SWALLOWED = "swallowed"  # the key of the lane for calls that were found in another call's arguments


class Message:
    """The lanes of one group."""

    def __init__(self, group: int, natives: NativeCalls, new_reader: NewReader, blocks: bool) -> None:
        self.group = group
        self.natives = natives
        self.lanes: dict[LaneId, Lane] = {}
        self.active: Lane | None = None
        self._new_reader, self._blocks = new_reader, blocks
        self._calls: dict[NativeCall, Lane] = {}
        self._swallowed = 0
        self._answered = False  # reasoning is over
        self._over = False  # further text is not read
        self._copies: dict[Lane, tuple[list[Call], list[Event]]] = {}  # may be copies of these calls
        self._calling: tuple[Lane, int] | None = None  # the last call found in text: its lane and index

    # Lanes

    def lane(self, lane_id: LaneId) -> Lane:
        """The lane with this identity, a new one the first time."""
        lane = self.lanes.get(lane_id)
        if lane is None:
            read = lane_id.kind in (CONTENT, REASONING)
            lane = self.lanes[lane_id] = Lane(lane_id, self._new_reader(lane_id.kind) if read else Unread())
            lane.over = read and (self._over or (lane_id.kind is REASONING and self._answered))
            if lane_id.kind is CONTENT:
                self._begin_content(lane)
        return lane

    def _begin_content(self, lane: Lane) -> None:
        """Tell a new reader of content what came before it."""
        if self._calls:
            lane.begin_after_calls()
        if any(other.fed for other in self.lanes.values() if other.id.kind is REASONING):
            lane.reader.forget_thinking()

    def lane_of_call(self, part: Slice, output: Output) -> tuple[Lane, bool]:
        """The lane for a slice of a call that the server parsed, and whether its name came late. When a
        call begins, earlier ones may produce something; that goes into `output`."""
        assert part.call_piece
        call, late = self.natives.read(part.call_piece)
        lane = self._calls.get(call)
        if lane is None:
            lane_id = LaneId(self.group, CALL, len(self._calls), call)
            lane = self._calls[call] = self.lanes[lane_id] = Lane(lane_id, call)
        part.lane = lane.id
        self.drain(output)
        return lane, late

    def after_call(self, lane: Lane, whole: bool, output: Output) -> None:
        """A piece of a call was fed; it may now be known what becomes of the call."""
        assert isinstance(lane.reader, NativeCall)
        self.natives.after(lane.reader, whole)
        self.drain(output)

    def content(self) -> Lane:
        """The lane of the content that is, or was, active."""
        found = [lane for lane in self.lanes.values() if lane.id.kind is CONTENT]
        return found[-1] if found else self.lane(LaneId(self.group, CONTENT, ""))

    def drain(self, output: Output) -> None:
        """Collect what the server's calls have produced without being fed."""
        for call, lane in self._calls.items():
            events = call.drain()
            if events or (call.announced and lane.lost):
                self.take(lane, events, output)

    def _open(self, output: Output) -> list[Lane]:
        """The lanes that are not over, apart from those that this frame ends."""
        return [lane for lane in self.lanes.values() if not lane.over and lane not in output.over]

    @property
    def undecided(self) -> list[Lane]:
        """The lanes of calls for which it is not decided yet what becomes of them."""
        return [lane for call, lane in self._calls.items() if not call.settled]

    @property
    def in_call(self) -> bool:
        """Whether a call is not complete, as far as it has come."""
        texts = [lane for lane in self.lanes.values() if lane.id.kind is CONTENT and not lane.over]
        return self.natives.in_call or any(lane.in_call or lane.reader.pending.strip() for lane in texts)

    # Turns

    def take_turn(self, lane: Lane, part: Slice, output: Output) -> None:
        """Another lane goes on with this slice, so the other lanes stop waiting for more text."""
        if not part.is_solid:
            self.active = None
            return
        if lane.id.kind is not CALL:
            self._decide_copies(output)
        answers = _is_answer(lane, part)
        self._answered = self._answered or (answers and not self._blocks)
        for other in self._open(output):
            if other is not lane and other.id.kind is not CALL:
                self._interrupt(other, lane, answers, output)
                other.sealed = other.sealed or self._blocks
        self._finish_calls_before(lane)
        self.drain(output)
        self.active = lane

    def _finish_calls_before(self, lane: Lane) -> None:
        """A lane goes on, so calls of the server before it may be complete."""
        if self._blocks:
            self.natives.finish(
                call for call, its in self._calls.items() if its is not lane and _is_over(its)
            )
        elif lane.id.kind is not CALL:
            self.natives.pause()

    def _interrupt(self, other: Lane, by: Lane, answers: bool, output: Output) -> None:
        if by.id.kind is REASONING:
            other.reader.forget_thinking()
        if other.id.kind is REASONING and answers:
            self.take(other, other.interrupt(), output)
            output.over.add(other)
        elif by.id.kind is CALL and other.id.kind is CONTENT:
            self._interrupt_content(other, output)
        elif other.reader.held and (self._blocks or by.id.kind is CALL or other.reader.pending.isspace()):
            self.take(other, other.interrupt(), output)

    def _interrupt_content(self, lane: Lane, output: Output) -> None:
        """A call of the server goes on. It may be what a call in the text before it began."""
        events = lane.interrupt([call.server_name for call in self._calls])
        if not self._may_be_copies(lane, events):
            self.take(lane, events, output)
        if self._calling and lane is self._calling[0] and self.natives.open_in_text:
            output.over.add(lane)

    def _may_be_copies(self, lane: Lane, events: list[Event]) -> bool:
        """Whether a lane's whole text is calls in JSON. Then it waits until the server's calls are
        complete, because it may be a copy of them."""
        text, rest = leading_text(events)
        copies = calls_in_json(text) if text and not (rest or lane.passed or self._blocks) else []
        if copies:
            self._copies[lane] = copies, events
        return bool(copies)

    def _decide_copies(self, output: Output) -> None:
        """Drop texts that waited as copies of the server's calls if they are copies."""
        for lane, (calls, events) in self._copies.items():
            lane.called = self.natives.are_copies(calls)
            self.take(lane, [] if lane.called else events, output)
        self._copies.clear()

    # Calls

    def take(self, lane: Lane, events: list[Event], output: Output) -> None:
        """Note what came out of a lane, and add it to the output."""
        self.note(lane, events)
        output.add(lane, events)

    def note(self, lane: Lane, events: list[Event]) -> None:
        """Note the calls that were found in the text of a lane."""
        for event in events:
            if isinstance(event, CallStart):
                self._calling = lane, event.index
        self.natives.note(events)

    def filtered(self, lane: Lane, events: list[Event], over: bool) -> list[Event]:
        """What was found in a lane, without the calls that leave the answer."""
        if lane.id.kind is not CONTENT:
            return events
        more = len(self.lanes) > 1 and any(other.called for other in self.lanes.values() if other is not lane)
        kept = self.natives.without_copies(lane, events, over or (self._blocks and lane.sealed), more)
        lane.called = lane.called or len(kept) < len(events)
        return kept

    def extra(self) -> list[tuple[LaneId, list[Event]]]:
        """What the server's calls produce besides their arguments: the end of a call that was begun in
        the text, text that was taken for a call, and calls that were swallowed into arguments."""
        found: list[tuple[LaneId, list[Event]]] = []
        natives = self.natives
        if not natives.calls:
            return found
        if self._calling and (rest := natives.take_continued()):
            lane, index = self._calling
            found.append((lane.id, [ArgumentsDelta(index, rest), CallEnd(index)]))
            lane.in_call = False
        for text in natives.take_texts():
            found.append((self.content().id, [Text(text)]))
        for name, arguments in natives.more():
            found.append((self.swallowed_lane, self.whole_call(name, arguments)))
        return found

    @property
    def swallowed_lane(self) -> LaneId:
        """The lane for whole calls of our own."""
        for lane_id in self.lanes:
            if lane_id.key == SWALLOWED:
                return lane_id
        return self.lane(LaneId(self.group, Kind.OTHER, SWALLOWED)).id

    def whole_call(self, name: str, arguments: str) -> list[Event]:
        """A whole call of our own, as events."""
        number, self._swallowed = self._swallowed, self._swallowed + 1
        return [CallStart(number, name), ArgumentsDelta(number, arguments), CallEnd(number)]

    # The end

    def close(self, reason: str | None, output: Output) -> None:
        """No more text comes."""
        self._over = True
        self.natives.close(reason)
        self._decide_copies(output)
        for lane in self._open(output):
            self.take(lane, lane.reader.close(reason), output)
            output.over.add(lane)


def _is_answer(lane: Lane, part: Slice) -> bool:
    """Whether reasoning is over when this slice of a lane comes. Content may have been announced ahead."""
    return lane.id.kind is not REASONING and not (part.at is OPEN and lane.id.kind is CONTENT)


def _is_over(lane: Lane) -> bool:
    """Whether a call's block is over because another one goes on: some servers say so only at the end.
    A block without arguments may have been announced ahead."""
    return lane.sealed or lane.fed > 0
