"""Values in the opening tag of their parameter: `<parameter=K=V>`.

Only the schema tells K from V: K is declared, and the whole name is not. Such a tag is complete if no text
follows it, but what may come after a parameter: its closing tag, which may be misspelt, the opening tag of
another one, the end of the call, or of the message. A tag with other quotes than those around V is in no
dialect table: then V is the rest of the line. If it is not clear which quotes belong to the tag, or the value
goes on, nobody knows what the call says.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ..grammar.dialect import BY_PLACE
from ..grammar.kinds import MORE, Cost, TagKind, Wait, decided
from ..grammar.tag import Tag
from ..grammar.text import WHITESPACE, end_of, is_ellipsis
from ..grammar.tokens import end_of_tag
from ..limits import DECLARED_NAME, LOOK_AHEAD, TAG_GAP, TAG_LINE
from ..repairs import Refused
from .message import Call, Message
from .run import Level
from .runs import choose, opens_call

# Up to the value, of which something has come
_PAIR = re.compile(
    rf"""<parameter(?:=|\s{{1,{TAG_GAP}}}name=)(["']?)(?P<key>[^\s<>"'=]{{1,{DECLARED_NAME}}})\1"""
    rf"""[ \t]{{0,{TAG_GAP}}}=[ \t]{{0,{TAG_GAP}}}(?=["']{{0,2}}+[^\s"'<>])"""
)
_BLANKS = re.compile(r"[ \t]*+")
_CLOSER = "</parameter>"
_TAG_IN_LINE = re.compile(r"</?(?:parameter|function|tool_call)\b")
_TYPES = frozenset({"string", "integer", "number", "boolean", "array", "object"})


def next_tag(m: Message, at: int) -> Tag | Wait | None:
    """The tag that follows the whitespace at this index; None if something else does."""
    text = m.buffer.text
    return m.place.tags.read(text, end_of(WHITESPACE, text, at), m.buffer.over)


def end_of_parameter(m: Message, call: Call, tag: Tag, key: str, text: str) -> int | Wait | None:
    """The index where a parameter ends whose tag is `<parameter=K=V>`: after its closing tag, or after the
    tag itself if it needs none. None if other text follows."""
    at = end_of(WHITESPACE, m.buffer.text, tag.end)
    following = next_tag(m, at) if at - tag.end <= LOOK_AHEAD else None
    if following is MORE:
        return MORE
    if following and following.kind is TagKind.PARAMETER_CLOSE:
        return following.end
    if not (m.tolerant and _is_free(call, key)) or _says_nothing(text) or tag.ends_itself:
        return None
    return _end_before(m, call, tag, key, at) if at - tag.end <= LOOK_AHEAD else None


def _end_before(m: Message, call: Call, tag: Tag, key: str, at: int) -> int | Wait | None:
    """The same, where no exact closing tag of the parameter follows, but what is at `at`."""
    text, over = m.buffer.text, m.buffer.over
    if at == len(text) or _is_other_pair(call, text, at, key):
        return tag.end
    choice = choose(call.place, m.buffer, at, Level.CALL)
    if choice is MORE:
        return MORE
    following = choice.tag if choice else None
    if following is None or following.cost > Cost.ALIKE:
        return tag.end if over and call.place.tags.may_begin(text, at) else None
    if following.kind is TagKind.PARAMETER_CLOSE:
        return end_of_tag(following.end, following.dialect is not BY_PLACE, text, over)
    return decided(_may_follow(m, call, key, following), tag.end, None)


def _is_other_pair(call: Call, text: str, at: int, key: str) -> bool:
    """Whether the tag of another parameter with its value in it is at `at`."""
    other = _PAIR.match(text, at)
    return other is not None and other["key"] != key and _is_free(call, other["key"])


def _may_follow(m: Message, call: Call, key: str, tag: Tag) -> bool | Wait:
    """Whether this tag may come directly after the opening tag of a parameter that holds its value."""
    if tag.kind is TagKind.PARAMETER_OPEN:
        sibling = tag.name.partition("=")[0].strip()
        return sibling != key and _is_free(call, sibling)
    return tag.closes_call or (tag.opens_call and opens_call(call.place, tag, m.buffer))


def _is_free(call: Call, key: str) -> bool:
    """Whether this is a parameter of the call that was not given yet."""
    return call.tool.declares(key) and key not in call.writer.given


def _says_nothing(text: str) -> bool:
    """Whether this stands for a value: nothing, an ellipsis, or a type."""
    return not text or text in _TYPES or is_ellipsis(text)


def pair_in_line(m: Message, call: Call, at: int) -> Tag | Wait | Refused | None:
    """The opening tag at `at` of a parameter that holds its value, up to the end of its line, and is in no
    dialect table: its name is `K=V`, without what belongs to the tag. A reason if nobody can tell V."""
    text = m.buffer.text
    found = _PAIR.match(text, at) if m.tolerant else None
    if found is None or not _is_free(call, found["key"]) or _is_in_table(call, text, at):
        return None
    end = _end_of_line(m, found.end())
    if not isinstance(end, int):
        return end
    key, line = found["key"], text[found.end() : end].rstrip()
    value = _value_in_line(line)
    tag = Tag(TagKind.PARAMETER_OPEN, key, at, end, found[0], BY_PLACE, Cost.ALIKE)
    after = end_of_parameter(m, call, tag, key, value or line)
    if after is MORE:
        return MORE
    if after is None:
        return None if line[-1] == ">" else Refused.UNREAD
    known = replace(tag, name=f"{key}={value}") if value is not None else Refused.UNREAD
    return decided(_goes_on(m, after), Refused.UNREAD, known)


def _goes_on(m: Message, at: int) -> bool | Wait:
    """Whether text follows on the line after the end of the parameter at `at`."""
    text = m.buffer.text
    end = end_of(_BLANKS, text, at)
    if end == len(text) and not m.buffer.over:
        return MORE
    return text[end : end + 1] not in ("", "\r", "\n", "<")


def _is_in_table(call: Call, text: str, at: int) -> bool:
    """Whether a dialect table has the tag at `at`, with a value in it."""
    tag = call.place.tags.match(text, at)
    return tag is not None and tag.kind is TagKind.PARAMETER_OPEN and "=" in tag.name


def _end_of_line(m: Message, at: int) -> int | Wait | Refused:
    """The index where the line ends, or the parameter's closing tag begins before that; a reason if that has
    not come, or is too far away."""
    text, stop = m.buffer.text, at + TAG_LINE
    line = text.find("\n", at, stop)
    closer = text.find(_CLOSER, at, line if line >= 0 else stop)
    if closer >= 0 or line >= 0:
        return closer if closer >= 0 else line
    if len(text) < stop and not m.buffer.over:
        return MORE
    return Refused.TRUNCATED if m.buffer.over and not m.complete else Refused.UNREAD


def _value_in_line(line: str) -> str | None:
    """The value in the rest of a tag's line: without the tag's bracket, and without the quotes around it.
    None if it is not clear what of it belongs to tags."""
    if line[-1] == ">":
        line = line[:-2] if line[-3:] in ('"/>', "'/>") else line[:-1].rstrip()
        if "<" in line or line[-1] == "/":
            return None
    return None if _TAG_IN_LINE.search(line) else _without_quotes(line)


def _without_quotes(line: str) -> str | None:
    """A value without the quotes around it, of which one may be missing; None if it is not clear which
    are."""
    quote = line[0] if line[0] in "\"'" else '"'
    count = line.count(quote)
    if line[0] == quote:
        return _after_quote(line, quote, count)
    if line[-1] == quote and count % 2:
        return line[:-1] if count == 1 else None
    return line


def _after_quote(line: str, quote: str, count: int) -> str | None:
    """The same, where the line begins with a quote and has so many of them."""
    if count == 1 or (count % 2 and quote == '"'):
        return line[1:]
    if line[-1] == quote:
        return line[1:-1] if count == 2 else None
    return line if quote == '"' else None
