"""What waits to be written: the server's frames, and events of our own between them.

A frame is `Held` until each of its slices is decided. Whatever a lane produces besides text is `Own`, and
is in the queue at its place. Both are encoded when they leave, in this order. When a lane diverges, the
frames that hold its text are cut: they keep only the text that has come out of the lane so far.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from ..events import ArgumentsDelta, Event, Text
from ..limits import HELD_FRAMES
from ..wire.base import SAID, At, Encoder, Kind, LaneId, Reading, Slice, joined
from .lanes import Lane

# To look up a member of an enum takes Python 3.11 ten times as long as to look up a global name
OPEN, TEXT, CLOSE = At
CALL = Kind.ARGUMENTS
PARSED = (Kind.CONTENT, Kind.REASONING)


@dataclass(slots=True)
class Slot:
    """A slice in the queue."""

    slice: Slice
    lane: Lane
    start: int  # the offset of its text in the text of the lane
    final: str | None = None  # what its text becomes, once the lane has diverged

    @property
    def ready(self) -> bool:
        """Whether it is decided what becomes of it, as long as it has no `final` text."""
        lane, at = self.lane, self.slice.at
        call = lane.id.call
        if call and not call.settled:
            return False
        if lane.over:
            return True
        if at is TEXT:
            return lane.decided >= self.start + len(self.slice.text)
        if at is OPEN:
            return lane.passed > self.start or lane.sealed or lane.id.kind not in PARSED
        return (call is None or call.decided) and lane.decided >= self.start + len(self.slice.text)

    def cut(self) -> str | None:
        """The text that remains in the slice when its lane diverges; None if the slice stays as it is."""
        if self.final is not None or self.slice.at is CLOSE:
            return self.final
        kept = max(0, self.lane.passed - self.start)
        if self.slice.at is TEXT:
            return self.slice.text[:kept]
        opened = kept or (self.lane.id.kind not in PARSED and self.ready)
        return SAID if opened else ""

    @property
    def holds_words(self) -> bool:
        """Whether text waits in it that is more than whitespace."""
        if self.final is not None or self.lane.over or self.slice.at is not TEXT:
            return False
        if self.lane.aligned and self.lane.id.call and self.lane.id.call.announced:
            return False  # a word of JSON at most, in which no call can begin
        return bool(self.slice.text[max(0, self.lane.decided - self.start) :].strip())


@dataclass(slots=True)
class Held:
    """A frame of the server."""

    reading: Reading
    slots: list[Slot]

    @property
    def ready(self) -> bool:
        for slot in self.slots:  # noqa: SIM110  (mostly one, for which `all` takes longer)
            if slot.final is None and not slot.ready:
                return False
        return True

    def slots_of(self, lane: Lane) -> list[Slot]:
        """The slots that belong to this lane."""
        return [slot for slot in self.slots if slot.lane is lane]

    @property
    def texts(self) -> list[str] | None:
        """The texts for its slices; None if all are as they came."""
        texts, same = [], True
        for slot in self.slots:
            part, final, call = slot.slice, slot.final, slot.lane.id.call
            original = part.text if part.at is TEXT else SAID
            dropped = call is not None and not call.announced
            text = "" if dropped else original if final is None else final
            same = same and text == original and not dropped
            texts.append(text)
        return None if same else texts


@dataclass(slots=True)
class Own:
    """Events of our own. `near` is a frame whose envelope they copy."""

    lane: LaneId
    events: list[Event]
    near: Reading


@dataclass(slots=True)
class Ending:
    """The end of a message, where the server sent an error instead of one."""

    near: Reading
    group: int


Item = Held | Own | Ending | bytes  # bytes: a comment or ping, which waits for whitespace only


class OutputQueue:
    """The queue. `out` are the bytes that can be sent."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.items: deque[Item] = deque()
        self.end: Held | None = None  # comes after all items, and after those that are still to come
        self.out: list[bytes] = []
        self._has_asides = False

    def place_of_end(self, lane: Lane) -> int:
        """The index of the frame in the queue that ends this lane; where the next item comes if there is
        none."""
        for at, item in enumerate(self.items):
            if isinstance(item, Held) and any(slot.slice.at is CLOSE for slot in item.slots_of(lane)):
                return at
        return len(self.items)

    def put_aside(self, frame: bytes) -> None:
        """Comments and pings do not wait for what may be a call. But they do wait for whitespace, so that
        a healthy stream stays as it is."""
        if not self.items:
            self.out.append(frame)
        elif not any(isinstance(item, Held) and _holds_words(item) for item in self.items):
            self._has_asides = True
            self.items.append(frame)
        else:
            if self._has_asides:
                self.out += [item for item in self.items if isinstance(item, bytes)]
                self.items = deque(item for item in self.items if not isinstance(item, bytes))
            self._has_asides = False
            self.out.append(frame)

    def diverge(self, lane: Lane, text: str, slots: Sequence[Slot] = ()) -> None:
        """A lane diverges, after this text that came out unchanged. `slots` are those of the current
        frame."""
        if lane.aligned:
            lane.let_pass(text)
            self.cut(lane, slots)
            lane.aligned = False

    def cut(self, lane: Lane, more: Sequence[Slot] = ()) -> None:
        """Cut the slots that hold text of a lane that has diverged: all of them, or none if one fails."""
        held = [item for item in self.items if type(item) is Held]
        slots = [slot for item in held for slot in item.slots if slot.lane is lane] + list(more)
        for slot, final in [(slot, slot.cut()) for slot in slots]:
            slot.final = final

    def release(self) -> None:
        """Encode what can leave."""
        items, encoder = self.items, self.encoder
        while items:
            head = items[0]
            if isinstance(head, Held):
                if not head.ready:
                    return
                sent = encoder.frame(head.reading, head.texts)
            elif isinstance(head, Own):
                self._send(head)
                sent = b""
            elif isinstance(head, Ending):
                sent = encoder.end(head.near, head.group)
            else:
                sent = head
            items.popleft()
            self.out.append(sent)

    def _send(self, own: Own) -> None:
        """Encode events one by one, so that if one fails, those before it do not leave again."""
        own.events = joined(own.events)
        while own.events:
            self.out.append(self.encoder.events(own.lane, own.events[:1], own.near))
            del own.events[0]

    def take(self) -> list[bytes]:
        """The bytes to send, in one piece; [] if there are none."""
        out, self.out = self.out, []
        if len(out) == 1:
            return out if out[0] else []
        whole = b"".join(out)
        return [whole] if whole else []

    @property
    def is_long(self) -> bool:
        """Whether too many frames wait."""
        return len(self.items) > HELD_FRAMES

    @property
    def size(self) -> int:
        """About how many bytes wait."""
        end = len(self.end.reading.frame) if self.end else 0
        return end + sum(map(_size, self.items)) + sum(map(len, self.out))


def _holds_words(held: Held) -> bool:
    return any(slot.holds_words for slot in held.slots)


def _size(item: Item) -> int:
    match item:
        case Held():
            return len(item.reading.frame)
        case Own():
            return sum(len(words(event)) for event in item.events)
        case Ending():
            return 0
    return len(item)


def words(event: Event) -> str:
    """The text in an event."""
    match event:
        case Text(text) | ArgumentsDelta(_, text):
            return text
    return ""
