"""Where in an object we are: the objects and arrays that are open, and the members so far."""

from collections.abc import Collection

from ..schema.schema import Parameter


class Frame:
    """An open object or array: its schema, and where in it we are."""

    __slots__ = ("count", "is_array", "key", "parameter")

    def __init__(self, parameter: Parameter, is_array: bool) -> None:
        self.parameter = parameter
        self.is_array = is_array
        self.count = 0  # members or items that have begun, without those that are left out
        self.key = ""  # the key of the last member

    def begin_value(self) -> Parameter:
        """A value begins; return its schema."""
        known = self.parameter.item(self.count) if self.is_array else self.parameter.member(self.key)
        self.count += 1
        return known

    def rename(self, key: str) -> None:
        """Set the key of the next value, or correct that of the last one."""
        self.key = key

    @property
    def known(self) -> Parameter:
        """The schema of the value with the current key."""
        return self.parameter.member(self.key)

    @property
    def closer(self) -> str:
        return "]" if self.is_array else "}"


class Nesting:
    """The frames of one object, the outermost first."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.given: set[str] = set()

    @property
    def outermost(self) -> bool:
        """Whether only the object itself is open."""
        return len(self.frames) == 1

    @property
    def key(self) -> str:
        """The key of the last member."""
        return self.frames[-1].key

    def open(self, parameter: Parameter, is_array: bool) -> int:
        """An object or array begins; return how many are open."""
        self.frames.append(Frame(parameter, is_array))
        return len(self.frames)

    def close(self) -> None:
        """The innermost object or array ends."""
        self.frames.pop()

    def begin_value(self) -> Parameter:
        """A value begins; return its schema."""
        if self.outermost:
            self.given.add(self.key)
        return self.frames[-1].begin_value()

    def rename(self, key: str) -> None:
        """Set the key of the next member, or correct that of the last one."""
        self.frames[-1].rename(key)

    @property
    def is_first(self) -> bool:
        """Whether the innermost object or array has no member or item yet."""
        return not self.frames[-1].count

    @property
    def known(self) -> Parameter:
        """The schema of the member whose key has come."""
        return self.frames[-1].known

    def omit(self) -> None:
        """The last member is left out."""
        self.frames[-1].count -= 1

    def give(self, keys: Collection[str]) -> None:
        """The object has these members as well."""
        self.given.update(keys)
        self.frames[-1].count += len(keys)
