"""Envelopes that are known: reading and writing chunks like one that was read before."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.streams import ENGINES, LLAMA_CPP, Engine
from toolstream.wire.envelope import Kind, Unseen, learn, shortcut_of
from toolstream.wire.sse import read_data


def template_of(raw: bytes) -> Any:
    data = read_data(raw)
    assert data is not None
    return learn(raw, data, json.loads(data))


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_a_template_reads_and_writes_chunks_like_the_one_it_was_learned_from(engine: Engine) -> None:
    template = template_of(engine.text("Hello"))
    other = engine.text('a "b" \\ \n ü').decode()
    assert template.kind is Kind.CONTENT
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


@pytest.mark.parametrize(("key", "kind"), [("content", Kind.CONTENT), ("refusal", Kind.OTHER)])
def test_any_one_string_is_worth_a_template(key: str, kind: Kind) -> None:
    assert template_of(LLAMA_CPP.chunk((0, {key: "x"}, None))).kind is kind


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_is_reasoning_whatever_its_name(key: str) -> None:
    assert template_of(LLAMA_CPP.chunk((0, {key: "x"}, None))).kind is Kind.REASONING


def copies(text: str, other: str | None = None) -> bytes:
    details = [{"type": "reasoning.text", "text": text, "index": 0}]
    delta = {"role": "assistant", "content": "", "reasoning": text if other is None else other}
    return LLAMA_CPP.chunk((0, delta | {"reasoning_content": text, "reasoning_details": details}, None))


@pytest.mark.parametrize("text", ["x", 'a "b" \\ \n ü🙂', "1", ""])
def test_copies_of_a_text_are_one_text(text: str) -> None:
    template = template_of(copies("Hm"))
    assert (template.kind, len(template.tails)) == (Kind.REASONING, 3)
    assert (template.bare, template.role) == (True, True)
    assert template.read(copies(text).decode()) == text
    assert template.write(text) == copies(text)
    assert template.read(copies(text, text + "x").decode()) is None
    assert template.read(copies("A").decode().replace('"A"', '"\\u0041"', 1)) is None


def test_copies_of_a_text_take_the_shortcut() -> None:
    shortcut = shortcut_of(template_of(copies("Hm")), Unseen.TEXT)
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
    assert template.kind is Kind.ARGUMENTS
    assert template.read(second.decode()) == '": 1}'


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
