"""A streamed chat completion: bytes in, bytes out, with the calls found in its text rewritten.

Every event is read and its text goes to the parser of its choice; the event itself is held
until the parser has given all of that text back. If it comes back as text, the event leaves as
the bytes it came in, so a healthy stream leaves byte-identical. As soon as a parser finds
anything but text its choice is *diverged*: its events are written anew from there on, text
into the envelope it came in, calls into chunks of our own.

Whatever fails costs a repair and never an answer: an exception ends the rewriting, what is
held leaves as text, and the rest of the stream passes as it comes. `ledger.failure` tells.
"""

import re
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .arguments import quoted
from .chunks import (
    Json,
    Path,
    Synthesis,
    Template,
    choices_of,
    content_of,
    delta_of,
    finish_reason,
    is_bare,
    learn,
    native_calls,
    read_chunk,
    splice,
    without_content,
)
from .events import ArgumentsDelta, CallEnd, CallStart, Event, Text
from .parser import ToolCallParser
from .repairs import Ledger
from .requests import Toolset, parallel_calls
from .sse import EventSplitter, read_data, replace_data

EVENT_LIMIT = 1 << 24  # bytes of one unfinished event; past them this is no stream of chunks
TEMPLATES = 4  # envelopes remembered: choices and kinds of deltas may alternate
TRIES, RETRY = 8, 64  # after so many useless templates only every 64th event is learned from

_SURROGATE = re.compile("[\ud800-\udfff]")

Write = Callable[[list[str]], bytes]  # an event with other texts; b"" if that leaves it nothing to say


class Choice:
    """What is known of one choice of the answer."""

    __slots__ = (
        "calls",
        "chunk",
        "diverged",
        "fed",
        "finished",
        "index",
        "native",
        "numbers",
        "parser",
        "passed",
        "role",
        "synthesis",
    )

    def __init__(self, index: int, parser: ToolCallParser) -> None:
        self.index = index
        self.parser = parser
        self.chunk: Json = {}  # the last one read in full
        self.synthesis: Synthesis | None = None  # writes chunks like it
        self.fed = 0  # characters given to the parser, and
        self.passed = 0  # given back as text, until the choice diverged
        self.diverged = False
        self.finished = False  # the parser is closed
        self.role = False  # the client has been told the role
        self.calls = 0  # calls of ours that are complete
        self.native = 0  # calls the server parsed itself
        self.numbers: dict[tuple[str, int], int] = {}  # (whose, its index) -> index in the answer

    def parse(self, text: str, finish_reason: Any = None) -> list[Event]:
        """Feed the parser, and close it if there is a finish_reason."""
        if self.finished:
            return []
        events = self.parser.feed(text) if text else []
        if finish_reason is not None:
            events = events + self.parser.close(finish_reason)
            self.finished = True
        self.count(events)
        return events

    def count(self, events: list[Event]) -> None:
        """Note the calls that are complete."""
        self.calls += sum(isinstance(e, CallEnd) for e in events)

    def number(self, whose: str, index: int) -> int:
        """The index a call has in the answer: contiguous, whoever found it."""
        return self.numbers.setdefault((whose, index), len(self.numbers))

    def finish_reason(self, sent: Any) -> Any:
        """The finish_reason to send for the one the server sent."""
        return finish_reason(sent, called=bool(self.calls or self.native))

    def writer(self) -> Synthesis:
        """Writes chunks of our own for this choice."""
        if self.synthesis is None:
            self.synthesis = Synthesis(self.chunk, self.index)
        return self.synthesis

    def lacks_role(self, delta: Json) -> bool:
        """Whether the client needs this delta to learn the role."""
        return bool(delta.get("role")) and not self.role

    def first_role(self) -> bool:
        """Whether the next delta has to name the role."""
        first, self.role = not self.role, True
        return first


@dataclass(slots=True)
class Part:
    """The text one event brought for one choice, and what the parser made of it."""

    choice: Choice
    text: str
    events: list[Event]
    at: int = 0  # of the choice in its chunk
    role: bool = False  # the event names the role
    end: int = 0  # of the text in all the text of the choice

    @property
    def content_path(self) -> Path:
        """Where the text stands in its chunk."""
        return ("choices", self.at, "delta", "content")

    @property
    def missing(self) -> int:
        """Characters the parser has not given back."""
        return max(0, self.end - self.choice.passed)


@dataclass(slots=True)
class Held:
    """An event that waits for its text to come back."""

    raw: bytes
    parts: list[Part]
    write: Write
    out: bytes | None = None  # what it became when a choice diverged

    @property
    def ready(self) -> bool:
        return self.out is not None or not any(part.missing for part in self.parts)

    def cut(self) -> None:
        """A choice has diverged: only what came back so far is text of this event."""
        if self.out is None:
            kept = [part.text[: max(0, len(part.text) - part.missing)] for part in self.parts]
            self.out = self.raw if self.ready else self.write(kept)


class StreamRewriter:
    """Rewrites one streamed answer to `request_body`, the decoded chat-completions request.

    `feed` takes the body of the answer in pieces cut anywhere and returns what can be sent, never
    an empty piece; `close` returns the rest. Neither raises. A request without tools, or with
    tool_choice "none", gets its answer back unread (P1).
    """

    def __init__(self, request_body: Json, recovery: str = "tolerant") -> None:
        self.ledger = Ledger()
        self._request = request_body
        self._recovery = recovery
        self._passing = not Toolset(request_body.get("tools"), request_body.get("tool_choice")).tools
        self._splitter = EventSplitter()
        self._unread: deque[bytes] = deque()  # complete events that were not looked at yet
        self._in_flight: list[Part] = []  # of the event that is being written
        self._choices: dict[int, Choice] = {}
        self._queue: deque[Held | bytes] = deque()
        self._out: list[bytes] = []
        self._templates: list[Template] = []
        self._unused = 0  # templates learned since one was of use

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the body; return those to send."""
        if self._passing:
            return [data] if data else []
        try:
            self._feed(data)
        except Exception:
            self._fail()
        return self._take()

    def close(self) -> list[bytes]:
        """The body is over; return the rest of what is to be sent."""
        if self._passing:
            return []
        try:
            self._close()
        except Exception:
            self._fail()
        return self._take()

    def _take(self) -> list[bytes]:
        out, self._out = self._out, []
        return [b"".join(out)] if any(out) else []

    # Fail open (P18)

    def _fail(self) -> None:
        """An exception is being handled: it must cost no more than the repair."""
        self.ledger.failure = traceback.format_exc()
        self._give_up()

    def _give_up(self) -> None:
        """Send all that is held as it is, and read nothing more."""
        self._passing = True
        for held in self._queue:
            self._out.append(held if isinstance(held, bytes) else held.raw if held.out is None else held.out)
        if any(part.choice.diverged for part in self._in_flight):
            self._unread[0] = without_content(self._unread[0])  # its text is among the unsent
        for choice in self._choices.values():
            if choice.diverged and (text := self._unsent(choice)):
                self._out.append(choice.writer().content(text))
        self._out += [*self._unread, bytes(self._splitter.pending)]

    def _unsent(self, choice: Choice) -> str:
        """Text of a choice that is in no event that was sent or is held."""
        back = [
            e.text for p in self._in_flight if p.choice is choice for e in p.events if isinstance(e, Text)
        ]
        return "".join(back) + choice.parser.pending

    # Reading events

    def _feed(self, data: bytes) -> None:
        self._unread.extend(self._splitter.feed(data))
        self._read_all()
        if len(self._splitter.pending) > EVENT_LIMIT:
            self._give_up()

    def _close(self) -> None:
        if rest := bytes(self._splitter.pending):
            self._splitter.pending.clear()
            self._unread.append(rest)
        self._read_all()
        self._finish_all()
        self._release()

    def _read_all(self) -> None:
        while self._unread:
            self._read_event(self._unread[0])
            self._unread.popleft()
            if self._queue:
                self._release()

    def _read_event(self, event: bytes) -> None:
        if self._templates and self._read_known(event):
            return
        data = read_data(event)
        chunk = None if data is None else read_chunk(data)
        if (data or "").strip() == "[DONE]" or (chunk is not None and chunk.get("error")):
            self._finish_all()
        if data is None or chunk is None or not choices_of(chunk):
            self._send(event)
            return
        self._remember(event, data, chunk)
        self._read_chunk(event, data, chunk)

    def _read_known(self, event: bytes) -> bool:
        """Deal with an event that differs from an earlier one in one string only."""
        try:
            text = event.decode()
        except UnicodeDecodeError:
            return False
        for template in self._templates:
            if (string := template.read(text)) is not None:
                break
        else:
            return False
        self._unused = 0
        choice = self._choices[template.index]
        if template.key == "content" and not choice.finished:
            self._read_text(event, template, choice, string)
        elif template.key == "arguments" and len(choice.numbers) > choice.native:
            return False
        else:
            self._send(event)
        return True

    def _read_text(self, event: bytes, template: Template, choice: Choice, text: str) -> None:
        """The text of one choice, in an envelope that is known."""
        choice.synthesis = template.synthesis
        events = choice.parser.feed(text)
        only = events[0] if len(events) == 1 else None
        if choice.diverged and template.bare and choice.role and isinstance(only, ArgumentsDelta):
            number = choice.number("ours", only.index)
            self._send(template.synthesis.call_arguments(number, only.fragment))
            return
        plain = not (choice.diverged or self._queue) and choice.fed == choice.passed
        if plain and isinstance(only, Text) and len(only.text) == len(text):
            self._out.append(event)
            return
        choice.count(events)
        keep = not template.bare or (template.role and not choice.role)

        def write(texts: list[str]) -> bytes:
            return template.write(texts[0]) if keep or texts[0] else b""

        self._deliver(event, [Part(choice, text, events, role=template.role)], write)

    def _remember(self, event: bytes, data: str, chunk: Json) -> None:
        if self._unused > TRIES and self._unused % RETRY:
            self._unused += 1
        elif template := learn(event, data, chunk):
            self._templates = [template, *self._templates[: TEMPLATES - 1]]
            self._unused += 1

    def _read_chunk(self, event: bytes, data: str, chunk: Json) -> None:
        """Any chunk: the texts of its choices, calls the server parsed, and their ends."""
        parts: list[Part] = []
        edits: list[tuple[Path, str]] = []
        keep = False
        for at, choice_json in choices_of(chunk):
            choice = self._choice(choice_json.get("index", 0))
            choice.chunk, choice.synthesis = chunk, None
            delta, reason = delta_of(choice_json), choice_json.get("finish_reason") or None
            keep = (
                keep
                or reason is not None
                or not is_bare(chunk, delta)
                or ("role" in delta and not choice.role)
            )
            edits += self._number_native(choice, at, delta)
            text = "" if choice.finished else content_of(delta)
            parts.append(Part(choice, text, choice.parse(text, reason), at, bool(delta.get("role"))))
            if choice.finish_reason(reason) != reason:
                edits.append((("choices", at, "finish_reason"), quoted(choice.finish_reason(reason))))

        def write(texts: list[str]) -> bytes:
            if not keep and not any(texts):
                return b""
            contents = [
                (("choices", p.at, "delta", "content"), quoted(t))
                for p, t in zip(parts, texts, strict=True)
                if p.text
            ]
            return replace_data(event, splice(data, [*edits, *contents]))

        self._deliver(write([p.text for p in parts]) if edits else event, parts, write)

    def _number_native(self, choice: Choice, at: int, delta: Json) -> list[tuple[Path, str]]:
        """Count the calls the server parsed; renumber them where ours came first."""
        edits: list[tuple[Path, str]] = []
        for i, call in enumerate(native_calls(delta)):
            index = call.get("index") if isinstance(call, dict) else None
            if not isinstance(index, int):
                continue
            ours = len(choice.numbers) > choice.native
            number = choice.number("server's", index)
            choice.native = sum(whose == "server's" for whose, _ in choice.numbers)
            if ours:
                edits.append((("choices", at, "delta", "tool_calls", i, "index"), str(number)))
        return edits

    def _choice(self, index: int) -> Choice:
        choice = self._choices.get(index)
        if choice is None:
            tools, tool_choice = self._request.get("tools"), self._request.get("tool_choice")
            parallel = parallel_calls(self._request)
            parser = ToolCallParser(tools, tool_choice, self._recovery, parallel=parallel, ledger=self.ledger)
            choice = self._choices[index] = Choice(index, parser)
        return choice

    # Writing events

    def _deliver(self, event: bytes, parts: list[Part], write: Write) -> None:
        """Send an event, hold it, or write it anew, by what the parsers made of its texts."""
        self._in_flight = parts
        for part in parts:
            if not _is_text(part):
                self._diverge(part.choice)
        if any(part.choice.diverged for part in parts):
            for part in parts:
                self._diverge(part.choice)
            self._rewrite(parts, write)
        else:
            self._hold(Held(event, parts, write))
        self._in_flight = []

    def _hold(self, held: Held) -> None:
        """Send an event as it is, as soon as all of its text has come back."""
        for part in held.parts:
            part.choice.role = part.choice.role or part.role
            part.choice.fed += len(part.text)
            part.choice.passed += sum(len(e.text) for e in part.events if isinstance(e, Text))
            part.end = part.choice.fed
        if held.ready:
            self._release()
            self._send(held.raw)
        else:
            self._queue.append(held)

    def _diverge(self, choice: Choice) -> None:
        """From here on the events of this choice are written anew, those that are held included."""
        if choice.diverged:
            return
        choice.diverged = True
        for held in self._queue:
            if isinstance(held, Held) and any(part.choice is choice for part in held.parts):
                held.cut()
                for part in held.parts:
                    self._diverge(part.choice)

    def _rewrite(self, parts: list[Part], write: Write) -> None:
        """Text before the first call stays in the event, calls and what follows get chunks of their
        own; they go before the event if it ends the choice."""
        closing = any(part.choice.finished for part in parts)
        texts, own = [], []
        for part in parts:
            text, rest = _leading_text(part.events)
            if not part.text or (rest and closing):
                text, rest = "", part.events
            part.choice.role = part.choice.role or (part.role and not closing)
            texts.append(text)
            own += self._synthesise(part.choice, rest)
        event = write(texts)
        self._send(*([*own, event] if closing else [event, *own]))

    def _synthesise(self, choice: Choice, events: list[Event]) -> list[bytes]:
        """The events as chunks of our own; adjacent text and arguments share one."""
        chunks = []
        for event in _joined(events):
            writer = choice.writer()
            match event:
                case Text(text):
                    chunks.append(writer.content(text, choice.first_role()))
                case CallStart(index, name):
                    chunks.append(writer.call_start(choice.number("ours", index), name, choice.first_role()))
                case ArgumentsDelta(index, fragment):
                    chunks.append(writer.call_arguments(choice.number("ours", index), fragment))
        return chunks

    def _finish_all(self) -> None:
        """No more text comes, though no finish_reason did: whatever waits is text."""
        for choice in self._choices.values():
            if choice.finished:
                continue
            part = Part(choice, "", choice.parser.close(None))
            choice.finished = True
            self._deliver(b"", [part], lambda _: b"")

    def _send(self, *pieces: bytes) -> None:
        (self._queue if self._queue else self._out).extend(filter(None, pieces))

    def _release(self) -> None:
        while self._queue:
            held = self._queue[0]
            if isinstance(held, Held):
                if not held.ready:
                    return
                held = held.raw if held.out is None else held.out
            self._queue.popleft()
            if held:
                self._out.append(held)


def _is_text(part: Part) -> bool:
    """Whether all that came of a text is text, and nothing of it was joined."""
    return all(isinstance(e, Text) for e in part.events) and not any(
        "\ud800" <= c <= "\udfff" for c in part.text
    )


def _leading_text(events: list[Event]) -> tuple[str, list[Event]]:
    """The text the events begin with, and the events behind it."""
    text = ""
    for at, event in enumerate(events):
        if not isinstance(event, Text):
            return text, events[at:]
        text += event.text
    return text, []


def _joined(events: list[Event]) -> list[Event]:
    """The events with adjacent texts, and adjacent arguments of one call, made one."""
    joined: list[Event] = []
    for event in events:
        match joined[-1:], event:
            case [Text(before)], Text(text):
                joined[-1] = Text(before + text)
            case [ArgumentsDelta(i, before)], ArgumentsDelta(j, fragment) if i == j:
                joined[-1] = ArgumentsDelta(i, before + fragment)
            case _:
                joined.append(event)
    return joined
