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
from .dialects import direct_tag
from .events import ArgumentsDelta, CallEnd, CallStart, Event, Repaired, Text
from .fences import Fences
from .grammar import BLANK, LEVELS, LOOK_AHEAD, Names, Tag, grammar
from .hermes import Call, JsonBody, read_body
from .opening import Opening, find_tool, read_opening
from .repairs import EXCERPT, Ledger, Refused, Repair
from .requests import Toolset
from .schema import Tool
from .untagged import UntaggedCall, Verdict

COMPLETE = frozenset({"stop", "tool_calls", "function_call", "eos"})  # the model stopped by itself
LIMIT = 1 << 20  # characters held for one candidate (P19)
PIECE = 4096  # longer input is parsed in pieces: a state may copy what it holds
BLANK_RUN = 256  # of a longer run of blanks only the last ones wait for a call that drops them
SPAN = 4096  # characters after which an open backtick is taken to be a lone one
WRAPS = 4  # opening tags of envelopes in a row that are taken for one
THINK = ("think_open", "think_close")
RETURNS = 16  # times that JSON without an end is looked through for a call, in one message

_BLANKS = re.compile(f"[{BLANK}]*")
_GAP = re.compile(f"[{BLANK}]{{0,{LOOK_AHEAD}}}")
_SURPLUS = re.compile(f"[{BLANK}}}\\]]{{0,{LOOK_AHEAD}}}")
_OPENING = re.compile(r"<[A-Za-z]")
_LINE_REST = re.compile(r"[ \t]*(\r?\n|\r?\Z)?")
_LINE_START = re.compile(r"(?:\A|\n)[ \t]{0,3}(?=[{\[`~C])")  # where an untagged call may begin
_UNFINISHED = frozenset(
    {Repair.MISSING_PARAMETER_CLOSE, Repair.MISSING_FUNCTION_CLOSE, Repair.MISSING_TOOL_CALL_CLOSE}
)


@dataclass(slots=True)
class Trial:
    """A call that may still turn out to be text: its events, and all text since it began."""

    at_end: bool  # certain only if the message ends behind it; else once it is complete
    refused: Refused | None  # why, if it turns out to be text; None if that is no news
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
    (P16); `live=False` emits complete calls only; `reasoning=True` says that the text is what the
    model thought, as if it stood in a <think> that nothing closes. No text makes `feed` or
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
    ) -> None:
        if recovery not in LEVELS:
            raise ValueError(f"recovery is one of {', '.join(LEVELS)}, not {recovery!r}")
        self.ledger = ledger if ledger is not None else Ledger()
        self._toolset = Toolset(tools, tool_choice)
        self._level = recovery
        self._tolerant = recovery != "strict"
        self._aggressive = recovery == "aggressive"
        self._grammar = grammar(recovery)
        names = self._toolset.names
        self._openers = self._grammar.openers.knowing(names)
        self._lines = self._grammar.lines.knowing(names)
        self._envelope = self._grammar.envelope.knowing(names)
        self._after = self._grammar.after.knowing(names)
        self._live = live and self._tolerant
        self._parallel = parallel
        start = self._at_line_start if self._tolerant else self._in_text
        self._state: Callable[[], bool] = start if self._toolset.tools else self._in_literal
        self._fences = Fences()
        self._text = ""  # received, not yet looked at by a state
        self._blanks = ""  # looked at: blanks that a call right behind them drops
        self._backlog: deque[str] = deque()  # received, not yet in _text
        self._high = ""  # the first half of a surrogate pair
        self._complete = False  # at the end: the model stopped by itself
        self._eof = False
        self._events: list[Event] = []
        self._trial: Trial | None = None
        self._returns = 0  # long candidates that were read again as text
        self._calls = 0
        self._reasoning = reasoning
        self._thinking = reasoning  # in a <think> that is not closed yet
        self._orphan_think = False  # _blanks holds a </think> that closes nothing
        self._results: list[str] = []  # tags of made-up results that are open
        self._tags_said = False  # the text has opening tags, which closing ones may belong to
        self._last = "."  # the last character of the text that was no blank
        self._named = False  # the text has a function's tag, so what follows has a name
        self._quoted = False  # the last text was a <tool_call> that is being quoted
        self._after_call = False  # nothing but blanks since the last call
        # The call being read
        self._tool = Tool("")
        self._call: CallReader | None = None
        self._plain: CallReader | None = None  # the call, where text without "<" is payload at once
        self._json: JsonBody | None = None
        self._bodies: list[str] = []  # JSON of the envelope that is complete
        self._untagged: UntaggedCall | None = None
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
        watched = self._after_call or self._aggressive
        return "text" if idle and self._fences.settled and not watched else ""

    def feed(self, text: str) -> list[Event]:
        """Take the next piece of the message; return what is certain by now."""
        if "<" not in text and not self._high and not "\ud800" <= text[-1:] <= "\udbff":
            if self._plain and text:
                fragment = self._plain.take(text)
                return [ArgumentsDelta(self._calls - 1, fragment)] if fragment else []
            if self._state == self._in_text and not (self._text or self._aggressive):
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

    def interrupt(self) -> list[Event]:
        """Something that is no text follows: what is held is text after all. More text may come."""
        if self._trial:
            self._reject(Refused.REASONING if self._thinking else None)
        events = self.close(None)
        self._eof = False
        return events

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

    # States: outside of calls

    def _in_literal(self) -> bool:
        """Nothing is looked for: no tools, or what follows may be quoted."""
        self._emit_text(self._blanks + self._take(len(self._text)))
        self._blanks = ""
        return False

    def _at_line_start(self) -> bool:
        """The beginning of the message, or at the aggressive level of a line: an untagged call may stand
        here."""
        self._pass(self._take(_end(_BLANKS, self._text)))
        if self._text == "" and not self._over:
            return False
        begins = _LINE_START.match(self._text) is not None
        quoted = self._fences.fenced or self._thinking or self._results or self._last in "[{(,"
        if begins and not quoted and (self._aggressive or not self._calls):
            return self._at_untagged()
        if begins and self._aggressive:
            self._pass(self._take(1))
        return self._go(self._in_text)

    def _at_untagged(self) -> bool:
        """A bracket, a fence or a word that a call without a tag begins with."""
        self._go(self._in_text)
        if tag := self._lines.match(self._text, 0):
            return self._open_bare(tag)
        if not self._over and self._lines.may_begin(self._text, 0):
            return self._go(self._at_line_start) and False
        return self._open_untagged()

    def _in_text(self) -> bool:
        """Text, up to the next tag that may open a call."""
        tag = self._openers.search(self._text, self._over) if "<" in self._text else None
        end = tag.start if tag else len(self._text) if self._over else self._openers.held_from(self._text)
        if self._aggressive and (line := self._line_start(end)) is not None:
            self._pass(self._take(line))
            return self._go(self._at_line_start)
        self._pass(self._take(end))
        if tag is None:
            return False
        return self._at_tag(self._openers.match(self._text, 0) or tag)

    def _at_tag(self, tag: Tag) -> bool:
        if self._fences.fenced:
            return self._quote(tag)
        if self._fences.code_span:
            return self._go(self._in_span) if _is_candidate(tag) or tag.kind in THINK else self._quote(tag)
        match tag.kind:
            case kind if kind in THINK:
                return self._think(tag.kind, self._take(tag.end))
            case "result_open" | "result_close":
                return self._result(tag)
            case "parameter_close" | "call_close" | "wrap_close":
                return self._orphan_closer(tag)
        if self._results:
            return self._refuse(Refused.IN_RESULT, tag.end, wrap=tag.kind == "wrap_open")
        match tag.kind:
            case "wrap_open":
                return self._go(self._in_envelope)
            case "call_open" if tag.dialect is direct_tag.DIALECT:
                return self._at_direct_tag(tag)
            case "call_open":
                self._named = True
                return self._open_bare(tag)
        return self._open_nameless(tag, [])

    def _at_direct_tag(self, tag: Tag) -> bool:
        """A tag named as a tool: text, as long as no parameter of the tool is behind it."""
        opening = read_opening(tag, self._text, self._toolset, self._level)
        assert opening
        if self._fences.at_line_start and not self._thinking:
            kind = self._kind_behind(tag, opening.tool)
            if kind == "more":
                return False
            if kind == "parameter_open":
                return self._open_bare(tag)
        self._pass(self._take(tag.end))
        return True

    def _line_start(self, end: int) -> int | None:
        """Where an untagged call may begin in the text before `end`."""
        for found in _LINE_START.finditer(self._text, 0, end):
            if found[0].startswith("\n") or self._fences.at_line_start:
                return found.end()
        return None

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
        self._thinking = opens or self._reasoning
        self._fences.new_line()
        return self._go(self._at_line_start if self._tolerant and not opens else self._in_text)

    def _result(self, tag: Tag) -> bool:
        """The tags of a tool's result, which only a model can have made up: no calls in it (A38)."""
        raw = self._text[: tag.end]
        name = raw.strip("</> ")
        if tag.kind == "result_open" and self._fences.at_line_start:
            self._results.append(name)
        elif tag.kind == "result_close" and name in self._results:
            del self._results[self._results.index(name) :]
        self._pass(self._take(tag.end))
        return True

    def _orphan_closer(self, tag: Tag) -> bool:
        """A closing tag at the start of a line: dropped if nothing else follows in the message, and the
        text has no opening tag it may belong to."""
        self._named = self._named and tag.kind == "parameter_close"
        foreign = tag.dialect is direct_tag.DIALECT
        if foreign or self._tags_said or self._thinking or not self._fences.at_line_start:
            self._pass(self._take(tag.end))
            return True
        self._try(None, at_end=True)
        return self._go(self._in_after)

    def _quote(self, tag: Tag, end: int = 0) -> bool:
        """A tag that is being quoted, with the text up to `end`."""
        if _is_candidate(tag):
            return self._refuse(Refused.FENCED, end or tag.end, wrap=tag.kind == "wrap_open")
        self._pass(self._take(end or tag.end))
        return True

    def _in_span(self) -> bool:
        """A tag behind an open backtick: quoted if the code span closes before a blank line."""
        tag = self._openers.match(self._text, 0)
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
            self._quote(tag, end.end())
            self._quoted = False
            return True
        self._fences.close_span()
        return True

    # States: an envelope

    def _in_envelope(self) -> bool:
        """<tool_call>, and what it wraps: a call, JSON, nothing, or it was only mentioned."""
        wraps, at = self._envelopes()
        tag = self._envelope.match(self._text, at)
        if tag is None or self._says_no_tool(tag):
            better = self._envelope.match_declared(self._text, at)
            if not (better or self._over) and self._envelope.may_begin_declared(self._text, at):
                return False
            tag = better or tag
        if tag:
            return self._open_in_envelope(tag, wraps)
        if self._tolerant and self._text[at : at + 1] in ("{", "["):
            return self._open_json(at, wraps)
        if not self._over and (at == len(self._text) or self._envelope.may_begin(self._text, at)):
            return False
        return self._refuse(Refused.NO_CALL, wraps[0].end)

    def _envelopes(self) -> tuple[list[Tag], int]:
        """The opening tags the text begins with, and where that which they wrap begins."""
        wraps: list[Tag] = []
        at = 0
        while len(wraps) < WRAPS and (tag := self._openers.match(self._text, at)) and tag.kind == "wrap_open":
            wraps.append(tag)
            at = _end(_GAP, self._text, tag.end)
        return wraps, at

    def _says_no_tool(self, tag: Tag) -> bool:
        """Whether a longer spelling may tell better what this is."""
        if tag.kind == "call_open":
            return self._toolset.find(tag.name, self._tolerant) is None
        return tag.kind in ("parameter_open", "nameless_open")

    def _open_in_envelope(self, tag: Tag, wraps: list[Tag]) -> bool:
        match tag.kind:
            case "wrap_close":
                return self._empty_envelope(tag.end)
            case "call_open":
                return self._open_wrapped(tag, wraps)
            case "wrap_open":
                return self._refuse(Refused.NO_CALL, wraps[0].end)
        return self._open_nameless(tag, wraps)

    def _empty_envelope(self, end: int) -> bool:
        """Drop it right behind a call or alone on its lines; in prose it is being mentioned."""
        rest = _LINE_REST.match(self._text, end)
        if rest and rest[1] in ("", "\r") and not self._over and not self._after_call:
            return False
        alone = self._fences.at_line_start and rest is not None and rest[1] is not None
        if not (self._tolerant and (self._after_call or (alone and not self._reasoning))):
            return self._refuse(Refused.NO_CALL, end)
        self._repair(Repair.EMPTY_ENVELOPE, self._take(end))
        return self._go(self._in_after if self._after_call else self._in_text)

    # Opening a call

    def _open_bare(self, tag: Tag) -> bool:
        """<function=…> without <tool_call>: at the start of a line, declared, and a tag or JSON behind it."""
        opening = read_opening(tag, self._text, self._toolset, self._level)
        if opening is None and (better := self._openers.match_declared(self._text, 0)):
            tag, opening = better, read_opening(better, self._text, self._toolset, self._level)
        if opening is None:
            if not self._over and self._openers.may_begin_declared(self._text, 0):
                return False
            return self._refuse(Refused.UNDECLARED, tag.end)
        if not self._toolset.allows(opening.tool.name):
            return self._refuse(Refused.FORBIDDEN, tag.end)
        if self._thinking:
            return self._refuse(Refused.REASONING, tag.end)
        if not self._fences.at_line_start:
            return self._refuse(Refused.NOT_AT_LINE_START, tag.end)
        return self._open_before(tag, opening)

    def _open_before(self, tag: Tag, opening: Opening) -> bool:
        """Open a bare call if what stands behind its tag may stand there."""
        at = _end(_GAP, self._text, tag.end)
        if at == len(self._text) and not self._over:
            return False
        if self._text[at : at + 1] in ("<", "{"):
            return self._open(tag, opening, [])
        if self._tolerant and "\n" in self._text[tag.end : at] and len(opening.tool.required) == 1:
            self._try(Refused.NO_CALL, at_end=False)
            return self._open(tag, opening, [], certain=False)
        return self._refuse(Refused.NO_CALL, tag.end)

    def _kind_behind(self, tag: Tag, tool: Tool) -> str:
        """The kind of the tag behind one that is named as a tool; "more" if it has not come."""
        inside = self._grammar.body.knowing(Names([tool.name], tool.arguments.declared))
        at = _end(_GAP, self._text, tag.end)
        if found := inside.match(self._text, at):
            return found.kind
        partial = at == len(self._text) or inside.may_begin(self._text, at)
        return "more" if partial and not self._over else "JSON" if self._text[at : at + 1] == "{" else ""

    def _open_wrapped(self, tag: Tag, wraps: list[Tag]) -> bool:
        """<function=…> in an envelope; an undeclared tool is on trial."""
        opening = read_opening(tag, self._text, self._toolset, self._level)
        if opening and not self._toolset.allows(opening.tool.name):
            return self._refuse(Refused.FORBIDDEN, tag.end)
        if opening is None and (self._thinking or not (self._tolerant and self._toolset.any_allowed)):
            return self._refuse(Refused.UNDECLARED, tag.end)
        if self._trial and self._trial.at_end and opening and not self._thinking:
            return self._reject()
        if opening and tag.dialect is direct_tag.DIALECT:
            kind = self._kind_behind(tag, opening.tool)
            if kind not in ("parameter_open", "call_close", "JSON"):
                return kind != "more" and self._refuse(Refused.NO_CALL, wraps[0].end if wraps else tag.end)
        if self._thinking and self._calls and not self._trial:
            return self._refuse(Refused.REASONING, tag.end)
        if opening is None:
            self._try(Refused.UNDECLARED, at_end=True)
            self._repair(Repair.UNDECLARED_NAME, tag.name)
        return self._open(tag, opening or Opening(Tool(tag.name)), wraps)

    def _open_nameless(self, tag: Tag, wraps: list[Tag]) -> bool:
        """Parameters and no function: a call if they fit one tool only, and it is complete."""
        if self._trial:
            return self._reject()
        if self._thinking:
            return self._refuse(Refused.REASONING, tag.end)
        if not (wraps or self._fences.at_line_start):
            return self._refuse(Refused.NOT_AT_LINE_START, tag.end)
        if self._named and not wraps:
            return self._refuse(Refused.UNDECLARED, tag.end)
        self._try(Refused.NAMELESS, at_end=False)
        return self._open(tag, None, wraps)

    def _open(self, tag: Tag, opening: Opening | None, wraps: list[Tag], certain: bool = True) -> bool:
        """Begin a call, whose tag stands in the text."""
        self._named = False
        if self._thinking:
            self._try(Refused.REASONING, at_end=True)
        elif not self._live:
            self._try(Refused.TRUNCATED, at_end=False)
        self._drop_blanks()
        self._wrapped = self._wrapped or bool(wraps)
        self._note_opening(tag, opening, wraps)
        self._tool = opening.tool if opening else Tool("")
        self._call = CallReader(
            self._calls,
            opening,
            self._toolset,
            self._grammar,
            closed=tag.dialect.closed or opening is None,
            certain=certain,
            nesting=not self._ambiguous,
        )
        self._take(tag.start if tag.kind == "parameter_open" else tag.end)
        self._count_call()
        return self._go(self._in_call)

    def _note_opening(self, tag: Tag, opening: Opening | None, wraps: list[Tag]) -> None:
        """What was mended about the tags that open a call."""
        self._orphan = not self._wrapped
        if self._orphan:
            self._repair(Repair.MISSING_TOOL_CALL_OPEN, self._text[: tag.end])
        self._note_tags(wraps, [tag] if opening else [])
        for repair, excerpt in opening.repairs if opening else []:
            self._repair(repair, excerpt)

    def _note_tags(self, wraps: list[Tag], tags: list[Tag]) -> None:
        for wrap in wraps[1:]:
            self._repair(Repair.STRAY_OPENER, self._text[wrap.start : wrap.end])
        for repair in dict.fromkeys(t.dialect.repair for t in (*wraps[:1], *tags) if not t.canonical):
            self._repair(repair, self._text)

    def _count_call(self) -> None:
        if self._calls and not self._parallel:
            self._repair(Repair.PARALLEL_DROPPED, self._tool.name)
        self._calls += 1

    def _drop_blanks(self) -> None:
        """The white space right before a call, and a </think> in it."""
        if self._orphan_think:
            self._repair(Repair.ORPHAN_THINK_CLOSE, self._blanks)
        self._blanks, self._orphan_think = "", False

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
        if call.failed:
            return self._reject()
        if not call.cut:
            return self._behind_call()
        if self._trial:
            return self._reject(Refused.TRUNCATED)
        self.ledger.refuse(Refused.TRUNCATED, self._tool.name)
        return self._go(self._in_literal)

    # States: JSON calls

    def _open_json(self, at: int, wraps: list[Tag]) -> bool:
        if self._thinking and self._calls and not self._trial:
            return self._refuse(Refused.REASONING, at)
        self._try(Refused.INVALID_JSON, at_end=self._thinking)
        self._note_tags(wraps, [])
        self._bodies = []
        self._take(at)
        return self._expect_json()

    def _expect_json(self) -> bool:
        self._json = JsonBody(
            self._grammar.ends_json, lambda text: read_body(text, self._toolset) is not None
        )
        return self._go(self._in_json)

    def _in_json(self) -> bool:
        """JSON in an envelope: its first, or next, object or array."""
        body = self._json
        assert body
        body.feed(self._take(len(self._text)), self._over)
        if not (body.ended or self._over):
            return False
        self._json = None
        self._bodies.append(body.text)
        self._give_back(body.rest)
        if body.ended:
            return self._go(self._behind_json)
        if self._complete and self._read_bodies():
            return True
        self._returns += bool(body.unsure)
        again = body.unsure if self._returns < RETURNS else ""
        return self._reject(None if self._complete else Refused.TRUNCATED, again)

    def _behind_json(self) -> bool:
        """One call, an array of calls, or several calls one after the other."""
        at = _end(_BLANKS, self._text)
        if at == len(self._text) and not self._over:
            return False
        if self._text[at : at + 1] in ("{", "["):
            self._bodies.append(self._take(at))
            return self._expect_json()
        if self._text[at : at + 1] in ("}", "]"):
            return self._at_surplus_brackets()
        return self._read_bodies() or self._reject()

    def _at_surplus_brackets(self) -> bool:
        at = _end(_SURPLUS, self._text)
        closes = self._after.match(self._text, at) is not None
        partial = at == len(self._text) or self._after.may_begin(self._text, at)
        if partial and not (closes or self._over):
            return False
        dropped = self._take(at) if closes or partial else ""
        return self._read_bodies([Repair.STRAY_CLOSER] if dropped else []) or self._reject()

    def _read_bodies(self, more: Iterable[Repair] = ()) -> bool:
        """Emit the calls in the JSON of an envelope; False if it holds none."""
        text = "".join(self._bodies)
        found = read_body(text, self._toolset)
        return found is not None and self._emit_calls(found[0], [*found[1], *more], text)

    def _open_untagged(self) -> bool:
        self._try(Refused.NOT_ALONE, at_end=not self._aggressive)
        self._untagged = UntaggedCall(self._toolset.names, self._aggressive)
        return self._go(self._in_untagged)

    def _in_untagged(self) -> bool:
        """What may be a JSON call with no tag around it."""
        reader = self._untagged
        assert reader
        verdict = reader.feed(self._take(len(self._text)), self._over)
        if verdict is Verdict.MORE:
            return False
        self._untagged = None
        self._give_back(reader.rest)
        if self._trial and reader.fenced:
            self._trial.at_end = True
        if verdict is Verdict.ENDED and (calls := reader.calls):
            return self._emit_calls(calls, [Repair.UNTAGGED_JSON], reader.text)
        return self._reject(silent=not reader.named)

    def _emit_calls(self, calls: list[Call], repairs: list[Repair], text: str) -> bool:
        openings = [self._meant(name, arguments) for name, arguments in calls]
        if any(o and not self._toolset.allows(o.tool.name) for o in openings):
            return self._reject(Refused.FORBIDDEN)
        if None in openings and (self._thinking or not self._toolset.any_allowed):
            return self._reject(Refused.UNDECLARED)
        if None in openings and self._trial:
            self._trial.at_end, self._trial.refused = True, Refused.UNDECLARED
        if self._thinking and self._trial:
            self._trial.refused = Refused.REASONING
        self._drop_blanks()
        for repair in repairs:
            self._repair(repair, text)
        for opening, (name, arguments) in zip(openings, calls, strict=True):
            self._emit_json_call(opening, name, arguments)
        self._wrapped, self._orphan = Repair.UNTAGGED_JSON not in repairs, False
        return self._behind_call()

    def _meant(self, name: str, arguments: dict[str, Any]) -> Opening | None:
        """The tool of a JSON call; None if it is not declared."""
        if name:
            return find_tool(name, self._toolset, self._level)
        tool = self._toolset.infer(arguments)
        return Opening(tool, [(Repair.NAME_INFERRED, tool.name)]) if tool else None

    def _emit_json_call(self, opening: Opening | None, name: str, arguments: dict[str, Any]) -> None:
        for repair, excerpt in opening.repairs if opening else [(Repair.UNDECLARED_NAME, name)]:
            self._repair(repair, excerpt)
        self._tool = opening.tool if opening else Tool(name.strip())
        self._count_call()
        index = self._calls - 1
        text, misfits = write_object(self._tool, arguments, "")
        self._emit_all([CallStart(index, self._tool.name), ArgumentsDelta(index, text)])
        for repair, excerpt in misfits:
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
        tag = self._after.match(self._text, 0)
        if tag is None:
            return self._in_after_no_tag()
        match tag.kind:
            case "wrap_close" if self._wrapped or self._orphan:
                self._wrapped = self._orphan = False
            case "wrap_close" | "call_close" | "parameter_close" | "stray":
                self._repair(Repair.STRAY_CLOSER, self._text[: tag.end])
            case "wrap_open" if self._may_go_on:
                self._miss_wrap_close()
                return self._go(self._in_envelope)
            case "call_open" if self._may_go_on:
                return self._open_wrapped(tag, []) if self._wrapped else self._open_bare(tag)
            case _:
                return self._leave_call()
        self._take(tag.end)
        self._blanks = ""
        return True

    @property
    def _may_go_on(self) -> bool:
        """Whether another call may follow; behind closing tags that closed none, it is read anew."""
        return self._after_call and not self._ambiguous

    def _in_after_no_tag(self) -> bool:
        partial = self._text == "" or self._after.may_begin(self._text, 0)
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

    def _try(self, refused: Refused | None, at_end: bool) -> None:
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

    def _reject(self, refused: Refused | None = None, again: str = "", silent: bool = False) -> bool:
        """What was on trial is text; its end, `again`, is read once more."""
        self._give_back(again)
        trial, self._trial = self._trial, None
        assert trial
        raw = "".join(trial.raw)
        text = raw[: len(raw) - len(self._text) - sum(map(len, self._backlog))]
        self._calls, self._blanks, self._call = trial.calls, trial.blanks, None
        self._wrapped = self._orphan = self._ambiguous = self._after_call = False
        self._orphan_think = "<" in self._blanks
        reason = trial.refused and (refused or trial.refused)
        if reason and not silent:
            self.ledger.refuse(reason, text)
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
        self._tags_said = self._tags_said or ("<" in text and _OPENING.search(text) is not None)
        if solid:
            self._last = text[solid - 1]
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


def _is_candidate(tag: Tag) -> bool:
    """Whether a user may wonder why a tag opens no call; one named as a tool is anybody's."""
    return tag.kind in ("wrap_open", "call_open", "nameless_open") and tag.dialect is not direct_tag.DIALECT


def _end(pattern: re.Pattern[str], text: str, start: int = 0) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start
