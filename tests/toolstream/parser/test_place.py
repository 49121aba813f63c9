"""What a tag is by where it stands (P21), and what the tags in a row from there come to."""

from collections.abc import Sequence

import pytest

from support.cases import read_tool
from support.cuts import all_cuts
from toolstream.grammar.dialects import BASE
from toolstream.grammar.grammar import grammar
from toolstream.grammar.kinds import MORE, Cost, TagKind
from toolstream.grammar.tag import Tag
from toolstream.limits import CLOSING_RUN
from toolstream.parser.buffer import Buffer
from toolstream.parser.place import Place
from toolstream.parser.run import FollowedBy, Level, Run
from toolstream.parser.runs import read_run
from toolstream.parser.value_place import enter_value, in_last_run, leave_value
from toolstream.schema.toolset import Toolset

TOOLS = [
    read_tool("write(path: string, content: string, size?: integer)"),
    read_tool("read(path: string)"),
]
TOOLSET = Toolset.of(TOOLS)
P, F, W = TagKind.PARAMETER_CLOSE, TagKind.CALL_CLOSE, TagKind.WRAP_CLOSE
OPEN_P, OPEN_F, OPEN_W = TagKind.PARAMETER_OPEN, TagKind.CALL_OPEN, TagKind.WRAP_OPEN
EXACT, TABLE, ALIKE, SHAPE = Cost.EXACT, Cost.TABLE, Cost.ALIKE, Cost.SHAPE


def place_in(
    key: str = "content", given: Sequence[str] = (), recovery: str = "tolerant", wrapped: bool = True
) -> Place:
    """In a call of `write`, and if there is a key, in its value."""
    place = Place(TOOLSET, grammar(recovery), TOOLSET.tools["write"], wrapped=wrapped)
    if key:
        enter_value(place, opener(key), BASE, {key, *given})
    return place


def opener(key: str) -> Tag:
    return Tag(OPEN_P, key, 0, 0, f"<parameter={key}>", BASE[0])


def received(text: str, base: int = 0, over: bool = True) -> Buffer:
    """A buffer that begins at a position of the message."""
    buffer = Buffer()
    buffer.text, buffer.base, buffer.over = text, base, over
    return buffer


def run_of(text: str, place: Place | None = None, level: Level = Level.VALUE, over: bool = True) -> Run:
    run = read_run(place or place_in(), received(text, over=over), 0, level)
    assert isinstance(run, Run)
    return run


@pytest.mark.parametrize(
    ("tag", "readings"),
    [
        ("</parameter>", [(P, EXACT, "")]),
        ("</paramter>", [(P, ALIKE, "")]),
        ("</content>", [(P, ALIKE, "content")]),  # the open parameter's own name
        ("</write>", [(F, ALIKE, "write")]),
        ("</tool_call", [(W, TABLE, "")]),
        ("<parameter>", [(P, ALIKE, "")]),  # without its slash
        ("<parameter=path>", [(OPEN_P, EXACT, "path")]),
        ("<parameterpath>", [(OPEN_P, ALIKE, "path")]),
        ("</parameter=path>", [(P, ALIKE, "path"), (OPEN_P, ALIKE, "path")]),
        ("<function=read>", [(OPEN_F, EXACT, "read")]),
        ("<TOOL_CALL>", [(OPEN_W, TABLE, ""), (W, ALIKE, "")]),
        ("<tool_call>", [(OPEN_W, EXACT, ""), (W, ALIKE, "")]),
        ("</foo>", []),
        ("<x>", []),
        ("</div>", []),
        ("word", []),
    ],
)
def test_readings(tag: str, readings: list[tuple[TagKind, Cost, str]]) -> None:
    found = place_in().readings(tag + "\n", 0, True)
    assert found is not MORE
    assert [(reading.kind, reading.cost, reading.name) for reading in found] == readings


def test_strict_knows_no_damaged_tag() -> None:
    assert place_in(recovery="strict").readings("</paramter>\n", 0, True) == []
    assert run_of("</paramter>\n</function>", place_in(recovery="strict")).tags == []


@pytest.mark.parametrize("text", ["<", "</param", "</paramter", "</parameter=pa", "<para>"])
def test_more_text_tells_what_a_tag_is(text: str) -> None:
    assert place_in().readings(text, 0, False) is MORE
    assert place_in().readings(text, 0, True) is not MORE


@pytest.mark.parametrize(
    ("text", "kinds", "level"),
    [
        ("</parameter>\n</function>\n</tool_call>", [P, F, W], Level.NOTHING),
        ("</parameter></function>", [P, F], Level.ENVELOPE),
        ("</parameter>\n</tool_call>", [P, W], Level.NOTHING),
        ("</parameter>", [P], Level.CALL),
        ("</function>\n</tool_call>", [F, W], Level.NOTHING),
        ("</tool_call>", [W], Level.NOTHING),
        ("</parameter>\n</parameter>\n</function>", [P, P, F], Level.ENVELOPE),
        ("</paramter>\n</functon>\n</tool_call>", [P, F, W], Level.NOTHING),
        ("</content>\n</write>\n</tool_call>", [P, F, W], Level.NOTHING),
        ("</parameter>\n</execution>\n</tool_call>", [P, F, W], Level.NOTHING),
        ("</foo>\n</function>", [P, F], Level.ENVELOPE),
        ("</parameter>\n</func", [P], Level.CALL),  # the end of the message cuts the last one
    ],
)
def test_what_a_run_closes(text: str, kinds: list[TagKind], level: Level) -> None:
    run = run_of(text)
    assert ([tag.kind for tag in run.tags], run.level, run.followed_by) == (kinds, level, FollowedBy.END)


@pytest.mark.parametrize(
    ("text", "level", "kinds", "reached"),
    [
        ("</function>\n</tool_call>", Level.CALL, [F, W], Level.NOTHING),
        ("</execution>\n</tool_call>", Level.CALL, [F, W], Level.NOTHING),
        ("</tool_call>", Level.ENVELOPE, [W], Level.NOTHING),
        ("</foo>", Level.ENVELOPE, [W], Level.NOTHING),
    ],
)
def test_what_a_run_closes_behind_a_value(
    text: str, level: Level, kinds: list[TagKind], reached: Level
) -> None:
    run = run_of(text, place_in(key=""), level)
    assert ([tag.kind for tag in run.tags], run.level, run.cost < Cost.MISSING) == (kinds, reached, True)


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        ("</parameter>\n</function>\n</tool_call>", 0),
        ("</paramter>\n</function>", ALIKE),
        ("</paramter>\n</functon>", 2 * ALIKE),
        ("</foo>\n</function>", SHAPE),
        ("</function>", Cost.MISSING),
        ("</parameter>\n</tool_call>", Cost.MISSING),
        ("</tool_call>", 2 * Cost.MISSING),
        ("</parameter>\n</parameter>\n</function>", 1),  # one too many
    ],
)
def test_what_a_run_costs(text: str, cost: int) -> None:
    assert run_of(text).cost == cost


def test_a_missing_tag_costs_more_than_any_that_is_there() -> None:
    assert max(EXACT, TABLE, ALIKE, SHAPE) < Cost.MISSING


@pytest.mark.parametrize(
    ("text", "behind"),
    [
        ("</parameter>\n", FollowedBy.END),
        ("</parameter>\n<parameter=path>", FollowedBy.PARAMETER),
        ("</parameter>\n<parameterpath>", FollowedBy.PARAMETER),
        ("</parameter>\n<function=read>", FollowedBy.CALL),
        ("</parameter>\n<tool_call>\n<function=read>", FollowedBy.CALL),
        ("</parameter>\n<tool_call>\n{", FollowedBy.CALL),
        ("</parameter>\n<tool_call>\nof an envelope", FollowedBy.OTHER),
        ("</parameter>\n<function=nope>", FollowedBy.OTHER),
        ("</parameter> text", FollowedBy.OTHER),
        ("</parameter>\n<div>", FollowedBy.OTHER),
        ("</parameter>\n</function>\ntext", FollowedBy.OTHER),
        ("text", FollowedBy.OTHER),
        ("</div>\n</function>", FollowedBy.OTHER),
        ("</foo>\n</bar>\n</tool_call>", FollowedBy.OTHER),  # neither unknown word speaks for the other
    ],
)
def test_what_is_behind_a_run(text: str, behind: FollowedBy) -> None:
    assert run_of(text).followed_by is behind


def test_what_is_behind_is_where_the_run_ends() -> None:
    run = run_of("</parameter>\n</function>\ntext")
    assert run.end == len("</parameter>\n</function>")
    run = run_of("</parameter>\n<parameter=path>\nb")
    assert (run.end, run.tags[-1].kind, run.tags[-1].name) == (len("</parameter>\n"), OPEN_P, "path")


def test_a_parameter_opens_without_a_closer_before_it_once_and_at_a_line_start() -> None:
    text = "<parameter=path>\nb"
    assert run_of(text).followed_by is FollowedBy.PARAMETER
    assert run_of(text, place_in(given=("path",))).followed_by is FollowedBy.OTHER
    assert run_of(text.replace("path", "nope")).followed_by is FollowedBy.OTHER
    place = place_in()
    place.alone = False
    assert run_of(text, place).followed_by is FollowedBy.OTHER


def test_what_the_value_has_opened_itself_closes_nothing_of_ours() -> None:
    text = "</foo>\n</function>"
    assert run_of(text).level is Level.ENVELOPE
    place = place_in()
    place.inner.words["foo"] = 1
    assert (run_of(text, place).tags, run_of(text, place).level) == ([], Level.VALUE)
    place = place_in()
    place.inner.words["paramter"] = 1
    assert run_of("</paramter>\n</function>", place).tags == []


def test_in_markup_an_unknown_word_closes_nothing() -> None:
    place = place_in()
    place.inner.has_markup = True
    assert run_of("</foo>\n</function>", place).tags == []
    place = place_in()
    place.inner.has_markup = True
    assert run_of("</paramter>\n</function>", place).level is Level.ENVELOPE


def test_so_many_tags_are_looked_across() -> None:
    run = run_of("</parameter>" * (CLOSING_RUN + 2))
    assert (len(run.tags), run.followed_by) == (CLOSING_RUN, FollowedBy.END)


@pytest.mark.parametrize(
    "text",
    [
        "</parameter>\n</function>\n</tool_call>\n.\n",
        "</paramter>l\n</functon>\n<parameter=path>\n",
        "</foo>\n</function>\n<tool_call>\n<function=read>\n",
        "</parameter>\n<tool_call>\nno call\n",
        "</parameter>\n</func",
    ],
)
@pytest.mark.parametrize("base", [0, 1000])
def test_a_run_is_gone_on_with_when_more_text_comes(text: str, base: int) -> None:
    """At every cut, with text before it that goes, it comes to the same."""
    whole = read_run(place_in(), received(text, base), 0, Level.VALUE)
    assert isinstance(whole, Run)
    for pieces in all_cuts(text):
        place, so_far = place_in(), "before "
        for piece in pieces:
            so_far += piece
            run = read_run(place, received(so_far, base - 7, over=False), 7, Level.VALUE)
            assert run is MORE or run == whole, f"cut into {pieces}"
        assert read_run(place, received(so_far, base - 7), 7, Level.VALUE) == whole, f"cut into {pieces}"


def test_it_is_not_read_again() -> None:
    place = place_in()
    first = "</parameter>\n</function>\n<"
    assert read_run(place, received(first, over=False), 0, Level.VALUE) is MORE
    other = first.replace("</parameter>", "xxxxxxxxxxxx") + "/tool_call>\n"
    run = read_run(place, received(other), 0, Level.VALUE)
    assert isinstance(run, Run)
    assert [tag.kind for tag in run.tags] == [P, F, W]


def test_a_new_value_forgets_the_runs_of_the_last_one() -> None:
    place = place_in()
    run = run_of("</parameter>\n</function>", place)
    leave_value(place, run.tags[1:])
    assert in_last_run(place, len("</parameter>\n")) is run.tags[1]
    assert in_last_run(place, 0) is None
    enter_value(place, opener("path"), BASE, {"content", "path"})
    assert run_of("text", place).tags == []
