"""Escapes control characters, so that a terminal shows them and does not obey them.

A path, a header, a reason or an error from a server may hold escape sequences: they can set the title, clear
the screen, or hide earlier lines. While the addon runs they are printed as `\\x1b`: in our own lines
when those are made, and in all others, mitmproxy's included, when they are printed. A line break in
foreign text would start a new line of the log, so `printable` escapes it, too. Where foreign line breaks
cannot be told from our own, the lines that follow are indented.
"""

import logging
import re
from typing import IO, Any

# C0, DEL, C1, characters that change the writing direction, and bytes that are not UTF-8
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROL_BUT_LINES = re.compile(
    "(?!\r\n)[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_LINE = re.compile("\n(?=\\S)")
_COLOUR = re.compile("(\x1b\\[[0-9;]*m)")


def printable(text: str) -> str:
    """Return the text as one line that is safe on any terminal."""
    return _CONTROL.sub(_escaped, text)


def printable_lines(text: str) -> str:
    """Do the same for a text of several lines; all but the first are indented."""
    return _LINE.sub("\n    ", _CONTROL_BUT_LINES.sub(_escaped, text))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


class PrintableRecords(logging.Filter):
    """Passes all records, made safe to print."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            said = record.getMessage()
            trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        except Exception:  # whoever prints it will report the error
            return True
        text = f"{said}\n{trace}" if trace else said
        if (fit := printable_lines(text)) != text:
            record.msg, record.args, record.exc_info = fit, (), None
        return True


class PrintableFile:
    """A text file that only prints safe text; colours are kept if it has them."""

    def __init__(self, file: IO[str], colours: bool) -> None:
        self._file = file
        self._colours = colours

    def write(self, text: str) -> int:
        if self._colours:
            parts = _COLOUR.split(text)
            parts[::2] = map(printable_lines, parts[::2])
            return self._file.write("".join(parts))
        return self._file.write(printable_lines(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def guard_handlers(handlers: list[logging.Handler]) -> None:
    """Make these handlers print only safe text."""
    for handler in handlers:
        if not any(isinstance(found, PrintableRecords) for found in handler.filters):
            handler.addFilter(PrintableRecords())


def guard_dumper(dumper: Any) -> None:
    """Do the same for mitmdump's list of flows, which only escapes C0."""
    file = getattr(dumper, "outfp", None)
    if file is not None and not isinstance(file, PrintableFile):
        dumper.outfp = PrintableFile(file, bool(getattr(dumper, "out_has_vt_codes", False)))
