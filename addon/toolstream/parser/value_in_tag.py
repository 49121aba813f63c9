"""Values in the opening tag of their parameter: `<parameter=K=V>`.

Only the schema tells K from V: K is declared, and the whole name is not. Such a tag is complete if no text
follows it, but what may come after a parameter: its closing tag, which may be misspelt, the opening tag of
another one, the end of the call, or of the message.
"""

from __future__ import annotations

from ..grammar.dialect import BY_PLACE
from ..grammar.kinds import MORE, Cost, TagKind, Wait, decided
from ..grammar.tag import Tag
from ..grammar.text import WHITESPACE, end_of, is_ellipsis
from ..grammar.tokens import end_of_tag
from ..limits import LOOK_AHEAD
from .message import Call, Message
from .run import Level
from .runs import choose, opens_call

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
    if not (m.tolerant and call.place.is_free(key)) or _says_nothing(text) or tag.ends_itself:
        return None
    return _end_before(m, call, tag, key, at) if at - tag.end <= LOOK_AHEAD else None


def _end_before(m: Message, call: Call, tag: Tag, key: str, at: int) -> int | Wait | None:
    """The same, where no exact closing tag of the parameter follows, but what is at `at`."""
    text, over = m.buffer.text, m.buffer.over
    if at == len(text):
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


def _may_follow(m: Message, call: Call, key: str, tag: Tag) -> bool | Wait:
    """Whether this tag may come directly after the opening tag of a parameter that holds its value."""
    if tag.kind is TagKind.PARAMETER_OPEN:
        sibling = tag.name.partition("=")[0].strip()
        return sibling != key and call.place.is_free(sibling)
    return tag.closes_call or (tag.opens_call and opens_call(call.place, tag, m.buffer))


def _says_nothing(text: str) -> bool:
    """Whether this stands for a value: nothing, an ellipsis, or a type."""
    return not text or text in _TYPES or is_ellipsis(text)
