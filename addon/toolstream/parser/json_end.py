"""What stands after the last bracket of a call in JSON: marks that belong to nothing, and then a tag,
another call, or nothing more.
"""

from __future__ import annotations

import re
from typing import Protocol

from ..grammar.kinds import CLOSERS, MORE, TagKind, Wait
from ..grammar.tag import Tag
from ..grammar.text import BLANK, JSON_SPACE, end_of, ends_line, skip_whitespace
from ..limits import AFTER_QUOTE, CLOSING_RUN, JSON_KEY, LOOK_AHEAD, STRING_TAIL

_MARKS = ',;.|"'
_BRACKETS = re.compile(rf"[{BLANK}}}\]]{{0,{LOOK_AHEAD}}}")
_RUN = re.compile(rf'{_BRACKETS.pattern}(?:[,;.|]{_BRACKETS.pattern}|"[{BLANK}\]]{{0,{LOOK_AHEAD}}}){{0,2}}')
_BETWEEN = re.compile(rf"[{BLANK}{_MARKS}]{{0,{LOOK_AHEAD}}}")
_STRING_ENDS = re.compile(rf'"{JSON_SPACE}(?:\}}|,{JSON_SPACE}"[^"\\\n]{{1,{JSON_KEY}}}"{JSON_SPACE}:)')
_BLANKS = re.compile(rf"[ \t]{{0,{LOOK_AHEAD}}}")
_UNKNOWN = re.compile(rf"(?:</[^<>\n]{{0,{STRING_TAIL}}}>?)?")


class Tags(Protocol):
    """The tags that stand around JSON; `TagMatcher` says what its methods return."""

    def match(self, text: str, start: int) -> Tag | None: ...

    def read(self, text: str, start: int, over: bool) -> Tag | Wait | None: ...

    def search(self, text: str, over: bool = ..., start: int = ...) -> Tag | None: ...

    def may_begin(self, text: str, start: int) -> bool: ...

    def hold_from(self, text: str, start: int) -> int: ...


def is_mark(text: str, at: int) -> bool:
    """Whether a mark is here that may be one too many after a call."""
    return text[at : at + 1] in tuple(_MARKS)


def after_brackets(text: str, at: int) -> int:
    """The index after closing brackets of JSON, and whitespace."""
    return end_of(_BRACKETS, text, at)


def after_marks(text: str, at: int) -> int:
    """The index after closing brackets of JSON, marks that belong to nothing, and whitespace."""
    return end_of(_RUN, text, at)


def between_calls(text: str, at: int) -> int:
    """The index after marks that belong to nothing, and whitespace."""
    return end_of(_BETWEEN, text, at)


def is_last(tags: Tags, text: str, at: int, over: bool) -> bool | Wait:
    """Whether the closing tags at `at` are the last ones of the message, or another call follows them."""
    return is_last_before(tags, text, *after_closers(tags, text, at), over)


def after_closers(tags: Tags, text: str, at: int) -> tuple[int, Tag | None]:
    """The end of the closing tags at `at`, and the tag after them."""
    for _ in range(CLOSING_RUN):
        tag = tags.match(text, at)
        if tag is None or tag.kind not in CLOSERS:
            break
        at = skip_whitespace(text, tag.end)
    return at, tag


def is_last_before(tags: Tags, text: str, at: int, tag: Tag | None, over: bool) -> bool | Wait:
    """Whether the message ends at `at`, after closing tags, or this tag there opens another call."""
    if at == len(text) or (tag is None and tags.may_begin(text, at)):
        return at == len(text) if over else MORE
    return tag is not None and tag.opens_call


def opens_call(tags: Tags, text: str, tag: Tag, over: bool) -> bool | Wait:
    """Whether a call opens with this tag, of an envelope or a call."""
    if tag.kind is TagKind.CALL_OPEN:
        return True
    at = skip_whitespace(text, tag.end)
    inner = tags.read(text, at, over)
    if inner is MORE:
        return MORE
    return text[at : at + 1] in ("{", "[") or (inner is not None and inner.kind is TagKind.CALL_OPEN)


def closes_call(
    tags: Tags, text: str, at: int, brackets: int, over: bool, complete: bool, example: bool = False
) -> bool | Wait:
    """Whether the tags at `at` end the call, of which the first may be unknown. They do not if text follows
    them, and then the end of a string and so many brackets, before another call opens: then they were a part
    of that string. Nor if the message was cut off in that text. `example`: they may end an example in the
    string, after which a key may follow, too."""
    limit = at + AFTER_QUOTE - 2 * LOOK_AHEAD
    if tags.match(text, at) is None:
        at = skip_whitespace(text, end_of(_UNKNOWN, text, at))
    after, tag = after_closers(tags, text, at)
    last = is_last_before(tags, text, after, tag, over)
    if last is True and tag:
        return opens_call(tags, text, tag, over)
    if last is not False or after == len(text):
        return last
    found = _STRING_ENDS.search(text, after, limit) if example else _end(text, after, limit, brackets)
    ends = _ends_string(tags, text, after, limit, found, over)
    if ends is MORE:
        return complete if over and len(text) < limit else MORE
    return not ends


def goes_on_in_line(tags: Tags, text: str, at: int, over: bool) -> bool | Wait:
    """Whether text follows the tags at `at` on their line, as where they are quoted."""
    if tags.match(text, at) is None:
        at = end_of(_UNKNOWN, text, at)
    while (tag := tags.match(text, at)) and tag.kind in CLOSERS:
        at = end_of(_BLANKS, text, tag.end)
    if not over and (at == len(text) or tags.may_begin(text, at)):
        return MORE
    return not ((tag is not None and tag.opens_call) or ends_line(text, at))


def _ends_string(
    tags: Tags, text: str, at: int, limit: int, found: re.Match[str] | None, over: bool
) -> bool | Wait:
    """Whether a string ends between `at` and `limit`, as was `found`, before another call opens; MORE if the
    text ends before any of that."""
    opens = _call_opens(tags, text, at, found.start() if found else min(limit, len(text)), over)
    if opens is MORE or not (opens or found or len(text) >= limit):
        return MORE
    return found is not None and not opens


def _end(text: str, at: int, limit: int, brackets: int) -> re.Match[str] | None:
    """The end of a string and so many brackets between `at` and `limit`."""
    ends = re.compile(rf'"(?:{JSON_SPACE}\}}){{{brackets}}}').finditer(text, at, limit)
    return next((end for end in ends if _closed(text, at, end.end()) >= brackets), None)


def _closed(text: str, at: int, end: int) -> int:
    """How many brackets of JSON are closed in text[at:end] that are not opened there."""
    return text.count("}", at, end) - text.count("{", at, end)


def is_text(tags: Tags, text: str, at: int, looked: int, complete: bool) -> bool | Wait:
    """Whether what is at `at`, directly after a string and the brackets that close the call, is text: a call
    opens after it, or the message is `complete`. It is the rest of the string if a quote follows that may be
    its end. MORE if neither is known; of the text so many characters were `looked` at."""
    limit = at + AFTER_QUOTE - 2 * LOOK_AHEAD
    ends = _STRING_ENDS.search(text, at, limit)
    end = ends.start() if ends else min(limit, len(text))
    opens = _call_opens(tags, text, at + looked, end, complete)
    if opens or ends:
        return opens
    if len(text) >= limit:
        return _closes_line(tags, text, at, limit)
    return complete or MORE


def looked_at(tags: Tags, text: str, at: int) -> int:
    """The index up to which such a text needs no second look: up to what may open a call, or become a tag."""
    start = at
    while tag := tags.search(text, False, at):
        if tag.opens_call and opens_call(tags, text, tag, False) is MORE:
            return tag.start
        at = tag.end
    return tags.hold_from(text, max(start, at))


def _closes_line(tags: Tags, text: str, at: int, end: int) -> bool:
    """Whether a closing tag of a call begins a line in text[at:end]."""
    while (tag := tags.search(text, False, at)) and tag.start < end:
        if tag.kind in CLOSERS and not text[text.rfind("\n", 0, tag.start) + 1 : tag.start].strip():
            return True
        at = tag.end
    return False


def _call_opens(tags: Tags, text: str, at: int, end: int, over: bool) -> bool | Wait:
    """Whether a call opens in text[at:end]."""
    while (tag := tags.search(text, False, at)) and tag.start < end:
        if tag.opens_call and (opens := opens_call(tags, text, tag, over)):
            return opens
        at = tag.end
    return False
