"""Where in a Markdown text we are: in a code block, in inline code, at the start of a line.

A call in a code block or in inline code is being quoted. The rules are CommonMark's (spec 0.31, "Fenced
code blocks", "Indented code blocks" and "Code spans"). A fence opens with at least three backticks or
tildes, indented by at most three spaces, counted from the content of a list item if it is in one. It
closes with at least as many of the same character and nothing else on the line. An opening line of
backticks has no backtick after them. A code span goes from a run of backticks to the next run of the same
length, and cannot cross a blank line. Lines that are indented by four spaces after a blank line are code,
too.

The text is fed as it streams. Only the beginning of the current line is kept, and only while the line may
still be a fence.
"""

import re

from ..limits import LINE_HEAD

_MARKS = re.compile(r"\n|`+|[^\n`]+")
_MARKER = r"(?:[-*+]|\d{1,9}[.)])"
_LIST_ITEM = re.compile(rf"(?:[ \t]*{_MARKER}[ \t]+)+")
_FENCE_LINE = re.compile(rf"(?P<indent>(?:[ \t]*{_MARKER}[ \t]+)*[ \t]*)(?P<run>`{{3,}}|~{{3,}})(?P<info>.*)")
_MAY_BE_FENCE = re.compile(
    rf"(?:[ \t]*{_MARKER}[ \t]+)*[ \t]*(?:[-*+]|\d{{1,9}}[.)]?|`{{1,2}}|~{{1,2}}|(?:`{{3,}}|~{{3,}}).*)?"
)
_BLANKS = " \t\r"


class Markdown:
    """Follows the text of one message. `feed` takes it in pieces cut anywhere."""

    __slots__ = (
        *("_blank", "_called", "_fence", "_first", "_gap", "_head", "_indent", "_item", "_run", "_said"),
        "_span",
    )

    def __init__(self) -> None:
        self._fence = ""  # the characters that opened the fence we are in, e.g. "```"
        self._head: str | None = ""  # the line so far; None once it cannot be a fence any more
        self._blank = True  # nothing but whitespace on this line so far
        self._called = False  # a call ended on this line, so the line does not count as blank
        self._first = ""  # the first character on this line that is not whitespace
        self._item = 0  # indentation of the content of the list item we are in
        self._indent = 0  # indentation of the current line, once something is on it
        self._gap = False  # the line before was blank, or indented code
        self._said = False  # the lines before are not all blank
        self._run = 0  # length of the run of backticks the text ends with
        self._span = 0  # length of the run that opened the code span we are in

    @property
    def fenced(self) -> bool:
        """Whether the next character is in a code block, including the line that opens it."""
        return bool(self._fence) or self._opening() is not None or self._indented()

    @property
    def in_table_or_quote(self) -> bool:
        """Whether the next character is in a row of a table or in a quotation, or begins a line of a
        diff."""
        return self._first in ("|", ">") or self._head in ("+", "-")

    @property
    def code_span(self) -> int:
        """The length of the run that opened the code span that the next character is in; 0 outside."""
        return self._after_run()

    @property
    def at_line_start(self) -> bool:
        """Whether only an indentation of up to three spaces comes before the next character on its line."""
        return self._blank and self._head is not None and len(self._head.expandtabs(4)) <= 3

    @property
    def on_blank_line(self) -> bool:
        """Whether only whitespace comes before the next character on its line, however much."""
        return self._blank

    @property
    def has_text(self) -> bool:
        """Whether a line before this one, or this one, has more than whitespace."""
        return self._said or not self._blank

    @property
    def settled(self) -> bool:
        """Whether text without backticks and line breaks changes nothing."""
        return self._head is None and not (self._run or self._blank)

    def feed(self, text: str) -> None:
        """Read on."""
        if self.settled and "\n" not in text and "`" not in text:
            return
        for mark in _MARKS.findall(text):
            if mark == "\n":
                self._end_line()
                continue
            if mark[0] == "`":
                self._run += len(mark)
            else:
                self._end_run()
            self._extend_line(mark)

    def close_span(self) -> None:
        """The open code span was none: its backticks are literal."""
        self._run = self._span = 0

    def new_line(self) -> None:
        """A call has just ended, so what follows counts as the start of a line."""
        self._head, self._blank, self._first, self._gap = "", True, "", False
        self._called = True
        self.close_span()

    def _extend_line(self, text: str) -> None:
        if self._blank and (solid := text.lstrip(_BLANKS)):
            lead = text[: len(text) - len(solid)]
            self._first = text[len(lead)]
            self._blank, self._indent = False, len(((self._head or "") + lead).expandtabs(4))
        if self._head is not None:
            self._head += text[:LINE_HEAD]
            if len(self._head) > LINE_HEAD or not _MAY_BE_FENCE.fullmatch(self._head):
                if not self._fence:
                    self._item = self._content_indent(self._head)
                self._head = None

    def _end_line(self) -> None:
        if self._run:
            self._end_run()
        self._end_block()
        self._said = self._said or not self._blank
        indented = not self._blank and self._gap and self._indent >= self._item + 4
        self._gap = self._said and (indented or (self._blank and not self._called))
        self._head, self._blank, self._called, self._first = "", True, False, ""

    def _end_block(self) -> None:
        """The line may open a fence or end one; this, and a blank line, ends a code span."""
        if self._fence:
            self._fence = "" if self._closes() else self._fence
        elif (opening := self._opening()) is not None:
            self._fence, self._span = opening, 0
        elif self._blank:
            self._span = 0

    def _end_run(self) -> None:
        self._span, self._run = self._after_run(), 0

    def _after_run(self) -> int:
        """The length of the run that opened the code span we are in, after the run of backticks at the
        end of the text."""
        if self._fence or not self._run:
            return self._span
        if self._span:
            return 0 if self._run == self._span else self._span
        return self._run

    def _indented(self) -> bool:
        """Whether the line begins as indented code, which cannot interrupt a paragraph."""
        if not (self._gap and self._blank and self._head):
            return False
        return len(self._head.expandtabs(4)) >= self._item + 4

    def _opening(self) -> str | None:
        """The run of the fence that this line opens; None if it opens none."""
        match = None if self._fence else self._fence_line()
        return match["run"] if match and not (match["run"][0] == "`" and "`" in match["info"]) else None

    def _closes(self) -> bool:
        match = self._fence_line()
        return bool(match and match["run"].startswith(self._fence) and not match["info"].strip())

    def _fence_line(self) -> re.Match[str] | None:
        match = _FENCE_LINE.fullmatch(self._head) if self._head else None
        if match and len(match["indent"].expandtabs(4)) <= self._content_indent(match["indent"]) + 3:
            return match
        return None

    def _content_indent(self, line: str) -> int:
        """The indentation of the content of the list item that a line is in; 0 outside of lists."""
        if item := _LIST_ITEM.match(line):
            return len(item[0].expandtabs(4))
        return 0 if line[:1].strip() else self._item
