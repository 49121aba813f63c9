"""Every case of `tests/cases`, at many cuts and in `make fuzz` at every cut, streamed and not.

Per case: the text, the calls (keys in order), the exact repairs and the refusals; and that
the merged events are the same for every cut and, unless the answer was cut off inside a
call (P9), for a caller that does not stream.
"""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import toolstream
from qwenproxy.replay.casefile import Case, read
from support import checks
from support.cases import read_all
from support.checks import check
from support.cuts import SHORT, Cuts, all_cuts, few_cuts
from support.observed import Observed, observe
from support.outcome import Outcome
from toolstream.repairs import Refused, Repair

ALL = read_all()
ROOMS = ("grammar", "schema", "parser")  # what reads text; the others read what the server parsed
NAMED = {"Repair": Repair, "Refused": Refused}


def named_in(room: str) -> set[str]:
    """The repairs and refusals that the modules of a room name."""
    files = Path(toolstream.__path__[0], room).rglob("*.py")
    nodes = [node for path in files for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    return {
        str(NAMED[node.value.id][node.attr])
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in NAMED
        if node.attr in NAMED[node.value.id].__members__
    }


OF_TEXT = {name for room in ROOMS for name in named_in(room)}


@pytest.fixture(scope="module")
def observed() -> Observed:
    return observe(ALL)


def parameters() -> Iterator[Any]:
    for case in ALL:
        marks = [pytest.mark.xfail(reason=case.bug, strict=True)] if case.bug else []
        yield pytest.param(case, id=str(case), marks=marks)


@pytest.mark.parametrize("case", list(parameters()))
def test_case(case: Case, cuts: Cuts) -> None:
    check(case, cuts)


@pytest.mark.parametrize("live", [True, False])
def test_a_case_is_parsed_at_the_cuts_that_are_given(live: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    case, tried = next(case for case in ALL if case.calls and len(case.input) > SHORT), []

    def parse(case: Case, pieces: Iterable[str], streamed: bool) -> Outcome:
        tried.extend([pieces] if streamed is live else [])
        return parsed(case, pieces, streamed)

    parsed = checks.parse
    monkeypatch.setattr(checks, "parse", parse)
    check(case, all_cuts)
    assert tried == list((all_cuts if live else few_cuts)(case.input))


# The data


def test_titles_are_unique() -> None:
    assert [str(case) for case, n in Counter(map(str, ALL)).items() if n > 1] == []


def test_names_of_repairs_and_refusals_exist() -> None:
    assert {name for case in ALL for name in case.repairs + case.buffered_repairs} <= set(Repair)
    assert {name for case in ALL for name in case.refused} <= set(Refused)


def test_every_repair_of_text_has_a_file_of_its_own_name(observed: Observed) -> None:
    for repair in OF_TEXT & set(Repair):
        shows = {str(case) for case in observed.repairs.get(repair, []) if case.file == repair}
        alike = {str(case) for case in ALL if case.file == repair} - shows
        assert shows, f"write {repair}.txt"
        assert alike, f"write a case into {repair}.txt that looks alike and is not one"


def test_every_refusal_of_text_is_seen(observed: Observed) -> None:
    """But for the limit: a megabyte is no case for a file, see test_parser."""
    assert OF_TEXT & set(Refused) - {Refused.LIMIT} - observed.refused.keys() == set()


def test_every_spelling_of_every_dialect_is_read(observed: Observed) -> None:
    assert observed.unread == []


def test_every_spelling_of_every_dialect_is_needed(observed: Observed) -> None:
    assert observed.unused == []


def test_a_tag_that_is_only_looked_at_is_read_and_not_needed() -> None:
    text = "#case one\n#tools f(a: string)\n#input <tool_call><function=f><parameter=a>a <function=f <b> x"
    (case,) = read(
        text + '</parameter></function></tool_call>\n#calls f {"a": "a <function=f <b> x"}\n', "file"
    )
    check(case, few_cuts)
    seen, key = observe([case]), ("damaged_tag", "<function={name}{cut}")
    assert key in seen.spellings
    assert key in seen.unused
    assert ("qwen3_coder", "</function>") not in seen.unused
    assert ("arg_key", "</arg_value>") in seen.unread


def test_many_cases_change_nothing() -> None:
    """A parser that converts everything would pass the others."""
    unchanged = [case for case in ALL if case.text == case.input]
    assert len(unchanged) * 10 >= len(ALL) * 3


def test_clean_cases_need_no_repairs() -> None:
    clean = [case for case in ALL if case.file.startswith("well-formed")]
    assert clean
    assert [case.title for case in clean if case.repairs] == []
