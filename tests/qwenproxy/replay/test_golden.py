"""Goldens: how they are made, their files, and how differences are shown."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from answers import BUFFERED, CUT, ERROR, LEAKING, PROSE, answer, native
from hypothesis import given
from hypothesis import strategies as st
from proxy import chunk, events

from qwenproxy.recording.format import Recording
from qwenproxy.replay.golden import (
    Golden,
    GoldenError,
    dumps,
    golden,
    golden_path,
    load,
    loads,
)
from qwenproxy.replay.golden_diff import difference
from qwenproxy.replay.outline import Call, Message
from qwenproxy.replay.rerun import outcome
from toolstream.ledger import Ledger

HEALED = Golden(
    unchanged=False,
    choices=(
        Message("Let me see.", "", (Call("get_weather", '{"city": "Zürich", "days": 3}'),), "tool_calls"),
    ),
    repairs={"missing-tool-call-open": 1},
)


def came_to(recording: Recording) -> Golden:
    return outcome(recording, recording.chunks)


def passed(*chunks: bytes) -> Golden:
    """Return the golden of an unchanged stream."""
    body = b"".join(chunks)
    return golden(body, body, True, Ledger())


# Reading


def test_a_leaking_answer_streamed_or_not() -> None:
    assert came_to(LEAKING) == came_to(BUFFERED) == HEALED


def test_prose_is_unchanged() -> None:
    result = came_to(PROSE)
    assert (result.unchanged, result.repairs) == (True, {})
    assert result.choices == (Message("Use `<tool_call>`,\nor do not.", finish_reason="stop"),)


def test_a_call_that_breaks_off_is_kept_as_text() -> None:
    (message,) = came_to(CUT).choices
    (call,) = message.calls
    assert (call.values, call.name, message.finish_reason) == (None, "get_weather", None)
    assert call.arguments.startswith('{"city": "Z')


def test_an_error_is_its_message() -> None:
    assert came_to(ERROR) == Golden(error="too long")
    assert passed(b'data: {"error": "gone"}\n\n').error == "gone"


def test_a_call_the_server_parsed_has_no_id_and_sorted_keys() -> None:
    result = came_to(answer("native", native(['{"days": 3, ', '"city": "Oslo"}'])))
    assert result.choices[0].calls == (Call("get_weather", '{"city": "Oslo", "days": 3}'),)
    assert result.unchanged


@pytest.mark.parametrize("arguments", ['{"a": 1', "[]", '{"a": 1, "a": 2}', '{"a": NaN}', ""])
def test_arguments_that_are_no_object_stay_text(arguments: str) -> None:
    (call,) = passed(*native([arguments])).choices[0].calls
    assert (call.values, call.arguments) == (None, arguments)


def test_reasoning_and_choices_are_told_apart() -> None:
    other = chunk({"content": "B"}).replace(b'"index": 0', b'"index": 1')
    thoughts = [{"reasoning_content": "a"}, {"reasoning": "b"}, {"thinking": "c"}]
    thoughts.append({"reasoning": "d", "reasoning_content": "d"})
    result = passed(*map(chunk, thoughts[:2]), other, *map(chunk, thoughts[2:]), chunk({"content": "A"}))
    assert [(m.content, m.reasoning) for m in result.choices] == [("A", "abcd"), ("B", "")]


@pytest.mark.parametrize("data", ["null", "[]", "{", '{"choices": 1}', '{"choices": [{"delta": 1}]}'])
def test_nothing_a_server_sends_fails(data: str) -> None:
    assert passed(f"data: {data}\n\n".encode()).error == ""


def test_a_crash_is_its_last_line() -> None:
    ledger = Ledger()
    ledger.failure = "Traceback …\nValueError: no\n"
    assert golden(b"", b"", True, ledger).crash == "ValueError: no"


# Files


def test_the_file_can_be_reviewed() -> None:
    text = dumps(replace(HEALED, choices=(replace(HEALED.choices[0], content="one\ntwo\n"),)))
    assert '"content": [\n        "one",\n        "two",\n        ""\n      ],' in text
    assert '"arguments": {\n            "city": "Zürich",' in text
    assert list(json.loads(text)) == ["v", "unchanged", "choices", "repairs", "refused"]
    assert text.endswith("}\n")


TEXT = st.text(st.characters(), max_size=20)


@given(TEXT, TEXT, st.booleans(), st.dictionaries(TEXT, st.integers() | TEXT | st.none()))
def test_what_is_written_is_read_again(
    content: str, name: str, unchanged: bool, values: dict[str, object]
) -> None:
    arguments = json.dumps(values, ensure_ascii=False, sort_keys=True)
    message = Message(content, name, (Call(name, arguments), Call(name, content)), None)
    written = Golden(unchanged, (message,), {"a": 1}, {"b": 2}, name, content)
    assert loads(dumps(written)) == written


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"v": 1}', '{"v": 1, "choices": 3}'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.golden.json"
    path.write_text(text)
    with pytest.raises(GoldenError, match=r"bad\.golden\.json: not a golden"):
        load(path)


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = golden_path(tmp_path / "new.flow")
    path.write_text(dumps(HEALED).replace('"v": 1', '"v": 2'))
    with pytest.raises(GoldenError, match=r"new\.golden\.json: not a golden: format version 2, only 1"):
        load(path)


# Differences


def test_equal_ones_do_not_differ() -> None:
    assert difference(HEALED, came_to(LEAKING)) == []


def test_each_field_says_what_changed() -> None:
    (message,) = HEALED.choices
    call = Call("get_weather", '{"city": "Oslo", "unit": "C"}')
    changed = replace(message, content="Let me.\nYes. ", calls=(call,), finish_reason="stop")
    actual = Golden(True, (changed,), {"stray-closer": 2}, {"fenced": 1}, "no", "ValueError")
    assert difference(HEALED, actual) == [
        "content:",
        "    @@ -1 +1,2 @@",
        "    -Let me see.",
        "    +Let me.",
        "    +Yes.·",
        "call 1, get_weather:",
        "    argument city:",
        '      - "Zürich"',
        '      + "Oslo"',
        "    argument days:",
        "      - 3",
        "    argument unit:",
        '      + "C"',
        "finish_reason:",
        '    - "tool_calls"',
        '    + "stop"',
        "repairs: missing-tool-call-open, 1 expected, none came",
        "repairs: stray-closer, none expected, 2 came",
        "refused: fenced, none expected, 1 came",
        "error:",
        '    - ""',
        '    + "no"',
        "crash:",
        '    - ""',
        '    + "ValueError"',
        "bytes: the client now gets the bytes the server sent",
    ]


def test_types_and_lines_of_arguments_count() -> None:
    before = replace(HEALED, choices=(Message(calls=(Call("f", '{"a": 1, "t": "x\\ny\\nz"}'),)),))
    after = replace(HEALED, choices=(Message(calls=(Call("f", '{"a": 1.0, "t": "x\\nY\\nz"}'),)),))
    assert difference(before, after) == [
        "call 1, f:",
        "    argument a:",
        "      - 1",
        "      + 1.0",
        "    argument t:",
        "        @@ -1,3 +1,3 @@",
        "         x",
        "        -y",
        "        +Y",
        "         z",
    ]


def test_calls_come_and_go() -> None:
    broken = Message(calls=(Call("f", "{}"), Call("f", '{"a')))
    lines = difference(Golden(choices=(Message(),)), Golden(choices=(broken, Message())))
    assert lines == [
        "choices: 1 expected, 2 came",
        "choice 0, call 1:",
        "    + f {}",
        "choice 0, call 2:",
        '    + f {"a (not a JSON object)',
    ]


def test_events_are_not_seen_in_it() -> None:
    assert (
        came_to(answer("a", events("Same.", 1))).choices == came_to(answer("b", events("Same.", 5))).choices
    )
