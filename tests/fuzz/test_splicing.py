"""Whatever a chunk may be written like: what can be read can be found in its text, and replaced."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fuzz.damage import one_character
from fuzz.settings import fuzzed
from toolstream.wire.chat_json import read_chunk
from toolstream.wire.json_edit import span, splice

WORDS = st.text(st.sampled_from('ab"\\/<é😀\ud83d\x00\n'), max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.just("a"), inner, max_size=3),
    max_leaves=10,
)
CHUNKS = st.dictionaries(WORDS | st.sampled_from(["choices", "id"]), VALUES, min_size=1, max_size=4)
STYLES = st.sampled_from([{}, {"indent": 1}, {"ensure_ascii": False}, {"separators": (",", ":")}])


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything in a value, itself included."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, member in pairs for path in paths(member, (*at, key)))]


def at_path(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


@fuzzed(300)
@given(CHUNKS, STYLES, st.data())
def test_what_can_be_read_can_be_replaced(value: Any, style: dict[str, Any], data: st.DataObject) -> None:
    """Raw control characters, repeated keys, NaN, odd blanks: a server's JSON with a character wrong."""
    text = json.dumps(value, **style)
    for _ in range(data.draw(st.integers(0, 2))):
        text = data.draw(one_character(text))
    chunk = read_chunk(text)
    for path in paths(chunk) if chunk is not None else ():
        where = span(text, path)
        assert where is not None
        found = json.loads(text[slice(*where)], strict=False)
        assert repr(found) == repr(at_path(chunk, path))
        replaced = splice(text, [(path, '{"new": 1}')])
        assert replaced == text[: where[0]] + '{"new": 1}' + text[where[1] :]
        assert at_path(json.loads(replaced, strict=False), path) == {"new": 1}
