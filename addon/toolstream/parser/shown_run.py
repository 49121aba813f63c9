"""What the text after a run of tags in a value says of it: a quotation or a code fence closes there."""

import re

_MARKS = ('"', "'", "`")
_FENCE = re.compile(r"[ \t]*\r?\n[ \t]*(?:```+|~~~+)[ \t]*\r?\n")  # its closing line


def closes_quotation(text: str, end: int) -> bool:
    """Whether a quotation mark stands directly after a run that ends at this index."""
    return text.startswith(_MARKS, end)


def closes_fence(text: str, end: int) -> bool:
    """Whether the line after a run that ends at this index closes a code fence."""
    return _FENCE.match(text, end) is not None
