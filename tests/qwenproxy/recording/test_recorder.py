"""Where recordings go, and what happens when they cannot."""

import json
import logging
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from qwenproxy.recording import recorder
from qwenproxy.recording.format import Recording, load
from qwenproxy.recording.recorder import Recorder, file_stem

ANSWER = Recording(name="one", request={}, chunks=[b"data: 1\n\n"], times=[0.0])


def test_a_file_is_written_under_its_name(tmp_path: Path) -> None:
    path = Recorder(tmp_path).write(ANSWER)
    assert path == tmp_path / "one.flow"
    assert load(path).chunks == ANSWER.chunks
    assert [p.name for p in tmp_path.iterdir()] == ["one.flow"]


def test_a_full_disk_is_said_once_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    writer = Recorder(tmp_path)
    monkeypatch.setattr("qwenproxy.recording.format.io.FlowWriter.add", full)
    assert writer.write(ANSWER) is writer.write(ANSWER) is None
    assert list(tmp_path.iterdir()) == []
    assert [r.getMessage() for r in caplog.records] == [
        f"qwen_record: nothing is recorded until this is fixed: {tmp_path}: No space left on device"
    ]
    assert writer.trouble == f"{tmp_path}: No space left on device"
    monkeypatch.undo()
    assert writer.write(ANSWER)
    assert not writer.trouble
    monkeypatch.setattr("qwenproxy.recording.format.io.FlowWriter.add", full)
    writer.write(ANSWER)
    assert len(caplog.records) == 2


def test_a_bug_in_redaction_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> Recording:
        raise ValueError("planted")

    monkeypatch.setattr(recorder, "redact", broken)
    with caplog.at_level(logging.ERROR):
        assert Recorder(tmp_path).write(ANSWER) is None
    assert "planted" in caplog.text
    assert list(tmp_path.iterdir()) == []


LEDGERS: dict[str, Recording] = {
    "passed": replace(ANSWER, ledger={"calls": 0, "repairs": {}, "refused": {}, "failure": ""}),
    "converted": replace(ANSWER, ledger={"calls": 1}),
    "repaired": replace(ANSWER, ledger={"repairs": {"stray-closer": 1}}),
    "both": replace(ANSWER, ledger={"repairs": {"stray-closer": 1}, "refused": {"fenced": 1}}),
    "broken": replace(ANSWER, ledger={"failure": "Traceback"}),
    "aborted": replace(ANSWER, aborted="shutdown"),
    "error": replace(ANSWER, status=400),
}


@pytest.mark.parametrize(
    ("what", "wanted"),
    [
        ("all", list(LEDGERS)),
        ("repaired", ["converted", "repaired", "both"]),
        ("refused", ["both"]),
        ("failed", ["broken", "aborted", "error"]),
    ],
)
def test_what_is_kept(tmp_path: Path, what: str, wanted: list[str]) -> None:
    writer = Recorder(tmp_path, what=what)
    for name, recording in LEDGERS.items():
        writer.write(replace(recording, name=name))
    assert {p.stem for p in tmp_path.iterdir()} == set(wanted)


def test_the_name_of_the_file_tells_no_secret(tmp_path: Path) -> None:
    asked = {"model": "the model of Anna", "messages": []}
    name = file_stem(0.0, asked["model"], "passed", "abcdef-0123")
    recording = replace(ANSWER, name=name, request=asked, request_body=json.dumps(asked).encode())
    path = Recorder(tmp_path, frozenset(["model"])).write(recording)
    assert path
    assert "Anna" not in path.name
    assert b"Anna" not in path.read_bytes()


def test_a_disk_that_fills_up_while_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    whole = Path.with_name
    monkeypatch.setattr(Path, "with_name", lambda *_: Path("/dev/full"))
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    assert Recorder(tmp_path).write(ANSWER) is None
    assert [r.getMessage() for r in caplog.records] == [
        f"qwen_record: nothing is recorded until this is fixed: {tmp_path}: No space left on device"
    ]
    monkeypatch.setattr(Path, "with_name", whole)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("model", "readable"),
    [
        ("qwen3-coder", "qwen3-coder"),
        ("Qwen/Qwen2.5-Coder:7b", "Qwen-Qwen2.5-Coder-7b"),
        ("../../etc/passwd", "etc-passwd"),
        ("", "unknown"),
        ("…", "unknown"),
        ("x" * 100, "x" * 40),
    ],
)
def test_names_are_good_for_any_file_system(model: str, readable: str) -> None:
    stem = file_stem(1_700_000_000.0625, model, "passed", "abcdef-0123")
    assert stem.split("-", 2)[2] == f"{readable}-passed-abcdef"
    assert stem.split("-")[1].endswith(".062")


@pytest.mark.skipif(os.name != "posix", reason="there are no such modes")
def test_only_the_owner_may_read(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = Recorder(tmp_path / "new" / "flows").write(ANSWER)
        assert path
        (left := path.with_name(f".{path.name}.partial")).write_bytes(b"left by a crash")
        left.chmod(0o644)
        assert Recorder(path.parent).write(ANSWER) == path
    finally:
        os.umask(before)
    assert [stat.S_IMODE(p.stat().st_mode) for p in (path, path.parent)] == [0o600, 0o700]


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    Recorder(tmp_path).write(ANSWER)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
