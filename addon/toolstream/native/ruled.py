"""Applies the user's rules to a call that the server parsed, while its arguments stream.

What a `Mender` gives out is the text of a JSON object. Here it passes the rules before it is sent. A
member passes at once, unless a rule needs to see its value. Then the value waits, with the key and the
comma before it, because the member may be removed. What rules add is written before the object is closed.
If a rule may convert the call to another tool, the whole object waits. Anything that is not an object
passes.
"""

from json import loads as read_json
from typing import Protocol

from ..ledger import Ledger
from ..limits import HELD
from ..repairs import Applied
from ..schema.coercion import OMITTED
from ..schema.json_call import read_object
from ..schema.json_read import loads
from ..schema.json_scanner import JsonScanner
from ..schema.json_write import as_written, dump, quoted
from ..schema.rules import ToolRules
from ..schema.schema import Tool
from ..schema.toolset import Toolset
from .json_stream import JsonStream, Kind, Token
from .reader import ArgumentsReader, Findings, Holding, Passage

# Tokens that end a member of the object itself, with the number of open brackets before them
_ENDS = ((1, Kind.UNQUOTE), (1, Kind.SCALAR), (2, Kind.CLOSE))


class ObjectRules(Protocol):
    """Rules that the text of one object passes."""

    @property
    def pending(self) -> str: ...

    @property
    def held(self) -> int: ...

    def feed(self, text: str) -> str: ...

    def close(self) -> str: ...


class RuledArguments:
    """Reads arguments as `inner` does, and applies rules to what that gives out."""

    def __init__(self, inner: ArgumentsReader, rules: ToolRules, findings: Findings) -> None:
        self._inner = inner
        kind = LiveRules if rules.live else WholeRules
        self._rules: ObjectRules = kind(rules, findings)
        self._between = ""  # given out by `inner`, and not taken by the rules yet
        findings.expect_rules(rules.live)

    @property
    def pending(self) -> str:
        return self._rules.pending + self._between + self._inner.pending

    @property
    def held(self) -> int:
        return self._rules.held + self._inner.held

    def feed(self, text: str) -> str:
        self._between = self._inner.feed(text)
        return self._apply()

    def close(self, stopped: bool) -> str:
        self._between = self._inner.close(stopped)
        return self._apply() + self._rules.close()

    def _apply(self) -> str:
        out = self._rules.feed(self._between)
        self._between = ""
        return out


class LiveRules:
    """Applies rules member by member."""

    def __init__(self, rules: ToolRules, findings: Findings) -> None:
        self._rules, self._findings = rules, findings
        self._stream, self._passage = JsonStream(), Passage()
        self._given: set[str] = set()
        self._begun = False  # a member was written
        self._awaited = ""  # the key of a member that waits
        self._value_at = 0  # the index of its value in the text that waits; 0 if there is none yet

    @property
    def pending(self) -> str:
        return self._passage.pending + self._stream.pending

    @property
    def held(self) -> int:
        return self._passage.held + self._stream.held

    def feed(self, text: str) -> str:
        self._stream.feed(text)
        while token := self._stream.peek():
            if self._awaited:
                self._await(token)
            elif self._stream.depth == 1:
                self._take_member(token)
            else:
                self._passage.write(token.text)
            self._stream.advance(token)
        return self._passage.take()

    def close(self) -> str:
        self._passage.write(self._stream.pending)
        self._stream.drop()
        return self._passage.take()

    def _take_member(self, token: Token) -> None:
        """Text before a value waits for the value."""
        match token.kind:
            case Kind.KEY:
                self._begin(token.text)
            case Kind.COMMA | Kind.COLON | Kind.SPACE:
                self._passage.hold(token.text)
            case Kind.CLOSE:
                self._append()
                self._passage.write(token.text)
            case _:
                self._begun = True
                self._passage.write(token.text)

    def _begin(self, text: str) -> None:
        """A member begins."""
        key = loads(text, strict=False)
        if not self._begun:
            self._passage.replace(self._passage.waiting.replace(",", "", 1))
        self._passage.hold(text)
        if isinstance(key, str):
            self._given.add(key)
            waits = key in self._rules.held or key in self._rules.if_empty
            self._awaited, self._value_at = key if waits else "", 0

    def _await(self, token: Token) -> None:
        """A value waits until it is complete; or, if rules only concern empty values, while it may be
        empty."""
        first = not self._value_at and token.kind not in (Kind.COLON, Kind.SPACE)
        self._value_at = self._passage.held if first else self._value_at
        self._passage.hold(token.text)
        if not self._value_at:
            return
        may_be_empty = first or token.kind is Kind.SPACE
        if (self._stream.depth, token.kind) in _ENDS:
            self._decide()
        elif self._passage.held > HELD or not (self._awaited in self._rules.held or may_be_empty):
            self._release()

    def _decide(self) -> None:
        """The value is complete: apply the rules."""
        waiting = self._passage.waiting
        try:
            value = read_json(waiting[self._value_at :], parse_float=as_written, strict=False)
        except (ValueError, RecursionError):
            self._release()
            return
        value, applied = self._rules.value(self._awaited, value)
        if not applied:
            self._release()
            return
        self._findings.count_rules(applied)
        if value is OMITTED:
            self._passage.replace("")
        else:
            self._begun = True
            self._passage.replace(waiting[: self._value_at] + dump(value))
        self._awaited = ""

    def _release(self) -> None:
        """The member passes."""
        self._begun = True
        self._passage.write("")
        self._awaited = ""

    def _append(self) -> None:
        """Write the members that rules add."""
        arguments, applied = self._rules.appended(self._given)
        self._findings.count_rules(applied)
        if not arguments:
            return
        members = ", ".join(f"{quoted(key)}: {dump(value)}" for key, value in arguments.items())
        self._passage.replace((", " if self._begun else "") + members + self._passage.waiting)


class WholeRules(Holding):
    """Applies rules that need to see the whole object."""

    def __init__(self, rules: ToolRules, findings: Findings) -> None:
        super().__init__()
        self._rules, self._findings = rules, findings
        self._scanner: JsonScanner | None = JsonScanner()

    def feed(self, text: str) -> str:
        if self._scanner is None:
            self._passage.write(text)
            return self._passage.take()
        before = self._passage.held
        self._passage.hold(text)
        end = self._scanner.feed(text)
        if end is not None:
            self._decide(before + end)
        elif self._passage.held > HELD:
            self._scanner = None
            self._findings.give_up_rules()
            self._passage.write("")
        return self._passage.take()

    def close(self) -> str:
        self._scanner = None
        self._passage.write("")
        return self._passage.take()

    def _decide(self, end: int) -> None:
        waiting = self._passage.waiting
        if found := transformed(waiting[:end], self._rules):
            tool, written, applied = found
            self._passage.replace(written + waiting[end:])
            self._findings.rename(tool)
            self._findings.count_rules(applied)
        self._passage.write("")
        self._scanner = None


def transformed(text: str, rules: ToolRules) -> tuple[str, str, Applied] | None:
    """The name and the arguments that rules make of a call, and what they did; None if no rule applies."""
    arguments = read_object(text)
    if arguments is None:
        return None
    name, arguments, applied = rules.transform(arguments)
    return (name, dump(arguments), applied) if applied else None


def ruled(name: str, arguments: str, toolset: Toolset, ledger: Ledger) -> tuple[str, str]:
    """The name and the arguments of a complete call, after its rules."""
    rules = toolset.rules_for(toolset.tools.get(name) or Tool(name))
    found = transformed(arguments, rules) if rules else None
    if found is None:
        return name, arguments
    for repair, _ in found[2]:
        ledger.repaired(repair)
    return found[0], found[1]
