"""Asks a live server and records its answer.

    qwen-fix record NAME --backend http://localhost:8080 [--api messages] [--request FILE.json]

The request goes to the server directly, so the recording shows the server and nothing else. Without
`--request` the server is asked about the weather and gets a weather tool.

Only the standard library is used. What `http.client` reads at once is one piece.
"""

import argparse
import http.client
import json
import math
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..apis import APIS, CHAT, Api
from ..backend.addresses import BadAddressError, on_this_machine, read_server
from ..recording.format import Headers, Recording, RecordingError, make_folder, save
from ..recording.redaction import redact
from ..terminal import printable
from ..wording import counted
from . import outline
from .importing import read_request

Json = dict[str, Any]

PATIENCE = 600.0  # seconds without a byte
MOST_AT_ONCE = 65536  # bytes
LARGEST_PAGE = 1 << 20  # bytes
SHOWN = 200  # bytes of an answer that is none
HUNG_UP = "the server hung up"
HEADERS: Headers = (
    ("Content-Type", "application/json"),
    ("Accept", "text/event-stream, application/x-ndjson, application/json"),
)
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "detailed": {"type": "boolean"},
            },
            "required": ["city", "days"],
        },
    },
}
QUESTION = "What will the weather be in Zürich, the next 3 days, in detail?"


def default_request(api: Api) -> Json:
    """Return the question about the weather, streamed."""
    usage = {"stream_options": {"include_usage": True}} if api is CHAT else {}
    return api.request(QUESTION, "default", True, [WEATHER]) | usage


class ServerError(Exception):
    """The server could not be asked. The message names it and the reason."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many seconds an answer may take, and how many bytes it may have."""

    seconds: float = math.inf
    size: float = math.inf

    def exceeded(self, seconds: float, size: int) -> str:
        """Say which limit is exceeded; empty if none is."""
        if seconds > self.seconds:
            return f"not over after {self.seconds:g} seconds"
        return f"more than {self.size:g} bytes" if size > self.size else ""


NO_LIMITS = Limits()


def ask(
    backend: str,
    name: str,
    request: Json,
    api: Api = CHAT,
    path: str = "",
    headers: Headers = (),
    patience: float = PATIENCE,
    limits: Limits = NO_LIMITS,
) -> Recording:
    """Send a request and record the answer, even an error. An answer that exceeds the limits is cut off.
    `path` is another than the usual one. Raises ServerError."""
    url = address(backend, path or api.address)
    headers = (*HEADERS, *api.headers, *headers)
    started, start = time.time(), time.monotonic()
    connection = None
    try:
        connection = _connect(url, patience)
        body = json.dumps(request).encode()
        connection.request("POST", _target(url), body, dict(headers))
        response = connection.getresponse()
        chunks, times, aborted = _read(response, start, limits)
        return Recording(
            name=name,
            request=request,
            request_body=body,
            request_headers=headers,
            api=api.name,
            url=url,
            started=started,
            chunks=chunks,
            times=times,
            aborted=aborted,
            status=response.status,
            headers=tuple(response.getheaders()),
            http_version="HTTP/1.0" if response.version == 10 else "HTTP/1.1",
        )
    except (OSError, http.client.HTTPException, ValueError) as e:
        raise ServerError(f"{url}: {getattr(e, 'strerror', None) or e}") from None
    finally:
        if connection:
            connection.close()


def look(backend: str, path: str, headers: Headers, patience: float) -> tuple[Headers, bytes]:
    """Return headers and body of a page. `patience`: seconds for all of it. Raises ServerError."""
    url = address(backend, path)
    deadline = time.monotonic() + patience
    connection = None
    try:
        connection = _connect(url, patience)
        connection.request("GET", _target(url), headers=dict(headers))
        response = connection.getresponse()
        body = bytearray()
        while time.monotonic() < deadline and len(body) < LARGEST_PAGE:
            if not (piece := response.read1(MOST_AT_ONCE)):
                break
            body += piece
    except (OSError, http.client.HTTPException, ValueError) as e:
        raise ServerError(f"{url}: {getattr(e, 'strerror', None) or e}") from None
    finally:
        if connection:
            connection.close()
    if response.status >= 400:
        raise ServerError(f"{url}: status {response.status}: {body[:200].decode(errors='replace')}")
    return tuple(response.getheaders()), bytes(body)


def address(backend: str, path: str) -> str:
    """Return the URL of `path` on a server, given with or without scheme and /v1. Raises ServerError."""
    base = on_this_machine(backend.strip())
    is_host = base and "://" not in base and not base.startswith(("http:", "https:"))
    try:
        return read_server(f"http://{base}" if is_host else base) + path
    except BadAddressError as e:
        raise ServerError(str(e)) from None


def _connect(url: str, patience: float) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an http:// or https:// URL")
    if parts.scheme == "https":
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=patience)
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=patience)


def _target(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _read(
    response: http.client.HTTPResponse, start: float, limits: Limits
) -> tuple[list[bytes], list[float], str]:
    """Return the pieces of a body, their times, and why it broke off."""
    chunks, times, size = [], [], 0
    try:
        while piece := response.read1(MOST_AT_ONCE):
            chunks.append(piece)
            times.append(round(time.monotonic() - start, 6))
            size += len(piece)
            if reason := limits.exceeded(times[-1], size):
                return chunks, times, reason
    except http.client.IncompleteRead:
        return chunks, times, HUNG_UP
    except (OSError, http.client.HTTPException) as e:
        return chunks, times, str(e) or type(e).__name__
    return chunks, times, HUNG_UP if response.length else ""  # read1 does not report missing bytes


def read_headers(given: Sequence[str]) -> Headers:
    """Read headers given as `--header 'Name: value'`. Raises ServerError."""
    pairs = [re.fullmatch(r"([^:\s]+):\s*(.*)", text) for text in given]
    if None in pairs:
        name = re.split(r"[\s:]", given[pairs.index(None)], maxsplit=1)[0]  # what follows may be a key
        raise ServerError(f"--header {name} …: write 'Name: value'")
    return tuple((match[1], match[2]) for match in pairs if match)


# Command line


def add_options(parser: argparse.ArgumentParser, model: str = "instead of the model of the request") -> None:
    """Add the options of every command that asks a server."""
    parser.add_argument("--backend", required=True, metavar="URL", help="such as http://localhost:8080")
    parser.add_argument(
        "--header", action="append", default=[], metavar="NAME: VALUE", help="a header to send, such as a key"
    )
    parser.add_argument("--model", default="", help=model)


def command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="qwen-fix record",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", help="of the recording, such as vllm-two-calls")
    add_options(parser)
    parser.add_argument("--request", type=Path, metavar="FILE.json", help="what to ask")
    parser.add_argument("--api", choices=APIS, default=CHAT.name, help="which API to use (chat)")
    parser.add_argument("--into", type=Path, default=Path("recordings"), metavar="DIR", help="(recordings/)")
    options = parser.parse_args(arguments)
    try:
        return _record(options)
    except BrokenPipeError:
        raise
    except (ServerError, RecordingError, OSError) as e:
        print(e, file=sys.stderr)
        return 2


def _record(options: argparse.Namespace) -> int:
    path = _path_of(options.name, options.into)
    api = APIS[options.api]
    request = read_request(options.request) or default_request(api)
    request = request | ({"model": options.model} if options.model else {})
    recording = ask(options.backend, options.name, request, api, headers=read_headers(options.header))
    make_folder(options.into)
    save(redact(recording), path)
    size, pieces = counted(len(recording.body), "byte"), counted(len(recording.chunks), "piece")
    print(f"{path}: status {recording.status}, {size} in {pieces}")
    if wrong := why_no_answer(recording):
        print(f"{recording.url}: {printable(wrong)}; it is recorded all the same", file=sys.stderr)
    return 1 if wrong else 0


def _path_of(name: str, folder: Path) -> Path:
    """Return the path of a new recording. Raises RecordingError."""
    if not name or set(name) & set("/\\\0"):
        raise RecordingError(f"{name or 'an empty name'}: write a name without a slash; --into says where")
    path = folder / f"{name}.flow"
    if path.exists():
        raise RecordingError(f"{path} exists already: write another name, or use another --into")
    return path


def why_no_answer(recording: Recording) -> str:
    """Say why a recording is not the answer of a model; empty if it is."""
    messages, error = outline.read(recording.body, recording.is_stream, recording.of)
    if recording.status != 200:
        body = recording.body[:SHOWN].decode(errors="replace").strip()
        return f"the server answered with status {recording.status}: {error or body or 'an empty body'}"
    if recording.aborted:
        return f"the answer broke off: {recording.aborted}"
    if error:
        return f"the server answered with an error: {error}"
    return "" if messages else f"this is no answer of the API {recording.api}"
