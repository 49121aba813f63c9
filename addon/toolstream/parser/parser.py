"""The incremental parser: text in, events out.

It consists of one `Buffer` with the text, one `EventLog` with the events that may still be taken back,
and one function for each state, in the table below. A state takes what it is sure of and names the next
one. Text is held only while it may still become part of a call. What is held can be read (`pending`), so
a caller can give up without loss.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from ..events import COMPLETE, OVER, Event
from ..grammar.brackets import OPEN
from ..grammar.grammar import LEVELS, grammar
from ..grammar.text import BLANK
from ..grammar.tokens import BEGINNING
from ..ledger import Ledger
from ..limits import HELD, STEPS, STEPS_PER_CHARACTER
from ..repairs import Refused
from ..schema.rules import Rules
from ..schema.schema import Tool
from ..schema.toolset import Toolset
from .after import after_call
from .bare_json import in_bare_json
from .buffer import Buffer
from .call import in_call, in_stray
from .context import Context
from .cut import at_cut
from .envelope import at_envelope
from .event_log import EventLog, Mark
from .fast_path import pass_start, pass_tags, pass_text, pass_value
from .interrupted import drop_opener, go_past_call
from .json_call import give_up_json, in_json
from .loose import in_loose, leave_as_text
from .message import Message
from .opening import is_at_bare
from .outside import at_line_start, at_place, in_text
from .quotation import in_span
from .states import State, Step
from .value import in_value


def in_literal(m: Message) -> Step:
    """State: everything is text."""
    m.emit_all(len(m.buffer.text))
    return Step.MORE


STATES: dict[State, Callable[[Message], Step]] = {
    State.LITERAL: in_literal,
    State.LINE_START: at_line_start,
    State.TEXT: in_text,
    State.PLACE: at_place,
    State.SPAN: in_span,
    State.ENVELOPE: at_envelope,
    State.CALL: in_call,
    State.VALUE: in_value,
    State.LOOSE: in_loose,
    State.STRAY: in_stray,
    State.JSON: in_json,
    State.BARE_JSON: in_bare_json,
    State.AFTER: after_call,
    State.CUT: at_cut,
}

FAST_PATHS: dict[State, Callable[[Message, str], list[Event] | None]] = {
    State.LINE_START: pass_start,
    State.TEXT: pass_text,
    State.CALL: pass_tags,
    State.VALUE: pass_value,
}

# To look up a member of an enum takes Python 3.11 ten times as long as to look up a global name
TEXT, VALUE, GO = State.TEXT, State.VALUE, Step.GO
_LOOKS_FOR_TAGS = frozenset({TEXT, State.PLACE, State.ENVELOPE, State.CALL, VALUE, State.AFTER})


def _is_after_tag(m: Message) -> bool:
    """Whether nothing but complete tags, and whitespace, waits. Then the beginning of another tag decides
    nothing yet."""
    if not m.tolerant:
        return False
    waiting = m.buffer.text[m.buffer.at :].rstrip(BLANK)
    ends_tag = waiting[-1:] == ">"
    match m.state:
        case State.VALUE:
            return ends_tag and m.open_value.waits
        case State.CALL:  # if a closing tag waits, this may show that the call was not closed too early
            return m.buffer.at == len(m.buffer.text)
        case State.ENVELOPE:
            return ends_tag
        case State.TEXT if not m.buffer.high:
            return m.seen == len(m.buffer.text) or (ends_tag and is_at_bare(m))
        case State.AFTER:
            return not waiting
    return False


class ToolCallParser:
    """Finds the tool calls in the text of one message.

    `tools` and `tool_choice` are the request's. `feed` and `close` return the events that are certain by
    now. `close` takes the finish_reason: an unfinished call is completed only after a natural stop; None
    is not one. `parallel=False` emits only the first call. `live=False` emits only complete calls.
    `reasoning=True` says that the text is what the model thought, as in a <think> that is never closed.
    `rules` are the user's own. `most` characters are held of what may be a call. No text makes `feed` or
    `close` raise.
    """

    def __init__(
        self,
        tools: Any,
        tool_choice: Any = "auto",
        recovery: str = "tolerant",
        *,
        parallel: bool = True,
        live: bool = True,
        reasoning: bool = False,
        ledger: Ledger | None = None,
        rules: Rules | None = None,
        most: int = HELD,
    ) -> None:
        if recovery not in LEVELS:
            raise ValueError(f"recovery is one of {', '.join(LEVELS)}, not {recovery!r}")
        self.ledger = ledger if ledger is not None else Ledger()
        self._buffer = Buffer()
        self._log = EventLog(self._buffer, self.ledger, parallel, most)
        toolset, tolerant = Toolset.of(tools, tool_choice, rules), recovery != "strict"
        start = State.LINE_START if tolerant else State.TEXT
        self._message = Message(
            self._buffer,
            self._log,
            Context(reasoning),
            toolset,
            grammar(recovery),
            start if toolset.tools else State.LITERAL,
            live=live and tolerant,
            reasoning=reasoning,
        )

    @property
    def pending(self) -> str:
        """Text that was received and is in no event yet."""
        return self._unwritten + self._log.pending

    @property
    def held(self) -> int:
        """The number of characters of that text."""
        return len(self._unwritten) + self._log.held

    @property
    def _unwritten(self) -> str:
        """The part of a value that was read, but has to be complete before it is typed."""
        call = self._message.call
        return call.writer.pending if call and self._log.sure else ""

    def feed(self, text: str) -> list[Event]:
        """Take the next piece of the message; return the events that are certain by now."""
        m = self._message
        if m.tag_at >= 0:
            if self._goes_on_in_tag(m, text):
                return []
            m.tag_at = -1
        fast_path = FAST_PATHS.get(m.state)
        if fast_path and text and (events := fast_path(m, text)) is not None:
            return events
        if text[:1] in OPEN and BEGINNING.fullmatch(text) and _is_after_tag(m):
            m.tag_at = self._buffer.position + self._buffer.size
            self._buffer.feed(text)
            return []
        self._buffer.feed(text)
        return self._run()

    def close(self, finish_reason: str | None = None) -> list[Event]:
        """The message is over; return the remaining events. Afterwards nothing is pending."""
        m = self._message
        m.complete = isinstance(finish_reason, str) and finish_reason in COMPLETE
        m.ended = m.complete or finish_reason == OVER
        self._buffer.close()
        m.tag_at = -1
        return self._run()

    def interrupt(self, calls: Collection[str] | None = None) -> list[Event]:
        """Something other than text follows. A complete call is a call; anything else that is held is
        text. More text may come. `calls`: calls of these names follow, which the server parsed. What is
        held and may be the beginning of one is dropped."""
        m = self._message
        m.followed = calls
        if calls is not None:
            drop_opener(m)
        if m.trial and (m.trial.at_end or m.context.thinking):
            m.reject(Refused.REASONING if m.context.thinking else None)
        events = self.close(None)
        self._buffer.over, m.followed = False, None
        if calls is not None:
            go_past_call(m)
        return events

    def forget_thinking(self) -> None:
        """The model's thinking has a field of its own that continues, so an open <think> here has opened
        nothing. In a <think> that opens later, a call that the message ends with needs no envelope."""
        self._message.context.forget_thinking()
        self._message.thinks_apart = True

    def _run(self) -> list[Event]:
        """Let the states read what has arrived."""
        m, marks = self._message, self._log.marks
        done, most = 0, 0
        while STATES[m.state](m) is GO or (marks and self._is_overdue(m)):
            done, most = done + 1, max(most, len(self._buffer.text))  # the buffer may go back
            if done > STEPS + STEPS_PER_CHARACTER * most:
                raise RuntimeError(f"the parser does not get on in {m.state.name}")
        if self._buffer.at < len(self._buffer.text) and m.state in _LOOKS_FOR_TAGS and m.tolerant:
            self._note_tag(m)
        return self._log.take()

    # A piece that is only a part of a tag decides nothing, so no state has to look at it

    def _goes_on_in_tag(self, m: Message, text: str) -> bool:
        """Take a piece that is nothing but more letters of the unfinished tag that waits."""
        buffer = self._buffer
        goes_on = text != "" and BEGINNING.fullmatch(buffer.text[m.tag_at - buffer.base :] + text) is not None
        if goes_on:
            buffer.feed(text)
        return goes_on

    def _note_tag(self, m: Message) -> None:
        """Note where an unfinished tag begins with which the text ends, if there is one."""
        buffer = self._buffer
        start = buffer.text.rfind("<", buffer.at)
        if not buffer.text.isascii():
            start = max(buffer.text.rfind(bracket, buffer.at) for bracket in OPEN)
        begun = start >= 0 and BEGINNING.fullmatch(buffer.text, start)
        m.tag_at = buffer.base + start if begun else -1

    def _is_overdue(self, m: Message) -> bool:
        """Give up a candidate for which too much was held; return whether there was one."""
        mark = self._log.overdue
        if mark is None:
            return False
        self._give_up(m, mark)
        return True

    def _give_up(self, m: Message, mark: Mark) -> Step:
        if mark is m.trial:
            return m.reject(Refused.LIMIT)
        if m.call and m.call.spare:
            return leave_as_text(m, self._buffer.since(mark.position))
        return give_up_json(m, mark)


def argument_parsers(toolset: Toolset) -> Callable[..., ToolCallParser]:
    """Makes parsers for the tools of a request, and for a tool that is not among them. They find calls in
    the arguments of another call, so tool_choice does not matter and any tool is allowed. The user's rules
    are applied later."""
    known: dict[Tool | None, Toolset] = {}

    def new(tool: Tool | None = None, live: bool = True, recovery: str = "tolerant") -> ToolCallParser:
        tools = known.get(tool) or known.setdefault(tool, toolset.unrestricted(tool))
        return ToolCallParser(tools, recovery=recovery, live=live)

    return new
