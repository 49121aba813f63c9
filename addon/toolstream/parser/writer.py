"""What takes the arguments of a call; `schema.arguments` has two that do."""

from typing import Protocol

from ..repairs import Applied


class Writer(Protocol):
    """Takes one value after another. What its methods return can be sent."""

    given: set[str]  # the keys so far
    repairs: Applied  # emptied by the caller

    @property
    def pending(self) -> str:
        """The part of the open value that was not returned yet."""

    def begin(self, key: str) -> str: ...

    def feed(self, text: str) -> str: ...

    def end(self) -> str: ...

    def close(self) -> str: ...


class MemberWriter(Writer, Protocol):
    """Takes values that are JSON, too."""

    def open_string(self, key: str) -> str | None: ...

    def member(self, key: str, value: object) -> str: ...
