"""The states of the parser, and what is open around the text they read.

`parser` has the table of their functions. A state is a function of a message: it takes what it is sure of,
names the next state, and returns a `Step`.
"""

from enum import Enum


class Step(Enum):
    """What a state returns."""

    MORE = 0  # wait: nothing can be done before more text comes
    GO = 1  # go on at once, with the state that the message is in now


class State(Enum):
    """Where the parser is in the message."""

    __hash__ = object.__hash__  # members are compared by identity: this one is quick

    LITERAL = 0  # all is text: no tools are declared, or what follows may belong to an unfinished call
    LINE_START = 1  # of the message, or at the aggressive level of any line: an untagged call may stand here
    TEXT = 2  # text, up to the next tag that may open a call
    PLACE = 3  # at a tag in text that is in no dialect table, but may open a call
    SPAN = 4  # at a tag after an open backtick or quotation mark
    ENVELOPE = 5  # at the opening tag of an envelope
    CALL = 6  # between the parameters of a call
    VALUE = 7  # in the value of a parameter
    LOOSE = 8  # in text where a parameter should open
    JSON = 9  # in JSON, in an envelope or as the body of a call
    BARE_JSON = 10  # in JSON without a tag around it
    AFTER = 11  # after a call: closing tags, the next call, or text
    STRAY = 12  # in text between the parameters of a call
    CUT = 13  # at the end of the message, with a call that is open


class Envelope(Enum):
    """What is open around calls."""

    NONE = 0
    OPEN = 1  # in <tool_call>
    ORPHAN = 2  # no <tool_call>, but a </tool_call> may still come
    LEFT = 3  # text follows the call on its line, and </tool_call> may still come there
    REFUSED = 4  # its opening tag is text, and so is its closing tag


class Before(Enum):
    """What comes before the text that is not understood yet, apart from whitespace."""

    TEXT = 0
    CALL = 1
    QUOTE = 2  # a <tool_call> that is being quoted
