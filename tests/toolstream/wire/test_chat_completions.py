"""Chunks: reading deltas, changing one value of a JSON text, envelopes that are known, chunks of our own."""

import copy
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.streams import DASHSCOPE, ENGINES, LLAMA_CPP, Engine, event
from toolstream.wire.chat_completions import (
    COPIED,
    Synthesis,
    choices_of,
    content_of,
    delta_of,
    fields_of,
    finish_reason,
    is_bare,
    learn,
    native_calls,
    new_call_id,
    read_chunk,
    reasoning_in,
    shortcut_of,
    span,
    splice,
)
from toolstream.wire.sse import read_data

# Reading


@pytest.mark.parametrize(
    "data", ["", "[DONE]", "[]", "1", "null", '"a"', "{", '{"a": }', "{}{}", "[" * 100_000]
)
def test_what_is_no_chunk(data: str) -> None:
    assert read_chunk(data) is None


@pytest.mark.parametrize("data", ["{}", '{"choices": []}', ' {"a": 1e999}\n', '{"error": "raw\nnewline"}'])
def test_what_is_an_object(data: str) -> None:
    assert read_chunk(data) is not None


@pytest.mark.parametrize(
    ("choices", "positions"),
    [
        ([{"index": 0}], [0]),
        ([{}], [0]),
        ([{"index": 1}, {"index": 0}], [0, 1]),
        ([None, {"index": 0}, "x"], [1]),
        ([{"index": "0"}, {"index": None}, {"index": True}, {"index": 1.0}], []),
        ([], []),
        (None, []),
        ({"index": 0}, []),
    ],
)
def test_choices(choices: Any, positions: list[int]) -> None:
    assert [at for at, _ in choices_of({"choices": choices})] == positions


@pytest.mark.parametrize("garbage", [None, 7, "x", [], True])
def test_fields_of_another_type_are_as_good_as_missing(garbage: Any) -> None:
    assert delta_of({"delta": garbage}) == {}
    if not isinstance(garbage, str):
        assert content_of({"content": garbage}) == ""
    if not isinstance(garbage, list):
        assert native_calls({"tool_calls": garbage}) == []


@pytest.mark.parametrize(
    ("sent", "called", "becomes"),
    [
        ("stop", True, "tool_calls"),
        ("stop", False, "stop"),
        ("tool_calls", True, "tool_calls"),
        ("tool_calls", False, "stop"),
        ("length", True, "length"),
        ("length", False, "length"),
        ("content_filter", True, "content_filter"),
        ("function_call", True, "function_call"),
        ("eos", False, "eos"),
        (None, True, None),
        (None, False, None),
        (7, True, 7),
    ],
)
def test_finish_reason(sent: Any, called: bool, becomes: Any) -> None:
    assert finish_reason(sent, called) == becomes


# Splicing

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


# Reasoning

DETAILS = [{"type": "reasoning.text", "text": "x", "format": "unknown", "index": 0}]


@pytest.mark.parametrize(
    ("message", "text", "places"),
    [
        ({}, "", []),
        ({"content": "x", "reasoning": None, "reasoning_content": "", "thinking": {"x": 1}}, "", []),
        ({"reasoning_content": "x"}, "x", [("reasoning_content",)]),
        ({"reasoning": "x", "reasoning_content": None}, "x", [("reasoning",)]),
        ({"thinking": "x", "reasoning": ""}, "x", [("thinking",)]),
        ({"reasoning": "x", "reasoning_content": "x"}, "x", [("reasoning_content",), ("reasoning",)]),
        ({"reasoning": "y", "reasoning_content": "x"}, "x", [("reasoning_content",)]),
        (
            {"reasoning": "x", "reasoning_details": DETAILS},
            "x",
            [("reasoning",), ("reasoning_details", 0, "text")],
        ),
        (
            {"reasoning_details": [7, {"type": "reasoning.summary"}, *DETAILS]},
            "x",
            [("reasoning_details", 2, "text")],
        ),
        ({"reasoning": "xx", "reasoning_details": DETAILS * 2}, "xx", [("reasoning",)]),
        ({"reasoning": "x", "reasoning_details": {"text": "x"}}, "x", [("reasoning",)]),
    ],
)
def test_reasoning_and_where_it_stands(message: Any, text: str, places: Any) -> None:
    assert reasoning_in(message) == (text, places)


@pytest.mark.parametrize(
    ("details", "fields"),
    [
        (DETAILS, {"reasoning", "reasoning_details"}),
        ([DETAILS[0] | {"signature": None}], {"reasoning", "reasoning_details"}),
        ([DETAILS[0] | {"signature": "s"}], {"reasoning"}),
        ([*DETAILS, {"type": "reasoning.encrypted", "data": "d"}], {"reasoning"}),
        ([*DETAILS, 7], {"reasoning"}),
    ],
)
def test_fields_that_hold_more_than_the_text(details: Any, fields: set[str]) -> None:
    message = {"reasoning": "x", "reasoning_details": details}
    assert fields_of(message, reasoning_in(message)[1]) == fields


# Envelopes that are known


def template_of(raw: bytes) -> Any:
    data = read_data(raw)
    assert data is not None
    return learn(raw, data, json.loads(data))


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_a_template_reads_and_writes_chunks_like_the_one_it_was_learned_from(engine: Engine) -> None:
    template = template_of(engine.text("Hello"))
    other = engine.text('a "b" \\ \n ü').decode()
    assert template.key == "content"
    assert template.index == 0
    assert template.read(other) == 'a "b" \\ \n ü'
    assert json.loads(template.write("Zürich 🙂 </x>")[6:]) == json.loads(engine.text("Zürich 🙂 </x>")[6:])


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_a_template_does_not_read_what_differs_in_anything_else(engine: Engine) -> None:
    template = template_of(engine.text("Hello"))
    for other in (
        engine.text("x", "stop"),
        engine.text("x", index=1),
        engine.end(),
        engine.usage(),
        engine.chunk((0, {"content": "x"}, None), more=1),
        engine.chunk((0, {"content": "x", "reasoning": "y"}, None)),
        engine.chunk((0, {"reasoning": "x"}, None)),
        engine.chunk((0, {"content": None}, None)),
        engine.text("x").replace(b"\n", b"\r\n"),
        engine.text("x")[:-1],
        engine.text("x") + b"\n",
        b": x\n" + engine.text("x"),
        *engine.calls([("f", ["{}"])]),
    ):
        assert template.read(other.decode()) is None, other


@pytest.mark.parametrize(
    "raw",
    [
        LLAMA_CPP.text("x", "stop"),
        LLAMA_CPP.end(),
        LLAMA_CPP.chunk((0, {"content": None}, None)),
        LLAMA_CPP.chunk((0, {"content": "a", "reasoning": "b"}, None)),
        LLAMA_CPP.chunk((0, {"content": ["a"]}, None)),
        LLAMA_CPP.chunk((0, {"content": "a"}, None), (1, {"content": "b"}, None)),
        LLAMA_CPP.calls([("f", [])])[0],
        b": x\n" + LLAMA_CPP.text("x"),
        b'data: {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {}}]}}]}\n\n',
    ],
)
def test_what_no_template_is_learned_from(raw: bytes) -> None:
    assert template_of(raw) is None


@pytest.mark.parametrize("key", ["content", "reasoning", "refusal"])
def test_any_one_string_is_worth_a_template(key: str) -> None:
    assert template_of(LLAMA_CPP.chunk((0, {key: "x"}, None))).key == key


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_is_reasoning_whatever_its_name(key: str) -> None:
    assert template_of(LLAMA_CPP.chunk((0, {key: "x"}, None))).key == "reasoning"


def copies(text: str, other: str | None = None) -> bytes:
    details = [{"type": "reasoning.text", "text": text, "index": 0}]
    delta = {"role": "assistant", "content": "", "reasoning": text if other is None else other}
    return LLAMA_CPP.chunk((0, delta | {"reasoning_content": text, "reasoning_details": details}, None))


@pytest.mark.parametrize("text", ["x", 'a "b" \\ \n ü🙂', "1", ""])
def test_copies_of_a_text_are_one_text(text: str) -> None:
    template = template_of(copies("Hm"))
    assert (template.key, len(template.tails), template.bare, template.role) == ("reasoning", 3, True, True)
    assert template.read(copies(text).decode()) == text
    assert template.write(text) == copies(text)
    assert template.read(copies(text, text + "x").decode()) is None
    assert template.read(copies("A").decode().replace('"A"', '"\\u0041"', 1)) is None


def test_copies_of_a_text_take_the_shortcut() -> None:
    shortcut = shortcut_of(template_of(copies("Hm")), "text")
    for blanks in (b"", b" "):
        found = shortcut.pattern.fullmatch(copies(f"as it is{blanks.decode()}"))
        assert found
        assert found.groups() == (b"as it is", blanks)
    for other in (
        copies("as it is", "as it was"),
        copies("a", "a b"),
        copies("a<"),
    ):
        assert not shortcut.pattern.fullmatch(other)


@pytest.mark.parametrize("delta", [{"content": "a", "reasoning": "a"}, {"reasoning": "a", "thinking": "b"}])
def test_texts_that_are_no_copies_are_no_template(delta: Any) -> None:
    assert template_of(LLAMA_CPP.chunk((0, delta, None))) is None


def test_arguments_of_a_call_are_worth_a_template() -> None:
    first, second = (LLAMA_CPP.calls([("f", [fragment])])[1] for fragment in ('{"a', '": 1}'))
    template = template_of(first)
    assert template.key == "arguments"
    assert template.read(second.decode()) == '": 1}'


@pytest.mark.parametrize(
    ("raw", "bare"),
    [
        (LLAMA_CPP.text("x"), True),
        (LLAMA_CPP.chunk((0, {"content": "x", "role": "assistant"}, None)), True),
        (LLAMA_CPP.chunk((0, {"content": "x", "tool_calls": []}, None)), True),
        (DASHSCOPE.text("x"), True),
        (LLAMA_CPP.chunk((0, {"content": "x"}, None), usage={"total_tokens": 1}), False),
        (LLAMA_CPP.chunk((0, {"content": "x"}, None), timings={}), False),
        (LLAMA_CPP.chunk((0, {"content": "x", "reasoning": "y"}, None)), False),
    ],
)
def test_what_says_nothing_without_its_text(raw: bytes, bare: bool) -> None:
    chunk = json.loads(raw[6:])
    assert is_bare(chunk, chunk["choices"][0]["delta"]) is bare


STRINGS = st.text() | st.text(st.sampled_from('ab"\\\n\t<>/ü🙂\ud83d\ude42\x00\x7f'))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ENGINES), STRINGS.filter(bool), STRINGS)
def test_any_text_reads_back(engine: Engine, one: str, other: str) -> None:
    template = template_of(engine.text(one))
    raw = engine.text(other)
    in_raw = json.loads(raw[6:])["choices"][0]["delta"]["content"]
    read = template.read(raw.decode())
    assert read is None or read == in_raw
    if other.isascii() or not engine.ascii_only:
        assert read == in_raw
    assert json.loads(template.write(other)[6:])["choices"][0]["delta"]["content"] == in_raw


# Chunks of our own

ENVELOPE = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 123456789012345678901234567890,
    "model": 'Qwen/Qwen3-Coder "ü"',
    "system_fingerprint": None,
    "service_tier": "default",
}


def written(raw: bytes) -> dict[str, Any]:
    assert raw.startswith(b"data: ")
    assert raw.endswith(b"\n\n")
    assert raw.count(b"\n") == 2
    chunk: dict[str, Any] = json.loads(raw[6:])
    return chunk


@pytest.mark.parametrize("index", [0, 3])
def test_a_chunk_of_our_own_copies_what_identifies_the_answer_and_nothing_else(index: int) -> None:
    synthesis = Synthesis(ENVELOPE | {"usage": {}, "timings": {}, "choices": [1], "x": 1}, index)
    for raw in (synthesis.content("a"), synthesis.call_start(0, "f"), synthesis.call_arguments(0, "{}")):
        chunk = written(raw)
        (choice,) = chunk.pop("choices")
        assert chunk == ENVELOPE
        assert choice.keys() == {"index", "delta", "finish_reason"}
        assert (choice["index"], choice["finish_reason"]) == (index, None)


def test_a_text_of_our_own_in_several_fields() -> None:
    delta = written(Synthesis({}, 0).content("a", True, ("reasoning", "thinking")))["choices"][0]["delta"]
    assert delta == {"role": "assistant", "reasoning": "a", "thinking": "a"}


def test_an_envelope_without_anything_is_still_a_chunk() -> None:
    assert written(Synthesis({}, 0).content("a")) == {
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}],
    }
    assert set(ENVELOPE) == set(COPIED)


def test_the_deltas_are_those_that_every_client_accepts() -> None:
    synthesis = Synthesis(ENVELOPE, 0)
    deltas = [
        written(raw)["choices"][0]["delta"]
        for raw in (
            synthesis.content('ü "\n', role=True),
            synthesis.call_start(0, "f", role=True),
            synthesis.call_start(1, 'g"'),
            synthesis.call_arguments(1, '{"a": "ü"}'),
        )
    ]
    calls = [delta["tool_calls"][0] for delta in deltas[1:3]]
    ids = [call.pop("id") for call in calls]
    assert len(set(ids)) == 2
    assert deltas == [
        {"role": "assistant", "content": 'ü "\n'},
        {"role": "assistant", "tool_calls": [calls[0]]},
        {"tool_calls": [calls[1]]},
        {"tool_calls": [{"index": 1, "function": {"arguments": '{"a": "ü"}'}}]},
    ]
    assert calls == [
        {"index": 0, "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 1, "type": "function", "function": {"name": 'g"', "arguments": ""}},
    ]


def test_ids_are_unique_and_of_one_form() -> None:
    ids = {new_call_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch("call_[0-9a-f]{24}", one) for one in ids)


@settings(deadline=None)
@given(STRINGS)
def test_any_text_can_be_written(text: str) -> None:
    assert written(Synthesis(ENVELOPE, 0).content(text))["choices"][0]["delta"]["content"].encode(
        "utf-16", "surrogatepass"
    ) == text.encode("utf-16", "surrogatepass")


def test_event_of_the_support_module_is_what_a_server_writes() -> None:
    assert event({"a": "ü"}) == 'data: {"a":"ü"}\n\n'.encode()
    assert event({"a": "\ud83d"}) == b'data: {"a":"\\ud83d"}\n\n'
