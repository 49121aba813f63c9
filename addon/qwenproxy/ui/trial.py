"""`/_qwen/test`: what would become of a model's text.

Without tools the names in the text are declared, with any parameters. Then the trial shows what the parser
finds, but values have no types, because there is no schema.
"""

import json
import re
from typing import Any

from toolstream import rewrite_completion

from ..apis import APIS, CHAT
from ..options import RECOVERIES
from ..replay.outline import messages_of
from .recent import message_json, refusal, repairs_of

Json = dict[str, Any]

GUESSED = "guessed from the text"
# The name of a call, in any of the formats.
_NAMES = re.compile(
    r"""(?:[<\[]/?\w+=|"name"\s*:\s*"|\bname=")\s*([A-Za-z_][\w.:-]*)|(?<=<tool_call>)\s*([\w.-]+)"""
)


class BadTrialError(ValueError):
    """The request cannot be tried. The message says what to send instead."""


def tried(asked: Json, recovery: str) -> Json:
    """Return what became of {text, tools, tool_choice, recovery, api}. Raises BadTrialError."""
    text: Any = asked.get("text", asked.get("content"))
    tools = asked.get("tools")
    recovery, name = asked.get("recovery") or recovery, asked.get("api") or CHAT.name
    _check(text, tools, recovery, name)
    api = APIS[name]
    request = api.request(text, "", False, tools or declared_in(text))
    if "tool_choice" in asked:
        request["tool_choice"] = asked["tool_choice"]
    answer = json.dumps(api.answer(text, asked.get("finish_reason", "stop"))).encode()
    body, ledger = rewrite_completion(request, answer, recovery, api=name)
    return {
        "message": message_json(messages_of(body, False, api)[0]),
        "repairs": repairs_of(ledger.repairs),
        "refusals": [refusal(r.reason, r.excerpt) for r in ledger.refusals],
        "tools": "given" if tools else GUESSED,
        "recovery": recovery,
        "api": name,
    }


def _check(text: Any, tools: Any, recovery: Any, name: Any) -> None:
    if not isinstance(text, str):
        raise BadTrialError('send JSON with the model\'s text in "text"')
    if recovery not in RECOVERIES:
        raise BadTrialError(f'"recovery" is {", ".join(RECOVERIES[:-1])} or {RECOVERIES[-1]}')
    if name not in APIS:
        *names, last = APIS
        raise BadTrialError(f'"api" is {", ".join(names)} or {last}')
    if tools is not None and not (isinstance(tools, list) and all(isinstance(tool, dict) for tool in tools)):
        raise BadTrialError('"tools" is a list, as in a chat request')


def declared_in(text: str) -> list[Json]:
    """Return a tool for each name in the text that may name a tool."""
    names = dict.fromkeys(name for found in _NAMES.finditer(text) if (name := found[1] or found[2]))
    schema = {"type": "object", "properties": {}}
    return [{"type": "function", "function": {"name": name, "parameters": schema}} for name in names]
