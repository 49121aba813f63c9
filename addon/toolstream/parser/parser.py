"""The incremental parser: text in, events out.

There is one method per state. A state looks at the text in the `buffer`, takes what it is sure of and
returns True to go on, or False when it needs more text. Text is held only while it may still become part
of a call. What is held can be read (`pending`), so a caller can give up without loss. Text that is no
call leaves exactly as it came. `context` knows where it stands: in a fence, in inline code, at the start
of a line. It also follows text that has already been sent. The inside of a call is read by `call`, JSON
calls by `json_call` and `bare_json`.

Most calls are certain once their name is complete, and stream from there. Some are certain only later. A
call of an undeclared tool, or one in an unclosed `<think>`, must be complete and the last thing in the
message. Such a call is on *trial*: it is parsed like any other, but its events wait beside the raw text,
and one of the two is emitted. Four more kinds of calls are on trial until they are complete: every call
for a caller that does not stream (`live=False`) and at the strict level, so that a call that turns out to
be truncated or damaged can still become text; a call that the user's rules must see as a whole; and a
call that will be dropped because only one was asked for.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from ..events import COMPLETE, OVER, ArgumentsDelta, CallEnd, CallStart, Event, Text
from ..grammar.dialects import Dialect
from ..grammar.grammar import BASE, LEVELS, TAUGHT, grammar, is_canonical, kept_to
from ..grammar.kinds import THINK, Following, TagKind
from ..grammar.matcher import Tag
from ..grammar.names import Names
from ..grammar.text import BLANK, LINE_REST, WHITESPACE
from ..grammar.text import GAP as _GAP
from ..grammar.text import end_of as _end
from ..limits import CODE_SPAN, HELD, RETURNS, WHITESPACE_RUN, WRAPS
from ..repairs import Ledger, Refused, Repair
from ..schema.arguments import write_call
from ..schema.json_call import Call
from ..schema.rules import Rules
from ..schema.schema import Tool
from ..schema.tool_name import Opening, find_tool, read_opening
from ..schema.toolset import Toolset
from .bare_json import BareJsonCall
from .buffer import Buffer
from .call import CallReader
from .context import Context
from .event_log import EventLog, Trial
from .json_call import JsonEnvelope

_LINE_START = re.compile(r"(?:\A|\n)[ \t]{0,3}(?=[{\[`~C])")  # where an untagged call may begin


class ToolCallParser:
    """Finds the tool calls in the text of one message.

    `tools` and `tool_choice` are the request's. `feed` and `close` return the events that are certain by
    now. `close` takes the finish_reason: an unfinished call is completed only after a natural stop, and
    None is none. `parallel=False` emits only the first call. `live=False` emits only complete calls.
    `reasoning=True` says that the text is what the model thought, as if it stood in a <think> that nothing
    closes. `rules` are the user's own. No text makes `feed` or `close` raise.
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
    ) -> None:
        if recovery not in LEVELS:
            raise ValueError(f"recovery is one of {', '.join(LEVELS)}, not {recovery!r}")
        self.ledger = ledger if ledger is not None else Ledger()
        self._toolset = Toolset.of(tools, tool_choice, rules)
        self._level = recovery
        self._tolerant = recovery != "strict"
        self._aggressive = recovery == "aggressive"
        self._grammar = grammar(recovery)
        names = self._toolset.names
        self._openers = self._grammar.openers.with_names(names)
        self._lines = self._grammar.lines.with_names(names)
        self._envelope = self._grammar.envelope.with_names(names)
        self._after = self._grammar.after.with_names(names)
        self._live = live and self._tolerant
        self._parallel = parallel
        self._reasoning = reasoning
        start = self._at_line_start if self._tolerant else self._in_text
        self._state: Callable[[], bool] = start if self._toolset.tools else self._in_literal
        self._buffer = Buffer()
        self._log = EventLog(self.ledger, parallel)
        self._context = Context(reasoning)
        self._blanks = ""  # looked at: whitespace that is dropped if a call follows directly
        self._orphan_think = False  # it holds a </think> that closes nothing
        self._complete = False  # at the end: the model stopped by itself
        self._at_end = False  # the message is over, though it may be cut
        self._calls = 0
        self._quoted = False  # the last text was a <tool_call> that is being quoted
        self._after_call = False  # nothing but whitespace since the last call
        self._returns = 0  # times that JSON without an end was read again
        # The call being read
        self._tool = Tool("")
        self._call: CallReader | None = None
        self._plain: CallReader | None = None  # the call, where text without "<" is payload at once
        self._json: JsonEnvelope | BareJsonCall | None = None
        self._wrapped = False  # inside <tool_call>
        self._kept: Sequence[Dialect] = BASE  # the dialects whose tags are no repair
        self._orphan = False  # a </tool_call> may come although there was no <tool_call>
        self._ambiguous = False  # the rest may be a value's payload: no more calls

    @property
    def pending(self) -> str:
        """Text received that no event stands for yet."""
        if trial := self._log.trial:
            return trial.blanks + "".join(trial.raw) + self._buffer.waiting + self._buffer.high
        call = self._call.pending if self._call else ""
        return self._blanks + call + self._buffer.pending + self._buffer.high

    @property
    def held(self) -> int:
        """How many characters that is."""
        buffer = self._buffer
        if trial := self._log.trial:
            return len(trial.blanks) + trial.size + buffer.size - buffer.seen + len(buffer.high)
        call = len(self._call.pending) if self._call else 0
        return len(self._blanks) + call + buffer.size + len(buffer.high)

    def feed(self, text: str) -> list[Event]:
        """Take the next piece of the message; return what is certain by now."""
        if "<" not in text and not self._buffer.high and not "\ud800" <= text[-1:] <= "\udbff":
            if self._plain and text:
                fragment = self._plain.take(text)
                return [ArgumentsDelta(self._calls - 1, fragment)] if fragment else []
            if self._state == self._in_text and not (self._buffer.text or self._aggressive):
                if not (self._blanks or self._context.in_comment) and text[-1:] not in BLANK:
                    self._context.feed(text)
                    self._context.last = text[-1]
                    self._after_call = self._quoted = False
                    return [Text(text)]
                self._pass(text)
                return self._log.take()
        self._plain = None
        self._run(self._buffer.receive(text))
        return self._log.take()

    def close(self, finish_reason: str | None = None) -> list[Event]:
        """The message is over; return the rest. Afterwards nothing is pending."""
        self._complete = isinstance(finish_reason, str) and finish_reason in COMPLETE
        self._at_end = self._complete or finish_reason == OVER
        self._plain = None
        self._buffer.end()
        self._run("")
        self._log.text(self._blanks)
        self._blanks = ""
        return self._log.take()

    def interrupt(self) -> list[Event]:
        """Something that is no text follows: a call that is complete is one, else what is held is text after
        all. More text may come."""
        if (trial := self._log.trial) and (trial.at_end or self._context.thinking):
            self._reject(Refused.REASONING if self._context.thinking else None)
        events = self.close(None)
        self._buffer.end(eof=False)
        return events

    def _run(self, text: str) -> None:
        """Let the states look at what has come, `text` of it in the buffer."""
        new: str | None = text
        while new is not None:
            if trial := self._log.trial:
                trial.raw.append(new)
                trial.size += len(new)
            while self._state() or self._is_too_large():
                pass
            new = self._buffer.refill()

    def _is_too_large(self) -> bool:
        """Whether too much was held for a candidate, which is text now."""
        trial = self._log.trial
        return trial is not None and trial.size > HELD and self._reject(Refused.LIMIT)

    # States: outside of calls

    def _in_literal(self) -> bool:
        """Nothing is looked for: no tools, or what follows may be quoted."""
        self._log.text(self._blanks + self._buffer.take(len(self._buffer.text)))
        self._blanks = ""
        return False

    def _at_line_start(self) -> bool:
        """The beginning of the message, or at the aggressive level of a line: an untagged call may stand
        here."""
        self._pass(self._buffer.take(_end(WHITESPACE, self._buffer.text)))
        if self._buffer.text == "" and not self._buffer.over:
            return False
        begins = self._context.at_line_start and _LINE_START.match(self._buffer.text) is not None
        if begins and self._context.may_open_json and (self._aggressive or not self._calls):
            return self._at_untagged()
        if begins and self._aggressive:
            self._pass(self._buffer.take(1))
        return self._go(self._in_text)

    def _at_untagged(self) -> bool:
        """A bracket, a fence or a word that a call without a tag begins with."""
        self._go(self._in_text)
        if tag := self._lines.match(self._buffer.text, 0):
            return self._open_bare(tag)
        if not self._buffer.over and self._lines.may_begin(self._buffer.text, 0):
            return self._go(self._at_line_start) and False
        return self._open_untagged()

    def _in_text(self) -> bool:
        """Text, up to the next tag that may open a call."""
        text, over = self._buffer.text, self._buffer.over
        tag = self._openers.search(text, over) if "<" in text else None
        end = tag.start if tag else len(text) if over else self._openers.hold_from(text)
        if self._aggressive and (line := self._line_start(end)) is not None:
            self._pass(self._buffer.take(line))
            return self._go(self._at_line_start)
        self._pass(self._buffer.take(end))
        if tag is None:
            return False
        return self._at_tag(self._openers.match(self._buffer.text, 0) or tag)

    def _at_tag(self, tag: Tag) -> bool:
        if self._context.quoted:
            return self._quote(tag)
        if self._context.code_span:
            return self._go(self._in_span) if _is_candidate(tag) or tag.kind in THINK else self._quote(tag)
        match tag.kind:
            case kind if kind in THINK:
                return self._think(tag)
            case TagKind.COMMENT_OPEN:
                return self._comment(tag)
            case TagKind.RESULT_OPEN | TagKind.RESULT_CLOSE:
                return self._result(tag)
            case TagKind.PARAMETER_CLOSE | TagKind.CALL_CLOSE | TagKind.WRAP_CLOSE:
                return self._orphan_closer(tag)
        if self._context.in_result:
            return self._refuse(Refused.IN_RESULT, tag.end, wrap=tag.kind is TagKind.WRAP_OPEN)
        match tag.kind:
            case TagKind.WRAP_OPEN:
                return self._go(self._in_envelope)
            case TagKind.CALL_OPEN if tag.dialect.by_name:
                return self._at_direct_tag(tag)
            case TagKind.CALL_OPEN:
                return self._open_bare(tag)
        return self._open_nameless(tag, [])

    def _at_direct_tag(self, tag: Tag) -> bool:
        """A tag named as a tool: text, unless a parameter of the tool follows it."""
        opening = read_opening(tag, self._buffer.text, self._toolset, self._level)
        assert opening
        if self._context.at_line_start and not (self._context.thinking or self._context.in_markup):
            kind = self._kind_after(tag, opening.tool)
            if kind is Following.MORE:
                return False
            if kind is TagKind.PARAMETER_OPEN:
                return self._open_bare(tag)
        self._pass(self._buffer.take(tag.end))
        return True

    def _line_start(self, end: int) -> int | None:
        """Where an untagged call may begin in the text before `end`."""
        for found in _LINE_START.finditer(self._buffer.text, 0, end):
            if found[0].startswith("\n") or self._context.at_line_start:
                return found.end()
        return None

    def _think(self, tag: Tag) -> bool:
        """<think> or </think>: text, and a call may stand directly after it. A </think> that closes
        nothing waits, for right before a call it is dropped."""
        text = self._buffer.take(tag.end)
        if self._context.think(tag.kind):
            self._context.feed(text)
            self._blanks += text
            self._orphan_think = True
        else:
            self._pass(text)
        self._context.new_line()
        if tag.kind is TagKind.THINK_CLOSE and self._tolerant:
            return self._go(self._at_line_start)
        return True

    def _comment(self, tag: Tag) -> bool:
        begins = self._context.at_line_start
        self._pass(self._buffer.take(tag.end))
        if begins:
            self._context.enter_comment()
        return True

    def _result(self, tag: Tag) -> bool:
        text = self._buffer.take(tag.end)
        self._context.enter_or_leave_result(tag, text)
        self._pass(text)
        self._context.last = "."
        return True

    def _orphan_closer(self, tag: Tag) -> bool:
        """A closing tag at the start of a line: dropped if nothing else follows in the message, and the
        text has no opening tag it may belong to."""
        self._context.function_said = self._context.function_said and tag.kind is TagKind.PARAMETER_CLOSE
        closes_nothing = self._context.at_line_start and not (
            self._context.tags_said or self._context.thinking
        )
        if tag.dialect.by_name or not closes_nothing:
            self._pass(self._buffer.take(tag.end))
            return True
        self._try(None, at_end=True)
        return self._go(self._in_after)

    def _quote(self, tag: Tag, end: int = 0) -> bool:
        """A tag that is being quoted, with the text up to `end`."""
        if _is_candidate(tag):
            return self._refuse(Refused.FENCED, end or tag.end, wrap=tag.kind is TagKind.WRAP_OPEN)
        self._pass(self._buffer.take(end or tag.end))
        return True

    def _in_span(self) -> bool:
        """A tag after an open backtick: quoted if the code span closes before a blank line."""
        tag = self._openers.match(self._buffer.text, 0)
        run = self._context.code_span
        end = re.compile(rf"(?<!`)`{{{run}}}(?!`)|\n[ \t]*\r?\n").search(self._buffer.text)
        closed = end is not None and end[0][0] == "`"
        if (
            not self._buffer.over
            and (end is None or (closed and end.end() == len(self._buffer.text)))
            and len(self._buffer.text) < CODE_SPAN
        ):
            return False
        self._go(self._in_text)
        if tag and end is not None and closed:
            self._quote(tag, end.end())
            self._quoted = False
            return True
        self._context.close_span()
        return True

    # States: an envelope

    def _in_envelope(self) -> bool:
        """<tool_call>, and what it wraps: a call, JSON, nothing, or it was only mentioned."""
        text, over = self._buffer.text, self._buffer.over
        wraps, at = self._envelopes()
        tag = self._envelope.match(text, at)
        if tag is None or self._says_no_tool(tag):
            better = self._envelope.match_declared(text, at)
            if not (better or over) and self._envelope.may_begin_declared(text, at):
                return False
            tag = better or tag
        if tag:
            return self._open_in_envelope(tag, wraps)
        if self._tolerant and text[at : at + 1] in ("{", "["):
            return self._open_json(at, wraps)
        if not over and (at == len(text) or self._envelope.may_begin(text, at)):
            return False
        return self._refuse(Refused.NO_CALL, wraps[0].end)

    def _envelopes(self) -> tuple[list[Tag], int]:
        """The opening tags the text begins with, and where that which they wrap begins."""
        text, at = self._buffer.text, 0
        wraps: list[Tag] = []
        while len(wraps) < WRAPS and (tag := self._openers.match(text, at)) and tag.kind is TagKind.WRAP_OPEN:
            wraps.append(tag)
            at = _end(_GAP, text, tag.end)
        return wraps, at

    def _says_no_tool(self, tag: Tag) -> bool:
        """Whether a longer spelling may tell better what this is."""
        if tag.kind is TagKind.CALL_OPEN:
            return self._toolset.find(tag.name, self._tolerant) is None
        return tag.kind in (TagKind.PARAMETER_OPEN, TagKind.NAMELESS_OPEN)

    def _open_in_envelope(self, tag: Tag, wraps: list[Tag]) -> bool:
        match tag.kind:
            case TagKind.WRAP_CLOSE:
                return self._empty_envelope(tag.end)
            case TagKind.CALL_OPEN:
                return self._open_wrapped(tag, wraps)
            case TagKind.WRAP_OPEN:
                return self._refuse(Refused.NO_CALL, wraps[0].end)
        return self._open_nameless(tag, wraps)

    def _empty_envelope(self, end: int) -> bool:
        """Drop it directly after a call or alone on its lines; in prose it is being mentioned."""
        rest = LINE_REST.match(self._buffer.text, end)
        if rest and rest[1] in ("", "\r") and not self._buffer.over and not self._after_call:
            return False
        alone = self._context.at_line_start and rest is not None and rest[1] is not None
        if not (self._tolerant and (self._after_call or (alone and not self._reasoning))):
            return self._refuse(Refused.NO_CALL, end)
        self._log.repair(Repair.EMPTY_ENVELOPE, self._buffer.take(end))
        return self._go(self._in_after if self._after_call else self._in_text)

    # Opening a call

    def _open_bare(self, tag: Tag) -> bool:
        """<function=…> without <tool_call>: at the start of a line, declared, and a tag or JSON after it."""
        self._context.function_said = True
        opening = read_opening(tag, self._buffer.text, self._toolset, self._level)
        if opening is None and (better := self._openers.match_declared(self._buffer.text, 0)):
            tag, opening = better, read_opening(better, self._buffer.text, self._toolset, self._level)
        if opening is None:
            if not self._buffer.over and self._openers.may_begin_declared(self._buffer.text, 0):
                return False
            return self._refuse(Refused.UNDECLARED, tag.end)
        if not self._toolset.allows(opening.tool.name):
            return self._refuse(Refused.FORBIDDEN, tag.end)
        if self._context.thinking:
            return self._refuse(Refused.REASONING, tag.end)
        if not self._context.at_line_start:
            return self._refuse(Refused.NOT_AT_LINE_START, tag.end)
        if self._context.in_markup and tag.dialect.common:
            return self._refuse(Refused.IN_MARKUP, tag.end)
        if self._log.trial and self._log.trial.at_end:
            return self._reject()
        return self._open_before(tag, opening)

    def _open_before(self, tag: Tag, opening: Opening) -> bool:
        """Open a bare call if what stands after its tag may stand there."""
        at = _end(_GAP, self._buffer.text, tag.end)
        if at == len(self._buffer.text) and not self._buffer.over:
            return False
        if self._buffer.text[at : at + 1] in ("<", "{"):
            return self._open(tag, opening, [])
        if self._tolerant and "\n" in self._buffer.text[tag.end : at] and len(opening.tool.required) == 1:
            self._try(Refused.NO_CALL, at_end=False)
            return self._open(tag, opening, [], certain=False)
        return self._refuse(Refused.NO_CALL, tag.end)

    def _kind_after(self, tag: Tag, tool: Tool) -> TagKind | Following:
        """What follows a tag that is named as a tool."""
        inside = self._grammar.body.with_names(Names([tool.name], tool.arguments.declared))
        text = self._buffer.text
        at = _end(_GAP, text, tag.end)
        if found := inside.match(text, at):
            return found.kind
        if not self._buffer.over and (at == len(text) or inside.may_begin(text, at)):
            return Following.MORE
        return Following.JSON if text[at : at + 1] == "{" else Following.OTHER

    def _open_wrapped(self, tag: Tag, wraps: list[Tag]) -> bool:
        """<function=…> in an envelope; an undeclared tool is on trial."""
        opening = read_opening(tag, self._buffer.text, self._toolset, self._level)
        if opening and not self._toolset.allows(opening.tool.name):
            return self._refuse(Refused.FORBIDDEN, tag.end)
        if opening is None and (self._context.thinking or not (self._tolerant and self._toolset.any_allowed)):
            return self._refuse(Refused.UNDECLARED, tag.end)
        if self._log.trial and self._log.trial.at_end and opening and not self._context.thinking:
            return self._reject()
        if opening and tag.dialect.by_name:
            kind = self._kind_after(tag, opening.tool)
            if kind not in (TagKind.PARAMETER_OPEN, TagKind.CALL_CLOSE, Following.JSON):
                if kind is Following.MORE:
                    return False
                return self._refuse(Refused.NO_CALL, wraps[0].end if wraps else tag.end)
        if self._context.thinking and self._calls and not self._log.trial:
            return self._refuse(Refused.REASONING, tag.end)
        if opening is None:
            self._try(Refused.UNDECLARED, at_end=True)
            self._log.repair(Repair.UNDECLARED_NAME, tag.name)
        return self._open(tag, opening or Opening(Tool(tag.name)), wraps)

    def _open_nameless(self, tag: Tag, wraps: list[Tag]) -> bool:
        """Parameters and no function: a call if they fit one tool only, and it is complete."""
        if self._log.trial:
            return self._reject()
        if self._context.thinking:
            return self._refuse(Refused.REASONING, tag.end)
        if not (wraps or self._context.at_line_start):
            return self._refuse(Refused.NOT_AT_LINE_START, tag.end)
        if self._context.function_said and not wraps:
            return self._refuse(Refused.UNDECLARED, tag.end)
        self._try(Refused.NAMELESS, at_end=False)
        return self._open(tag, None, wraps)

    def _open(self, tag: Tag, opening: Opening | None, wraps: list[Tag], certain: bool = True) -> bool:
        """Begin a call, whose tag stands in the text."""
        if self._context.thinking:
            self._try(Refused.REASONING, at_end=True)
        elif not self._live or self._is_dropped or (opening and self._is_deferred(opening.tool)):
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
            kept=self._kept,
            certain=certain,
            nesting=not self._ambiguous,
        )
        self._buffer.take(tag.start if tag.kind is TagKind.PARAMETER_OPEN else tag.end)
        self._count_call()
        return self._go(self._in_call)

    def _is_deferred(self, tool: Tool) -> bool:
        """Whether only the whole call tells which tool it is of."""
        rules = self._toolset.rules_for(tool)
        return rules is not None and not rules.live

    def _note_opening(self, tag: Tag, opening: Opening | None, wraps: list[Tag]) -> None:
        """What was mended about the tags that open a call."""
        self._orphan = not self._wrapped
        if self._orphan:
            self._log.repair(Repair.MISSING_TOOL_CALL_OPEN, self._buffer.text[: tag.end])
        self._note_tags(wraps, tag if opening else None)
        for repair, excerpt in opening.repairs if opening else []:
            self._log.repair(repair, excerpt)

    def _note_tags(self, wraps: list[Tag], tag: Tag | None) -> None:
        for wrap in wraps[1:]:
            self._log.repair(Repair.STRAY_OPENER, wrap.raw)
        tags = [*wraps[:1], tag] if tag else wraps[:1]
        self._kept = kept_to(tags, self._may_keep_to(wraps, tag))
        foreign = (t for t in tags if not any(is_canonical(t, dialect) for dialect in self._kept))
        for repair in dict.fromkeys(t.dialect.repair for t in foreign):
            self._log.repair(repair, self._buffer.text)

    def _may_keep_to(self, wraps: list[Tag], tag: Tag | None) -> Sequence[Dialect]:
        """The dialects that a call may keep to: any in an envelope of its own, the same as the call before
        it in one that goes on; and without one, that of its tag."""
        if wraps:
            return TAUGHT
        if self._wrapped:
            return self._kept
        return [tag.dialect] if tag and tag.dialect.taught else BASE

    @property
    def _is_dropped(self) -> bool:
        """Whether only one call is asked for, and the next one is another."""
        return self._calls > 0 and not self._parallel

    def _count_call(self) -> None:
        if self._is_dropped:
            self._log.repair(Repair.PARALLEL_DROPPED, self._tool.name)
        self._calls += 1

    def _drop_blanks(self) -> None:
        """The whitespace right before a call, and a </think> in it."""
        if self._orphan_think:
            self._log.repair(Repair.ORPHAN_THINK_CLOSE, self._blanks)
        self._blanks, self._orphan_think = "", False

    # State: inside a call

    def _in_call(self) -> bool:
        """Inside a call; `call` says where it ends."""
        call = self._call
        assert call
        self._log.emit_all(call.feed(self._buffer.take(len(self._buffer.text))))
        if self._buffer.over and not (call.ended or call.rest):
            self._log.emit_all(call.close(self._complete))
        if call.rest or call.ended:
            rest, call.rest = call.rest, ""
            self._buffer.give_back(rest)
            return self._close_call(call) if call.ended else True
        if call.plain and self._log.trial is None and (self._parallel or self._calls == 1):
            self._plain = call
        return False

    def _close_call(self, call: CallReader) -> bool:
        self._call, self._ambiguous = None, call.ambiguous
        if call.failed:
            return self._reject()
        if not call.cut:
            return self._behind_call()
        why = Refused.UNCLEAR_END if call.unclear else Refused.TRUNCATED
        if self._log.trial:
            return self._reject(why)
        self.ledger.refuse(why, self._tool.name)
        return self._go(self._in_literal)

    # State: in JSON

    def _open_json(self, at: int, wraps: list[Tag]) -> bool:
        if self._context.thinking and self._calls and not self._log.trial:
            return self._refuse(Refused.REASONING, at)
        if trial := self._log.trial:
            trial.json_at = trial.size - self._buffer.seen
        self._try(Refused.INVALID_JSON, at_end=self._context.thinking)
        self._note_tags(wraps, None)
        self._buffer.take(at)
        self._json = JsonEnvelope(self._grammar, self._toolset)
        return self._go(self._in_json)

    def _open_untagged(self) -> bool:
        self._try(Refused.NOT_ALONE, at_end=not self._aggressive)
        self._json = BareJsonCall(self._toolset.names, self._aggressive)
        return self._go(self._in_json)

    def _in_json(self) -> bool:
        """Inside of JSON calls; `json` says where they end, and what they are."""
        json = self._json
        assert json
        json.feed(self._buffer.take(len(self._buffer.text)), self._buffer.over)
        if not json.ended:
            return False
        self._json = None
        self._buffer.give_back(json.rest)
        if self._log.trial and json.fenced:
            self._log.trial.at_end = True
        cut = json.cut and not self._complete
        if json.calls and not cut:
            return self._emit_calls(json.calls, json.repairs, json.text)
        self._returns += bool(json.unsure)
        again = json.unsure if self._returns < RETURNS else ""
        return self._reject(Refused.TRUNCATED if cut else None, again, silent=not json.named)

    def _emit_calls(self, calls: list[Call], repairs: Sequence[Repair], text: str) -> bool:
        openings = [self._meant(name, arguments) for name, arguments in calls]
        if any(o and not self._toolset.allows(o.tool.name) for o in openings):
            return self._reject(Refused.FORBIDDEN)
        if any(o is None and not name.strip() for o, (name, _) in zip(openings, calls, strict=True)):
            return self._reject(Refused.NAMELESS)
        if None in openings and (self._context.thinking or not self._toolset.any_allowed):
            return self._reject(Refused.UNDECLARED)
        trial = self._log.trial
        if trial and trial.json_at and trial.refused is Refused.UNDECLARED and None not in openings:
            raw = "".join(trial.raw)
            return self._reject(again=raw[trial.json_at : len(raw) - self._buffer.seen])
        if None in openings and trial:
            trial.at_end, trial.refused = True, Refused.UNDECLARED
        if self._context.thinking and trial:
            trial.refused = Refused.REASONING
        self._drop_blanks()
        for repair in repairs:
            self._log.repair(repair, text)
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
            self._log.repair(repair, excerpt)
        self._tool = opening.tool if opening else Tool(name.strip())
        self._count_call()
        index = self._calls - 1
        called, text, repairs = write_call(self._tool, arguments, self._toolset)
        self._log.emit_all([CallStart(index, called), ArgumentsDelta(index, text)])
        for repair, excerpt in repairs:
            self._log.repair(repair, excerpt)
        self._log.emit(CallEnd(index))

    # State: after a call

    def _behind_call(self) -> bool:
        """A call is complete."""
        self._context.function_said = False
        self._context.new_line()
        self._after_call = True
        self._go(self._in_after)
        if self._log.trial and not self._log.trial.at_end:
            if not self._tolerant and self._log.trial.mended:
                return self._reject(Refused.TRUNCATED)
            return self._accept()
        return True

    def _in_after(self) -> bool:
        """Behind a call: closing tags, the next call, or text."""
        blanks = self._buffer.take(_end(WHITESPACE, self._buffer.text))
        self._context.feed(blanks)
        self._blanks += blanks
        if self._buffer.text == "" and self._buffer.over:
            return self._end_behind_call()
        if len(self._blanks) > WHITESPACE_RUN:
            return self._leave_call()
        tag = self._after.match(self._buffer.text, 0)
        if tag is None:
            return self._in_after_no_tag()
        match tag.kind:
            case TagKind.WRAP_CLOSE if self._wrapped or self._orphan:
                if tag.dialect.damaged:
                    self._log.repair(Repair.DAMAGED_TAG, self._buffer.text[: tag.end])
                self._wrapped = self._orphan = False
            case TagKind.WRAP_CLOSE | TagKind.CALL_CLOSE | TagKind.PARAMETER_CLOSE | TagKind.STRAY:
                self._log.repair(Repair.STRAY_CLOSER, self._buffer.text[: tag.end])
            case TagKind.WRAP_OPEN if self._may_go_on:
                self._miss_wrap_close()
                return self._go(self._in_envelope)
            case TagKind.CALL_OPEN if self._may_go_on:
                return self._open_wrapped(tag, []) if self._wrapped else self._open_bare(tag)
            case _:
                return self._leave_call()
        self._buffer.take(tag.end)
        self._blanks = ""
        self._context.new_line()
        return True

    @property
    def _may_go_on(self) -> bool:
        """Whether another call may follow; after closing tags that closed none, it is read again."""
        return self._after_call and not self._ambiguous

    def _in_after_no_tag(self) -> bool:
        partial = self._buffer.text == "" or self._after.may_begin(self._buffer.text, 0)
        if partial and not self._buffer.over:
            return False
        if partial and self._buffer.text.startswith("</"):
            self._log.repair(Repair.STRAY_CLOSER, self._buffer.take(len(self._buffer.text)))
            return True
        return self._leave_call()

    def _leave_call(self) -> bool:
        """Text follows the call."""
        if self._log.trial:
            return self._reject()
        self._miss_wrap_close()
        self._orphan = False
        return self._go(self._in_literal if self._ambiguous else self._in_text)

    def _end_behind_call(self) -> bool:
        self._miss_wrap_close()
        self._blanks = ""
        if self._log.trial is None:
            return False
        if self._at_end and not self._log.trial.damaged:
            return self._accept()
        return self._reject(Refused.TRUNCATED)

    def _miss_wrap_close(self) -> None:
        if self._wrapped:
            self._log.repair(Repair.MISSING_TOOL_CALL_CLOSE, self._buffer.text)
            self._wrapped = False

    # Trials

    def _try(self, refused: Refused | None, at_end: bool) -> None:
        """From here on, whitespace included, it is decided later whether this is a call."""
        if self._log.trial is None:
            raw = self._buffer.watch()
            self._log.trial = Trial(at_end, refused, self._blanks, self._calls, [raw], len(raw))

    def _accept(self) -> bool:
        """What was on trial is a call."""
        self._log.accept()
        return True

    def _reject(self, refused: Refused | None = None, again: str = "", silent: bool = False) -> bool:
        """What was on trial is text; its end, `again`, is read once more."""
        self._buffer.give_back(again)
        trial = self._log.trial
        assert trial
        raw = "".join(trial.raw)
        text = raw[: len(raw) - self._buffer.seen]
        trial.refused = None if silent else trial.refused
        self._log.reject(refused, text)
        self._calls, self._blanks, self._call = trial.calls, trial.blanks, None
        self._wrapped = self._orphan = self._ambiguous = self._after_call = False
        self._orphan_think = "<" in self._blanks
        self._pass(text)
        return self._go(self._in_text)

    # Giving out

    def _go(self, state: Callable[[], bool]) -> bool:
        self._state = state
        return True

    def _pass(self, text: str) -> None:
        """Text that is no part of a call; whitespace at its end waits for what follows."""
        solid = len(text.rstrip(BLANK))
        if solid:
            self._after_call = self._orphan_think = self._quoted = False
            solid += len(self._blanks)
        waiting = self._blanks + text
        solid = max(solid, len(waiting) - WHITESPACE_RUN)
        self._log.text(waiting[:solid])
        self._blanks = waiting[solid:]
        self._context.feed(text)
        self._context.note(text)

    def _refuse(self, reason: Refused, end: int, wrap: bool = False) -> bool:
        """A candidate that is text up to `end`; `wrap`: only its <tool_call>."""
        if self._log.trial:
            return self._reject()
        self._miss_wrap_close()
        if not self._quoted:
            self.ledger.refuse(reason, self._buffer.text[:end])
        self._pass(self._buffer.take(end))
        self._quoted = wrap
        return self._go(self._in_text)


def _is_candidate(tag: Tag) -> bool:
    """Whether a user may wonder why a tag opens no call; one named as a tool is anybody's."""
    return (
        tag.kind in (TagKind.WRAP_OPEN, TagKind.CALL_OPEN, TagKind.NAMELESS_OPEN) and not tag.dialect.by_name
    )
