"""Asking a server and recording its answer. See also test_compare.py and ui/doctor/test_doctor.py."""

import asyncio

import pytest
from proxy import Request, Script, Upstream, chunk, head, sized, streamed

from qwenproxy.replay.record import HUNG_UP, ServerError, ask, look


def breaks_off(*headers: str) -> Script:
    async def script(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(head("Content-Type: text/event-stream", *headers) + b"4\r\nda")
        await writer.drain()
        return False

    return script


def test_a_whole_answer(upstream: Upstream) -> None:
    upstream.answer = streamed([chunk({"content": "a"}), chunk({}, "stop")])
    recording = ask(upstream.url, "x", {})
    assert recording.body == chunk({"content": "a"}) + chunk({}, "stop")
    assert recording.aborted == ""


@pytest.mark.parametrize("header", ["Content-Length: 9999", "Transfer-Encoding: chunked"])
def test_an_answer_that_broke_off(upstream: Upstream, header: str) -> None:
    upstream.answer = breaks_off(header)
    assert ask(upstream.url, "x", {}).aborted == HUNG_UP


def test_patience_ends(upstream: Upstream) -> None:
    async def silent(_request: Request, writer: asyncio.StreamWriter) -> bool:
        while not writer.is_closing():
            await asyncio.sleep(0.01)
        return False

    upstream.answer = silent
    with pytest.raises(ServerError, match="timed out"):
        ask(upstream.url, "x", {}, patience=0.1)
    with pytest.raises(ServerError, match="timed out"):
        look(upstream.url, "/page", (), 0.1)


def test_a_page(upstream: Upstream) -> None:
    upstream.answer = sized(b'{"a": 1}')
    headers, body = look(f"{upstream.url}/v1", "/page", (("x-key", "k"),), 5)
    assert body == b'{"a": 1}'
    assert ("Content-Type", "application/json") in headers
    assert upstream.requests[0].line == "GET /page HTTP/1.1"
    assert upstream.requests[0].headers["x-key"] == "k"


def test_a_page_that_is_not_there(upstream: Upstream) -> None:
    upstream.answer = sized(b"nothing", status="404 Not Found")
    with pytest.raises(ServerError, match="status 404: nothing"):
        look(upstream.url, "/page", (), 5)
