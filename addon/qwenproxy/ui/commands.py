"""Commands for mitmweb and mitmproxy, typed after a colon. Their result is shown in the same place."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from mitmproxy import command, exceptions, http, types
from mitmproxy.flow import Flow

from ..configuration import Configuration
from ..recording.format import KEY, from_flow, make_folder, parse_object, save
from ..recording.recorder import file_stem
from ..recording.redaction import redact
from .explain import explained
from .observer import Observer
from .trial import BadTrialError, tried

Command = TypeVar("Command", bound=Callable[..., Any])

_command: Callable[[str], Callable[[Command], Command]] = command.command


class Commands:
    """`qwen.stats`, `qwen.test`, `qwen.explain` and `qwen.record.save`."""

    name = "qwen_fix_commands"  # the name of the class may not be unique

    def __init__(self, configuration: Configuration, observer: Observer) -> None:
        self._configuration = configuration
        self._observer = observer

    @_command("qwen.stats")
    def stats(self) -> str:
        """Show what was repaired so far, by model."""
        verdicts = [verdict.text for verdict in self._observer.verdicts()]
        return "\n".join([*verdicts, *self._observer.summary()]) or "no chat yet"

    @_command("qwen.test")
    def test(self, text: str, tools: str = "", api: str = "") -> str:
        """Show what would become of a model's text. `tools` is JSON, as in a request."""
        try:
            result = tried(
                {"text": text, "tools": json.loads(tools) if tools else None, "api": api},
                self._configuration.settings.recovery,
            )
        except BadTrialError as e:
            raise exceptions.CommandError(str(e)) from None
        except (ValueError, RecursionError) as e:
            raise exceptions.CommandError(f"tools: write a list of tools as JSON ({e})") from None
        return json.dumps(result, ensure_ascii=False, indent=2)

    @_command("qwen.explain")
    def explain(self, flow: Flow) -> str:
        """Explain an answer, such as why a call was left as text."""
        data = flow.metadata.get(KEY)
        content = flow.request.get_content(strict=False) if isinstance(flow, http.HTTPFlow) else None
        return "\n".join(explained(data if isinstance(data, dict) else None, parse_object(content or b"")))

    @_command("qwen.record.save")
    def save(self, flows: Sequence[Flow], folder: types.Path) -> str:
        """Write these chats as recordings into a folder, without secrets."""
        directory, saved = Path(folder).expanduser(), 0
        try:
            make_folder(directory)
            for chat in flows:
                if isinstance(chat, http.HTTPFlow) and KEY in chat.metadata:
                    recording = from_flow(chat, "")
                    model = str(recording.request.get("model", ""))
                    name = file_stem(recording.started, model, "saved", chat.id)
                    clean = redact(
                        dataclasses.replace(recording, name=name), self._configuration.settings.redact
                    )
                    save(clean, directory / f"{clean.name}.flow")
                    saved += 1
        except (ValueError, OSError) as e:
            raise exceptions.CommandError(str(e)) from None
        return f"{saved} of {len(flows)} flows are chats and were written to {directory}"
