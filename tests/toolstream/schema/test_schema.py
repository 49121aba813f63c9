"""What a schema says of a value's types, written out and with garbage for schemas."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolstream.schema.schema import Parameter, Tool, is_same, read_tools, type_of


def declare(schema: Any, **root: Any) -> Parameter:
    """One parameter with this schema; `root` is added to the tool's parameters."""
    return Tool("t", {"type": "object", "properties": {"p": schema}, **root}).parameter("p")


INTEGER, STRING, NULL, ARRAY, OBJECT = ({"type": t} for t in ("integer", "string", "null", "array", "object"))
DEFS = {
    "Int": INTEGER,
    "Loop": {"$ref": "#/$defs/Loop"},
    "Ping": {"$ref": "#/$defs/Pong"},
    "Pong": {"$ref": "#/$defs/Ping"},
    "Tree": {"type": "object", "properties": {"n": INTEGER, "kids": {"items": {"$ref": "#/$defs/Tree"}}}},
    "Self": {"anyOf": [INTEGER, {"$ref": "#/$defs/Self"}]},
    "a/b": {"type": "boolean"},
    "50%": {"type": "number"},
    "List": [STRING, INTEGER],
}


@pytest.mark.parametrize(
    ("schema", "types"),
    [
        (INTEGER, "integer"),
        ({"type": ["string", "null"]}, "null string"),
        ({"type": ["string", "foo", 7, None]}, "string"),
        ({"type": "STRING"}, "string"),
        ({"type": "int"}, "integer"),
        ({"type": ["list", "dict"]}, "array object"),
        ({"type": "any"}, ""),
        ({"type": "file"}, ""),
        ({"type": {"a": 1}}, ""),
        ({}, ""),
        (True, ""),
        (False, ""),
        (None, ""),
        ("string", ""),
        (["string"], ""),
        ({"description": "x", "default": 5}, ""),
        # no type stated
        ({"items": STRING}, "array"),
        ({"prefixItems": [STRING]}, "array"),
        ({"properties": {"a": STRING}}, "object"),
        ({"enum": ["a", "b"]}, "string"),
        ({"enum": [1, None, True, 1.5, [], {}]}, "array boolean integer null number object"),
        ({"enum": []}, ""),
        ({"enum": "ab"}, ""),
        ({"const": 1}, "integer"),
        ({"const": None}, "null"),
        # a stated type beats its members
        ({"type": "string", "enum": [1, 2]}, "string"),
        ({"type": "string", "items": STRING}, "string"),
        ({"type": "integer", "nullable": True}, "integer null"),
        ({"type": "integer", "nullable": "yes"}, "integer"),
        ({"nullable": True}, ""),
        # alternatives are united
        ({"anyOf": [STRING, NULL]}, "null string"),
        ({"oneOf": [INTEGER, {"type": ["array"]}]}, "array integer"),
        ({"anyOf": [OBJECT, OBJECT]}, "object"),
        ({"anyOf": [{"const": "a"}, {"const": 1}]}, "integer string"),
        ({"anyOf": [{"anyOf": [STRING, NULL]}, INTEGER]}, "integer null string"),
        ({"anyOf": [STRING, {}]}, ""),
        ({"anyOf": [STRING, True]}, ""),
        ({"anyOf": [STRING, False]}, "string"),
        ({"anyOf": [STRING, {"not": {}}]}, "string"),
        ({"anyOf": []}, ""),
        ({"anyOf": "garbage"}, ""),
        ({"anyOf": [7, None, "x"]}, ""),
        # alternatives that only say which members are required
        ({"type": "object", "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, "object"),
        ({"properties": {"a": {}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, "object"),
        # what all apply to is narrowed
        ({"allOf": [{"description": "x"}, INTEGER]}, "integer"),
        ({"allOf": [{"type": ["string", "null"]}, {"type": ["string", "array"]}]}, "string"),
        ({"allOf": [{"type": "number"}, INTEGER]}, "integer"),
        ({"allOf": [STRING, INTEGER]}, "string"),
        ({"type": ["integer", "string"], "anyOf": [INTEGER, NULL]}, "integer"),
        ({"allOf": [{"allOf": [{"allOf": [STRING]}]}]}, "string"),
        ({"allOf": {}}, ""),
        # references
        ({"$ref": "#/$defs/Int"}, "integer"),
        ({"$ref": "#/definitions/Old"}, "boolean"),
        ({"$ref": "#/$defs/Int", "description": "x", "default": 1}, "integer"),
        ({"anyOf": [{"$ref": "#/$defs/Int"}, NULL]}, "integer null"),
        ({"$ref": "#/other/0/items"}, "boolean"),
        ({"$ref": "#/$defs/a~1b"}, "boolean"),
        ({"$ref": "#/$defs/50%25"}, "number"),
        ({"$ref": "#/$defs/List/1"}, "integer"),
        ({"$ref": "#/$defs/List/9"}, ""),
        ({"$ref": "#/$defs/List/²"}, ""),
        ({"$ref": "#/$defs/List/" + "9" * 5000}, ""),
        ({"$ref": "#"}, "object"),
        ({"$ref": "#/$defs/Missing/deeper"}, ""),
        ({"$ref": "#anchor"}, ""),
        ({"$ref": "https://example.com/schema.json"}, ""),
        ({"$ref": 5}, ""),
        ({"$ref": "#/$defs/Loop"}, ""),
        ({"$ref": "#/$defs/Ping"}, ""),
        ({"$ref": "#/$defs/Self"}, "integer"),
        ({"$ref": "#/$defs/Tree"}, "object"),
        ({"allOf": [{"$ref": "#/$defs/Loop"}, INTEGER]}, "integer"),
    ],
)
def test_types(schema: Any, types: str) -> None:
    root = {
        "$defs": DEFS,
        "definitions": {"Old": {"type": "boolean"}},
        "other": [{"items": {"type": "boolean"}}],
    }
    assert sorted(declare(schema, **root).types) == types.split()


@pytest.mark.parametrize(
    ("schema", "admitted", "refused"),
    [
        ({}, [None, 1, "x", []], []),
        (None, [1], []),
        (False, [1], []),
        ("garbage", [1], []),
        (STRING, ["", "x"], [1, None, [], {}, True]),
        (INTEGER, [1, 2**70], [1.5, True, "1"]),
        ({"type": "number"}, [1, 1.5], [True, "1"]),
        ({"type": ["string", "null"]}, ["x", None], [1]),
        ({"enum": ["a", 1, None]}, ["a", 1, None], ["b", True, 2]),
        ({"type": "string", "enum": ["a"]}, ["a"], ["b", ""]),
        ({"type": "string", "enum": []}, ["a"], [1]),
        ({"type": "string", "enum": ["a"], "nullable": True}, ["a", None], ["b"]),
        ({"const": "a"}, ["a"], ["b"]),
        ({"const": False}, [False], [0, None]),
        ({"anyOf": [{"type": "string", "enum": ["a"]}, NULL]}, ["a", None], ["b", 1]),
        ({"anyOf": [{"enum": ["a"]}, STRING]}, ["a", "b"], [1]),
        ({"anyOf": [{"enum": ["a"]}, {"enum": ["b"]}]}, ["a", "b"], ["c"]),
        ({"anyOf": [{"enum": ["a"]}, False]}, ["a"], ["c"]),
        ({"anyOf": [{"enum": ["a"]}, {"not": {}}]}, ["a"], ["c"]),
        ({"anyOf": [{"enum": ["a"]}, {}]}, ["a", "c", 1], []),
        ({"allOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]}, ["b"], ["a", "c"]),
        ({"enum": ["a", "b"], "anyOf": [{"const": "a"}, {"const": "c"}]}, ["a"], ["b", "c"]),
        ({"$ref": "#/$defs/Self"}, [1], ["x"]),
        ({"$ref": "#/$defs/Loop"}, [1, "x"], []),
        ({"anyOf": [{"$ref": "#/$defs/Nowhere"}, {"enum": ["a"]}]}, ["a", "b"], []),
    ],
)
def test_admits(schema: Any, admitted: list[Any], refused: list[Any]) -> None:
    parameter = declare(schema, **{"$defs": DEFS})
    assert [value for value in admitted + refused if parameter.admits(value)] == admitted


@pytest.mark.parametrize(
    ("value", "other", "same"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (0, False, False),
        (True, True, True),
        ("1", 1, False),
        ([1], [1], True),
    ],
)
def test_is_same(value: Any, other: Any, same: bool) -> None:
    assert is_same(value, other) is same


def test_a_recursive_schema_is_followed_as_deep_as_asked() -> None:
    node = declare({"$ref": "#/$defs/Tree"}, **{"$defs": DEFS})
    for _ in range(500):
        assert node.types == {"object"}
        assert node.member("n").types == {"integer"}
        node = node.member("kids").item()


@pytest.mark.parametrize(
    ("schema", "key", "types"),
    [
        ({"properties": {"a": INTEGER}}, "a", "integer"),
        ({"properties": {"a": INTEGER}}, "b", ""),
        ({"properties": {"a": None}}, "a", ""),
        ({"properties": ["a"]}, "a", ""),
        ({"additionalProperties": INTEGER}, "a", "integer"),
        ({"additionalProperties": True}, "a", ""),
        ({"properties": {"a": STRING}, "additionalProperties": INTEGER}, "a", "string"),
        (
            {"allOf": [{"properties": {"a": INTEGER}}, {"properties": {"a": {"description": "x"}}}]},
            "a",
            "integer",
        ),
        ({"anyOf": [{"properties": {"a": INTEGER}}, {"properties": {"a": STRING}}]}, "a", "integer string"),
        ({"anyOf": [{"properties": {"a": INTEGER}}, NULL]}, "a", "integer"),
        ({"anyOf": [{"$ref": "#/$defs/Tree"}, NULL]}, "n", "integer"),
    ],
)
def test_members(schema: Any, key: str, types: str) -> None:
    assert sorted(declare(schema, **{"$defs": DEFS}).member(key).types) == types.split()


@pytest.mark.parametrize(
    ("schema", "types"),
    [
        ({"items": INTEGER}, ["integer", "integer", "integer"]),
        ({"prefixItems": [STRING, INTEGER], "items": NULL}, ["string", "integer", "null"]),
        ({"items": [STRING, INTEGER], "additionalItems": NULL}, ["string", "integer", "null"]),
        ({"prefixItems": [STRING], "items": False}, ["string", "", ""]),
        ({"items": True}, ["", "", ""]),
        ({"anyOf": [{"items": INTEGER}, {"items": STRING}]}, ["integer string"] * 3),
        ({"anyOf": [{"type": "array", "items": INTEGER}, NULL]}, ["integer"] * 3),
    ],
)
def test_items(schema: Any, types: list[str]) -> None:
    parameter = declare(schema)
    assert [" ".join(sorted(parameter.item(i).types)) for i in range(3)] == types


def test_required() -> None:
    tool = Tool("t", {"properties": {"a": INTEGER, "b": OBJECT}, "required": ["a", 7, None]})
    assert tool.required == {"a"}
    assert tool.parameter("a").required
    assert not tool.parameter("b").required
    assert declare({"properties": {"a": INTEGER}, "required": ["a"]}).member("a").required
    assert declare({"allOf": [{"required": ["a"]}]}).member("a").required
    assert not declare({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}).member("a").required
    assert declare(ARRAY).item().required
    assert Tool("t", {"required": "abc"}).required == frozenset()


def test_declares() -> None:
    tool = Tool(
        "t",
        {
            "$ref": "#/definitions/Arguments",
            "definitions": {"Arguments": {"properties": {"a": INTEGER}, "required": ["a"]}},
            "anyOf": [{"properties": {"b": STRING}}, {"oneOf": [{"properties": {"c": STRING}}]}],
            "additionalProperties": STRING,
        },
    )
    assert [tool.declares(key) for key in "abcd"] == [True, True, True, False]
    assert tool.parameter("a").types == {"integer"}
    assert tool.required == {"a"}


def test_parameters_are_cached() -> None:
    tool = Tool("t", {"properties": {"a": {"items": {}}}})
    assert tool.parameter("a") is tool.parameter("a")
    assert tool.parameter("a").item(0) is tool.parameter("a").item(7)


def function(name: Any, **rest: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **rest}}


@pytest.mark.parametrize(
    ("tools", "names"),
    [
        ([function("a"), function("b")], ["a", "b"]),
        ([{"name": "a", "parameters": {}}, {"type": "function", "name": "b"}], ["a", "b"]),
        (
            [function("a"), None, 7, "x", [], {}, {"function": None}, {"function": {}}, function("b")],
            ["a", "b"],
        ),
        ([function(""), function(None), function(7), function(["a"])], []),
        (None, []),
        ({}, []),
        ("tools", []),
        (7, []),
    ],
)
def test_read_tools(tools: Any, names: list[str]) -> None:
    assert list(read_tools(tools)) == names


def test_a_tool_without_parameters_declares_nothing() -> None:
    for parameters in ({}, {"parameters": None}, {"parameters": '{"type": "object"}'}, {"parameters": []}):
        tool = read_tools([function("get_goal", **parameters)])["get_goal"]
        assert tool.required == frozenset()
        assert not tool.declares("a")
        assert tool.parameter("a").types == frozenset()
        assert not tool.parameter("a").required


def test_parameters_that_are_no_json_are_read_all_the_same() -> None:
    tool = read_tools([function("a", parameters={"properties": {"x": INTEGER | {"default": {1}}}})])["a"]
    assert tool.parameter("x").types == {"integer"}


def test_the_first_of_two_tools_with_one_name_counts() -> None:
    tools = read_tools([function("a", parameters={"properties": {"x": INTEGER}}), function("a")])
    assert tools["a"].declares("x")


def test_type_of() -> None:
    assert [type_of(value) for value in (None, True, 1, 1.5)] == ["null", "boolean", "integer", "number"]
    assert [type_of(value) for value in ("x", [], {}, object(), (1,))] == [
        "string",
        "array",
        "object",
        "",
        "",
    ]


def test_shared_schemas_are_read_once() -> None:
    """Forty levels of two alternatives each: a trillion paths, forty schemas."""
    levels: dict[str, Any] = {"L0": INTEGER}
    for n in range(1, 41):
        levels[f"L{n}"] = {"anyOf": [{"$ref": f"#/$defs/L{n - 1}"}] * 2, "properties": {"a": STRING}}
    parameter = declare({"$ref": "#/$defs/L40"}, **{"$defs": levels})
    assert parameter.types == {"integer"}
    assert parameter.member("a").types == {"string"}
    assert parameter.item().types == frozenset()
    assert parameter.admits(1)
    assert not parameter.admits("x")


def test_absurdly_nested_schemas_cost_the_typing_only() -> None:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(5000):
        schema = {"anyOf": [schema]}
    parameter = declare(schema)
    assert parameter.types == frozenset()
    assert parameter.member("a").types == frozenset()
    assert parameter.admits("x")


KEYWORDS = [
    *("type", "$ref", "allOf", "anyOf", "oneOf", "not", "enum", "const", "items", "prefixItems", "nullable"),
    *("properties", "required", "additionalProperties", "$defs", "definitions", "description", "a", "b", "0"),
]
REFS = st.sampled_from(
    ["#", "#/$defs/a", "#/$defs/b", "#/properties/a", "#/anyOf/0", "#/a/0/items", "x", "#%"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | REFS
LEAVES = LEAVES | st.sampled_from(["string", "integer", "null", "array", "object"])
GARBAGE = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=5),
    max_leaves=30,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYWORDS), GARBAGE, max_size=8))
def test_garbage_never_raises(schema: dict[str, Any]) -> None:
    known = {"string", "integer", "null", "array", "object", "number", "boolean"}
    tool = read_tools([function("t", parameters=schema)])["t"]
    assert tool.required <= {key for key in tool.required if isinstance(key, str)}
    for parameter in (tool.parameter("a"), tool.parameter("0"), tool.arguments):
        for nested in (parameter, parameter.item(), parameter.item(3), parameter.member("a")):
            assert nested.types <= known
            assert isinstance(nested.declared, frozenset)
            assert isinstance(nested.admits("x"), bool)


@settings(max_examples=200, deadline=None)
@given(GARBAGE)
def test_garbage_tools_never_raise(tools: Any) -> None:
    for name, tool in read_tools([tools, {"function": tools}]).items():
        assert tool.name == name
    read_tools(tools)


def test_a_key_that_only_a_pattern_names_has_its_type() -> None:
    patterns = {"^N_": {"type": "integer"}, "(": {"type": "boolean"}, "_ON$": {"type": "boolean"}}
    schema = {"type": "object", "patternProperties": patterns, "additionalProperties": {"type": "number"}}
    tool = Tool("env", schema | {"properties": {"N_X": {"type": "string"}}})
    types = {key: set(tool.parameter(key).types) for key in ("N_A", "IS_ON", "N_X", "OTHER")}
    assert types == {"N_A": {"integer"}, "IS_ON": {"boolean"}, "N_X": {"string"}, "OTHER": {"number"}}
