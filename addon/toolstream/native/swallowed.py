"""What a server's parser has swallowed into the arguments of a call.

It took a parameter's closing tag for payload, and everything after it: further parameters of the call,
and further calls. `ValueWatch` recognises where that may have happened while the value streams, and holds
the text from there on. `split_value` reads it.
"""

from collections.abc import Collection

from ..grammar.text import end_of
from ..schema.escapes import ESCAPE
from ..schema.json_read import Json, loads
from ..schema.schema import Tool
from .in_arguments import calls_in
from .reader import Calls, NewParser
from .tags import QWEN, Lead, in_strings, leads_to, outer_words

Split = tuple[Json, Calls]  # parameters, calls


class ValueWatch:
    """Watches one string after another, as they are written in JSON. What may be the end of a parameter
    waits. After an opening tag in the string, closing tags belong to it."""

    def __init__(self) -> None:
        self._held: list[str] = []
        self.held = 0
        self.swallows = False  # a closing tag was found, and a tag after it, so the rest of the string waits
        self.has_tags = False  # this string contains tags of a call
        self._key = ""  # the key of the string
        self._open = 0  # parameters that it has opened: their closing tags are payload
        self._opens = False  # it has opened a function, an envelope or an element named after the parameter

    @property
    def waiting(self) -> str:
        """The text that waits."""
        return "".join(self._held)

    def begin(self, key: str) -> None:
        """Another string begins, the value of this parameter."""
        self.drop()
        self._key, self.has_tags = key, False
        self._open, self._opens = 0, False

    def drop(self) -> None:
        """Nothing waits any more."""
        self._held, self.held, self.swallows = [], 0, False

    def hold(self, text: str) -> None:
        """Let text wait with the rest."""
        self._held.append(text)
        self.held += len(text)

    def feed(self, letters: str) -> str:
        """Take letters of the string, with no escape cut in two; return what can pass."""
        if self.swallows:
            self.hold(letters)
            return ""
        text = self.waiting + letters
        at = self._end_of_payload(text)
        self._held, self.held = ([text[at:]], len(text) - at) if at < len(text) else ([], 0)
        return text[:at]

    def _end_of_payload(self, text: str) -> int:
        """The index where what may be a closing tag begins."""
        tags, at = in_strings(), 0
        while (at := end_of(tags.clean, text, at)) < len(text):
            tag = tags.tag.match(text, at)
            if tag is None:
                if tags.part.fullmatch(text, at) or self._may_close(text, at):
                    break
                at = max(at + 1, end_of(ESCAPE, text, at))
                continue
            self.has_tags = True
            if tag["opener"] or self._open:
                self._open += 1 if tag["opener"] else -1
                at = tag.end()
            elif tags.part.fullmatch(text, at) or self._is_closer(text, at):
                break
            else:
                at = tag.end()
        return at

    def _may_close(self, text: str, at: int) -> bool:
        """Whether a tag that closes a function or an envelope, or is named after the parameter, begins a
        run of closing tags or comes before another tag of a call."""
        tags = in_strings()
        tag = tags.word.match(text, at)
        if tag is None:
            return False
        word, outer = tag["word"], outer_words()
        if tag.end() == len(text):
            return any(known.startswith(word) for known in (self._key, *outer))
        if word != self._key and word not in outer:
            return False
        self.has_tags = True
        self._opens = self._opens or not tag["slash"]
        return not self._opens and self._closes(text, at, word)

    def _closes(self, text: str, at: int, word: str) -> bool:
        """Whether a closing tag with this word comes before another tag of a call, or begins a run."""
        tags = in_strings()
        closing = tags.closing.match(text, at)
        if closing and word == self._key and not self._open:
            self.swallows = tags.tag.match(text, closing.end()) is not None
            if self.swallows or tags.part.fullmatch(text, closing.end()):
                return True
        return tags.run_part.fullmatch(text, at) is not None

    def _is_closer(self, text: str, at: int) -> bool:
        self.swallows = in_strings().closer_and_tag.match(text, at) is not None
        return self.swallows

    @property
    def is_closed(self) -> bool:
        """Whether the text that waits at the end of the string begins with a closing tag."""
        return self.swallows or (self.held > 0 and in_strings().closer.fullmatch(self.waiting) is not None)


def split_value(
    tail: str, key: str, tool: Tool, given: Collection[str], new_parser: NewParser
) -> Split | None:
    """What the end of a value of the parameter `key` contains, from its closing tag on: the further
    parameters of this call, besides those that are `given`, and the calls after it. None if it is
    anything else."""
    if tail.lstrip().startswith(own := f"</{key}>"):
        tail = tail.replace(own, QWEN.parameter_close[0], 1)
    for lead in leads_to(tail, key, tool):
        if split := _split(tail, lead, key, tool, given, new_parser):
            return split
    return None


def _split(
    tail: str, lead: Lead, key: str, tool: Tool, given: Collection[str], new_parser: NewParser
) -> Split | None:
    calls = calls_in(lead.head + tail, new_parser, tool, lead.recovery)
    first = loads(calls[0][1]) if calls and calls[0][0] == tool.name else None
    if not isinstance(first, dict) or first.pop(key, None) != "":
        return None
    if any(name in given for name in first) or not all(map(tool.declares, first)):
        return None
    return (first, calls[1:]) if first or calls[1:] else None
