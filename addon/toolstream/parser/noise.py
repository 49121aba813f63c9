"""What says nothing between the opening tag of an envelope and the call in it: characters that nobody sees, a
</think> that closes nothing, the name of the function alone, or special tokens of the model.
"""

from __future__ import annotations

import re

from ..grammar.kinds import MORE, Wait, decided
from ..grammar.text import breaks_line, read_literal, skip_whitespace
from ..limits import DECLARED_NAME
from ..schema.toolset import Toolset

_FUNCTION, _THOUGHT = "<function=", "</think>"
_UNSEEN = "[\\u200b-\\u200f\\u2060\\ufeff]{1,8}+"
_NOISE = re.compile(rf"{_UNSEEN}|{_THOUGHT}|(?P<name>[\w.:-]{{1,{DECLARED_NAME}}}+)")
# Special tokens, none of a call, with the role that may follow the beginning of a turn
_ROLE, _BAR = "assistant", "[|\\uff5c]"
_TOKEN = rf"<{_BAR}(?!tool)[a-z▁_]{{1,24}}{_BAR}>(?:{_ROLE}(?!\w))?[ \t\r\n]{{0,8}}+"
_TOKENS = re.compile(rf"(?:{_TOKEN}){{1,4}}")
_HALF = rf"<(?:{_BAR}[a-z▁_]{{0,24}}{_BAR}?)?"
# A role may only follow a token: what stands before the first one may be gone from the buffer
_TOKENS_PART = re.compile(
    rf"(?:{_TOKEN}){{0,4}}(?:{_HALF})?|(?:{_TOKEN}){{1,4}}(?<=>)[a-z]{{1,{len(_ROLE)}}}"
)


def end_of_noise(text: str, at: int, over: bool, toolset: Toolset, thinking: bool) -> int | Wait:
    """The end of what says nothing at `at`, if the function's tag follows; `at` itself if there is nothing.
    `thinking`: a </think> closes something."""
    found = _NOISE.match(text, at)
    if found is None or (found[0] == _THOUGHT and thinking):
        partial = read_literal(text, at, _THOUGHT, over)
        return MORE if partial is MORE else at
    follows = _function_follows(text, found.end(), over, toolset, found["name"] or "")
    return decided(follows, found.end(), at)


def end_of_tokens(text: str, at: int, over: bool) -> int | Wait:
    """The end of special tokens, and of whitespace after them; `at` itself if there are none."""
    if not over and _TOKENS_PART.fullmatch(text, at):
        return MORE
    found = _TOKENS.match(text, at)
    end = skip_whitespace(text, found.end()) if found else at
    return MORE if found and end == len(text) and not over else end


def is_function(text: str, at: int, over: bool) -> bool | Wait:
    """Whether a function's tag is at `at`."""
    return read_literal(text, at, _FUNCTION, over)


def _function_follows(text: str, at: int, over: bool, toolset: Toolset, name: str) -> bool | Wait:
    """Whether a function's tag follows; after a `name`, directly or on another line, the tag of that
    function."""
    ahead = skip_whitespace(text, at)
    if not name:
        return is_function(text, ahead, over)
    if ahead > at and not breaks_line(text, at):
        return False  # prose
    follows = read_literal(text, ahead, f"{_FUNCTION}{name}>", over)
    if follows is MORE:
        return any(tool.startswith(name) for tool in toolset.tools) and MORE
    return follows and toolset.find(name, False) is not None
