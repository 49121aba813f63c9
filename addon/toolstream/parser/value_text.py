"""The text of the value that is open: what is written of it, and where it ends."""

from __future__ import annotations

from ..grammar.tokens import held_from
from ..limits import LOOK_AHEAD, VALUE_LINE
from .message import Message
from .open_value import Value


def write_up_to(m: Message, value: Value, end: int) -> None:
    """The text up to this index is payload: write it. If a space follows the opening tag, the rest of that
    line waits, for the space may be markup."""
    buffer = m.buffer
    if end <= buffer.at:
        return
    piece = buffer.text[buffer.at : end]
    if value.lead:
        if _is_on_line(piece):
            return
        value.lead = False
    write(m, piece)
    buffer.at = end
    value.advance_to(m.buffer, end)
    value.passed = value.passed or not piece.isspace()


def _is_on_line(piece: str) -> bool:
    """Whether a value, up to here, is on the line of its tag."""
    return "\n" not in piece and len(piece) <= VALUE_LINE


def write(m: Message, piece: str) -> None:
    """Emit a piece of the open value."""
    call = m.open_call
    if call.value and call.value.json:
        call.value.json.feed(piece)
    m.fragment(call.writer.feed(piece))


def break_before(text: str, at: int, end: int) -> int:
    """`end` without the one line break directly before it, and the indentation after that."""
    start = max(at, end - LOOK_AHEAD)
    found = text.rfind("\n", start, end)
    if found < 0 or text[found + 1 : end].strip(" \t"):
        return end
    return found - (found > start and text[found - 1] == "\r")


def held_in(value: Value, text: str, at: int, fresh: bool) -> int:
    """The index from which on the end of a text waits: a line break, or what may become a tag without its
    bracket. `fresh`: a line begins at `at`."""
    if text[-1:] == "\r":
        return len(text) - 1
    end = held_from(text, at, fresh, value.tables.missing)
    return break_before(text, at, end) if end < len(text) or text[-1:] in (" ", "\t", "\n") else end


def finish(m: Message, end: int) -> None:
    """The open value is complete, up to this index."""
    value = m.open_value
    if value.lead:
        value.lead = False
        if _is_on_line(m.buffer.text[m.buffer.at : end]):  # and it was not closed: the space is markup
            m.buffer.at = min(m.buffer.at + 1, end)
    write_up_to(m, value, end)
    m.fragment(m.open_call.writer.end())
    m.open_call.value = None


def leave_open(m: Message, end: int) -> None:
    """The open value was cut off at this index."""
    value = m.open_value
    value.lead = False
    write_up_to(m, value, end)
    m.open_call.value = None
