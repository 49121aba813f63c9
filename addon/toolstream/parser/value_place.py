"""What is open at the place of a tag in a value, from the parameter's opening tag to the run of tags that
ends the value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from ..grammar.dialect import Dialect
from ..grammar.likeness import DOCUMENT, PARAMETER
from ..grammar.matcher import Tables, TagMatcher
from ..grammar.tag import Tag
from ..grammar.tokens import MARKED, Lost, plain_text
from ..limits import TABLES
from .buffer import Buffer
from .elements import element_of
from .open_value import Value
from .place import Place

_NAMESPACED = re.compile(r"<[A-Za-z]\w*:")  # its closing tag is, too


def enter_value(place: Place, tag: Tag, kept: Sequence[Dialect], given: set[str]) -> Tables:
    """This tag opens the value of a parameter, in a call that keeps to the dialects `kept`. What follows the
    value may also be in any other dialect that models are taught, if a tag of the call was in it. `given` are
    the parameters so far, including this one. Return what is searched in the value."""
    dialect = tag.dialect
    place.speak(dialect)
    kept = [*kept, *(spoken for spoken in place.spoken if spoken.taught and spoken not in kept)]
    key = dialect.name, len(place.spoken)
    if key not in place.tables:
        place.tables[key] = _tables_for(place, dialect, kept)
    tables = place.tables[key]
    own = dialect if dialect.parameter_close and not dialect.in_values else None
    place.set_value(tag.name, tables.after, own)
    place.given, place.dialect, place.kept = given, dialect, kept
    place.element = PARAMETER if _NAMESPACED.match(tag.raw) else element_of(tag)
    marked = MARKED.match(tag.raw)
    place.mark = marked[1] if marked else ""
    return tables


def leave_value(place: Place, run: list[Tag]) -> None:
    """The value is over, and these tags follow."""
    place.set_value("", place.body, None)
    place.after_value = run


def _tables_for(place: Place, dialect: Dialect, kept: Sequence[Dialect]) -> Tables:
    grammar = place.grammar
    within = place.body.same_names(grammar.within(dialect))
    after = place.body.same_names(grammar.value_ends(kept))
    return _tables(within, after, place.names, grammar.closer(dialect), place.missing)


@lru_cache(TABLES)
def _tables(
    within: TagMatcher, after: TagMatcher, names: frozenset[str], closer: re.Pattern[str], missing: Lost
) -> Tables:
    plain = plain_text(DOCUMENT - names - within.words, missing)
    return Tables(within, after, plain, closer, missing)


def in_last_run(place: Place, position: int) -> Tag | None:
    """The tag at this position, if it was in the run that ended the last value."""
    for tag in place.after_value:
        if tag.start == position:
            return tag
    return None


def open_element(place: Place, buffer: Buffer, value: Value, at: int, raw: str, alone: bool) -> None:
    """The opening tag of a parameter is payload. So is its closing tag, if that could close the value. `raw`
    is the tag, `alone`: it begins a line."""
    if place.may_nest(raw):
        value.advance_to(buffer, at)
        value.opened.open_element(raw, alone)
