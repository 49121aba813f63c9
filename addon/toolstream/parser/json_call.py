"""JSON-bodied calls: what Qwen2.5 and Qwen3 write inside `<tool_call>`, and Coder models by mistake.

`JsonEnvelope` reads what stands in an envelope while it streams: one call, an array of calls, or
several calls one after the other. A call is `{"name": …, "arguments": {…}}`, where "parameters" may
stand for "arguments" and the arguments may be a JSON string of an object; in an envelope, where
it cannot be anything else, also what models make of that.
"""

import re

from ..grammar.grammar import Grammar
from ..grammar.text import BLANK, WHITESPACE
from ..grammar.text import end_of as _end
from ..limits import LOOK_AHEAD
from ..repairs import Repair
from ..schema.json_call import Call, read_body
from ..schema.toolset import Toolset
from .json_body import JsonBody

_SURPLUS = re.compile(f"[{BLANK}}}\\]]{{0,{LOOK_AHEAD}}}")


class JsonEnvelope:
    """The JSON in an envelope. Feed it what follows the opening tag; once it has `ended`, `rest` is what
    follows, and `calls` and `repairs` what was found: None if it is no call for certain. `cut`: the
    message ended in it."""

    named, fenced = True, False  # see `BareJsonCall`

    def __init__(self, grammar: Grammar, toolset: Toolset) -> None:
        self.ended = self.cut = False
        self.rest = ""
        self.calls: list[Call] | None = None
        self.repairs: list[Repair] = []
        self._grammar, self._toolset = grammar, toolset
        self._bodies: list[str] = []
        self._text = ""  # received, not yet looked at
        self._body = self._next_body()
        self._state = self._in_body

    @property
    def text(self) -> str:
        """The JSON so far."""
        return "".join(self._bodies) + self._body.text

    @property
    def pending(self) -> str:
        """What was received and is not handed back."""
        return "".join(self._bodies) + self._body.pending + self._text

    @property
    def unsure(self) -> str:
        """What would be read if this were no JSON."""
        return self._body.unsure

    def feed(self, text: str, over: bool) -> None:
        """Take text; `over`: no more comes."""
        self._text += text
        while not self.ended and self._state(over):
            pass

    def _next_body(self) -> JsonBody:
        return JsonBody(self._grammar.ends_json, lambda text: read_body(text, self._toolset) is not None)

    def _in_body(self, over: bool) -> bool:
        """An object or array."""
        text, self._text = self._text, ""
        self._body.feed(text, over)
        if self._body.ended:
            self._text = self._body.rest
            self._state = self._behind_body
            return True
        self.cut = over
        return over and self._end_envelope([])

    def _behind_body(self, over: bool) -> bool:
        """Another one follows, or brackets too many, or the end of the envelope."""
        at = _end(WHITESPACE, self._text)
        if at == len(self._text) and not over:
            return False
        match self._text[at : at + 1]:
            case "{" | "[":
                self._bodies += [self._body.text, self._text[:at]]
                self._body, self._text = self._next_body(), self._text[at:]
                self._state = self._in_body
                return True
            case "}" | "]":
                return self._at_surplus(over)
            case "," | ":" | '"':
                return self._is_broken()
            case mark if mark.isalnum() and at == 0:
                return self._is_broken()
        return self._end_envelope([])

    def _is_broken(self) -> bool:
        """A bracket closed it before its end."""
        self.ended, self.rest, self._text = True, self._text, ""
        return False

    def _at_surplus(self, over: bool) -> bool:
        """Brackets that belong to nothing, if a tag stands after them; else they are text."""
        at = _end(_SURPLUS, self._text)
        closes = self._grammar.after.match(self._text, at) is not None
        partial = at == len(self._text) or self._grammar.after.may_begin(self._text, at)
        if partial and not (closes or over):
            return False
        if not (closes or partial):
            return self._end_envelope([])
        self._text = self._text[at:]
        return self._end_envelope([Repair.STRAY_CLOSER])

    def _end_envelope(self, more: list[Repair]) -> bool:
        self.ended, self.rest, self._text = True, self._text, ""
        if found := read_body(self.text, self._toolset):
            self.calls, self.repairs = found[0], found[1] + more
        return False
