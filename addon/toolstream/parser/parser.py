"""The incremental parser: text in, events out.

One method per state. A state looks at the text in the `inbox`, takes what it is sure of and
returns True to go on, or False when it needs more text. Nothing is held that cannot become
part of a call any more, and what is held can be read (`pending`), so that a caller can give
up without loss. Text that is no call leaves exactly as it came; where it stands (in a fence,
in inline code, at the start of a line) is known by `surroundings`, also of text already sent.
What is inside of a call is read by `call`, and JSON calls by `hermes` and `untagged`.

Most calls are certain once their name is complete, and stream from there. Some are certain
only later: a call of an undeclared tool (P2), or one in an unclosed `<think>` (P10), must be
complete and the last thing in the message. Such a call is on *trial*: it is parsed as any
other, but its events wait beside the raw text, and one of the two goes out. A caller that
does not stream (`live=False`), and the strict level, put every call on trial until its end,
so that one that turns out truncated or damaged is text after all; and so is a call put that rules
must see the whole of, and one that is dropped if it is one (P16).
"""

import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from ..events import COMPLETE, ArgumentsDelta, CallEnd, CallStart, Event, Text
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
from .bare_json import UntaggedCall
from .buffer import Inbox
from .call import CallReader
from .context import Surroundings
from .event_log import Outbox, Trial
from .json_call import JsonEnvelope

_LINE_START = re.compile(r"(?:\A|\n)[ \t]{0,3}(?=[{\[`~C])")  # where an untagged call may begin


class AtRest(StrEnum):
    """A state in which some input changes nothing in the parser."""

    TEXT = "text"  # input without `<` is text and can be fed later; only whitespace at its end may wait
    VALUE = "value"  # letters are payload of an open string


class ToolCallParser:
    """Finds the tool calls in the text of one message.

    `tools` and `tool_choice` are the request's. `feed` and `close` return the events that are
    certain by now; `close` takes the finish_reason: after anything but a natural stop (None
    included) an unfinished call is not completed. `parallel=False` emits the first call only
    (P16); `live=False` emits complete calls only; `reasoning=True` says that the text is what the
    model thought, as if it stood in a <think> that nothing closes; `rules` are the user's own. No
    text makes `feed` or `close` raise.
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
        self._inbox = Inbox()
        self._outbox = Outbox(self.ledger, parallel)
        self._around = Surroundings(reasoning)
        self._blanks = ""  # looked at: blanks that a call right behind them drops
        self._orphan_think = False  # they hold a </think> that closes nothing
        self._complete = False  # at the end: the model stopped by itself
        self._calls = 0
        self._quoted = False  # the last text was a <tool_call> that is being quoted
        self._after_call = False  # nothing but blanks since the last call
        self._returns = 0  # times that JSON without an end was read again
        # The call being read
        self._tool = Tool("")
        self._call: CallReader | None = None
        self._plain: CallReader | None = None  # the call, where text without "<" is payload at once
        self._json: JsonEnvelope | UntaggedCall | None = None
        self._wrapped = False  # inside <tool_call>
        self._kept: Sequence[Dialect] = BASE  # the dialects whose tags are no repair
        self._orphan = False  # a </tool_call> may come although there was no <tool_call>
        self._ambiguous = False  # the rest may be a value's payload: no more calls

    @property
    def pending(self) -> str:
        """Text received that no event stands for yet."""
        if trial := self._outbox.trial:
            return trial.blanks + "".join(trial.raw) + self._inbox.waiting + self._inbox.high
        call = self._call.pending if self._call else ""
        return self._blanks + call + self._inbox.pending + self._inbox.high

    @property
    def calls(self) -> int:
        """How many calls have begun."""
        return self._calls

    @property
    def at_rest(self) -> AtRest | None:
        """Which input could skip the parser for now."""
        if self._plain:
            return AtRest.VALUE if self._plain.settled else None
        idle = self._state == self._in_text and not (self._inbox.text or self._blanks or self._inbox.high)
        return AtRest.TEXT if idle and not (self._after_call or self._aggressive) else None

    def feed(self, text: str) -> list[Event]:
        """Take the next piece of the message; return what is certain by now."""
        if "<" not in text and not self._inbox.high and not "\ud800" <= text[-1:] <= "\udbff":
            if self._plain and text:
                fragment = self._plain.take(text)
                return [ArgumentsDelta(self._calls - 1, fragment)] if fragment else []
            if self._state == self._in_text and not (self._inbox.text or self._aggressive):
                if not (self._blanks or self._around.in_comment) and text[-1:] not in BLANK:
                    self._around.feed(text)
                    self._around.last = text[-1]
                    self._after_call = self._quoted = False
                    return [Text(text)]
                self._pass(text)
                return self._outbox.take()
        self._plain = None
        self._run(self._inbox.receive(text))
        return self._outbox.take()

    def close(self, finish_reason: str | None = None) -> list[Event]:
        """The message is over; return the rest. Afterwards nothing is pending."""
        self._complete = isinstance(finish_reason, str) and finish_reason in COMPLETE
        self._plain = None
        self._inbox.end()
        self._run("")
        self._outbox.text(self._blanks)
        self._blanks = ""
        return self._outbox.take()

    def interrupt(self) -> list[Event]:
        """Something that is no text follows: what is held is text after all. More text may come."""
        if self._outbox.trial:
            self._reject(Refused.REASONING if self._around.thinking else None)
        events = self.close(None)
        self._inbox.end(eof=False)
        return events

    def _run(self, text: str) -> None:
        """Let the states look at what has come, `text` of it in the inbox."""
        new: str | None = text
        while new is not None:
            if trial := self._outbox.trial:
                trial.raw.append(new)
                trial.size += len(new)
            while self._state() or self._is_too_large():
                pass
            new = self._inbox.refill()

    def _is_too_large(self) -> bool:
        """Whether too much was held for a candidate (P19), which is text now."""
        trial = self._outbox.trial
        return trial is not None and trial.size > HELD and self._reject(Refused.LIMIT)

    # States: outside of calls

    def _in_literal(self) -> bool:
        """Nothing is looked for: no tools, or what follows may be quoted."""
        self._outbox.text(self._blanks + self._inbox.take(len(self._inbox.text)))
        self._blanks = ""
        return False

    def _at_line_start(self) -> bool:
        """The beginning of the message, or at the aggressive level of a line: an untagged call may stand
        here."""
        self._pass(self._inbox.take(_end(WHITESPACE, self._inbox.text)))
        if self._inbox.text == "" and not self._inbox.over:
            return False
        begins = self._around.at_line_start and _LINE_START.match(self._inbox.text) is not None
        if begins and self._around.may_open_json and (self._aggressive or not self._calls):
            return self._at_untagged()
        if begins and self._aggressive:
            self._pass(self._inbox.take(1))
        return self._go(self._in_text)

    def _at_untagged(self) -> bool:
        """A bracket, a fence or a word that a call without a tag begins with."""
        self._go(self._in_text)
        if tag := self._lines.match(self._inbox.text, 0):
            return self._open_bare(tag)
        if not self._inbox.over and self._lines.may_begin(self._inbox.text, 0):
            return self._go(self._at_line_start) and False
        return self._open_untagged()

    def _in_text(self) -> bool:
        """Text, up to the next tag that may open a call."""
        text, over = self._inbox.text, self._inbox.over
        tag = self._openers.search(text, over) if "<" in text else None
        end = tag.start if tag else len(text) if over else self._openers.hold_from(text)
        if self._aggressive and (line := self._line_start(end)) is not None:
            self._pass(self._inbox.take(line))
            return self._go(self._at_line_start)
        self._pass(self._inbox.take(end))
        if tag is None:
            return False
        return self._at_tag(self._openers.match(self._inbox.text, 0) or tag)

    def _at_tag(self, tag: Tag) -> bool:
        if self._around.quoted:
            return self._quote(tag)
        if self._around.code_span:
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
        if self._around.in_result:
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
        """A tag named as a tool: text, as long as no parameter of the tool is behind it."""
        opening = read_opening(tag, self._inbox.text, self._toolset, self._level)
        assert opening
        if self._around.at_line_start and not (self._around.thinking or self._around.in_markup):
            kind = self._kind_after(tag, opening.tool)
            if kind is Following.MORE:
                return False
            if kind is TagKind.PARAMETER_OPEN:
                return self._open_bare(tag)
        self._pass(self._inbox.take(tag.end))
        return True

    def _line_start(self, end: int) -> int | None:
        """Where an untagged call may begin in the text before `end`."""
        for found in _LINE_START.finditer(self._inbox.text, 0, end):
            if found[0].startswith("\n") or self._around.at_line_start:
                return found.end()
        return None

    def _think(self, tag: Tag) -> bool:
        """<think> or </think>: text, and a call may stand right behind it. A </think> that closes
        nothing waits, for right before a call it is dropped (P10)."""
        text = self._inbox.take(tag.end)
        if self._around.think(tag.kind):
            self._around.feed(text)
            self._blanks += text
            self._orphan_think = True
        else:
            self._pass(text)
        self._around.new_line()
        if tag.kind is TagKind.THINK_CLOSE and self._tolerant:
            return self._go(self._at_line_start)
        return True

    def _comment(self, tag: Tag) -> bool:
        begins = self._around.at_line_start
        self._pass(self._inbox.take(tag.end))
        if begins:
            self._around.enter_comment()
        return True

    def _result(self, tag: Tag) -> bool:
        text = self._inbox.take(tag.end)
        self._around.enter_or_leave_result(tag, text)
        self._pass(text)
        self._around.last = "."
        return True

    def _orphan_closer(self, tag: Tag) -> bool:
        """A closing tag at the start of a line: dropped if nothing else follows in the message, and the
        text has no opening tag it may belong to."""
        self._around.function_said = self._around.function_said and tag.kind is TagKind.PARAMETER_CLOSE
        closes_nothing = self._around.at_line_start and not (self._around.tags_said or self._around.thinking)
        if tag.dialect.by_name or not closes_nothing:
            self._pass(self._inbox.take(tag.end))
            return True
        self._try(None, at_end=True)
        return self._go(self._in_after)

    def _quote(self, tag: Tag, end: int = 0) -> bool:
        """A tag that is being quoted, with the text up to `end`."""
        if _is_candidate(tag):
            return self._refuse(Refused.FENCED, end or tag.end, wrap=tag.kind is TagKind.WRAP_OPEN)
        self._pass(self._inbox.take(end or tag.end))
        return True

    def _in_span(self) -> bool:
        """A tag behind an open backtick: quoted if the code span closes before a blank line."""
        tag = self._openers.match(self._inbox.text, 0)
        run = self._around.code_span
        end = re.compile(rf"(?<!`)`{{{run}}}(?!`)|\n[ \t]*\r?\n").search(self._inbox.text)
        closed = end is not None and end[0][0] == "`"
        if (
            not self._inbox.over
            and (end is None or (closed and end.end() == len(self._inbox.text)))
            and len(self._inbox.text) < CODE_SPAN
        ):
            return False
        self._go(self._in_text)
        if tag and end is not None and closed:
            self._quote(tag, end.end())
            self._quoted = False
            return True
        self._around.close_span()
        return True

    # States: an envelope

    def _in_envelope(self) -> bool:
        """<tool_call>, and what it wraps: a call, JSON, nothing, or it was only mentioned."""
        text, over = self._inbox.text, self._inbox.over
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
        text, at = self._inbox.text, 0
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
        """Drop it right behind a call or alone on its lines; in prose it is being mentioned."""
        rest = LINE_REST.match(self._inbox.text, end)
        if rest and rest[1] in ("", "\r") and not self._inbox.over and not self._after_call:
            return False
        alone = self._around.at_line_start and rest is not None and rest[1] is not None
        if not (self._tolerant and (self._after_call or (alone and not self._reasoning))):
            return self._refuse(Refused.NO_CALL, end)
        self._outbox.repair(Repair.EMPTY_ENVELOPE, self._inbox.take(end))
        return self._go(self._in_after if self._after_call else self._in_text)

    # Opening a call

    def _open_bare(self, tag: Tag) -> bool:
        """<function=…> without <tool_call>: at the start of a line, declared, and a tag or JSON behind it."""
        self._around.function_said = True
        opening = read_opening(tag, self._inbox.text, self._toolset, self._level)
        if opening is None and (better := self._openers.match_declared(self._inbox.text, 0)):
            tag, opening = better, read_opening(better, self._inbox.text, self._toolset, self._level)
        if opening is None:
            if not self._inbox.over and self._openers.may_begin_declared(self._inbox.text, 0):
                return False
            return self._refuse(Refused.UNDECLARED, tag.end)
        if not self._toolset.allows(opening.tool.name):
            return self._refuse(Refused.FORBIDDEN, tag.end)
        if self._around.thinking:
            return self._refuse(Refused.REASONING, tag.end)
        if not self._around.at_line_start:
            return self._refuse(Refused.NOT_AT_LINE_START, tag.end)
        if self._around.in_markup and tag.dialect.common:
            return self._refuse(Refused.IN_MARKUP, tag.end)
        if self._outbox.trial and self._outbox.trial.at_end:
            return self._reject()
        return self._open_before(tag, opening)

    def _open_before(self, tag: Tag, opening: Opening) -> bool:
        """Open a bare call if what stands behind its tag may stand there."""
        at = _end(_GAP, self._inbox.text, tag.end)
        if at == len(self._inbox.text) and not self._inbox.over:
            return False
        if self._inbox.text[at : at + 1] in ("<", "{"):
            return self._open(tag, opening, [])
        if self._tolerant and "\n" in self._inbox.text[tag.end : at] and len(opening.tool.required) == 1:
            self._try(Refused.NO_CALL, at_end=False)
            return self._open(tag, opening, [], certain=False)
        return self._refuse(Refused.NO_CALL, tag.end)

    def _kind_after(self, tag: Tag, tool: Tool) -> TagKind | Following:
        """What follows a tag that is named as a tool."""
        inside = self._grammar.body.with_names(Names([tool.name], tool.arguments.declared))
        text = self._inbox.text
        at = _end(_GAP, text, tag.end)
        if found := inside.match(text, at):
            return found.kind
        if not self._inbox.over and (at == len(text) or inside.may_begin(text, at)):
            return Following.MORE
        return Following.JSON if text[at : at + 1] == "{" else Following.OTHER

    def _open_wrapped(self, tag: Tag, wraps: list[Tag]) -> bool:
        """<function=…> in an envelope; an undeclared tool is on trial."""
        opening = read_opening(tag, self._inbox.text, self._toolset, self._level)
        if opening and not self._toolset.allows(opening.tool.name):
            return self._refuse(Refused.FORBIDDEN, tag.end)
        if opening is None and (self._around.thinking or not (self._tolerant and self._toolset.any_allowed)):
            return self._refuse(Refused.UNDECLARED, tag.end)
        if self._outbox.trial and self._outbox.trial.at_end and opening and not self._around.thinking:
            return self._reject()
        if opening and tag.dialect.by_name:
            kind = self._kind_after(tag, opening.tool)
            if kind not in (TagKind.PARAMETER_OPEN, TagKind.CALL_CLOSE, Following.JSON):
                if kind is Following.MORE:
                    return False
                return self._refuse(Refused.NO_CALL, wraps[0].end if wraps else tag.end)
        if self._around.thinking and self._calls and not self._outbox.trial:
            return self._refuse(Refused.REASONING, tag.end)
        if opening is None:
            self._try(Refused.UNDECLARED, at_end=True)
            self._outbox.repair(Repair.UNDECLARED_NAME, tag.name)
        return self._open(tag, opening or Opening(Tool(tag.name)), wraps)

    def _open_nameless(self, tag: Tag, wraps: list[Tag]) -> bool:
        """Parameters and no function: a call if they fit one tool only, and it is complete."""
        if self._outbox.trial:
            return self._reject()
        if self._around.thinking:
            return self._refuse(Refused.REASONING, tag.end)
        if not (wraps or self._around.at_line_start):
            return self._refuse(Refused.NOT_AT_LINE_START, tag.end)
        if self._around.function_said and not wraps:
            return self._refuse(Refused.UNDECLARED, tag.end)
        self._try(Refused.NAMELESS, at_end=False)
        return self._open(tag, None, wraps)

    def _open(self, tag: Tag, opening: Opening | None, wraps: list[Tag], certain: bool = True) -> bool:
        """Begin a call, whose tag stands in the text."""
        if self._around.thinking:
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
        self._inbox.take(tag.start if tag.kind is TagKind.PARAMETER_OPEN else tag.end)
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
            self._outbox.repair(Repair.MISSING_TOOL_CALL_OPEN, self._inbox.text[: tag.end])
        self._note_tags(wraps, tag if opening else None)
        for repair, excerpt in opening.repairs if opening else []:
            self._outbox.repair(repair, excerpt)

    def _note_tags(self, wraps: list[Tag], tag: Tag | None) -> None:
        for wrap in wraps[1:]:
            self._outbox.repair(Repair.STRAY_OPENER, wrap.raw)
        tags = [*wraps[:1], tag] if tag else wraps[:1]
        self._kept = kept_to(tags, self._may_keep_to(wraps, tag))
        foreign = (t for t in tags if not any(is_canonical(t, dialect) for dialect in self._kept))
        for repair in dict.fromkeys(t.dialect.repair for t in foreign):
            self._outbox.repair(repair, self._inbox.text)

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
            self._outbox.repair(Repair.PARALLEL_DROPPED, self._tool.name)
        self._calls += 1

    def _drop_blanks(self) -> None:
        """The white space right before a call, and a </think> in it."""
        if self._orphan_think:
            self._outbox.repair(Repair.ORPHAN_THINK_CLOSE, self._blanks)
        self._blanks, self._orphan_think = "", False

    # State: inside a call

    def _in_call(self) -> bool:
        """Inside a call; `call` says where it ends."""
        call = self._call
        assert call
        self._outbox.emit_all(call.feed(self._inbox.take(len(self._inbox.text))))
        if self._inbox.over and not (call.ended or call.rest):
            self._outbox.emit_all(call.close(self._complete))
        if call.rest or call.ended:
            rest, call.rest = call.rest, ""
            self._inbox.give_back(rest)
            return self._close_call(call) if call.ended else True
        if call.plain and self._outbox.trial is None and (self._parallel or self._calls == 1):
            self._plain = call
        return False

    def _close_call(self, call: CallReader) -> bool:
        self._call, self._ambiguous = None, call.ambiguous
        if call.failed:
            return self._reject()
        if not call.cut:
            return self._behind_call()
        why = Refused.UNCLEAR_END if call.unclear else Refused.TRUNCATED
        if self._outbox.trial:
            return self._reject(why)
        self.ledger.refuse(why, self._tool.name)
        return self._go(self._in_literal)

    # State: in JSON

    def _open_json(self, at: int, wraps: list[Tag]) -> bool:
        if self._around.thinking and self._calls and not self._outbox.trial:
            return self._refuse(Refused.REASONING, at)
        if trial := self._outbox.trial:
            trial.json_at = trial.size - self._inbox.seen
        self._try(Refused.INVALID_JSON, at_end=self._around.thinking)
        self._note_tags(wraps, None)
        self._inbox.take(at)
        self._json = JsonEnvelope(self._grammar, self._toolset)
        return self._go(self._in_json)

    def _open_untagged(self) -> bool:
        self._try(Refused.NOT_ALONE, at_end=not self._aggressive)
        self._json = UntaggedCall(self._toolset.names, self._aggressive)
        return self._go(self._in_json)

    def _in_json(self) -> bool:
        """Inside of JSON calls; `json` says where they end, and what they are."""
        json = self._json
        assert json
        json.feed(self._inbox.take(len(self._inbox.text)), self._inbox.over)
        if not json.ended:
            return False
        self._json = None
        self._inbox.give_back(json.rest)
        if self._outbox.trial and json.fenced:
            self._outbox.trial.at_end = True
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
        if None in openings and (self._around.thinking or not self._toolset.any_allowed):
            return self._reject(Refused.UNDECLARED)
        trial = self._outbox.trial
        if trial and trial.json_at and trial.refused is Refused.UNDECLARED and None not in openings:
            raw = "".join(trial.raw)
            return self._reject(again=raw[trial.json_at : len(raw) - self._inbox.seen])
        if None in openings and trial:
            trial.at_end, trial.refused = True, Refused.UNDECLARED
        if self._around.thinking and trial:
            trial.refused = Refused.REASONING
        self._drop_blanks()
        for repair in repairs:
            self._outbox.repair(repair, text)
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
            self._outbox.repair(repair, excerpt)
        self._tool = opening.tool if opening else Tool(name.strip())
        self._count_call()
        index = self._calls - 1
        called, text, repairs = write_call(self._tool, arguments, self._toolset)
        self._outbox.emit_all([CallStart(index, called), ArgumentsDelta(index, text)])
        for repair, excerpt in repairs:
            self._outbox.repair(repair, excerpt)
        self._outbox.emit(CallEnd(index))

    # State: behind a call

    def _behind_call(self) -> bool:
        """A call is complete."""
        self._around.function_said = False
        self._around.new_line()
        self._after_call = True
        self._go(self._in_after)
        if self._outbox.trial and not self._outbox.trial.at_end:
            if not self._tolerant and self._outbox.trial.mended:
                return self._reject(Refused.TRUNCATED)
            return self._accept()
        return True

    def _in_after(self) -> bool:
        """Behind a call: closing tags, the next call, or text."""
        blanks = self._inbox.take(_end(WHITESPACE, self._inbox.text))
        self._around.feed(blanks)
        self._blanks += blanks
        if self._inbox.text == "" and self._inbox.over:
            return self._end_behind_call()
        if len(self._blanks) > WHITESPACE_RUN:
            return self._leave_call()
        tag = self._after.match(self._inbox.text, 0)
        if tag is None:
            return self._in_after_no_tag()
        match tag.kind:
            case TagKind.WRAP_CLOSE if self._wrapped or self._orphan:
                if tag.dialect.damaged:
                    self._outbox.repair(Repair.DAMAGED_TAG, self._inbox.text[: tag.end])
                self._wrapped = self._orphan = False
            case TagKind.WRAP_CLOSE | TagKind.CALL_CLOSE | TagKind.PARAMETER_CLOSE | TagKind.STRAY:
                self._outbox.repair(Repair.STRAY_CLOSER, self._inbox.text[: tag.end])
            case TagKind.WRAP_OPEN if self._may_go_on:
                self._miss_wrap_close()
                return self._go(self._in_envelope)
            case TagKind.CALL_OPEN if self._may_go_on:
                return self._open_wrapped(tag, []) if self._wrapped else self._open_bare(tag)
            case _:
                return self._leave_call()
        self._inbox.take(tag.end)
        self._blanks = ""
        self._around.new_line()
        return True

    @property
    def _may_go_on(self) -> bool:
        """Whether another call may follow; behind closing tags that closed none, it is read anew."""
        return self._after_call and not self._ambiguous

    def _in_after_no_tag(self) -> bool:
        partial = self._inbox.text == "" or self._after.may_begin(self._inbox.text, 0)
        if partial and not self._inbox.over:
            return False
        if partial and self._inbox.text.startswith("</"):
            self._outbox.repair(Repair.STRAY_CLOSER, self._inbox.take(len(self._inbox.text)))
            return True
        return self._leave_call()

    def _leave_call(self) -> bool:
        """Text follows the call."""
        if self._outbox.trial:
            return self._reject()
        self._miss_wrap_close()
        self._orphan = False
        return self._go(self._in_literal if self._ambiguous else self._in_text)

    def _end_behind_call(self) -> bool:
        self._miss_wrap_close()
        self._blanks = ""
        if self._outbox.trial is None:
            return False
        if self._complete and not self._outbox.trial.damaged:
            return self._accept()
        return self._reject(Refused.TRUNCATED)

    def _miss_wrap_close(self) -> None:
        if self._wrapped:
            self._outbox.repair(Repair.MISSING_TOOL_CALL_CLOSE, self._inbox.text)
            self._wrapped = False

    # Trials

    def _try(self, refused: Refused | None, at_end: bool) -> None:
        """From here on, blanks included, it is decided later whether this is a call."""
        if self._outbox.trial is None:
            raw = self._inbox.watch()
            self._outbox.trial = Trial(at_end, refused, self._blanks, self._calls, [raw], len(raw))

    def _accept(self) -> bool:
        """What was on trial is a call."""
        self._outbox.accept()
        return True

    def _reject(self, refused: Refused | None = None, again: str = "", silent: bool = False) -> bool:
        """What was on trial is text; its end, `again`, is read once more."""
        self._inbox.give_back(again)
        trial = self._outbox.trial
        assert trial
        raw = "".join(trial.raw)
        text = raw[: len(raw) - self._inbox.seen]
        trial.refused = None if silent else trial.refused
        self._outbox.reject(refused, text)
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
        """Text that is no part of a call; blanks at its end wait for what follows."""
        solid = len(text.rstrip(BLANK))
        if solid:
            self._after_call = self._orphan_think = self._quoted = False
            solid += len(self._blanks)
        waiting = self._blanks + text
        solid = max(solid, len(waiting) - WHITESPACE_RUN)
        self._outbox.text(waiting[:solid])
        self._blanks = waiting[solid:]
        self._around.feed(text)
        self._around.note(text)

    def _refuse(self, reason: Refused, end: int, wrap: bool = False) -> bool:
        """A candidate that is text up to `end`; `wrap`: only its <tool_call>."""
        if self._outbox.trial:
            return self._reject()
        self._miss_wrap_close()
        if not self._quoted:
            self.ledger.refuse(reason, self._inbox.text[:end])
        self._pass(self._inbox.take(end))
        self._quoted = wrap
        return self._go(self._in_text)


def _is_candidate(tag: Tag) -> bool:
    """Whether a user may wonder why a tag opens no call; one named as a tool is anybody's."""
    return (
        tag.kind in (TagKind.WRAP_OPEN, TagKind.CALL_OPEN, TagKind.NAMELESS_OPEN) and not tag.dialect.by_name
    )
