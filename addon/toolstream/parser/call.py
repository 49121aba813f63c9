"""Reads one call, from the end of its opening tag to its own end.

Like `Value`, which it uses, it is fed text and finds its own end. It holds what it cannot judge yet. Text
that it took but that belongs to somebody else is returned in `rest`: the text after the call if the call
has `ended`, otherwise the text after a value, which has to be fed again.

A call whose opening tag names no tool is read without types. Once it is complete, its parameters tell
which tool is meant, if they fit only one; otherwise it has `failed`.

A call that the user's rules may turn into a call of another tool is not announced before it is complete
either. It is `deferred`.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from ..events import (
    ArgumentsDelta,
    CallEnd,
    CallStart,
    Event,
    Repaired,
    Text,
)
from ..grammar.dialect import Body, Dialect
from ..grammar.grammar import BASE, Grammar, is_canonical
from ..grammar.kinds import CLOSERS, Following, TagKind
from ..grammar.matcher import Tag
from ..grammar.names import Names
from ..grammar.text import BLANK, WHITESPACE
from ..grammar.text import end_of as _end
from ..limits import DAMAGED_OPENER, EXCERPT, HELD, LOOK_AHEAD, OPENER_PREFIX, UNTAGGED_GAP
from ..repairs import Repair
from ..schema.arguments import ArgumentsWriter, DeferredArguments, typed, write_call
from ..schema.json_call import read_arguments
from ..schema.tool_name import Opening
from ..schema.toolset import Toolset
from .json_body import JsonBody
from .value import Tags, Value, without_newline

CONTAINERS = ("arguments", "parameters")  # what models call a parameter that holds all of them

# Where an opening tag belongs: one that lost or changed some letters, by its key
_TAG_LIKE = rf"""(?=[^\n]*[<=])[<\w \t=/"']{{{{1,{DAMAGED_OPENER}}}}}?(?<!\w){{key}}["']?[ \t]?>"""
_GO_ON = (TagKind.PARAMETER_OPEN, TagKind.CALL_OPEN, TagKind.CALL_CLOSE, Following.MORE)
_NAMES_ANOTHER = re.compile(r"<\w+=")
_SURPLUS = re.compile(rf"[{BLANK})}}\]]{{0,{LOOK_AHEAD}}}")


class CallReader:
    """Reads the call number `index`, which `opening` begins; None if its tag names no tool.

    `closed`: it needs no closing tag of its own. `kept`: the dialects whose tags are no repair.
    `certain`: it is a call whatever it holds. Without `nesting` the rest of a value's text is never in
    doubt.
    """

    def __init__(
        self,
        index: int,
        opening: Opening | None,
        toolset: Toolset,
        grammar: Grammar,
        *,
        closed: bool = False,
        kept: Sequence[Dialect] = BASE,
        certain: bool = True,
        nesting: bool = True,
    ) -> None:
        self.ended = False
        self.cut = False  # after the end: the message was cut off in it
        self.unclear = False  # and that may be because its end was taken for payload
        self.failed = False  # after the end: it is no call after all
        self.rest = ""  # handed back: empty it
        self.ambiguous = not nesting  # what follows may be payload of a value: no more calls
        self._index = index
        self._named = opening is not None
        self._tool = opening.tool if opening else toolset.any_tool
        self._toolset = toolset
        self._grammar = grammar
        self._closed, self._certain, self._kept = closed, certain, kept
        names = Names([self._tool.name], self._tool.arguments.declared) if opening else Names()
        self._names = names
        self._tags = grammar.body.with_names(names)
        self._half_said = False  # its opening tag was a value
        self._state = self._in_body
        self._text = ""  # received, not yet looked at by a state
        self._gap = ""  # whitespace before it
        self._over = False  # the message is, and
        self._complete = False  # the model stopped by itself
        self._events: list[Event] = []
        self._deferred = DeferredArguments()
        self.deferred = False  # it has a name, and rules that must see all of it
        self._arguments: ArgumentsWriter | DeferredArguments = self._deferred
        self._value: Value | None = None
        self._unwritten = ""  # a payload that could not be written, for there was an exception
        self._loose: list[str] = []  # text that may be a value without its tag, and
        self._loose_size = 0  # its length
        self._spare: tuple[str, str] | None = None  # such a text, and the value it is
        self._json: JsonBody | None = None
        self._in_container = False  # it stands in a parameter that holds all of them
        if opening:
            self._start(opening)

    def _start(self, opening: Opening) -> None:
        self._tool = opening.tool
        rules = self._toolset.rules_for(opening.tool)
        if rules is None or rules.live:
            self._emit(CallStart(self._index, opening.tool.name))
            self._arguments = ArgumentsWriter(opening.tool, rules)
        else:
            self.deferred = True
            self._arguments = self._deferred = DeferredArguments()
        self._half_said = bool(opening.given)
        for key, text in opening.given:
            self._give(key, text)

    @property
    def pending(self) -> str:
        """Received, and in no event."""
        reader = self._value or self._json
        inner = reader.pending + reader.rest if reader else ""
        spare = self._spare[0] if self._spare else ""
        return spare + self._unwritten + inner + "".join(self._loose) + self._text + self.rest

    @property
    def plain(self) -> bool:
        """Whether text without `<` is payload: what `take` is for."""
        return self._value is not None and self._value.plain

    def take(self, text: str) -> str:
        """`feed` for text without `<`, not empty, while the call is plain; returns the fragment."""
        assert self._value
        payload = self._value.take(text)
        return self._written(payload) if payload else ""

    def feed(self, text: str) -> list[Event]:
        """Take text; return what is certain by now."""
        self._text += text
        while not (self.ended or self.rest) and self._state():
            pass
        events, self._events = self._events, []
        return events

    def close(self, complete: bool) -> list[Event]:
        """The message is over: mend what is missing if the model stopped by itself (`complete`)."""
        self._over, self._complete = True, complete
        events = self.feed("")
        self._over = False  # what is handed back comes again
        return events

    # States: between the parameters

    def _in_body(self) -> bool:
        self._gap = (self._gap + self._take(_end(WHITESPACE, self._text)))[-UNTAGGED_GAP:]
        tag = self._tags.match(self._text, 0)
        if tag is None:
            return self._in_body_no_tag()
        self._gap = ""
        match tag.kind:
            case TagKind.PARAMETER_OPEN if self._lacks_slash(tag):
                return self._has_text("")
            case TagKind.PARAMETER_OPEN:
                return self._at_parameter(tag)
            case TagKind.PARAMETER_CLOSE | TagKind.STRAY:
                return self._drop_closer(tag)
            case TagKind.CALL_CLOSE if kind := self._kind_after_early(tag):
                return kind is not Following.MORE and self._drop_closer(tag)
            case TagKind.CALL_CLOSE:
                self._note_damage(tag)
                self._take(tag.end)
            case TagKind.WRAP_CLOSE | TagKind.WRAP_OPEN if not self._named:
                pass
            case TagKind.WRAP_OPEN | TagKind.CALL_OPEN if kind := self._opened_again(tag):
                return kind is not Following.MORE and self._drop_opener(tag)
            case _ if self._named:
                self._use_spare()
                self._miss_close(self._text[: tag.end])
            case _:
                return self._fail()
        return self._end_call(self._close_arguments())

    def _lacks_slash(self, tag: Tag) -> bool:
        """Whether a tag would close the call but for its slash, for that parameter has been given."""
        if not tag.dialect.by_name or tag.name not in self._arguments.given:
            return False
        closer = self._tags.match(f"</{tag.name}>", 0)
        return closer is not None and closer.kind in (TagKind.CALL_CLOSE, TagKind.WRAP_CLOSE)

    def _opened_again(self, tag: Tag) -> TagKind | Following | None:
        """The kind of an opening tag that was written twice, or too late: the call has nothing of what it
        requires, or no other call can begin there. None if it is neither."""
        if not self._named or self._has_begun:
            return None
        kind, inner = self._look(tag.end) if tag.kind is TagKind.WRAP_OPEN else (tag.kind, tag)
        lacks, name = bool(self._tool.required), inner.name if inner else ""
        match kind:
            case TagKind.CALL_OPEN if not (lacks and self._is_ours(name)):
                return None
            case TagKind.PARAMETER_OPEN if not (lacks or self._tool.declares(name)):
                return None
        return kind if kind in _GO_ON else None

    def _is_ours(self, name: str) -> bool:
        return self._toolset.find(name, self._grammar.level != "strict") is self._tool

    def _look(self, at: int) -> tuple[TagKind | Following, Tag | None]:
        """What follows the whitespace at `at`, and the tag, if it is one."""
        at = _end(WHITESPACE, self._text, at)
        if tag := self._tags.match(self._text, at):
            return tag.kind, tag
        partial = at == len(self._text) or self._tags.may_begin(self._text, at)
        return Following.MORE if partial and not self._over else Following.OTHER, None

    def _kind_after_early(self, closer: Tag) -> TagKind | Following | None:
        """What follows if a call whose tag was a value is closed too early: it lacks something, and
        parameters follow. None if it is not."""
        lacks = self._half_said and not self._tool.required <= self._arguments.given
        kind = self._look(closer.end)[0] if lacks else None
        return kind if kind in (TagKind.PARAMETER_OPEN, Following.MORE) else None

    def _drop_closer(self, tag: Tag) -> bool:
        self._repair(Repair.STRAY_CLOSER, self._take(tag.end))
        return True

    def _drop_opener(self, tag: Tag) -> bool:
        self._repair(Repair.STRAY_OPENER, self._take(tag.end))
        return True

    def _in_body_no_tag(self) -> bool:
        if self._text == "" or self._tags.may_begin(self._text, 0):
            return self._over and self._end_of_message()
        tolerant = self._grammar.level != "strict"
        if self._text[0] == "{" and tolerant and not self._has_begun:
            return self._expect_json()
        if self._only_key and tolerant and not self._has_begun:
            return self._go(self._in_loose_text)
        return self._has_text("")

    def _has_text(self, text: str) -> bool:
        """Text between parameters: no part of the call, and not ours to drop."""
        if not (self._certain and self._named):
            return self._fail()
        self._repair(Repair.TEXT_IN_CALL, text or self._text)
        self._say(text or self._take(1))
        return self._go(self._in_stray_text)

    def _in_stray_text(self) -> bool:
        at = self._text.find("<")
        self._say(self._take(at if at >= 0 else len(self._text)))
        return (at >= 0 or self._over) and self._go(self._in_body)

    # States: a value

    def _at_parameter(self, tag: Tag) -> bool:
        """An opening tag, or `<parameter=K=V</parameter>`, where only the schema tells K from V."""
        key, equals, text = tag.name.partition("=")
        text = text.strip("\"'")
        declared = self._tool.declares
        if equals and declared(key.strip()) and not declared(tag.name):
            at = _end(WHITESPACE, self._text, tag.end)
            closer = self._tags.match(self._text, at)
            if closer and closer.kind is TagKind.PARAMETER_CLOSE:
                self._repair(Repair.DAMAGED_KEY, self._take(closer.end))
                self._give(key.strip(), text)
                return True
            if not self._over and (at == len(self._text) or self._tags.may_begin(self._text, at)):
                return False
        if tag.dialect.damaged and not {*tag.name}.isdisjoint(" \"'"):
            return self._has_text("")
        return self._open_value(tag)

    def _open_value(self, tag: Tag) -> bool:
        key = tag.name
        if key in CONTAINERS and not (self._has_begun or self._tool.declares(key)):
            at = _end(WHITESPACE, self._text, tag.end)
            if at == len(self._text) and not self._over:
                return False
            if self._text[at : at + 1] == "{":
                self._take(at)
                self._in_container = True
                return self._expect_json()
        if not any(is_canonical(tag, dialect) for dialect in self._kept):
            self._repair(tag.dialect.repair, self._text[: tag.end])
        self._take(tag.end)
        self._closed = self._closed or tag.dialect.closed
        given = self._arguments.given | {key}
        self._emit_fragment(self._arguments.begin(key))
        own = tag.dialect if tag.dialect.parameter_close and not tag.dialect.in_values else None
        within = self._grammar.within(tag.dialect).with_names(self._names)
        ends = self._grammar.value_ends(self._kept).with_names(self._names)
        tags = Tags(within, ends, own)
        self._value = Value(tags, self._tool, key, given, self._is_tool, not self.ambiguous)
        return self._go(self._in_value)

    def _is_tool(self, name: str) -> bool:
        return self._toolset.find(name, self._grammar.level != "strict") is not None

    def _in_value(self) -> bool:
        """Inside a parameter value; `values` says where it ends."""
        value = self._value
        assert value
        if payload := value.feed(self._take(len(self._text))):
            self._emit_fragment(self._written(payload))
        if self._over and not value.ended:
            self._emit_fragment(self._written(value.close(self._complete)))
        if value.ended:
            return self._close_value(value)
        self.unclear = self._complete and value.unclear
        self._complete = self._complete and not value.unclear
        return self._over and self._end_of_message()

    def _written(self, payload: str) -> str:
        """The payload as a piece of the arguments; if that fails it is pending again."""
        try:
            return self._arguments.feed(payload)
        except Exception:
            self._unwritten = payload
            raise

    def _close_value(self, value: Value) -> bool:
        self._value = None
        self._emit_fragment(self._arguments.end())
        if value.closer is None:
            self._repair(Repair.MISSING_PARAMETER_CLOSE, value.rest)
        else:
            self._note_damage(value.closer)
        self.ambiguous = self.ambiguous or value.ambiguous
        self.rest = value.rest
        return self._go(self._in_body)

    @property
    def _only_key(self) -> str:
        """The parameter that a value without a tag can only belong to; "" if that is open."""
        required = self._tool.required
        key = next(iter(required)) if len(required) == 1 else ""
        types = self._tool.parameter(key).types
        return key if self._named and (not types or "string" in types) else ""

    def _in_loose_text(self) -> bool:
        """Text where a parameter should open: its value, if a closing tag follows, or just text."""
        tag = self._tags.search(self._text, self._over)
        end = tag.start if tag else len(self._text) if self._over else self._tags.hold_from(self._text)
        self._loose_size += end
        self._loose.append(self._take(end))
        if tag is None and not self._over:
            return self._loose_size > HELD and self._has_text(self._take_loose())
        if tag is None and not self._complete:
            return self._end_of_message()
        text = self._take_loose()
        if tag and tag.kind in CLOSERS:
            return self._take_for_value(text, tag)
        return self._has_text(text)

    def _take_for_value(self, text: str, closer: Tag | None) -> bool:
        if (opener := self._opener_in(text)) is None:
            return self._has_text(text)
        value = without_newline(text[len(opener) :]) if opener else without_newline(self._gap) + text
        self._certain = True
        self._spare = text, _before_newline(value)
        if closer and closer.kind is TagKind.PARAMETER_CLOSE:
            self._take(closer.end - closer.start)
        return self._go(self._in_body)

    def _opener_in(self, text: str) -> str | None:
        """What is left of an opening tag at the beginning of a value without one; None if it names another
        parameter."""
        line = text.partition("\n")[0].rstrip()
        if len(line) >= OPENER_PREFIX and f"<parameter={self._only_key}>".startswith(line):
            return line
        if opener := re.match(_TAG_LIKE.format(key=re.escape(self._only_key)), text):
            return opener[0]
        return None if _NAMES_ANOTHER.match(text) else ""

    def _use_spare(self) -> None:
        """A value without its tag is one if its parameter has not been given by the end of the call."""
        if self._spare is None:
            return
        (text, value), self._spare = self._spare, None
        if self._only_key in self._arguments.given:
            self._repair(Repair.TEXT_IN_CALL, text)
            self._say(text)
        else:
            self._repair(Repair.MISSING_PARAMETER_OPEN, text)
            self._give(self._only_key, value)

    @property
    def _has_begun(self) -> bool:
        return bool(self._arguments.given or self._spare)

    def _close_arguments(self) -> str:
        self._use_spare()
        return self._arguments.close()

    def _take_loose(self) -> str:
        text, self._loose = "".join(self._loose), []
        return text

    def _give(self, key: str, text: str) -> None:
        """A whole value at once."""
        arguments = self._arguments
        self._emit_fragment(arguments.begin(key) + arguments.feed(text) + arguments.end())

    # States: JSON arguments

    def _expect_json(self) -> bool:
        self._json = JsonBody(self._grammar.ends_json, lambda text: self._read_json(text) is not None)
        return self._go(self._in_json)

    def _knows(self, found: tuple[dict[str, object], list[Repair]] | None) -> bool:
        """Whether these may be the arguments of the tool, of which no others are declared."""
        declared = self._tool.arguments.declared
        return found is None or not declared or found[0].keys() <= declared

    def _read_json(self, text: str) -> tuple[dict[str, object], list[Repair]] | None:
        return read_arguments(text, self._tool)

    def _in_json(self) -> bool:
        """JSON as the body: the arguments themselves."""
        body = self._json
        assert body
        body.feed(self._take(len(self._text)), self._over)
        if not (body.ended or self._over):
            return False
        self._text, body.rest = body.rest, ""
        return self._go(self._at_json_end)

    def _at_json_end(self) -> bool:
        """After the JSON: if it is closed as a parameter is, it may be the value of one, without its tag."""
        body = self._json
        assert body
        kind, tag = self._look(0)
        closed = kind is TagKind.PARAMETER_CLOSE
        if tag and closed:
            kind, _ = self._look(tag.end)
        if kind is Following.MORE:
            return False
        self._json = None
        found = self._read_json(body.text)
        if closed and (kind is TagKind.PARAMETER_OPEN or not (self._in_container or self._knows(found))):
            found = None
        if found is None:
            return self._end_of_message() if not body.ended else self._has_text(body.text)
        arguments, repairs = found
        taught = any(dialect.body is Body.JSON for dialect in self._kept)
        for repair in repairs:
            if not (taught and repair is Repair.JSON_BODY):
                self._repair(repair, body.text)
        self._say_arguments(arguments, {})
        return self._go(self._behind_json)

    def _say_arguments(self, arguments: dict[str, Any], texts: dict[str, str]) -> None:
        """All of them at once; and, if that was deferred, what the call is of."""
        name, fragment, repairs = write_call(self._tool, arguments, self._toolset, texts)
        if self.deferred:
            self._emit(CallStart(self._index, name))
            self.deferred = False
        self._emit(ArgumentsDelta(self._index, fragment))
        for repair, excerpt in repairs:
            self._repair(repair, excerpt)

    def _behind_json(self) -> bool:
        """Only closing tags are missing, and brackets may be one too many."""
        if self._text[:1] == ")":
            self._take(1)
        at = _end(_SURPLUS, self._text)
        tag = self._tags.match(self._text, at)
        partial = at == len(self._text) or self._tags.may_begin(self._text, at)
        if tag is None and partial and not self._over:
            return False
        if tag or (self._over and at == len(self._text)):
            self._take(at)
        if tag and tag.kind is TagKind.PARAMETER_CLOSE:
            self._take(tag.end - tag.start)
            return True
        if tag and (tag.kind is TagKind.CALL_CLOSE or self._closes_own(tag)):
            self._take(tag.end - tag.start)
        else:
            self._miss_close(self._text)
        return self._end_call("")

    def _closes_own(self, tag: Tag) -> bool:
        """Whether a tag closes calls in the dialect of this one, whatever it does in others."""
        return any(tag.raw in dialect.call_close for dialect in self._kept)

    # The end

    def _end_of_message(self) -> bool:
        """The message is over and the call is not: mended if the model stopped, cut otherwise."""
        self._take(len(self._text))
        if not self._complete:
            self._value, self.cut, self.ended = None, True, True
            return False
        if not (self._named and self._certain):
            return self._fail()
        self._use_spare()
        self._miss_close(self._tool.name)
        return self._end_call(self._close_arguments())

    def _miss_close(self, excerpt: str) -> None:
        if not self._closed:
            self._repair(Repair.MISSING_FUNCTION_CLOSE, excerpt)

    def _end_call(self, fragment: str) -> bool:
        if not self._named:
            tool = self._toolset.infer(self._deferred.given)
            if tool is None or not self._toolset.allows(tool.name):
                return self._fail()
            self._repair(Repair.NAME_INFERRED, tool.name)
            self._start(Opening(tool, [], self._deferred.values))
            fragment = self._arguments.close()
        self._emit_fragment(fragment)
        if self.deferred:
            self._say_deferred()
        self._emit(CallEnd(self._index))
        self.ended, self.rest = True, self._take(len(self._text))
        return False

    def _say_deferred(self) -> None:
        texts: dict[str, str] = {}
        for key, text in self._deferred.values:
            if key in texts:
                self._repair(Repair.REPEATED_PARAMETER, key)
            texts.setdefault(key, text)
        self._say_arguments(typed(texts.items(), self._tool), texts)

    def _fail(self) -> bool:
        self.ended = self.failed = True
        self.rest = self._take(len(self._text))
        return False

    # Giving out

    def _go(self, state: Callable[[], bool]) -> bool:
        self._state = state
        return True

    def _take(self, end: int) -> str:
        taken, self._text = self._text[:end], self._text[end:]
        return taken

    def _note_damage(self, closer: Tag) -> None:
        if closer.dialect.damaged:
            self._repair(Repair.DAMAGED_TAG, self._text[: closer.end - closer.start])

    def _say(self, text: str) -> None:
        if text:
            self._emit(Text(text))

    def _emit(self, event: Event) -> None:
        self._events.append(event)

    def _emit_fragment(self, fragment: str) -> None:
        if fragment:
            self._emit(ArgumentsDelta(self._index, fragment))
        while self._arguments.repairs:
            self._repair(*self._arguments.repairs.pop(0))

    def _repair(self, repair: Repair, excerpt: str) -> None:
        self._emit(Repaired(repair, excerpt[:EXCERPT]))


def _before_newline(text: str) -> str:
    """Text without the one line break it ends with."""
    return text[: -2 if text.endswith("\r\n") else -1] if text.endswith("\n") else text
