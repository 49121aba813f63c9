"""Arguments of calls the server parsed (P15): damaged or not, and however they are cut."""

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fuzz.calls import Call, Tool, calls, tools
from fuzz.damage import SLIPS, letters, one_character
from fuzz.messages import PLACES
from fuzz.native import Mended
from fuzz.settings import fuzzed
from support.cuts import cut_at, per_character

STYLES = st.fixed_dictionaries(
    {"ensure_ascii": st.booleans()},
    optional={"separators": st.just((",", ":")), "indent": st.sampled_from([1, "\t"])},
)


def mended(tool: Tool, text: str, places: list[int], stopped: bool = True) -> Mended:
    """The same at every cut, but for snapshots: a delta that repeats all before it is only told from
    the first one."""
    declared = tool.declared()
    whole = Mended(declared, [text], stopped)
    for pieces in cuts(text, places):
        other = Mended(declared, pieces, stopped)
        if "repeated-arguments" not in other.repairs:
            assert other.outcome == whole.outcome, f"cut into {pieces}"
    return whole


def cuts(text: str, places: list[int]) -> list[list[str]]:
    return [cut_at(text, [place % (len(text) + 1) for place in places]), per_character(text)]


@st.composite
def arguments(draw: st.DrawFn) -> tuple[Call, str]:
    """A call that fits, and its arguments as JSON."""
    call = draw(calls(draw(tools(max_size=1))))
    return call, json.dumps(call.arguments, **draw(STYLES))


@fuzzed(150)
@given(arguments(), PLACES, st.booleans())
def test_what_fits_passes_untouched(given_: tuple[Call, str], places: list[int], stopped: bool) -> None:
    call, text = given_
    whole = mended(call.tool, text, places, stopped)
    assert (whole.text, whole.complete, whole.repairs, whole.refused) == (text, True, [], [])


@fuzzed(200)
@given(arguments(), st.sampled_from(SLIPS), PLACES)
def test_slips_with_one_way_to_mend_them(given_: tuple[Call, str], slip: Any, places: list[int]) -> None:
    call, text = given_
    damaged = slip(text, call.arguments)
    whole = mended(call.tool, damaged, places)
    assert whole.complete, f"{damaged!r} became {whole.text!r}"
    assert json.dumps(whole.value) == json.dumps(call.arguments)
    assert not whole.more


@fuzzed(200)
@given(arguments(), st.data(), PLACES, st.booleans())
def test_one_character_wrong(
    given_: tuple[Call, str], data: st.DataObject, places: list[int], stopped: bool
) -> None:
    """It may be JSON all the same; else it is what it was before, or is mended with not a letter lost or
    moved, or it is broken and has not been touched where it was not mended."""
    call, text = given_
    damaged = data.draw(one_character(text))
    whole = mended(call.tool, damaged, places, stopped)
    if whole.complete:
        assert isinstance(whole.value, dict)
    mended_back = whole.complete and whole.value == call.arguments
    if not (is_json(damaged) or mended_back):  # nulls aside: that is what an empty string may be
        named = damaged.removeprefix(call.tool.name)  # a call as in Python
        texts = (damaged, without_empty(damaged, call), named, whole.text)
        *said, sent = (letters(text).replace("null", "") for text in texts)
        assert sent in said, f"{damaged!r} became {whole.text!r}"


def without_empty(text: str, call: Call) -> str:
    """The text without the members that say nothing: an empty string for what is optional and no string."""
    for name, kind, required in call.tool.types:
        if kind != "string" and not required:
            text = re.sub(rf'"{re.escape(name)}"\s*:\s*""', "", text)
    return text


def is_json(text: str) -> bool:
    """Whether it says something after all."""
    try:
        json.loads(text, strict=False)
    except ValueError:
        return False
    return True
