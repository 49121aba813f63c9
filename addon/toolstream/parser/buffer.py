"""The one text of a message, and how far it has been read.

Readers borrow the buffer: they look at `text` from `at` on, and move `at` over what they have
understood. Nobody else keeps text that was received. What is before `at` is dropped when the next piece
comes, unless it is pinned. Then it is kept as the pieces it was read in, never as one growing string: a
megabyte that grows by four characters would be copied each time.
"""


class Buffer:
    """`text[at:]` is what was received and not understood. `base` is the position in the message of
    `text[0]`: an index and `base` make a position, which stays good when more text comes. `over`: no more
    comes."""

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
        """Up to where the message is understood."""
        return self.base + self.at

    @property
    def unread(self) -> str:
        """What is not understood yet."""
        return self.text[self.at :] + self.high

    @property
    def size(self) -> int:
        """How many characters that are."""
        return len(self.text) - self.at + len(self.high)

    def feed(self, text: str) -> None:
        """Append a piece; what is understood and not pinned goes."""
        if self.high or "\ud800" <= text[-1:] <= "\udbff":
            text = self._joined(text)
        if self._kept is not None and self.at:
            self._kept.append(self.text[max(0, self._kept_from - self.base) : self.at])
        self.text = self.text[self.at :] + text if self.at < len(self.text) else text
        self.base += self.at
        self.at = 0

    def skip(self, text: str, end: int) -> None:
        """What was received and is not understood is this text: all of it, and a piece that came. It is
        understood up to `end`, and nothing is pinned."""
        self.base += self.at + end
        self.text, self.at = text[end:], 0

    def close(self) -> None:
        """The message is over."""
        self.text += self.high
        self.high, self.over = "", True

    def take(self, end: int) -> str:
        """The text up to `end`, which is understood now."""
        taken, self.at = self.text[self.at : end], end
        return taken

    def pin(self) -> int:
        """From here on nothing is dropped; returns the position."""
        if self._kept is None:
            self._kept, self._kept_from = [], self.position
        return self.position

    def unpin(self) -> None:
        """Nothing is needed again."""
        self._kept = None

    def since(self, position: int) -> str:
        """The text that was understood since a pinned position."""
        if position >= self.base:
            return self.text[position - self.base : self.at]
        kept = "".join(self._kept or ())
        return kept[position - self._kept_from :] + self.text[: self.at]

    def rewind(self, position: int) -> None:
        """Read again from a pinned position on."""
        if position < self.base:
            self.text = self.since(position) + self.text[self.at :]
            kept = "".join(self._kept or ())
            self._kept = [kept[: position - self._kept_from]]
            self.base = position
        self.at = position - self.base

    def _joined(self, text: str) -> str:
        """Text with no pair of surrogates cut in two; a first half at its end waits."""
        text = self.high + text
        self.high = text[-1] if "\ud800" <= text[-1:] <= "\udbff" else ""
        text = text.removesuffix(self.high)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
