"""What the text behind a run of tags in a value says of it: a quotation or a code fence closes there, or a
parameter opens that tags further on belong to.
"""

import re

from ..grammar.kinds import TagKind
from ..grammar.matcher import TagMatcher
from ..grammar.text import ends_line

_MARKS = ('"', "'", "`")
_FENCE = re.compile(r"[ \t]*\r?\n[ \t]*(?:```+|~~~+)[ \t]*\r?\n")  # its closing line


def closes_quotation(text: str, end: int) -> bool:
    """Whether a quotation mark stands directly behind a run that ends at this index."""
    return text.startswith(_MARKS, end)


def closes_fence(text: str, end: int) -> bool:
    """Whether the line behind a run that ends at this index closes a code fence."""
    return _FENCE.match(text, end) is not None


def leaves_open(tags: TagMatcher, text: str, start: int, at: int) -> bool:
    """Whether a parameter that opens alone on its line, from `start` on, is still open at `at`."""
    opened = 0
    while (start := text.find("<", start, at)) >= 0:
        tag = tags.match(text, start)
        if tag and tag.kind is TagKind.PARAMETER_OPEN and not tag.dialect.by_name:
            line = text[text.rfind("\n", 0, start) + 1 : start]
            opened += not line.strip() and ends_line(text, tag.end)
        elif tag and tag.kind is TagKind.PARAMETER_CLOSE and opened:
            opened -= 1
        start += 1
    return opened > 0
