"""The user's rules on a call that the server parsed itself, while its arguments stream.

A `Mender` writes the text of a JSON object in pieces. Here that text goes through the rules before it
is sent. A member passes unless a rule wants to see its value. Such a value is held, with the key and the
comma before it, since the member may be left out. What rules add is written before the object is closed.
Where a rule may make it a call of another tool, all of the object is held.

To its users a `RuledMender` is a `Mender`: as long as no rule does anything, what came passes
unchanged, and is counted in `passed`.
"""

import re
from collections import deque
from collections.abc import Callable
from json import loads as read_json
from typing import Any

from ..grammar.text import JSON_SPACE, JSON_STRING_REST
from ..limits import HELD, TOKEN
from ..repairs import Ledger, Repair
from ..schema.coercion import OMITTED
from ..schema.json_call import read_object
from ..schema.json_read import loads
from ..schema.json_scanner import JsonScanner
from ..schema.json_write import as_written, dump, quoted
from ..schema.rules import Applied, ToolRules
from ..schema.schema import Tool
from ..schema.toolset import Toolset
from .mender import Mender
from .passthrough import Outlet

_OPENER = re.compile(rf"{JSON_SPACE}\{{")
_CLOSER = re.compile(rf"{JSON_SPACE}\}}")
_LEAD = re.compile(
    rf'{JSON_SPACE}(?P<comma>,{JSON_SPACE})?(?P<key>"[^"\\]*+(?:\\.[^"\\]*+)*+"){JSON_SPACE}:{JSON_SPACE}(?P<value>\S)'
)
_REST_OF_WORD = re.compile(r"[^\s,}\]]*+")
_MAY_BE_EMPTY = re.compile(r'"|\[\s*|\{\s*|n|nu|nul|null')


class RuledObject:
    """The text of one JSON object on its way through live rules: `feed`, then `take`.

    What is no object passes. `through` counts the characters that passed before anything was
    changed (`same` says that nothing has been), `held` is what waits.
    """

    def __init__(self, rules: ToolRules) -> None:
        self.same = True
        self.through = 0
        self.applied: Applied = []  # for the caller to drain
        self._rules = rules
        self._state: Callable[[], bool] = self._at_start
        self._text = ""  # received, not yet looked at by a state
        self._out: list[str] = []
        self._given: set[str] = set()
        self._begun = False  # a member has gone on
        # Of the member that is open
        self._key = ""
        self._lead = ""  # what stands before the value, as long as it is held
        self._value: list[str] = []  # so far, as long as it is held
        self._size = 0  # of that
        self._quote = ""  # what a value that is no container begins with
        self._scanner = JsonScanner()

    @property
    def held(self) -> str:
        return self._lead + "".join(self._value) + self._text

    @property
    def size(self) -> int:
        """How many characters that is."""
        return len(self._lead) + sum(map(len, self._value)) + len(self._text)

    @property
    def passing(self) -> bool:
        """Whether letters of a string go on as they come."""
        return self._state == self._in_value and self._quote == '"' and not (self._lead or self._text)

    def feed(self, text: str) -> None:
        self._text += text
        while self._state():
            pass

    def close(self) -> None:
        """The text is over: what is held goes on as it came."""
        self._release()
        self._state = self._in_literal
        self._in_literal()

    def take(self) -> str:
        """What goes on."""
        out, self._out = self._out, []
        return "".join(out)

    # States

    def _in_literal(self) -> bool:
        """After the object, or where there is none."""
        self._pass(self._cut(len(self._text)))
        return False

    def _at_start(self) -> bool:
        if opener := _OPENER.match(self._text):
            self._pass(self._cut(opener.end()))
            return self._go(self._at_member)
        return self._text.strip() != "" and self._go(self._in_literal)

    def _at_member(self) -> bool:
        """A member, with the comma before it, or the end of the object."""
        if closer := _CLOSER.match(self._text):
            self._append()
            self._pass(self._cut(closer.end()))
            return self._go(self._in_literal)
        lead = _LEAD.match(self._text)
        if lead is None:
            return len(self._text) > 2 * TOKEN and self._go(self._in_literal)
        self._key, first = read_json(lead["key"], strict=False), lead["value"]
        self._quote = "" if first in "{[" else first
        self._scanner = JsonScanner()
        self._given.add(self._key)
        self._lead = self._cut(lead.start("value"))
        if not self._begun and lead["comma"]:
            self._lead = self._lead.replace(",", "", 1)
            self.same = False
        if first == '"':
            self._hold(self._cut(1))
        if self._key not in self._rules.held and self._key not in self._rules.if_empty:
            self._release()
        return self._go(self._in_value)

    def _in_value(self) -> bool:
        size, over = self._scan()
        piece = self._cut(size)
        if not self._lead:
            self._pass(piece)
        else:
            self._hold(piece)
            if over:
                self._decide()
            elif self._size > HELD or not self._is_awaited:
                self._release()
        return over and self._go(self._at_member)

    def _scan(self) -> tuple[int, bool]:
        """How much of the text belongs to the value, and whether that is the rest of it."""
        if not self._quote:
            end = self._scanner.feed(self._text)
            return (len(self._text), False) if end is None else (end, True)
        found = (JSON_STRING_REST if self._quote == '"' else _REST_OF_WORD).match(self._text)
        at = found.end() if found else 0
        if self._quote != '"':
            return at, at < len(self._text)
        return (at + 1, True) if self._text[at : at + 1] == '"' else (at, False)

    # A value that is held

    def _hold(self, piece: str) -> None:
        self._value.append(piece)
        self._size += len(piece)

    @property
    def _is_awaited(self) -> bool:
        """Whether a rule may still want to see the value."""
        if self._key in self._rules.held:
            return True
        return self._size <= TOKEN and _MAY_BE_EMPTY.fullmatch("".join(self._value)) is not None

    def _decide(self) -> None:
        """The value is complete: what rules make of it."""
        try:
            value = read_json("".join(self._value), parse_float=as_written, strict=False)
        except (ValueError, RecursionError):
            self._release()
            return
        value, applied = self._rules.value(self._key, value)
        self.applied += applied
        if not applied:
            self._release()
            return
        self.same = False
        if value is not OMITTED:
            self._value = [dump(value)]
            self._release()
        self._lead, self._value, self._size = "", [], 0

    def _append(self) -> None:
        """What rules add to the members."""
        arguments, applied = self._rules.appended(self._given)
        self.applied += applied
        for key, value in arguments.items():
            self.same = False
            self._pass(f"{', ' if self._begun else ''}{quoted(key)}: {dump(value)}")
            self._begun = True

    # Giving out

    def _release(self) -> None:
        """The member goes on."""
        self._begun = self._begun or self._lead != ""
        self._pass(self._lead + "".join(self._value))
        self._lead, self._value, self._size = "", [], 0

    def _pass(self, text: str) -> None:
        self._out.append(text)
        if self.same:
            self.through += len(text)

    def _cut(self, size: int) -> str:
        piece, self._text = self._text[:size], self._text[size:]
        return piece

    def _go(self, state: Callable[[], bool]) -> bool:
        self._state = state
        return True


class WholeObject:
    """The same for rules that have to see all of it; `name` is the tool that the call is of then."""

    def __init__(self, tool: Tool, rules: ToolRules) -> None:
        self.same = True
        self.through = 0
        self.applied: Applied = []
        self.name = tool.name
        self.gave_up = False
        self._rules = rules
        self._scanner: JsonScanner | None = JsonScanner()
        self._held: list[str] = []
        self._size = 0
        self._out = ""
        self.passing = False

    @property
    def held(self) -> str:
        return "".join(self._held)

    @property
    def size(self) -> int:
        """How many characters that is."""
        return self._size

    def feed(self, text: str) -> None:
        if self._scanner is None:
            self._pass(text)
            return
        self._held.append(text)
        self._size += len(text)
        end = self._scanner.feed(text)
        if end is not None:
            self._decide(self._size - len(text) + end)
        elif self._size > HELD:
            self.gave_up = True
            self.close()

    def close(self) -> None:
        """The text is over, or too much of it is held: it goes on as it came."""
        self._scanner = None
        self._pass(self._take_held())

    def take(self) -> str:
        """What goes on."""
        out, self._out = self._out, ""
        return out

    def _decide(self, end: int) -> None:
        self._scanner = None
        found, text = transformed(self.held[:end], self._rules), self._take_held()
        if found:
            self.name, written, self.applied = found
            self.same = False
            text = written + text[end:]
        self._pass(text)

    def _take_held(self) -> str:
        held, self._held, self._size = self.held, [], 0
        return held

    def _pass(self, text: str) -> None:
        self._out += text
        if self.same:
            self.through += len(text)


def transformed(text: str, rules: ToolRules) -> tuple[str, str, Applied] | None:
    """Name, arguments and what was done to a call with these arguments; None if no rule applies."""
    arguments = read_object(text)
    if arguments is None:
        return None
    name, arguments, applied = rules.transform(arguments)
    return (name, dump(arguments), applied) if applied else None


def ruled(name: str, arguments: str, toolset: Toolset, ledger: Ledger) -> tuple[str, str]:
    """Name and arguments of a call that is all there, after the rules for it."""
    rules = toolset.rules_for(toolset.tools.get(name) or Tool(name))
    found = transformed(arguments, rules) if rules else None
    if found is None:
        return name, arguments
    count(found[2], ledger)
    return found[0], found[1]


def count(applied: Applied, ledger: Ledger) -> None:
    """Let the ledger know what rules have done."""
    for repair, _ in applied:
        ledger.repaired(repair)


class RuledMender(Outlet):
    """A `Mender` whose arguments go through rules."""

    def __init__(self, mender: Mender, tool: Tool, rules: ToolRules, ledger: Ledger) -> None:
        super().__init__()
        self._mender = mender
        self._object = RuledObject(rules) if rules.live else WholeObject(tool, rules)
        self._ledger = ledger
        self._came: deque[str] = deque()  # and has not passed the mender
        self._mender_passed = 0
        self._sent: list[str] = []  # all that has gone out

    @property
    def name(self) -> str:
        """The tool the call is of, if rules have made it one of another; else empty."""
        return self._object.name if isinstance(self._object, WholeObject) else ""

    @property
    def gave_up(self) -> bool:
        """Whether the call is too long for rules that have to see all of it."""
        return isinstance(self._object, WholeObject) and self._object.gave_up

    @property
    def fed(self) -> int:
        return self._mender.fed

    @property
    def complete(self) -> bool:
        return self._mender.complete

    @property
    def broken(self) -> bool:
        return self._mender.broken

    @property
    def more(self) -> list[tuple[str, str]]:
        return self._mender.more

    @property
    def text(self) -> str:
        return "".join(self._sent)

    @property
    def pending(self) -> str:
        return self._object.held + self._mender.pending

    @property
    def held(self) -> int:
        return self._object.size + self._mender.held

    @property
    def value(self) -> Any:
        return loads(self.text) if self.complete else None

    def change(self) -> None:
        super().change()
        self._mender.change()

    def repair(self, repair: Repair) -> None:
        self.change()
        self._mender.repair(repair)

    def count(self, repair: Repair) -> None:
        self._mender.count(repair)

    def follow(self, text: str) -> bool:
        if not self._object.passing or not self._mender.follow(text):
            return False
        self._came.append(text)
        self._go_on()
        return True

    def feed(self, text: str) -> None:
        self._came.append(text)
        self._mender.feed(text)
        self._go_on()

    def close(self, stopped: bool) -> None:
        self._mender.close(stopped)
        self._go_on()
        self._object.close()
        self._send()

    def _go_on(self) -> None:
        """Let what the mender gave out go through the rules."""
        passed, self._mender_passed = self._mender.passed - self._mender_passed, self._mender.passed
        if passed:
            self._object.feed(self._take_came(passed))
            self._send()
        if self._mender.changed:
            self.changed = True
            self._came.clear()
            self._object.feed(self._mender.take())
            self._send()

    def _take_came(self, size: int) -> str:
        pieces = []
        while size > 0:
            piece = self._came.popleft()
            if len(piece) > size:
                self._came.appendleft(piece[size:])
            pieces.append(piece[:size])
            size -= len(piece)
        return "".join(pieces)

    def _send(self) -> None:
        out = self._object.take()
        self._sent.append(out)
        if not self.changed:
            before, self.passed = self.passed, self._object.through
            out = out[self.passed - before :]
            if not self._object.same:
                self.change()
        if out:
            self._out.append(out)
        count(self._object.applied, self._ledger)
        self._object.applied = []
