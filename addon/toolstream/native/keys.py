r"""Keys of a server's arguments with surplus text: `command=ls`, `<parameter=command>`, `command>\nls`."""

import re
from functools import cache
from typing import NamedTuple

from ..limits import NAME
from ..schema.schema import Tool
from .tags import parameter_words


class DamagedKey(NamedTuple):
    """The declared key, and the value after it; None if there is no value."""

    name: str
    value: str | None


def read_damaged_key(key: str, tool: Tool) -> DamagedKey | None:
    """What a key of the arguments means; None if it is declared as it stands, or means no parameter of
    the tool."""
    if tool.declares(key):
        return None
    name, is_pair, value = key.partition("=")
    if is_pair and tool.declares(name.strip()):
        return DamagedKey(name.strip(), value)
    found = _decorated().fullmatch(key)
    if found is None or not tool.declares(found["name"]):
        return None
    return DamagedKey(found["name"], found["value"])


@cache
def _decorated() -> re.Pattern[str]:
    """A key with remains of its tag around it, and perhaps the value after that."""
    words = "|".join(map(re.escape, sorted(parameter_words(), key=len, reverse=True)))
    quote = r"[\"']?"
    name = rf"{quote}(?P<name>[\w.-]{{1,{NAME}}}){quote}"
    return re.compile(
        rf"\s*(?:<?\s*(?:{words})(?:\s+name)?\s*=|<)?\s*{name}"
        r"\s*(?:/?>(?:\r?\n(?P<value>.*?)(?:\r?\n)?)?)?\s*",
        re.DOTALL,
    )
