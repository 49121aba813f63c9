"""The open value: what it is, and what has been noted of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ..grammar.kinds import TagKind
from ..grammar.matcher import Tables
from ..grammar.tag import Tag
from ..schema.json_scanner import WholeJson
from ..schema.schema import Parameter
from .buffer import Buffer


@dataclass(slots=True)
class Value:
    """The value of a parameter. `tables`: what is searched in it. `verbatim`: it may be a string.
    Otherwise it is an array or object, which `json` follows, or something that contains no tag."""

    tables: Tables
    verbatim: bool
    json: WholeJson | None = None
    cut: bool = False  # its opening tag has no bracket at its end
    quoted: bool = False  # its opening tag has no quote after the name
    tight: bool = False  # models are taught to write no line breaks around it
    started: bool = False  # the line break after the opening tag was read
    same_line: bool = False  # there was no line break
    lead: bool = False  # a space is between the opening tag and the text on its line
    passed: bool = False  # a part of it was written that is not only whitespace
    waits: bool = False  # a tag waits for what follows
    breaks: int = 0  # line breaks up to `looked`
    blank: bool = True  # up to `looked`, its last line is blank
    spaced: bool = False  # up to `looked`, it ends with a blank
    begins: int = 0  # position of its first character
    looked: int = 0  # position up to which it was judged
    opens: bool = False  # an opening tag of calls stands in it
    opens_call: bool = False  # one of a function or an envelope, or a word like that, stands in it
    example: bool = False  # a call opens in it, open or not by now
    calls: int = 0  # examples that are open in it
    wraps: int = 0  # envelopes of examples that are open in it
    elements: int = 0  # other parameters that are open in it, and began a line
    inline: int = 0  # other parameters that were opened in the middle of its last line
    line_calls: int = 0  # calls that were opened in that line, not alone on it
    line_wraps: int = 0  # envelopes that were opened in that line
    line_ends: bool = False  # a parameter of such a call has ended
    payload_to: int = 0  # position up to which tags are payload
    searched: int = 0  # after a run that may be the end: position up to which another run was searched

    @classmethod
    def of(cls, schema: Parameter, tables: Tables, tag: Tag, tight: bool) -> Self:
        """The value of a parameter that this tag opens."""
        types = schema.types
        verbatim = not types or "string" in types
        json = None if verbatim or not types & {"array", "object"} else WholeJson()
        return cls(tables, verbatim, json, tag.raw[-1] != ">", tag.raw.count('"') == 1, tight)

    def look(self, buffer: Buffer, end: int) -> None:
        """The text up to this index is judged."""
        start = self.looked - buffer.base
        if end > start:
            self.pass_over(buffer.text, start, end)
            self.looked = buffer.base + end

    def pass_over(self, text: str, start: int, end: int) -> None:
        """Note what text[start:end] tells about the last line of the value."""
        line = text.rfind("\n", start, end) + 1
        if line:
            self.breaks += text.count("\n", start, end)
            self._forget_line()
        self.blank = (line > 0 or self.blank) and not text[line or start : end].strip(" \t")
        self.spaced = text[end - 1] in " \t" if end > start else self.spaced

    def leave_line(self, buffer: Buffer, at: int) -> None:
        """Forget what opened in a line, if this index is on a later one."""
        if "\n" in buffer.text[self.looked - buffer.base : at]:
            self._forget_line()

    def _forget_line(self) -> None:
        self.inline, self.line_calls, self.line_wraps, self.line_ends = 0, 0, 0, False

    def has_lines(self, buffer: Buffer, at: int) -> bool:
        """Whether the value has more than one line up to this index, or began after a line break."""
        return self.breaks > 0 or "\n" in buffer.text[self.looked - buffer.base : at]

    def has_several_lines(self, buffer: Buffer, at: int) -> bool:
        """Whether a line break comes before the last one up to this index, which may be that of a closing
        tag."""
        return self.breaks + buffer.text.count("\n", self.looked - buffer.base, at) > 1

    @property
    def in_element(self) -> bool:
        """Whether an element is open."""
        return self.elements > 0 or self.inline > 0

    def open_element(self, buffer: Buffer, at: int, raw: str, alone: bool) -> None:
        """A parameter's opening tag at this index is payload."""
        self.look(buffer, at)
        if raw[-1] == ">" and raw[-2] != "/":
            self.elements += alone
            self.inline += not alone

    def open_in_line(self, buffer: Buffer, at: int, wraps: bool) -> None:
        """A call, or its envelope, opens at this index in the middle of the line."""
        self.look(buffer, at)
        self.line_wraps += wraps
        self.line_calls += not wraps

    def close(self, kind: TagKind) -> None:
        """A closing tag of this kind is payload."""
        match kind:
            case TagKind.CALL_CLOSE if self.line_calls:
                self.line_calls -= 1
            case TagKind.CALL_CLOSE if self.calls:
                self.calls -= 1
            case TagKind.WRAP_CLOSE if self.line_wraps:
                self.line_wraps -= 1
            case TagKind.WRAP_CLOSE if self.wraps:
                self.wraps -= 1
            case TagKind.PARAMETER_CLOSE if self.inline or self.elements:
                self.line_ends = self.line_calls > 0
                self.close_element()

    def close_element(self) -> None:
        """The closing tag of the last element is payload."""
        if self.inline:
            self.inline -= 1
        else:
            self.elements -= 1

    def has_blank_before(self, buffer: Buffer, at: int) -> bool:
        """Whether a blank comes before this index."""
        return buffer.text[at - 1] in " \t" if at > self.looked - buffer.base else self.spaced

    def starts_line(self, buffer: Buffer, at: int) -> bool:
        """Whether only indentation comes before this index on its line."""
        start = self.looked - buffer.base
        line = buffer.text.rfind("\n", start, at) + 1
        return (line > 0 or self.blank) and not buffer.text[line or start : at].strip(" \t")
