"""The elements of a delta's `tool_calls`: the shape that every known client expects, and the edits that
turn one list of them into another.
"""

from typing import Any

from ..schema.json_read import Json, object_in
from ..schema.json_write import dump
from .base import ServerCall
from .json_edit import Edits, Path


def is_head(json_call: Json, call: ServerCall, number: int) -> bool:
    """Whether the first delta of a call is as every known client expects it, apart from the name."""
    function = object_in(json_call, "function")
    return (
        json_call.get("index") == number
        and type(json_call.get("index")) is int
        and json_call.get("id") == call.id
        and json_call.get("type") == "function"
        and bool(function.get("name"))
        and isinstance(function.get("arguments", ""), str)  # vLLM sends none yet
    )


def is_further(json_call: Json, number: int) -> bool:
    """Whether a later delta of a call is as every known client expects it."""
    function = object_in(json_call, "function")
    surplus = "id" in json_call or "type" in json_call or "name" in function
    index = json_call.get("index")
    return (
        not surplus and type(index) is int and index == number and isinstance(function.get("arguments"), str)
    )


def call_head(number: int, call_id: str, name: str, arguments: str, more: Json) -> Json:
    """The first delta of a call. `more` are further members of its function."""
    function = {"name": name, "arguments": arguments} | more
    return {"index": number, "id": call_id, "type": "function", "function": function}


def others_in(element: Json) -> tuple[Json, Json]:
    """What else stands in an element, and what else in its function."""
    outer = {key: value for key, value in element.items() if key not in ("index", "id", "type", "function")}
    inner = {k: v for k, v in object_in(element, "function").items() if k not in ("name", "arguments")}
    return outer, inner


def merged(calls: list[Json]) -> list[Json]:
    """The elements of one delta with those of the same call joined, because some clients confuse two."""
    found: dict[int, Json] = {}
    for call in calls:
        index = call.get("index", -1 - len(found))
        if index in found and "function" in call:
            function = found[index]["function"]
            arguments = function.get("arguments", "") + call["function"]["arguments"]
            found[index] = found[index] | {"function": function | {"arguments": arguments}}
        else:
            found[index] = call
    return list(found.values())


def edits_of(path: Path, before: Any, after: list[Json]) -> Edits:
    """The edits that turn one delta's `tool_calls` into another, and keep as many bytes as possible."""
    if not isinstance(before, list) or len(before) != len(after):
        return [(path, dump(after))]
    edits = []
    for at, (old, new) in enumerate(zip(before, after, strict=True)):
        edits += _edits((*path, at), old, new)
    return edits


def _edits(path: Path, old: Any, new: Any) -> Edits:
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        return [edit for key in old for edit in _edits((*path, key), old[key], new[key])]
    return [] if old == new and type(old) is type(new) else [(path, dump(new))]
