"""The helpers that cut and vary: what they leave out, no test would notice."""

import pytest

from support.cuts import (
    SAMPLE,
    SHORT,
    Cuts,
    all_cuts,
    at_random,
    cut_at,
    joined,
    per_character,
    some_cuts,
    two_way,
    units,
)
from support.streams import ENGINES, REPEATING, SGLANG_CLOCK, VARYING, VLLM, Engine, gathered

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


def test_some_cuts_are_all_two_way_cuts_of_a_short_text() -> None:
    short = "a" * (SHORT - 1) + "b"
    cuts = list(some_cuts(short))
    assert cuts[:2] == [[short], list(short)]
    assert cuts[2 : SHORT + 1] == list(two_way(short))
    assert len(cuts) == SHORT + 2


def test_some_cuts_are_a_repeatable_sample_of_a_long_text() -> None:
    long = "a" * SHORT + "b"
    cuts = list(some_cuts(long))
    assert cuts[:2] == [[long], list(long)]
    sample = cuts[2 : SAMPLE + 2]
    assert all(pieces in list(two_way(long)) for pieces in sample)
    assert len({len(pieces[0]) for pieces in sample}) == SAMPLE
    assert cuts == list(some_cuts(long)) != list(some_cuts(long, seed=1))


def test_a_thorough_run_makes_every_two_way_cut(cuts: Cuts, thorough: bool) -> None:
    """This test is in both runs, `make test` and `make fuzz`."""
    made = list(cuts("ab<" * SHORT))
    assert all(pieces in made for pieces in two_way("ab<" * SHORT)) == thorough


def test_gathered_pieces_are_the_events() -> None:
    events = VLLM.answer("abcdefghijklmnopqrstuvwxyz")
    pieces = gathered(events)
    assert b"".join(pieces) == b"".join(events)
    assert {piece.count(b"data:") for piece in pieces} == {1, 2, 3, 5}
    assert pieces == gathered(events) != gathered(events, 1)


def envelopes(engine: Engine) -> set[bytes]:
    return {engine.text(character).replace(character.encode(), b"") for character in "XYZ"}


def test_engines_write_one_envelope_or_change_it() -> None:
    assert [engine for engine in ENGINES if len(envelopes(engine)) > 1] == []
    assert [engine for engine in VARYING if len(envelopes(engine)) == 1] == [REPEATING]
    assert SGLANG_CLOCK.text("X") == SGLANG_CLOCK.text("X")
