"""Envelopes that are known: a frame like those before it is read without its JSON, and to the same end."""

import json
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.streams import ENGINES, EVERY_ENGINE, LLAMA_CPP, Engine, read_answer, request, send
from support.wires import APIS, Api
from toolstream.limits import TEMPLATE_TRIES
from toolstream.rewriter import stream
from toolstream.wire.base import Reading
from toolstream.wire.chat_completions import ChatCompletions
from toolstream.wire.envelope import Envelopes


class Counted:
    """A wire's `read`, and how often it was used."""

    def __init__(self) -> None:
        self.used = 0
        self._read = ChatCompletions({}).read

    def __call__(self, frame: bytes) -> Reading:
        self.used += 1
        return self._read(frame)


def texts(frames: Iterable[bytes]) -> tuple[list[list[str]], int]:
    """The texts that were read in each frame, and how many frames were read in full."""
    counted = Counted()
    read = Envelopes(counted).read
    return [[piece.text for piece in read(frame).slices] for frame in frames], counted.used


def copies(text: str, other: str | None = None) -> bytes:
    details = [{"type": "reasoning.text", "text": text, "index": 0}]
    delta = {"role": "assistant", "content": "", "reasoning": text if other is None else other}
    return LLAMA_CPP.chunk((0, delta | {"reasoning_content": text, "reasoning_details": details}, None))


def arguments(engine: Engine, *pieces: str) -> list[bytes]:
    return engine.calls([("f", list(pieces))])[1:]


SAID = ["Hello", " there", 'a "b" \\ \n ü', "🙂", "</x>", "1"]


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_what_is_like_the_frames_before_it_is_not_read_in_full(engine: Engine) -> None:
    read, used = texts(map(engine.text, SAID))
    assert read == [[text] for text in SAID]
    assert used == 1


def test_copies_of_a_text_are_one_text() -> None:
    assert texts(map(copies, SAID)) == ([[text] for text in SAID], 1)
    read, used = texts([copies("a"), copies("b"), copies("c", "x"), copies("dd", "d"), copies("e")])
    assert read == [["a"], ["b"], ["c"], ["dd"], ["e"]]
    assert used == 3


def test_arguments_of_a_call_are_a_text() -> None:
    pieces = ['{"a', '": "x', "y", '"}']
    assert texts(arguments(LLAMA_CPP, *pieces)) == ([[piece] for piece in pieces], 1)


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_what_differs_in_anything_else_is_read_in_full(engine: Engine) -> None:
    known = [engine.text("a"), engine.text("b")]
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
        engine.text("x").replace(b'"x"', b'"x", "content": "y"'),
        engine.text("x").replace(b'"x"', b'"\\x"'),
        engine.text("x").replace(b'"x"', b'"\xff"'),
        *engine.calls([("f", ["{}"])]),
    ):
        counted = Counted()
        cached = Envelopes(counted).read
        for frame in known:
            cached(frame)
        assert [p.text for p in cached(other).slices] == [
            p.text for p in ChatCompletions({}).read(other).slices
        ]
        assert counted.used == 2, other


@pytest.mark.parametrize(
    "frame",
    [
        LLAMA_CPP.text("x", "stop"),
        LLAMA_CPP.end(),
        LLAMA_CPP.chunk((0, {"content": "a", "reasoning": "b"}, None)),
        LLAMA_CPP.chunk((0, {"content": ["a"]}, None)),
        LLAMA_CPP.chunk((0, {"content": "a"}, None), (1, {"content": "b"}, None)),
        LLAMA_CPP.calls([("f", [])])[0],
        b'data: {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {}}]}}]}\n\n',
        b"data: [DONE]\n\n",
        b": ping\n\n",
    ],
)
def test_what_nothing_is_learned_from(frame: bytes) -> None:
    assert texts([frame] * 5)[1] == 5


def test_nothing_more_is_learned_of_an_envelope_that_always_changes() -> None:
    frames = [LLAMA_CPP.chunk((0, {"content": "a"}, None), id=f"{n}") for n in range(TEMPLATE_TRIES + 5)]
    _, used = texts([*frames, *[LLAMA_CPP.text("a")] * 5])
    assert used == len(frames) + 5


STRINGS = st.text() | st.text(st.sampled_from('ab"\\\n\t<>/ü🙂\ud83d\ude42\x00\x7f'))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ENGINES), st.lists(STRINGS.filter(bool), min_size=3, max_size=6))
def test_any_text_reads_back(engine: Engine, said: list[str]) -> None:
    frames = [engine.text(text) for text in said]
    expected = [json.loads(frame[6:])["choices"][0]["delta"]["content"] for frame in frames]
    assert [text for (text,) in texts(frames)[0]] == expected


CHANGES: dict[str, Any] = {
    "a clock": lambda n: {"created": 1795171282 + n},
    "usage": lambda n: {"usage": {"total_tokens": 17 + n, "details": {"cached": n}}},
    "timings": lambda n: {"timings": {"predicted_n": n, "predicted_ms": n * 9.0617 + 0.5}},
    "two of them": lambda n: {"created": n, "usage": {"total_tokens": n}},
    "a time": lambda n: {"created_at": f"2026-11-28T03:00:0{n}.123Z"},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_numbers_that_say_nothing_of_the_text_may_differ(engine: Engine, change: Any) -> None:
    frames = [engine.chunk((0, {"content": text}, None), **change(n)) for n, text in enumerate(SAID)]
    read, used = texts(frames)
    assert read == [[text] for text in SAID]
    assert used == 2  # after the second one it is known that they change


def test_the_numbers_are_those_of_the_frame_and_no_others_may_differ() -> None:
    def frame(n: int, index: int = 0) -> bytes:
        return LLAMA_CPP.chunk((index, {"content": "a"}, None), created=n)

    counted = Counted()
    read = Envelopes(counted).read
    first, second, third = [read(frame(n)) for n in (7, 18, 9)]
    assert [r.json["created"] for r in (first, second, third)] == [7, 18, 9]
    assert counted.used == 2
    assert read(frame(9, index=1)).slices[0].lane is not third.slices[0].lane
    assert counted.used == 3


@pytest.mark.parametrize("text", ["x", 'a "b" \\ \n ü', "\ud83d", "</tag>"])
def test_another_text_takes_its_place(text: str) -> None:
    read = Envelopes(Counted()).read
    for n, frame in enumerate([LLAMA_CPP.text("a"), LLAMA_CPP.text("b"), *[LLAMA_CPP.usage()] * 2]):
        reading = read(frame)
        assert bool(reading.end) == (n == 1)
        if reading.end:
            written = json.loads(reading.with_text(text)[6:])
            assert written == json.loads(LLAMA_CPP.text(text)[6:])


def without_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "Envelopes", lambda read: SimpleNamespace(read=read, known=lambda _: None))


CALL_TEXT = "<tool_call>\n<function=get_weather>\n<parameter=city>\nZürich 🙂\n</parameter>\n</function>\n"
ANSWER = f"Let me see <b>.\n{CALL_TEXT}</tool_call>\n"


@pytest.mark.parametrize("engine", EVERY_ENGINE, ids=str)
def test_without_it_the_answer_is_the_same(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    events = engine.answer([ANSWER[at : at + 5] for at in range(0, len(ANSWER), 5)])
    natives = engine.answer(["a", "b", "c"], "tool_calls", [("get_weather", ['{"city', '": "x', "y", '"}'])])

    def answers() -> list[Any]:
        return [read_answer(send(said, request())[0]).said for said in (events, natives)]

    with_it = answers()
    without_cache(monkeypatch)
    assert answers() == with_it


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.title)
def test_nor_does_it_change_one_of_another_api(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = api.request(request()["tools"])
    body = api.streamed([("text", ANSWER), ("call", "get_weather", '{"city": "Bern"}')], "tool_calls", 5)

    def answers() -> list[Any]:
        sent = [send([body[at : at + size] for at in range(0, len(body), size)], asked, api=api.name)[0]
                for size in (40, len(body))]  # fmt: skip
        return [api.hear(out) for out in sent]

    with_it = answers()
    without_cache(monkeypatch)
    assert answers() == with_it
