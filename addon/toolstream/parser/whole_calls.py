"""JSON calls that were read as a whole: what they mean, whether they may be emitted, and their events."""

from __future__ import annotations

import re

from ..events import ArgumentsDelta, CallEnd, CallStart
from ..grammar.likeness import SYNONYMS, squeeze
from ..repairs import Refused, Repair
from ..schema.json_read import Json
from ..schema.schema import Tool
from ..schema.tool_name import Opening, find_tool
from ..schema.whole_arguments import write_call
from .message import Message

_BETWEEN_WORDS = re.compile(r"[^\w.-]+")

Meant = tuple[Opening | None, str, Json]


def meant(m: Message, name: str, arguments: Json) -> Meant:
    """The tool of a JSON call (None if it is not declared), its name, and its arguments."""
    return _meant(m, name, arguments), name, arguments


def _meant(m: Message, name: str, arguments: Json) -> Opening | None:
    if name:
        return find_tool(name, m.toolset, m.grammar.level) or _decorated(name, m)
    tool = m.toolset.infer(arguments)
    return Opening(tool, [(Repair.NAME_INFERRED, tool.name)]) if tool else None


def _decorated(name: str, m: Message) -> Opening | None:
    """The tool, if the name is inside of remains of its tag or has the brackets of a call, and nothing
    else."""
    words = [word for word in _BETWEEN_WORDS.split(name) if word and squeeze(word) not in SYNONYMS]
    tool = m.toolset.find(words[0]) if len(words) == 1 and m.tolerant else None
    return Opening(tool, [(Repair.NAME_NORMALISED, name)]) if tool else None


def why_not(m: Message, calls: list[Meant]) -> Refused | None:
    """Why these calls must not be emitted; None if they may."""
    if any(opening and not m.toolset.allows(opening.tool.name) for opening, _, _ in calls):
        return Refused.FORBIDDEN
    if any(opening is None and not name.strip() for opening, name, _ in calls):
        return Refused.NAMELESS
    if any_undeclared(calls) and not _may_be_undeclared(m):
        return Refused.UNDECLARED
    return None


def any_undeclared(calls: list[Meant]) -> bool:
    """Whether the tool of any of these calls is not declared."""
    return any(opening is None for opening, _, _ in calls)


def _may_be_undeclared(m: Message) -> bool:
    """Whether a call of an undeclared tool may be emitted at all."""
    return m.tolerant and m.toolset.any_allowed and not m.context.thinking


def emit_calls(m: Message, calls: list[Meant]) -> None:
    """Emit whole calls. Calls of undeclared tools, and calls in the model's thinking, are only certain at
    the end."""
    if m.trial and any_undeclared(calls):
        m.trial.at_end, m.trial.why = True, Refused.UNDECLARED
    if m.trial and m.context.thinking:
        m.trial.why = Refused.REASONING
    for opening, name, arguments in calls:
        _emit_call(m, opening, name, arguments)


def _emit_call(m: Message, opening: Opening | None, name: str, arguments: Json) -> None:
    for repair, excerpt in opening.repairs if opening else [(Repair.UNDECLARED_NAME, name)]:
        m.log.repair(repair, excerpt)
    tool = opening.tool if opening else Tool(name.strip())
    m.count_call(tool.name)
    index = m.calls - 1
    called, text, repairs = write_call(tool, arguments, m.toolset)
    m.log.emit(CallStart(index, called))
    m.log.emit(ArgumentsDelta(index, text))
    for repair, excerpt in repairs:
        m.log.repair(repair, excerpt)
    m.log.emit(CallEnd(index))
