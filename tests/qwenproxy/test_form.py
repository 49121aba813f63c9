"""What an answer is, by its first bytes."""

import pytest
from answers import completion
from proxy import LEAK, chat, cut, events

from qwenproxy.answer import rewrite_whole
from qwenproxy.apis import APIS, CHAT
from qwenproxy.form import Form, form_of
from qwenproxy.untyped import LONGEST_START, UntypedAnswer
from toolstream import StreamRewriter

EVENTS = [b"data: {}", b"event: x", b"id: 1", b"retry: 3", b": ping", b"\n\ndata:", b"\xef\xbb\xbfdata:"]
LINES = b'{"message": {"content": ""}, "done": false}\n'
PRETTY = b'{\n  "message": {"content": ""}, "done": true}'


@pytest.mark.parametrize("body", EVENTS)
def test_events_are_known_at_their_first_field(body: bytes) -> None:
    assert form_of(body, CHAT, True) is Form.STREAM
    assert form_of(body, CHAT, False) is Form.OTHER
    assert form_of(body, APIS["ollama"], True) is Form.OTHER
    clear = body.index(b":") + 1
    assert {form_of(body[:n], CHAT, True) for n in range(clear)} == {None}


@pytest.mark.parametrize("body", [b"date: x", b"<html>", b"[1]", b"I see", b"\xef\xbbx", b"\xff"])
def test_anything_else_is_nothing_we_read(body: bytes) -> None:
    for expects_stream in (True, False):
        assert form_of(body, CHAT, expects_stream) is Form.OTHER


def test_an_object_is_a_whole_answer_and_lines_are_a_stream() -> None:
    ollama = APIS["ollama"]
    assert form_of(b" {", CHAT, True) is Form.WHOLE
    assert [form_of(LINES[:n], ollama, True) for n in (1, 20, len(LINES))] == [None, None, Form.STREAM]
    assert form_of(PRETTY, ollama, True) is form_of(LINES, ollama, False) is Form.WHOLE
    assert form_of(LINES[:-1], ollama, True, is_over=True) is Form.WHOLE
    assert form_of(b"", CHAT, True, is_over=True) is form_of(b"dat", CHAT, True, is_over=True) is Form.OTHER


def untyped(api: str = "chat", keepalive: float = 0.0) -> UntypedAnswer:
    def whole(body: bytes) -> object:
        return rewrite_whole(chat(), "tolerant", body, False)

    rewriter = StreamRewriter(chat(), api=api)
    return UntypedAnswer(rewriter, whole, True, keepalive=keepalive, api=APIS[api])  # type: ignore[arg-type]


def fed(answer: UntypedAnswer, pieces: list[bytes]) -> list[bytes]:
    return [b"".join(answer(piece)) for piece in [*pieces, b""]]


@pytest.mark.parametrize("body", [completion(LEAK), b"".join(events(LEAK))])
def test_what_is_held_is_counted_and_leaves(body: bytes) -> None:
    answer = untyped()
    assert b"get_weather" in b"".join(fed(answer, cut(body, 40)))
    assert (answer.held, answer.outcome.ledger.calls) == (0, 1)
    assert b"".join(answer.outcome.chunks) == body


def test_nothing_is_said_into_a_whole_answer() -> None:
    assert fed(untyped(keepalive=1e-9), [b"{", b" ", b"}"]) == [b"", b"", b"", b"{ }"]


def test_a_start_that_never_tells_is_passed_on() -> None:
    blank = b" " * LONGEST_START
    assert fed(untyped(), [blank, b" ", b"x"]) == [b"", blank + b" ", b"x", b""]
    line = b'{"a": "' + b"x" * LONGEST_START
    assert fed(untyped("ollama"), [line, b'"}\n']) == [b"", b"", line + b'"}\n']


def test_all_that_is_held_leaves_only_once() -> None:
    answer = untyped()
    assert fed(answer, [b'{"a"']) == [b"", b'{"a"']
    assert answer(b"") == []
