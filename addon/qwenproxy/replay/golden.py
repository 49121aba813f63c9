"""Goldens: the result of an answer, in a form that a person can review and a program can compare.

A golden is beside its recording as `<name>.golden.json`. It holds what a client gets and
what the ledger says, and nothing that may differ from run to run: calls have no ids, their
arguments are parsed and sorted, and the deltas of a text are joined and written line by line.

    v          version of this format, 1
    unchanged  whether the client got the bytes that the server sent
    choices    content and reasoning (lists of lines), calls, finish_reason
    repairs    name: count
    refused    reason: count
    error      the message, if the server answered with an error
    crash      the exception, if one ended the rewriting

Arguments that are not a JSON object are kept as they came in `arguments_text`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolstream import Ledger
from toolstream.wire.chat_json import choices_of, content_of, delta_of, native_calls, read_chunk, reasoning_in
from toolstream.wire.sse import EventSplitter, read_data

VERSION = 1
SUFFIX = ".golden.json"

Json = dict[str, Any]


class GoldenError(Exception):
    """A file is not a golden. The message names the file and the reason."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call as a client gets it. `arguments` is JSON with sorted keys, or whatever came instead."""

    name: str
    arguments: str

    @property
    def values(self) -> Json | None:
        """Return the arguments; None if they are not a JSON object."""
        return _object(self.arguments)


@dataclass(frozen=True, slots=True)
class Message:
    """One choice of an answer."""

    content: str = ""
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Golden:
    """The result of one answer."""

    unchanged: bool = True
    choices: tuple[Message, ...] = ()
    repairs: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    error: str = ""
    crash: str = ""


def golden(body: bytes, sent: bytes, is_stream: bool, ledger: Ledger) -> Golden:
    """Return the golden of `body`, for which the client was sent `sent`."""
    reader = _read(sent, is_stream)
    counts = ledger.as_dict()
    return Golden(
        unchanged=body == sent,
        choices=reader.messages(),
        repairs=counts["repairs"],
        refused=counts["refused"],
        error=reader.error,
        crash=(ledger.failure.strip().splitlines() or [""])[-1],
    )


def messages_of(body: bytes, is_stream: bool) -> tuple[Message, ...]:
    """Return the choices that a client reads from a body."""
    return _read(body, is_stream).messages()


_TAIL = 1 << 16  # bytes that hold the end of a stream: its finish_reasons, usage, [DONE]
_NAME = b'"name"'  # inside a string it would have backslashes


def outline_of(body: bytes, is_stream: bool) -> tuple[tuple[Message, ...], str]:
    """Return the choices of a body with the names of their calls and their finish_reasons, and its error.
    Everything else may be missing, so only a small part of a long stream is read."""
    reader = _read(b"".join(telling_lines(body)) if is_stream else body, is_stream)
    return reader.messages(), reader.error


def telling_lines(body: bytes) -> Iterator[bytes]:
    tail = max(0, len(body) - _TAIL)
    at = 0
    while (found := body.find(_NAME, at, tail)) >= 0:
        end = body.find(b"\n", found) + 1 or len(body)
        yield body[max(at, body.rfind(b"\n", at, found) + 1) : end] + b"\n"
        at = end
    yield body[max(at, body.rfind(b"\n", at, tail) + 1) :]


# Reading what a client gets


def _read(body: bytes, is_stream: bool) -> "_Reader":
    reader = _Reader()
    for data in _data_of(body) if is_stream else [body.decode("utf-8", "replace")]:
        reader.read(data)
    return reader


def _data_of(body: bytes) -> Iterator[str]:
    splitter = EventSplitter()
    for event in [*splitter.feed(body), bytes(splitter.pending)]:
        if (data := read_data(event)) is not None:
            yield data


@dataclass(slots=True)
class _Choice:
    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    finish_reason: str | None = None
    calls: dict[int, tuple[list[str], list[str]]] = field(default_factory=dict)  # index: name, arguments

    def message(self) -> Message:
        calls = tuple(
            Call("".join(name), _sorted("".join(text))) for _, (name, text) in sorted(self.calls.items())
        )
        return Message("".join(self.content), "".join(self.reasoning), calls, self.finish_reason)


class _Reader:
    """Assembles the deltas, or the messages, of an answer."""

    def __init__(self) -> None:
        self.error = ""
        self._choices: dict[int, _Choice] = {}

    def messages(self) -> tuple[Message, ...]:
        return tuple(choice.message() for _, choice in sorted(self._choices.items()))

    def read(self, data: str) -> None:
        chunk = read_chunk(data)
        if chunk is None:
            return
        if error := chunk.get("error"):
            self.error = str(error.get("message", error) if isinstance(error, dict) else error)
        for _, choice in choices_of(chunk):
            self._read_choice(choice)

    def _read_choice(self, json_choice: Json) -> None:
        choice = self._choices.setdefault(json_choice.get("index", 0), _Choice())
        said = json_choice.get("message")
        delta = said if isinstance(said, dict) else delta_of(json_choice)
        choice.content.append(content_of(delta))
        choice.reasoning.append(reasoning_in(delta)[0])
        choice.finish_reason = json_choice.get("finish_reason") or choice.finish_reason
        for at, call in enumerate(native_calls(delta)):
            if isinstance(call, dict):
                self._read_call(choice, call, at)

    def _read_call(self, choice: _Choice, call: Json, at: int) -> None:
        index, function = call.get("index"), call.get("function")
        function = function if isinstance(function, dict) else {}
        names, texts = choice.calls.setdefault(index if isinstance(index, int) else at, ([], []))
        arguments = function.get("arguments")
        names.append(_text(function, "name"))
        texts.append(arguments if isinstance(arguments, str) else json.dumps(arguments) if arguments else "")


def _text(values: Json, key: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) else ""


def _sorted(arguments: str) -> str:
    values = _object(arguments)
    return arguments if values is None else json.dumps(values, ensure_ascii=False, sort_keys=True)


def _object(text: str) -> Json | None:
    try:
        value = json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _distinct(pairs: list[tuple[str, Any]]) -> Json:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


# Files


def golden_path(recording: Path) -> Path:
    """Return the path of a recording's golden."""
    return recording.with_name(recording.stem + SUFFIX)


def dumps(golden: Golden) -> str:
    """Return the golden as the text of its file."""
    plain: Json = {"v": VERSION, "unchanged": golden.unchanged}
    plain["choices"] = [_plain_message(message) for message in golden.choices]
    plain |= {"repairs": golden.repairs, "refused": golden.refused}
    plain |= {key: text for key in ("error", "crash") if (text := getattr(golden, key))}
    text = json.dumps(plain, ensure_ascii=False, indent=2)
    return text.encode("utf-8", "backslashreplace").decode() + "\n"  # as JSON escapes a lone surrogate


def _plain_message(message: Message) -> Json:
    return {
        "content": _lines(message.content),
        "reasoning": _lines(message.reasoning),
        "calls": [_plain_call(call) for call in message.calls],
        "finish_reason": message.finish_reason,
    }


def _plain_call(call: Call) -> Json:
    if call.values is None:
        return {"name": call.name, "arguments_text": call.arguments}
    return {"name": call.name, "arguments": call.values}


def _lines(text: str) -> list[str]:
    return text.split("\n") if text else []


def load(path: Path) -> Golden:
    """Read a golden. Raises GoldenError."""
    try:
        return loads(path.read_text("utf-8"))
    except OSError as e:
        raise GoldenError(f"{path}: {e.strerror or e}") from None
    except (ValueError, RecursionError) as e:
        raise GoldenError(f"{path}: not a golden: {e}") from None
    except (KeyError, TypeError, AttributeError) as e:
        raise GoldenError(f"{path}: not a golden: {type(e).__name__} {e}") from None


def loads(text: str) -> Golden:
    """Read the text of a golden. Raises ValueError, KeyError, TypeError or AttributeError."""
    plain = json.loads(text)
    if plain["v"] != VERSION:
        raise ValueError(f"format version {plain['v']}, only {VERSION} can be read")
    return Golden(
        unchanged=plain["unchanged"],
        choices=tuple(_message(message) for message in plain["choices"]),
        repairs=dict(plain["repairs"]),
        refused=dict(plain["refused"]),
        error=plain.get("error", ""),
        crash=plain.get("crash", ""),
    )


def _message(plain: Json) -> Message:
    calls = tuple(_call(call) for call in plain["calls"])
    return Message("\n".join(plain["content"]), "\n".join(plain["reasoning"]), calls, plain["finish_reason"])


def _call(plain: Json) -> Call:
    if "arguments" not in plain:
        return Call(plain["name"], plain["arguments_text"])
    return Call(plain["name"], json.dumps(plain["arguments"], ensure_ascii=False, sort_keys=True))
