"""What a terminal would obey, written so that it is only read.

A path, a header, a reason or an error of a server may hold escape sequences: they set the title, clear the
screen, or hide what was said before. Whatever is printed while the addon runs has them as `\\x1b`:
our own lines where they are made, and all others, mitmproxy's included, where they leave. A line break
in somebody else's words would begin a line of the log: `printable` escapes it, too, and where it cannot
be told from others, what follows is indented.
"""

import logging
import re
from typing import IO, Any

# C0, DEL, C1, what turns the direction of writing, and bytes that were no UTF-8
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROL_BUT_LINES = re.compile(
    "(?!\r\n)[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_LINE = re.compile("\n(?=\\S)")
_COLOUR = re.compile("(\x1b\\[[0-9;]*m)")


def printable(text: str) -> str:
    """The text in one line that any terminal only shows."""
    return _CONTROL.sub(_escaped, text)


def printable_lines(text: str) -> str:
    """The same, of a text that may have several lines; all but the first are indented."""
    return _LINE.sub("\n    ", _CONTROL_BUT_LINES.sub(_escaped, text))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that is no UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


class PrintableRecords(logging.Filter):
    """Lets all records through, in words that are fit to print."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            said = record.getMessage()
            trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        except Exception:  # the one who prints it will complain
            return True
        text = f"{said}\n{trace}" if trace else said
        if (fit := printable_lines(text)) != text:
            record.msg, record.args, record.exc_info = fit, (), None
        return True


class PrintableFile:
    """A text file that prints what is fit to print; and colours, if it has them."""

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
    """Let these print only what is fit to print."""
    for handler in handlers:
        if not any(isinstance(found, PrintableRecords) for found in handler.filters):
            handler.addFilter(PrintableRecords())


def guard_dumper(dumper: Any) -> None:
    """The same for mitmdump's list of flows: it escapes C0 and leaves the rest."""
    file = getattr(dumper, "outfp", None)
    if file is not None and not isinstance(file, PrintableFile):
        dumper.outfp = PrintableFile(file, bool(getattr(dumper, "out_has_vt_codes", False)))
