"""Turns parameter values into fragments of one JSON arguments string, typed by the schema.

A value arrives as text in pieces. If its type can only be string, each piece leaves at once as the
inside of a JSON string. If it may be a string or something else, the first character that is not
white space decides: only `{`, `[` or the beginning of `null` can still be another type and is held.
Every other type is held to the end of the value and written whole. So is, whatever its type, a value
that the user's rules want to see first; what they add comes before the object is closed.
"""

from collections.abc import Iterable, Mapping
from json.encoder import encode_basestring
from typing import Any

from ..limits import EXCERPT, HELD
from ..repairs import Repair
from .coercion import (
    FAILED,
    NULL,
    OMITTED,
    conform,
    conform_members,
    fits_as_text,
    leads,
)
from .json_read import Json
from .json_write import STRICT, dump, encodable, escaped, quoted
from .rules import NO_TEXTS, ToolRules
from .schema import Tool
from .toolset import Toolset
from .values import coerce, coerced, read_string
from .wrapped import unwrapped

_IDLE, _STREAMING, _DECIDING, _HOLDING, _DROPPING = range(5)


class ArgumentsWriter:
    """Writes one call's arguments as fragments of one JSON object, while the values stream.

    `begin`, `feed` and `end` return what can be sent now, often "". `repairs` is for the caller
    to drain. `pending` is what was fed of the open value and is in no fragment yet. The `rules` have
    to be live.
    """

    __slots__ = (
        *("_held", "_key", "_leads", "_opener", "_parameter", "_seen", "_size", "_state", "_tool"),
        *("_absent", "_rules", "given", "repairs"),
    )

    def __init__(self, tool: Tool | None, rules: ToolRules | None = None) -> None:
        self.given: set[str] = set()
        self.repairs: list[tuple[Repair, str]] = []
        self._tool = tool or Tool("")
        self._rules = rules
        self._absent: set[str] = set()  # of what was given: null or empty, so that it was left out
        self._opener = "{"
        self._state = _IDLE
        self._key = ""
        self._parameter = self._tool.arguments
        self._held: list[str] = []
        self._leads = ""
        self._seen = ""
        self._size = 0  # of what is held

    @property
    def pending(self) -> str:
        return "".join(self._held)

    def begin(self, key: str) -> str:
        """A parameter opens; of a key that was given before, the value is dropped."""
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
        """Whether a rule wants to see the value: all of it, or only if it is empty."""
        if self._key in rules.held:
            self._state = _HOLDING
        return self._key in rules.held or self._key in rules.if_empty

    def feed(self, text: str) -> str:
        """A piece of the open value."""
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
        """A JSON string that is not empty opens: what is before its first character, and the inside of it
        follows without `feed`. None if it has to be complete first: then it is a `member`."""
        types = self._tool.parameter(key).types
        held = self._rules is not None and key in self._rules.held
        if key in self.given or (types and "string" not in types) or held:
            return None
        self.given.add(key)
        return self._member(key) + '"'

    def member(self, key: str, value: Any) -> str:
        """A whole member."""
        if key in self.given:
            self.repairs.append((Repair.REPEATED_PARAMETER, key[:EXCERPT]))
            return ""
        self.given.add(key)
        parameter, applied = self._tool.parameter(key), False
        value, mended = read_string(value, parameter)
        if mended:
            self.repairs.append((Repair.JSON_REPAIRED, key[:EXCERPT]))
        value, _ = conform(value, parameter)
        if value is OMITTED:
            self._absent.add(key)
        elif self._rules:
            value, done = self._rules.value(key, value)
            self.repairs += done
            applied = bool(done)
        if value is OMITTED:
            return ""
        if not (applied or fits_as_text(value, parameter)):
            self.repairs.append((Repair.COERCION_FAILED, _excerpt(key, value)))
        try:
            written = dump(value)
        except RecursionError:  # nested so deeply that no client reads it either
            self.repairs.append((Repair.COERCION_FAILED, key[:EXCERPT]))
            return ""
        return self._member(key) + written

    def _appended(self, rules: ToolRules) -> str:
        """What rules add."""
        arguments, applied = rules.appended(self.given - self._absent)
        self.repairs += applied
        return "".join([self._member(key) + dump(value) for key, value in arguments.items()])

    def _give_up(self) -> str:
        """Too much is held to be typed, or to be shown to a rule: it goes on as a string."""
        if self._leads or "string" not in self._parameter.types:
            self.repairs.append((Repair.COERCION_FAILED, self._key[:EXCERPT]))
        return self._stream()

    def _decide(self, text: str) -> str:
        self._held.append(text)
        # white space can precede an array or object, but not a `null` that is exactly null
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
        value, written, mended = coerced(text, self._parameter)
        if value is OMITTED:
            self._absent.add(self._key)
            return ""
        if mended:
            self.repairs.append((Repair.JSON_REPAIRED, _excerpt(self._key, text)))
        failed = value is FAILED
        if failed:
            value = "" if text.isspace() else text
        if self._rules:
            value, applied = self._rules.value(self._key, value)
            self.repairs += applied
            if value is OMITTED:
                return ""
            if applied:
                failed, written = False, ""
        if failed:
            self.repairs.append((Repair.COERCION_FAILED, _excerpt(self._key, text)))
        return self._member(self._key) + (written or dump(value))

    def _member(self, key: str) -> str:
        opener, self._opener = self._opener, ", "
        return f"{opener}{quoted(key)}: "

    def _taken(self) -> str:
        text = "".join(self._held)
        self._held.clear()
        self._seen, self._size = "", 0
        return text


class DeferredArguments:
    """Collects the `values` of a call whose tool is not known yet, for an `ArgumentsWriter`."""

    __slots__ = ("_open", "given", "repairs", "values")

    def __init__(self) -> None:
        self.given: set[str] = set()
        self.repairs: list[tuple[Repair, str]] = []  # always empty: nothing is typed yet
        self.values: list[tuple[str, str]] = []
        self._open: tuple[str, list[str]] | None = None

    @property
    def pending(self) -> str:
        """What was fed of the open value."""
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


def write_object(tool: Tool | None, arguments: Json, text: str) -> tuple[str, list[tuple[Repair, str]]]:
    """A whole arguments object, conformed; `text` is what it was read from, kept if nothing changes."""
    parameters = (tool or Tool("")).arguments
    own = _reading_of(text, arguments)
    try:
        members, changed = conform_members(arguments if own is None else own, parameters, 0)
        written = encodable(text.strip()) if own is not None and not changed else dump(members)
    except RecursionError:
        return "{}" if own is None else encodable(text), [(Repair.COERCION_FAILED, text[:EXCERPT])]
    misfits = [key for key, value in members.items() if not fits_as_text(value, parameters.member(key))]
    return written, [(Repair.COERCION_FAILED, _excerpt(key, members[key])) for key in misfits]


def write_call(
    tool: Tool, arguments: Json, toolset: Toolset, texts: Mapping[str, str] = NO_TEXTS
) -> tuple[str, str, list[tuple[Repair, str]]]:
    """Name and JSON object of a call that is all there, and what was done to its arguments. `texts` as
    for `transform`."""
    applied: list[tuple[Repair, str]] = []
    if (inner := unwrapped(arguments, tool)) is not None:
        applied.append((Repair.NESTED_ARGUMENTS, next(iter(arguments))))
        arguments = inner
    for key, value in arguments.items():
        read, mended = read_string(value, tool.parameter(key))
        if mended:
            applied.append((Repair.JSON_REPAIRED, _excerpt(key, value)))
            arguments = {**arguments, key: read}
    if rules := toolset.rules_for(tool):
        conformed, _ = conform(arguments, tool.arguments)
        name, arguments, more = rules.transform(conformed if type(conformed) is dict else arguments, texts)
        applied += more
        tool = toolset.tools.get(name, tool)
    text, misfits = write_object(tool, arguments, "")
    return tool.name, text, [*applied, *misfits]


def typed(values: Iterable[tuple[str, str]], tool: Tool) -> Json:
    """Arguments as they are typed by the schema; a text stands for a value that cannot be. Of a key
    that comes twice the first value counts."""
    arguments: Json = {}
    for key, text in values:
        if key not in arguments:
            value = coerce(text, tool.parameter(key))
            arguments[key] = ("" if text.isspace() else text) if value is FAILED else value
    return {key: value for key, value in arguments.items() if value is not OMITTED}


def _excerpt(key: str, text: str) -> str:
    return f"{key}={text[:EXCERPT]}"[:EXCERPT]


def _reading_of(text: str, arguments: Json) -> Json | None:
    """The text as an object, numbers as written; None if that is not what `arguments` is."""
    try:
        own = STRICT.decode(text)
        return own if isinstance(own, dict) and own == arguments else None
    except (ValueError, RecursionError):
        return None
