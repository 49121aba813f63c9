"""The tool calls of an answer that the server parsed itself (P15).

A delta that is right (the shape of P13, arguments that fit the schema) leaves as the bytes it
came in; `mending` follows the arguments, this module the calls: which delta belongs to which
call, though the index is missing or always the same and the ids repeat; what each delta may
say; and which call is only a copy of another. Each `Entry` is one element of a delta's
`tool_calls`; as soon as its call is `diverged` it is written anew.

A call of which something has to be known first waits: its name may not have come yet, or it
may be a copy, of a call under the same id or of one that was found in the text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .arguments import dump
from .chunks import Json, new_call_id
from .events import ArgumentsDelta, CallEnd, CallStart, Event
from .mending import Mender
from .repairs import Ledger, Refused, Repair
from .requests import Toolset
from .schema import Tool

STOPPED = frozenset({"stop", "tool_calls", "function_call", "eos"})  # the model stopped by itself

_NO_NAME = ("", "null", "None")
_POLLUTION = re.compile(r"\s*<?\s*(?:(?:function|tool_call|invoke)\b(?:\s*name)?\s*=?\s*)?[\"']?([\w.:/-]+)")

Number = Callable[[int], int]  # the index in the answer, of the n-th call the server parsed


class NativeCall:
    """One call. `passed` and `diverged` are those of its arguments."""

    __slots__ = (
        *("announced", "broken", "copied", "diverged", "dropped", "fresh", "id", "index", "mender"),
        *("more_sent", "name", "number", "sent_id", "tool", "unread"),
    )

    def __init__(self, index: int | None, call_id: str) -> None:
        self.index = index  # the server's
        self.id = call_id  # the server's, "" if it sent none
        self.sent_id = ""
        self.name = ""  # the server's
        self.tool = Tool("")
        self.number = -1
        self.mender: Mender | None = None
        self.unread = ""  # arguments that came before the name
        self.announced = False
        self.diverged = False  # written anew from here on
        self.dropped = False
        self.broken = False  # over, and the arguments are no JSON object
        self.copied: list[tuple[str, Any]] | None = None  # (name, arguments) it may be a copy of
        self.more_sent = 0

    @property
    def passed(self) -> int:
        return self.mender.passed if self.mender else 0

    @property
    def fed(self) -> int:
        return self.mender.fed if self.mender else 0

    @property
    def complete(self) -> bool:
        return self.mender is not None and self.mender.complete

    @property
    def changed(self) -> bool:
        return self.mender is None or self.mender.changed

    def change(self) -> None:
        if self.mender:
            self.mender.change()

    def take(self) -> str:
        return self.mender.take() if self.mender else ""


@dataclass(slots=True)
class Entry:
    """What one delta says of one call."""

    call: NativeCall
    json: Json
    text: str  # of the arguments
    first: bool  # it is the one that names the call

    def write(self, text: str) -> Json:
        """The entry with other arguments; {} if nothing is left to say."""
        function = self.json.get("function")
        others = dict(function) if isinstance(function, dict) else {}
        beside = {k: v for k, v in self.json.items() if k not in ("index", "id", "type", "function")}
        for key in ("name", "arguments"):
            others.pop(key, None)
        call = self.call
        if self.first:
            head = {"index": call.number, "id": call.sent_id, "type": "function"}
            return head | {"function": {"name": call.tool.name, "arguments": text} | others} | beside
        if not (text or others or beside):
            return {}
        return {"index": call.number, "function": {"arguments": text} | others} | beside


class NativeCalls:
    """The calls of one choice. `tools` is what the request offers, `used` the ids it holds already.

    `whole`: the answer is not streamed, so that entries have no index.
    """

    def __init__(
        self, tools: Any, toolset: Toolset, used: set[str], ledger: Ledger, number: Number, whole: bool = False
    ) -> None:
        self.calls: list[NativeCall] = []
        self._tools, self._toolset, self._ledger = tools, toolset, ledger
        self._ids = set(used)
        self._number = number
        self._whole = whole
        self._by_index: dict[int, NativeCall] = {}
        self._by_id: dict[str, NativeCall] = {}
        self._text_calls: list[tuple[str, list[str]]] = []  # found in the text: name, fragments
        self._text_complete = 0
        self._copies: list[Event] = []  # a call found in the text that may be a copy

    @property
    def sent(self) -> bool:
        """Whether the client has been told of one."""
        return any(call.announced for call in self.calls)

    @property
    def broken(self) -> bool:
        """Whether a call is over whose arguments are no JSON object."""
        return any(call.broken for call in self.calls)

    def at(self, index: int) -> NativeCall | None:
        """The call a delta with this index and nothing but arguments belongs to."""
        call = self._by_index.get(index)
        return call if call and call.announced and call.number == index else None

    # Reading

    def read(self, message: Json) -> list[Entry]:
        """What a delta, or a message, says of calls; their arguments are fed."""
        found = message.get("tool_calls")
        listed = [found] if isinstance(found, dict) else found if isinstance(found, list) else []
        legacy = message.get("function_call")
        if isinstance(legacy, dict) and not listed and (legacy.get("name") or legacy.get("arguments")):
            listed = [{"index": 0, "function": legacy}]
        entries = [self._read(json) for json in listed if isinstance(json, dict)]
        if entries and (isinstance(found, dict) or not found):
            for entry in entries:
                self._shape(entry.call)
        return entries

    def _read(self, json: Json) -> Entry:
        function = json.get("function")
        function = function if isinstance(function, dict) else {}
        name, call_id, index = _text(function.get("name")), _text(json.get("id")), json.get("index")
        name = "" if name.strip() in _NO_NAME else name
        arguments = function.get("arguments")
        text = arguments if isinstance(arguments, str) else "" if arguments is None else dump(arguments)
        call = self._call_of(index if type(index) is int else None, call_id, name, text)
        return self._continue(call, json, function, name, text)

    def _call_of(self, index: int | None, call_id: str, name: str, text: str) -> NativeCall:
        """The call an entry belongs to, a new one if it is none of those that began."""
        known = self._by_id.get(call_id) if call_id else None
        last = self.calls[-1] if self.calls else None
        call = self._by_index.get(index) if index is not None else known or last
        if call is None and not name and (known or (last and not call_id)):
            return known or last or self._new(index, call_id)
        if call is None:
            return self._new(index, call_id, known)
        if self._whole:
            return self._new(index, call_id, known)
        if not name:
            return call
        other_id = call_id != "" and call_id != call.id
        idle = call.mender is None or call.fed == 0
        if other_id and (call.complete or idle or name != call.name):
            return self._new(index, call_id, known)
        if call.complete and text.strip() and not other_id:
            return self._new(index, call_id, call if call_id else None)
        return call

    def _new(self, index: int | None, call_id: str, copy_of: NativeCall | None = None) -> NativeCall:
        call = NativeCall(index, call_id)
        if copy_of is not None:
            call.copied = [(copy_of.tool.name, copy_of)]
        self._close_idle()
        self.calls.append(call)
        if index is not None:
            self._by_index[index] = call
        if call_id:
            self._by_id.setdefault(call_id, call)
        return call

    def _close_idle(self) -> None:
        """The call before has no arguments, and now no more can come."""
        if self.calls and not self._whole and self.calls[-1].announced and not self.calls[-1].fresh:
            mender = self.calls[-1].mender
            if mender and not mender.fed:
                mender.close(stopped=True)

    def _continue(self, call: NativeCall, json: Json, function: Json, name: str, text: str) -> Entry:
        first = call.mender is None and self._name(call, name, text)
        if call.mender is None:
            call.unread += text
            return Entry(call, json, "", False)
        call.fresh = first
        text, call.unread = call.unread + text, ""
        if first:
            self._announce(call, json, function)
        elif not self._is_right(call, json, function):
            self._shape(call)
        call.mender.feed(text)
        if call.copied is not None and call.complete:
            self._settle(call)
        return Entry(call, json, text, first and call.announced)

    def _is_right(self, call: NativeCall, json: Json, function: Json) -> bool:
        """Whether a further delta is as P13 has it."""
        surplus = "id" in json or "type" in json or "name" in function
        return not surplus and json.get("index") == call.number and isinstance(function.get("arguments"), str)

    def _shape(self, call: NativeCall) -> None:
        """The call is to be written anew, since it is not written as P13 has it."""
        if not call.changed:
            self._ledger.repaired(Repair.CALL_SHAPE)
        call.change()

    # Beginning a call

    def _name(self, call: NativeCall, name: str, text: str) -> bool:
        """Take a name, or a piece of one; whether it is all of it."""
        call.name += name
        begun = not text and self._toolset.find(call.name) is None
        if not call.name or (begun and any(tool.startswith(call.name) for tool in self._toolset.tools)):
            return False
        self._begin(call)
        return True

    def _begin(self, call: NativeCall) -> None:
        tool, preset = self._tool_of(call.name)
        call.tool = tool or Tool(call.name)
        call.mender = Mender(call.tool, self._tools, self._ledger)
        call.mender.preset = preset
        if tool and call.tool.name != call.name:
            self._ledger.repaired(Repair.NAME_NORMALISED)
            call.mender.change()
        if call.copied is None and self._text_complete and any(n == call.tool.name for n, _ in self._text_calls):
            call.copied = []
        if call.copied is not None:
            call.mender.change()

    def _tool_of(self, name: str) -> tuple[Tool | None, str]:
        """The tool a name means, and a member of the arguments that stood in its place."""
        if tool := self._toolset.find(name):
            return tool, ""
        bare = _POLLUTION.match(name)
        if bare is None:
            return None, ""
        if tool := self._toolset.find(bare[1]):
            return tool, ""
        found = [(tool, key) for tool in self._toolset.tools.values() for key in self._keys(tool, bare[1])]
        if len(found) != 1:
            return None, ""
        tool, key = found[0]
        return tool, f"{dump(key)}: {dump(bare[1])}"

    def _keys(self, tool: Tool, value: str) -> list[str]:
        """The required parameters of a tool that have this value among those they may have."""
        return [key for key in tool.required if value in tool.parameter(key).members]

    def _announce(self, call: NativeCall, json: Json, function: Json) -> None:
        """The first delta of a call goes out, unless the call may be a copy."""
        call.sent_id = call.id if call.id and call.id not in self._ids else ""
        right = (
            json.get("type") == "function"
            and call.sent_id != ""
            and function.get("name") == call.name
            and isinstance(function.get("arguments"), str)
        )
        if call.copied is not None:
            return
        self._give_number(call)
        index = json.get("index")
        if not (right and (index == call.number or (self._whole and index is None))):
            self._shape(call)

    def _give_number(self, call: NativeCall) -> None:
        call.sent_id = call.sent_id or new_call_id()
        self._ids.add(call.sent_id)
        call.number = self._number(sum(c.announced for c in self.calls))
        call.announced = True

    # Copies

    def _settle(self, call: NativeCall) -> None:
        """A call that may be a copy is complete: drop it, or send it after all."""
        others = [(n, c.mender.value if c.mender else None) for n, c in call.copied or []]
        mender = call.mender
        mine = (call.tool.name, mender.value if mender else None)
        in_text = next((at for at, (n, f) in enumerate(self._text_calls) if (n, _read(f)) == mine), None)
        call.copied = None
        if mine[1] is not None and (mine in others or in_text is not None):
            if in_text is not None and mine not in others:
                del self._text_calls[in_text]
            call.dropped = True
            self._ledger.repaired(Repair.DUPLICATE_CALL)
            return
        self._give_number(call)

    def note(self, events: list[Event]) -> None:
        """Calls that were found in the text and sent."""
        for event in events:
            match event:
                case CallStart(_, name):
                    self._text_calls.append((name, []))
                case ArgumentsDelta(_, fragment) if self._text_calls:
                    self._text_calls[-1][1].append(fragment)
                case CallEnd():
                    self._text_complete += 1

    def without_copies(self, events: list[Event], over: bool) -> list[Event]:
        """What was found in the text, without calls that the server has parsed as well."""
        if not self.calls:
            self.note(events)
            return events
        kept: list[Event] = []
        for event in events:
            if not isinstance(event, CallStart | ArgumentsDelta | CallEnd):
                kept.append(event)
                continue
            self._copies.append(event)
            if isinstance(event, CallEnd) and not self._drop_copy():
                kept += self._copies
                self._copies = []
        if over:
            kept += self._copies
            self._copies = []
        return kept

    def _drop_copy(self) -> bool:
        """Whether the call in `_copies` is one of ours; it is dropped then."""
        name = next(e.name for e in self._copies if isinstance(e, CallStart))
        arguments = _read([e.fragment for e in self._copies if isinstance(e, ArgumentsDelta)])
        for call in self.calls:
            if call.mender and call.announced and (call.tool.name, call.mender.value) == (name, arguments):
                self._copies = []
                self._ledger.repaired(Repair.DUPLICATE_CALL)
                self._ledger.calls -= 1
                return True
        return False

    # The end

    def close(self, reason: Any) -> None:
        """No more comes; with a finish_reason, the arguments that can be completed are."""
        for call in self.calls:
            if call.mender is None:
                self._begin(call)
                if call.mender is not None:
                    call.mender.change()
                    call.mender.feed(call.unread)
            if call.mender is None:
                continue
            call.mender.close(reason in STOPPED)
            if call.copied is not None:
                self._settle(call)
            elif not call.announced and not call.dropped:
                self._give_number(call)
            call.broken = call.mender.broken and not call.dropped

    def rest(self, entries: list[Entry]) -> list[Json]:
        """What is to be said of calls that these entries do not speak of."""
        spoken = {id(entry.call) for entry in entries if entry.call.announced}
        said = []
        for call in self.calls:
            if id(call) in spoken or not call.announced:
                continue
            said += self._say(call)
        return said

    def _say(self, call: NativeCall) -> list[Json]:
        first = call.diverged and not call.fresh and call.sent_id != ""
        text = call.take()
        return [Entry(call, {}, "", first).write(text)] if text or first else []

    def more(self) -> list[tuple[str, str]]:
        """Calls that were swallowed into arguments and have not been sent."""
        found = []
        for call in self.calls:
            swallowed = call.mender.more if call.mender and call.mender.complete else []
            found += swallowed[call.more_sent :]
            call.more_sent = len(swallowed)
        return found


def used_ids(request: Json) -> set[str]:
    """The ids of the calls that a request's messages hold."""
    messages = request.get("messages")
    found = set()
    for message in messages if isinstance(messages, list) else []:
        calls = message.get("tool_calls") if isinstance(message, dict) else None
        for call in calls if isinstance(calls, list) else []:
            if isinstance(call, dict) and isinstance(call.get("id"), str):
                found.add(call["id"])
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _read(fragments: list[str]) -> Any:
    from .mending import _loads

    return _loads("".join(fragments))
