"""The user's own rules for the parameters of single tools: knowledge that no schema has.

If a model calls `bash` without the `description` that its client insists on, nothing is damaged. Only
somebody who knows the client can say what to put there. Such knowledge is a `Rule`: if a condition holds
for a parameter, do something about it. Rules see the arguments after they were typed by the schema. They
run in order, and each sees the result of those before it.

The request's schema has the last word. A rule that would break it is skipped, as if its condition did not
hold. A default is only set where a value is required, or where the enum does not allow the value that is
there. Whatever a rule sets must be allowed. Nothing is removed that the tool requires. And a call that
already satisfies the schema of its own tool never becomes a call of another tool.

    Rules        the rules for one model, by tool
    ToolRules    those that can change a call of this tool in this request

`for_tool` leaves out rules that the schema already makes unnecessary, so that a call without rules is not
delayed. Nearly all others work while the call streams (`live`): a missing parameter is added before the
object is closed (`appended`); a value is changed or removed before it is sent (`value`), and only such
values wait for their end (`held`). A rule that names another tool needs the whole call (`transform`).
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ..repairs import Applied, Named, Repair
from .coercion import FAILED, OMITTED, coerce, conform
from .schema import Parameter, Tool, is_same

Arguments = dict[str, Any]


class Condition(Named):
    """When a rule applies to its parameter."""

    IS_STRING = "is_string", "is a string"
    MISSING = "missing", "is not there"
    MISSING_OR_EMPTY = "missing_or_empty", 'is not there, or is `null`, `""`, `[]` or `{}`'
    EXISTS = "exists", "is there, whatever it is"
    INVALID_ENUM = "invalid_enum", "is not one of `valid_values`, or is not there"


class Action(Named):
    """What a rule does about it, and where the request's schema lets it."""

    SET_DEFAULT = (
        "set_default",
        "set it to `default_value`, if the tool requires it or its enum does not allow the value",
    )
    PARSE_JSON_ARRAY = (
        "parse_json_array",
        "read the string as an array, else use `fallback_value`, if the schema allows an array or says "
        "nothing",
    )
    PARSE_JSON_OBJECT = (
        "parse_json_object",
        "read the string as an object, else use `fallback_value`, if the schema allows an object or says "
        "nothing",
    )
    CONVERT_STRING_TO_BOOLEAN = (
        "convert_string_to_boolean",
        "read true, yes, on, 1 or false, no, off, 0, else use `fallback_value`, if the schema allows a "
        "boolean or says nothing",
    )
    REMOVE_PARAMETER = (
        "remove_parameter",
        "remove it, if the tool does not declare it, or does not require it and does not allow its value",
    )
    CONVERT_TOOL = (
        "convert_tool",
        "make it a call of the tool `to`, if that declares all parameters that are there and gets all it "
        "requires, and the call does not fit its own tool",
    )


_ON_STRINGS = (Condition.IS_STRING, Condition.EXISTS, Condition.INVALID_ENUM)
FITTING: dict[Action, tuple[Condition, ...]] = {
    Action.SET_DEFAULT: (Condition.MISSING, Condition.MISSING_OR_EMPTY, Condition.INVALID_ENUM),
    Action.PARSE_JSON_ARRAY: _ON_STRINGS,
    Action.PARSE_JSON_OBJECT: _ON_STRINGS,
    Action.CONVERT_STRING_TO_BOOLEAN: _ON_STRINGS,
    Action.REMOVE_PARAMETER: (*_ON_STRINGS, Condition.MISSING_OR_EMPTY),
    Action.CONVERT_TOOL: tuple(Condition),
}

_THERE = (Condition.EXISTS, Condition.IS_STRING)
_ABSENT = (Condition.MISSING, Condition.MISSING_OR_EMPTY)
NO_TEXTS: Mapping[str, str] = {}
_EMPTY: tuple[Any, ...] = (None, "", [], {})
_BOOLEANS = dict.fromkeys(("true", "yes", "on", "1"), True)
_BOOLEANS |= dict.fromkeys(("false", "no", "off", "0"), False)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `value` is the default or the fallback, OMITTED if there is none.

    Only `convert_tool` may have no parameter and no condition. It then applies if all parameters in
    `when` are there.
    """

    name: str
    action: Action
    parameter: str = ""
    condition: Condition | None = None
    value: Any = OMITTED
    valid: tuple[Any, ...] = ()  # values, for invalid_enum
    to: str = ""  # the other tool
    when: tuple[str, ...] = ()

    def holds(self, arguments: Mapping[str, Any]) -> bool:
        """Whether the rule applies to these arguments."""
        if not arguments.keys() >= set(self.when):
            return False
        value = arguments.get(self.parameter, OMITTED)
        match self.condition:
            case Condition.IS_STRING:
                return isinstance(value, str)
            case Condition.MISSING:
                return value is OMITTED
            case Condition.MISSING_OR_EMPTY:
                return value is OMITTED or _is_any(value, _EMPTY)
            case Condition.EXISTS:
                return value is not OMITTED
            case Condition.INVALID_ENUM:
                return not _is_any(value, self.valid)
        return True


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules for one model, by the name of the tool. The names are casefolded, unless
    `case_sensitive`."""

    tools: Mapping[str, tuple[Rule, ...]]
    case_sensitive: bool = False

    def for_tool(
        self, tool: Tool, tools: Mapping[str, Tool], allows: Callable[[str], bool]
    ) -> "ToolRules | None":
        """The rules that can change a call of this tool; None if there are none.

        `tools` are the tools that the request declares, by name; `tool` may be another one. `allows`
        tells which of them may be called.
        """
        found = []
        for rule in self.tools.get(self.key(tool.name), ()):
            target = self._target(rule.to, tools) if rule.action is Action.CONVERT_TOOL else None
            target = target if target and allows(target.name) else None
            if _can_apply(rule, tool, target):
                found.append((rule, target))
        return ToolRules(tool, tool.name in tools, found) if found else None

    def key(self, name: str) -> str:
        """The key under which a tool of this name is found."""
        return name if self.case_sensitive else name.casefold()

    def _target(self, name: str, tools: Mapping[str, Tool]) -> Tool | None:
        """The declared tool that a call is converted to."""
        alike = [tool for tool in tools.values() if self.key(tool.name) == self.key(name)]
        return tools.get(name) or (alike[0] if len(alike) == 1 else None)


class ToolRules:
    """The rules that can change a call of one tool, given its schema and the other tools of the request."""

    def __init__(self, tool: Tool, is_declared: bool, rules: list[tuple[Rule, Tool | None]]) -> None:
        self._tool = tool
        self._is_declared = is_declared
        self._rules = rules
        self.live = all(target is None for _, target in rules)  # else only `transform` will do
        # The keys whose values may only be sent when they are complete
        self.held = frozenset(rule.parameter for rule, _ in rules if _needs_all_of_it(rule))
        # The other keys whose values concern a rule if they are empty
        empty = {rule.parameter for rule, _ in rules if rule.condition is Condition.MISSING_OR_EMPTY}
        self.if_empty = frozenset(empty) - self.held

    def value(self, key: str, value: Any) -> tuple[Any, Applied]:
        """What a value becomes, OMITTED if it is removed; for live rules.

        Call it when a value is complete that is `held`, or that is empty and in `if_empty`.
        """
        arguments = {key: value}
        applied = self._run(arguments, [rule for rule, _ in self._rules if rule.parameter == key])
        return arguments.get(key, OMITTED), applied

    def appended(self, given: Collection[str]) -> tuple[Arguments, Applied]:
        """The members to add to a complete call that has these keys; for live rules."""
        arguments: Arguments = {}
        applied = self._run(arguments, [rule for rule, _ in self._rules if rule.parameter not in given])
        return arguments, applied

    def transform(
        self, arguments: Mapping[str, Any], texts: Mapping[str, str] = NO_TEXTS
    ) -> tuple[str, Arguments, Applied]:
        """The tool and the arguments that a complete call becomes, and what was done.

        `texts` are the values as the model wrote them, if it wrote them as text: another tool may have
        other types.
        """
        changed = dict(arguments)
        applied: Applied = []
        for rule, target in self._rules:
            if target is None:
                applied += self._run(changed, [rule])
            elif rule.holds(changed) and self._may_become(target, changed):
                original = {k: texts[k] for k in texts if changed.get(k) is arguments.get(k)}
                applied.append((Repair.RULE_TOOL, rule.name))
                return target.name, _retyped(changed, original, target), applied
        return self._tool.name, changed, applied

    def _run(self, arguments: Arguments, rules: list[Rule]) -> Applied:
        """Apply the rules, each to the result of those before it."""
        applied: Applied = []
        for rule in rules:
            outcome = _outcome(rule, self._tool, arguments) if rule.holds(arguments) else None
            if outcome:
                value, repair = outcome
                arguments[rule.parameter] = value
                if value is OMITTED:
                    del arguments[rule.parameter]
                applied.append((repair, rule.name))
        return applied

    def _may_become(self, target: Tool, arguments: Arguments) -> bool:
        fits = self._is_declared and _fits(arguments, self._tool)
        return not fits and _fits(arguments, target)


# Whether a rule can ever apply


def _can_apply(rule: Rule, tool: Tool, target: Tool | None) -> bool:
    parameter = tool.parameter(rule.parameter)
    match rule.action:
        case Action.SET_DEFAULT:
            return parameter.admits(rule.value) and _can_lack(rule, parameter)
        case Action.REMOVE_PARAMETER:
            return not tool.declares(rule.parameter) or not (parameter.required or _admits_all(parameter))
        case Action.CONVERT_TOOL:
            return target is not None and target is not tool and _can_become(rule, target)
        case _:
            return _can_convert(rule, parameter)


def _can_lack(rule: Rule, parameter: Parameter) -> bool:
    """Whether a default can be due: the parameter is required, or has something that it may replace."""
    return parameter.required or (bool(parameter.members) and rule.condition is not Condition.MISSING)


def _can_become(rule: Rule, target: Tool) -> bool:
    """Whether the target declares the parameters with which the condition is met."""
    needed = {*rule.when, rule.parameter} if rule.condition in _THERE else rule.when
    return all(map(target.declares, needed))


def _can_convert(rule: Rule, parameter: Parameter) -> bool:
    types = parameter.types
    is_typed = types and "string" not in types and rule.action is not Action.CONVERT_STRING_TO_BOOLEAN
    settled = is_typed and rule.value is OMITTED  # what it reads the typing has read
    return not settled and _allows(parameter, _READS[rule.action][0])


def _needs_all_of_it(rule: Rule) -> bool:
    """Whether a value must not be sent before the rule has seen all of it."""
    return rule.action is not Action.SET_DEFAULT or rule.condition not in _ABSENT


# What a rule does


def _outcome(rule: Rule, tool: Tool, arguments: Arguments) -> tuple[Any, Repair] | None:
    """The value that a rule gives its parameter, OMITTED to remove it; None if the schema forbids it."""
    value, parameter = arguments.get(rule.parameter, OMITTED), tool.parameter(rule.parameter)
    match rule.action:
        case Action.SET_DEFAULT:
            return _default(rule, parameter, value)
        case Action.REMOVE_PARAMETER if value is not OMITTED:
            is_due = not (tool.declares(rule.parameter) and parameter.admits(value))
            return (OMITTED, Repair.RULE_REMOVED) if is_due else None
        case _ if isinstance(value, str):
            return _read(rule, parameter, value)
    return None


def _default(rule: Rule, parameter: Parameter, value: Any) -> tuple[Any, Repair] | None:
    refused = value is not OMITTED and not parameter.admits(value)
    is_due = (parameter.required or refused) and not is_same(rule.value, value)
    return (rule.value, Repair.RULE_DEFAULT) if is_due and parameter.admits(rule.value) else None


def _read(rule: Rule, parameter: Parameter, text: str) -> tuple[Any, Repair] | None:
    kind, read = _READS[rule.action]
    found = read(text) if _allows(parameter, kind) else FAILED
    if found is not FAILED:
        found = conform(found, parameter)[0]
        if parameter.admits(found):
            return found, Repair.RULE_CONVERTED
    is_fine = "string" in parameter.types and parameter.admits(text)
    if rule.value is OMITTED or is_fine or not parameter.admits(rule.value):
        return None
    return rule.value, Repair.RULE_DEFAULT


def _container(kind: type, name: str) -> Callable[[str], Any]:
    parameter = Parameter({"type": name}, {}, True)

    def read(text: str) -> Any:
        value = coerce(text, parameter)
        return value if isinstance(value, kind) else FAILED

    return read


def _boolean(text: str) -> Any:
    return _BOOLEANS.get(text.strip().lower(), FAILED)


_READS: dict[Action, tuple[str, Callable[[str], Any]]] = {
    Action.PARSE_JSON_ARRAY: ("array", _container(list, "array")),
    Action.PARSE_JSON_OBJECT: ("object", _container(dict, "object")),
    Action.CONVERT_STRING_TO_BOOLEAN: ("boolean", _boolean),
}


def _retyped(arguments: Arguments, texts: Mapping[str, str], target: Tool) -> Arguments:
    """The arguments with the types of another tool."""
    typed = {}
    for key, value in arguments.items():
        parameter = target.parameter(key)
        found = coerce(texts[key], parameter) if key in texts else conform(value, parameter)[0]
        typed[key] = texts[key] if found is FAILED else found
    return {key: value for key, value in typed.items() if value is not OMITTED}


def _fits(arguments: Arguments, tool: Tool) -> bool:
    """Whether the tool declares every argument, and every required one is there."""
    return all(map(tool.declares, arguments)) and tool.required <= arguments.keys()


def _allows(parameter: Parameter, kind: str) -> bool:
    return not parameter.types or kind in parameter.types


def _admits_all(parameter: Parameter) -> bool:
    """Whether the schema says nothing that would forbid a value."""
    return not parameter.types and not parameter.members


def _is_any(value: Any, values: Collection[Any]) -> bool:
    return any(is_same(value, other) for other in values)
