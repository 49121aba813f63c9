"""Pieces of text that several readers look for: whitespace, ends of lines, strings and numbers of JSON."""

import re

from ..limits import LOOK_AHEAD

BLANK = " \t\n\r\f\v"  # what counts as whitespace around tags
WHITESPACE = re.compile(f"[{BLANK}]*")
GAP = re.compile(f"[{BLANK}]{{0,{LOOK_AHEAD}}}")  # between a tag and what has to follow it
LINE_REST = re.compile(
    r"[ \t]*(\r?\n|\r?\Z)?"
)  # the group is the line's end, if only whitespace is before it

JSON_SPACE = r"[ \t\n\r]*+"
JSON_WHITESPACE = re.compile(JSON_SPACE)
JSON_STRING_REST = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)  # up to its closing quote
JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")


def end_of(pattern: re.Pattern[str], text: str, start: int = 0) -> int:
    """Where a match that begins at `start` ends; `start` if there is none."""
    found = pattern.match(text, start)
    return found.end() if found else start
