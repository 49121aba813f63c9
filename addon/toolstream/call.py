"""One call being read, from behind its opening tag to its end.

Like `Value`, which it uses, it is fed text and says by itself where it ends. What it cannot
judge yet it holds; what turns out to belong to somebody else is handed back in `rest`: text
behind the call if it has `ended`, else text behind a value, which comes again.
"""

import re
from collections.abc import Callable

from .arguments import ArgumentsWriter, write_object
from .events import ArgumentsDelta, CallEnd, CallStart, Event, Repaired, Text
from .grammar import BLANK, Grammar, Tag
from .hermes import JsonScanner, read_object
from .repairs import EXCERPT, Repair
from .schema import Tool
from .values import Value

_BLANKS = re.compile(f"[{BLANK}]*")


class CallReader:
    """Reads the call number `index` of `tool`. `is_tool` tells declared names; without `nesting`
    the rest of a value's text is never in doubt."""

    def __init__(
        self, index: int, tool: Tool, grammar: Grammar, is_tool: Callable[[str], bool], nesting: bool
    ) -> None:
        self.ended = False
        self.cut = False  # the message was cut off in it
        self.rest = ""  # handed back: empty it
        self.ambiguous = not nesting  # what follows may be payload of a value: no more calls
        self._index = index
        self._tool = tool
        self._tags = grammar.body
        self._grammar = grammar
        self._is_tool = is_tool
        self._state = self._in_body
        self._text = ""  # received, not yet looked at by a state
        self._over = False  # the message is, and
        self._complete = False  # the model stopped by itself
        self._events: list[Event] = [CallStart(index, tool.name)]
        self._arguments = ArgumentsWriter(tool)
        self._value: Value | None = None
        self._json: list[str] = []
        self._scanner = JsonScanner()

    @property
    def pending(self) -> str:
        """Received, and in no event."""
        value = self._value.pending if self._value else ""
        return value + self._text + self.rest

    @property
    def plain(self) -> bool:
        """Whether text without `<` is payload: what `take` is for."""
        return self._value is not None and self._value.plain

    @property
    def settled(self) -> bool:
        """Whether nothing is held, and letters go out as they come."""
        return self._value is not None and self._value.settled and self._arguments.streaming

    def take(self, text: str) -> str:
        """`feed` for text without `<`, not empty, while the call is plain; returns the fragment."""
        assert self._value
        payload = self._value.take(text)
        return self._arguments.feed(payload) if payload else ""

    def feed(self, text: str) -> list[Event]:
        """Take text; return what is certain by now."""
        self._text += text
        while not (self.ended or self.rest) and self._state():
            pass
        events, self._events = self._events, []
        return events

    def close(self, complete: bool) -> list[Event]:
        """The message is over: mend what is missing if the model stopped by itself (`complete`)."""
        self._over, self._complete = True, complete
        events = self.feed("")
        self._over = False  # what is handed back comes again
        return events

    # States

    def _in_body(self) -> bool:
        """Between the parameters."""
        self._take(_end(_BLANKS, self._text))
        tag = self._tags.match(self._text, 0)
        if tag is None:
            return self._in_body_no_tag()
        match tag.kind:
            case "parameter_open":
                return self._open_value(tag)
            case "parameter_close":
                self._repair(Repair.STRAY_CLOSER, self._take(tag.end))
                return True
            case "call_close":
                self._take(tag.end)
            case _:
                self._repair(Repair.MISSING_FUNCTION_CLOSE, self._text[: tag.end])
        return self._end(self._arguments.close())

    def _in_body_no_tag(self) -> bool:
        partial = self._text == "" or self._tags.may_begin(self._text, 0)
        if partial:
            return self._over and self._end_of_message()
        if self._text[0] == "{" and self._grammar.level != "strict" and not self._arguments.given:
            return self._expect_json()
        self._repair(Repair.TEXT_IN_CALL, self._text)
        self._emit(Text(self._take(1)))
        return self._go(self._in_stray_text)

    def _in_stray_text(self) -> bool:
        """Text between parameters: no part of the call, and not ours to drop."""
        at = self._text.find("<")
        if text := self._take(at if at >= 0 else len(self._text)):
            self._emit(Text(text))
        return (at >= 0 or self._over) and self._go(self._in_body)

    def _open_value(self, tag: Tag) -> bool:
        if not tag.canonical:
            self._repair(Repair.FOREIGN_SPELLING, self._text[: tag.end])
        self._take(tag.end)
        key = tag.name
        given = self._arguments.given | {key}
        self._emit_fragment(self._arguments.begin(key))
        self._value = Value(self._grammar, self._tool, key, given, self._is_tool, not self.ambiguous)
        return self._go(self._in_value)

    def _in_value(self) -> bool:
        """Inside a parameter value; `values` says where it ends."""
        value = self._value
        assert value
        if payload := value.feed(self._take(len(self._text))):
            self._emit_fragment(self._arguments.feed(payload))
        if self._over and not value.ended:
            self._emit_fragment(self._arguments.feed(value.close(self._complete)))
        if value.ended:
            return self._close_value(value)
        return self._over and self._end_of_message()

    def _close_value(self, value: Value) -> bool:
        self._value = None
        self._emit_fragment(self._arguments.end())
        if value.missing_close:
            self._repair(Repair.MISSING_PARAMETER_CLOSE, value.rest)
        self.ambiguous = self.ambiguous or value.ambiguous
        self.rest = value.rest
        return self._go(self._in_body)

    # States: JSON arguments

    def _expect_json(self) -> bool:
        self._json, self._scanner = [], JsonScanner()
        return self._go(self._in_json)

    def _in_json(self) -> bool:
        """JSON as the body: the arguments themselves."""
        end = self._scanner.feed(self._text)
        self._json.append(self._take(len(self._text) if end is None else end))
        if end is None:
            return self._over and self._end_of_message()
        text = "".join(self._json)
        arguments = read_object(text)
        if arguments is None:
            self._repair(Repair.TEXT_IN_CALL, text)
            self._emit(Text(text))
            return self._go(self._in_body)
        self._repair(Repair.JSON_BODY, text)
        fragment, repairs = write_object(self._tool, arguments, "")
        self._emit(ArgumentsDelta(self._index, fragment))
        for repair, excerpt in repairs:
            self._repair(repair, excerpt)
        return self._go(self._behind_json)

    def _behind_json(self) -> bool:
        """Only </function> is missing."""
        self._take(_end(_BLANKS, self._text))
        tag = self._tags.match(self._text, 0)
        partial = self._text == "" or self._tags.may_begin(self._text, 0)
        if tag is None and partial and not self._over:
            return False
        if tag and tag.kind == "call_close":
            self._take(tag.end)
        else:
            self._repair(Repair.MISSING_FUNCTION_CLOSE, self._text)
        return self._end("")

    # The end

    def _end_of_message(self) -> bool:
        """The message is over and the call is not: mended if the model stopped, cut otherwise."""
        self._take(len(self._text))
        if not self._complete:
            self._value, self.cut, self.ended = None, True, True
            return False
        self._repair(Repair.MISSING_FUNCTION_CLOSE, self._tool.name)
        return self._end(self._arguments.close())

    def _end(self, fragment: str) -> bool:
        self._emit_fragment(fragment)
        self._emit(CallEnd(self._index))
        self.ended, self.rest = True, self._take(len(self._text))
        return False

    # Giving out

    def _go(self, state: Callable[[], bool]) -> bool:
        self._state = state
        return True

    def _take(self, end: int) -> str:
        taken, self._text = self._text[:end], self._text[end:]
        return taken

    def _emit(self, event: Event) -> None:
        self._events.append(event)

    def _emit_fragment(self, fragment: str) -> None:
        if fragment:
            self._emit(ArgumentsDelta(self._index, fragment))
        while self._arguments.repairs:
            self._repair(*self._arguments.repairs.pop(0))

    def _repair(self, repair: Repair, excerpt: str) -> None:
        self._emit(Repaired(repair, excerpt[:EXCERPT]))


def _end(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.match(text)
    return match.end() if match else 0
