"""Lines of JSON at every cut: no byte of them is lost."""

import pytest

from support.streams import byte_cuts
from toolstream.wire.ndjson import LineSplitter

CORPUS = {
    "one line": b'{"a": 1}\n',
    "several": b'{"a": 1}\n{"b": 2}\n{"c": 3}\n',
    "crlf": b'{"a": 1}\r\n{"b": 2}\r\n',
    "a carriage return between members": b'{"a": 1,\r"b": 2}\n',
    "blank lines": b'\n\n{"a": 1}\n \n\r\n',
    "no line end at the end": b'{"a": 1}\n{"b": 2}',
    "half a line end at the end": b'{"a": 1}\r',
    "utf-8": '{"a": "Zürich 🙂 \u2028\x85"}\n{"b": 2}\n'.encode(),
    "not utf-8": b"\xff\xfe\n\xc3\n",
    "nothing": b"",
}


def split(pieces: list[bytes]) -> tuple[list[bytes], bytes]:
    """The lines, and what is left."""
    splitter = LineSplitter()
    return [line for piece in pieces for line in splitter.feed(piece)], bytes(splitter.pending)


@pytest.mark.parametrize("body", CORPUS.values(), ids=CORPUS.keys())
def test_every_cut_gives_the_same_lines_and_keeps_every_byte(body: bytes) -> None:
    *lines, rest = body.split(b"\n")
    for pieces in byte_cuts(body):
        assert split(pieces) == ([line + b"\n" for line in lines], rest), f"cut into {pieces}"


def test_a_line_leaves_as_soon_as_its_end_is_there() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b'{"a": 1}\r') == []
    assert splitter.feed(b'\n{"b"') == [b'{"a": 1}\r\n']
    assert bytes(splitter.pending) == b'{"b"'
    assert splitter.feed(b": 2}\n\n") == [b'{"b": 2}\n', b"\n"]
    assert splitter.pending == b""


def test_a_long_line_in_small_pieces_is_copied_once() -> None:
    """What is pending only grows: no piece makes it move."""
    grown: list[int] = []

    class Watched(bytearray):
        def __bytes__(self) -> bytes:
            grown.append(len(self))
            return bytes(memoryview(self))

    splitter = LineSplitter()
    splitter.pending = Watched()
    for _ in range(1000):
        assert splitter.feed(b"0123456789") == []
    assert splitter.feed(b"\n") == [b"0123456789" * 1000 + b"\n"]
    assert grown == [10_000]
