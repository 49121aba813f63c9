"""Where we are in JSON: what the state JSON keeps in a message."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .event_log import Mark
from .json_body import Body
from .json_text import JsonText


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
