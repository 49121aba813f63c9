"""What a value's text becomes, by its schema: exact outcomes, and the same ones at every cut.

A row's name begins with the entry of the field guide it stands for (C01 and so on).
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolstream.limits import DEPTH, DIGITS, EXCERPT
from toolstream.repairs import Repair
from toolstream.schema.arguments import ArgumentsWriter
from toolstream.schema.coercion import (
    FAILED,
    OMITTED,
    conform,
)
from toolstream.schema.escapes import doubled_escapes
from toolstream.schema.json_write import as_written, dump
from toolstream.schema.schema import Parameter, Tool
from toolstream.schema.values import coerce_leniently
from toolstream.schema.whole_arguments import write_object

STRING, INTEGER, NUMBER, BOOLEAN, ARRAY, OBJECT, NULL = (
    {"type": t} for t in ("string", "integer", "number", "boolean", "array", "object", "null")
)
INTEGERS = {"type": "array", "items": INTEGER}
TODOS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"text": STRING, "done": BOOLEAN, "days": INTEGER, "tags": {"items": STRING}},
        "required": ["text"],
    },
}


def either(*types: str) -> dict[str, Any]:
    return {"type": list(types)}


def tool_of(schema: Any, required: bool = True) -> Tool:
    return Tool(
        "t",
        {
            "properties": {"p": schema, "last": {**STRING, "x": INTEGER}},
            "required": ["p"] if required else [],
        },
    )


def write(tool: Tool | None, *values: tuple[str, list[str]]) -> tuple[str, list[tuple[Repair, str]]]:
    writer = ArgumentsWriter(tool)
    out = []
    for key, pieces in values:
        out += [writer.begin(key), *map(writer.feed, pieces), writer.end()]
    return "".join(out) + writer.close(), writer.repairs


def cuts(text: str) -> Iterator[list[str]]:
    """Whole, per character, and every cut in two."""
    yield [text]
    yield list(text)
    for at in range(len(text) + 1):
        yield [text[:at], text[at:]]


def loads(text: str) -> Any:
    """As a strict client reads it."""

    def refuse(name: str) -> Any:
        raise AssertionError(f"{name} in {text!r}")

    text.encode()
    return json.loads(text, parse_constant=refuse)


def test_cuts_are_cuts() -> None:
    assert list(cuts("ab")) == [["ab"], ["a", "b"], ["", "ab"], ["a", "b"], ["ab", ""]]


# (name, schema, text, the JSON text of the value). "!" before the name: passed on as a string, and counted
ROWS: list[tuple[str, Any, str, str]] = [
    ("C01 integer", INTEGER, "5", "5"),
    ("C01 negative", INTEGER, "-5", "-5"),
    ("C01 boolean", BOOLEAN, "true", "true"),
    ("C01 number", NUMBER, "2.5", "2.5"),
    ("C01 array", ARRAY, '["a"]', '["a"]'),
    ("C01 object", OBJECT, '{"a": 1}', '{"a": 1}'),
    ("C02 a string that looks like an object", STRING, '{"a":1}', r'"{\"a\":1}"'),
    ("C02 a string that looks like an array", STRING, "[1]", '"[1]"'),
    ("C02 a string that looks like a number", STRING, "1", '"1"'),
    ("C02 a string that looks like a boolean", STRING, "true", '"true"'),
    ("C02 a string that looks like a JSON string", STRING, '"abc"', r'"\"abc\""'),
    ("C03 string or number", either("string", "number"), "123", '"123"'),
    ("C03 string or boolean", either("string", "boolean"), "true", '"true"'),
    ("C03 string or array, array", either("string", "array"), ' ["a"]\n', '["a"]'),
    ("C03 string or array, object", either("string", "array"), '{"a":1}', r'"{\"a\":1}"'),
    ("C03 string or object, object", either("string", "object"), '{"a":1}', '{"a":1}'),
    ("C03 string or array, not JSON", either("string", "array"), "[see below", '"[see below"'),
    ("C03 string or array, Python", either("string", "array"), "['a']", "\"['a']\""),
    ("C03 string or array, double-encoded", either("string", "array"), r'"[\"a\"]"', r'"\"[\\\"a\\\"]\""'),
    ("C03 string or array, a glob", either("string", "array"), "[a-z]*.py", '"[a-z]*.py"'),
    ("C03 string or array, blank", either("string", "array"), " \n ", r'" \n "'),
    ("C03 string or array, text after blanks", either("string", "array"), "  x [1]", '"  x [1]"'),
    ("C03 string or array of integers", {"anyOf": [STRING, INTEGERS]}, '["1"]', "[1]"),
    ("C03 null or integer or boolean, null", either("boolean", "integer", "null"), "null", "null"),
    ("C03 null or integer or boolean, 1", either("boolean", "integer", "null"), "1", "1"),
    ("C03 null or integer or boolean, true", either("boolean", "integer", "null"), "true", "true"),
    ("C03 integer or number, whole", either("number", "integer"), "5.0", "5"),
    ("C03 integer or number, broken", either("number", "integer"), "5.5", "5.5"),
    ("C03 number or array", either("number", "array"), "[1]", "[1]"),
    ("C03 $ref", {"$ref": "#/properties/last/x"}, "5", "5"),
    ("C03 array or null, double-encoded", {"anyOf": [ARRAY, NULL]}, r'"[\"a\"]"', '["a"]'),
    ("C03 two objects, double-encoded", {"anyOf": [OBJECT, OBJECT]}, r'"{\"a\":1}"', '{"a":1}'),
    ("C03 no schema, object", {}, '{"a":1}', '{"a":1}'),
    ("C03 no schema, array", {}, "\n[1, 2]", "[1, 2]"),
    ("C03 no schema, number", {}, "5", '"5"'),
    ("C03 no schema, null", {}, "null", '"null"'),
    ("C03 no schema, code", {}, "{ return 1; }", '"{ return 1; }"'),
    ("C03 no schema, empty", {}, "", '""'),
    ("C03 items without type", {"items": INTEGER}, '["1"]', "[1]"),
    ("C03 properties without type", {"properties": {"a": INTEGER}}, '{"a":"1"}', '{"a": 1}'),
    ("C03 enum without type", {"enum": [1, 2]}, "2", "2"),
    ("C03 const without type", {"const": True}, "True", "true"),
    ("C04 Python list", ARRAY, "['a', 'b']", '["a", "b"]'),
    ("C04 Python dict", OBJECT, "{'k': True, 'n': None, 'f': False}", '{"k": true, "n": null, "f": false}'),
    ("C04 Python boolean", BOOLEAN, "True", "true"),
    ("C04 boolean in capitals", BOOLEAN, " FALSE\n", "false"),
    ("C04 tuple", ARRAY, "(1, 2)", "[1, 2]"),
    ("C04 tuple of one", ARRAY, "('a',)", '["a"]'),
    ("C04 empty tuple", ARRAY, "()", "[]"),
    ("C04 parentheses", ARRAY, "[('a'), ((1, 2),)]", '["a", [[1, 2]]]'),
    ("C04 trailing comma", ARRAY, '["a", "b",]', '["a", "b"]'),
    ("C04 quotes in quotes", ARRAY, r"""['it\'s', "it's", '"']""", r"""["it's", "it's", "\""]"""),
    ("C04 escapes", ARRAY, r"['\n\t\\\x41\u00e9\101\d\U0001F600']", '["\\n\\t\\\\AéA\\\\d😀"]'),
    ("C04 surrogate escapes", ARRAY, r"['\ud83d\ude00']", '["😀"]'),
    ("C04 raw newline", ARRAY, "['a\nb']", r'["a\nb"]'),
    ("C04 numbers as written", ARRAY, "[1.10, 1e3, 'a']", '[1.10, 1e3, "a"]'),
    ("C04 prefix", ARRAY, "[u'a']", '["a"]'),
    ("C04 apostrophes", ARRAY, "['a','it']", '["a", "it"]'),
    ("!C04 unclosed", ARRAY, "['a", '"[\'a"'),
    ("!C04 a set", ARRAY, "{'a', 'b'}", "\"{'a', 'b'}\""),
    ("!C04 a call", ARRAY, "[open('x')]", "\"[open('x')]\""),
    ("!C04 nan", ARRAY, "[nan, 'a']", "\"[nan, 'a']\""),
    ("!C05 a date for an integer", INTEGER, "2026-01-15", '"2026-01-15"'),
    ("!C05 code for an object", OBJECT, "const a = {b: 1};\n", r'"const a = {b: 1};\n"'),
    ("!C05 junk for a boolean", BOOLEAN, "yes", '"yes"'),
    ("!C05 a word for a number", NUMBER, "five", '"five"'),
    ("!C05 an object for an array", ARRAY, '{"a": 1}', r'"{\"a\": 1}"'),
    ("!C05 an array for an object", OBJECT, "[1]", '"[1]"'),
    ("!C05 a number for an array", ARRAY, "5", '"5"'),
    ("!C05 text for null", NULL, "x", '"x"'),
    ("!C05 blank keeps nothing", INTEGER, " \n", '""'),
    ("!C05 unfit text keeps its blanks", INTEGER, "  a\n", r'"  a\n"'),
    ("C06 null for a string", STRING, "null", '"null"'),
    ("C06 null where string or null", either("string", "null"), "null", "null"),
    ("C06 a word that begins as null", either("string", "null"), "nullify", '"nullify"'),
    ("C06 the beginning of null", either("string", "null"), "nul", '"nul"'),
    ("C06 not exactly null", either("string", "null"), " null", '" null"'),
    ("C06 null and more", either("string", "null"), "null ", '"null "'),
    ("C06 None where string or null", either("string", "null"), "None", '"None"'),
    ("C06 null where string or null or array", either("string", "null", "array"), "null", "null"),
    ("C06 blank null where string or null or array", either("string", "null", "array"), " null", '" null"'),
    ("C06 null for integer or null", either("integer", "null"), "null", "null"),
    ("C06 null for a required integer", INTEGER, "null", "null"),
    ("C06 nullable", {"type": "integer", "nullable": True}, "NULL", "null"),
    ("C06 empty for a required integer or null", either("integer", "null"), "", "null"),
    ("C07 indentation", STRING, "    x\n        y\n", r'"    x\n        y\n"'),
    ("C07 tab", STRING, "\tx", r'"\tx"'),
    ("C07 newlines only", STRING, "\n\n", r'"\n\n"'),
    ("C07 carriage returns", STRING, "a\r\nb\r\n", r'"a\r\nb\r\n"'),
    ("C07 blanks around an integer", INTEGER, "\n  5 \t\n", "5"),
    ("C07 blanks around an array", ARRAY, "\n [1]\n", "[1]"),
    ("C08 entities", STRING, "&lt;a&gt; && <b>", '"&lt;a&gt; && <b>"'),
    ("C09 literal backslash n", STRING, r"a\nb", r'"a\\nb"'),
    ("C11 5.0 for an integer", INTEGER, "5.0", "5"),
    ("C11 1e3 for an integer", INTEGER, "1e3", "1000"),
    ("C11 1.5e1 for an integer", INTEGER, "1.5E+1", "15"),
    ("!C11 5.5 for an integer", INTEGER, "5.5", '"5.5"'),
    ("!C11 1e-3 for an integer", INTEGER, "1e-3", '"1e-3"'),
    ("!C11 1e-400 for an integer", INTEGER, "1e-400", '"1e-400"'),
    ("!C11 1e400 for an integer", INTEGER, "1e400", '"1e400"'),
    ("!C11 an absurd exponent", INTEGER, "1e99999999999999999999", '"1e99999999999999999999"'),
    ("C11 beyond 2^53", INTEGER, "9007199254740993", "9007199254740993"),
    ("C11 beyond 64 bits", INTEGER, "123456789012345678901234567890", "123456789012345678901234567890"),
    ("C11 beyond 2^53 with a fraction", INTEGER, "9007199254740993.0", "9007199254740993"),
    ("C11 beyond 2^53 for a number", NUMBER, "9007199254740993", "9007199254740993"),
    ("C11 a number keeps its text", NUMBER, "1.10", "1.10"),
    ("C11 an exponent keeps its text", NUMBER, "1e3", "1e3"),
    ("C11 a whole number keeps its text", NUMBER, "5.0", "5.0"),
    ("C11 an integer for a number", NUMBER, "5", "5"),
    ("C11 leading plus", INTEGER, "+5", "5"),
    ("C11 leading zeros", INTEGER, "007", "7"),
    ("C11 leading zeros, and a minus", INTEGER, "-007", "-7"),
    ("!C11 two signs", INTEGER, "+-7", '"+-7"'),
    ("!C11 a sign alone", INTEGER, "+", '"+"'),
    ("!C11 a point alone", NUMBER, ".", '"."'),
    ("!C11 two points", NUMBER, "1.2.", '"1.2."'),
    ("!C11 thousands", INTEGER, "1,000", '"1,000"'),
    ("!C11 underscore", INTEGER, "1_000", '"1_000"'),
    ("!C11 hexadecimal", INTEGER, "0x10", '"0x10"'),
    ("!C11 other digits", INTEGER, "٣", '"٣"'),
    ("C11 leading plus, number", NUMBER, "+5.5", "5.5"),
    ("C11 no digit before the point", NUMBER, ".5", "0.5"),
    ("C11 no digit after the point", NUMBER, "5.", "5"),
    ("C11 no digit after the point, for an integer", INTEGER, "5.", "5"),
    ("!C11 half a number for an integer", INTEGER, ".5", '".5"'),
    ("!C11 NaN", NUMBER, "NaN", '"NaN"'),
    ("!C11 Infinity", NUMBER, "-Infinity", '"-Infinity"'),
    ("!C11 overflow", NUMBER, "1e999", '"1e999"'),
    ("!C11 NaN inside", ARRAY, "[1, NaN]", '"[1, NaN]"'),
    ("!C11 overflow inside", ARRAY, "[1e999]", '"[1e999]"'),
    ("C11 numbers inside keep their text", ARRAY, "[1.10, 1e3]", "[1.10, 1e3]"),
    ("C11 numbers inside keep their text when written", INTEGERS, '["1", 1.10, 2.0]', "[1, 1.10, 2]"),
    ("!C12 plain text for an array", ARRAY, "a.py", '"a.py"'),
    ("C12 members that are strings", TODOS, '[{"text":"a","done":"true"}]', '[{"text": "a", "done": true}]'),
    ("C12 nested", TODOS, '[{"text":"1","days":"3"}]', '[{"text": "1", "days": 3}]'),
    (
        "C12 nested, double-encoded",
        TODOS,
        r'[{"text":"1","tags":"[\"x\"]"}]',
        '[{"text": "1", "tags": ["x"]}]',
    ),
    ("C12 nested null", TODOS, '[{"text":null,"days":null}]', '[{"text": null}]'),
    ("C12 nested empty", TODOS, '[{"text":"","days":""}]', '[{"text": ""}]'),
    ("C12 nested junk", TODOS, '[{"text": "a", "days": "soon"}]', '[{"text": "a", "days": "soon"}]'),
    ("C12 nested, unknown", TODOS, '[{"text": "a", "x": "3"}]', '[{"text": "a", "x": "3"}]'),
    ("C13 array", ARRAY, r'"[\"a\"]"', '["a"]'),
    ("C13 object", OBJECT, r'"{\"a\": \"b\\n\"}"', r'{"a": "b\n"}'),
    ("C13 in Python quotes", ARRAY, """'["a"]'""", '["a"]'),
    ("C13 Python inside", ARRAY, """"['a']\"""", '["a"]'),
    ("!C13 two levels", ARRAY, r'"\"[1]\""', r'"\"\\\"[1]\\\"\""'),
    ("!C13 a JSON string for an array", ARRAY, '"a"', r'"\"a\""'),
    ("!C13 a quoted integer", either("integer", "array"), '"5"', r'"\"5\""'),
    ("C16 newline in a JSON string", ARRAY, '["a\nb\t"]', r'["a\nb\t"]'),
    ("C16 newline between items", ARRAY, '[\n  "a",\n\t"b"\n]', '[\n  "a",\n\t"b"\n]'),
    ("C17 an empty string", STRING, "", '""'),
    ("C17 an empty string or null", either("string", "null"), "", '""'),
    ("!C17 empty for a required integer", INTEGER, "", '""'),
    ("!C17 empty for a required array", ARRAY, "\n", '""'),
    ("C18 None for a required integer", INTEGER, "None", "null"),
    ("C06 undefined for a required integer", INTEGER, "undefined", "null"),
    ("C06 undefined for a string", STRING, "undefined", '"undefined"'),
    ("!C12 lines for an array", ARRAY, "a\nb", '"a\\nb"'),
    ("C18 None for integer or null", either("integer", "null"), "None", "null"),
    ("C18 None for a string", STRING, "None", '"None"'),
    ("C19 invalid escape", ARRAY, r'["\d+"]', r'["\\d+"]'),
    ("C19 octal escape", ARRAY, r'["\033[0m"]', r'["\\033[0m"]'),
    ("C19 a Windows path", OBJECT, r'{"p": "C:\users\x"}', r'{"p": "C:\\users\\x"}'),
    ("C19 valid ones beside it stay", ARRAY, r'["\d\n\\\u0041\""]', r'["\\d\n\\A\""]'),
    ("C19 in a Python string", ARRAY, r"['\d+', 'C:\users']", r'["\\d+", "C:\\users"]'),
    ("C22 an object that is a string", STRING, "{}", '"{}"'),
    ("C22 an object", OBJECT, "{}", "{}"),
    ("text that fits goes out as it came", OBJECT, '{"a":1,  "a":2,"b":[ ]}', '{"a":1,  "a":2,"b":[ ]}'),
    ("escapes stay as they were written", ARRAY, r'["\u00e9\/"]', r'["\u00e9\/"]'),
    ("lone surrogate in a string", STRING, "a\ud83d", r'"a\ud83d"'),
    ("lone surrogate in an array", ARRAY, '["\ude00"]', r'["\ude00"]'),
    ("!lone surrogate in an unfit value", INTEGER, "x\ude00", r'"x\ude00"'),
    ("other scripts", STRING, "日本\u2028😀\x7f\x00", '"日本\u2028😀\x7f\\u0000"'),
]


@pytest.mark.parametrize(("name", "schema", "text", "value"), ROWS, ids=[row[0] for row in ROWS])
def test_values(name: str, schema: Any, text: str, value: str) -> None:
    tool = tool_of(schema)
    repairs = [(Repair.COERCION_FAILED, f"p={text}")] if name.startswith("!") else []
    loads(value)
    for pieces in cuts(text):
        out, seen = write(tool, ("p", pieces), ("last", ["x"]))
        assert out == f'{{"p": {value}, "last": "x"}}', pieces
        assert seen == repairs, pieces


@pytest.mark.parametrize(("name", "schema", "text", "value"), ROWS, ids=[row[0] for row in ROWS])
def test_coerce_agrees_with_the_writer(name: str, schema: Any, text: str, value: str) -> None:
    found = coerce_leniently(text, tool_of(schema).parameter("p"))
    assert (found is FAILED) == name.startswith("!")
    if found is not FAILED:
        assert json.loads(dump(found)) == json.loads(value)


OMITTED_ROWS = [
    ("C06 null", INTEGER, "null"),
    ("C06 null, any case", BOOLEAN, "NULL"),
    ("C06 null for an array", ARRAY, " null\n"),
    ("C17 empty", INTEGER, ""),
    ("C17 newlines", ARRAY, "\n\n"),
    ("C17 empty, null allowed", either("integer", "null"), ""),
    ("C18 None", NUMBER, "None"),
]


@pytest.mark.parametrize(("name", "schema", "text"), OMITTED_ROWS, ids=[row[0] for row in OMITTED_ROWS])
def test_an_optional_value_is_left_out(name: str, schema: Any, text: str) -> None:
    tool = tool_of(schema, required=False)
    assert coerce_leniently(text, tool.parameter("p")) is OMITTED
    for pieces in cuts(text):
        assert write(tool, ("p", pieces)) == ("{}", [])
        assert write(tool, ("p", pieces), ("last", ["x"])) == ('{"last": "x"}', [])
        assert write(tool, ("last", ["x"]), ("p", pieces)) == ('{"last": "x"}', [])


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        (either("integer", "null"), "null", "null"),
        (either("integer", "null"), "None", "null"),
        (either("string", "null"), "null", "null"),
        (STRING, "null", '"null"'),
        (STRING, "", '""'),
        ({}, "", '""'),
    ],
)
def test_an_optional_value_that_is_kept(schema: Any, text: str, value: str) -> None:
    assert write(tool_of(schema, required=False), ("p", [text])) == (f'{{"p": {value}}}', [])


def test_references_and_unknown_tools() -> None:
    tool = Tool("t", {"properties": {"p": {"$ref": "#/$defs/N"}}, "$defs": {"N": INTEGER}})
    assert write(tool, ("p", ["5"])) == ('{"p": 5}', [])
    assert write(tool, ("unknown", ["5"])) == ('{"unknown": "5"}', [])
    assert write(None, ("p", ["5"]), ("q", ["[5]"])) == ('{"p": "5", "q": [5]}', [])
    assert write(Tool("get_goal")) == ("{}", [])


# What leaves when


def fragments(schema: Any, *pieces: str) -> list[str]:
    writer = ArgumentsWriter(tool_of(schema))
    return [writer.begin("p"), *map(writer.feed, pieces), writer.end(), writer.close()]


@pytest.mark.parametrize(
    ("schema", "pieces", "want"),
    [
        (STRING, ["a", '"b', "\n"], ['{"p": "', "a", '\\"b', "\\n", '"', "}"]),
        (STRING, [], ['{"p": "', '"', "}"]),
        (either("string", "boolean"), ["true"], ['{"p": "', "true", '"', "}"]),
        (either("string", "null"), ["n", "u", "m", "b"], ["", "", "", '{"p": "num', "b", '"', "}"]),
        (either("string", "null"), [" ", "x"], ["", '{"p": " ', "x", '"', "}"]),
        (either("string", "null"), ["null", "s", "x"], ["", "", '{"p": "nulls', "x", '"', "}"]),
        (either("string", "null"), ["nu", "ll"], ["", "", "", '{"p": null', "}"]),
        (either("string", "array"), [" ", "\n", "x", "y"], ["", "", "", '{"p": " \\nx', "y", '"', "}"]),
        (either("string", "array"), ["n", "ull"], ["", '{"p": "n', "ull", '"', "}"]),
        (either("string", "array"), ["{", "x"], ["", '{"p": "{', "x", '"', "}"]),
        (either("string", "array"), [" [", "1", "]"], ["", "", "", "", '{"p": [1]', "}"]),
        ({}, ["{", "x"], ["", "", "", '{"p": "{x"', "}"]),
        ({}, ["x", "{"], ["", '{"p": "x', "{", '"', "}"]),
        (INTEGER, ["1", "2"], ["", "", "", '{"p": 12', "}"]),
        (ARRAY, ["[", "]"], ["", "", "", '{"p": []', "}"]),
    ],
)
def test_a_value_leaves_once_its_type_is_certain(schema: Any, pieces: list[str], want: list[str]) -> None:
    assert fragments(schema, *pieces) == want


def test_pending_is_what_was_held() -> None:
    writer = ArgumentsWriter(tool_of(INTEGER))
    writer.begin("p")
    for piece in ("1", "", "2"):
        writer.feed(piece)
    assert writer.pending == "12"
    writer.end()
    assert writer.pending == ""
    writer.begin("last")
    writer.feed("x")
    assert writer.pending == ""


def test_the_first_of_a_repeated_parameter_wins() -> None:
    tool = Tool("t", {"properties": {"a": STRING, "n": INTEGER}})
    for pieces in cuts("5x"):
        values = [("a", ["1"]), ("a", pieces), ("n", ["2"]), ("n", pieces), ("a", [])]
        out, repairs = write(tool, *values)
        assert out == '{"a": "1", "n": 2}'
        assert repairs == [(Repair.REPEATED_PARAMETER, key) for key in "ana"]
    assert write(tool, ("n", ["null"]), ("n", ["5"])) == ("{}", [(Repair.REPEATED_PARAMETER, "n")])


def test_given_are_the_keys_seen() -> None:
    writer = ArgumentsWriter(tool_of(INTEGER, required=False))
    writer.begin("p")
    assert writer.given == {"p"}
    writer.end()
    writer.begin("x")
    assert writer.given == {"p", "x"}


def test_a_value_left_open_is_ended() -> None:
    writer = ArgumentsWriter(tool_of(INTEGER))
    out = writer.begin("p") + writer.feed("5") + writer.begin("last") + writer.feed("x") + writer.close()
    assert out == '{"p": 5, "last": "x"}'
    assert writer.feed("outside of any value") == ""
    assert writer.end() == ""


def test_keys_are_quoted() -> None:
    assert write(None, ('a"\n\ud83d', ["x"])) == (r'{"a\"\n\ud83d": "x"}', [])


def test_excerpts_are_short() -> None:
    for values in ([("p", ["x" * 1000])], [("k" * 1000, [])] * 2):
        _, repairs = write(tool_of(INTEGER), *values)
        assert [len(excerpt) for _, excerpt in repairs] == [EXCERPT]


def test_a_surrogate_pair_in_two_pieces() -> None:
    out, _ = write(tool_of(STRING), ("p", ["a\ud83d", "\ude00b"]))
    assert loads(out) == {"p": "a😀b"}


# Sizes and depths


@pytest.mark.parametrize("text", ["9" * DIGITS, "-" + "9" * (DIGITS - 1)])
@pytest.mark.parametrize("schema", [INTEGER, NUMBER])
def test_long_integers_are_exact(schema: Any, text: str) -> None:
    assert write(tool_of(schema), ("p", [text])) == (f'{{"p": {text}}}', [])


@pytest.mark.parametrize("schema", [INTEGER, NUMBER, ARRAY])
def test_integers_too_long_to_parse_stay_text(schema: Any) -> None:
    text = "9" * (DIGITS + 1) if schema is not ARRAY else f"[{'9' * (DIGITS + 1)}]"
    out, repairs = write(tool_of(schema), ("p", [text]))
    assert loads(out) == {"p": text}
    assert [repair for repair, _ in repairs] == [Repair.COERCION_FAILED]


@pytest.mark.parametrize("levels", [DEPTH, DEPTH + 1, 1000, 20_000])
@pytest.mark.parametrize(("opener", "closer"), [("[", "]"), ("(", ",)"), ('{"a":', "}"), ("{'a':", "}")])
def test_nesting_is_read_to_a_depth(levels: int, opener: str, closer: str) -> None:
    text = opener * levels + "1" + closer * levels
    schema = {"type": ["array", "object"], "items": {"$ref": "#/properties/p"}}
    out, repairs = write(tool_of(schema), ("p", [text]))
    fits = levels <= DEPTH
    assert not fits or isinstance(loads(out)["p"], dict | list)
    assert fits or loads(out) == {"p": text}
    assert [repair for repair, _ in repairs] == ([] if fits else [Repair.COERCION_FAILED])


def test_many_brackets_are_not_depth() -> None:
    text = "[" + "[]," * 5000 + "[]]"
    assert write(tool_of(ARRAY), ("p", [text])) == (f'{{"p": {text}}}', [])


LONG, LONGEST = 50_000, 200_000
HOSTILE = {
    "blanks": (either("string", "array"), " ", ""),
    "bracket first": ({}, "[", ""),
    "quotes": (ARRAY, "'", ""),
    "escaped quotes": (ARRAY, r"'\'", ""),
    "backslashes": (ARRAY, "\\", '["'),
    "digits": (NUMBER, "9", ""),
    "digits for an integer": (INTEGER, "9", ""),
    "zeros behind the point": (INTEGER, "0", "1.0"),
    "digits behind the point": (INTEGER, "3", "1."),
    "Python items": (ARRAY, "'a',", "["),
    "commas": (ARRAY, ",", "["),
    "parentheses": (ARRAY, "(),", "["),
    "minus signs": (ARRAY, "-", ""),
    "dropped": (STRING, "x", ""),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_long_hostile_text_becomes_json(name: str, thorough: bool) -> None:
    """Were one of these read in more than linear time, `make fuzz` would take minutes."""
    schema, unit, before = HOSTILE[name]
    pieces = [before, *[unit] * (LONGEST if thorough else LONG)]
    out, _ = write(tool_of(schema), ("p", pieces), ("p", pieces))
    assert set(loads(out)) <= {"p"}


# Parsed values


@pytest.mark.parametrize(
    ("schema", "value", "want"),
    [
        (INTEGER, "3", 3),
        (INTEGER, 3.0, 3),
        (BOOLEAN, "True", True),
        (NUMBER, "1.5", 1.5),
        (ARRAY, '["a"]', ["a"]),
        (OBJECT, "{'a': None}", {"a": None}),
        (INTEGER, "", OMITTED),
        (INTEGER, None, OMITTED),
        (STRING, None, OMITTED),
        (STRING, {"a": [1.5, True, None]}, '{"a": [1.5, true, null]}'),
        (STRING, ["é"], '["é"]'),
        (STRING, 5, "5"),
        (STRING, 1.5, "1.5"),
        (STRING, False, "false"),
        (either("string", "integer"), [1], "[1]"),
        (TODOS, [{"text": 5, "done": "false", "days": None}], [{"text": "5", "done": False}]),
        ({"additionalProperties": INTEGER, "type": "object"}, {"a": "1", "b": 2}, {"a": 1, "b": 2}),
        ({"prefixItems": [STRING, INTEGER]}, [1, "1", "1"], ["1", 1, "1"]),
        ({"anyOf": [INTEGERS, NULL]}, ["1", "x", None, ""], [1, "x", None, ""]),
    ],
)
def test_conform_coerces(schema: Any, value: Any, want: Any) -> None:
    found, changed = conform(value, tool_of(schema, required=False).parameter("p"))
    assert changed
    assert (found, type(found)) == (want, type(want))
    if found is not OMITTED:
        assert json.loads(dump(found)) == want


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (STRING, "5"),
        (STRING, "null"),
        (STRING, "[1]"),
        (either("string", "array"), "[1]"),
        (either("string", "null"), "null"),
        (either("integer", "null"), None),
        (INTEGER, 5),
        (INTEGER, True),
        (INTEGER, 5.5),
        (INTEGER, "soon"),
        (INTEGER, [5]),
        (INTEGER, float("inf")),
        (NUMBER, 5),
        (NUMBER, 5.0),
        (BOOLEAN, 1),
        (ARRAY, {"a": 1}),
        (OBJECT, []),
        ({}, "5"),
        ({}, None),
        (False, {"a": "5"}),
        (TODOS, [{"text": "a", "done": True, "other": "5"}]),
    ],
)
def test_conform_leaves_alone(schema: Any, value: Any) -> None:
    found, changed = conform(value, tool_of(schema, required=False).parameter("p"))
    assert not changed
    assert found is value


def test_a_required_null_stays() -> None:
    assert conform(None, tool_of(INTEGER).parameter("p")) == (None, False)


def test_conform_survives_any_depth() -> None:
    value: Any = "1"
    for _ in range(10_000):
        value = [value]
    assert conform(value, tool_of({"items": {"$ref": "#/properties/p"}}).parameter("p")) == (value, False)
    assert conform(value, tool_of(STRING).parameter("p"))[1] is False
    assert write_object(None, {"p": value}, "")[0] == "{}"


def test_dump() -> None:
    value = {"a": [1, 1.5, as_written("1.10"), None, True, False, "\ud83d", {}], "é\n": float("nan")}
    assert dump(value) == '{"a": [1, 1.5, 1.10, null, true, false, "\\ud83d", {}], "é\\n": "NaN"}'


def test_doubled_escapes() -> None:
    assert doubled_escapes(r'["a \users\new\d\u00e9\\"]') == r'["a \\users\new\\d\u00e9\\"]'


def test_a_path_has_no_escapes() -> None:
    assert doubled_escapes(r'["C:\new\d", "\n"]') == r'["C:\\new\\d", "\n"]'
    assert doubled_escapes(r'["C:\new\u00e9"]') == r'["C:\new\u00e9"]'


# Whole objects


@pytest.mark.parametrize(
    ("text", "want", "failed"),
    [
        ('{"p":3,"last":"x"}', '{"p":3,"last":"x"}', []),
        (' {"p":3 }\n', '{"p":3 }', []),
        ("{}", "{}", []),
        ('{"p":"3", "last":"x"}', '{"p": 3, "last": "x"}', []),
        ('{"p":3,"last":{"a":1.10}}', '{"p": 3, "last": "{\\"a\\": 1.10}"}', []),
        ('{"p":"soon", "x":[1.10]}', '{"p":"soon", "x":[1.10]}', ["p=soon"]),
        ('{"last":null}', "{}", []),
        ('{"p":null}', '{"p":null}', []),
        ('{"last":"\ud83d"}', '{"last":"\\ud83d"}', []),
    ],
)
def test_write_object(text: str, want: str, failed: list[str]) -> None:
    out = write_object(tool_of(INTEGER), json.loads(text), text)
    assert out == (want, [(Repair.COERCION_FAILED, excerpt) for excerpt in failed])


@pytest.mark.parametrize("text", ["", "not JSON", '{"other": 1}', "[1]", '{"p": "a\nb"}', "[" * 100_000])
def test_write_object_without_its_text(text: str) -> None:
    assert write_object(None, {"p": "a\nb", "n": [1.5]}, text) == ('{"p": "a\\nb", "n": [1.5]}', [])


def test_write_object_never_writes_nan() -> None:
    text = '{"p": NaN, "q": [-Infinity]}'
    assert loads(write_object(None, json.loads(text), text)[0]) == {"p": "NaN", "q": ["-Infinity"]}


# Anything


TYPES = ["string", "integer", "number", "boolean", "null", "array", "object"]
SCHEMAS = st.recursive(
    st.builds(lambda types: {"type": types}, st.lists(st.sampled_from(TYPES), max_size=3, unique=True)),
    lambda inner: (
        st.builds(lambda items: {"type": "array", "items": items}, inner)
        | st.builds(lambda a: {"type": "object", "properties": {"a": a}}, inner)
        | st.builds(lambda members: {"anyOf": members}, st.lists(inner, max_size=3))
    ),
    max_leaves=5,
)
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", ""]), inner, max_size=3)
    ),
    max_leaves=10,
)
NEARLY = st.text(st.sampled_from("[]{}()'\"\\,: \n\t0123456789.eE+-nulNoTrueFasx_ud8é\ud83d"), max_size=30)
TEXTS = ANY_TEXT | NEARLY | JSON_VALUES.map(json.dumps) | JSON_VALUES.map(repr)


def joined(text: str) -> str:
    """Surrogate pairs in two halves, as any JSON reader joins them."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


@settings(max_examples=500, deadline=None)
@given(st.lists(ANY_TEXT, max_size=5))
def test_any_text_for_a_string_comes_back(pieces: list[str]) -> None:
    out, repairs = write(tool_of(STRING), ("p", pieces))
    assert loads(out) == {"p": joined("".join(pieces))}
    assert repairs == []


@settings(max_examples=500, deadline=None)
@given(SCHEMAS, TEXTS, st.booleans(), st.data())
def test_any_text_for_any_type_is_valid_json_at_any_cut(
    schema: Any, text: str, required: bool, data: st.DataObject
) -> None:
    tool = tool_of(schema, required)
    whole = write(tool, ("p", [text]), ("last", ["x"]))
    assert loads(whole[0])["last"] == "x"
    at = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    pieces = [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]
    for cut in (pieces, list(text)):
        assert write(tool, ("p", cut), ("last", ["x"])) == whole


@settings(max_examples=500, deadline=None)
@given(SCHEMAS, JSON_VALUES)
def test_any_value_conforms_once(schema: Any, value: Any) -> None:
    parameter = tool_of(schema).parameter("p")
    found, changed = conform(value, parameter)
    assert changed or found is value
    if found is not OMITTED:
        loads(dump(found))
        assert dump(conform(found, parameter)[0]) == dump(found)


@settings(max_examples=500, deadline=None)
@given(SCHEMAS, st.dictionaries(st.sampled_from(["p", "last", "x"]), JSON_VALUES, max_size=3), ANY_TEXT)
def test_any_object_is_written_as_valid_json(schema: Any, arguments: dict[str, Any], text: str) -> None:
    for own in (json.dumps(arguments), json.dumps(arguments, ensure_ascii=False), text, ""):
        assert isinstance(loads(write_object(tool_of(schema), arguments, own)[0]), dict)


def test_unknown_parameter_knows_nothing() -> None:
    assert coerce_leniently("5", Parameter(None, {}, False)) == "5"
