"""JSON is read without an exception, whatever the text is."""

from typing import Any

import pytest

from toolstream.limits import DIGITS
from toolstream.schema.json_read import loads, loads_object


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ("[1.5, null]", [1.5, None]),
        ("9" * DIGITS, int("9" * DIGITS)),
    ],
)
def test_reads_json(text: str, value: Any) -> None:
    assert loads(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{}{}",
        "x",
        "\ufeff{}",
        "9" * (DIGITS + 1),
        "[" * 200_000,
        '{"a":' * 200_000,
        "[" * 200_000 + "]" * 200_000,
    ],
    ids=lambda text: text[:6] + str(len(text)),
)
def test_what_cannot_be_read_is_none(text: str) -> None:
    assert loads(text) is None
    assert loads(text, strict=False) is None
    assert loads_object(text) is None


def test_line_breaks_in_strings_are_read_only_if_asked_for() -> None:
    assert loads('"a\n"') is None
    assert loads('"a\n"', strict=False) == "a\n"


@pytest.mark.parametrize("text", ["[]", "5", "null", '"{}"'])
def test_only_an_object_is_one(text: str) -> None:
    assert loads_object(text) is None
    assert loads_object("{}") == {}
