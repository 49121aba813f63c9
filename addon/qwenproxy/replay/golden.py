"""Goldens: the result of an answer, in a form that a person can review and a program can compare.

A golden is beside its recording as `<name>.golden.json`. It holds what a client gets and
what the ledger says, and nothing that may differ from run to run: calls have no ids, their
arguments are parsed and sorted, and the deltas of a text are joined and written line by line.

    v          version of this format, 1
    unchanged  whether the client got the bytes that the server sent
    choices    content and reasoning (lists of lines), calls, finish_reason; of whichever API (`outline`)
    repairs    name: count
    refused    reason: count
    error      the message, if the server answered with an error
    crash      the exception, if one ended the rewriting

Arguments that are not a JSON object are kept as they came in `arguments_text`.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolstream import Ledger

from ..apis import CHAT, Api
from .outline import Call, Message, read

VERSION = 1
SUFFIX = ".golden.json"

Json = dict[str, Any]


class GoldenError(Exception):
    """A file is not a golden. The message names the file and the reason."""


@dataclass(frozen=True, slots=True)
class Golden:
    """The result of one answer."""

    unchanged: bool = True
    choices: tuple[Message, ...] = ()
    repairs: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    error: str = ""
    crash: str = ""


def golden(body: bytes, sent: bytes, is_stream: bool, ledger: Ledger, api: Api = CHAT) -> Golden:
    """Return the golden of `body`, for which the client was sent `sent`."""
    messages, error = read(sent, is_stream, api)
    counts = ledger.as_dict()
    return Golden(
        unchanged=body == sent,
        choices=messages,
        repairs=counts["repairs"],
        refused=counts["refused"],
        error=error,
        crash=(ledger.failure.strip().splitlines() or [""])[-1],
    )


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
