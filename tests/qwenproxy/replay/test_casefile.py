"""The format of the cases: read, written, and read again as the same."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwenproxy.replay.casefile import Case, CaseError, Tool, read, read_tool, tool_of, write
from qwenproxy.rules import file as rules
from support.cases import read_all

READ_FILE = Tool("read_file", (("path", '{"type": "string"}', True), ("limit", '{"type": "integer"}', False)))

# Reading

CASE = "#tools f(a: string)\n#case one\n#input\nx\n#unchanged\n"


def test_reads_escapes_and_drops_blank_lines_at_the_end() -> None:
    text = "#case one\n#tools f()\n#input\n\na\\tb\\r\n\\#case\\s\\u00e9\\\\n\n\n\n#text\n\\n\n"
    (case,) = read(text, "file")
    assert case.input == "\na\tb\r\n#case é\\n"
    assert case.text == "\n"


def test_reads_tools() -> None:
    tool = read_tool('a.b(x: string, y?: integer|null, z: {"type": "array", "items": {}})')
    function = tool.declared()["function"]
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
    assert [case.tools[0].name for case in (one, two)] == ["f", "g"]


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
        (CASE + "#case two\n#input x\n#unchanged\n#choice {auto}\n", "file"),
        (CASE + "#case two\n#input x\n#unchanged\n#tools f\n", "not a tool"),
        (CASE + "#case two\n#input x\n#unchanged\n#rules bash\n", "#rules, line 1: write a mapping"),
        ("#input x\n" + CASE, "before the first #case"),
        ("hello\n" + CASE, "before the first section"),
        ("#tools f()\n", "no #case"),
    ],
)
def test_complains_about(text: str, complaint: str) -> None:
    with pytest.raises(CaseError, match=complaint):
        list(read(text, "file"))


# Writing


def test_a_small_case_is_a_few_lines() -> None:
    case = Case(
        (READ_FILE,),
        "<function=read_file><parameter=path>a</function>",
        calls=(("read_file", '{"path": "a"}'),),
        repairs=("missing-parameter-close",),
        title="a  value\nclosed",
    )
    assert write(case) == (
        "#case a value closed\n"
        "#tools read_file(path: string, limit?: integer)\n"
        "#input <function=read_file><parameter=path>a</function>\n"
        '#calls read_file {"path": "a"}\n'
        "#repairs missing-parameter-close\n"
    )


def test_what_is_unchanged_says_so() -> None:
    assert "#unchanged\n" in write(Case((READ_FILE,), "x", text="x"))
    assert "#text\n" in write(Case((READ_FILE,), "x"))


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        ({"type": "string"}, "a: string"),
        ({"type": ["integer", "null"]}, "a: integer|null"),
        ({"type": ["integer"]}, 'a: {"type": ["integer"]}'),
        ({"type": "array", "items": {}}, 'a: {"type": "array", "items": {}}'),
        ({}, "a: {}"),
        (None, "a: {}"),
    ],
)
def test_types(schema: Any, written: str) -> None:
    tool = tool_of(
        {"function": {"name": "f", "parameters": {"properties": {"a": schema}, "required": ["a"]}}}
    )
    assert str(tool) == f"f({written})"
    assert read_tool(str(tool)) == tool


def test_a_tool_without_parameters() -> None:
    assert str(tool_of({"function": {"name": "f"}})) == "f()"


@pytest.mark.parametrize(
    "tool",
    [
        {},
        {"function": {"name": "a b"}},
        {"function": {"name": "f", "parameters": {"properties": {"a,b": {}}}}},
    ],
)
def test_tools_that_no_case_can_name(tool: dict[str, Any]) -> None:
    with pytest.raises(CaseError):
        tool_of(tool)


# What is written is read again

TEXT = st.text(st.sampled_from("ab<>=/#\\ \n\t\r\x0b\x85\u2028\xa0é🙂\ud83d"), max_size=12)
WORD = st.text(st.sampled_from("ab_-.é|"), min_size=1, max_size=5)
LINE = st.lists(WORD, min_size=1, max_size=3).map(" ".join)
NAMES = st.lists(st.sampled_from(["stray-closer", "json-body", "fenced"]), max_size=3).map(tuple)
KINDS = ["string", "integer", "null"]
SCHEMAS = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(KINDS) | st.lists(st.sampled_from(KINDS), max_size=3)}),
    st.dictionaries(st.sampled_from(["type", "items", "a b"]), st.sampled_from(["x", {}, "}, a: ", None])),
).map(json.dumps)
TOOLS = st.builds(
    Tool,
    WORD,
    st.lists(st.tuples(WORD, SCHEMAS, st.booleans()), max_size=3, unique_by=lambda p: p[0]).map(tuple),
)
OBJECTS = st.dictionaries(TEXT, TEXT, max_size=2).map(json.dumps)
CALLS = st.tuples(LINE, OBJECTS)
OPEN = st.builds(lambda call, size: (call[0], call[1][:size]), CALLS, st.integers(0, 12))
RULES = rules.as_text(rules.read(rules.SHIPPED).for_model(""))
CASES = st.builds(
    Case,
    st.lists(TOOLS, min_size=1, max_size=2).map(tuple),
    TEXT,
    st.sampled_from(["stop", "length", None]),
    st.sampled_from(["auto", "none", '{"type": "function", "function": {"name": "f"}}']),
    st.booleans(),
    st.sampled_from(["tolerant", "strict", "aggressive"]),
    st.sampled_from(["", RULES, "# none\n\ntools: {}"]),
    st.booleans(),
    text=TEXT,
    calls=st.lists(CALLS, max_size=2).map(tuple),
    open=st.none() | OPEN,
    buffered=TEXT,
    repairs=NAMES,
    buffered_repairs=NAMES,
    refused=NAMES,
    bug=st.just("") | LINE,
    title=LINE,
    file=WORD,
)


@given(CASES)
def test_a_case_is_read_again(case: Case) -> None:
    if case.open is None:
        case = dataclasses.replace(case, buffered="", buffered_repairs=())
    assert list(read(write(case), case.file)) == [case]


def test_every_case_of_ours_is_read_again() -> None:
    for case in read_all():
        assert list(read(write(case), case.file)) == [case]


def test_what_a_case_asks_for() -> None:
    case = Case((READ_FILE,), "x", choice='{"type": "function"}', parallel=False, rules=RULES)
    assert case.request == {
        "tools": [READ_FILE.declared()],
        "tool_choice": {"type": "function"},
        "parallel_tool_calls": False,
    }
    assert case.user_rules == rules.read(rules.SHIPPED).for_model("")
    assert Case((), "x").user_rules is None
