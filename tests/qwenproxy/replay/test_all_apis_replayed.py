"""Recordings of every API: written and read, run at every cut, imported, reduced, and asked for again."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api_answers import CITY, NAMES, asked, content_type, recorded, stream, whole
from mitmproxy import io
from proxy import LEAK, Upstream, streamed

from qwenproxy.apis import APIS
from qwenproxy.recording.format import KEY, RecordingError, from_flow, load, load_chats, save, to_flow
from qwenproxy.replay import compare, importing, record, shrink
from qwenproxy.replay.golden import Golden
from qwenproxy.replay.other_version import TODAY
from qwenproxy.replay.outline import Call, Message
from qwenproxy.replay.rerun import (
    all_text_in_one_delta,
    lost_events,
    one_character_per_delta,
    outcome,
    run,
)
from toolstream import StreamRewriter

TEXT = f"Let me see.\n{LEAK}"
CALLED = Call("get_weather", json.dumps(CITY, ensure_ascii=False, sort_keys=True))

every_api = pytest.mark.parametrize("name", NAMES)
streamed_or_not = pytest.mark.parametrize("is_stream", [True, False])


def healed(name: str) -> Golden:
    finish = "tool_calls" if APIS[name].says_calls else "stop"
    message = Message("Let me see.", "", (CALLED,), finish)
    return Golden(False, (message,), {"missing-tool-call-open": 1}, {})


# Files


@every_api
@streamed_or_not
def test_what_is_written_is_read(name: str, is_stream: bool, tmp_path: Path) -> None:
    recording = recorded(name, TEXT, is_stream, title="a")
    save(recording, tmp_path / "a.flow")
    assert load(tmp_path / "a.flow") == recording
    assert recording.is_stream is is_stream


def test_a_recording_that_names_no_api_is_a_chat() -> None:
    flow = to_flow(recorded("chat", TEXT))
    del flow.metadata[KEY]["api"]
    assert from_flow(flow, "old").api == "chat"


@pytest.mark.parametrize("api", ["openai", 5, None, ["chat"]])
def test_an_api_that_is_not_known_is_refused(api: Any) -> None:
    flow = to_flow(recorded("chat", TEXT))
    flow.metadata[KEY]["api"] = api
    with pytest.raises(ValueError, match="known are chat, messages, responses, ollama"):
        from_flow(flow, "odd")


# Cuts


@every_api
@streamed_or_not
@pytest.mark.parametrize("text", [TEXT, "Prose about `<tool_call>` tags,\nand Zürich 🙂.", ""])
def test_every_cut_comes_to_the_same(name: str, is_stream: bool, text: str) -> None:
    result = run(recorded(name, text, is_stream))
    assert result.disagreements == []
    if text == TEXT:
        assert result.golden == healed(name)
    else:
        assert result.golden.unchanged


@every_api
def test_deltas_are_split_and_joined(name: str) -> None:
    api, body = APIS[name], b"".join(stream(name, "Long it is"))
    assert one_character_per_delta(body, api) != api.frames(body)
    for other in (one_character_per_delta(body, api), all_text_in_one_delta(body, api)):
        assert outcome(replace(recorded(name, ""), chunks=other), other).choices[0].content == "Long it is"
    assert any("Long it is" in api.data(frame) for frame in all_text_in_one_delta(body, api))


@every_api
def test_what_stays_is_not_lost(name: str) -> None:
    assert lost_events(recorded(name, TEXT)) == []


# Importing


def imported(path: Path, into: Path, *arguments: str) -> Any:
    assert importing.command([str(path), "--into", str(into), *arguments]) == 0
    (found,) = into.glob("*.flow")
    return load(found)


@every_api
@pytest.mark.parametrize("suffix", [".http", ".sse", ".json"])
def test_a_capture_is_recognised(name: str, suffix: str, tmp_path: Path) -> None:
    is_stream = suffix != ".json"
    body = b"".join(stream(name, TEXT)) if is_stream else whole(name, TEXT)
    suffix = ".ndjson" if name == "ollama" and suffix == ".sse" else suffix
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type(name)}\r\n\r\n".encode()
    path, request = tmp_path / f"a{suffix}", tmp_path / "request.json"
    path.write_bytes(head + body if suffix == ".http" else body)
    request.write_text(json.dumps(asked(name, stream=is_stream)))
    recording = imported(path, tmp_path / "into", "--request", str(request))
    assert (recording.api, recording.is_stream) == (name, is_stream)
    assert outcome(recording, recording.chunks) == healed(name)
    assert len(recording.chunks) == (len(stream(name, TEXT)) if is_stream else 1)


@every_api
def test_a_flow_that_was_saved_without_the_addon(name: str, tmp_path: Path) -> None:
    flow = to_flow(recorded(name, TEXT))
    del flow.metadata[KEY]
    with (tmp_path / "a.flow").open("wb") as file:
        io.FlowWriter(file).add(flow)
    (recording,), _ = load_chats(tmp_path / "a.flow")
    assert recording.api == name
    assert outcome(recording, recording.chunks) == healed(name)


@every_api
def test_a_har(name: str, tmp_path: Path) -> None:
    entry = {
        "request": {
            "method": "POST",
            "url": f"http://h{APIS[name].address}?beta=true",
            "headers": [],
            "postData": {"text": json.dumps(asked(name))},
        },
        "response": {
            "status": 200,
            "headers": [{"name": "Content-Type", "value": content_type(name)}],
            "content": {"text": b"".join(stream(name, TEXT)).decode()},
        },
    }
    path = tmp_path / "a.har"
    path.write_text(json.dumps({"log": {"entries": [entry]}}))
    recording = imported(path, tmp_path / "into")
    assert (recording.api, outcome(recording, recording.chunks)) == (name, healed(name))


def test_a_request_of_another_api_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sse"
    path.write_bytes(b"".join(stream("messages", TEXT)))
    with pytest.raises(RecordingError, match="an answer of the API messages, but the request is not"):
        importing.read(path, asked("responses"))


# Reducing


@every_api
def test_a_text_is_reduced_to_a_case(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.flow"
    save(recorded(name, f"So.\n\nI look it up.\n{LEAK}"), path)
    assert shrink.command([str(path), "--keep", "repair=missing-tool-call-open"]) == 0
    case = capsys.readouterr().out
    assert "#tools get_weather" in case
    assert "I look" not in case


# A live server


@every_api
def test_a_server_is_asked_and_compared(name: str, upstream: Upstream, tmp_path: Path) -> None:
    upstream.answer = streamed(stream(name, TEXT), kind=content_type(name))
    options = ["--backend", upstream.url, "--into", str(tmp_path), "--api", name]
    assert record.command(["a", *options]) == 0
    recording = load(tmp_path / "a.flow")
    assert (recording.api, outcome(recording, recording.chunks)) == (name, healed(name))
    assert upstream.requests[0].line == f"POST {APIS[name].address} HTTP/1.1"
    assert ("anthropic-version" in upstream.requests[0].headers) == (name == "messages")
    assert compare.command([str(tmp_path), "--backend", upstream.url]) == 0
    assert upstream.requests[1].line == upstream.requests[0].line
    upstream.answer = streamed(stream(name, "No."), kind=content_type(name))
    assert compare.command([str(tmp_path), "--backend", upstream.url]) == 1


# Other versions of the rules


class Older(StreamRewriter):
    """A version from the time when there was one API."""

    def __init__(self, request_body: Any, recovery: str = "tolerant", *, rules: Any = None) -> None:
        super().__init__(request_body, recovery, rules=rules)


@every_api
def test_an_older_version_passes_what_it_does_not_know(name: str) -> None:
    recording = recorded(name, TEXT)
    found = outcome(recording, recording.chunks, rules=replace(TODAY, rewriter=Older))
    assert found.unchanged is (name != "chat")
