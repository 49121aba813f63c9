"""Reducing recordings to valid test cases."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from answers import DONE, LEAKING, PROSE, answer, native
from proxy import LEAK, chat, chunk, events

from qwenproxy.recording.format import Recording, load, save
from qwenproxy.replay import other_version
from qwenproxy.replay.casefile import read
from qwenproxy.replay.golden import Golden, dumps, golden_path
from qwenproxy.replay.other_version import NoSuchRulesError, from_directory, from_git, history
from qwenproxy.replay.reduction import Wish
from qwenproxy.replay.rerun import outcome
from qwenproxy.replay.shrink import command, read_wish

TOOLSTREAM = other_version.HERE
LONG = f"Let me see.\n\nFirst this:\n<tool_call>\n{LEAK}\n\nand then\n{LEAK}\n"


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Recording], Path]:
    """Writes a recording and its golden."""

    def write(recording: Recording) -> Path:
        path = tmp_path / f"{recording.name}.flow"
        save(recording, path)
        golden_path(path).write_text(dumps(outcome(recording, recording.chunks)))
        return path

    return write


# Wishes


def test_a_repair_is_kept_and_no_other_comes(
    saved: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(answer("long", events(LONG)))
    assert command([str(path), "--keep", "repair=missing-tool-call-open"]) == 0
    text = capsys.readouterr().out
    (case,) = read(text, "file")
    assert case.repairs == ("missing-tool-call-open",)
    assert len(text.splitlines()) < 10
    assert [name for name, _ in case.calls] == ["get_weather"]
    assert "Let me" not in case.input


def test_what_a_rule_did_is_kept_with_the_rule(
    saved: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    rule = {"name": "a", "parameter": "at", "condition": "exists", "action": "remove_parameter"}
    rules = json.dumps({"tools": {"get_weather": {"fixes": [rule]}}})
    leak = LEAK.replace("parameter=days", "parameter=at")
    path = saved(answer("ruled", events(f"Let me see.\n{leak}"), rules=rules))
    assert command([str(path), "--keep", "repair=rule-removed"]) == 0
    (case,) = read(capsys.readouterr().out, "file")
    assert case.rules
    assert "rule-removed" in case.repairs


def test_a_refusal_is_kept(saved: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(answer("fence", events(f"So:\n```xml\n<tool_call>\n{LEAK}\n```\nDone.")))
    assert command([str(path), "--keep", "refused=fenced"]) == 0
    (case,) = read(capsys.readouterr().out, "file")
    assert (case.refused, case.repairs, case.text) == (("fenced",), (), case.input)
    assert len(case.input) < 40


def test_an_answer_that_was_not_streamed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "text.txt"
    path.write_text(LONG)
    request = tmp_path / "request.json"
    request.write_text(json.dumps(chat()))
    arguments = [str(path), "--request", str(request), "--keep", "repair=missing-tool-call-open"]
    assert command(arguments) == 0
    assert "#repairs missing-tool-call-open" in capsys.readouterr().out


def test_what_is_not_there_cannot_be_kept(
    saved: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(LEAKING)
    assert command([str(path), "--keep", "repair=json-body"]) == 1
    said = capsys.readouterr().err
    assert "leaking: does not show repair=json-body; it shows repair=missing-tool-call-open" in said


@pytest.mark.parametrize("wish", ["", "repair", "repair=", "crash=x", "other"])
def test_wishes_that_are_none(
    saved: Callable[..., Path], capsys: pytest.CaptureFixture[str], wish: str
) -> None:
    assert command([str(saved(LEAKING)), "--keep", wish]) == 1
    assert f"--keep {wish}: write" in capsys.readouterr().err


def test_a_crash_becomes_a_case_that_says_so(
    saved: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from toolstream.parser.message import Message
    from toolstream.parser.states import Step

    def fail(self: Message) -> Step:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(Message, "end_call", fail)
    assert command([str(saved(LEAKING)), "--keep", "crash"]) == 0
    (case,) = read(capsys.readouterr().out, "file")
    assert case.bug == "crashes with ZeroDivisionError: planted"
    assert case.input.count("<") == 2  # the call, and what makes it end


# What is changed


@pytest.fixture
def old_rules(tmp_path: Path) -> Path:
    """Return rules in which a declared parameter does not end a value, unlike today's."""
    directory = tmp_path / "old"
    shutil.copytree(TOOLSTREAM, directory / "toolstream")
    slips = directory / "toolstream" / "parser" / "slips.py"
    today = "alone and self.may_have_next(tag)"
    assert today in slips.read_text()
    slips.write_text(slips.read_text().replace(today, "False"))
    return directory


UNCLOSED = LEAK.replace("\n</parameter>", "")


def test_a_change_is_reduced_to_what_it_was_before(
    saved: Callable[..., Path], old_rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(answer("unclosed", events(f"Let me see.\n{UNCLOSED}")))
    assert command([str(path), "--keep", "changed", "--against", str(old_rules)]) == 0
    said = capsys.readouterr()
    (case,) = read(said.out, "file")
    assert len(said.out.splitlines()) < 10
    assert len(case.calls) == 1
    assert "<parameter=days>" in case.calls[0][1]
    assert "today the result is different" in said.err
    assert "call 1, get_weather:" in said.err


def test_nothing_has_changed(saved: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert command([str(saved(LEAKING)), "--keep", "changed", "--against", str(TOOLSTREAM)]) == 1
    assert "leaking: the result is the same as before" in capsys.readouterr().err


def test_what_only_shows_in_the_chunks_is_reduced_there(
    saved: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old"
    shutil.copytree(TOOLSTREAM, old / "toolstream")
    rewriter = old / "toolstream" / "rewriter" / "stream.py"
    rewriter.write_text(rewriter.read_text() + "\nStreamRewriter.close = lambda self: [b'data: 1\\n\\n']\n")
    path = saved(answer("native", [*native(['{"city": "Oslo"}'])[:-1], chunk({"content": ""}), DONE]))
    arguments = ["--keep", "changed", "--against", str(old), "--into", str(tmp_path)]
    assert command([str(path), *arguments]) == 0
    said = capsys.readouterr().out
    assert "the text alone does not show it" in said
    smaller = load(tmp_path / "native-shrunk.flow")
    assert len(smaller.chunks) <= 1
    assert len(smaller.request["tools"]) <= 1


def test_without_a_golden_nothing_is_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "leaking.flow"
    save(LEAKING, path)
    assert command([str(path), "--keep", "changed"]) == 1
    assert "there is no golden" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_rules_are_found_in_git() -> None:
    try:
        revisions = list(history())
    except NoSuchRulesError:
        pytest.skip("not in a checkout")
    rules = from_git(revisions[0])
    assert rules.name.startswith("commit ")
    assert rules.parser is not other_version.TODAY.parser
    assert outcome(PROSE, PROSE.chunks, rules=rules).unchanged


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_rules_of_the_time_before_the_rooms_can_be_loaded() -> None:
    moved = ["git", "log", "-1", "--diff-filter=D", "--format=%H", "--", ":/addon/toolstream/parser.py"]
    found = subprocess.run(moved, cwd=TOOLSTREAM, capture_output=True, text=True, check=False)
    if not found.stdout.strip():
        pytest.skip("not in a checkout that goes back so far")
    rules = from_git(f"{found.stdout.strip()}^")
    assert outcome(LEAKING, LEAKING.chunks, rules=rules).choices[0].calls[0].name == "get_weather"


def test_rules_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(NoSuchRulesError, match="no toolstream in it"):
        from_directory(tmp_path)
    with pytest.raises(NoSuchRulesError, match="git archive"):
        from_git("no-such-revision")
    (tmp_path / "parser.py").write_text("")
    (tmp_path / "__init__.py").write_text("1 / 0")
    with pytest.raises(NoSuchRulesError, match="cannot be loaded"):
        from_directory(tmp_path)


def test_a_wish_in_a_stream() -> None:
    assert read_wish("crash").is_shown(Golden(crash="x"), Golden())
    assert read_wish("refused=fenced").is_shown(Golden(refused={"fenced": 1}), Golden())
    assert not Wish("changed").is_shown(Golden(), Golden())
