"""What rules do to a call, and what the request's schema keeps them from doing."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import read_tool
from support.cuts import cut_at
from support.outcome import run
from toolstream.repairs import Repair
from toolstream.schema.coercion import OMITTED, conform
from toolstream.schema.rules import (
    FITTING,
    Action,
    Condition,
    Rule,
    Rules,
    ToolRules,
)
from toolstream.schema.schema import Tool
from toolstream.schema.toolset import Toolset
from toolstream.schema.whole_arguments import typed

DEFAULT, CONVERTED, REMOVED, TOOL = (
    Repair.RULE_DEFAULT,
    Repair.RULE_CONVERTED,
    Repair.RULE_REMOVED,
    Repair.RULE_TOOL,
)


def rule(action: str, condition: str | None = None, parameter: str = "p", **more: Any) -> Rule:
    """A rule, named as its action."""
    return Rule(action, Action(action), parameter, Condition(condition) if condition else None, **more)


def forced(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def narrowed(
    rules: Rule | list[Rule], *tools: str, choice: Any = "auto", name: str = "", case_sensitive: bool = False
) -> ToolRules | None:
    """The rules, all of them for the first tool, as they are for a call of it or of `name`."""
    toolset = Toolset([read_tool(line) for line in tools], choice)
    first = next(iter(toolset.tools.values()), Tool(name))
    tool = toolset.tools.get(name, Tool(name)) if name else first
    listed = tuple(rules) if isinstance(rules, list) else (rules,)
    return Rules({tool.name: listed}, case_sensitive).for_tool(tool, toolset.tools, toolset.allows)


def changed(found: ToolRules | None, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments after the rules, which must leave the given ones alone."""
    before = json.dumps(arguments)
    after = found.transform(arguments)[1] if found else arguments
    assert json.dumps(arguments) == before
    return after


# Conditions


@pytest.mark.parametrize(
    ("condition", "holding"),
    [
        ("is_string", ["", "x"]),
        ("missing", [OMITTED]),
        ("missing_or_empty", [OMITTED, None, "", [], {}]),
        ("exists", [None, "", [], {}, 0, False, "x", 1]),
        ("invalid_enum", [OMITTED, None, "", [], {}, 0, False]),
    ],
)
def test_a_condition_holds(condition: str, holding: list[Any]) -> None:
    some = rule("remove_parameter", condition, valid=("x", 1))
    values = [OMITTED, None, "", [], {}, 0, False, "x", 1]
    held = [value for value in values if some.holds({} if value is OMITTED else {"p": value})]
    assert [repr(value) for value in held] == [repr(value) for value in holding]


def test_members_of_an_enum_are_told_apart_as_in_json() -> None:
    some = rule("set_default", "invalid_enum", valid=(1, "a", True))
    assert [value for value in (1, 1.0, True, 0, False, "A", "a") if not some.holds({"p": value})] == [
        1,
        1.0,
        True,
        "a",
    ]


def test_a_condition_asks_for_its_own_parameter() -> None:
    assert not rule("set_default", "missing").holds({"p": 1, "q": 2})
    assert rule("set_default", "missing").holds({"q": 2})


def test_all_that_when_names_has_to_be_there() -> None:
    some = rule("convert_tool", parameter="", when=("a", "b"))
    assert some.holds({"a": 1, "b": None})
    assert not some.holds({"a": 1})
    both = rule("convert_tool", "missing", when=("a",))
    assert both.holds({"a": 1})
    assert not both.holds({"a": 1, "p": 1})


def test_every_action_fits_some_conditions_and_parsing_needs_a_value() -> None:
    assert set(FITTING) == set(Action)
    for action, conditions in FITTING.items():
        assert conditions
        assert action in ("set_default", "convert_tool") or Condition.MISSING not in conditions


# set_default

SET = {
    condition: rule("set_default", condition, value="d", valid=("v", "d"))
    for condition in ("missing", "missing_or_empty", "invalid_enum")
}


@pytest.mark.parametrize(
    ("condition", "tool", "before", "after"),
    [
        ("missing", "t(p: string)", {}, {"p": "d"}),
        ("missing", "t(p: string)", {"p": ""}, {"p": ""}),
        ("missing", "t(p?: string)", {}, {}),
        ("missing", "t(q: string)", {}, {}),
        ("missing", "t()", {}, {}),
        ("missing", "t(p: integer)", {}, {}),  # it does not fit
        ("missing", 't(p: {"enum": ["a", "d"]})', {}, {"p": "d"}),
        ("missing", 't(p: {"enum": ["a", "b"]})', {}, {}),
        ("missing", 't(p?: {"enum": ["a", "d"]})', {}, {}),
        ("missing", "t(p: {})", {}, {"p": "d"}),
        ("missing_or_empty", "t(p: string)", {}, {"p": "d"}),
        ("missing_or_empty", "t(p: string)", {"p": ""}, {"p": "d"}),
        ("missing_or_empty", "t(p: string|null)", {"p": None}, {"p": "d"}),
        ("missing_or_empty", "t(p: {})", {"p": []}, {"p": "d"}),
        ("missing_or_empty", "t(p: string)", {"p": "x"}, {"p": "x"}),
        ("missing_or_empty", "t(p: string)", {"p": " "}, {"p": " "}),
        ("missing_or_empty", "t(p?: string)", {"p": ""}, {"p": ""}),
        ("missing_or_empty", "t(p?: string)", {}, {}),
        ("missing_or_empty", 't(p?: {"enum": ["a", "d"]})', {"p": ""}, {"p": "d"}),
        ("missing_or_empty", 't(p?: {"enum": ["", "d"]})', {"p": ""}, {"p": ""}),
        ("invalid_enum", "t(p: string)", {"p": "x"}, {"p": "d"}),
        ("invalid_enum", "t(p: string)", {}, {"p": "d"}),
        ("invalid_enum", "t(p: string)", {"p": "v"}, {"p": "v"}),
        ("invalid_enum", "t(p?: string)", {"p": "x"}, {"p": "x"}),
        ("invalid_enum", "t(p?: string)", {}, {}),
        ("invalid_enum", 't(p?: {"type": "string", "enum": ["v", "d"]})', {"p": "x"}, {"p": "d"}),
        ("invalid_enum", 't(p?: {"type": "string", "enum": ["v", "d", "x"]})', {"p": "x"}, {"p": "x"}),
        ("invalid_enum", 't(p?: {"type": "string", "enum": ["v"]})', {"p": "x"}, {"p": "x"}),
        ("invalid_enum", 't(p?: {"anyOf": [{"enum": ["d"]}, {"type": "null"}]})', {"p": "x"}, {"p": "d"}),
        ("invalid_enum", 't(p?: {"anyOf": [{"enum": ["d"]}, {"type": "null"}]})', {"p": None}, {"p": None}),
        ("invalid_enum", "t(q: string)", {"p": "x"}, {"p": "x"}),
    ],
)
def test_set_default(condition: str, tool: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    assert changed(narrowed(SET[condition], tool), before) == after


def test_a_default_that_is_there_already_is_no_repair() -> None:
    found = narrowed(rule("set_default", "missing_or_empty", value=""), "t(p: string)")
    assert found
    assert found.transform({"p": ""}) == ("t", {"p": ""}, [])
    assert found.transform({}) == ("t", {"p": ""}, [(DEFAULT, "set_default")])


# parse_json_array, parse_json_object, convert_string_to_boolean


@pytest.mark.parametrize("tool", ["t(p: array)", "t(p: {})", "t(q: string)", "t(p: array|string)"])
@pytest.mark.parametrize(
    ("text", "value"),
    [('["a", 1]', ["a", 1]), (" [] ", []), ("['a', True]", ["a", True]), ('"[1]"', [1])],
)
def test_an_array_is_read_where_the_schema_allows_one(tool: str, text: str, value: list[Any]) -> None:
    found = narrowed(rule("parse_json_array", "is_string", value=["else"]), tool)
    assert found
    assert found.transform({"p": text}) == ("t", {"p": value}, [(CONVERTED, "parse_json_array")])


@pytest.mark.parametrize("tool", ["t(p: string)", "t(p: object)", "t(p: integer|string)"])
def test_no_array_is_read_where_the_schema_has_none(tool: str) -> None:
    assert narrowed(rule("parse_json_array", "is_string", value=[]), tool) is None


def test_items_are_typed_by_the_schema() -> None:
    tool = 't(p: {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}})'
    found = narrowed(rule("parse_json_array", "is_string", value=[]), tool)
    assert changed(found, {"p": '[{"n": "5"}]'}) == {"p": [{"n": 5}]}


@pytest.mark.parametrize(
    ("tool", "fallback", "after"),
    [
        ("t(p: array)", [], []),
        ("t(p: array)", OMITTED, "no"),
        ("t(p: {})", [], []),
        ("t(p: array|string)", [], "no"),  # the schema is content with a string
        ("t(p: array)", "also no", "no"),  # the schema would not be
        ("t(p: array|null)", None, None),
        ('t(p: {"anyOf": [{"type": "array"}, {"enum": ["yes"]}]})', [], []),
    ],
)
def test_what_is_no_array_falls_back(tool: str, fallback: Any, after: Any) -> None:
    found = narrowed(rule("parse_json_array", "is_string", value=fallback), tool)
    for text in ("no", '{"a": 1}'):
        assert changed(found, {"p": text}) == {"p": text if after == "no" else after}


def test_a_fallback_counts_as_a_default() -> None:
    found = narrowed(rule("parse_json_array", "is_string", value=[]), "t(p: array)")
    assert found
    assert found.transform({"p": "null"}) == ("t", {"p": []}, [(DEFAULT, "parse_json_array")])


def test_an_object_is_read() -> None:
    some = rule("parse_json_object", "is_string", value={})
    assert changed(narrowed(some, "t(p: object)"), {"p": "{'a': None}"}) == {"p": {"a": None}}
    assert changed(narrowed(some, "t(p: object)"), {"p": "[1]"}) == {"p": {}}
    assert narrowed(some, "t(p: array)") is None
    assert narrowed(rule("parse_json_object", "is_string"), "t(p: object)") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, True) for text in ("true", "True", " YES\n", "on", "1")),
        *((text, False) for text in ("false", "FALSE", "no", "off", "0")),
        *((text, text) for text in ("", "maybe", "2", "truer")),
    ],
)
def test_a_boolean_is_read(text: str, value: Any) -> None:
    some = rule("convert_string_to_boolean", "is_string")
    for tool in ("t(p: boolean)", "t(p?: {})", "t()", "t(p: boolean|string)"):
        assert changed(narrowed(some, tool), {"p": text}) == {"p": value}
    assert narrowed(some, "t(p: string)") is None
    assert narrowed(some, "t(p: integer)") is None


def test_a_boolean_is_not_read_where_the_enum_refuses_it() -> None:
    found = narrowed(rule("convert_string_to_boolean", "is_string"), 't(p: {"enum": [true, "off"]})')
    assert changed(found, {"p": "on"}) == {"p": True}
    assert changed(found, {"p": "off"}) == {"p": "off"}


@pytest.mark.parametrize("action", ["parse_json_array", "parse_json_object", "convert_string_to_boolean"])
@pytest.mark.parametrize("value", [None, 1, True, ["x"], {"x": 1}])
def test_only_strings_are_read(action: str, value: Any) -> None:
    assert changed(narrowed(rule(action, "exists", value="d"), "t()"), {"p": value}) == {"p": value}


# remove_parameter


@pytest.mark.parametrize(
    ("tool", "value", "stays"),
    [
        ("t(q: string)", "x", False),
        ("t()", "x", False),
        ("t(p: string)", "x", True),
        ("t(p: integer)", "x", True),
        ("t(p?: string)", "x", True),
        ("t(p?: {})", "x", True),
        ("t(p?: integer)", "x", False),
        ('t(p?: {"enum": ["y"]})', "x", False),
        ('t(p?: {"enum": ["x"]})', "x", True),
    ],
)
def test_remove_parameter(tool: str, value: Any, stays: bool) -> None:
    found = narrowed(rule("remove_parameter", "exists"), tool)
    assert changed(found, {"p": value, "q": "y"}) == ({"p": value, "q": "y"} if stays else {"q": "y"})


def test_what_is_not_there_is_not_removed() -> None:
    found = narrowed(rule("remove_parameter", "missing_or_empty"), "t()")
    assert found
    assert found.transform({}) == ("t", {}, [])
    assert found.transform({"p": ""}) == ("t", {}, [(REMOVED, "remove_parameter")])


# convert_tool

READ, WRITE = "read(path: string, limit?: integer)", "write(path: string, content: string)"
TO_WRITE = rule("convert_tool", "exists", "content", to="write")
CALL = {"path": "/a", "content": "x"}


def becomes(found: ToolRules | None, arguments: dict[str, Any]) -> str:
    return found.transform(arguments)[0] if found else "read"


def test_convert_tool() -> None:
    found = narrowed(TO_WRITE, READ, WRITE)
    assert found
    assert found.transform(CALL) == ("write", CALL, [(TOOL, "convert_tool")])
    assert found.transform({"path": "/a"}) == ("read", {"path": "/a"}, [])


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (CALL, "write"),
        ({"content": "x"}, "read"),  # write needs a path
        (CALL | {"limit": 5}, "read"),  # write has no limit
        (CALL | {"mode": "w"}, "read"),
    ],
)
def test_the_other_tool_has_to_fit(arguments: dict[str, Any], name: str) -> None:
    assert becomes(narrowed(TO_WRITE, READ, WRITE), arguments) == name


@pytest.mark.parametrize(
    "tools",
    [
        [READ],  # not declared
        [READ, "write(path: string)"],  # does not declare it
        ["read(path: string, content?: string)", WRITE],  # fits as it is
    ],
)
def test_a_tool_is_not_converted_to_what_is_no_better(tools: list[str]) -> None:
    assert becomes(narrowed(TO_WRITE, *tools), CALL) == "read"


def test_a_call_that_lacks_something_can_be_one_of_a_tool_that_does_not_need_it() -> None:
    some = rule("convert_tool", "missing", "content", to="read")
    found = narrowed(some, WRITE, READ)
    assert found
    assert found.transform({"path": "/a"})[0] == "read"
    assert found.transform(CALL)[0] == "write"


def test_tool_choice_is_obeyed() -> None:
    some = {"type": "allowed_tools", "allowed_tools": {"tools": [forced("read"), forced("write")]}}
    assert becomes(narrowed(TO_WRITE, READ, WRITE, choice=some), CALL) == "write"
    assert becomes(narrowed(TO_WRITE, READ, WRITE, choice=forced("write")), CALL) == "write"
    assert narrowed(TO_WRITE, READ, WRITE, choice=forced("read")) is None
    assert narrowed(TO_WRITE, READ, WRITE, choice="none", name="read") is None


def test_when_is_enough_of_a_condition() -> None:
    some = rule("convert_tool", parameter="", to="write", when=("path", "content"))
    assert becomes(narrowed(some, READ, WRITE), CALL) == "write"
    assert becomes(narrowed(some, READ, "write(content: string)"), {"content": "x"}) == "read"
    assert narrowed(some, READ, "write(content: string)") is None  # path could never be there


def test_a_tool_that_is_not_declared_can_be_converted() -> None:
    some = rule("convert_tool", parameter="", to="list")
    found = narrowed(some, "list(path?: string)", name="ls")
    assert found
    assert found.transform({})[0] == "list"
    assert found.transform({"path": "."})[0] == "list"
    assert found.transform({"dir": "."})[0] == "ls"


def test_what_comes_before_counts_and_what_comes_behind_does_not() -> None:
    rules = [rule("remove_parameter", "exists", "limit"), TO_WRITE, rule("remove_parameter", "exists", "x")]
    tools = ["read(path: string)", "write(path: string, content: string, x?: string)"]
    arguments = CALL | {"limit": 5, "x": "y"}
    found = narrowed(rules, *tools)
    assert found
    assert found.transform(arguments) == (
        "write",
        CALL | {"x": "y"},
        [(REMOVED, "remove_parameter"), (TOOL, "convert_tool")],
    )


def test_a_conversion_that_is_skipped_lets_the_next_rule_try() -> None:
    rules = [TO_WRITE, rule("remove_parameter", "exists", "content")]
    for tools in ([READ], [READ, "write(path: string, content: string, mode: string)"]):
        assert changed(narrowed(rules, *tools), CALL) == {"path": "/a"}


def test_values_are_typed_by_the_new_tool() -> None:
    found = narrowed(TO_WRITE, READ, WRITE)
    assert found
    text = '{"b":1,\n "a":2}'
    typed = CALL | {"content": {"b": 1, "a": 2}}  # read says nothing of content, so it was read as JSON
    assert found.transform(typed, {"path": "/a", "content": text})[1] == CALL | {"content": text}
    assert found.transform(typed)[1] == CALL | {"content": '{"b": 1, "a": 2}'}


def test_what_the_new_tool_cannot_type_stays_text() -> None:
    found = narrowed(TO_WRITE, READ, "write(path: string, content: integer, flag?: boolean)")
    assert found
    texts = CALL | {"flag": ""}
    assert found.transform(texts, texts)[1] == {"path": "/a", "content": "x"}


def test_what_a_rule_has_changed_is_not_read_again() -> None:
    rules = [rule("parse_json_array", "is_string", "content"), TO_WRITE]
    found = narrowed(rules, READ, "write(path: string, content: array|string)")
    assert found
    call = {"path": "/a", "content": "['x']"}
    assert found.transform(call, call)[1] == {"path": "/a", "content": ["x"]}


# Which tool


@pytest.mark.parametrize(("case_sensitive", "names"), [(False, ["Bash", "BASH", "bash"]), (True, ["bash"])])
def test_case_counts_only_if_the_user_says_so(case_sensitive: bool, names: list[str]) -> None:
    rules = Rules({"bash": (SET["missing"],)}, case_sensitive)
    toolset = Toolset([read_tool(f"{name}(p: string)") for name in ("Bash", "BASH", "bash", "ba_sh")])
    assert [
        n for n, tool in toolset.tools.items() if rules.for_tool(tool, toolset.tools, toolset.allows)
    ] == names


def test_the_tool_to_convert_to_is_found_likewise() -> None:
    def found(*tools: str, case_sensitive: bool = False) -> str:
        return becomes(narrowed(TO_WRITE, READ, *tools, case_sensitive=case_sensitive), CALL)

    upper = WRITE.replace("write", "Write")
    assert found(upper) == "Write"
    assert found(upper, case_sensitive=True) == "read"
    assert found(upper, WRITE) == "write"
    assert found(upper, WRITE.replace("write", "WRITE")) == "read"  # which of them?


def test_a_tool_without_rules_has_none() -> None:
    toolset = Toolset([read_tool("other(p: string)")])
    assert (
        Rules({"t": (SET["missing"],)}).for_tool(toolset.tools["other"], toolset.tools, toolset.allows)
        is None
    )
    assert Rules({}).for_tool(toolset.tools["other"], toolset.tools, toolset.allows) is None


# Live


@pytest.mark.parametrize(
    ("some", "tool", "held"),
    [
        (SET["missing"], "t(p: string)", False),
        (SET["missing_or_empty"], "t(p: string)", False),
        (SET["invalid_enum"], "t(p: string)", True),
        (rule("parse_json_array", "is_string"), "t(q: string)", True),
        (rule("convert_string_to_boolean", "is_string"), "t(p: boolean)", True),
        (rule("remove_parameter", "exists"), "t(q: string)", True),
        (rule("remove_parameter", "missing_or_empty"), "t(p?: integer)", True),
    ],
)
def test_only_values_that_may_change_are_held(some: Rule, tool: str, held: bool) -> None:
    found = narrowed(some, tool)
    assert found
    assert found.live
    assert found.held == ({"p"} if held else set())


def test_only_another_tool_needs_the_whole_call() -> None:
    found = narrowed([SET["missing"], TO_WRITE], "read(path: string, p: string)", WRITE)
    assert found
    assert not found.live
    found = narrowed([SET["missing"], TO_WRITE], "read(path: string, p: string)")
    assert found
    assert found.live


@pytest.mark.parametrize(
    ("some", "tool"),
    [
        (rule("parse_json_array", "is_string"), "t(p: array)"),
        (rule("parse_json_object", "is_string"), "t(p: object|null)"),
        (SET["missing"], "t(p?: string)"),
        (SET["missing"], 't(p?: {"enum": ["d"]})'),
        (SET["missing"], "t(p: integer)"),
        (SET["missing_or_empty"], "t(p?: string)"),
        (SET["invalid_enum"], "t(p?: string)"),
        (rule("convert_tool", "exists", to="t"), "t(p: string)"),
        (rule("remove_parameter", "exists"), "t(p: string)"),
        (rule("remove_parameter", "exists"), "t(p?: {})"),
    ],
)
def test_what_the_schema_settles_holds_nothing_up(some: Rule, tool: str) -> None:
    assert narrowed(some, tool) is None


def test_what_is_appended() -> None:
    rules = [
        rule("set_default", "missing", "b", value="x"),
        rule("set_default", "missing_or_empty", "a", value=5),
        rule("set_default", "missing", "c", value="y"),
    ]
    found = narrowed(rules, "t(a: integer, b: string, c?: string)")
    assert found
    assert found.appended([]) == ({"b": "x", "a": 5}, [(DEFAULT, "set_default")] * 2)
    assert found.appended({"b"}) == ({"a": 5}, [(DEFAULT, "set_default")])
    assert found.appended({"a": 1, "b": 2}) == ({}, [])


def test_values_one_by_one() -> None:
    rules = [
        rule("set_default", "missing_or_empty", "a", value="y"),
        rule("parse_json_array", "is_string", "b", value=[]),
        rule("remove_parameter", "exists", "c"),
        rule("remove_parameter", "exists", "a"),
    ]
    found = narrowed(rules, "t(a: string, b: array)")
    assert found
    assert found.value("a", "") == ("y", [(DEFAULT, "set_default")])
    assert found.value("a", "x") == ("x", [])
    assert found.value("b", "[1 x") == ([], [(DEFAULT, "parse_json_array")])
    assert found.value("b", [1]) == ([1], [])
    assert found.value("c", "x") == (OMITTED, [(REMOVED, "remove_parameter")])
    assert found.value("d", "") == ("", [])


KEYS = st.sampled_from("pqr")
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", "x", "yes", "0", "[1]", "['a']", "{}", [], [1], {}, {"a": 1}, True, 1, 2.5]
)
TYPES = st.sampled_from(
    ["string", "integer", "array", "boolean", "object|null", "array|string", "{}", '{"enum": ["x", 1, null]}']
)
TOOLS = st.dictionaries(KEYS, st.tuples(st.booleans(), TYPES)).map(
    lambda found: "t(" + ", ".join(f"{k}{'?' * opt}: {kind}" for k, (opt, kind) in found.items()) + ")"
)
FITTING_PAIRS = st.sampled_from([(a, c) for a, cs in FITTING.items() for c in cs if a != Action.CONVERT_TOOL])
RULES = st.builds(
    lambda pair, key, value, valid: Rule("r", pair[0], key, pair[1], value, tuple(valid)),
    FITTING_PAIRS,
    KEYS,
    VALUES,
    st.lists(VALUES, max_size=3),
)
ARGUMENTS = st.dictionaries(KEYS, VALUES)


@settings(deadline=None)
@given(st.lists(RULES, max_size=4), TOOLS, ARGUMENTS)
def test_what_live_rules_do_bit_by_bit_is_what_they_do_to_the_whole(
    rules: list[Rule], tool: str, arguments: dict[str, Any]
) -> None:
    found = narrowed(rules, tool)
    if not found:
        return
    streamed: dict[str, Any] = {}
    for key, value in arguments.items():
        is_asked = key in found.held or value in (None, "", [], {})
        streamed[key] = found.value(key, value)[0] if is_asked else value
    streamed |= found.appended(arguments)[0]
    streamed = {key: value for key, value in streamed.items() if value is not OMITTED}
    assert list(streamed.items()) == list(found.transform(arguments)[1].items())


@settings(deadline=None)
@given(st.lists(RULES, max_size=4), TOOLS, ARGUMENTS)
def test_what_rules_leave_out_because_of_the_schema_would_do_nothing(
    rules: list[Rule], tool: str, arguments: dict[str, Any]
) -> None:
    toolset = Toolset([read_tool(tool)])
    every = ToolRules(toolset.tools["t"], True, [(rule, None) for rule in rules])
    typed = {k: v for k, v in arguments.items() if toolset.tools["t"].parameter(k).admits(v)}
    assert changed(narrowed(rules, tool), typed) == changed(every, typed)


@settings(deadline=None)
@given(st.lists(RULES, max_size=4), TOOLS, ARGUMENTS)
def test_a_rule_never_makes_a_call_fit_worse(rules: list[Rule], tool: str, arguments: dict[str, Any]) -> None:
    declared = Toolset([read_tool(tool)]).tools["t"]

    def faults(of: dict[str, Any]) -> set[str]:
        wrong = {key for key, value in of.items() if not declared.parameter(key).admits(value)}
        return wrong | (declared.required - of.keys()) | {key for key in of if not declared.declares(key)}

    assert faults(changed(narrowed(rules, tool), arguments)) <= faults(arguments)


TEXTS = st.sampled_from(["", "x", "yes", "0", " ", "[1]", "['a']", "{}", '"[1]"', "null", "2.5", "a\nb"])
CUTS = st.lists(st.integers(0, 200), max_size=5)


@settings(deadline=None)
@given(st.lists(RULES, max_size=4), TOOLS, st.lists(st.tuples(KEYS, TEXTS), max_size=4), CUTS)
def test_a_call_in_a_text_comes_to_what_rules_make_of_the_whole(
    rules: list[Rule], tool: str, values: list[tuple[str, str]], cuts: list[int]
) -> None:
    declared, parameters = (
        read_tool(tool),
        "".join(f"<parameter={k}>\n{v}\n</parameter>\n" for k, v in values),
    )
    text = f"<tool_call>\n<function=t>\n{parameters}</function>\n</tool_call>"
    found, given = narrowed(rules, tool), typed(values, Toolset([declared]).tools["t"])
    expected, applied = found.transform(given)[1:] if found else (given, [])
    for live in (True, False):
        pieces = cut_at(text, [min(at, len(text)) for at in cuts])
        said = run(pieces, [declared], rules=Rules({"t": tuple(rules)}), live=live)
        ((_, arguments),) = said.calls
        assert list(json.loads(arguments).items()) == list(expected.items())
        assert Counter(r for r in said.repairs if r.startswith("rule-")) == Counter(
            str(r) for r, _ in applied
        )


@settings(deadline=None)
@given(st.lists(RULES, max_size=4), TOOLS, ARGUMENTS)
def test_so_does_a_call_in_json(rules: list[Rule], tool: str, arguments: dict[str, Any]) -> None:
    declared = read_tool(tool)
    found, given = narrowed(rules, tool), conform(arguments, Toolset([declared]).tools["t"].arguments)[0]
    expected = found.transform(given)[1] if found else given
    text = json.dumps({"name": "t", "arguments": arguments})
    for body in (
        f"<tool_call>{text}</tool_call>",
        f"<tool_call><function=t>{json.dumps(arguments)}</function>",
    ):
        said = run([body], [declared], rules=Rules({"t": tuple(rules)}))
        ((_, written),) = said.calls
        assert json.loads(written) == expected
