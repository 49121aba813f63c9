"""Finds known secrets wherever a text repeats them, however they are written there.

A secret is searched for as it is, as JSON writes it (also twice, in a string inside a string) and as
a URL writes it. Not every value can be searched for: `none` is the key of many servers and a common word.

    12 characters or more       everywhere, except as a JSON key that is a word
    6 to 11                     only if it has letters and digits, and as a whole word
    shorter, or only letters    only in answers that are errors, as a whole word that is not a JSON key, and
                                only if it came in a header or URL; 4 characters or more

Searching takes one pass for each spelling. Many spellings become one regular expression, a
tree that reads each character once for all of them.
"""

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

LONG, SHORT, WORD = 12, 6, 4  # characters, see above
FEW = 12  # spellings that are searched for one by one
LONGEST = 1 << 16  # characters; longer secrets are not repeated

_LETTER_AND_DIGIT = re.compile(r"(?=.*[A-Za-z])(?=.*\d)", re.S)
_NAME = re.compile(r"[A-Za-z_]+")
_LITERALS = frozenset(("true", "false", "null"))

Span = tuple[int, int]


def is_telling(value: str) -> bool:
    """Whether a value may be overwritten wherever it occurs."""
    return LONG <= len(value) <= LONGEST or is_short(value)


def is_short(value: str) -> bool:
    return SHORT <= len(value) < LONG and _LETTER_AND_DIGIT.match(value) is not None


def spellings(value: str) -> set[bytes]:
    """Return the ways in which a value may be written."""
    inside = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    nested = {json.dumps(text)[1:-1] for text in inside}
    in_url = {f(value, safe=safe, errors="replace") for f in (quote, quote_plus) for safe in ("", "/")}
    texts = {value, value.replace("/", "\\/"), *inside, *nested, *in_url}
    return {coded(text) for text in texts}


def coded(text: str) -> bytes:
    """Encode a text; a lone surrogate is kept."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


class Repeats:
    """Finds `values`; `words` only in errors."""

    def __init__(self, values: Iterable[str], words: Iterable[str] = ()) -> None:
        telling = set(filter(is_telling, values))
        self.values = sorted(telling, key=len, reverse=True)
        long = {value for value in telling if len(value) >= LONG}
        names = set(filter(_NAME.fullmatch, long))
        others = {w for w in words if len(w) >= WORD and w.lower() not in _LITERALS}
        self._long = _pattern(_spelled(long - names))
        self._long += _any_of(set(map(coded, names)), rb'(?:%b)(?!\\*"\s*:)')
        self._short = _as_words(_spelled(telling - long))
        self._words = _as_words(set(map(coded, others)))

    def spans(self, text: bytes, is_error: bool = False) -> Iterator[Span]:
        for pattern in (*self._long, *self._short, *(self._words if is_error else [])):
            for match in pattern.finditer(text):
                yield match.span()


def _spelled(values: Iterable[str]) -> set[bytes]:
    return {spelling for value in values for spelling in spellings(value)}


Patterns = list[re.Pattern[bytes]]


def _pattern(texts: set[bytes]) -> Patterns:
    return _any_of(texts, b"%b") if len(texts) > FEW else [re.compile(re.escape(text)) for text in texts]


def _as_words(texts: set[bytes]) -> Patterns:
    return _any_of(texts, rb'(?<![\w-])(?:%b)(?![\w-])(?!\\*"\s*:)')


def _any_of(texts: set[bytes], form: bytes) -> Patterns:
    if not texts:
        return []
    try:
        return [re.compile(form % tree(sorted(texts)))]
    except RecursionError:  # hundreds of values, each a prefix of the next
        return [re.compile(form % re.escape(text)) for text in sorted(texts, reverse=True)]


def tree(texts: list[bytes], at: int = 0) -> bytes:
    """Return a regular expression for sorted texts that share `at` bytes; the longest match wins."""
    if len(texts) == 1:
        return re.escape(texts[0][at:])
    shared = at
    while len(texts[0]) > shared and texts[0][shared] == texts[-1][shared]:
        shared += 1
    branches: dict[int, list[bytes]] = {}
    for text in texts:
        if len(text) > shared:
            branches.setdefault(text[shared], []).append(text)
    inner = b"|".join(tree(branch, shared) for branch in branches.values())
    may_end = b"?" if len(texts[0]) == shared else b""
    return re.escape(texts[0][at:shared]) + b"(?:" + inner + b")" + may_end
