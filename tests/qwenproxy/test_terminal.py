"""No control character is printed, whatever its source."""

import asyncio
import contextlib
import io
import logging
import socket
import unicodedata
from collections.abc import Callable

import h2.exceptions
import pytest
from http2 import ask_h2
from proxy import Proxy, Request, Upstream, head

from qwenproxy.terminal import PrintableFile, PrintableRecords, printable, printable_lines

EVIL = b"\x1b]0;owned\x07\x1b[2J\x9b31m\xc2\x9b31m\xe2\x80\xae\xe2\x81\xa6\x7f\x08"
SHOWN = r"\x1b[2J\x9b31m\x9b31m\u202e\u2066\x7f\x08"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain Zürich 日本 🙂", "plain Zürich 日本 🙂"),
        (EVIL.decode(errors="surrogateescape"), r"\x1b]0;owned\x07" + SHOWN),
        ("a\nb\tc\rd", r"a\x0ab\x09c\x0dd"),
        ("\ud800", r"\ud800"),
    ],
)
def test_printable(text: str, line: str) -> None:
    assert printable(text) == line
    assert printable(line) == line


def test_several_lines_stay_several() -> None:
    assert printable_lines("a\n\tb\r\nc\rd\x1b\n") == "a\n\tb\r\n    c\\x0dd\\x1b\n"


def test_colours_stay_where_there_are_any() -> None:
    for colours, shown in (
        (True, "\x1b[1mbold\x1b[0m\\x1b[2J\n"),
        (False, r"\x1b[1mbold\x1b[0m\x1b[2J" "\n"),
    ):
        file = io.StringIO()
        print("\x1b[1mbold\x1b[0m\x1b[2J", file=PrintableFile(file, colours))
        assert file.getvalue() == shown


def filtered(record: logging.LogRecord) -> str:
    assert PrintableRecords().filter(record)
    return logging.Formatter().format(record)


def test_records_are_filtered_with_their_arguments_and_traces() -> None:
    try:
        raise ValueError("\x1b[2J")
    except ValueError as e:
        error = e
    exc_info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", logging.INFO, "", 1, "%s\n%d", ("\x9b", 5), exc_info)
    lines = filtered(record).splitlines()
    assert lines[:3] == [r"\x9b", "    5", "    Traceback (most recent call last):"]
    assert lines[-1] == r"    ValueError: \x1b[2J"
    assert filtered(record) == "\n".join(lines)


def test_a_harmless_record_is_left_alone() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 1, "%s", ("fine\n",), None)
    filtered(record)
    assert (record.msg, record.args) == ("%s", ("fine\n",))


def test_a_record_that_cannot_be_said_is_for_the_one_who_prints_it() -> None:
    assert PrintableRecords().filter(logging.LogRecord("x", logging.INFO, "", 1, "%d", ("\x1b",), None))


# In a real mitmdump


def controls(proxy: Proxy) -> set[str]:
    """Return the characters that no terminal should get, including U+FFFD for bytes that are not UTF-8."""
    return {c for c in proxy.log if unicodedata.category(c) in ("Cc", "Cf", "Cs") or c == "\ufffd"} - set(
        "\n\t"
    )


def ask_raw(proxy: Proxy, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
        connection.sendall(request)
        return connection.makefile("rb").read()


@pytest.mark.parametrize("detail", [1, 4])
def test_hostile_paths_and_answers(
    upstream: Upstream, start_proxy: Callable[..., Proxy], detail: int
) -> None:
    proxy = start_proxy(upstream.url, flow_detail=detail)

    async def hostile(_request: Request, writer: asyncio.StreamWriter) -> bool:
        evil = EVIL.replace(b"\x7f\x08", b"").decode("latin-1")
        fields = (f"X-Evil: {evil}", f"Content-Encoding: {evil}", "Content-Type: application/json")
        writer.write(head(*fields, f"Content-Length: {len(EVIL)}", status="200 \x9b").replace(b"\xc2", b""))
        writer.write(EVIL)
        return False

    upstream.answer = hostile
    body = b'{"messages": [], "tools": []}'
    path = b"/" + EVIL.replace(b"\x08", b"") + b"/chat/completions"
    length = b"Content-Length: %d" % len(body)
    ask_raw(proxy, b"POST %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%b\r\n\r\n%b" % (path, length, body))
    proxy.wait_for("<< ")
    proxy.stop()
    assert controls(proxy) == set()
    assert "owned" in proxy.log


def test_a_path_begins_no_line(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy("http://127.0.0.1:9", flow_detail=1)
    with contextlib.suppress(h2.exceptions.ProtocolError):
        ask_h2(proxy, path="/a\n[12:00:00.000] forged/chat/completions")
    proxy.wait_for("forged")
    proxy.stop()
    assert not [line for line in proxy.lines if line.startswith("[12:00:00.000]")]
