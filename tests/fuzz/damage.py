"""JSON that is not quite JSON: one character wrong, or a slip that models and servers are known for."""

import json
import re
from typing import Any

from hypothesis import strategies as st

from support.cuts import joined


@st.composite
def one_character(draw: st.DrawFn, text: str) -> str:
    """The text with one character missing, doubled, put in, replaced or in the wrong place."""
    at = draw(st.integers(0, max(0, len(text) - 1)))
    mark = draw(st.sampled_from('"{}[],:x1 \n'))
    swapped = text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]
    missing, doubled = text[:at] + text[at + 1 :], text[:at] + text[at : at + 1] + text[at:]
    put_in, replaced = text[:at] + mark + text[at:], text[:at] + mark + text[at + 1 :]
    return draw(st.sampled_from([missing, doubled, put_in, replaced, swapped]))


# Slips with one way to mend them: `slip(text, value)` is the text of the object `value`, damaged


def trailing_comma(text: str, value: Any) -> str:
    return re.sub(r"\s*\}\Z", ",}", text) if value else text


def raw_line_breaks(text: str, value: Any) -> str:
    return re.sub(r"(?<!\\)((?:\\\\)*)\\n", r"\1\n", text)


def python_words(text: str, value: Any) -> str:
    return _as_python(value) if words_in(value) else text


def surplus_brace(text: str, value: Any) -> str:
    return text + "}"


def empty_object_before(text: str, value: Any) -> str:
    return "{}" + text


def twice(text: str, value: Any) -> str:
    return text + text


def double_encoded(text: str, value: Any) -> str:
    return json.dumps(text, ensure_ascii=False)


def no_last_brace(text: str, value: Any) -> str:
    """If the last value shows its own end: a number may go on, and `{` may be all there is of a call."""
    cut = text.rstrip()[:-1].rstrip()
    return cut if cut[-1] in '"]}' else text


def closing_tags_behind(text: str, value: Any) -> str:
    return text + "\n</parameter>\n</function>"


SLIPS = (
    *(trailing_comma, raw_line_breaks, python_words, surplus_brace, empty_object_before, twice),
    *(double_encoded, no_last_brace, closing_tags_behind),
)


def words_in(value: Any) -> bool:
    """Whether some member is a word that Python writes otherwise."""
    return any(member is None or isinstance(member, bool) for member in value.values())


def _as_python(value: Any) -> str:
    members = [f"{json.dumps(k, ensure_ascii=False)}: {_python(v)}" for k, v in value.items()]
    return "{" + ", ".join(members) + "}"


def _python(value: Any) -> str:
    return str(value) if value is None or isinstance(value, bool) else json.dumps(value, ensure_ascii=False)


def letters(text: str) -> str:
    """What no repair may change in JSON: all but marks, however it is escaped."""
    plain = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
    plain = re.sub(r"\\[nrtbf]|[\n\r\t]", "", joined(plain))
    plain = re.sub(r"(?<!\w)0*\.(?=\d)|(?<=\d)\.0?(?!\d)|(?<![\w.])0+(?=\d)", "", plain)  # `.0`, `5.`, `007`
    return "".join(filter(str.isalnum, plain)).casefold()
