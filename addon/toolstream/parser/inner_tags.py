"""The tags of a document that is the value of a parameter: what it has opened, it closes."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..grammar.likeness import DOCUMENT, STRUCTURAL, squeeze
from ..grammar.tokens import Token
from ..limits import WORDS


@dataclass(slots=True)
class InnerTags:
    """What the value has opened. `words`: how often each is open."""

    words: dict[str, int] = field(default_factory=dict)
    has_markup: bool = False  # it contains tags of its own

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
