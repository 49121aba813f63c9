"""Every recording in `recordings/` runs through today's rules, at many cuts, and must match its golden.

`make replay` does the same and prints more; `make golden` approves the results.
"""

from pathlib import Path

import pytest
from proxy import ROOT

from qwenproxy.replay.command import Status, find, replay

PATHS, WRONG = find([ROOT / "recordings"])


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_recording(path: Path) -> None:
    report = replay(path)
    assert report.status is Status.SAME, f"\n{report}"


def test_nothing_else_is_wrong_with_the_recordings() -> None:
    assert [str(report) for report in WRONG] == []
