"""Filled text has the same length and means the same to the rules."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proxy import WEATHER

from qwenproxy.recording.placeholder_text import Filler, decode, encode, vocabulary

PLAIN = [*'<>"\\\n é東🙂07={}`\u00a0', "true", "word", "city", "1e5", "</function>", "get_weather"]
ODD = ["\\n", "\\u00e9", "\\x41", "\ud83d", "\udcff"]  # escapes, halves of pairs
PIECES = st.sampled_from([*PLAIN, *ODD])
TEXTS = st.lists(PIECES, max_size=20).map("".join) | st.text(max_size=40)


def _utf_16(text: str) -> bytes:
    return text.encode("utf-16", "surrogatepass")


@given(TEXTS)
def test_lengths_stay_and_words_go(text: str) -> None:
    filler = Filler([WEATHER])
    for filled in (filler.text(text), filler.document(text)):
        assert len(filled) == len(text)
        assert [len(c.encode("utf-8", "surrogatepass")) for c in filled] == [
            len(c.encode("utf-8", "surrogatepass")) for c in text
        ]
        assert [c.isspace() for c in filled] == [c.isspace() for c in text]
        assert "word" not in filled


@given(TEXTS)
def test_a_json_document_stays_one(text: str) -> None:
    value = {"city": text, "days": [1, 2.5, -3e5, True, None, text], "nested": json.dumps([text])}
    filled = json.loads(Filler([WEATHER]).document(json.dumps(value)))
    assert len(_utf_16(filled["city"])) == len(_utf_16(text))
    numbers = filled["days"]
    assert [type(n) for n in numbers] == [int, float, float, bool, type(None), str]


@given(TEXTS, st.booleans())
def test_a_json_string_is_written_as_it_was(text: str, ascii_only: bool) -> None:
    inside = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
    decoded, pieces = decode(inside)
    assert encode(pieces, decoded) == inside
    assert json.loads(f'"{inside}"') == json.loads(f'"{encode(pieces, decoded)}"')


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>\n<function=get_weather>\n<parameter=city>\n",
        "</parameter>\n</function>\n</tool_call><|im_end|></think>",
        '<function name="Get-Weather"><parameter name="city" type="json">',
        "<city>",
        "</tool_cal",
        "</functi",
        '{"name": "functions.get_weather", "arguments": {"city": null}}',
        "```json\n[true, False, None, 0, 0.00]\n```",
        "  \t\r\n\u2028",
        "",
    ],
)
def test_what_decides_how_it_is_read_stays(text: str) -> None:
    assert Filler([WEATHER]).text(text) == text


@pytest.mark.parametrize(
    "text",
    ["<function=launch_missiles>", "<secretive>", "Zürich", "3", "12.5", "plan B", "a", "<func_secret>"],
)
def test_what_does_not_goes(text: str) -> None:
    assert Filler([WEATHER]).text(text) != text


def test_an_integer_stays_one_however_it_is_written() -> None:
    for written in ("3", "-40", "5.0", "1e3", "9007199254740993"):
        filled = Filler([WEATHER]).text(f"\n{written}\n")
        assert float(filled).is_integer()
        assert ("." in filled, "e" in filled) == ("." in written, "e" in written)


def test_enum_values_stay_and_tell_themselves_apart_from_the_rest() -> None:
    tools = [{"function": {"parameters": {"properties": {"unit": {"enum": ["celsius", 4]}}}}}]
    assert vocabulary(tools) == {"unit", "celsius", "4"}
    assert Filler(tools).text('"celsius"\n4\n') == '"celsius"\n4\n'


def test_what_is_alike_stays_alike_and_the_rest_different() -> None:
    filler = Filler([WEATHER])
    assert filler.text("Oslo") == filler.text("Oslo") != filler.text("Bern")
    assert json.loads(filler.document('{"a": "Oslo\\n\\"x\\"", "n": 3}')) == {
        filler.text("a"): filler.text('Oslo\n"x"'),
        filler.text("n"): int(filler.text("3")),
    }


def test_a_made_up_name_is_never_a_declared_one() -> None:
    tools = [{"function": {"name": letter}} for letter in "gchdkjpq"]
    names = {tool["function"]["name"] for tool in tools}
    filler = Filler(tools)
    for unknown in ("x", "y", "z", "u"):
        assert filler.text(f"<function={unknown}>")[len("<function=") : -1] not in names
