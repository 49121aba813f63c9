"""Errors of an engine that contain the very call that it could not parse.

When an answer is complete, llama.cpp parses it once more. If it does not fit its grammar, it throws
"Failed to parse input at pos N: ", followed by the text from there on (common/chat.cpp). The client gets
HTTP 500 with `{"error": {"code": 500, "message": …}}`; in a stream it gets an event with the same object
(from older builds a line `error: {…}`) and no finish_reason. A server without a parser would have sent
that text as content, so it is read as content. If it holds complete calls, the answer goes on with them.
If not, the error stays as it is.
"""

import re
from dataclasses import dataclass
from typing import Any

from ..events import Text, calls_of
from ..ledger import Ledger
from ..native.reader import TextParser
from ..repairs import Repair

_MESSAGE = re.compile(r"Failed to parse input at pos \d+: (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Unparsed:
    """What the model wrote from where the engine gave up: text, and complete calls as (name, arguments)."""

    text: str
    calls: list[tuple[str, str]]


def read_unparsed(error: Any, parser: TextParser, ledger: Ledger) -> Unparsed | None:
    """The calls in an error; None if it holds no complete one. `parser` is a new parser that is not
    `live`; it counts in `ledger`."""
    message = error.get("message") if isinstance(error, dict) else error
    found = _MESSAGE.search(message) if isinstance(message, str) else None
    if found is None:
        return None
    events = parser.feed(found[1]) + parser.close(None)
    calls = calls_of(events)
    if not calls:
        return None
    ledger.repaired(Repair.ENGINE_ERROR)
    return Unparsed("".join(e.text for e in events if isinstance(e, Text)), calls)
