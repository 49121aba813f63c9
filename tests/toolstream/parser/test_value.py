"""Where a value ends (P4, P5), at every cut.

The cases say what becomes of whole calls; here are the edges of the rule: look-ahead, examples, limits, what
stands behind a complete run of closing tags, and the end of the text.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from support.cases import read_tool
from support.cuts import all_cuts
from support.outcome import merged, run, text_of
from toolstream import ToolCallParser
from toolstream.events import ArgumentsDelta, CallEnd, Event
from toolstream.limits import AFTER_CALL, CLOSING_RUN, LOOK_AHEAD

TOOLS = [
    read_tool("write(path: string, content: string, size?: integer)"),
    read_tool("read(path: string)"),
]
END = "\n</parameter>\n</function>\n</tool_call>"
EXAMPLE = "<tool_call>\n<function=write>\n<parameter=path>\nx\n</parameter>\n</function>\n</tool_call>"

# Examples that the value leaves open: only the end of the message says that the run behind them is ours
UNFINISHED = [EXAMPLE.removesuffix("</tool_call>"), "<tool_call>\nand no more of it"]


def opening(key: str = "content", given: Iterable[str] = ()) -> str:
    """A call up to the opening tag of a value, behind parameters that were given."""
    others = "".join(f"<parameter={other}>\nz\n</parameter>\n" for other in given)
    return f"<tool_call>\n<function=write>\n{others}<parameter={key}>"


@dataclass(frozen=True)
class Ended:
    """What came of a value: its call's other arguments and calls behind it included, and the text behind."""

    value: Any
    behind: str = ""
    others: dict[str, Any] = field(default_factory=dict)
    calls: tuple[str, ...] = ()  # the names of those behind
    missing_close: bool = False
    open: bool = False  # the call is left unfinished


def read(text: str, finish: str | None = "stop", key: str = "content", given: Iterable[str] = ()) -> Ended:
    """Feed the text behind an opening tag at every cut, and close."""
    outcomes: list[Ended] = []
    for pieces in all_cuts(text):
        outcome = run([opening(key, given), *pieces], TOOLS, finish)
        name, arguments = outcome.open_call or outcome.calls[0]
        assert name == "write"
        object_ = json.loads(arguments + '"}' if outcome.open_call else arguments)
        ended = Ended(
            object_.pop(key),
            outcome.text,
            {other: value for other, value in object_.items() if other not in given},
            tuple(name for name, _ in outcome.calls[1:]),
            "missing-parameter-close" in outcome.repairs,
            outcome.open_call is not None,
        )
        assert ended in outcomes or not outcomes, f"cut into {pieces}"
        outcomes.append(ended)
    return outcomes[0]


def parser_in(text: str, key: str = "content") -> ToolCallParser:
    """A parser that was fed this text behind an opening tag."""
    parser = ToolCallParser(TOOLS)
    parser.feed(opening(key) + text)
    return parser


def said(events: list[Event]) -> str:
    """What was said of the arguments."""
    return "".join(event.fragment for event in events if isinstance(event, ArgumentsDelta))


@pytest.mark.parametrize(
    ("text", "ended"),
    [
        ("\na" + END, Ended("a")),
        ("a</parameter></function>", Ended("a")),
        ("\n\na\n" + END, Ended("\na\n")),
        ("\na\n</parameter>", Ended("a")),
        ("\na\n</parameter>\n</tool_call>", Ended("a")),
        ("\na\n</parameter> \t\n </function>", Ended("a")),
        ("\na\n</parameter>" + " " * LOOK_AHEAD + "</function>", Ended("a")),
        ("\na\n</parameter>\n</parameter>\n</function>", Ended("a")),
        ("\na\n</parameter>\n<tool_call>\n<function=read>", Ended("a", calls=("read",))),
        ("\na\n</parameter>\n<parameter=path>\nb" + END, Ended("a", others={"path": "b"})),
        ("\na\nb </parameter></function></tool_call>", Ended("a\nb ")),
        ("\na\n</parameter>\n<function>\n</tool_call>", Ended("a")),  # without its slash
        ("\na\n</parameter>\n<function>", Ended("a")),
    ],
)
def test_ends_where_a_tag_follows_that_may(text: str, ended: Ended) -> None:
    assert read(text) == ended


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("\r\na\r\n</parameter>\r\n</function>", "a"),
        ("\r\n\r\na\r\n\r\n</parameter>\r\n</function>", "\r\na\r\n"),
        ("\r\na\r\n  </parameter>\r\n</function>", "a"),
        ("\na\n  </parameter>\n</function>", "a"),
        ("\na\n \t</parameter>\n</function>", "a"),
        ("\n  a\n    </parameter>\n  </function>\n</tool_call>", "  a"),
        ("\na\n  \n  </parameter>\n</function>", "a\n  "),
        ("\na\n" + " " * 40 + "</parameter>\n</function>", "a"),
        ("\na\n  </parameter></function>", "a\n  "),  # it has not its line for itself
        ("\na  </parameter>\n</function>", "a  "),
        ("  </parameter>\n</function>", "  "),
        ("\n\n\n" + END, "\n\n"),
        ("\n" + END, ""),
        (END, ""),
    ],
)
def test_one_line_break_and_the_indentation_of_the_closer_are_markup(text: str, value: str) -> None:
    assert read(text) == Ended(value)


@pytest.mark.parametrize(
    "payload",
    [
        'x = "</parameter>"',
        "</parameter> and more",
        "a\n</parameter>\nb",
        "</parameter>" + " " * (LOOK_AHEAD + 1) + ".",
        "x </parameter",
        "</function> quoted",
        "</tool_call> quoted",
        "a\n</function>\nb",
        "see <parameter=path>",
        "<parameter=undeclared>\nx",
        "<parameter=content>\nx",
        EXAMPLE,
        f"a\n{EXAMPLE}\nb",
        f"{EXAMPLE}\n{EXAMPLE}",
        EXAMPLE.replace("\n", "\n  "),
        EXAMPLE.replace("\n", "\r\n"),
        *UNFINISHED,
        f"one{END}\ntwo",
        f"one{END}\ntwo{END}\nthree",
        "<tool_call> <function=read> in a line",
        "a\nb `</parameter></function></tool_call>` c",
        "<fraction>\n1\n</fraction>",
        "<circle>\n<diameter>\n1\n</diameter>\n</circle>",
        "<",
        "\n\n",
        "",
    ],
)
def test_payload(payload: str) -> None:
    assert read(f"\n{payload}{END}") == Ended(payload)
    if payload not in UNFINISHED:
        assert read(f"\n{payload}{END}\nDone.") == Ended(payload, "\nDone.")


@pytest.mark.parametrize(
    ("text", "value", "others"),
    [
        ("\na\n</function>", "a", {}),
        ("\na\n</function>\n</tool_call>", "a", {}),
        ("\na\n</tool_call>", "a", {}),
        ("\na\n<parameter=path>\nb", "a", {"path": "b"}),
        ("a</function>", "a", {}),
        ("\na\n</function>\n<tool_call>", "a", {}),
        ("\na", "a", {}),
        ("\na\n", "a", {}),
        ("\na\n</param", "a", {}),
        ("", "", {}),
    ],
)
def test_ends_without_its_closer(text: str, value: str, others: dict[str, Any]) -> None:
    assert read(text) == Ended(value, others=others, missing_close=True)


def test_a_blank_behind_the_opening_tag_is_markup_of_one_line_without_a_closer() -> None:
    assert read(" a\n</function>") == Ended("a", missing_close=True)
    assert read(" a\nb\n</function>") == Ended(" a\nb", missing_close=True)
    assert read(" a</parameter>\n</function>") == Ended(" a")


def test_a_sibling_given_already_is_payload() -> None:
    text = f"\na\n<parameter=path>\nb{END}"
    assert read(text, given=("path",)) == Ended("a\n<parameter=path>\nb")
    assert read(text) == Ended("a", others={"path": "b"}, missing_close=True)


@pytest.mark.parametrize("finish", ["stop", "length", None])
def test_prose_behind_the_call_is_no_payload_once_the_message_ends(finish: str | None) -> None:
    assert read(f"\na{END}\nDone.", finish) == Ended("a", "\nDone.")


@pytest.mark.parametrize("finish", ["length", None])
def test_a_message_that_was_cut_ends_no_value(finish: str | None) -> None:
    assert read("\nabc\n</para", finish) == Ended("abc", open=True)
    assert read("\nabc\nd", finish) == Ended("abc\nd", open=True)


# Examples


def test_a_run_that_the_message_ends_with_is_ours_whatever_example_is_open() -> None:
    assert read(f"\n{EXAMPLE}") == Ended(EXAMPLE.removesuffix(END))


@pytest.mark.parametrize("example", [EXAMPLE, EXAMPLE.removeprefix("<tool_call>\n")])
def test_text_behind_the_end_of_an_example_is_payload_if_a_second_run_follows(example: str) -> None:
    assert read(f"\n{example}\nmore{END}") == Ended(f"{example}\nmore")


def test_a_run_that_closes_an_envelope_which_no_example_opened_may_be_ours() -> None:
    example = EXAMPLE.removeprefix("<tool_call>\n")
    assert read(f"\n{example}\nDone.") == Ended(example.removesuffix(END), "\nDone.")
    assert read(f"\n{EXAMPLE}\nDone.") == Ended(f"{EXAMPLE}\nDone.", missing_close=True)


# Behind a complete run


def test_what_stands_behind_a_complete_run_is_held_until_it_is_known_whose_it_is() -> None:
    parser = parser_in("\nab")
    assert parser.feed(f"{END}\nmore") == []
    assert parser.pending == f"{END}\nmore"
    assert said(parser.feed(f"{END}\n!\n")) == json.dumps(f"{END}\nmore")[1:-1]
    assert parser.pending == f"{END}\n!\n"
    assert text_of(parser.close("stop")) == "\n!\n"


@pytest.mark.parametrize(
    ("gap", "is_payload"), [(AFTER_CALL - 1, True), (AFTER_CALL + 1, False), (4 * AFTER_CALL, False)]
)
def test_a_second_run_counts_for_so_many_characters(gap: int, is_payload: bool) -> None:
    between = "\n" + ("word " * gap)[: gap - 2] + "\n"
    ended = read(f"\na{END}{between}{END.lstrip()}")
    expected = Ended(f"a{END}{between.removesuffix(chr(10))}") if is_payload else Ended("a", between.rstrip())
    assert ended == expected


def test_behind_so_many_characters_the_call_is_over_and_text_flows() -> None:
    parser = parser_in(f"\na{END}\n")
    held, events = "\n", list[Event]()
    while not events and len(held) < 2 * AFTER_CALL:
        held += "word"
        events = parser.feed("word")
    assert AFTER_CALL <= len(held) < AFTER_CALL + 8
    assert any(isinstance(event, CallEnd) for event in events)
    assert (text_of(events), parser.pending) == (held, "")
    assert text_of(parser.feed(" on")) == " on"


@pytest.mark.parametrize(
    ("call", "before"),
    [
        ("\n<tool_call>\n<function=read>\n<parameter=path>\nx", ""),
        (" <tool_call>\n<function=read>\n<parameter=path>\nx", " "),
        ("\n<function=read>\n<parameter=path>\nx", ""),
    ],
)
def test_a_call_behind_a_complete_run_shows_that_this_one_is_over(call: str, before: str) -> None:
    assert read(f"\na{END}\nprose{call}{END}") == Ended("a", "\nprose" + before, calls=("read",))


def test_a_direct_tag_behind_a_complete_run_shows_nothing() -> None:
    payload = f"a{END}\nsee <read>\n<path>x</path>\n</read>"
    assert read(f"\n{payload}{END}") == Ended(payload)


def test_what_is_no_string_is_never_in_doubt() -> None:
    assert read(f"\n5{END}\nDone.", key="size") == Ended(5, "\nDone.")
    assert read(f"\n5{END}\nDone.{END}", key="size").value == 5


def test_what_is_no_string_is_out_with_the_first_word_behind_the_call() -> None:
    parser = parser_in("\n5", "size")
    events = parser.feed(f"{END}\nDo")
    assert merged(events)[:2] == [ArgumentsDelta(0, '{"size": 5}'), CallEnd(0)]
    assert text_of(events) + parser.pending == "\nDo"


# Bounds


@pytest.mark.parametrize("count", [CLOSING_RUN - 1, CLOSING_RUN, CLOSING_RUN + 1, 5 * CLOSING_RUN])
def test_any_number_of_closers_in_a_row_ends_a_value(count: int) -> None:
    assert read("\na" + "\n</parameter>" * count + "\n</function>") == Ended("a")


@pytest.mark.parametrize("tag", ["</tool_call>", "</function>"])
@pytest.mark.parametrize("count", [CLOSING_RUN - 1, CLOSING_RUN, CLOSING_RUN + 1, 5 * CLOSING_RUN])
def test_closers_of_calls_are_payload_before_the_values_own(tag: str, count: int) -> None:
    value = "# Doc" + f"\n{tag}" * count
    assert read(f"\n{value}{END}") == Ended(value)


def test_fewer_closers_are_payload_before_text_and_the_end_of_the_value() -> None:
    assert read("\na" + "\n</parameter>" * 3 + "\nb" + END).value.endswith("</parameter>\nb")


def test_a_string_is_out_at_once() -> None:
    parser = parser_in("\nso")
    for char in "me text > and `more`":
        assert said(parser.feed(char)) == char
        assert parser.pending == ""
    assert parser.feed("\n") == []
    assert parser.pending == "\n"
    assert said(parser.feed("more")) == "\\nmore"
    assert parser.feed("<") == []
    assert parser.pending == "<"
    assert said(parser.feed("b>")) == "<b>"
