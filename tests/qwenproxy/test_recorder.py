"""Where recordings go, and what happens when they cannot."""

import logging
from pathlib import Path

import pytest

from qwenproxy import recorder
from qwenproxy.recorder import Recorder, file_stem
from qwenproxy.recording import Recording, load

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
    monkeypatch.setattr("qwenproxy.recording.io.FlowWriter.add", full)
    assert writer.write(ANSWER) is writer.write(ANSWER) is None
    assert list(tmp_path.iterdir()) == []
    assert [r.getMessage() for r in caplog.records] == [
        f"qwen_record: nothing is recorded until this is mended: {tmp_path}: No space left on device"
    ]
    monkeypatch.undo()
    assert writer.write(ANSWER)
    monkeypatch.setattr("qwenproxy.recording.io.FlowWriter.add", full)
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
