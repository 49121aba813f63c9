"""The doctor's questions, and what can be wrong with an answer.

Real models differ, so an answer is judged by its properties: the tools that were asked for, their required
arguments, the types of the schema, and the values if the question fixes them. Whatever is wrong is a
`Flaw`. Some flaws hardly ever come from a model: a server's parser makes them. The others mean that the model
did something else than it was asked; they say nothing about the server.

Each question ends with a ticket, `TASK:key`. A real model ignores it. The tiny model of `make e2e`
understands no language and answers by that key alone, so that the doctor can be tested with it.

Nothing that a model calls is executed.
"""

import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from toolstream import Named

from ...apis import CHAT, MOST_TOKENS, Api
from ...replay.outline import Call, Message
from ...replay.record import WEATHER

Json = dict[str, Any]

TYPES = {"string": str, "integer": int, "boolean": bool}

# Text that parsers are known to damage: markup, an ampersand, quotes, "<" between spaces, a tab, indentation,
# characters of 2, 3 and 4 bytes, a line break at the end.
FILE = """\
line one
  <b>två & "three"</b>
if a < b and c > d: # 日本 🦊
\tprint("x")
end
"""
WRITE: Json = {
    "type": "function",
    "function": {
        "name": "write",
        "description": "Write a text file",
        "parameters": {
            "type": "object",
            "properties": {
                "filePath": {"type": "string", "description": "Path of the file"},
                "content": {"type": "string", "description": "The whole content of the file"},
            },
            "required": ["filePath", "content"],
        },
    },
}
CITY_ALONE: Json = json.loads(json.dumps(WEATHER))
CITY_ALONE["function"]["parameters"]["required"] = ["city"]


class Flaw(Named):
    """What is wrong with an answer."""

    # most likely made by the server
    NO_JSON = "no-json", "arguments that are not a JSON object"
    MISSING = "missing", "a required argument missing"
    TYPE = "type", "a value of the wrong type"
    SPACE = "space", "indentation or line breaks lost"
    CUT = "cut", "a value cut off"
    CHARACTERS = "characters", "characters changed"
    FINISH = "finish", "finish_reason missing or wrong"
    # the model did something else than it was asked
    NO_CALL = "no-call", "a call missing"
    MORE_CALLS = "more-calls", "a call too many"
    TOOL = "tool", "another tool called"
    VALUE = "value", "another value"
    LEFT_OUT = "left-out", "an optional argument left out"
    NO_TEXT = "no-text", "no text"
    # either
    LAST_BREAK = "last-break", "no line break at the end of the file"


DAMAGE = frozenset(
    {Flaw.NO_JSON, Flaw.MISSING, Flaw.TYPE, Flaw.SPACE, Flaw.CUT, Flaw.CHARACTERS, Flaw.FINISH}
)


@dataclass(frozen=True, slots=True)
class Like:
    """A text that matches a pattern."""

    pattern: str

    def flaw(self, value: Any) -> Flaw | None:
        if re.search(self.pattern, value, re.I):
            return None
        return Flaw.CHARACTERS if "\ufffd" in value else Flaw.VALUE


@dataclass(frozen=True, slots=True)
class Exactly:
    """A value."""

    value: Any

    def flaw(self, value: Any) -> Flaw | None:
        return None if value == self.value else Flaw.VALUE


@dataclass(frozen=True, slots=True)
class File:
    """The text of a file. A missing line break at its end is only noted."""

    text: str

    def flaw(self, value: Any) -> Flaw | None:
        if value == self.text:
            return None
        if value == self.text.removesuffix("\n"):
            return Flaw.LAST_BREAK
        if value.split() == self.text.split():
            return Flaw.SPACE
        if self.text.startswith(value):
            return Flaw.CUT
        if "\ufffd" in value or html.unescape(value).strip() == self.text.strip():
            return Flaw.CHARACTERS
        return Flaw.VALUE


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call that was asked for; `optional` are arguments that a model may leave out."""

    tool: Json
    arguments: Mapping[str, Like | Exactly | File]

    def flaws(self, call: Call) -> list[Flaw]:
        """Return what is wrong with a call that was made for it."""
        if call.name != self.tool["function"]["name"]:
            return [Flaw.TOOL, *([Flaw.NO_JSON] if call.values is None else [])]
        return [Flaw.NO_JSON] if call.values is None else list(self._flaws(call.values))

    def _flaws(self, values: Json) -> Iterator[Flaw]:
        schema = self.tool["function"]["parameters"]
        for name, wanted in schema["properties"].items():
            check = self.arguments.get(name)
            if name not in values:
                if name in schema["required"]:
                    yield Flaw.MISSING
                elif check:
                    yield Flaw.LEFT_OUT
            elif type(values[name]) is not TYPES[wanted["type"]]:
                yield Flaw.TYPE
            elif check and (flaw := check.flaw(values[name])):
                yield flaw


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the calls that answer it; without calls it is answered in words."""

    name: str
    text: str
    ticket: str
    tool: Json
    calls: tuple[Wanted, ...] = field(default=())

    def request(self, model: str, is_stream: bool, with_tools: bool = True, api: Api = CHAT) -> Json:
        """Return the body of a request that asks it."""
        asked = f"{self.text}\n\nTicket TASK:{self.ticket}"
        tools = [self.tool] if with_tools else []
        return api.request(asked, model, is_stream, tools) | api.greedy(MOST_TOKENS)

    def flaws(self, message: Message, api: Api = CHAT) -> list[Flaw]:
        """Return what is wrong with an answer, as a client gets it."""
        calls = list(message.calls)
        flaws = self._flaws_of_wanted(calls)
        if calls:
            flaws.append(Flaw.MORE_CALLS)
        if any(call.values is None for call in calls):
            flaws.append(Flaw.NO_JSON)
        said_calls = message.finish_reason == "tool_calls"
        if message.finish_reason not in ("stop", "tool_calls") or (
            said_calls != bool(message.calls) and api.says_calls
        ):
            flaws.append(Flaw.FINISH)
        if not self.calls and not message.content.strip():
            flaws.append(Flaw.NO_TEXT)
        return flaws

    def _flaws_of_wanted(self, calls: list[Call]) -> list[Flaw]:
        """Return what is wrong with the calls that were asked for, and remove them from `calls`."""
        flaws: list[Flaw] = []
        for wanted in self.calls:
            if not calls:
                flaws.append(Flaw.NO_CALL)
                continue
            call = min(calls, key=lambda call: len(wanted.flaws(call)))
            calls.remove(call)
            flaws += wanted.flaws(call)
        return flaws


ZURICH = Like(r"z(ü|u\u0308?|ue)rich")
OSLO = Wanted(WEATHER, {"city": Like("oslo"), "days": Exactly(1)})
LODZ = Wanted(WEATHER, {"city": Like("[łl][óo]\u0301?d[źz]"), "days": Exactly(2)})

QUESTIONS = (
    Question("plain", "Say hello in one sentence. You need no tool for that.", "text", WEATHER),
    Question(
        "one call",
        "What is the weather like in Zürich? Ask the tool.",
        "gw-good",
        CITY_ALONE,
        (Wanted(CITY_ALONE, {"city": ZURICH}),),
    ),
    Question(
        "typed",
        "What will the weather be in Zürich for the next 3 days, in detail? Give the tool all arguments.",
        "gw-good",
        WEATHER,
        (Wanted(WEATHER, {"city": ZURICH, "days": Exactly(3), "detailed": Exactly(True)}),),
    ),
    Question(
        "two calls",
        "Compare the weather in Oslo for 1 day with that in Łódź for 2 days. Ask for both at once: "
        "make two calls in one answer.",
        "gw-par",
        WEATHER,
        (OSLO, LODZ),
    ),
    Question(
        "a file",
        "Write the file hello.txt in /tmp. Its content is exactly the text between the fences: keep the "
        f"indentation, and the line break at the end.\n\n```\n{FILE}```",
        "oc-good",
        WRITE,
        (Wanted(WRITE, {"filePath": Like(r"hello\.txt$"), "content": File(FILE)}),),
    ),
)
ONE_CALL = QUESTIONS[1]
