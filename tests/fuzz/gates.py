"""The three gates of the parser in figures: random slips, documents as values, tag soup; and slips in other
dialects.

    PYTHONPATH=/any/worktree/addon python tests/fuzz/gates.py [slips|dialects|documents|soup ...] [--show 5]

measures the engine on PYTHONPATH, else that of this project. `make fuzz` runs the gates with other seeds
and keeps what it finds; `make test` runs a few rounds with one seed.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    if "PYTHONPATH" not in os.environ:
        sys.path.insert(1, str(Path(__file__).parents[2] / "addon"))

from fuzz import dialect_slips, documents, slips, soup
from fuzz.samples import SERIOUS, Judged, Sample, Verdict, judge

# Percent of the samples that must come out exactly. Rows that are not here are only shown.
BARS = {
    **{f"{count} in tags": bar for count, bar in zip(slips.COUNTS, (99.5, 97.5, 95), strict=True)},
    **{f"1 slip, {where}": bar for where, bar in slips.SURROUNDINGS.items()},
    **dict.fromkeys(["slips in a value", "slips in prose", "slips, cut short", "soup"], 100),
    "Hermes: 1 slip in JSON": 98,
    "server's arguments: 1 slip": 72,
    **{f"{dialect.name}: 0 slips": 100 for dialect in dialect_slips.others()},
    **{f"{dialect.name}: 1 slip": 95 for dialect in dialect_slips.others()},
    **{f"document {end}": 98 if end in documents.DAMAGED else 100 for end in documents.ENDS},
    **dict.fromkeys(["document before a parameter", "document in JSON"], 100),
}
JOBS = 10  # parts that a measurement is made of; each is a round of `make fuzz`


def slip_samples(choose: Random) -> Iterator[Sample]:
    yield from (slips.in_tags(choose, count) for count in (1, 2, 3))
    yield from (slips.in_value(slips.quoted(choose)), slips.in_prose(slips.quoted(choose)))
    yield from (slips.with_odd_names(choose), slips.cut_short(choose), slips.among_calls(choose))
    yield from (slips.without_envelope(choose), slips.in_thinking(choose), slips.on_one_line(choose))


def dialect_samples(choose: Random) -> Iterator[Sample]:
    yield from (dialect_slips.hermes_tags(choose), dialect_slips.hermes_json(choose))
    yield dialect_slips.server_json(choose)
    for dialect in dialect_slips.others():
        yield from (dialect_slips.in_dialect(dialect, choose, count) for count in (0, 1))


def soup_samples(choose: Random) -> Iterator[Sample]:
    yield soup.soup(choose)


GATES: dict[str, tuple[Callable[[Random], Iterator[Sample]], int]] = {  # what makes a round; rounds measured
    "slips": (slip_samples, 600),
    "dialects": (dialect_samples, 60),
    "documents": (documents.samples, 200),
    "soup": (soup_samples, 2000),
}


@dataclass
class Tally:
    """The verdicts of one row, and the samples that did not come out."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    missed: list[tuple[Sample, Judged]] = field(default_factory=list)
    kinds: Counter[tuple[str, bool]] = field(default_factory=Counter)  # of slips, and whether it came out

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.verdicts + other.verdicts, self.missed + other.missed, self.kinds + other.kinds)

    @property
    def exact(self) -> float:
        """Percent."""
        return 100 * self.verdicts[Verdict.EXACT] / self.verdicts.total()


def measure(gate: str, seed: int, start: int = 0, rounds: int | None = None) -> list[tuple[Sample, Judged]]:
    """Rounds of one gate, if nothing else is said as many as a job has. Each has a seed of its own."""
    make, all_rounds = GATES[gate]
    rounds = all_rounds // JOBS if rounds is None else rounds
    judged = []
    for number in range(start, start + rounds):
        choose = Random(f"{gate} {seed} {number}")
        judged += [(sample, judge(sample, number)) for sample in make(choose)]
    return judged


def tally(judged: Iterable[tuple[Sample, Judged]]) -> dict[str, Tally]:
    """The rows of the table."""
    rows: dict[str, Tally] = {}
    for sample, found in judged:
        row = rows.setdefault(sample.row, Tally())
        row.verdicts[found.verdict] += 1
        row.kinds[sample.about.partition(":")[0], found.verdict is Verdict.EXACT] += 1
        if found.verdict is not Verdict.EXACT:
            row.missed.append((sample, found))
    return rows


def is_finding(sample: Sample, judged: Judged) -> bool:
    """Whether it is one by itself, not only if there are too many of them."""
    return judged.verdict in SERIOUS or (judged.verdict is not Verdict.EXACT and BARS.get(sample.row) == 100)


def is_missed(name: str, row: Tally) -> bool:
    """Whether a bar is missed by more than the chance of so few samples explains."""
    allowed = row.verdicts.total() * (100 - BARS.get(name, 0)) / 100
    return row.verdicts.total() - row.verdicts[Verdict.EXACT] > allowed + 3 * allowed**0.5


def line(name: str, row: Tally) -> str:
    """A row of the table."""
    others = ", ".join(f"{what} {n}" for what, n in row.verdicts.most_common() if what is not Verdict.EXACT)
    bar = f">= {BARS[name]:g}" if name in BARS else ""
    total, missed = row.verdicts.total(), "MISSED" if row.exact < BARS.get(name, 0) else ""
    return f"  {name:<34} {row.exact:6.1f} % of {total:<6} {bar:<8} {missed:<7} {others}".rstrip()


def by_kind(row: Tally) -> str:
    """How many of each kind of slip came out."""
    kinds = sorted({kind for kind, _ in row.kinds})
    return ", ".join(f"{k} {row.kinds[k, True]}/{row.kinds[k, True] + row.kinds[k, False]}" for k in kinds)


def main() -> int:
    asked = arguments()
    start = time.monotonic()
    with ProcessPoolExecutor(asked.jobs) as pool:
        for gate in asked.gates or GATES:
            total = round(GATES[gate][1] * asked.times)
            size = max(1, total // JOBS)
            jobs = [pool.submit(measure, gate, asked.seed, at, size) for at in range(0, total, size)]
            print(f"\n{gate}", flush=True)
            for name, row in tally(pair for job in jobs for pair in job.result()).items():
                print(line(name, row), flush=True)
                if asked.kinds and "1 slip" in name:
                    print("     ", by_kind(row))
                for sample, judged in row.missed[: asked.show] if asked.row in name else ():
                    show(sample, judged, asked.width)
    print(f"\n{time.monotonic() - start:.0f} s, seed {asked.seed}")
    return 0


def show(sample: Sample, judged: Judged, width: int = 600) -> None:
    """Print a sample that did not come out."""
    options = {key: value for key, value in sample.options.items() if value not in ("tolerant", "auto")}
    about = " ".join(filter(None, [sample.about, f"finish {sample.finish}", f"{options}" if options else ""]))
    print(f"    {judged.verdict}: {about}")
    for text in (repr(sample.text), judged.note):
        half = width // 2
        print("      " + (text if len(text) <= width else f"{text[:half]} … {text[-half:]}"))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("gates", nargs="*", choices=[[], *GATES], help="which; without one, all")
    parser.add_argument("--show", type=int, default=0, help="print so many misses of each row")
    parser.add_argument("--row", default="", help="of rows whose name has this in it")
    parser.add_argument("--width", type=int, default=600, help="characters that are printed of each text")
    parser.add_argument("--kinds", action="store_true", help="say it of each kind of slip, too")
    parser.add_argument("--times", type=float, default=1, help="times as many samples")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
