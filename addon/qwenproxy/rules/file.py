"""Reads the rules file: YAML in, `toolstream.rules` out; reads it again when it changes.

    extends: default              # build on the shipped rules
    tools:
      bash:                       # a tool, by its declared name
        fixes:
          - name: describe        # unique among the rules of this tool
            parameter: description
            condition: missing
            action: set_default
            default_value: Run a command
    models:
      qwen2\\.5|coder-30b:         # a regular expression, searched in the model of the request
        tools: …                  # as above, for these models only
    settings:
      case_sensitive_tools: true  # else Bash and bash are the same tool

A file is a list of sections: those of the file it extends, its own `tools`, then each of its
`models`. The rules for a model are all sections that apply to it, merged in order. A rule replaces
an earlier one of the same name, a rule with a new name is added after the others, and
`enabled: false` removes the rule of that name.

The rules in force can be written as such a file in one line (`as_text`). So a recording keeps the rules
it was made under.

Nothing is guessed. Anything unknown is a `RulesError`: one line that says where it is and what to
write instead. If a good file becomes broken, only `LiveRules.error` changes.

A large file takes seconds to read, which would stop all answers. So while the proxy runs it is read in a
thread, and chats use the old rules until the new ones are ready.
"""

import json
import logging
import re
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolstream import FITTING, OMITTED, Action, Condition, Rule, Rules

from ..wording import instead
from .yaml_blocks import LARGEST, Block, WrongError, parse

log = logging.getLogger("qwen_fix")

DEFAULT = "default"
SHIPPED = Path(__file__).with_name("default_rules.yaml")

_FILE_KEYS = ("extends", "tools", "models", "settings")
_RULE_KEYS = ("name", "parameter", "condition", "action", "description", "enabled")
_SETTINGS = ("case_sensitive_tools",)
# Keys of qwen3-call-patch-proxy, whose files can be read, too. They do not affect the rules.
_FOREIGN_SETTINGS = (
    *("auto_detect_legacy", "auto_retry_legacy", "buffer_timeout", "detailed_logging", "legacy_api_mode"),
    *("legacy_models", "legacy_read_chunk_size", "legacy_read_timeout", "max_buffer_size"),
)
_TO_WRITE = "convert_tool_to_write"  # from there, too; the same as convert_tool with `to: write`
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_ACTIONS: tuple[str, ...] = (*Action, _TO_WRITE)


class RulesError(ValueError):
    """A file cannot be used. The message is one line that says where, and what to write."""


@dataclass(frozen=True, slots=True)
class Section:
    """Rules for all models, or for those whose name matches `models`: {tool: {name: rule}}. None stands
    for a rule that is switched off."""

    models: re.Pattern[str] | None
    tools: Mapping[str, Mapping[str, Rule | None]]

    def is_about(self, model: str) -> bool:
        return self.models is None or self.models.search(model) is not None


@dataclass(frozen=True, slots=True)
class RuleFile:
    """The content of a file and of the file it extends."""

    sections: tuple[Section, ...] = ()
    case_sensitive: bool = False

    def for_model(self, model: str) -> Rules:
        """Return the rules for requests that name this model."""
        tools = _laid_upon([s for s in self.sections if s.is_about(model)], self.case_sensitive)
        on = {name: tuple(filter(None, rules.values())) for name, rules in tools.items()}
        return Rules(on, self.case_sensitive)

    @property
    def count(self) -> int:
        """Return how many rules there are, for all models."""
        general = _laid_upon([s for s in self.sections if s.models is None], self.case_sensitive)
        special = [rules for s in self.sections if s.models for rules in s.tools.values()]
        return sum(rule is not None for rules in (*general.values(), *special) for rule in rules.values())


def _laid_upon(sections: list[Section], case_sensitive: bool) -> dict[str, dict[str, Rule | None]]:
    tools: dict[str, dict[str, Rule | None]] = {}
    for section in sections:
        _lay(section, tools, case_sensitive)
    return tools


def _lay(section: Section, tools: dict[str, dict[str, Rule | None]], case_sensitive: bool) -> None:
    for name, rules in section.tools.items():
        key = name if case_sensitive else name.casefold()
        tools.setdefault(key, {}).update(rules)  # a replaced rule keeps its place


class LiveRules:
    """The rules in force and their file. Raises RulesError if the file is broken at the start."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.error = ""  # what is wrong with the file now
        self._seen = _stamp(path)
        self._reading = threading.Lock()
        self.file = read(path)

    @property
    def changed(self) -> bool:
        """Whether the file has changed since it was last read."""
        return _stamp(self.path) != self._seen

    def refresh_soon(self) -> None:
        """Read the file again in a thread, if it has changed."""
        if self.changed and not self._reading.locked():
            threading.Thread(target=self.refresh, name="qwen_rules", daemon=True).start()

    def refresh(self) -> None:
        """Read the file again if it has changed."""
        with self._reading:
            if self.changed:
                self._read_again()

    def reload(self) -> None:
        """Read the file again. If it is broken, the rules stay as they are."""
        with self._reading:
            self._read_again()

    def _read_again(self) -> None:
        seen = _stamp(self.path)
        try:
            self.file = read(self.path)
        except RulesError as e:
            if str(e) != self.error:
                log.error("qwen_rules: %s; the old rules stay in force", e)
            self.error = str(e)
        else:
            self.error = ""
            log.info("qwen_rules: %s was read again: %s", self.path, self.summary)
        self._seen = seen

    @property
    def summary(self) -> str:
        return f"{self.file.count} rule{'' if self.file.count == 1 else 's'}"


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what tells two states of a file apart; None if it cannot be read."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


# Reading


def read(path: Path) -> RuleFile:
    """Read a rules file. Raises RulesError."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LARGEST + 1)
    except (OSError, UnicodeDecodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "it is not UTF-8"
        message = f"{path}: write {DEFAULT}, or the path of a YAML file ({reason})"
        raise RulesError(message) from None
    return read_text(text, str(path))


def read_text(text: str, name: str) -> RuleFile:
    """Read the text of a rules file; `name` is used in error messages. Raises RulesError."""
    try:
        return _read_file(parse(text))
    except WrongError as e:
        raise RulesError(f"{name}, line {e.line + 1}: {e}") from None


# Writing


def as_text(rules: Rules) -> str:
    """Return the rules as the text of a file, in one line of JSON, for any model."""
    tools = {name: {"fixes": [_entry(rule) for rule in listed]} for name, listed in rules.tools.items()}
    text = json.dumps(
        {"settings": {"case_sensitive_tools": rules.case_sensitive}, "tools": tools}, ensure_ascii=False
    )
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _entry(rule: Rule) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": rule.name, "action": rule.action}
    if rule.condition:
        entry |= {"parameter": rule.parameter, "condition": rule.condition}
    if rule.value is not OMITTED:
        entry[_value_key(rule.action)] = rule.value
    listed = {"valid_values": list(rule.valid), "to": rule.to, "when": list(rule.when)}
    return entry | {key: value for key, value in listed.items() if value}


# The content of a file


def _read_file(top: Block) -> RuleFile:
    top.only(_FILE_KEYS)
    base = read(SHIPPED) if "extends" in top and top.choice("extends", (DEFAULT,)) else RuleFile()
    settings = top.block("settings", "case_sensitive_tools: true or false")
    settings.only((*_SETTINGS, *_FOREIGN_SETTINGS))
    case_sensitive = settings.flag("case_sensitive_tools", base.case_sensitive)
    known = _laid_upon(list(base.sections), case_sensitive)
    sections = [*base.sections, Section(None, _tools(top, known, case_sensitive))]
    models = top.block("models", "a regular expression for the model's name, and its tools:")
    for model in models:
        section = models.block(model, "tools:")
        section.only(("tools",))
        _lay(sections[-1], known, case_sensitive)
        sections.append(Section(_regex(models, model), _tools(section, known, case_sensitive)))
    return RuleFile(tuple(sections), case_sensitive)


def _regex(models: Block, model: str) -> re.Pattern[str]:
    try:
        return re.compile(model)
    except re.error as e:
        raise models.wrong(model, f"write a regular expression ({e})") from None


def _tools(
    above: Block, known: Mapping[str, Collection[str]], case_sensitive: bool
) -> dict[str, dict[str, Rule | None]]:
    """Read the tools of a section; `known` are the rules before it."""
    tools = above.block("tools", "the name of a tool, and its fixes:")
    found: dict[str, dict[str, Rule | None]] = {}
    for name in tools:
        tool = tools.block(name, "fixes:")
        tool.only(("fixes",))
        earlier = known.get(name if case_sensitive else name.casefold(), {})
        found[name] = _fixes(tool, name, earlier)
    return found


def _fixes(tool: Block, tool_name: str, earlier: Collection[str]) -> dict[str, Rule | None]:
    found: dict[str, Rule | None] = {}
    for entry in tool.blocks("fixes", "a list of rules, each with - name:"):
        name = entry.text("name", "a name for the rule")
        if name in found:
            raise entry.wrong("name", f"{tool_name} has two rules called {name}; write another name")
        found[name] = _rule_or_off(entry, name, earlier)
    return found


def _rule_or_off(entry: Block, name: str, earlier: Collection[str]) -> Rule | None:
    enabled = entry.flag("enabled", True)
    if enabled or "action" in entry:
        rule = _rule(entry, name)
        return rule if enabled else None
    entry.only(_RULE_KEYS)
    if name not in earlier:
        advice = instead(name, earlier) if earlier else "remove it"
        raise entry.wrong("name", f"there is no rule {name} to switch off; {advice}")
    return None


def _rule(entry: Block, name: str) -> Rule:
    entry.only((*_RULE_KEYS, "default_value", "fallback_value", "valid_values", "to", "when"))
    written = entry.choice("action", _ACTIONS)
    action = written if isinstance(written, Action) else Action.CONVERT_TOOL
    when = entry.names("when") if "when" in entry else ()
    condition = _condition(entry, action, optional=bool(when))
    _check_uses(entry, action, condition)
    return Rule(
        name,
        action,
        entry.text("parameter", "the name of a parameter") if condition else "",
        condition,
        _value(entry, action),
        entry.values("valid_values") if condition is Condition.INVALID_ENUM else (),
        _target(entry, written) if action is Action.CONVERT_TOOL else "",
        when,
    )


def _condition(entry: Block, action: Action, optional: bool) -> Condition | None:
    """Return when the rule applies; None only for a convert_tool that has `when` instead."""
    if optional and action is Action.CONVERT_TOOL and "condition" not in entry and "parameter" not in entry:
        return None
    condition = entry.choice("condition", tuple(Condition))
    if condition not in FITTING[action]:
        fitting = ", ".join(FITTING[action])
        raise entry.wrong("condition", f"{condition} does not fit {action}; write one of {fitting}")
    return condition


def _check_uses(entry: Block, action: Action, condition: Condition | None) -> None:
    """Raise for keys that this rule needs but lacks, or has but cannot use."""
    is_conversion = action is Action.CONVERT_TOOL
    uses = {
        "default_value": action is Action.SET_DEFAULT,
        "fallback_value": action.startswith(("parse_", "convert_string_")),
        "valid_values": condition is Condition.INVALID_ENUM,
        "to": is_conversion,
        "when": is_conversion,
    }
    for key, used in uses.items():
        if key in entry and not used:
            raise entry.wrong(key, "this rule does not use it; remove it")
    for key, user, what in (
        ("default_value", action, "VALUE"),
        ("valid_values", condition, "[VALUE, VALUE]"),
    ):
        if uses[key] and key not in entry:
            raise entry.wrong(key, f"{user} needs it; write {key}: {what}")


def _value(entry: Block, action: Action) -> Any:
    key = _value_key(action)
    return entry.value(key) if key in entry else OMITTED


def _value_key(action: Action) -> str:
    return "default_value" if action is Action.SET_DEFAULT else "fallback_value"


def _target(entry: Block, written: str) -> str:
    if written == _TO_WRITE and "to" not in entry:
        return "write"
    return entry.text("to", "the name of the tool to convert to")


def rules_for(path: Path | None, current: LiveRules | None) -> LiveRules | None:
    """Return the current rules if they come from this file, else read it. Raises RulesError."""
    if path is None or (current and current.path == path):
        return current if path else None
    return LiveRules(path)
