"""The stream callable, fed by hand."""

import json
from typing import Any

import pytest
from proxy import LEAK, chat, completion, cut, events

from qwenproxy import answer
from qwenproxy.answer import StreamedAnswer, rewrite_streamed, rewrite_whole
from qwenproxy.apis import CHAT
from qwenproxy.encoding import BrokenError, TooLargeError
from qwenproxy.outcome import pass_whole
from toolstream.ledger import Ledger


class Script:
    """A rewriter that answers each feed with its next line, or raises it if it is an exception."""

    def __init__(self, *lines: Any) -> None:
        self.ledger = Ledger()
        self._lines = list(lines)

    def feed(self, data: bytes) -> list[bytes]:
        line = self._lines.pop(0) if self._lines else [data]
        if isinstance(line, Exception):
            raise line
        return list(line)

    def close(self) -> list[bytes]:
        return self.feed(b"")


def scripted(*lines: Any, **more: Any) -> StreamedAnswer:
    return StreamedAnswer(Script(*lines), **more)  # type: ignore[arg-type]


def test_nothing_empty_is_returned() -> None:
    streamed = scripted([b"", b"a", b""], [], [b"", b"end"])
    assert [streamed(b"1"), streamed(b"2"), streamed(b"")] == [[b"a"], [], [b"end"]]


def test_pieces_and_times_are_kept() -> None:
    ticks = iter([10.0, 10.5, 12.25])
    streamed = scripted(clock=lambda: next(ticks))
    streamed(b"one")
    streamed(b"two")
    assert streamed.outcome.chunks == [b"one", b"two"]
    assert streamed.outcome.times == [0.5, 2.25]
    assert streamed.outcome.out == [b"one", b"two"]


def test_after_an_exception_all_passes() -> None:
    streamed = scripted([b"A"], ValueError("first"), ValueError("never reached"))
    assert [streamed(b"a"), streamed(b"b"), streamed(b"c"), streamed(b"")] == [[b"A"], [b"b"], [b"c"], []]
    assert "ValueError: first" in streamed.outcome.ledger.failure
    assert streamed.outcome.out == [b"A", b"b", b"c"]


def test_an_exception_at_the_end_loses_nothing_sent() -> None:
    streamed = scripted([b"a"], ValueError("late"))
    assert [streamed(b"a"), streamed(b"")] == [[b"a"], []]
    assert "ValueError: late" in streamed.outcome.ledger.failure


def test_the_failure_of_the_rewriter_itself_is_kept() -> None:
    streamed = scripted(ValueError("second"))
    streamed.outcome.ledger.failure = "first"
    streamed(b"a")
    assert streamed.outcome.ledger.failure == "first"


def test_observing_passes_the_wire_and_keeps_what_would_be() -> None:
    streamed = scripted([b"A"], ValueError("x"), observe=True)
    assert [streamed(b"a"), streamed(b"b"), streamed(b"")] == [[b"a"], [b"b"], []]
    assert streamed.outcome.out == [b"A", b"b"]


class Breaking:
    def feed(self, data: bytes) -> bytes:
        if data == b"!":
            raise ValueError("broken")
        return data.upper()


def test_what_cannot_be_decoded_is_not_sent_and_the_end_still_comes() -> None:
    streamed = scripted([b"A"], [b"held"], decoder=Breaking())
    assert [streamed(b"a"), streamed(b"!"), streamed(b"b"), streamed(b"")] == [[b"A"], [], [], [b"held"]]
    assert streamed.outcome.aborted == "the body cannot be decoded: broken"
    assert streamed.outcome.chunks == [b"A"]


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def heard(streamed: StreamedAnswer, clock: Clock, seconds: float, wire: bytes = b"x") -> list[bytes]:
    """Return what the client gets when a piece comes so many seconds later."""
    clock.now += seconds
    return streamed(wire)


def test_while_something_is_held_the_client_hears_a_comment() -> None:
    clock = Clock()
    streamed = scripted(
        [b"data: 1\n\n"], *[[]] * 6, [b"data: 2\n\n"], [], [b"end"], clock=clock, keepalive=5.0
    )
    seconds = [4, 4, 1, 4.5, 0.5, 0, 6, 9, 4]
    pieces = [heard(streamed, clock, s) for s in seconds]
    comment = [CHAT.wire.keep_alive]
    assert pieces == [[b"data: 1\n\n"], [], comment, [], comment, [], comment, [b"data: 2\n\n"], []]
    assert streamed(b"") == [b"end"]
    assert streamed.outcome.out == [b"data: 1\n\n", b"data: 2\n\n", b"end"]


def test_before_the_first_event_too() -> None:
    clock = Clock()
    streamed = scripted([], [], clock=clock, keepalive=5.0)
    assert [heard(streamed, clock, 3), heard(streamed, clock, 3)] == [[], [CHAT.wire.keep_alive]]


@pytest.mark.parametrize(
    ("sent", "comes"),
    [
        ([b"data: 1\n\n"], True),
        ([b"data: 1\n", b"\n"], True),
        ([b"data: 1\r\n\r", b"\n"], True),
        ([b"data: 1\r\r"], True),
        ([b"data: 1"], False),
        ([b"data: 1\n"], False),
        ([b"data: 1\r\n"], False),
        ([b"data: 1\n\nd"], False),
    ],
)
def test_no_comment_within_an_event(sent: list[bytes], comes: bool) -> None:
    clock = Clock()
    streamed = scripted(sent, [], clock=clock, keepalive=5.0)
    streamed(b"x")
    assert heard(streamed, clock, 9) == ([CHAT.wire.keep_alive] if comes else [])


def test_no_comment_when_it_is_off_observed_or_over() -> None:
    clock = Clock()
    for streamed in (
        scripted([], clock=clock),
        scripted([], clock=clock, keepalive=5.0, observe=True),
        scripted([], clock=clock, keepalive=5.0, decoder=Bomb()),
        scripted([], clock=clock, keepalive=5.0, decoder=Breaking()),
    ):
        streamed(b"!")
        assert CHAT.wire.keep_alive not in heard(streamed, clock, 9)


def test_no_comment_at_the_end() -> None:
    clock = Clock()
    streamed = scripted([], [], clock=clock, keepalive=5.0)
    streamed(b"x")
    assert heard(streamed, clock, 9, b"") == []


def test_what_was_decoded_before_it_broke_is_sent() -> None:
    class Breaking:
        def feed(self, data: bytes) -> bytes:
            raise BrokenError("broken", data[:1])

    streamed = StreamedAnswer(None, Breaking())  # type: ignore[arg-type]
    assert [streamed(b"abc"), streamed(b"d"), streamed(b"")] == [[b"a"], [], []]


class Bomb:
    def feed(self, data: bytes) -> bytes:
        if data == b"!":
            raise TooLargeError
        return data


def test_a_bomb_ends_with_one_error() -> None:
    streamed = scripted([b"a"], [b"held\n\n"], decoder=Bomb())
    pieces = [streamed(b"a"), streamed(b"!"), streamed(b"!"), streamed(b"more"), streamed(b"")]
    assert [len(piece) for piece in pieces] == [1, 2, 0, 0, 0]
    held, event = pieces[1]
    assert held == b"held\n\n"
    assert event.endswith(b"\n\n")
    assert json.loads(event.removeprefix(b"data: "))["error"]["code"] == "answer_too_large"
    assert streamed.outcome.aborted == "the answer decodes to more than 64 MiB"
    assert streamed.outcome.out == [b"a", held, event]


def test_a_rewriter_is_never_given_much_at_once() -> None:
    """A socket read gives at most 64 KiB, but they can decode to more, and events need extra memory."""
    sizes: list[int] = []

    class Counting(Script):
        def feed(self, data: bytes) -> list[bytes]:
            sizes.append(len(data))
            return [data]

    body = bytes(range(1, 251)) * 1000
    streamed = StreamedAnswer(Counting())  # type: ignore[arg-type]
    assert b"".join(streamed(body)) == body
    assert max(sizes) == 1 << 16
    assert streamed.outcome.chunks == [body]


def test_an_exception_within_a_large_piece_loses_nothing_of_it() -> None:
    body = b"a" * 65536 + b"b" * 65536 + b"c"
    streamed = scripted([b"A"], ValueError("planted"))
    assert b"".join(streamed(body)) == b"A" + body[65536:]


def test_the_error_is_an_event_of_its_own() -> None:
    streamed = scripted([b"data: half"], [], decoder=Bomb())
    assert [streamed(b"a"), streamed(b"!")[0][:9]] == [[b"data: half"], b"\n\ndata: {"]


def test_a_bomb_passes_when_observed() -> None:
    streamed = scripted(decoder=Bomb(), observe=True)
    assert [streamed(b"!"), streamed(b"x"), streamed(b"")] == [[b"!"], [b"x"], []]


def test_without_a_rewriter_all_passes() -> None:
    streamed = StreamedAnswer(None)
    assert [streamed(b"a"), streamed(b"")] == [[b"a"], []]


def test_whole_and_streamed_give_the_same() -> None:
    body = b"".join(events(LEAK))
    streamed = rewrite_streamed(chat(), "tolerant", None, False)
    pieces = [p for piece in [*cut(body, 9), b""] for p in streamed(piece)]
    whole = rewrite_whole(chat(), "tolerant", body, is_stream=True)
    assert whole.ledger.as_dict() == streamed.outcome.ledger.as_dict()
    assert pieces == streamed.outcome.out
    assert whole.chunks == [body]


def test_a_completion_that_needs_nothing_stays() -> None:
    outcome = rewrite_whole(chat(), "tolerant", completion("fine"), is_stream=False)
    assert b"".join(outcome.out) == completion("fine")
    assert outcome.ledger.calls == 0


def test_an_exception_leaves_a_completion_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ValueError("planted")

    monkeypatch.setattr(answer, "rewrite_completion", broken)
    outcome = rewrite_whole(chat(), "tolerant", completion(LEAK), is_stream=False)
    assert outcome.out == [completion(LEAK)]
    assert "planted" in outcome.ledger.failure


def test_an_empty_body_has_no_pieces() -> None:
    assert pass_whole(b"").chunks == []
