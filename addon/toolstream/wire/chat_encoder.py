"""Writes a streamed chat completion: the server's chunks, edited in place, and chunks of our own.

A chunk of our own copies the members that identify the answer and nothing else. Calls are numbered in the
order in which they leave, whoever found them. A call that the server parsed is put into the shape that
every known client expects: index, id, type and name in its first delta and only there, and arguments as a
string.
"""

from collections.abc import Sequence
from typing import Any

from ..events import ArgumentsDelta, CallEnd, CallStart, Event, Text
from ..ledger import Ledger
from ..schema.json_read import Json, object_in
from ..schema.json_write import quoted
from .base import NO_TEXT, Kind, LaneId, Reading, ServerCall, Slice, joined, texts_of
from .chat_calls import call_head, edits_of, is_further, is_head, merged, others_in
from .chat_json import (
    CALLS,
    REASONING_FIELDS,
    calls_in,
    choices_of,
    delta_of,
    fields_of,
    is_bare,
    new_call_id,
    read_chunk,
    reason_to_send,
)
from .chat_synthesis import Synthesis
from .json_edit import Edits, Path, splice
from .sse import read_data, replace_data


class Choice:
    """What was sent of one choice."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.role = False  # the client has been told the role
        self.numbers: dict[Any, int] = {}  # call: its index in the answer
        self.calls = 0  # complete calls that were found in text
        self.open = False  # a call that was found in text is not complete
        self.finished = False  # its finish_reason was sent
        self.natives: list[ServerCall] = []
        self.unread: dict[Any, int] = {}  # the server's index: our number, for deltas that nobody reads
        self.reshaped: set[ServerCall] = set()
        self.fields: Sequence[str] = REASONING_FIELDS[:1]  # the members of a delta that get our reasoning

    def number(self, call: Any) -> int:
        return self.numbers.setdefault(call, len(self.numbers))

    def begin(self, call: ServerCall, index: Any) -> bool:
        """Whether a call of the server's begins here, with its index. If so, it gets a number."""
        if call in self.numbers:
            return False
        self.natives.append(call)
        self.unread[index] = self.number(call)
        return True

    def finish_reason(self, sent: Any, ledger: Ledger) -> Any:
        """The finish_reason to send in place of the server's."""
        cut = self.open or any(call.broken for call in self.natives)
        return reason_to_send(sent, bool(self.natives or self.unread), bool(self.calls), cut, ledger)


class ChatEncoder:
    """See `base.Encoder`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._choices: dict[int, Choice] = {}
        self._near = Reading(b"")  # the last frame with choices

    def close(self) -> bytes:
        return b""

    # The server's chunks

    def frame(self, reading: Reading, texts: list[str] | None) -> bytes:
        facts = reading.facts
        if texts == NO_TEXT and facts.get("silent"):
            return b""
        if "plain" not in facts:
            self._learn(reading)
        if facts["plain"]:
            if texts is None and not facts["roles"]:
                return reading.frame
            if (out := self._plain(reading, texts)) is not None:
                return out
        elif texts is None and facts["further"] and (further := self._further(reading)):
            return further
        return self._edited(full(reading), texts)

    def _plain(self, reading: Reading, texts: list[str] | None) -> bytes | None:
        """A chunk that has no call and ends nothing; None if it has to be edited."""
        facts = reading.facts
        unnamed = facts["roles"] and [choice for choice in facts["roles"] if not choice.role]
        if texts is None:
            out = reading.frame
        elif not (unnamed or any(texts)) and _is_silent(reading):
            return b""
        elif not reading.end:
            return None
        else:
            out = reading.with_text(texts[0])
        for choice in unnamed:
            choice.role = True
        return out

    def _learn(self, reading: Reading) -> None:
        """Note what all frames of this envelope have in common."""
        choices = choices_of(reading.json)
        if choices:
            self._near = reading
        plain, ends, roles = True, False, []
        delta: Json = {}
        for _, json_choice in choices:
            delta = delta_of(json_choice)
            ends = ends or bool(json_choice.get("finish_reason"))
            plain = plain and not (delta.get("tool_calls") or delta.get("function_call"))
            if delta.get("role"):
                roles.append(self._choice(json_choice.get("index", 0)))
        facts = reading.facts
        facts["plain"], facts["roles"] = plain and not ends, roles
        facts["further"] = () if ends or len(choices) != 1 else _further_number(reading, delta)
        self._note_fields(reading.slices)

    def _note_fields(self, slices: list[Slice]) -> None:
        """Note under which names the server sends reasoning."""
        for part in slices:
            if part.lane and part.lane.kind is Kind.REASONING:
                choice = self._choice(part.lane.group)
                choice.fields = [str(path[3]) for path in part.paths if not path[4:]] or choice.fields

    def _further(self, reading: Reading) -> bytes:
        """A later delta of a call that was announced: as it came, or corrected, each in the same way. b""
        if it is anything else."""
        facts, (part,) = reading.facts, reading.slices
        call = part.lane and part.lane.call
        number = self._choice(part.lane.group).numbers.get(call) if part.lane else None
        if number is None or number == facts["further"][0]:
            return b"" if number is None else reading.frame
        text = quoted(part.text).encode()
        if facts.get("shaped", (None,))[0] is call:
            _, head, tail = facts["shaped"]
            return bytes(head + text + tail)
        out = self._edited(full(reading), None)
        head, found, tail = out.partition(b'"arguments": ' + text)
        if found and reading.end:
            facts["shaped"] = call, head + found[: -len(text)], tail
        return out

    def _edited(self, reading: Reading, texts: list[str] | None) -> bytes:
        if not (choices := choices_of(reading.json)):
            return reading.frame
        said = list(texts_of(reading, texts))
        edits, before = _edits_of_texts(said), b""
        keep = not said or any(text for part, text in said if not part.call_piece)
        for at, json_choice in choices:
            calls = [(part, text) for part, text in said if _choice_of_call(part) == at]
            legacy, says = self._edit_choice(reading, at, json_choice, calls, edits)
            before += legacy
            keep = keep or says
        if not keep:
            return before
        if not edits:
            return before + reading.frame
        return before + replace_data(reading.frame, splice(reading.data, edits))

    def _edit_choice(
        self, reading: Reading, at: int, json_choice: Json, calls: list[tuple[Slice, str]], edits: Edits
    ) -> tuple[bytes, bool]:
        """A chunk of our own with the call that a legacy `function_call` holds, and whether the choice
        says anything besides its texts. Edits are added for what changes."""
        choice, delta = self._choice(json_choice.get("index", 0)), delta_of(json_choice)
        left, legacy = self._write_calls(choice, at, delta, calls, edits), b""
        if left and not delta.get("tool_calls"):
            legacy = self._writer(reading, choice).calls(left, self._first_role(choice))
        reason = json_choice.get("finish_reason") or None
        is_first = bool(delta.get("role")) and self._first_role(choice)
        edits += self._finish(choice, at, reason)
        says = is_first or reason is not None or bool(left) or _has_more(reading, at, delta, bool(calls))
        return legacy, says

    def _finish(self, choice: Choice, at: int, reason: Any) -> Edits:
        again = choice.finished and bool(choice.calls) and reason is not None
        choice.finished = choice.finished or reason is not None
        if again:  # a client may take it for the end of another answer
            return [(("choices", at, "finish_reason"), "null")]
        other = choice.finish_reason(reason, self._ledger)
        return [] if other == reason else [(("choices", at, "finish_reason"), quoted(other))]

    # Calls that the server parsed

    def _write_calls(
        self, choice: Choice, at: int, delta: Json, calls: list[tuple[Slice, str]], edits: Edits
    ) -> list[Json]:
        """The elements of a delta's `tool_calls` as they leave. Edits are added for what changes."""
        if not calls:
            return []
        old: Any = delta.get("tool_calls")
        listed = isinstance(old, list) and bool(old)
        pairs = zip(calls_in(delta), calls, strict=True)
        written = [(element, self._element(choice, element, *said, listed)) for (element, _), said in pairs]
        left = [new for _, new in written if new]
        if listed and len(left) == len(old) and all(new is element for element, new in written):
            return left
        left = merged(left)
        path: Path = ("choices", at, "delta", "tool_calls" if old else "function_call")
        edits += edits_of(path, old, left) if old else [(path, "null")]
        return left

    def _element(self, choice: Choice, old: Json, part: Slice, text: str, listed: bool) -> Json:
        """One element of `tool_calls` as it leaves; `old` itself if nothing has to change, {} if nothing
        is left of it. `listed`: it is in a list, as every known client expects it."""
        call = part.call
        assert part.call_piece
        if call is None:  # nobody reads it any more
            return self._unread(choice, old)
        if not call.announced:
            return {}
        first = choice.begin(call, part.call_piece.index)
        number = choice.number(call)
        if part.call_piece.foreign:
            return _numbered(old, number)
        right = listed and (is_head(old, call, number) if first else is_further(old, number))
        if not right:
            self._reshaped(choice, call)
        elif text == part.text and not (first and _is_renamed(old, call)):
            return old
        return _written(call, number, text, old, first)

    def _unread(self, choice: Choice, old: Json) -> Json:
        """An element of a call that nobody reads any more, with the number of its call."""
        index = old.get("index")
        if type(index) is not int:
            return old
        number = choice.unread.get(index)
        if number is None:
            number = choice.unread[index] = choice.number(("unread", index))
        return _numbered(old, number)

    def _reshaped(self, choice: Choice, call: ServerCall) -> None:
        if call not in choice.reshaped:
            choice.reshaped.add(call)
            call.reshape(self._ledger)

    # Chunks of our own

    def events(self, lane: LaneId, events: list[Event], near: Reading) -> bytes:
        choice = self._choices.get(lane.group) or self._choice(lane.group)
        writer: Synthesis = near.facts.get(choice.index) or self._writer(near, choice)
        only = events[0]
        if type(only) is ArgumentsDelta and len(events) == 1:
            return writer.call_arguments(choice.number((lane, only.index)), only.fragment)
        return b"".join(self._event(writer, choice, lane, event) for event in joined(events))

    def _event(self, writer: Synthesis, choice: Choice, lane: LaneId, event: Event) -> bytes:
        """The chunk for an event; b"" for one that no chunk says."""
        match event:
            case ArgumentsDelta(index, fragment):
                return writer.call_arguments(choice.number((lane, index)), fragment)
            case Text(text) if lane.call:
                return self._call_arguments(writer, choice, lane.call, text)
            case Text(text):
                fields = choice.fields if lane.kind is Kind.REASONING else ("content",)
                return writer.content(text, self._first_role(choice), fields)
            case CallStart(index, name):
                choice.open, number = True, choice.number((lane, index))
                head = call_head(number, new_call_id(), name, "", {})
                return writer.calls([head], self._first_role(choice))
            case CallEnd():
                choice.open, choice.calls = False, choice.calls + 1
        return b""

    def _call_arguments(self, writer: Synthesis, choice: Choice, call: ServerCall, text: str) -> bytes:
        """Arguments of a call that the server parsed, in a chunk of our own."""
        if not call.announced:
            return b""
        if call in choice.numbers:
            return writer.call_arguments(choice.numbers[call], text)
        choice.natives.append(call)
        head = call_head(choice.number(call), call.id, call.name, text, {})
        return writer.calls([head], self._first_role(choice))

    def end(self, near: Reading, group: int) -> bytes:
        return self._writer(near, self._choice(group)).finish("tool_calls") + b"data: [DONE]\n\n"

    def _choice(self, index: int) -> Choice:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = Choice(index)
        return choice

    def _first_role(self, choice: Choice) -> bool:
        """Whether the next delta has to name the role. Afterwards none has to."""
        first, choice.role = not choice.role, True
        return first

    def _writer(self, near: Reading, choice: Choice) -> Synthesis:
        """Writes chunks of our own in the envelope of this frame, or of the last one that has choices."""
        if not choices_of(near.json):
            near = self._near
        writer: Synthesis = near.facts.get(choice.index) or Synthesis(near.json, choice.index)
        near.facts[choice.index] = writer
        return writer


def full(reading: Reading) -> Reading:
    """The reading with all that its frame holds, if only its envelope was compared so far."""
    if not reading.data:
        reading.data = read_data(reading.frame) or ""
        reading.json = read_chunk(reading.data) or {}
    return reading


def _choice_of_call(part: Slice) -> Any:
    """The position of a call's choice in its chunk; -1 for a text."""
    return part.paths[0][1] if part.call_piece else -1


def _is_silent(reading: Reading) -> bool:
    """Whether frames of this envelope hold nothing but texts that are read."""
    facts = reading.facts
    if "silent" not in facts:
        choices = [(at, delta_of(json_choice)) for at, json_choice in choices_of(reading.json)]
        has_more = any(_has_more(reading, at, delta, False) for at, delta in choices)
        facts["silent"] = bool(reading.slices) and not has_more
    return bool(facts["silent"])


def _has_more(reading: Reading, at: int, delta: Json, calls: bool) -> bool:
    """Whether a delta holds more than the texts, and the `calls`, that are read there."""
    rest = {key: value for key, value in delta.items() if key not in CALLS} if calls else delta
    return not is_bare(reading.json, rest, _fields(reading, at, delta))


def _edits_of_texts(said: list[tuple[Slice, str]]) -> Edits:
    return [edit for part, text in said if not part.call_piece for edit in part.edits(text)]


def _numbered(element: Json, number: int) -> Json:
    """The element with this index, unless it has none."""
    return element if element.get("index", number) == number else element | {"index": number}


def _is_renamed(head: Json, call: ServerCall) -> bool:
    """Whether a call leaves with another name than its first element has."""
    return object_in(head, "function").get("name") != call.name


def _written(call: ServerCall, number: int, text: str, old: Json, first: bool) -> Json:
    """An element of `tool_calls`, rewritten, with what else stood in the old one and in its function."""
    outer, inner = others_in(old)
    if first:
        return call_head(number, call.id, call.name, text, inner) | outer
    if not (text or inner or outer):
        return {}
    return {"index": number, "function": {"arguments": text} | inner} | outer


def _fields(reading: Reading, at: int, delta: Json) -> set[str | int]:
    """The members of a choice's delta that hold nothing but text that is read."""
    places = [path[3:] for part in reading.slices for path in part.paths if path[1] == at]
    return fields_of(delta, [place for place in places if place[0] not in CALLS])


def _further_number(reading: Reading, delta: Json) -> tuple[int | None] | tuple[()]:
    """For a delta that holds arguments of one call and nothing else: (the call's index,), or (None,) if
    the delta is not as every known client expects it. () for any other delta."""
    listed = delta.get("tool_calls")
    if not isinstance(listed, list) or len(reading.slices) != 1:
        return ()
    element = listed[0] if len(listed) == 1 and isinstance(listed[0], dict) else {}
    number = element.get("index")
    return (number if type(number) is int and is_further(element, number) else None,)
