"""The runner of `make fuzz`: it runs in full what `make test` shortens; then it counts, goes on while there
is time, and ends at a finding.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from fuzz import run
from fuzz.known import ARGUMENTS, FOLDER
from support.cases import read_all

MODULE = """
from hypothesis import given, settings, strategies as st

@settings(max_examples=20, database=None)
@given(st.integers())
def test_right(number):
    assert number == number

@settings(max_examples=200, database=None)
@given(st.integers())
def test_wrong(number):
    assert number < 50, "too much"

def test_without_examples():
    pass
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "test_numbers.py").write_text(MODULE)
    monkeypatch.setattr(run, "HERE", tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "fuzzed_test_numbers", raising=False)
    monkeypatch.setenv("FUZZ", "1")
    return tmp_path


def start(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["run.py", "--seconds", "0", "--jobs", "1", *arguments])
    return run.main()


def test_finds_the_tests_that_take_examples(folder: Path) -> None:
    assert [name for _, name in run.find(folder)] == ["test_right", "test_wrong"]


def test_counts_examples(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(monkeypatch, "--only", "right", "--seed", "7") == 0
    out = capsys.readouterr().out
    assert "test_numbers.test_right  seed 7  20 examples" in out
    assert "20 examples, no finding" in out


def test_ends_at_a_finding_with_its_smallest_example(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(monkeypatch, "--only", "wrong", "--seed", "7") == 1
    out = capsys.readouterr().out
    assert "too much" in out
    assert "number=50" in out
    assert "--only test_numbers.test_wrong --seed 7" in out
    assert "tests/fuzz/findings" in out


def test_says_that_no_test_has_that_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(monkeypatch, "--only", "nothing") == 2
    assert "nothing" in capsys.readouterr().err


# In full


@pytest.mark.parametrize("fails", [0, 1])
def test_begins_with_the_tests_that_are_shortened(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fails: int
) -> None:
    started = []

    def pytest_run(command: list[str], cwd: Path) -> "subprocess.CompletedProcess[str]":
        started.append((command, cwd))
        return subprocess.CompletedProcess(command, fails)

    monkeypatch.setattr(subprocess, "run", pytest_run)
    monkeypatch.setattr(run, "find", lambda _: [(folder / "test_numbers.py", "test_right")])
    assert start(monkeypatch) == fails
    assert started == [([sys.executable, "-m", "pytest", "--thorough", "-n", "1"], run.ROOT)]
    assert ("no finding" in capsys.readouterr().out) == (fails == 0)


def test_every_case_and_finding_is_among_them() -> None:
    files = ["tests/toolstream/test_cases.py", "tests/fuzz/test_findings.py"]
    command = [sys.executable, "-m", "pytest", "--thorough", "--collect-only"]
    listed = subprocess.check_output([*command, *files], cwd=run.ROOT, text=True)
    for name, cases in {
        "test_case": read_all(),
        "test_finding": read_all(FOLDER),
        "test_finding_in_parsed_arguments": read_all(ARGUMENTS),
    }.items():
        assert listed.count(f"::{name}[") == len(cases) > 0


def test_the_same_seed_gives_the_same_examples(folder: Path) -> None:
    path = folder / "test_numbers.py"
    assert run.play(path, "test_wrong", 3) == run.play(path, "test_wrong", 3)
    assert run.play(path, "test_right", 3).finding == ""
