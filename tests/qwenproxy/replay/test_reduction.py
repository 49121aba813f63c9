"""Delta debugging, and what a parser makes of a text."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from qwenproxy.replay import other_version
from qwenproxy.replay.casefile import Case, Tool
from qwenproxy.replay.reduction import UNITS, ddmin, parse


@given(st.lists(st.integers(0, 30), max_size=40), st.sets(st.integers(0, 30), max_size=4))
def test_what_is_needed_and_nothing_else_is_left(units: list[int], needed: set[int]) -> None:
    wanted = needed & set(units)
    left = ddmin(units, lambda some: wanted <= set(some))
    assert sorted(left) == sorted(wanted)


@given(st.text(st.sampled_from("ab<>\n </é🙂"), max_size=30))
def test_the_units_of_a_text_are_the_text(text: str) -> None:
    for unit in UNITS:
        assert "".join(unit.findall(text)) == text


def test_an_exception_is_an_outcome() -> None:
    rules = dataclasses.replace(other_version.TODAY, parser=lambda *_, **__: 1 / 0)
    assert parse(Case((Tool("f", ()),), "x"), rules).crash == "ZeroDivisionError: division by zero"
