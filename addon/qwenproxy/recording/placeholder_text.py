"""Replaces the words of a text by text of the same length that means the same to the rules.

Letters and digits are replaced: `const secret = "hunter2";` becomes `ggggg cccccc = "hhhhhh5";`.
What decides how an answer is read stays:

    whitespace, punctuation         and with them JSON, fences, line starts and indentation
    tags                            of every dialect, even if cut off: `<tool_call>`, `</functi`,
                                    and of HTML
    names that the request declares in tags, before `=`, `:` or `(`, and where nothing, or one word
                                    behind it, is between the quotes or on the line: tools,
                                    parameters, enum values
    true, false, null, zeros, exponents, and the letters of escapes such as \\n

Every character is replaced by one that takes as many bytes, in UTF-8 and as a JSON escape. A
`Filler` fills equal lines (more exactly: stretches between line ends, quotes, brackets and
backslashes) with the same letters, and different ones with different letters as far as the
alphabet allows. So two calls stay two calls, and a copy stays a copy.

The alphabet has no letters that would mean something after a backslash or a digit.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any
from unicodedata import category

from toolstream import CALL_KEYS, DIALECTS, DOCUMENT, UNLISTED, fold

LETTERS = "gchdkjpqmwsyzoli"
QUOTES = "“”‘’"  # noqa: RUF001  (models write JSON with them)
TRIES = 32  # to find other letters for a text; punctuation has no others
HIGH, LOW = "\ud83d", "\udcff"  # surrogates; the second also stands for a byte that is not UTF-8
OWN_WORDS = frozenset(
    {"assistant", "default_api", "functions", "id", "json", "object", "properties", "tool_calls", "tools"}
    | {"type", "value", "xml"}
    | CALL_KEYS
)

_MARK = re.compile(r"[=(:]|(?<=\w) (?=\S+\Z)")  # behind a name: a mark, or a blank and one word
_NAMES = re.compile(r"[\w-]+")
_PREFIX = re.compile(r"(?:functions\.|default_api[.:]|tool:)\s*")
_NUMBER = re.compile(r":\d+\Z")  # which call of a conversation it is, as Kimi K2 writes it after the name
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)(?:"|\Z)', re.S)
_PAIR = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rf"({_PAIR}|\\u[0-9a-fA-F]{{4}}|\\.)", re.S)
_WORD = re.compile(
    r"(?P<word>\b(?:true|false|null|none|nan|infinity|yes|no)\b)"
    r"|(?P<number>(?<![\w.])\d+(?:\.\d+)?)(?P<exponent>[eE][+-]?\d+)?(?![\w.])",
    re.I | re.A,
)


def _spellings() -> Iterator[str]:
    """Yield the fixed parts of every tag: `<function=`, `</tool_call>` …"""
    for dialect in DIALECTS:
        for spelling in dialect.spellings():
            yield from re.split(r"\{\w+\}|~", spelling)


TAG_WORDS = frozenset(w for part in _spellings() for w in re.findall(r"\w+", part)) | OWN_WORDS
_OTHER_MARKUP = sorted({p for p in _spellings() if len(p) > 2 and "<" not in p}, key=len, reverse=True)
_TOKEN = re.compile(
    "|".join(
        [
            *(re.escape(markup) for markup in _OTHER_MARKUP),
            r"(?P<tag><[^<>\n]{0,256})",
            r"(?P<code>\\u[0-9a-fA-F]{4})",
            r"(?P<hex>\\x[0-9a-fA-F]{2})",
            r"\\[nrtbf]",
            rf"""(?P<run>[^<>"'`{QUOTES}\\\n\r\t]+)""",
        ]
    )
)


def vocabulary(tools: Any) -> set[str]:
    """Return the names that a request's tools declare: tools, parameters, enum values."""
    found: set[str] = set()
    if isinstance(tools, list):
        for item in tools:
            found |= vocabulary(item)
    if isinstance(tools, dict):
        if isinstance(name := tools.get("name"), str):
            found.add(name)
        if isinstance(properties := tools.get("properties"), dict):
            found |= properties.keys()
        for key, value in tools.items():
            found |= _constants(value) if key in ("enum", "const") else vocabulary(value)
    return found


def _constants(value: Any) -> set[str]:
    values = value if isinstance(value, list) else [value]
    return {v if isinstance(v, str) else json.dumps(v) for v in values}


class Filler:
    """Fills the texts of one chat, whose request declares `tools`."""

    def __init__(self, tools: Any) -> None:
        self._names = names = vocabulary(tools)
        self._known = {fold(name) for name in names | OWN_WORDS}
        self._pieces = {fold(piece) for name in names | TAG_WORDS for piece in _NAMES.findall(name)}
        self._numbers: dict[str, int] = {}

    def knows(self, name: str) -> bool:
        """Whether this is a declared name, or one of the protocol."""
        return fold(_NUMBER.sub("", _PREFIX.sub("", name.strip(), count=1))) in self._known

    def text(self, text: str) -> str:
        """Fill a text that is not a JSON document."""
        return _TOKEN.sub(self._token, text)

    def document(self, text: str) -> str:
        """Fill a JSON document, such as the arguments of a call, even if it is damaged or cut off."""
        start = text.lstrip()[:1]
        if start not in ("{", "[", '"'):
            return self.text(text)
        filled, done = [], 0
        for match in _STRING.finditer(text):
            inside, kind = match.span(1), "text" if start != '"' else "nested"
            filled += [self.text(text[done : inside[0]]), self._literal(match[1], kind)]
            done = inside[1]
        return "".join([*filled, self.text(text[done:])])

    def _literal(self, inside: str, kind: str) -> str:
        decoded, pieces = decode(inside)
        return encode(pieces, self.document(decoded) if kind == "nested" else self.text(decoded))

    def _token(self, match: re.Match[str]) -> str:
        whole = match[0]
        match match.lastgroup:
            case "tag":
                return _NAMES.sub(self._tag_word, whole)
            case "code":
                return f"\\u{ord(_other(chr(int(whole[2:], 16)), 0)):04x}"
            case "hex":
                return "\\x77"
            case "run":
                return self._run(whole)
            case _:
                return whole

    def _tag_word(self, match: re.Match[str]) -> str:
        word = match[0]
        is_start = match.string[: match.start()].strip(" \t/|") == "<"
        if is_start and (word in DOCUMENT or any(tag.startswith(word) for tag in TAG_WORDS | self._names)):
            return word
        bare = word.rstrip("0123456789")
        known = fold(bare) in self._pieces or UNLISTED.fullmatch(bare)
        return word if known else self._run(word)

    def _run(self, run: str) -> str:
        if self.knows(run.strip(" ,:=")):  # a quote may be missing
            return run
        if (mark := _MARK.search(run)) and self.knows(run[: mark.start()].strip(" ,-")):
            return run[: mark.end()] + self._run(run[mark.end() :])  # a damaged key contains its value
        filled, done = [], 0
        number = self._number_of(run.strip())
        for word in _WORD.finditer(run):
            filled += [_fill(run[done : word.start()], number), self._word(word)]
            done = word.end()
        return "".join([*filled, _fill(run[done:], number)])

    def _word(self, match: re.Match[str]) -> str:
        if match["word"] or match[0] in self._known:
            return match[0]
        return _fill(match["number"], self._number_of(match["number"])) + (match["exponent"] or "")

    def _number_of(self, text: str) -> int:
        """Return a number for each text, one with which `_fill` does not produce a declared name."""
        number = self._numbers.get(text)
        if number is None:
            start = len(self._numbers)
            fitting = (n for n in range(start, start + TRIES) if self._is_fit(_fill(text, n), text))
            number = self._numbers[text] = next(fitting, start)
        return number

    def _is_fit(self, filled: str, text: str) -> bool:
        return filled != text and fold(filled) not in self._known


def _fill(text: str, number: int) -> str:
    half = (len(text) + 1) // 2
    return text[:half].translate(_table(number % 16)) + text[half:].translate(_table(number // 16 % 16))


class _Table(dict[int, str]):
    """A table for `str.translate` that is filled when characters are needed."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __missing__(self, code: int) -> str:
        self[code] = _other(chr(code), self._number)
        return self[code]


@cache
def _table(number: int) -> _Table:
    return _Table(number)


def _other(char: str, number: int) -> str:
    """Return a character of the same kind that takes as many bytes."""
    code = ord(char)
    if char == "0" or char.isspace() or (code < 0x80 and not char.isalnum()) or category(char)[0] == "P":
        return char
    if code < 0x80:
        return str(1 + number % 9) if char.isdigit() else LETTERS[number % 16]
    if code < 0x800:
        return chr(0xE0 + number % 16)
    if 0xD800 <= code < 0xE000:
        return HIGH if code < 0xDC00 else LOW
    return chr(0x3041 + number if code < 0x10000 else 0x1F600 + number)


# JSON strings: the text between the quotes


def decode(inside: str) -> tuple[str, list[str]]:
    """Return the text of a JSON string, and its pieces: plain text and escapes in turn."""
    pieces = _ESCAPE.split(inside) if "\\" in inside else [inside]
    decoded = [_decoded(piece) if odd % 2 else piece for odd, piece in enumerate(pieces)]
    return "".join(decoded), pieces


def _decoded(escape: str) -> str:
    try:
        return str(json.loads(f'"{escape}"', strict=False))
    except ValueError:
        return escape[1:]  # not JSON: it stands for itself


def encode(pieces: list[str], text: str) -> str:
    """Encode `text`, which is as long as the decoded one, with escapes in the same places."""
    written, at = [], 0
    for odd, piece in enumerate(pieces):
        length = 1 if odd % 2 else len(piece)
        new = text[at : at + length]
        written.append(_escaped(piece, new) if odd % 2 else new)
        at += length
    return "".join(written)


def _escaped(escape: str, char: str) -> str:
    if not escape.startswith("\\u") or len(escape) < 6:
        return escape if escape[1:] in '"\\/bfnrt' else f"\\{char}"
    return json.dumps(char)[1:-1] if ord(char) > 0x7F else f"\\u{ord(char):04x}"
