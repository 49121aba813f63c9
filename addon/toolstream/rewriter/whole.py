"""An answer that is not streamed, or the error in place of one: the same parsers, over whole texts.

The wire reads the body into slices and writes it. Slices without calls keep every byte, and if nothing
changed, the same body object is returned. A truncated call stays text here, because nothing of it was
sent.
"""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from ..events import CallEnd, CallStart, Event, Text, calls_of
from ..ledger import Ledger
from ..limits import HELD_OF_WHOLE
from ..native.call import NativeCall
from ..native.calls import NativeCalls
from ..native.in_text import calls_in_json
from ..native.new_arguments import native_calls
from ..parser.parser import ToolCallParser, argument_parsers
from ..repairs import Repair
from ..schema.json_read import Json, loads_object
from ..schema.rules import Rules
from ..schema.toolset import Toolset
from ..wire import WIRES
from ..wire.base import Found, Kind, LaneId, Reading, Slice, Wire
from .engine_errors import read_unparsed


def rewrite_completion(
    request_body: Json,
    response_body: bytes,
    recovery: str = "tolerant",
    *,
    rules: Rules | None = None,
    api: str = "chat",
) -> tuple[bytes, Ledger]:
    """The body to send for an answer that is not streamed, and what was done to it.

    Takes the decoded request, the raw body of the answer, the user's rules, and the API's name. Never
    raises: what cannot be read is returned as it came, with `ledger.failure` set if the fault was ours.
    """
    task = Task.of(request_body, recovery, rules, api)
    if not task.reads:
        return response_body, task.ledger
    try:
        reading = task.wire.read_whole(response_body.decode())
    except UnicodeDecodeError:
        return response_body, task.ledger
    except Exception:
        task.ledger.failure = traceback.format_exc()
        return response_body, task.ledger
    try:
        written = task.wire.write_whole(reading, Finder(task, reading).find(), task.ledger)
    except Exception:
        task.ledger.failure = traceback.format_exc()
        return response_body, task.ledger
    return (response_body if written == reading.data else written.encode()), task.ledger


def recover_error(
    request_body: Json,
    error_body: bytes,
    recovery: str = "tolerant",
    *,
    rules: Rules | None = None,
    api: str = "chat",
) -> tuple[bytes, Ledger] | None:
    """The answer that an error body should have been, and its repairs; None if it is a real error, or the
    request asked for a stream. Send it with status 200 and as application/json."""
    task = Task.of(request_body, recovery, rules, api)
    if task.wire.asked.stream or not task.reads:
        return None
    try:
        body = loads_object(error_body.decode(), strict=False) or {}
    except UnicodeDecodeError:
        return None
    unparsed = read_unparsed(body.get("error"), task.parser(), task.ledger)
    if unparsed is None:
        return None
    return task.wire.written_whole(unparsed.text, unparsed.calls).encode(), task.ledger


@dataclass(frozen=True, slots=True)
class Task:
    """What was asked, how the answer is to be read, and the ledger that counts what is done."""

    wire: Wire
    toolset: Toolset
    recovery: str
    ledger: Ledger

    @classmethod
    def of(cls, request: Json, recovery: str, rules: Rules | None, api: str) -> "Task":
        wire = WIRES[api](request)
        asked = wire.asked
        toolset = Toolset(asked.tools, asked.tool_choice, rules, asked.aliases)
        return cls(wire, toolset, recovery, Ledger())

    @property
    def reads(self) -> bool:
        """Whether the answer is read at all."""
        return bool(self.toolset.tools) and not self.wire.asked.unread

    def parser(
        self, reasoning: bool = False, live: bool = False, ledger: Ledger | None = None
    ) -> ToolCallParser:
        """A parser for a text that is complete."""
        return ToolCallParser(
            self.toolset,
            recovery=self.recovery,
            parallel=self.wire.asked.parallel,
            live=live,
            reasoning=reasoning,
            ledger=self.ledger if ledger is None else ledger,
            most=HELD_OF_WHOLE,
        )


class Finder:
    """Finds the calls in the slices of one answer."""

    def __init__(self, task: Task, reading: Reading) -> None:
        self._task, self._slices, self._reasons = task, reading.slices, dict(reading.ends)
        self._found = Found([None] * len(reading.slices), [[] for _ in reading.slices])

    def find(self) -> Found:
        """What becomes of each slice."""
        groups = {part.group for part in self._slices}
        for group in sorted(groups):
            self._read_message(group)
        return self._found

    def _read_message(self, group: int) -> None:
        reason = self._reasons.get(group, self._reasons.get(None))
        places = [at for at, part in enumerate(self._slices) if part.group == group]
        natives = self._read_natives(group, places, reason)
        more = False
        for n, at in enumerate(places):
            part = self._slices[at]
            if part.kind not in (Kind.CONTENT, Kind.REASONING):
                continue
            near = places[n + 1 :] if self._task.wire.blocks else places
            events = self._read_text(part, [self._slices[p] for p in near if p != at], natives, reason)
            if part.kind is Kind.CONTENT:
                natives.note(events)
                events = natives.without_copies(at, events, over=True, more=more)
            self._take_text(at, events)
            more = more or bool(self._found.calls[at])

    def _take_text(self, at: int, events: list[Event]) -> None:
        """Note what was found in the text of a slice."""
        left, calls = _text(events), calls_of(events)
        self._found.calls[at] = calls
        if calls or left != self._slices[at].text:
            self._found.texts[at] = left

    # Calls that the server parsed

    def _read_natives(self, group: int, places: list[int], reason: str | None) -> NativeCalls:
        """Read and mend the calls that the server parsed."""
        task, wire = self._task, self._task.wire
        in_arguments = argument_parsers(task.toolset)
        natives = native_calls(wire, task.toolset, task.ledger, in_arguments, wire.takes_prose)
        natives.begin_frame()
        calls: list[tuple[int, NativeCall, str]] = []
        for at in places:
            part = self._slices[at]
            if part.call_piece:
                call, _ = natives.read(part.call_piece)
                part.lane = LaneId(group, Kind.ARGUMENTS, at, call)
                out = _text(call.feed(part.text))
                natives.after(call)
                calls.append((at, call, out))
        natives.close(reason)
        for at, call, out in calls:
            self._take_call(at, call, out + _text(call.drain()))
        if calls:
            self._found.calls[calls[-1][0]] = natives.more()
        return natives

    def _take_call(self, at: int, call: NativeCall, arguments: str) -> None:
        if call.dropped:
            self._found.texts[at] = call.as_text
        elif not call.foreign and arguments != self._slices[at].text:
            self._found.texts[at] = arguments

    # Texts

    def _read_text(
        self, part: Slice, others: Sequence[Slice], natives: NativeCalls, reason: str | None
    ) -> list[Event]:
        kinds = {other.kind for other in others if other.is_solid}
        if part.kind is Kind.REASONING:
            parser = self._task.parser(reasoning=True)
            answered = kinds - {Kind.REASONING}
            return parser.feed(part.text) + (parser.interrupt() if answered else parser.close(reason))
        if Kind.ARGUMENTS in kinds and natives.sent:
            return self._read_before(part.text, natives)
        follows = self._task.wire.blocks and kinds
        return self._parse(part.text, None if follows else reason, any(map(_is_thought, others)))

    def _read_before(self, text: str, natives: NativeCalls) -> list[Event]:
        """Read the text before calls that the server parsed. A call in it that they break off is dropped
        if it is the beginning of one of them; otherwise it is text."""
        if (copies := calls_in_json(text)) and natives.are_copies(copies):
            return []
        ledger = Ledger()
        parser = self._task.parser(live=True, ledger=ledger)
        names = [call.tool.name for call in natives.calls]
        before, begun = _divided(parser.feed(text) + parser.interrupt(names))
        if not begun:
            parser = self._task.parser()
            return parser.feed(text) + parser.interrupt(names)
        ((name, arguments),) = calls_of([*begun, CallEnd(0)])
        if not natives.is_begun_by(name, arguments):
            return self._parse(text, None)
        self._task.ledger.add(ledger)
        self._task.ledger.repaired(Repair.DUPLICATE_CALL)
        return before + [event for event in begun if isinstance(event, Text)]

    def _parse(self, text: str, reason: str | None, thinks_apart: bool = False) -> list[Event]:
        """What the parser finds in a complete text. A call that is not complete is text."""
        parser = self._task.parser()
        if thinks_apart:
            parser.forget_thinking()
        return parser.feed(text) + parser.close(reason)


def _is_thought(part: Slice) -> bool:
    return part.kind is Kind.REASONING and bool(part.text)


def _divided(events: list[Event]) -> tuple[list[Event], list[Event]]:
    """The events before the call that is not complete, and the others: none if all calls are complete."""
    for at in reversed(range(len(events))):
        match events[at]:
            case CallEnd():
                break
            case CallStart():
                return events[:at], events[at:]
    return events, []


def _text(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))
