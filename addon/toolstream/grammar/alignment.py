"""Where a text may be the head of a tag, a few slips aside."""

import re
from functools import cache, lru_cache
from itertools import pairwise

from ..limits import ALIGNED, LETTERS, LONG_TAG, TAG_SLIPS
from .brackets import OPEN
from .kinds import MORE, Wait

_QUOTES = frozenset("`\"'*#>!")  # a line that begins with one of these only mentions a tag
_BEGINS = OPEN + "/"  # characters that a tag may have twice at its beginning


def aligned(head: str, text: str, at: int, over: bool) -> list[tuple[int, int]] | Wait:
    """Where a text from `at` on may be this head: (number of slips, end) of each place, the fewest slips
    and then the longest first. Two swapped neighbours are one slip."""
    if text[at : at + 1] in _QUOTES:
        return []
    whole = window_of(head)
    window = text[at : at + whole].lower()
    ends = over or len(window) == whole
    if ends and not parts_of(head).search(window):
        return []
    found = _aligned(head, window, ends)
    return found if found is MORE else [(wrong, at + end) for wrong, end in found]


def window_of(head: str) -> int:
    """How many characters of a text tell whether it may be this head."""
    return len(head) + _most(head)


def _most(head: str) -> int:
    """How many slips a head may have."""
    return TAG_SLIPS if len(head) >= LONG_TAG else 1


@cache
def parts_of(head: str) -> re.Pattern[str]:
    """The head cut into parts, so that at least one stays intact: each slip touches at most two."""
    count = 2 * _most(head) + 1
    bounds = [len(head) * n // count for n in range(count + 1)]
    return re.compile("|".join(re.escape(head[start:end]) for start, end in pairwise(bounds)))


@lru_cache(ALIGNED)
def _aligned(head: str, text: str, over: bool) -> list[tuple[int, int]] | Wait:
    """Where this text, up to each end, may be the head. `over`: no more text comes."""
    most, size, found = _most(head), len(head), []
    up: list[int] = []
    row = list(range(size + 1))
    for i in range(1, size + most + 1):
        if i > len(text):
            if over:
                break
            return MORE
        x = text[i - 1]
        if x in "\r\n" or (x == "<" and i > LETTERS):
            break
        up, row = row, _next_row(head, text[:i], row, up)
        if row[size] <= most:
            found.append((row[size], i))
        if row[size] == 0 or min(row) > most:
            break
    return sorted(found, key=lambda place: (place[0], -place[1]))


def _next_row(head: str, text: str, up: list[int], two_up: list[int]) -> list[int]:
    """For each beginning of a head, how many slips turn it into this text, if there are not too many. `up`
    is the same for the text without its last character, `two_up` without its last two."""
    most, size, i = _most(head), len(head), len(text)
    far, x, swapped = most + 1, text[-1], text[:-3:-1]
    surplus = far if x == "<" and text[:-1].strip(_BEGINS) else 1  # another tag begins
    other = far if x == "<" else 1
    row = [i if x in _BEGINS else far] + [far] * size
    for j in range(max(1, i - most), min(size, i + most) + 1):
        row[j] = min(up[j] + surplus, row[j - 1] + 1, up[j - 1] + other * (x != head[j - 1]))
        if i > 1 and head.startswith(swapped, j - 2):
            row[j] = min(row[j], two_up[j - 2] + 1)
    return row
