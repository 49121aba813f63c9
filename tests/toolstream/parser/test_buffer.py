"""The text of a message: what is understood, what is pinned, and what is read again."""

import pytest

from support.cuts import all_cuts, joined
from toolstream.parser.buffer import Buffer


def fed(*pieces: str) -> Buffer:
    buffer = Buffer()
    for piece in pieces:
        buffer.feed(piece)
    return buffer


def test_what_is_understood_goes_with_the_next_piece() -> None:
    buffer = fed("abc")
    assert buffer.take(2) == "ab"
    assert (buffer.text, buffer.unread, buffer.size, buffer.position) == ("abc", "c", 1, 2)
    buffer.feed("de")
    assert (buffer.text, buffer.base, buffer.at, buffer.position) == ("cde", 2, 0, 2)
    assert buffer.take(3) == "cde"
    buffer.feed("f")
    assert (buffer.text, buffer.base) == ("f", 5)


def test_since_a_pin_all_is_kept() -> None:
    buffer = fed("abc")
    buffer.at = 1
    start = buffer.pin()
    assert (start, buffer.since(start)) == (1, "")
    for piece in ("def", "ghi", "jkl"):
        buffer.at = len(buffer.text)
        buffer.feed(piece)
    assert buffer.text == "jkl"
    assert buffer.since(start) == "bcdefghi"
    buffer.at = 1
    assert buffer.since(start) == "bcdefghij"
    assert buffer.since(start + 3) == "efghij"
    assert buffer.since(buffer.base) == "j"


def test_a_second_pin_keeps_the_first() -> None:
    buffer = fed("abc")
    first = buffer.pin()
    buffer.at = 2
    second = buffer.pin()
    assert (first, second) == (0, 2)
    buffer.feed("de")
    buffer.at = 2
    assert (buffer.since(first), buffer.since(second)) == ("abcd", "cd")


def test_unpinned_text_is_dropped() -> None:
    buffer = fed("abc")
    buffer.pin()
    buffer.at = 3
    buffer.feed("def")
    buffer.unpin()
    buffer.at = 3
    buffer.feed("ghi")
    assert (buffer.pin(), buffer.text) == (6, "ghi")
    buffer.at = 1
    assert buffer.since(6) == "g"


@pytest.mark.parametrize("back", range(9))
def test_rewind_reads_again_from_a_pinned_position(back: int) -> None:
    buffer = fed("xab")
    buffer.at = 1
    start = buffer.pin()
    for piece in ("cde", "fgh", "i"):
        buffer.at = len(buffer.text)
        buffer.feed(piece)
    buffer.rewind(start + back)
    assert buffer.position == start + back
    assert buffer.unread == "abcdefghi"[back:]
    assert buffer.since(start) == "abcdefghi"[:back]
    buffer.feed("j")  # and may do so once more
    buffer.at = len(buffer.text)
    buffer.rewind(start)
    assert buffer.unread == "abcdefghij"


def test_skip_takes_what_waits_and_a_piece_at_once() -> None:
    buffer = fed("abc")
    buffer.at = 2
    buffer.skip("cdef", 3)
    assert (buffer.position, buffer.unread) == (5, "f")
    buffer.skip("fg", 2)
    assert (buffer.position, buffer.unread) == (7, "")
    buffer.feed("h")
    assert (buffer.base, buffer.text) == (7, "h")


def test_halves_of_a_pair_are_joined_at_every_cut() -> None:
    text = "a😀\n😀😀b"
    for pieces in all_cuts(text):
        buffer = fed(*pieces)
        assert (buffer.unread, buffer.high) == (text, "")


def test_half_a_pair_waits_and_is_not_lost() -> None:
    buffer = fed("a\ud83d")
    assert (buffer.text, buffer.high, buffer.unread, buffer.size) == ("a", "\ud83d", "a\ud83d", 2)
    buffer.close()
    assert (buffer.text, buffer.high, buffer.over) == ("a\ud83d", "", True)
    assert joined(fed("\ud83d", "", "\ude00").text) == "😀"
