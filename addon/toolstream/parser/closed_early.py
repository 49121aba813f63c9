"""Whether a closing tag of a call comes too early: before its parameters, or before the end of a message that
is cut off.
"""

from __future__ import annotations

from ..grammar.kinds import MORE, TagKind, Wait
from ..grammar.tag import Tag
from ..grammar.text import WHITESPACE, end_of, read_line_end
from ..limits import LOOK_AHEAD
from .elements import ELEMENTS
from .json_head import read_first_key
from .message import Call, Message
from .run import Choice, Level
from .runs import choose
from .states import Envelope
from .value_in_tag import next_tag


def is_early(m: Message, call: Call, closer: Tag) -> bool | Wait:
    """Whether a call is closed too early: it has no parameters yet, or lacks some that its opening tag may
    have held, and one of its own parameters follows."""
    at = end_of(WHITESPACE, m.buffer.text, closer.end)
    if not _may_lack(m, call) or m.buffer.text.startswith("</", at) or at - closer.end > LOOK_AHEAD:
        return False
    tag = next_tag(m, closer.end)
    if tag is MORE:
        return MORE
    if tag is None:
        return not call.begun and m.envelope is Envelope.OPEN and _json_after(m, call, at)
    return tag.kind is TagKind.PARAMETER_OPEN and _is_late_parameter(m, call, closer, tag)


def _is_late_parameter(m: Message, call: Call, closer: Tag, tag: Tag) -> bool | Wait:
    """Whether a parameter of the call opens after its closing tag."""
    stands_so = not call.begun or _stands_as_parameter(m, closer, tag)
    is_own = call.has_value_in_tag or call.place.is_free(tag.name.partition("=")[0])
    return MORE if stands_so is MORE else stands_so and is_own


def _may_lack(m: Message, call: Call) -> bool:
    """Whether a call may have parameters that come after its closing tag."""
    given, tool = call.writer.given, call.tool
    if call.has_value_in_tag and not tool.required <= given:
        return m.tolerant
    lacks = bool(tool.arguments.declared - given)
    return m.tolerant and lacks and (not call.begun or m.envelope is Envelope.OPEN)


def _stands_as_parameter(m: Message, closer: Tag, tag: Tag) -> bool | Wait:
    """Whether a parameter's tag after the call's closing tag stands as prose has none: alone on its line, or
    directly after that tag."""
    alone = read_line_end(m.buffer.text, tag.end, m.buffer.over)
    if alone is MORE:
        return MORE
    return tag.exact and not tag.dialect.by_name and (alone or tag.start == closer.end)


def _json_after(m: Message, call: Call, at: int) -> bool | Wait:
    """Whether the arguments follow here as JSON, or in an element around JSON."""
    text, over = m.buffer.text, m.buffer.over
    if text.startswith("<", at):
        choice = choose(call.place, m.buffer, at, Level.CALL)
        around = isinstance(choice, Choice) and choice.tag.dialect is ELEMENTS
        return MORE if choice is MORE else around
    first = read_first_key(text, at, over) if text.startswith("{", at) else None
    return call.tool.declares(first[0]) if isinstance(first, tuple) else first or False


def is_cut_after(m: Message, call: Call, closer: Tag) -> bool:
    """Whether a closing tag stands for the bracket that the call's opening tag lacks, and the message is cut
    off before the parameters that the tool requires."""
    if not (m.tolerant and m.buffer.over and call.lacks_bracket) or m.complete:
        return False
    text, at = m.buffer.text, end_of(WHITESPACE, m.buffer.text, closer.end)
    begins = at == len(text) or (call.place.tags.may_begin(text, at) and not text.startswith("</", at))
    return begins and not call.begun and bool(call.tool.required)
