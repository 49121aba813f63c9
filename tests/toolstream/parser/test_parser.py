"""What the cases cannot say: when something is said, what is held, and what it costs.

The cases compare whole outcomes. Here the parser is watched while it is fed: a name is out at
the `>` that completes it, a string streams character by character, text that can be no tag
does not wait (P14), at most a megabyte is held (P19), and the work per character does not
grow with the length of the input. Work is counted, not timed.
"""

import os
import random
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from support.cases import read_tool
from support.cuts import all_cuts
from support.outcome import gather, merged, run, text_of
from toolstream import ToolCallParser
from toolstream.events import (
    ArgumentsDelta,
    CallEnd,
    CallStart,
    Event,
    Repaired,
    Text,
)
from toolstream.grammar.grammar import LEVELS, grammar
from toolstream.ledger import Ledger
from toolstream.limits import EXCERPT, HELD, PIECE, WHITESPACE_RUN, WORDS
from toolstream.parser.buffer import Buffer
from toolstream.parser.place import Place
from toolstream.repairs import Refused, Repair
from toolstream.schema.rules import Action, Condition, Rule, Rules
from toolstream.schema.toolset import Toolset

FUZZ = "FUZZ" in os.environ

TOOLS = [
    read_tool("read(path: string, limit?: integer, lines?: array)"),
    read_tool("write(path: string, content: string)"),
    read_tool("refresh()"),
]
CALL = "<tool_call>\n<function=refresh>\n</function>\n</tool_call>"
IN_VALUE = "<tool_call>\n<function=write>\n<parameter=content>\n"


def character_by_character(text: str, parser: ToolCallParser) -> Iterator[tuple[str, list[Event]]]:
    """(text so far, the events that its last character set free)."""
    for at, char in enumerate(text, 1):
        yield text[:at], parser.feed(char)


def parser_in(text: str, **options: Any) -> ToolCallParser:
    """A parser that was fed this text."""
    parser = ToolCallParser(TOOLS, **options)
    parser.feed(text)
    return parser


@pytest.mark.parametrize("name", ["get weather", "say__hi", "mcp:ls", "täg"])
def test_a_name_is_what_the_request_declares(name: str) -> None:
    tools = [{"type": "function", "function": {"name": name}}]
    text = f"<tool_call>\n<function={name}>\n</function>\n</tool_call>"
    for pieces in all_cuts(text):
        assert run(pieces, tools).calls == [(name, "{}")]


# Live (P14)


def test_the_name_is_out_at_the_bracket_that_completes_it() -> None:
    text = "I will.\n\n<tool_call>\n<function=read>"
    said = {
        so_far: events for so_far, events in character_by_character(text, ToolCallParser(TOOLS)) if events
    }
    assert said[text] == [CallStart(0, "read")]
    assert not any(
        isinstance(e, CallStart) for so_far, events in said.items() for e in events if so_far != text
    )


def test_the_name_of_the_next_call_too() -> None:
    text = CALL + "\n<tool_call>\n<function=read>"
    *_, (_, last) = character_by_character(text, ToolCallParser(TOOLS))
    assert last == [CallStart(1, "read")]


def test_a_bare_name_waits_for_the_tag_behind_it() -> None:
    """A deviation from P14: prose may begin with `<function=read>`."""
    parser = parser_in("Text.\n<function=read>\n")
    assert parser.feed("<parameter=path") == []
    assert parser.pending == "\n<function=read>\n<parameter=path"
    assert parser.feed(">")[:2] == [
        Repaired(Repair.MISSING_TOOL_CALL_OPEN, "<function=read>"),
        CallStart(0, "read"),
    ]


def test_an_undeclared_name_waits_for_the_end_of_the_message() -> None:
    parser = ToolCallParser(TOOLS)
    assert parser.feed("<tool_call>\n<function=reboot>\n</function>\n</tool_call>\n") == []
    assert [type(e) for e in parser.close("stop")] == [Repaired, CallStart, ArgumentsDelta, CallEnd]


def test_a_string_streams_without_lag() -> None:
    """But for a line break with the indentation behind it, and the first character of a line, which may be
    what became of a bracket."""
    parser = parser_in(IN_VALUE)
    value = "def f(a, b):\n    return a > b  # `x` {[\"'\\ é 😀 & $  ;\n\tx = y\n\n"
    for so_far, events in character_by_character(value, parser):
        line = so_far[so_far.rfind("\n") + 1 :].lstrip()
        if len(line) > 1:
            assert parser.pending == ""
            assert len(events) == 1
            assert isinstance(events[0], ArgumentsDelta)
        else:
            assert parser.pending in ("\n" + so_far[so_far.rfind("\n") + 1 :], line)


@pytest.mark.parametrize(
    "line",
    [
        "for (i = 0; i<n; i++) { sum += a[i] << 1; }",
        "out << name << endl; return true;",
        "fit <- lm(y ~ x); print(fit); quit()",
        "cat <<'EOF' > notes.txt && echo it is done",
        "function add(a, b) { return a + b; }",
        "parameters of the function are not read",
        "if a ≤ b then the loop is over and done",
        "He said «no» and went away at once",
        "std::map<std::string, std::vector<int>> known = read(path);",
        "<ns:item key='a' value='b' more='and more'>text</ns:item>",
        "<!-- a comment that says what comes next -->",
        "- `</parameter>` and other tags are not read",
    ],
)
def test_in_a_line_of_a_string_no_more_waits_than_a_tag_has(line: str) -> None:
    """That is a bracket, a word, a name and a few attributes."""
    parser = parser_in(IN_VALUE)
    for so_far, _ in character_by_character(f"a\n{line}", parser):
        assert len(parser.pending.split()) <= 5, so_far


def test_a_line_break_in_a_string_waits_for_what_follows() -> None:
    parser = parser_in(IN_VALUE + "ab")
    assert (parser.feed("\n"), parser.pending) == ([], "\n")
    assert (parser.feed("\n"), parser.pending) == ([ArgumentsDelta(0, "\\n")], "\n")
    assert (parser.feed("bc"), parser.pending) == ([ArgumentsDelta(0, "\\nbc")], "")


@pytest.mark.parametrize("behind", [" and so on", "\nand so on"])
@pytest.mark.parametrize(
    "text",
    ["a < b", "a<b>", "</p>", "<para>", "</parax", "<functional>", "<tool_c>", "<|x", "`</parameter>`"],
)
def test_a_bracket_in_a_string_waits_only_while_it_may_be_a_tag(text: str, behind: str) -> None:
    parser = parser_in(IN_VALUE)
    parser.feed(text)
    parser.feed(behind)
    assert parser.pending == ""


@pytest.mark.parametrize("text", ["</p>x", "a<b>x", "a <= b", "</xyz>x", "<div class='x'>x"])
def test_what_is_no_tag_of_ours_waits_for_one_character(text: str) -> None:
    parser = parser_in(IN_VALUE + "so ")
    parser.feed(text)
    assert parser.pending == ""


@pytest.mark.parametrize(
    ("text", "behind"),
    [
        ("a < b ", ""),
        ("a<b>", ""),
        ("</p>", ""),
        ("a `", ""),
        ("<toolbar>", "x"),
        ("<callback>", "x"),
        ("a <function=reboot>", "x"),
        ("so <tool_calling", " and"),
        ("so <toolbar", " and"),
        ("so <invoker", " and so on\nxy"),
        ("<functional", " and so on\nxy"),  # it may have attributes
        ("<tool_calling", " and so on\nxy"),
        ("<|e", " and so on"),
        ("so <|e", " and so on"),
        ("a << b", " and so on"),
        ("<function=", " " * 300),
    ],
)
def test_prose_waits_only_while_it_may_be_a_tag(text: str, behind: str) -> None:
    parser = ToolCallParser(TOOLS)
    assert text_of([*parser.feed(text), *parser.feed(behind)]) + parser.pending == text + behind
    assert parser.pending == ""


def test_prose_streams_without_lag() -> None:
    """Blanks, too; but for the first character of a line."""
    prose = 'He\'s 5 > 3,  f(x) = `y`, *z* {"a": [1]} \\ é 😀 ```'
    parser = ToolCallParser(TOOLS)
    for so_far, events in character_by_character(prose, parser):
        assert parser.pending == ("" if len(so_far) > 1 else so_far)
        assert bool(events) is (len(so_far) > 1)


def test_an_envelope_in_prose_is_released_with_the_words_behind_it() -> None:
    parser = parser_in("The tag <tool_call>")
    assert parser.pending == "<tool_call>"
    assert parser.feed(" ") == []
    assert merged(parser.feed("is one")) == [Text("<tool_call> is one")]


def test_a_long_run_of_blanks_does_not_wait_as_a_whole() -> None:
    parser = parser_in("a" + " " * 1000)
    assert len(parser.pending) <= WHITESPACE_RUN


def test_a_value_that_is_no_string_comes_at_its_end() -> None:
    parser = parser_in("<tool_call>\n<function=read>\n<parameter=limit>\n")
    assert parser.feed("12345\n") == []
    assert merged(parser.feed("</parameter>\n</function>\n</tool_call>")) == [
        ArgumentsDelta(0, '{"limit": 12345}'),
        CallEnd(0),
    ]


def test_doubt_behind_a_closing_sequence_ends_with_the_next_call() -> None:
    parser = parser_in(IN_VALUE + "x\n</parameter>\n</function>\n</tool_call>\nprose")
    assert parser.pending.endswith("prose")
    events = parser.feed("\n<tool_call>\n<function=refresh>")
    assert [type(e) for e in merged(events)] == [ArgumentsDelta, CallEnd, Text, CallStart]


RULES = Rules(
    {
        "write": (
            Rule("a", Action.SET_DEFAULT, "path", Condition.MISSING_OR_EMPTY, "a.txt"),
            Rule("b", Action.PARSE_JSON_ARRAY, "tags", Condition.IS_STRING),
        ),
        "read": (Rule("c", Action.CONVERT_TOOL, "content", Condition.EXISTS, to="write"),),
    }
)


def test_with_rules_only_what_they_want_to_see_waits() -> None:
    parser = ToolCallParser(TOOLS, rules=RULES)
    assert parser.feed("<tool_call>\n<function=write>") == [CallStart(0, "write")]
    assert merged(parser.feed("\n<parameter=content>\nx y")) == [ArgumentsDelta(0, '{"content": "x y')]
    assert parser.feed(" and") == [ArgumentsDelta(0, " and")]
    assert parser.feed("</parameter>\n<parameter=path>\n") == [ArgumentsDelta(0, '"')]
    assert parser.feed("bc") == [ArgumentsDelta(0, ', "path": "bc')]
    assert parser.feed("</parameter>\n<parameter=tags>\n[1,") == [ArgumentsDelta(0, '"')]
    assert parser.feed("2]\n</parameter>\n") == []
    assert parser.close("stop")[:1] == [ArgumentsDelta(0, ', "tags": [1,2]')]


def test_a_call_that_may_become_one_of_another_tool_waits_for_its_end() -> None:
    parser = ToolCallParser(TOOLS, rules=RULES)
    call = CALL.removesuffix("</tool_call>").replace("refresh", "read")
    assert not any(events for _, events in character_by_character(call, parser))
    assert parser.feed("</") == [CallStart(0, "read"), ArgumentsDelta(0, "{}"), CallEnd(0)]


def test_not_live_says_nothing_of_a_call_before_it_is_complete() -> None:
    parser = ToolCallParser(TOOLS, live=False)
    for _, events in character_by_character(CALL.removesuffix("</tool_call>")[:-2], parser):
        assert events == []
    assert [type(e) for e in parser.feed(">")] == [CallStart, ArgumentsDelta, CallEnd]


# Close, and what is left


@pytest.mark.parametrize("recovery", LEVELS)
@pytest.mark.parametrize("finish", ["stop", "length", None])
def test_nothing_is_pending_behind_close_at_any_place(recovery: str, finish: str | None) -> None:
    text = f"a `b` <think>\n</think>\n{IN_VALUE}x < y\n</parameter>\n</function>\n</tool_call>\n{CALL}\nend"
    for at in range(len(text) + 1):
        run([text[:at]], TOOLS, finish, recovery=recovery)


UNFINISHED = [CALL, f"{CALL}\n<tool_", "<tool_call>\n<func", '<tool_call>\n{"name', "a \n"]


@pytest.mark.parametrize("held", UNFINISHED)
def test_what_is_interrupted_is_text_and_more_may_come(held: str) -> None:
    parser = ToolCallParser(TOOLS, reasoning=True)
    said = parser.feed(held) + parser.interrupt()
    assert (text_of(said), len(merged(said)), parser.pending) == (held, 1, "")
    assert set(parser.ledger.refused) <= {Refused.REASONING, Refused.NO_CALL, Refused.TRUNCATED}
    assert parser.interrupt() == []
    more = parser.feed(f"\n{CALL}") + parser.close("stop")
    assert more == [CallStart(0, "refresh"), ArgumentsDelta(0, "{}"), CallEnd(0)]


def test_recovery_is_one_of_three() -> None:
    with pytest.raises(ValueError, match="strict, tolerant, aggressive"):
        ToolCallParser(TOOLS, recovery="lenient")


@pytest.mark.parametrize("tools", [None, [], {}, "x", [None, 5, {"type": "function"}]])
def test_any_value_may_stand_for_tools(tools: Any) -> None:
    assert run([CALL], tools).text == CALL


def test_a_ledger_can_be_shared() -> None:
    ledger = Ledger()
    for _ in range(2):
        parser = ToolCallParser(TOOLS, ledger=ledger)
        parser.feed(CALL + "</tool_call>")
        parser.close("stop")
    assert (ledger.calls, ledger.repairs) == (2, {Repair.STRAY_CLOSER: 2})
    assert ledger.as_dict()["repairs"] == {"stray-closer": 2}


def test_excerpts_are_short() -> None:
    parser = ToolCallParser(TOOLS)
    body = '{"name": "refresh", "arguments": {"x": "' + "y" * 1000 + '"}}'
    (repaired,) = [e for e in parser.feed(f"<tool_call>{body}</tool_call>") if isinstance(e, Repaired)]
    assert repaired.excerpt == body[:EXCERPT]
    parser.feed(f"<tool_call>{'{' * 1000}")
    parser.close("stop")
    assert len(parser.ledger.refusals[-1].excerpt) == EXCERPT


def test_a_dropped_parallel_call_stays_silent_while_the_first_one_streams() -> None:
    parser = parser_in(CALL + "\n" + IN_VALUE + "x", parallel=False)
    assert parser.feed("more ") == []
    assert parser.feed("and more") == []
    assert parser.close("stop") != []


# Limits (P19)


@pytest.mark.parametrize(
    ("opener", "filler"),
    [
        ('<tool_call>{"name": "', "x"),
        ("<tool_call>\n<function=reboot>\n<parameter=x>\n", "x"),
        ("<think>\n<tool_call>\n<function=read>\n<parameter=path>\n", "line\n"),
        ("<tool_call>\n<function=read>\n<parameter=path>\n", "line\n"),
    ],
    ids=["JSON", "undeclared", "thinking", "whole for a rule"],
)
def test_past_a_megabyte_the_held_text_is_text(opener: str, filler: str) -> None:
    parser = ToolCallParser(TOOLS, rules=RULES)
    text = opener + filler * ((HELD + 200_000) // len(filler))
    sent, most = "", 0
    for at in range(0, len(text), 50_000):
        sent += text_of(parser.feed(text[at : at + 50_000]))
        most = max(most, len(parser.pending))
    assert HELD // 2 < most <= HELD + 50_000
    assert len(parser.pending) < 1000
    assert sent + parser.pending == text
    assert parser.ledger.refused[Refused.LIMIT] == 1
    assert run([], TOOLS).text == ""


def test_after_the_limit_a_call_is_still_found() -> None:
    text = '<tool_call>{"name": "' + "x" * (HELD + 10) + '"\n\n'
    outcome = run([text, CALL], TOOLS)
    assert outcome.calls == [("refresh", "{}")]
    assert outcome.text == text.rstrip()


def test_what_follows_a_candidate_does_not_count_as_held_for_it() -> None:
    """However much of the message there is already when a call begins that takes several looks."""
    call = '<tool_call>\n{"name": "refresh", "arguments": {"x": "%s"}}\n</tool_call>' % ("y" * 2 * PIECE)
    behind = "and on " * (HELD // 6)
    outcome = run([f"{call}\n{behind}"], TOOLS)
    assert [name for name, _ in outcome.calls] == ["refresh"]
    assert (outcome.text, outcome.refused) == ("\n" + behind, [])


def test_past_a_megabyte_of_doubt_the_likelier_reading_is_taken() -> None:
    parser = parser_in(IN_VALUE + "x\n</parameter>\n</function>\n</tool_call>\n")
    prose = "and so on " * (HELD // 10 + 1000)
    events = parser.feed(prose)
    assert parser.pending.strip() == ""
    assert text_of(events).strip() == prose.strip()


def test_a_long_value_is_not_limited() -> None:
    content = "line of a file\n" * (HELD // 10)
    outcome = run([IN_VALUE + content + "</parameter>\n</function>\n</tool_call>"], TOOLS)
    assert len(outcome.calls[0][1]) > HELD


def test_an_array_of_more_than_a_megabyte_leaves_its_call_open() -> None:
    parser = ToolCallParser([read_tool("tag(id: integer, labels: array)")])
    head, labels = (
        '<tool_call>\n{"name": "tag", "arguments": {"id": 1, "labels": ',
        "[" + '"a label", ' * 100_000,
    )
    events = parser.feed(head)
    for at in range(0, len(labels), 50_000):
        events += parser.feed(labels[at : at + 50_000])
    outcome = gather(events + parser.close("stop"))
    assert (outcome.text, outcome.calls, outcome.open_call) == (labels, [], ("tag", '{"id": 1'))
    assert parser.ledger.refused == {Refused.LIMIT: 1}


def test_more_than_a_megabyte_without_a_parameters_tag_is_text() -> None:
    parser, text = parser_in("<tool_call>\n<function=write>\n"), "and so on\n" * (HELD // 10 + 10_000)
    sent = "".join(text_of(parser.feed(text[at : at + 50_000])) for at in range(0, len(text), 50_000))
    assert (sent + text_of(parser.close("stop"))).strip() == text.strip()
    assert parser.ledger.repairs[Repair.TEXT_IN_CALL] == 1


def test_a_value_too_long_for_a_rule_goes_on() -> None:
    head = "<tool_call>\n<function=write>\n<parameter=tags>\n"
    parser = ToolCallParser([read_tool("write(tags: string|array)")], rules=RULES)
    parser.feed(head)
    gone = [parser.feed("tag" * 10_000) for _ in range(HELD // 30_000 + 2)]
    assert gone[0] == []
    assert gone[-1] != []
    assert parser.ledger.repairs == {}


# Work


class Work:
    """Counts what the library does: one for each call of a function, and one for each character of
    each string that it is handed, returns, or finds held where it may search or copy it. Going
    through the same text again and again shows."""

    def __init__(self) -> None:
        self.done = 0

    def __enter__(self) -> "Work":
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _count(self, frame: FrameType, event: str, returned: Any) -> None:
        if event not in ("call", "return") or "toolstream" not in frame.f_code.co_filename:
            return
        if event == "return":
            self.done += len(returned) if isinstance(returned, str) else 0
        else:
            self.done += 1
            for name, value in frame.f_locals.items():
                if isinstance(value, str):
                    self.done += len(value)
                elif name == "self":
                    self.done += len(getattr(value, "_text", "")) + len(getattr(value, "_blanks", ""))
                    self.done += len(value.text) if isinstance(value, Buffer) else 0


def work_per_character(prefix: str, unit: str, size: int, piece: int, recovery: str = "tolerant") -> float:
    text = prefix + unit * (size // len(unit))
    parser = ToolCallParser(TOOLS, recovery=recovery)
    with Work() as work:
        for at in range(0, len(text), piece):
            parser.feed(text[at : at + piece])
        parser.close("stop")
    return work.done / len(text)


UNITS = [
    *(" ", "<", "`", "\n", "a", "`<", "~~~\n", "```\n", "- ", "a `<tool_call> "),
    *("</parameter>", "\n</parameter>\n", "<tool_call>", "<tool_call>\n", "</tool_call>", "</function>\n"),
    *("<function=read>", "\n<function=read>\n", "<function=", "<parameter=path>\n", "<parameter name="),
    *("{", "[{", '{"a": [', '"', "\\", '<tool_call>{"name": "x"', "<think>", "</think>", "<|im_end|>"),
    *("<tool_call>\n<function=read>\n<parameter=path>\n", "</parameter>\n</function>\n</tool_call>\nx\n"),
    *(CALL, CALL + "</tool_call>", "<tool_call></tool_call>", '<tool_call>{"name": "reboot"}</tool_call>\n'),
    "<tool_call>\n<function=reboot>\n</function>\n</tool_call>\n",
    *("<read>\n<path>", "<name>read\n", "<name>x</name>\n", "<tools>{", "<function=name>\nread\n", "<x>\n"),
    *(
        "<parameter=read>\n",
        "<parameter=path=x</parameter>",
        "<function=read\n",
        "</function\n",
        "</parameter1>\n",
    ),
    *(
        "<arg_key>path</arg_key>\n",
        '<function=read x="',
        "<tool_call>read\n",
        '{"name": "read", "arguments": {\n',
    ),
    *(
        '<tool_call>\n{"name": "read, "arguments": {}}\n</tool_call>\n',
        "Calling tool: read({\n",
        "<result>\n",
    ),
    *(
        "</parameter>\nx\n",
        "</function>\nx\n",
        "<!--",
        "<!-- x -->\n",
        "| a | <tool_call> |\n",
        "> x\n",
        "+x\n",
    ),
    *(
        "<tool_call>\n</tool_call>",
        "<function=read>\n<tool_call>\n",
        '<tool_call>\n{"name": "read"}, "a": 1}\n',
    ),
    *(
        "</parameter>\n</parameter>\n",
        "</functon>\n",
        "]\n</parameter>\nx\n",
        "<result>\n</output>\n",
        "<path=",
    ),
    *("<function>\n", "<tools>\n", "<tool_cal", "<param"),
    *("</tool_call>\nx\n", "{\n", '[{"name": "read"}]\n', "<tool_call>\n<parameter=path>\nx\n</parameter>\n"),
]
PREFIXES = {
    "text": "",
    "lone backtick": "a ` b <tool_call> ",
    "value": IN_VALUE,
    "closed value": IN_VALUE + "x\n</parameter>",
    "integer": "<tool_call>\n<function=read>\n<parameter=limit>\n",
    "JSON": '<tool_call>{"name": "refresh", "arguments": {"x": "',
    "call": CALL,
    "doubt": IN_VALUE + "x\n</parameter>\n</function>\n</tool_call>\n",
    "undeclared": "<tool_call>\n<function=reboot>\n<parameter=x>\n",
    "nameless": "<tool_call>\n<parameter=path>\n",
    "no parameter": "<tool_call>\n<function=read>\ntext",
    "JSON as body": '<tool_call>\n<function=read>\n{"path": "',
    "untagged JSON": '{"name": "read", "arguments": {"path": "',
    "array": "<tool_call>\n<function=read>\n<parameter=lines>\n[",
    "spare value": "<tool_call>\n<function=read>\ntext\n</parameter>\n",
    "comment": "<!-- ",
    "table": "| a |\n",
    "direct": "<tool_call>\n<write>\n<content>\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("prefix", PREFIXES)
def test_work_is_linear(prefix: str, thorough: bool) -> None:
    """Twice as much is allowed: both sizes are past every bound of a look-ahead, and a third apart."""
    texts = [(unit, recovery) for unit in UNITS for recovery in ("tolerant", "aggressive")]
    count = 32 if prefix in ("text", "value") else 8
    sample = random.Random(prefix).sample(texts, count if thorough else count // 8)
    for unit, recovery in texts if FUZZ else sample:
        short, long = (
            work_per_character(PREFIXES[prefix], unit, size, 16, recovery) for size in (5_000, 15_000)
        )
        assert long <= 2 * short, f"{unit!r}: {short:.0f} per character, then {long:.0f}"


@pytest.mark.parametrize(("prefix", "unit"), [("value", "<|im_end|>"), ("lone backtick", "{")])
def test_a_run_of_what_may_end_the_message_is_not_read_again(prefix: str, unit: str) -> None:
    short, long = (work_per_character(PREFIXES[prefix], unit, size, 16) for size in (2_000, 6_000))
    assert long <= 2 * short, f"{short:.0f} per character, then {long:.0f}"


def test_a_plain_value_costs_a_few_calls_per_delta() -> None:
    assert work_per_character(IN_VALUE, "abcd", 40_000, 4) < 20


@pytest.mark.parametrize(
    ("prefix", "unit", "most"),
    [
        ("call", "<tools>\n", 420),
        ("text", "<tool_cal", 500),
        ("spare value", "<x>\n", 9_000),
        ("direct", "<param", 550),
        ("call", "<function>\n", 1_000),
        ("closed value", "<function=", 2_800),
    ],
)
def test_tags_of_no_call_cost_a_few_looks(prefix: str, unit: str, most: int) -> None:
    """In small deltas. What was found out about a tag counts when more text arrives, and for the same tag."""
    assert work_per_character(PREFIXES[prefix], unit, 3_000, 4) < most


def test_what_is_remembered_about_tags_has_a_bound() -> None:
    place = Place(Toolset.of(TOOLS, "auto", None), grammar("tolerant"))
    for number in range(2 * WORDS):
        place.slipped_opener(f"<t{number}>", 0, True, False)
    assert 0 < len(place._answers) <= WORDS


@pytest.mark.parametrize("unit", ["<a>", "<args>\n", "<a>path</a>", '<a name="x">', "```\n"])
def test_elements_in_elements_have_an_end(unit: str) -> None:
    text = "<tool_call>\n<function=read>\n" + unit * 5_000
    parser = ToolCallParser(TOOLS)
    events = [*parser.feed(text), *parser.close("stop")]
    assert parser.pending == ""
    assert any(isinstance(event, CallStart) for event in events)


def test_text_that_is_read_again_counts_for_the_steps() -> None:
    text = '<tool_call>\nread(path="' + "<tool_call>\n" * 1500
    found = run([text[at : at + 4] for at in range(0, len(text), 4)], TOOLS)
    assert found.calls == []
    assert found.text.startswith('<tool_call>\nread(path="')
