"""Bytes <-> lines of JSON, at any cut, with the raw bytes kept.

A line is handled as the bytes it came in, its line end included: `\\n` or `\\r\\n`. A `\\r` alone ends no
line, for it may stand between two members. A last line without a line end is `pending` when the body is over,
and the caller's to take.
"""


class LineSplitter:
    """Cuts a byte stream into lines; `pending` are the bytes of the one that is not complete."""

    __slots__ = ("pending",)

    def __init__(self) -> None:
        self.pending = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes."""
        if not self.pending and data.find(b"\n") == len(data) - 1 >= 0:
            return [data]
        first_end = data.find(b"\n") + 1
        if not first_end:
            self.pending += data
            return []
        first = bytes(self.pending) + data[:first_end]
        *lines, rest = data[first_end:].split(b"\n")
        self.pending[:] = rest
        return [first, *(line + b"\n" for line in lines)]
