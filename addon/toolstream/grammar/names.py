"""The names that a request declares, and how they are compared."""

from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from ..limits import TOOLS

_SIGNS = " \t\n\r\f\v\"'“”„‘’«»`.,;:*(){}[]/"  # noqa: RUF001


class Names:
    """The names that {tool} and {key} stand for. In names of tools, case, `_` and `-` are ignored."""

    def __init__(self, tools: Iterable[str] = (), keys: Iterable[str] = ()) -> None:
        self.all = frozenset((*tools, *keys))
        self._names = {"tool": {fold(name) for name in tools}, "key": set(keys)}
        self._sorted = {what: sorted(names) for what, names in self._names.items()}
        # Of all names, folded
        self.first_letters = {fold(name)[:1] for names in self._names.values() for name in names}
        self.matchers: dict[object, Any] = {}  # a TagMatcher without names: the same with these names

    def has(self, what: str, name: str) -> bool:
        """Whether this is a declared name. `what` is "tool" or "key"."""
        return (fold(name) if what == "tool" else name) in self._names[what]

    def may_begin(self, what: str, text: str) -> bool:
        """Whether a declared name begins like this."""
        start = fold(text) if what == "tool" else text
        names = self._sorted[what]
        at = bisect_left(names, start)
        return at < len(names) and names[at].startswith(start)


@lru_cache(TOOLS)
def known_names(tools: frozenset[str], keys: frozenset[str] = frozenset()) -> Names:
    """The names, made once for each set: a session asks with the same tools each time."""
    return Names(tools, keys)


def fold(name: str) -> str:
    """A name without what models get wrong about it: case, `_` and `-`."""
    return name.replace("_", "").replace("-", "").casefold()


def without_signs(name: str) -> str:
    """A name without the quotes, brackets and other punctuation around it."""
    return name.strip(_SIGNS)
