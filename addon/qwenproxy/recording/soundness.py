"""Checks that a file is a valid recording. All other code that reads recordings relies on it.

Files may be cut off, edited or crafted. What is wrong with one becomes a ValueError with a short
reason.
"""

import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

DEEPEST = 100  # nested lists and objects; recursive readers can handle more
LONGEST_TIME = 1e9  # seconds; 30 years

_METHOD = re.compile(r"[!#$%&'*+.^_`|~\w-]{1,32}", re.A)
_HOST = re.compile(r"[\w.:%-]{1,255}")
_VERSION = re.compile(r"HTTP/\d(?:\.\d)?")
_CONTROL = re.compile(r"[\0\r\n]")


def sizes(value: Any) -> list[int]:
    found = _list(value, "sizes")
    if not all(type(size) is int and size >= 0 for size in found):
        raise ValueError("its sizes are not all numbers of 0 or more")
    return found


def times(value: Any, count: int) -> list[float]:
    """Check the times of `count` pieces. There may be more."""
    found = _list(value, "times")
    if not all(_is_time(time) for time in found):
        raise ValueError("its times are not all seconds of 0 or more")
    if len(found) < count:
        raise ValueError(f"it has {count} pieces and {len(found)} times")
    return [float(time) for time in found]


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= LONGEST_TIME


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"its {what} are not a list")
    return list(value)


def data(value: Any, what: str) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError(f"its {what} is {_kind(value)} and not bytes")
    return value


def text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"its {what} is {_kind(value)} and not text")
    return value


def ledger(value: Any) -> dict[str, Any]:
    """Check what was repaired and refused. The rest only must not be nested too deep."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ValueError("its ledger is not an object")
    refuse_deep(value, "ledger")
    for name in ("repairs", "refused"):
        counts = value.get(name, {})
        if not isinstance(counts, dict) or not all(type(n) is int for n in counts.values()):
            raise ValueError(f"the {name} in its ledger are not counts")
    if type(value.get("calls", 0)) is not int:
        raise ValueError("the calls in its ledger are not a number")
    return value


def refuse_deep(value: Any, what: str) -> None:
    """Raise ValueError if a value is nested too deep."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"its {what} is nested more than {DEEPEST} deep")
        level = [item for outer in level for item in _inside(outer)]


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def body(value: bytes) -> bytes:
    """Check the body of a request: anything but JSON that is nested too deep."""
    try:
        refuse_deep(json.loads(value), "request")
    except RecursionError:
        raise ValueError(f"its request is nested more than {DEEPEST} deep") from None
    except ValueError as e:
        if "nested" in str(e):
            raise
    return value


def started(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or abs(value) > 100 * LONGEST_TIME:
        raise ValueError("its time is not a number of seconds")
    return float(value)


def method(value: Any) -> str:
    if not isinstance(value, str) or not _METHOD.fullmatch(value):
        raise ValueError("its method is not valid in HTTP")
    return value


def url(value: Any) -> str:
    """Check an absolute URL. Raises ValueError, as `urlsplit` does."""
    parts = urlsplit(text(value, "URL"))
    if parts.scheme not in ("http", "https") or not parts.hostname or _CONTROL.search(value):
        raise ValueError("its URL is not http or https with a host")
    if not (parts.hostname.isascii() and value.isascii()) or re.search(r"[\s<>\"'\\]", parts.netloc):
        raise ValueError("the host in its URL is not valid")
    return value if parts.port is None or parts.port else _no_port()


def _no_port() -> str:
    raise ValueError("the port in its URL is not valid")


def host(value: Any) -> None:
    if not isinstance(value, str) or not _HOST.fullmatch(value):
        raise ValueError("its host is not valid")


def status(value: Any) -> int:
    if type(value) is not int or not 100 <= value <= 999:
        raise ValueError("its status is not a number of three digits")
    return value


def version(value: Any) -> str:
    if not isinstance(value, str) or not _VERSION.fullmatch(value):
        raise ValueError("its version of HTTP is not valid")
    return value


def headers(pairs: Iterable[Any]) -> tuple[tuple[str, str], ...]:
    """Check names and values, each on one line."""
    found = []
    for pair in pairs:
        match pair:
            case (str(name), str(value)) if not _CONTROL.search(name + value):
                found.append((name, value))
            case _:
                raise ValueError("its headers are not all a name and a value on one line")
    return tuple(found)


def _kind(value: Any) -> str:
    return "missing" if value is None else type(value).__name__


# The check of each field of a Recording
CHECKS: dict[str, Callable[[Any], Any]] = {
    "request_body": body,
    "request_headers": headers,
    "method": method,
    "url": url,
    "started": started,
    "comment": lambda value: text(value, "comment"),
    "marker": lambda value: text(value, "marker"),
    "status": status,
    "headers": headers,
    "http_version": version,
}


def fields(values: dict[str, Any]) -> dict[str, Any]:
    """Check fields of a Recording. Those that are not in the table are returned as they are."""
    return {name: CHECKS.get(name, _any)(value) for name, value in values.items()}


def _any(value: Any) -> Any:
    return value
