"""What the states of one message share: the text, the log, where we are, and the open call.

A state looks at the text in the buffer from `buffer.at` on. Whatever it decides about that text it says here:
that it is text, that it belongs to a call, or that this is not certain yet (a trial).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ..events import ArgumentsDelta
from ..grammar.dialects import BASE, Dialect
from ..grammar.grammar import Grammar
from ..grammar.kinds import MORE, Wait
from ..grammar.text import BLANK, trailing
from ..limits import WHITESPACE_RUN
from ..repairs import Refused, Repair
from ..schema.json_scanner import JsonScanner
from ..schema.schema import Tool
from ..schema.toolset import Toolset
from .buffer import Buffer
from .context import Context
from .doubt import Doubt
from .event_log import EventLog, Mark
from .lookout import Lookout
from .open_value import Value
from .place import Place
from .run import KnownChain
from .states import Before, Envelope, State, Step
from .writer import Writer


@dataclass(frozen=True, slots=True)
class Earlier:
    """What was true before a trial began."""

    context: Context
    seen_to: int
    calls: int


@dataclass(slots=True)
class Quotation:
    """What quotes a call: a mark, or an element that shows.

    `ends`: the partner of the mark or the end of the element; or, without a group, the blank line that no
    quotation within a line goes past. `closers`: the closing tags of the envelope that are enough before it.
    """

    ends: re.Pattern[str]
    closers: tuple[str, ...]
    place: Place  # outside of calls
    block: bool = False  # its ends may stand on lines of their own
    spaced: bool = False  # a blank stands after the opening mark, so one may stand before its partner
    json: JsonScanner | None = None  # follows the JSON of the call
    json_to: int = 0  # position up to which that was read, or where it may begin
    json_end: int = -1  # position where it ends; -1 as long as it does not


@dataclass(slots=True)
class Span:
    """A span that may be quoted. `searched`: position up to which its end was searched. `quotation`: None
    in a code span, or if no call opens."""

    searched: int
    quotation: Quotation | None = None


@dataclass(slots=True)
class Spare:
    """Text where a parameter should have opened. It becomes the value of the only possible parameter, unless
    that parameter is given later. `tagged`: a tag without a name comes before it."""

    mark: Mark
    tagged: bool = False
    text: str = ""
    value: str = ""
    closed: bool = False  # a parameter's closing tag came after it


@dataclass(slots=True)
class Call:
    """The open call."""

    index: int
    tool: Tool
    place: Place
    writer: Writer
    named: bool = True  # its opening tag names the tool; otherwise its arguments tell, once they are complete
    needs_no_closer: bool = False  # it is complete without a closing tag of its own
    certain: bool = True  # it is a call, whatever else it holds
    deferred: bool = False  # it is announced when it is complete: the user's rules need to see all of it

    # Its opening tag
    has_value_in_tag: bool = False
    lacks_bracket: bool = False
    lacks_quote: bool = False  # after the name
    empty: bool = False  # the tag says that there is nothing in the call
    in_prose: bool = False  # text stands before the envelope, on the same line
    text_after_tag: bool = False  # text stands after the tag, on the same line

    # It may be an element of a document, and is on trial until two of the awaited parameters have opened,
    # or all of them
    awaited: Collection[str] = ()
    needs_all: bool = False  # it is no call without all of them
    direct: bool = False  # its tag is named after the tool, so it needs all of them if it contains text

    # Its arguments
    value: Value | None = None
    spare: Spare | None = None
    late_name: str = ""  # the name of its tool, if that came after parameters
    in_parameter: bool = False  # its arguments are in a parameter that holds all of them
    brackets: int = 0  # that close it after those of its arguments
    body_done: bool = False  # all its arguments came as one JSON object
    body_cut: bool = False  # the message ended in that object
    unclear: bool = False  # a closing tag that was taken for payload may have been the end of a value

    # Between its parameters
    gap: str = ""  # whitespace before what comes next
    stray: str = ""  # text, up to STRAY characters
    said: str = ""  # the same, since the last tag
    stray_closed: bool = False  # such text was closed like a parameter

    def is_doubtful(self, opening: str = "") -> bool:
        """Whether too few of the awaited parameters have opened: two of them are enough, unless it needs all.
        `opening`: the one that opens now."""
        opened = {*self.writer.given, opening}
        missing = set(self.awaited) - opened
        return bool(missing) and (self.needs_all or len(self.awaited) - len(missing) < 2)

    @property
    def begun(self) -> bool:
        """Whether it has any arguments yet."""
        return bool(self.writer.given or self.spare or self.body_done)


@dataclass(slots=True)
class Message:
    """One message. `seen_to`: the position up to which the context has seen the text. Between `buffer.at` and
    there is whitespace, perhaps with a </think> in it, which a call would drop."""

    buffer: Buffer
    log: EventLog
    context: Context
    toolset: Toolset
    grammar: Grammar
    state: State
    live: bool = True  # the caller wants a call before it is complete
    reasoning: bool = False  # the text is what the model thought
    thinks_apart: bool = False  # the model's thinking has a field of its own
    complete: bool = False  # at the end: the model stopped by itself
    ended: bool = False  # at the end: the message is over, but it may have been cut off
    seen_to: int = 0
    before: Before = Before.TEXT
    orphan_think: bool = False  # a </think> that closes nothing is in what waits
    calls: int = 0
    rereads: int = 0  # times that text was read again
    trial: Mark | None = None  # from this mark on, it is not decided whether this is a call
    doubt: Doubt | None = None  # while what is on trial may be quoted in an open call
    envelope: Envelope = Envelope.NONE
    followed: Collection[str] | None = None  # the names of calls that the server parsed, if they follow
    server_call_end: int = -1  # position after the last call of the server; -1 if there was none
    fence: str = ""  # what opened a code fence in the envelope, around the call
    kept: Sequence[Dialect] = BASE  # the dialects that the call keeps to: their tags need no repair
    spoken: tuple[Dialect, ...] = ()  # dialects of other models that the call is written in
    call: Call | None = None
    json: object = None  # the JSON that is being read
    json_refused: int = -1  # position after a JSON call that was refused, since something follows it
    json_from: int = 0  # position where its envelope begins
    tag_at: int = -1  # position of an unfinished tag that waits; -1 if there is none
    span: Span | None = None  # what may be quoted, while its end is searched
    chain: KnownChain | None = None
    lookout: Lookout = field(init=False)
    outside: Place = field(init=False)  # the place outside of calls, where no tool is known yet
    tolerant: bool = field(init=False)
    aggressive: bool = field(init=False)
    _before_trial: Earlier | None = None
    _inside: Place | None = None  # of the candidate for a call

    def __post_init__(self) -> None:
        self.lookout = Lookout.of(self.toolset, self.grammar)
        self.outside = Place(self.toolset, self.grammar)
        self.tolerant = self.grammar.level != "strict"
        self.aggressive = self.grammar.level == "aggressive"

    def is_slipped(self, text: str, at: int, over: bool) -> bool | Wait:
        """Whether a misspelt tag is at `at`, of a dialect that the open call or envelope is written in."""
        if not self.spoken:
            return False
        place = self.call.place if self.call else self.outside
        place.speak(*self.spoken)
        found = place.slipped(text, at, over)
        return MORE if found is MORE else found is not None

    @property
    def seen(self) -> int:
        """The index in the buffer up to which the context has seen the text."""
        seen, at = self.seen_to - self.buffer.base, self.buffer.at
        return seen if seen > at else at

    def go(self, state: State) -> Step:
        """Continue with this state."""
        self.state = state
        return Step.GO

    @property
    def open_call(self) -> Call:
        """The call, in a state that has one."""
        assert self.call
        return self.call

    @property
    def open_value(self) -> Value:
        """Its value, in a state that has one."""
        assert self.call
        assert self.call.value
        return self.call.value

    @property
    def place(self) -> Place:
        """The place in the open call."""
        assert self.call
        return self.call.place

    # Text

    def show_context(self, end: int) -> None:
        """Show the context the text up to this index; each character only once."""
        start = self.seen
        if end > start:
            self._tell(self.buffer.text[start:end])
            self.seen_to = self.buffer.base + end

    def _tell(self, text: str) -> None:
        if self.envelope is Envelope.LEFT and "\n" in text:
            self.envelope = Envelope.NONE
        self.context.feed(text)
        self.context.note(text)

    def emit_text(self, end: int) -> None:
        """The text up to this index is text. It is emitted, except for whitespace at its end from the
        first line break on, which a call would drop."""
        if end == self.buffer.at:
            return
        start, waits = self.buffer.at, self.orphan_think and end - self.buffer.at < WHITESPACE_RUN
        waits = waits and not self.buffer.text[self.seen : end].strip(BLANK)
        self.show_context(end)
        if waits:
            return
        solid = trailing(self.buffer.text, start, end)
        if self.buffer.text[start:solid].strip(BLANK):
            self.before, self.orphan_think = Before.TEXT, False
        if solid > start:
            self.log.text(self.buffer.take(solid))

    def emit_all(self, end: int) -> None:
        """The text up to this index is text, whatever follows. All of it is emitted."""
        self.show_context(end)
        self.log.text(self.buffer.take(end))
        self.before, self.orphan_think = Before.TEXT, False

    def drop(self, end: int) -> None:
        """The text up to this index belongs to a call, and is dropped."""
        self.buffer.at = end
        self.seen_to = self.buffer.position

    # Being unsure

    def begin_trial(self, why: Refused | None, at_end: bool) -> None:
        """Begin a trial, unless there is one. From here on, with whitespace that waits, the text may be a
        call. `why`: the refusal that is reported if it is not. None: it is closing tags, which are dropped if
        no text follows. `at_end`: it only counts at the end of the message."""
        if self.trial is None:
            self.trial = self.log.mark(why, at_end)
            self._before_trial = Earlier(self.context.copy(), self.seen_to, self.calls)

    def on_trial_for(self, why: Refused) -> bool:
        """Whether there is a trial, and this is why it would be text."""
        return self.trial is not None and self.trial.why is why

    @property
    def closers_wait(self) -> bool:
        """Whether closing tags that close nothing are on trial: they are only dropped if no text follows."""
        return self.trial is not None and self.trial.why is None

    def accept(self) -> None:
        """What was on trial is a call."""
        self.doubt = None
        if self.trial:
            self.log.commit(self.trial)
            self.trial = None

    def reject(self, why: Refused | None = None, silent: bool = False, again: int | None = None) -> Step:
        """What was on trial is text, up to the position `again`; from there it is read again. `silent`:
        the refusal is not reported."""
        trial, self.trial, earlier = self.trial, None, self._before_trial
        assert trial
        assert earlier
        state, self.doubt = State.LITERAL if self.doubt else State.TEXT, None
        if silent:
            trial.why = None
        refused = trial.why is Refused.NOT_ALONE
        end = self.buffer.position if again is None else again
        raw, self.chain = self.log.rollback(trial, why, end), None
        self.json_refused = self.buffer.position if refused else self.json_refused
        self.context, self.calls = earlier.context, earlier.calls
        self.call = self.json = None
        self.envelope, self.before = Envelope.NONE, Before.TEXT
        seen_to = max(earlier.seen_to, trial.position)
        self._tell(raw[seen_to - trial.position :])
        self.seen_to = max(seen_to, self.buffer.position)
        self.orphan_think = self.orphan_think and not raw
        self.show_context(end - self.buffer.base)
        return self.go(state)

    def abandon(self) -> Step:
        """What was on trial is the beginning of a call that comes in another way. It is dropped, with
        everything that waits."""
        trial, self.trial, earlier = self.trial, None, self._before_trial
        assert trial
        assert earlier
        raw, self.doubt = self.log.cancel(trial), None
        self.context, self.calls = earlier.context, earlier.calls
        self.call = self.json = None
        self.envelope, self.orphan_think = Envelope.NONE, False
        self.log.repair(Repair.STRAY_OPENER, raw.strip())
        self.drop(len(self.buffer.text))
        return self.go(State.TEXT)

    # Candidates and calls

    def inside(self, tool: Tool) -> Place:
        """The place in a call of this tool, before its first parameter."""
        if self._inside is None or self._inside.tool is not tool:
            self._inside = Place(self.toolset, self.grammar, tool, wrapped=True)
        return self._inside

    def fragment(self, text: str) -> None:
        """Emit a piece of the open call's arguments, and the repairs in it."""
        call = self.call
        assert call
        if text:
            self.log.emit(ArgumentsDelta(call.index, text))
        while call.writer.repairs:
            self.log.repair(*call.writer.repairs.pop(0))

    def refuse(self, why: Refused, end: int, wrap: bool = False) -> Step:
        """A candidate, which begins where the context stopped, is text up to this index. `wrap`: only the
        opening tag of an envelope is refused."""
        if self.trial:
            return self.reject()
        self.miss_envelope_close()
        if self.before is not Before.QUOTE:
            self.log.ledger.refuse(why, self.buffer.text[self.seen : end])
        self.emit_text(end)
        self.before = Before.QUOTE if wrap else Before.TEXT
        return self.go(State.TEXT)

    def miss_envelope_close(self) -> None:
        """An open envelope ends without its closing tag."""
        if self.envelope is Envelope.OPEN:
            self.log.repair(Repair.MISSING_TOOL_CALL_CLOSE, self.buffer.text[self.buffer.at :])
            self.envelope = Envelope.NONE

    @property
    def is_dropped(self) -> bool:
        """Whether only one call is asked for, and the next call is a further one."""
        return self.calls > 0 and not self.log.parallel

    def count_call(self, name: str) -> None:
        """A call begins."""
        if self.is_dropped:
            self.log.repair(Repair.PARALLEL_DROPPED, name)
        self.calls += 1

    def end_call(self) -> Step:
        """A call is complete, and `buffer.at` is after it."""
        self.call = self.json = None
        self.context.function_seen = False
        self.context.new_line()
        self.seen_to = self.buffer.position
        self.before = Before.CALL
        self.go(State.AFTER)
        if self.trial and not self.trial.at_end:
            if not self.tolerant and self.log.mended_since(self.trial):
                return self.reject(Refused.TRUNCATED)
            self.accept()
        return Step.GO

    def leave_unended(self, why: Refused, tool: Tool) -> Step:
        """The open call is incomplete and cannot be taken back: it gets no end, and what follows is text."""
        self.log.ledger.refuse(why, tool.name)
        self.call = self.json = None
        return self.go(State.LITERAL)
