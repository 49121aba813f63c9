"""How similar two words are: what a misspelt tag was meant to be.

Models misspell the words of tags, translate them and join them to names. So a word is compared with the
three words that structure a call, ignoring punctuation and case.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from ..limits import COMPARED, LENGTHS_APART, LETTERS, LONG, SLIPS
from .kinds import TagKind

PARAMETER, FUNCTION, ENVELOPE = "parameter", "function", "toolcall"
STRUCTURAL = frozenset((PARAMETER, FUNCTION, ENVELOPE))
OPENS = {
    PARAMETER: TagKind.PARAMETER_OPEN,
    FUNCTION: TagKind.CALL_OPEN,
    ENVELOPE: TagKind.WRAP_OPEN,
}
CLOSES = {
    PARAMETER: TagKind.PARAMETER_CLOSE,
    FUNCTION: TagKind.CALL_CLOSE,
    ENVELOPE: TagKind.WRAP_CLOSE,
}
NAME_ATTRIBUTES = frozenset({"name", "key", "id", "tool", "function", "parameter"})  # they hold the name
# Other templates use these words for the same thing, so they are not misspelt
SYNONYMS = {
    **dict.fromkeys(("parameter", "param", "argument", "arg", "parameters", "argvalue"), PARAMETER),
    **dict.fromkeys(("function", "invoke", "func", "call", "functioncall"), FUNCTION),
    **dict.fromkeys(("toolcall", "toolcalls", "functioncalls", "tools", "toolcode", "tool"), ENVELOPE),
}
# Those whose misspelt forms cannot be words of a document
_LONG = sorted(word for word, kind in SYNONYMS.items() if len(word) >= LONG and kind != PARAMETER)
# Words of documents: a tag with one of them is always payload
_HTML = """
    a abbr article aside b blockquote body br button code dd details div dl dt em footer form g h1 h2 h3
    h4 h5 h6 head header html i iframe img input kbd label li link main meta nav ol option p path pre q samp
    script section select small span strong style summary sub sup svg t table tbody td template text textarea
    tfoot th thead title tr tt u ul video xmp
"""
_OTHERS = """
    xml item entry dependency dependencies project plugin build properties
    property dict array result output example think
"""
HTML = frozenset(_HTML.split())
DOCUMENT = HTML | frozenset(_OTHERS.split())

_EXAMPLE = r"(?:\w{1,64}[_-])?(?:example|sample)s?(?:[_-]\w{1,64})?"
SHOW_CODE = ("pre", "code", "samp", "kbd", "tt", "xmp")
_CODE = "|".join(SHOW_CODE)
EXAMPLE = re.compile(rf"<({_EXAMPLE})>[ \t]{{0,16}}", re.I)  # shows what is in it
CODE = re.compile(rf"<({_CODE})>(?:\s{{0,16}}<code>)?", re.I)  # shows code
# Any of them at the end of a text, or an element that quotes, and at most one line break
SHOWING = re.compile(
    rf"<({_CODE}|{_EXAMPLE}|q|blockquote)(?:\s[^<>\n]{{0,64}})?>[ \t]{{0,16}}(?:\r?\n[ \t]{{0,16}})?\Z", re.I
)
_PLACEHOLDER = re.compile(r"\s{0,64}+[<\[({]{1,2}(\w{1,64})s[>\])}]{1,2}\s{0,64}+")
_PUNCTUATION = re.compile(r"[\W_]+")


def squeeze(text: str) -> str:
    """The letters and digits of a text, case folded."""
    return _PUNCTUATION.sub("", text).casefold()


@lru_cache(COMPARED)
def slips(a: str, b: str) -> int:
    """The number of edits between two words; SLIPS if their lengths differ by more than three. Two
    swapped neighbours are one edit."""
    if abs(len(a) - len(b)) > LENGTHS_APART:
        return SLIPS
    two_up: list[int] = []
    up: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        two_up, up, row = up, row, [i]
        for j, y in enumerate(b, 1):
            best = min(up[j] + 1, row[j - 1] + 1, up[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                best = min(best, two_up[j - 2] + 1)
            row.append(best)
    return row[-1]


def nearly(word: str, name: str) -> bool:
    """Whether a squeezed word is this name; a long one may have one slip."""
    return word == name or (len(name) >= LONG and slips(word, name) == 1)


def _nearest(word: str, among: Sequence[str], share: int) -> str:
    """The word of these that this one is but for slips, one in `share` letters; "" if it is none."""
    lacking = (len(set(known).difference(word)) > len(known) // share for known in among)
    if all(lacking):  # each letter that it has not is a slip
        return ""
    distance, known = min((slips(word, known), known) for known in among)
    return known if distance <= len(known) // share else ""


@lru_cache(COMPARED)
def alike(word: str) -> str:
    """The structural word that this word nearly is; "" if none. `word` is squeezed."""
    if len(word) < LETTERS:
        return ""
    if known := _nearest(word, (PARAMETER, FUNCTION, ENVELOPE), 3):
        return known
    if other := _nearest(word, _LONG, LETTERS):
        return SYNONYMS[other]
    return next((k for k in (PARAMETER, FUNCTION) if k.startswith(word) or word.startswith(k)), "")


def is_plural(word: str) -> bool:
    """Whether a squeezed word is that of an element around several functions or parameters."""
    return word in (f"{FUNCTION}s", f"{PARAMETER}s")


def meant(*words: str) -> str:
    """The structural word that one of these stands for, or else nearly is; "" if none does.
    The words are squeezed."""
    said = next((SYNONYMS[word] for word in words if word in SYNONYMS), "")
    return said or next(filter(None, map(alike, words)), "")


def is_placeholder(text: str) -> bool:
    """Whether a text is nothing but a word for all parameters in brackets: `<arguments>`."""
    found = _PLACEHOLDER.fullmatch(text)
    return found is not None and SYNONYMS.get(squeeze(found[1])) == PARAMETER


def is_structural(word: str) -> bool:
    """Whether a tag with this word may belong to a call."""
    return squeeze(word) in SYNONYMS or bool(alike(squeeze(word)))
