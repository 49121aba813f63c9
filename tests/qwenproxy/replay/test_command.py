"""The command: its output, its files and its exit code."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from answers import BUFFERED, LEAKING, PROSE
from proxy import ROOT

from qwenproxy.recording.format import save
from qwenproxy.replay import command as replay
from qwenproxy.replay.command import Report, Status, main
from qwenproxy.replay.golden import Golden, golden_path, load
from qwenproxy.replay.rerun import Run

FORMATS = Path(__file__).parent / "formats"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Three recordings and their goldens."""
    for recording in (LEAKING, PROSE, BUFFERED):
        save(recording, tmp_path / f"{recording.name}.flow")
    assert main(["--golden", str(tmp_path)]) == 0
    return tmp_path


@pytest.fixture
def said(directory: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    capsys.readouterr()
    return lambda: capsys.readouterr().out


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_all_is_the_same(directory: Path, said: Callable[[], str]) -> None:
    assert main([str(directory)]) == 0
    assert said() == "3 recordings: 3 same\n"


def test_one_file_can_be_named(directory: Path, said: Callable[[], str]) -> None:
    assert main([str(directory / "prose.flow")]) == 0
    assert said() == "1 recording: 1 same\n"


def test_a_change_is_said_by_field_and_what_to_do(directory: Path, said: Callable[[], str]) -> None:
    edit(golden_path(directory / "leaking.flow"), "Zürich", "Oslo")
    assert main([str(directory)]) == 1
    assert said() == (
        f"{directory}/leaking.flow: changed\n"
        "  call 1, get_weather:\n"
        "      argument city:\n"
        '        - "Oslo"\n'
        '        + "Zürich"\n'
        "3 recordings: 2 same, 1 changed\n"
        f"If the change is intended, `qwen-fix replay --golden {directory}` approves it and `git diff` "
        "shows it for review.\n"
        "If not, this reduces it to a test case:\n"
        f"  qwen-fix replay shrink {directory}/leaking.flow --keep changed\n"
    )


def test_a_recording_without_a_golden_is_new(directory: Path, said: Callable[[], str]) -> None:
    golden_path(directory / "prose.flow").unlink()
    assert main([str(directory), "--recovery", "strict"]) == 1
    assert f"`qwen-fix replay --golden --recovery strict {directory}`" in said()
    assert main([str(directory)]) == 1
    text = said()
    assert "prose.flow: new\n  it has no prose.golden.json yet\n3 recordings: 2 same, 1 new\n" in text
    assert "shrink" not in text
    advised = re.search(r"`qwen-fix replay (.*?)`", text)
    assert advised
    assert main(advised[1].split()) == 0  # the advice works
    assert main([str(directory)]) == 0
    said()
    assert main([str(directory), "--json"]) == 0


def test_broken_files_do_not_keep_the_others_from_running(directory: Path, said: Callable[[], str]) -> None:
    (directory / "leaking.flow").write_bytes(b"no flow")
    golden_path(directory / "prose.flow").write_text("{")
    (directory / "gone.golden.json").write_text("{}")
    assert main([str(directory), str(directory / "none.flow")]) == 2
    text = said()
    assert f"{directory}/leaking.flow: broken\n  {directory}/leaking.flow: " in text
    assert f"{directory}/prose.flow: broken\n  {directory}/prose.golden.json: not a golden" in text
    assert "gone.golden.json: broken\n  a golden without its recording" in text
    assert "none.flow: broken" in text
    assert "No such file" in text
    assert "5 recordings: 1 same, 4 broken" in text


def test_a_directory_without_recordings_is_one_line(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    empty = tmp_path / "empty"
    empty.mkdir()
    line = f"{empty}: no recordings (*.flow) in it\n"
    assert main([str(empty)]) == 2
    assert capsys.readouterr() == ("", line)
    assert main([str(directory), str(empty)]) == 2
    assert capsys.readouterr() == ("3 recordings: 3 same\n", line)


@pytest.mark.parametrize("arguments", [[], ["recordings"], ["--golden"], ["summary"]])
def test_a_default_that_is_not_there_asks_for_another(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert capsys.readouterr() == ("", "no folder recordings here: name one\n")


@pytest.mark.parametrize(
    ("word", "advice"),
    [("imprt", "write import"), ("start", "write one of summary, import, shrink, record, compare")],
)
def test_a_word_that_is_no_command_is_no_path(
    word: str, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word, "a.txt"]) == 2
    assert capsys.readouterr() == ("", f"{word}: there is no such file, folder or command; {advice}\n")


def test_a_failure_of_ours_names_the_file(
    directory: Path, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Run:
        raise RuntimeError("planted")

    monkeypatch.setattr(replay, "run", fail)
    assert main([str(directory / "prose.flow")]) == 2
    assert "prose.flow: broken\n  cannot be replayed: RuntimeError('planted')" in said()


def test_json_for_programs(directory: Path, said: Callable[[], str]) -> None:
    edit(golden_path(directory / "prose.flow"), '"stop"', '"length"')
    assert main([str(directory), "--json"]) == 1
    result = json.loads(said())
    assert [(Path(r["path"]).stem, r["status"]) for r in result["recordings"]] == [
        ("buffered", "same"),
        ("leaking", "same"),
        ("prose", "changed"),
    ]
    assert result["recordings"][2]["lines"][0] == "finish_reason:"
    assert result["summary"] == "3 recordings: 2 same, 1 changed"


def test_several_processes_say_the_same(
    directory: Path, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(golden_path(directory / "leaking.flow"), "Zürich", "Oslo")
    assert main([str(directory)]) == 1
    alone = said()
    monkeypatch.setattr(replay, "WORTH_A_PROCESS", 0)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert main([str(directory)]) == 1
    assert said() == alone


def test_the_bar_is_for_terminals(
    directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main([str(directory)]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main([str(directory)]) == 0
    assert "[####################..........] 2/3 leaking" in capsys.readouterr().err


# Goldens


def test_goldens_are_written_only_where_they_differ(directory: Path, said: Callable[[], str]) -> None:
    path = golden_path(directory / "leaking.flow")
    text = path.read_text("utf-8")
    edit(path, "Zürich", "Oslo")
    assert main(["--golden", str(directory)]) == 0
    assert said() == f"{path}: written\n3 recordings: 3 same\n"
    assert path.read_text("utf-8") == text
    assert main(["--golden", str(directory)]) == 0
    assert said() == "3 recordings: 3 same\n"


def test_replaying_writes_nothing(directory: Path) -> None:
    path = golden_path(directory / "leaking.flow")
    edit(path, "Zürich", "Oslo")
    before = {f: f.read_bytes() for f in directory.iterdir()}
    assert main([str(directory)]) == 1
    assert {f: f.read_bytes() for f in directory.iterdir()} == before


@pytest.mark.parametrize(
    "wrong", [{"disagreements": [("whole", ["content:"])]}, {"golden": Golden(crash="ValueError: x")}]
)
def test_what_is_wrong_by_itself_is_never_approved(
    directory: Path, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch, wrong: dict[str, object]
) -> None:
    path = golden_path(directory / "prose.flow")
    result = Run(load(path), [], 3)
    path.unlink()
    monkeypatch.setattr(replay, "run", lambda *_: replace(result, **wrong))
    assert main(["--golden", str(directory / "prose.flow")]) == 1
    assert "its golden was not written" in said()
    assert not path.exists()


def test_cuts_that_disagree_are_a_change(
    directory: Path, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    disagreements = [(f"at random cut {n}", ["content:", "    +x"]) for n in range(5)]
    result = Run(load(golden_path(directory / "prose.flow")), disagreements, 15)
    monkeypatch.setattr(replay, "run", lambda *_: result)
    assert main([str(directory / "prose.flow")]) == 1
    text = said()
    assert (
        "at random cut 0, the result differs from that of its own pieces:\n    content:\n        +x" in text
    )
    assert "and at 2 more of 15 cuts" in text


# Formats


def test_the_first_version_of_both_formats_is_still_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(FORMATS / "v1.flow")]) == 0
    assert capsys.readouterr().out == "1 recording: 1 same\n"


def test_the_exit_codes() -> None:
    assert [status.exit_code for status in Status] == [0, 1, 1, 2]
    assert str(Report(Path("a.flow"), Status.CHANGED, ["x"])) == "a.flow: changed\n  x"


def test_it_is_a_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "qwenproxy.replay", str(FORMATS)], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 recording: 1 same\n", "")


def test_other_commands_have_their_help() -> None:
    for name in replay.COMMANDS:
        with pytest.raises(SystemExit) as left:
            main([name, "--help"])
        assert left.value.code == 0
