"""Every case of `tests/cases`, at many cuts and in `make fuzz` at every cut, streamed and not.

Per case: the text, the calls (keys in order), the exact repairs and the refusals; and that
the merged events are the same for every cut and, unless the answer was cut off inside a
call (P9), for a caller that does not stream.
"""

import inspect
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

import pytest

from support import checks
from support.cases import Case, CaseError, read, read_all, read_tool
from support.checks import check
from support.cuts import SHORT, Cuts, all_cuts, few_cuts
from support.outcome import Outcome
from toolstream.grammar.dialects import DIALECTS
from toolstream.grammar.grammar import CALL_KINDS
from toolstream.parser import parser
from toolstream.parser import value as values
from toolstream.repairs import Refused, Repair
from toolstream.schema import arguments, rules
from toolstream.schema import json_call as hermes

ALL = read_all()
KINDS = (*CALL_KINDS, "think_open", "think_close", "stray")
SPELLINGS = [spelling for dialect in DIALECTS for kind in KINDS for spelling in getattr(dialect, kind)]


def named_in(modules: Iterable[ModuleType]) -> set[str]:
    """The repairs and refusals that the modules name; those of parsed calls are no matter of text."""
    sources = "".join(inspect.getsource(module) for module in modules)
    found = re.findall(r"\b(Repair|Refused)\.([A-Z_]+)", sources)
    return {str({"Repair": Repair, "Refused": Refused}[kind][name]) for kind, name in found}


OF_TEXT = named_in([arguments, hermes, parser, rules, values])


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


@pytest.mark.parametrize("repair", [r for r in Repair if r in OF_TEXT])
def test_every_repair_has_a_file_of_its_own_name(repair: Repair) -> None:
    cases = [case for case in ALL if case.file == repair]
    assert any(repair in case.repairs for case in cases), f"write {repair}.txt"
    assert any(repair not in case.repairs for case in cases), "and a case that looks alike and is not one"


@pytest.mark.parametrize("reason", [r for r in Refused if r in OF_TEXT and r != Refused.LIMIT])
def test_every_refusal_has_a_case(reason: Refused) -> None:
    """But for the limit: a megabyte is no case for a file, see test_parser."""
    assert any(reason in case.refused for case in ALL)


def test_every_spelling_of_every_dialect_has_a_case() -> None:
    inputs = [case.input for case in ALL if not case.bug]
    literals = {spelling: re.sub(r"~.*|\{\w+\}.*", "", spelling) or spelling for spelling in SPELLINGS}
    assert [s for s, literal in literals.items() if not any(literal in text for text in inputs)] == []


def test_many_cases_change_nothing() -> None:
    """A parser that converts everything would pass the others."""
    unchanged = [case for case in ALL if case.text == case.input]
    assert len(unchanged) * 10 >= len(ALL) * 3


def test_clean_cases_need_no_repairs() -> None:
    clean = [case for case in ALL if case.file.startswith("well-formed")]
    assert clean
    assert [case.title for case in clean if case.repairs] == []


# The reader

CASE = "#tools f(a: string)\n#case one\n#input\nx\n#unchanged\n"


def test_reads_escapes_and_drops_blank_lines_at_the_end() -> None:
    text = "#case one\n#tools f()\n#input\n\na\\tb\\r\n\\#case\\s\\u00e9\\\\n\n\n\n#text\n\\n\n"
    (case,) = read(text, "file")
    assert case.input == "\na\tb\r\n#case é\\n"
    assert case.text == "\n"


def test_reads_tools() -> None:
    function = read_tool('a.b(x: string, y?: integer|null, z: {"type": "array", "items": {}})')["function"]
    assert function["name"] == "a.b"
    assert function["parameters"] == {
        "type": "object",
        "properties": {
            "x": {"type": "string"},
            "y": {"type": ["integer", "null"]},
            "z": {"type": "array", "items": {}},
        },
        "required": ["x", "z"],
    }


def test_sections_above_the_first_case_hold_for_all() -> None:
    one, two = read("#choice none\n" + CASE + "#case two\n#tools g()\n#input y\n#unchanged\n", "file")
    assert (one.choice, two.choice) == ("none", "none")
    assert [case.tools[0]["function"]["name"] for case in (one, two)] == ["f", "g"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (CASE + "#colour red\n", "unknown section"),
        (CASE + "#input y\n", "twice"),
        (CASE + "#text y\n", "either #unchanged"),
        (CASE + "#case two\n#input x\n", "either #unchanged"),
        (CASE + "#case two\n#unchanged\n", "are needed"),
        (CASE + "#case two\n#input x\\y\n#unchanged\n", "no such escape"),
        (CASE + "#case two\n#input x \n", "blanks at the end"),
        (CASE + "#case two\n#input x\n#calls\nf {\n", "file"),
        (CASE + "#case two\n#input x\n#open f {\n", "go together"),
        (CASE + "#case two\n#input x\n#unchanged\n#rules bash\n", "#rules, line 1: write a mapping"),
        ("#input x\n" + CASE, "before the first #case"),
        ("hello\n" + CASE, "before the first section"),
        ("#tools f()\n", "no #case"),
    ],
)
def test_complains_about(text: str, complaint: str) -> None:
    with pytest.raises(CaseError, match=complaint):
        list(read(text, "file"))
