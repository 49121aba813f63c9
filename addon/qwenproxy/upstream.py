"""A model server that answers from recordings, in their own pieces and at their own pace.

    python -m qwenproxy.upstream recordings/ [--port 8081] [--speed 4]
    python -m qwenproxy.upstream recordings/ -- mitmdump --mode reverse:{url}@127.0.0.1:9090 …

The second form runs a command with the server's address in place of `{url}`, and ends with it.

Which recording answers: the one whose request was the same, leaving out what changes from run
to run; else the one whose name is the request's `model`, which is how raw `.http` captures,
that know no request, are asked for. Otherwise a 404 tells what there is.

A recording that broke off breaks off again; one of an HTTP/1.0 server ends with its connection.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from .recording import Recording, RecordingError, from_http, load, parse_object

HOST = "127.0.0.1"
VOLATILE = frozenset(("metadata", "prompt_cache_key", "safety_identifier", "seed", "user"))
HOP_BY_HOP = frozenset(("connection", "content-length", "keep-alive", "transfer-encoding"))
LARGEST_HEAD = 1 << 20  # bytes


class Library:
    """The recordings that are served."""

    def __init__(self, recordings: Iterable[Recording]) -> None:
        self.by_name = {recording.name: recording for recording in recordings}

    def find(self, request: dict[str, Any]) -> Recording | None:
        asked = essence(request)
        same = (r for r in self.by_name.values() if r.request and essence(r.request) == asked)
        return next(same, None) or self.by_name.get(str(request.get("model", "")))


def essence(request: dict[str, Any]) -> dict[str, Any]:
    """What makes two requests the same chat."""
    return {key: value for key, value in request.items() if key not in VOLATILE}


def read_library(paths: Iterable[Path]) -> Library:
    """Read files, and the recordings in directories. Raises RecordingError."""
    return Library(from_http(p) if p.suffix == ".http" else load(p) for p in _files(paths))


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        found += (
            sorted(p for p in path.iterdir() if p.suffix in (".flow", ".http")) if path.is_dir() else [path]
        )
    return found


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    version: str
    body: bytes


class Upstream:
    """Answers requests from a library; `speed` 2 is twice as fast as recorded, 0 does not wait."""

    def __init__(self, library: Library, speed: float = 1.0) -> None:
        self._library = library
        self._speed = speed

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while (request := await read_request(reader)) and await self._answer(request, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass  # the client has gone, or does not speak HTTP/1
        finally:
            writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Write one answer; False if the connection has to be closed after it."""
        if request.method == "GET" and request.path.endswith("/models"):
            return await _write_json(writer, 200, models(self._library))
        recording = self._library.find(parse_object(request.body))
        if recording is None:
            return await _write_json(writer, 404, not_found(request, self._library))
        return await self._play(recording, writer)

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
        for chunk, at in zip(recording.chunks, recording.times, strict=False):
            if self._speed:
                await asyncio.sleep(start + at / self._speed - clock())
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
            await writer.drain()


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Read one request; None at the end of the connection. Raises ValueError if it is no HTTP/1."""
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
    """The status line and headers of an answer."""
    headers = [(k, v) for k, v in recording.headers if k.lower() not in HOP_BY_HOP]
    headers.append(("Transfer-Encoding", "chunked") if chunked else ("Connection", "close"))
    return _head(recording.http_version if not chunked else "HTTP/1.1", recording.status, headers)


def _head(version: str, status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    lines = [f"{version} {status} {HTTPStatus(status).phrase}", *(f"{k}: {v}" for k, v in headers)]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


async def _write_json(writer: asyncio.StreamWriter, status: int, value: dict[str, Any]) -> bool:
    body = json.dumps(value).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    writer.write(_head("HTTP/1.1", status, headers) + body)
    await writer.drain()
    return True


def models(library: Library) -> dict[str, Any]:
    """The recordings, as a list of models."""
    data = [
        {"id": name, "object": "model", "created": 0, "owned_by": "recording"} for name in library.by_name
    ]
    return {"object": "list", "data": data}


def not_found(request: Request, library: Library) -> dict[str, Any]:
    """The error for a request that no recording answers."""
    message = (
        f"no recording answers this {request.method} {request.path}: none has the same request, and none is "
        f"called as its model. There are: {', '.join(library.by_name) or 'none'}"
    )
    return {
        "error": {
            "message": message,
            "type": "invalid_request_error",
            "param": "model",
            "code": "no_recording",
        }
    }


# Command line


async def run(library: Library, port: int, speed: float, command: Sequence[str]) -> int:
    """Serve until the command has ended, or for ever; return its exit code."""
    upstream = Upstream(library, speed)
    async with await asyncio.start_server(upstream.serve, HOST, port, limit=LARGEST_HEAD) as server:
        url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
        count = len(library.by_name)
        print(f"serving {count} recording{'' if count == 1 else 's'} on {url}", flush=True)
        if not command:
            await server.serve_forever()
        return await run_command([part.replace("{url}", url) for part in command])


async def run_command(command: Sequence[str]) -> int:
    """Run a command; who stops us stops it."""
    process = await asyncio.create_subprocess_exec(*command)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, process.terminate)
    try:
        return await process.wait()
    except asyncio.CancelledError:  # by Ctrl-C, which the terminal has sent to the command too
        return await process.wait()


def main(arguments: Sequence[str]) -> int:
    split = list(arguments).index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(prog="python -m qwenproxy.upstream", description=__doc__.split("\n")[0])
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="FILE_OR_DIRECTORY", help=".flow and .http files"
    )
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    parser.add_argument("--speed", type=float, default=1.0, help="2 is twice as fast, 0 does not wait")
    options = parser.parse_args(arguments[:split])
    try:
        library = read_library(options.paths)
        if not library.by_name:
            raise RecordingError(f"no recordings in {', '.join(map(str, options.paths))}")
        return asyncio.run(run(library, options.port, options.speed, arguments[split + 1 :]))
    except (RecordingError, OSError) as e:
        print(f"{parser.prog}: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
