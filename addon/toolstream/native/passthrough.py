"""A text on its way through a state machine that passes it on unchanged where it can.

`passed` counts the characters that went out as they came. As soon as anything else has to be written the
text is `changed`, and from there on all of it leaves through `take`. So a caller knows of each delta
whether it may go on as the bytes it came in, may not yet, or never.
"""


class Outlet:
    """Where the text leaves."""

    def __init__(self) -> None:
        self.passed = 0  # characters that have gone out as they came, until something was changed
        self.changed = False
        self._out: list[str] = []  # written, and not taken yet

    def take(self) -> str:
        """What was written since the last time."""
        out, self._out = self._out, []
        return "".join(out)

    def change(self) -> None:
        """From here on everything leaves through `take`."""
        self.changed = True


class Passthrough(Outlet):
    """What came, and what has gone out for it; `_text` is what a state looks at."""

    def __init__(self) -> None:
        super().__init__()
        self.fed = 0  # characters received
        self._text = ""  # received, not yet looked at by a state
        self._held: list[str] = []  # looked at: comes before _text, and waits
        self._held_size = 0
        self._raw: list[str] = []  # all that was received
        self._written: list[str] = []  # all that was written since something was changed

    @property
    def text(self) -> str:
        """All that has gone out."""
        return "".join(self._raw)[: self.passed] + "".join(self._written)

    @property
    def pending(self) -> str:
        """Received, and not gone out."""
        return "".join(self._held) + self._text

    @property
    def held(self) -> int:
        """How many characters that is."""
        return self._held_size + len(self._text)

    def _write(self, text: str) -> None:
        self._out.append(text)
        self._written.append(text)

    def _pass(self, size: int) -> None:
        """Text goes out as it came."""
        if not size:
            return
        piece, self._text = self._text[:size], self._text[size:]
        if self.changed:
            self._write(piece)
        else:
            self.passed += size

    def _put(self, size: int, new: str) -> None:
        """Something else goes out for text that came."""
        self.change()
        self._text = self._text[size:]
        if new:
            self._write(new)

    def _hold(self, size: int) -> None:
        if size:
            self._held.append(self._text[:size])
            self._held_size += size
            self._text = self._text[size:]

    def _take_held(self) -> str:
        held, self._held, self._held_size = "".join(self._held), [], 0
        return held

    def _release(self) -> None:
        """What was held goes out as it came."""
        held = self._take_held()
        self._text = held + self._text
        self._pass(len(held))
