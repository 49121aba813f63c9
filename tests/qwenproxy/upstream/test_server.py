"""The server of recordings, over real sockets."""

import asyncio
import http.client
import json
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from proxy import PATIENCE, Proxy, Reply, ask, chat, events, understood
from served import Served

from qwenproxy.recording.format import Recording, save
from qwenproxy.upstream.matching import Library
from qwenproxy.upstream.server import NO_PAGE, Pace, Upstream, main, read_library

SSE = (("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"), ("X-Engine", "test"))
CHUNKS = events("Hello there.")
ASKED = chat(model="qwen", messages=[{"role": "user", "content": "asked before"}], seed=1)
STREAMED = Recording(
    name="streamed",
    request=ASKED,
    request_body=json.dumps(ASKED).encode(),
    chunks=CHUNKS,
    times=[n / 1000 for n in range(len(CHUNKS))],
    headers=SSE,
)
CAPTURE = b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + b"".join(CHUNKS)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Return a directory with a recording of each kind."""
    save(STREAMED, tmp_path / "streamed.flow")
    save(
        replace(STREAMED, name="broken", request_body=b"", aborted="reset", chunks=CHUNKS[:2]),
        tmp_path / "broken.flow",
    )
    error = Recording("error", {}, [b'{"error": 1}'], [0.0], 400, (("Content-Type", "application/json"),))
    save(error, tmp_path / "error.flow")
    (tmp_path / "capture.http").write_bytes(CAPTURE)
    (tmp_path / "README.md").write_text("not served")
    return tmp_path


@pytest.fixture
def served(library: Path) -> Iterator[Served]:
    server = Served(str(library), "--speed", "0")
    yield server
    server.stop()


def asked(served: Any, **fields: Any) -> Reply:
    return ask(served, chat(**fields))


def test_it_says_where_it_serves_how_many(served: Served) -> None:
    assert re.fullmatch(r"serving 4 recordings on http://127\.0\.0\.1:\d+\n", served.line)


def test_a_recording_is_found_by_its_name(served: Served) -> None:
    reply = asked(served, model="streamed")
    assert (reply.body, reply.whole) == (b"".join(CHUNKS), True)
    assert reply.headers["x-engine"] == "test"


def test_a_recording_is_found_by_its_request_without_what_is_volatile(served: Served) -> None:
    assert ask(served, ASKED | {"seed": 2, "user": "me"}).body == b"".join(CHUNKS)


def test_a_capture_of_http_1_0_ends_with_its_connection(served: Served) -> None:
    reply = asked(served, model="capture")
    assert reply.body == b"".join(CHUNKS)
    assert "transfer-encoding" not in reply.headers


def test_what_broke_off_breaks_off_again(served: Served) -> None:
    reply = asked(served, model="broken")
    assert (reply.body, reply.whole) == (b"".join(CHUNKS[:2]), False)


def test_an_error_is_an_error_again(served: Served) -> None:
    reply = asked(served, model="error")
    assert (reply.status, reply.json) == (400, {"error": 1})


def test_an_unknown_request_is_told_what_there_is(served: Served) -> None:
    error = asked(served, model="other").json["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "no_recording")
    assert error["message"].startswith(
        "To get a recording of this API, use its name as the model; "
        "there are: streamed, broken, capture, error. "
        "POST /v1/chat/completions: no recording answers this; the nearest is streamed"
    )
    assert error["nearest"] == "streamed"
    assert error["differs"] == [
        'model: "other" asked, "qwen" recorded',
        'question: "hi" asked, "asked before" recorded',
    ]


def test_a_page_that_is_asked_for_is_told_where_to_look(served: Served) -> None:
    reply = ask(served, path="/", method="GET")
    assert (reply.status, reply.json["error"]["message"]) == (404, NO_PAGE)


def test_a_miss_is_one_line_on_stderr(library: Path) -> None:
    server = Served(str(library))
    asked(server, model="other")
    asked(server, model="streamed")
    server.process.terminate()
    _, log = server.process.communicate(timeout=PATIENCE)
    (line,) = log.decode().splitlines()
    assert line.startswith(
        "POST /v1/chat/completions: 404: no recording answers this; the nearest is streamed, but"
    )
    assert line.endswith(
        'model: "other" asked, "qwen" recorded; question: "hi" asked, "asked before" recorded'
    )


def test_a_miss_says_nothing_that_a_terminal_obeys(library: Path) -> None:
    server = Served(str(library))
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(b"POST /\x1b[2J\x9b HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        assert connection.recv(65536).startswith(b"HTTP/1.1 404")
    server.process.terminate()
    _, log = server.process.communicate(timeout=PATIENCE)
    assert log.startswith(rb"POST /\x1b[2J")
    assert not {0x1B, 0x9B} & set(log)


def test_recordings_are_listed_as_models(served: Served) -> None:
    models = ask(served, path="/v1/models", method="GET").json["data"]
    assert [m["id"] for m in models] == ["broken", "capture", "error", "streamed"]


def test_a_connection_can_be_kept(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)
    for model in ("streamed", "other", "streamed"):
        reply = ask(served, chat(model=model), connection=connection)  # type: ignore[arg-type]
    assert reply.body == b"".join(CHUNKS)


def test_a_chunked_request_is_read(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)
    body = json.dumps(chat(model="streamed")).encode()
    connection.request("POST", "/v1/chat/completions", iter([body[:9], body[9:]]), encode_chunked=True)
    assert connection.getresponse().read() == b"".join(CHUNKS)


def test_the_addon_in_front_of_it(served: Served, start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy(f"http://127.0.0.1:{served.port}")
    replies = {model: asked(proxy, model=model) for model in ("streamed", "capture", "broken", "error")}
    assert understood(replies["streamed"].body).content == "Hello there."
    assert understood(replies["capture"].body).content == "Hello there."
    assert not replies["broken"].whole
    assert replies["error"].status == 400


class Sink:
    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...


def waited(pace: Pace, monkeypatch: pytest.MonkeyPatch, **fields: Any) -> list[float]:
    """Return how long it waits before each of two pieces, recorded after 10 and 30 seconds."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    recording = replace(STREAMED, **({"chunks": [b"1", b"2"], "times": [10.0, 30.0]} | fields))
    asyncio.run(Upstream(Library([recording]), pace)._play(recording, Sink()))  # type: ignore[arg-type]
    return waits


def about(*seconds: float) -> Any:
    return pytest.approx(seconds, abs=0.5)


def test_the_pace_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waited(Pace(), monkeypatch) == about(10, 30)
    assert waited(Pace(speed=2), monkeypatch) == about(5, 15)
    assert waited(Pace(speed=0), monkeypatch) == []


def test_another_pace_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waited(Pace(ttft=1), monkeypatch) == about(1, 21)
    assert waited(Pace(ttft=0), monkeypatch) == about(20)
    assert waited(Pace(speed=0, ttft=3), monkeypatch) == about(3, 3)
    chunks = [b"data: 1\n\ndata: 2\n\nda", b"ta: 3\n\n"]
    assert waited(Pace(ttft=2, rate=0.5), monkeypatch, chunks=chunks) == about(2, 4, 6)
    assert waited(Pace(rate=0.1), monkeypatch, chunks=chunks) == about(10, 20, 30)
    headers = (("Content-Type", "application/json"),)
    assert waited(Pace(rate=0.1), monkeypatch, chunks=[b"{", b"}"], headers=headers) == about(10, 30)


@pytest.mark.parametrize("argument", ["--speed=-1", "--ttft=-1", "--rate=0", "--rate=x", "--mode=loop"])
def test_a_pace_that_makes_no_sense(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["recordings", argument])
    assert argument[2:6] in capsys.readouterr().err


@pytest.mark.parametrize("port", ["x", "-1", "65536"])
def test_a_port_that_makes_no_sense(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["recordings", f"--port={port}"])
    assert f"--port: {port}: write a port from 1 to 65535, or 0 for" in capsys.readouterr().err


def test_a_port_that_is_taken(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main([str(library), "--port", str(port)]) == 2
    assert f"qwen-fix serve: 127.0.0.1:{port}: another program listens there; write another port" in (
        capsys.readouterr().err
    )


def test_files_that_cannot_be_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert f"no recordings in {tmp_path}" in capsys.readouterr().err
    (tmp_path / "bad.flow").write_bytes(b"no")
    assert main([str(tmp_path / "bad.flow")]) == 2
    assert "bad.flow: not a mitmproxy flow file, or cut off" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"left out: {tmp_path}/bad.flow: not a mitmproxy flow file, or cut off",
        f"qwen-fix serve: no recordings in {tmp_path}",
    ]


def test_one_broken_file_does_not_keep_the_others_from_being_served(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (library / "bad.flow").write_bytes((library / "streamed.flow").read_bytes()[:500])
    (library / "bad.http").write_bytes(b"no")
    assert list(read_library([library]).by_name) == ["broken", "capture", "error", "streamed"]
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(".")[0] for line in said] == [f"left out: {library}/bad"] * 2


def test_large_heads_and_no_http_close_the_connection(served: Served) -> None:
    for line in (b"nonsense\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"):
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)
        connection.connect()
        connection.sock.sendall(line)
        assert connection.sock.recv(100) == b""
    assert asked(served, model="streamed").whole
