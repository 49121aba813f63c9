"""The places of the parts of a JSON text."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from qwenproxy.recording.jsonspans import spans

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def at(value: Any, path: Any) -> Any:
    for part in path:
        value = value[part]
    return value


@given(VALUES, st.booleans())
def test_every_span_is_at_its_path(value: Any, indented: bool) -> None:
    text = f" {json.dumps(value, indent=1 if indented else None)} "
    for span in spans(text):
        written = text[span.start : span.end]
        if span.kind == "key":
            path = [*span.path[:-1], json.loads(f'"{span.path[-1]}"')]
            assert json.loads(f'"{written}"') in at(
                value, [json.loads(f'"{p}"') if isinstance(p, str) else p for p in path[:-1]]
            )
        else:
            path = [json.loads(f'"{p}"') if isinstance(p, str) else p for p in span.path]
            assert json.loads(f'"{written}"' if span.kind == "string" else written) == at(value, path)


def test_no_string_is_missed() -> None:
    text = '{"a": ["b", {"c": "d", "e": [[], {}, "f"]}, 1], "g": -2.5e3}'
    found = [(s.kind, text[s.start : s.end], s.path) for s in spans(text)]
    assert [(kind, written) for kind, written, _ in found] == [
        ("key", "a"),
        ("string", "b"),
        ("key", "c"),
        ("string", "d"),
        ("key", "e"),
        ("string", "f"),
        ("number", "1"),
        ("key", "g"),
        ("number", "-2.5e3"),
    ]
    assert found[5][2] == ("a", 1, "e", 2)
