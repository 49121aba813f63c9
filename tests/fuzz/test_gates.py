"""The gates, a part of them and always the same samples: every row reaches its bar, and nothing raises,
depends on the cut or is lost. `tests/fuzz/gates.py` shows the rest.
"""

import pytest

from fuzz.gates import BARS, is_finding, line, measure, show, tally

SEED = 1
ROUNDS = {"slips": 400, "dialects": 30, "documents": 90, "soup": 1000}  # some seconds each
SHOWN = 3


@pytest.mark.parametrize("gate", ROUNDS)
def test_gate(gate: str) -> None:
    rows = tally(measure(gate, SEED, 0, ROUNDS[gate]))
    wrong = {
        name: row
        for name, row in rows.items()
        if row.exact < BARS.get(name, 0) or any(is_finding(*pair) for pair in row.missed)
    }
    for name, row in wrong.items():
        print(line(name, row))
        for pair in row.missed[:SHOWN]:
            show(*pair)
    assert list(wrong) == []
