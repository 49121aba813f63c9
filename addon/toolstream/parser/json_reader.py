"""Where we are in JSON: what the state JSON keeps in a message."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..schema.arguments import ArgumentsWriter
from ..schema.schema import Tool
from .event_log import Mark
from .json_quote import OpenString
from .json_text import JsonText


class Caret(Enum):
    """Where in the JSON we are."""

    KEY = 0  # before a key of the arguments
    VALUE = 1
    STRING = 2
    CONTAINER = 3  # in an array or object that is a value
    COMMA = 4  # behind a member of the arguments
    OUTSIDE = 5  # behind the arguments, or behind a member beside them
    BESIDE = 6  # before a key beside them


class Progress(Enum):
    """How far the arguments are."""

    MORE = 0
    GO = 1
    DONE = 2  # they are written, and closed
    FAILED = 3  # nobody can tell what they are


@dataclass(slots=True)
class Body:
    """The arguments of the call number `index`, from their first key on. `brackets`: how many close the call
    after theirs. `in_array`: it stands in an array of calls. `mended`: something in it was not quite JSON."""

    index: int
    tool: Tool
    writer: ArgumentsWriter
    brackets: int
    in_array: bool = False
    mended: bool = False
    caret: Caret = Caret.KEY
    inside: bool = True  # not behind the arguments
    comma: bool = False  # the last thing was a comma
    key: str = ""
    dropped: bool = False  # the member is none of the arguments
    string: OpenString | None = None
    streams: bool = False  # the string does
    container: JsonText | None = None
    mark: Mark | None = None  # before a value that waits

    def is_free(self, key: str) -> bool:
        """Whether this is a parameter of the tool that was not given yet."""
        return self.tool.declares(key) and key not in self.writer.given


@dataclass(slots=True)
class JsonCalls:
    """The calls in an envelope. `body` or `text` is the one that is being read; before that, neither.
    `retry`: where it can be read again. `broken`: it was read already, and in vain."""

    array: bool = False
    said: bool = False  # that this is JSON
    body: Body | None = None
    text: JsonText | None = None
    retry: Mark | None = None
    broken: bool = False


@dataclass(slots=True)
class JsonArguments:
    """The arguments of the open call, likewise. `in_parameter`: they stand in a parameter that holds all of
    them."""

    in_parameter: bool
    body: Body | None = None
    text: JsonText | None = None
    retry: Mark | None = None
    broken: bool = False


@dataclass(slots=True)
class BehindCall:
    """The place behind a call in an envelope, where another one may follow. `array`: an array is open."""

    array: bool


Reader = JsonCalls | JsonArguments


class Closing(Enum):
    """What closes arguments that are JSON."""

    OTHER = 0
    PARAMETER = 1  # the closing tag of a parameter
    VALUE = 2  # and a parameter follows, so they were the value of one
