r"""Mends the arguments of a call that the server parsed, while they stream.

They should be one JSON object, which `ObjectMender` reads. `Mender` recognises by their first characters
what they are instead: XML, which the parser for text reads; JSON in a string, which is decoded first; an
object without its first bracket or with something before it; or something unreadable, which waits for its
end.
"""

import re

from ..grammar.text import end_of
from ..limits import ENCODED, FENCE_INFO, LOOK_AHEAD, NAME, TOKEN
from ..repairs import Repair
from ..schema.call_shape import ARGUMENT_KEYS, NAME_KEYS
from ..schema.json_read import loads
from ..schema.json_write import quoted
from ..schema.schema import Tool
from ..schema.wrapped import is_object, may_wrap, may_wrap_object
from .forms import Begun, EncodedMender, Unreadable, XmlMender
from .object_mender import ObjectMender
from .reader import ArgumentsReader, Findings, NewParser
from .tags import lead_of, may_lead
from .wrapped import WrappedMender

_GAP = rf"(?:[ \t]|\\[nrt]){{0,{LOOK_AHEAD}}}"
_DEEPER = rf'(?:\\{{1,7}}"){{0,{ENCODED}}}'  # a string in a string
_ENCODED = re.compile(rf'"{_DEEPER}{_GAP}(?:\{{{_GAP}(?:[^"\\ \t]|\\[^nrt])|<|\\u003[cC])')
_ENCODED_PART = re.compile(rf'"{_DEEPER}{_GAP}(?:\\{{1,7}}|\\(?:u(?:0(?:03?)?)?)?|\{{{_GAP}\\?)?')
_KEY = re.compile(r'("[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+")[ \t\n\r]*+:')
_KEY_PART = re.compile(r'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+(?:\\|"[ \t\n\r]*+)?')
_FIRST_KEY = re.compile(r'\{[ \t\n\r]*+("[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+")')
_BEFORE_VALUE = ": \t\n\r"
_FIRST_KEY_PART = re.compile(r'\{[ \t\n\r]*+(?:"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+\\?)?')
# What may stand before an object and says nothing, if its words are those of `_says_nothing`; and what may
# become such
_WORD = rf"[^\W\d][\w.-]{{0,{NAME}}}+"
_JUNK = re.compile(
    rf"(?:[\s\ufeff(\[]|`{{3}}\w{{0,{FENCE_INFO}}}\s|</\w{{1,{NAME}}}>"
    rf"|{_WORD}[ \t]*+(?:[:=(]|(?=[\s{{]))|(?!))*+"
)
_WORDS = re.compile(rf"(?<![`/\w.-]){_WORD}")
_JUNK_PART = re.compile(rf"`{{1,2}}|`{{3}}\w{{0,{FENCE_INFO}}}|{_WORD}[ \t]*|<|</\w{{0,{NAME}}}|")


class Mender:
    """Mends one call's arguments. `new_parser` makes the parsers for calls that are text; `may_be_empty`: the
    call needs none; `nested`: they stand in so many strings of others."""

    def __init__(
        self, tool: Tool, new_parser: NewParser, findings: Findings, may_be_empty: bool, nested: int = 0
    ) -> None:
        self._tool, self._new_parser, self._findings = tool, new_parser, findings
        self._may_be_empty, self._nested = may_be_empty, nested
        self._lead = ""  # the beginning, until it is clear what the arguments are
        self._form: ArgumentsReader | None = None
        self._received: list[str] = []
        self._fed = 0  # characters of that
        self._cumulative = False  # each delta repeats all before it

    @property
    def pending(self) -> str:
        return self._lead + (self._form.pending if self._form else "")

    @property
    def held(self) -> int:
        return len(self._lead) + (self._form.held if self._form else 0)

    def feed(self, text: str) -> str:
        if self._fed and len(text) >= self._fed:
            text = self._new_part(text)
        self._fed += len(text)
        self._received.append(text)
        return self._form.feed(text) if self._form else self._begin(text)

    def _new_part(self, text: str) -> str:
        """A delta without its beginning, if that repeats everything before it (cumulative snapshots)."""
        before = "".join(self._received)
        awaits_value = isinstance(self._form, ObjectMender | WrappedMender) and self._form.awaits_value
        may_repeat = text[0] == "{" and len(text) > len(before) and not awaits_value
        if not (self._cumulative or may_repeat) or not text.startswith(before):
            return text
        self._cumulative = True
        self._findings.count(Repair.REPEATED_ARGUMENTS)
        return text[len(before) :]

    def _begin(self, text: str) -> str:
        """Find out what the arguments are, if that is clear yet. Whitespace before them passes."""
        self._lead += text
        bare = self._lead.lstrip(" \t\n\r")
        space = self._lead[: len(self._lead) - len(bare)]
        self._form = self._form_of(bare) if bare else None
        out = space + (self._form.feed(bare) if self._form else "")
        self._lead = "" if self._form else bare
        return out

    def _form_of(self, text: str) -> ArgumentsReader | None:
        """The reader for arguments that begin like this; None if more text is needed."""
        if text[0] == "{":
            return self._opened(text)
        if text[0] == '"':
            return self._quoted(text)
        if lead := lead_of(text, self._tool):
            return XmlMender(lead, self._tool, self._new_parser, self._findings)
        at = end_of(_JUNK, text)
        if text[at : at + 1] == "{" and all(map(self._says_nothing, _WORDS.findall(text, 0, at))):
            return self._after_junk(text, at)
        may_go_on = len(text) < TOKEN and (may_lead(text, self._tool) or _JUNK_PART.fullmatch(text, at))
        return None if may_go_on else self._unreadable()

    def _says_nothing(self, word: str) -> bool:
        """Whether a word before the object only says that arguments follow, or of which tool."""
        names = word in ARGUMENT_KEYS and not self._tool.declares(word)
        return names or word in ("json", self._tool.name)

    def _after_junk(self, text: str, at: int) -> ArgumentsReader | None:
        """An object with meaningless text before it."""
        inner = self._opened(text[at:])
        if inner is None:
            return None
        self._findings.count(Repair.JSON_REPAIRED)
        return Begun(inner, skipped=at)

    def _unreadable(self) -> Unreadable:
        return Unreadable(self._tool, self._findings, self._may_be_empty)

    def _object(self) -> ObjectMender:
        return ObjectMender(self._tool, self._new_parser, self._findings)

    def _opened(self, text: str) -> ArgumentsReader | None:
        """An object; its first key tells whether it is wrapped in another one."""
        if _FIRST_KEY_PART.fullmatch(text) and len(text) < TOKEN:
            return None
        found = _FIRST_KEY.match(text)
        if found is None:
            return self._object()
        wraps = self._wraps(str(loads(found[1])), text[found.end() :].lstrip(_BEFORE_VALUE))
        if wraps is None:
            return None
        return WrappedMender(self._object(), self._tool, self._findings) if wraps else self._object()

    def _wraps(self, key: str, value: str) -> bool | None:
        """Whether an object may be one around the arguments, by its first key and the beginning of its value;
        None if more has to come."""
        if may_wrap(key, self._tool) or is_object(key):
            return True
        if may_wrap_object(key, self._tool) and value[:1] in ("", "{"):
            return True if value else None
        name = quoted(self._tool.name)
        if key in NAME_KEYS and value != name and name.startswith(value):
            return None
        return key in NAME_KEYS and value.startswith(name)

    def _quoted(self, text: str) -> ArgumentsReader | None:
        """A JSON string of the object, one level too much; or a key whose bracket is missing."""
        if self._nested < ENCODED and _ENCODED.match(text):
            deeper = self._nested + 1
            inner = Mender(self._tool, self._new_parser, self._findings, self._may_be_empty, deeper)
            return EncodedMender(inner, self._tool, self._new_parser, self._findings)
        if (key := _KEY.match(text)) and self._tool.declares(str(loads(key[1]))):
            self._findings.count(Repair.JSON_REPAIRED)
            return Begun(self._object(), opener="{")
        may_be_key = _KEY_PART.fullmatch(text) and len(text) < TOKEN
        may_be_encoded = self._nested < ENCODED and _ENCODED_PART.fullmatch(text)
        return None if may_be_key or may_be_encoded else self._unreadable()

    def close(self, stopped: bool) -> str:
        if self._form is None and self._lead:
            text, self._lead = self._lead, ""
            self._form = self._object() if text[0] == "{" else self._unreadable()
            return self._form.feed(text) + self._form.close(stopped)
        if self._form:
            return self._form.close(stopped)
        if not stopped:
            return ""
        self._findings.count(Repair.CALL_SHAPE)
        self._findings.set_complete()
        return "{}"
