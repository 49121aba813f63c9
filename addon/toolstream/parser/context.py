"""Where in a message we are, as far as it decides whether a call may stand here.

Calls are quoted in Markdown (`markdown`), in comments and in examples, drafted in `<think>`, and invented in
tool results that the model made up. Earlier text counts as well: a closing tag may belong to an opening tag
that was text, parameters may belong to a function that is not declared, and a generic tag directly after
another tag is ordinary markup.
"""

import re
from copy import copy
from typing import Self

from ..grammar.kinds import TagKind
from ..grammar.tag import Tag
from ..grammar.text import BLANK
from ..limits import ENDS
from .markdown import Markdown

_OPENING = re.compile(r"<[A-Za-z]")
_THOUGHT = (
    r"think(?:ing)?|thoughts?|thought_process|reason(?:ing|s)?|reflections?|plan(?:ning)?|analysis|scratchpad"
)
_END_OF_THOUGHT = re.compile(rf"</(?:\w{{0,16}}_)?(?:{_THOUGHT})>\Z", re.I)
_ADDRESS = re.compile(r"<(?:[^\s<>@\"'=]{1,64}@[^\s<>@\"'=]{1,64}|[a-z]{2,16}://[^\s<>\"']{1,96})>\Z")
_OF_TYPES = r"[A-Z]\w{0,64}|[uif]\d{1,3}|usize|int|str|string|bool|float|double|char"
_TYPE = re.compile(rf"\w<(?:{_OF_TYPES})(?:[\w:&,]|<|>|, |(?!))*+\Z")
_ARROW = re.compile(r"(?:\A|\n)[^<\n]{0,96}[ \t][-=~]>\Z")
_GOES_ON = "[{(,"  # JSON after one of these is a part of something else


class Context(Markdown):
    """Follows the text of one message. `thinking`: in a <think> that is still open. In a text that is all
    `reasoning`, it is always true."""

    __slots__ = (
        "_reasoning",
        "_results",
        "_tail",
        "_until",
        "ends",
        "function_seen",
        "last",
        "may_show",
        "needs_call",
        "shown",
        "tags_seen",
        "thinking",
    )

    def __init__(self, reasoning: bool) -> None:
        super().__init__()
        self._reasoning = reasoning
        self._results: list[str] = []  # tags of made-up results that are open
        self.shown = False  # in a comment, or an element that shows an example
        self.may_show = False  # in an element that may show an example, if it ends soon after that
        self._until = ""  # what ends that
        self._tail = ""  # what this may have begun with
        self.last = "."  # the last character that was no blank
        self.ends = ""  # the last characters
        self.thinking = reasoning
        self.tags_seen = False  # the text had opening tags, so that closing ones may belong to them
        self.needs_call = False  # a closing tag waits that only goes if a call follows
        self.function_seen = False  # it had a function's tag, so parameters after it belong to a named call

    @property
    def quoted(self) -> bool:
        """Whether what stands here is being shown, not said; code spans are for the parser."""
        return self.fenced or self.shown or self.in_table_or_quote

    @property
    def in_result(self) -> bool:
        """Whether this is inside of a tool's result. The model must have made it up."""
        return bool(self._results)

    @property
    def may_open_json(self) -> bool:
        """Whether JSON that begins here may be a call without a tag around it."""
        elsewhere = self.quoted or self.thinking or self.in_result
        return not elsewhere and self.last not in _GOES_ON

    def shows_up_to(self, text: str) -> bool:
        """Whether a text ends the element in which calls may be shown."""
        return self.may_show and self._until in text.lower()

    @property
    def in_markup(self) -> bool:
        """Whether a tag of a document ends directly before this place: no arrow, no type or address in
        brackets, and not that which ends a thought."""
        if self.last != ">":
            return False
        ends = self.ends.rstrip(BLANK)
        return not any(said.search(ends) for said in (_END_OF_THOUGHT, _ADDRESS, _TYPE, _ARROW))

    @property
    def begins_plain_line(self) -> bool:
        """Whether this is the start of a line of what is said, and not directly after a tag."""
        return self.at_line_start and not (self.thinking or self.in_markup)

    def copy(self) -> Self:
        """A copy, to go back to."""
        other = copy(self)
        other._results = list(self._results)
        return other

    def note(self, text: str) -> bool:
        """Note what the text says about the text after it; in addition to `feed`. Return whether it has
        anything but blanks."""
        if "<" in text and _OPENING.search(text):
            self.tags_seen = True
        if self.shown or self.may_show:
            text = self._tail + text
            self._tail = text[1 - len(self._until) :]
            if self._until in text.lower():
                self.shown = self.may_show = False
        self.ends = (text if len(text) >= ENDS else self.ends + text)[-ENDS:]
        if solid := text.rstrip(BLANK):
            self.last = solid[-1]
            return True
        return False

    def new_line(self) -> None:
        super().new_line()
        self.last = "."

    def think(self, kind: TagKind) -> bool:
        """Enter or leave a <think>. Return whether this is a </think> that closes nothing."""
        opens = kind is TagKind.THINK_OPEN
        self.shown, self.may_show = self.shown and opens, self.may_show and opens
        orphan = not (opens or self.thinking)
        self.thinking = self._reasoning or (opens and (self.thinking or self.at_line_start))
        return orphan

    def forget_thinking(self) -> None:
        """Thinking continues elsewhere, so a <think> in this text has opened nothing."""
        if self.thinking and not self._reasoning:
            self.thinking = False
            self.new_line()

    def show_until(self, end: str, sure: bool = True) -> None:
        """What follows is shown, up to this text: the last that was noted is `<!--`, or the opening tag of an
        example. (Within a line it is only mentioned.) If it is not `sure`, a call in it may be meant."""
        self.shown, self.may_show = sure, not sure
        self._until, self._tail = end.lower(), ""

    def enter_or_leave_result(self, tag: Tag, raw: str) -> None:
        """The opening or closing tag of a result. `raw` is its text."""
        name = raw.strip("</> ")
        if tag.kind is TagKind.RESULT_OPEN and self.at_line_start:
            self._results.append(name)
        elif tag.kind is TagKind.RESULT_CLOSE and name in self._results:
            del self._results[self._results.index(name) :]
