"""The gates can fail, and say what for: what judges, shortens and keeps samples, and what writes them."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fuzz import documents, gates, known, run, samples, slips, soup
from fuzz.dialect_slips import hermes_json, in_dialect, others
from fuzz.samples import Judged, Sample, Verdict, judge
from fuzz.shrink import as_case, shrunk
from qwenproxy.replay.casefile import read
from support.outcome import Outcome

TOOLS = ("read(path: string, limit?: integer)",)
CALL = "<tool_call>\n<function=read>\n<parameter=path>\na\n</parameter>\n</function>\n</tool_call>"
READ = (("read", {"path": "a"}),)


def random() -> Random:
    return Random("a seed")


# Judging


@pytest.mark.parametrize(
    ("text", "calls", "left", "verdict"),
    [
        (CALL, READ, "", Verdict.EXACT),
        ("Text", (), "Text", Verdict.EXACT),
        (f"{CALL}\nText", READ, "", Verdict.LEFT),
        ("Text", READ, "", Verdict.TEXT),
        (CALL, (("read", {"path": "b"}),), "", Verdict.WRONG),
        (CALL.replace("a\n", "5\n"), (("read", {"path": 5}),), "", Verdict.WRONG),
        (CALL, (), CALL, Verdict.WRONG),
    ],
)
def test_a_sample_is_judged(text: str, calls: Any, left: str, verdict: Verdict) -> None:
    assert judge(Sample("row", text, TOOLS, calls, left)).verdict is verdict


def engine(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """Have the samples read by another engine: `change(outcome, pieces, live)` of what ours says."""

    def other(pieces: Sequence[str], *args: Any, live: bool = True, **options: Any) -> Outcome:
        return change(ours(pieces, *args, live=live, **options), pieces, live)

    ours = samples.run
    monkeypatch.setattr(samples, "run", other)


def test_what_depends_on_the_cut_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    engine(monkeypatch, lambda out, pieces, _: replace(out, events=[]) if len(pieces) == 1 else out)
    assert judge(Sample("row", CALL, TOOLS, READ)).verdict is Verdict.CUT


def test_what_depends_on_streaming_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    engine(monkeypatch, lambda out, _, live: out if live else replace(out, events=[]))
    judged = judge(Sample("row", CALL, TOOLS, READ))
    assert judged.verdict is Verdict.CUT
    assert judged.note.startswith("not streamed")


def test_an_exception_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    engine(monkeypatch, lambda out, pieces, live: 1 / 0)
    assert judge(Sample("row", CALL, TOOLS, READ)) == Judged(
        Verdict.RAISED, "ZeroDivisionError: division by zero"
    )


def test_lost_and_doubled_characters_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = Sample("row", f"q1q {CALL} q2q", soup.LINES, check=soup.conserved)
    assert judge(sample).verdict is Verdict.EXACT
    engine(monkeypatch, lambda out, *_: replace(out, text=out.text.replace("q1q", "")))
    assert judge(sample).verdict is Verdict.LOST
    engine(monkeypatch, lambda out, *_: replace(out, text="q1q q1q"))
    assert judge(sample).verdict is Verdict.LOST


def test_a_part_of_a_call_that_can_be_executed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    part = [("read", '{"path": ""}')]
    engine(monkeypatch, lambda out, *_: replace(out, open_call=None, calls=part, events=[]))
    samples = [slips.cut_short(Random(seed)) for seed in range(20)]
    assert {judge(sample).verdict for sample in samples if not sample.calls} == {Verdict.UNSAFE}


# What the samples are


def names(text: str) -> list[str]:
    return re.findall(r"\b(?:read|write|edit|run|list|search|path|content|command|query)\b", text)


def test_no_slip_touches_a_name() -> None:
    for seed in range(200):
        choose = Random(seed)
        parts = list(slips.canonical(*slips.call(choose)))
        damaged, made = slips.slipped(parts, 3, choose)
        before, after = ([part for part in row if isinstance(part, slips.Tag)] for row in (parts, damaged))
        assert len(made) == 3
        assert [tag.name for tag in before] == [tag.name for tag in after]
        assert [str(part) for part in parts] != [str(part) for part in damaged]


def test_every_kind_of_slip_is_made() -> None:
    made = {
        about.split(":")[0]
        for seed in range(50)
        for about in slips.in_tags(Random(seed), 3).about.split(" · ")
    }
    assert made == set(slips.SLIPS)


def test_slips_in_json_change_it() -> None:
    for seed in range(50):
        sample = hermes_json(Random(seed))
        ((name, arguments),) = sample.calls
        body = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
        assert f"<tool_call>\n{body}\n</tool_call>" != sample.text


def test_calls_of_other_dialects_are_read_as_they_were() -> None:
    for dialect in others():
        assert judge(in_dialect(dialect, random(), 0)).verdict is Verdict.EXACT, dialect.name


@pytest.mark.parametrize(
    ("text", "unclear"),
    [
        ("a </parameter> b", False),
        ("</parameter>\nand text", False),
        ("text\n</parameter>", True),
        ("</parameter>\n<parameter=path>\nb\n</parameter>\nc", True),
        (f"{CALL}\nand text", False),
        ("</function>\n</tool_call>\nand text", True),
        ("</tool_call>\nand text", False),
        ("</tool_call>\nand text" + 600 * "x", True),
        ("<tool_call>\nand text", True),
        ("<div>\n</div>\n</div>", False),
        (" text\n\n", False),
        ("\n", True),
        ("text\r", True),
    ],
)
def test_documents_with_two_readings_are_left_out(text: str, unclear: bool) -> None:
    assert documents.unclear(text) is unclear


def test_the_documents_are_many() -> None:
    texts = {documents.document(Random(seed)) for seed in range(100)}
    assert len(texts) > 90
    assert {"\r\n" in text for text in texts} == {True, False}
    assert any("<tool_call>" in text for text in texts)


def test_a_bar_is_not_missed_by_chance() -> None:
    def row(exact: int, wrong: int) -> gates.Tally:
        return gates.Tally(Counter({Verdict.EXACT: exact, Verdict.WRONG: wrong}))

    assert not gates.is_missed("3 slips in tags", row(89, 11))
    assert gates.is_missed("3 slips in tags", row(890, 110))
    assert gates.is_missed("slips in a value", row(999, 1))
    assert not gates.is_missed("no such row", row(0, 9))


@pytest.mark.parametrize("gate", gates.GATES)
def test_the_same_seed_makes_the_same_samples(gate: str) -> None:
    make, _ = gates.GATES[gate]
    one, two = ([sample.text for sample in make(random())] for _ in range(2))
    assert one == two != [sample.text for sample in make(Random("another"))]


def test_every_bar_is_of_a_row() -> None:
    rows = {
        sample.row for make, _ in gates.GATES.values() for seed in range(30) for sample in make(Random(seed))
    }
    assert gates.BARS.keys() <= rows


# Shortening and keeping


def test_a_finding_becomes_small() -> None:
    line = "see <function=read>\nmore\n<tool_call>\n<function=read>\n</function>\n</tool_call>\nand so on"
    sample = slips.in_prose(line)
    small = shrunk(sample, judge(sample))
    assert judge(small).verdict is judge(sample).verdict is Verdict.WRONG
    assert len(small.core) < len(line) / 2


def test_a_finding_is_written_as_a_case() -> None:
    sample = documents.in_json("a\r\nb\t")
    (case,) = read(as_case(sample, Judged(Verdict.WRONG)), "file")
    assert case.input == sample.text
    assert [(name, json.loads(arguments)) for name, arguments in case.calls] == list(sample.calls)
    assert case.bug == "wrong call"


@pytest.fixture
def findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(known, "FOLDER", tmp_path)
    monkeypatch.setattr(run, "ROOT", tmp_path)
    return tmp_path


def test_a_gate_keeps_what_it_finds(findings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(monkeypatch, lambda out, *_: replace(out, text=out.text.replace("the end", "")))
    monkeypatch.setattr(gates, "GATES", {"prose": (lambda _: iter([slips.in_prose("and the end")]), 10)})
    done = run.play_gate("prose", 1)
    assert done.rows["slips in prose"].verdicts == {Verdict.WRONG: 1}
    assert [path.name for path in findings.iterdir()] == list(done.kept)


def test_not_more_is_kept_than_anybody_reads(findings: Path) -> None:
    paths = [known.keep("a row", f"case {number}") for number in range(known.MOST + 1)]
    assert paths[-2] == findings / paths[-2].name
    assert paths[-1] is None
