"""The receive buffer of the parser: whole characters, in pieces that are short enough to be copied.

A state looks at `text` and takes what it is sure of from the beginning. Text that turns out to belong to
somebody else is given back and comes again.
"""

from collections import deque

from ..limits import PIECE


class Buffer:
    """Receives the pieces of a message."""

    __slots__ = ("_again", "_backlog", "_eof", "_high", "text")

    def __init__(self) -> None:
        self.text = ""  # for a state to look at
        self._backlog: deque[str] = deque()  # for later
        self._again = 0  # how much of it, at its beginning, was in the text since `watch`
        self._high = ""  # the first half of a surrogate pair
        self._eof = False

    @property
    def pending(self) -> str:
        """All that was received and not taken."""
        return self.text + "".join(self._backlog)

    @property
    def waiting(self) -> str:
        """What of it was not in the text since `watch`."""
        return "".join(self._backlog)[self._again :]

    @property
    def size(self) -> int:
        """How many characters were received and not taken."""
        return len(self.text) + (sum(map(len, self._backlog)) if self._backlog else 0)

    @property
    def seen(self) -> int:
        """How many characters of it were."""
        return len(self.text) + self._again

    @property
    def high(self) -> str:
        """The first half of a surrogate pair, if the text ends in one."""
        return self._high

    @property
    def over(self) -> bool:
        """Whether no more text comes."""
        return self._eof and not self._backlog

    def receive(self, text: str) -> str:
        """Take a piece of the message; return what of it is in the text, the rest waits."""
        text = self._joined(text)
        if len(text) > PIECE or self._backlog:
            self._queue(text)
            return ""
        self.text += text
        return text

    def end(self, eof: bool = True) -> None:
        """The message is over; or it goes on after all."""
        self._eof = eof
        text, self._high = self._high, ""
        self._queue(text)

    def refill(self) -> str | None:
        """Add what waits to the text; return what of that is new since `watch`, None if nothing waits."""
        if not self._backlog:
            return None
        piece = self._backlog.popleft()
        self.text += piece
        again = min(self._again, len(piece))
        self._again -= again
        return piece[again:]

    def watch(self) -> str:
        """From here on it is known which text is new; return the text."""
        self._again = 0
        return self.text

    def take(self, end: int) -> str:
        """The text up to `end`, which is done with."""
        taken, self.text = self.text[:end], self.text[end:]
        return taken

    def give_back(self, text: str) -> None:
        """Text that was taken comes next again."""
        self._again += len(text) + len(self.text)
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
