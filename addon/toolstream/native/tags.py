r"""The tags of all dialects, as they occur in the arguments of a call that the server parsed.

It is certain that this is a call, so every dialect is read, whatever the recovery level. Everything comes
from the dialect tables: a new table is read here as well.

Tags are searched in three places: before the object, where XML is in its place (`lead_of`); after the
object, where surplus closing tags are left over (`end_of_leftovers`); and in a string of the object, if
that has swallowed the end of the parameter and everything after it (`in_strings`). In a string, tags are
escaped as JSON allows: Go writes `<` as `\u003c`, PHP writes `/` as `\/`, and a server that sends only
ASCII escapes the bars of DSML.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from ..grammar.dialects import DIALECTS, Dialect
from ..grammar.kinds import CLOSERS, TagKind
from ..grammar.spelling import patterns
from ..limits import CLOSING_RUN, LOOK_AHEAD, NAME, NUMBER
from ..schema.schema import Tool

QWEN = DIALECTS[0]
NAMED = rf"=[^\s<>\"\\]{{0,{NAME}}}"  # a name that a closing tag repeats
# What may be joined to the word of a parameter's closing tag; in JSON, a slash may be escaped
JOINED = rf"(?:_\w{{0,{NAME}}}|{NAMED}|\d{{1,{NUMBER}}}|\\?/)"
_OPENERS = (TagKind.WRAP_OPEN, TagKind.CALL_OPEN, TagKind.NAMELESS_OPEN, TagKind.PARAMETER_OPEN)
_STEM = re.compile(r"</?[^\s<>{}=/~\"']+")  # a tag's bracket and its word
_WORD = re.compile(r"<([^\s<>{}=/~\"']+)")
_LONE_OPENER = re.compile(r"<\w+(?:=|\s+name=)?[\"']?[\w.-]*[\"']?>?\s*")
_INSIDE = re.compile(r"(?<=[\w}:])(?:\{gap\})?(<[^{}]+>)\Z")  # the second tag of a spelling, after the name

WORD_OF_CLOSER = re.compile(r"</(\w+)")


@dataclass(frozen=True)
class Lead:
    """What has to come before a text so that a parser reads it as a call: the `head`; and the recovery
    level of that parser."""

    head: str
    recovery: str


def _recovery(dialect: Dialect) -> str:
    return "aggressive" if dialect.level == "aggressive" else "tolerant"


def spelled(*kinds: TagKind) -> Iterator[tuple[Dialect, TagKind, str]]:
    """Every spelling of these kinds of tags."""
    for dialect in DIALECTS:
        for kind in kinds:
            yield from ((dialect, kind, spelling) for spelling in getattr(dialect, kind.value))


def _stem(spelling: str) -> str:
    """The bracket and the word with which a tag begins; "" if a name of the request is in the place of
    the word."""
    found = _STEM.match(spelling)
    return found[0] if found else ""


# Before the object


def _filled(spelling: str, name: str) -> str:
    """A tag as a model writes it, with this name."""
    tag = spelling.partition("~")[0].replace("{gap}", "").replace("{number}", "0")
    return tag.replace("{attributes}", "").replace("{name}", name)


def _head(dialect: Dialect, kind: TagKind, tool: str) -> str:
    """What has to come before a tag of this kind: the envelope, and the function's tag."""
    own = dialect if dialect.taught else QWEN
    if kind is TagKind.WRAP_OPEN:
        return ""
    envelope = f"{own.wrap_open[0]}\n" if own.wrap_open else ""
    if kind is not TagKind.PARAMETER_OPEN:
        return envelope
    return envelope + (f"{_filled(own.call_open[0], tool)}\n" if own.call_open else tool)


@cache
def _leads() -> list[tuple[str, Dialect, TagKind, str]]:
    """(stem, dialect, kind, spelling) of all tags with which arguments may begin, the longest stems
    first."""
    found = [(_stem(text), dialect, kind, text) for dialect, kind, text in spelled(*_OPENERS)]
    for dialect, kind, text in spelled(TagKind.CALL_OPEN):
        if inner := _INSIDE.search(text):
            found.append((inner[1], dialect, kind, text[: inner.start(1)]))
    seen: dict[str, tuple[str, Dialect, TagKind, str]] = {}
    for lead in found:
        if lead[0]:
            seen.setdefault(lead[0], lead)  # the first dialect has the lowest rank
    return sorted(seen.values(), key=lambda lead: -len(lead[0]))


def lead_of(text: str, tool: Tool) -> Lead | None:
    """The lead for a text in place of arguments of this tool; None if it begins with no tag."""
    for stem, dialect, kind, spelling in _leads():
        if text.startswith(stem):
            if spelling.startswith(stem):
                return Lead(_head(dialect, kind, tool.name), _recovery(dialect))
            before = _head(dialect, TagKind.CALL_OPEN, tool.name) + _filled(spelling, tool.name)
            return Lead(before, _recovery(dialect))
    for stem, dialect, kind in _leads_of(tool):
        if text.startswith(stem):
            return Lead(_head(dialect, kind, tool.name), _recovery(dialect))
    return None


def _leads_of(tool: Tool) -> Iterator[tuple[str, Dialect, TagKind]]:
    """The beginnings that contain a name of this tool: `<key>`, `<name>`, `name<arg_key>`."""
    for dialect, kind, spelling in spelled(TagKind.PARAMETER_OPEN):
        if spelling == "<{key}>":
            yield from ((f"<{key}>", dialect, kind) for key in tool.arguments.declared)
    for dialect, kind, spelling in spelled(TagKind.CALL_OPEN, TagKind.CALL_IN_ENVELOPE):
        name, _, follows = spelling.partition("~")
        if name in ("{tool}", "<{tool}>") and tool.name:
            lead = name.replace("{tool}", tool.name) + _stem(follows)
            yield from [(lead, dialect, kind)] if lead != tool.name else []


def _stems_of(tool: Tool) -> Iterator[str]:
    """The beginnings of all tags with which arguments of this tool may begin."""
    yield from (stem for stem, *_ in _leads())
    yield from (stem for stem, *_ in _leads_of(tool))


def is_lone_opener(text: str, tool: Tool) -> bool:
    """Whether this is a single opening tag with which arguments of this tool may begin, and nothing else."""
    return lead_of(text, tool) is not None and _LONE_OPENER.fullmatch(text) is not None


def may_lead(text: str, tool: Tool) -> bool:
    """Whether a text is an unfinished tag with which arguments may begin, and nothing more."""
    return any(stem.startswith(text) for stem in _stems_of(tool))


# After the object


def either(spellings: Iterable[str]) -> str:
    """A pattern for all these tags. At the end of the text, the last bracket may be missing."""
    tags = {patterns(text, tolerant=True)[0] for text in spellings}
    cut = {patterns(text[:-1], tolerant=True)[0] + r"(?=[\s<]|\Z)" for text in spellings if text[-1] == ">"}
    return "|".join(sorted(tags | cut, key=len, reverse=True)).replace("(?P<n>", "(?:")


@cache
def _leftover() -> re.Pattern[str]:
    """Whitespace, a bracket, or a tag that closes nothing. The group `n` is a name that has to be
    declared."""
    named = [text for _, _, text in spelled(*CLOSERS, TagKind.STRAY) if "{tool}" in text or "{key}" in text]
    others = {
        text for _, _, text in spelled(*CLOSERS, TagKind.STRAY) if text not in named and "~" not in text
    }
    return re.compile(rf"[\s}}\]]+|{either(sorted(others))}|</(?P<n>[^\s<>/]{{1,{NAME}}})>")


def end_of_leftovers(text: str, tool: Tool) -> int:
    """The index where meaningless text after an object ends: brackets, closing tags, and tokens that end
    a turn."""
    at, pattern = 0, _leftover()
    while found := pattern.match(text, at):
        if (name := found["n"]) and name != tool.name and not tool.declares(name):
            break
        at = found.end()
    return at


# In a string of the object

_LT = r"(?:<|\\u003[cC])"
_LT_PART = r"\\(?:u(?:0(?:03?)?)?)?"
_NEWLINE = r"(?:\\r)?\\n"
_SPACE = rf"(?: |\\[nrt]){{0,{LOOK_AHEAD}}}"


def _in_json(char: str) -> tuple[str, str]:
    """The pattern of a character in a JSON string, and the pattern of its beginnings."""
    match char:
        case "<":
            return _LT, _LT_PART
        case ">":
            return r"(?:>|\\u003[eE])", _LT_PART
        case "/":
            return r"\\?/", r"\\"
    if char.isascii():
        return re.escape(char), ""
    digits = "".join(f"[{d}{d.upper()}]" if d.isalpha() else d for d in f"{ord(char):04x}")
    part = r"\\(?:u" + "".join(f"(?:{d}" for d in re.findall(r"\[..\]|.", digits)[:3]) + ")?" * 3 + ")?"
    return rf"(?:{char}|\\u{digits})", part


def _tag_in_json(tag: str) -> tuple[str, str]:
    """The pattern of the literal beginning of a tag in a JSON string, and the pattern of its beginnings."""
    units = [_in_json(char) for char in tag]
    tail = ""
    for unit, part in reversed(units):
        whole = f"{unit}(?:{tail})?" if tail else unit
        tail = f"{whole}|{part}" if part else whole
    return "".join(unit for unit, _ in units), tail


def _alternatives(tags: Iterable[str]) -> tuple[str, str]:
    listed = [_tag_in_json(tag) for tag in sorted(set(tags), key=len, reverse=True)]
    return f"(?:{'|'.join(tag for tag, _ in listed)})", f"(?:{'|'.join(part for _, part in listed)})"


class TagsInStrings:
    """Patterns for the tags of parameters in a JSON string:

    `tag` is the beginning of one, after a line break or not; the group `opener` tells an opening one.
    `closer` is a closing tag and the whitespace after it, in `closer_and_tag` with a bracket. `part` is what
    may still become one of them. `clean` is text in which none begins.

    Of any tag: `word` is the beginning of it up to its word, with the group `slash` of a closing one;
    `closing` is a closing one with the whitespace after it, and `run_part` are some of those, as far as they
    have come.
    """

    def __init__(self) -> None:
        closers = [text for _, _, text in spelled(TagKind.PARAMETER_CLOSE)]
        closer, closer_part = _alternatives(filter(None, map(_stem, closers)))
        opener, opener_part = _alternatives(
            filter(None, (_stem(text) for _, _, text in spelled(TagKind.PARAMETER_OPEN)))
        )
        end = rf"{JOINED}?{_in_json('>')[0]}?"  # as damaged tags have it
        self.tag = re.compile(rf"(?:{_NEWLINE})?(?:(?P<opener>{opener})|{closer})")
        self.closer = re.compile(rf"(?:{_NEWLINE})?{closer}{end}{_SPACE}")
        self.closer_and_tag = re.compile(self.closer.pattern + _LT)
        self.part = re.compile(
            rf"(?:\\r)?(?:\\n)?(?:{opener_part}|{closer_part}|{closer}{end}{_SPACE}(?:{_LT_PART})?|\\)?"
        )
        letters = rf"[^\s<>\"\\/]{{1,{NAME}}}"
        closing = rf"{_LT}\\?/{letters}{_in_json('>')[0]}{_SPACE}"
        closing_part = rf"(?:{_LT_PART}|{_LT}(?:\\|\\?/(?:{letters})?(?:{_LT_PART})?)?)"
        word = rf"[^\s<>\"\\/=]{{1,{NAME}}}"
        self.word = re.compile(rf"(?:{_NEWLINE})?{_LT}(?P<slash>\\?/)?(?P<word>{word})")
        self.closing = re.compile(rf"(?:{_NEWLINE})?{closing}")
        self.run_part = re.compile(rf"(?:\\r)?(?:\\n)?(?:{closing}){{0,{CLOSING_RUN}}}{closing_part}?")
        self.clean = re.compile(
            r"(?:[^\\<]++|\\[^rnu]|\\r(?=[^<\\]|\\[^un])|\\n(?=[^<\\]|\\[^u])"
            r"|\\u(?!003[cC])[0-9a-fA-F]{4}|(?!))*+"
        )


@cache
def in_strings() -> TagsInStrings:
    """The patterns, compiled once."""
    return TagsInStrings()


@cache
def outer_words() -> frozenset[str]:
    """The words of the tags that close a function or an envelope."""
    tags = (text for _, _, text in spelled(TagKind.CALL_CLOSE, TagKind.WRAP_CLOSE))
    return frozenset(found[1] for text in tags if (found := WORD_OF_CLOSER.match(text)))


def parameter_words() -> set[str]:
    """The words of the tags that open a parameter."""
    tags = (text for _, _, text in spelled(TagKind.PARAMETER_OPEN))
    return {found[1] for text in tags if (found := _WORD.match(text))}


def leads_to(tail: str, key: str, tool: Tool) -> Iterator[Lead]:
    """All leads for a text that begins with the closing tag of the parameter `key` and has opening tags
    after it. Dialects that only the aggressive level reads are tried only if one of those tags is theirs."""
    if not any(stem in tail for stem in _stems_of(tool)):
        return
    bare, leads = tail.lstrip(), []
    for dialect, _, spelling in spelled(TagKind.PARAMETER_CLOSE):
        stem, recovery = _stem(spelling), _recovery(dialect)
        goes_on = any(text in tail for text in _begun(dialect))
        is_usual = dialect.in_values and recovery == "tolerant"
        if stem and bare.startswith(stem) and (goes_on or is_usual):
            head = _head(dialect, TagKind.PARAMETER_OPEN, tool.name) + _filled(_opener(dialect), key)
            leads.append(Lead(head, recovery))
    yield from sorted(dict.fromkeys(leads), key=lambda lead: lead.recovery != "tolerant")


def _opener(dialect: Dialect) -> str:
    """The opening tag of a parameter; Qwen's, if the dialect has none or only a damaged one."""
    own = () if dialect.damaged else dialect.parameter_open
    return (own or QWEN.parameter_open)[0]


def _begun(dialect: Dialect) -> Iterator[str]:
    """The beginnings of a dialect's opening tags, as far as they are literal."""
    for spelling in (*dialect.wrap_open, *dialect.call_open, *dialect.parameter_open):
        yield spelling.partition("{")[0]


# In place of a name


def name_in(text: str) -> tuple[str, str]:
    """What may be the tool's name in a text in place of a name, without the remains of its tag, else "";
    and the text after it."""
    found = _polluted().match(text)
    return (found[1], text[found.end() :]) if found else ("", text)


@cache
def _polluted() -> re.Pattern[str]:
    words = {found[1] for _, _, text in spelled(TagKind.CALL_OPEN) if (found := _WORD.match(text))}
    listed = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    around = {found[1] for _, _, text in spelled(TagKind.WRAP_OPEN) if (found := _WORD.match(text))}
    before = rf"(?:<(?:{'|'.join(sorted(map(re.escape, around)))})>\s?)?(?:\{{\s?\"name\"\s?:\s?)?"
    return re.compile(rf"\s{{0,8}}+{before}<?\s?(?:(?:{listed})(?!\w)(?:\s*name)?\s*=?\s*)?[\"']?([\w.:/-]+)")
