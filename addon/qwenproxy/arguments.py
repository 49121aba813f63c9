"""Arguments of `run` and `web` that mitmproxy would not understand, or would take for something else.

What we do not know is passed on to mitmproxy. It completes the beginning of an option (`--upstream` is
`--upstream-auth`), takes any other word for a filter, and keeps a setting that does not exist. So what
people are likely to try is refused here, in one line that says what to write.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from mitmproxy.log import LogLevels

from .options import FIELDS, MODES, NAMES, PREFIX, RECOVERIES, BadValueError, misspelt, read
from .rules.file import RulesError
from .rules.file import read as read_rules
from .wording import nearest

VERBOSITY = "termlog_verbosity"
_BACKEND = "write --backend URL"
_LISTEN = "write --listen [HOST:]PORT"
_MODE = "write --backend URL and --listen; for another mode run mitmdump -s yourself"
_KEY = "leave it out: the client sends its own key"

# Options that people may try instead of ours: mitmproxy has them too, or has nothing similar.
MISTAKEN = {
    **dict.fromkeys(("-b", "--url", "--upstream", "--server", "--target", "--base-url"), _BACKEND),
    **dict.fromkeys(("-p", "--port", "--listen-port", "--host", "--listen-host", "--bind"), _LISTEN),
    **dict.fromkeys(("-m", "--mode"), _MODE),
    **dict.fromkeys(("--key", "--api-key"), _KEY),
    **{f"--{mode}": f"write --set {PREFIX}mode={mode}" for mode in MODES},
    **{f"--{recovery}": f"write --set {PREFIX}recovery={recovery}" for recovery in RECOVERIES},
    "--insecure": "write --ssl-insecure",
    "--debug": f"write --set {VERBOSITY}=debug",
    "--web": "write qwen-fix web instead of qwen-fix run",
}


def refuse_misplaced(passed: Sequence[str], ours: Sequence[str], backend: str | None) -> None:
    """Raise BadValueError for arguments that were most likely not meant for mitmproxy. `ours`: our flags."""
    if backend is None and passed and not passed[0].startswith("-"):
        raise BadValueError(f"{passed[0]}: write --backend {passed[0]}")
    for word, following in pairwise([*passed, ""]):
        name, _, value = word.partition("=")
        if advice := _instead(name, value or following.lstrip("-"), ours):
            raise BadValueError(f"{name}: {advice}")


def _instead(name: str, value: str, ours: Sequence[str]) -> str:
    """Say what to write instead of a flag; empty if it may be mitmproxy's, or is no flag."""
    if not name.startswith("--"):
        return MISTAKEN.get(name[:2], "") if name.startswith("-") else ""
    if name == "--mode" and value in MODES:
        return _setting("mode", value)
    if name in MISTAKEN:
        return MISTAKEN[name]
    field = name.removeprefix("--").replace("-", "_").removeprefix(PREFIX)
    if field in FIELDS:
        return _setting(field, value)
    if near := nearest(name, ours) or nearest(field, FIELDS):
        return f"there is no such option; write {near if near in ours else f'--set {PREFIX}{near}=VALUE'}"
    return ""


def _setting(field: str, value: str) -> str:
    return f"write --set {PREFIX}{field}={value or 'VALUE'}"


def refuse_settings(passed: Sequence[str]) -> None:
    """Raise BadValueError for a bad setting, in one line: mitmproxy would print more than that."""
    given = list(_settings(passed))
    for name, value in given:
        _refuse_setting(name, value)
    ours = [(name, value or "") for name, value in given if name in NAMES]
    for name, times in Counter(name for name, _ in ours).items():
        if times > 1:
            raise BadValueError(f"{name}: given more than once; write it once")
    settings = read(dict(ours))
    if settings.rules:
        try:
            read_rules(settings.rules)
        except RulesError as e:
            raise BadValueError(f"qwen_rules: {e}") from None


def _settings(passed: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield what `--set` sets; None for a name without a value."""
    for word, following in pairwise([*passed, ""]):
        given = following if word == "--set" else word.removeprefix("--set=")
        if word == "--set" or given != word:
            name, equals, value = given.partition("=")
            yield name, value if equals else None


def _refuse_setting(name: str, value: str | None) -> None:
    if lines := misspelt({name: value}):
        raise BadValueError(lines[0])
    if name in NAMES and value is None:
        raise BadValueError(f"{name}: write --set {name}=VALUE")
    if name == VERBOSITY and value not in LogLevels:
        raise BadValueError(f"{name}={value or ''}: write {', '.join(LogLevels[:-1])} or {LogLevels[-1]}")
    if name in FIELDS and (name != "mode" or value in MODES):  # the mode is mitmproxy's, too
        raise BadValueError(f"{name}: {_setting(name, value or '')}")
