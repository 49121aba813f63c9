"""Misspelt tags of a dialect table (P21).

A spelling comes in pieces (`in_pieces`): its tags and the text between them. A piece says where in a text it
may end, the likeliest first. A spelling is read where its pieces follow one another. The answer is how many
slips there are, where the tag ends, and the name in it.

Each tag is compared with the text, and may have a slip: one or two letters are wrong, missing, surplus or
swapped; it contains surplus text; or its last bracket is another character or missing. If a spelling has
several tags, most of them have to be right, and other tags may stand between them. Names of tools and
parameters are never guessed: they have to be declared, letter by letter.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..limits import CLOSING_RUN, DECLARED_NAME, LONG, TAG_JUNK, TAG_SLIPS, WORD_IN_TAG
from .alignment import aligned, parts_of, window_of
from .brackets import CLOSE, OPEN
from .dialect import Dialect
from .kinds import MORE, Cost, TagKind, Wait
from .likeness import slips
from .text import end_of, skip_whitespace

_NAME = re.compile(rf"[^\s<>\"'={{}}()\[\],/{OPEN}{CLOSE}]{{1,{DECLARED_NAME}}}")
_MORE_IN_IT = rf"(?:[ \t]{{0,8}}[=:/]|[ \t]{{1,8}})[^<>\n{CLOSE}]{{0,{TAG_JUNK}}}"
_ATTRIBUTES = r"(?:[ \t]{1,8}\w{1,32}=[\"'][^\"'<>\n]{0,64}[\"']){0,4}"
_ITS_END = rf"[{CLOSE}]{{1,2}}[\"']?"
_LINE_ENDS = rf"[ \t]{{0,8}}(?=[\r\n{OPEN}{{]|\Z)"
_LETTER = r"\w[ \t]{0,8}(?=[\r\n]|\Z)"  # in the place of the bracket: before a tag it would be a value
# Between a tag's word or name and its end: what may stand there, and the beginnings of that
_JUNK = re.compile(rf"{_MORE_IN_IT}{_ITS_END}")
_TAIL = re.compile(
    rf"[\"']?(?:(?:{_MORE_IN_IT})?{_ITS_END}|{_ATTRIBUTES}(?:[)\]}}=./:_-]?{_LINE_ENDS}|{_LETTER}))"
)
_SHAPE = re.compile(rf"<(/?)[^\s<>/]{{1,{WORD_IN_TAG}}}>")
_SHAPE_PART = re.compile(rf"<?/?[^\s<>/]{{0,{WORD_IN_TAG}}}\Z")
_BRACKET_PART = re.compile(rf"<{_SHAPE_PART.pattern.removeprefix('<?')}")
_LINE_END = re.compile(_LINE_ENDS)
_PART = re.compile(rf"[\"']?(?:{_MORE_IN_IT})?(?:[)\]}}\w]?[ \t]{{0,8}}|{_ITS_END})?\Z")
# A bracket, a slash, and what may have become of them before the name of a direct tag
_LEAD = re.compile(rf"(?P<lead>[{OPEN}(\[{{/\\]{{0,3}}[a-z_.:=-]?[{OPEN}/\\]{{0,2}}|[^\W\d]?)[ \t]?")

End = tuple[int, int, str]  # the number of slips, the index after it, and the name in it


class Known(Protocol):
    """The names that a tag may have."""

    def is_named(self, kind: TagKind, name: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Context:
    """The text in which a tag is searched."""

    text: str
    over: bool
    known: Known
    kind: TagKind


@dataclass(frozen=True, slots=True)
class TagPiece:
    """A tag of a spelling. `head` is what comes before its name or its last bracket. Without an `end` the
    tag goes on in the next piece. `alone`: there is no other tag beside it, so it has to be nearly right
    itself."""

    head: str
    named: bool
    end: bool
    alone: bool = False

    def read(self, c: Context, at: int, last: bool) -> Iterator[End | Wait]:
        """Where it may end, the likeliest first. `last`: anything may follow."""
        if not self.may_stand(c.text, at, c.over):
            return
        if self.named:
            yield from self._read_named(c, at)
            return
        yield from self._whole(c, at, last)
        if self.end:
            yield from self._with_more(c, at)
        if self.end and not self.alone:
            yield from self._shaped(c, at)
            if last:
                yield from self._before_value(c, at)

    def may_stand(self, text: str, at: int, over: bool) -> bool:
        """Whether this can be it; of several tags one can be any."""
        if not self.alone:
            return True
        if self.head[1:2] != "/" and "/" in text[at : at + 2]:
            return False  # a closing tag
        head = self.head.lower()
        return bool(aligned(head, text, at, over) or (self.end and aligned(head + ">", text, at, over)))

    @property
    def whole(self) -> str:
        """The tag, spelt right, if it has no name."""
        return self.head + ">" * self.end

    def is_near(self, text: str) -> bool:
        """Whether a whole tag is nearly this one."""
        found = aligned(self.head.lower(), text, 0, True)
        return found is not MORE and any(end == len(text) - 1 for _, end in found)

    def _whole(self, c: Context, at: int, last: bool) -> Iterator[End | Wait]:
        found = aligned(self.whole.lower(), c.text, at, c.over)
        if found is MORE:
            yield MORE
            return
        before_value = last and self._opens_value(c)
        for wrong, end in found:
            if wrong == 0 and not before_value and c.text.startswith(">", end):
                yield 1, end + 1, ""  # its last bracket is there twice
            ends = self._may_end(c, at, end, last)
            if ends is MORE:
                yield MORE
            elif ends:
                yield wrong, end, ""

    def _may_end(self, c: Context, at: int, end: int, last: bool) -> bool | Wait:
        """Whether the tag at `at` may end there, with its bracket or what stands for it, or without."""
        if last and self._opens_value(c) and self._holds_letter(c, at, end):
            return False
        return not self.end or c.text[end - 1] in CLOSE or _may_lack_bracket(c, at, end, last)

    def _opens_value(self, c: Context) -> bool:
        """Whether a value begins directly after this tag, the last of several."""
        return c.kind is TagKind.PARAMETER_OPEN and not self.alone

    def _holds_letter(self, c: Context, at: int, end: int) -> bool:
        """Whether what stands for the bracket up to `end` is a letter, and so the first one of a value."""
        letter = at + len(self.head)
        return end > letter and c.text.startswith(self.head, at) and c.text[letter].isalnum()

    def _before_value(self, c: Context, at: int) -> Iterator[End | Wait]:
        """The tag without its bracket, after which the value begins at once."""
        end = at + len(self.head)
        if self._opens_value(c) and c.text.startswith(self.head, at):
            yield 1, end, ""

    def _with_more(self, c: Context, at: int) -> Iterator[End | Wait]:
        found = aligned(self.head.lower(), c.text, at, c.over)
        if found is MORE:
            yield MORE
            return
        for wrong, end in found:
            if junk := _JUNK.match(c.text, end):
                yield wrong + 1, junk.end(), ""
            elif not c.over and _PART.match(c.text, end):
                yield MORE

    def _shaped(self, c: Context, at: int) -> Iterator[End | Wait]:
        """Any other word in the same brackets."""
        shape = _SHAPE.match(c.text, at)
        if shape and bool(shape[1]) == (self.head[1] == "/"):
            yield TAG_SLIPS + 1, shape.end(), ""
        elif not c.over and _SHAPE_PART.match(c.text, at):
            yield MORE

    def _read_named(self, c: Context, at: int) -> Iterator[End | Wait]:
        found = aligned(self.head.lower(), c.text, at, c.over)
        if found is MORE:
            yield MORE
            return
        for wrong, start in found:
            name = _name_at(c, start)
            tag = name if name is None or name is MORE else _end_of_named(c, start, name)
            if tag is MORE:
                yield MORE
            elif tag:
                yield wrong, *tag


def _tags_in_row(c: Context, at: int) -> Iterator[re.Match[str] | Wait]:
    """Tags of any word, with nothing but whitespace between them, as many as a run may have; MORE if another
    one may come."""
    for _ in range(CLOSING_RUN):
        start = skip_whitespace(c.text, at)
        tag = _SHAPE.match(c.text, start)
        if tag is None:
            if not c.over and (start == len(c.text) or _BRACKET_PART.match(c.text, start)):
                yield MORE
            return
        yield tag
        at = tag.end()


def _may_lack_bracket(c: Context, at: int, end: int, last: bool) -> bool | Wait:
    """Whether the tag at `at` may end there without its bracket. `last`: anything may follow."""
    if c.text[at] not in OPEN:
        return False  # brackets of another kind, not of tags
    line = _LINE_END.match(c.text, end) if last else None
    if line and line.end() == len(c.text) and not c.over:
        return MORE
    return line is not None or not last


def _name_at(c: Context, at: int) -> str | Wait | None:
    """What may be a name at `at`; None if there is none, or it has no end."""
    found = _NAME.match(c.text, at)
    if found and found.end() < len(c.text):
        return found[0]
    return MORE if not c.over and (found or at == len(c.text)) else None


def _end_of_named(c: Context, at: int, name: str) -> tuple[int, str] | Wait | None:
    """Where a tag ends in which this is at `at`, and the declared name that it has; None if it has none."""
    key = _named(c, name)
    end = _end_after_name(c, at + len(key)) if key else None
    return end if end is None or end is MORE else (end, key)


def _named(c: Context, word: str) -> str:
    """The declared name that a word is, or begins with, as its last character may stand for the lost
    bracket; "" if there is none."""
    names = word, word.partition(":")[0], word[:-1]
    return next((name for name in names if name and c.known.is_named(c.kind, name)), "")


def _end_after_name(c: Context, at: int) -> int | Wait | None:
    """Where a tag ends whose name ends at `at`; None if this is not the end of a tag."""
    if not c.over and _PART.match(c.text, at):
        return MORE
    found = _TAIL.match(c.text, at)
    return found.end() if found else None


@dataclass(frozen=True, slots=True)
class DirectPiece:
    """A tag that is named after a tool or a parameter. `head` is `<` or `</`."""

    head: str
    named: bool = True

    def read(self, c: Context, at: int, _: bool) -> Iterator[End | Wait]:
        for start in range(end_of(_LEAD, c.text, at), at - 1, -1):
            name, wrong = _name_at(c, start), slips(c.text[at:start], self.head)
            tag: tuple[int, str] | Wait | None = None
            if name is MORE:
                tag = MORE
            elif name and wrong <= 1:
                tag = _end_of_named(c, start, name)
            if tag is MORE:
                yield MORE
            elif tag and (c.text[at] in OPEN or c.text[tag[0] - 1] in CLOSE):
                yield wrong, *tag


@dataclass(frozen=True, slots=True)
class Between:
    """The text between two tags. `begins` matches its beginnings. `bare`: it is nothing but a name."""

    pattern: re.Pattern[str]
    begins: re.Pattern[str]
    named: bool
    bare: bool = False

    def read(self, c: Context, at: int, _: bool) -> Iterator[End | Wait]:
        if self.bare:
            yield from self._read_name(c, at)
            return
        found = self.pattern.match(c.text, at)
        end = found.end() if found else at
        if not c.over and (end == len(c.text) or self.begins.fullmatch(c.text, at)):
            yield MORE
        elif found:
            name = found.groupdict().get("n") or ""
            if not self.named or c.known.is_named(c.kind, name.strip()):
                yield 0, found.end(), name.strip()

    def _read_name(self, c: Context, at: int) -> Iterator[End | Wait]:
        """A declared name, up to what may have become of the bracket after it."""
        found = _name_at(c, at)
        if found is MORE:
            yield MORE
        elif found:
            shorter = "" if c.text[at + len(found)] in OPEN else found[:-1]
            for name in (found, shorter):
                if name and c.known.is_named(c.kind, name):
                    yield 0, at + len(name), name


Piece = TagPiece | DirectPiece | Between


@dataclass(frozen=True, slots=True)
class Slipped:
    """A spelling in pieces. The pieces from the index `ahead` on follow the tag and do not belong to it.
    `most`: how many of its tags may have slips. Of `many` tags one may be lost, if the others are right; but
    not the first, which shows where they begin. `text`: as the dialect's table has it."""

    kind: TagKind
    text: str
    dialect: Dialect
    pieces: Sequence[Piece]
    ahead: int
    most: int
    many: bool

    @property
    def _first(self) -> int:
        """The index of its first tag."""
        return next(n for n, piece in enumerate(self.pieces) if isinstance(piece, TagPiece))

    @property
    def cost(self) -> Cost:
        """The cost of a tag that this reads. Without a bracket of its own it cannot have a slip."""
        own = self.pieces[: self.ahead]
        return Cost.TABLE if all(isinstance(piece, Between) for piece in own) else Cost.ALIKE

    @property
    def tags(self) -> Iterator[TagPiece]:
        """Its pieces that are tags with a word."""
        yield from (piece for piece in self.pieces if isinstance(piece, TagPiece))

    @property
    def words(self) -> Iterator[str]:
        """How its tags begin after their bracket, up to LONG letters; a shorter word with its `>`."""
        for word in (piece.head.lstrip("</") for piece in self.tags):
            yield word[:LONG] if len(word) >= LONG else word + ">"

    @property
    def several(self) -> bool:
        """Whether it has several tags, so that the right ones are evidence for the misspelt one."""
        return len(list(self.tags)) > 1

    def may_be(self, beginning: str, over: bool) -> bool:
        """Whether a text that begins like this, in lower case, may be this spelling. `over`: that is all."""
        first = self.pieces[0]
        if not isinstance(first, TagPiece) or not (first.alone or first.named):
            return True
        if len(beginning) < window_of(first.head) and not over:
            return True  # the right part of it may still come
        return parts_of(first.head.lower()).search(beginning) is not None

    def read(self, text: str, at: int, over: bool, known: Known) -> End | Wait | None:
        """The tag at `at`: the number of slips, where it ends, and the name in it. None if there is none."""
        first = self.pieces[0]
        if isinstance(first, TagPiece) and not first.may_stand(text, at, over):
            return None  # as most of what is not this tag
        return self._read_from(0, Context(text, over, known, self.kind), at, self.most)

    def _read_from(self, number: int, c: Context, at: int, left: int) -> End | Wait | None:
        """What the pieces from this number on are, if they begin at `at` and `left` tags may have slips."""
        if number == len(self.pieces):
            return 0, at, ""
        is_right = left == self.most and self.kind is TagKind.PARAMETER_OPEN  # up to here
        after = self._after_surplus(number, c, at) if is_right else at
        if after is MORE:
            return MORE
        found = self._read_piece(number, c, after, left) if after > at else None
        if found is MORE:
            return MORE
        return (found[0] + 1, *found[1:]) if found else self._read_piece(number, c, at, left)

    def _after_surplus(self, number: int, c: Context, at: int) -> int | Wait:
        """The index after tags that are too many before the name in a parameter's opening tags, or before
        the last of these: tags of the spelling once more, or any others if that last one follows."""
        piece = self.pieces[number]
        if not (number and isinstance(piece, Between)):
            return at
        *own, last = (tag.whole for tag in self.tags)
        ours = end = at
        for tag in _tags_in_row(c, at):
            if tag is MORE:
                return MORE
            if tag[0] == last and not piece.bare:
                return end
            ours = tag.end() if tag[0] in own and ours == end else ours
            end = tag.end()
        return ours

    def _read_piece(self, number: int, c: Context, at: int, left: int) -> End | Wait | None:
        """The same; the piece of this number begins exactly there, or was lost."""
        piece = self.pieces[number]
        for end in piece.read(c, at, number + 1 >= self.ahead):
            if end is MORE:
                return MORE
            found = self._go_on(number, c, end, left - (end[0] > 0))
            if found is not None:
                return found
        lost = self.many and left == self.most and isinstance(piece, TagPiece) and number > self._first
        return self._go_on(number, c, (TAG_SLIPS + 1, at, ""), 0) if lost else None

    def _go_on(self, number: int, c: Context, end: End, left: int) -> End | Wait | None:
        """The same, if the piece of this number ends there."""
        wrong, after, name = end
        rest = self._read_from(number + 1, c, after, left) if left >= 0 else None
        if rest is MORE or rest is None:
            return rest
        further, last, other = rest
        return wrong + further, after if number + 1 == self.ahead else last, name or other
