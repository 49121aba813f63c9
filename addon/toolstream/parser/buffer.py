"""The one text of a message, and how far it has been read.

Readers borrow the buffer: they look at `text` from `at` on, and move `at` past what they have understood.
Nobody else keeps received text. What comes before `at` is dropped when the next piece arrives, unless it
is pinned. Pinned text is kept as the pieces in which it was read, not as one growing string: a megabyte
that grows by four characters would be copied each time.
"""

from ..grammar.text import joined


class Buffer:
    """`text[at:]` was received and is not understood yet. `base` is the position of `text[0]` in the
    message. An index plus `base` is a position, which stays valid when more text comes. `over`: no more
    text comes."""

    __slots__ = ("_kept", "_kept_from", "at", "base", "high", "over", "text")

    def __init__(self) -> None:
        self.text = ""
        self.at = 0
        self.base = 0
        self.over = False
        self.high = ""  # the first half of a surrogate pair
        self._kept: list[str] | None = None
        self._kept_from = 0

    @property
    def position(self) -> int:
        """The position in the message up to which it is understood."""
        return self.base + self.at

    @property
    def unread(self) -> str:
        """The text that is not understood yet."""
        return self.text[self.at :] + self.high

    @property
    def size(self) -> int:
        """The number of characters that are not understood yet."""
        return len(self.text) - self.at + len(self.high)

    def feed(self, text: str) -> None:
        """Append a piece. What is understood and not pinned is dropped."""
        if self.high or "\ud800" <= text[-1:] <= "\udbff":
            text = self._joined(text)
        if self._kept is not None and self.at:
            self._kept.append(self.text[max(0, self._kept_from - self.base) : self.at])
        self.text = self.text[self.at :] + text if self.at < len(self.text) else text
        self.base += self.at
        self.at = 0

    def skip(self, text: str, end: int) -> None:
        """Replace everything that was received and not understood by `text`, which includes a new piece,
        and mark it as understood up to `end`. Nothing may be pinned."""
        self.base += self.at + end
        self.text, self.at = text[end:], 0

    def close(self) -> None:
        """The message is over."""
        self.text += self.high
        self.high, self.over = "", True

    def take(self, end: int) -> str:
        """Mark the text up to `end` as understood, and return it."""
        taken, self.at = self.text[self.at : end], end
        return taken

    def pin(self) -> int:
        """Keep all text from here on; return the position."""
        if self._kept is None:
            self._kept, self._kept_from = [], self.position
        return self.position

    def unpin(self) -> None:
        """Nothing that was pinned is needed any more."""
        self._kept = None

    def since(self, position: int) -> str:
        """The text that was understood since a pinned position."""
        if position >= self.base:
            return self.text[position - self.base : self.at]
        kept = "".join(self._kept or ())
        return kept[position - self._kept_from :] + self.text[: self.at]

    def rewind(self, position: int) -> None:
        """Go back to a pinned position."""
        if position < self.base:
            self.text = self.since(position) + self.text[self.at :]
            kept = "".join(self._kept or ())
            self._kept = [kept[: position - self._kept_from]]
            self.base = position
        self.at = position - self.base

    def _joined(self, text: str) -> str:
        """The text without a surrogate pair cut in two: a first half at its end waits."""
        text = self.high + text
        self.high = text[-1] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return joined(text.removesuffix(self.high))
