"""One bounded token that is shaped like a tag: what it consists of, not what it means.

    < / parameter = name  attributes  >

Each part may be damaged: a bracket is missing or is another character, there are surplus slashes, the `=`
is a `:` or a space, or the end is missing because the line ends or the next tag begins.
"""

# ruff: noqa: RUF001

import re
from dataclasses import dataclass
from functools import lru_cache
from sys import maxsize

from ..limits import LOST_WORDS, TAG, WORDLESS
from .brackets import CLOSE, OPEN
from .kinds import MORE, Wait
from .text import BLANK, COMMENT, COMMENT_PART

_WORDS = ("parameter", "param", "function", "func", "tool_", "tool>", "invoke", "arg_")

_STOP = re.compile(rf"[{OPEN}\n]")
# Letters of a tag that slipped after its end, and what may become such letters
_TAIL = re.compile(r"(\w{1,2}(?=[ \t]*[\r\n])|\w(?=<))")
_LAST_TAIL = re.compile(r"(\w{1,2})?[ \t]{0,16}\Z")
BRACKET = re.compile(rf"[{OPEN}\r\ud800-\udfff]")  # the beginning of a tag, a line end or half a character
# A bracket that cannot begin a tag of a call, such as less-than; and a bracket with a word
NO_TAG = re.compile(
    r"<(?:!DOCTYPE|!\[|\?\w|[ \t]{0,8}[=\d&+($%]|[ \t]{1,8}(?!pa|fu|to|in|ar|/)\w[\w \t,;.)])"
)
WORD = re.compile(r"</?([A-Za-z][\w-]*)(?:[\s>]|/>)")

_AS_JSON = '{"function>'  # a tag whose bracket became the beginning of JSON
_COMMENTED, _COMMENT_BEGUN = rf"{COMMENT}\s{{0,64}}+", rf"(?:{COMMENT_PART}|{COMMENT}\s{{0,64}}+)"
_JSON = re.compile(
    r"""(?!\{"function>)[{\[]\s{0,64}+(?:(?P<sure>["'“”`{}\[\]\s]|\w{1,64}["”]\s{0,8}:|\w{1,64}:\s{0,8}["'\[{\d]"""
    rf"""|{_COMMENTED}["“”{{\[])|(?:\w{{0,64}}["'”:]?\s{{0,8}}|{_COMMENT_BEGUN})\Z)"""
)
# An unfinished tag, and nothing more
BEGINNING = re.compile(rf"[{OPEN}]/?(?:[A-Za-z]\w{{0,32}}(?:=[\w.-]{{0,64}})?)?")
PARTIAL = re.compile(r"</?[ \t]?\w{0,16}")  # an unfinished tag of a document


_PLAIN = rf"""[^\s<>"'{OPEN}{CLOSE}]"""
_STRUCTURAL, _BARS = "parameter|function|tool_?call|invoke", "[|｜‖]{1,2}"
# What says nothing of a call: a namespace, or the mark that all tags of DSML have, in any bars
_NAMESPACE = rf"[A-Za-z]\w{{0,32}}:(?={_STRUCTURAL})"
_MARK = rf"{_BARS}(?:\w{{1,16}}(?:{_BARS}[ \t]?(?:(?={_STRUCTURAL}|calls)|[a-z_]{{0,9}}\Z)|\Z)|\Z)"
IN_BARS = re.compile(_BARS)
MARK = rf"{_BARS}\w{{1,16}}{_BARS}"
MARKED = re.compile(rf"</?({MARK})[ \t]?\w")
_BLANK_SIGNS = " \t([{|,;"
_JSON_AHEAD = r'[ \t]?(?:\{[ \t\r\n]*(?:"|\Z)|\[[ \t\r\n]*(?:\{|\Z))'  # after `[TOOL_CALL]`
_BREAK = re.compile(r"\r?\n?[ \t]{0,8}>?[ \t]{0,8}")  # before a bracket that is late
_JSON_BEGINS = re.compile(r"[ \t]*(?:[{\[][ \t\r\n]*)?")
_LINE_ENDS = rf"[ \t]*(?:[\r\n{OPEN}]|\Z)"
_SIGN = r"""(?<=\w)(?:[(\[{|,;][ \t]?(?=[\w"'])|(?=["']\w))"""  # in the place of the `=`
# A run of plain characters ends only where something else may come. Else two runs side by side could share
# the characters out in too many ways.
_RUN = rf"""{_PLAIN}{{1,{TAG}}}?(?=(?!{_PLAIN})|/[ \t]{{0,8}}[{CLOSE}]|[)\]}}]{_LINE_ENDS})"""
_TAG = re.compile(
    rf"""
    (?P<open>(?P<begun>[{OPEN}]{{1,2}}|\{{"(?=function>)|[(\[{{|]|[pft](?=<))|) [ \t]{{0,8}}
    (?P<slash>[/\\／]{{0,2}}) [ \t]{{0,8}}
    (?P<inner>[{OPEN}]?) (?:[:;.,!*-]|(?P<space>{_NAMESPACE}|{_MARK}))?
    (?P<word>(?:[^\s<>=:"'/|(){{}}\[\],;{OPEN}{CLOSE}]|/(?=\w)){{0,64}})
    (?: (?P<sep>[ \t]{{0,8}}[=:＝]{{1,2}}[ \t]{{0,8}}|[ \t]{{1,8}}|{_SIGN})
        (?P<name>"[^"\n<>{CLOSE}]{{1,128}}+"?|'[^'\n<>{CLOSE}]{{1,128}}+'?
            |[^\s<>"'={OPEN}{CLOSE}]{{1,128}}+) )?
    (?P<rest>(?:"[^"\n<]{{0,128}}+(?:"|\Z)|'[^'\n<]{{0,128}}+(?:'|\Z)|{_RUN}
        |[ \t]{{1,8}}(?:[\w:.-]{{0,64}}[ \t]{{0,8}}=[ \t]{{0,8}}|[/\\?]|[\w:.-]{{1,64}}(?=[ \t]{{0,8}}\Z)
            |(?=["']\Z))
        ){{0,8}}?)
    (?P<end>/?[ \t]{{0,8}}[{CLOSE}]{{1,2}} |[)\]}}](?={_LINE_ENDS}) |(?<=[lLsS])\](?={_JSON_AHEAD})
        |(?(begun)\r?\n[ \t]{{0,8}}>(?(name)|(?=[ \t]*(?:[\r\n<]|\Z)))|(?!)) |[ \t]{{0,8}}(?=[\r\n{OPEN}]|\Z))
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True, eq=False)
class Lost:
    """Tags that lost their opening bracket. `tag` matches at the start of a line before one; `part`
    matches the end of a text that may still become one, no longer than the longest; `lines` a text in which
    no line but the first begins with either, or with JSON."""

    tag: re.Pattern[str]
    part: re.Pattern[str]
    lines: re.Pattern[str]


@lru_cache(LOST_WORDS)
def lost(words: frozenset[str] = frozenset()) -> Lost:
    """Lost tags that begin with one of these words, or with one of Qwen's own."""
    known = [*_WORDS, *sorted(words)]
    whole, swapped = "|".join(map(re.escape, known)), "p<aram|f<unc|t<ool"
    half = "|".join(f"(?:{'(?:'.join(map(re.escape, w))}{')?' * len(w)}" for w in known)
    swapped = "|".join([swapped, *(re.escape(f"{word[0]}<{word[1:]}") for word in sorted(words))])
    first = re.escape("".join(sorted({"p", "f", "t", *(word[0] for word in words)})))
    begun = rf"\S?[/\\]?<?(?:{half})?|\[/?(?i:{half})?"
    longest = max(map(len, known)) + 3
    tag = rf"[ \t]{{0,16}}+(?=\S?[/\\]?<?(?:{whole}|{swapped})|\[/?(?i:{whole}))"
    part = rf"[ \t]{{0,16}}+(?=\S{{0,{longest}}}\Z)(?:{begun}|[{first}]<\w{{0,4}})\Z"
    line = rf"[ \t]*+(?![^\n])|(?! {{0,3}}\{{|{tag}|{part})[^\n]*+"
    lines = rf"[^\n]*+(?:\n(?:{line})|(?!))*+"
    return Lost(re.compile(tag), re.compile(part), re.compile(lines))


LOST = lost()


@dataclass(slots=True)
class Token:
    """text[start:end], which is `raw`, and its parts."""

    start: int
    end: int
    raw: str
    slash: bool
    space: str
    word: str
    sep: str
    name: str
    attributes: str
    bracket: bool  # it begins with a bracket
    closed: bool  # it ends with one

    @property
    def is_plain(self) -> bool:
        """Whether it has both brackets, and nothing but a word, `=` and a name."""
        return self.sep == "=" and not self.attributes and self.bracket and self.closed

    @property
    def is_intact(self) -> bool:
        """Whether it has both brackets and no mark in bars."""
        plain = self.bracket and self.closed and self.raw.count("<") == 1
        return plain and self.space[-1:] in ("", ":")


def read_tag(text: str, at: int, over: bool) -> Token | Wait | None:
    """The token at `at`; MORE if more text is needed to tell where it ends."""
    if text[at] in BLANK:
        return None
    match = _TAG.match(text, at, at + TAG)
    if match is None or match.end() == at + TAG:
        return None
    if not over and _ends_with(text, match):
        return MORE if _is_begun(match) else None  # more may belong to it
    return _token(match) if match["word"] or (match["slash"] and match["name"]) else None


def _is_begun(tag: re.Match[str]) -> bool:
    """Whether more text may make a tag of this: it has a slash or a word, or is short."""
    return bool(tag["word"] or tag["space"] or tag["slash"]) or len(tag[0]) <= WORDLESS


def _token(tag: re.Match[str]) -> Token:
    """The parts of a tag."""
    opened, _, slash, inner, space, word, sep, name, rest, end = tag.groups("")
    name, closed = name.strip("\"'"), bool(end.strip(" \t/"))
    if not closed:
        name = name.rstrip(")]}:;,")
    sep, bracket = sep.strip(_BLANK_SIGNS) or (" " if sep or name else ""), bool(opened or inner)
    return Token(*tag.span(), tag[0], bool(slash), space, word, sep, name, rest, bracket, closed)


def _ends_with(text: str, tag: re.Match[str]) -> bool:
    """Whether a text ends with a tag, as far as it has come; blanks after a bracket that is late, or of
    another kind, are looked at, too."""
    end, bracket = tag.end(), tag["end"]
    if end == len(text) or len(text) - end >= TAG:
        return end == len(text)
    if "\n" in bracket:
        return not text[end:].strip(" \t")
    if bracket in (")", "]", "}"):
        return _JSON_BEGINS.fullmatch(text, end) is not None
    late = tag["word"] and tag["open"] and not bracket.strip()
    return bool(late) and _BREAK.fullmatch(text, end) is not None


def opens_json(text: str, at: int, over: bool) -> bool | Wait:
    """Whether the bracket at `at` begins JSON, and does not stand for the bracket of a tag."""
    if not over and text[at] == "{" and len(text) - at < len(_AS_JSON) and _AS_JSON.startswith(text[at:]):
        return MORE
    found = _JSON.match(text, at)
    if found is None:
        return False
    return True if found["sure"] else over or MORE if found.end() == len(text) else False


def plain_text(words: frozenset[str], missing: Lost) -> re.Pattern[str]:
    """A pattern for text that holds no tag but those with these words, no line that begins with a lost
    tag, and no half of a surrogate pair."""
    known = "|".join(sorted(words))
    no_tag = NO_TAG.pattern.removeprefix("<")
    bracket = rf"<(?:/(?:{known})(?=[\n>])|(?:{known})(?=[ \t\n>]|/>)|{no_tag})"
    return re.compile(rf"(?:[^{OPEN}\n\r\ud800-\udfff]+|{bracket}|\n(?!{missing.tag.pattern}))*")


def next_place(text: str, at: int, fresh: bool = False, missing: Lost = LOST, end: int = maxsize) -> int:
    """The index where the next tag may begin: at a bracket before `end`, or at a word at the start of a line
    that lost its bracket; -1 if there is none. `fresh`: a line begins at `at`."""
    if fresh and (found := missing.tag.match(text, at)):
        return found.end()
    while stop := _STOP.search(text, at, end):
        at = stop.end()
        if stop[0] != "\n":
            return at - 1
        if found := missing.tag.match(text, at):
            return found.end()
    return -1


def held_from(text: str, at: int, fresh: bool, missing: Lost = LOST) -> int:
    """The index of the tail that may still become a tag without its bracket; len(text) if there is none.
    `fresh`: a line begins at `at`."""
    line = text.rfind("\n", at) + 1
    start = line if line else at if fresh else -1
    return start if start >= 0 and missing.part.match(text, start) else len(text)


def end_of_tag(end: int, exact: bool, text: str, over: bool) -> int | Wait:
    """The end of a tag whose bracket ends at `end`. Letters of the tag may have slipped after the
    bracket; those count too, unless the tag is `exact`."""
    if exact:
        return end
    last = _LAST_TAIL.match(text, end)
    if last and not over:
        return MORE
    tail = last or _TAIL.match(text, end)
    return tail.end(1) if tail and tail[1] else end
