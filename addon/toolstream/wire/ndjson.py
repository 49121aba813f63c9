"""Splits a byte stream into lines of JSON, at any cut, and keeps the raw bytes.

A line keeps its line end, `\\n` or `\\r\\n`. A `\\r` alone ends no line, because it may come between two
members. If the body ends without a line end, the last line is in `pending`, where the caller takes it.
"""


class LineSplitter:
    """Splits a byte stream into lines. `pending` are the bytes of the incomplete one."""

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
