"""The three gates of the parser in figures: random slips, documents as values, tag soup.

    PYTHONPATH=/any/worktree/addon python tests/fuzz/gates.py [slips|dialects|documents|soup ...] [--show 5]

measures the engine on PYTHONPATH, else this project's own.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1])]
    if "PYTHONPATH" not in os.environ:
        sys.path[:0] = [str(Path(__file__).parents[2] / "addon")]

from fuzz import dialect_slips, documents, slips, soup
from fuzz.samples import Judged, Sample, Verdict, judge


def slip_samples(choose: Random) -> Iterator[Sample]:
    yield from (slips.in_tags(choose, count) for count in (1, 2, 3))
    yield from (slips.in_value(choose), slips.in_prose(choose), slips.cut_short(choose))


def dialect_samples(choose: Random) -> Iterator[Sample]:
    yield from (dialect_slips.hermes_tags(choose), dialect_slips.hermes_json(choose))
    for dialect in dialect_slips.others():
        yield from (dialect_slips.in_dialect(dialect, choose, count) for count in (0, 1))


GATES: dict[str, tuple[Callable[[Random], Iterator[Sample]], int]] = {  # and how many rounds are measured
    "slips": (slip_samples, 500),
    "dialects": (dialect_samples, 60),
    "documents": (documents.samples, 120),
    "soup": (lambda choose: iter([soup.soup(choose)]), 1500),
}
CHUNK = 20  # rounds of one job


@dataclass
class Tally:
    """The verdicts of one row, and samples that did not come out."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    missed: list[tuple[Sample, Judged]] = field(default_factory=list)

    @property
    def exact(self) -> float:
        return 100 * self.verdicts[Verdict.EXACT] / self.verdicts.total()


def measure(gate: str, seed: int, start: int, count: int) -> list[tuple[Sample, Judged]]:
    """Rounds of one gate. Each has a seed of its own, so that it can be seen again alone."""
    make, _ = GATES[gate]
    judged = []
    for number in range(start, start + count):
        choose = Random(f"{gate} {seed} {number}")
        judged += [(sample, judge(sample, number)) for sample in make(choose)]
    return judged


def tally(judged: Iterator[tuple[Sample, Judged]]) -> dict[str, Tally]:
    rows: dict[str, Tally] = {}
    for sample, found in judged:
        row = rows.setdefault(sample.row, Tally())
        row.verdicts[found.verdict] += 1
        if found.verdict is not Verdict.EXACT:
            row.missed.append((sample, found))
    return rows


def main() -> int:
    asked = arguments()
    start = time.monotonic()
    with ProcessPoolExecutor(asked.jobs) as pool:
        for gate in asked.gates or GATES:
            total = round(GATES[gate][1] * asked.times)
            jobs = [
                pool.submit(measure, gate, asked.seed, at, min(CHUNK, total - at))
                for at in range(0, total, CHUNK)
            ]
            show(gate, tally(pair for job in jobs for pair in job.result()), asked)
    print(f"\n{time.monotonic() - start:.0f} s, seed {asked.seed}")
    return 0


def show(gate: str, rows: dict[str, Tally], asked: argparse.Namespace) -> None:
    print(f"\n{gate}")
    for name, row in rows.items():
        others = ", ".join(f"{v} {n}" for v, n in row.verdicts.most_common() if v is not Verdict.EXACT)
        print(f"  {name:<34} {row.exact:6.1f} % of {row.verdicts.total():<5} {others}", flush=True)
        for sample, judged in row.missed[: asked.show] if asked.row in name else ():
            about = f"    [{sample.about}]\n" if sample.about else ""
            print(f"{about}    {judged.verdict}: {sample.text!r}\n      {judged.note[: asked.width]}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("gates", nargs="*", choices=[[], *GATES], help="which; without one, all")
    parser.add_argument("--show", type=int, default=0, help="print so many misses of each row")
    parser.add_argument("--row", default="", help="of rows whose name has this in it")
    parser.add_argument("--width", type=int, default=500, help="characters of what came out that are printed")
    parser.add_argument("--times", type=float, default=1, help="times as many samples")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
