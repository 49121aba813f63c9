r"""The arguments of a call that the server parsed itself, followed and mended while they stream (P15).

An incremental JSON reader, one method per state. Whatever fits the schema passes as it came; what
the schema proves wrong is proved by its first character, so that all that was sent before stays
valid: a string where none is allowed is held and written as what it says, anything else where only
a string will do is written as one. What is not JSON at all is mended if there is one way to mend
it: XML is read by the parser for text, escapes and trailing commas are put right in place, the
rest is held to the end and given to json-repair, where that is installed.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from ..events import (
    ArgumentsDelta,
    CallEnd,
    CallStart,
    Event,
    Repaired,
    calls_of,
)
from ..grammar.text import JSON_NUMBER, JSON_STRING_REST, JSON_WHITESPACE, end_of
from ..limits import HELD, LOOK_AHEAD, OBJECTS, OPEN_BRACKETS, PIECE, TOKEN
from ..repairs import Ledger, Refused, Repair
from ..schema.coercion import FAILED, OMITTED, coerce, conform
from ..schema.json_read import Json, loads, loads_object
from ..schema.json_scanner import JsonScanner
from ..schema.json_write import doubled_escapes, dump, escaped, quoted
from ..schema.lenient_json import read_damaged, same_letters
from ..schema.schema import Parameter, Tool
from .passthrough import Passage
from .swallowed import NewParser, TextParser, split_value

_KINDS = {'"': "string", "{": "object", "[": "array", "t": "boolean", "f": "boolean", "n": "null"}
_KINDS |= dict.fromkeys("-0123456789", "number") | {"T": "boolean", "F": "boolean", "N": "null"}
_PYTHON = {"True": "true", "False": "false", "None": "null"}
_STRING = re.compile(r'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+"')
_STRING_PART = re.compile(r'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+\\?')
_TOKEN = re.compile(r'[^\s,:"{}\[\]]*+')
_EMPTY_VALUE = re.compile(r'[ \t\n\r]*+:[ \t\n\r]*+""')
_EMPTY_VALUE_PART = re.compile(r'[ \t\n\r]*+(?::[ \t\n\r]*+"?)?')
# (`|(?!)`: see chunks.py)
_PLAIN = re.compile(r'(?:[^"\\<\x00-\x1f]++|\\n(?=[^"\\<])|(?!))*+')  # a line break no tag is behind
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_ESCAPE_PART = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?")
# Inside of a string; of the first one, all but what may begin a tag (or a line that a tag follows)
_CLEAN = re.compile(
    r'(?:[^"\\<\x00-\x1f]++|\\["\\/bft]|\\r(?=[^<\\]|\\[^un])|\\n(?=[^<\\]|\\[^u])|\\u(?!003[cC])[0-9a-fA-F]{4}'
    r"|(?!))*+"
)
_CLEAN_NESTED = re.compile(r'(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|(?!))*+')
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

State = Callable[[], bool]


class Frame:
    """An object or array that is open: what is known of it, and where in it we are."""

    __slots__ = ("count", "is_array", "key", "parameter")

    def __init__(self, parameter: Parameter, is_array: bool) -> None:
        self.parameter = parameter
        self.is_array = is_array
        self.count = 0  # of members or items that have begun
        self.key = ""  # of the one that has begun last

    @property
    def closer(self) -> str:
        return "]" if self.is_array else "}"

    def child(self) -> Parameter:
        """What is known of the next value."""
        return self.parameter.item(self.count) if self.is_array else self.parameter.member(self.key)


class Mender(Passage):
    """Mends one call's arguments. `feed` takes them as they come, `close` says that they are over.

    `new_parser` makes the parsers for calls that are text. Repairs and refusals go into `ledger`. Neither
    `feed` nor `close` raises for any text.
    """

    def __init__(self, tool: Tool, new_parser: NewParser, ledger: Ledger, depth: int = 0) -> None:
        super().__init__()
        self.complete = False  # what went out is one JSON object
        self.broken = False  # closed, and it is not
        self.plain = False  # text without anything special is payload at once
        self.preset = ""  # a member to write first
        self.more: list[tuple[str, str]] = []  # calls that were swallowed: name, arguments
        self._tool, self._new_parser, self._ledger, self._depth = tool, new_parser, ledger, depth
        self._repairs: set[Repair] = set()  # each is counted once
        self._state: State = self._at_start
        self._expect = ""  # where the reading broke off, of what can be continued
        self._frames: list[Frame] = []
        self._given: set[str] = set()
        self._cumulative = False  # each delta repeats all before it
        self._example = False  # the value holds an opening tag: closing ones may be its own
        self._scanner = JsonScanner()
        self._inner: Mender | None = None
        self._parser: TextParser | None = None
        self._next: list[Event] = []  # of a call behind this one

    @property
    def value(self) -> Any:
        """The arguments, if they are complete; else None."""
        return loads(_joined(self.text)) if self.complete else None

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

    # How it is done

    def _run(self) -> None:
        while self._state():
            pass
        if self._held_size > HELD:
            self._ledger.refuse(Refused.LIMIT, self.pending)
            self._release()
            self._go(self._in_literal)
            self._in_literal()

    def _go(self, state: State) -> bool:
        self._state = state
        return True

    def repair(self, repair: Repair) -> None:
        """Count a repair, once for these arguments, which are written anew from here on."""
        self.change()
        if repair not in self._repairs:
            self._repairs.add(repair)
            self._ledger.repaired(repair)

    def _skip_blanks(self) -> str:
        """Blanks pass; returns the character behind them, "" if none has come."""
        if self._text[:1] in (" ", "\t", "\n", "\r"):
            self._pass(end_of(JSON_WHITESPACE, self._text))
        return self._text[:1]

    # States: before the object, and behind it

    def _at_start(self) -> bool:
        match self._skip_blanks():
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
            inner.feed(_unescaped(self._text[:end]))
            self._put(end, inner.take())
            self.complete = inner.complete
        if self._text[:1] != '"':
            return False
        self._put(1, "")
        return self._go(self._behind_wrapped)

    def _behind_wrapped(self) -> bool:
        """Behind the string there is nothing to be expected."""
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

    def _behind_object(self) -> bool:
        return self._skip_blanks() != "" and self._go(self._in_rest)

    def _in_rest(self) -> bool:
        """Behind the object, or where it cannot be read any more: all is held to the end."""
        self._hold(len(self._text))
        return False

    def _in_garbage(self) -> bool:
        """No object at all."""
        return self._in_rest()

    def _in_literal(self) -> bool:
        self._pass(len(self._text))
        return False

    def _ended(self) -> bool:
        """Nothing more is expected, and nothing is made of it."""
        return self._in_literal()

    # States: in the object

    def _open(self, parameter: Parameter) -> bool:
        self._frames.append(Frame(parameter, self._text[0] == "["))
        self._pass(1)
        if len(self._frames) > OPEN_BRACKETS:
            return self._go(self._in_literal)
        return self._go(self._at_first)

    def _at_first(self) -> bool:
        """Behind `{` or `[`."""
        frame, char = self._frames[-1], self._skip_blanks()
        if char == "":
            return False
        if self.preset and len(self._frames) == 1:
            self._put(0, self.preset if char == "}" else self.preset + ", ")
            self.preset = ""
        elif char == "}" and len(self._frames) == 1:
            return self._at_empty()
        if char == frame.closer:
            return self._go(self._behind_value)
        self._expect = "first"
        return self._at_item(char)

    def _at_item(self, char: str) -> bool:
        if self._frames[-1].is_array:
            return self._go(self._at_value)
        return self._go(self._at_key) if char == '"' else self._break_off()

    def _at_empty(self) -> bool:
        """`{}`: the arguments, or a false start before them."""
        at = end_of(JSON_WHITESPACE, self._text, 1)
        if at == len(self._text) < TOKEN:
            return False
        if self._text[at : at + 1] == "{":
            self.repair(Repair.REPEATED_ARGUMENTS)
            self._put(at + 1, "")
            return True
        return self._go(self._behind_value)

    def _at_key(self) -> bool:
        found = _STRING.match(self._text)
        if found is None:
            if len(self._text) < TOKEN and _STRING_PART.fullmatch(self._text):
                return False
            return self._break_off()
        key = loads(_joined(found[0]))
        if not isinstance(key, str):
            return self._break_off()
        frame = self._frames[-1]
        if len(self._frames) == 1 and "=" in key and not self._tool.declares(key):
            return self._at_damaged_key(found.end(), key)
        frame.key = key
        self._pass(found.end())
        return self._go(self._at_colon)

    def _at_damaged_key(self, end: int, key: str) -> bool:
        """`"K=V": ""` was `"K": "V"`."""
        name, _, text = key.partition("=")
        name, frame = name.strip(), self._frames[-1]
        fits = self._tool.declares(name) and name not in self._given
        empty = _EMPTY_VALUE.match(self._text, end) if fits else None
        if fits and not empty and len(self._text) < TOKEN and _EMPTY_VALUE_PART.fullmatch(self._text, end):
            return False
        if empty is None:
            frame.key = key
            self._pass(end)
            return self._go(self._at_colon)
        self.repair(Repair.DAMAGED_KEY)
        value = coerce(text, self._tool.parameter(name))
        value = text if value in (FAILED, OMITTED) else value
        self._put(empty.end(), f"{quoted(name)}: {dump(value)}")
        self._given.add(name)
        frame.key, frame.count = name, frame.count + 1
        return self._go(self._behind_value)

    def _at_colon(self) -> bool:
        char = self._skip_blanks()
        if char == "":
            return False
        if char != ":":
            self._expect = ""
            return self._break_off()
        self._pass(1)
        return self._go(self._at_value)

    def _at_value(self) -> bool:
        """The first character of a value decides whether it may be what it is."""
        char = self._skip_blanks()
        if char == "":
            return False
        kind = _KINDS.get(char, "")
        self._expect = "value"
        if not kind:
            return self._break_off()
        frame = self._frames[-1]
        parameter = frame.child()
        if len(self._frames) == 1:
            self._given.add(frame.key)
        if kind in ("object", "array"):
            frame.count += 1
            if _fits(kind, parameter) or "string" not in parameter.types:
                return self._open(parameter)
            self.repair(Repair.WRONG_TYPE)
            self._put(0, '"')
            self._scanner = JsonScanner()
            return self._go(self._in_quoted)
        if kind != "string":
            return self._at_scalar(parameter)
        frame.count += 1
        self._example = False
        if _fits(kind, parameter):
            self._pass(1)
            return self._go(self._in_string)
        self._hold(1)
        return self._go(self._in_wrong_string)

    def _at_scalar(self, parameter: Parameter) -> bool:
        """A number or a word; complete only if something follows it."""
        end = end_of(_TOKEN, self._text)
        if end == len(self._text):
            return end > TOKEN and self._break_off()
        token = _PYTHON.get(self._text[:end], self._text[:end])
        if token not in ("true", "false", "null") and not JSON_NUMBER.fullmatch(token):
            return self._break_off()
        written = _typed(token, parameter)
        frame = self._frames[-1]
        if written != token:
            self.repair(Repair.WRONG_TYPE)
        if written != self._text[:end]:
            if written == token:
                self.repair(Repair.JSON_REPAIRED)
            self._put(end, written)
        else:
            self._pass(end)
        frame.count += 1
        return self._go(self._behind_value)

    def _behind_value(self) -> bool:
        """A comma, or the end of the object or array. A comma waits for what follows it."""
        frame, char = self._frames[-1], self._skip_blanks()
        if char == "":
            return False
        if char == frame.closer:
            self._pass(1)
            self._frames.pop()
            self.complete = not self._frames
            return self._go(self._behind_value if self._frames else self._behind_object)
        self._expect = "comma" if char == "," else ""
        if char != ",":
            return self._break_off()
        at = end_of(JSON_WHITESPACE, self._text, 1)
        if at == len(self._text) < TOKEN:
            return False
        char = self._text[at : at + 1]
        if char == frame.closer:
            self.repair(Repair.JSON_REPAIRED)
            self._put(1, "")
            return True
        if not frame.is_array and char != '"':
            return self._break_off()
        self._pass(at)
        self._expect = ""
        return self._at_item(char)

    def _break_off(self) -> bool:
        return self._go(self._in_rest)

    # States: in a value

    def _in_quoted(self) -> bool:
        """An object or array where only a string will do: its text is the string."""
        if not self._text:
            return False
        end = self._scanner.feed(self._text)
        size = len(self._text) if end is None else end
        self._put(size, escaped(self._text[:size]))
        if end is None:
            return False
        self._put(0, '"')
        return self._go(self._behind_value)

    def _hold_string(self) -> bool:
        """Hold the rest of a string, without its closing quote; False if that has not come."""
        self._hold(end_of(JSON_STRING_REST, self._text))
        return self._text[:1] == '"'

    def _in_wrong_string(self) -> bool:
        """A string where none is allowed: written as what it says."""
        if not self._hold_string():
            return False
        frame = self._frames[-1]
        frame.count -= 1
        parameter = frame.child()
        frame.count += 1
        text = _unescaped("".join(self._held)[1:])
        value = coerce(text, parameter) if text is not None else FAILED
        self._go(self._behind_value)
        if value is FAILED:
            self._ledger.refuse(Refused.MISFIT, f"{frame.key}={text}")
            self._release()
            self._pass(1)
            return True
        self.repair(Repair.WRONG_TYPE)
        self._take_held()
        self._put(1, "null" if value is OMITTED else dump(value))
        return True

    def _in_string(self) -> bool:
        outer = len(self._frames) == 1
        self._pass(end_of(_CLEAN if outer else _CLEAN_NESTED, self._text))
        char = self._text[:1]
        if char == "":
            return False
        if char == '"':
            self._pass(1)
            return self._go(self._behind_value)
        if char < " ":
            self.repair(Repair.JSON_REPAIRED)
            self._put(1, escaped(char))
            return True
        if char == "\\" and not _ESCAPE.match(self._text):
            if _ESCAPE_PART.fullmatch(self._text):
                return False
            self.repair(Repair.JSON_REPAIRED)
            self._put(1, r"\\")
            return True
        return self._at_tag_in_string()

    def _at_tag_in_string(self) -> bool:
        """A tag of a call may begin here, behind a line break or not."""
        tag = _TAG.match(self._text)
        if tag is None:
            if _TAG_PART.fullmatch(self._text):
                return False
            self._pass(max(1, end_of(_ESCAPE, self._text)))
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
        tail = _unescaped("".join(self._held))
        self._go(self._behind_value)
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
        elif self._inner and state in (self._in_wrapped, self._behind_wrapped):
            self._inner.close(stopped)
            self.complete = self._inner.complete
            self._write(self._inner.take())
            self.more += self._inner.more
            if state == self._behind_wrapped:
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
        elif state == self._behind_value and stopped:
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
        """What stands behind the object is dropped if it closes nothing; else the whole is no object."""
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
        """What follows that which went out, if the whole can be read, and only one way."""
        whole = _joined("".join(self._raw))
        if not self._expect or not whole.rstrip().endswith("}"):
            return None
        try:
            value = read_damaged(whole)
            if not isinstance(value, dict) or not self._is_certain(value, whole):
                return None
            value, _ = conform(value, self._tool.arguments)
            mended = self._rest_of(value)
            return mended if loads(_joined(self.text) + mended) == value else None
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
        done, opener = frame.count, ", " if self._expect == "comma" else ""
        if self._expect == "value":
            out.append(dump(node[done if frame.is_array else frame.key]))
            done, opener = done + 1, ", "
        out.append(_members(node, done, opener) + frame.closer)
        for frame, node in zip(self._frames[-2::-1], nodes[-2::-1], strict=True):
            out.append(_members(node, frame.count, ", ") + frame.closer)
        return "".join(out)


def _members(node: Any, done: int, opener: str) -> str:
    """The members or items of a JSON value behind the first `done`, each with what separates it."""
    if isinstance(node, dict):
        parts = [f"{quoted(key)}: {dump(member)}" for key, member in list(node.items())[done:]]
    else:
        parts = [dump(item) for item in node[done:]]
    return opener + ", ".join(parts) if parts else ""


def _fits(kind: str, parameter: Parameter) -> bool:
    """Whether a value of this kind may stand here. Nothing is known to be wrong with a null."""
    types = parameter.types
    return not types or kind == "null" or kind in types or (kind == "number" and "integer" in types)


def _typed(token: str, parameter: Parameter) -> str:
    """A number or word as its schema wants it."""
    kind = _KINDS[token[0]]
    types = parameter.types
    if not _fits(kind, parameter):
        return quoted(token) if "string" in types else token
    if kind != "number" or "number" in types or "integer" not in types or token.lstrip("-").isdigit():
        return token
    value = coerce(token, Parameter({"type": "integer"}, {}, True))
    return token if value is FAILED or value is None else dump(value)


def _joined(text: str) -> str:
    """Text with no pair of surrogates cut in two."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _unescaped(inside: str) -> str:
    """The text of the inside of a JSON string; what is no escape stays as it is."""
    try:
        text = json.loads(f'"{inside}"', strict=False)
    except ValueError:
        text = json.loads(f'"{doubled_escapes(inside)}"', strict=False)
    return str(text)


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
