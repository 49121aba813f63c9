"""What `qwen-fix replay summary` lists."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from answers import BUFFERED, CUT, LEAKING, PROSE

from qwenproxy.recording.format import Recording, load, save
from qwenproxy.replay.command import main
from qwenproxy.replay.overview import client_of, command
from qwenproxy.replay.rerun import rewrite


def seen(recording: Recording, name: str, agent: str, model: str) -> Recording:
    """Return a recording of this client and model."""
    out, ledger = rewrite(recording, recording.chunks, "tolerant")
    return replace(
        recording,
        name=name,
        request=recording.request | {"model": model},
        request_body=json.dumps(recording.request | {"model": model}).encode(),
        request_headers=(("User-Agent", agent),),
        out=out,
        ledger=ledger.as_dict(),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    opencode, sdk = "opencode/1.18.33 ai-sdk/provider-utils/4", "OpenAI/Python 2.8.0"
    for recording in (
        seen(LEAKING, "a", opencode, "coder"),
        seen(LEAKING, "b", opencode, "coder"),
        seen(BUFFERED, "c", opencode, "coder"),
        seen(PROSE, "d", sdk, "coder"),
        seen(CUT, "e", sdk, "other"),
    ):
        save(recording, tmp_path / f"{recording.name}.flow")
    return tmp_path


def test_it_lists_chats_by_client_and_model_and_repairs(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["summary", str(folder)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["client", "model", "chats", "streamed", "calls", "repaired", "refused", "failed"]
    assert rows[1][:5] == ["OpenAI/Python", "2.8.0", "coder", "1", "1"]
    assert rows[3][:7] == ["opencode/1.18.33", "coder", "3", "2", "3", "3", "0"]
    assert ["missing-tool-call-open", "coder", "3"] in rows


def test_it_is_there_for_programs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command([str(folder / "a.flow"), "--json"]) == 0
    (chats,) = json.loads(capsys.readouterr().out)["chats"]
    assert (chats["client"], chats["model"], chats["chats"]) == ("opencode/1.18.33", "coder", 1)
    assert chats["repairs"] == {"missing-tool-call-open": 1}


def test_what_has_no_ledger_is_counted_by_todays_rules(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command([str(folder)]) == 0
    before = capsys.readouterr()
    assert before.err == ""
    for path in folder.iterdir():
        save(replace(load(path), ledger={}, out=b""), path)
    assert command([str(folder)]) == 0
    after = capsys.readouterr()
    assert after.out == before.out
    assert after.err == "\n5 chats without a ledger: counted by today's rules\n"


def test_what_cannot_be_rewritten_counts_as_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(replace(LEAKING, rules="tools: ["), tmp_path / "a.flow")
    assert command([str(tmp_path), "--json"]) == 0
    (chats,) = json.loads(capsys.readouterr().out)["chats"]
    assert (chats["chats"], chats["failed"]) == (1, 1)


def test_files_that_cannot_be_read_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.flow").write_bytes(b"no flow")
    assert command([str(folder)]) == 2
    said = capsys.readouterr()
    assert "bad.flow: " in said.err
    assert "opencode" in said.out


def test_a_models_name_cannot_break_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(seen(LEAKING, "a", "curl/8", "x\x1b[31mRED\ny" + "z" * 200), tmp_path / "a.flow")
    assert command([str(tmp_path)]) == 0
    row = capsys.readouterr().out.splitlines()[1]
    assert row.isprintable()
    assert "x[31mREDyzzz" in row
    assert len(row) < 140


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command([str(tmp_path / "nothere")]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"{tmp_path / 'nothere'}: there is no such file or folder\n")


def test_a_folder_with_nothing_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command([str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"no recordings (*.flow) in {tmp_path}\n"


@pytest.mark.parametrize(
    ("agent", "client"),
    [
        ("opencode/1.18.33 ai-sdk/x", "opencode/1.18.33"),
        ("OpenAI/Python 2.8.0", "OpenAI/Python 2.8.0"),
        ("QwenCode/0.24.4 (linux; x64)", "QwenCode/0.24.4"),
        ("curl/8.1", "curl/8.1"),
        ("", "unknown"),
        ("\x1b[31m", "unknown"),
    ],
)
def test_the_client_of_a_user_agent(agent: str, client: str) -> None:
    assert client_of(agent) == client
