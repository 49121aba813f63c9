"""The helpers that cut: what they leave out, no test would notice."""

import pytest

from support.cuts import all_cuts, at_random, cut_at, joined, per_character, two_way, units

TEXTS = ["", "a", "ab\n", "a😀b", "👍🏽", "lone \ud83d half", "\ude00", "é\r\n日本"]


@pytest.mark.parametrize("text", TEXTS)
def test_the_pieces_are_the_text(text: str) -> None:
    for pieces in all_cuts(text):
        assert joined("".join(pieces)) == text


@pytest.mark.parametrize("text", TEXTS)
def test_units_are_one_character_each(text: str) -> None:
    assert len(units(text)) == len(text.encode("utf-16-le", "surrogatepass")) // 2
    assert joined(units(text)) == text


def test_two_way_cuts_everywhere() -> None:
    assert list(two_way("abc")) == [["a", "bc"], ["ab", "c"]]


def test_a_pair_is_cut_in_two_and_joined_where_it_is_not() -> None:
    assert cut_at("x😀", [2]) == ["x\ud83d", "\ude00"]
    assert cut_at("x😀", [1]) == ["x", "😀"]
    assert per_character("😀") == ["\ud83d", "\ude00"]


def test_places_may_be_equal_and_unordered() -> None:
    assert cut_at("abc", [2, 0, 2]) == ["", "ab", "", "c"]


def test_random_cuts_are_many_different_and_repeatable() -> None:
    cuts = list(at_random("abcdefghijklmnop", 20))
    assert cuts == list(at_random("abcdefghijklmnop", 20))
    assert cuts != list(at_random("abcdefghijklmnop", 20, seed=1))
    assert len(cuts) == 20
    assert len({len(pieces) for pieces in cuts}) > 3


def test_all_cuts_has_every_kind() -> None:
    cuts = list(all_cuts("abcd"))
    assert cuts[:5] == [["abcd"], ["a", "b", "c", "d"], ["a", "bcd"], ["ab", "cd"], ["abc", "d"]]
    assert len(cuts) == 5 + 50
