"""A streamed chat completion: bytes in, bytes out, with the calls found in its text rewritten.

Every event is read and each of its texts goes to a parser; the event itself is held until the
parser has given all of that text back. If it comes back as text, the event leaves as the bytes
it came in, so a healthy stream leaves byte-identical. As soon as a parser finds anything but
text its stream of text is *diverged*: its events are rewritten from there on, text into the
envelope it came in, calls into chunks of our own.

Whatever fails costs a repair and never an answer: an exception ends the rewriting, what is
held leaves as text, and the rest of the stream passes as it comes. `ledger.failure` tells.
"""

import re
import traceback
from collections import deque
from collections.abc import Sequence
from typing import Any

from ..events import ArgumentsDelta, CallStart, Event, Text
from ..limits import TEMPLATE_RETRY, TEMPLATE_TRIES, TEMPLATES, UNFINISHED_EVENT, UNSEEN
from ..native.calls import Entry, NativeCall, edits_of, merged, rewritten
from ..native.parsers import new_parser
from ..parser.parser import AtRest, ToolCallParser
from ..repairs import Ledger, Repair
from ..schema.json_read import Json
from ..schema.json_write import quoted
from ..schema.rules import Rules
from ..schema.toolset import Toolset, parallel_calls
from ..wire.chat_completions import (
    CALLS,
    choices_of,
    delta_of,
    has_calls,
    is_answer,
    is_bare,
    read_chunk,
    reasoning_in,
    without_fields,
)
from ..wire.envelope import (
    ARGUMENTS,
    IN_ARGUMENTS,
    IN_TEXT,
    IN_VALUE,
    Shortcut,
    Template,
    learn,
    shortcut_of,
    unquoted,
)
from ..wire.json_edit import Path, splice
from ..wire.sse import EventSplitter, is_utf8, read_data, replace_data
from .engine_errors import error_in, read_unparsed
from .lanes import (
    OURS,
    SWALLOWED,
    Choice,
    Held,
    Part,
    TextStream,
    Write,
    is_text,
    joined,
    leading_text,
)

AT_VALUE = AtRest.VALUE
NOTHING = frozenset((b"\n\n", b"\r\n\r\n", b"\r\r"))  # blank lines beside those that end an event
_TO_RUN = re.compile(rb'("finish_reason":\s*)"(?:tool_calls|stop|function_call)"')


class StreamRewriter:
    """Rewrites one streamed answer to `request_body`, the decoded chat-completions request.

    `feed` takes the body of the answer in pieces cut anywhere and returns what can be sent, never
    an empty piece; `close` returns the rest. Neither raises. A request without tools, or with
    tool_choice "none", gets its answer back unread. `rules` are the user's, for its tools.
    """

    def __init__(self, request_body: Json, recovery: str = "tolerant", *, rules: Rules | None = None) -> None:
        self.ledger = Ledger()
        self._request = request_body
        self._recovery = recovery
        self._toolset = Toolset(request_body.get("tools"), request_body.get("tool_choice"), rules)
        self._new_parser = new_parser(self._toolset)  # for what the server parsed
        self._passing = not self._toolset.tools
        self._splitter = EventSplitter()
        self._unread: deque[bytes] = deque()  # complete events that were not looked at yet
        self._in_flight: list[Part] = []  # what the parsers made of the event that is being written
        self._fresh: list[TextStream] = []  # diverged because of it
        self._writing: list[Event] = []  # of a content, what chunks of our own are being made of
        self._choices: dict[int, Choice] = {}
        self._queue: deque[Held | bytes] = deque()
        self._has_asides = False  # comments or pings may wait in it
        self._out: list[bytes] = []
        self._templates: list[Template] = []
        self._unused = 0  # templates learned since one was of use
        self._recovered = False  # from an error: what follows it is no part of the answer
        self._quick: Template | None = None  # of the last event, if it was no more than its text
        self._shortcut: Shortcut | None = None
        self._piece = b""  # that is being fed, until the splitter has it
        # After a failure, if a call was half sent: what has come of a line that is not whole.
        self._guarded: bytes | None = None
        self._unseen: list[bytes] = []  # texts that took the shortcut, as JSON spells them
        self._waiting = b""  # the last of their events, if whitespace at its end has to wait

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the body; return those to send."""
        if self._passing:
            return self._passed(data)
        self._piece = data
        try:
            if self._shortcut and len(self._unseen) < UNSEEN:
                found = self._shortcut.pattern.fullmatch(data)
                if found and (found[1] or not self._waiting) and (data.isascii() or is_utf8(data)):
                    return self._pass_unseen(self._shortcut, data, found)
            self._feed(data)
            if self._quick:
                self._take_shortcut(self._quick)
        except Exception:
            self._fail()
        return self._take()

    def close(self) -> list[bytes]:
        """The body is over; return the rest of what is to be sent."""
        if self._passing:
            return self._passed(b"", over=True)
        self._piece = b""
        try:
            self._feed(b"")
            self._close()
        except Exception:
            self._fail()
        return self._take()

    @property
    def held(self) -> int:
        """Bytes that have come and not left, be it as they were or as something else; about so many."""
        waiting = [held.raw if isinstance(held, Held) else held for held in self._queue]
        pieces = [*waiting, *self._unread, self._waiting, self._splitter.pending, self._guarded or b""]
        texts = [t.parser.pending for c in self._choices.values() for t in c.texts.values() if t.diverged]
        return sum(map(len, pieces)) + sum(map(len, texts))

    def _passed(self, data: bytes, over: bool = False) -> list[bytes]:
        """What goes out when nothing is read any more: the bytes as they come. But if a call is only half
        sent, no finish_reason may say that there is something to run."""
        if self._guarded is None:
            return [data] if data else []
        self._guarded += data
        end = len(self._guarded) if over else self._guarded.rfind(b"\n") + 1
        out = _TO_RUN.sub(rb'\1"length"', self._guarded[:end])
        self._guarded = self._guarded[end:]
        return [out] if out else []

    def _take(self) -> list[bytes]:
        out, self._out = self._out, []
        if len(out) > 1:
            out = [b"".join(out)]
        return out if out and out[0] else []

    # Fail open

    def _fail(self) -> None:
        """An exception is being handled: it must cost no more than the repair."""
        self.ledger.failure = traceback.format_exc()
        self._give_up()

    def _give_up(self) -> None:
        """Send all that is held as it is, and read nothing more."""
        self._passing = True
        if self._unread and self._has_left(self._unread[0]):
            self._unread.popleft()
        in_calls = bool(self._unread) and has_calls_in(self._unread[0])
        self._undo()
        for held in self._queue:
            self._out.append(held if isinstance(held, bytes) else held.raw if held.out is None else held.out)
        unsent = [field for part in self._in_flight if part.stream.diverged for field in part.fields]
        if unsent and self._unread:
            self._unread[0] = without_fields(self._unread[0], unsent)
        for choice in self._choices.values():
            for stream in choice.texts.values():
                if stream.diverged:
                    self._out += self._unsent(stream)
            self._out += [choice.writer().calls([json]) for json in choice.natives.unsent()]
        half_sent = any(
            choice.half_sent or (in_calls and choice.mended_calls) for choice in self._choices.values()
        )
        rest = b"".join([self._waiting, *self._unread, bytes(self._splitter.pending), self._piece])
        self._guarded = b"" if half_sent else None
        self._out += self._passed(rest)

    def _has_left(self, event: bytes) -> bool:
        """Whether an event is on its way as it came, so that only what was to follow it failed."""
        sent = [*self._out, *(held.raw if isinstance(held, Held) else held for held in self._queue)]
        return any(one is event for one in sent)

    def _undo(self) -> None:
        """Nothing was written yet of the texts that have just diverged: what holds them is as it came."""
        events = [held for held in self._queue if isinstance(held, Held)]
        cut = [held for held in events if any(part.stream in self._fresh for part in held.parts)]
        if not any(held.entries for held in cut):
            for held in cut:
                held.out = None
            for stream in self._fresh:
                stream.diverged = False

    def _unsent(self, stream: TextStream) -> list[bytes]:
        """What is in no event that was sent or is held: what the parser found last, and what it holds."""
        parsed = [part for part in self._in_flight if part.stream is stream]
        events = [event for part in parsed for event in part.events]
        if stream is stream.choice.content:
            events = self._writing or stream.choice.natives.held_back(events) + events
        try:
            if held := stream.held_by(self._parser(stream is stream.choice.reasoning, Ledger())):
                events = [*events, Text(held)]
            return self._chunks(stream, events)
        except Exception:  # once more: as text, then
            text = "".join(map(_words, events))
            return [stream.choice.writer().content(text, fields=stream.fields)] if text else []

    # Letters: most deltas hold nothing that the parser would look at

    def _take_shortcut(self, template: Template) -> None:
        """Let the next events pass unseen, if the last one left a parser at rest, or arguments plain."""
        self._quick = None
        if self._queue or self._splitter.pending:
            return
        choice = self._choices[template.index]
        if template.kind is ARGUMENTS:
            self._shortcut = shortcut_of(template, IN_ARGUMENTS)
            return
        parser = choice.texts[template.kind].parser
        if at_rest := parser.at_rest:
            in_value = at_rest is AT_VALUE
            number = choice.number(OURS, parser.calls - 1) if in_value else 0
            self._shortcut = shortcut_of(template, IN_VALUE if in_value else IN_TEXT, number)

    def _pass_unseen(self, shortcut: Shortcut, event: bytes, found: re.Match[bytes]) -> list[bytes]:
        """What goes out for an event that is unseen: whitespace at its end waits, as in a parser."""
        if not shortcut.waits:
            out = shortcut.write(event, found[1])
            self._unseen.append(found[1])
            return [out]
        waiting = self._waiting
        self._unseen.append(found[1] + found[2])
        self._waiting = event if found[2] else b""
        if found[2]:
            return [waiting] if waiting else []
        return [waiting + event]

    def _leave_shortcut(self, shortcut: Shortcut) -> None:
        """Tell those who have to know what they have not seen; the event that waits is read again."""
        self._shortcut = None
        unseen, self._unseen = self._unseen, []
        if self._waiting:
            unseen.pop()
            self._unread.appendleft(self._waiting)
            self._waiting = b""
        choice = self._choices[shortcut.template.index]
        inside = b"".join(unseen)
        if shortcut.of is IN_TEXT:
            stream, text = choice.texts[shortcut.template.kind], unquoted(inside)
            Part(stream, text, stream.feed(text)).count()
        elif shortcut.of is IN_VALUE:  # a JSON string's inside is also the inside of its like
            choice.content.read_text.append(unquoted(inside))
            choice.natives.note([ArgumentsDelta(choice.content.parser.calls - 1, inside.decode())])
        else:
            choice.natives.by_index[shortcut.template.call].mender.follow(unquoted(inside))

    # Reading events

    def _feed(self, data: bytes) -> None:
        events = self._splitter.feed(data)
        self._piece = b""
        self._unread.extend(events)
        if self._shortcut:
            self._leave_shortcut(self._shortcut)
        self._read_all()
        if len(self._splitter.pending) > UNFINISHED_EVENT:
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
        self._quick = None
        if event in NOTHING:
            self._send(event)
            return
        if self._templates and self._read_known(event):
            return
        data = read_data(event)
        chunk = None if data is None else read_chunk(data)
        error = error_in(event, chunk)
        if self._recovered or (error and self._recover(error)):
            return
        if (data or "").strip() == "[DONE]" or error:
            self._finish_all()
        if data is None or chunk is None or not choices_of(chunk):
            self._send_other(event)
            return
        self._remember(event, data, chunk)
        self._read_chunk(event, data, chunk)

    def _recover(self, error: Any) -> bool:
        """Go on with the calls that an error holds; False if it holds none, or they do not go on."""
        choice = self._choice(next(iter(self._choices), 0))
        unparsed = read_unparsed(error, self._parser(reasoning=False, ledger=Ledger(), live=False))
        if unparsed is None or len(self._choices) > 1 or choice.finished or choice.natives.open_in_text:
            return False
        resumed = choice.natives.resume(unparsed.calls)
        if resumed is None:
            return False
        for call in choice.natives.calls:
            self._diverge_call(call)
        self._recovered = True
        self._take_turns(choice, other=False, answer=True)
        self._give_out(choice.content, choice.content.end())
        begun, calls = resumed
        if not choice.content.fed and unparsed.text:
            self._send(choice.writer().content(unparsed.text, choice.first_role()))
        for json in begun:
            self._send(choice.writer().calls([json], choice.first_role()))
        for name, arguments in calls:
            self._send_call(choice, name, arguments)
        self._send(choice.writer().finish("tool_calls"), b"data: [DONE]\n\n")
        self.ledger.add(unparsed.ledger)
        return True

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
        stream = choice.texts.get(template.kind)
        if stream and not stream.finished:
            self._read_text(event, template, stream, string)
        elif template.kind is ARGUMENTS:
            return self._read_arguments(event, template, choice, string)
        else:
            self._send(event)
        return True

    def _read_arguments(self, event: bytes, template: Template, choice: Choice, text: str) -> bool:
        """The arguments of a call the server parsed, in an envelope that is known."""
        call = choice.natives.by_index.get(template.call)
        if call is None or not call.announced or call.number != template.call:
            return False
        if call.mender.follow(text):
            self._send(template.write(call.mender.take()) if call.diverged else event)
            self._quick = None if call.diverged else template
            return True
        start = call.mender.fed
        call.mender.feed(text)
        entry = Entry(call, {}, text, start, call.mender.fed, False)
        self._diverge_changed(choice)
        if call.diverged:
            text = entry.kept + call.mender.take()
            self._send(template.write(text) if text or not template.bare else b"")
        elif call.mender.passed == call.mender.fed and not self._queue:
            self._out.append(event)
        else:
            self._wait(Held(event, [], lambda texts: template.write(texts[0]) if texts[0] else b"", [entry]))
        self._send_more(choice)
        return True

    def _read_text(self, event: bytes, template: Template, stream: TextStream, text: str) -> None:
        """One text of one choice, in an envelope that is known."""
        choice = stream.choice
        choice.synthesis = template.synthesis
        solid = bool(text.strip())  # more than whitespace
        if not choice.reasoning.finished:
            self._take_turns(choice, solid and stream is choice.reasoning, solid and stream is choice.content)
        events = stream.feed(text)
        part = Part(stream, text, events, fields=stream.fields, role=template.role)
        self._in_flight = [part]
        only = events[0] if len(events) == 1 else None
        if solid and choice.natives.calls:
            self._pause_calls(choice)
        quick = stream.diverged and template.bare and choice.role and not choice.natives.calls
        if quick and isinstance(only, ArgumentsDelta):
            choice.natives.note([only])
            number = choice.number(OURS, only.index)
            self._send(template.synthesis.call_arguments(number, only.fragment))
            self._in_flight, self._quick = [], template if solid else None
            return
        plain = not (stream.diverged or self._queue) and stream.fed == stream.passed
        if plain and isinstance(only, Text) and len(only.text) == len(text):
            self._out.append(event)
            self._in_flight, self._quick = [], template if solid else None
            return
        keep = not template.bare or (template.role and not choice.role)

        def write(texts: list[str]) -> bytes:
            return template.write(texts[0]) if keep or texts[0] else b""

        if (not events or isinstance(only, Text)) and not stream.diverged and text.isascii():
            self._hold(Held(event, [part], write))
            self._in_flight, self._quick = [], template if solid else None
        else:
            choice.count(events)
            self._deliver(event, [part], write)

    def _remember(self, event: bytes, data: str, chunk: Json) -> None:
        if self._unused > TEMPLATE_TRIES and self._unused % TEMPLATE_RETRY:
            self._unused += 1
        elif template := learn(event, data, chunk):
            self._templates = [template, *self._templates[: TEMPLATES - 1]]
            self._unused += 1

    def _read_chunk(self, event: bytes, data: str, chunk: Json) -> None:
        """Any chunk: the texts of its choices, calls the server parsed, and their ends."""
        parts: list[Part] = []
        edits: list[tuple[Path, str]] = []
        entries: list[tuple[int, Entry]] = []  # that pass as they are
        keep = False
        for at, choice_json in choices_of(chunk):
            choice = self._choice(choice_json.get("index", 0))
            choice.chunk, choice.synthesis = chunk, None
            delta, reason = delta_of(choice_json), choice_json.get("finish_reason") or None
            other = has_calls(delta) or bool(reasoning_in(delta)[0].strip())
            self._take_turns(choice, other, is_answer(delta))
            self._in_flight, read = parts, []
            for part in choice.read(at, delta, reason):
                read.append(part)
                parts.append(part)
                choice.count(part.events)
            if has_calls(delta):
                ended = choice.content.cut_off(choice.natives.open_in_text)
                part.events += ended
                choice.count(ended)
            found = choice.natives.read(delta)
            mended = self._mend_natives(part, found, reason)
            if mended is None:
                entries += [(at, entry) for entry in found]
            else:
                edits += self._write_natives(choice, at, delta, mended, reason)
            rest = {k: v for k, v in delta.items() if k not in CALLS} if found else delta
            keep = (
                keep
                or bool(mended)
                or reason is not None
                or not is_bare(chunk, rest, [field for one in read for field in one.fields])
                or ("role" in delta and not choice.role)
            )
            if (other_reason := choice.finish_reason(reason)) != reason:
                edits.append((("choices", at, "finish_reason"), quoted(other_reason)))
                if not choice.calls and other_reason != "length":
                    self.ledger.repaired(Repair.FINISH_REASON)

        keep = keep or not (edits or entries or any(part.text for part in parts))  # it was empty before

        def write(texts: list[str]) -> bytes:
            edited: list[tuple[Path, str]] = [
                (path, quoted(t)) for p, t in zip(parts, texts, strict=False) if p.text for path in p.paths
            ]
            cut = _cut_entries(entries, texts[len(parts) :])
            if not (keep or any(cut.values()) or any(texts[: len(parts)])):
                return b""
            for at, calls in cut.items():
                old = chunk["choices"][at]["delta"]["tool_calls"]
                edited += edits_of(("choices", at, "delta", "tool_calls"), old, calls)
            return replace_data(event, splice(data, [*edits, *edited]))

        passing = [entry for _, entry in entries]
        self._deliver(write([p.text for p in parts]) if edits else event, parts, write, passing)
        for part in parts:
            self._send_more(part.stream.choice)

    def _take_turns(self, choice: Choice, other: bool, answer: bool) -> None:
        """Reasoning is over when an answer begins. When something other than content comes, whitespace
        at the end of the content waits no longer for a call of ours right after it."""
        if answer and not choice.reasoning.finished:
            self._give_out(choice.reasoning, choice.reasoning.leave())
        if other and choice.content.only_whitespace:
            self._give_out(choice.content, choice.content.interrupt())

    def _pause_calls(self, choice: Choice) -> None:
        """Text follows calls that the server parsed: those that can be over by now are."""
        choice.natives.pause()
        self._send_rest(choice, [])

    def _mend_natives(self, part: Part, entries: list[Entry], reason: Any) -> list[Json] | None:
        """What is to be written for these entries; None if they can pass as they are."""
        choice = part.stream.choice
        if part.text and not entries:
            choice.natives.pause()
        if reason is not None:
            choice.natives.close(reason)
        if not is_text(part):
            choice.natives.pause()
        if choice.content.diverged or not is_text(part):
            for entry in entries:
                if entry.call.copied is None:
                    self._diverge_call(entry.call)
        self._diverge_changed(choice)
        self._send_rest(choice, entries)
        if reason is not None and not entries:
            self._send_more(choice)
        if not any(entry.call.diverged for entry in entries):
            return None
        return rewritten(entries)

    def _send_rest(self, choice: Choice, entries: list[Entry]) -> None:
        """What is to be sent of calls, and in place of calls, that none of these entries is about."""
        natives = choice.natives
        if natives.continued:
            number = choice.number(OURS, choice.content.parser.calls - 1)
            self._send(choice.writer().call_arguments(number, natives.continued))
            natives.continued = ""
            choice.calls += 1
        for json in natives.rest(entries):
            self._send(choice.writer().calls([json], choice.first_role()))
        for text in natives.texts:
            self._send(choice.writer().content(text, choice.first_role()))
        natives.texts = []

    def _write_natives(
        self, choice: Choice, at: int, delta: Json, calls: list[Json], reason: Any
    ) -> list[tuple[Path, str]]:
        """The edits that rewrite calls; if the event also ends the choice they go before it."""
        key = "tool_calls" if delta.get("tool_calls") else "function_call"
        path: Path = ("choices", at, "delta", key)
        if calls and reason is None and key == "tool_calls":
            return edits_of(path, delta[key], calls)
        if calls:
            self._send(choice.writer().calls(calls, choice.first_role()))
        if reason is not None:
            self._send_more(choice)
        return [(path, "[]" if key == "tool_calls" else "null")]

    def _send_more(self, choice: Choice) -> None:
        """Calls that had been swallowed into arguments."""
        for name, arguments in choice.natives.more():
            self._send_call(choice, name, arguments)

    def _send_call(self, choice: Choice, name: str, arguments: str) -> None:
        """A whole call of our own."""
        number, writer = choice.number(SWALLOWED, len(choice.numbers)), choice.writer()
        self._send(
            writer.call_start(number, name, choice.first_role()), writer.call_arguments(number, arguments)
        )

    def _choice(self, index: int) -> Choice:
        choice = self._choices.get(index)
        if choice is None:
            parsers = self._parser(reasoning=True), self._parser(reasoning=False)
            choice = self._choices[index] = Choice(
                index, *parsers, self._request, self._toolset, self._new_parser
            )
        return choice

    def _parser(self, reasoning: bool, ledger: Ledger | None = None, live: bool = True) -> ToolCallParser:
        return ToolCallParser(
            self._toolset,
            recovery=self._recovery,
            parallel=parallel_calls(self._request),
            live=live,
            reasoning=reasoning,
            ledger=self.ledger if ledger is None else ledger,
        )

    # Writing events

    def _deliver(self, event: bytes, parts: list[Part], write: Write, entries: Sequence[Entry] = ()) -> None:
        """Send an event, hold it, or rewrite it, by what the parsers made of its texts."""
        self._in_flight = parts
        if all(is_text(part) and not part.stream.diverged for part in parts):
            self._hold(Held(event, parts, write, entries))
        else:
            for stream in [part.stream for part in parts if not part.settle()]:
                self._diverge(stream)
            self._rewrite(parts, write, entries)
        self._in_flight, self._fresh, self._writing = [], [], []

    def _give_out(self, stream: TextStream, events: list[Event]) -> None:
        """The same for what a parser had held, without an event."""
        self._in_flight = [Part(stream, "", events)]
        stream.choice.count(events)
        self._deliver(b"", self._in_flight, lambda _: b"")

    def _hold(self, held: Held) -> None:
        """Send an event as it is, as soon as all of its text has come back."""
        for part in held.parts:
            part.stream.choice.role = part.stream.choice.role or part.role
            part.count()
        self._wait(held)

    def _wait(self, held: Held) -> None:
        if held.ready:
            self._release()
            self._send(held.raw)
        else:
            self._queue.append(held)

    def _diverge(self, stream: TextStream) -> None:
        """From here on the events of this text are rewritten, those that are held included."""
        if stream.diverged:
            return
        stream.diverged = True
        self._fresh.append(stream)
        for held in self._queue:
            if isinstance(held, Held) and any(part.stream is stream for part in held.parts):
                self._cut(held)

    def _diverge_call(self, call: NativeCall) -> None:
        """The same, of a call that the server parsed."""
        if call.diverged:
            return
        call.diverged = True
        call.mender.change()
        for held in self._queue:
            if isinstance(held, Held) and any(entry.call is call for entry in held.entries):
                self._cut(held)

    def _diverge_changed(self, choice: Choice) -> None:
        for call in choice.natives.calls:
            if call.mender.changed and not call.diverged and call.copied is None:
                self._diverge_call(call)

    def _cut(self, held: Held) -> None:
        """What else waits in an event that is rewritten waits no longer."""
        held.cut()
        for part in held.parts:
            if part.missing:
                self._diverge(part.stream)
        for entry in held.entries:
            self._diverge_call(entry.call)

    def _rewrite(self, parts: list[Part], write: Write, entries: Sequence[Entry] = ()) -> None:
        """Text before the first call stays in the event, calls and what follows get chunks of their
        own; they go before the event if it ends the choice."""
        closing = any(part.stream.choice.finished for part in parts)
        texts, own = [], []
        for part in parts:
            text, rest = leading_text(part.events)
            if not part.stream.diverged:
                text, rest = part.text, []
            elif not part.text or (rest and closing):
                text, rest = "", part.events
            choice = part.stream.choice
            choice.role = choice.role or (part.role and not closing)
            texts.append(text)
            own += self._synthesise(part.stream, rest)
        event = write([*texts, *[entry.text for entry in entries]])
        self._fresh = []  # what waits may leave from here on: there is no way back
        if closing:
            self._send(*own)
        self._wait(Held(event, [], lambda kept: write([*texts, *kept]), entries))
        if not closing:
            self._send(*own)

    def _synthesise(self, stream: TextStream, events: list[Event]) -> list[bytes]:
        """The events as chunks of our own; adjacent text and arguments share one."""
        choice = stream.choice
        if stream is choice.content:
            self._writing = events = choice.natives.without_copies(events, choice.finished)
        return self._chunks(stream, events)

    def _chunks(self, stream: TextStream, events: list[Event]) -> list[bytes]:
        chunks, choice = [], stream.choice
        for event in joined(events):
            writer = choice.writer()
            match event:
                case Text(text):
                    chunks.append(writer.content(text, choice.first_role(), stream.fields))
                case CallStart(index, name):
                    number = choice.number(OURS, index)
                    chunks.append(writer.call_start(number, name, choice.first_role()))
                case ArgumentsDelta(index, fragment):
                    chunks.append(writer.call_arguments(choice.number(OURS, index), fragment))
        return chunks

    def _finish_all(self) -> None:
        """No more text comes, though no finish_reason did: whatever waits is text."""
        for choice in self._choices.values():
            choice.natives.close(None)
            self._diverge_changed(choice)
            self._send_rest(choice, [])
            self._send_more(choice)
            for stream in choice.texts.values():
                if not stream.finished:
                    self._give_out(stream, stream.end())

    def _send(self, *pieces: bytes) -> None:
        (self._queue if self._queue else self._out).extend(filter(None, pieces))

    def _send_other(self, event: bytes) -> None:
        """An event without a choice. Comments and pings do not wait for what may be a call. For
        whitespace they do, so that a healthy stream stays as it is."""
        if not (self._queue and is_aside(event)):
            self._send(event)
        elif any(isinstance(held, Held) and _holds_words(held) for held in self._queue):
            if self._has_asides:
                self._out += [held for held in self._queue if isinstance(held, bytes) and is_aside(held)]
                self._queue = deque(h for h in self._queue if isinstance(h, Held) or not is_aside(h))
            self._has_asides = False
            self._out.append(event)
        else:
            self._has_asides = True
            self._queue.append(event)

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


def has_calls_in(event: bytes) -> bool:
    """Whether an event says anything of calls that the server parsed."""
    chunk = read_chunk(read_data(event) or "") or {}
    return any(has_calls(delta_of(choice)) for _, choice in choices_of(chunk))


def is_aside(event: bytes) -> bool:
    """Whether an event is nothing but comments, or a ping."""
    *lines, last = event.splitlines() or [event]
    said = [line for line in lines if line and not line.startswith(b":")]
    is_ping = not {b"event: ping", b"event:ping"}.isdisjoint(said)
    return not last and (is_ping or (not said and any(lines)))


def _holds_words(held: Held) -> bool:
    """Whether text waits in an event that is more than whitespace."""
    return held.out is None and any(part.text[len(part.kept) :].strip() for part in held.parts)


def _words(event: Event) -> str:
    """What an event holds, as text."""
    match event:
        case Text(text) | ArgumentsDelta(_, text):
            return text
    return ""


def _cut_entries(entries: list[tuple[int, Entry]], texts: list[str]) -> dict[int, list[Json]]:
    """For each choice, by its place, these entries with no more than these texts of their arguments."""
    calls: dict[int, list[Json]] = {}
    for (at, entry), text in zip(entries, texts, strict=False):
        calls.setdefault(at, []).append(entry.write(text))
    return {at: merged(said) for at, said in calls.items()}
