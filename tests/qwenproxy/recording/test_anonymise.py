"""With qwen_redact=messages no words are left, and the rules give the same result."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from answers import BUFFERED, CUT, ERROR, LEAKING, SSE, answer, native, unstreamed
from proxy import LEAK, ROOT, WEATHER, chat, chunk, events

from qwenproxy.recording.format import Recording, load, save
from qwenproxy.recording.redaction import redact
from qwenproxy.replay.casefile import Case
from qwenproxy.replay.golden import Golden
from qwenproxy.replay.outline import messages_of
from qwenproxy.replay.rerun import outcome
from support.cases import read_all

PATHS = sorted((ROOT / "recordings").glob("*.flow"))
SECRET = "Rosebud"
SPOKEN = f"The word is {SECRET}, "


# In these a letter is not what it seems: it stands for a bracket, or belongs to half of an escape
LETTERS = {
    "other brackets",
    "an element around JSON whose closing tag lost its bracket and slash",
    "the same, and the name in an element",
    "the same before the tool's name",
    "a value in the tag, and a misspelt closing tag",
    "a letter for the > behind a name, and a name that is another one",
    "cut inside of an escape",
    "the same twice, and text follows",
    "keys without quotes and a brace lost",
    "a line break within a key",
    "square brackets for those of an envelope",
    "a direct tag's with a slip",
    "brackets for the envelope",
    "the tag's own brackets",
    "the envelope in square brackets and capitals",
    "a space that nobody sees before its tag",
    "a key without its bracket directly before its value",
    "a call whose tag lost its bracket, behind one in a line",
    "a call whose tag lost its bracket, behind one in a line, with its name as an attribute",
    "a call whose tag lost its bracket, behind one in a line, without an envelope",
    "the closing tag of the element around the parameters lacks its bracket",
    "the closing tag of the element around the parameters has brackets of another kind",
    "at the end of several lines before another call",
    "DSML: the envelope's tag lacks its first bracket",
}
# In these a word says what it is: a thought, a type, a schema, the end of a longer name
WORDS = {
    "the longest name with which the letters end",
    "the definition of a tool alone, without its description",
    "behind a thought in an element of another name",
    "behind types in brackets",
    "JSON in an unknown element behind it, and text",
    "another attribute of a parameter",
    "a word in brackets for the parameters",
}


def shape(recording: Recording, recovery: str = "tolerant") -> Any:
    """Return the result of a recording, without the words."""
    found = outcome(recording, recording.chunks, recovery)
    return found.repairs, found.refused, found.unchanged, bool(found.error), found.crash, _choices(found)


def _choices(golden: Golden) -> Any:
    return [
        (
            len(choice.content),
            len(choice.reasoning),
            choice.finish_reason,
            [
                (len(c.name), len(c.arguments), [type(v) for v in (c.values or {}).values()])
                for c in choice.calls
            ],
        )
        for choice in golden.choices
    ]


def redacted(recording: Recording) -> Recording:
    return redact(recording, ["messages"])


def same_frame(recording: Recording) -> Recording:
    """Redact, and check that no size has changed."""
    clean = redacted(recording)
    assert [len(c) for c in clean.chunks] == [len(c) for c in recording.chunks]
    assert (len(clean.request_body), len(clean.out)) == (len(recording.request_body), len(recording.out))
    return clean


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_recording_comes_to_the_same(path: Path) -> None:
    recording = load(path)
    clean = same_frame(recording)
    assert shape(clean) == shape(recording)
    for name in ("model", "tool_choice", "stream", "max_tokens"):
        assert clean.request.get(name) == recording.request.get(name)
    assert undescribed(clean.request.get("tools")) == undescribed(recording.request.get("tools"))
    roles = [[m["role"] for m in r.request.get("messages", [])] for r in (clean, recording)]
    assert roles[0] == roles[1]


def undescribed(value: Any) -> Any:
    """Return tools without their descriptions."""
    if isinstance(value, list):
        return [undescribed(item) for item in value]
    if isinstance(value, dict):
        texts = ("description", "title", "default", "examples")
        return {k: None if k in texts and isinstance(v, str) else undescribed(v) for k, v in value.items()}
    return value


@pytest.mark.parametrize(
    ("described", "left"),
    [
        ("Runs in /home/anna/the-deal by default.", "Runs in "),
        ("Work in `/home/anna/the-deal/src`, and/or stop.", "`, and/or stop."),
        ("Default: C:\\Users\\Anna Smith\\the-deal", "Default: "),
        (r"On \\anna\the-deal or ~anna/the-deal", "On "),
        ("Open file:///home/anna/the-deal.md first", " first"),
        ("cwd:/home/anna/the-deal", "cwd:"),
        ("Home:C:\\Users\\anna", "Home:"),
        ("In /home/anna/The Deal (2024)/src.", "In "),
        ("In /home/anna,smith/deal now", " now"),
    ],
)
def test_no_path_is_left_in_what_a_tool_says_of_itself(described: str, left: str) -> None:
    tool = json.loads(json.dumps(WEATHER))
    tool["function"]["description"] = described
    tool["function"]["parameters"]["properties"]["city"] |= {
        "description": described,
        "examples": [described],
    }
    recording = answer("described", events(LEAK), request=chat(tools=[tool]))
    clean = same_frame(recording)
    function = clean.request["tools"][0]["function"]
    city = function["parameters"]["properties"]["city"]
    for text in (function["description"], city["description"], city["examples"][0]):
        assert not any(word in text.lower() for word in ("anna", "deal", "smith"))
        assert left in text
    assert shape(clean) == shape(recording)


@pytest.mark.parametrize(
    "described", ["Reads and/or writes.", "See https://example.org/a/b.", "Ends with </parameter>.", "1 / 2"]
)
def test_what_is_no_path_stays_in_a_description(described: str) -> None:
    tool = json.loads(json.dumps(WEATHER))
    tool["function"]["description"] = described
    recording = answer("described", events(LEAK), request=chat(tools=[tool]))
    assert redacted(recording).request["tools"] == [tool]


def _recorded(case: Case) -> Recording:
    deltas = [chunk({"content": case.input[i : i + 3]}) for i in range(0, len(case.input), 3)]
    return answer("case", [*deltas, chunk({}, case.finish)], request=chat(**case.request))


def test_every_case_has_the_same_result(thorough: bool) -> None:
    """Check every case if `thorough`, else every sixth."""
    cases = [c for c in read_all() if not any("\ud800" <= char < "\ue000" for char in c.input)]
    # A misspelt name is a word like any other, and so are a key without quotes and the letters of a tag
    # with a slip in it
    others = ("name-guessed", "dialect-slips", "glm-slips", "lost-brackets", "json-without-quotes")
    cases = [c for c in cases if c.file not in others]
    cases = [c for c in cases if c.title not in LETTERS | WORDS]
    assert len(cases) > 300
    changed = []
    for case in cases if thorough else cases[::6]:
        recording = _recorded(case)
        if shape(same_frame(recording), case.recovery) != shape(recording, case.recovery):
            changed.append(str(case))
    assert changed == []


# Planted


def _written(recording: Recording, directory: Path) -> bytes:
    path = directory / "planted.flow"
    save(redacted(recording), path)
    assert load(path)
    return path.read_bytes()


ASCII_SECRET = json.dumps(SPOKEN)
IN_REQUEST: dict[str, dict[str, Any]] = {
    "a string": {"messages": [{"role": "user", "content": SPOKEN}]},
    "the system prompt": {"messages": [{"role": "system", "content": SPOKEN}]},
    "a part": {"messages": [{"role": "user", "content": [{"type": "text", "text": SPOKEN}]}]},
    "an image": {"messages": [{"content": [{"type": "image_url", "image_url": {"url": f"data:,{SECRET}"}}]}]},
    "a result": {"messages": [{"role": "tool", "tool_call_id": "call_1", "content": SPOKEN}]},
    "reasoning": {"messages": [{"role": "assistant", "reasoning_content": SPOKEN, "content": None}]},
    "a name": {"messages": [{"role": "user", "name": SECRET, "content": ""}]},
    "arguments": {
        "messages": [
            {"tool_calls": [{"id": "1", "function": {"name": "f", "arguments": json.dumps({"a": SPOKEN})}}]}
        ]
    },
    "an object of arguments": {
        "messages": [{"tool_calls": [{"function": {"arguments": {"a": [SPOKEN], SECRET: 1}}}]}]
    },
    "an unknown field of a message": {"messages": [{"x": {"y": [SPOKEN]}}]},
    "other fields": {"prompt": SPOKEN, "user": SECRET, "metadata": {SECRET: SECRET}, "stop": [SECRET]},
}


@pytest.mark.parametrize("where", IN_REQUEST)
def test_a_request_without_its_words(tmp_path: Path, where: str) -> None:
    asked = chat(**IN_REQUEST[where])
    recording = answer("planted", events("Hello."), request=asked)
    assert SECRET.encode() in recording.request_body
    assert SECRET.encode() not in _written(recording, tmp_path)
    assert SECRET not in json.dumps(redacted(recording).request)


def test_tools_are_kept() -> None:
    tool = WEATHER | {"description": SPOKEN}
    assert redacted(answer("x", [], request=chat(tools=[tool]))).request["tools"] == [tool]


LOGPROB = {"token": SECRET, "bytes": list(SECRET.encode()), "logprob": -0.5, "top_logprobs": []}
IN_ANSWER: dict[str, list[bytes]] = {
    "content": events(SPOKEN, 100),
    "content, cut": events(SPOKEN, 3),
    "a value, cut": events(LEAK.replace("Zürich", SPOKEN), 1),
    "a value": events(LEAK.replace("Zürich", SPOKEN), 1000),
    "a key": events(LEAK.replace("=city", f"={SECRET}"), 2),
    "a name": events(LEAK.replace("get_weather", SECRET), 2),
    "reasoning": [chunk({"reasoning_content": SPOKEN[i : i + 2]}) for i in range(0, len(SPOKEN), 2)],
    "a native call": native([json.dumps({"city": SPOKEN})]),
    "a native call, cut": native(list(json.dumps({"city": SPOKEN}))),
    "a native name": native(["{}"], name=SECRET),
    "logprobs": [
        chunk({"content": "."}).replace(
            b'"delta"', b'"logprobs": %b, "delta"' % json.dumps({"content": [LOGPROB]}).encode()
        )
    ],
    "an unknown field": [
        b'data: {"x": {"%b": ["%b"]}, "choices": []}\n\n' % (SECRET.encode(), SPOKEN.encode())
    ],
    "an event that is not JSON": [
        b"data: %b\n\n" % SPOKEN.encode(),
        b'data: {"a": "%b\n\n' % SECRET.encode(),
    ],
    "a comment": [b": %b\n\n" % SPOKEN.encode()],
    "an unknown line": [b'error: {"message": "%b"}\n\n' % SPOKEN.encode()],
    "several lines": [b'data: {"choices": [{"delta":\ndata: {"content": "%b"}}]}\n\n' % SPOKEN.encode()],
    "an error": [b'data: {"error": {"message": "%b", "code": 500}}\n\n' % SPOKEN.encode()],
    "the last event, cut off": [*events("Hello.")[:2], chunk({"content": SPOKEN})[:-9]],
    "escapes": [
        chunk({}).replace(
            b'"delta": {}',
            b'"delta": {"content": "%b"}' % "".join(f"\\u{ord(c):04x}" for c in SECRET).encode(),
        )
    ],
}


@pytest.mark.parametrize("where", IN_ANSWER)
def test_an_answer_without_its_words(tmp_path: Path, where: str) -> None:
    body = b"".join(IN_ANSWER[where])
    recording = answer("planted", IN_ANSWER[where], out=body)
    clean = same_frame(recording)
    assert clean.body == clean.out
    written = _written(recording, tmp_path)
    for gone in (SECRET.encode(), json.dumps(list(SECRET.encode()))[1:-1].encode()):
        assert gone not in written
    assert SECRET not in repr(messages_of(clean.body, True))
    assert "".join(f"\\u{ord(c):04x}" for c in SECRET).encode() not in written


@pytest.mark.parametrize("recording", [LEAKING, BUFFERED, CUT, ERROR], ids=lambda r: r.name)
def test_each_kind_comes_to_the_same(recording: Recording) -> None:
    assert shape(same_frame(recording)) == shape(recording)
    assert "Let me" not in repr(redacted(recording).body)
    assert b"too long" not in redacted(recording).body


def test_a_completion_without_its_words(tmp_path: Path) -> None:
    recording = unstreamed("planted", f"{SPOKEN}\n{LEAK}")
    assert SECRET.encode() not in _written(recording, tmp_path)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (SPOKEN.encode(), (("Content-Type", "text/html"), ("Content-Length", "21"))),
        (json.dumps({"a": SPOKEN}).encode()[:-2], (("Content-Type", "application/json"),)),
        (base64.b85encode(SPOKEN.encode()), (("Content-Type", "text/html"), ("Content-Encoding", "br"))),
    ],
)
def test_what_is_no_json_is_dropped_and_that_is_said(body: bytes, headers: Any) -> None:
    clean = redacted(answer("x", [body], headers=headers, out=body, comment="before"))
    assert (clean.chunks, clean.times, clean.out) == ([], [], b"")
    assert clean.comment == (
        f"before; an answer of {len(body)} bytes was dropped: it is not JSON, and qwen_redact=messages"
    )
    assert [key for key, _ in clean.headers] == ["Content-Type"]


def test_a_stream_that_is_still_coded_is_dropped() -> None:
    clean = redacted(answer("x", [b"\x00", b"\x01"], headers=(*SSE, ("Content-Encoding", "exi"))))
    assert clean.chunks == []
    assert "was dropped" in clean.comment


def test_what_the_ledger_quotes_goes_too() -> None:
    failure = (
        "Traceback (most recent call last):\n"
        '  File "rewriter.py", line 7, in feed\n'
        f"    raise KeyError({SECRET!r})\n"
        f"KeyError: {SPOKEN!r}\n{SECRET}\n  {SECRET}: x\n"
        "\nDuring handling of the above exception, another exception occurred:\n\n"
        f"toolstream.OddError: {SPOKEN!r}\n"
    )
    ledger = {
        "calls": 1,
        "repairs": {"stray-closer": 1},
        "refusals": [["fenced", f"<tool_call>{SPOKEN}"]],
        "failure": failure,
        "new": {"list": [SPOKEN]},
    }
    comment = (
        f"failed, the rest was passed through unchanged: toolstream.OddError: {SPOKEN!r}; broke off: reset"
    )
    clean = redacted(replace(LEAKING, ledger=ledger, comment=comment))
    assert SECRET not in repr(clean.ledger)
    assert clean.ledger["refusals"][0][0] == "fenced"
    assert clean.ledger["refusals"][0][1].startswith("<tool_call>")
    assert clean.ledger["repairs"] == {"stray-closer": 1}
    assert clean.ledger["failure"].splitlines() == [
        "Traceback (most recent call last):",
        '  File "rewriter.py", line 7, in feed',
        "KeyError",
        "toolstream.OddError",
    ]
    assert (
        clean.comment
        == "failed, the rest was passed through unchanged: toolstream.OddError; broke off: reset"
    )


def test_secrets_and_names_are_redacted_as_well() -> None:
    asked = chat(user="anna-the-secret", metadata={"trace": "t"})
    headers = (("Authorization", f"Bearer {SECRET}"), ("X-Team", SECRET))
    clean = redact(answer("x", [], request=asked, request_headers=headers), ["messages", "x-team"])
    assert clean.request_headers == (("Authorization", "REDACTED"), ("X-Team", "REDACTED"))
    assert clean.request["messages"][0]["role"] == "user"
