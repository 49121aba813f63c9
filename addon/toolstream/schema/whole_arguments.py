"""Arguments that are complete: typed by the schema, and written as one JSON object."""

from collections.abc import Iterable, Mapping

from ..limits import EXCERPT
from ..repairs import Applied, Repair
from .coercion import FAILED, OMITTED, conform, conform_members, fits_as_text
from .json_read import Json
from .json_write import STRICT, dump, encodable
from .rules import NO_TEXTS
from .schema import Tool
from .toolset import Toolset
from .values import coerce_leniently, excerpt_of, read_string
from .wrapped import unwrapped


def write_object(tool: Tool | None, arguments: Json, text: str) -> tuple[str, Applied]:
    """A whole arguments object as JSON that conforms to the schema, and what was repaired. `text` is the
    JSON it was read from; it is kept if nothing changes."""
    parameters = (tool or Tool("")).arguments
    own = _reading_of(text, arguments)
    try:
        members, changed = conform_members(arguments if own is None else own, parameters, 0)
        written = encodable(text.strip()) if own is not None and not changed else dump(members)
    except RecursionError:
        return "{}" if own is None else encodable(text), [(Repair.COERCION_FAILED, text[:EXCERPT])]
    misfits = [key for key, value in members.items() if not fits_as_text(value, parameters.member(key))]
    return written, [(Repair.COERCION_FAILED, excerpt_of(key, members[key])) for key in misfits]


def write_call(
    tool: Tool, arguments: Json, toolset: Toolset, texts: Mapping[str, str] = NO_TEXTS
) -> tuple[str, str, Applied]:
    """The name and the JSON object of a complete call, and what was done to its arguments. `texts` as for
    `ToolRules.transform`."""
    applied: Applied = []
    if (inner := unwrapped(arguments, tool)) is not None:
        applied.append((Repair.NESTED_ARGUMENTS, next(iter(arguments))))
        arguments = inner
    for key, value in arguments.items():
        read, mended = read_string(value, tool.parameter(key))
        if mended:
            applied.append((Repair.JSON_REPAIRED, excerpt_of(key, value)))
            arguments = {**arguments, key: read}
    if rules := toolset.rules_for(tool):
        conformed, _ = conform(arguments, tool.arguments)
        name, arguments, more = rules.transform(conformed if type(conformed) is dict else arguments, texts)
        applied += more
        tool = toolset.tools.get(name, tool)
    text, misfits = write_object(tool, arguments, "")
    return tool.name, text, [*applied, *misfits]


def typed(values: Iterable[tuple[str, str]], tool: Tool) -> Json:
    """Arguments as they are typed by the schema. A value that cannot be typed stays text. If a key comes
    twice, the first value counts."""
    arguments: Json = {}
    for key, text in values:
        if key not in arguments:
            value = coerce_leniently(text, tool.parameter(key))
            arguments[key] = ("" if text.isspace() else text) if value is FAILED else value
    return {key: value for key, value in arguments.items() if value is not OMITTED}


def _reading_of(text: str, arguments: Json) -> Json | None:
    """The text read as an object that keeps numbers as written; None if it does not say the same as
    `arguments`."""
    try:
        own = STRICT.decode(text)
        return own if isinstance(own, dict) and own == arguments else None
    except (ValueError, RecursionError):
        return None
