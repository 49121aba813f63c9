"""The reader of tests/cases can read the cases that are written."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwenproxy.replay.casefile import (
    Case,
    CaseError,
    Parsed,
    Tool,
    read_tool,
    write,
)
from qwenproxy.rules import file as rules
from support import cases

READ_FILE = Tool("read_file", (("path", '{"type": "string"}', True), ("limit", '{"type": "integer"}', False)))
NOTHING = Parsed()


def read(text: str) -> cases.Case:
    (case,) = cases.read(text, "file")
    return case


def test_a_small_case_is_a_few_lines() -> None:
    expected = Parsed("", (("read_file", '{"path": "a"}'),), None, ("missing-parameter-close",))
    case = Case((READ_FILE,), "<function=read_file><parameter=path>a</function>")
    assert write("a  value\nclosed", case, expected, expected) == (
        "#case a value closed\n"
        "#tools read_file(path: string, limit?: integer)\n"
        "#input <function=read_file><parameter=path>a</function>\n"
        '#calls read_file {"path": "a"}\n'
        "#repairs missing-parameter-close\n"
    )


TEXT = st.text(st.sampled_from("ab<>=/#\\ \n\t\r\x0b\x85\u2028\xa0é🙂\ud83d"), max_size=12)


@given(TEXT, TEXT)
def test_any_text_is_read_again(text: str, left: str) -> None:
    case = read(write("t", Case((READ_FILE,), text), Parsed(left), NOTHING))
    assert (case.input, case.text) == (text, left)


def test_everything_else_is_read_again() -> None:
    shipped = rules.read(rules.SHIPPED).for_model("")
    asked = Case((READ_FILE,), "x", None, '{"type": "function"}', False, "strict", rules.as_text(shipped))
    expected = Parsed("y", (("f", "{}"), ("g", "{}")), ("h", '{"a'), ("stray-closer",) * 2, ("fenced",))
    case = read(write("t", asked, expected, Parsed("xy", repairs=("json-body",)), "crashes"))
    assert (case.choice, case.parallel, case.recovery) == ({"type": "function"}, False, "strict")
    assert case.rules == shipped
    assert (case.finish, case.bug, case.text) == (None, "crashes", "y")
    assert case.calls == [("f", "{}"), ("g", "{}")]
    assert (case.open, case.buffered) == (("h", '{"a'), "xy")
    assert (case.repairs, case.buffered_repairs) == (["stray-closer"] * 2, ["json-body"])
    assert case.refused == ["fenced"]
    assert case.tools == [READ_FILE.declared()]


def test_what_is_unchanged_says_so() -> None:
    assert "#unchanged\n" in write("t", Case((READ_FILE,), "x"), Parsed("x"), NOTHING)
    assert "#text\n" in write("t", Case((READ_FILE,), "x"), Parsed(""), NOTHING)


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        ({"type": "string"}, "a: string"),
        ({"type": ["integer", "null"]}, "a: integer|null"),
        ({"type": "array", "items": {}}, 'a: {"type": "array", "items": {}}'),
        ({}, "a: {}"),
        (None, "a: {}"),
    ],
)
def test_types(schema: Any, written: str) -> None:
    tool = read_tool(
        {"function": {"name": "f", "parameters": {"properties": {"a": schema}, "required": ["a"]}}}
    )
    assert str(tool) == f"f({written})"
    assert cases.read_tool(str(tool)) == tool.declared()


def test_a_tool_without_parameters() -> None:
    assert str(read_tool({"function": {"name": "f"}})) == "f()"


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
        read_tool(tool)
