"""What a dialect writes: read back by the parser it is the same call, at every cut."""

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toolstream import ToolCallParser
from toolstream.events import Event, Repaired, Text, calls_of
from toolstream.grammar.dialects import DIALECTS, Dialect, qwen3_coder
from toolstream.repairs import Repair

WRITERS = [dialect for dialect in DIALECTS if dialect.writing]
NAMES = st.from_regex(r"[a-z][a-z0-9_.-]{0,11}", fullmatch=True)
LETTERS = st.sampled_from(" \t\n\r\"'\\{}[]:,=/<>é名😀\x00abc5")
READ_AS_MARKUP = re.compile(r"\r\Z|\n[ \t]*<\Z")  # half a line break; a bracket that seems to be doubled
TEXTS = st.text(LETTERS, max_size=24).filter(lambda text: not READ_AS_MARKUP.search(text))
SCALARS = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = {
    "string": TEXTS,
    "boolean": st.booleans(),
    "integer": st.integers(),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "array": st.lists(SCALARS | TEXTS, max_size=3),
    "object": st.dictionaries(NAMES, SCALARS | TEXTS, max_size=3),
}
writer = pytest.mark.parametrize("dialect", WRITERS, ids=lambda d: d.name)


@st.composite
def calls(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A tool, and arguments for it."""
    types = draw(st.dictionaries(NAMES, st.sampled_from(sorted(VALUES)), max_size=3))
    arguments = {key: draw(VALUES[kind]) for key, kind in types.items()}
    return declared(draw(NAMES), {key: {"type": kind} for key, kind in types.items()}), arguments


def declared(name: str, properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, **more, "parameters": parameters}}


def read(tool: dict[str, Any], *pieces: str) -> list[Event]:
    parser = ToolCallParser([tool], recovery="aggressive")
    events = [event for piece in pieces for event in parser.feed(piece)]
    return events + parser.close("stop")


@writer
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(call=calls())
def test_what_is_written_is_read_back(dialect: Dialect, call: tuple[dict[str, Any], dict[str, Any]]) -> None:
    tool, arguments = call
    name = tool["function"]["name"]
    assert dialect.writing
    text = dialect.writing.write_call(name, arguments)
    for cut in range(len(text)):
        events = read(tool, text[:cut], text[cut:])
        ((called, written),) = calls_of(events)
        assert (called, json.loads(written)) == (name, arguments)
        assert [event for event in events if isinstance(event, Text)] == []
        repairs = {event.repair for event in events if isinstance(event, Repaired)}
        assert repairs <= (set() if dialect.taught else {Repair.JSON_BODY})


@writer
def test_results_and_tools_have_in_them_what_they_are_about(dialect: Dialect) -> None:
    assert dialect.writing
    tool = declared("get_weather", {"city": {"type": "string"}}, description="Tells the weather.")
    written = dialect.writing.write_tools([tool])
    assert all(word in written for word in ("get_weather", "city", "Tells the weather."))
    assert "{" not in dialect.writing.write_result("get_weather", "sunny")
    assert "sunny" in dialect.writing.write_result("get_weather", "sunny")


def test_tools_as_elements() -> None:
    city = {"type": "string", "description": " Where. ", "enum": ["Rome", "Oslo"]}
    assert qwen3_coder.DIALECT.writing
    written = qwen3_coder.DIALECT.writing.write_tools([declared("weather", {"city": city}, description="x")])
    assert written.partition("<tools>\n")[2].partition("</tools>")[0] == (
        "<function>\n<name>weather</name>\n<description>x</description>\n<parameters>\n"
        "<parameter>\n<name>city</name>\n<type>string</type>\n<description>Where.</description>\n"
        '<enum>["Rome", "Oslo"]</enum>\n</parameter>\n'
        '<required>["city"]</required>\n</parameters>\n</function>\n'
    )
