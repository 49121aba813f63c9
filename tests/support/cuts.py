"""The ways a text can arrive: cut into deltas at every place an engine can cut it.

An engine cuts JSON strings, so a cut may fall between the two halves of a surrogate pair.
So texts are cut by UTF-16 code unit. A pair that stays in one piece arrives joined, as every JSON
decoder joins it. A pair that is cut arrives as two lone surrogates.
The pieces of a cut, put together, are always the text again: `joined("".join(pieces))`.

A text of n units has n - 1 cuts into two, each of which costs about n, so for long texts `make test` takes a
sample of them, `some_cuts`. `make fuzz` takes `all_cuts`. The fixture `cuts` is one of the two.
"""

import random
from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

Cuts = Callable[[str], Iterator[list[str]]]

SHORT = 40  # code units: up to here a sample is all of them
SAMPLE = 4  # of the two-way cuts of a longer text
RANDOM = 50


def units(text: str) -> str:
    """Return the text as UTF-16 code units, one character each."""
    data = text.encode("utf-16", "surrogatepass")
    return "".join(map(chr, array("H", data)[1:]))  # without the byte order mark


def joined(text: str) -> str:
    """Return the text with every surrogate pair joined."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def cut_at(text: str, places: Iterable[int]) -> list[str]:
    """Return the pieces between places, counted in code units. Equal places make empty pieces."""
    plain = units(text)
    bounds = [0, *sorted(places), len(plain)]
    return [joined(plain[a:b]) for a, b in pairwise(bounds)]


def per_character(text: str) -> list[str]:
    return list(units(text))


def two_way(text: str) -> Iterator[list[str]]:
    """Yield every cut into two pieces that are not empty."""
    for place in range(1, len(units(text))):
        yield cut_at(text, [place])


def at_random(text: str, count: int = RANDOM, seed: int = 0) -> Iterator[list[str]]:
    """Yield `count` cuts into two to twelve pieces, some empty. The same seed gives the same cuts."""
    choose = random.Random(f"{seed} {len(text)}")
    for _ in range(count):
        yield cut_at(text, [choose.randint(0, len(units(text))) for _ in range(choose.randint(1, 11))])


def all_cuts(text: str, seed: int = 0) -> Iterator[list[str]]:
    """Whole, per character, every two-way cut, and random ones."""
    yield [joined(text)]
    yield per_character(text)
    yield from two_way(text)
    yield from at_random(text, seed=seed)


def some_cuts(text: str, seed: int = 0) -> Iterator[list[str]]:
    """Whole, per character, every two-way cut of a short text or some of a long one, and a random one."""
    size = len(units(text))
    places = range(1, size)
    if size > SHORT:
        places = random.Random(f"{seed} {size}").sample(places, SAMPLE)
    yield [joined(text)]
    yield per_character(text)
    yield from (cut_at(text, [place]) for place in places)
    yield from at_random(text, 1, seed)


def few_cuts(text: str, count: int = 10) -> Iterator[list[str]]:
    """Whole, per character, and some random ones: where every cut would take too long."""
    yield [joined(text)]
    yield per_character(text)
    yield from at_random(text, count)
