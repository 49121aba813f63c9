r"""The arguments of a call that the server parsed itself, mended while they stream.

`JsonStream` reads the object and types its values. Here is what comes before the object, after it, and
where there is none. What is no JSON is mended if there is one way to mend it. XML is read by the parser for
text, and so are further parameters and calls that a value has swallowed. JSON in a string is read once
more. The rest is held to the end and given to json-repair, where that is installed.
"""

import json
import re
from typing import Any

from ..events import (
    ArgumentsDelta,
    CallEnd,
    CallStart,
    Event,
    Repaired,
    calls_of,
)
from ..grammar.text import JSON_WHITESPACE, end_of
from ..limits import LOOK_AHEAD, OBJECTS, PIECE
from ..repairs import Ledger, Refused, Repair
from ..schema.coercion import conform
from ..schema.json_read import Json, loads, loads_object
from ..schema.json_write import dump, quoted
from ..schema.lenient_json import read_damaged, same_letters
from ..schema.schema import Tool
from .json_stream import COMMA, ESCAPE, NOTHING, VALUE, JsonStream, joined, unescaped
from .swallowed import NewParser, TextParser, split_value

# `|(?!)`, which never matches, stands last in what is repeated for good (`*+`): before 3.11.5 Python does not
# go back to where the last repetition began if that fails half-way.
_PLAIN = re.compile(r'(?:[^"\\<\x00-\x1f]++|\\n(?=[^"\\<])|(?!))*+')  # a line break that no tag follows
# Tags as they stand in a JSON string: Go writes < as \u003c, PHP writes / as \/
_LT, _SLASH, _GT = r"(?:<|\\u003[cC])", r"(?:\\?/)", r"(?:>|\\u003[eE])"
_NEWLINE = r"(?:\\r)?\\n"
_TAG = re.compile(rf"(?P<newline>{_NEWLINE})?{_LT}(?P<slash>{_SLASH})?parameter")
_TAG_PART = re.compile(
    rf"(?:\\r)?(?:\\n)?(?:\\(?:u(?:0(?:03?)?)?)?|{_LT}(?:\\|{_SLASH}?(?:p(?:a(?:r(?:a(?:m(?:e(?:te?)?)?)?)?)?)?)?)?)?"
)
_GAP = rf"{_GT}?(?: |\\[nrt]){{0,{LOOK_AHEAD}}}"
_CLOSER = re.compile(rf"(?:{_NEWLINE})?{_LT}{_SLASH}parameter{_GAP}(?:(?P<end>\")|(?P<tag>{_LT}))")
_CLOSER_PART = re.compile(rf"(?:{_NEWLINE})?{_LT}{_SLASH}parameter(?:{_GAP})?(?:\\(?:u(?:0(?:03?)?)?)?)?")
_CLOSERS = re.compile(r"\r?\n</parameter>?\s*(?:</function>?\s*)?(?:</tool_call>?\s*)?")
_SURPLUS = re.compile(r"[\s}\]]*|\s*(?:</(?:parameter|function|tool_call)>\s*)+")
_INNER_GAP = r"(?:[ \t]|\\[nrt]|(?!))*+"
_WRAPPED_LEAD = re.compile(rf'"{_INNER_GAP}(?:\{{{_INNER_GAP}(?:[^"\\]|\\[^nrt])|<|\\u003[cC])')
_WRAPPED_PART = re.compile(rf'"{_INNER_GAP}(?:\\(?:u(?:0(?:03?)?)?)?|\{{{_INNER_GAP}\\?)?')
_HEX = "[0-9a-fA-F]"
_CUT_ESCAPE = rf"\\(?:\Z|u{_HEX}{{0,3}}\Z)"
# The inside of a string without an escape that is cut, or half a pair of surrogates, at its end
_WHOLE = re.compile(
    rf'(?:[^"\\]++|\\[^u]|\\u(?!{_HEX}{{4}}|{_HEX}{{0,3}}\Z)|\\u(?![dD][89abAB]){_HEX}{{4}}'
    rf"|\\u[dD][89abAB]{_HEX}{{2}}(?:\\u{_HEX}{{4}}|(?!\Z|{_CUT_ESCAPE}))|(?!))*+",
    re.DOTALL,
)
_XML_LEADS = ("<tool_call", "<function", "<invoke", "<parameter")


class Mender(JsonStream):
    """Mends one call's arguments. `feed` takes them as they come, `close` says that they are over.

    `new_parser` makes the parsers for calls that are text. Repairs and refusals go into `ledger`. Neither
    `feed` nor `close` raises for any text.
    """

    def __init__(self, tool: Tool, new_parser: NewParser, ledger: Ledger, depth: int = 0) -> None:
        super().__init__(tool, ledger)
        self.broken = False  # closed, and it is not
        self.plain = False  # text without anything special is payload at once
        self.more: list[tuple[str, str]] = []  # calls that were swallowed: name, arguments
        self._new_parser, self._depth = new_parser, depth
        self._cumulative = False  # each delta repeats all before it
        self._inner: Mender | None = None
        self._parser: TextParser | None = None
        self._next: list[Event] = []  # of a call after this one

    @property
    def value(self) -> Any:
        """The arguments, if they are complete; else None."""
        return loads(joined(self.text)) if self.complete else None

    def follow(self, text: str) -> bool:
        """Take a delta that is plain text of a value: the quick way. False if it is not."""
        if not self.plain or not _PLAIN.fullmatch(text):
            return False
        self.fed += len(text)
        self._raw.append(text)
        if self.changed:
            self._write(text)
        else:
            self.passed += len(text)
        return True

    def feed(self, text: str) -> None:
        """Take the next piece."""
        if self._cumulative or (text[:1] == "{" and len(text) > self.fed > 0):
            text = self._without_repetition(text)
        self.fed += len(text)
        self._raw.append(text)
        for at in range(0, len(text), PIECE):
            self._text += text[at : at + PIECE]
            self._run()
        self.plain = self._state == self._in_string and not self._text

    def close(self, stopped: bool) -> None:
        """The arguments are over; `stopped`: because the model says so."""
        if self._state == self._ended:
            return
        self._finish(stopped)
        self._release()
        self._pass(len(self._text))
        self.complete = self.complete or loads_object(self.text) is not None
        self.broken, self.plain, self._state = not self.complete, False, self._ended
        if self.broken and stopped and self._depth == 0:
            self._ledger.refuse(Refused.INVALID_JSON, self.text)

    def _without_repetition(self, text: str) -> str:
        """Without what came before, if a delta repeats all of it (cumulative snapshots)."""
        before = "".join(self._raw)
        if not text.startswith(before) or (self._state == self._at_value and not self._cumulative):
            return text
        self._cumulative = True
        self.repair(Repair.REPEATED_ARGUMENTS)
        self.change()
        return text[len(before) :]

    # States: before the object, and after it

    def _at_start(self) -> bool:
        match self._skip_whitespace():
            case "":
                return False
            case "{":
                return self._open(self._tool.arguments)
            case '"' if self._depth == 0:
                return self._at_wrapped()
            case "<":
                return self._at_tag()
        return self._go(self._in_garbage)

    def _at_wrapped(self) -> bool:
        """A JSON string of the object: one level too much."""
        if not _WRAPPED_LEAD.match(self._text):
            return not _WRAPPED_PART.fullmatch(self._text) and self._go(self._in_garbage)
        self.repair(Repair.DOUBLE_ENCODED)
        self._put(1, "")
        self._inner = Mender(self._tool, self._new_parser, self._ledger, self._depth + 1)
        self._inner.preset = self.preset
        self._inner.change()
        return self._go(self._in_wrapped)

    def _in_wrapped(self) -> bool:
        inner = self._inner
        assert inner
        end = end_of(_WHOLE, self._text)
        if end:
            inner.feed(unescaped(self._text[:end]))
            self._put(end, inner.take())
            self.complete = inner.complete
        if self._text[:1] != '"':
            return False
        self._put(1, "")
        return self._go(self._after_wrapped)

    def _after_wrapped(self) -> bool:
        """After the string nothing is expected."""
        self._hold(len(self._text))
        return False

    def _at_tag(self) -> bool:
        """XML where JSON should be: parameters, or a whole call."""
        lead = next((lead for lead in _XML_LEADS if self._text.startswith(lead)), "")
        if not lead:
            partial = any(lead.startswith(self._text) for lead in _XML_LEADS)
            return not partial and self._go(self._in_garbage)
        self._parser = self._new_parser(self._tool)
        opening = "" if lead == "<tool_call" else "<tool_call>\n"
        self._read_xml(opening + (f"<function={self._tool.name}>\n" if lead == "<parameter" else ""))
        return self._go(self._in_xml)

    def _in_xml(self) -> bool:
        text = self._text
        self._hold(len(text))
        self._read_xml(text)
        return False

    def _read_xml(self, text: str) -> None:
        if text and self._parser:
            self._take_events(self._parser.feed(text))

    def _take_events(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case ArgumentsDelta(0, fragment):
                    self.repair(Repair.XML_ARGUMENTS)
                    self._write(fragment)
                case CallEnd(0):
                    self.complete, self._next = True, []
                case CallStart() | ArgumentsDelta():
                    self._next.append(event)
                case CallEnd():
                    self.more += calls_of([*self._next, event])
                    self._next = []
                case Repaired(Repair.COERCION_FAILED):
                    self.repair(Repair.COERCION_FAILED)
        if Repair.XML_ARGUMENTS in self._repairs:
            self._take_held()

    def _in_garbage(self) -> bool:
        """No object at all."""
        return self._in_rest()

    def _ended(self) -> bool:
        """Nothing more is expected, and nothing is made of it."""
        return self._in_literal()

    # States: in a value

    def _at_tag_in_string(self) -> bool:
        """A tag of a call may begin here, after a line break or not."""
        tag = _TAG.match(self._text)
        if tag is None:
            if _TAG_PART.fullmatch(self._text):
                return False
            self._pass(max(1, end_of(ESCAPE, self._text)))
            return True
        if tag["slash"] and not self._example:
            return self._go(self._at_closer)
        self._example = self._example or not tag["slash"]
        self._pass(tag.end())
        return True

    def _at_closer(self) -> bool:
        """`</parameter>` in a value that has no opening tag: a call may have been swallowed here."""
        closer = _CLOSER.match(self._text)
        if closer is None and _CLOSER_PART.fullmatch(self._text):
            return False
        if closer:
            return self._go(self._in_swallowed)
        self._pass(end_of(_TAG, self._text))
        return self._go(self._in_string)

    def _in_swallowed(self) -> bool:
        """The rest of the string may be closing tags, further parameters and further calls."""
        if not self._hold_string():
            return False
        tail = unescaped("".join(self._held))
        self._go(self._after_value)
        if tail and _CLOSERS.fullmatch(tail):
            self.repair(Repair.STRAY_CLOSER)
            self._take_held()
            self._put(0, "")
        elif tail and (
            split := split_value(tail, self._frames[-1].key, self._tool, self._given, self._new_parser)
        ):
            self.repair(Repair.SWALLOWED_CALL)
            members, calls = split
            self.more += calls
            self._take_held()
            self._put(1, '"' + "".join(f", {quoted(key)}: {dump(value)}" for key, value in members.items()))
            return True
        else:
            self._release()
        self._pass(1)
        return True

    # The end

    def _finish(self, stopped: bool) -> None:
        """Do what can only be done at the end of the message."""
        state = self._state
        if state == self._in_xml and self._parser:
            self._take_events(self._parser.close("stop" if stopped else "length"))
        elif self._inner and state in (self._in_wrapped, self._after_wrapped):
            self._inner.close(stopped)
            self.complete = self._inner.complete
            self._write(self._inner.take())
            self.more += self._inner.more
            if state == self._after_wrapped:
                self._drop_surplus(self.pending)
            else:
                self._text = ""
        elif state == self._at_start and stopped and not self._text:
            self.repair(Repair.CALL_SHAPE)
            self._put(0, "{" + self.preset + "}")
        elif state == self._in_garbage and stopped and self.pending.strip() in ("null", "None"):
            self.repair(Repair.CALL_SHAPE)
            self._take_held()
            self._put(len(self._text), "{}")
        elif state == self._in_rest:
            self._finish_rest(stopped)
        elif state == self._after_value and stopped:
            self._finish_object()

    def _finish_rest(self, stopped: bool) -> None:
        rest = self.pending
        if not self.complete:
            if stopped and (mended := self._continued(rest)):
                self.repair(Repair.JSON_REPAIRED)
                self._take_held()
                self._put(len(self._text), mended)
            return
        again = _objects(rest)
        if again and all(isinstance(value, dict) for value in again):
            self.repair(Repair.REPEATED_ARGUMENTS)
            if any(value != self.value for value in again):
                self._ledger.refuse(Refused.SECOND_OBJECT, rest)
        else:
            self._drop_surplus(rest)
            return
        self._take_held()
        self._text = ""

    def _drop_surplus(self, rest: str) -> None:
        """What stands after the object is dropped if it closes nothing; else the whole is no object."""
        if not _SURPLUS.fullmatch(rest):
            self.complete = False
            return
        if rest.strip():
            self.repair(Repair.STRAY_CLOSER)
        self._take_held()
        self._text = ""

    def _finish_object(self) -> None:
        """Only the last `}` is missing, and nothing that the tool requires."""
        if (
            len(self._frames) == 1
            and not self._tool.required - self._given
            and self._text.strip() in ("", ",")
        ):
            self.repair(Repair.JSON_REPAIRED)
            self._put(len(self._text), "}")

    def _continued(self, rest: str) -> str | None:
        """What has to follow the text that went out, if the whole can be read in one way only."""
        whole = joined("".join(self._raw))
        if self._expect is NOTHING or not whole.rstrip().endswith("}"):
            return None
        try:
            value = read_damaged(whole)
            if not isinstance(value, dict) or not self._is_certain(value, whole):
                return None
            value, _ = conform(value, self._tool.arguments)
            mended = self._rest_of(value)
            return mended if loads(joined(self.text) + mended) == value else None
        except (ValueError, LookupError, TypeError, RecursionError):
            return None

    def _is_certain(self, value: Json, whole: str) -> bool:
        """All keys are declared, the required ones are there, and not a letter is lost or moved."""
        known = all(map(self._tool.declares, value)) and self._tool.required <= value.keys()
        return known and same_letters(value, whole)

    def _rest_of(self, value: Any) -> str:
        """The JSON of a value from the place on at which the reading broke off."""
        nodes = [value]
        for frame in self._frames[:-1]:
            nodes.append(nodes[-1][frame.count - 1 if frame.is_array else frame.key])
        out = []
        frame, node = self._frames[-1], nodes[-1]
        done, opener = frame.count, ", " if self._expect is COMMA else ""
        if self._expect is VALUE:
            out.append(dump(node[done if frame.is_array else frame.key]))
            done, opener = done + 1, ", "
        out.append(_members(node, done, opener) + frame.closer)
        for frame, node in zip(self._frames[-2::-1], nodes[-2::-1], strict=True):
            out.append(_members(node, frame.count, ", ") + frame.closer)
        return "".join(out)


def _members(node: Any, done: int, opener: str) -> str:
    """The members or items of a JSON value after the first `done`, each with what separates it."""
    if isinstance(node, dict):
        parts = [f"{quoted(key)}: {dump(member)}" for key, member in list(node.items())[done:]]
    else:
        parts = [dump(item) for item in node[done:]]
    return opener + ", ".join(parts) if parts else ""


def _objects(text: str) -> list[Any]:
    """The JSON values a text consists of; [] if it is anything else."""
    decoder, at = json.JSONDecoder(strict=False), end_of(JSON_WHITESPACE, text)
    values: list[Any] = []
    try:
        while at < len(text) and len(values) < OBJECTS:
            value, at = decoder.raw_decode(text, at)
            values.append(value)
            at = end_of(JSON_WHITESPACE, text, at)
    except (ValueError, RecursionError):
        return []
    return values if at == len(text) else []
