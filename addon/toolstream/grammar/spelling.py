"""The small language in which dialect tables spell tags, and its translation into patterns.

Everything in a spelling is literal, except for the words in braces and `~`. A word in braces stands for
what changes from tag to tag. At `~` the tag ends; what comes after it must follow the tag, with or
without whitespace between the two.

    {name}          any name of a function or parameter
    {tool} {key}    a declared name: the tag counts only if the request, or the tool, has it
    {word}          a name without whitespace
    {any}           the same, where the name does not count
    {attributes}    anything else that an opening tag may have before its `>`
    {members}       the same, but strings in quotes may hold anything
    {pair}          a name and, in quotes, what it is set to
    {cut}           a missing `>`: the line ends, or the next tag begins
    {json}          a missing `>`: the rest of a JSON call follows, from the comma after its name on
    {gap}           whitespace
    {slot}          a word that says what belongs in its place, such as `name`
    {number}        digits
    {ending}        the name of a token that ends a turn or a text
    {closer}        a name that models give to a closing tag that they made up

The canonical spelling is matched exactly. The tolerant one also allows whitespace around the `=` and
inside the brackets, and names in quotes. Two patterns are made from each spelling, one for the tag and
one for its beginnings. So a new spelling brings its own hold-back. Every repetition is bounded, because a
tail that could be held for ever would silence the stream.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..limits import ATTRIBUTES, DECLARED_NAME, MADE_UP_NAME, MEMBERS, NAME, NUMBER, QUOTED, SLOT, TAG_GAP
from .dialect import Dialect
from .kinds import OPENS_A_CALL, TagKind
from .text import GAP

BLANKS = rf"[ \t\xa0\u2000-\u200a\u202f\u205f\u3000]{{0,{TAG_GAP}}}"  # all that Unicode has
FOLLOWING = GAP.pattern

_DECLARED = rf"[^\s<>\"'={{}}()\[\],/]{{1,{DECLARED_NAME}}}"
_MEMBER = rf"[^<>\"'\n]|\"[^\"\n]{{0,{QUOTED}}}\"|'[^'\n]{{0,{QUOTED}}}'"
_CLOSER = r"functions?|tools?|calls?|tool_?calls?|function_?calls?|invoke|invocation|parameters?|param"
MADE_UP_CLOSER = re.compile(rf"_?(?:[a-z]+_)?(?:{_CLOSER})(?:_[a-z]+)?")
_NAME = rf"[^\s<>\"'](?:{BLANKS}[^\s<>\"']){{0,{NAME}}}"  # a blank in it may be a slip
_ENDING = r"(?:(?:im_)?end(?:_?of_?[a-z]{1,16})?|eo[stm](?:_id)?)"
_SHOWN = r"(?i:(?:bad|good)?_?(?:example|sample)s?_?)"
# Words of tags that no table lists one by one: of closing tags that models make up, of tokens that end a
# turn, of elements that show an example
UNLISTED = re.compile(rf"{MADE_UP_CLOSER.pattern}|{_ENDING}|{_SHOWN}")
_ARGUMENTS = "(?:arguments|parameters|args|input|tool_input)"
_PLACEHOLDERS = {  # word: its pattern, and the pattern of its beginnings
    "name": (_NAME, _NAME + BLANKS),
    "tool": (_DECLARED,) * 2,
    "key": (_DECLARED,) * 2,
    "word": (rf"[^\s<>\"'=]{{1,{NAME}}}",) * 2,
    "any": (_DECLARED,) * 2,
    "pair": (
        rf"[^\s<>\"'=]{{1,{DECLARED_NAME}}}=(?:\"[^\"<>\n]{{0,{QUOTED}}}\"|'[^'<>\n]{{0,{QUOTED}}}')",
        rf"[^\s<>\"'=]{{1,{DECLARED_NAME}}}(?:=(?:\"[^\"<>\n]{{0,{QUOTED}}}\"?|'[^'<>\n]{{0,{QUOTED}}}'?)?)?",
    ),
    "attributes": (rf"[^<>\n]{{0,{ATTRIBUTES}}}",) * 2,
    "members": (
        rf"(?:{_MEMBER}){{1,{MEMBERS}}}",
        rf"(?:{_MEMBER}){{0,{MEMBERS}}}(?:\"[^\"\n]{{0,{QUOTED}}}|'[^'\n]{{0,{QUOTED}}})?",
    ),
    "cut": (rf"{BLANKS}(?=[\r\n]|<)", BLANKS),
    "json": (
        rf"{BLANKS}(?=,{FOLLOWING}\"{_ARGUMENTS}\"{FOLLOWING}:{FOLLOWING}\{{)",
        rf"{BLANKS}(?:,{FOLLOWING}(?:\"[a-z_]{{0,{SLOT}}}(?:\"{FOLLOWING}:?{FOLLOWING})?)?)?",
    ),
    "gap": (FOLLOWING,) * 2,
    "slot": (r"(?:name|tool|function|tool_name|function_name|NAME)", rf"[A-Za-z_]{{1,{SLOT}}}"),
    "number": (rf"\d{{1,{NUMBER}}}",) * 2,
    "ending": (_ENDING, rf"[a-z_]{{1,{MADE_UP_NAME}}}"),
    "closer": (MADE_UP_CLOSER.pattern, rf"[a-z_]{{1,{MADE_UP_NAME}}}"),
}
# The marks of a tag, with the whitespace that the tolerant spelling allows beside them
_WITH_BLANKS = {
    "<": ("<", BLANKS),
    "/": ("/", BLANKS),
    "=": (BLANKS, "=", BLANKS, r"(?:\r?\n)?"),
    ">": (BLANKS, ">"),
}
_ANY_NAME = re.compile(r"\{(?:name|tool|key)\}")
_NAMED = ("name", "tool", "key", "word", "pair")


@dataclass(frozen=True, slots=True)
class Spelling:
    """One spelling of one kind of tag, and its patterns: `tag` for a whole tag, `tail` for its
    beginnings."""

    kind: TagKind
    text: str
    dialect: Dialect
    tag: str
    tail: str
    around: tuple[str, ...]  # the text before and after its name
    declared: str = ""  # the placeholder whose name has to be declared: "tool", "key" or ""

    def is_exact(self, raw: str, name: str) -> bool:
        """Whether a tag with this name is spelt exactly like this."""
        return raw == self.text or raw == name.join(self.around)


def read_spelling(kind: TagKind, text: str, dialect: Dialect, tolerant: bool) -> Spelling:
    """Translate one entry of a table."""
    declared = next((name for name in ("tool", "key") if f"{{{name}}}" in text), "")
    kind = TagKind.CALL_OPEN if kind in OPENS_A_CALL else kind
    tag, tail = patterns(text, tolerant and not declared)
    around = tuple(_ANY_NAME.split(text.partition("~")[0]))
    return Spelling(kind, text, dialect, tag, tail, around, declared)


def patterns(spelling: str, tolerant: bool) -> tuple[str, str]:
    """The pattern of a spelling, and the pattern of its beginnings: the spelling cut off after any of its
    units. The group `n` is the name."""
    tag, _, follows = spelling.partition("~")
    units, ahead = list(_units(tag, tolerant)), list(_units(follows, tolerant))
    whole = "".join(unit for unit, _ in units)
    if ahead:
        whole += f"(?={FOLLOWING}{''.join(unit for unit, _ in ahead)})"
        units += [(FOLLOWING, FOLLOWING), *ahead]
    tail = units.pop()[1]
    for unit, beginning in reversed(units):
        same = unit == beginning
        tail = f"{unit}(?:{tail})?" if same else f"(?:{unit}(?:{tail})|{beginning})"
    return whole, tail


def _units(spelling: str, tolerant: bool) -> Iterator[tuple[str, str]]:
    """A spelling in units, each with its pattern and the pattern of its beginnings."""
    for unit in re.findall(r'"\{\w+\}"|\{\w+\}|.', spelling, re.DOTALL):
        word = unit.strip('"').strip("{}")
        if len(unit) > 1 and word in _PLACEHOLDERS:
            yield from _placeholder(word, unit[0] == '"', tolerant)
        else:
            literal = _WITH_BLANKS.get(unit) if tolerant else None
            yield from ((p, p) for p in literal or (re.escape(unit),))


def _placeholder(word: str, in_quotes: bool, tolerant: bool) -> Iterator[tuple[str, str]]:
    pattern, beginning = _PLACEHOLDERS[word]
    if word in _NAMED:
        same = pattern == beginning
        pattern, beginning = f"(?P<n>{pattern})", f"(?P<n>{beginning})" if same else beginning
    quote = "[\"']?" if tolerant and (in_quotes or word == "name") else '"' if in_quotes else ""
    quotes = [(quote, quote)] if quote else []
    yield from [*quotes, (pattern, beginning), *quotes]
