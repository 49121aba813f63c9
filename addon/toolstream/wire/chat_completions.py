"""chat.completion.chunk: reading deltas out of one, and writing into one.

A stream repeats one envelope (id, model, created …) hundreds of times around one changing
string. So a chunk that was read in full leaves a `Template`: the text before and behind that
string. The next chunk that has the same text on both sides needs no JSON parser, and one whose
content only shrinks is written into its own envelope, byte for byte as the server spelled it.

Chunks of our own (`Synthesis`) copy what identifies the answer and nothing else.
"""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any
from uuid import uuid4

from ..limits import LOOK_AHEAD, PATTERNS
from ..schema.json_read import Json, loads_object
from ..schema.json_write import dump, quoted
from .sse import read_data, replace_data

Path = tuple[str | int, ...]

COPIED = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
CALLS = ("tool_calls", "function_call")  # of a delta: what it says of calls that the server parsed
REASONING = ("reasoning_content", "reasoning", "thinking")  # most servers; newer vLLM and OpenRouter; Ollama
DETAIL = ("type", "text", "format", "index", "id")  # what an element of OpenRouter's reasoning_details has
NATIVE = ("tool_calls", 0, "function", "arguments")
DATA = "data: "
_DECODER = json.JSONDecoder(strict=False)

# Inside of a JSON string, what can pass unread. Prose: all but the beginning of a tag; blanks at its end
# are the second group. Payload: escapes only if they mean the same in the string it goes into, and a line
# break only if its line does not stay blank. Plain: what is no more than itself in JSON that is in JSON,
# and line breaks that no tag is behind.
#
# `|(?!)`, which never matches, stands last in what is repeated for good (`*+`): before 3.11.5 Python does
# not go back to where the last repetition began if that fails half-way.
_RUN = rb'[^<\\"\x00-\x1f]++'
_GAP = rb"(?: |\\[fnrt]|(?!))"
PROSE = rb'((?:%b*+(?:[^<\\"\x00-\x20]++|\\["\\/b])|(?!))*+)(%b{0,%d}+)' % (_GAP, _GAP, LOOK_AHEAD)
PAYLOAD = rb'((?:%b|\\["\\/bf]|(?!))++|(?:%b|\\["\\/bfnt]|(?!))++(?<=[^\\][^ "\\]))' % (_RUN, _RUN)
PLAIN = rb'((?:%b|\\\\n(?=[^<\\"])|(?!))++)' % _RUN


def read_chunk(data: str) -> Json | None:
    """The chunk an event's data holds; None if it is no JSON object."""
    return loads_object(data, strict=False)


def choices_of(chunk: Json) -> list[tuple[int, Json]]:
    """(position, choice) of the choices of a chunk or completion that can be told apart."""
    choices = chunk.get("choices")
    if not isinstance(choices, list):
        return []
    return [(i, c) for i, c in enumerate(choices) if isinstance(c, dict) and type(c.get("index", 0)) is int]


def delta_of(choice: Json) -> Json:
    """The delta of a choice, {} if it has none."""
    delta = choice.get("delta")
    return delta if isinstance(delta, dict) else {}


def content_of(message: Json) -> str:
    """The text of a delta or message; "" if it has none."""
    content = message.get("content")
    return content if isinstance(content, str) else ""


def content_in(message: Json) -> tuple[str, list[Path]]:
    """The content of a delta or message, "" if it has none, and where in it this text stands."""
    return content_of(message), [("content",)]


def reasoning_in(message: Json) -> tuple[str, list[Path]]:
    """The same of its reasoning: a field that was given a new name is often sent under both, as copies."""
    found: list[tuple[Path, Any]] = [((key,), message.get(key)) for key in REASONING]
    details = message.get("reasoning_details")
    for at, detail in enumerate(details if isinstance(details, list) else []):
        if isinstance(detail, dict) and detail.get("type") == "reasoning.text":
            found.append((("reasoning_details", at, "text"), detail.get("text")))
    texts = [text for _, text in found if isinstance(text, str) and text]
    return (texts[0], [place for place, text in found if text == texts[0]]) if texts else ("", [])


def fields_of(delta: Json, places: list[Path]) -> set[str | int]:
    """The fields of a delta that hold the text at these places and nothing else."""
    details = delta.get("reasoning_details")
    more = isinstance(details, list) and any(
        not isinstance(detail, dict) or any(v for k, v in detail.items() if k not in DETAIL)
        for detail in details
    )
    return {place[0] for place in places} - ({"reasoning_details"} if more else set())


def has_calls(message: Json) -> bool:
    """Whether a delta or message says anything of calls that the server parsed itself."""
    return any(message.get(key) for key in CALLS)


def is_answer(message: Json) -> bool:
    """Whether a delta or message has calls, or content that is not blank: what reasoning leads to."""
    content = message.get("content")
    return has_calls(message) or bool(content.strip() if isinstance(content, str) else content)


def native_calls(message: Json) -> list[Any]:
    """The tool calls the server parsed itself."""
    calls = message.get("tool_calls")
    return calls if isinstance(calls, list) else []


def finish_reason(sent: Any, called: bool) -> Any:
    """The finish_reason for the one the server sent, by whether the answer holds calls (P12)."""
    if sent in ("stop", "tool_calls"):
        return "tool_calls" if called else "stop"
    return sent


# Splicing: changing one value of a JSON text and not one byte more


def span(text: str, path: Path) -> tuple[int, int] | None:
    """Where the value at `path` stands in a JSON text; the last one of a repeated key."""
    at = _skip(text, 0)
    for step in path:
        found = None
        for key, start in _members(text, at):
            if key == step:
                found = start
        if found is None:
            return None
        at = found
    return at, _end_of_value(text, at)


def splice(text: str, edits: list[tuple[Path, str]]) -> str:
    """The JSON text with the values at some paths replaced; a path it does not have is left out."""
    spans = [(where, new) for path, new in edits if (where := span(text, path))]
    for (start, end), new in sorted(spans, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _members(text: str, at: int) -> Iterator[tuple[str | int, int]]:
    """(key or position, start of the value) of an object or array."""
    opener, number = text[at], 0
    if opener not in "{[":
        return
    at = _skip(text, at + 1)
    while text[at] not in "}]":
        key: str | int = number
        if opener == "{":
            key, at = scanstring(text, at + 1, False)
            at = _skip(text, _skip(text, at) + 1)
        yield key, at
        number += 1
        at = _skip(text, _end_of_value(text, at))
        if text[at] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t", "\n", "\r"):
        at += 1
    return at


def _end_of_value(text: str, at: int) -> int:
    end: int = _DECODER.raw_decode(text, at)[1]
    return end


def without_fields(event: bytes, fields: Collection[str | int]) -> bytes:
    """The event without these fields of its deltas, for a caller that has lost track of their text."""
    chunk = read_chunk(read_data(event) or "")
    if chunk is None:
        return event
    for _, choice in choices_of(chunk):
        for field in fields:
            delta_of(choice).pop(str(field), None)
    return replace_data(event, json.dumps(chunk))


# Chunks of our own


def new_call_id() -> str:
    """`call_` and 24 hex digits: unique, so that no client takes a call for one it has run."""
    return "call_" + uuid4().hex[:24]


class Synthesis:
    """Writes chunks of one choice in the envelope of a given chunk."""

    __slots__ = ("_head",)

    def __init__(self, chunk: Json, index: int) -> None:
        envelope = {"object": "chat.completion.chunk"} | {k: chunk[k] for k in COPIED if k in chunk}
        head = json.dumps(envelope, separators=(",", ":"))
        self._head = f'data: {head[:-1]},"choices":[{{"index":{index},"delta":'

    def content(self, text: str, role: bool = False, fields: Sequence[str] = ("content",)) -> bytes:
        """A delta of text, the same in each of these fields."""
        said = ",".join(f'"{field}":{quoted(text)}' for field in fields)
        return self._chunk(f"{{{_role(role)}{said}}}")

    def call_start(self, index: int, name: str, role: bool = False) -> bytes:
        """The first delta of a call: all but its arguments."""
        call = {"index": index, "id": new_call_id(), "type": "function"}
        call["function"] = {"name": name, "arguments": ""}
        return self._chunk(f'{{{_role(role)}"tool_calls":[{json.dumps(call, separators=(",", ":"))}]}}')

    def call_arguments(self, index: int, fragment: str) -> bytes:
        """A further delta of a call."""
        return self._chunk(
            f'{{"tool_calls":[{{"index":{index},"function":{{"arguments":{quoted(fragment)}}}}}]}}'
        )

    def calls(self, calls: list[Json], role: bool = False) -> bytes:
        """A delta of the elements of `tool_calls`."""
        return self._chunk(f'{{{_role(role)}"tool_calls":{dump(calls)}}}')

    def around_arguments(self, index: int) -> tuple[bytes, bytes]:
        """What stands before and behind the text in a further delta of a call."""
        head, _, tail = self.call_arguments(index, "*").rpartition(b"*")
        return head, tail

    def finish(self, reason: str) -> bytes:
        """The chunk that ends the choice."""
        return self._chunk("{}").replace(
            b'"finish_reason":null', f'"finish_reason":{quoted(reason)}'.encode()
        )

    def _chunk(self, delta: str) -> bytes:
        return f'{self._head}{delta},"finish_reason":null}}]}}\n\n'.encode()


def _role(role: bool) -> str:
    return '"role":"assistant",' if role else ""


# Templates


@dataclass(frozen=True, slots=True)
class Template:
    """An event around one changing string, which may stand in it several times."""

    head: str
    tails: tuple[str, ...]  # what stands behind the string, each time
    key: str  # of the delta: "content", "reasoning" whatever its name, "arguments", or another
    index: int
    role: bool  # the delta names the role as well
    bare: bool  # nothing but the string, and perhaps the role, is worth keeping
    synthesis: Synthesis
    call: int  # the index of the call whose arguments the string is part of; else -1

    def read(self, event: str) -> str | None:
        """The string, if the event has this envelope."""
        if not event.startswith(self.head):
            return None
        try:
            text, end = scanstring(event, len(self.head))
        except ValueError:
            return None
        tails = self.tails
        behind = tails[0] if len(tails) == 1 else event[len(self.head) : end - 1].join(tails)
        return text if event[end - 1 :] == behind else None

    def write(self, text: str) -> bytes:
        """The event with another string."""
        inside = quoted(text)[1:-1]
        return (self.head + inside + inside.join(self.tails)).encode()


@dataclass(frozen=True, slots=True)
class Shortcut:
    """What becomes of every event of a template whose text is of a kind that nobody has to see at once: it
    passes, or the text goes into a delta of a call. The pattern's groups are the text, and blanks at its
    end that have to wait."""

    pattern: re.Pattern[bytes]
    template: Template
    of: str  # "text", "value" or "arguments"
    head: bytes = b""
    tail: bytes = b""

    def write(self, event: bytes, text: bytes) -> bytes:
        """The event to send for one that matches, with `text` in it."""
        if not self.head:
            return event
        return self.head + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + self.tail


def shortcut_of(template: Template, of: str, number: int = 0) -> Shortcut:
    """The shortcut of a parser `at_rest` (see there) in its "text" or in a "value" of call `number`, or of
    the "arguments" of a call that the server parsed."""
    inside = {"text": PROSE, "value": PAYLOAD, "arguments": PLAIN}[of]
    pattern = _letters(template.head, template.tails, inside)
    around = template.synthesis.around_arguments(number) if of == "value" else ()
    return Shortcut(pattern, template, of, *around)


@lru_cache(maxsize=PATTERNS)
def _letters(head: str, tails: tuple[str, ...], inside: bytes) -> re.Pattern[bytes]:
    first, *more = (re.escape(tail.encode()) for tail in tails)
    copies = b"".join(b"\\1\\2" + tail if inside is PROSE else b"\\1" + tail for tail in more)
    return re.compile(re.escape(head.encode()) + inside + first + copies)


def unquoted(inside: bytes) -> str:
    """What the inside of a JSON string says."""
    text: str = scanstring(inside.decode() + '"', 0)[0]
    return text


def learn(event: bytes, data: str, chunk: Json) -> Template | None:
    """The template of an event that holds one choice without finish_reason, and one string worth reading."""
    choice = chunk["choices"][0]
    if (
        not event.startswith(DATA.encode())
        or len(chunk["choices"]) > 1
        or choice.get("finish_reason") is not None
    ):
        return None
    delta = delta_of(choice)
    key, places = _changing(delta)
    spans = [where for place in places if (where := span(data, ("choices", 0, "delta", *place)))]
    if not spans:
        return None
    head, *tails = _around(event.decode(), sorted(spans))
    index = choice.get("index", 0)
    template = Template(
        head,
        tuple(tails),
        key,
        index,
        bool(delta.get("role")),
        is_bare(chunk, delta, {"tool_calls"} if key == "arguments" else fields_of(delta, places)),
        Synthesis(chunk, index),
        delta["tool_calls"][0]["index"] if key == "arguments" else -1,
    )
    return template if template.read(event.decode()) is not None else None


def _around(event: str, spans: list[tuple[int, int]]) -> Iterator[str]:
    """An event's text without the strings at these places of its data: what stands around them."""
    done = 0
    for start, end in spans:
        yield event[done : len(DATA) + start + 1]
        done = len(DATA) + end - 1
    yield event[done:]


def _changing(delta: Json) -> tuple[str, list[Path]]:
    """The one text of a delta that changes from chunk to chunk, and where in the delta it stands."""
    keys = [k for k, v in delta.items() if v not in (None, "", []) and k != "role"]
    _, places = reasoning_in(delta)
    if keys == ["tool_calls"]:
        match delta["tool_calls"]:
            case [{"index": int(), "function": {"arguments": str()} as function, **rest}]:
                if not rest and len(function) == 1:
                    return "arguments", [NATIVE]
    elif places and set(keys) == {place[0] for place in places}:
        return "reasoning", places
    elif len(keys) == 1 and isinstance(delta[keys[0]], str):
        return keys[0], [(keys[0],)]
    return "", []


def is_bare(chunk: Json, delta: Json, fields: Collection[str | int] = ("content",)) -> bool:
    """Whether a chunk without these fields of its delta says nothing any more, the role apart."""
    if any(v is not None for k, v in chunk.items() if k not in (*COPIED, "choices")):
        return False
    return all(v in (None, "", []) for k, v in delta.items() if k not in fields and k != "role")
