"""What a request to Responses asks for. Its tools are flat, or in namespaces."""

from typing import Any

from ..schema.json_read import Json, objects_in, text_in
from ..schema.toolset import parallel_calls
from .base import Asked

JOINTS = (".", "__", "/")  # between a namespace and a tool, if a server joins them


def read_request(request: Json) -> Asked:
    """A request in the terms of chat completions."""
    asked = Asked([], _tool_choice(request.get("tool_choice")), parallel_calls(request))
    asked.model, asked.stream = request.get("model", ""), request.get("stream") is True
    limit = request.get("max_output_tokens")
    asked.limit = limit if isinstance(limit, int) else None
    asked.ids = {text_in(item, "call_id") for item in objects_in(request, "input")} - {""}
    asked.tools, asked.namespaces = _tools(request)
    asked.aliases = {
        f"{namespace}{joint}{tool}": tool for tool, namespace in asked.namespaces.items() for joint in JOINTS
    }
    asked.unread = _unread(request)
    return asked


def _tools(request: Json) -> tuple[list[Json], dict[str, str]]:
    """The functions, and the namespaces of those that are in one. If a name is declared twice, the first
    one counts, and one outside of namespaces before one inside."""
    declared = objects_in(request, "tools")
    functions = _functions(declared)
    namespaces: dict[str, str] = {}
    for space in declared:
        if space.get("type") == "namespace":
            for name, tool in _functions(objects_in(space, "tools")).items():
                if name not in functions:
                    functions[name], namespaces[name] = tool, text_in(space, "name")
    return list(functions.values()), {name: space for name, space in namespaces.items() if space}


def _functions(tools: list[Json]) -> dict[str, Json]:
    """The functions among these tools, by their names, in the terms of chat completions."""
    found: dict[str, Json] = {}
    for tool in tools:
        if tool.get("type") == "function" and (name := text_in(tool, "name")):
            members = {key: value for key, value in tool.items() if key != "type"}
            found.setdefault(name, {"type": "function", "function": members})
    return found


def _tool_choice(choice: Any) -> Any:
    match choice:
        case None:
            return "auto"
        case {"type": "function", "name": name}:
            return {"type": "function", "function": {"name": name}}
        case {"type": "allowed_tools"}:
            return {"type": "allowed_tools", "allowed_tools": choice}
    return choice


def _unread(request: Json) -> str:
    """Why the answer must stay unread: if the server stores it, a later request would report the results
    of calls that the server does not know."""
    for key in ("previous_response_id", "conversation"):
        if request.get(key):
            return f"the server has stored the answer: the request has {key}"
    return (
        "the server has stored the answer: the request has store true" if request.get("store") is True else ""
    )
