"""The open value: what it is, and what has been noted of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from ..grammar.kinds import TagKind
from ..grammar.matcher import Tables
from ..grammar.tag import Tag
from ..schema.json_scanner import WholeJson
from ..schema.schema import Parameter
from .buffer import Buffer


@dataclass(slots=True)
class Opened:
    """What has opened in a value as payload, and what of it is open."""

    any_tag: bool = False  # an opening tag of calls stands in it
    any_call: bool = False  # one of a function or an envelope, or a word like that, stands in it
    example: bool = False  # a call opens in it, open or not by now
    calls: int = 0  # open examples
    wraps: int = 0  # their open envelopes
    elements: int = 0  # other open parameters that began a line
    line_element: bool = False  # one of them began the last line
    inline: int = 0  # other parameters that were opened in the middle of the last line
    line_calls: int = 0  # calls that were opened in that line, not alone on it
    line_wraps: int = 0  # envelopes that were opened in that line
    line_ends: bool = False  # a parameter of such a call has ended

    @property
    def in_element(self) -> bool:
        """Whether an element is open."""
        return self.elements > 0 or self.inline > 0

    @property
    def in_example(self) -> bool:
        """Whether a call or an envelope is open."""
        return self.calls > 0 or self.wraps > 0

    @property
    def calls_at_most(self) -> int:
        """How many calls may be open: on lines of their own and in the last line, or one that was read as a
        mention."""
        return max(self.calls + self.line_calls, self.any_call)

    @property
    def wraps_at_least(self) -> int:
        """How many envelopes are open for certain: if there are any on lines of their own, those in the last
        line may be mentions."""
        return self.wraps or self.line_wraps

    def note(self, opens_tag: bool, opens_call: bool) -> None:
        """Note what a tag opens that is no end of the value."""
        self.any_tag = self.any_tag or opens_tag
        self.any_call = self.any_call or opens_call

    def open_element(self, raw: str, alone: bool) -> None:
        """A parameter's opening tag. `alone`: it begins a line."""
        if raw[-1] == ">" and raw[-2] != "/":
            self.elements += alone
            self.line_element = self.line_element or alone
            self.inline += not alone

    def open(self, kind: TagKind) -> None:
        """A call or an envelope opens as an example, on lines of its own."""
        self.wraps += kind is TagKind.WRAP_OPEN
        self.calls += kind is TagKind.CALL_OPEN

    def open_in_line(self, kind: TagKind) -> None:
        """A call or an envelope opens in a line, with other text."""
        self.line_wraps += kind is TagKind.WRAP_OPEN
        self.line_calls += kind is TagKind.CALL_OPEN

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
            case TagKind.PARAMETER_CLOSE if self.in_element:
                self.line_ends = self.line_calls > 0
                self.close_element()

    def close_element(self) -> None:
        """The closing tag of the last element is payload."""
        if self.inline:
            self.inline -= 1
        else:
            self.elements -= 1
            self.line_element = False

    def leave_line(self) -> None:
        """Another line begins."""
        self.line_element = False
        self.inline, self.line_calls, self.line_wraps, self.line_ends = 0, 0, 0, False


@dataclass(slots=True)
class Value:
    """The value of a parameter. `tables`: what is searched in it. `verbatim`: it may be a string.
    Otherwise it is an array or object, which `json` follows, or something that contains no tag."""

    tables: Tables
    verbatim: bool
    json: WholeJson | None = None
    lacks_bracket: bool = False  # its opening tag does
    lacks_quote: bool = False  # the same, after the name
    tight: bool = False  # models are taught to write no line breaks around it
    started: bool = False  # the line break after the opening tag was read
    same_line: bool = False  # there was no line break
    lead: bool = False  # a space is between the opening tag and the text on its line
    passed: bool = False  # a part of it was written that is not only whitespace
    waits: bool = False  # a tag waits for what follows
    breaks: int = 0  # line breaks up to `judged_to`
    blank: bool = True  # up to `judged_to`, its last line is blank
    spaced: bool = False  # up to `judged_to`, it ends with a blank
    begins: int = 0  # position of its first character
    judged_to: int = 0  # position up to which it was judged
    opened: Opened = field(default_factory=Opened)
    payload_to: int = 0  # position up to which tags are payload
    # The end of a run that may be the end of the value, and the position up to which another was searched
    searched: tuple[int, int] = 0, 0

    @classmethod
    def of(cls, schema: Parameter, tables: Tables, tag: Tag, tight: bool) -> Self:
        """The value of a parameter that this tag opens."""
        is_container = not schema.takes_text and bool(schema.types & {"array", "object"})
        json = WholeJson() if is_container else None
        return cls(tables, schema.takes_text, json, tag.lacks_bracket, tag.lacks_quote, tight)

    def start(self, buffer: Buffer, at: int) -> None:
        """Its text begins at this index; what is before belongs to its opening tag."""
        buffer.at = at
        self.started = True
        self.judged_to = self.begins = buffer.position

    def advance_to(self, buffer: Buffer, end: int) -> None:
        """The text up to this index is judged: move `judged_to` there."""
        start = self.judged_to - buffer.base
        if end > start:
            self.pass_over(buffer.text, start, end)
            self.judged_to = buffer.base + end

    def pass_over(self, text: str, start: int, end: int) -> None:
        """Note what text[start:end] tells about the last line of the value."""
        line = text.rfind("\n", start, end) + 1
        if line:
            self.breaks += text.count("\n", start, end)
            self.opened.leave_line()
        self.blank = (line > 0 or self.blank) and not text[line or start : end].strip(" \t")
        self.spaced = text[end - 1] in " \t" if end > start else self.spaced

    def pass_run(self, tags: list[Tag]) -> None:
        """All tags of a run are payload. The first is noted by whoever has judged it."""
        self.payload_to = tags[-1].end
        for tag in tags[1:]:
            self.opened.close(tag.kind)

    def leave_line(self, buffer: Buffer, at: int) -> None:
        """Forget what opened in a line, if this index is on a later one."""
        if "\n" in buffer.text[self.judged_to - buffer.base : at]:
            self.opened.leave_line()

    def has_text(self, buffer: Buffer, at: int) -> bool:
        """Whether the value has anything but whitespace before this index."""
        return self.passed or bool(buffer.text[buffer.at : at].strip())

    def has_break(self, buffer: Buffer, at: int) -> bool:
        """Whether a line break is in the value before this index."""
        return self.breaks > 0 or "\n" in buffer.text[self.judged_to - buffer.base : at]

    def has_inner_break(self, buffer: Buffer, at: int) -> bool:
        """Whether a line break is in the value before the last one up to this index, which may be that of a
        closing tag."""
        return self.breaks + buffer.text.count("\n", self.judged_to - buffer.base, at) > 1

    def has_blank_before(self, buffer: Buffer, at: int) -> bool:
        """Whether a blank comes before this index."""
        return buffer.text[at - 1] in " \t" if at > self.judged_to - buffer.base else self.spaced

    def starts_line(self, buffer: Buffer, at: int) -> bool:
        """Whether only indentation comes before this index on its line."""
        start = self.judged_to - buffer.base
        line = buffer.text.rfind("\n", start, at) + 1
        return (line > 0 or self.blank) and not buffer.text[line or start : at].strip(" \t")
