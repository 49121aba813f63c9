"""Addresses as people write them, and the error messages they get."""

import socket

import pytest
from proxy import Proxy, Upstream, closed_port, sized

from qwenproxy.backend.addresses import (
    Address,
    BadAddressError,
    free,
    is_loopback,
    is_same,
    read_backend,
    read_listener,
    read_server,
    url,
)

HERE = Address("127.0.0.1", 9090)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://localhost:8080/", "http://localhost:8080"),
        ("http://localhost:8080/v1", "http://localhost:8080"),
        ("http://localhost:8080/v1/", "http://localhost:8080"),
        ("https://openrouter.ai", "https://openrouter.ai"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("HTTP://Box.local", "http://Box.local"),
        ("18200", "http://localhost:18200"),
        (" http://a:1 ", "http://a:1"),
    ],
)
def test_a_backend(written: str, meant: str) -> None:
    assert read_backend(written, HERE) == meant
    assert read_server(written) == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api"),
        ("https://openrouter.ai/api/", "https://openrouter.ai/api"),
        ("http://a:1/v1/chat/completions", "http://a:1"),
        ("http://a:1/x/v1/models/", "http://a:1/x"),
        ("http://a:1/v1x", "http://a:1/v1x"),
    ],
)
def test_a_server_that_is_asked_may_have_a_path(written: str, meant: str) -> None:
    assert read_server(written) == meant


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("localhost:8080", "write http://localhost:8080, or https:// if it speaks that"),
        ("box", "write http://box, or https://"),
        ("localhost", "localhost: write http://localhost:8080, or https:// if it speaks that"),
        ("127.0.0.1/v1", "write http://127.0.0.1:8080/v1, or https://"),
        ("http:/localhost:18250", "http:/localhost:18250: write http://localhost:18250"),
        ("HTTPS:box", "HTTPS:box: write https://box"),
        ("http//box:1", "http//box:1: write http://box:1"),
        ("//box:1", "//box:1: write http://box:1, or https://"),
        ("", "an empty address: write a URL such as http://localhost:8080"),
        (" ", "an empty address: write a URL such as http://localhost:8080"),
        (
            "https://openrouter.ai/api/v1",
            "write https://openrouter.ai, and in your client the base URL http://127.0.0.1:9090/api/v1: "
            "a proxy forwards the client's path as it is",
        ),
        ("http://a:1/v1/chat/completions", "write http://a:1, and in your client the base URL http://127.0.0.1:9090/v1:"),
        ("http://a:1/?key=x", "write http://a:1, and in your client the base URL http://127.0.0.1:9090/v1:"),
        ("ftp://a", "write an http:// or https:// URL"),
        ("http://", "write an http:// or https:// URL"),
        ("http://a b", "write an http:// or https:// URL"),
        ("http://a:0", "write an http:// or https:// URL"),
        ("http://a:99999", "write a URL such as http://localhost:8080"),
        ("http://a:x", "write a URL such as http://localhost:8080"),
        ("http://[::1", "write a URL such as http://localhost:8080"),
        ("http://me:secret@a", "leave out what stands before the @"),
        ("http://localhost:9090", "this is the address of the proxy itself"),
        ("9090", "this is the address of the proxy itself"),
        ("0", "0: write a port from 1 to 65535, or a URL"),
        ("99999", "99999: write a port from 1 to 65535"),
        ("http://a:1/api/v1/models", "the base URL http://127.0.0.1:9090/api/v1:"),
        ("http://[::ffff:127.0.0.1]:9090", "this is the address of the proxy itself"),
    ],
)  # fmt: skip
def test_a_backend_that_cannot_be(written: str, told: str) -> None:
    with pytest.raises(BadAddressError) as refused:
        read_backend(written, HERE)
    line = str(refused.value)
    assert told in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("9090", Address("127.0.0.1", 9090)),
        ("0", Address("127.0.0.1", 0)),
        ("0.0.0.0:9090", Address("0.0.0.0", 9090)),
        ("[::1]:9090", Address("::1", 9090)),
        ("localhost:1", Address("localhost", 1)),
    ],
)
def test_a_listener(written: str, meant: Address) -> None:
    assert read_listener(written) == meant
    assert str(meant).endswith(written)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("localhost", Address("localhost", 9090)),
        ("0.0.0.0", Address("0.0.0.0", 9090)),
        ("[::1]", Address("::1", 9090)),
        (":9191", Address("127.0.0.1", 9191)),
    ],
)
def test_half_a_listener(written: str, meant: Address) -> None:
    assert read_listener(written) == meant


@pytest.mark.parametrize("written", ["99999", "1:70000", ":65536"])
def test_a_listener_with_too_large_a_port(written: str) -> None:
    with pytest.raises(
        BadAddressError, match=f"{written}: write a port from 1 to 65535, or 0 for any free one"
    ):
        read_listener(written)


@pytest.mark.parametrize("written", ["", "x", ":", "localhost:", "a:b", "http://a:1/", "²", "a:²", "-1"])
def test_a_listener_that_cannot_be(written: str) -> None:
    with pytest.raises(
        BadAddressError, match=r"write a port, or a host and a port, such as 127\.0\.0\.1:9090"
    ):
        read_listener(written)


@pytest.mark.parametrize(
    ("server", "listener", "same"),
    [
        ("localhost:1", "127.0.0.1:1", True),
        ("127.0.0.1:1", "0.0.0.0:1", True),
        ("0.0.0.0:1", "127.0.0.1:1", True),
        ("box:1", "box:1", True),
        ("localhost:2", "127.0.0.1:1", False),
        ("box:1", "127.0.0.1:1", False),
        ("192.168.0.9:1", "127.0.0.1:1", False),
        ("localhost:0", "127.0.0.1:0", False),
        ("127.0.0.1:9090", "[::1]:9090", False),
        ("[::1]:9090", "127.0.0.1:9090", False),
    ],
)
def test_which_addresses_are_one(server: str, listener: str, same: bool) -> None:
    assert is_same(read_listener(server), read_listener(listener)) is same


def test_loopback_addresses() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1")))
    assert not any(map(is_loopback, ("localhost", "0.0.0.0", "10.0.0.1", "::2", "")))


def test_urls() -> None:
    assert url("http", "::1", 80) == "http://[::1]:80"
    assert url("https", "a", 443) == "https://a:443"


def test_a_port_that_is_free() -> None:
    port = closed_port()
    assert free(Address("127.0.0.1", port)) == Address("127.0.0.1", port)
    assert free(Address("127.0.0.1", 0)).port > 0


def test_a_port_that_is_taken(upstream: Upstream) -> None:
    taken = Address("127.0.0.1", upstream.port)
    with pytest.raises(BadAddressError, match=f"another program listens there; write .*:{upstream.port + 1}"):
        free(taken)


def test_a_port_that_one_of_us_has_taken(upstream: Upstream, start_proxy: "type[Proxy]") -> None:
    proxy = start_proxy(upstream.url)
    with pytest.raises(BadAddressError, match="another qwen-fix listens there"):
        free(Address("127.0.0.1", proxy.port))


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "a..b"])
def test_an_address_of_another_machine(host: str) -> None:
    with pytest.raises(BadAddressError, match=r"write an address of this machine, such as 127\.0\.0\.1:9090"):
        free(Address(host, 0))


@pytest.mark.parametrize("said", [b"1", b"[" * 60_000, b"[]", b'"recovery"', b"\xff"])
def test_whatever_else_listens_there_is_another_program(upstream: Upstream, said: bytes) -> None:
    upstream.answer = sized(said)
    with pytest.raises(BadAddressError, match="another program"):
        free(Address("127.0.0.1", upstream.port))


def test_a_port_that_does_not_answer_is_another_program() -> None:
    mute = socket.create_server(("127.0.0.1", 0))
    with mute, pytest.raises(BadAddressError, match="another program"):
        free(Address(*mute.getsockname()))
