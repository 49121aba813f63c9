"""What an answer is, by its content-type, or by its first bytes where that says too little.

Some servers and gateways send a stream without a content-type, or as text/plain. A body is read in spite of
that if it begins as an answer of its API does:

    data:  event:  id:  retry:  :     a stream of events
    {  and a first line that is JSON  a stream of lines, in Ollama's API
    {                                 a whole answer

A stream is only expected if the request asked for one. Anything else is passed on as it arrives.
"""

from enum import Enum, auto

from .apis import Api
from .recording.format import parse_object

JSON = "application/json"
# They say nothing about a body, or are said of anything.
VAGUE = frozenset(("", "text/plain", "application/octet-stream", "binary/octet-stream"))

_BOM = b"\xef\xbb\xbf"
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")  # what a line of an event begins with


class Form(Enum):
    """How a body is to be read."""

    STREAM = auto()
    WHOLE = auto()  # one JSON object
    OTHER = auto()  # not at all


def declared(kind: str, api: Api) -> Form | None:
    """Return the form that a content-type (without parameters) names; None if only the body can tell."""
    if kind == api.wire.media_type:
        return Form.STREAM
    if kind == JSON:
        return Form.WHOLE
    return None if kind in VAGUE else Form.OTHER


def form_of(start: bytes, api: Api, expects_stream: bool, is_over: bool = False) -> Form | None:
    """Return the form of a body that starts like this; None if that is not clear yet. `is_over`: this is all
    of it."""
    text = start.removeprefix(_BOM).lstrip()
    if not is_over and (not text or _BOM.startswith(start)):
        return None
    if text.startswith(b"{"):
        return _of_json(text, api, expects_stream, is_over)
    if not expects_stream or not _has_events(api):
        return Form.OTHER
    if text.startswith(_FIELDS):
        return Form.STREAM
    may_be = not is_over and any(field.startswith(text) for field in _FIELDS)
    return None if may_be else Form.OTHER


def _of_json(text: bytes, api: Api, expects_stream: bool, is_over: bool) -> Form | None:
    """Tell a stream of lines from one object, which may have several lines."""
    if _has_events(api) or not expects_stream:
        return Form.WHOLE
    line, line_break, _ = text.partition(b"\n")
    if line_break:
        return Form.STREAM if parse_object(line) else Form.WHOLE
    return Form.WHOLE if is_over else None


def _has_events(api: Api) -> bool:
    """Whether the API streams events, and not lines."""
    return b"\n" not in api.frame_ends


def trouble_with(body: bytes, form: Form) -> str:
    """Say why a body in this form cannot be an answer; empty if it can."""
    if not body.strip():
        return "an empty body"
    return "the body is no JSON" if form is Form.WHOLE and not parse_object(body) else ""
