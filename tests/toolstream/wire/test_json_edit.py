"""Changing one value of a JSON text, and not one byte more."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolstream.wire.json_edit import extended, members, span, splice, with_members

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
KEYS = st.sampled_from(["a", "b", "", "\n", "ü", '"', "\\", "a/b", "🙂"]) | st.text(max_size=3)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)
STYLES = st.sampled_from(
    [
        {"separators": (",", ":")},
        {"ensure_ascii": False},
        {"indent": 2},
        {"indent": "\t", "separators": (" ,\r\n", " :\t ")},
    ]
)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything in a value, itself included."""
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [at, *(path for key, member in members for path in paths(member, (*at, key)))]


def at_path(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


@settings(max_examples=300, deadline=None)
@given(JSON, STYLES, st.sampled_from(["", " ", "\n\t "]))
def test_a_span_is_the_text_of_the_value(value: Any, style: dict[str, Any], around: str) -> None:
    text = around + json.dumps(value, **style) + around
    for path in paths(value):
        where = span(text, path)
        assert where is not None
        assert json.loads(text[slice(*where)]) == at_path(value, path)
        assert span(text, (*path, "no such key")) is None
        assert span(text, (*path, 99)) is None


@settings(max_examples=300, deadline=None)
@given(JSON, STYLES, LEAVES, st.data())
def test_a_splice_changes_one_value_and_not_one_byte_more(
    value: Any, style: dict[str, Any], new: Any, data: st.DataObject
) -> None:
    text = json.dumps(value, **style)
    path = data.draw(st.sampled_from(paths(value)))
    start, end = span(text, path) or (0, 0)
    written = json.dumps(new)
    assert splice(text, [(path, written)]) == text[:start] + written + text[end:]
    expected = copy.deepcopy(value)
    if path:
        at_path(expected, path[:-1])[path[-1]] = new
    assert json.loads(splice(text, [(path, written)])) == (expected if path else new)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, LEAVES, min_size=2, max_size=5), STYLES, st.randoms(use_true_random=False))
def test_several_edits_do_not_disturb_each_other(
    value: dict[str, Any], style: dict[str, Any], random: Any
) -> None:
    chosen = random.sample(sorted(value), 2)
    edits = [((key,), json.dumps(key * 3)) for key in chosen]
    expected = value | {key: key * 3 for key in chosen}
    assert json.loads(splice(json.dumps(value, **style), edits)) == expected


def test_of_a_repeated_key_the_last_one_counts_as_for_every_json_reader() -> None:
    text = '{"a": 1, "a": 2}'
    assert splice(text, [(("a",), "3")]) == '{"a": 1, "a": 3}'
    assert json.loads(splice(text, [(("a",), "3")])) == {"a": 3}


def test_what_the_text_does_not_have_is_left_out() -> None:
    assert (
        splice('{"a": {"b": 1}}', [(("a", "c"), "3"), (("x",), "4"), (("a", "b"), "2")]) == '{"a": {"b": 2}}'
    )


def test_numbers_and_escapes_around_an_edit_keep_their_spelling() -> None:
    text = (
        '{"id": 123456789012345678901234567890, "f": 1.10, "e": 1E+2, "s": "\\u003c\\/", "a": "x", "n": -0}'
    )
    assert splice(text, [(("a",), '"y"')]) == text.replace('"x"', '"y"')


@pytest.mark.parametrize(
    ("text", "new", "expected"),
    [
        ("{}", {"a": "1"}, '{"a":1}'),
        ('{ "a" : 1.10 }', {"b": "[]"}, '{ "a" : 1.10,"b":[]}'),
        ('{"a": 1.10, "b": 2}', {"b": "3", "c": "4"}, '{"a": 1.10, "b": 3,"c":4}'),
        ('{"a": 1}', {"a": "2"}, '{"a": 2}'),
        ('{"a": 1}', {}, '{"a": 1}'),
        ('{"a": "}"}', {'"': "null"}, '{"a": "}","\\"":null}'),
    ],
)
def test_members_are_replaced_or_added(text: str, new: dict[str, str], expected: str) -> None:
    assert with_members(text, new) == expected


@pytest.mark.parametrize(
    ("text", "added", "expected"),
    [
        ("[]", [], "[]"),
        ("[ ]", ["1"], "[1]"),
        ("[\n  [2]\n]\n", ["3", "[4]"], "[\n  [2],3,[4]]"),
        ('{"a": "["}', ['"b":1'], '{"a": "[","b":1}'),
    ],
)
def test_an_array_or_object_is_extended(text: str, added: list[str], expected: str) -> None:
    assert extended(text, added) == expected


@settings(max_examples=100, deadline=None)
@given(JSON, STYLES)
def test_members_are_the_texts_of_the_values(value: Any, style: dict[str, Any]) -> None:
    found = {key: json.loads(text) for key, text in members(json.dumps(value, **style)).items()}
    assert found == {path[0]: at_path(value, path) for path in paths(value) if len(path) == 1}


def test_the_last_member_of_a_repeated_key_counts() -> None:
    assert members(' {"a": 1.10, "b": [ ], "a": 2} ') == {"a": "2", "b": "[ ]"}
