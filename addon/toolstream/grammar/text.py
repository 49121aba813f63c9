"""What several readers share: patterns of whitespace, of line ends and of parts of JSON; surrogate pairs."""

import re

from ..limits import COMMENT as COMMENT_SIZE
from ..limits import LOOK_AHEAD, WHITESPACE_RUN
from .kinds import MORE, Wait

BLANK = " \t\n\r\f\v"  # what counts as whitespace around tags
WHITESPACE = re.compile(f"[{BLANK}]*")
GAP = re.compile(f"[{BLANK}]{{0,{LOOK_AHEAD}}}")  # between a tag and what has to follow it
# The rest of a line; its end is the group, if nothing but blanks come before that
LINE_REST = re.compile(r"[ \t]*(\r?\n|\r?\Z)?")

_ELLIPSIS = re.compile(r"\.{3}|…")
# What may stand around one: brackets, another one, and a misspelt closing tag after it
_WITH_ELLIPSIS = re.compile(r"(?:[\s.…,#\[\](){}>]|<(?!/)|(?!))++(?:</\w{1,32}>\s{0,64}+){0,8}+")
JSON_SPACE = r"[ \t\n\r]*+"
JSON_WHITESPACE = re.compile(JSON_SPACE)
JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
# A string, whatever its backslashes escape; and the rest of one, after its first quote
JSON_STRING_REST = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
JSON_STRING = re.compile(f'"{JSON_STRING_REST.pattern}', re.DOTALL)
JSON_CLOSERS = {"{": "}", "[": "]"}
# A comment in JSON, and the beginning of one. What holds a quote may be the rest of a string instead
_IN_STARS = rf'/\*(?:[^*"]|\*(?!/)|(?!)){{0,{COMMENT_SIZE}}}+'
COMMENT = rf'(?:(?://|#)[^\n"]{{0,{COMMENT_SIZE}}}\n|{_IN_STARS}\*/)'
COMMENT_PART = rf'(?:/|(?://|#)[^\n"]{{0,{COMMENT_SIZE}}}|{_IN_STARS}\*?)'


def end_of(pattern: re.Pattern[str], text: str, start: int = 0) -> int:
    """The end of a match that begins at `start`; `start` if there is none."""
    found = pattern.match(text, start)
    return found.end() if found else start


def joined(text: str) -> str:
    """The text with pairs of surrogates that were cut in two joined."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def skip_whitespace(text: str, at: int) -> int:
    """The end of the whitespace at `at`, of which at most LOOK_AHEAD characters count."""
    found = GAP.match(text, at)
    return found.end() if found else at


def breaks_line(text: str, at: int) -> bool:
    """Whether a line break is in the whitespace at `at`."""
    return "\n" in text[at : skip_whitespace(text, at)]


def ends_line(text: str, at: int) -> bool:
    """Whether nothing but blanks comes from `at` on before the end of the line, or of the text."""
    rest = LINE_REST.match(text, at)
    return rest is not None and rest[1] is not None


def read_line_end(text: str, at: int, over: bool) -> bool | Wait:
    """Whether nothing but blanks comes before the end of the line; MORE if the text ends there and is not
    `over`."""
    rest = LINE_REST.match(text, at)
    if rest and rest[1] in ("", "\r") and not over:
        return MORE
    return rest is not None and rest[1] is not None


def read_literal(text: str, at: int, literal: str, over: bool) -> bool | Wait:
    """Whether these characters are at `at`; MORE if the text ends within them and is not `over`."""
    if text.startswith(literal, at):
        return True
    return MORE if not over and literal.startswith(text[at:]) else False


def is_ellipsis(text: str) -> bool:
    """Whether a text says no more than that something was left out, perhaps in brackets."""
    return _WITH_ELLIPSIS.fullmatch(text) is not None and _ELLIPSIS.search(text) is not None


def goes_on(text: str) -> bool:
    """Whether a text ends with a blank after words, so that a tag after it stands within their line."""
    line = text.rpartition("\n")[2]
    return line[-1:] in (" ", "\t") and not line.isspace()


def is_one_line(text: str, alone: bool = True) -> bool:
    """Whether a value is one line, with the quotes in it closed. `alone`: what follows begins a line."""
    one = text.strip().count("\n") == 0 and not (text.count('"') % 2 or text.count("'") % 2)
    return one and (not alone or text.rstrip(" \t").endswith("\n"))


def trailing(text: str, start: int, end: int) -> int:
    """The index of the first line break in the whitespace at the end of text[start:end]; `end` if there
    is none. Of whitespace longer than WHITESPACE_RUN only the end counts. A call drops what comes after
    this index (P11)."""
    start = max(start, end - WHITESPACE_RUN)
    tail = text[start:end]
    found = tail.find("\n", len(tail.rstrip(BLANK)))
    if found < 0:
        return end
    return start + found - (found > 0 and tail[found - 1] == "\r")
