"""Writes parameter values as fragments of one JSON arguments string, typed by the schema.

A value arrives as text, in pieces. If it can only be a string, each piece leaves at once, as the inside
of a JSON string. If it may be a string or something else, its first character that is not whitespace
decides: only `{`, `[` or the beginning of `null` can still be another type and is held. A value of any
other type is held to its end and written whole. So is every value that one of the user's rules needs to
see first. What the rules add is written before the object is closed.
"""

from enum import Enum, auto
from json.encoder import encode_basestring
from typing import Any

from ..limits import EXCERPT, HELD
from ..repairs import Applied, Repair
from .coercion import FAILED, NULL, OMITTED, conform, fits_as_text, leads
from .json_write import dump, encodable, escaped, quoted
from .rules import ToolRules
from .schema import Tool
from .values import coerced_leniently, excerpt_of, read_string


class _State(Enum):
    """What is done with the value that is open."""

    IDLE = auto()  # none is open
    STREAMING = auto()  # it is a string, and its text leaves at once
    DECIDING = auto()  # it may be a string: its first characters tell
    HOLDING = auto()  # it is held to its end
    DROPPING = auto()  # its key was given before


# To look up a member of an enum takes Python 3.11 ten times as long as to look up a global name
_IDLE, _STREAMING, _DECIDING, _HOLDING, _DROPPING = _State


class ArgumentsWriter:
    """Writes the arguments of one call as fragments of one JSON object, while the values stream.

    `begin`, `feed` and `end` return what can be sent now, often "". `repairs` fills up, and the caller
    empties it. `pending` is the part of the open value that is in no fragment yet. `given` are the keys
    so far. The `rules` have to be live.
    """

    __slots__ = (
        "_absent",
        "_held",
        "_key",
        "_leads",
        "_opener",
        "_parameter",
        "_rules",
        "_seen",
        "_size",
        "_state",
        "_tool",
        "given",
        "repairs",
    )

    def __init__(self, tool: Tool | None, rules: ToolRules | None = None) -> None:
        self.given: set[str] = set()
        self.repairs: Applied = []
        self._tool = tool or Tool("")
        self._rules = rules
        self._absent: set[str] = set()  # given, but left out, because it was null or empty
        self._opener = "{"
        self._state = _IDLE
        self._key = ""
        self._parameter = self._tool.arguments
        self._held: list[str] = []
        self._leads = ""
        self._seen = ""
        self._size = 0  # characters of `_held`

    @property
    def pending(self) -> str:
        return "".join(self._held)

    def begin(self, key: str) -> str:
        """A parameter opens. If its key was given before, its value is dropped."""
        before = self.end()
        if key in self.given:
            self._state = _DROPPING
            self.repairs.append((Repair.REPEATED_PARAMETER, key[:EXCERPT]))
            return before
        self.given.add(key)
        self._key = key
        self._parameter = self._tool.parameter(key)
        types = self._parameter.types
        self._leads = leads(self._parameter)
        self._state = _DECIDING if not types or "string" in types else _HOLDING
        waits = self._rules is not None and self._wait_for_rules(self._rules)
        return before if self._leads or self._state == _HOLDING or waits else before + self._stream()

    def _wait_for_rules(self, rules: ToolRules) -> bool:
        """Whether a rule needs to see the value: all of it, or only if it is empty."""
        if self._key in rules.held:
            self._state = _HOLDING
        return self._key in rules.held or self._key in rules.if_empty

    def feed(self, text: str) -> str:
        """Take a piece of the open value."""
        if self._state == _STREAMING:
            inside = encode_basestring(text)[1:-1]
            return inside if inside.isascii() or inside.isprintable() else encodable(inside)
        if self._state == _DECIDING:
            return self._decide(text)
        if self._state == _HOLDING:
            self._held.append(text)
            self._size += len(text)
            if self._size > HELD:
                return self._give_up()
        return ""

    def end(self) -> str:
        """The open value is complete."""
        state, self._state = self._state, _IDLE
        if state == _STREAMING:
            return '"'
        return self._resolve() if state in (_DECIDING, _HOLDING) else ""

    def close(self) -> str:
        """The object is complete."""
        rest = self.end() + (self._appended(self._rules) if self._rules else "")
        return rest + ("{}" if self._opener == "{" else "}")

    # Members that come as JSON

    def open_string(self, key: str) -> str | None:
        """A JSON string that is not empty opens. Return what comes before its first character; its inside
        is then written without `feed`. None if the string has to be complete first, and be given to
        `member`."""
        types = self._tool.parameter(key).types
        held = self._rules is not None and key in self._rules.held
        if key in self.given or (types and "string" not in types) or held:
            return None
        self.given.add(key)
        return self._member(key) + '"'

    def member(self, key: str, value: Any) -> str:
        """Take a whole member."""
        if key in self.given:
            self.repairs.append((Repair.REPEATED_PARAMETER, key[:EXCERPT]))
            return ""
        self.given.add(key)
        parameter = self._tool.parameter(key)
        value, mended = read_string(value, parameter)
        if mended:
            self.repairs.append((Repair.JSON_REPAIRED, key[:EXCERPT]))
        value, _ = conform(value, parameter)
        if value is OMITTED:
            self._absent.add(key)
            return ""
        value, applied = self._ruled(key, value)
        if value is OMITTED:
            return ""
        if not (applied or fits_as_text(value, parameter)):
            self.repairs.append((Repair.COERCION_FAILED, excerpt_of(key, value)))
        try:
            written = dump(value)
        except RecursionError:  # nested so deeply that no client reads it either
            self.repairs.append((Repair.COERCION_FAILED, key[:EXCERPT]))
            return ""
        return self._member(key) + written

    def _ruled(self, key: str, value: Any) -> tuple[Any, bool]:
        """What rules make of a value, OMITTED if they remove it, and whether any applied."""
        if not self._rules:
            return value, False
        value, applied = self._rules.value(key, value)
        self.repairs += applied
        return value, bool(applied)

    def _appended(self, rules: ToolRules) -> str:
        """The members that rules add."""
        arguments, applied = rules.appended(self.given - self._absent)
        self.repairs += applied
        return "".join([self._member(key) + dump(value) for key, value in arguments.items()])

    def _give_up(self) -> str:
        """Too much is held, so the value is written as a string, without types or rules."""
        if self._leads or "string" not in self._parameter.types:
            self.repairs.append((Repair.COERCION_FAILED, self._key[:EXCERPT]))
        return self._stream()

    def _decide(self, text: str) -> str:
        self._held.append(text)
        # whitespace may come before an array or object, but `null` has to be exactly that
        self._seen += text if self._seen or self._leads in ("n", "") else text.lstrip()
        lead = self._seen[:1]
        if not lead or (lead == "n" in self._leads and NULL.startswith(self._seen)):
            return ""
        if lead in self._leads and lead != "n":
            self._state = _HOLDING
            return ""
        return self._stream()

    def _stream(self) -> str:
        self._state = _STREAMING
        return f'{self._member(self._key)}"{escaped(self._taken())}'

    def _resolve(self) -> str:
        text = self._taken()
        value, written, mended = self._coerced(text)
        if value is OMITTED:
            self._absent.add(self._key)
            return ""
        if mended:
            self.repairs.append((Repair.JSON_REPAIRED, excerpt_of(self._key, text)))
        failed = value is FAILED
        if failed:
            value = "" if text.isspace() else text
        value, applied = self._ruled(self._key, value)
        if value is OMITTED:
            return ""
        if applied:
            written = ""
        elif failed:
            self.repairs.append((Repair.COERCION_FAILED, excerpt_of(self._key, text)))
        return self._member(self._key) + (written or dump(value))

    def _coerced(self, text: str) -> tuple[Any, str, bool]:
        """As `coerced_leniently`. The opening tag of the value may stand between its items once more."""
        value, written, mended = coerced_leniently(text, self._parameter)
        if value is FAILED and (opener := f"<parameter={self._key}>") in text:
            without = "\n".join(line for line in text.split("\n") if line.strip() != opener)
            value, written, _ = coerced_leniently(without, self._parameter)
            mended = value is not FAILED
        return value, written, mended

    def _member(self, key: str) -> str:
        opener, self._opener = self._opener, ", "
        return f"{opener}{quoted(key)}: "

    def _taken(self) -> str:
        text = "".join(self._held)
        self._held.clear()
        self._seen, self._size = "", 0
        return text


class DeferredArguments:
    """Collects the `values` of a call whose tool is not known yet, to be given to an `ArgumentsWriter`
    later."""

    __slots__ = ("_open", "given", "repairs", "values")

    def __init__(self) -> None:
        self.given: set[str] = set()
        self.repairs: Applied = []  # always empty: nothing is typed yet
        self.values: list[tuple[str, str]] = []
        self._open: tuple[str, list[str]] | None = None

    @property
    def pending(self) -> str:
        """The open value, as far as it has arrived."""
        return "".join(self._open[1]) if self._open else ""

    def begin(self, key: str) -> str:
        self.given.add(key)
        self._open = key, []
        return ""

    def feed(self, text: str) -> str:
        if self._open:
            self._open[1].append(text)
        return ""

    def end(self) -> str:
        if self._open:
            self.values.append((self._open[0], "".join(self._open[1])))
            self._open = None
        return ""

    def close(self) -> str:
        return self.end()
