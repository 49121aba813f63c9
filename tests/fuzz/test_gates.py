"""The gates, a part of them and always the same samples: no row misses its bar but by chance, and nothing
raises, depends on the cut or is lost. `tests/fuzz/gates.py` shows the rest.
"""

import re
from pathlib import Path

import pytest

from fuzz.gates import BARS, is_finding, is_missed, line, measure, show, tally

SEED = 1
ROUNDS = {"slips": 50, "dialects": 10, "documents": 20, "soup": 300}  # a few seconds each
SHOWN = 3


@pytest.mark.parametrize("gate", ROUNDS)
def test_gate(gate: str) -> None:
    rows = tally(measure(gate, SEED, 0, ROUNDS[gate]))
    wrong = {
        name: row
        for name, row in rows.items()
        if is_missed(name, row) or any(is_finding(*pair) for pair in row.missed)
    }
    for name, row in wrong.items():
        print(line(name, row))
        for pair in row.missed[:SHOWN]:
            show(*pair)
    assert list(wrong) == []


def test_the_readme_promises_the_bars() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    slips = [f"{BARS[name]:g} %" for name in BARS if name.endswith("in tags") and "slip" in name][:3]
    slips.append(f"{BARS['Hermes: 1 slip in JSON']:g} %")
    assert re.findall(r"[\d.]+ %", readme)[:4] == slips
