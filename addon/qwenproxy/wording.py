"""What to write instead of an unknown name, and how many there are of something, for our messages."""

import difflib
from collections.abc import Iterable

ALIKE = 0.7  # as difflib measures it; a suggestion that is less similar is a guess


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that is most similar; empty if none is similar."""
    return next(iter(difflib.get_close_matches(word, map(str, known), n=1, cutoff=ALIKE)), "")


def instead(word: str, known: Iterable[str]) -> str:
    """Say which known word to write, or which there are."""
    there_are = [str(k) for k in known]
    if near := nearest(word, there_are) or (there_are[0] if len(there_are) == 1 else ""):
        return f"write {near}"
    return f"write one of {', '.join(there_are)}"


def counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
