"""Reads an object whose members have no quotes: `{command: npm init, description: Set up}`.

The declared keys tell where one value ends and the next one begins. If a value holds what may be one more
key, nobody knows where it ends: then nothing is read.
"""

import re
from collections.abc import Iterator

from ..grammar.kinds import MORE, Wait
from ..grammar.text import JSON_SPACE as _S
from ..grammar.text import JSON_STRING, JSON_WHITESPACE, end_of
from ..limits import JSON_HEAD, JSON_KEY
from .coercion import FAILED, OMITTED, coerce
from .json_read import Json, loads
from .schema import Parameter, Tool

_NAME = rf"\w[\w.-]{{0,{JSON_KEY}}}+"
_BARE_KEY = rf"\{{{_S}(?P<key>{_NAME}){_S}(?P<sep>[:=])"
_FIRST = re.compile(rf"{_BARE_KEY}(?!{_S}[\"'\[{{\d])")
_BARE = re.compile(_BARE_KEY)
_TAG_NAME = re.compile(rf"[\"']?(?P<name>[\w.-]{{0,{JSON_KEY}}}+)[\"']?")
_BARE_PART = re.compile(rf"\{{{_S}(?:(?P<key>\w[\w.-]{{0,{JSON_KEY}}}+)(?P<blank>{_S}))?")
_KEY = re.compile(rf"{_S}([\"']?)(?P<key>{_NAME})\1{_S}(?P<sep>[:=]){_S}")
# What may be the next key in a text, and what stands before it
_NEXT = re.compile(rf"(?P<before>[,;]{_S}|\n[ \t]*+|[ \t])([\"']?)(?P<key>{_NAME})\2{_S}(?P<sep>[:=])(?!//)")
_LAST = re.compile(rf",?{_S}\}}\Z")
_NO_VALUE = tuple("\"'`[{,:;=>")  # nothing that is written without quotes begins so
_PAIRS = ("()", "[]", "{}")
_QUOTES = "'`"
_ESCAPED = re.compile(r'[^\\]*+(?:\\["\\/bfnrtu][^\\]*+)++')  # it may be the inside of a string


def opens_bare(text: str, at: int, over: bool, tool: Tool) -> bool | Wait:
    """Whether the bracket at `at` opens an object that begins with a key without quotes, one of the tool's
    parameters. It does not if a parameter's name and the last bracket of a tag follow: `{parameter=path>`."""
    found = _BARE.match(text, at)
    if found is None:
        return not over and _may_open_bare(text, at, tool) and MORE
    if found.end() - at > JSON_HEAD or not tool.declares(found["key"]):
        return False
    name = _TAG_NAME.match(text, found.end())
    if name is None:
        return True
    if name.end() == len(text) and not over:
        return MORE
    return not (tool.declares(name["name"]) and text.startswith(">", name.end()))


def _may_open_bare(text: str, at: int, tool: Tool) -> bool:
    """Whether more text may make such an object of the text from `at` on."""
    part = _BARE_PART.fullmatch(text, at)
    if part is None or len(text) - at > JSON_HEAD:
        return False
    key, declared = part["key"] or "", tool.arguments.declared
    return key in declared if part["blank"] else any(name.startswith(key) for name in declared)


def is_bare(text: str, tool: Tool) -> bool:
    """Whether an object begins with one of the tool's parameters, and neither that nor its value has
    quotes."""
    found = _FIRST.match(text)
    return found is not None and tool.declares(found["key"])


def read_bare(text: str, tool: Tool) -> Json | None:
    """The members of such an object, typed by the schema; None if it is not certain what they are."""
    members: Json = {}
    for key, value in _members(text, tool):
        if key in members or value is FAILED:
            return None
        members[key] = value
    given = {key: value for key, value in members.items() if value is not OMITTED}
    return given if tool.required <= given.keys() else None


def _members(text: str, tool: Tool) -> Iterator[tuple[str, object]]:
    """The keys and their values. FAILED for a value that cannot be told, which is the last one then."""
    last, at, sep = _LAST.search(text), 1, ""
    while last:
        found = _KEY.match(text, at)
        if found is None or not tool.declares(found["key"]) or (sep and found["sep"] != sep):
            break
        key, sep = found["key"], found["sep"]
        end = _end_of_value(text, found.end(), last.start(), tool, sep)
        yield key, FAILED if end < 0 else _value(text, found.end(), end, tool.parameter(key))
        if end < 0 or end == last.start():
            return
        at = end + 1
    yield "", FAILED


def _end_of_value(text: str, at: int, last: int, tool: Tool, sep: str) -> int:
    """The index of the comma after the value at `at`, or `last`; -1 if that is not certain. There are three
    signs that a word is the next key: it is declared, `sep` follows it as it followed the first one, and a
    comma stands before it. With two of them nobody knows, nor if another mark stands for the comma."""
    if text.startswith('"', at):
        return _end_of_string(text, at, last)
    for found in _NEXT.finditer(text, at, last):
        same, mark = found["sep"] == sep, found["before"][0]
        signs = tool.declares(found["key"]), same, mark == ","
        if all(signs):
            return found.start()
        if sum(signs) > 1 or (same and mark in ";\n"):
            return -1
    return last


def _end_of_string(text: str, at: int, last: int) -> int:
    string = JSON_STRING.match(text, at)
    end = end_of(JSON_WHITESPACE, text, string.end()) if string else -1
    return end if end >= last or text[end : end + 1] == "," else -1


def _value(text: str, at: int, end: int, parameter: Parameter) -> object:
    """The value that stands there; FAILED if it is not certain that it ends there."""
    value, rest = text[at:end].strip(), text[end:]
    if value[:1] == '"':
        string = loads(value, strict=False)
        return coerce(string, parameter) if isinstance(string, str) else FAILED
    if len(value) > 1 and value[0] == value[-1] == "'" and not re.search(r"['\\]", value[1:-1]):
        return coerce(value[1:-1], parameter)
    if not _is_whole(value, rest) or (parameter.takes_text and value.startswith(_NO_VALUE)):
        return FAILED
    return coerce(value, parameter)


def _is_whole(value: str, rest: str) -> bool:
    """Whether no pair of quotes or brackets goes on after it, and nothing in it may be an escape."""
    if not value or value.count('"') % 2 or _ESCAPED.fullmatch(value):
        return False
    if any(value.count(pair[0]) != value.count(pair[1]) for pair in _PAIRS):
        return False
    return not any(value.count(quote) % 2 and quote in rest for quote in _QUOTES)
