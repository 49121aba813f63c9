"""The probe of a backend, over real sockets, and what the log says about it."""

import asyncio
import re
import shutil
import ssl
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import proxy as live
import pytest
from proxy import Proxy, Upstream, closed_port, sized, streamed

from qwenproxy.backend import probe
from qwenproxy.backend.probe import Heard, question, watch

MODELS = (
    b'{"object": "list", "data": [{"id": "qwen3-coder"}, {"id": "b\\u001b[31m"}, {"id": 3}, {"id": "d"}]}'
)


def heard(backend: str, verify: bool = True) -> Heard:
    return asyncio.run(question(backend, verify))


@contextmanager
def serving(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    context: ssl.SSLContext | None = None,
) -> Iterator[int]:
    """Run a server that answers each connection like this; yield its port."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.close()


def saying(*pieces: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        writer.close()

    return answer


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("certificate")
    key, cert = folder / "key.pem", folder / "cert.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-days", "1"]
    subprocess.run([*made, "-keyout", key, "-out", cert], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def test_a_server_that_answers(upstream: Upstream) -> None:
    upstream.models = sized(MODELS)
    assert heard(upstream.url) == Heard(said=f"{upstream.url} answers, with qwen3-coder, b[31m, 3, 1 more")


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"data": 1}', b'{"data": [1]}', b"[" * 100_000])
def test_a_server_whose_models_cannot_be_read(upstream: Upstream, body: bytes) -> None:
    upstream.models = sized(body)
    assert heard(upstream.url) == Heard(said=f"{upstream.url} answers")


def test_a_server_that_wants_a_key(upstream: Upstream) -> None:
    upstream.models = sized(b"{}", status="401 Unauthorized")
    assert heard(upstream.url) == Heard(said=f"{upstream.url} answers (status 401 to /v1/models)")


@pytest.mark.parametrize("status", ["502 Bad Gateway", "503 Loading", "504 x"])
def test_a_server_that_is_not_there_yet(upstream: Upstream, status: str) -> None:
    upstream.models = sized(b"{}", status=status)
    assert heard(upstream.url).down == f"status {status[:3]}"


@pytest.mark.parametrize("line", [b"HTTP/1.1 \x1b[31mRED x", b"HTTP/1.1 20000 x", b"HTTP/1.1", b"HTTP/x"])
def test_a_status_that_is_none(line: bytes) -> None:
    with serving(saying(line + b"\r\n\r\n")) as port:
        wrong = heard(f"http://127.0.0.1:{port}").wrong
    assert wrong.endswith("is it the port of another program?")
    assert wrong.isprintable()


def test_a_name_is_not_longer_than_a_line(upstream: Upstream) -> None:
    upstream.models = sized(b'{"data": [{"id": "%s"}]}' % (b"q" * 100_000))
    assert heard(upstream.url).said == f"{upstream.url} answers, with {'q' * 60}"


def test_an_answer_that_ends_with_its_connection() -> None:
    with serving(saying(b"HTTP/1.0 200 OK\r\n", b"\r\n" + MODELS)) as port:
        assert "qwen3-coder" in heard(f"http://127.0.0.1:{port}").said


@pytest.mark.parametrize("chunked", [False, True])
def test_it_does_not_wait_for_the_end_of_a_connection(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, chunked: bool
) -> None:
    monkeypatch.setattr(probe, "PATIENCE", 3600)
    upstream.models = streamed([MODELS[:9], MODELS[9:]]) if chunked else sized(MODELS)
    found = asyncio.run(asyncio.wait_for(question(upstream.url), live.PATIENCE))
    assert "qwen3-coder" in found.said


def test_nobody_there() -> None:
    assert heard(f"http://127.0.0.1:{closed_port()}").down == "nothing is listening there"
    for host in ("no.such.host.invalid", "a..b", "x" * 300):
        assert heard(f"http://{host}:80").down


def test_nobody_there_under_two_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where localhost is both ::1 and 127.0.0.1."""
    port = closed_port()
    found = [(family, 1, 6, "", (host, port)) for family, host in ((10, "::1"), (2, "127.0.0.1"))]

    async def getaddrinfo(*_: object, **__: object) -> object:
        return found

    async def ask() -> Heard:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        return await question(f"http://localhost:{port}")

    assert asyncio.run(ask()).down == "nothing is listening there"


def test_one_who_hangs_up() -> None:
    with serving(saying()) as port:
        assert heard(f"http://127.0.0.1:{port}").down


def test_one_who_speaks_something_else() -> None:
    with serving(saying(b"SSH-2.0-x\r\n")) as port:
        assert heard(f"http://127.0.0.1:{port}").wrong.endswith("is it the port of another program?")


def test_http_where_https_was_meant(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "PATIENCE", 0.5)  # the server waits for more
    backend = f"https://127.0.0.1:{upstream.port}"
    assert heard(backend).wrong == f"{backend} speaks http, not https: write {upstream.url}"


def test_https_where_http_was_meant(certificate: ssl.SSLContext) -> None:
    with serving(saying(b"HTTP/1.1 200 OK\r\n\r\n" + MODELS), certificate) as port:
        backend = f"http://127.0.0.1:{port}"
        assert heard(backend).wrong == f"{backend} speaks https, not http: write https://127.0.0.1:{port}"


def test_a_certificate_that_mitmproxy_will_refuse(certificate: ssl.SSLContext) -> None:
    with serving(saying(b"HTTP/1.1 200 OK\r\n\r\n" + MODELS), certificate) as port:
        backend = f"https://127.0.0.1:{port}"
        assert "its certificate is not trusted" in heard(backend).wrong
        assert "--ssl-insecure" in heard(backend).wrong
        assert "qwen3-coder" in heard(backend, verify=False).said


def test_how_a_server_of_https_refuses_http() -> None:
    assert probe._wants_tls(b"HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent to HTTPS port")
    assert not probe._wants_tls(b"HTTP/1.1 400 Bad Request\r\n\r\nno")
    assert not probe._wants_tls(b"HTTP/1.1 200 OK\r\n\r\nhttps://a")


def test_it_waits_for_a_server_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "PAUSES", (0.0,))
    answers = iter([Heard(down="no"), Heard(down="no"), Heard(said="there")])
    told: list[tuple[bool, str]] = []

    async def ask(_backend: str) -> Heard:
        return next(answers)

    asyncio.run(watch("http://a:1", lambda *line: told.append(line), ask))
    assert told == [(True, "http://a:1 does not answer (no); waiting for it"), (False, "there")]


# In the log


def test_the_log_tells_of_a_server_that_comes_late(
    start_upstream: Callable[..., Upstream], start_proxy: Callable[..., Proxy]
) -> None:
    port = closed_port()
    proxy = start_proxy(f"http://127.0.0.1:{port}")
    proxy.wait_for(f"http://127.0.0.1:{port} does not answer (nothing is listening there); waiting for it")
    with serving_on(port):
        proxy.wait_for(f"http://127.0.0.1:{port} answers, with qwen")


@contextmanager
def serving_on(port: int) -> Iterator[None]:
    upstream = Upstream(port=port)
    try:
        yield
    finally:
        upstream.stop()


def test_the_question_carries_nothing_of_the_users(
    upstream: Upstream, start_proxy: Callable[..., Proxy]
) -> None:
    proxy = start_proxy(upstream.url)
    proxy.wait_for("answers, with qwen")
    (asked,) = upstream.probes
    assert asked.line == "GET /v1/models HTTP/1.1"
    assert {*asked.headers} - {""} == {"host", "accept", "x-qwen-fix-probe", "connection"}
    assert asked.body == b""
    assert proxy.log.count("answers, with") == 1


def test_a_proxy_that_forwards_to_itself_knows_it(start_proxy: Callable[..., Proxy]) -> None:
    """Even if the address does not show it: as through a port that docker or ssh forwards."""
    port = closed_port()
    with forwarded_to(port) as roundabout:
        mode = f"--mode=reverse:http://127.0.0.1:{roundabout}@127.0.0.1:{port}"
        proxy = start_proxy("", mode)
        line = proxy.wait_for("is this proxy itself")
        assert re.search(rf"http://127\.0\.0\.1:{roundabout} is this proxy itself: give it the address", line)


@contextmanager
def forwarded_to(port: int) -> Iterator[int]:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)
        to_writer.write(await reader.readuntil(b"\r\n\r\n"))
        writer.write(await to_reader.read(65536))
        await writer.drain()
        to_writer.close()
        writer.close()

    with serving(forward) as at:
        yield at
