"""The calls that were found in the text of a message, besides those that the server parsed.

The same call may be in both places: the server's parser lets a copy leak, or it cuts off a call in the
text and continues it. So if the server has parsed any call, a call in the text waits until it is
complete.
"""

import json
import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

from ..events import ArgumentsDelta, CallEnd, CallStart, Event, Repaired
from ..repairs import Repair
from ..schema.call_shape import Call
from ..schema.json_call import read_calls
from ..schema.json_read import Json, loads
from ..schema.json_write import dump

# Called with name, arguments, and whether the message ended in the call. Returns whether it is dropped
IsCopy = Callable[[str, Any, bool], bool]
_FENCED = re.compile(r"\s*(?P<fence>`{3,}|~{3,})\w*\s(?P<json>.*)\s(?P=fence)\s*", re.DOTALL)
_NOT_CLOSED = (Repair.MISSING_PARAMETER_CLOSE, Repair.MISSING_FUNCTION_CLOSE)


class CallsInText:
    """The calls that were found in the text of one message."""

    def __init__(self) -> None:
        self.open = False  # the last call is not complete
        self._calls: list[tuple[str, list[str]]] = []  # name, fragments
        self._continued = ""
        # By the text: the events of a call in it that may be a copy
        self._suspects: dict[Hashable, list[Event]] = {}
        self._cut: set[Hashable] = set()  # texts that end inside of such a call

    def __bool__(self) -> bool:
        return bool(self._calls)

    @property
    def suspects(self) -> Mapping[Hashable, list[Event]]:
        """What is held because it may be a copy."""
        return self._suspects

    def note(self, events: list[Event]) -> None:
        """Note the calls in these events."""
        for event in events:
            if type(event) is ArgumentsDelta:  # the most frequent
                if self._calls:
                    self._calls[-1][1].append(event.fragment)
            elif type(event) is CallStart:
                self._calls.append((event.name, []))
                self.open = True
            elif type(event) is CallEnd:
                self.open = False

    def has_name(self, name: str) -> bool:
        """Whether there is a call of this tool."""
        return any(other == name for other, _ in self._calls)

    def remove(self, name: str, arguments: Any) -> bool:
        """Remove this call; return whether it was there."""
        calls = [(other, essence(loads("".join(fragments)))) for other, fragments in self._calls]
        if arguments is None or (name, essence(arguments)) not in calls:
            return False
        del self._calls[calls.index((name, essence(arguments)))]
        return True

    def go_on_with(self, name: str, arguments: Any) -> bool:
        """Whether the open call is the beginning of this one. Then it is continued with the rest; the
        beginning was sent already."""
        if not self.open:
            return False
        begun, fragments = self._calls[-1]
        rest = rest_of(name, arguments, begun, "".join(fragments))
        if rest is None:
            return False
        fragments.append(rest)
        self._continued, self.open = rest, False
        return True

    def take_continued(self) -> str:
        """What a call of the server adds to the call in the text that it has cut off; "" if nothing."""
        continued, self._continued = self._continued, ""
        return continued

    def without_copies(self, text: Hashable, events: list[Event], over: bool, is_copy: IsCopy) -> list[Event]:
        """What was found in a text, without copies. A call waits until it is complete, or until the text
        is `over`."""
        kept: list[Event] = []
        for event in events:
            if not isinstance(event, CallStart | ArgumentsDelta | CallEnd):
                if text in self._suspects and _ends_message(event):
                    self._cut.add(text)
                kept.append(event)
                continue
            self._suspects.setdefault(text, []).append(event)
            if isinstance(event, CallEnd):
                kept += self._unless_copy(text, is_copy)
        if over:
            kept += self._suspects.pop(text, [])
        return kept

    def _unless_copy(self, text: Hashable, is_copy: IsCopy) -> list[Event]:
        events = self._suspects[text]
        name = next((e.name for e in events if isinstance(e, CallStart)), "")
        arguments = loads("".join(e.fragment for e in events if isinstance(e, ArgumentsDelta)))
        copy = is_copy(name, arguments, text in self._cut)
        del self._suspects[text]
        self._cut.discard(text)
        if copy:
            self._calls.pop()
        return [] if copy else events


def calls_in_json(text: str) -> list[Call]:
    """The calls that a whole text is, in JSON, with or without a fence; none if it is anything else."""
    fenced = _FENCED.fullmatch(text)
    return read_calls(fenced["json"] if fenced else text) or []


def _ends_message(event: Event) -> bool:
    """Whether this event shows that a call was completed because the message is over: there is no tag in
    place of the missing one."""
    return isinstance(event, Repaired) and event.repair in _NOT_CLOSED and not event.excerpt.startswith("<")


def essence(value: Any) -> Any:
    """A value without what a server's parser may change in its strings: surrounding whitespace, and the
    kind of line ends."""
    if isinstance(value, str):
        return value.replace("\r\n", "\n").strip()
    if isinstance(value, dict):
        return {key: essence(member) for key, member in value.items()}
    return [essence(item) for item in value] if isinstance(value, list) else value


def begins(arguments: Json, whole: Json) -> bool:
    """Whether these are some of the `whole` arguments, the last of which may be cut off."""
    *earlier, last = arguments or [""]
    same = all(key in whole and essence(arguments[key]) == essence(whole[key]) for key in earlier)
    begun, other = essence(arguments.get(last)), essence(whole.get(last))
    is_part = isinstance(begun, str) and isinstance(other, str) and other.startswith(begun)
    return last in whole and same and (is_part or begun == other)


def rest_of(name: str, arguments: Any, begun: str, sent: str) -> str | None:
    """What these arguments of a call have after `sent`, which was sent of a call named `begun`; None if
    that is another call, or does not begin like this."""
    return rest_after(dump(arguments), sent) if name == begun and arguments is not None else None


def rest_after(arguments: str, sent: str) -> str | None:
    """What arguments have after the part `sent`; None if they do not begin with it in any spelling."""
    fitting = (text for text in _spellings(arguments) if text.startswith(sent))
    found = next(fitting, None)
    return None if found is None else found[len(sent) :]


def _spellings(arguments: str) -> Iterator[str]:
    """The ways in which an engine may write these arguments."""
    value = loads(arguments)
    yield arguments
    for separators in ((",", ":"), (", ", ": ")):
        for ascii_only in (False, True):
            yield json.dumps(value, separators=separators, ensure_ascii=ascii_only)
