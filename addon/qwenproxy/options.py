"""Every option once: its name, default, help, and how its value is read.

All options are strings. If a number or a boolean cannot be read, mitmproxy silently switches the
whole script off. So the values are read here: `read` turns them into one frozen `Settings`, or
raises an `OptionsError` with one line that says what to write instead, which stops the start.
Two more mistakes would go unnoticed: a name that no script declares, and a name given twice or
without a value. `misspelt` and `unreadable` find them in mitmproxy's list of deferred options.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mitmproxy import exceptions
from mitmproxy.addonmanager import Loader

from .apis import APIS
from .recording.recorder import KINDS
from .rules.file import DEFAULT, SHIPPED
from .wording import nearest

PREFIX = "qwen_"
RECOVERIES = ("strict", "tolerant", "aggressive")
MODES = ("fix", "observe")
CLIENTS_PATHS = (*(api.address for api in APIS.values()), "/v1/models", "/api/tags", "/api/v1/models")


@dataclass(frozen=True, slots=True)
class Settings:
    """The options as the addon uses them."""

    recovery: str
    mode: str
    apis: frozenset[str]
    paths: re.Pattern[str]
    models: re.Pattern[str]
    record: Path | None
    record_what: str
    redact: frozenset[str]
    repair_history: bool
    rules: Path | None  # not read here: the file may change
    control: str
    keepalive: float  # seconds; 0 for none
    web_keep: int  # flows; 0 for all

    @property
    def observe(self) -> bool:
        return self.mode == "observe"


class BadValueError(exceptions.OptionsError):
    """The value of an option cannot be used. The message is one line that says what to write."""

    __traceback__ = None  # mitmproxy would print it and hide that line

    def __init__(self, line: str) -> None:
        Exception.__init__(self, line)


def _one_of(name: str, choices: tuple[str, ...]) -> Callable[[str], str]:
    def read_choice(value: str) -> str:
        if value in choices:
            return value
        raise BadValueError(f"{name}={value}: write {', '.join(choices[:-1])} or {choices[-1]}")

    return read_choice


def _apis(name: str) -> Callable[[str], frozenset[str]]:
    """Read the names of APIs. There is no use in none."""
    *names, last = APIS

    def read_apis(value: str) -> frozenset[str]:
        given = frozenset(part.strip() for part in value.split(",") if part.strip())
        if not given or given - {*names, last}:
            raise BadValueError(
                f"{name}={value}: write one or more of {', '.join(names)} and {last}, separated by commas"
            )
        return given

    return read_apis


def _number(name: str) -> Callable[[str], int]:
    def read_number(value: str) -> int:
        if not re.fullmatch(r"\d{0,9}", value, re.ASCII):
            raise BadValueError(f"{name}={value}: write a number, such as 500, or 0 for all")
        return int(value or 0)

    return read_number


def _on_or_off(name: str) -> Callable[[str], bool]:
    read = _one_of(name, ("on", "off"))
    return lambda value: read(value) == "on"


def _regex(name: str) -> Callable[[str], re.Pattern[str]]:
    def read_regex(value: str) -> re.Pattern[str]:
        try:
            return re.compile(value)
        except re.error as e:
            message = f"{name}={value}: write a regular expression ({e}); put a \\ before special characters"
            raise BadValueError(message) from None

    return read_regex


def _directory(name: str) -> Callable[[str], Path | None]:
    """Read a directory. It is created when needed: mitmweb sets an option at every keystroke."""

    def read_directory(value: str) -> Path | None:
        if not value:
            return None
        path = Path(value).expanduser()
        there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
        if not there.is_dir():
            raise BadValueError(f"{name}={value}: write a directory ({there} is not one)")
        if not os.access(there, os.W_OK | os.X_OK):
            raise BadValueError(
                f"{name}={value}: write a directory in which you may write (you may not in {there})"
            )
        return path

    return read_directory


def names_reader(name: str) -> Callable[[str], frozenset[str]]:
    def read_names(value: str) -> frozenset[str]:
        names = [part.strip().lower() for part in value.split(",") if part.strip()]
        if value and not names:
            raise BadValueError(f"{name}={value}: write names separated by commas, or nothing")
        for bad in (n for n in names if not re.fullmatch(r"[\w.-]+", n)):
            message = f"{name}={value}: write names separated by commas, such as x-team,user (not {bad!r})"
            raise BadValueError(message)
        return frozenset(names)

    return read_names


def _rules_file(_name: str) -> Callable[[str], Path | None]:
    def read_rules_file(value: str) -> Path | None:
        if value == DEFAULT:
            return SHIPPED
        return Path(value).expanduser() if value else None

    return read_rules_file


def _path_prefix(name: str) -> Callable[[str], str]:
    def read_path_prefix(value: str) -> str:
        if not value:
            return value
        if not re.fullmatch(r"(/[\w.~-]+)+", value):
            raise BadValueError(f"{name}={value}: write a path such as /_qwen, or nothing")
        if taken := next((path for path in CLIENTS_PATHS if f"{path}/".startswith(f"{value}/")), ""):
            raise BadValueError(f"{name}={value}: clients need {taken}; write another path, such as /_qwen")
        return value

    return read_path_prefix


def _seconds(name: str) -> Callable[[str], float]:
    def read_seconds(value: str) -> float:
        if not re.fullmatch(r"(\d{1,6}(\.\d{1,6})?)?", value, re.ASCII):
            raise BadValueError(f"{name}={value}: write seconds, such as 5, or 0 for none")
        return float(value or 0)

    return read_seconds


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `read` turns its string into the value in `Settings`; `choices` are all valid values."""

    field: str
    default: str
    help: str
    reader: Callable[[str], Callable[[str], Any]] | None = None
    choices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return PREFIX + self.field

    def read(self, value: str) -> Any:
        read = self.reader(self.name) if self.reader else _one_of(self.name, self.choices)
        return read(value)


OPTIONS = (
    Option(
        "recovery",
        "tolerant",
        "How much is repaired: strict (canonical calls only), tolerant (also damaged calls whose intent is "
        "certain) or aggressive (also what is only likely: misspelt names, JSON calls in prose, calls "
        "announced in words).",
        choices=RECOVERIES,
    ),
    Option(
        "mode",
        "fix",
        "fix, or observe: report and record what would be repaired, and change nothing.",
        choices=MODES,
    ),
    Option(
        "apis",
        ",".join(APIS),
        "Which APIs are read, separated by commas: chat (/chat/completions), messages (Anthropic's "
        "/messages), responses (OpenAI's /responses), ollama (/api/chat). Others are passed through unread.",
        _apis,
    ),
    Option(
        "paths",
        "",
        "Regular expression, searched in the path without the query: only these requests are chats. A path "
        "that is none of an API's own is then one of chat completions. Empty means the APIs' own paths.",
        _regex,
    ),
    Option(
        "models",
        "",
        "Regular expression, searched in the request's model: which answers are repaired. Empty means all.",
        _regex,
    ),
    Option(
        "record",
        "",
        "Directory for recordings: one .flow file per chat, with secrets redacted. Empty means none.",
        _directory,
    ),
    Option(
        "record_what",
        "all",
        "Which chats are recorded: all, repaired, refused (something was left as text) or failed (an error "
        "status, an answer that broke off, or a failure of the rewriter).",
        choices=KINDS,
    ),
    Option(
        "redact",
        "",
        "Names of further headers, query parameters and JSON keys to redact in recordings, comma separated; "
        "messages stands for everything that the user and the model wrote.",
        names_reader,
    ),
    Option(
        "repair_history",
        "on",
        "on, or off: repair earlier calls in a request whose arguments no server could read.",
        _on_or_off,
        ("on", "off"),
    ),
    Option(
        "rules",
        "",
        "YAML file with rules for the parameters of single tools, or default for the shipped ones; "
        "read again when it changes. Empty means none.",
        _rules_file,
    ),
    Option(
        "control",
        "/_qwen",
        "Path below which the proxy itself answers, in reverse mode. Empty means nowhere.",
        _path_prefix,
    ),
    Option(
        "keepalive",
        "5",
        "Seconds after which a client gets a sign of life (a comment or a ping; Ollama's API has none) "
        "while a possible call is held back and the server keeps sending. 0 means never.",
        _seconds,
    ),
    Option(
        "web_keep",
        "500",
        "How many flows mitmweb and mitmproxy keep; the oldest are removed. 0 means all.",
        _number,
    ),
)
NAMES = tuple(option.name for option in OPTIONS)
FIELDS = tuple(option.field for option in OPTIONS)


def register(loader: Loader) -> None:
    for option in OPTIONS:
        loader.add_option(option.name, str, option.default, option.help, option.choices or None)


def read(values: Mapping[str, str]) -> Settings:
    """Read {option name: string}; a missing name has its default. Raises OptionsError."""
    return Settings(**{o.field: o.read(values.get(o.name, o.default)) for o in OPTIONS})


def misspelt(deferred: Mapping[str, Any]) -> list[str]:
    """Return a line for each option that was set, looks like ours, and does not exist."""
    return [_no_such(name) for name, given in deferred.items() if _is_meant(name, given)]


def _is_meant(name: str, given: Any) -> bool:
    """Whether one of our options was meant. A configuration file may set those of other scripts."""
    if _plain(name).startswith(PREFIX):
        return name not in NAMES
    return _plain(name) in FIELDS and hasattr(given, "val")


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _no_such(name: str) -> str:
    """The prefix does not make a name similar."""
    near = nearest(_plain(name).removeprefix(PREFIX), FIELDS)
    there_are = PREFIX + near if near else f"one of {', '.join(NAMES)}"
    return f"{name}: there is no such option; write {there_are}"


def unreadable(deferred: Mapping[str, Any]) -> dict[str, str]:
    """Return {name: line} for our options given twice or without a value.

    `deferred` holds what `--set` gave as an object with the list of values in `val`, and what
    a configuration file gave as it is.
    """
    lines = {}
    for name in NAMES:
        values = getattr(deferred.get(name), "val", ["from a file"])
        if not values:
            lines[name] = f"{name}: write --set {name}=VALUE"
        elif len(values) > 1:
            lines[name] = f"{name}: given {len(values)} times ({', '.join(values)}); write it once"
    return lines
