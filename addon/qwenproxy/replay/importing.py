"""Makes recordings from captures of other programs, and from plain text.

    .flow .mitm .dump   mitmproxy's; every chat in it, even if it was saved without the addon
    .har                mitmproxy's or a browser's; every chat in it
    .http               an answer with its status line and headers, as `curl -i` or `curl -i --raw` prints it
    .sse .ndjson        the body of a streamed answer, as `curl -N` prints it
    .json               the body of an answer that was not streamed
    .txt                only the model's text; it becomes a chat completion, a stream of small deltas

The answers may be of any API that qwen-fix reads. Unknown facts get the simplest value. If the pieces of a
body are not known, each event or line is a piece. The last four formats have no request; `--request` supplies
one, which must be of the same API. Without tools in the request nothing
is repaired. Secrets are redacted as in the recorder.
"""

import argparse
import base64
import dataclasses
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..apis import of_answer
from ..options import BadValueError, names_reader
from ..recording import soundness
from ..recording.captures import api_in, checked, from_http
from ..recording.format import (
    Headers,
    Recording,
    RecordingError,
    api_of,
    header,
    load_chats,
    make_folder,
    parse_object,
    pieces,
    save,
)
from ..recording.redaction import redact
from ..wording import counted

DELTA = 4  # characters in each invented delta
SSE_HEADERS: Headers = (("Content-Type", "text/event-stream"),)
NDJSON_HEADERS: Headers = (("Content-Type", "application/x-ndjson"),)
JSON_HEADERS: Headers = (("Content-Type", "application/json"),)
CODED = ("content-encoding", "content-length", "transfer-encoding")

Json = dict[str, Any]
Found = tuple[list[Recording], list[str]]  # the chats, and why the rest is left out
Reader = Callable[[Path, Json], Found]


def read(path: Path, request: Json) -> Found:
    """Return the chats in a file of any known kind. Raises RecordingError."""
    if not path.exists():
        raise RecordingError(f"{path}: there is no such file")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise RecordingError(f"{path}: unknown kind of file; known are {', '.join(READERS)}")
    try:
        return reader(path, request)
    except OSError as e:
        raise RecordingError(f"{path}: {e.strerror or e}") from None


def why_none(path: Path, others: Sequence[str]) -> str:
    """Return a line about a file without a chat."""
    more = f", and {len(others) - 1} more" if len(others) > 1 else ""
    return f"{path}: no chat in it" + (f": {others[0]}{more}" if others else "")


def _read_flows(path: Path, request: Json) -> Found:
    chats, others = load_chats(path)
    return [_with_request(chat, request) for chat in chats], others


def _with_request(recording: Recording, request: Json) -> Recording:
    if not request:
        return recording
    return dataclasses.replace(recording, request=request, request_body=json.dumps(request).encode())


# Formats without a request


def _read_http(path: Path, request: Json) -> Found:
    recording = from_http(path, request)
    _refuse_other(recording)
    if "chunked" in header(recording.headers, "transfer-encoding") and (cut := dechunked(recording.body)):
        recording = dataclasses.replace(recording, chunks=cut, times=[0.0] * len(cut))
    return [recording], []


def dechunked(body: bytes) -> list[bytes] | None:
    """Return the chunks of a body that still has its chunked framing; None if it has no such framing."""
    chunks: list[bytes] = []
    at = 0
    while match := re.compile(rb"([0-9a-fA-F]+)[^\r\n]*\r\n").match(body, at):
        size, at = int(match[1], 16), match.end()
        if size == 0 or at + size > len(body):
            return chunks + ([body[at:]] if size and at < len(body) else [])
        chunks.append(body[at : at + size])
        at += size + 2
    return chunks or None


def _read_sse(path: Path, request: Json) -> Found:
    body = path.read_bytes()
    if not re.search(rb"^(data|event|id|retry)?:", body, re.M):
        raise RecordingError(f"{path}: no server-sent events in it")
    return [answer(path.stem, request, pieces(SSE_HEADERS, body), SSE_HEADERS)], []


def _read_ndjson(path: Path, request: Json) -> Found:
    body = path.read_bytes()
    if not parse_object(body.partition(b"\n")[0]):
        raise RecordingError(f"{path}: its first line is no JSON object")
    return [answer(path.stem, request, pieces(NDJSON_HEADERS, body), NDJSON_HEADERS)], []


def _read_json(path: Path, request: Json) -> Found:
    body = path.read_bytes()
    if "log" in (value := parse_object(body)):
        return _read_har(path, request)
    if of_answer(value) is None and "error" not in value:
        raise RecordingError(f"{path}: neither an answer of a model nor a HAR")
    return [answer(path.stem, request, [body], JSON_HEADERS)], []


def _read_text(path: Path, request: Json) -> Found:
    try:
        text = path.read_text("utf-8", "strict")
    except UnicodeDecodeError as e:
        raise RecordingError(f"{path}: not text: {e}") from None
    return [answer(path.stem, request, stream_of(text), SSE_HEADERS)], []


def answer(name: str, request: Json, chunks: list[bytes], headers: Headers) -> Recording:
    """Return a recording of an answer about which little is known. Raises RecordingError."""
    api = api_in(b"".join(chunks))
    recording = Recording(
        name=name,
        api=api.name,
        url=f"http://127.0.0.1{api.address}",
        request=request,
        request_body=json.dumps(request).encode() if request else b"",
        request_headers=JSON_HEADERS if request else (),
        chunks=chunks,
        times=[0.0] * len(chunks),
        headers=headers,
    )
    _refuse_other(recording)
    return recording


def _refuse_other(recording: Recording) -> None:
    """Raise RecordingError if the request is of another API than the answer."""
    if recording.request and not recording.of.is_request(recording.request):
        raise RecordingError(
            f"{recording.name}: an answer of the API {recording.api}, but the request is not"
        )


def stream_of(text: str, finish_reason: str = "stop") -> list[bytes]:
    """Return the events of an answer with this text."""
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": text[i : i + DELTA]} for i in range(0, len(text), DELTA)]
    return [*(_chunk(delta) for delta in deltas), _chunk({}, finish_reason), b"data: [DONE]\n\n"]


def _chunk(delta: Json, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    head = {"id": "chatcmpl-0", "object": "chat.completion.chunk", "created": 0, "model": "text"}
    return f"data: {json.dumps(head | {'choices': [choice]}, ensure_ascii=False)}\n\n".encode()


# HAR


def _read_har(path: Path, request: Json) -> Found:
    """HTTP Archive 1.2. mitmproxy's own reader gives up at the first odd entry, and on UTF-8."""
    try:
        log = json.loads(path.read_bytes().decode("utf-8-sig"))["log"]
        entries, creator = list(log["entries"]), log.get("creator", {}).get("name", "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RecordingError(f"{path}: not a HAR file") from None
    chats, others = [], []
    for at, entry in enumerate(entries, 1):
        try:
            chats.append(_with_request(_from_entry(entry, path.stem, creator == "mitmproxy"), request))
        except ValueError as e:
            others.append(f"entry {at}: {e}")
        except Exception as e:  # an odd value can raise anything
            others.append(f"entry {at}: not valid in HAR 1.2: {type(e).__name__} {str(e)[:80]}")
    return chats, others


def _from_entry(entry: Json, name: str, is_mitmproxy: bool) -> Recording:
    """Read one entry. Raises ValueError if it is not a chat, and anything that bad JSON can lead to."""
    request, response = entry["request"], entry["response"]
    asked = str(request.get("postData", {}).get("text", "")).encode("utf-8", "surrogateescape")
    try:
        api = api_of(urlsplit(request["url"]).path, parse_object(asked))
    except ValueError:
        raise ValueError(f"{request['method']} {request['url'][:80]} is not a chat") from None
    if not response.get("status"):
        raise ValueError("it has no answer")
    headers = tuple(pair for pair in _headers(response) if pair[0].lower() not in CODED)
    body = _har_body(response["content"], is_mitmproxy)
    if not body:
        raise ValueError("the body of its answer was not kept")
    chunks = pieces(headers, body)
    recording = Recording(
        name=name,
        api=api.name,
        request=parse_object(asked),
        request_body=asked,
        request_headers=_headers(request),
        method=request["method"],
        url=request["url"],
        started=_seconds(entry.get("startedDateTime", "")),
        chunks=chunks,
        times=[0.0] * len(chunks),
        status=response["status"],
        headers=headers,
    )
    return checked(recording)


def _headers(message: Json) -> Headers:
    """Return the headers without HTTP/2's pseudo-headers, which browsers list."""
    pairs = ((str(h["name"]), str(h["value"])) for h in message.get("headers", []))
    return tuple((key, value) for key, value in pairs if not key.startswith(":"))


def _har_body(content: Json, is_mitmproxy: bool) -> bytes:
    text = content.get("text") or ""
    if content.get("encoding") == "base64":
        return base64.b64decode(text)
    if is_mitmproxy:  # it decodes text/event-stream as Latin-1
        try:
            body = text.encode("latin-1")
            body.decode()
            return bytes(body)
        except UnicodeError:
            pass
    return bytes(text.encode("utf-8", "surrogateescape"))


def _seconds(moment: str) -> float:
    try:
        return datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return 0.0


READERS: dict[str, Reader] = {
    ".flow": _read_flows,
    ".flows": _read_flows,
    ".mitm": _read_flows,
    ".dump": _read_flows,
    ".har": _read_har,
    ".http": _read_http,
    ".sse": _read_sse,
    ".ndjson": _read_ndjson,
    ".json": _read_json,
    ".txt": _read_text,
}


# Writing


def write(
    recordings: Sequence[Recording], directory: Path, names: Iterable[str], written: set[Path]
) -> Iterator[Path]:
    """Write recordings without secrets, numbered if there are several. `written`: the files of this run.
    Raises RecordingError."""
    make_folder(directory)
    for number, recording in enumerate(recordings, 1):
        name = recording.name if len(recordings) == 1 else f"{recording.name}-{number:02}"
        path = _free(directory / f"{name}.flow", written)
        save(redact(dataclasses.replace(recording, name=path.stem), names), path)
        written.add(path)
        yield path


def _free(path: Path, written: set[Path]) -> Path:
    """Return the path, numbered if this run has written it. Raises RecordingError if it was there before."""
    if path in written:
        numbered = (path.with_stem(f"{path.stem}-{number}") for number in count(2))
        return next(other for other in numbered if not other.exists())
    if path.exists():
        raise RecordingError(f"{path} exists already: rename it, or use another --into")
    return path


def read_request(path: Path | None) -> Json:
    """Return the request in a JSON file; empty if there is no file. Raises RecordingError."""
    if path is None:
        return {}
    try:
        request = parse_object(soundness.body(path.read_bytes()))
    except OSError as e:
        raise RecordingError(f"{path}: {e.strerror or e}") from None
    except ValueError as e:
        raise RecordingError(f"{path}: {e}") from None
    if not request:
        raise RecordingError(f"{path}: not the JSON object of a request")
    return request


# Command line


def command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="qwen-fix replay import",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--into", type=Path, required=True, metavar="DIR", help="where the recordings go")
    parser.add_argument("--request", type=Path, metavar="FILE.json", help="the request they are answers to")
    parser.add_argument(
        "--redact", default="", metavar="NAMES", help="further headers and keys, with commas; messages"
    )
    options = parser.parse_args(arguments)
    try:
        names = names_reader("--redact")(options.redact)
        request = read_request(options.request)
    except (BadValueError, RecordingError) as e:
        print(e, file=sys.stderr)
        return 2
    written: set[Path] = set()
    return max(_import(path, request, options.into, names, written) for path in options.files)


def _import(path: Path, request: Json, directory: Path, names: Iterable[str], written: set[Path]) -> int:
    try:
        chats, others = read(path, request)
        if not chats:
            raise RecordingError(why_none(path, others))
    except RecordingError as e:
        print(e, file=sys.stderr)
        return 2
    for why in others:
        print(f"{path}: left out: {why}")
    try:
        for chat, made in zip(chats, write(chats, directory, names, written), strict=True):
            print(f"{made}: {_described(chat)}")
    except BrokenPipeError:
        raise
    except (RecordingError, OSError) as e:
        print(f"{path}: {e}", file=sys.stderr)
        return 2
    return 0


def _described(recording: Recording) -> str:
    tools = recording.request.get("tools") or []
    return f"{counted(len(recording.body), 'byte')} in {counted(len(recording.chunks), 'piece')}, " + (
        counted(len(tools), "tool")
        if tools
        else "0 tools; without tools nothing is repaired; give some with --request FILE.json"
    )
