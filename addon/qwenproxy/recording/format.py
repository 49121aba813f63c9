"""Recordings: one chat per file, in mitmproxy's own flow format.

So mitmweb can open them and `--server-replay` can serve them. The flow holds the request as it was
forwarded and the response as the upstream sent it. `flow.metadata["qwen_fix"]` holds the rest:

    v        version of this format, 1
    sizes    of the pieces the body came in (after content decoding, as the body is)
    times    of the pieces, in seconds since the response headers
    out      the rewritten body
    ledger   what was repaired and refused (`Ledger.as_dict`)
    aborted  why the answer broke off; empty if it did not
    rules    the user's rules that were in force, as the text of a rules file; absent if there were none
    observed true if the client got what the server sent, and `out` is what it would have got
    api      of which API the chat is (`chat`, `messages` …); absent in older recordings, which are chat
    raw      the original body, only in flows saved by mitmproxy itself: their body is the rewritten one

A `Recording` is plain data. Nothing else is written, so nothing that mitmproxy knows about the
connection reaches the disk, and `redaction` has seen everything that does.

Flows that were saved without the addon can be read, too (`load_chats`). Files that are no flows cannot: a
plain HTTP answer is read in `captures`.
"""

import functools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from mitmproxy import connection, exceptions, http, io

from .. import apis
from ..apis import APIS, CHAT, Api
from . import soundness

VERSION = 1
LONGEST_REASON = 300  # characters of the reason why a file is not a recording
KEY = "qwen_fix"  # in flow.metadata
IMPORT = "qwen-fix replay import"  # what reads any other flow file

Headers = tuple[tuple[str, str], ...]


class RecordingError(Exception):
    """A file is not a recording. The message names the file and the reason."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One request and its answer. `started` is in seconds since the epoch, `times` since the headers."""

    name: str
    request: dict[str, Any]  # the JSON body; empty if there is none
    chunks: list[bytes]
    times: list[float]
    status: int = 200
    headers: Headers = ()
    http_version: str = "HTTP/1.1"
    method: str = "POST"
    url: str = "http://127.0.0.1/v1/chat/completions"
    request_headers: Headers = ()
    request_body: bytes = b""
    started: float = 0.0
    out: bytes = b""
    ledger: dict[str, Any] = field(default_factory=dict)
    aborted: str = ""
    rules: str = ""
    observed: bool = False  # the client got what the server sent, not `out`
    api: str = CHAT.name
    comment: str = ""
    marker: str = ""

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def is_stream(self) -> bool:
        return self.of.is_stream(header(self.headers, "content-type"))

    @property
    def of(self) -> Api:
        """Return the API."""
        return APIS[self.api]


def header(headers: Headers, name: str) -> str:
    """Return the first value of a header, or an empty string."""
    return next((value for key, value in headers if key.lower() == name), "")


# Reading


def load(path: Path) -> Recording:
    """Read a .flow recording. Raises RecordingError."""
    flows = _read_flows(path)
    if len(flows) != 1:
        advice = f"; {IMPORT} makes a recording of each chat" if flows else ""
        raise RecordingError(
            f"{path}: a recording holds one chat, this file holds {len(flows)} flows{advice}"
        )
    try:
        return from_flow(flows[0], path.stem)
    except ValueError as e:
        raise RecordingError(f"{path}: {_in_one_line(e)}") from None


def load_chats(path: Path) -> tuple[list[Recording], list[str]]:
    """Return the chats in a flow file, and why its other flows are not chats. Raises RecordingError."""
    chats, others = [], []
    for flow in _read_flows(path):
        try:
            ours = KEY in flow.metadata
            chats.append(from_flow(flow, path.stem) if ours else _from_plain_flow(flow, path.stem))
        except ValueError as e:
            others.append(f"{_described(flow)}: {_in_one_line(e)}")
    return chats, others


def _described(flow: http.HTTPFlow) -> str:
    try:
        return _in_one_line(f"{flow.request.method} {flow.request.path.partition('?')[0]}")
    except Exception:
        return "a flow"


def _in_one_line(said: object) -> str:
    return ascii(str(said)[:LONGEST_REASON])[1:-1]


def _read_flows(path: Path) -> list[http.HTTPFlow]:
    try:
        with path.open("rb") as file:
            return [f for f in io.FlowReader(file).stream() if isinstance(f, http.HTTPFlow)]
    except OSError as e:
        raise RecordingError(f"{path}: {e.strerror or e}") from None
    except Exception as e:  # mitmproxy trusts its files and may raise anything
        is_newer = isinstance(e, exceptions.FlowReadException) and "version" in str(e)
        reason = _in_one_line(e) if is_newer else "not a mitmproxy flow file, or cut off"
        raise RecordingError(f"{path}: {reason}") from None


Reader = Callable[[http.HTTPFlow, str], Recording]


def _refusing(read: Reader) -> Reader:
    """Return a reader that raises ValueError with a reason, whatever is wrong with a flow."""

    @functools.wraps(read)
    def refusing(flow: http.HTTPFlow, name: str) -> Recording:
        try:
            recording = read(flow, name)
            to_flow(recording)  # whatever can be read can be written
        except ValueError:
            raise
        except Exception as e:  # mitmproxy's objects hold whatever was in the file
            raise ValueError(f"not a valid flow ({type(e).__name__}: {e})") from None
        return recording

    return refusing


@_refusing
def _from_plain_flow(flow: http.HTTPFlow, name: str) -> Recording:
    """Read a flow that was saved without the addon. Raises ValueError with the reason if it is not a chat."""
    flow.request.decode(strict=False)
    request, response = soundness.fields(_request_of(flow)), flow.response
    api = api_of(flow.request.path, request["request"])
    if response is None or response.raw_content is None:
        raise ValueError("its answer was not kept")
    response.decode(strict=False)
    head = soundness.fields(head_of(response))
    chunks = pieces(head["headers"], response.raw_content)
    aborted = soundness.text(flow.error.msg if flow.error else "", "error")
    return Recording(
        name=name, chunks=chunks, times=[0.0] * len(chunks), aborted=aborted, api=api.name, **head, **request
    )


def api_of(path: str, request: dict[str, Any]) -> Api:
    """Return the API of a request. Raises ValueError if it is not a chat."""
    api = apis.at(path) or CHAT
    if not api.is_request(request):
        raise ValueError("its request is not a chat")
    return api


def api_named(data: dict[str, Any]) -> str:
    """Return the API in the metadata of a flow. Raises ValueError."""
    name = data.get("api", CHAT.name)
    if not isinstance(name, str) or name not in APIS:
        raise ValueError(f"its API is {name!r}; known are {', '.join(APIS)}")
    return name


@_refusing
def from_flow(flow: http.HTTPFlow, name: str) -> Recording:
    """Read a flow that has our metadata. Raises ValueError with the reason if it is not a recording."""
    data = flow.metadata.get(KEY)
    if not isinstance(data, dict):
        raise ValueError(f"not a recording, its flow has no {KEY} metadata; {IMPORT} makes one of a chat")
    if data.get("v") != VERSION:
        raise ValueError(f"format version {data.get('v')}, only {VERSION} can be read")
    if flow.response is None:
        raise ValueError("a recording without a response")
    body = soundness.data(data.get("raw", flow.response.raw_content) or b"", "raw answer")
    chunks = cut(body, soundness.sizes(data.get("sizes", [])))
    return Recording(
        name=name,
        chunks=chunks,
        times=soundness.times(data.get("times", []), len(chunks)),
        out=soundness.data(data.get("out", b""), "rewritten answer"),
        ledger=soundness.ledger(data.get("ledger", {})),
        aborted=soundness.text(data.get("aborted") or "", "reason to break off"),
        rules=soundness.text(data.get("rules", ""), "rules"),
        observed=data.get("observed") is True,
        api=api_named(data),
        **soundness.fields(head_of(flow.response)),
        **soundness.fields(_request_of(flow)),
    )


def _request_of(flow: http.HTTPFlow) -> dict[str, Any]:
    soundness.host(flow.request.host)
    return request_of(flow)


def request_of(flow: http.HTTPFlow) -> dict[str, Any]:
    """Return the fields of a Recording that come from a flow's request, comment and marker.

    A compressed body is decoded, since secrets are only found in what can be read."""
    request = flow.request
    if "content-encoding" in request.headers:
        request = request.copy()
        request.decode(strict=False)
    body = request.raw_content or b""
    return {
        "request": parse_object(body),
        "request_body": body,
        "request_headers": tuple(request.headers.items(multi=True)),
        "method": request.method,
        "url": _url(request),
        "started": request.timestamp_start,
        "comment": flow.comment,
        "marker": flow.marked,
    }


def _url(request: http.Request) -> str:
    """Return the URL, with the brackets around an IPv6 address that mitmproxy leaves out."""
    host = request.host
    return request.url.replace(f"//{host}", f"//[{host}]", 1) if ":" in host else request.url


def head_of(response: http.Response) -> dict[str, Any]:
    """Return the fields of a Recording that come from a response's status line and headers."""
    return {
        "status": response.status_code,
        "headers": tuple(response.headers.items(multi=True)),
        "http_version": response.http_version,
    }


def parse_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object in `data`; empty if there is none."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def cut(body: bytes, sizes: list[int]) -> list[bytes]:
    """Cut a body into pieces of these sizes. Raises ValueError if they do not add up."""
    if sum(sizes) != len(body):
        raise ValueError(f"its pieces add up to {sum(sizes)} bytes, its body has {len(body)}")
    return [body[end - size : end] for end, size in zip(accumulate(sizes), sizes, strict=True)]


def pieces(headers: Headers, body: bytes) -> list[bytes]:
    """Return the pieces of a body when they are not known: its events or lines, or the whole body."""
    api = apis.streamed_as(header(headers, "content-type"))
    return api.frames(body) if api else [body] if body else []


# Writing


def make_folder(path: Path) -> None:
    """Create a folder for recordings that only its owner may read. An existing one stays as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)


def save(recording: Recording, path: Path) -> None:
    """Write a recording, as a whole or not at all. Only the owner may read the file. Raises OSError."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)  # a leftover file would keep its mode
    try:
        with open(partial, "wb", opener=_private) as file:
            io.FlowWriter(file).add(to_flow(recording))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def to_flow(recording: Recording) -> http.HTTPFlow:
    """Return the recording as a mitmproxy flow."""
    request, response = _request(recording), _response(recording)
    here = ("127.0.0.1", 0)
    client = connection.Client(peername=here, sockname=here, timestamp_start=recording.started)
    flow = http.HTTPFlow(client, connection.Server(address=(request.host, request.port)))
    flow.request, flow.response = request, response
    flow.comment, flow.marked = recording.comment, recording.marker
    flow.metadata[KEY] = metadata(recording)
    return flow


def _request(recording: Recording) -> http.Request:
    request = http.Request.make(recording.method, recording.url)
    request.headers = _headers(recording.request_headers)
    request.raw_content = recording.request_body
    request.timestamp_start = request.timestamp_end = recording.started
    return request


def _response(recording: Recording) -> http.Response:
    response = http.Response.make(recording.status)
    response.http_version = recording.http_version
    response.headers = _headers(recording.headers)
    response.raw_content = recording.body
    response.timestamp_start = recording.started
    response.timestamp_end = recording.started + (recording.times[-1] if recording.times else 0.0)
    return response


def _headers(pairs: Headers) -> http.Headers:
    return http.Headers([(_bytes(key), _bytes(value)) for key, value in pairs])


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")  # as mitmproxy decodes headers


def metadata(recording: Recording) -> dict[str, Any]:
    """Return what is kept beside request and response, in types that a flow file can hold."""
    rules = {"rules": _storable(recording.rules)} if recording.rules else {}
    observed = {"observed": True} if recording.observed else {}
    return (
        rules
        | observed
        | {
            "v": VERSION,
            "api": recording.api,
            "sizes": [len(chunk) for chunk in recording.chunks],
            "times": [round(t, 6) for t in recording.times],
            "out": recording.out,
            "ledger": _storable(recording.ledger),
            "aborted": recording.aborted,
        }
    )


def _storable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()  # an excerpt may end inside a surrogate pair
        case dict():
            return {key: _storable(item) for key, item in value.items()}
        case list():
            return [_storable(item) for item in value]
        case _:
            return value
