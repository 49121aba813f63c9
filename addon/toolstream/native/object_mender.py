"""Mends arguments that are a JSON object, while they stream (P15): pieces of it go in, and JSON comes out.

`JsonStream` splits them into tokens; here is one method for each kind of token. What fits the schema
passes as it came. A value of the wrong type is recognised by its first character, so that everything that
was sent before stays valid: a string where none is allowed waits for its end and is then converted; any
other value where only a string is allowed is written as a string. Escapes, Python's words, and commas
before a closing bracket are corrected in place. `swallowed` finds what a string has swallowed. If the
text is not JSON, all of it waits for the end.
"""

import re
from collections.abc import Callable

from ..grammar.text import end_of, joined
from ..limits import HELD, OPEN_BRACKETS, PIECE, TAILS
from ..repairs import Refused, Repair
from ..schema.coercion import FAILED, OMITTED, coerce
from ..schema.escapes import mended, unescaped
from ..schema.json_read import loads, loads_object
from ..schema.json_write import dump, escaped, quoted
from ..schema.schema import Parameter, Tool
from .closers import Run, closing_run, coerced_without_closers
from .json_stream import JsonStream, Kind, State
from .keys import DamagedKey, read_damaged_key
from .nesting import Nesting
from .object_end import ObjectEnd
from .reader import Findings, NewParser, Passage
from .scalars import is_allowed, kind_of, may_be_omitted, written
from .swallowed import ValueWatch, split_value

# Letters of a string that are payload in any case, including line breaks before anything but a tag
_PLAIN = re.compile(r'(?:[^"\\<\x00-\x1f]++|\\["\\/bft]|\\n(?=[^"\\<]|\\[^ru])|(?!))*+')
_LINE_BREAK = "\\n"
_BLANK = re.compile(r"(?:\s|\\[nrt])*")
_ESCAPED_SPACE = re.compile(r"\\[nrt]")


class ObjectMender:
    """Mends one object."""

    def __init__(self, tool: Tool, new_parser: NewParser, findings: Findings) -> None:
        self._tool, self._new_parser, self._findings = tool, new_parser, findings
        self._stream = JsonStream(lambda key: tool.declares(key) and key not in self._nesting.given)
        self._passage, self._watch = Passage(), ValueWatch()
        self._received: list[str] = []
        self._plain = False  # in a string whose letters can pass at once
        self._literal = False  # everything passes unread
        self._nesting = Nesting()
        self._misfit: Parameter | None = None  # the schema that the open string does not fit
        self._damaged: DamagedKey | None = None  # the key that waits, written as K=V
        self._string_at = 0  # where the open string begins, in what waits or was written
        self._has_tags = False  # an earlier value contains tags of calls
        self._closers: tuple[Run, int] | None = None  # closing tags that wait, and their size with the quote
        self._tails = 0  # strings whose ends were parsed as text
        self._stopped_in: State | None = None  # the state in which it could not be read on
        self._end = ObjectEnd(tool, new_parser, findings, self._passage, self._stream, self._nesting)
        self._act: dict[Kind, Callable[[str], None]] = {
            Kind.SPACE: self._on_space,
            Kind.OPEN: self._on_open,
            Kind.CLOSE: self._on_close,
            Kind.KEY: self._on_key,
            Kind.COLON: self._on_space,
            Kind.COMMA: self._passage.hold,
            Kind.QUOTE: self._on_quote,
            Kind.LETTERS: self._on_letters,
            Kind.CONTROL: self._on_wrong_letter,
            Kind.BACKSLASH: self._on_wrong_letter,
            Kind.QUOTES: self._on_quotes,
            Kind.MARKED: self._on_marked,
            Kind.UNQUOTE: self._on_unquote,
            Kind.SCALAR: self._on_scalar,
            Kind.RAW: self._on_raw,
            Kind.RAW_END: self._on_raw_end,
            Kind.AFTER: self._on_after,
            Kind.BROKEN: self._on_broken,
            Kind.REST: self._passage.hold,
        }

    @property
    def pending(self) -> str:
        return self._passage.pending + self._unread

    @property
    def _unread(self) -> str:
        """The text that came and is not understood yet."""
        return self._watch.waiting + self._stream.pending

    @property
    def held(self) -> int:
        return self._passage.held + self._watch.held + self._stream.held

    @property
    def awaits_value(self) -> bool:
        """Whether a value comes next."""
        return self._stream.state is State.VALUE

    def feed(self, text: str) -> str:
        self._received.append(text)
        if self._literal:
            self._passage.write(text)
        elif not (self._plain and self._goes_on(text)):
            for at in range(0, len(text), PIECE):
                self._stream.feed(text[at : at + PIECE])
                self._run()
            settled = self._stream.state is State.STRING and self._stream.is_settled
            self._plain = settled and not self._passage.held and self._unread in ("", _LINE_BREAK, "\\")
        return self._passage.take()

    def _goes_on(self, text: str) -> bool:
        """Pass more letters of a string, if they are plain. A line break at their end waits, and so does
        half of an escape."""
        watch, stream = self._watch, self._stream
        waited = self._unread if watch.held or stream.held else ""
        text = waited + text
        end = end_of(_PLAIN, text)
        waits = text[end:]
        if waits and waits != "\\" and not (waits == _LINE_BREAK and self._nesting.outermost):
            return False
        self._passage.write(text[:end])
        if waited or waits:
            watch.drop()
            stream.drop()
            (stream.feed if waits == "\\" else watch.hold)(waits)
        return True

    def _run(self) -> None:
        while token := self._stream.peek():
            self._act[token.kind](token.text)
            self._stream.advance(token)
        if self.held > HELD:
            self._findings.refuse(Refused.LIMIT, self.pending)
            self._give_up()

    def _give_up(self) -> None:
        """Everything that waits leaves as it came, and so does what follows."""
        self._literal = True
        self._passage.write(self._unread)
        self._watch.drop()
        self._stream.drop()

    def close(self, stopped: bool) -> str:
        if self._findings.complete:
            self._end.part_rest(stopped)
        elif stopped:
            self._close_open()
        self._give_up()
        if not self._findings.complete:
            self._findings.set_complete(loads_object(self._passage.text) is not None)
        return self._passage.take()

    def _close_open(self) -> None:
        """The model has stopped, and the object is not closed."""
        self._stream.finish()
        self._run()
        state, whole = self._stopped_in or self._stream.state, "".join(self._received)
        if self._misfit and state is State.STRING:
            self._end.close_in_value(whole, self._string_at)
            return
        if not self._stopped_in and state in (State.NEXT, State.FURTHER):
            self._decide_closers(last=True)
            self._end.close_object()
        if not self._findings.complete:
            self._end.close_broken(whole, state)

    def _repair(self, repair: Repair, text: str = "") -> None:
        """Count a repair, and write this text in place of what waits."""
        self._findings.count(repair)
        self._passage.replace(text)

    # Brackets

    def _on_space(self, text: str) -> None:
        """Whitespace and colons wait if what comes before them does."""
        if "\\" in text:
            self._findings.count(Repair.JSON_REPAIRED)
            text = _ESCAPED_SPACE.sub(" ", text)
        if self._passage.held:
            self._passage.hold(text)
        else:
            self._passage.write(text)

    def _on_open(self, bracket: str) -> None:
        inside = bool(self._nesting.frames)
        parameter = self._nesting.begin_value() if inside else self._tool.arguments
        if inside and "string" in parameter.types and not is_allowed(kind_of(bracket), parameter):
            self._findings.count(Repair.WRONG_TYPE)
            self._release('"')
            self._stream.read_as_text()
            return
        self._release(bracket)
        if self._nesting.open(parameter, bracket == "[") > OPEN_BRACKETS:
            self._give_up()

    def _release(self, text: str) -> None:
        """Write this text after what waited."""
        self._damaged = None
        self._passage.write(text)

    def _on_close(self, bracket: str) -> None:
        self._decide_closers(last=True)
        waiting = self._passage.waiting
        if waiting[:1] == ",":
            self._repair(Repair.JSON_REPAIRED, waiting[1:])
        if self._nesting.outermost and self._stream.state is State.FIRST:
            self._passage.hold(bracket)  # `{}`: these are the arguments, or a false start before them
            return
        self._release(bracket)
        self._nesting.close()
        if not self._nesting.frames:
            self._findings.set_complete()

    def _on_after(self, _: str) -> None:
        if self._passage.held and self._stream.pending[0] == "{":  # `{}` was a false start
            self._repair(Repair.REPEATED_ARGUMENTS)
            self._stream.begin_again()
        else:
            self._release("")
            self._findings.set_complete()

    def _on_broken(self, _: str) -> None:
        self._stopped_in = self._stream.state
        self._decide_closers(last=False)
        if self._stopped_in is State.VALUE:
            self._passage.write("")  # the key before it is complete, and need not wait

    # Keys and scalars

    def _on_key(self, text: str) -> None:
        key = loads(joined(text))
        if not isinstance(key, str):
            self._stopped_in = self._stream.state
            self._stream.break_off()
            return
        self._decide_closers(last=False)
        self._separate()
        damaged = self._damage_of(key)
        if damaged and damaged.value is None:
            self._findings.count(Repair.DAMAGED_KEY)
            key, text, damaged = damaged.name, quoted(damaged.name), None
        self._nesting.rename(key)
        if damaged:
            self._release("")
            self._passage.hold(text)
            self._damaged = damaged
        elif may_be_omitted(self._nesting.known):
            self._passage.hold(text)
        else:
            self._release(text)

    def _separate(self) -> None:
        """A comma before a key is surplus if what came before it was left out."""
        waiting = self._passage.waiting
        if self._nesting.is_first and waiting[:1] == ",":
            self._passage.replace(waiting[1:])

    def _damage_of(self, key: str) -> DamagedKey | None:
        damaged = read_damaged_key(key, self._tool) if self._nesting.outermost else None
        return None if damaged and damaged.name in self._nesting.given else damaged

    def _mend_key(self, name: str, text: str) -> None:
        """`"K=V": ""` stood for `"K": "V"`."""
        value = coerce(text, self._tool.parameter(name))
        value = text if value in (FAILED, OMITTED) else value
        self._repair(Repair.DAMAGED_KEY, f"{quoted(name)}: {dump(value)}")
        self._nesting.rename(name)
        self._nesting.given.add(name)
        self._damaged = None

    def _omit(self) -> None:
        """Leave out the last member, with the part of it that waits."""
        self._repair(Repair.WRONG_TYPE)
        self._nesting.omit()

    def _on_scalar(self, text: str) -> None:
        token, repair = written(text, self._nesting.begin_value())
        if not token:
            self._omit()
            return
        if repair:
            self._findings.count(repair)
        self._release(token)

    def _on_raw(self, text: str) -> None:
        self._release(escaped(text))

    def _on_raw_end(self, text: str) -> None:
        self._release(escaped(text) + '"')

    # Strings

    def _on_quote(self, quote: str) -> None:
        parameter = self._nesting.begin_value()
        self._misfit = None if is_allowed("string", parameter) else parameter
        self._watch.begin(self._nesting.key)
        if self._misfit or self._damaged:
            self._string_at = self._passage.held
            self._passage.hold(quote)
        else:
            self._release(quote)
            self._string_at = self._passage.mark

    def _on_letters(self, text: str) -> None:
        if self._misfit:
            self._passage.hold(text)
        else:
            self._release(self._watch.feed(text) if self._nesting.outermost else text)

    def _on_wrong_letter(self, char: str) -> None:
        if self._misfit:
            self._passage.hold(char)
        elif self._watch.swallows:
            self._watch.hold(char)
        else:
            self._findings.count(Repair.JSON_REPAIRED)
            self._release(self._watch.waiting + mended(char))
            self._watch.drop()

    def _on_quotes(self, text: str) -> None:
        self._findings.count(Repair.JSON_REPAIRED)
        self._on_letters(mended(text, quotes=True))

    def _on_marked(self, text: str) -> None:
        self._on_quotes(text[2:-2])

    def _on_unquote(self, quote: str) -> None:
        if self._misfit:
            self._on_misfit(self._misfit, quote)
        elif self._damaged:
            self._mend_key(self._damaged.name, self._damaged.value or "")
        elif not (self._watch.held and self._take_tail(unescaped(self._watch.waiting), quote)):
            self._release(self._as_json(self._watch.waiting) + quote)
            self._has_tags |= self._watch.has_tags
        self._watch.drop()

    def _as_json(self, text: str) -> str:
        """A part of a string that waits, as JSON."""
        if (right := mended(text)) != text:
            self._findings.count(Repair.JSON_REPAIRED)
        return right

    def _on_misfit(self, parameter: Parameter, quote: str) -> None:
        """A string where none is allowed: write the value that it stands for."""
        waiting, at = self._passage.waiting, self._string_at
        text = unescaped(waiting[at + 1 :])
        value, is_closed = coerced_without_closers(text, parameter, self._nesting.key)
        if is_closed:
            self._findings.count(Repair.STRAY_CLOSER)
        if value is FAILED:
            self._findings.refuse(Refused.MISFIT, f"{self._nesting.key}={text}")
            self._passage.replace(waiting[: at + 1] + self._as_json(waiting[at + 1 :]))
            self._release(quote)
        elif value is OMITTED:
            self._omit()
        else:
            self._repair(Repair.WRONG_TYPE, waiting[:at] + dump(value))

    # The end of a string that has closing tags

    def _take_tail(self, tail: str, quote: str) -> bool:
        """Whether the end of a string consists of closing tags, which then wait for what follows the
        string; or of further parameters and calls."""
        if run := closing_run(tail, self._nesting.key):
            is_empty = _BLANK.fullmatch(self._passage.since(self._string_at))  # apart from what waits
            if self._has_tags or not run.may_be_swallowed or is_empty:
                return False
            text = self._as_json(self._watch.waiting) + quote
            self._passage.hold(text)
            self._closers = run, len(text)
            return True
        return self._watch.is_closed and self._take_swallowed(tail)

    def _decide_closers(self, last: bool) -> None:
        """Decide about closing tags at the end of the value before. A server that swallows them does so
        in the `last` value. In other values they are only removed if no document has such tags."""
        if self._closers is None:
            return
        (run, size), self._closers = self._closers, None
        text, after = self._passage.waiting[:size], self._passage.waiting[size:]
        if last or run.damaged:
            self._findings.count(Repair.STRAY_CLOSER)
            text = '"'
        else:
            self._has_tags = True
        self._passage.replace(text)
        self._passage.hold(after)

    def _take_swallowed(self, tail: str) -> bool:
        """Whether the end of a string consists of further parameters and calls."""
        self._tails += 1
        if self._tails > TAILS:
            return False
        split = split_value(tail, self._nesting.key, self._tool, self._nesting.given, self._new_parser)
        if split is None:
            return False
        members, calls = split
        self._findings.count(Repair.SWALLOWED_CALL)
        self._findings.add_calls(calls)
        self._release('"' + "".join(f", {quoted(key)}: {dump(value)}" for key, value in members.items()))
        self._nesting.give(members)
        return True
