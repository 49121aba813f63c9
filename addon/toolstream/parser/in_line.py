"""Whether a run of tags that begins within a line of a value is a part of that line, although what follows it
could follow the value.
"""

from __future__ import annotations

from itertools import pairwise

from ..grammar.kinds import MORE, TagKind, Wait
from ..grammar.text import read_line_end, skip_whitespace
from ..grammar.tokens import IN_BARS
from .message import Message
from .open_value import Value
from .run import FollowedBy, Run


def is_in_text(m: Message, value: Value, run: Run) -> bool | Wait:
    """Whether a run that does not begin a line is a part of the text before it. If the value's own closing
    tag begins a line later in the run, all tags before that one are."""
    if value.same_line:
        return _is_marked(m, run)
    if end := _line_of_its_own(m, run):
        value.payload_to = end
        return True
    if _is_marked(m, run):
        return True
    if _is_mentioned(m, value, run):
        if not _breaks_line(m, run):  # then all its tags are
            value.payload_to = run.end
        return True
    if not value.has_break(m.buffer, run.tags[0].start - m.buffer.base):
        return False
    return _is_before_json(m, run) or _is_with_parameter(m, run)


def _is_marked(m: Message, run: Run) -> bool:
    """Whether a misspelt tag in bars, as no tag of this call is, stands in the line where another parameter
    opens."""
    first, base, sibling = run.tags[0], m.buffer.base, run.sibling
    if first.spelt or sibling is None or not IN_BARS.search(first.raw):
        return False
    return "\n" not in m.buffer.text[first.end - base : sibling.start - base]


def _line_of_its_own(m: Message, run: Run) -> int:
    """The position where the value's own closing tag begins a line later in the run, so that the tags before
    it are the end of the value; 0 if there is none."""
    text, base = m.buffer.text, m.buffer.base
    for before, tag in pairwise(run.tags):
        if tag.closes_exactly:
            return tag.start if "\n" in text[before.end - base : tag.start - base] else 0
    return 0


def _is_mentioned(m: Message, value: Value, run: Run) -> bool:
    """Whether a run at the end of a line of text, which is not the first of the value, is a part of it,
    although a call follows: a blank comes before it, and closing tags are missing."""
    return _lacks_closers(run) and value.has_blank_before(m.buffer, run.tags[0].start - m.buffer.base)


def _is_before_json(m: Message, run: Run) -> bool:
    """Whether a run lacks the value's closing tag, and a JSON call follows it on its line."""
    first, opener = run.tags[0], run.tags[-1]
    closes = first.kind is TagKind.PARAMETER_CLOSE or run.followed_by is not FollowedBy.CALL
    if closes or opener.kind is not TagKind.WRAP_OPEN or _breaks_line(m, run):
        return False
    text = m.buffer.text
    return text.startswith(("{", "["), skip_whitespace(text, opener.end - m.buffer.base))


def _lacks_closers(run: Run) -> bool:
    """Whether a call follows a run that lacks closing tags."""
    lacks = run.tags[0].kind is not TagKind.PARAMETER_CLOSE or not run.closes_call
    return lacks and run.followed_by is FollowedBy.CALL


def _is_with_parameter(m: Message, run: Run) -> bool | Wait:
    """Whether a parameter that the tool does not have opens in the line of a run, and its value begins there,
    too."""
    tool, sibling = m.place.tool, run.sibling
    if tool is None or sibling is None or tool.declares(sibling.name) or _breaks_line(m, run):
        return False
    ends = read_line_end(m.buffer.text, sibling.end - m.buffer.base, m.buffer.over)
    return ends if ends is MORE else not ends


def _breaks_line(m: Message, run: Run) -> bool:
    """Whether the last tag of a run is on another line than the first."""
    first, last, base = run.tags[0], run.tags[-1], m.buffer.base
    return "\n" in m.buffer.text[first.end - base : last.start - base]
