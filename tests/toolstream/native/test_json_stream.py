"""Tokens of a JSON object: the same at every cut, and all that came is in one of them, or pending."""

from itertools import groupby

import pytest

from support.cuts import all_cuts
from toolstream.native.json_stream import JsonStream, Kind, State

B, C, K, L, M = Kind.OPEN, Kind.CLOSE, Kind.KEY, Kind.COLON, Kind.COMMA
Q, T, U, S, X = Kind.QUOTE, Kind.LETTERS, Kind.UNQUOTE, Kind.SPACE, Kind.SCALAR


def tokens(pieces: list[str]) -> tuple[list[tuple[Kind, str]], str]:
    """What the pieces consist of, adjacent tokens of one kind joined, and what is pending after them."""
    stream, found = JsonStream(), []
    for piece in pieces:
        stream.feed(piece)
        assert stream.held == len(stream.pending)
        while token := stream.peek():
            found.append((token.kind, token.text))
            stream.advance(token)
    joined = [(k, "".join(text for _, text in same)) for k, same in groupby(found, key=lambda t: t[0])]
    return joined, stream.pending


@pytest.mark.parametrize(
    ("text", "kinds", "pending"),
    [
        ("{}", [B, C], ""),
        ('{"a":"b"}', [B, K, L, Q, T, U, C], ""),
        ('{"a" : 1 , "b":[true,None]}', [B, K, S, L, S, X, S, M, S, K, L, B, X, M, X, C], ""),
        ('{"a":[1,],}', [B, K, L, B, X, M, C, M, C], ""),
        ('{"a":"x\ny\\d"}', [B, K, L, Q, T, Kind.CONTROL, T, Kind.BACKSLASH, T, U, C], ""),
        ('{"a":"\\u00', [B, K, L, Q], "\\u00"),
        ('{"a":12', [B, K, L], "12"),
        ('{"a', [B], '"a'),
        ("{a}", [B, Kind.BROKEN, Kind.REST], ""),
        ('{"a":1 2}', [B, K, L, X, S, Kind.BROKEN, Kind.REST], ""),
        ('{"a":0x1}', [B, K, L, Kind.BROKEN, Kind.REST], ""),
        ("{} x {}", [B, C, S, Kind.AFTER, Kind.REST], ""),
        ('{ "a"', [B, S], '"a"'),
        ('{ "a":', [B, S, K, L], ""),
        ('{ "a"x', [B, S, Kind.BROKEN, Kind.REST], ""),
        ('{ ""a":1', [B, S, Kind.BROKEN, Kind.REST], ""),
    ],
)
def test_tokens(text: str, kinds: list[Kind], pending: str) -> None:
    if not text.startswith("{"):
        kinds, text = kinds[:-1], "{" + text
    for pieces in all_cuts(text):
        found, rest = tokens(pieces)
        assert [kind for kind, _ in found] == kinds, pieces
        assert "".join(piece for _, piece in found) + rest == text
        assert rest == pending


def test_a_container_can_be_read_as_text() -> None:
    stream = JsonStream()
    stream.feed('{"a":[1,"]"],"b":2}')
    out = []
    while token := stream.peek():
        if token.text == "[":
            stream.read_as_text()
        else:
            out.append((token.kind, token.text))
        stream.advance(token)
    assert (Kind.RAW_END, '[1,"]"]') in out
    assert out[-1] == (C, "}")
    assert stream.state is State.OVER


def test_another_object_can_take_the_place_of_the_first() -> None:
    stream = JsonStream()
    stream.feed('{}{"a":1}')
    out = ""
    while token := stream.peek():
        if token.kind is Kind.AFTER:
            stream.begin_again()
        out += token.text
        stream.advance(token)
    assert out == '{}"a":1}'
    assert (stream.depth, stream.state) == (0, State.OVER)
