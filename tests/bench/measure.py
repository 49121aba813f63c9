"""Measures, and prints what was measured beside its bar.

A ratio is taken of two things that ran in turns. Of repeated measurements the fastest counts: nothing but
other programs can make one slower.
"""

import gc
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
DELTA = 4  # characters, as a model of this vocabulary writes code
HEAD = "<tool_call>\n<function=write>\n<parameter=path>\na.py\n</parameter>\n<parameter=content>\n"
TAIL = "\n</parameter>\n</function>\n</tool_call>"

CODE = '''\
def merge(left: list[int], right: list[int]) -> list[int]:
    """Merge two sorted lists; both may be empty."""
    out, i, j = [], 0, 0
    while i < len(left) and j < len(right):
        if left[i] <= right[j]:
            out.append(left[i]); i += 1
        else:
            out.append(right[j]); j += 1
    print(f"<b>{len(out)}</b> élan \\n", "\\t")
    return out + left[i:] + right[j:]

'''
HTML = """\
<!DOCTYPE html>
<html lang="en">
<body>
  <div class="card" id="first">
    <h2>A title</h2>
    <p>Some <b>bold</b> text &amp; a <a href="x.html">link</a>.</p>
    <ul><li>One</li><li>Two</li></ul>
  </div>
</body>
</html>
"""
PLAIN = "The quick brown fox jumps over the lazy dog and then goes home to sleep. "
PROSE = "To read a file, call it by name. If a < b, the list is sorted already;\nelse sort it first.\n\n"

failures: list[str] = []


# The table


@dataclass
class Row:
    """One figure: `bar` None if it is there to compare with; `least`: the figure must reach it."""

    what: str
    figure: float
    unit: str
    bar: float | None = None
    note: str = ""
    least: bool = False

    def __str__(self) -> str:
        bar = "" if self.bar is None else f"{'>=' if self.least else '<='} {self.bar:g}"
        verdict = "" if self.bar is None else "MISSED" if self.is_missed else "ok"
        return (
            f"  {self.what:<62} {self.figure:>7.2f} {self.unit:<2} {bar:>7} {verdict:<6} {self.note}".rstrip()
        )

    @property
    def is_missed(self) -> bool:
        if self.bar is None:
            return False
        return self.figure < self.bar if self.least else self.figure > self.bar


def table(title: str, rows: Iterator[Row]) -> None:
    """Print the rows as they are measured; one that cannot be measured is said to be so."""
    print(f"\n{title}", flush=True)
    try:
        for row in rows:
            print(row, flush=True)
    except Exception as error:
        failures.append(title)
        print(f"  could not be measured: {type(error).__name__}: {error}", flush=True)


def repeated(text: str, size: int) -> str:
    return (text * (size // len(text) + 1))[:size]


def in_deltas(text: str, size: int = DELTA) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


def word_by_word(text: str) -> list[str]:
    """As the tokens of a model fall: a word and the blank before it, or a mark."""
    return re.findall(r" ?\w+|\n+|[^\w\n]", text)


def seconds(run: Callable[[], Any]) -> float:
    """CPU time of one run, so that other programs and the garbage of other runs cost it little."""
    gc.collect()
    gc.disable()
    try:
        start = time.thread_time()
        run()
        return time.thread_time() - start
    finally:
        gc.enable()


def each(feed: Callable[[Any], Any], pieces: Iterable[Any]) -> Callable[[], None]:
    def run() -> None:
        for piece in pieces:
            feed(piece)

    return run


def in_turns(runs: dict[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Every run once per round, so that what slows the machine slows them all."""
    measured: dict[str, list[T]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            measured[name].append(run())
    return measured


def fastest(runs: dict[str, Callable[[], float]], rounds: int = 5) -> dict[str, float]:
    return {name: min(times) for name, times in in_turns(runs, rounds).items()}
