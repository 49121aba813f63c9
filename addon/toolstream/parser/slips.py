"""What is open, and what a misspelt tag may be by that: a tag of a dialect that the call is written in, or
one of several tags in a row of which the others are right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..grammar.brackets import CLOSE
from ..grammar.dialect import Dialect
from ..grammar.kinds import CALL_KINDS, CLOSERS, MORE, Cost, TagKind, Wait
from ..grammar.likeness import FUNCTION, PARAMETER
from ..grammar.names import without_signs
from ..grammar.slipped import Slipped
from ..grammar.tag import Tag
from ..limits import AHEAD, SLIPS, WORD_IN_TAG, WORDS
from ..schema.declared import DeclaredTools
from ..schema.schema import Tool

_TYPED = re.compile(r"(.+):\w+")  # a name with its type

Kinds = tuple[TagKind, ...]
# What for, the dialects that are spoken, the text, whether that is all, and how many parameters were given
Asked = tuple[object, tuple[Dialect, ...], str, bool, int]
_IN_ENVELOPE = (TagKind.WRAP_OPEN, TagKind.CALL_OPEN, TagKind.CALL_IN_ENVELOPE)
_PARAMETER = (TagKind.PARAMETER_OPEN,)


class Spellings(Protocol):
    """Where the tags come from."""

    level: str

    def slipped(self, kinds: Kinds, dialects: Sequence[Dialect] = ...) -> Sequence[Slipped]: ...


@dataclass(slots=True)
class Slips:
    """What is open. `dialect`: that of the open value's tag. `own`: the same, if its tags alone close the
    value; None if it is one of the dialects whose tags may be mixed. `spoken`: the dialects of other models
    that the call is written in."""

    toolset: DeclaredTools
    grammar: Spellings
    tool: Tool | None = None
    named: bool = True  # the tool is known
    dialect: Dialect = field(init=False)
    own: Dialect | None = None
    key: str = ""  # of the open value
    given: set[str] = field(default_factory=set)
    spoken: tuple[Dialect, ...] = ()
    _answers: dict[Asked, Tag | Wait | None] = field(default_factory=dict)

    def slipped(self, text: str, at: int, over: bool) -> Tag | Wait | None:
        """The misspelt tag at `at`, of a dialect that the call is written in; None if there is none."""
        if self.grammar.level == "strict":
            return None
        return self._slip(CALL_KINDS, self._may_slip, text, at, over)

    def slipped_opener(self, text: str, at: int, over: bool, wrapped: bool) -> Tag | Wait | None:
        """The misspelt tag at `at` that may open a call: outside of calls, or if `wrapped` in an envelope."""
        kinds = _IN_ENVELOPE if wrapped else _IN_ENVELOPE[:1]
        return self._slip(kinds, lambda: self.grammar.slipped(kinds), text, at, over)

    def slipped_pair(self, text: str, at: int, over: bool) -> Tag | Wait | None:
        """The opening tag of a parameter at `at` that consists of several tags, of which one is misspelt."""
        return self._slip(_PARAMETER, self._pairs, text, at, over)

    def names_key(self, text: str) -> bool:
        """Whether a text contains a part of an opening tag that names a parameter in an element of its
        own."""
        pairs = self.grammar.slipped(_PARAMETER)
        return any(tag.head in text for one in pairs if one.dialect.parameter_close for tag in one.tags)

    def _slip(
        self, kinds: Kinds, slips: Callable[[], Iterable[Slipped]], text: str, at: int, over: bool
    ) -> Tag | Wait | None:
        return self.recall(kinds, lambda text, over: self._nearest(slips(), text, over), text, at, over)

    def recall(
        self, what: object, read: Callable[[str, bool], Tag | Wait | None], text: str, at: int, over: bool
    ) -> Tag | Wait | None:
        """What `read` finds at the beginning of the text from `at` on. Several readers ask about the same
        place in turn, and the same tags come again. `what` tells them apart."""
        ahead = text[at : at + AHEAD]
        asked = what, self.spoken, ahead, over or len(ahead) == AHEAD, len(self.given)
        if asked not in self._answers:
            if len(self._answers) == WORDS:
                self._answers.clear()
            self._answers[asked] = read(ahead, asked[3])
        found = self._answers[asked]
        return found.moved(at) if isinstance(found, Tag) else found

    def _nearest(self, slips: Iterable[Slipped], text: str, over: bool) -> Tag | Wait | None:
        """The tag with which a text begins: that with the fewest slips, and of those the longest."""
        nearest: Tag | None = None
        fewest, longest = SLIPS, 0
        beginning = text[:WORD_IN_TAG].lower()
        for one in slips:
            if not one.may_be(beginning, over):
                continue
            found = one.read(text, 0, over, self)
            if found is MORE:
                return MORE
            if found is None or (found[0], -found[1]) >= (fewest, -longest):
                continue
            wrong, end, name = found
            tag = Tag(one.kind, name, 0, end, text[:end], one.dialect, one.cost)
            cut = end == len(text) and tag.kind not in CLOSERS and tag.raw[-1] not in CLOSE
            if self._may_be(tag) and not cut:
                nearest, fewest, longest = tag, wrong, end
        return nearest

    def _may_slip(self) -> Iterator[Slipped]:
        if self.spoken:
            yield from self.grammar.slipped(CALL_KINDS, self.spoken)
        if self.tool and not self.key:
            yield from self._pairs()

    def _pairs(self) -> Iterator[Slipped]:
        return (one for one in self.grammar.slipped(_PARAMETER) if one.several)

    def _may_be(self, tag: Tag) -> bool:
        """Whether a misspelt tag can be this tag, here."""
        if tag.dialect.by_name and tag.kind is TagKind.PARAMETER_OPEN:
            return tag.name not in self.given
        if tag.kind is TagKind.PARAMETER_CLOSE and self.key:
            return not self.is_foreign(tag) and tag.name in ("", self.key)
        own = self._is_own_tool(tag.name)
        if tag.kind is TagKind.CALL_CLOSE:
            return own or not tag.name
        return not (own and tag.dialect.by_name)

    def _is_own_tool(self, name: str) -> bool:
        return self.tool is not None and self.toolset.find(name) is self.tool

    def is_named(self, kind: TagKind, name: str) -> bool:
        """Whether a tag of this kind may have this name."""
        if kind in (TagKind.PARAMETER_OPEN, TagKind.PARAMETER_CLOSE):
            return self._declares(name)
        return self.is_tool(name)

    def _declares(self, name: str) -> bool:
        return self.tool is not None and self.tool.declares(name)

    def is_tool(self, name: str) -> bool:
        return self.toolset.find(name, self.grammar.level != "strict") is not None

    def means(self, name: str) -> bool:
        """Whether this is the name of a tool, or of a parameter of the open call."""
        return self.is_tool(name) or self._declares(name)

    def may_have(self, word: str, name: str) -> bool:
        """Whether the tag of a parameter or function may have this name."""
        if word == PARAMETER:
            return self.tool is None or self.tool.declares(name)
        return word == FUNCTION and self.is_tool(name)

    def undecorated(self, name: str, closed: bool) -> str:
        """A name without the character that stands for the bracket, and without additions: `bash()`,
        `command:string`."""
        if self.means(name):
            return name
        if not closed and self.means(name[:-1]):
            return name[:-1]
        found = _TYPED.fullmatch(name)
        bare = without_signs(found[1] if found else name)
        return bare if self.means(bare) else name

    def is_free(self, name: str) -> bool:
        """Whether this is a parameter of the tool that was not given yet."""
        return self._declares(name) and name not in self.given

    @property
    def closes_by_name(self) -> bool:
        """Whether only a tag that is named after the parameter closes the open value."""
        return self.own is not None and self.own.by_name

    def is_foreign(self, tag: Tag) -> bool:
        """Whether a closing tag closes parameters of another dialect, or another parameter."""
        if self.own is None or tag.kind is not TagKind.PARAMETER_CLOSE:
            return False
        return not self.is_own(tag) or tag.name not in ("", self.key)

    def is_own(self, tag: Tag) -> bool:
        """Whether a tag belongs to the dialect whose tags alone close the value. Two dialects may share a
        tag."""
        return self.own is not None and (tag.dialect is self.own or tag.raw in self.own.parameter_close)

    def is_only_ours(self, tag: Tag) -> bool:
        """Whether a tag closes values of the open value's dialect and of no other."""
        if tag.kind is not TagKind.PARAMETER_CLOSE or tag.cost is not Cost.EXACT:
            return False
        return self.own is not None and not self.own.by_name and self.is_own(tag)

    def may_lack_slash(self, tag: Tag) -> bool:
        """Whether an opening tag is named after the open parameter, in a call that is written in such
        tags."""
        same = tag.kind is TagKind.PARAMETER_OPEN and tag.name == self.key
        return same and tag.dialect.by_name and bool(self.spoken)

    def may_nest(self, raw: str) -> bool:
        """Whether the parameter that a tag opens in the open value has the same closing tag."""
        own = self.own
        if own is None or own.by_name:
            return True
        return raw.startswith(tuple(spelling.partition("{")[0] for spelling in own.parameter_open))

    def may_be_sibling(self, tag: Tag, alone: bool) -> bool:
        """Whether this tag may open a parameter here, and so end the value before it."""
        if tag.dialect.by_name and tag.dialect.damaged and not self.closes_by_name:
            return False
        return alone and self.may_have_next(tag)

    def may_have_next(self, sibling: Tag) -> bool:
        """Whether the call may have another parameter that opens with this tag, after the open one."""
        return self.is_free(sibling.name) and self.may_go_with(sibling)

    def may_go_with(self, tag: Tag) -> bool:
        """Whether one call may contain this tag and the tag of the open value: both are of one dialect, or of
        two that open parameters alike, or one is damaged."""
        ours, other = self.dialect, tag.dialect
        alike = ours is other or any(spelling in ours.parameter_open for spelling in other.parameter_open)
        return alike or other.damaged or ours.damaged
