"""JSON-bodied calls: what Qwen2.5 and Qwen3 write inside `<tool_call>`, and Coder models by mistake.

`JsonScanner` finds where a JSON text ends while it streams: it counts brackets outside of
strings and looks at each character once. `JsonBody` is such a text between tags, which end it
too if its brackets do not. `read_calls` then reads the finished text: one call, an array of
calls, or several calls one after the other. A call is `{"name": …, "arguments": {…}}`, where
"parameters" may stand for "arguments" and the arguments may be a JSON string of an object; in an
envelope, where it cannot be anything else, also what models make of that (`DRIFT`).
"""

import json
import re
from collections.abc import Callable
from typing import Any

from .arguments import as_written, doubled_escapes
from .damaged_json import read_damaged
from .grammar import Lookout, Tag
from .repairs import Repair
from .requests import Toolset
from .schema import Tool

KEYS = frozenset({"name", "arguments", "parameters", "id", "type"})  # what a call may consist of
# What models write instead: a key of the name, a key of the arguments, a key around both
NAME_KEYS = ("name", "function", "tool_name", "tool")
ARGUMENT_KEYS = ("arguments", "parameters", "args", "input", "tool_input")
WRAP_KEYS = ("tool_call", "function_call", "function")
TRIES = 8  # closing tags within a string at which the JSON is read, for a quote may be missing

LINE = 64  # characters of a line that are looked at for blanks

Call = tuple[str, dict[str, Any]]  # name, arguments; a call without a name has ""

# Models put raw newlines and tabs into strings.
_DECODER = json.JSONDecoder(strict=False, parse_float=as_written)
_OUTSIDE = re.compile(r'["{}\[\]]')
_INSIDE = re.compile(r'["\\]')


class JsonScanner:
    """Follows one JSON object or array; `feed` says where it ends."""

    __slots__ = ("_depth", "_escaped", "in_string")

    def __init__(self) -> None:
        self._depth = 0
        self._escaped = False
        self.in_string = False

    def feed(self, text: str) -> int | None:
        """The offset in `text` just past the end of the JSON, or None if it goes on."""
        at = 0
        if self._escaped and text:
            at, self._escaped = 1, False
        while match := (_INSIDE if self.in_string else _OUTSIDE).search(text, at):
            at = match.end()
            match match[0]:
                case '"':
                    self.in_string = not self.in_string
                case "\\" if at == len(text):
                    self._escaped = True
                case "\\":
                    at += 1
                case "{" | "[":
                    self._depth += 1
                case _:
                    self._depth -= 1
                    if self._depth <= 0:
                        return at
        return None


class JsonBody:
    """A JSON text that stands between tags. Feed it; once it has `ended`, `text` is the JSON and `rest`
    what follows. It ends at its last bracket, or at a tag that cannot be in it.

    No string of JSON holds a line break. So a tag that starts a line ends what looks like a string, if
    the text before it is `readable`: then a quote was lost. Else a model wrote a line break as it is.
    """

    def __init__(self, tags: Lookout, readable: Callable[[str], bool]) -> None:
        self.ended = False
        self.rest = ""
        self._suspect = 0  # where an envelope opens at the start of a line in what looks like a string
        self._size = 0
        self._tags = tags
        self._readable = readable
        self._scanner = JsonScanner()
        self._read: list[str] = []
        self._line = ""  # the end of what was read, as far as it is of one line
        self._text = ""  # received, not yet looked at
        self._tries = 0

    @property
    def text(self) -> str:
        """The JSON so far."""
        return "".join(self._read)

    @property
    def pending(self) -> str:
        """What was received and is not handed back."""
        return self.text + self._text

    @property
    def unsure(self) -> str:
        """What would be read if the JSON were none: from the first envelope on that starts a line."""
        return self.text[self._suspect :] if self._suspect else ""

    def feed(self, text: str, over: bool = False) -> None:
        """Take text; `over`: no more comes."""
        self._text += text
        while not self.ended and self._step(over):
            pass

    def _step(self, over: bool) -> bool:
        """Go on to the next tag; False if none has come."""
        tag = self._tags.search(self._text, over) if "<" in self._text else None
        before = tag.start if tag else len(self._text) if over else self._tags.held_from(self._text)
        end = self._scanner.feed(self._text[:before])
        self._take(before if end is None else end)
        if end is not None or (tag and self._ends_it()):
            self.ended, self.rest, self._text = True, self._text, ""
        elif tag:
            self._note(tag)
            self._take(tag.end - tag.start)
        return tag is not None

    def _note(self, tag: Tag) -> None:
        if tag.kind == "wrap_open" and not (self._suspect or self._line.strip(" \t")):
            self._suspect = self._size

    def _ends_it(self) -> bool:
        """Whether the tag that comes next ends the JSON although brackets are missing."""
        if not self._scanner.in_string:
            return True
        if self._line.strip(" \t") or self._tries == TRIES:
            return False
        self._tries += 1
        return self._readable(self.text)

    def _take(self, end: int) -> None:
        taken, self._text = self._text[:end], self._text[end:]
        self._read.append(taken)
        self._size += len(taken)
        line = taken.rfind("\n") + 1
        self._line = taken[line:] if line else (self._line + taken)[:LINE]


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
