"""What the state JSON remembers in a message: how far the JSON was read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..schema.schema import Tool
from .event_log import Mark
from .json_quote import OpenString
from .json_text import JsonText
from .writer import MemberWriter


class Caret(Enum):
    """Where in the JSON we are."""

    KEY = 0  # before a key of the arguments
    VALUE = 1
    STRING = 2
    CONTAINER = 3  # in an array or object that is a value
    COMMA = 4  # after a member of the arguments
    OUTSIDE = 5  # after the arguments, or after a member beside them
    BESIDE = 6  # before a key beside them


class Progress(Enum):
    """How far the arguments are."""

    MORE = 0
    GO = 1
    DONE = 2  # they are written, and closed
    FAILED = 3  # they cannot be read


@dataclass(slots=True)
class Body:
    """The arguments of the call with this `index`, from their first key on. `brackets`: how many brackets
    close the call after those of the arguments. `in_array`: the call is in an array of calls. `mended`:
    something was not quite JSON. `spaced`: a blank stands after its colons."""

    index: int
    tool: Tool
    writer: MemberWriter
    brackets: int
    in_array: bool = False
    mended: bool = False
    caret: Caret = Caret.KEY
    spaced: bool = True
    inside: bool = True  # the bracket of the arguments is open
    comma: bool = False  # a comma came last
    key: str = ""
    gap: str = ""  # whitespace before the value
    dropped: bool = False  # the member is not an argument, and is dropped
    string: OpenString | None = None
    streams: bool = False  # the string is sent as it arrives
    container: JsonText | None = None
    mark: Mark | None = None  # before a value that has to be complete first

    def is_free(self, key: str) -> bool:
        """Whether this is a parameter of the tool that was not given yet."""
        return self.tool.declares(key) and key not in self.writer.given


@dataclass(slots=True, kw_only=True)
class _Attempt:
    """`body` or `text` is what is being read; before that begins, both are None. `retry`: where it can be
    read again. `broken`: it was read once already, without success."""

    body: Body | None = None
    text: JsonText | None = None
    retry: Mark | None = None
    broken: bool = False


@dataclass(slots=True, kw_only=True)
class JsonCalls(_Attempt):
    """The calls in an envelope, one after another. `array`: an array of calls is open."""

    array: bool = False
    reported: bool = False  # the repair for a JSON body was reported


@dataclass(slots=True, kw_only=True)
class JsonArguments(_Attempt):
    """The arguments of the open call. `in_parameter`: they are in a parameter that holds all of them."""

    in_parameter: bool


@dataclass(slots=True)
class AfterCall:
    """After a call in an envelope, where another one may follow. `array`: an array of calls is open."""

    array: bool


Reader = JsonCalls | JsonArguments


class Closing(Enum):
    """What closes arguments that are JSON."""

    OTHER = 0
    PARAMETER = 1  # the closing tag of a parameter
    VALUE = 2  # the same, and another parameter follows: they were the value of one
