"""Which tool a name means, and what tool_choice leaves."""

from typing import Any

import pytest

from support.cases import read_tool
from toolstream.schema.toolset import Toolset, parallel_calls

TOOLS = [
    read_tool(f"{name}()") for name in ("read_file", "write-file", "Bash", "todo_write", "TodoWrite", "a.b")
]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("read_file", "read_file"),
        (" read_file ", "read_file"),
        ('"read_file"', "read_file"),
        ("'read_file'", "read_file"),
        ("Read_File", "read_file"),
        ("readFile", "read_file"),
        ("read-file", "read_file"),
        ("write_file", "write-file"),
        ("bash", "Bash"),
        ("functions.bash", "Bash"),
        ("functions.bash:0", "Bash"),
        ("read_file:12", "read_file"),
        ("default_api.read_file", "read_file"),
        ("default_api:read_file", "read_file"),
        ("tool:read_file", "read_file"),
        ("TodoWrite", "TodoWrite"),
        ("todo_write", "todo_write"),
        ("todowrite", None),  # two are alike
        ("a.b", "a.b"),
        ("ab", None),
        ("read", None),
        ("read_files", None),
        ("", None),
    ],
)
def test_find(name: str, found: str | None) -> None:
    tool = Toolset(TOOLS).find(name)
    assert (tool.name if tool else None) == found


@pytest.mark.parametrize(
    ("name", "found"), [("Bash", True), ("bash", False), (" Bash", False), ("tool:Bash", False)]
)
def test_strict_takes_exact_names(name: str, found: bool) -> None:
    assert (Toolset(TOOLS).find(name, tolerant=False) is not None) is found


def forced(*names: str) -> dict[str, Any]:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": tools}}


@pytest.mark.parametrize(
    ("choice", "allowed"),
    [
        ("auto", ["read_file", "Bash"]),
        ("required", ["read_file", "Bash"]),
        (None, ["read_file", "Bash"]),
        ({"type": "function", "function": {"name": "Bash"}}, ["Bash"]),
        ({"type": "function", "name": "Bash"}, ["Bash"]),
        (forced("Bash"), ["Bash"]),
        (forced("Bash", "read_file"), ["read_file", "Bash"]),
        ({}, ["read_file", "Bash"]),
        ({"type": "function", "function": {"name": 5}}, ["read_file", "Bash"]),
        ({"type": "allowed_tools", "allowed_tools": 5}, ["read_file", "Bash"]),
        (["x"], ["read_file", "Bash"]),
    ],
)
def test_choice(choice: Any, allowed: list[str]) -> None:
    toolset = Toolset(TOOLS, choice)
    assert [name for name in ("read_file", "Bash") if toolset.allows(name)] == allowed
    assert toolset.any_allowed == (choice in ("auto", "required", None, {}, ["x"]) or "5" in str(choice))


def test_none_leaves_no_tools() -> None:
    assert Toolset(TOOLS, "none").tools == {}


@pytest.mark.parametrize(
    "tools", [None, "x", 5, {}, [None], [{}], [{"function": None}], [{"function": {"name": 5}}]]
)
def test_garbage_declares_nothing(tools: Any) -> None:
    assert Toolset(tools).tools == {}


@pytest.mark.parametrize(
    ("body", "parallel"),
    [
        ({}, True),
        ({"parallel_tool_calls": True}, True),
        ({"parallel_tool_calls": None}, True),
        ({"parallel_tool_calls": False}, False),
    ],
)
def test_parallel_calls(body: dict[str, Any], parallel: bool) -> None:
    assert parallel_calls(body) is parallel
