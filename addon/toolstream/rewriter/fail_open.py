"""An exception costs the repair, never the answer.

There are two steps (`Reads`). First the rewriter reads frames alone: they still pass through the encoder,
so that numbers and ends stay right, but nobody reads their texts. What was held leaves as text. If that
fails too, all frames that wait leave as they came, and so does the rest of the body. But if a call was only
half sent, nothing may say that there is a call to run.
"""

from contextlib import suppress
from enum import Enum
from typing import NamedTuple, Protocol

from ..events import CallEnd, Text
from ..ledger import Ledger
from ..wire.base import Framer, Kind, Reading, Wire
from .lanes import Lane
from .message import Message
from .parsers import Parsers
from .queue import Held, Item, OutputQueue, Own, words


class Reads(Enum):
    """What a rewriter reads of an answer."""

    ALL = 0  # frames, and their texts
    FRAMES = 1  # after a failure: frames, and not their texts
    LINES = 2  # after another one, while a call is half sent: lines, and whether one says that it can run
    NOTHING = 3  # after another one, or if no call is asked for: bytes leave as they come


FRAMED = (Reads.ALL, Reads.FRAMES)  # the bytes are taken apart into frames


class InWork(NamedTuple):
    """What a lane was fed from the current frame, and how many characters it was fed before that."""

    lane: Lane
    text: str
    fed: int


class Rewriting(Protocol):
    """The part of a rewriter that is needed here."""

    wire: Wire
    framer: Framer
    queue: OutputQueue
    parsers: Parsers
    messages: dict[int, Message]
    last: Reading  # the last frame that was read
    in_work: list[InWork]
    reads: Reads
    line: bytes  # the beginning of a line, while lines are read

    def read(self, frame: bytes) -> None: ...


def stop_reading_texts(rewriter: Rewriting, frame: bytes | None) -> None:
    """Read frames alone from now on; if that has failed, nothing. `frame` is the current frame; None if there
    is none or it is already in the queue."""
    queue = rewriter.queue
    in_work, rewriter.in_work = rewriter.in_work, []
    if rewriter.reads is not Reads.ALL:
        rewriter.reads = Reads.NOTHING
        queue.items += [frame] if frame else []
        return
    rewriter.reads = Reads.FRAMES
    try:
        for message in rewriter.messages.values():
            message.natives.give_up([piece.lane.id.call for piece in in_work])
            _put_rest(rewriter, message, in_work)
        if frame:
            rewriter.read(frame)
            frame = None  # it is in the queue
        queue.release()
    except Exception:
        rewriter.reads = Reads.NOTHING
        queue.items += [frame] if frame else []


def _put_rest(rewriter: Rewriting, message: Message, in_work: list[InWork]) -> None:
    """Put what a message holds into the queue, as far as it is in no frame. Nobody reads on in its lanes."""
    items, last = rewriter.queue.items, rewriter.last
    for lane in message.lanes.values():
        if suspects := message.natives.suspects.get(lane):
            items.append(Own(lane.id, list(suspects), last))
    for lane in message.lanes.values():
        if text := _unsent(rewriter, lane, in_work):
            items.append(Own(lane.id, [Text(text)], last))
        lane.over = True


def _unsent(rewriter: Rewriting, lane: Lane, in_work: list[InWork]) -> str:
    """The text of a lane that is in no frame except the current one, and in no event."""
    if lane.aligned or lane.over:
        return ""
    fed = [piece for piece in in_work if piece.lane is lane]
    if lane.id.kind is not Kind.ARGUMENTS:
        with suppress(Exception):  # what failed may fail again
            return _pending(rewriter, lane, lane.fed - fed[0].fed if fed else 0)
    pending = lane.reader.pending
    for piece in reversed(fed):
        pending = pending.removesuffix(piece.text)
    return pending


def _pending(rewriter: Rewriting, lane: Lane, in_work: int) -> str:
    """What a new parser holds of a lane's text without its last `in_work` characters; the parser that
    failed may not know."""
    parser = rewriter.parsers.new(lane.id.kind, Ledger())
    if lane.after_calls:
        parser.interrupt(())
    for came in _without_end(lane.came, in_work):
        if came is None:
            parser.interrupt()
        else:
            parser.feed(came)
    return parser.pending


def _without_end(came: list[str | None], size: int) -> list[str | None]:
    """The pieces without the last `size` characters."""
    pieces = list(came)
    while size and pieces:
        last = pieces.pop() or ""
        if len(last) > size:
            pieces.append(last[:-size])
        size = max(0, size - len(last))
    return pieces


def give_up(rewriter: Rewriting, rest: list[bytes]) -> list[bytes]:
    """Send all that is held as it is, then `rest`, and read no frames any more."""
    if rewriter.reads is Reads.ALL:
        stop_reading_texts(rewriter, None)
    queue = rewriter.queue
    half_sent = any(isinstance(item, Own) and _ends_call(item) for item in queue.items)
    queue.items += [queue.end] if queue.end else []
    frames = [_as_it_came(rewriter, item) for item in queue.items]
    queue.items.clear()
    queue.end = None
    rewriter.framer.pending.clear()
    in_call = any(lane.in_call for message in rewriter.messages.values() for lane in message.lanes.values())
    rewriter.reads = Reads.LINES if in_call or half_sent else Reads.NOTHING
    out = queue.take()
    return out + passed(rewriter, b"".join([*frames, *rest]))


def _as_it_came(rewriter: Rewriting, item: Item) -> bytes:
    """A frame as it came; or our own events as text, if they can still be written."""
    match item:
        case Held():
            return item.reading.frame
        case Own():
            with suppress(Exception):
                text = Text("".join(map(words, item.events)))
                return rewriter.queue.encoder.events(item.lane, [text], item.near)
        case bytes():
            return item
    return b""


def _ends_call(own: Own) -> bool:
    """Whether these events end a call, of which a part may have left."""
    return any(isinstance(event, CallEnd) for event in own.events)


def passed(rewriter: Rewriting, data: bytes, over: bool = False) -> list[bytes]:
    """What is sent when no frames are read any more: the bytes as they come. But if a call is only half
    sent, no line may say that there is a call to run."""
    if rewriter.reads is Reads.NOTHING:
        return [data] if data else []
    lines = rewriter.line + data
    end = len(lines) if over else lines.rfind(b"\n") + 1
    rewriter.line = lines[end:]
    out = rewriter.wire.disarmed(lines[:end])
    return [out] if out else []
