"""A model server that answers from recordings, in their own pieces and at their own pace.

    qwen-fix serve recordings/ [--port 8081] [--mode cycle] [--speed 4]

`matching` decides which recording answers. If none does, a 404 and a line on stderr name the nearest
one and what differs.

A recording that broke off breaks off again. One of an HTTP/1.0 server ends with its connection.
`--ttft` and `--rate` replace the recorded pace: the time to the first piece, and events per second
(with most servers: tokens per second). Each event is then a piece.
"""

import argparse
import asyncio
import json
import math
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from .. import apis, wording
from ..apis import CHAT, Api
from ..backend.addresses import LOCAL, Address, BadAddressError, free
from ..recording.captures import from_http
from ..recording.format import Recording, RecordingError, load, parse_object
from ..terminal import printable
from .matching import MODES, Library, Miss

HOST = LOCAL
HOP_BY_HOP = frozenset(("connection", "content-length", "keep-alive", "transfer-encoding"))
LARGEST_HEAD = 1 << 20  # bytes
NAMED = 10  # recordings listed in a 404
NO_PAGE = (
    "Here are only recordings: /v1/models lists them, and a chat is answered by POST. "
    "If qwen-fix runs in front, its status page is at /_qwen/"
)


def read_library(paths: Iterable[Path], mode: str = "replay") -> Library:
    """Read recordings from files and directories. A broken one in a directory costs a line. Raises
    RecordingError."""
    return Library((recording for path in paths for recording in _recordings(path)), mode)


def _recordings(path: Path) -> Iterator[Recording]:
    if not path.is_dir():
        yield _read(path)
        return
    for file in sorted(f for f in path.iterdir() if f.suffix in (".flow", ".http")):
        try:
            yield _read(file)
        except RecordingError as e:
            print(printable(f"left out: {e}"), file=sys.stderr, flush=True)


def _read(path: Path) -> Recording:
    return from_http(path) if path.suffix == ".http" else load(path)


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    version: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Pace:
    """When the pieces of an answer are sent."""

    speed: float = 1.0  # 2 is twice as fast as recorded, 0 does not wait
    ttft: float | None = None  # seconds until the first piece, whatever was recorded
    rate: float | None = None  # events per second, whatever was recorded

    def schedule(self, recording: Recording) -> list[tuple[bytes, float]]:
        """Return the pieces, and when each is due, in seconds after the headers."""
        times = [at / self.speed if self.speed else 0.0 for at in recording.times]
        first = times[0] if times else 0.0
        shift = (first if self.ttft is None else self.ttft) - first
        if self.rate is None or not recording.is_stream:
            return [(c, at + shift) for c, at in zip(recording.chunks, times, strict=False)]
        return [(e, first + shift + n / self.rate) for n, e in enumerate(recording.of.frames(recording.body))]


class Upstream:
    """Answers requests from a library."""

    def __init__(self, library: Library, pace: Pace | None = None) -> None:
        self._library = library
        self._pace = pace or Pace()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while (request := await read_request(reader)) and await self._answer(request, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass  # the client has disconnected, or does not speak HTTP/1
        except asyncio.CancelledError:
            pass  # the server is closing; asyncio would print that the task was cancelled
        finally:
            writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Write one answer. Return False if the connection must be closed after it."""
        if request.method == "GET" and request.path.endswith("/models"):
            return await _write_json(writer, 200, models(self._library))
        if request.method == "GET" and request.path.endswith("/api/tags"):
            return await _write_json(writer, 200, tags(self._library))
        if request.method == "GET":
            print(printable(f"GET {request.path}: 404"), file=sys.stderr, flush=True)
            return await _write_json(writer, 404, CHAT.error("not_found", NO_PAGE))
        api = apis.at(request.path) or CHAT
        found = self._library.find(parse_object(request.body), api)
        if isinstance(found, Miss):
            line = f"{request.method} {request.path}: 404: {found}"
            print(printable(line), file=sys.stderr, flush=True)
            return await _write_json(writer, 404, not_found(request, found, self._library, api))
        return await self._play(found, writer)

    async def _play(self, recording: Recording, writer: asyncio.StreamWriter) -> bool:
        chunked = recording.http_version != "HTTP/1.0"
        writer.write(head(recording, chunked))
        await writer.drain()
        await self._play_chunks(recording, writer, chunked)
        if recording.aborted or not chunked:
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _play_chunks(self, recording: Recording, writer: asyncio.StreamWriter, chunked: bool) -> None:
        clock = asyncio.get_running_loop().time
        start = clock()
        for chunk, at in self._pace.schedule(recording):
            if at:
                await asyncio.sleep(start + at - clock())
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
            await writer.drain()


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Read one request; None at the end of the connection. Raises ValueError if it is not HTTP/1."""
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    method, path, version = lines[0].split(" ")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
    if "chunked" in headers.get("transfer-encoding", ""):
        body = await _read_chunked(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path.partition("?")[0], version, body)


async def _read_chunked(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


def head(recording: Recording, chunked: bool) -> bytes:
    headers = [(k, v) for k, v in recording.headers if k.lower() not in HOP_BY_HOP]
    headers.append(("Transfer-Encoding", "chunked") if chunked else ("Connection", "close"))
    return _head(recording.http_version if not chunked else "HTTP/1.1", recording.status, headers)


def _head(version: str, status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    lines = [f"{version} {status} {_phrase(status)}", *(f"{k}: {v}" for k, v in headers)]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"


async def _write_json(writer: asyncio.StreamWriter, status: int, value: dict[str, Any]) -> bool:
    body = json.dumps(value).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    writer.write(_head("HTTP/1.1", status, headers) + body)
    await writer.drain()
    return True


def models(library: Library) -> dict[str, Any]:
    """Return the recordings as a list of models."""
    data = [
        {"id": name, "object": "model", "created": 0, "owned_by": "recording"} for name in library.by_name
    ]
    return {"object": "list", "data": data}


def tags(library: Library) -> dict[str, Any]:
    """Return them as Ollama lists its models."""
    return {"models": [{"name": name, "model": name} for name in library.by_name]}


def not_found(request: Request, miss: Miss, library: Library, api: Api = CHAT) -> dict[str, Any]:
    names = [name for name, recording in library.by_name.items() if recording.api == api.name]
    names.sort(key=lambda name: name != miss.nearest)
    listed = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    message = (
        f"To get a recording of this API, use its name as the model; there are: {listed or 'none'}. "
        f"{request.method} {request.path}: {miss}"
    )
    said = api.error("no_recording", message)
    if isinstance(said["error"], dict):
        said["error"] |= {"nearest": miss.nearest or None, "differs": list(miss.differs)}
    return said


# Command line


async def run(library: Library, port: int, pace: Pace) -> None:
    async with await _listen(library, port, pace) as server:
        print(f"serving {counted(library)} on {_url(server)}", flush=True)
        await server.serve_forever()


@contextmanager
def in_background(library: Library, pace: Pace | None = None) -> Iterator[str]:
    """Serve on a free port from a new thread; yield the URL."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(_listen(library, 0, pace))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield _url(server)
    finally:
        asyncio.run_coroutine_threadsafe(_close(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _close(server: asyncio.Server) -> None:
    """Stop serving, and close the open connections."""
    server.close()
    serving = asyncio.all_tasks() - {asyncio.current_task()}
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)


async def _listen(library: Library, port: int, pace: Pace | None) -> asyncio.Server:
    return await asyncio.start_server(Upstream(library, pace).serve, HOST, port, limit=LARGEST_HEAD)


def _url(server: asyncio.Server) -> str:
    return f"http://{HOST}:{server.sockets[0].getsockname()[1]}"


def counted(library: Library) -> str:
    return wording.counted(len(library.by_name), "recording")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text}: write a port from 1 to 65535, or 0 for any free one")
    return int(text)


def _at_least_0(text: str) -> float:
    if not _number(text) >= 0:
        raise argparse.ArgumentTypeError(f"{text}: write a number, 0 or more")
    return float(text)


def _above_0(text: str) -> float:
    if not _number(text) > 0:
        raise argparse.ArgumentTypeError(f"{text}: write a number, more than 0")
    return float(text)


def _number(text: str) -> float:
    """Return NaN for what is no number: it is not more than anything."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="qwen-fix serve", description=__doc__.split("\n")[0])
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="FILE_OR_DIRECTORY", help=".flow and .http files"
    )
    parser.add_argument("--port", type=_port, default=0, help="default: any free one")
    parser.add_argument(
        "--mode",
        choices=MODES,
        default="replay",
        help="replay (default): the best match; strict: exactly this request, each recording once; "
        "cycle: the recordings of a model in turn",
    )
    parser.add_argument(
        "--speed", type=_at_least_0, default=1.0, help="2 is twice as fast as recorded, 0 does not wait"
    )
    parser.add_argument(
        "--ttft", type=_at_least_0, metavar="SECONDS", help="until the first piece, whatever was recorded"
    )
    parser.add_argument(
        "--rate", type=_above_0, metavar="TOKENS_PER_SECOND", help="one event each, whatever was recorded"
    )
    options = parser.parse_args(arguments)
    pace = Pace(options.speed, options.ttft, options.rate)
    try:
        if options.port:
            free(Address(HOST, options.port))
        library = read_library(options.paths, options.mode)
        if not library.by_name:
            raise RecordingError(f"no recordings in {', '.join(map(str, options.paths))}")
        asyncio.run(run(library, options.port, pace))
        return 0
    except BrokenPipeError:
        raise
    except (BadAddressError, RecordingError, OSError) as e:
        print(f"{parser.prog}: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
