"""One wrong mark in JSON, and what nobody can tell."""

from typing import Any

import pytest

from toolstream.schema.least_change import least_change


def is_write(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() <= {"path", "content", "tags"} and "path" in value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"path": ""a"}', {"path": "a"}),
        ('{"path": "a"", "content": "b"}', {"path": "a", "content": "b"}),
        ('{"path": a", "content": "b"}', {"path": "a", "content": "b"}),
        ('{"path": "a, "content": "b"}', {"path": "a", "content": "b"}),
        ('{"path": "a", "content": "f() {}}', {"path": "a", "content": "f() {}"}),
        ('{"path": "a“, "content": "b"}', {"path": "a", "content": "b"}),
        ('{"path": “a", "content": "b"}', {"path": "a", "content": "b"}),
        ('{"path" "a"}', {"path": "a"}),
        ('{"path"= "a"; "content": "b"}', None),
        ('{"path"= "a", "content": "b"}', {"path": "a", "content": "b"}),
        ('{"path": "a": "content": "b"}', {"path": "a", "content": "b"}),
        ('{"path": "a" "content": "b"}', {"path": "a", "content": "b"}),
        ('<"path": "a"}', {"path": "a"}),
        ('"path": "a"}', {"path": "a"}),
        ('{"path": "a"]', {"path": "a"}),
        ('{"path": "a", "tags": {"x", "y"]}', {"path": "a", "tags": ["x", "y"]}),
        ('{"path": "a", "tags": ["x", "y"}]', {"path": "a", "tags": ["x", "y"]}),
        ('{"path": "a", "tags": [{"x": 1]}}', {"path": "a", "tags": [{"x": 1}]}),
        ('{"path": "a", "tags": "x", "y"]}', {"path": "a", "tags": ["x", "y"]}),
        ('{"path": "a", "tags": ["x", "y"}', {"path": "a", "tags": ["x", "y"]}),
        ('{“path”: “a”, “content”: “say "x"”}', {"path": "a", "content": 'say "x"'}),
        ('{\n  "path": "a",\n  content": "b"\n}', {"path": "a", "content": "b"}),
        ('{"path": "a", "tags": [\n  x",\n  "y"\n]}', {"path": "a", "tags": ["x", "y"]}),
        ('{"path": "a", "tags": [\n  "x",\n  "y\n]}', {"path": "a", "tags": ["x", "y"]}),
        ('{"path": "a", "content": "b\n}', {"path": "a", "content": "b"}),
        ('{"path": "a", "content": 1.10, }', None),
        ('{"path": "a", "content": 50"}', {"path": "a", "content": 50}),
        ('{"tags": [1, 2", 3], "path": "a"}', {"path": "a", "tags": [1, 2, 3]}),
        ('{"content": true", "path": "a"}', {"path": "a", "content": True}),
    ],
)
def test_one_mark(text: str, value: Any) -> None:
    assert least_change(text, is_write) == value


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"path": "a"}', id="JSON"),
        pytest.param('{"path": "say "hi" now"}', id="quotes that are payload"),
        pytest.param('{"path": "it\'s a test\', "content": "b"}', id="an apostrophe that has a partner"),
        pytest.param('{"path": "say \\"hi"", "content": "b"}', id="an end that may be a quote"),
        pytest.param('{"file": "a, "content": "b"}', id="a key that nobody wants"),
        pytest.param('{"path": ' + "[" * 9999, id="brackets without end"),
    ],
)
def test_nothing_is_certain(text: str) -> None:
    assert least_change(text, is_write) is None
