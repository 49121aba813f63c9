"""Arguments of a call that are not a JSON object as they stand: XML, JSON in a string, an object without
its first bracket, and what cannot be read.
"""

import re

from ..events import ArgumentsDelta, CallEnd, CallStart, Event, Repaired, calls_of
from ..grammar.text import end_of
from ..limits import HELD
from ..repairs import Refused, Repair
from ..schema.call_shape import fits
from ..schema.coercion import conform
from ..schema.escapes import unescaped
from ..schema.json_call import read_arguments, read_object
from ..schema.json_read import Json
from ..schema.json_write import dump
from ..schema.lenient_json import read_damaged, same_letters
from ..schema.python_literals import read_python_call
from ..schema.schema import Tool
from .after_object import take_rest
from .in_arguments import calls_in
from .reader import ArgumentsReader, Around, Findings, Holding, NewParser, Passage
from .tags import Lead

_NULLS, _EMPTY = ("null", "None"), ("[]", '""', "''", "()")  # these mean: no arguments
_IN_ENVELOPE = re.compile(r"<[^<>]*>\s*(\{.*\})\s*(?:</[^<>]*>\s*)?", re.DOTALL)
_HEX = "[0-9a-fA-F]"
_CUT_ESCAPE = rf"\\(?:\Z|u{_HEX}{{0,3}}\Z)"
# The inside of a string, without an unfinished escape or half of a surrogate pair at its end
_WHOLE = re.compile(
    rf'(?:[^"\\]++|\\[^u]|\\u(?!{_HEX}{{4}}|{_HEX}{{0,3}}\Z)|\\u(?![dD][89abAB]){_HEX}{{4}}'
    rf"|\\u[dD][89abAB]{_HEX}{{2}}(?:\\u{_HEX}{{4}}|(?!\Z|{_CUT_ESCAPE}))|(?!))*+",
    re.DOTALL,
)


class _Waiting(Holding):
    """The base of readers that hold all that has come, up to a bound."""

    def __init__(self) -> None:
        super().__init__()
        self._gave_up = False

    def _release_if_long(self, findings: Findings) -> str:
        """Give up if too much waits. Return what can leave now."""
        if self._passage.held > HELD and not self._gave_up:
            findings.refuse(Refused.LIMIT, self._passage.waiting)
            self._gave_up = True
        if self._gave_up:
            self._passage.write("")
        return self._passage.take()


class Unreadable(_Waiting):
    """Reads what is no object at all. It waits, and leaves as it came; unless it means that there are no
    arguments, or only the beginning of an object is missing. `may_be_empty`: an empty string or list
    means no arguments."""

    def __init__(self, tool: Tool, findings: Findings, may_be_empty: bool) -> None:
        super().__init__()
        self._tool, self._findings, self._may_be_empty = tool, findings, may_be_empty

    def feed(self, text: str) -> str:
        self._passage.hold(text)
        return self._release_if_long(self._findings)

    def close(self, stopped: bool) -> str:
        if stopped and self._is_nothing(self._passage.waiting.strip()):
            self._complete(Repair.CALL_SHAPE, "{}")
        elif stopped and not self._gave_up and (mended := self._mended()):
            self._complete(Repair.JSON_REPAIRED, mended)
        self._passage.write("")
        return self._passage.take()

    def _complete(self, repair: Repair, arguments: str) -> None:
        self._findings.count(repair)
        self._findings.set_complete()
        self._passage.replace(arguments)

    def _is_nothing(self, text: str) -> bool:
        """Whether the text means that there are no arguments."""
        return text in _NULLS or (text in _EMPTY and self._may_be_empty)

    def _mended(self) -> str:
        """The object that it is without its beginning, or as Python writes a call; "" if it is none."""
        text = self._passage.waiting
        if not text[:1].isalnum():
            return ""
        call = read_python_call(text)
        if call and call[0] == self._tool.name and fits(self._tool, call[1]):
            return dump(conform(call[1], self._tool.arguments)[0])
        for lost in ("{", '{"'):
            value = read_object(lost + text) or read_damaged(lost + text)
            if isinstance(value, dict) and fits(self._tool, value) and same_letters(value, text):
                return dump(conform(value, self._tool.arguments)[0])
        return ""


class Begun(Around):
    """Reads an object with `inner` that does not begin as one: there are `skipped` surplus characters
    before it, or its `opener` is missing."""

    def __init__(self, inner: ArgumentsReader, skipped: int = 0, opener: str = "") -> None:
        super().__init__(inner)
        self._skipped, self._opener = skipped, opener

    def feed(self, text: str) -> str:
        text = self._opener + text[self._skipped :]
        self._skipped, self._opener = 0, ""
        return self._inner.feed(text)

    def close(self, stopped: bool) -> str:
        return self._inner.close(stopped)


class XmlMender(_Waiting):
    """Reads arguments that are XML: parameters, or a whole call."""

    def __init__(self, lead: Lead, tool: Tool, new_parser: NewParser, findings: Findings) -> None:
        super().__init__()
        self._lead, self._tool, self._new_parser = lead, tool, new_parser
        self._parser = new_parser(tool, recovery=lead.recovery)
        self._findings = findings
        self._next: list[Event] = []  # the events of a further call
        self._take(self._parser.feed(lead.head))

    def feed(self, text: str) -> str:
        self._passage.hold(text)
        if not self._gave_up:
            self._take(self._parser.feed(text))
        return self._release_if_long(self._findings)

    def close(self, stopped: bool) -> str:
        if not self._gave_up:
            self._take(self._parser.close("stop" if stopped else "length"))
            if stopped and not self._findings.has(Repair.XML_ARGUMENTS):
                self._read_again()
        self._passage.write("")
        return self._passage.take()

    def _read_again(self) -> None:
        """Nothing was found. Perhaps only the parser that knows all dialects can read it, or the
        arguments are alone in an envelope."""
        text = self._lead.head + self._passage.waiting
        calls = calls_in(text, self._new_parser, self._tool, "aggressive")
        if not (calls and calls[0][0] == self._tool.name):
            arguments = self._alone_in_envelope(self._passage.waiting)
            calls = [(self._tool.name, dump(arguments))] if arguments is not None else []
        if calls:
            self._findings.count(Repair.XML_ARGUMENTS)
            self._findings.add_calls(calls[1:])
            self._findings.set_complete()
            self._passage.replace(calls[0][1])

    def _alone_in_envelope(self, text: str) -> Json | None:
        """The arguments, if an envelope holds nothing else."""
        found = _IN_ENVELOPE.match(text)
        read = read_arguments(found[1], self._tool) if found else None
        if read is None or not fits(self._tool, read[0]):
            return None
        conformed, _ = conform(read[0], self._tool.arguments)
        return conformed if isinstance(conformed, dict) else None

    def _take(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case ArgumentsDelta(0, fragment):
                    self._findings.count(Repair.XML_ARGUMENTS)
                    self._passage.replace(fragment)
                case CallStart(0):
                    pass  # the call whose arguments these are
                case CallEnd(0):
                    self._findings.set_complete()
                case CallStart() | ArgumentsDelta():
                    self._next.append(event)
                case CallEnd():
                    self._findings.add_calls(calls_of([*self._next, event]))
                    self._next = []
                case Repaired(Repair.COERCION_FAILED):
                    self._findings.count(Repair.COERCION_FAILED)
        if self._findings.has(Repair.XML_ARGUMENTS):
            self._passage.replace("")


class EncodedMender:
    """Reads a JSON string whose text is the arguments, which `inner` reads."""

    def __init__(self, inner: ArgumentsReader, tool: Tool, new_parser: NewParser, findings: Findings) -> None:
        self._inner, self._tool, self._new_parser, self._findings = inner, tool, new_parser, findings
        self._text = ""  # received, and not unescaped yet
        self._after: Passage | None = None  # what comes after the string
        self._begun = False

    @property
    def pending(self) -> str:
        return self._inner.pending + self._text + (self._after.pending if self._after else "")

    @property
    def held(self) -> int:
        return self._inner.held + len(self._text) + (self._after.held if self._after else 0)

    def feed(self, text: str) -> str:
        if self._after:
            self._after.hold(text)
            return ""
        if not self._begun:
            self._begun, text = True, text[1:]
            self._findings.count(Repair.DOUBLE_ENCODED)
        self._text += text
        end = end_of(_WHOLE, self._text)
        out = self._inner.feed(unescaped(self._text[:end])) if end else ""
        self._text = self._text[end:]
        if self._text[:1] == '"':
            self._after = Passage()
            self._after.hold(self._text[1:])
            self._text = ""
        return out

    def close(self, stopped: bool) -> str:
        out = self._inner.close(stopped)
        if self._after is None:
            return out
        rest = self._after.waiting
        self._after.replace("")
        if take_rest(rest, "", self._tool, self._new_parser, self._findings, stopped):
            return out
        self._findings.set_complete(False)
        return out + rest
