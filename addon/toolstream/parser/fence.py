"""A code fence directly around a call, which belongs to the call."""

import re
from typing import NamedTuple

from ..grammar.kinds import MORE, Wait
from ..limits import FENCE_GAP, FENCE_INDENT, FENCE_INFO, FENCE_RUN

_RUN = rf"`{{3,{FENCE_RUN}}}|~{{3,{FENCE_RUN}}}"
_INFO = rf"[ \t]{{0,{FENCE_GAP}}}[\w+-]{{0,{FENCE_INFO}}}[ \t]{{0,{FENCE_GAP}}}"
_FENCE = re.compile(rf"(?P<run>{_RUN}){_INFO}\r?\n\s{{0,{FENCE_INDENT}}}")
_PART = re.compile(rf"`{{1,{FENCE_RUN}}}|~{{1,{FENCE_RUN}}}|(?:{_RUN}){_INFO}\r?")


class Fence(NamedTuple):
    """The characters that opened a fence, and the index where its content begins."""

    run: str
    inside: int


def read_fence(text: str, at: int, over: bool) -> Fence | Wait | None:
    """The fence that opens at `at`; MORE if more text is needed."""
    found = _FENCE.match(text, at)
    if found and (over or found.end() < len(text)):
        return Fence(found["run"], found.end())
    if found is None and _PART.fullmatch(text, at) is None:
        return None
    return None if over else MORE
