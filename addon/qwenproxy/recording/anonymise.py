"""Removes from a recording what user and model wrote, and keeps what the rules look at.

It works by exception. The JSON of requests, events and whole answers, of any API, is walked in place. A value
under one of the keys in KEPT belongs to the protocol, the client or the server, and stays. Every
other text is filled (`placeholder_text`), wherever a server may have put it. Digits are filled, too:
token ids and bytes can spell text. A body that is not JSON is dropped, and the flow's comment says
so. In a stream, which cannot lose a line, such text is filled.

Tool definitions stay. But agents write the folder they run in into a tool's description, so paths
there are filled.

All deltas of a text are filled as one text: a tag that is cut by deltas is found, and so is a
secret.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from .format import Headers, Recording, cut, header, parse_object
from .jsonspans import Span, place, spans
from .placeholder_text import Filler, decode, encode

# Keys of messages; everything in them that is not kept is filled.
OPENED = frozenset(
    {"choices", "content", "delta", "error", "function", "function_call", "message", "messages", "tool_calls"}
    | {"content_block", "system"}  # Messages
    | {"item", "output", "part", "response", "summary"}  # Responses
)
CONVERSATION = "input"  # of Responses, at the top; in a call of Messages it holds the arguments
# Names of tools are not listed here: `Filler` leaves declared names.
IN_ANSWERS = {"code", "created", "finish_reason", "id", "index", "object", "role", "service_tier"} | {
    *("system_fingerprint", "timings", "type", "usage"),
    "stop_reason",
    *(
        "call_id",
        "completed_at",
        "content_index",
        "created_at",
        "incomplete_details",
        "item_id",
        "output_index",
    ),
    *(
        "previous_response_id",
        "sequence_number",
        "status",
        "summary_index",
        "temperature",
        "top_p",
        "truncation",
    ),
    *("max_output_tokens", "done_reason"),
}
IN_REQUESTS = {"chat_template_kwargs", "functions", "model", "reasoning_effort", "response_format"} | {
    *("stream_options", "tool_call_id", "tool_choice", "tools"),
    *("cache_control", "include", "options", "think", "tool_use_id"),
}
KEPT = frozenset(IN_ANSWERS | IN_REQUESTS)
DOCUMENTS = ("arguments", "partial_json")  # keys whose text is JSON
OF_ARGUMENTS = "function_call_arguments"  # in the type of an event whose `delta` is JSON
# Keys under which tools describe themselves; they do not affect how a call is read.
DESCRIPTIONS = frozenset(("$comment", "default", "description", "examples", "title"))
# Keys inside filled values that stay; other keys are filled, unless declared.
KNOWN_KEYS = frozenset(
    {"bytes", "data", "detail", "image_url", "input_audio", "logprob", "logprobs", "text", "token"}
    | {"top_logprobs", "url"}
)
DROPPED = "{what} of {length} bytes was dropped: it is not JSON, and qwen_redact=messages"

# An absolute path or one in a home folder, but not the slash of `and/or`, `</tag>` or `https://`. The name
# of a folder may contain spaces if a separator follows.
_NAME = r"""[^\s"'`<>|*?;\\/]+"""
_PATH = re.compile(
    r"(?:(?<=file://)|(?<![\w/\\.<~-])(?<!:/))(?:~\w*|[A-Za-z]:|\\(?=\\))?"
    rf"(?:[\\/](?:{_NAME}(?:[ ]{_NAME}){{0,4}}(?=[\\/])|{_NAME}))+"
)
_LINE = re.compile(r"(?P<data>\ufeff?data(?::[ ]?|(?=[\r\n]|\Z)))?(?P<rest>[^\r\n]*)(?P<end>\r\n|\n|\r|\Z)")
_OWN_FIELD = re.compile(r"(event|id|retry):")
_FRAME = re.compile(r'  File "[^"\n]*", line \d+, in [\w<>.]+$|Traceback \(most recent call last\):$')
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Group|Interrupt|Iteration|Warning)")

Edit = tuple[int, int, str]


def without_wording(recording: Recording) -> Recording:
    """Return the recording without the words; sizes, calls and repairs stay the same."""
    return _Redactor(recording).redacted()


class _Redactor:
    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._filler = Filler(recording.request.get("tools"))
        self._in_lines = recording.of.frame_ends == (b"\n",)
        self._notes: list[str] = []

    def redacted(self) -> Recording:
        recording = self._recording
        request_body = self._body(recording.request_body, "a request", False)
        is_stream = recording.is_stream and header(recording.headers, "content-encoding") in ("", "identity")
        body = self._body(recording.body, "an answer", is_stream)
        out = self._body(recording.out, "", is_stream)
        is_whole = len(body) == len(recording.body)
        return replace(
            recording,
            request=parse_object(request_body),
            request_body=request_body,
            chunks=cut(body, [len(c) for c in recording.chunks]) if is_whole else [],
            times=recording.times if is_whole else [],
            headers=recording.headers if is_whole else without_body(recording.headers),
            out=out,
            ledger=self._ledger(recording.ledger),
            comment="; ".join(filter(None, [self._comment(recording.comment), *self._notes])),
        )

    def _body(self, body: bytes, what: str, is_stream: bool) -> bytes:
        """Fill a body, or drop it."""
        text = body.decode("utf-8", "surrogateescape")
        if not is_stream and body and not _is_json(text):
            if what:
                self._notes.append(DROPPED.format(what=what, length=len(body)))
            return b""
        edits = self._stream(text) if is_stream else self._document(text)
        return _edited(text, edits).encode("utf-8", "surrogateescape")

    def _document(self, text: str) -> list[Edit]:
        texts = _Texts(text, self._filler)
        texts.add(spans(text), None)
        return texts.edits()

    def _stream(self, text: str) -> list[Edit]:
        texts = _Texts(text, self._filler)
        for event in _lines(text) if self._in_lines else _events(text):
            _fill_data(texts, text, [m.span("rest") for m in event if m["data"] or self._in_lines])
            if not self._in_lines:
                others = [m for m in event if not m["data"] and not _OWN_FIELD.match(m["rest"])]
                texts.fill(m.span("rest") for m in others)
        return texts.edits()

    def _ledger(self, ledger: dict[str, Any]) -> dict[str, Any]:
        return {key: self._noted(key, value) for key, value in ledger.items()}

    def _noted(self, key: str, value: Any) -> Any:
        match value:
            case str():
                return without_messages(value) if key == "failure" else self._filler.text(value)
            case [str(reason), str(excerpt)] if key == "refusals":
                return [reason, self._filler.text(excerpt)]
            case list():
                return [self._noted(key, item) for item in value]
            case dict():
                return {name: self._noted(key, item) for name, item in value.items()}
            case _:
                return value

    def _comment(self, comment: str) -> str:
        """Return the comment without the messages of exceptions."""
        lines = str(self._recording.ledger.get("failure", "")).strip().splitlines()
        said = _exception(lines[-1]) if lines else ""
        return comment.replace(lines[-1], said) if lines else comment


def _fill_data(texts: "_Texts", text: str, data: list[tuple[int, int]]) -> None:
    """Fill the data of an event, which is in these parts of the text."""
    joined = "\n".join(text[start:end] for start, end in data)
    if _is_json(joined):
        texts.add(_spans_of(text, data), json.loads(joined))
    elif joined.strip() != "[DONE]":
        texts.fill(data)


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def without_body(headers: Headers) -> Headers:
    """Return headers that fit an empty body."""
    gone = ("content-encoding", "content-length")
    return tuple((key, value) for key, value in headers if key.lower() not in gone)


def without_messages(traceback: str) -> str:
    """Return where an exception came from and its kind, but not its message."""
    lines = traceback.splitlines()
    return "\n".join(filter(None, (line if _FRAME.fullmatch(line) else _exception(line) for line in lines)))


def _exception(line: str) -> str:
    """Return the name of the exception that a line begins with; empty if there is none."""
    name = line.partition(":")[0]
    return name if _EXCEPTION.fullmatch(name) else ""


# Events


def _events(text: str) -> Iterator[list[re.Match[str]]]:
    """Yield the lines of each event, without blank ones."""
    event: list[re.Match[str]] = []
    for line in _LINE.finditer(text):
        if line["rest"] or line["data"]:
            event.append(line)
        elif event:
            yield event
            event = []
    if event:
        yield event


def _lines(text: str) -> Iterator[list[re.Match[str]]]:
    """Yield each line as an event of its own."""
    return ([line] for line in _LINE.finditer(text) if line["rest"] or line["data"])


def _spans_of(text: str, lines: list[tuple[int, int]]) -> Iterator[Span]:
    """Yield the spans of a JSON document that is spread over several lines."""
    if len(lines) == 1:
        return spans(text, *lines[0])
    first = lines[0][0]
    kept, done = [], first
    for start, end in lines:
        kept += [" " * (start - done), text[start:end]]
        done = end
    return (replace(s, start=s.start + first, end=s.end + first) for s in spans("".join(kept)))


# Texts


class _Texts:
    """The texts of one body, deltas joined, and what replaces them."""

    def __init__(self, text: str, filler: Filler) -> None:
        self._text = text
        self._filler = filler
        self._edits: list[Edit] = []
        self._joined: dict[tuple[Any, ...], list[Span]] = {}

    def fill(self, places: Iterable[tuple[int, int]]) -> None:
        """Fill text that is not JSON."""
        self._edits += [(a, b, self._filler.text(self._text[a:b])) for a, b in places]

    def add(self, found: Iterable[Span], chunk: Any) -> None:
        """Add the spans of a document; `chunk` is its value if it is one of many."""
        for span in found:
            if _is_description(span):
                old = self._text[span.start : span.end]
                self._edits.append((span.start, span.end, self._without_paths(old)))
            if _is_kept(span):
                continue
            if span.kind == "string":
                where = (span.start,) if chunk is None else place(chunk, span.path)
                self._joined.setdefault(where, []).append(span)
            elif span.kind == "number" or not self._is_known(span):
                old = self._text[span.start : span.end]
                self._edits.append((span.start, span.end, self._one(old)))

    def _is_known(self, key: Span) -> bool:
        name = str(key.path[-1])
        return name in KNOWN_KEYS or self._filler.knows(name)

    def _one(self, old: str) -> str:
        decoded, pieces = decode(old)
        return encode(pieces, self._filler.text(decoded))

    def _without_paths(self, old: str) -> str:
        decoded, pieces = decode(old)
        return encode(pieces, _PATH.sub(lambda path: self._filler.text(path[0]), decoded))

    def edits(self) -> list[Edit]:
        for where, found in self._joined.items():
            self._edits += self._filled(where, found)
        return sorted(self._edits)

    def _filled(self, where: tuple[Any, ...], found: list[Span]) -> Iterator[Edit]:
        read = [decode(self._text[span.start : span.end]) for span in found]
        joined = "".join(decoded for decoded, _ in read)
        is_document = found[0].path[-1] in DOCUMENTS or OF_ARGUMENTS in str(where[0])
        filled = self._filler.document(joined) if is_document else self._filler.text(joined)
        at = 0
        for span, (decoded, pieces) in zip(found, read, strict=True):
            yield span.start, span.end, encode(pieces, filled[at : at + len(decoded)])
            at += len(decoded)


def _is_description(span: Span) -> bool:
    """Whether a span is part of the description of a tool."""
    if span.kind != "string" or not {"tools", "functions"}.intersection(span.path[:2]):
        return False
    return next(part for part in reversed(span.path) if isinstance(part, str)) in DESCRIPTIONS


def _is_kept(span: Span) -> bool:
    """Whether a span belongs to the protocol and not to the user or the model."""
    names = [part for part in span.path if isinstance(part, str)]
    if names[:1] == [CONVERSATION] and len(names) > 1:
        names = names[1:]
    if span.kind == "number" and len(span.path) == 1:
        return True  # temperature and the like
    for name in names[: -1 if span.kind == "key" else None]:
        if name in KEPT:
            return True
        if name not in OPENED:
            return False
    return span.kind == "key"


def _edited(text: str, edits: Iterable[Edit]) -> str:
    out, done = [], 0
    for start, end, new in edits:
        out += [text[done:start], new]
        done = end
    return "".join([*out, text[done:]])
