"""What the cases exercise: the spellings that are read, the repairs and refusals that are counted.

A spelling that stands in some input may still never be read, for another one may be read there. So the
matcher itself is watched. And a spelling that is read may not matter, for the tag may have been looked at
and passed over. So `unused` runs the cases again with a parser that does not know the spelling: one
of them must come to something else.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from qwenproxy.replay.casefile import Case
from support.checks import parse
from support.outcome import Outcome
from toolstream.grammar.dialects import DIALECTS
from toolstream.grammar.grammar import grammar
from toolstream.grammar.slipped import Slipped

# The one place where a spelling that fits becomes a tag, `_read(spelling, match, name)`: a method of the
# parser's matcher, or a function beside it.
MATCHER = type(grammar("tolerant").openers)
HOME: Any = MATCHER if hasattr(MATCHER, "_read") else sys.modules[MATCHER.__module__]

Key = tuple[str, str]  # the dialect's name, and the spelling as its table has it

# Where several dialects have a spelling, with attributes or without, it is the first one's that is read. That
# of the others says what their models were taught.
FIRST: dict[str, Key] = {}
for _dialect in DIALECTS:
    for _text in _dialect.spellings():
        FIRST.setdefault(_text.replace("{attributes}", ""), (_dialect.name, _text))
SPELLINGS = list(FIRST.values())


@contextmanager
def watched(known: Callable[[Key], bool]) -> Iterator[None]:
    """Ask `known` about each spelling that fits, a slip in it aside, and read a tag only if it says so."""
    read, read_slipped = HOME._read, Slipped.read

    def watch(*given: Any) -> Any:
        spelling = given[-3]
        return read(*given) if known((spelling.dialect.name, spelling.text)) else None

    def watch_slipped(slipped: Slipped, *given: Any) -> Any:
        found = read_slipped(slipped, *given)
        fits = isinstance(found, tuple)
        return None if fits and not known((slipped.dialect.name, slipped.text)) else found

    HOME._read, Slipped.read = watch, watch_slipped  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        HOME._read, Slipped.read = read, read_slipped  # type: ignore[method-assign]


@dataclass
class Observed:
    """In which cases it was seen: each spelling, and each repair and refusal by its name."""

    outcomes: list[tuple[Case, Outcome]] = field(default_factory=list)
    spellings: dict[Key, list[int]] = field(default_factory=dict)  # where in `outcomes`
    repairs: dict[str, list[Case]] = field(default_factory=dict)
    refused: dict[str, list[Case]] = field(default_factory=dict)

    @property
    def unread(self) -> list[Key]:
        """The spellings that no case has read."""
        return [key for key in SPELLINGS if key not in self.spellings]

    @property
    def unused(self) -> list[Key]:
        """The spellings without which every case comes to the same."""
        return [key for key in SPELLINGS if not self._matters(key)]

    def _matters(self, key: Key) -> bool:
        with watched(lambda found: found != key):
            return any(_whole(case) != outcome for case, outcome in self._read_in(key))

    def _read_in(self, key: Key) -> Iterator[tuple[Case, Outcome]]:
        return (self.outcomes[at] for at in self.spellings.get(key, []))


def observe(cases: Iterable[Case]) -> Observed:
    """Run each case once, in one piece. Those with a `#bug` show nothing yet."""
    observed = Observed()
    for at, case in enumerate(case for case in cases if not case.bug):
        read: set[Key] = set()
        with watched(lambda key, read=read: not read.add(key)):
            outcome = _whole(case)
        observed.outcomes.append((case, outcome))
        for key in read:
            observed.spellings.setdefault(key, []).append(at)
        for names, seen in ((outcome.repairs, observed.repairs), (outcome.refused, observed.refused)):
            for name in dict.fromkeys(names):
                seen.setdefault(name, []).append(case)
    return observed


def _whole(case: Case) -> Outcome:
    return parse(case, [case.input], live=True)
