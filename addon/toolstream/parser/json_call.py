"""JSON-bodied calls: what Qwen2.5 and Qwen3 write inside `<tool_call>`, and Coder models by mistake.

`JsonEnvelope` reads what stands in an envelope while it streams: one call, an array of calls, or
several calls one after the other. A call is `{"name": …, "arguments": {…}}`, where "parameters" may
stand for "arguments" and the arguments may be a JSON string of an object; in an envelope, where
it cannot be anything else, also what models make of that.
"""

import json
import re
from typing import Any

from ..grammar.grammar import Grammar
from ..grammar.spelling import BLANK, LOOK_AHEAD
from ..repairs import Repair
from ..schema.json_write import as_written, doubled_escapes
from ..schema.lenient_json import read_damaged
from ..schema.schema import Tool
from ..schema.toolset import Toolset
from .json_scanner import JsonBody

KEYS = frozenset({"name", "arguments", "parameters", "id", "type"})  # what a call may consist of
# What models write instead: a key of the name, a key of the arguments, a key around both
NAME_KEYS = ("name", "function", "tool_name", "tool")
ARGUMENT_KEYS = ("arguments", "parameters", "args", "input", "tool_input")
WRAP_KEYS = ("tool_call", "function_call", "function")


Call = tuple[str, dict[str, Any]]  # name, arguments; a call without a name has ""

_BLANKS = re.compile(f"[{BLANK}]*")
_SURPLUS = re.compile(f"[{BLANK}}}\\]]{{0,{LOOK_AHEAD}}}")
# Models put raw newlines and tabs into strings.
_DECODER = json.JSONDecoder(strict=False, parse_float=as_written)


class JsonEnvelope:
    """The JSON in an envelope. Feed it what follows the opening tag; once it has `ended`, `rest` is what
    follows, and `calls` and `repairs` what was found: None if it is no call for certain. `cut`: the
    message ended in it."""

    named, fenced = True, False  # see `BareJsonCall`

    def __init__(self, grammar: Grammar, toolset: Toolset) -> None:
        self.ended = self.cut = False
        self.rest = ""
        self.calls: list[Call] | None = None
        self.repairs: list[Repair] = []
        self._grammar, self._toolset = grammar, toolset
        self._bodies: list[str] = []
        self._text = ""  # received, not yet looked at
        self._body = self._next_body()
        self._state = self._in_body

    @property
    def text(self) -> str:
        """The JSON so far."""
        return "".join(self._bodies) + self._body.text

    @property
    def pending(self) -> str:
        """What was received and is not handed back."""
        return "".join(self._bodies) + self._body.pending + self._text

    @property
    def unsure(self) -> str:
        """What would be read if this were no JSON."""
        return self._body.unsure

    def feed(self, text: str, over: bool) -> None:
        """Take text; `over`: no more comes."""
        self._text += text
        while not self.ended and self._state(over):
            pass

    def _next_body(self) -> JsonBody:
        return JsonBody(self._grammar.ends_json, lambda text: read_body(text, self._toolset) is not None)

    def _in_body(self, over: bool) -> bool:
        """An object or array."""
        text, self._text = self._text, ""
        self._body.feed(text, over)
        if self._body.ended:
            self._text = self._body.rest
            self._state = self._behind_body
            return True
        self.cut = over
        return over and self._end([])

    def _behind_body(self, over: bool) -> bool:
        """Another one follows, or brackets too many, or the end of the envelope."""
        at = _end(_BLANKS, self._text)
        if at == len(self._text) and not over:
            return False
        match self._text[at : at + 1]:
            case "{" | "[":
                self._bodies += [self._body.text, self._text[:at]]
                self._body, self._text = self._next_body(), self._text[at:]
                self._state = self._in_body
                return True
            case "}" | "]":
                return self._at_surplus(over)
            case "," | ":" | '"':
                return self._is_broken()
            case mark if mark.isalnum() and at == 0:
                return self._is_broken()
        return self._end([])

    def _is_broken(self) -> bool:
        """A bracket closed it before its end."""
        self.ended, self.rest, self._text = True, self._text, ""
        return False

    def _at_surplus(self, over: bool) -> bool:
        """Brackets that belong to nothing, if a tag stands after them; else they are text."""
        at = _end(_SURPLUS, self._text)
        closes = self._grammar.after.match(self._text, at) is not None
        partial = at == len(self._text) or self._grammar.after.may_begin(self._text, at)
        if partial and not (closes or over):
            return False
        if not (closes or partial):
            return self._end([])
        self._text = self._text[at:]
        return self._end([Repair.STRAY_CLOSER])

    def _end(self, more: list[Repair]) -> bool:
        self.ended, self.rest, self._text = True, self._text, ""
        if found := read_body(self.text, self._toolset):
            self.calls, self.repairs = found[0], found[1] + more
        return False


def read_body(text: str, toolset: Toolset) -> tuple[list[Call], list[Repair]] | None:
    """The calls of the JSON in an envelope, and what was mended; None if it holds none for certain."""
    if calls := read_calls(text) or read_calls(text, drift=True):
        return calls, [Repair.JSON_BODY]
    calls = read_damaged_calls(text)
    if calls and all(_fits(toolset.find(name), arguments) for name, arguments in calls):
        return calls, [Repair.JSON_BODY, Repair.JSON_REPAIRED]
    return None


def _fits(tool: Tool | None, arguments: dict[str, Any]) -> bool:
    """Whether a tool is called as it wants to be."""
    return tool is not None and tool.required <= arguments.keys() <= tool.arguments.declared


def read_calls(text: str, drift: bool = False) -> list[Call] | None:
    """The calls of a JSON body; None if it is anything else."""
    for attempt in (text, doubled_escapes(text)):
        try:
            return _calls_of(_values(attempt), drift)
        except (ValueError, RecursionError):
            continue
    return None


def read_damaged_calls(text: str) -> list[Call] | None:
    """The same for a body that is not quite JSON; None if it is not certain what it says."""
    try:
        return _calls_of([read_damaged(text)], drift=True)
    except ValueError:
        return None


def _values(text: str) -> list[Any]:
    """The JSON values one after the other."""
    values: list[Any] = []
    text = text.strip()
    at = 0
    while at < len(text):
        value, at = _DECODER.raw_decode(text, at)
        values.append(value)
        while text[at : at + 1].isspace():
            at += 1
    return values


def _calls_of(values: list[Any], drift: bool) -> list[Call]:
    calls = [_call(v, drift) for value in values for v in (value if isinstance(value, list) else [value])]
    if not calls:
        raise ValueError("no call")
    return calls


def read_arguments(text: str, tool: Tool) -> tuple[dict[str, Any], list[Repair]] | None:
    """The arguments a JSON object holds, and what was mended; None if it is anything else."""
    if (found := read_object(text)) is not None:
        return found, [Repair.JSON_BODY]
    damaged = read_damaged(text)
    if isinstance(damaged, dict) and _fits(tool, damaged):
        return damaged, [Repair.JSON_BODY, Repair.JSON_REPAIRED]
    return None


def read_object(text: str) -> dict[str, Any] | None:
    """One JSON object, as a model writes it; None if it is anything else."""
    for attempt in (text, doubled_escapes(text)):
        try:
            value = _DECODER.decode(attempt)
        except (ValueError, RecursionError):
            continue
        return value if isinstance(value, dict) else None
    return None


def _call(value: Any, drift: bool) -> Call:
    if not isinstance(value, dict):
        raise ValueError("not a call")
    name, arguments = _drifted(value) if drift else _plain(value)
    if isinstance(arguments, str):
        arguments = _DECODER.decode(arguments)
    if not (isinstance(name, str) and isinstance(arguments, dict)):
        raise ValueError("a name is no string, or arguments are no object")
    if arguments.get("type") == "object" and isinstance(arguments.get("properties"), dict):
        raise ValueError("a tool is being declared")
    return name, arguments


def _plain(value: dict[str, Any]) -> tuple[Any, Any]:
    if "name" not in value or not KEYS.issuperset(value):
        raise ValueError("more than a call")  # dropping it would lose what the model said
    return value["name"], value.get("arguments", value.get("parameters", {}))


def _drifted(value: dict[str, Any]) -> tuple[Any, Any]:
    for key in WRAP_KEYS:
        inner = value.get(key)
        if isinstance(inner, dict) and {key, "id", "type"}.issuperset(value):
            return _drifted(inner)
    names = [key for key in NAME_KEYS if key in value]
    arguments = [key for key in ARGUMENT_KEYS if key in value]
    if len(names) != 1 or len(arguments) > 1 or not {*names, *arguments, "id", "type"}.issuperset(value):
        raise ValueError("more than a call")
    name = value[names[0]]
    if isinstance(name, dict) and not arguments:
        return "", name  # the name is missing
    return name, value[arguments[0]] if arguments else {}


def _end(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.match(text)
    return match.end() if match else 0
