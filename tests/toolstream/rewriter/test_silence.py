"""P20: comments and pings of the server are no part of the answer and wait for no call."""

import json

import pytest

from support.streams import LLAMA_CPP, byte_cuts, send
from toolstream import StreamRewriter
from toolstream.wire.sse import is_aside

TOOL = {"type": "function", "function": {"name": "write", "parameters": {"type": "object"}}}
REQUEST = {"messages": [], "stream": True, "tools": [TOOL]}
COMMENT = b": keep-alive\n\n"
PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def chunk(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "1", "choices": [choice]}).encode() + b"\n\n"


def answers(pieces: list[bytes]) -> list[bytes]:
    """What each piece brings out, and the end."""
    rewriter = StreamRewriter(REQUEST)
    out = [b"".join(rewriter.feed(piece)) for piece in pieces]
    assert not rewriter.ledger.failure
    return [*out, b"".join(rewriter.close())]


@pytest.mark.parametrize("aside", [COMMENT, PING, b":\r\n\r\n", b": a\n: b\n\n"])
@pytest.mark.parametrize("opening", ["<tool_call>\n", "Look.\n\n<tool_call>\n", "\n\n<tool_call>\n"])
def test_nothing_that_is_aside_waits_for_a_long_call(aside: bytes, opening: str) -> None:
    call = json.dumps({"name": "write", "arguments": {"content": "x" * 20_000}})
    text = f"{opening}{call}\n</tool_call>"
    deltas = [chunk(text[at : at + 4]) for at in range(0, len(text), 4)]
    out = answers([piece for delta in deltas for piece in (delta, aside)])
    before_the_end = b"".join(out[:-5])
    assert before_the_end.count(aside) >= len(deltas) - 3
    assert b"".join(out).count(aside) == len(deltas)


def test_at_the_end_of_a_comment_that_was_cut_nothing_is_lost() -> None:
    out = answers([chunk("<tool"), COMMENT, b": cut"])
    assert out == [b"", COMMENT, b"", chunk("<tool") + b": cut"]


@pytest.mark.parametrize("aside", [COMMENT, PING])
def test_where_blanks_wait_the_order_is_kept(aside: bytes) -> None:
    pieces = [
        chunk("a\n\n"),
        aside,
        chunk("be"),
        aside,
        chunk("\n"),
        aside,
        chunk("", "stop"),
        b"data: [DONE]\n\n",
    ]
    out = answers(pieces)
    assert b"".join(out) == b"".join(pieces)
    assert out[1] == b""


@pytest.mark.parametrize("comment", [b": ping\n\n", b":\n\n", b": OPENROUTER PROCESSING\n\n"])
def test_but_for_comments_a_healthy_stream_is_byte_identical(comment: bytes) -> None:
    """They may overtake the < that is held."""
    words = ["a <", " b", "\n\n", "<tool", "> is `<tool_call>`", "\n", "\n", "."]
    body = b"".join(event + comment for event in LLAMA_CPP.answer(words))
    for pieces in byte_cuts(body, every=len(body) // 40 + 1, random_cuts=5):
        out, rewriter = send(pieces, REQUEST)
        assert out.count(comment) == body.count(comment)
        assert out.replace(comment, b"") == body.replace(comment, b"")
        assert not rewriter.ledger.repairs


def test_what_waited_for_blanks_does_not_wait_for_a_call() -> None:
    out = answers([chunk("\n\n"), COMMENT, chunk("<tool_call>"), PING, chunk("\n{")])
    assert out[:5] == [b"", b"", b"", COMMENT + PING, b""]
    assert out[5] == chunk("\n\n") + chunk("<tool_call>") + chunk("\n{")


@pytest.mark.parametrize(
    ("event", "aside"),
    [
        (COMMENT, True),
        (PING, True),
        (b"event:ping\n\n", True),
        (b"\n\n", False),
        (b": a\r\rdata: x\r\r", False),
        (b"data: : a\n\n", False),
        (b"event: pinged\n\n", False),
        (b"id: 1\n\n", False),
        (b": a\ndata: [DONE]\n\n", False),
        (b"data: \xff\n\n", False),
        (b": a", False),
        (b": a\n", False),
        (b"", False),
    ],
)
def test_is_aside(event: bytes, aside: bool) -> None:
    assert is_aside(event) is aside
