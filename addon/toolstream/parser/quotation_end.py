"""Where the quotation of a call ends: the partner of its mark, or the end of its element, stands directly
after the last tag of the call.

If that is the closing tag of the envelope, nothing else is needed. If it is another closing tag, a misspelt
one, or the last bracket of JSON, no more of the call may come after it: a closing tag that a value only cites
has others after it. So a part of the text after it is looked at, too.
"""

from __future__ import annotations

import re

from ..grammar.brackets import CLOSE
from ..grammar.kinds import CLOSERS, MORE, TagKind, Wait
from ..grammar.tag import Tag
from ..grammar.text import BLANK, skip_whitespace
from ..limits import AFTER_CALL, CODE_SPAN, LOOK_AHEAD, MADE_UP_NAME, QUOTE_GAP, TAG
from ..schema.json_scanner import JsonScanner
from .message import Message, Quotation, Span
from .place import Place

GAPS = " \u00a0\u2009\u202f"  # blanks that typography has within the marks
_MADE_UP = re.compile(rf"</\w{{1,{MADE_UP_NAME}}}>")
_NAMES = re.compile(r"[\s(][\"'`“„«‘「『]\Z")  # noqa: RUF001  (before a tag that text only names)
_MENTIONS = "\"'`“”„«»‘’「」『』"  # noqa: RUF001  (marks around a single tag that text names)


def read_end(m: Message, span: Span, quotation: Quotation) -> int | Wait | None:
    """The index where the quotation ends; None if nothing is quoted."""
    text, at, base = m.buffer.text, m.seen, m.buffer.base
    for found in quotation.ends.finditer(text, max(at, span.searched - base), at + CODE_SPAN):
        ends = found[1] is not None and _ends_here(m, quotation, at, found)
        if ends is MORE:
            span.searched = base + found.start()
            return MORE
        if ends:
            return found.end()
        if found[1] is None:
            return None
        span.searched = base + found.end()
    if m.buffer.over or len(text) - at >= CODE_SPAN:
        return None
    span.searched = max(span.searched, base + len(text.rstrip(BLANK)) - TAG)
    return MORE


def _ends_here(m: Message, quotation: Quotation, at: int, found: re.Match[str]) -> bool | Wait:
    """Whether a mark or the end of an element, somewhere after `at`, ends the quotation."""
    text, start = m.buffer.text, found.start()
    before = text[max(at, start - QUOTE_GAP) : start]
    gap = before[len(before.rstrip(BLANK + GAPS)) :]
    end = start - len(gap)
    within = quotation.block or (len(gap) <= 1 and gap != "\n")
    if within and text.endswith(quotation.closers, at, end):
        return True
    if not _is_near(quotation, gap) or _opens_again(text, found):
        return False
    closes = _ends_json(m, quotation, end) or _closes(quotation, text, at, end)
    return closes and _is_last(m, quotation.place, found.end())


def _is_near(quotation: Quotation, gap: str) -> bool:
    """Whether an end may stand so far after the call."""
    return quotation.block or not gap or (quotation.spaced and len(gap) == 1) or gap.count("\n") == 1


def _opens_again(text: str, mark: re.Match[str]) -> bool:
    """Whether a mark that opens and closes alike opens here: a word follows it."""
    return mark[0] in ("'", '"') and text[mark.end() : mark.end() + 1].isalnum()


def _ends_json(m: Message, quotation: Quotation, end: int) -> bool:
    """Whether the JSON of the call ends at this index."""
    text, base = m.buffer.text, m.buffer.base
    if quotation.json is None:
        start = skip_whitespace(text, quotation.json_to - base)
        quotation.json = JsonScanner() if text[start : start + 1] in ("{", "[") else None
    scanner, start = quotation.json, quotation.json_to - base
    if scanner and quotation.json_end < 0 and start < end:
        read = scanner.feed(text[start:end])
        quotation.json_end = -1 if read is None else base + start + read
        quotation.json_to = base + end
    return quotation.json_end == base + end


def _closes(quotation: Quotation, text: str, at: int, end: int) -> bool:
    """Whether a closing tag of a call ends at this index: one of a table, or one like that; or a closing tag
    with any word, directly after one of these. It is not just named, between marks of its own."""
    start = text.rfind("<", max(at, end - TAG), end)
    in_string = quotation.json is not None and quotation.json.in_string
    if in_string or start <= at or _NAMES.search(text, max(at, start - 2), start):
        return False
    if _is_closer(quotation, text[start:end]):
        return True
    if not _MADE_UP.fullmatch(text, start, end):
        return False
    before = text[max(at, start - LOOK_AHEAD) : start]
    end = start - len(before) + len(before.rstrip(BLANK))
    start = text.rfind("<", max(at, end - TAG), end)
    return start > at and _is_closer(quotation, text[start:end])


def _is_closer(quotation: Quotation, raw: str) -> bool:
    """Whether this is a closing tag of a call, perhaps without its bracket."""
    if raw[-1:] not in CLOSE:
        raw += ">"
    readings = quotation.place.readings(raw, 0, True)
    return readings is not MORE and any(tag.kind in CLOSERS and tag.end == len(raw) for tag in readings)


def _is_last(m: Message, place: Place, start: int) -> bool | Wait:
    """Whether no more of the call comes after this index: neither a parameter nor a closing tag, unless text
    only names it."""
    text, over, at, end = m.buffer.text, m.buffer.over, start, start + AFTER_CALL
    while (at := text.find("<", at, end)) >= 0:
        tag = _tag_after(m, place, at)
        if tag is MORE:
            return MORE
        named = tag is None or _is_named(text, start, tag, over)
        if named is not True:
            return MORE if named is MORE else tag is not None and tag.opens_call
        at += 1
    return True if over or len(text) >= end else MORE


def _tag_after(m: Message, place: Place, at: int) -> Tag | Wait | None:
    """The tag of a call at this index; a misspelt one only if it closes something."""
    text, over = m.buffer.text, m.buffer.over
    found = (
        place.readings(text, at, over)
        if text.startswith("/", at + 1)
        else m.grammar.body.read(text, at, over)
    )
    if found is MORE:
        return MORE
    tag = found[0] if isinstance(found, list) and found else found
    return tag if isinstance(tag, Tag) and tag.kind is not TagKind.STRAY else None


def _is_named(text: str, start: int, tag: Tag, over: bool) -> bool | Wait:
    """Whether text from `start` on only names a tag: it stands between marks, or after a blank in a line."""
    if tag.end == len(text) and not over:
        return MORE
    before = text[start : tag.start]
    if before[-1:] in _MENTIONS and before and text[tag.end : tag.end + 1] in _MENTIONS:
        return True
    return before[-1:] in (" ", "\t") and before[before.rfind("\n") + 1 :].strip() != ""
