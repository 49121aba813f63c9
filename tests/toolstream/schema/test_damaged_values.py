"""Arrays and objects with a slip in them, as text of a value: mended if the schema describes the result."""

from typing import Any

import pytest

from toolstream.limits import DEPTH
from toolstream.repairs import Repair
from toolstream.schema.arguments import ArgumentsWriter
from toolstream.schema.coercion import FAILED
from toolstream.schema.lenient_json import read_damaged
from toolstream.schema.schema import Parameter, Tool
from toolstream.schema.values import coerce_leniently

STRING, INTEGER = {"type": "string"}, {"type": "integer"}
TODO = {
    "type": "object",
    "properties": {"content": STRING, "status": STRING, "id": INTEGER},
    "required": ["content", "status"],
}
TODOS = {"type": "array", "items": TODO}
STRINGS = {"type": "array", "items": STRING}
POINT = {"type": "object", "properties": {"a": STRING, "n": INTEGER}}
FREE, ANY = {"type": "object"}, {"type": "array"}

MENDED: list[tuple[str, Any, str, Any]] = [
    ("comma lost", POINT, '{"a": "x" "n": 1}', {"a": "x", "n": 1}),
    ("brace lost", POINT, '{"a": "x", "n": 1', {"a": "x", "n": 1}),
    ("brace too many", POINT, '{"a": "x", "n": 1}}', {"a": "x", "n": 1}),
    ("brackets lost", TODOS, '[{"content": "a", "status": "b"', [{"content": "a", "status": "b"}]),
    ("inner brace lost", TODOS, '[{"content": "a", "status": "b"]', [{"content": "a", "status": "b"}]),
    ("bracket too many", STRINGS, '["a"]]', ["a"]),
    ("bracket doubled", STRINGS, '[["a", "b"]', ["a", "b"]),
    ("bracket doubled, of anything", ANY, "[[1, 2]", [1, 2]),
    ("rows and a bracket lost", ANY, "[[1, 2], [3, 4]", [[1, 2], [3, 4]]),
    ("bracket of another kind", STRINGS, '["a", "b"}', ["a", "b"]),
    ("bracket as in Python", ANY, "[1, 2)", [1, 2]),
    ("first bracket lost", STRINGS, '"a", "b"]', ["a", "b"]),
    ("keys without quotes", POINT, '{a: "x", n: 1}', {"a": "x", "n": 1}),
    ("keys and a brace", POINT, '{a: "x", n: 1', {"a": "x", "n": 1}),
    ("key without its first quote", POINT, '{a": "x", "n": 1}', {"a": "x", "n": 1}),
    ("key without its last quote", POINT, '{"a: "x", "n": 1}', {"a": "x", "n": 1}),
    (
        "single quotes and a bracket",
        TODOS,
        "[{'content': 'a', 'status': 'b'}",
        [{"content": "a", "status": "b"}],
    ),
    ("single quotes, one too many", ANY, "['a']]", ["a"]),
    ("single quotes and a comma", ANY, "[1 2, 'a']", [1, 2, "a"]),
    ("comma at the end", STRINGS, '["a", "b"],', ["a", "b"]),
    ("a comma lost between strings", STRINGS, '["a", "b" "c"]', ["a", "b", "c"]),
    ("single quotes, and a comma lost", STRINGS, "['a' 'b']", ["a", "b"]),
    ("fenced", POINT, '```json\n{"a": "x", "n": 1}\n```', {"a": "x", "n": 1}),
    ("fenced and damaged", POINT, '```\n{"a": "x" "n": 1}\n```', {"a": "x", "n": 1}),
    ("quotes in a string", POINT, '{"a": "say "hi" now", "n": 1}', {"a": 'say "hi" now', "n": 1}),
    ("quotes at the end of a string", STRINGS, '["say "hi"", "ho"]', ['say "hi"', "ho"]),
    ("code in a string", STRINGS, '["f(a, "b") + "c"", "ho"]', ['f(a, "b") + "c"', "ho"]),
    ("first quote lost", STRINGS, '["a", b"]', ["a", "b"]),
    ("last quote lost", STRINGS, '["a, "b"]', ["a", "b"]),
    ("last quote lost at the end", STRINGS, '["a", "b]', ["a", "b"]),
    ("quote behind a number", POINT, '{"a": "x", "n": 5"}', {"a": "x", "n": 5}),
    ("quote of another kind", STRINGS, '["a", "b”]', ["a", "b"]),
    ("semicolon", STRINGS, '["a"; "b"]', ["a", "b"]),
    ("equals sign", POINT, '{"a"= "x", "n": 1}', {"a": "x", "n": 1}),
    ("line break in a string", POINT, '{"a": "x\ny" "n": 1}', {"a": "x\ny", "n": 1}),
    ("a number is typed", POINT, '{"a": "x" "n": "1"}', {"a": "x", "n": 1}),
    ("free keys", FREE, '{"Content-Type": "x" "n": 1}', {"Content-Type": "x", "n": 1}),
    ("comments", POINT, '{"a": "x", // why\n"n": 1 /* one */}', {"a": "x", "n": 1}),
    ("an indented string without its first quote", STRINGS, '["a",   b"]', ["a", "  b"]),
    ("a word that is a string", TODOS, '[{"content": "a", "status": b"}]', [{"content": "a", "status": "b"}]),
]


@pytest.mark.parametrize(("schema", "text", "value"), [row[1:] for row in MENDED], ids=[r[0] for r in MENDED])
def test_mended(schema: Any, text: str, value: Any) -> None:
    tool = Tool("t", {"properties": {"p": schema}, "required": ["p"]})
    assert coerce_leniently(text, tool.parameter("p")) == value
    assert coerce_leniently(f"\n{text}\n", tool.parameter("p")) == value
    writer = ArgumentsWriter(tool)
    writer.begin("p")
    writer.feed(text)
    writer.end()
    assert [repair for repair, _ in writer.repairs if repair is not Repair.JSON_REPAIRED] == []


FAILS = [
    ("a key that is not declared", POINT, '{"b": "x" "n": 1}'),
    ("a key that is required", TODOS, '[{"content": "a" "id": 1}]'),
    ("a type that is not allowed", POINT, '{"a": "x" "n": [1]}'),
    ("another container", TODOS, '{"content": "a" "status": "b"}'),
    ("an item of another type", TODOS, '["a" "b"]'),
    ("a list for a string", STRINGS, '["a", ["b" "c"]]'),
    ("an open string", POINT, '{"a": "x'),
    ("an open string in an array", STRINGS, '["a", "b'),
    ("a key without a value", POINT, '{"a": "x", "n":'),
    ("a comma at the end", POINT, '{"a": "x", "n": 1, '),
    ("a quote without a partner", STRINGS, '["say "hi now", "ho" ha"]'),
    ("a word and a quote", STRINGS, '["a", null"]'),
    ("a set", STRINGS, "{'a', 'b'}"),
    ("code", FREE, "const a = {b: 1};"),
    ("a call", STRINGS, "[open('x')]"),
    ("prose", STRINGS, "first this, then [that]"),
    ("strings that are added", STRINGS, '["a" + "b"]'),
    ("commas lost between strings", STRINGS, '["a" "b" "c"]'),
    ("a key without its value", POINT, '{"a": "x" "b"}'),
    ("dots for the rest", STRINGS, '["a", ...]'),
    ("too deep", ANY, "[" * (DEPTH + 1) + "]" * DEPTH),
]


@pytest.mark.parametrize(("schema", "text"), [row[1:] for row in FAILS], ids=[row[0] for row in FAILS])
def test_what_is_not_certain_stays_text(schema: Any, text: str) -> None:
    assert coerce_leniently(text, Parameter(schema, {}, True)) is FAILED


def test_what_is_nested_too_deeply_is_not_read() -> None:
    assert read_damaged('[{"a": ' * 250 + "}]") is None


@pytest.mark.parametrize(
    "schema", [STRING, {"type": ["string", "array"]}, {"type": ["object", "string"]}, {}]
)
@pytest.mark.parametrize(
    "text", ['["a", "b"', '{"a": "x" "n": 1}', "['a', 'b']", '```json\n["a"]\n```', '["a"],']
)
def test_what_may_be_a_string_is_one(schema: Any, text: str) -> None:
    assert coerce_leniently(text, Parameter(schema, {}, True)) == text
