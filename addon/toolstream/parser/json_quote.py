"""Whether a quote in a JSON string is its end or a part of it: where a value ends (P4), in JSON.

It is the end if something follows that may follow a string. For each character that may, `_BY_MARK` has a
function, which looks at the text from there on, and returns what the quote is, or MORE. Once a string has
contained a quote that was not its end (it is `mended`), that alone is not believed any more: the next key has
to be one of the tool's, or all brackets of the call have to be closed (`is_all`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import Enum

from ..grammar.kinds import MORE, Wait, decided
from ..grammar.text import JSON_SPACE as _S
from ..grammar.text import JSON_WHITESPACE, end_of
from ..limits import AFTER_QUOTE, COMMA_GAP, DECLARED_NAME
from ..schema.call_shape import BESIDE, CALL_KEYS
from .json_end import Tags, after_marks, closes_call, goes_on_in_line, is_last, is_mark, is_text, looked_at
from .json_key import COMMENT_MARKS, Key, after_comment, read_key

_BRACKETS = re.compile(r"[}\]\s]*+")
_BRACKETS_OF_ALL_KINDS = re.compile(r"[}\])>\s]*+")
_COMMA_BEFORE = re.compile(rf",\s{{0,{COMMA_GAP}}}\Z")
_COMMAS = re.compile(r"[,\s]*+")
_NAME = re.compile(rf'{_S}(?:\{{|"[^"\\\n]{{0,{DECLARED_NAME}}}"{_S}[,}}])')
_NAME_PART = re.compile(rf'{_S}(?:"[^"\\\n]{{0,{DECLARED_NAME}}}(?:"{_S})?)?')
_DOUBLED = re.compile(r"<\s?(?=<)")
_BRACKETS_AND_COMMAS = re.compile(r"[}\],\s]*+")


class Quote(Enum):
    """What a quote in a string is."""

    END = 0
    INNER = 1
    DOUBLED = 2  # the end, and the quote after it is surplus
    OPENS_KEY = 3  # the next key's; the string's own quote, before the comma, was lost


@dataclass(slots=True)
class OpenString:
    """The string that is the value of this key. `brackets`: how many have to follow its end. `is_key`:
    whether a word is a parameter that was not given yet. `declares`: whether the tool has a parameter of
    this name. `is_slipped`: whether a misspelt tag is at an index. `mended`: a quote in it was repaired.
    `doubled`: it begins with two quotes."""

    key: str
    brackets: int
    is_key: Callable[[str], bool]
    declares: Callable[[str], bool]
    tags: Tags
    is_slipped: Callable[[str, int, bool], bool | Wait]
    fence: str = ""  # the end of a fence around the call
    quote: str = ""  # the quote of another language that it began with, and may end with
    doubled: bool = False
    mended: bool = False
    inner: int = 0  # how many quotes in it were escaped by us
    escaped: int = 0  # how many came with their backslash
    lost: bool = False  # its last quote is missing, or is another mark
    odd: dict[str, int] = field(default_factory=dict)  # how often each other kind of quote occurs in it
    head: str | None = ""  # its beginning, while that may be a path; None once that is decided
    bare: bool = False  # it is a path whose backslashes are no escapes
    opened: int = 0  # envelopes that are open in it
    counted: list[tuple[int, int]] = field(default_factory=list)  # the same before tags in the last piece
    complete: bool = False  # the message is over, and was not cut off
    looked: int = 0  # characters of text after the brackets that were searched for tags
    closer: str = ""  # a tag that closed it instead of a quote
    pieces: list[str] = field(default_factory=list)  # the string so far, if it has to be complete first

    def may_be_fence(self, char: str) -> bool:
        """Whether the end of a fence around the call may begin with this character."""
        return self.fence != "" and self.fence.startswith(char)


def is_enough(text: str, at: int, over: bool) -> bool:
    """Whether so much comes after `at` that more text tells nothing about a quote or bracket there."""
    return over or len(text) - at > AFTER_QUOTE


def judge(string: OpenString, text: str, start: int, at: int, over: bool) -> Quote | Wait:
    """What the quote at `at` is. The text of the string is available from `start` on."""
    after = end_of(JSON_WHITESPACE, text, at + 1)
    if after == len(text):
        return Quote.END if over else MORE
    if text[after] == '"':
        found = _after_quote(string, text, at, after, over)
    elif string.may_be_fence(text[after]):
        found = _before_fence(string, text, after, over)
    else:
        judge_by = _before_comment if text[after] in COMMENT_MARKS else _BY_MARK.get(text[after])
        found = judge_by(string, text, after, over) if judge_by else Quote.INNER
    return _opens_key(string, text, start, at, over) if found is Quote.INNER else found


def _end_if(says: bool | Wait) -> Quote | Wait:
    """END if something says so, INNER if not."""
    return decided(says, Quote.END, Quote.INNER)


def comma_before(text: str, start: int, at: int) -> int:
    """The index of the comma before `at`, with nothing but whitespace between; -1 if there is none."""
    found = _COMMA_BEFORE.search(text, max(start, at - COMMA_GAP - 1), at)
    return found.start() if found else -1


def _opens_key(string: OpenString, text: str, start: int, at: int, over: bool) -> Quote | Wait:
    """Whether the quote belongs to the next key, because a comma comes before it."""
    key = read_key(text, at) if comma_before(text, start, at) >= 0 else None
    if key is MORE:
        return Quote.INNER if over else MORE
    is_key = isinstance(key, Key) and not key.damaged and string.is_key(key.name)
    return Quote.OPENS_KEY if is_key else Quote.INNER


def _after_comma(string: OpenString, text: str, comma: int, over: bool) -> Quote | Wait:
    at = after_comment(text, end_of(_COMMAS, text, comma), over)
    if at is MORE or at == len(text):
        return Quote.END if over else MORE
    if text[at] == "}":
        return _after_brackets(string, text, at, over)
    if text[at] == "<":
        return before_tag(string, text, at, over)
    return _before_key(string, text, at, over)


def _before_key(
    string: OpenString, text: str, at: int, over: bool, beside: Collection[str] = ()
) -> Quote | Wait:
    """END if a key follows. If it or the string is damaged, it has to be a parameter that was not given
    yet, or one of the keys `beside` the arguments."""
    key = read_key(text, at)
    if key is MORE:
        return _end_if(not string.mended) if over else MORE
    if not isinstance(key, Key) or (key.loose and string.mended):
        return Quote.INNER
    is_sure = not (key.damaged or string.mended)
    return _end_if(is_sure or key.name in beside or string.is_key(key.name))


def _after_brackets(string: OpenString, text: str, at: int, over: bool) -> Quote | Wait:
    end = end_of(_BRACKETS, text, at)
    if end == len(text):
        return Quote.END if over else MORE
    if string.looked:  # it is text, or the rest of the string
        return _before_text(string, text, end, over)
    is_all = text.count("}", at, end) >= string.brackets
    if says := is_all and not string.mended and _may_follow_call(string, text, end, over):
        return _end_if(says)
    found = _before_fence(string, text, end, over) if string.may_be_fence(text[end]) else Quote.INNER
    return _at_mark_or_text(string, text, at, end, is_all, over) if found is Quote.INNER else found


def _may_follow_call(string: OpenString, text: str, at: int, over: bool) -> bool | Wait:
    """Whether what is at `at` may follow the last bracket of a call: anything, but not directly after it."""
    return text[at] in "{[" or text[at - 1].isspace() or string.is_slipped(text, at, over)


def _at_mark_or_text(
    string: OpenString, text: str, at: int, end: int, is_all: bool, over: bool
) -> Quote | Wait:
    """What the mark or the text at `end` says, after brackets from `at` on."""
    found = _before_end(string, text, end, is_all, over) if is_mark(text, end) else Quote.INNER
    if found is Quote.INNER:
        found = _before_mark(string, text, at, end, is_all, over)
    may_end = is_all and not (string.mended or string.opened)
    return _before_text(string, text, end, over) if may_end and found is Quote.INNER else found


def _before_mark(string: OpenString, text: str, at: int, end: int, is_all: bool, over: bool) -> Quote | Wait:
    """What the mark at `end` says, after brackets from `at` on."""
    match text[end]:
        case "<":
            return _before_bracket(string, text, end, is_all, over)
        case ",":
            return _before_member(string, text, end, over)
        case ")" if is_all and not (string.mended and string.inner % 2):
            return Quote.END
        case ")" | ">":
            return _before_closers(string, text, at, over)
        case "{":
            return _before_double(string, text, end, over)
    return Quote.INNER


def _before_bracket(string: OpenString, text: str, at: int, is_all: bool, over: bool) -> Quote | Wait:
    """A bracket after others: END if a tag of a call begins there; one whose bracket is doubled, too, if the
    call is sure to be complete."""
    if string.mended and string.opened and string.tags.match(text, at):  # or the example in it does
        return _end_if(closes_call(string.tags, text, at, string.brackets, over, string.complete, True))
    if string.mended and not is_all:
        return _before_bare_tag(string, text, at, over, far=True)
    doubled = _DOUBLED.match(text, at) if is_all and not string.mended else None
    return before_tag(string, text, doubled.end() if doubled else at, over)


def _before_text(string: OpenString, text: str, at: int, over: bool) -> Quote | Wait:
    """Text directly after the last bracket of the call, or the rest of the string."""
    found = is_text(string.tags, text, at, string.looked, over and string.complete)
    string.looked = looked_at(string.tags, text, at + string.looked) - at if found is MORE else 0
    return Quote.INNER if found is MORE and over else _end_if(found)


def _before_fence(string: OpenString, text: str, at: int, over: bool) -> Quote | Wait:
    """The end of a fence around the call, if nothing but a tag may follow it."""
    end = end_of(JSON_WHITESPACE, text, at + len(string.fence))
    if not text.startswith(string.fence[: len(text) - at], at):
        return Quote.INNER
    if end >= len(text):
        return Quote.END if over else MORE
    return before_tag(string, text, end, over) if text[end] == "<" else Quote.INNER


def _before_closers(string: OpenString, text: str, at: int, over: bool) -> Quote | Wait:
    """Closing brackets, one of them of another kind."""
    closes = closes_all(text, at, string.brackets, over)
    return MORE if closes is MORE else _end_if(closes and not string.mended)


def closes_all(text: str, at: int, brackets: int, over: bool) -> bool | Wait:
    """Whether exactly as many closing brackets as needed are at `at`, of any kind, before a tag or the
    end."""
    end = end_of(_BRACKETS_OF_ALL_KINDS, text, at)
    if text[end:] in ("", "<") and not over:
        return MORE
    closers = "".join(text[at:end].split())
    of_tag = len(closers) == brackets + 1 and closers[-1] == ">"  # that of the tag before the JSON
    is_end = end == len(text) or text.startswith("</", end) or (of_tag and text[end - 1].isspace())
    return is_end and (of_tag or len(closers) == brackets)


def goes_on(text: str, at: int, in_array: bool, over: bool, complete: bool) -> bool | Wait:
    """Whether more of a call may follow the closing brackets at `at`. After a comma that is only so if
    the call is not in an array. `complete`: the message is complete if it is `over`."""
    end = min(end_of(_BRACKETS_AND_COMMAS, text, at), at + AFTER_QUOTE)
    if end == len(text):
        return MORE if not over else not (complete or in_array)
    return text[end] in '":' or ("," in text[at:end] and not in_array)


def _before_double(string: OpenString, text: str, bracket: int, over: bool) -> Quote | Wait:
    """A bracket. END if the arguments begin once more, or another call begins."""
    return _before_exact(string, text, bracket, over, lambda key: key in CALL_KEYS or string.declares(key))


def _before_free(string: OpenString, text: str, mark: int, over: bool) -> Quote | Wait:
    """A mark that stands for a comma. END if the key of a parameter follows that was not given yet."""
    return _before_exact(string, text, mark, over, string.is_key)


def _before_exact(
    string: OpenString, text: str, mark: int, over: bool, is_key: Callable[[str], bool]
) -> Quote | Wait:
    """A mark. END if such a key follows, and nothing else in the string is damaged."""
    at = end_of(JSON_WHITESPACE, text, mark + 1)
    key = MORE if at == len(text) else read_key(text, at)
    if key is MORE:
        return Quote.INNER if over else MORE
    return _end_if(isinstance(key, Key) and not (key.damaged or string.mended) and is_key(key.name))


def _before_member(string: OpenString, text: str, comma: int, over: bool) -> Quote | Wait:
    """A comma after brackets: a member after the arguments may follow, or the next call of an array."""
    at = end_of(_COMMAS, text, comma)
    if at == len(text):
        return Quote.END if over else MORE
    if text[at] == "}" or (text[at] == "{" and not string.mended):
        return Quote.END
    return _before_key(string, text, at, over, BESIDE)


def _before_end(string: OpenString, text: str, mark: int, is_all: bool, over: bool) -> Quote | Wait:
    """A mark after brackets that belongs to nothing. END if another call follows, or the end of all."""
    at = after_marks(text, mark)
    if at == len(text) and not over:
        return MORE
    marks, opens = "".join(text[mark:at].split()), text.startswith("{", at)
    is_inch = string.inner == 1 and is_all and opens  # `5" wide"}}, {"name": …`
    if not is_inch and not _are_surplus(string, marks, is_all):
        return Quote.INNER
    if at == len(text):
        return _end_if(is_all and string.complete)
    return _before_call(text, at, over) if opens else _before_last(string, text, at, is_all, over)


def _are_surplus(string: OpenString, marks: str, is_all: bool) -> bool:
    """Whether marks after brackets may belong to nothing, and not to the string."""
    if string.mended and (string.inner % 2 or not is_all or '"' in marks):
        return False
    return is_all or marks.strip("]") == ","


def _before_call(text: str, bracket: int, over: bool) -> Quote | Wait:
    """A bracket. END if another call begins: its first member is a name, or an object."""
    at = end_of(JSON_WHITESPACE, text, bracket + 1)
    key = MORE if at == len(text) else read_key(text, at)
    if isinstance(key, Key) and not key.damaged and key.name in CALL_KEYS:
        if _NAME.match(text, key.end):
            return Quote.END
        key = MORE if _NAME_PART.fullmatch(text, key.end) else None
    return MORE if key is MORE and not over else Quote.INNER


def _before_last(string: OpenString, text: str, at: int, is_all: bool, over: bool) -> Quote | Wait:
    """What is after a mark that belongs to nothing. END if it is a tag that ends the call, and the string
    has not opened what it closes."""
    is_sure = is_all and not string.mended
    if string.opened:
        return Quote.INNER
    if slipped := is_sure and string.is_slipped(text, at, over):
        return _end_if(slipped)
    if is_all and string.may_be_fence(text[at]):
        return _before_fence(string, text, at, over)
    return _end_if(_closes_call(string, text, at, is_sure, over))


def _closes_call(string: OpenString, text: str, at: int, is_sure: bool, over: bool) -> bool | Wait:
    """Whether a tag at `at` ends the call; if all else `is_sure`, a closing tag of any name."""
    tag = string.tags.read(text, at, over)
    if tag is None and not (is_sure and text.startswith("</", at)):
        return False
    return MORE if tag is MORE else closes_call(string.tags, text, at, string.brackets, over, string.complete)


def _before_comment(string: OpenString, text: str, at: int, over: bool) -> Quote | Wait:
    """A mark with which a comment may begin. What stands after that tells."""
    after = after_comment(text, at, over)
    if after is MORE or after == len(text):
        return Quote.INNER if over else MORE
    return _before_comma_or_bracket(string, text, after, over)


def _after_quote(string: OpenString, text: str, at: int, after: int, over: bool) -> Quote | Wait:
    """Two quotes: a comma between them was lost, or one is surplus."""
    key = read_key(text, after)
    if key is MORE and not over:
        return MORE
    if isinstance(key, Key) and not key.damaged:
        return _end_if(string.is_key(key.name))
    if after != at + 1 or string.mended:
        return Quote.INNER
    found = _before_comma_or_bracket(string, text, end_of(JSON_WHITESPACE, text, after + 1), over)
    if found is Quote.END and string.escaped % 2 == 0:  # else it is the partner of a quote in the string
        return Quote.DOUBLED
    return MORE if found is MORE else Quote.INNER


def _before_comma_or_bracket(string: OpenString, text: str, at: int, over: bool) -> Quote | Wait:
    """What a comma or a closing bracket says. END if the text is over there, INNER before anything else."""
    if at == len(text):
        return Quote.END if over else MORE
    return _BY_MARK[text[at]](string, text, at, over) if text[at] in ",}" else Quote.INNER


def before_tag(string: OpenString, text: str, at: int, over: bool) -> Quote | Wait:
    """A bracket. END if a tag of a call begins there."""
    if string.tags.match(text, at):
        return Quote.END
    if string.tags.may_begin(text, at):
        return Quote.END if over else MORE
    return Quote.INNER if string.mended or not text.startswith("</", at) else Quote.END


def _before_bare_tag(string: OpenString, text: str, at: int, over: bool, far: bool = False) -> Quote | Wait:
    """A bracket, without the brackets that close the call before it. END if tags that end the call begin
    there, or on another line the next call does. `far`: the text after them tells, too."""
    found = before_tag(string, text, at, over)
    if found is not Quote.END or (over and string.tags.may_begin(text, at)):
        return found
    if _opens_at_quote(string, text, at):
        return Quote.INNER
    if in_line := goes_on_in_line(string.tags, text, at, over):
        return MORE if in_line is MORE else Quote.INNER
    if string.mended and not far:  # not with each of many quotes
        return _end_if(is_last(string.tags, text, at, over))
    return _end_if(closes_call(string.tags, text, at, string.brackets, over, string.complete))


def _opens_at_quote(string: OpenString, text: str, at: int) -> bool:
    """Whether a tag at `at` opens a call directly after a quote, where only a closing tag may stand."""
    tag = string.tags.match(text, at)
    return tag is not None and tag.opens_call and text[at - 1] == '"'


_BY_MARK = {
    ",": _after_comma,
    "}": _after_brackets,
    "<": _before_bare_tag,
    "{": _before_double,
    **dict.fromkeys(":;.=", _before_free),
    **dict.fromkeys(")]>", _before_closers),
}
