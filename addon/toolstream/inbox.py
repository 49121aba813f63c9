"""Text on its way to the parser's states: whole characters, in pieces short enough to be copied.

A state looks at `text` and takes what it is sure of from its beginning. What turns out to be
somebody else's is given back and comes again.
"""

from collections import deque

PIECE = 4096  # longer input comes in pieces: a state may copy what it holds


class Inbox:
    """Receives the pieces of a message."""

    __slots__ = ("_backlog", "_eof", "_high", "text")

    def __init__(self) -> None:
        self.text = ""  # for a state to look at
        self._backlog: deque[str] = deque()  # for later
        self._high = ""  # the first half of a surrogate pair
        self._eof = False

    @property
    def pending(self) -> str:
        """All that was received and not taken."""
        return self.text + "".join(self._backlog)

    @property
    def size(self) -> int:
        """How many characters that is."""
        return len(self.text) + sum(map(len, self._backlog))

    @property
    def high(self) -> str:
        """The first half of a surrogate pair, if the text ends in one."""
        return self._high

    @property
    def over(self) -> bool:
        """Whether no more text comes."""
        return self._eof and not self._backlog

    def receive(self, text: str) -> str:
        """Take a piece of the message; return what there is to read of it."""
        text = self._joined(text)
        if len(text) <= PIECE and not self._backlog:
            self.text += text
        else:
            self._queue(text)
        return text

    def end(self, eof: bool = True) -> str:
        """The message is over; return the rest of it. Or it goes on after all."""
        self._eof = eof
        text, self._high = self._high, ""
        self._queue(text)
        return text

    def refill(self) -> bool:
        """Add what waits to the text; False if nothing does."""
        if self._backlog:
            self.text += self._backlog.popleft()
            return True
        return False

    def take(self, end: int) -> str:
        """The text up to `end`, which is done with."""
        taken, self.text = self.text[:end], self.text[end:]
        return taken

    def give_back(self, text: str) -> None:
        """Text that was taken comes next again."""
        later, self._backlog = self._backlog, deque()
        self._queue(text + self.text)
        self._backlog += later
        self.text = ""

    def _queue(self, text: str) -> None:
        self._backlog.extend(text[i : i + PIECE] for i in range(0, len(text), PIECE))

    def _joined(self, text: str) -> str:
        """Text with no pair of surrogates cut in two; a first half at its end waits."""
        if not self._high and not "\ud800" <= text[-1:] <= "\udbff":
            return text
        text = self._high + text
        self._high = text[-1] if "\ud800" <= text[-1:] <= "\udbff" else ""
        text = text.removesuffix(self._high)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
