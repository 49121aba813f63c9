"""The tags of a document that is the value of a parameter: what it has opened, it closes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..grammar.likeness import DOCUMENT, STRUCTURAL, squeeze
from ..grammar.tokens import Token
from ..limits import WORDS

_WORD = re.compile(r"</?\s*([^\s<>/=]*)")


@dataclass(slots=True)
class InnerTags:
    """What the value has opened. `words`: how often each is open."""

    words: dict[str, int] = field(default_factory=dict)
    has_markup: bool = False  # it contains tags of its own
    elements: set[str] = field(default_factory=set)  # words of opening tags that might be ours, too

    def note_opener(self, raw: str) -> None:
        """An opening tag in the value is payload."""
        if len(self.elements) < WORDS:
            self.elements.add(_word_of(raw))

    def closes_element(self, raw: str) -> bool:
        """Whether a tag has the word of an element that the value has opened."""
        return raw[1:2] == "/" and _word_of(raw) in self.elements

    def note(self, token: Token, closes: bool) -> None:
        """A tag in the value is payload: it opens a word there, or `closes` one."""
        if not token.slash:
            self._open(token)
        elif closes and self.words.get(token.word):
            self.words[token.word] -= 1

    def _open(self, token: Token) -> None:
        words, word = self.words, token.word
        if token.space:
            words[token.space] = words[token.space + word] = 1
        if word and squeeze(word) not in STRUCTURAL and len(words) < WORDS:
            self.has_markup = self.has_markup or token.closed
            words[word] = words.get(word, 0) + 1

    def may_be_ours(self, token: Token, after_call: bool = False) -> bool:
        """Whether a token of an unknown word may be a closing tag of the call: it has the shape of one, and
        the value has not opened it. `after_call`: after the closing tag of a call it can hardly belong to a
        document."""
        word = squeeze(token.word)
        if word in DOCUMENT or self.words.get(token.space + token.word):
            return False
        in_document = self.has_markup and word.isascii() and not after_call
        return _closes_word(token) and len(word) > 1 and not in_document


def _closes_word(token: Token) -> bool:
    """Whether a token is a slash and a word in brackets."""
    return token.slash and token.bracket and not token.attributes.strip()


def _word_of(raw: str) -> str:
    """The word of a tag."""
    found = _WORD.match(raw)
    return found[1] if found else ""
