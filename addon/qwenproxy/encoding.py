"""Decodes content codings while the body arrives.

An upstream may compress although nobody asked for it. A `Decoder` takes the pieces of such
a body, cut anywhere, and returns what can be decoded so far. Servers flush their compressor
after each event, or no client could read a compressed stream live. So what comes out here is
as live as what came in.

gzip and zstd bodies may consist of several members. Anything after the last member (padding,
garbage) is ignored, as RFC 1952 readers do.

A body that is plain text was never encoded, whatever its header says, and is returned as it is. A
broken body raises `BrokenError`, which holds what was decoded until then. A few bytes can decode to many:
the output of one step is bounded, and beyond `LIMIT` it is a `TooLargeError`.

br and zstd need a package that may be missing (`optional`). Without it they are unknown codings.
"""

import re
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

from .optional import BROTLI, ZSTD

GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS  # zlib tells the two apart by their header
RAW_DEFLATE = -zlib.MAX_WBITS
MEBIBYTE = 1 << 20
LIMIT = 64 * MEBIBYTE  # decoded; no model writes so much, and a collected body is held in memory
STEP = MEBIBYTE
SLICE = 256  # bytes fed at once to decoders without a bound: at most 8 MiB come out of zstd

_brotli, _zstd = BROTLI.load(), ZSTD.load()

_GZIP_MEMBER = (b"\x1f\x8b",)
_ZSTD_FRAME = (b"\x28\xb5\x2f\xfd", *(bytes([n]) + b"\x2a\x4d\x18" for n in range(0x50, 0x60)))
_NO_TEXT = re.compile(rb"[^\t\n\r\x20-\x7e\x80-\xff]")


class BrokenError(ValueError):
    """The body cannot be decoded any further; `decoded` is what this piece has given until then."""

    def __init__(self, message: str, decoded: bytes = b"") -> None:
        super().__init__(message)
        self.decoded = decoded


class TooLargeError(ValueError):
    """The body decodes to more than LIMIT."""

    def __init__(self) -> None:
        super().__init__(f"the answer decodes to more than {LIMIT // MEBIBYTE} MiB")


class _Frame(Protocol):
    """One member. Once it is complete `eof` is true and `unused_data` is what came after it."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decode(self, data: bytes) -> Iterator[bytes]: ...


class _Zlib:
    def __init__(self, wbits: int = GZIP_OR_ZLIB) -> None:
        self._stream = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decode(self, data: bytes) -> Iterator[bytes]:
        out = bytes(STEP)
        while not self.eof and (data or len(out) == STEP):
            out = self._stream.decompress(data, STEP)
            data = self._stream.unconsumed_tail
            yield out


class _Zstd:
    """zstd as in Python 3.14, and its backport."""

    def __init__(self) -> None:
        self._stream = _zstd.ZstdDecompressor()

    @property
    def eof(self) -> bool:
        return bool(self._stream.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._stream.unused_data)

    def decode(self, data: bytes) -> Iterator[bytes]:
        yield self._stream.decompress(data, STEP)
        while not self.eof and not self._stream.needs_input:
            yield self._stream.decompress(b"", STEP)


class _Zstandard:
    """The package zstandard, which does not bound its output."""

    def __init__(self) -> None:
        self._stream = _zstd.ZstdDecompressor().decompressobj()
        self.eof = False
        self.unused_data = b""

    def decode(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), SLICE):
            yield self._stream.decompress(data[start : start + SLICE])
            if self._stream.eof:
                self.eof = True
                self.unused_data = self._stream.unused_data + data[start + SLICE :]
                return


class _Brotli:
    """Brotli, fed byte by byte: it loses its output if bytes follow the end, and does not bound it."""

    def __init__(self) -> None:
        self._stream = _brotli.Decompressor()
        self.eof = False
        self.unused_data = b""

    def decode(self, data: bytes) -> Iterator[bytes]:
        for at in range(len(data)):
            yield self._stream.process(data[at : at + 1])
            if self._stream.is_finished():
                self.eof, self.unused_data = True, data[at + 1 :]
                return


class _Members:
    """Several members, each beginning with one of `magics`; without `magics` only one."""

    def __init__(self, new_frame: Callable[[], _Frame], magics: tuple[bytes, ...] = ()) -> None:
        self._new_frame = new_frame
        self._magics = magics
        self._frame = new_frame()
        self._is_first = True
        self._said = False  # whether this member has given any output
        self._between = b""  # what may be the start of a member
        self._over = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data and not self._over:
            if self._frame.eof and not (data := self._next_member(data)):
                return
            try:
                for out in self._frame.decode(data):
                    self._said = self._said or bool(out)
                    yield out
            except Exception:
                if self._is_first or self._said:
                    raise
                self._over = True  # it looked like a member but is not one
            data = self._frame.unused_data

    def _next_member(self, data: bytes) -> bytes:
        """Return the data from the next member on, if it begins here."""
        data = (self._between + data).lstrip(b"\0")
        self._between = b""
        if data.startswith(self._magics):
            self._frame, self._is_first, self._said = self._new_frame(), False, False
            return data
        if any(magic.startswith(data) for magic in self._magics):
            self._between = data
        else:
            self._over = True
        return b""


class _Deflate:
    """zlib, as RFC 9110 says, or raw deflate without the header, as some servers send it."""

    def __init__(self) -> None:
        self._head = b""
        self._body: _Members | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._body is None:
            data = self._head = self._head + data
            if len(data) < 2:
                return
            wbits = GZIP_OR_ZLIB if _is_zlib_header(data) else RAW_DEFLATE
            self._body = _Members(lambda: _Zlib(wbits))
        yield from self._body.feed(data)


def _is_zlib_header(data: bytes) -> bool:
    return data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2], "big") % 31 == 0


def _gzip() -> _Members:
    return _Members(_Zlib, _GZIP_MEMBER)


def _zstd_frames() -> _Members:
    is_package = hasattr(_zstd.ZstdDecompressor, "decompressobj")
    return _Members(_Zstandard if is_package else _Zstd, _ZSTD_FRAME)


_CODINGS: dict[str, Callable[[], _Members | _Deflate]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _Deflate,
}
if _brotli:
    _CODINGS["br"] = lambda: _Members(_Brotli)
if _zstd:
    _CODINGS["zstd"] = _zstd_frames
_INSTALL = {"br": BROTLI.name, "zstd": ZSTD.name}


class Decoder:
    """Decodes one body. `coding` is its Content-Encoding. Raises ValueError if that is unknown."""

    def __init__(self, coding: str) -> None:
        self._name = coding.strip().lower()
        if self._name not in _CODINGS:
            package = _INSTALL.get(self._name)
            how = f" without {package} (pip install {package})" if package else ""
            raise ValueError(f"content-encoding {coding} cannot be read{how}")
        self._coding: _Members | _Deflate | None = _CODINGS[self._name]()
        self._unread = b""  # input from which nothing could be decoded yet
        self._size = 0

    def feed(self, data: bytes) -> bytes:
        """Return what `data` adds to the body, maybe nothing yet. Raises BrokenError, TooLargeError."""
        if self._coding is None:
            return data
        out: list[bytes] = []
        try:
            for piece in self._coding.feed(data):
                out.append(piece)
                self._size += len(piece)
                if self._size > LIMIT:
                    raise TooLargeError
        except TooLargeError:
            raise
        except Exception as e:  # each library has its own exceptions
            return self._never_coded(data, b"".join(out), e)
        self._unread = b"" if self._size else self._unread + data
        return b"".join(out)

    def _never_coded(self, data: bytes, decoded: bytes, error: Exception) -> bytes:
        if self._size or _NO_TEXT.search(self._unread + data):
            raise BrokenError(f"the body is not {self._name} as its header says: {error}", decoded) from None
        self._coding = None
        return self._unread + data


def decoder(coding: str) -> Decoder | None:
    """Return the decoder for a Content-Encoding; None if the body is not encoded."""
    return None if coding.strip().lower() in ("", "identity", "none") else Decoder(coding)
