"""Where known secrets are repeated in a text, however they are written there.

A secret is looked for as it is, as JSON writes it (also twice, in a string inside of a string) and as
a URL does. Not every value can be: `none` is the key of many a server, and a word of many a text.

    from 12 characters on       it is a secret wherever it stands, but for a word that is a key of JSON
    6 to 11                     only if it has letters and digits, and as a word of its own
    shorter, or only letters    in answers that are errors, as a word of its own and no key of JSON, and
                                only if it came in a header or URL; from 4 characters on

Searching costs a pass for each spelling; if there are many, they are one regular expression, a
tree that reads a character once for all of them.
"""

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

LONG, SHORT, WORD = 12, 6, 4  # characters, see above
FEW = 12  # spellings that are looked for one by one
LONGEST = 1 << 16  # characters; nobody repeats more

_LETTER_AND_DIGIT = re.compile(r"(?=.*[A-Za-z])(?=.*\d)", re.S)
_NAME = re.compile(r"[A-Za-z_]+")
_LITERALS = frozenset(("true", "false", "null"))

Span = tuple[int, int]


def is_telling(value: str) -> bool:
    """Whether a value may be overwritten wherever it stands."""
    return LONG <= len(value) <= LONGEST or is_short(value)


def is_short(value: str) -> bool:
    return SHORT <= len(value) < LONG and _LETTER_AND_DIGIT.match(value) is not None


def spellings(value: str) -> set[bytes]:
    """How a value may be written."""
    inside = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    nested = {json.dumps(text)[1:-1] for text in inside}
    in_url = {f(value, safe=safe, errors="replace") for f in (quote, quote_plus) for safe in ("", "/")}
    texts = {value, value.replace("/", "\\/"), *inside, *nested, *in_url}
    return {coded(text) for text in texts}


def coded(text: str) -> bytes:
    """As bytes; a lone surrogate stays what it is."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


class Repeats:
    """Finds `values`; `words` only in errors."""

    def __init__(self, values: Iterable[str], words: Iterable[str] = ()) -> None:
        telling = {value for value in values if is_telling(value)}
        self.values = sorted(telling, key=len, reverse=True)
        long = {value for value in telling if len(value) >= LONG}
        names = {value for value in long if _NAME.fullmatch(value)}
        self._long = _pattern({s for v in long - names for s in spellings(v)})
        self._long += _any_of({coded(name) for name in names}, rb'(?:%b)(?!\\*"\s*:)')
        short = {s for v in telling if len(v) < LONG for s in spellings(v)}
        others = {w for w in words if len(w) >= WORD and w.lower() not in _LITERALS}
        self._short = _as_words(short)
        self._words = _as_words({coded(word) for word in others})

    def spans(self, text: bytes, is_error: bool = False) -> Iterator[Span]:
        for pattern in (*self._long, *self._short, *(self._words if is_error else [])):
            for match in pattern.finditer(text):
                yield match.span()


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
    except RecursionError:  # hundreds of them, each the beginning of the next
        return [re.compile(form % re.escape(text)) for text in sorted(texts, reverse=True)]


def tree(texts: list[bytes], at: int = 0) -> bytes:
    """A regular expression for any of some sorted texts, the longest first, that share `at` bytes."""
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
