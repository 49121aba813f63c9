"""One slip in a call that was right, and every outcome that is legal for it.

A *reading* says which arguments a text can be taken to mean and what of it is left as text.
The slip that was made is one reading; where the damaged text is just as well, or better, read
in another way, that reading is legal, too: `<parameter=b>` dropped between two values leaves a
first value that holds a quoted `</parameter>`, and not a single tag is wrong in that. What is no
reading is never legal: half a value, a value that took in the closing tags of its call and the
prose behind, a call without the arguments that were written, text that is gone.

Where a closing tag has text behind it that may not follow it, there is no telling whether it was the
end of the value or is quoted in it. A value that then never ends is *unclear*: the call is never
complete, and all there is from its opening tag on is text, further calls included; for a client that
has seen it stream, it stays open, with that text in its value. If the message ends with the closing
tags of a further call, those are the end (P4): the value *runs on* up to there.

`slips` counts what has to be mended. The strict level mends nothing, so there a reading with
slips is no excuse: the call stays text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from fuzz.calls import Arguments, Call, Piece, Style, Tool, prose, text_of, write, written

TEXT = None  # for the arguments of a reading: it is no call


@dataclass(frozen=True, slots=True)
class Reading:
    """The arguments, None if it is no call; and what stays as text, blanks aside."""

    arguments: Arguments | None
    left: str = ""
    slips: int = 1
    before: tuple[Arguments, ...] = ()  # further calls of the same tool
    swallowed: bool = False  # it is no call, and no text either but for what is left
    unclear: bool = False  # it is no call, and all that follows is text, too
    runs_on: str = ""  # the parameter whose value holds all that follows, but for the last closing tags
    exact: bool = True  # every blank of the text around it counts

    @property
    def is_text(self) -> bool:
        """Whether all of it stays text."""
        return self.arguments is None and not self.swallowed

    def calls(self, name: str) -> list[tuple[str, Arguments]]:
        """The calls of this reading, for a call of that name."""
        given = [*self.before, *([] if self.arguments is None else [self.arguments])]
        return [(name, arguments) for arguments in given]


@dataclass(frozen=True, slots=True)
class Damaged:
    """A call with one slip."""

    name: str
    text: str
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """A tag of a call that is written: where it stands, and all that the readings need to know."""

    call: Call
    style: Style
    pieces: Sequence[Piece]
    at: int
    tools: Sequence[Tool]

    @property
    def tag(self) -> Piece:
        return self.pieces[self.at]

    @property
    def keys(self) -> list[str]:
        return list(self.call.arguments)

    @property
    def place(self) -> int:
        """Which parameter of the call it belongs to, counted from 0."""
        return self.keys.index(self.tag.key)

    @property
    def before(self) -> str:
        """The key of the parameter before, "" for the first."""
        return self.keys[self.place - 1] if self.place else ""

    def raw(self, key: str) -> str:
        """A value as it is written."""
        return written(self.call.arguments[key], self.style.python)

    def whole(self, left: str = "", slips: int = 1) -> Reading:
        """All the arguments there were."""
        return Reading(self.call.arguments, left, slips)

    def but(self, left: str = "", slips: int = 1, drop: str = "", **other: Any) -> Reading:
        """The arguments without one of them, and with another value for some."""
        arguments = {key: value for key, value in (self.call.arguments | other).items() if key != drop}
        return Reading(arguments, left, slips)

    def last(self, key: str, left: str = "") -> Reading:
        """All the arguments; one that has no tag is known to be one when the others have come."""
        others = {k: v for k, v in self.call.arguments.items() if k != key}
        return Reading(others | {key: self.raw(key)}, left)

    @property
    def text(self) -> Reading:
        return Reading(TEXT)

    @property
    def unclear(self) -> list[Reading]:
        """Of a last value whose closing tag is wrong: a lone `</function>` with text behind it is quoted."""
        last = self.keys[-1:] == [self.tag.key]
        return self.without_end if last and not self.style.wrapped else []

    @property
    def without_end(self) -> list[Reading]:
        """Of a call whose last value may not have ended."""
        key = self.keys[-1]
        run_on = self.but(**{key: self.raw(key)})
        return [Reading(TEXT, unclear=True), replace(run_on, runs_on=key)]

    @property
    def unread(self) -> list[Reading]:
        """Of a call in which a text is closed as a parameter: it must not run as another call, if the tool
        has one that was not given."""
        return [self.text] if self.call.tool.keys - self.call.tool.required else []

    @property
    def is_bare(self) -> bool:
        """Whether it needs more than its name to be a call: it has no envelope, and no value."""
        return not (self.style.wrapped or self.keys)

    def damaged(self, slip: str, pieces: Sequence[Piece], *readings: Reading) -> Damaged:
        name = f"{slip} {self.tag.kind}"
        return Damaged(name, text_of(list(pieces)), readings)


def sites(call: Call, style: Style, tools: Sequence[Tool]) -> list[Site]:
    """Every tag of the call."""
    pieces = write(call, style)
    return [Site(call, style, pieces, i, tools) for i, piece in enumerate(pieces) if piece.is_tag]


# Dropping a tag, and the gap behind it


def drop(site: Site) -> Damaged:
    at, pieces = site.at, site.pieces
    rest = [*pieces[:at], *pieces[at + 2 :]] if at + 1 < len(pieces) else pieces[: at - 1]
    return site.damaged("drop", rest, *_dropped(site))


def _dropped(site: Site) -> list[Reading]:
    match site.tag.kind:
        case "wrap_open" | "wrap_close":
            return [site.whole(slips=0)]
        case "parameter_close":
            return [site.whole(), *site.unclear]
        case "call_close":
            return _unfinished(site, closed=site.style.wrapped)
        case "call_open":
            return _nameless(site)
    return [*_without_opener(site), *_as_arguments(site, site.tag.key)]


def _unfinished(site: Site, closed: bool) -> list[Reading]:
    """A call without its last tag, or with one that cannot be read: text behind it may be in it, unless
    `</tool_call>` closes it."""
    whole = [site.whole(), replace(site.whole(), exact=False)]
    unclear = site.without_end if site.keys and not closed else []
    return [*whole, *unclear, *([site.text] if site.is_bare else [])]


def _nameless(site: Site) -> list[Reading]:
    """The tool is certain if it is the only one that has these keys."""
    given = site.call.arguments.keys()
    fits = [tool for tool in site.tools if given <= tool.keys and tool.required <= given]
    if not given:
        return [site.text, Reading(TEXT, slips=0, swallowed=True)]
    return [site.whole(), site.text] if len(fits) == 1 else [site.text]


def _without_opener(site: Site) -> list[Reading]:
    """The value is text between parameters; or, behind another value, payload of that one."""
    key, outer = site.tag.key, site.style.outer
    as_text = site.but(site.raw(key), drop=key)
    if not site.before:
        start = text_of(site.pieces[: site.at]) + site.raw(key) + "</parameter>"
        return [site.whole(), site.last(key), as_text, site.but(start, drop=key), site.text]
    run_on = f"{site.raw(site.before)}{site.style.inner}</parameter>{outer}{site.raw(key)}"
    return [site.whole(), as_text, *site.unread, site.but(slips=0, drop=key, **{site.before: run_on})]


def _as_arguments(site: Site, key: str, left: str = "") -> Iterator[Reading]:
    """An object without its opening tag, and nothing else, may be the arguments in JSON."""
    value = site.call.arguments[key]
    if len(site.keys) == 1 and isinstance(value, dict) and value.keys() <= site.call.tool.keys:
        yield Reading(value, left)


# Doubling


def double(site: Site) -> Damaged:
    gap = site.style.inner if site.tag.kind == "parameter_open" else site.style.outer
    twice = [*site.pieces[: site.at], site.tag, Piece("gap", gap), *site.pieces[site.at :]]
    return site.damaged("double", twice, *_doubled(site))


def _doubled(site: Site) -> list[Reading]:
    tag = site.tag.text
    match site.tag.kind:
        case "wrap_open":
            return [site.whole(left, slips=0) for left in ("", tag)]
        case "wrap_close" | "call_close":
            return [site.whole(slips=0)]
        case "parameter_close":
            return [site.whole()]
        case "parameter_open":
            key = site.tag.key
            return [site.whole(), site.but(slips=0, **{key: tag + site.style.inner + site.raw(key)})]
    again = [] if site.call.tool.required else [replace(site.whole(), before=({},))]
    lefts = (tag, "<tool_call>" + tag)
    return [site.whole(), *(site.whole(left, slips=0) for left in lefts), site.text, *again]


# Two tags in the wrong order


def swap(site: Site) -> Damaged | None:
    """With the next tag; None if a value stands between."""
    at, pieces = site.at, list(site.pieces)
    if at + 2 >= len(pieces) or pieces[at + 1].kind != "gap" or not pieces[at + 2].is_tag:
        return None
    after = pieces[at + 2]
    pieces[at], pieces[at + 2] = after, site.tag
    return site.damaged("swap", pieces, *_swapped(site, after))


def _swapped(site: Site, after: Piece) -> list[Reading]:
    match site.tag.kind, after.kind:
        case "call_close", "wrap_close":
            return [site.whole()]
        case "parameter_close", "parameter_open":
            return [site.whole(), *_swallowing_closer(site, after), *site.unread]
        case "parameter_close", "call_close":
            key = site.tag.key
            run_on = site.but(**{key: site.raw(key) + site.style.inner + after.text})
            return [site.whole(), run_on, *site.unclear]
        case "call_open", "call_close":
            none = Reading(TEXT, site.tag.text, slips=0, swallowed=True)
            lefts = ("", "<tool_call>" + after.text, after.text)
            return [*(site.whole(left) for left in lefts), site.text, none]
        case "call_open", "parameter_open":
            return [site.whole(), site.text, *_late_name(site, after)]
    return [site.whole(), site.text]


def _late_name(site: Site, after: Piece) -> Iterator[Reading]:
    """`<function=…>` behind the tag of a parameter is what that holds; or the call begins there, and what
    stands before its next tag is text."""
    key = after.key
    yield site.but(**{key: site.tag.text + site.style.inner + site.raw(key)})
    yield site.but(after.text + site.raw(key), drop=key)
    yield site.but(after.text, **{key: site.raw(key)})
    yield site.last(key, after.text)
    yield from _as_arguments(site, key, after.text)


def _swallowing_closer(site: Site, after: Piece) -> list[Reading]:
    """`</parameter>` behind the next opening tag is the beginning of that value, if it does not close it."""
    inner, outer, key = site.style.inner, site.style.outer, after.key
    own = "</parameter>" + inner + site.raw(key)
    run_on = site.raw(site.tag.key) + inner + after.text + outer + own
    empty = [] if site.raw(key).strip() else [site.but(**{key: ""})]
    as_text = [site.but(site.raw(key), **{key: value}) for value in ("", None)]
    as_text.append(site.but(site.raw(key), drop=key))
    return [site.but(**{key: own}), site.but(drop=key, **{site.tag.key: run_on}), *empty, *as_text]


# Prose where there should be none


def interrupt(site: Site, words: str) -> Damaged | None:
    """Prose behind a tag; None behind the last tag, and where a value begins, which would be payload."""
    if site.tag.kind in ("wrap_close", "parameter_open") or site.at + 1 == len(site.pieces):
        return None
    gap = Piece("gap", site.style.outer)
    pieces = [*site.pieces[: site.at + 1], gap, Piece("prose", words), *site.pieces[site.at + 1 :]]
    return site.damaged("interrupt", pieces, *_interrupted(site, words))


def _interrupted(site: Site, words: str) -> list[Reading]:
    match site.tag.kind:
        case "wrap_open":
            return [site.text, *(site.whole(left, slips=0) for left in (words, site.tag.text + words))]
        case "call_open":
            return [site.whole(words), site.whole(site.tag.text + words), site.text]
        case "call_close":
            return [site.whole(left, slips=0) for left in (words, words + "</tool_call>")]
    key = site.tag.key
    run_on = f"{site.raw(key)}{site.style.inner}</parameter>{site.style.outer}{words}"
    return [site.whole(words), site.but(**{key: run_on}), *site.unclear]


@st.composite
def damaged(draw: st.DrawFn, call: Call, style: Style, tools: Sequence[Tool]) -> Damaged:
    """The call with one slip."""
    site = draw(st.sampled_from(sites(call, style, tools)))
    slip = draw(st.sampled_from(["drop", "double", "swap", "interrupt"]))
    match slip:
        case "double":
            return double(site)
        case "swap":
            return swap(site) or drop(site)
        case "interrupt":
            return interrupt(site, draw(prose())) or drop(site)
    return drop(site)
