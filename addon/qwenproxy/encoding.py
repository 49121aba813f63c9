"""Content codings undone while they arrive.

An upstream may compress although nobody asked for it. A `Decoder` takes the pieces of such
a body, cut anywhere, and gives back what can be read so far. Servers flush their compressor
after each event, or nobody could read a compressed stream live; so what comes out here is
as live as what came in.

A body that cannot be read from its start was never coded, whatever its header says, and is
given back as it is. One that breaks later raises `ValueError`.

br and zstd need a package that may be missing (`optional`); then they are unknown codings.
"""

import zlib
from collections.abc import Callable
from typing import Any, Protocol

from .optional import BROTLI, ZSTD

GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS  # zlib tells the two apart by their header
RAW_DEFLATE = -zlib.MAX_WBITS

_brotli, _zstd = BROTLI.load(), ZSTD.load()


class _Coding(Protocol):
    def feed(self, data: bytes) -> bytes: ...


class _Frames:
    """A coding whose frames (gzip calls them members) may follow each other."""

    def __init__(self, new_frame: Callable[[], Any]) -> None:
        self._new_frame = new_frame
        self._frame = new_frame()

    def feed(self, data: bytes) -> bytes:
        out = []
        while data:
            if self._frame.eof:
                self._frame = self._new_frame()
            out.append(self._frame.decompress(data))
            data = self._frame.unused_data
        return b"".join(out)


def _zlib_frames(wbits: int = GZIP_OR_ZLIB) -> _Frames:
    return _Frames(lambda: zlib.decompressobj(wbits))


def _zstd_frames() -> _Frames:
    decompressor = _zstd.ZstdDecompressor
    if hasattr(decompressor, "decompressobj"):  # the package zstandard
        return _Frames(lambda: decompressor().decompressobj())
    return _Frames(decompressor)


class _Deflate:
    """zlib, as RFC 9110 says, or without its two bytes of header, as some servers do."""

    def __init__(self) -> None:
        self._head = b""
        self._body: _Frames | None = None

    def feed(self, data: bytes) -> bytes:
        if self._body is None:
            data = self._head = self._head + data
            if len(data) < 2:
                return b""
            self._body = _zlib_frames(GZIP_OR_ZLIB if _is_zlib_header(data) else RAW_DEFLATE)
        return self._body.feed(data)


def _is_zlib_header(data: bytes) -> bool:
    return data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2], "big") % 31 == 0


class _Brotli:
    def __init__(self) -> None:
        self._stream = _brotli.Decompressor()

    def feed(self, data: bytes) -> bytes:
        out: bytes = self._stream.process(data)
        return out


_CODINGS: dict[str, Callable[[], _Coding]] = {
    "gzip": _zlib_frames,
    "x-gzip": _zlib_frames,
    "deflate": _Deflate,
}
if _brotli:
    _CODINGS["br"] = _Brotli
if _zstd:
    _CODINGS["zstd"] = _zstd_frames
_INSTALL = {"br": BROTLI.name, "zstd": ZSTD.name}


class Decoder:
    """One coded body. `coding` is the value of its Content-Encoding; ValueError if it is unknown."""

    def __init__(self, coding: str) -> None:
        self._name = coding.strip().lower()
        if self._name not in _CODINGS:
            package = _INSTALL.get(self._name)
            how = f" without {package} (pip install {package})" if package else ""
            raise ValueError(f"content-encoding {coding} cannot be read{how}")
        self._coding: _Coding | None = _CODINGS[self._name]()
        self._unread = b""  # what has come while nothing could be read yet
        self._started = False

    def feed(self, data: bytes) -> bytes:
        """Return what `data` adds to the body; possibly nothing yet."""
        if self._coding is None:
            return data
        try:
            out = self._coding.feed(data)
        except Exception as e:  # each library has its own
            return self._never_coded(data, e)
        self._started = self._started or bool(out)
        self._unread = b"" if self._started else self._unread + data
        return out

    def _never_coded(self, data: bytes, error: Exception) -> bytes:
        if self._started:
            raise ValueError(f"the body is not {self._name} as its header says: {error}") from None
        self._coding = None
        return self._unread + data


def decoder(coding: str) -> Decoder | None:
    """The decoder a Content-Encoding asks for; None if the body is not coded."""
    return None if coding.strip().lower() in ("", "identity", "none") else Decoder(coding)
