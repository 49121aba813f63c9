"""The tool calls of an answer that the server parsed.

A `NativeCall` reads the arguments of one call. `Routes` tells to which call a piece belongs.
`CallsInText` knows the calls that were found in the text. This module handles all calls of a message: it
finds out what their names mean, and which call is only a copy of another one. The encoder decides what a
call looks like on the wire.

A call waits, and the client is not told about it, while its name has not come, while it may be a copy (of
a call with the same id, or of a call that was found in the text), and while the user's rules may convert
it to a call of another tool.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from typing import Any

from ..events import COMPLETE, OVER, Event
from ..ledger import Ledger
from ..repairs import Refused, Repair
from ..schema.call_shape import Call
from ..schema.json_read import loads
from ..schema.schema import NO_TOOL, Tool
from ..schema.toolset import Toolset
from ..wire.base import Asked, CallPiece, ServerCall
from .arguments import Arguments, NewArguments
from .call import NativeCall
from .in_text import CallsInText, begins, essence, rest_after, rest_of
from .names import read_name
from .reader import Calls, NewParser
from .routes import Routes
from .ruled import ruled

_NO_NAME = ("", "null", "None")


class NativeCalls:
    """The calls of one message. `new_id` makes an id for a call that has none, or whose id is taken."""

    def __init__(
        self,
        asked: Asked,
        toolset: Toolset,
        ledger: Ledger,
        new_id: Callable[[], str],
        new_arguments: NewArguments,
        new_parser: NewParser,
    ) -> None:
        self.calls: list[NativeCall] = []
        self._toolset, self._ledger, self._new_id = toolset, ledger, new_id
        self._new_arguments, self._new_parser = new_arguments, new_parser
        self._parallel = asked.parallel
        self._ids = {"", *asked.ids}  # ids that are taken
        self._routes = Routes()
        self._foreign: dict[int | None, NativeCall] = {}
        self._in_text = CallsInText()
        self._heard: set[NativeCall] = set()  # calls whose prose was taken
        self._texts: list[str] = []  # texts that were taken for calls
        self._resumed = False  # an error contained what was missing, so no more is read

    @property
    def sent(self) -> bool:
        """Whether the client was told about a call."""
        return bool(self._foreign) or any(call.announced for call in self.calls)

    @property
    def in_call(self) -> bool:
        """Whether the arguments of a call are not complete."""
        return any(not (call.foreign or call.arguments.findings.complete) for call in self.calls)

    # Reading

    def begin_frame(self) -> None:
        """Another frame with calls begins."""
        self._routes.begin_frame()

    def read(self, piece: CallPiece) -> tuple[NativeCall, bool]:
        """The call that a piece belongs to, and whether the piece named it after arguments had come. The
        caller still has to feed the text of the piece."""
        if piece.foreign:
            return self._foreign_call(piece), False
        name = "" if piece.name.strip() in _NO_NAME else piece.name
        call, original = self._routes.find(piece, name)
        if call is None:
            call = self._new(piece, original)
        late = bool(call.unread)
        if not call.named and self._take_name(call, name, piece.text) and not call.waits:
            self._announce(call)
        return call, late and call.named

    def after(self, call: NativeCall, whole: bool = False) -> None:
        """The text of a piece was fed, so it may be known now whether the call is a copy. `whole`: the
        call is over."""
        if whole and not call.foreign:
            self._end(call, stopped=True)
        elif call.waits and call.named and call.decided:
            self._settle(call)

    def _foreign_call(self, piece: CallPiece) -> NativeCall:
        known = None if piece.whole else self._foreign.get(piece.index)
        if known is None:
            known = NativeCall(piece.id, self._routes.turn, self._no_arguments(), foreign=True)
            known.announce(piece.id, piece.name)
            self._foreign[len(self._foreign) if piece.whole else piece.index] = known
        return known

    def _new(self, piece: CallPiece, original: NativeCall | None) -> NativeCall:
        before = self._routes.last
        if before and before.turn < self._routes.turn:
            self.pause()
            if not before.arguments.fed and self._takes_no_arguments(before):
                self._finish(before)
        call = NativeCall(piece.id, self._routes.turn, self._no_arguments())
        if original is not None:
            call.wait([original])
        self.calls.append(call)
        self._routes.add(call, piece)
        return call

    def _takes_no_arguments(self, call: NativeCall) -> bool:
        """Whether a call without arguments is complete when another one begins. (Otherwise the two may
        alternate, delta by delta.)"""
        tool = self._toolset.tools.get(call.tool.name)
        none = tool is not None and not tool.arguments.declared
        return call.arguments.findings.has_rules or (call.announced and none)

    def pause(self) -> None:
        """Something else follows, so the last call is complete if it can be."""
        if self.calls and self.calls[-1].can_be_over:
            self._finish(self.calls[-1])

    def finish(self, calls: Iterable[NativeCall]) -> None:
        """Something else follows, so these calls are complete."""
        for call in calls:
            if call.named:
                self._finish(call)

    def _finish(self, call: NativeCall) -> None:
        """No more arguments come for this call."""
        call.end(stopped=True)
        if call.waits:
            self._settle(call)

    # How a call begins

    def _take_name(self, call: NativeCall, name: str, text: str) -> bool:
        """Take a name, or a piece of it. Return whether the name is complete."""
        call.add_name(name)
        if not call.server_name:
            return False
        unfinished = not text and self._toolset.find(call.server_name) is None
        if unfinished and any(tool.startswith(call.server_name) for tool in self._toolset.tools):
            return False
        self._read_name(call)
        return True

    def _no_arguments(self) -> Arguments:
        """The arguments of a call without a name, or of one that is not a function call."""
        return self._new_arguments(NO_TOOL, self._ledger)

    def _read_name(self, call: NativeCall) -> None:
        found = read_name(call.server_name, self._toolset, self._new_parser)
        tool = found.tool if found else Tool(call.server_name)
        arguments = self._new_arguments(tool, self._ledger, found.members if found else None)
        if found and tool.name != call.server_name:
            arguments.count(Repair.NAME_NORMALISED)
        waits = self._in_text.has_name(tool.name) or arguments.findings.awaits_end
        if waits and not call.waits:
            call.wait()
        call.take_name(tool, arguments)

    def _announce(self, call: NativeCall) -> None:
        """Take a call into the answer, or drop it if it is one too many."""
        if not self._parallel and (self.sent or self._in_text):
            self._drop(call, Repair.PARALLEL_DROPPED)
            return
        call_id = self._new_id() if call.server_id in self._ids else call.server_id
        self._ids.add(call_id)
        call.announce(call_id, call.tool.name)

    def give_up(self, in_work: Collection[ServerCall | None]) -> None:
        """Nothing is read any more: the calls leave as they came. A call that was changed so far cannot
        run, above all if it is `in_work`: then what was read last was not sent."""
        for call in self.calls:
            if not call.settled:
                call.announce(call.server_id or self._new_id(), call.server_name)
            call.abandon(call in in_work)

    # Copies

    def _settle(self, call: NativeCall) -> None:
        """A call that may be a copy is over. Announce it, unless it is a copy."""
        originals = call.stop_waiting()
        if call.arguments.findings.tool:
            call.become(self._toolset.tools.get(call.arguments.findings.tool, call.tool))
        if not (originals or self._in_text):  # it only waited for the rules
            self._announce(call)
        elif self._in_text.go_on_with(*call.meaning) or self._is_copy(call, originals):
            self._drop(call, Repair.DUPLICATE_CALL)
        else:
            self._announce(call)

    def _is_copy(self, call: NativeCall, originals: Any) -> bool:
        meaning = call.meaning
        is_known = meaning[1] is not None and any(other.meaning == meaning for other in originals)
        return self._in_text.remove(*meaning) or is_known

    def is_begun_by(self, name: str, arguments: str) -> bool:
        """Whether this call, which is cut off in the text, is the beginning of one of the server's calls."""
        announced = (call for call in self.calls if call.announced)
        return any(rest_of(*call.meaning, name, arguments) is not None for call in announced)

    def _drop(self, call: NativeCall, repair: Repair) -> None:
        call.drop()
        self._ledger.repaired(repair)

    # Calls in the text

    def note(self, events: list[Event]) -> None:
        """Note what was found in the text."""
        self._in_text.note(events)

    @property
    def open_in_text(self) -> bool:
        """Whether a call that was found in the text is incomplete."""
        return self._in_text.open

    @property
    def suspects(self) -> Mapping[Hashable, list[Event]]:
        """What was found in each text and is held because it may be a copy."""
        return self._in_text.suspects

    def take_continued(self) -> str:
        """What the server's own call adds to the call in the text that it has cut off; "" if nothing."""
        return self._in_text.take_continued()

    def without_copies(
        self, text: Hashable, events: list[Event], over: bool, more: bool = False
    ) -> list[Event]:
        """What was found in a text, without calls that the server has parsed as well, and without further
        calls if only one is allowed. `more`: another text of the message has a call."""
        if not self.calls and (self._parallel or not more):
            return events

        return self._in_text.without_copies(
            text, events, over, lambda name, arguments, cut: self._leaves(name, arguments, cut, more)
        )

    def _leaves(self, name: str, arguments: Any, cut: bool, more: bool) -> bool:
        """Whether a call that was found in the text is dropped. `cut`: the message ended in it."""
        copy = self._is_parsed(name, arguments, cut)
        if not copy and (self._parallel or not (self.sent or more)):
            return False
        self._ledger.repaired(Repair.DUPLICATE_CALL if copy else Repair.PARALLEL_DROPPED)
        self._ledger.calls -= 1
        return True

    def are_copies(self, calls: Iterable[Call]) -> bool:
        """Whether the server has parsed all of these calls, too. They are the JSON of a whole text, which
        is then dropped."""
        if not all(self._is_parsed(name, arguments) for name, arguments in calls):
            return False
        self._ledger.repaired(Repair.DUPLICATE_CALL)
        return True

    def _is_parsed(self, name: str, arguments: Any, cut: bool = False) -> bool:
        """Whether the server has parsed this call of the text, too. `cut`: the message ended in it."""
        known = [call.arguments.value for call in self.calls if call.announced and call.tool.name == name]
        if essence(arguments) in map(essence, known):
            return True
        part = arguments if cut and isinstance(arguments, dict) else None
        return part is not None and any(begins(part, whole) for whole in known if isinstance(whole, dict))

    # The end

    def close(self, reason: Any) -> None:
        """No more comes. If the model stopped by itself, incomplete calls are completed where possible."""
        for call in [] if self._resumed else self.calls:
            self._end(call, stopped=reason in COMPLETE or (reason == OVER and self._needs_none(call)))

    def _end(self, call: NativeCall, stopped: bool) -> None:
        """No more arguments come for this call. `stopped`: because the model stopped by itself."""
        if not call.named:
            inferred = not call.server_name
            if inferred and not self._name_by_arguments(call):
                return
            self._read_name(call)
            if inferred:
                call.arguments.count(Repair.NAME_INFERRED)
        call.end(stopped)
        if call.waits:
            self._settle(call)
        elif not call.settled:
            self._announce(call)
        call.judge()
        self._hear_prose(call)

    def _needs_none(self, call: NativeCall) -> bool:
        """Whether a call is complete without any arguments."""
        tool = self._toolset.tools.get(call.tool.name)
        return not call.arguments.fed and tool is not None and not tool.arguments.declared

    def _name_by_arguments(self, call: NativeCall) -> bool:
        """Name a call that has no name, if only one tool fits its arguments. Otherwise it is text."""
        text = call.unread
        given = loads(text)
        tool = self._toolset.infer(given) if isinstance(given, dict) and given else None
        if tool is not None and self._toolset.allows(tool.name):
            call.add_name(tool.name)
            return True
        if not call.dropped:
            call.drop()
            self._texts += [call.as_text] if call.as_text else []
            self._ledger.refuse(Refused.NAMELESS, text)
        return False

    def _hear_prose(self, call: NativeCall) -> None:
        """Prose after the arguments of a call is text, unless the call is a copy."""
        if call.beside and not (call.dropped or call in self._heard):
            self._heard.add(call)
            self._texts.append(call.beside)

    def take_texts(self) -> list[str]:
        """The texts that were taken for calls; each is returned once."""
        texts, self._texts = self._texts, []
        return texts

    def resume(self, calls: Calls) -> tuple[NativeCall | None, str, Calls] | None:
        """What is left to send if these are the calls of the message, or its last ones: the call that has
        begun, the rest of it, and the calls that have not begun. None if they do not continue what was
        sent."""
        known = [call.meaning for call in self.calls]
        left = [(name, text) for name, text in calls if (name, loads(text)) not in known]
        begun = self._begun_alone()
        if not begun:
            self._resumed = True
            return None, "", left
        fits = len(begun) == 1 and left and begun[0].tool.name == left[0][0]
        rest = rest_after(left[0][1], begun[0].arguments.text) if fits else None
        if rest is None:
            return None
        self._resumed = True
        return begun[0], rest, left[1:]

    def _begun_alone(self) -> list[NativeCall]:
        """The calls that the client knows about and that are incomplete. Calls that it does not know
        about are dropped."""
        for call in self.calls:
            if not call.announced:
                call.drop()
        return [call for call in self.calls if call.announced and not call.arguments.findings.complete]

    def more(self) -> Calls:
        """Calls that were swallowed into arguments; each is returned once."""
        found = [pair for call in self.calls for pair in call.take_swallowed()]
        if self._parallel:
            return [ruled(name, text, self._toolset, self._ledger) for name, text in found]
        for _ in found:
            self._ledger.repaired(Repair.PARALLEL_DROPPED)
        return []
