"""Where a JSON body ends, at every cut, and which calls it holds."""

import json
from typing import Any

import pytest

from support.cuts import all_cuts, joined
from toolstream.schema.json_call import read_calls, read_object
from toolstream.schema.json_scanner import JsonScanner

BODIES = [
    "{}",
    "[]",
    '{"a": 1}',
    '{"a": {"b": [1, {"c": []}]}}',
    '{"a": "}"}',
    '{"a": "\\"}"}',
    '{"a": "\\\\"}',
    '{"a": "\\\\\\"}"}',
    '[{"a": "]"}, "[{"]',
    '{"a": "😀\n\t"}',
]


@pytest.mark.parametrize("rest", ["", "}", "\n</tool_call>", '{"b": 2}', '"'])
@pytest.mark.parametrize("body", BODIES)
def test_finds_the_end_at_every_cut(body: str, rest: str) -> None:
    for pieces in all_cuts(body + rest):
        scanner, seen = JsonScanner(), ""
        for piece in pieces:
            end = scanner.feed(piece)
            if end is not None:
                assert joined(seen + piece[:end]) == body
                break
            seen += piece
        else:
            pytest.fail(f"no end in {pieces}")


@pytest.mark.parametrize("text", ["{", '{"a": "}', '{"a": "\\', "[[]", '{"a": "\\"}'])
def test_goes_on(text: str) -> None:
    assert JsonScanner().feed(text) is None


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ('{"name": "f", "arguments": {"a": 1}}', [("f", {"a": 1})]),
        ('{"name": "f", "parameters": {"a": 1}}', [("f", {"a": 1})]),
        ('{"arguments": {"a": 1}, "name": "f"}', [("f", {"a": 1})]),
        ('{"name": "f"}', [("f", {})]),
        ('{"name": "f", "arguments": "{\\"a\\": 1}"}', [("f", {"a": 1})]),
        ('{"name": "f", "arguments": {"a": "x\n\ty"}}', [("f", {"a": "x\n\ty"})]),
        ('{"name": "f", "arguments": {"a": "C:\\Users\\d"}}', [("f", {"a": "C:\\Users\\d"})]),
        ('[{"name": "f"}, {"name": "g"}]', [("f", {}), ("g", {})]),
        (' {"name": "f"}\n\n{"name": "g"} ', [("f", {}), ("g", {})]),
    ],
)
def test_reads_calls(text: str, calls: list[tuple[str, dict[str, Any]]]) -> None:
    assert read_calls(text) == calls


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "5",
        '"name"',
        '{"name": 5}',
        '{"name": null, "arguments": {}}',
        '{"name": "f", "arguments": []}',
        '{"name": "f", "arguments": "x"}',
        '{"name": "f", "arguments": "[1]"}',
        '{"name": "f"} tail',
        '{"name": "f"}, {"name": "g"}',
        '[{"name": "f"}, 5]',
        "{'name': 'f'}",
        '{"name": "f"',
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
)
def test_reads_nothing_else(text: str) -> None:
    assert read_calls(text) is None


@pytest.mark.parametrize(
    ("text", "value"), [("{}", {}), ('{"a": "x\ny"}', {"a": "x\ny"}), (' {"a": 1} ', {"a": 1})]
)
def test_reads_an_object(text: str, value: Any) -> None:
    assert read_object(text) == value


@pytest.mark.parametrize("text", ["", "[]", "5", "null", '{"a"', '{"a": 1} x', "[" * 100_000])
def test_reads_no_other_value_as_an_object(text: str) -> None:
    assert read_object(text) is None


def test_numbers_stay_exact() -> None:
    ((_, arguments),) = read_calls(json.dumps({"name": "f", "arguments": {"n": 2**70}})) or []
    assert arguments == {"n": 2**70}
