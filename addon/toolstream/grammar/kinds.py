"""The kinds of tags, what else may follow a tag, and the answer of who needs more text to tell."""

from enum import Enum, IntEnum
from typing import TypeVar

Yes = TypeVar("Yes")
No = TypeVar("No")


class TagKind(Enum):
    """What a tag does. The values name the fields of a dialect table."""

    __hash__ = object.__hash__  # members are compared by identity: this one is quick

    WRAP_OPEN = "wrap_open"  # an envelope, such as <tool_call>
    WRAP_CLOSE = "wrap_close"
    CALL_OPEN = "call_open"
    CALL_CLOSE = "call_close"
    PARAMETER_OPEN = "parameter_open"
    PARAMETER_CLOSE = "parameter_close"
    CALL_IN_ENVELOPE = "call_in_envelope"  # opens a call only directly after the opening tag of an envelope
    LINE_OPEN = "line_open"  # opens a call only at the start of a line
    NAMELESS_OPEN = "nameless_open"  # opens a call and does not say of which tool
    THINK_OPEN = "think_open"
    THINK_CLOSE = "think_close"
    RESULT_OPEN = "result_open"  # the result of a tool, which only the model can have made up
    RESULT_CLOSE = "result_close"
    COMMENT_OPEN = "comment_open"
    STRAY = "stray"  # closes nothing that is known; dropped directly after a call


CALL_KINDS = (
    TagKind.WRAP_OPEN,
    TagKind.WRAP_CLOSE,
    TagKind.CALL_OPEN,
    TagKind.CALL_CLOSE,
    TagKind.PARAMETER_OPEN,
    TagKind.PARAMETER_CLOSE,
)
CLOSERS = (TagKind.PARAMETER_CLOSE, TagKind.CALL_CLOSE, TagKind.WRAP_CLOSE)
CALL_OPENERS = (TagKind.WRAP_OPEN, TagKind.CALL_OPEN)
CALL_CLOSERS = (TagKind.CALL_CLOSE, TagKind.WRAP_CLOSE)
THINK = (TagKind.THINK_OPEN, TagKind.THINK_CLOSE)
# Only some states search these kinds. A tag that is found there becomes a CALL_OPEN
OPENS_A_CALL = {TagKind.CALL_IN_ENVELOPE, TagKind.LINE_OPEN}


class Following(Enum):
    """What follows at a place where a tag may stand, if it is not a tag."""

    JSON = "JSON"  # an object begins
    OTHER = "other"


class Wait(Enum):
    """The answer of a reader that needs more text."""

    MORE = 0


MORE = Wait.MORE


def decided(answer: bool | Wait, yes: Yes, no: No) -> Yes | No | Wait:
    """`yes` or `no`, by the answer to a question; MORE if that is not known yet."""
    if answer is MORE:
        return MORE
    return yes if answer else no


class Cost(IntEnum):
    """How far a tag differs from what it stands for, and so how much other evidence it needs (P21)."""

    EXACT = 0  # spelt to the letter
    TABLE = 1  # as a dialect table has it
    ALIKE = 2  # a few slips, or named after the open parameter or tool
    SHAPE = 3  # shaped like the one tag that can stand there
    MISSING = 4  # not there. This costs more than any tag, so a tag in its place is always preferred
