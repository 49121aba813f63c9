"""The tool calls of an answer that the server parsed itself.

A `NativeCall` reads the arguments of one. This module sees to all of them: to which call a piece belongs,
though the index is missing or always the same and the ids repeat; what its name means; and which call is only
a copy of another. What a call looks like on the wire is the encoder's business.

A call waits, and the client is not told of it, while its name has not come, while it may be a copy (of a
call under the same id, or of one that was found in the text), and while the user's rules may make it a
call of another tool.
"""

import json
import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

from ..events import COMPLETE, OVER, ArgumentsDelta, CallEnd, CallStart, Event
from ..repairs import Ledger, Refused, Repair
from ..schema.json_read import loads
from ..schema.json_write import dump
from ..schema.schema import Tool
from ..schema.toolset import Toolset
from ..wire.base import Asked, CallPiece, ServerCall
from .call import NativeCall
from .mender import Mender
from .ruled import RuledMender, ruled
from .swallowed import NewParser

_NO_NAME = ("", "null", "None")
_POLLUTED = re.compile(r"\s*<?\s*(?:(?:function|tool_call|invoke)\b(?:\s*name)?\s*=?\s*)?[\"']?([\w.:/-]+)")


class NativeCalls:
    """The calls of one message. `new_id` makes an id for a call that has none, or one that is taken."""

    def __init__(
        self,
        asked: Asked,
        toolset: Toolset,
        ledger: Ledger,
        new_id: Callable[[], str],
        new_parser: NewParser,
    ) -> None:
        self.calls: list[NativeCall] = []
        self.texts: list[str] = []  # that stood for calls and are none
        self.continued = ""  # what the server's own call adds to the one in the text that it has cut off
        self.open_in_text = False  # a call found in the text is not complete
        self._toolset, self._ledger, self._new_id = toolset, ledger, new_id
        self._new_parser = new_parser
        self._parallel = asked.parallel
        self._ids = {"", *asked.ids}  # that are taken
        self._by_index: dict[int, NativeCall] = {}  # the server's index
        self._by_id: dict[str, NativeCall] = {}
        self._foreign: dict[int | None, NativeCall] = {}
        self._turn = 0
        self._resumed = False  # an error had what was missing: no more is read of them
        self._in_text: list[tuple[str, list[str]]] = []  # calls found in the text: name, fragments
        # By the text: of a call that was found there and may be a copy
        self._suspects: dict[Hashable, list[Event]] = {}

    @property
    def sent(self) -> bool:
        """Whether the client has been told of one."""
        return bool(self._foreign) or any(call.announced for call in self.calls)

    # Reading

    def begin_frame(self) -> None:
        """Another frame with calls."""
        self._turn += 1

    def read(self, piece: CallPiece) -> tuple[NativeCall, bool]:
        """The call that a piece is about, and whether it was named by it after arguments had come. Its text
        is still to be fed."""
        if piece.foreign:
            return self._foreign_call(piece), False
        name = "" if piece.name.strip() in _NO_NAME else piece.name
        call = self._call_of(piece, name)
        late = bool(call.unread)
        if call.unread is not None and self._take_name(call, name, piece.text) and call.copied is None:
            self._announce(call)
        return call, late and call.unread is None

    def after(self, call: NativeCall, whole: bool = False) -> None:
        """Its text was fed: whether it is a copy may be known by now. `whole`: nothing more comes of it."""
        if whole and not call.foreign:
            self._end(call, stopped=True)
        elif call.copied is not None and call.unread is None and call.decided:
            self._settle(call)

    def _foreign_call(self, piece: CallPiece) -> NativeCall:
        known = None if piece.whole else self._foreign.get(piece.index)
        if known is None:
            known = NativeCall(piece.id, self._turn, self._mender(Tool("")))
            known.foreign = known.announced = True
            known.id, known.name, known.unread = piece.id, piece.name, None
            self._foreign[len(self._foreign) if piece.whole else piece.index] = known
        return known

    # Which call it is

    def _call_of(self, piece: CallPiece, name: str) -> NativeCall:
        index, server_id, text = piece.index, piece.id, piece.text
        known = self._by_id.get(server_id) if server_id else None
        last = self.calls[-1] if self.calls else None
        if piece.whole:
            return self._new(index, server_id, known)
        call = self._by_index.get(index) if index is not None else known or last
        if call is None:
            if last and not name and (known or not server_id):
                return known or last
            return self._new(index, server_id, known)
        if not name or call.unread is not None:
            return call
        mender, other_id = call.mender, server_id not in ("", call.server_id)
        if other_id and (name != call.said or mender.complete or not mender.fed or _can_end(mender.pending)):
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
            self._by_index[index] = call
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

    def finish_all_but(self, call: ServerCall | None) -> None:
        """Nothing more comes of the others."""
        for other in self.calls:
            if other is not call and other.unread is None:
                self._finish(other)

    def _finish(self, call: NativeCall) -> None:
        """Nothing more comes of this call."""
        call.mender.close(stopped=True)
        if call.copied is not None:
            self._settle(call)

    # How a call begins

    def _take_name(self, call: NativeCall, name: str, text: str) -> bool:
        """Take a name, or a piece of one. Whether it is all of it."""
        call.said += name
        if not call.said:
            return False
        unfinished = not text and self._toolset.find(call.said) is None
        if unfinished and any(tool.startswith(call.said) for tool in self._toolset.tools):
            return False
        self._read_name(call)
        return True

    def _mender(self, tool: Tool) -> Mender:
        return Mender(tool, self._new_parser, self._ledger)

    def _read_name(self, call: NativeCall) -> None:
        tool, member = self._tool_of(call.said)
        call.tool = tool or Tool(call.said)
        call.name = call.tool.name
        mender = self._mender(call.tool)
        mender.preset = member
        rules = self._toolset.rules_for(call.tool)
        call.mender = RuledMender(mender, call.tool, rules, self._ledger) if rules else mender
        if tool and tool.name != call.said:
            call.mender.repair(Repair.NAME_NORMALISED)
        waits = any(name == call.tool.name for name, _ in self._in_text) or (rules and not rules.live)
        if call.copied is None and waits:
            call.copied = []
        unread, call.unread = call.unread or "", None
        call.take_unread(unread)

    def _tool_of(self, name: str) -> tuple[Tool | None, str]:
        """The tool a name means, and the member of the arguments that stood in its place."""
        bare = _POLLUTED.match(name)
        if tool := self._toolset.find(name) or (self._toolset.find(bare[1]) if bare else None):
            return tool, ""
        value = bare[1] if bare else ""
        found = self._toolset.with_value(value)
        return (found[0], f"{dump(found[1])}: {dump(value)}") if found else (None, "")

    def _announce(self, call: NativeCall) -> None:
        """Take it into the answer; one too many is dropped."""
        if not self._parallel and (self.sent or self._in_text):
            self._drop(call, Repair.PARALLEL_DROPPED)
            return
        taken = call.server_id in self._ids
        call.id = self._new_id() if taken else call.server_id
        self._ids.add(call.id)
        call.name = call.tool.name
        call.announced = True

    def give_up(self) -> None:
        """Nothing is read any more: they leave as they came. One that was changed so far cannot be run."""
        for call in self.calls:
            if not call.settled:
                call.id, call.name = call.server_id or self._new_id(), call.said
                call.announced = True
            call.broken = call.mender.changed and not call.mender.complete

    # Copies

    def _settle(self, call: NativeCall) -> None:
        """A call that may be a copy is over: announce it, unless it is one."""
        originals, call.copied = call.copied or [], None
        if isinstance(call.mender, RuledMender):
            call.tool = self._toolset.tools.get(call.mender.name, call.tool)
        if not (originals or self._in_text):  # it was only the rules that it waited for
            self._announce(call)
            return
        if self.open_in_text and (rest := self._rest_of(*self._in_text[-1], call)) is not None:
            self._continue_text(rest)
            self._drop(call, Repair.DUPLICATE_CALL)
            return
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

    def without_copies(
        self, text: Hashable, events: list[Event], over: bool, more: bool = False
    ) -> list[Event]:
        """What was found in a text, but for calls that the server has parsed as well, and calls too many.
        `more`: another text of the message has a call."""
        if not self.calls and (self._parallel or not more):
            return events
        kept: list[Event] = []
        for event in events:
            if not isinstance(event, CallStart | ArgumentsDelta | CallEnd):
                kept.append(event)
                continue
            self._suspects.setdefault(text, []).append(event)
            if isinstance(event, CallEnd):
                kept += self._unless_copy(text, more)
        if over:
            kept += self._suspects.pop(text, [])
        return kept

    @property
    def suspects(self) -> Mapping[Hashable, list[Event]]:
        """What was found in a text and is held because it may be a copy."""
        return self._suspects

    def _unless_copy(self, text: Hashable, more: bool) -> list[Event]:
        events = self._suspects[text]
        names = [e.name for e in events if isinstance(e, CallStart)]
        arguments = loads("".join(e.fragment for e in events if isinstance(e, ArgumentsDelta)))
        copy = any(c.announced and [c.tool.name] == names and c.mender.value == arguments for c in self.calls)
        del self._suspects[text]
        if not copy and (self._parallel or not (self.sent or more)):
            return events
        self._in_text.pop()
        self._ledger.repaired(Repair.DUPLICATE_CALL if copy else Repair.PARALLEL_DROPPED)
        self._ledger.calls -= 1
        return []

    # The end

    def close(self, reason: Any) -> None:
        """No more comes. What can be completed is, if the model stopped by itself."""
        for call in [] if self._resumed else self.calls:
            self._end(call, stopped=reason in COMPLETE or (reason == OVER and self._needs_none(call)))

    def _end(self, call: NativeCall, stopped: bool) -> None:
        """Nothing more comes of this call; `stopped`: because the model says so."""
        if call.unread is not None:
            inferred = not call.said
            if inferred and not self._name_by_arguments(call):
                return
            self._read_name(call)
            if inferred:
                call.mender.repair(Repair.NAME_INFERRED)
        call.mender.close(stopped)
        if call.copied is not None:
            self._settle(call)
        elif not call.settled:
            self._announce(call)
        call.broken = call.announced and call.mender.broken

    def _needs_none(self, call: NativeCall) -> bool:
        """Whether a call without any arguments is complete."""
        tool = self._toolset.tools.get(call.tool.name)
        return not call.mender.fed and tool is not None and not tool.arguments.declared

    def _name_by_arguments(self, call: NativeCall) -> bool:
        """Name a call that has no name, if only one tool has these arguments; else it is text."""
        text = call.unread or ""
        given = loads(text)
        tool = self._toolset.infer(given) if isinstance(given, dict) and given else None
        if tool is not None and self._toolset.allows(tool.name):
            call.said = tool.name
            return True
        if not call.dropped:
            call.dropped = True
            self.texts += [text] if text.strip() else []
            self._ledger.refuse(Refused.NAMELESS, text)
        return False

    def resume(
        self, calls: list[tuple[str, str]]
    ) -> tuple[NativeCall | None, str, list[tuple[str, str]]] | None:
        """What is left to send if these are the calls of the message, or its last ones: a call that has begun
        and the rest of it, and the calls that have not. None if what was sent fits none of them."""
        calls = [c for c in calls if (c[0], loads(c[1])) not in [call.meaning for call in self.calls]]
        for call in self.calls:
            call.dropped = call.dropped or not call.announced
        begun = [call for call in self.calls if call.announced and not call.mender.complete]
        if not begun:
            self._resumed = True
            return None, "", calls
        call, sent = begun[0], begun[0].mender.text
        if len(begun) > 1 or not calls or call.tool.name != calls[0][0]:
            return None
        fitting = [text for text in spellings(calls[0][1]) if text.startswith(sent)]
        if not fitting:
            return None
        self._resumed = True
        return call, fitting[0][len(sent) :], calls[1:]

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


def spellings(arguments: str) -> Iterator[str]:
    """The ways an engine may have begun to write these arguments."""
    value = loads(arguments)
    yield arguments
    for separators in ((",", ":"), (", ", ": ")):
        for ascii_only in (False, True):
            yield json.dumps(value, separators=separators, ensure_ascii=ascii_only)
