"""How a dialect writes: tools into a prompt, and calls and results back into a conversation.

A dialect that can write has a `Writing` in its table: templates for `str.format`, taken from the chat
templates of its models. The same dialect reads what is written back as the same call.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Declared(Enum):
    """How tools are declared in a prompt."""

    JSON = "json"  # the `tools` of a request, as they are
    FUNCTIONS = "functions"  # only the `function` of each
    XML = "xml"  # each key in an element of its own


@dataclass(frozen=True)
class Writing:
    """Templates for `str.format`. `call` has `{name}` and `{arguments}`, which is one JSON object, or one
    `parameter` for each argument if there is such a template. `parameter` has `{key}`, `{value}` and
    `{is_string}`. `result` has `{name}` and `{content}`. `tool` has the declaration `{tool}`, and `tools`
    has all of them as `{tools}`."""

    call: str
    result: str
    tools: str
    parameter: str = ""
    tool: str = "{tool}\n"
    declared: Declared = Declared.JSON

    @property
    def tight(self) -> bool:
        """Whether no line breaks are written around a value, so that those at its ends belong to it."""
        return ">{value}<" in self.parameter

    def write_call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """One call as text. A value may be read back differently if it contains closing tags of the
        dialect or ends in a lone carriage return."""
        if not self.parameter:
            return self.call.format(name=name, arguments=_json(arguments))
        written = [self._parameter(key, value) for key, value in arguments.items()]
        return self.call.format(name=name, arguments="".join(written))

    def write_result(self, name: str, content: str) -> str:
        """What a tool returned."""
        return self.result.format(name=name, content=content)

    def write_tools(self, tools: Sequence[Mapping[str, Any]]) -> str:
        """The part of a system prompt that declares tools, given as in a request."""
        return self.tools.format(tools="".join(self.tool.format(tool=self._declare(tool)) for tool in tools))

    def _parameter(self, key: str, value: Any) -> str:
        text = value if isinstance(value, str) else _json(value)
        if "\n{value}\n" not in self.parameter and (text[:1] in ("\r", "\n") or text.endswith("\n")):
            text = f"\n{text}\n"  # the reader takes one line break off either end
        is_string = "true" if isinstance(value, str) else "false"
        return self.parameter.format(key=key, value=text, is_string=is_string)

    def _declare(self, tool: Mapping[str, Any]) -> str:
        function = tool.get("function", tool)
        match self.declared:
            case Declared.JSON:
                return _json(tool)
            case Declared.FUNCTIONS:
                return _json(function)
        return _declare_in_xml(function)


def _declare_in_xml(function: Mapping[str, Any]) -> str:
    parameters = function.get("parameters")
    parameters = parameters if isinstance(parameters, Mapping) else {}
    properties = parameters.get("properties")
    lines = ["<function>", f"<name>{function['name']}</name>", *_described(function), "<parameters>"]
    for key, schema in properties.items() if isinstance(properties, Mapping) else ():
        schema = schema if isinstance(schema, Mapping) else {}
        lines += ["<parameter>", f"<name>{key}</name>"]
        lines += [f"<type>{schema['type']}</type>"] if "type" in schema else []
        lines += [*_described(schema), *_others(schema, "name", "type", "description"), "</parameter>"]
    lines += [*_others(parameters, "type", "properties"), "</parameters>"]
    lines += [*_others(function, "type", "name", "description", "parameters"), "</function>"]
    return "\n".join(lines)


def _described(schema: Mapping[str, Any]) -> list[str]:
    described = schema.get("description")
    return [] if described is None else [f"<description>{str(described).strip()}</description>"]


def _others(schema: Mapping[str, Any], *written: str) -> list[str]:
    """The keys that have no element of their own, each in an element."""
    rest = {key: value for key, value in schema.items() if key not in written}
    return [f"<{k}>{v if isinstance(v, str) else _json(v)}</{k}>" for k, v in rest.items()]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
