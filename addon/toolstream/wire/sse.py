"""Splits a byte stream into server-sent events, at any cut, and keeps the raw bytes.

An event is handled as the bytes it came in, its closing blank line included. So whatever nobody has to
change leaves as it came (comments, `event:` and `id:` lines, several `data:` lines, data that is not
JSON). Line ends are `\\n`, `\\r\\n` or `\\r`, as in the HTML standard ("9.2.6 Interpreting an event
stream").
"""

import re

_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r){2}")
_LINE = re.compile(rb"([^\r\n]*)(\r\n|\n|\r|\Z)")
_COMMON = re.compile(rb"(?:(?:event|id): [^\r\n]*\n){0,2}data: ")
_DATA_LINE = re.compile(rb"(?:\xef\xbb\xbf)?data(?::[ ]?(.*))?", re.S)  # a BOM may begin the stream


class EventSplitter:
    """Splits a byte stream into events. `pending` are the bytes of the incomplete one."""

    __slots__ = ("pending",)

    def __init__(self) -> None:
        self.pending = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The events that `data` completes."""
        if not self.pending and data.endswith(b"\n\n") and data.find(b"\r") < 0:
            *events, rest = data.split(b"\n\n")
            if not rest:
                return [data] if len(events) == 1 else [event + b"\n\n" for event in events]
        search_from = max(0, len(self.pending) - 3)
        self.pending += data  # whatever fails from here on, no byte is lost
        events, start = [], 0
        while (end := self._end_of_event(search_from)) > 0:
            events.append(bytes(self.pending[start:end]))
            start = search_from = end
        del self.pending[:start]
        return events

    def _end_of_event(self, start: int) -> int:
        """The offset after the first blank line from `start` on; 0 if there is none yet."""
        blank = _BLANK_LINE.search(self.pending, start)
        if blank is None or (blank.end() == len(self.pending) and blank[0].endswith(b"\r")):
            return 0  # a \n may follow the \r
        return blank.end()


def _common(event: bytes) -> int:
    """Where the data begins in a common event, whose only line of data is its last line; 0 for any other
    event."""
    head = _COMMON.match(event)
    if head and event.find(b"\n", head.end()) == len(event) - 2 and event.find(b"\r") < 0:
        return head.end()
    return 0


def read_data(event: bytes) -> str | None:
    """The data of an event, with its `data:` lines joined; None if it has none or is not UTF-8."""
    try:
        if start := _common(event):
            return event[start:-2].decode()
        if b"data" not in event:
            return None
        lines = [m[1] or b"" for line, _ in _LINE.findall(event) if (m := _DATA_LINE.fullmatch(line))]
        return b"\n".join(lines).decode() if lines else None
    except UnicodeDecodeError:
        return None


def replace_data(event: bytes, data: str) -> bytes:
    """The event with other data; its other lines and its line ends stay. A line break in the data, as
    between the `data:` lines that it was read from, makes another `data:` line."""
    if (start := _common(event)) and "\n" not in data:
        return event[:start] + data.encode() + b"\n\n"
    out, written = [], False
    for line, end in _LINE.findall(event):
        if not _DATA_LINE.fullmatch(line):
            out.append(line + end)
        elif not written:
            out += [b"data: " + part + end for part in data.encode().split(b"\n")]
            written = True
    return b"".join(out)


def is_aside(event: bytes) -> bool:
    """Whether an event is nothing but comments, or a ping: clients ignore it."""
    if event.startswith(b"data: ") and event.find(b"ping") < 0:
        return False
    *lines, last = event.splitlines() or [event]
    said = [line for line in lines if line and not line.startswith(b":")]
    is_ping = not {b"event: ping", b"event:ping"}.isdisjoint(said)
    return not last and (is_ping or (not said and any(lines)))
