r"""Escapes in JSON strings: what has to be escaped, backslashes that escape nothing, and unescaped
backslashes in Windows paths.

A string begins with such a path (`"C:\repo\src"`) if a drive or dots come before its first backslash. If
one of its backslashes is no valid escape in JSON, and nothing before it is impossible in a path, then
none of its backslashes is an escape. So `\r` in it is not a line break.
"""

import re
from json import loads as read_json

from ..limits import PATH
from .json_write import escaped

ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
ESCAPE_PART = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?")  # the beginning of one
_HEAD = r"(?:[A-Za-z]:|\.\.?)"
_WHOLE_HEAD, _HEAD_PART = re.compile(_HEAD), re.compile(r"[A-Za-z]?|[A-Za-z]:|\.\.?")
_VALID = r"""\\(?:["/bfnrt]|u[0-9a-fA-F]{4})"""
_UNITS = rf"""(?:[^"\\\s\x00-\x1f<>|?*:]|{_VALID}){{0,{PATH}}}"""
_INVALID = r'\\(?:[^"\\/bfnrtu\x00-\x1f]|u(?![0-9a-fA-F]{0,3}\Z)(?![0-9a-fA-F]{4}))'
_BARE = re.compile(_UNITS + _INVALID)
_PART = re.compile(rf"{_UNITS}(?:{ESCAPE_PART.pattern})?")
_IN_QUOTES = re.compile(rf'(?<!\\)"{_HEAD}(?=\\){_UNITS}{_INVALID}(?:[^"\\]|\\.)*', re.DOTALL)
_BACKSLASH = re.compile(r'\\(["\\])|\\')
_OWN_QUOTE = re.compile(r'\\.|(")', re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f]")
_ESCAPE_OR_LONE_BACKSLASH = re.compile(rf"({ESCAPE.pattern})|\\")


def may_begin_path(text: str) -> bool:
    """Whether this text, before the first backslash of a string, may begin a path."""
    return _HEAD_PART.fullmatch(text) is not None


def is_bare(head: str, text: str, at: int, over: bool) -> bool | None:
    """Whether the backslashes of a string are no escapes. `head` is the text before the first one, which
    is at `at`. None if more text is needed."""
    if not _WHOLE_HEAD.fullmatch(head):
        return False
    if _BARE.match(text, at):
        return True
    return None if not over and _PART.fullmatch(text, at) else False


def with_paths(json: str) -> str:
    """JSON in which the backslashes of such strings are escaped."""
    return _IN_QUOTES.sub(lambda found: _escaped(found[0]), json) if "\\" in json else json


def _escaped(string: str) -> str:
    return _BACKSLASH.sub(lambda found: found[0] if found[1] else r"\\", string)


def doubled_escapes(json: str) -> str:
    """JSON in which backslashes that escape nothing are doubled: `\\d` and `C:\\users` mean what they
    say."""
    return _ESCAPE_OR_LONE_BACKSLASH.sub(lambda found: found[1] or r"\\", with_paths(json))


def mended(inside: str, quotes: bool = False) -> str:
    """The inside of a JSON string with everything escaped that has to be; with `quotes`, its own quotes
    as well."""
    if quotes:
        inside = _OWN_QUOTE.sub(lambda found: r"\"" if found[1] else found[0], inside)
    return _CONTROL.sub(lambda found: escaped(found[0]), doubled_escapes(inside))


def unescaped(inside: str) -> str:
    """The text of the inside of a JSON string. Invalid escapes stay as they are."""
    try:
        text = read_json(f'"{inside}"', strict=False)
    except ValueError:
        text = read_json(f'"{doubled_escapes(inside)}"', strict=False)
    return str(text)
