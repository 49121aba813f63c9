"""Reads a capture of an answer: status line, headers and body, as another program saved them.

A capture says less than a recording. Its first object says of which API it is (`api_in`). In which pieces the
body came is not known, so each event counts as one. A recording that is made from anybody else's file is
checked like one of ours (`checked`).

Our own recordings are read in `format`; whatever else can be imported, in `replay.importing`.
"""

import json
import re
from pathlib import Path
from typing import Any

from .. import apis
from ..apis import CHAT, Api
from . import soundness
from .format import Recording, RecordingError, pieces, to_flow

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_STATUS_LINE = re.compile(r"(HTTP/\d(?:\.\d)?) (\d{3})")
_FIRST_OBJECT = re.compile(rb"^(?:data:)?[ ]?(?=\{)", re.M)
_DECODER = json.JSONDecoder()


def from_http(path: Path, request: dict[str, Any] | None = None) -> Recording:
    """Read a capture whose body has no chunked framing. Raises RecordingError."""
    try:
        head, body = _split_head(path.read_bytes())
    except OSError as e:
        raise RecordingError(f"{path}: {e}") from None
    status_line, *lines = head.decode("latin-1").splitlines() or [""]
    status = _STATUS_LINE.match(status_line)
    if status is None:
        raise RecordingError(f"{path}: not an HTTP response, it starts with {status_line[:40]!r}")
    headers = tuple((k.strip(), v.strip()) for k, _, v in (line.partition(":") for line in lines))
    chunks = pieces(headers, body)
    api = api_in(body)
    recording = Recording(
        name=path.stem,
        api=api.name,
        url=f"http://127.0.0.1{api.address}",
        request=request or {},
        request_body=json.dumps(request).encode() if request else b"",
        chunks=chunks,
        times=[0.0] * len(chunks),
        status=int(status[2]),
        headers=headers,
        http_version=status[1],
    )
    try:
        return checked(recording)
    except ValueError as e:
        raise RecordingError(f"{path}: {e}") from None


def _split_head(data: bytes) -> tuple[bytes, bytes]:
    end = _BLANK_LINE.search(data)
    return (data[: end.start()], data[end.end() :]) if end else (data, b"")


def api_in(body: bytes) -> Api:
    """Return the API of an answer, by its first object; that of chat completions if it could be any."""
    first = _FIRST_OBJECT.search(body)
    if first is None:
        return CHAT
    try:
        value, _ = _DECODER.raw_decode(body[first.end() :].decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return CHAT
    return apis.of_answer(value) or CHAT


def checked(recording: Recording) -> Recording:
    """Check a recording that was made from a foreign file, and return it. Raises ValueError."""
    try:
        for name, check in soundness.CHECKS.items():
            check(getattr(recording, name))
        to_flow(recording)
    except (TypeError, AttributeError) as e:
        raise ValueError(f"not a valid chat ({e})") from None
    return recording
