"""What a request's tools say about a parameter's value: which JSON types it may have.

Typing needs much less than validation. A schema is read for four questions only: which types may this
value have, what is known about its members or items, is it required, and do types and enums allow a given
value?

A schema is a set of nodes that all apply: the schema itself, its `$ref`, its `allOf`. Each node may have
alternatives (`anyOf`, `oneOf`). What several nodes allow is intersected, what alternatives allow is
united. If an alternative allows anything, the types are unknown; one that can never be met adds nothing.

Empty types mean that nothing is known. Nothing here raises, whatever the schema is: a `$ref` that leads
nowhere, a cycle or garbage only costs the typing of that value. Nested parameters are read on demand, so
recursive schemas are finite.
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import unquote

from ..limits import INDEX_DIGITS, TOOLS

Schema = dict[str, Any]
Types = frozenset[str]

UNKNOWN: Types = frozenset()
_ALTERNATIVES = ("anyOf", "oneOf")
_LINKS = frozenset(("$ref", "allOf", *_ALTERNATIVES))  # keywords that lead to other nodes
_OF_CLASS = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    type(None): "null",
    list: "array",
    dict: "object",
}
# Hand-written tools also use Python's names, and Gemini's (STRING, in upper case)
_TYPE_NAMES = {name: name for name in _OF_CLASS.values()} | {
    "int": "integer",
    "float": "number",
    "str": "string",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
    "none": "null",
}


class Parameter:
    """What the schema says about one value."""

    def __init__(self, schema: Any, root: Schema, required: bool) -> None:
        self.required = required
        self._schema = schema
        self._root = root
        self._nested: dict[str | int, Parameter] = {}

    @cached_property
    def types(self) -> Types:
        """The JSON types the value may have; empty if nothing is known."""
        try:
            return _types(self._schema, self._root, {}) or UNKNOWN
        except RecursionError:
            return UNKNOWN

    @property
    def takes_text(self) -> bool:
        """Whether the value may be a string."""
        return not self.types or "string" in self.types

    @cached_property
    def declared(self) -> frozenset[str]:
        """The keys that `properties` name, in any alternative."""
        nodes = _reach(self._schema, self._root, ("allOf", *_ALTERNATIVES))
        return frozenset([key for node in nodes for key in _dict(node, "properties")])

    @cached_property
    def required_keys(self) -> frozenset[str]:
        """The keys that an object must have in every alternative."""
        nodes = _reach(self._schema, self._root, ("allOf",))
        return frozenset([key for node in nodes for key in _list(node, "required") if isinstance(key, str)])

    @cached_property
    def members(self) -> list[Any]:
        """The values that `enum` and `const` list, in any alternative."""
        nodes = _reach(self._schema, self._root, ("allOf", *_ALTERNATIVES))
        return [v for node in nodes for v in ([node["const"]] if "const" in node else _list(node, "enum"))]

    def admits(self, value: Any) -> bool:
        """Whether types, `enum` and `const` allow this value; True if nothing is known."""
        try:
            return _admits(self._schema, self._root, value, {}) is not False
        except RecursionError:
            return True

    def member(self, key: str) -> "Parameter":
        """What is known about a member of an object."""
        if key not in self.declared:  # not kept: there is no end of them, and tools are kept for long
            return self._nest(_undeclared(key), key in self.required_keys)
        if key not in self._nested:
            self._nested[key] = self._nest(_property(key), key in self.required_keys)
        return self._nested[key]

    def item(self, index: int = 0) -> "Parameter":
        """What is known about an item of an array. Items are required, because none can be left out."""
        index = min(index, self._positions)
        if index not in self._nested:
            self._nested[index] = self._nest(lambda node: _item(node, index), True)
        return self._nested[index]

    @cached_property
    def _positions(self) -> int:
        nodes = _reach(self._schema, self._root, ("allOf", *_ALTERNATIVES))
        return max((len(_list(node, key)) for node in nodes for key in ("prefixItems", "items")), default=0)

    def _nest(self, pick: Callable[[Schema], Any], required: bool) -> "Parameter":
        try:
            schema = _collect(self._schema, self._root, pick, set())
        except RecursionError:
            schema = None
        return Parameter(schema, self._root, required)


class Tool:
    """One declared tool."""

    def __init__(self, name: str, parameters: Any = None) -> None:
        self.name = name
        self.arguments = Parameter(parameters, parameters if isinstance(parameters, dict) else {}, True)

    @property
    def required(self) -> frozenset[str]:
        return self.arguments.required_keys

    def declares(self, key: str) -> bool:
        return key in self.arguments.declared

    def parameter(self, key: str) -> Parameter:
        """What is known about one parameter; nothing if it is not declared."""
        return self.arguments.member(key)


NO_TOOL = Tool("")


def read_tools(tools: Any) -> dict[str, Tool]:
    """The request's OpenAI `tools` by name; also `functions` entries, which lack the wrapper.

    An entry without a name is skipped. Of two with the same name the first counts.
    """
    found: dict[str, Tool] = {}
    for entry in tools if isinstance(tools, list | tuple) else ():
        function = _dict(entry, "function") or entry
        name = function.get("name") if isinstance(function, dict) else None
        if isinstance(name, str) and name:
            found.setdefault(name, _tool(name, function.get("parameters")))
    return found


def _tool(name: str, parameters: Any) -> Tool:
    """A tool; the one that was read before if a request has declared the same."""
    try:
        return _known_tool(name, json.dumps(parameters))
    except (TypeError, ValueError, RecursionError):
        return Tool(name, parameters)


@lru_cache(TOOLS)
def _known_tool(name: str, parameters: str) -> Tool:
    """A session declares the same tools each time, and what is found out of a schema is kept in it."""
    return Tool(name, json.loads(parameters))


def type_of(value: Any) -> str:
    """The JSON type of a parsed value; "" for what JSON does not have."""
    kind = _OF_CLASS.get(type(value))
    return kind or next((_OF_CLASS[base] for base in type(value).__mro__ if base in _OF_CLASS), "")


def is_same(value: Any, other: Any) -> bool:
    """Whether two values are equal in JSON, where true is not 1 but 1.0 is."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _types(schema: Any, root: Schema, seen: dict[int, Types | None]) -> Types | None:
    """The types that a schema allows; None if it adds nothing, because it can never be met or is being
    read already.

    `seen` holds the results so far, so that a schema that many alternatives share is read once.
    """
    if not isinstance(schema, dict):
        return None if schema is False else UNKNOWN
    if schema.get("not") in ({}, True):
        return None
    if id(schema) not in seen:
        seen[id(schema)] = None
        seen[id(schema)] = _combined(_reach(schema, root, ("allOf",)), root, seen)
    return seen[id(schema)]


def _combined(nodes: list[Schema], root: Schema, seen: dict[int, Types | None]) -> Types:
    types = UNKNOWN
    for node in nodes:
        types = _narrow(types, _stated(node))
        for group in _groups(node):
            types = _narrow(types, _union(group, root, seen))
    for infer in (_of_members, _of_keywords):
        for node in nodes if not types else ():
            types = _narrow(types, infer(node))
    nullable = any(node.get("nullable") is True for node in nodes)
    return types | {"null"} if types and nullable else types


def _narrow(types: Types, other: Types) -> Types:
    if not types or not other:
        return types or other
    both = types & other
    if "integer" in types | other and all(side & {"integer", "number"} for side in (types, other)):
        both |= {"integer"}
    return both or types


def _union(group: list[Any], root: Schema, seen: dict[int, Types | None]) -> Types:
    found = [types for member in group if (types := _types(member, root, seen)) is not None]
    return UNKNOWN.union(*found) if all(found) else UNKNOWN


def _admits(schema: Any, root: Schema, value: Any, seen: dict[int, bool | None]) -> bool | None:
    """Whether a schema allows a value; None if it adds nothing, as for `_types`."""
    if not isinstance(schema, dict):
        return None if schema is False else True
    if schema.get("not") in ({}, True):
        return None
    if id(schema) not in seen:
        seen[id(schema)] = None
        nodes = _reach(schema, root, ("allOf",))
        fits = allows(_types(schema, root, {}) or UNKNOWN, type_of(value))
        seen[id(schema)] = fits and all(_node_admits(node, root, value, seen) for node in nodes)
    return seen[id(schema)]


def _node_admits(node: Schema, root: Schema, value: Any, seen: dict[int, bool | None]) -> bool:
    """Whether a node's own `enum` or `const` allows a value, and one of each group of alternatives does."""
    if not _lists(node, value):
        return False
    for group in _groups(node):
        found = [_admits(member, root, value, seen) for member in group]
        if False in found and True not in found:
            return False
    return True


def _lists(node: Schema, value: Any) -> bool:
    """Whether a node's own `enum` or `const` has a value; each value, if the node has neither."""
    members = [node["const"]] if "const" in node else _list(node, "enum")
    if not members or (value is None and node.get("nullable") is True):
        return True
    return any(is_same(value, member) for member in members)


def allows(types: Types, kind: str) -> bool:
    """Whether a value of this type may stand where these are allowed."""
    return not types or kind in types or (kind == "integer" and "number" in types)


def _stated(node: Schema) -> Types:
    names = node.get("type")
    listed = names if isinstance(names, list) else [names]
    folded = [name.lower() for name in listed if isinstance(name, str)]
    return frozenset([_TYPE_NAMES[name] for name in folded if name in _TYPE_NAMES])


def _of_members(node: Schema) -> Types:
    members = [node["const"]] if "const" in node else _list(node, "enum")
    return frozenset(filter(None, map(type_of, members)))


def _of_keywords(node: Schema) -> Types:
    if "items" in node or "prefixItems" in node:
        return frozenset({"array"})
    return frozenset({"object"}) if "properties" in node else UNKNOWN


def _reach(schema: Any, root: Schema, keywords: tuple[str, ...]) -> list[Schema]:
    """The schema, the schemas that it refers to, and those that these keywords list; each node once."""
    if isinstance(schema, dict) and _LINKS.isdisjoint(schema):
        return [schema]
    found: dict[int, Schema] = {}
    todo = [schema]
    for node in todo:  # the list grows meanwhile
        if isinstance(node, dict) and id(node) not in found:
            found[id(node)] = node
            if "$ref" in node:
                todo.append(_resolve(node["$ref"], root))
            for keyword in keywords:
                todo.extend(_list(node, keyword))
    return list(found.values())


def _collect(schema: Any, root: Schema, pick: Callable[[Schema], Any], seen: set[int]) -> Any:
    """One schema for everything that `pick` finds in the nodes of this one; None if it finds nothing."""
    if not isinstance(schema, dict) or id(schema) in seen:
        return None
    seen.add(id(schema))
    if _LINKS.isdisjoint(schema):
        return pick(schema)
    found = []
    for node in _reach(schema, root, ("allOf",)):
        found.append(pick(node))
        for group in _groups(node):
            picked = [_collect(member, root, pick, seen) for member in group]
            found.append(_joined("anyOf", picked))
    return _joined("allOf", found)


def _joined(keyword: str, schemas: list[Any]) -> Any:
    found = [schema for schema in schemas if schema is not None]
    return {keyword: found} if len(found) > 1 else next(iter(found), None)


def _property(key: str) -> Callable[[Schema], Any]:
    return lambda node: _dict(node, "properties").get(key)


def _undeclared(key: str) -> Callable[[Schema], Any]:
    """What a node says about a key that its `properties` do not list."""

    def pick(node: Schema) -> Any:
        for pattern, schema in _dict(node, "patternProperties").items():
            with suppress(re.error, TypeError):
                if re.search(pattern, key):
                    return schema
        return _additional(node)

    return pick


def _additional(node: Schema) -> Any:
    return _dict(node, "additionalProperties") or None


def _item(node: Schema, index: int) -> Any:
    for keyword in ("prefixItems", "items"):
        if index < len(_list(node, keyword)):
            return _list(node, keyword)[index]
    return _dict(node, "items") or _dict(node, "additionalItems") or None


def _groups(node: Schema) -> list[list[Any]]:
    if _LINKS.isdisjoint(node):
        return []
    return [group for keyword in _ALTERNATIVES if (group := _list(node, keyword))]


def _resolve(ref: Any, root: Schema) -> Any:
    """The node that a local JSON pointer (RFC 6901) leads to; None for any other reference."""
    if not isinstance(ref, str) or not (ref == "#" or ref.startswith("#/")):
        return None
    node: Any = root
    for part in unquote(ref).split("/")[1:]:
        node = _step(node, part.replace("~1", "/").replace("~0", "~"))
    return node


def _step(node: Any, part: str) -> Any:
    if isinstance(node, dict):
        return node.get(part)
    if isinstance(node, list) and part.isascii() and part.isdigit() and len(part) <= INDEX_DIGITS:
        return next(iter(node[int(part) :][:1]), None)
    return None


def _dict(node: Any, key: str) -> Schema:
    value = node.get(key) if isinstance(node, dict) else None
    return value if isinstance(value, dict) else {}


def _list(node: Any, key: str) -> list[Any]:
    value = node.get(key) if isinstance(node, dict) else None
    return value if isinstance(value, list) else []
