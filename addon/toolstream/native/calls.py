"""The tool calls of an answer that the server parsed itself.

A delta that is right leaves as the bytes it came in. Right is: index, id, type, name and arguments where
every known client expects them, and arguments that fit the schema. A `Mender` follows the arguments, this
module the calls: to which call a delta belongs, though the index is missing or always the same and the ids
repeat; what a delta may hold; and which call is only a copy of another. An `Entry` is one element of a
delta's `tool_calls`. As soon as its call is `diverged` its entries are rewritten. Calls of another `type`
than function, such as `custom`, are not ours: their entries keep all but perhaps the index.

A call waits, and is not announced, while its name has not come, while it may be a copy (of a call
under the same id, or of one that was found in the text), and while the user's rules may make it a
call of another tool.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..events import COMPLETE, ArgumentsDelta, CallEnd, CallStart, Event
from ..repairs import Ledger, Refused, Repair
from ..schema.json_read import Json, loads
from ..schema.json_write import dump
from ..schema.schema import Tool
from ..schema.toolset import Toolset, parallel_calls
from ..wire.chat_completions import finish_reason, new_call_id
from ..wire.json_edit import Path
from .mender import Mender
from .ruled import RuledMender, ruled
from .swallowed import NewParser

_NO_NAME = ("", "null", "None")
_POLLUTED = re.compile(r"\s*<?\s*(?:(?:function|tool_call|invoke)\b(?:\s*name)?\s*=?\s*)?[\"']?([\w.:/-]+)")

Number = Callable[[int], int]  # the index in the answer, of the n-th call the server parsed


class NativeCall:
    """One call that the server parsed."""

    __slots__ = (
        *("announced", "broken", "copied", "diverged", "dropped", "head", "headed", "id", "mender"),
        *("foreign", "more_sent", "name", "number", "server_id", "tool", "turn", "unread"),
    )

    def __init__(self, server_id: str, turn: int, mender: Mender) -> None:
        self.server_id = server_id  # "" if it sent none
        self.turn = turn  # the delta it came with
        self.id = ""
        self.number = -1
        self.name = ""  # as the server wrote it
        self.tool = Tool("")
        self.mender: Mender | RuledMender = mender
        self.mender.change()
        self.unread: str | None = ""  # arguments that came before the name
        self.copied: list[NativeCall] | None = None  # what it may be a copy of; None if it does not wait
        self.head: Json = {}  # the entry that names it
        self.announced = False  # it has a number, and the client is or will be told of it
        self.headed = False  # the delta that names it has been written, or passed
        self.diverged = False  # its entries are rewritten
        self.dropped = False  # it was a copy, or one too many
        self.broken = False  # over, and its arguments are no JSON object
        self.more_sent = 0
        self.foreign = False  # it is no function

    @property
    def meaning(self) -> tuple[str, Any]:
        """Name and arguments; None as long as they are not complete."""
        return self.tool.name, self.mender.value

    @property
    def decided(self) -> bool:
        """Whether nothing that comes can change what it is a call of."""
        gave_up = isinstance(self.mender, RuledMender) and self.mender.gave_up
        return self.mender.complete or gave_up


@dataclass(slots=True)
class Entry:
    """What one delta holds of one call."""

    call: NativeCall
    json: Json
    text: str  # of the arguments, and
    start: int  # where that begins in all of them, and
    end: int  # ends
    first: bool  # it is the one that names the call
    doubtful: bool = False  # the call may be a copy

    @property
    def missing(self) -> int:
        """Characters that have not been passed on, and one more if not even the call is certain."""
        if self.call.copied is not None:
            return len(self.text) + 1
        return max(0, self.end - self.call.mender.passed)

    @property
    def kept(self) -> str:
        """What has been passed on of the text."""
        return self.text[: max(0, self.call.mender.passed - self.start)]

    def write(self, text: str) -> Json:
        """The entry with these arguments; {} if that leaves nothing in it."""
        if not self.call.announced:
            return {}
        if self.call.foreign:
            return self.json | ({"index": self.call.number} if "index" in self.json else {})
        function = self.json.get("function")
        inner = dict(function) if isinstance(function, dict) else {}
        outer = {k: v for k, v in self.json.items() if k not in ("index", "id", "type", "function")}
        for key in ("name", "arguments"):
            inner.pop(key, None)
        call = self.call
        if self.first:
            head = {"index": call.number, "id": call.id, "type": "function"}
            return head | {"function": {"name": call.tool.name, "arguments": text} | inner} | outer
        if not (text or inner or outer):
            return {}
        return {"index": call.number, "function": {"arguments": text} | inner} | outer


class NativeCalls:
    """The calls of one choice. `whole`: the answer is not streamed, so that entries have no index."""

    def __init__(
        self,
        request: Json,
        toolset: Toolset,
        new_parser: NewParser,
        ledger: Ledger,
        number: Number,
        whole: bool = False,
    ) -> None:
        self.calls: list[NativeCall] = []
        self.by_index: dict[int, NativeCall] = {}  # the server's index
        self.entries: list[Entry] = []  # of a whole message
        self.copied = False  # a call in the text was dropped
        self._request, self._toolset, self._new_parser, self._ledger = request, toolset, new_parser, ledger
        self._number = number
        self._whole = whole
        self._parallel = parallel_calls(request)
        self._ids: set[str] = set()  # that are taken
        self._by_id: dict[str, NativeCall] = {}
        self._turn = 0
        self._resumed = False  # an error had what was missing: no more is read of them
        self.open_in_text = False  # a call found in the text is not complete
        self._in_text: list[tuple[str, list[str]]] = []  # calls found in the text: name, fragments
        self.continued = ""  # what the server's own call adds to the one in the text that it has cut off
        self.texts: list[str] = []  # that stood for calls and are none
        self._foreign: dict[Any, NativeCall] = {}  # by the server's index
        self._numbered = 0
        self._suspects: list[Event] = []  # a call found in the text that may be a copy

    @property
    def sent(self) -> bool:
        """Whether the client has been told of one."""
        return bool(self._foreign) or any(call.announced for call in self.calls)

    @property
    def changed(self) -> bool:
        """Whether anything is not as the server wrote it."""
        return any(call.mender.changed or call.dropped for call in self.calls)

    @property
    def broken(self) -> bool:
        """Whether a call is over whose arguments are no JSON object."""
        return any(call.broken for call in self.calls)

    def finish_reason(self, sent: Any, found: bool) -> Any:
        """The finish_reason for the one the server sent; `found`: the text holds calls. Nobody
        is told to run a call that is cut off."""
        if sent == "function_call" and self.sent:
            sent = "tool_calls"
        if (self.broken or self.open_in_text) and sent in ("stop", "tool_calls"):
            return "length"
        return finish_reason(sent, called=found or self.sent)

    # Reading

    def read(self, message: Json) -> list[Entry]:
        """What a delta, or a message, holds of calls. Their arguments are fed."""
        found, legacy = message.get("tool_calls"), message.get("function_call")
        listed = found if isinstance(found, list) else [found]
        if not found and isinstance(legacy, dict) and (legacy.get("name") or legacy.get("arguments")):
            listed = [{"index": 0, "function": legacy}]
        self._turn += bool(found or legacy)
        entries = [self._read(json) for json in listed if isinstance(json, dict)]
        if not isinstance(found, list):
            for entry in entries:
                self._reshape(entry.call)
        return entries

    def _foreign_call(self, json: Json) -> NativeCall | None:
        """The call that an element is about, if that is no function; None if it is one."""
        kind, index = json.get("type"), json.get("index")
        index = index if type(index) is int else None
        if not isinstance(kind, str) or not kind.strip():
            known = self._foreign.get(index) or (
                next(reversed(self._foreign.values()), None) if index is None else None
            )
            return known if "function" not in json else None
        if kind.strip().lower() == "function":
            return None
        call = None if self._whole else self._foreign.get(index)
        if call is None or index is None:
            call = NativeCall("", self._turn, self._mender(Tool("")))
            call.foreign = call.announced = True
            call.number = self._next_number()
            self._foreign[len(self._foreign) if index is None or self._whole else index] = call
        return call

    def _next_number(self) -> int:
        self._numbered += 1
        return self._number(self._numbered - 1)

    def _read(self, json: Json) -> Entry:
        if call := self._foreign_call(json):
            return Entry(call, json, "", 0, 0, False)
        function = json.get("function")
        function = function if isinstance(function, dict) else {}
        name, server_id, index = function.get("name"), json.get("id"), json.get("index")
        name = "" if not isinstance(name, str) or name.strip() in _NO_NAME else name
        arguments = function.get("arguments")
        text = arguments if isinstance(arguments, str) else "" if arguments is None else dump(arguments)
        call = self._call_of(
            index if type(index) is int else None, server_id if isinstance(server_id, str) else "", name, text
        )
        first = call.unread is not None and self._take_name(call, name, text)
        if call.unread is not None:
            call.unread += text
            return Entry(call, json, "", 0, 0, False)
        if first:
            self._begin(call, json)
        elif not self._is_right(call, json, function):
            self._reshape(call)
        start = call.mender.fed
        call.mender.feed(text)
        if call.copied is not None and call.decided:
            self._settle(call)
        heads, call.headed = not call.headed, True
        return Entry(call, json, text, start, call.mender.fed, heads, call.copied is not None)

    def _is_right(self, call: NativeCall, json: Json, function: Json) -> bool:
        """Whether a further delta is as every known client expects it."""
        surplus = "id" in json or "type" in json or "name" in function
        index, arguments = json.get("index"), function.get("arguments")
        numbered = index == call.number if call.announced else type(index) is int
        return not surplus and numbered and isinstance(arguments, str)

    def _reshape(self, call: NativeCall) -> None:
        """The call is rewritten, for clients would not understand it as it is."""
        call.mender.repair(Repair.CALL_SHAPE)

    # Which call it is

    def _call_of(self, index: int | None, server_id: str, name: str, text: str) -> NativeCall:
        known = self._by_id.get(server_id) if server_id else None
        last = self.calls[-1] if self.calls else None
        if self._whole:
            return self._new(index, server_id, known)
        call = self.by_index.get(index) if index is not None else known or last
        if call is None:
            if last and not name and (known or not server_id):
                return known or last
            return self._new(index, server_id, known)
        if not name or call.unread is not None:
            return call
        mender, other_id = call.mender, server_id not in ("", call.server_id)
        if other_id and (name != call.name or mender.complete or not mender.fed or _can_end(mender.pending)):
            return self._new(index, server_id, known)
        if mender.complete and text.strip() and not other_id:
            return self._new(index, server_id, call if server_id else None)
        return call

    def _new(self, index: int | None, server_id: str, original: NativeCall | None) -> NativeCall:
        call = NativeCall(server_id, self._turn, self._mender(Tool("")))
        call.copied = None if original is None else [original]
        if self.calls and self.calls[-1].turn < self._turn:
            self.pause()
            before = self.calls[-1]
            if not before.mender.fed and self._takes_no_arguments(before):
                self._finish(before)
        self.calls.append(call)
        if index is not None:
            self.by_index[index] = call
        if server_id:
            self._by_id.setdefault(server_id, call)
        return call

    def _takes_no_arguments(self, call: NativeCall) -> bool:
        """Whether none come of a call although another begins: they may alternate, delta by delta."""
        tool = self._toolset.tools.get(call.tool.name)
        none = tool is not None and not tool.arguments.declared
        return isinstance(call.mender, RuledMender) or (call.announced and none)

    def pause(self) -> None:
        """Something else comes: of a call that can be over by now, nothing is waited for."""
        call = self.calls[-1] if self.calls else None
        waits = call and isinstance(call.mender, RuledMender)
        if call and (call.announced or waits) and _can_end(call.mender.pending):
            self._finish(call)

    def _finish(self, call: NativeCall) -> None:
        """Nothing more comes of this call."""
        call.mender.close(stopped=True)
        if call.copied is not None:
            self._settle(call)

    # How a call begins

    def _take_name(self, call: NativeCall, name: str, text: str) -> bool:
        """Take a name, or a piece of one. Whether it is all of it."""
        call.name += name
        if not call.name:
            return False
        unfinished = not text and self._toolset.find(call.name) is None
        if unfinished and any(tool.startswith(call.name) for tool in self._toolset.tools):
            return False
        self._read_name(call)
        return True

    def _mender(self, tool: Tool) -> Mender:
        return Mender(tool, self._new_parser, self._ledger)

    def _read_name(self, call: NativeCall) -> None:
        tool, member = self._tool_of(call.name)
        call.tool = tool or Tool(call.name)
        mender = self._mender(call.tool)
        mender.preset = member
        rules = self._toolset.rules_for(call.tool)
        call.mender = RuledMender(mender, call.tool, rules, self._ledger) if rules else mender
        if tool and tool.name != call.name:
            call.mender.repair(Repair.NAME_NORMALISED)
        waits = any(name == call.tool.name for name, _ in self._in_text) or (rules and not rules.live)
        if call.copied is None and waits:
            call.copied = []
        if call.diverged:
            call.mender.repair(Repair.CALL_SHAPE)
        call.mender.feed(call.unread or "")
        call.unread = None

    def _tool_of(self, name: str) -> tuple[Tool | None, str]:
        """The tool a name means, and the member of the arguments that stood in its place."""
        bare = _POLLUTED.match(name)
        if tool := self._toolset.find(name) or (self._toolset.find(bare[1]) if bare else None):
            return tool, ""
        value = bare[1] if bare else ""
        found = self._toolset.with_value(value)
        return (found[0], f"{dump(found[1])}: {dump(value)}") if found else (None, "")

    def _begin(self, call: NativeCall, json: Json) -> None:
        """The delta that names a call; it goes out unless the call may be a copy."""
        call.head = json
        if call.copied is None:
            self._announce(call)
            if not call.dropped:
                self._check_head(call)

    def _check_head(self, call: NativeCall) -> None:
        """Whether the delta that names a call is as every known client expects it."""
        json, index, function = call.head, call.head.get("index"), call.head.get("function")
        function = function if isinstance(function, dict) else {}
        right = (
            (index == call.number if index is not None else self._whole)
            and json.get("id") == call.id
            and json.get("type") == "function"
            and function.get("name") == call.name
            and isinstance(function.get("arguments", None if self._whole else ""), str)  # vLLM sends none yet
        )
        if not right:
            self._reshape(call)

    def _announce(self, call: NativeCall) -> None:
        """Take it into the answer; one too many is dropped."""
        if not self._parallel and (self.sent or self._in_text):
            self._drop(call, Repair.PARALLEL_DROPPED)
            return
        if not self._ids:
            self._ids = used_ids(self._request)
        taken = not call.server_id or call.server_id in self._ids
        call.id = new_call_id() if taken else call.server_id
        if taken:
            self._reshape(call)
        self._ids.add(call.id)
        call.number = self._next_number()
        call.announced = True

    # Copies

    def _settle(self, call: NativeCall) -> None:
        """A call that may be a copy is over: announce it, unless it is one."""
        originals, call.copied = call.copied or [], None
        if isinstance(call.mender, RuledMender):
            call.tool = self._toolset.tools.get(call.mender.name, call.tool)
        if not (originals or self._in_text) and call.head:  # it was only the rules that it waited for
            self._announce(call)
            if not call.dropped:
                self._check_head(call)
            return
        if self.open_in_text and (rest := self._rest_of(*self._in_text[-1], call)) is not None:
            self._continue_text(rest)
            self._drop(call, Repair.DUPLICATE_CALL)
            return
        call.mender.change()
        meaning = call.meaning
        in_text = [(name, loads("".join(fragments))) for name, fragments in self._in_text]
        if meaning[1] is None or (meaning not in in_text and all(o.meaning != meaning for o in originals)):
            self._announce(call)
            return
        if meaning in in_text:
            del self._in_text[in_text.index(meaning)]
        self._drop(call, Repair.DUPLICATE_CALL)

    def _rest_of(self, name: str, fragments: list[str], call: NativeCall) -> str | None:
        """What this call has after the beginning of a call in the text; None if that is not its own."""
        if call.tool.name != name or call.mender.value is None:
            return None
        begun = "".join(fragments)
        fitting = [text for text in spellings(dump(call.mender.value)) if text.startswith(begun)]
        return fitting[0][len(begun) :] if fitting else None

    def _continue_text(self, rest: str) -> None:
        """The call in the text has been sent as far as it came, so it is the one that goes on."""
        self._in_text[-1][1].append(rest)
        self.continued, self.open_in_text = rest, False

    def is_begun_by(self, name: str, arguments: str) -> bool:
        """Whether one of the calls begins like this one, which the text breaks off."""
        return any(
            call.announced and self._rest_of(name, [arguments], call) is not None for call in self.calls
        )

    def _drop(self, call: NativeCall, repair: Repair) -> None:
        call.dropped = True
        call.mender.change()
        self._ledger.repaired(repair)

    def note(self, events: list[Event]) -> None:
        """What is found in the text."""
        for event in events:
            match event:
                case CallStart(_, name):
                    self._in_text.append((name, []))
                    self.open_in_text = True
                case CallEnd():
                    self.open_in_text = False
                case ArgumentsDelta(_, fragment) if self._in_text:
                    self._in_text[-1][1].append(fragment)

    def without_copies(self, events: list[Event], over: bool) -> list[Event]:
        """What was found in the text, but for calls that the server has parsed as well."""
        if not self.calls:
            return events
        kept: list[Event] = []
        for event in events:
            if not isinstance(event, CallStart | ArgumentsDelta | CallEnd):
                kept.append(event)
                continue
            self._suspects.append(event)
            if isinstance(event, CallEnd):
                kept += self._unless_copy()
        if over:
            kept += self._suspects
            self._suspects = []
        return kept

    def held_back(self, events: list[Event]) -> list[Event]:
        """What was found in the text and is held because it may be a copy; without these events."""
        return [event for event in self._suspects if not any(event is other for other in events)]

    def _unless_copy(self) -> list[Event]:
        events = self._suspects
        names = [e.name for e in events if isinstance(e, CallStart)]
        arguments = loads("".join(e.fragment for e in events if isinstance(e, ArgumentsDelta)))
        copy = any(c.announced and [c.tool.name] == names and c.mender.value == arguments for c in self.calls)
        self._suspects = []
        if not copy and (self._parallel or not self.sent):
            return events
        self.copied = True
        self._in_text.pop()
        self._ledger.repaired(Repair.DUPLICATE_CALL if copy else Repair.PARALLEL_DROPPED)
        self._ledger.calls -= 1
        return []

    # The end

    def close(self, reason: Any) -> None:
        """No more comes. What can be completed is, if the model stopped by itself."""
        for call in [] if self._resumed else self.calls:
            if call.unread is not None:
                inferred = not call.name
                if inferred and not self._name_by_arguments(call):
                    continue
                self._read_name(call)
                if inferred:
                    call.mender.repair(Repair.NAME_INFERRED)
                for entry in self.entries:  # of a whole message: there the call is named
                    entry.first = entry.first or entry.call is call
            call.mender.close(reason in COMPLETE)
            if call.copied is not None:
                self._settle(call)
            elif not call.announced and not call.dropped:
                self._announce(call)
            call.broken = call.announced and call.mender.broken

    def _name_by_arguments(self, call: NativeCall) -> bool:
        """Name a call that has no name, if only one tool has these arguments; else it is text."""
        text = call.unread or ""
        given = loads(text)
        tool = self._toolset.infer(given) if isinstance(given, dict) and given else None
        if tool is not None and self._toolset.allows(tool.name):
            call.name = tool.name
            return True
        if not call.dropped:
            call.dropped = True
            self.texts += [text] if text.strip() else []
            self._ledger.refuse(Refused.NAMELESS, text)
        return False

    def rest(self, entries: list[Entry]) -> list[Json]:
        """What is to be sent of calls that none of these entries is about."""
        covered = [entry.call for entry in entries]
        found = []
        for call in self.calls:
            if call.announced and call not in covered and call.mender.changed:
                entry = Entry(call, {}, "", 0, 0, not call.headed)
                call.headed = True
                found.append(entry.write(call.mender.take()))
        return [json for json in found if json]

    def resume(self, calls: list[tuple[str, str]]) -> tuple[list[Json], list[tuple[str, str]]] | None:
        """What is left to send if these are the calls of the message, or its last ones: the rest of a call
        that has begun, and the calls that have not. None if what was sent fits none of them."""
        calls = [c for c in calls if (c[0], loads(c[1])) not in [call.meaning for call in self.calls]]
        begun = [call for call in self.calls if call.announced and not call.mender.complete]
        if not begun:
            self._resumed = True
            return [], calls
        call, sent = begun[0], begun[0].mender.text
        if len(begun) > 1 or not calls or call.tool.name != calls[0][0]:
            return None
        fitting = [text for text in spellings(calls[0][1]) if text.startswith(sent)]
        if not fitting:
            return None
        self._resumed = True
        rest = Entry(call, {}, "", 0, 0, not call.headed).write(fitting[0][len(sent) :])
        return [rest], calls[1:]

    def unsent(self) -> list[Json]:
        """What has not been sent yet of the calls that are rewritten, as it came."""
        found = []
        for call in self.calls:
            if call.announced and call.mender.changed and (text := call.mender.take() + call.mender.pending):
                found.append(Entry(call, {}, text, 0, 0, not call.headed).write(text))
                call.headed = True
        return found

    def more(self) -> list[tuple[str, str]]:
        """Calls that were swallowed into arguments, once each."""
        found: list[tuple[str, str]] = []
        for call in self.calls:
            if call.announced and call.mender.complete:
                new = call.mender.more[call.more_sent :]
                found += [ruled(name, text, self._toolset, self._ledger) for name, text in new]
                call.more_sent = len(call.mender.more)
        if not self._parallel:
            for _ in found:
                self._ledger.repaired(Repair.PARALLEL_DROPPED)
            return []
        return found


def _can_end(pending: str) -> bool:
    """Whether only a complete `{}` is held: some engines send one before the real object."""
    return pending in ("}", "{}")


def used_ids(request: Json) -> set[str]:
    """The ids of the calls that a request's messages hold; "" too."""
    messages = request.get("messages")
    found = {""}
    for message in messages if isinstance(messages, list) else []:
        calls = message.get("tool_calls") if isinstance(message, dict) else None
        for call in calls if isinstance(calls, list) else []:
            if isinstance(call, dict) and isinstance(call.get("id"), str):
                found.add(call["id"])
    return found


def rewritten(entries: list[Entry]) -> list[Json]:
    """Entries of one delta as they are to be sent."""
    last = {entry.call: entry for entry in entries if entry.call.announced}
    found = []
    for entry in entries:
        found.append(
            entry.write(entry.kept + (entry.call.mender.take() if last.get(entry.call) is entry else ""))
        )
    return merged(found)


def spellings(arguments: str) -> Iterator[str]:
    """The ways an engine may have begun to write these arguments."""
    value = loads(arguments)
    yield arguments
    for separators in ((",", ":"), (", ", ": ")):
        for ascii_only in (False, True):
            yield json.dumps(value, separators=separators, ensure_ascii=ascii_only)


def merged(calls: list[Json]) -> list[Json]:
    """The elements of one delta, those of one call made one: some clients mix up two."""
    found: dict[int, Json] = {}
    for call in filter(None, calls):
        index = call.get("index", -1 - len(found))
        if index in found and "function" in call:
            found[index]["function"]["arguments"] += call["function"]["arguments"]
        else:
            found[index] = call
    return list(found.values())


def edits_of(path: Path, before: Any, after: list[Json]) -> list[tuple[Path, str]]:
    """The edits that make one delta's `tool_calls` another, with as many bytes kept as can be."""
    if not isinstance(before, list) or len(before) != len(after):
        return [(path, dump(after))]
    edits = []
    for at, (old, new) in enumerate(zip(before, after, strict=True)):
        edits += _edits((*path, at), old, new)
    return edits


def _edits(path: Path, old: Any, new: Any) -> list[tuple[Path, str]]:
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        return [edit for key in old for edit in _edits((*path, key), old[key], new[key])]
    return [] if old == new and type(old) is type(new) else [(path, dump(new))]
