"""Errors of an engine that hold the very call it could not parse.

llama.cpp parses what the model wrote once more when it is complete, and if its grammar does not
fit it throws "Failed to parse input at pos N: " with the text from there on (common/chat.cpp).
The client gets HTTP 500 with `{"error": {"code": 500, "message": …}}`, or in a stream an event
with the same object (older builds: a line `error: {…}`) and no finish_reason. That text is what
any server without a parser would have sent as content, so it is read as such: if it holds
complete calls the answer goes on with them, if not the error stays as it is.
"""

import re
from dataclasses import dataclass
from typing import Any

from ..events import Text, calls_of
from ..parser.parser import ToolCallParser
from ..repairs import Ledger, Repair

_MESSAGE = re.compile(r"Failed to parse input at pos \d+: (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Unparsed:
    """What the model wrote, where the engine gave up: text, and complete calls as (name, arguments)."""

    text: str
    calls: list[tuple[str, str]]
    ledger: Ledger


def read_unparsed(error: Any, parser: ToolCallParser) -> Unparsed | None:
    """The calls in an error, which a new parser reads, not `live`; None if it holds no complete one."""
    message = error.get("message") if isinstance(error, dict) else error
    found = _MESSAGE.search(message) if isinstance(message, str) else None
    if found is None:
        return None
    events = parser.feed(found[1]) + parser.close(None)
    calls = calls_of(events)
    if not calls:
        return None
    parser.ledger.repaired(Repair.ENGINE_ERROR)
    return Unparsed("".join(e.text for e in events if isinstance(e, Text)), calls, parser.ledger)
