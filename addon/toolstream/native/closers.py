"""Closing tags at the end of a value of a server's call.

The server's parser took them for payload. A document may end in such tags, too. What distinguishes them
is how many there are, and which.
"""

import re
from functools import cache
from typing import Any, NamedTuple

from ..grammar.kinds import CLOSERS
from ..grammar.text import end_of
from ..limits import CLOSING_RUN, NAME
from ..schema.coercion import FAILED
from ..schema.schema import Parameter
from ..schema.values import coerce_leniently, is_torn
from .tags import JOINED, NAMED, QWEN, WORD_OF_CLOSER, either, spelled

_LINE_BREAK = re.compile(r"\r?\n")
_OF_DOCUMENTS = {"function", "tool", "tools"}  # words of closing tags in ordinary documents


class Run(NamedTuple):
    """Closing tags with nothing but whitespace between them."""

    tags: int
    own_line: bool  # they come after a line break
    of_parameter: bool  # one of them closes a parameter
    telling: bool  # one of them does not occur in ordinary documents
    damaged: bool  # one of them has a name or a number in it, or lacks its last bracket

    @property
    def may_be_swallowed(self) -> bool:
        """Whether these may be tags of the call that were swallowed into a value."""
        return (self.tags > 1 and self.telling) or (self.own_line and self.of_parameter)


@cache
def _closers() -> re.Pattern[str]:
    """One closing tag: of a parameter, of a function or an envelope, one with a name in it (`named`), or
    any other one (`any`), which has to come directly before another closing tag."""
    kinds = []
    for kind in CLOSERS:
        texts = [text for _, _, text in spelled(kind) if "{tool}" not in text and "{key}" not in text]
        kinds.append(either(texts))
    return re.compile(
        rf"(?:(?P<named></parameter{JOINED}>|</function{NAMED}>)|(?P<parameter>{kinds[0]})"
        rf"|{kinds[1]}|{kinds[2]}|</(?P<any>\w{{1,{NAME}}})>(?=\s*</))\s*"
    )


def closing_run(text: str, key: str) -> Run | None:
    """The closing tags that a text consists of, perhaps after a line break; None if it contains anything
    else. They close the parameter `key`: a tag of this name counts, and so does any tag before
    `</tool_call>`."""
    start = end_of(_LINE_BREAK, text)
    found = _tags_of(text, start, key)
    if not found:
        return None
    of_parameter = any(tag["parameter"] or tag["named"] for tag in found)
    return Run(
        len(found),
        own_line=start > 0,
        of_parameter=of_parameter,
        telling=of_parameter or any(_is_telling(tag[0]) for tag in found),
        damaged=any(tag["named"] or not tag[0].rstrip().endswith(">") for tag in found),
    )


def _tags_of(text: str, at: int, key: str) -> list[re.Match[str]]:
    """The closing tags that a text consists of from `at` on; [] if it contains anything else."""
    found: list[re.Match[str]] = []
    while at < len(text) and len(found) < CLOSING_RUN and (tag := _closers().match(text, at)):
        if tag["any"] and tag["any"] != key and not text.startswith(QWEN.wrap_close[0], tag.end()):
            return []
        found.append(tag)
        at = tag.end()
    return [] if at < len(text) else found


def without_closing_run(text: str, key: str) -> str | None:
    """A value of the parameter `key` without the closing tags at its end; None if there are none."""
    at, starts = len(text), list[int]()
    while len(starts) < CLOSING_RUN and (at := text.rfind("</", 0, at)) >= 0:
        starts.append(at)
    return next((text[:at] for at in reversed(starts) if closing_run(text[at:], key)), None)


def coerced_without_closers(text: str, parameter: Parameter, key: str) -> tuple[Any, bool]:
    """The typed value of a text that is no string, and whether closing tags at its end were left out."""
    value = FAILED if is_torn(text) else coerce_leniently(text, parameter)
    if value is FAILED and (bare := without_closing_run(text, key)) is not None:
        value = coerce_leniently(bare, parameter)
        return value, value is not FAILED
    return value, False


def _is_telling(tag: str) -> bool:
    found = WORD_OF_CLOSER.match(tag)
    return found is None or found[1] not in _OF_DOCUMENTS
