"""A real mitmdump between a real client and a scripted upstream, all on loopback.

`Upstream` is a socket server in a thread. Its answer is a script: an async function that
gets the request and the writer and may do anything with them. `streamed`, `sized` and the others
make the usual scripts. `Proxy` is mitmdump in its own process, ready once it has printed its ready
line. `ask` is a client that reports what it got, and whether the answer was complete.

No test sleeps for a fixed time: `until` waits for a condition.

The fixtures `upstream`, `start_proxy` and `start_upstream` (tests/conftest.py) end what they start.
"""

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from warm import PROGRAMS, Forked

from qwenproxy.backend.probe import SIGNATURE_HEADER

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "addon" / "qwen_fix.py"
T = TypeVar("T")
PATIENCE = 30.0  # seconds; only a failing test waits so long

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
LEAK = """\
<function=get_weather>
<parameter=city>
Zürich
</parameter>
<parameter=days>
3
</parameter>
</function>
</tool_call>"""


def chat(**fields: Any) -> dict[str, Any]:
    """Return a chat request with a tool."""
    return {
        "model": "qwen",
        "stream": True,
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [WEATHER],
    } | fields


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    """Return a chat.completion.chunk as an event."""
    data = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "qwen",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"


def events(text: str, step: int = 4) -> list[bytes]:
    """Return a stream with this text, `step` characters at a time."""
    deltas = [chunk({"content": text[i : i + step]}) for i in range(0, len(text), step)]
    return [chunk({"role": "assistant", "content": ""}), *deltas, chunk({}, "stop"), b"data: [DONE]\n\n"]


def completion(text: str) -> bytes:
    """Return an answer with this text, not streamed."""
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return json.dumps({"id": "1", "object": "chat.completion", "model": "qwen", "choices": choices}).encode()


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


@dataclass(frozen=True)
class Message:
    """What a client reads from an answer."""

    content: str
    calls: list[tuple[str, Any]]
    finish: str | None


def understood(body: bytes) -> Message:
    """Read a stream of chunks as a client does."""
    content, finish, calls = "", None, {}
    for line in body.splitlines():
        if not line.startswith(b"data: {"):
            continue
        for choice in json.loads(line[6:])["choices"]:
            content += choice["delta"].get("content") or ""
            finish = choice.get("finish_reason") or finish
            for call in choice["delta"].get("tool_calls") or []:
                name, arguments = calls.get(call["index"], ("", ""))
                function = call["function"]
                calls[call["index"]] = (
                    name + (function.get("name") or ""),
                    arguments + (function.get("arguments") or ""),
                )
    return Message(content, [(name, json.loads(arguments)) for name, arguments in calls.values()], finish)


def until(found: Callable[[], T], what: str = "") -> T:
    """Wait until `found()` is true, and return it."""
    deadline = time.monotonic() + PATIENCE
    while not (value := found()):
        assert time.monotonic() < deadline, f"waited in vain for {what or found}"
        time.sleep(0.01)
    return value


def closed_port() -> int:
    """Return a port on which nothing listens. The system will not reuse it soon."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


# Upstreams


@dataclass(frozen=True)
class Request:
    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)


EVENTS = "text/event-stream"
Script = Callable[[Request, asyncio.StreamWriter], Awaitable[bool]]  # False closes the connection


def head(*headers: str, status: str = "200 OK", version: str = "HTTP/1.1") -> bytes:
    return "\r\n".join([f"{version} {status}", *headers, "", ""]).encode()


def framed(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def streamed(pieces: Iterable[bytes], *headers: str, kind: str = EVENTS) -> Script:
    """Send each piece as a separate chunk."""

    async def script(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(head(f"Content-Type: {kind}", "Transfer-Encoding: chunked", *headers))
        for piece in pieces:
            writer.write(framed(piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        return True

    return script


def sized(
    body: bytes, content_type: str = "application/json", *headers: str, status: str = "200 OK"
) -> Script:
    """Send the whole body with its length."""

    async def script(_request: Request, writer: asyncio.StreamWriter) -> bool:
        length = f"Content-Length: {len(body)}"
        writer.write(head(f"Content-Type: {content_type}", length, *headers, status=status) + body)
        return True

    return script


def until_close(pieces: Iterable[bytes]) -> Script:
    """Answer like an HTTP/1.0 server: no length, no framing, the body ends with the connection."""

    async def script(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(head("Content-Type: text/event-stream", version="HTTP/1.0"))
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return False

    return script


def aborted(pieces: Iterable[bytes], *headers: str, kind: str = EVENTS) -> Script:
    """Send the pieces, then break the connection."""

    async def script(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(head(f"Content-Type: {kind}", "Transfer-Encoding: chunked", *headers))
        for piece in pieces:
            writer.write(framed(piece))
        await writer.drain()
        return False

    return script


class Pause:
    """A stream that sends `before`, waits for `go()`, and sends `after`."""

    def __init__(
        self, before: Iterable[bytes], after: Iterable[bytes], content_type: str = "text/event-stream"
    ) -> None:
        self._before, self._after, self._type = before, after, content_type
        self._gate = threading.Event()

    def go(self) -> None:
        self._gate.set()

    async def __call__(self, _request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(head(f"Content-Type: {self._type}", "Transfer-Encoding: chunked"))
        for piece in self._before:
            writer.write(framed(piece))
        await writer.drain()
        while not self._gate.is_set() and not writer.is_closing():
            await asyncio.sleep(0.01)
        for piece in self._after:
            writer.write(framed(piece))
        writer.write(b"0\r\n\r\n")
        return True


class Upstream:
    """A scripted server in a thread. Set `answer`; read `requests`. The proxy asks for `models` itself."""

    def __init__(self, answer: Script | None = None, port: int = 0) -> None:
        self.answer = answer or sized(completion("ok"))
        self.models = sized(b'{"object": "list", "data": [{"id": "qwen"}]}')
        self.requests: list[Request] = []
        self.probes: list[Request] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", port, limit=1 << 20))
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    def stop(self) -> None:
        if not self._thread.is_alive():
            return
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)

    async def _close(self) -> None:
        self._server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await self._read(reader):
                if SIGNATURE_HEADER in request.headers:  # the probe of the proxy
                    self.probes.append(request)
                    await self.models(request, writer)
                    continue
                self.requests.append(request)
                if not await self.answer(request, writer):
                    break
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Request:
        line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (field.partition(":") for field in lines)}
        return Request(line, headers, await reader.readexactly(int(headers.get("content-length", 0))))


# The proxy

MITMDUMP = (sys.executable, "-c", "from mitmproxy.tools.main import mitmdump; mitmdump()")


class Proxy:
    """mitmdump with the addon. `arguments` go to mitmdump, `options` to `--set`. `program` is run instead of
    mitmdump, in a process that is forked if it is one of PROGRAMS; with `script=False` it loads the script
    itself."""

    def __init__(
        self,
        upstream_url: str,
        confdir: Path,
        *arguments: str,
        program: Sequence[str] = ("mitmdump",),
        script: bool = True,
        environment: Mapping[str, str] = MappingProxyType({}),
        **options: Any,
    ) -> None:
        sets = [f"--set={name}={value}" for name, value in ({"confdir": confdir} | options).items()]
        mode = ("--mode", f"reverse:{upstream_url}@127.0.0.1:0") if upstream_url else ()
        given = [*mode, *(["-s", str(SCRIPT)] if script else []), *sets, *arguments]
        variables = {**os.environ, "PYTHONUNBUFFERED": "1", **environment}
        self._process: subprocess.Popen[bytes] | Forked
        if program[0] in PROGRAMS:
            self._process = Forked([*program, *given], str(confdir), variables)
        else:
            self._process = subprocess.Popen(
                [*program, *given],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=confdir,
                env=variables,
            )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = 0

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.decode(errors="replace").rstrip())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_ready(self) -> "Proxy":
        line = until(
            lambda: self._line("qwen_fix ready") or self._process.poll() is not None, "the ready line"
        )
        assert isinstance(line, str), self.log
        if address := re.search(r"http://127\.0\.0\.1:(\d+) ->", line):
            self.port = int(address[1])
        return self

    def _line(self, text: str) -> str | None:
        return next((line for line in list(self.lines) if text in line), None)

    def wait_for(self, text: str) -> str:
        """Wait for a line of the log that holds `text`, and return it."""
        return until(lambda: self._line(text), text) or ""

    def wait(self) -> int:
        """Wait for the end of the process; return its exit code."""
        code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(by)
        return self.wait()


# Clients


@dataclass
class Reply:
    """What a client got. `whole` is false if the connection broke within the body."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool = True
    raw_headers: list[tuple[str, str]] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    proxy: Proxy,
    body: Any = None,
    path: str = "/v1/chat/completions",
    headers: dict[str, str] | None = None,
    connection: http.client.HTTPConnection | None = None,
    method: str = "POST",
) -> Reply:
    """Send a chat and read the whole answer."""
    connection = connection or http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=PATIENCE)
    data = body if isinstance(body, bytes) else json.dumps(chat() if body is None else body).encode()
    connection.request(method, path, data, {"Content-Type": "application/json"} | (headers or {}))
    response = connection.getresponse()
    fields = {k.lower(): v for k, v in response.getheaders()}
    try:
        return Reply(response.status, fields, response.read(), True, response.getheaders())
    except http.client.IncompleteRead as e:
        return Reply(response.status, fields, e.partial, False, response.getheaders())


class Listening:
    """A client that reads an answer piece by piece."""

    def __init__(self, proxy: Proxy, body: Any = None, path: str = "/v1/chat/completions") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=PATIENCE)
        data = json.dumps(chat() if body is None else body).encode()
        self._connection.request("POST", path, data, {"Content-Type": "application/json"})
        self._response = self._connection.getresponse()
        self.heard = b""

    def hear(self, text: bytes) -> None:
        """Read until `text` has come."""
        while text not in self.heard:
            piece = self._response.read1(65536)
            assert piece, f"the answer ended without {text!r}: {self.heard!r}"
            self.heard += piece

    def rest(self) -> bytes:
        """Read to the end, even if it is not a clean one."""
        try:
            self.heard += self._response.read()
        except (http.client.IncompleteRead, ConnectionError) as e:
            self.heard += getattr(e, "partial", b"")
        return self.heard

    def leave(self) -> None:
        self._response.close()
        self._connection.close()


def recordings(directory: Path) -> Iterator[Path]:
    return iter(sorted(directory.glob("*.flow")))


# mitmweb


def of_mitmweb(port: int, path: str, password: str = "secret") -> bytes:
    """Return mitmweb's answer. mitmweb 11 needs no password."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", path, headers={"Authorization": f"Bearer {password}"})
    return connection.getresponse().read()
