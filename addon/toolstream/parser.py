"""The incremental parser: text in, events out.

One method per state. A state looks at what it holds (`_text`), takes what it is sure of and
returns True to go on, or False when it needs more text. Nothing is held that cannot become
part of a call any more, and what is held can be read (`pending`), so that a caller can give
up without loss. Text that is no call leaves exactly as it came; where it stands (in a fence,
in inline code, at the start of a line) is followed by `fences`, also for text already sent.

Most calls are certain once their name is complete, and stream from there. Some are certain
only later: a call of an undeclared tool (P2), or one in an unclosed `<think>` (P10), must be
complete and the last thing in the message. Such a call is on *trial*: it is parsed as any
other, but its events wait beside the raw text, and one of the two goes out. A caller that
does not stream (`live=False`), and the strict level, put every call on trial until its end,
so that one that turns out truncated or damaged is text after all.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .arguments import write_object
from .call import CallReader
from .events import ArgumentsDelta, CallEnd, CallStart, Event, Repaired, Text
from .fences import Fences
from .grammar import BLANK, LEVELS, Tag, grammar
from .hermes import JsonScanner, read_calls
from .repairs import EXCERPT, Ledger, Refused, Repair
from .requests import Toolset
from .schema import Tool

COMPLETE = frozenset({"stop", "tool_calls", "function_call", "eos"})  # the model stopped by itself
LIMIT = 1 << 20  # characters held for one candidate (P19)
PIECE = 4096  # longer input is parsed in pieces: a state may copy what it holds
LOOK_AHEAD = 64  # blanks between <tool_call> and what it wraps
BLANK_RUN = 256  # of a longer run of blanks only the last ones wait for a call that drops them
SPAN = 4096  # characters after which an open backtick is taken to be a lone one

_BLANKS = re.compile(f"[{BLANK}]*")
_GAP = re.compile(f"[{BLANK}]{{0,{LOOK_AHEAD}}}")
_LINE_REST = re.compile(r"[ \t]*(\r?\n|\r?\Z)?")
_UNFINISHED = frozenset(
    {Repair.MISSING_PARAMETER_CLOSE, Repair.MISSING_FUNCTION_CLOSE, Repair.MISSING_TOOL_CALL_CLOSE}
)


@dataclass(slots=True)
class Trial:
    """A call that may still turn out to be text: its events, and all text since it began."""

    at_end: bool  # certain only if the message ends behind it; else once it is complete
    refused: Refused  # why, if it turns out to be text
    blanks: str  # before the call
    calls: int  # of the message before it
    raw: list[str]
    size: int = 0
    events: list[Event] = field(default_factory=list)


class ToolCallParser:
    """Finds the tool calls in the text of one message.

    `tools` and `tool_choice` are the request's. `feed` and `close` return the events that are
    certain by now; `close` takes the finish_reason: after anything but a natural stop (None
    included) an unfinished call is not completed. `parallel=False` emits the first call only
    (P16); `live=False` emits complete calls only. No text makes `feed` or `close` raise.
    """

    def __init__(
        self,
        tools: Any,
        tool_choice: Any = "auto",
        recovery: str = "tolerant",
        *,
        parallel: bool = True,
        live: bool = True,
        ledger: Ledger | None = None,
    ) -> None:
        if recovery not in LEVELS:
            raise ValueError(f"recovery is one of {', '.join(LEVELS)}, not {recovery!r}")
        self.ledger = ledger if ledger is not None else Ledger()
        self._toolset = Toolset(tools, tool_choice)
        self._tolerant = recovery != "strict"
        self._grammar = grammar("tolerant" if self._tolerant else "strict")
        self._live = live and self._tolerant
        self._parallel = parallel
        self._state = self._in_text if self._toolset.tools else self._in_literal
        self._fences = Fences()
        self._text = ""  # received, not yet looked at by a state
        self._blanks = ""  # looked at: blanks that a call right behind them drops
        self._backlog: deque[str] = deque()  # received, not yet in _text
        self._high = ""  # the first half of a surrogate pair
        self._complete = False  # at the end: the model stopped by itself
        self._eof = False
        self._events: list[Event] = []
        self._trial: Trial | None = None
        self._calls = 0
        self._thinking = False  # in a <think> that is not closed yet
        self._orphan_think = False  # _blanks holds a </think> that closes nothing
        self._quoted = False  # the last text was a <tool_call> that is being quoted
        self._after_call = False  # nothing but blanks since the last call
        # The call being read
        self._tool = Tool("")
        self._call: CallReader | None = None
        self._plain: CallReader | None = None  # the call, where text without "<" is payload at once
        self._json: list[str] = []
        self._scanner = JsonScanner()
        self._wrapped = False  # inside <tool_call>
        self._orphan = False  # a </tool_call> may come although there was no <tool_call>
        self._ambiguous = False  # the rest may be a value's payload: no more calls

    @property
    def pending(self) -> str:
        """Text received that no event stands for yet."""
        if self._trial:
            return self._trial.blanks + "".join(self._trial.raw) + self._high
        call = self._call.pending if self._call else ""
        return self._blanks + call + self._text + "".join(self._backlog) + self._high

    @property
    def calls(self) -> int:
        """How many calls have begun."""
        return self._calls

    @property
    def at_rest(self) -> str:
        """ "text" or "value" while letters can go by unseen: text that has no `<`, no backtick, no control
        character and no blank at its end is then nothing but text, or nothing but payload of a string
        of the call being read, and changes nothing here. Otherwise empty."""
        if self._plain:
            return "value" if self._plain.settled else ""
        idle = self._state == self._in_text and not (self._text or self._blanks or self._high)
        return "text" if idle and self._fences.settled and not self._after_call else ""

    def feed(self, text: str) -> list[Event]:
        """Take the next piece of the message; return what is certain by now."""
        if "<" not in text and not self._high and not "\ud800" <= text[-1:] <= "\udbff":
            if self._plain and text:
                fragment = self._plain.take(text)
                return [ArgumentsDelta(self._calls - 1, fragment)] if fragment else []
            if self._state == self._in_text and not self._text:
                if not self._blanks and text[-1:] not in BLANK:
                    self._fences.feed(text)
                    self._after_call = self._quoted = False
                    return [Text(text)]
                self._pass(text)
                return self._take_events()
        self._plain = None
        self._run(self._join_surrogates(text))
        return self._take_events()

    def close(self, finish_reason: str | None = None) -> list[Event]:
        """The message is over; return the rest. Afterwards nothing is pending."""
        self._complete = isinstance(finish_reason, str) and finish_reason in COMPLETE
        self._eof, self._plain = True, None
        text, self._high = self._high, ""
        self._run(text)
        self._emit_text(self._blanks)
        self._blanks = ""
        return self._take_events()

    # Driving the states

    def _run(self, text: str) -> None:
        if self._trial:
            self._trial.raw.append(text)
            self._trial.size += len(text)
        if len(text) <= PIECE and not self._backlog:
            self._text += text
        else:
            self._queue(text)
        while True:
            while self._state():
                pass
            if self._trial and self._trial.size > LIMIT:
                self._reject(Refused.LIMIT)
            elif self._backlog:
                self._text += self._backlog.popleft()
            else:
                return

    @property
    def _over(self) -> bool:
        """Whether no more text comes."""
        return self._eof and not self._backlog

    def _queue(self, text: str) -> None:
        """Text for later, in pieces short enough to be copied."""
        self._backlog.extend(text[i : i + PIECE] for i in range(0, len(text), PIECE))

    def _give_back(self, text: str) -> None:
        """Text that turned out to be nothing of ours comes next again."""
        later, self._backlog = self._backlog, deque()
        self._queue(text + self._text)
        self._backlog += later
        self._text = ""

    def _join_surrogates(self, text: str) -> str:
        """Text with no pair of surrogates cut in two; a first half at its end waits."""
        if not self._high and not "\ud800" <= text[-1:] <= "\udbff":
            return text
        text = self._high + text
        self._high = text[-1] if "\ud800" <= text[-1:] <= "\udbff" else ""
        text = text.removesuffix(self._high)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")

    def _take(self, end: int) -> str:
        taken, self._text = self._text[:end], self._text[end:]
        return taken

    def _is_declared(self, name: str) -> bool:
        return self._toolset.find(name, self._tolerant) is not None

    # States: outside of calls

    def _in_literal(self) -> bool:
        """Nothing is looked for: no tools, or what follows may be quoted."""
        self._emit_text(self._blanks + self._take(len(self._text)))
        self._blanks = ""
        return False

    def _in_text(self) -> bool:
        """Text, up to the next tag that may open a call."""
        openers = self._grammar.openers
        tag = openers.search(self._text)
        self._pass(
            self._take(tag.start if tag else len(self._text) if self._over else openers.held_from(self._text))
        )
        if tag is None:
            return False
        size = tag.end - tag.start
        if self._fences.fenced:
            return self._quote(tag.kind, size)
        if self._fences.code_span:
            return self._go(self._in_span)
        match tag.kind:
            case "wrap_open":
                return self._go(self._in_envelope)
            case "call_open":
                return self._open_bare(self._grammar.openers.match(self._text, 0) or tag)
        return self._think(tag.kind, self._take(size))

    def _think(self, kind: str, tag: str) -> bool:
        """<think> or </think>: text, and a call may stand right behind it. A </think> that closes
        nothing waits, for right before a call it is dropped (P10)."""
        opens = kind == "think_open" and (self._thinking or self._fences.at_line_start)
        if kind == "think_open" or self._thinking:
            self._pass(tag)
        else:
            self._fences.feed(tag)
            self._blanks += tag
            self._orphan_think = True
        self._thinking = opens
        self._fences.new_line()
        return True

    def _quote(self, kind: str, size: int) -> bool:
        """A tag that is being quoted."""
        if kind in ("wrap_open", "call_open"):
            return self._refuse(Refused.FENCED, size, wrap=kind == "wrap_open")
        self._pass(self._take(size))
        return True

    def _in_span(self) -> bool:
        """A tag behind an open backtick: quoted if the code span closes before a blank line."""
        tag = self._grammar.openers.match(self._text, 0)
        run = self._fences.code_span
        end = re.compile(rf"(?<!`)`{{{run}}}(?!`)|\n[ \t]*\r?\n").search(self._text)
        closed = end is not None and end[0][0] == "`"
        if (
            not self._over
            and (end is None or (closed and end.end() == len(self._text)))
            and len(self._text) < SPAN
        ):
            return False
        self._go(self._in_text)
        if tag and end is not None and closed:
            self._quote(tag.kind, end.end())
            self._quoted = False
            return True
        self._fences.close_span()
        return True

    def _in_envelope(self) -> bool:
        """<tool_call>, and what it wraps: a call, JSON, nothing, or it was only mentioned."""
        wrap = self._grammar.openers.match(self._text, 0)
        assert wrap
        gap = _GAP.match(self._text, wrap.end)
        at = gap.end() if gap else wrap.end
        body = self._grammar.envelope
        tag = body.match(self._text, at)
        if tag and tag.kind == "call_open":
            return self._open_wrapped(tag, foreign=not wrap.canonical)
        if tag:
            return self._empty_envelope(tag.end)
        if self._tolerant and self._text[at : at + 1] in ("{", "["):
            return self._open_json(at)
        if not self._over and (at == len(self._text) or body.may_begin(self._text, at)):
            return False
        return self._refuse(Refused.NO_CALL, wrap.end)

    def _empty_envelope(self, end: int) -> bool:
        """Drop it right behind a call or alone on its lines; in prose it is being mentioned."""
        rest = _LINE_REST.match(self._text, end)
        if rest and rest[1] in ("", "\r") and not self._over and not self._after_call:
            return False
        alone = self._fences.at_line_start and rest is not None and rest[1] is not None
        if not (self._tolerant and (self._after_call or alone)):
            return self._refuse(Refused.NO_CALL, end)
        self._repair(Repair.EMPTY_ENVELOPE, self._take(end))
        return self._go(self._in_after if self._after_call else self._in_text)

    # Opening a call

    def _open_bare(self, tag: Tag) -> bool:
        """<function=…> without <tool_call>: at the start of a line, declared, and a tag or JSON behind it."""
        tool = self._toolset.find(tag.name, self._tolerant)
        if tool is None:
            return self._refuse(Refused.UNDECLARED, tag.end)
        if not self._toolset.allows(tool.name):
            return self._refuse(Refused.FORBIDDEN, tag.end)
        if self._thinking:
            return self._refuse(Refused.REASONING, tag.end)
        if not self._fences.at_line_start:
            return self._refuse(Refused.NOT_AT_LINE_START, tag.end)
        gap = _GAP.match(self._text, tag.end)
        at = gap.end() if gap else tag.end
        if at == len(self._text) and not self._over:
            return False
        if self._text[at : at + 1] not in ("<", "{"):
            return self._refuse(Refused.NO_CALL, tag.end)
        return self._open(tool, tag, wrapped=False)

    def _open_wrapped(self, tag: Tag, foreign: bool = False) -> bool:
        """<function=…> in an envelope; an undeclared tool is on trial."""
        tool = self._toolset.find(tag.name, self._tolerant)
        if tool and not self._toolset.allows(tool.name):
            return self._refuse(Refused.FORBIDDEN, tag.end)
        if tool is None and (self._thinking or not (self._tolerant and self._toolset.any_allowed)):
            return self._refuse(Refused.UNDECLARED, tag.end)
        if self._trial and self._trial.at_end and tool and not self._thinking:
            return self._reject()
        if self._thinking and self._calls and not self._trial:
            return self._refuse(Refused.REASONING, tag.end)
        if tool is None:
            self._try(Refused.UNDECLARED, at_end=True)
            self._repair(Repair.UNDECLARED_NAME, tag.name)
        return self._open(tool or Tool(tag.name), tag, wrapped=True, foreign=foreign)

    def _open(self, tool: Tool, tag: Tag, wrapped: bool, foreign: bool = False) -> bool:
        if self._thinking:
            self._try(Refused.REASONING, at_end=True)
        elif not self._live:
            self._try(Refused.TRUNCATED, at_end=False)
        self._drop_blanks()
        taken = self._take(tag.end)
        if not wrapped:
            self._repair(Repair.MISSING_TOOL_CALL_OPEN, taken)
        if foreign or not tag.canonical:
            self._repair(Repair.FOREIGN_SPELLING, taken)
        if tool.name != tag.name and self._is_declared(tool.name):
            self._repair(Repair.NAME_NORMALISED, tag.name)
        self._wrapped, self._orphan = wrapped, not wrapped
        self._start_call(tool)
        index, nesting = self._calls - 1, not self._ambiguous
        self._call = CallReader(index, tool, self._grammar, self._is_declared, nesting)
        return self._go(self._in_call)

    def _drop_blanks(self) -> None:
        """The white space right before a call, and a </think> in it."""
        if self._orphan_think:
            self._repair(Repair.ORPHAN_THINK_CLOSE, self._blanks)
        self._blanks, self._orphan_think = "", False

    def _start_call(self, tool: Tool) -> None:
        self._tool = tool
        if self._calls and not self._parallel:
            self._repair(Repair.PARALLEL_DROPPED, tool.name)
        self._calls += 1

    # State: inside a call

    def _in_call(self) -> bool:
        """Inside a call; `call` says where it ends."""
        call = self._call
        assert call
        self._emit_all(call.feed(self._take(len(self._text))))
        if self._over and not (call.ended or call.rest):
            self._emit_all(call.close(self._complete))
        if call.rest or call.ended:
            rest, call.rest = call.rest, ""
            self._give_back(rest)
            return self._close_call(call) if call.ended else True
        if call.plain and self._trial is None and (self._parallel or self._calls == 1):
            self._plain = call
        return False

    def _close_call(self, call: CallReader) -> bool:
        self._call, self._ambiguous = None, call.ambiguous
        if not call.cut:
            return self._behind_call()
        if self._trial:
            return self._reject(Refused.TRUNCATED)
        self.ledger.refuse(Refused.TRUNCATED, self._tool.name)
        return self._go(self._in_literal)

    # States: JSON bodies

    def _open_json(self, at: int) -> bool:
        if self._thinking and self._calls and not self._trial:
            return self._refuse(Refused.REASONING, at)
        self._try(Refused.INVALID_JSON, at_end=self._thinking)
        self._take(at)
        self._json, self._scanner = [], JsonScanner()
        return self._go(self._in_json)

    def _scan_json(self) -> bool:
        """Take JSON up to its end; False if the end has not come."""
        end = self._scanner.feed(self._text)
        self._json.append(self._take(len(self._text) if end is None else end))
        return end is not None

    def _in_json(self) -> bool:
        """JSON in an envelope: its first, or next, object or array."""
        if self._scan_json():
            return self._go(self._behind_json)
        if not self._over:
            return False
        return self._reject(None if self._complete else Refused.TRUNCATED)

    def _behind_json(self) -> bool:
        """One call, an array of calls, or several calls one after the other."""
        blanks = _end(_BLANKS, self._text)
        if blanks == len(self._text) and not self._over:
            return False
        if self._text[blanks : blanks + 1] in ("{", "["):
            self._json.append(self._take(blanks))
            self._scanner = JsonScanner()
            return self._go(self._in_json)
        calls = read_calls("".join(self._json))
        return self._emit_calls(calls) if calls else self._reject()

    def _emit_calls(self, calls: list[tuple[str, dict[str, Any]]]) -> bool:
        tools = [self._toolset.find(name) for name, _ in calls]
        if any(t and not self._toolset.allows(t.name) for t in tools):
            return self._reject(Refused.FORBIDDEN)
        if None in tools and (self._thinking or not self._toolset.any_allowed):
            return self._reject(Refused.UNDECLARED)
        if None in tools and self._trial:
            self._trial.at_end, self._trial.refused = True, Refused.UNDECLARED
        self._drop_blanks()
        self._repair(Repair.JSON_BODY, "".join(self._json))
        for tool, (name, arguments) in zip(tools, calls, strict=True):
            self._emit_json_call(tool, name, arguments)
        self._wrapped, self._orphan = True, False
        return self._behind_call()

    def _emit_json_call(self, tool: Tool | None, name: str, arguments: dict[str, Any]) -> None:
        if tool is None:
            self._repair(Repair.UNDECLARED_NAME, name)
        elif tool.name != name:
            self._repair(Repair.NAME_NORMALISED, name)
        self._start_call(tool or Tool(name.strip()))
        index = self._calls - 1
        text, repairs = write_object(self._tool, arguments, "")
        self._emit_all([CallStart(index, self._tool.name), ArgumentsDelta(index, text)])
        for repair, excerpt in repairs:
            self._repair(repair, excerpt)
        self._emit(CallEnd(index))

    # State: behind a call

    def _behind_call(self) -> bool:
        """A call is complete."""
        self._fences.new_line()
        self._after_call = True
        self._go(self._in_after)
        if self._trial and not self._trial.at_end:
            strict = not self._tolerant
            return (
                self._reject(Refused.TRUNCATED)
                if strict and self._unfinished(self._trial)
                else self._accept()
            )
        return True

    def _in_after(self) -> bool:
        """Behind a call: closing tags, the next call, or text."""
        blanks = self._take(_end(_BLANKS, self._text))
        self._fences.feed(blanks)
        self._blanks += blanks
        if self._text == "" and self._over:
            return self._end_behind_call()
        if len(self._blanks) > BLANK_RUN:
            return self._leave_call()
        tag = self._grammar.after.match(self._text, 0)
        if tag is None:
            return self._in_after_no_tag()
        match tag.kind:
            case "wrap_close" if self._wrapped or self._orphan:
                self._wrapped = self._orphan = False
            case "wrap_close" | "call_close" | "parameter_close" | "stray":
                self._repair(Repair.STRAY_CLOSER, self._text[: tag.end])
            case "wrap_open" if not self._ambiguous:
                self._miss_wrap_close()
                return self._go(self._in_envelope)
            case "call_open" if not self._ambiguous:
                return self._open_wrapped(tag) if self._wrapped else self._open_bare(tag)
            case _:
                return self._leave_call()
        self._take(tag.end)
        self._blanks = ""
        return True

    def _in_after_no_tag(self) -> bool:
        partial = self._text == "" or self._grammar.after.may_begin(self._text, 0)
        if partial and not self._over:
            return False
        if partial and self._text.startswith("</"):
            self._repair(Repair.STRAY_CLOSER, self._take(len(self._text)))
            return True
        return self._leave_call()

    def _leave_call(self) -> bool:
        """Text follows the call."""
        if self._trial:
            return self._reject()
        self._miss_wrap_close()
        self._orphan = False
        return self._go(self._in_literal if self._ambiguous else self._in_text)

    def _end_behind_call(self) -> bool:
        self._miss_wrap_close()
        self._blanks = ""
        if self._trial is None:
            return False
        if self._complete and not self._unfinished(self._trial):
            return self._accept()
        return self._reject(Refused.TRUNCATED)

    def _miss_wrap_close(self) -> None:
        if self._wrapped:
            self._repair(Repair.MISSING_TOOL_CALL_CLOSE, self._text)
            self._wrapped = False

    # Trials

    def _try(self, refused: Refused, at_end: bool) -> None:
        """From here on, blanks included, it is decided later whether this is a call."""
        if self._trial is None:
            raw = [self._text, *self._backlog]
            self._trial = Trial(at_end, refused, self._blanks, self._calls, raw, sum(map(len, raw)))

    def _accept(self) -> bool:
        """What was on trial is a call."""
        trial, self._trial = self._trial, None
        for event in trial.events if trial else ():
            self._emit(event)
        return True

    def _reject(self, refused: Refused | None = None) -> bool:
        """What was on trial is text."""
        trial, self._trial = self._trial, None
        assert trial
        raw = "".join(trial.raw)
        text = raw[: len(raw) - len(self._text) - sum(map(len, self._backlog))]
        self._calls, self._blanks, self._call = trial.calls, trial.blanks, None
        self._wrapped = self._orphan = self._ambiguous = self._after_call = False
        self._orphan_think = "<" in self._blanks
        self.ledger.refuse(refused or trial.refused, text)
        self._pass(text)
        return self._go(self._in_text)

    def _unfinished(self, trial: Trial) -> bool:
        return any(isinstance(e, Repaired) and e.repair in _UNFINISHED for e in trial.events)

    # Giving out

    def _go(self, state: Callable[[], bool]) -> bool:
        self._state = state
        return True

    def _pass(self, text: str) -> None:
        """Text that is no part of a call; blanks at its end wait for what follows."""
        self._fences.feed(text)
        solid = len(text.rstrip(BLANK))
        if solid:
            self._after_call = self._orphan_think = self._quoted = False
            solid += len(self._blanks)
        text = self._blanks + text
        solid = max(solid, len(text) - BLANK_RUN)
        self._emit_text(text[:solid])
        self._blanks = text[solid:]

    def _refuse(self, reason: Refused, end: int, wrap: bool = False) -> bool:
        """A candidate that is text up to `end`; `wrap`: only its <tool_call>."""
        if self._trial:
            return self._reject()
        self._miss_wrap_close()
        if not self._quoted:
            self.ledger.refuse(reason, self._text[:end])
        self._pass(self._take(end))
        self._quoted = wrap
        return self._go(self._in_text)

    def _repair(self, repair: Repair, excerpt: str) -> None:
        self._emit(Repaired(repair, excerpt[:EXCERPT]))

    def _emit_text(self, text: str) -> None:
        if text:
            self._emit(Text(text))

    def _emit(self, event: Event) -> None:
        if self._trial:
            self._trial.events.append(event)
        elif isinstance(event, Repaired):
            self._events.append(event)
            self.ledger.repairs[event.repair] += 1
        elif isinstance(event, Text) or self._parallel or event.index == 0:
            self._events.append(event)
            self.ledger.calls += isinstance(event, CallEnd)

    def _emit_all(self, events: Iterable[Event]) -> None:
        for event in events:
            self._emit(event)

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events


def _end(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.match(text)
    return match.end() if match else 0
