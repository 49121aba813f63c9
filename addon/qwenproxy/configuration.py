"""Settings, rules and recorder, as the options say; renewed when a user changes an option."""

from typing import Any

from mitmproxy import ctx

from toolstream import Rules, prepare

from . import options
from .backend.addresses import BadAddressError
from .mitm.listeners import refuse_modes
from .recording.recorder import Recorder, try_folder
from .rules.file import LiveRules, RulesError, rules_for

LISTENER = {"mode", "listen_host", "listen_port"}
RECORDER = {"qwen_record", "qwen_record_what", "qwen_redact"}


class Configuration:
    """What is in force now. A chat keeps the configuration it began with."""

    def __init__(self) -> None:
        self.settings = options.read({})
        self.rules: LiveRules | None = None
        self.recorder: Recorder | None = None

    def update(self, updated: set[str]) -> None:
        """Read the changed options. Raises OptionsError with one line that says what to write instead."""
        try:
            if not LISTENER.isdisjoint(updated):
                refuse_modes(ctx.options.mode, ctx.options.listen_host, ctx.options.listen_port)
            if not updated.isdisjoint(options.NAMES):
                settings = options.read(given())
                self.rules = rules_for(settings.rules, self.rules)
                self.settings = settings
                prepare(settings.recovery)  # is compiled now, for it would halt the first answer
        except RulesError as e:
            raise options.BadValueError(f"qwen_rules: {e}") from None
        except BadAddressError as e:
            raise options.BadValueError(str(e)) from None
        if not RECORDER.isdisjoint(updated):
            self.recorder = _recorder(self.settings)

    def rules_for(self, body: dict[str, Any]) -> Rules | None:
        """Return the rules for the model of a request. If their file has changed, it is read again soon."""
        if self.rules is None:
            return None
        self.rules.refresh_soon()
        return self.rules.file.for_model(str(body.get("model", "")))


def _recorder(settings: options.Settings) -> Recorder | None:
    folder = settings.record
    if folder is None:
        return None
    try:
        try_folder(folder)
    except OSError as e:
        reason = e.strerror or e
        raise options.BadValueError(
            f"qwen_record={folder}: nothing can be written there ({reason}); write another directory"
        ) from None
    return Recorder(folder, settings.redact, settings.record_what)


def given() -> dict[str, str]:
    """Return our options as they are set."""
    return {name: getattr(ctx.options, name) for name in options.NAMES}
