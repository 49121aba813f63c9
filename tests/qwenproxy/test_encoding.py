"""Content codings, cut anywhere."""

import gzip
import importlib
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwenproxy import encoding, optional
from qwenproxy.encoding import BrokenError, TooLargeError, decoder
from qwenproxy.optional import ZSTD, Package

zstd = ZSTD.load()

TEXT = "".join(f"data: {n} Zürich\n\n" for n in range(50)).encode()


def _raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


CODINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("X-GZIP", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", _raw_deflate),
    ("br", brotli.compress),
    ("zstd", zstd.compress),
]


def decoded(coding: str, pieces: list[bytes]) -> bytes:
    decode = decoder(coding)
    assert decode is not None
    return b"".join(decode.feed(piece) for piece in pieces)


@pytest.mark.parametrize(("coding", "compress"), CODINGS)
@given(data=st.data())
def test_any_cut_gives_the_same(coding: str, compress: Callable[[bytes], bytes], data: st.DataObject) -> None:
    packed = compress(TEXT)
    ends = sorted(data.draw(st.lists(st.integers(0, len(packed)), max_size=8)))
    pieces = [packed[a:b] for a, b in zip([0, *ends], [*ends, len(packed)], strict=True)]
    assert decoded(coding, [piece for piece in pieces if piece]) == TEXT


@pytest.mark.parametrize(("coding", "compress"), CODINGS)
def test_byte_by_byte(coding: str, compress: Callable[[bytes], bytes]) -> None:
    assert decoded(coding, [bytes([b]) for b in compress(TEXT)]) == TEXT


@pytest.mark.parametrize(("coding", "compress"), CODINGS)
def test_a_body_cut_off_gives_a_beginning(coding: str, compress: Callable[[bytes], bytes]) -> None:
    packed = compress(TEXT)
    for length in range(0, len(packed), 7):
        assert TEXT.startswith(decoded(coding, [packed[:length]] if length else []))


@pytest.mark.parametrize(("coding", "compress"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
def test_members_may_follow_each_other(coding: str, compress: Callable[[bytes], bytes]) -> None:
    packed = compress(TEXT) + compress(b"more")
    assert decoded(coding, [packed[:9], packed[9:]]) == TEXT + b"more"


PADDINGS = [
    b"\0" * 9,
    b"garbage",
    b"\x1f",
    b"\x1f\x8bgarbage",
    b"\x28\xb5\x2f\xfd\xff\xff",
    b"\r\n",
    b"\0\0x",
]


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("coding", "compress"), CODINGS)
def test_what_follows_the_last_member_is_ignored(
    coding: str, compress: Callable[[bytes], bytes], padding: bytes, size: int
) -> None:
    packed = compress(TEXT) + padding
    assert decoded(coding, [packed[i : i + size] for i in range(0, len(packed), size)]) == TEXT


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_member_may_follow_padding(size: int) -> None:
    packed = gzip.compress(TEXT) + b"\0" * 9 + gzip.compress(b"more") + b"\0"
    assert decoded("gzip", [packed[i : i + size] for i in range(0, len(packed), size)]) == TEXT + b"more"


def test_what_was_flushed_comes_out_at_once() -> None:
    gzip_stream, br_stream = zlib.compressobj(wbits=31), brotli.Compressor()
    zstd_stream = zstd.ZstdCompressor()
    flushed = {
        "gzip": gzip_stream.compress(TEXT) + gzip_stream.flush(zlib.Z_SYNC_FLUSH),
        "br": br_stream.process(TEXT) + br_stream.flush(),
        "zstd": zstd_stream.compress(TEXT, zstd.ZstdCompressor.FLUSH_BLOCK),
    }
    for coding, packed in flushed.items():
        assert decoded(coding, [packed]) == TEXT


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("size", [1, 1000])
def test_a_body_that_was_never_coded_passes(coding: str, size: int) -> None:
    plain = b'data: {"id": 1}\n\n'
    assert decoded(coding, [plain[i : i + size] for i in range(0, len(plain), size)]) == plain


def test_a_body_that_breaks_is_an_error() -> None:
    decode = decoder("gzip")
    assert decode is not None
    stream = zlib.compressobj(wbits=31)
    assert decode.feed(stream.compress(TEXT) + stream.flush(zlib.Z_SYNC_FLUSH)) == TEXT
    with pytest.raises(ValueError, match="not gzip as its header says"):
        decode.feed(b"\xff" * 20)


@pytest.mark.parametrize(("coding", "compress"), [c for c in CODINGS if c[1] is not _raw_deflate])
def test_a_coded_body_is_never_given_back_as_it_is(coding: str, compress: Callable[[bytes], bytes]) -> None:
    packed = compress(TEXT)
    decode = decoder(coding)
    assert decode is not None
    with pytest.raises(BrokenError):
        decode.feed(packed[:12] + b"\xff" * 200)


def test_what_was_decoded_counts() -> None:
    text = bytes(3 * encoding.STEP)
    packed = bytearray(gzip.compress(text))
    packed[-8] ^= 1  # the checksum
    decode = decoder("gzip")
    assert decode is not None
    with pytest.raises(BrokenError) as caught:
        decode.feed(bytes(packed))
    assert len(caught.value.decoded) >= 2 * encoding.STEP
    assert text.startswith(caught.value.decoded)


# Bombs

SMALL = 1 << 22


@pytest.mark.parametrize("module", ZSTD.modules)
@pytest.mark.parametrize(("coding", "compress"), CODINGS)
def test_a_bomb_takes_no_memory(
    monkeypatch: pytest.MonkeyPatch, coding: str, compress: Callable[[bytes], bytes], module: str
) -> None:
    monkeypatch.setattr(encoding, "LIMIT", SMALL)
    if coding == "zstd":
        monkeypatch.setattr(encoding, "_zstd", pytest.importorskip(module))
    elif module != ZSTD.modules[0]:
        pytest.skip("is about zstd only")
    bomb, decode = compress(b"\n" * (16 * SMALL)), decoder(coding)
    assert decode is not None
    produced = 0
    pieces = encoding._CODINGS[coding.lower()]().feed(bomb)
    while produced <= SMALL:
        piece = next(pieces)
        produced += len(piece)
    assert produced < 4 * SMALL
    tracemalloc.start()
    with pytest.raises(TooLargeError, match="the answer decodes to more than 4 MiB"):
        decode.feed(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * SMALL


def test_the_limit_is_about_all_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "LIMIT", len(TEXT))
    assert decoded("gzip", [gzip.compress(TEXT)]) == TEXT
    with pytest.raises(TooLargeError):
        decoded("gzip", [gzip.compress(TEXT), gzip.compress(b"x")])


@pytest.mark.parametrize("coding", ["", " ", "identity", "none", "Identity"])
def test_a_body_without_coding_needs_no_decoder(coding: str) -> None:
    assert decoder(coding) is None


@pytest.mark.parametrize("coding", ["exi", "gzip, br"])
def test_an_unknown_coding_is_an_error(coding: str) -> None:
    with pytest.raises(ValueError, match=f"content-encoding {coding} cannot be read"):
        decoder(coding)


# Packages that may be missing


@pytest.mark.parametrize("module", ZSTD.modules)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_zstd_comes_from_whichever_is_there(monkeypatch: pytest.MonkeyPatch, module: str, size: int) -> None:
    monkeypatch.setattr(encoding, "_zstd", pytest.importorskip(module))
    packed = zstd.compress(TEXT) + zstd.compress(b"more")
    assert decoded("zstd", [packed[i : i + size] for i in range(0, len(packed), size)]) == TEXT + b"more"
    assert decoded("zstd", [b"data: plain\n\n"]) == b"data: plain\n\n"


def test_most_of_them_are_there_to_be_tried() -> None:
    found = [module for module in ZSTD.modules if Package("", (module,), "").load()]
    assert len(found) >= 2


@pytest.mark.parametrize(("coding", "package"), [("br", "brotli"), ("zstd", "backports.zstd")])
def test_a_coding_without_its_package_is_an_unknown_one(
    monkeypatch: pytest.MonkeyPatch, coding: str, package: str
) -> None:
    monkeypatch.delitem(encoding._CODINGS, coding)
    with pytest.raises(
        ValueError, match=rf"{coding} cannot be read without {package} \(pip install {package}\)"
    ):
        decoder(coding)


def test_what_is_missing_is_said_with_its_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(optional.missing()) == []
    real = importlib.import_module

    def import_module(name: str) -> object:
        if name in ZSTD.modules:
            raise ImportError(name)
        return real(name)

    monkeypatch.setattr(importlib, "import_module", import_module)
    (line,) = optional.missing()
    assert line.startswith("backports.zstd is not installed: answers compressed with zstd")
    assert line.endswith("(pip install backports.zstd)")
