"""Decides where a parameter value ends, while the value streams.

A value is raw text: a file can contain the very tags that end it. So a closing tag ends the value only if
it is followed by a tag that may follow it. Whole example calls inside a value are payload. To recognise
them, structural tags that have a line for themselves are counted as opened and closed.

Two readings can remain possible after such a closing tag. It may close an example inside the value, and
then our own closing tags are still to come. Or it may be our own, with prose after the call, and then no
more closing tags will come. As long as both are possible, the text is held: it is *in doubt*. If our
closing tags come, it was payload. If the next call or the end of the message comes, the closing tag was
the end that it seemed to be.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from ..grammar.dialects import Dialect
from ..grammar.kinds import CLOSERS, Following, TagKind
from ..grammar.matcher import Tag, TagMatcher
from ..grammar.text import BLANK, GAP, LINE_REST
from ..limits import CLOSING_RUN, HELD, VALUE_LINE
from ..schema.json_scanner import WholeJson
from ..schema.schema import Tool

_NEWLINE = re.compile(r"\r?\n")
_NEWLINE_BEFORE = re.compile(r"\r?\n\Z")
_NEWLINE_HELD = re.compile(r"\r?\n\Z|\r\Z")  # a lone \r may become \r\n


class Judgement(Enum):
    """What a tag inside a value is."""

    PAYLOAD = 0
    END = 1
    MORE = 2  # it takes more text to tell
    NESTED = 3  # in doubt: it closes an example, or our own value after an unfinished example
    TRAILING = 4  # in doubt: it ends our call and text follows, or all of it is payload
    WAS_PAYLOAD = 5  # our own closers have come: what is held is payload
    WAS_END = 6  # another call begins: the tag that began the doubt was the end


@dataclass(frozen=True, slots=True)
class Tags:
    """What a value looks out for: `within` it, and `after` a tag that may end it. `own`: the dialect
    that alone can close it; None if it is one of those that do not mind each other."""

    within: TagMatcher
    behind: TagMatcher
    own: Dialect | None = None


class Value:
    """One value being read. Feed it text; `ended` says that `rest` is no part of it any more.

    `given` are the parameters of this call that already have a value, `is_tool` tells declared
    names. Without `nesting` nothing is ever in doubt.
    """

    def __init__(
        self,
        tags: Tags,
        tool: Tool,
        key: str,
        given: set[str],
        is_tool: Callable[[str], bool],
        nesting: bool = True,
    ) -> None:
        self.ended = False
        self.rest = ""  # after the end: what follows the value
        self.closer: Tag | None = None  # after the end: its closing tag
        self.unclear = False  # a closing tag that seemed none may have been the end
        self.ambiguous = False  # after the end: what follows may have been payload, so it is no call
        self._tags = tags.within
        self._after = tags.behind
        self._key, self._own = key, tags.own
        self._tool = tool
        self._given = given
        self._is_tool = is_tool
        self._nesting = nesting
        types = tool.parameter(key).types
        self._verbatim = not types or "string" in types
        containers = types & {"array", "object"}
        self._scalar = not (self._verbatim or containers)
        self._json = None if self._verbatim or not containers else WholeJson()
        self._text = ""  # received, not yet judged
        self._lead = ""  # a blank between the opening tag and the text on its line
        self._line = ""  # and that text
        self._started = False
        self._eof = False
        self._blank = True  # nothing but whitespace since the last line break
        self._wraps = self._calls = 0  # tags of examples that are open inside the value
        self._parameter = False  # an example's parameter is open
        self._mentioned = False  # within a line, where it is closed, too
        self._doubt: Judgement | None = None
        self._held: list[str] = []  # the text since the doubt began
        self._held_size = 0
        self._run_at = 0  # offset in the held text of the last closing tag that could be ours
        self._out: list[str] = []

    @property
    def pending(self) -> str:
        """Received and not yet given out."""
        return self._lead + self._line + "".join(self._held) + self._text

    @property
    def plain(self) -> bool:
        """Whether text without `<` is payload: what `take` is for."""
        held = self._doubt or self.ended or self._lead
        return self._started and not (held or self._json) and self._text in ("", "\n", "\r", "\r\n")

    def take(self, text: str) -> str:
        """`feed` for text without `<`, not empty, while the value is plain."""
        if self._text or text[-1] in "\r\n":
            text = self._text + text
            end = _before_newline(text, len(text), _NEWLINE_HELD)
            text, self._text = text[:end], text[end:]
        if self._blank or "\n" in text:
            self._blank = _is_blank_line(text, self._blank)
        return text

    def feed(self, text: str) -> str:
        """Take text; return the payload that is certain by now."""
        self._text += text
        if not self._started:
            self._start()
        self._run()
        return self._take()

    def close(self, complete: bool) -> str:
        """The text is over. `complete`: the model stopped by itself, so missing closers are mended;
        otherwise a value without an end stays without one, and so does one whose end is unclear."""
        if not self._started:
            self._text = self._text.removeprefix("\r")  # half of a line break
        self._eof = self._started = True
        self._run()
        self.unclear = self.unclear or bool(self._calls and not self._doubt)
        if not self.ended and (self._doubt is Judgement.TRAILING or (complete and not self.unclear)):
            self._end_by_message()
        return self._take()

    def _run(self) -> None:
        while self._started and not self.ended and self._step():
            pass
        if self._held_size > HELD and not self.ended:
            self._give_up()

    def _take(self) -> str:
        out, self._out = "".join(self._out), []
        return self._behind_lead(out) if self._lead else out

    # Steps

    def _start(self) -> None:
        """Drop the one line break after the opening tag. A blank there may be markup, too: of a model
        that writes `<parameter=path> a.py` and no closing tag."""
        if self._text in ("", "\r", " "):
            return
        self._started = True
        if self._text[0] == " " and self._text[1] not in BLANK:
            self._lead, self._text = " ", self._text[1:]
        else:
            self._text = without_newline(self._text)

    def _behind_lead(self, text: str) -> str:
        """The line of the opening tag waits: it loses its blank if it is all there is, and not closed."""
        self._line += text
        short = "\n" not in self._line and len(self._line) <= VALUE_LINE
        if short and not (self.ended or self._eof):
            return ""
        markup = short and self.ended and self.closer is None
        line = self._line if markup else self._lead + self._line
        self._lead = self._line = ""
        return line

    def _step(self) -> bool:
        """Judge the next tag; False if there is none, or none that can be judged yet."""
        tag = self._tags.search(self._text, self._eof) if "<" in self._text else None
        if tag is None:
            self._pass(self._before_newline(self._tags.hold_from(self._text), _NEWLINE_HELD))
            return False
        if self._json:
            tag = self._pass_before(tag)
        match self._judge(tag):
            case Judgement.MORE:
                self._pass(self._before_newline(tag.start))
                return False
            case Judgement.PAYLOAD:
                self._pass(tag.end)
            case Judgement.END:
                self._end_before(tag)
            case Judgement.WAS_END:
                self._end_held(0)
            case Judgement.WAS_PAYLOAD:
                self._pass(self._before_newline(tag.start))
                self._release()
            case doubt:
                self._hold(tag, doubt)
        return True

    # What a tag is

    def _judge(self, tag: Tag) -> Judgement:
        match tag.kind:
            case TagKind.PARAMETER_CLOSE:
                return self._judge_parameter_close(tag)
            case TagKind.CALL_CLOSE | TagKind.WRAP_CLOSE:
                return self._judge_outer_close(tag)
            case TagKind.PARAMETER_OPEN:
                return self._judge_parameter_open(tag)
        return self._judge_call(tag)

    def _judge_parameter_close(self, tag: Tag) -> Judgement:
        if self._is_foreign(tag) or self._is_misspelt(tag) or not self._reads(tag):
            return Judgement.PAYLOAD
        kind = self._following(tag.end, across=TagKind.PARAMETER_CLOSE)
        if kind is Following.MORE:
            return Judgement.MORE
        if kind is Following.OTHER:
            return self._passes(tag)
        parameter, self._parameter = self._parameter, False
        if parameter and not (self._mentioned and self._starts_line(tag)):
            return Judgement.NESTED
        if self._doubt is Judgement.TRAILING and kind is Following.END:
            return Judgement.PAYLOAD
        if self._doubt:
            return Judgement.WAS_PAYLOAD
        return Judgement.END if kind is TagKind.PARAMETER_OPEN else self._judge_run(tag)

    def _judge_outer_close(self, tag: Tag) -> Judgement:
        """</function> or </tool_call> in a value: an example's, quoted, or ours without </parameter>."""
        if self._closes_example(tag):
            return Judgement.PAYLOAD
        if self._doubt or self._is_misspelt(tag) or not self._reads(tag):
            return Judgement.PAYLOAD
        match self._following(tag.end):
            case Following.MORE:
                return Judgement.MORE
            case Following.END | TagKind.WRAP_OPEN | TagKind.CALL_OPEN:
                return Judgement.END
            case TagKind.WRAP_CLOSE if tag.kind is TagKind.CALL_CLOSE:
                return self._judge_run(tag)
        return self._passes(tag)

    def _passes(self, closer: Tag) -> Judgement:
        """A closing tag with something else after it: payload, or the end of a call that lacks more."""
        if self._doubt is Judgement.TRAILING:
            self._parameter = False
        elif not self._calls and (self._scalar or (self._json and self._json.complete)):
            return Judgement.END  # for there is no tag in it, or none after its last bracket
        elif not self._calls and self._starts_line(closer):
            self.unclear = True
        return Judgement.PAYLOAD

    def _reads(self, tag: Tag) -> bool:
        """Whether a tag may be one of this call's own: the strict level knows others in examples only."""
        read = self._after.match(self._text, tag.start)
        return read is not None and read.kind == tag.kind

    def _is_foreign(self, closer: Tag) -> bool:
        """Whether a closing tag closes parameters of another dialect, or another parameter."""
        return self._own is not None and (
            closer.dialect is not self._own or closer.name not in ("", self._key)
        )

    def _is_misspelt(self, tag: Tag) -> bool:
        """Whether a tag that is not quite one stands within a line: then it is none."""
        return tag.dialect.damaged and not self._starts_line(tag)

    def _closes_example(self, tag: Tag) -> bool:
        if tag.kind is TagKind.CALL_CLOSE and self._calls:
            self._calls, self._parameter = self._calls - 1, False
        elif tag.kind is TagKind.WRAP_CLOSE and self._wraps:
            self._wraps -= 1
        else:
            return self._calls > 0
        return True

    def _judge_parameter_open(self, tag: Tag) -> Judgement:
        """A sibling ends a value that was not closed; an example's parameter does not, nor does one that
        is mentioned after the call."""
        if self._calls or self._doubt is Judgement.TRAILING:
            self._parameter = True
            self._mentioned = not (self._calls or self._starts_line(tag))
            return Judgement.PAYLOAD
        sibling = self._tool.declares(tag.name) and tag.name not in self._given and self._reads(tag)
        return Judgement.END if sibling and not self._doubt and self._starts_line(tag) else Judgement.PAYLOAD

    def _judge_call(self, tag: Tag) -> Judgement:
        """<tool_call> or <function=…>: the next call if ours has ended, an example if alone on its line."""
        if not self._nesting:
            return Judgement.PAYLOAD
        if self._doubt is Judgement.TRAILING and not self._calls:
            following = self._following(tag.end) if tag.kind is TagKind.WRAP_OPEN else None
            if following is Following.MORE:
                return Judgement.MORE
            if following == TagKind.CALL_OPEN or self._is_next_call(tag):
                return Judgement.WAS_END
        alone = self._alone(tag)
        if alone is None:
            return Judgement.MORE
        if alone and tag.kind is TagKind.CALL_OPEN:
            self._calls, self._parameter = self._calls + 1, False
        elif alone:
            self._wraps += 1
        return Judgement.PAYLOAD

    def _is_next_call(self, tag: Tag) -> bool:
        return tag.kind is TagKind.CALL_OPEN and self._is_tool(tag.name) and self._starts_line(tag)

    def _judge_run(self, tag: Tag) -> Judgement:
        """Closing tags that end the call, if nothing but another call or the end stands after them."""
        if not (self._verbatim and self._nesting):
            return Judgement.END
        match self._after_closers(self._text, tag.start):
            case Following.MORE:
                return Judgement.MORE
            case Following.OTHER:
                return Judgement.TRAILING
        return Judgement.END

    # What stands where

    def _following(self, at: int, across: TagKind | None = None) -> TagKind | Following:
        """What follows the whitespace at `at`. Tags of the kind `across` are looked across."""
        for _ in range(CLOSING_RUN):
            kind, at = self._look(self._text, at)
            if kind is not across:
                return kind
        return Following.OTHER

    def _after_closers(self, text: str, at: int) -> TagKind | Following:
        """What follows all closing tags from `at` on."""
        for _ in range(CLOSING_RUN):
            kind, at = self._look(text, at)
            if kind not in CLOSERS and kind is not TagKind.STRAY:
                return kind
        return Following.OTHER

    def _look(self, text: str, at: int) -> tuple[TagKind | Following, int]:
        if blanks := GAP.match(text, at):
            at = blanks.end()
        if tag := self._after.match(text, at):
            return tag.kind, tag.end
        if at == len(text) or self._after.may_begin(text, at):
            return (Following.END if self._eof else Following.MORE), at
        return Following.OTHER, at

    def _starts_line(self, tag: Tag) -> bool:
        return _is_blank_line(self._text[: tag.start], self._blank)

    def _alone(self, tag: Tag) -> bool | None:
        """Whether nothing else stands on the line of the tag; None if it takes more text to tell."""
        if not self._starts_line(tag):
            return False
        rest = LINE_REST.match(self._text, tag.end)
        if rest is None or rest[1] is None:
            return False
        return None if rest[1] in ("", "\r") and not self._eof else True

    def _before_newline(self, at: int, newlines: re.Pattern[str] = _NEWLINE_BEFORE) -> int:
        """`at`, or where the one line break right before it begins."""
        return _before_newline(self._text, at, newlines)

    # Payload, doubt, end

    def _pass(self, end: int) -> None:
        """The text up to `end` is payload; or held, in doubt."""
        piece, self._text = self._text[:end], self._text[end:]
        if not piece:
            return
        self._blank = _is_blank_line(piece, self._blank)
        if self._json:
            self._json.feed(piece)
        if self._doubt:
            self._held.append(piece)
            self._held_size += len(piece)
        else:
            self._out.append(piece)

    def _pass_before(self, tag: Tag) -> Tag:
        """What stands before a tag is payload; returns the tag at its new place."""
        size = self._before_newline(tag.start)
        self._pass(size)
        return replace(tag, start=tag.start - size, end=tag.end - size)

    def _hold(self, tag: Tag, doubt: Judgement) -> None:
        """From the line break before `tag` on, everything waits."""
        start = self._before_newline(tag.start)
        end = self._doubled_end(tag.end) if doubt is Judgement.TRAILING else tag.end
        self._pass(start)
        self._doubt = self._doubt or doubt
        self._run_at = self._held_size
        self._pass(end - start)

    def _doubled_end(self, at: int) -> int:
        """Where the run of </parameter> ends that the one before `at` belongs to."""
        kind, end = self._look(self._text, at)
        while kind is TagKind.PARAMETER_CLOSE:
            at = end
            kind, end = self._look(self._text, at)
        return at

    def _release(self) -> None:
        """What was held is payload."""
        self._out += self._held
        self._doubt, self._held, self._held_size = None, [], 0

    def _end_before(self, tag: Tag) -> None:
        self._pass(self._before_newline(tag.start))
        self._end_here()

    def _end_held(self, at: int) -> None:
        """The value ended at offset `at` of the held text."""
        text = "".join(self._held) + self._text
        self._doubt, self._held = None, []
        self._out.append(text[:at])
        self._text = text[at:]
        self._end_here()

    def _end_here(self) -> None:
        """The value is over; the tag that ended it comes next, after at most one line break."""
        text = without_newline(self._text)
        tag = self._tags.match(text, 0)
        self.closer = tag if tag and tag.kind is TagKind.PARAMETER_CLOSE else None
        self.rest = text[self.closer.end :] if self.closer else text
        self.ended, self._text = True, ""

    def _end_by_message(self) -> None:
        if self._doubt:
            self.ambiguous = self._doubt is Judgement.NESTED
            text = self.pending
            last = self.ambiguous and self._after_closers(text, self._run_at) is Following.END
            self._end_held(self._run_at if last else 0)
            return
        tail = without_newline(self._text)
        if tail and not (tail.startswith("</") and len(tail) > 2):
            self._out.append(self._text)
        self.ended, self._text = True, ""

    def _give_up(self) -> None:
        if self._doubt is Judgement.TRAILING:
            self._end_held(0)
        else:
            self._release()


def _is_blank_line(text: str, before: bool) -> bool:
    """Whether the line a text ends in is blank so far; `before`: it was before the text."""
    line = text.rfind("\n") + 1
    return (line > 0 or before) and not text[line:].strip(" \t")


def _before_newline(text: str, at: int, newlines: re.Pattern[str]) -> int:
    newline = newlines.search(text[max(0, at - 2) : at])
    return at - len(newline[0]) if newline else at


def without_newline(text: str) -> str:
    """Text without the one line break it begins with."""
    newline = _NEWLINE.match(text)
    return text[newline.end() :] if newline else text
