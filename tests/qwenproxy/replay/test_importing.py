"""Recordings made from other files."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from answers import ASKED, DONE, LEAKING, PROSE
from mitmproxy import http, io
from proxy import LEAK, MITMDUMP, chunk, completion, events

from qwenproxy.recording.format import (
    KEY,
    Recording,
    RecordingError,
    load,
    save,
    to_flow,
)
from qwenproxy.replay.importing import command, dechunked, read, stream_of
from qwenproxy.replay.rerun import outcome

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
BODY = LEAKING.body
SECRET = "sk-planted-0123456789"


@pytest.fixture
def request_file(tmp_path: Path) -> Path:
    path = tmp_path / "request.json"
    path.write_text(json.dumps(ASKED))
    return path


def imported(tmp_path: Path, path: Path, *arguments: str) -> list[Recording]:
    """Import a file with the command, and load the result."""
    into = tmp_path / "into"
    assert command([str(path), "--into", str(into), *arguments]) == 0
    return [load(found) for found in sorted(into.glob("*.flow"))]


def calls(recording: Recording) -> list[str]:
    found = outcome(recording, recording.chunks).choices[0].calls
    return [f"{call.name} {call.arguments}" for call in found]


HEALED = ['get_weather {"city": "Zürich", "days": 3}']


# Captures


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.http", HEAD + b"\r\n" + BODY),
        ("a.http", HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + BODY),
        (
            "a.http",
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
        ),
        ("a.sse", BODY),
        ("a.json", completion(LEAK)),
        ("a.txt", LEAK.encode()),
    ],
)
def test_a_capture_of_an_answer(tmp_path: Path, request_file: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    (recording,) = imported(tmp_path, path, "--request", str(request_file))
    assert (recording.name, recording.request) == ("a", ASKED)
    assert calls(recording) == HEALED


def test_each_event_is_a_piece_and_each_chunk_where_they_are_known(tmp_path: Path) -> None:
    path = tmp_path / "a.http"
    path.write_bytes(HEAD + b"\r\n" + BODY)
    assert read(path, {})[0][0].chunks == LEAKING.chunks
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (BODY[:7], BODY[7:]))
    path.write_bytes(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n")
    assert read(path, {})[0][0].chunks == [BODY[:7], BODY[7:]]


def test_chunked_framing() -> None:
    assert dechunked(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n") == [b"abc", b"de"]
    assert dechunked(b"3\r\nabc\r\n5\r\nde") == [b"abc", b"de"]
    assert dechunked(b"data: 1\n\n") is None


def test_text_becomes_a_stream_of_small_deltas() -> None:
    events = stream_of("Zürich!", "length")
    assert len(events) == 1 + 2 + 1 + 1
    assert events[-1] == DONE
    assert b'"finish_reason": "length"' in events[-2]
    assert "Züri".encode() in events[1]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.pdf", b"", "unknown kind of file"),
        ("a.sse", b"hello", "no server-sent events"),
        ("a.json", b"{}", "neither an answer of a model nor a HAR"),
        ("a.txt", b"\xff\xfe", "not text"),
        ("a.har", b"{}", "not a HAR"),
        ("a.har", b"\xff", "not a HAR"),
        ("a.flow", b"no", "a.flow"),
        ("a.http", b"no", "not an HTTP response"),
    ],
)
def test_a_file_that_is_none_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, reason: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert command([str(path), "--into", str(tmp_path / "into")]) == 2
    said = capsys.readouterr().err
    assert str(path) in said
    assert reason in said


def test_files_and_requests_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command([str(tmp_path / "none.txt"), "--into", str(tmp_path)]) == 2
    assert "none.txt: there is no such file" in capsys.readouterr().err
    with pytest.raises(RecordingError, match="none: there is no such file"):
        read(tmp_path / "none", {})
    assert command(["x.txt", "--into", str(tmp_path), "--request", str(tmp_path / "no.json")]) == 2
    assert "no.json: No such file" in capsys.readouterr().err
    assert command(["x.txt", "--into", str(tmp_path), "--redact", "a b"]) == 2
    assert "--redact=a b: write names separated by commas" in capsys.readouterr().err


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Hello")
    assert command([str(path), "--into", str(tmp_path)]) == 0
    assert "without tools nothing is repaired" in capsys.readouterr().out
    assert command([str(path), "--into", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"{path}: {tmp_path}/a.flow exists already: rename it, or use another --into\n"
    )


def test_files_of_one_name_become_recordings_of_several(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("Hello")
    (tmp_path / "a.sse").write_bytes(chunk({"content": "Hi"}))
    (tmp_path / "a.json").write_bytes(completion("Hey"))
    into = tmp_path / "into"
    paths = [str(tmp_path / f"a.{kind}") for kind in ("txt", "sse", "json")]
    assert command([*paths, "--into", str(into)]) == 0
    assert sorted(path.name for path in into.iterdir()) == ["a-2.flow", "a-3.flow", "a.flow"]
    assert b"Hey" in load(into / "a-3.flow").body
    assert (
        f"{into}/a-2.flow: {len(chunk({'content': 'Hi'}))} bytes in 1 piece, 0 tools"
        in capsys.readouterr().out
    )


# Flows


def write_flows(path: Path, *flows: http.HTTPFlow) -> Path:
    with path.open("wb") as file:
        for flow in flows:
            io.FlowWriter(file).add(flow)
    return path


def plain(recording: Recording) -> http.HTTPFlow:
    """Return the flow that mitmproxy alone would have saved."""
    flow = to_flow(recording)
    del flow.metadata[KEY]
    return flow


def test_several_chats_become_several_recordings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = plain(PROSE)
    models.request.method, models.request.path, models.request.raw_content = "GET", "/v1/models?a=1", b""
    lost = plain(PROSE)
    assert lost.response
    lost.response.raw_content = None
    path = write_flows(tmp_path / "session.mitm", to_flow(LEAKING), models, plain(PROSE), lost)
    first, second = imported(tmp_path, path)
    assert (first.name, second.name) == ("session-01", "session-02")
    assert (first.chunks, first.times, second.chunks) == (LEAKING.chunks, LEAKING.times, PROSE.chunks)
    said = capsys.readouterr().out
    assert "left out: GET /v1/models: its request is not a chat" in said
    assert "left out: POST /v1/chat/completions: its answer was not kept" in said


def test_a_coded_answer_is_decoded(tmp_path: Path) -> None:
    flow = plain(LEAKING)
    assert flow.response
    flow.response.headers["content-encoding"] = "gzip"
    flow.response.content = BODY
    flow.request.headers["content-encoding"] = "gzip"
    flow.request.content = json.dumps(ASKED).encode()
    (recording,) = imported(tmp_path, write_flows(tmp_path / "a.flow", flow))
    assert (recording.body, recording.request) == (BODY, ASKED)
    assert "content-encoding" not in dict(recording.headers)
    assert calls(recording) == HEALED


def test_secrets_are_redacted(tmp_path: Path) -> None:
    flow = plain(LEAKING)
    flow.request.headers["Authorization"] = f"Bearer {SECRET}"
    flow.request.raw_content = json.dumps(ASKED | {"user": "anna"}).encode()
    imported(tmp_path, write_flows(tmp_path / "a.flow", flow), "--redact", "x, user")
    written = (tmp_path / "into" / "a.flow").read_bytes()
    assert SECRET.encode() not in written
    assert b"anna" not in written


# HAR


def entry(**response: Any) -> dict[str, Any]:
    """Return an entry in Chrome's format."""
    return {
        "startedDateTime": "2026-11-20T11:30:45.123Z",
        "time": 12.5,
        "request": {
            "method": "POST",
            "url": "http://localhost:8080/v1/chat/completions",
            "httpVersion": "http/2.0",
            "headers": [
                {"name": ":authority", "value": "x"},
                {"name": "authorization", "value": f"Bearer {SECRET}"},
            ],
            "postData": {"mimeType": "application/json", "text": json.dumps(ASKED)},
        },
        "response": {
            "status": 200,
            "httpVersion": "http/2.0",
            "headers": [
                {"name": "content-type", "value": "text/event-stream"},
                {"name": "content-encoding", "value": "br"},
            ],
            "content": {"size": 1, "mimeType": "text/event-stream", "text": BODY.decode()},
        }
        | response,
    }


def har(path: Path, *entries: Any, creator: str = "WebInspector") -> Path:
    path.write_text(json.dumps({"log": {"creator": {"name": creator}, "entries": entries}}))
    return path


def base64_of(body: bytes) -> dict[str, Any]:
    return {"text": base64.b64encode(body).decode(), "encoding": "base64"}


@pytest.mark.parametrize("content", [{"text": BODY.decode()}, base64_of(BODY)])
def test_a_chat_of_a_browser(tmp_path: Path, content: dict[str, Any]) -> None:
    (recording,) = imported(tmp_path, har(tmp_path / "a.har", entry(content=content)))
    assert recording.chunks == LEAKING.chunks
    assert (recording.url, recording.started) == (LEAKING.url, 1795174245.123)
    assert dict(recording.headers) == {"content-type": "text/event-stream"}
    assert dict(recording.request_headers) == {"authorization": "REDACTED"}
    assert calls(recording) == HEALED


def test_what_is_no_chat_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = entry() | {"request": {"method": "GET", "url": "http://localhost/", "headers": []}}
    odd = [page, {}, entry(status=0), entry(content={"size": 5}), entry()]
    assert len(imported(tmp_path, har(tmp_path / "a.har", *odd))) == 1
    said = capsys.readouterr().out
    for reason in (
        "entry 1: GET http://localhost/ is not a chat",
        "entry 2: not valid in HAR 1.2: KeyError 'request'",
        "entry 3: it has no answer",
        "entry 4: the body of its answer was not kept",
    ):
        assert f"a.har: left out: {reason}" in said


def test_a_har_without_a_chat_is_broken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command([str(har(tmp_path / "a.har")), "--into", str(tmp_path)]) == 2
    assert "a.har: no chat in it" in capsys.readouterr().err


def test_a_har_that_mitmproxy_wrote(tmp_path: Path, confdir: Path) -> None:
    """Written by the installed mitmproxy, which decodes event streams as Latin-1."""
    flow, written = tmp_path / "leaking.flow", tmp_path / "leaking.har"
    save(LEAKING, flow)
    arguments = ["-nr", str(flow), "--set", f"hardump={written}", "--set", f"confdir={confdir}"]
    subprocess.run([*MITMDUMP, *arguments], check=True, capture_output=True)
    (recording,) = imported(tmp_path, written)
    assert recording.body == BODY
    assert recording.request == ASKED


def test_text_that_is_latin_1_in_a_har_of_mitmproxy(tmp_path: Path) -> None:
    text = b"".join(events("5 € in Zürich")).decode()
    path = har(tmp_path / "a.har", entry(content={"text": text}), creator="mitmproxy")
    assert read(path, {})[0][0].body == text.encode()


def test_the_module_is_a_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "qwenproxy.replay", "import", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--into" in done.stdout


def test_a_capture_without_a_body_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.http"
    path.write_bytes(HEAD + b"\r\n")
    assert read(path, {})[0][0].chunks == []


def test_a_stream_may_begin_with_a_comment(tmp_path: Path) -> None:
    path = tmp_path / "a.sse"
    path.write_bytes(b": comment\n\n" + chunk({"content": "x"}))
    assert len(read(path, ASKED)[0][0].chunks) == 2
