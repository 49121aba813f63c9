"""Server-sent events at every cut: what they hold, and that no byte of them is lost."""

import json
import random
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.streams import byte_cuts
from toolstream.wire.sse import EventSplitter, read_data, replace_data

CORPUS = {
    "one event": b"data: a\n\n",
    "several": b"data: a\n\ndata: b\n\ndata: [DONE]\n\n",
    "comments and fields": b": ping\n\nevent: x\nid: 7\ndata: a\nretry: 10\n\n:\n\n",
    "crlf": b"data: a\r\n\r\n: ping\r\n\r\ndata: b\r\ndata: c\r\n\r\n",
    "cr": b"data: a\r\rdata: b\rdata: c\r\rdata: d\r\r",
    "mixed": b"data: a\n\r\ndata: b\r\n\ndata: c\n\rdata: d\r\n\rdata: e\r\n\r\ndata: f\r\r",
    "blank lines in a row": b"\n\ndata: a\n\n\n\ndata: b\n\n\r\n\r\n\ndata: c\n\n",
    "byte order mark": b"\xef\xbb\xbfdata: a\n\ndata: b\n\n",
    "no line end at the end": b"data: a\n\ndata: b\ndata: c",
    "one line end at the end": b"data: a\r\n\r\ndata: b\r\n",
    "not utf-8": b"data: \xff\xfe\n\ndata: \xc3\n\ndata: b\n\n",
    "utf-8": "data: Zürich 🙂\n\ndata: \x85\u2028\x0b\x0c\n\n".encode(),
    "nothing": b"",
    "garbage": b"\x00\x01 <html>\n<body>\n\nInternal Server Error",
}


def split(pieces: list[bytes]) -> tuple[list[bytes], bytes]:
    """The events, and what is left."""
    splitter = EventSplitter()
    return [event for piece in pieces for event in splitter.feed(piece)], bytes(splitter.pending)


def reference(body: bytes) -> list[list[str]]:
    """The lines of each event, as the HTML standard reads them: fields until a blank line."""
    events: list[list[str]] = []
    lines: list[str] = []
    for line in re.split("\r\n|\n|\r", body.decode("latin-1"))[:-1]:
        if line:
            lines.append(line)
        elif lines:
            events.append(lines)
            lines = []
    return events


@pytest.mark.parametrize("body", CORPUS.values(), ids=CORPUS.keys())
def test_every_cut_gives_the_same_events_and_keeps_every_byte(body: bytes) -> None:
    whole = split([body])
    assert b"".join(whole[0]) + whole[1] == body
    for pieces in byte_cuts(body):
        assert split(pieces) == whole, f"cut into {pieces}"


@pytest.mark.parametrize("body", CORPUS.values(), ids=CORPUS.keys())
def test_events_are_those_of_the_standard(body: bytes) -> None:
    events = [re.split("\r\n|\n|\r", event.decode("latin-1")) for event in split([body + b"\n"])[0]]
    assert [lines for event in events if (lines := list(filter(None, event)))] == reference(body + b"\n")


def test_an_event_leaves_as_soon_as_its_blank_line_is_there() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: a\n") == []
    assert splitter.feed(b"\nda") == [b"data: a\n\n"]
    assert bytes(splitter.pending) == b"da"
    assert splitter.feed(b"ta: b\r\n\r") == []
    assert splitter.feed(b"\n") == [b"data: b\r\n\r\n"]
    assert splitter.pending == b""


def test_a_long_event_in_small_pieces_is_not_searched_again_and_again() -> None:
    """Each search begins where the last one ended: counted, not timed."""
    starts: list[int] = []

    class Counting(EventSplitter):
        __slots__ = ()

        def _end_of_event(self, start: int) -> int:
            starts.append(start)
            return super()._end_of_event(start)

    splitter = Counting()
    for _ in range(1000):
        splitter.feed(b"data: 0123456789")
    assert len(splitter.pending) == 16_000
    assert all(later - earlier == 16 for earlier, later in pairwise(starts[1:]))


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: a\n\n", "a"),
        (b"data:a\n\n", "a"),
        (b"data:  a \n\n", " a "),
        (b"data: a\r\n\r\n", "a"),
        (b"data: a\r\r", "a"),
        (b"data: a\ndata: b\n\n", "a\nb"),
        (b"data: {\r\ndata:\r\ndata: }\r\n\r\n", "{\n\n}"),
        (b"data\n\n", ""),
        (b"data:\n\n", ""),
        (b": c\nevent: x\ndata: a\nid: 7\n\n", "a"),
        (b"event: x\n\n", None),
        (b": data: a\n\n", None),
        (b" data: a\n\n", None),
        (b"database: a\n\n", None),
        (b"\n\n", None),
        (b"", None),
        (b"data: a", "a"),
        (b"data: \xff\n\n", None),
        ("data: Zürich\u2028\x85\x0b\n\n".encode(), "Zürich\u2028\x85\x0b"),
        (b"data: [DONE]\n\n", "[DONE]"),
    ],
)
def test_read_data(event: bytes, data: str | None) -> None:
    assert read_data(event) == data


@pytest.mark.parametrize(
    ("event", "new"),
    [
        (b"data: a\n\n", b"data: B\n\n"),
        (b"data:a\r\n\r\n", b"data: B\r\n\r\n"),
        (b"data: a\r\r", b"data: B\r\r"),
        (b": c\nevent: x\ndata: a\nid: 7\n\n", b": c\nevent: x\ndata: B\nid: 7\n\n"),
        (b"data: a\r\ndata: b\r\nid: 7\r\n\r\n", b"data: B\r\nid: 7\r\n\r\n"),
        (b"data: a\nid: 7\ndata: b\n\n", b"data: B\nid: 7\n\n"),
        (b"data: a", b"data: B"),
        (b"id: 7\n\n", b"id: 7\n\n"),
    ],
)
def test_replace_data(event: bytes, new: bytes) -> None:
    assert replace_data(event, "B") == new


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"data:", b" a", b"\n", b"\r", b"\r\n", b"\n\n", b": c", b"id", b"\xc3\xbc", b"\xff"]
        )
    )
)
def test_any_bytes_at_any_cut(parts: list[bytes]) -> None:
    body = b"".join(parts)
    whole = split([body])
    assert b"".join(whole[0]) + whole[1] == body
    assert split([body[i : i + 1] for i in range(len(body))]) == whole
    choose = random.Random(len(body))
    places = sorted(choose.randint(0, len(body)) for _ in range(5))
    assert split([body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]) == whole


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["event: x", "id: 1", ": c", "data: old", "data", "data:old"]), min_size=1),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])),
)
def test_replaced_data_reads_back_and_the_rest_stays(lines: list[str], end: str, new: str) -> None:
    event = (end.join(lines) + end * 2).encode()
    replaced = replace_data(event, new)
    others = [line for line in lines if not line.startswith("data")]
    if len(others) < len(lines):
        assert read_data(replaced) == new
    kept = [line for line in replaced.decode().split(end) if line and not line.startswith("data")]
    assert kept == others
    assert replaced.decode().endswith(end * 2)


def test_a_chunk_over_several_data_lines_is_one_json_text() -> None:
    event = b'data: {"a":\ndata:  1,\ndata: "b": 2}\n\n'
    assert json.loads(read_data(event) or "") == {"a": 1, "b": 2}


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_data_of_several_lines_is_written_in_several_lines(end: bytes) -> None:
    event = b": hi" + end + b'data: {"a":' + end + b"id: 7" + end + b"data: 1}" + end + end
    data = read_data(event)
    assert data == '{"a":\n1}'
    written = replace_data(event, data.replace("1", "2"))
    assert read_data(written) == '{"a":\n2}'
    assert written == b": hi" + end + b'data: {"a":' + end + b"data: 2}" + end + b"id: 7" + end + end
