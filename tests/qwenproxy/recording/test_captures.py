"""Answers that other programs have captured."""

from pathlib import Path

import pytest
from answers import REQUEST, saved

from qwenproxy.recording.captures import from_http
from qwenproxy.recording.format import RecordingError, load


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
def test_a_capture_is_one_piece_per_event(tmp_path: Path, newline: str) -> None:
    path = tmp_path / "engine-good.http"
    head = newline.join(
        ["HTTP/1.0 200 OK", "Server: x", "Content-type: text/event-stream; charset=utf-8", "", ""]
    )
    path.write_bytes(head.encode() + b": keepalive\n\ndata: 1\r\n\r\ndata: 2\n\ndata: cut")
    recording = from_http(path, request=REQUEST)
    assert recording.chunks == [b": keepalive\n\n", b"data: 1\r\n\r\n", b"data: 2\n\n", b"data: cut"]
    assert (recording.name, recording.status, recording.http_version) == ("engine-good", 200, "HTTP/1.0")
    assert recording.headers[0] == ("Server", "x")
    assert (recording.request, recording.is_stream) == (REQUEST, True)


def test_a_capture_that_is_not_streamed_is_one_piece(tmp_path: Path) -> None:
    path = tmp_path / "error.http"
    path.write_bytes(b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\r\n{}\n\n{}")
    recording = from_http(path)
    assert (recording.status, recording.chunks) == (400, [b"{}\n\n{}"])
    assert load(saved(recording, tmp_path)) == recording


@pytest.mark.parametrize("content", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\xff\xfe\r\n\r\n"])
def test_another_file_is_no_capture(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.http"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"other\.http: not an HTTP response"):
        from_http(path)


def test_a_capture_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="No such file"):
        from_http(tmp_path / "none.http")
