"""The end of a server's arguments: what stands after the object, and what it lacks."""

from ..repairs import Repair
from ..schema.schema import Tool
from .after_object import take_rest
from .broken_off import closers, continuation
from .json_stream import JsonStream, State
from .nesting import Nesting
from .reader import Findings, NewParser, Passage


class ObjectEnd:
    """Ends the object that was written into `passage`, read from `stream` up to this `place`."""

    def __init__(
        self,
        tool: Tool,
        new_parser: NewParser,
        findings: Findings,
        passage: Passage,
        stream: JsonStream,
        nesting: Nesting,
    ) -> None:
        self._tool, self._new_parser, self._findings = tool, new_parser, findings
        self._passage, self._stream, self._nesting = passage, stream, nesting

    def part_rest(self, stopped: bool) -> None:
        """After the object. What cannot be parted from it makes all of it no object."""
        rest = self._passage.waiting + self._stream.pending
        text = self._passage.text
        if not take_rest(rest, text, self._tool, self._new_parser, self._findings, stopped):
            self._findings.set_complete(False)
        elif rest.strip():
            self._passage.replace("")
            self._stream.drop()

    def close_object(self) -> None:
        """Only brackets are missing at the end, and nothing that the tool requires."""
        comma = (self._passage.waiting + self._stream.pending).strip()
        if comma and not (comma == "," and self._nesting.outermost):
            return
        if self._tool.required <= self._nesting.given:
            brackets = closers(self._passage.text, self._nesting.frames)
            if brackets is not None:
                self._complete(brackets)

    def close_broken(self, whole: str, state: State) -> None:
        """The object could not be read on in this state. `whole` is all of its text."""
        rest = continuation(whole, self._passage.text, self._nesting.frames, state, self._tool)
        if rest is not None:
            self._complete(rest)

    def close_in_value(self, whole: str, at: int) -> None:
        """The object ends in a value that waits from this place on, and that is no string."""
        before, sent = self._passage.waiting[:at], self._passage.text
        self._nesting.omit()
        rest = continuation(whole, sent + before, self._nesting.frames, State.VALUE, self._tool)
        if rest is not None:
            self._complete(before + rest)

    def _complete(self, rest: str) -> None:
        """This stands in place of what waits and what was not read."""
        self._findings.count(Repair.JSON_REPAIRED)
        self._passage.replace(rest)
        self._stream.drop()
        self._findings.set_complete()
