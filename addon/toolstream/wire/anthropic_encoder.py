"""Writes the events of a streamed Anthropic Messages answer.

Clients rely on several things: indexes without a gap, deltas that fit their block, a stop for every block
before the end of the message, and at least one delta for each call, because not all of them read an
`input` that comes with the start. As long as nothing was changed, the server's events pass as they are.
(llama.cpp starts a block before the last one stops, and stops all of them at the end. All clients accept
that.)

From the first change on, the encoder uses its own numbers and has one block open at a time. What the
server says later about a stopped block is left out; more text opens another block. A block of text starts
with its first text. Whitespace alone starts none, because servers refuse a history with empty blocks.

The end, `message_delta`, comes after the blocks. Its reason must not say that there is something to run
if a call is incomplete: SDKs silently turn truncated JSON into an object.
"""

from collections.abc import Callable, Iterable
from typing import Any

from ..events import ArgumentsDelta, CallEnd, CallStart, Event, Text
from ..ledger import Ledger
from ..repairs import Repair
from ..schema.json_read import object_in
from ..schema.json_write import quoted
from .base import At, Kind, LaneId, Reading, ServerCall, Slice, finish_reason, joined, new_id
from .json_edit import Edit, Edits, Path, splice, value_at, with_members
from .sse import read_data, replace_data

CONTENT, REASONING, ARGUMENTS, OTHER = Kind
WORDS = ("end_turn", "tool_use", "max_tokens")
EMPTY = {CONTENT: '{"type":"text","text":""}', REASONING: '{"type":"thinking","thinking":"","signature":""}'}
DELTAS = {
    CONTENT: ("text_delta", "text"),
    REASONING: ("thinking_delta", "thinking"),
    ARGUMENTS: ("input_json_delta", "partial_json"),
}
ENDS = (b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r\n")  # of an event that is whole
ASTRAY, PLAIN = "astray", "plain"  # facts: text in the block of a call; a delta with nothing but text


class MessagesEncoder:
    """Writes one answer. A number is the index of a block as the client counts them."""

    def __init__(self, new_id: Callable[[], str], model: str, ledger: Ledger) -> None:
        self._new_id, self._model, self._ledger = new_id, model, ledger
        self._changed = False
        self._begun = False  # message_start was sent
        self._over = False  # message_stop was sent, or an error
        self._half = b""  # an event that was cut off when the connection dropped
        self._gap = b""  # what the last event lacks at its end
        self._next = 0
        self._open: dict[int, LaneId | None] = {}  # block: its lane; None for a call that was found in text
        self._numbers: dict[LaneId, int] = {}  # a lane's last block
        self._signed: set[int] = set()  # blocks whose signature was sent
        self._left_out: set[LaneId] = set()  # lanes without a block, because their text was nothing but calls
        self._waiting: dict[LaneId, str] = {}  # whitespace waits for text, all text for the end of a call
        self._ours: dict[LaneId, int] = {}  # the open call that was found in a lane: its block
        self._found = 0  # complete calls that were found in text
        self._cut = False  # the block of an incomplete one was stopped
        self._calls: list[ServerCall] = []
        self._lanes: dict[int | None, LaneId] = {}  # of the server's calls, by the number of their block

    # The server's events

    def frame(self, reading: Reading, texts: list[str] | None) -> bytes:
        self._changed = self._changed or texts is not None
        if not reading.frame.endswith(ENDS):
            if not reading.json:
                self._half = reading.frame
                return b""
            self._gap = b"\n\n"
        return self._frame(reading, texts)

    def _frame(self, reading: Reading, texts: list[str] | None) -> bytes:
        said = [part.text for part in reading.slices] if texts is None else texts
        match reading.json.get("type"):
            case "content_block_delta":
                return self._delta(reading, said)
            case "content_block_start":
                return self._start(reading, said, left_out=texts is not None and not texts[0])
            case "content_block_stop":
                return self._stop(reading)
            case "message_delta":
                return self._end(reading)
        return self._other(reading)

    def _other(self, reading: Reading) -> bytes:
        kind, failed = reading.json.get("type"), reading.error is not None
        self._begun = self._begun or kind == "message_start"
        self._over = self._over or failed or kind == "message_stop"
        return (self._stop_all() if failed else b"") + reading.frame

    def _start(self, reading: Reading, said: list[str], left_out: bool) -> bytes:
        lane = self._lane(reading.slices[0])
        if lane.call:
            if left_out or lane.call.dropped:
                return self._server_call(lane, lane.call, Text("".join(said[1:])))
            return self._start_call(reading, lane, lane.call, said)
        if self._changed and lane.kind in EMPTY:
            if left_out:
                self._left_out.add(lane)
            return self._text(lane, said[1]) if said[1:] else b""
        before = self._stop_all()
        return before + self._renumbered(reading, self._begin(lane, reading.json.get("index")))

    def _start_call(self, reading: Reading, lane: LaneId, call: ServerCall, said: list[str]) -> bytes:
        self._calls.append(call)
        changes, whole = head_edits(reading.slices[0]), len(said) > 1
        misplaced = not self._changed and reading.json.get("index") != self._next
        if whole or misplaced or "id" in changes:
            call.reshape(self._ledger)
        if whole:
            changes["input"] = "{}"
        self._changed = self._changed or misplaced or bool(changes)
        before = self._stop_all()
        number = self._begin(lane, reading.json.get("index"))
        edits: Edits = []
        if changes:
            block: Path = ("content_block",)
            edits = [(block, with_members(value_at(reading.data, block), changes))]
        out = before + self._renumbered(reading, number, edits)
        return out + (self._arguments(number, said[1]) if whole else b"")

    def _delta(self, reading: Reading, said: list[str]) -> bytes:
        if not reading.slices:
            return reading.frame
        part = reading.slices[0]
        lane = self._lane(part)
        number = self._numbers.get(lane, -1)
        if reading.facts.get(ASTRAY) and not self._changed:
            self._changed = True
            self._ledger.repaired(Repair.CALL_SHAPE)
        if part.at is At.CLOSE:
            return self._extra(reading, lane, number)
        return self._new_delta(reading, lane, number, said[0]) if self._changed else reading.frame

    def _new_delta(self, reading: Reading, lane: LaneId, number: int, text: str) -> bytes:
        """A delta that leaves with this text, in the block of this number; -1 if its block did not leave."""
        part = reading.slices[0]
        if lane.kind in EMPTY and (number not in self._open or lane in self._ours):
            return self._text(lane, text)
        if lane.call and number < 0:
            return self._server_call(lane, lane.call, Text(text))
        if number < 0 or (part.text and not text):
            return b""
        return self._in_its_block(reading, lane, number, text)

    def _in_its_block(self, reading: Reading, lane: LaneId, number: int, text: str) -> bytes:
        """A delta of the server's, as it came if it fits, with this text in the block of this number."""
        part = reading.slices[0]
        if text == part.text and reading.json.get("index") == number:
            return reading.frame
        if lane.kind in DELTAS and _is_plain(reading):
            return _delta(number, lane.kind, text)
        return self._renumbered(reading, number, [(path, quoted(text)) for path in part.paths])

    def _extra(self, reading: Reading, lane: LaneId, number: int) -> bytes:
        """What a block has besides its text, such as a signature."""
        if self._changed and number not in self._open:
            if number >= 0 or lane in self._left_out or lane.kind not in EMPTY:
                return b""
            before = self._open_text(lane)
            number = self._numbers[lane]
            return before + self._extra(reading, lane, number)
        self._signed.add(number)
        return self._renumbered(reading, number)

    def _stop(self, reading: Reading) -> bytes:
        number = self._numbers.get(self._lane(reading.slices[0]), -1) if reading.slices else -1
        is_open = number in self._open
        self._open.pop(number, None)
        return self._renumbered(reading, number) if is_open or not self._changed else b""

    def _end(self, reading: Reading) -> bytes:
        """End the blocks and correct the stop_reason."""
        unstopped = [] if self._changed else self._open_calls()
        for _ in unstopped:
            self._ledger.repaired(Repair.CALL_SHAPE)
        self._changed = self._changed or bool(unstopped)
        before = self._stop_all()
        cut = self._cut or any(call.broken for call in self._calls)
        called = bool(self._found or self._calls)
        sent = object_in(reading.json, "delta").get("stop_reason")
        reason = stop_reason(sent, called, self._found > 0, cut, self._ledger)
        edits = [] if reason == sent else [(("delta", "stop_reason"), quoted(reason))]
        return before + _edited(reading, edits)

    # Our own

    def events(self, lane: LaneId, events: list[Event], near: Reading) -> bytes:
        self._changed = True
        out = b"" if self._begun or self._next else self._message_start()
        for event in joined(events):
            out += self._server_call(lane, lane.call, event) if lane.call else self._event(lane, event)
        return self._apart(out)

    def _apart(self, out: bytes) -> bytes:
        """Events of our own, with the blank line before them that the last event may lack."""
        gap, self._gap = (self._gap, b"") if out else (b"", self._gap)
        return gap + out

    def _event(self, lane: LaneId, event: Event) -> bytes:
        """Text, and calls that were found in it."""
        match event:
            case Text(text):
                return self._text(lane, text)
            case CallStart(_, name):
                self._ours[lane], opening = self._open_call(None, self._new_id(), name)
                return opening
            case ArgumentsDelta(_, text):
                return self._arguments(self._ours.get(lane, -1), text)
            case CallEnd() if lane in self._ours:
                end = self._close(self._ours[lane])
                del self._ours[lane]
                self._found += 1
                return end + self._text(lane, "")
        return b""

    def _server_call(self, lane: LaneId, call: ServerCall, event: Event) -> bytes:
        """Arguments of a call that the server parsed, in events of our own."""
        if not isinstance(event, Text) or not event.text or call.dropped:
            return b""
        opening = b""
        if lane not in self._numbers:
            self._calls.append(call)
            self._numbers[lane], opening = self._open_call(lane, call.id, call.name)
        return opening + self._arguments(self._numbers[lane], event.text)

    def _arguments(self, number: int, text: str) -> bytes:
        return _delta(number, ARGUMENTS, text) if number in self._open and text else b""

    def end(self, near: Reading, group: int) -> bytes:
        self._changed = self._over = True
        delta = '"delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":0}'
        return self._apart(self._stop_all() + _event("message_delta", delta) + _event("message_stop"))

    def close(self) -> bytes:
        """The body is over. Open calls are not stopped, so that nobody takes them for complete."""
        if self._over:
            return self._half
        for number in self._open_calls():
            del self._open[number]
        return self._apart(self._stop_all() + self._half)

    def _message_start(self) -> bytes:
        self._begun = True
        return _event("message_start", f'"message":{{{message_head(self._model, [], None)}}}')

    # Blocks

    def _lane(self, part: Slice) -> LaneId:
        """The lane of a slice. After a failure nobody assigns calls to lanes any more, so their last lane
        is used."""
        if part.call_piece is None:
            assert part.lane
            return part.lane
        number = part.call_piece.index
        lane = part.lane or self._lanes.get(number) or LaneId(part.call_piece.group, Kind.OTHER, number)
        self._lanes[number] = lane
        return lane

    def _open_calls(self) -> list[int]:
        """The blocks of calls that are open."""
        return [number for number, lane in self._open.items() if lane is None or lane.call]

    def _begin(self, lane: LaneId | None, index: Any = None) -> int:
        """A block starts. `index` is the server's index for it."""
        number = index if isinstance(index, int) and not self._changed else self._next
        self._next = max(self._next, number + 1)
        self._open[number] = lane
        if lane:
            self._numbers[lane] = number
        return number

    def _text(self, lane: LaneId, text: str) -> bytes:
        """Text in the block of its lane. It waits if the block cannot start now."""
        number = self._numbers.get(lane, -1)
        if number in self._open and lane not in self._ours:
            return _delta(number, lane.kind, text) if text else b""
        text = self._waiting.get(lane, "") + text
        if lane in self._ours or not text.strip():
            self._waiting[lane] = text
            return b""
        self._waiting.pop(lane, None)
        return self._open_text(lane) + _delta(self._numbers[lane], lane.kind, text)

    def _open_text(self, lane: LaneId) -> bytes:
        before = self._stop_all()
        opening = _start(self._next, EMPTY[lane.kind])
        self._begin(lane)
        return before + opening

    def _open_call(self, lane: LaneId | None, call_id: str, name: str) -> tuple[int, bytes]:
        before = self._stop_all()
        number = self._begin(lane)
        return number, before + _start(number, tool_use(call_id, name, "{}"))

    def _stop_all(self) -> bytes:
        """Stop all open blocks, once anything was changed. Text that waits is sent; whitespace that waits
        is left out."""
        if not self._changed:
            return b""
        self._cut = self._cut or bool(self._ours)
        self._ours.clear()
        out = b"".join(self._close(number) for number in sorted(self._open))
        waiting, self._waiting = self._waiting, {}
        for lane, text in waiting.items():
            if text.strip():
                number = self._begin(lane)
                out += (
                    _start(number, EMPTY[lane.kind]) + _delta(number, lane.kind, text) + self._close(number)
                )
        return out

    def _close(self, number: int) -> bytes:
        if number not in self._open:
            return b""
        lane = self._open.pop(number)
        unsigned = lane and lane.kind is REASONING and number not in self._signed
        signature = '"delta":{"type":"signature_delta","signature":""}'
        before = _event("content_block_delta", f'"index":{number},{signature}') if unsigned else b""
        return before + _event("content_block_stop", f'"index":{number}')

    def _renumbered(self, reading: Reading, number: int, edits: Iterable[Edit] = ()) -> bytes:
        """An event of the server under our index."""
        if self._changed and number >= 0 and reading.json.get("index") != number:
            edits = [*edits, (("index",), str(number))]
        return _edited(reading, edits)


# For whole answers as well


def stop_reason(sent: Any, called: bool, found: bool, cut: bool, ledger: Ledger) -> Any:
    """The reason to send. `called`: the answer has calls; `found`: some of them were found in its text;
    `cut`: one of them is incomplete."""
    stopped = sent in (None, "stop_sequence") and (found or cut)
    reason = finish_reason("end_turn" if stopped else sent, called, cut, WORDS)
    if reason != sent and not found and reason != "max_tokens":
        ledger.repaired(Repair.FINISH_REASON)
    return reason


def head_edits(part: Slice) -> dict[str, str]:
    """The members that have to be replaced in the head of a server's call."""
    call, said = part.call, part.call_piece
    if not call or not said:
        return {}
    wanted = {"id": (call.id, said.id), "name": (call.name, said.name)}
    return {key: quoted(right) for key, (right, sent) in wanted.items() if right and right != sent}


def message_head(model: str, blocks: list[str], reason: str | None) -> str:
    """The members of a message of our own."""
    head = f'"id":"{new_id("msg_")}","type":"message","role":"assistant","model":{quoted(model)}'
    stop = f'"stop_reason":{quoted(reason) if reason else "null"},"stop_sequence":null'
    return f'{head},"content":[{",".join(blocks)}],{stop},"usage":{{"input_tokens":0,"output_tokens":0}}'


def tool_use(call_id: str, name: str, arguments: str) -> str:
    """A block with a call."""
    head = f'"type":"tool_use","id":{quoted(call_id)},"name":{quoted(name)}'
    return f'{{{head},"input":{arguments}}}'


def _start(number: int, block: str) -> bytes:
    return _event("content_block_start", f'"index":{number},"content_block":{block}')


def _delta(number: int, kind: Kind, text: str) -> bytes:
    name, member = DELTAS[kind]
    return _event(
        "content_block_delta", f'"index":{number},"delta":{{"type":"{name}","{member}":{quoted(text)}}}'
    )


def _event(kind: str, members: str = "") -> bytes:
    comma = "," if members else ""
    return f'event: {kind}\ndata: {{"type":"{kind}"{comma}{members}}}\n\n'.encode()


def _edited(reading: Reading, edits: Iterable[Edit]) -> bytes:
    edits = list(edits)
    if not edits:
        return reading.frame
    data = reading.data or read_data(reading.frame) or ""
    return replace_data(reading.frame, splice(data, edits))


def _is_plain(reading: Reading) -> bool:
    """Whether a delta event says nothing besides its text."""
    if PLAIN not in reading.facts:
        members = set(reading.json) | set(object_in(reading.json, "delta"))
        reading.facts[PLAIN] = members <= {"type", "index", "delta", *(m for _, m in DELTAS.values())}
    plain: bool = reading.facts[PLAIN]
    return plain
