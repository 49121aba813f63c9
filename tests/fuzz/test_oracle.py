"""The fuzzer's own parts: what a slip makes of a call, and that the checks see what is wrong."""

import json
from typing import Any

import pytest

from fuzz.calls import CANONICAL, Call, Style, Tool, text_of, write, write_json
from fuzz.damage import SLIPS, letters
from fuzz.messages import Block, Message, check, check_unclear
from fuzz.mutations import Damaged, Reading, Site, double, drop, interrupt, sites, swap
from fuzz.truncation import Whole, cut
from support.outcome import Outcome

TOOL = Tool("write", (("path", "string", True), ("content", "string", True), ("limit", "integer", False)))
OTHER = Tool("read", (("path", "string", True),))
CALL = Call(TOOL, {"path": "a.py", "content": "x\n"})
TEXT = """\
<tool_call>
<function=write>
<parameter=path>
a.py
</parameter>
<parameter=content>
x

</parameter>
</function>
</tool_call>"""


def site(kind: str, key: str = "", call: Call = CALL, style: Style = CANONICAL) -> Site:
    """The place of one tag."""
    (found,) = (s for s in sites(call, style, [TOOL, OTHER]) if (s.tag.kind, s.tag.key) == (kind, key))
    return found


def without(line: str) -> str:
    return TEXT.replace(line + "\n", "", 1)


# Writing


def test_calls_are_written_as_models_write_them() -> None:
    assert text_of(write(CALL)) == TEXT
    crlf = Style("invoke", "\r\n", "", wrapped=False)
    assert text_of(write(Call(OTHER, {"path": "a"}), crlf)) == (
        '<invoke name="read">\r\n<parameter name="path">a</parameter>\r\n</invoke>'
    )
    flags = Call(TOOL, {"limit": 5, "flag": True})
    assert "<parameter=limit>\n5\n<" in text_of(write(flags))
    assert "<parameter=flag>\nTrue\n<" in text_of(write(flags, Style(python=True)))
    assert write_json(Call(OTHER, {"path": "é"})) == (
        '<tool_call>\n{"name": "read", "arguments": {"path": "é"}}\n</tool_call>'
    )


def test_a_tool_is_declared_as_a_case_has_it() -> None:
    assert str(TOOL) == "write(path: string, content: string, limit?: integer)"
    assert TOOL.declared()["function"]["parameters"]["required"] == ["path", "content"]


# Slips


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (drop(site("wrap_open")), without("<tool_call>")),
        (drop(site("wrap_close")), TEXT.removesuffix("\n</tool_call>")),
        (drop(site("parameter_open", "content")), without("<parameter=content>")),
        (drop(site("parameter_close", "path")), without("</parameter>")),
        (double(site("call_open")), TEXT.replace("<function=write>", "<function=write>\n<function=write>")),
        (double(site("wrap_close")), TEXT + "\n</tool_call>"),
        (swap(site("call_close")), TEXT.replace("</function>\n</tool_call>", "</tool_call>\n</function>")),
        (interrupt(site("call_open"), "Well,"), TEXT.replace("write>\n", "write>\nWell,\n")),
    ],
)
def test_a_slip_changes_one_place(found: Damaged | None, text: str) -> None:
    assert found
    assert found.text == text


def test_what_is_no_slip() -> None:
    assert swap(site("parameter_open", "path")) is None
    assert swap(site("wrap_close")) is None
    assert interrupt(site("parameter_open", "path"), "Well,") is None


def test_a_run_on_value_is_a_reading_where_an_opening_tag_is_missing() -> None:
    readings = drop(site("parameter_open", "content")).readings
    assert Reading({"path": "a.py\n</parameter>\nx\n"}, slips=0) in readings
    assert Reading(CALL.arguments) in readings


def test_a_call_without_a_name_is_one_only_if_the_tool_is_certain() -> None:
    assert drop(site("call_open")).readings == (Reading(CALL.arguments), Reading(None))
    twins = [TOOL, Tool("append", TOOL.types)]
    (found,) = (s for s in sites(CALL, Style(), twins) if s.tag.kind == "call_open")
    assert drop(found).readings == (Reading(None),)


# The check


def message(found: Damaged, lead: str = "Lead.\n\n", tail: str = "\n\nTail.") -> Message:
    """The damaged call between prose."""
    return Message((lead, Block("write", found.text, found.readings, slip=found.name), tail))


def outcome(text: str, *calls: tuple[str, Any]) -> Outcome:
    return Outcome([], text, [(name, json.dumps(arguments)) for name, arguments in calls], None, [], [])


RIGHT = ("write", CALL.arguments)
CLOSED = drop(site("parameter_close", "content"))


@pytest.mark.parametrize(
    ("found", "given"),
    [
        (CLOSED, outcome("Lead.\n\nTail.", RIGHT)),
        (drop(site("call_open")), outcome(f"Lead.\n\n{drop(site('call_open')).text}\n\nTail.")),
        (drop(site("parameter_open", "path")), outcome("Lead.a.py\n\nTail.", ("write", {"content": "x\n"}))),
    ],
)
def test_legal_outcomes(found: Damaged, given: Outcome) -> None:
    check(message(found), given, [TOOL], "tolerant")


@pytest.mark.parametrize(
    ("found", "given"),
    {
        "a value cut short": (CLOSED, outcome("Lead.\n\nTail.", ("write", {"path": "a.py", "content": "x"}))),
        "markup in a value": (
            CLOSED,
            outcome(
                "Lead.", ("write", {"path": "a.py", "content": "x\n\n</function>\n</tool_call>\n\nTail."})
            ),
        ),
        "an argument missing": (CLOSED, outcome("Lead.\n\nTail.", ("write", {"path": "a.py"}))),
        "an argument of another type": (
            CLOSED,
            outcome("Lead.\n\nTail.", ("write", {"path": 1, "content": "x\n"})),
        ),
        "another order": (CLOSED, outcome("Lead.\n\nTail.", ("write", {"content": "x\n", "path": "a.py"}))),
        "another tool": (CLOSED, outcome("Lead.\n\nTail.", ("read", CALL.arguments))),
        "text lost": (CLOSED, outcome("Lead.", RIGHT)),
        "blanks lost": (CLOSED, outcome("Lead.\nTail.", RIGHT)),
        "the call twice": (CLOSED, outcome("Lead.\n\nTail.", RIGHT, RIGHT)),
        "no call where it is certain": (CLOSED, outcome(f"Lead.\n\n{CLOSED.text}\n\nTail.")),
        "a call and its text": (CLOSED, outcome(f"Lead.\n\n{CLOSED.text}\n\nTail.", RIGHT)),
        "text of a refused call lost": (drop(site("call_open")), outcome("Lead.\n\n\n\nTail.")),
    }.values(),
)
def test_illegal_outcomes(found: Damaged, given: Outcome) -> None:
    with pytest.raises(AssertionError, match="not a legal outcome"):
        check(message(found), given, [TOOL], "tolerant")


def test_the_strict_level_may_not_mend() -> None:
    check(message(drop(site("wrap_open"))), outcome("Lead.\n\nTail.", RIGHT), [TOOL], "strict")
    check(message(CLOSED), outcome(f"Lead.\n\n{CLOSED.text}\n\nTail."), [TOOL], "strict")
    clean = Message(("", Block("write", TEXT, (Reading(CALL.arguments, slips=0),)), ""))
    with pytest.raises(AssertionError):
        check(clean, outcome(TEXT), [TOOL], "strict")


UNCLEAR = drop(site("call_close", style=Style(wrapped=False)))


def test_where_the_end_is_unclear_all_that_follows_is_text() -> None:
    said = Message((*message(UNCLEAR).parts, Block("write", TEXT, (Reading(CALL.arguments, slips=0),))))
    check(said, outcome(said.text), [TOOL], "tolerant")
    check(said, outcome(said.text), [TOOL], "strict")
    with pytest.raises(AssertionError):
        check(said, outcome(said.text.removesuffix(TEXT)), [TOOL], "tolerant")


def test_or_its_value_runs_on_to_the_closing_tags_of_a_further_call() -> None:
    right = Block("write", TEXT, (Reading(CALL.arguments, slips=0),))
    said = Message(("", message(UNCLEAR).blocks[0], "\n\nTail.\n\n", right, ""))
    value = said.text[said.text.index("x\n") : said.text.rindex("\n</parameter>")]
    check(said, outcome("", ("write", {"path": "a.py", "content": value})), [TOOL], "tolerant")
    for wrong in (value + "\n</parameter>", value.removeprefix("x"), value[:-1]):
        with pytest.raises(AssertionError):
            check(said, outcome("", ("write", {"path": "a.py", "content": wrong})), [TOOL], "tolerant")


def streamed(text: str, fragments: str) -> Outcome:
    return Outcome([], text, [], ("write", fragments), [], ["unclear-end"])


BUFFERED = Outcome([], 'Lead.\n\na "b"\n</x>\n\nTail.', [], None, [], ["unclear-end"])


@pytest.mark.parametrize("fragments", ['{"path": "a \\"b\\"\\n</x>\\n\\nTail.', '{"path": "a.py"', ""])
def test_what_may_have_streamed_of_it(fragments: str) -> None:
    check_unclear(BUFFERED.text, streamed("Lead.", fragments), BUFFERED)


@pytest.mark.parametrize(
    ("text", "fragments"), [("Lead.", '{"path": "a \\"b\\"\\n</x>'), ("Another.", '{"path": "Tail.')]
)
def test_what_may_not_have_streamed_of_it(text: str, fragments: str) -> None:
    with pytest.raises(AssertionError):
        check_unclear(BUFFERED.text, streamed(text, fragments), BUFFERED)


# A message that breaks off


@pytest.mark.parametrize(
    ("end", "stopped", "legal"),
    [
        ("<tool_call>\n<functi", True, [None]),
        ("<function=write>", False, [None]),
        ("<function=write>", True, [{}, None]),
        ("a.p", False, [None]),
        ("a.p", True, [{"path": "a.p"}]),
        ("a.py\n</para", True, [{"path": "a.py"}]),
        ("</functio", True, [CALL.arguments]),
        ("</functio", False, [None]),
        ("</function>", False, [CALL.arguments]),
    ],
)
def test_what_a_message_may_be_that_breaks_off(end: str, stopped: bool, legal: list[Any]) -> None:
    size = TEXT.index(end) + len(end)
    found, _ = cut([Whole(CALL, Style())], size, stopped)
    assert found.text == TEXT[:size]
    readings = [reading.arguments for reading in found.blocks[0].readings]
    assert [arguments for arguments in legal if arguments not in readings] == []
    assert None in legal or None not in readings
    assert legal == [None] or any(arguments is not None for arguments in readings)


# Damaged JSON


@pytest.mark.parametrize(
    ("slip", "text"),
    {
        "trailing_comma": '{"a": "b\\nc", "d": true,}',
        "raw_line_breaks": '{"a": "b\nc", "d": true}',
        "python_words": '{"a": "b\\nc", "d": True}',
        "surplus_brace": '{"a": "b\\nc", "d": true}}',
        "empty_object_before": '{}{"a": "b\\nc", "d": true}',
        "twice": '{"a": "b\\nc", "d": true}{"a": "b\\nc", "d": true}',
        "double_encoded": '"{\\"a\\": \\"b\\\\nc\\", \\"d\\": true}"',
        "no_last_brace": '{"a": "b\\nc", "d": true}',  # a word shows no end of its own
        "closing_tags_behind": '{"a": "b\\nc", "d": true}\n</parameter>\n</function>',
    }.items(),
)
def test_slips_in_json(slip: str, text: str) -> None:
    value = {"a": "b\nc", "d": True}
    assert {function.__name__: function for function in SLIPS}[slip](json.dumps(value), value) == text


def test_no_last_brace() -> None:
    (slip,) = (function for function in SLIPS if function.__name__ == "no_last_brace")
    assert slip('{"a": [1] }', {"a": [1]}) == '{"a": [1]'


def test_letters_are_the_same_however_they_are_escaped() -> None:
    assert letters('{"é": "a\\nb"}') == letters('{"\\u00e9": "a\nB"}') == "éab"
    assert letters("ab") != letters("ba")
