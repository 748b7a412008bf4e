"""Pictures made to hurt whoever decodes them: each is small to send and asks for much time, memory or a crash.

`REFUSED` are no pictures that a service should answer; `ACCEPTED` are odd but whole, and must be read.
"""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

MOST_INLINE_BYTES = 5_242_880
PNG_START = b"\x89PNG\r\n\x1a\n"
START_OF_SCAN, START_OF_FRAME_PROGRESSIVE, END_OF_IMAGE = 0xDA, 0xC2, b"\xff\xd9"

Make = Callable[[], bytes]


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    """One chunk of a PNG, with its checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *middle: bytes, depth: int = 8, colour: int = 2, data: bytes | None = None) -> bytes:
    """A black PNG with chunks between header and data; `data` replaces the compressed rows."""
    if data is None:
        samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
        data = _zeros(height * (1 + (width * samples * depth + 7) // 8))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return PNG_START + header + b"".join(middle) + chunk(b"IDAT", data) + chunk(b"IEND")


def segment(marker: int, content: bytes = b"") -> bytes:
    """One segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def jpeg(width: int = 100, height: int = 100, mode: str = "RGB", **options: object) -> bytes:
    """A whole JPEG of one colour."""
    encoded = io.BytesIO()
    Image.new(mode, (width, height)).save(encoded, "JPEG", **options)
    return encoded.getvalue()


def with_segments(data: bytes, *segments: bytes) -> bytes:
    """A JPEG with segments put in right behind its first two bytes."""
    return data[:2] + b"".join(segments) + data[2:]


def many_scans(width: int, height: int, count: int) -> bytes:
    """A grey progressive JPEG that goes over its coefficients `count` times, each pass some 50 bytes."""
    header = [
        segment(0xDB, b"\0" + b"\1" * 64),
        segment(START_OF_FRAME_PROGRESSIVE, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0"),
        # One code of one bit each: no difference (DC), and a run of 2^14 blocks without any coefficient (AC).
        segment(0xC4, b"\0" + b"\1" + b"\0" * 15 + b"\0"),
        segment(0xC4, b"\x10" + b"\1" + b"\0" * 15 + b"\xe0"),
    ]
    blocks = -(-width // 8) * -(-height // 8)
    runs = -(-blocks // 32767)
    bits = "0" + "1" * 14  # the code, then the run's length beyond 2^14
    packed = int((bits * runs).ljust(-(-15 * runs // 8) * 8, "1"), 2).to_bytes(-(-15 * runs // 8), "big")
    passes = segment(START_OF_SCAN, b"\1\1\0\1\x3f\0") + packed.replace(b"\xff", b"\xff\0")
    first = segment(START_OF_SCAN, b"\1\1\0\0\0\0") + b"\0" * -(-blocks // 8)
    return b"\xff\xd8" + b"".join(header) + first + passes * count + END_OF_IMAGE


def noise(width: int, height: int, kind: str, **options: object) -> bytes:
    """A whole picture of random pixels."""
    encoded = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(encoded, kind, **options)
    return encoded.getvalue()


def _zeros(count: int) -> bytes:
    compressor = zlib.compressobj(9)
    parts = [compressor.compress(bytes(min(1 << 24, count - done))) for done in range(0, count, 1 << 24)]
    return b"".join(parts) + compressor.flush()


def _tiff(*entries: tuple[int, int, int, int], next_offset: int = 0) -> bytes:
    """A TIFF block as EXIF holds it: tag, type, count and value of each entry of its first directory."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + struct.pack("<I", next_offset)


def _exif(tiff: bytes) -> bytes:
    return segment(0xE1, b"Exif\0\0" + tiff)


def _as(kind: str) -> Make:
    def make() -> bytes:
        encoded = io.BytesIO()
        Image.new("RGB", (100, 100)).save(encoded, kind)
        return encoded.getvalue()

    return make


def _animated(kind: str) -> bytes:
    encoded = io.BytesIO()
    frames = [Image.new("RGB", (100, 100), (40 * n, 0, 0)) for n in range(5)]
    frames[0].save(encoded, kind, save_all=True, append_images=frames[1:])
    return encoded.getvalue()


REFUSED: dict[str, Make] = {
    "nothing but zeros": lambda: bytes(1000),
    "text": lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>" * 20,
    "GIF": _as("GIF"),
    "TIFF": _as("TIFF"),
    "WebP": _as("WEBP"),
    "BMP": _as("BMP"),
    "PNG signature only": lambda: PNG_START,
    "PNG without data": lambda: PNG_START + chunk(b"IHDR", struct.pack(">IIBBBBB", 100, 100, 8, 2, 0, 0, 0)),
    "PNG of no width": lambda: png(0, 100),
    "PNG of no height": lambda: png(100, 0),
    "PNG 10001 wide": lambda: png(10_001, 100),
    "PNG 10000 x 1": lambda: png(10_000, 1),
    "PNG of 2^31 - 1 to a side": lambda: png(2**31 - 1, 2**31 - 1, data=_zeros(1000)),
    "PNG bomb": lambda: png(10_000, 10_000, depth=16, colour=6, data=_zeros(1 << 28)),
    "PNG cut off": lambda: noise(600, 600, "PNG")[:300_000],
    "PNG with too little data": lambda: png(5_000, 5_000, data=_zeros(100_000)),
    "PNG with rubbish for data": lambda: png(1000, 1000, data=b"rubbish" * 100),
    "PNG of an unknown depth": lambda: png(100, 100, depth=5, data=_zeros(40_000)),
    "PNG of an unknown colour form": lambda: png(100, 100, data=_zeros(40_000)).replace(
        b"\x08\x02\0\0\0", b"\x08\x05\0\0\0"
    ),
    "PNG of empty chunks": lambda: png(100, 100, chunk(b"teSt") * 400_000),
    "PNG of empty texts": lambda: png(100, 100, chunk(b"tEXt", b"k\0") * 350_000),
    "PNG of empty data chunks": lambda: png(100, 100, chunk(b"IDAT") * 400_000),
    "PNG of data chunks of one byte": lambda: png(
        2000, 2000, *[chunk(b"IDAT", bytes([b])) for b in _zeros(2000 * 6001)] * 20
    ),
    "PNG whose chunk is longer than the file": lambda: png(100, 100, struct.pack(">I", 2**31 - 1) + b"iCCP"),
    "JPEG start only": lambda: b"\xff\xd8",
    "JPEG without a scan": lambda: jpeg()[:200],
    "JPEG cut off": lambda: noise(600, 600, "JPEG")[:50_000],
    "JPEG of no height": lambda: _resized(jpeg(), 100, 0),
    "JPEG of no width": lambda: _resized(jpeg(), 0, 100),
    "JPEG 65535 x 65535": lambda: _resized(jpeg(), 65_535, 65_535),
    "JPEG 10000 x 1": lambda: jpeg(10_000, 1),
    "JPEG 1 x 1": lambda: jpeg(1, 1),
    "JPEG 10000 x 10000 of no data": lambda: _resized(jpeg(), 10_000, 10_000),
    "JPEG 10000 x 10000 progressive of no data": lambda: _resized(jpeg(progressive=True), 10_000, 10_000),
    "JPEG of thousands of scans": lambda: many_scans(5_600, 5_600, 50_000),
    "JPEG of a thousand scans": lambda: many_scans(5_600, 5_600, 1_000),
    "JPEG 10000 x 10000 of thousands of scans": lambda: many_scans(10_000, 10_000, 20_000),
    "JPEG of empty segments": lambda: with_segments(jpeg(), segment(0xFE) * 1_300_000),
    "JPEG of empty application segments": lambda: with_segments(jpeg(), segment(0xEA) * 1_300_000),
    "JPEG of fill bytes": lambda: b"\xff\xd8" + b"\xff" * 5_000_000,
    "JPEG of rubbish between segments": lambda: b"\xff\xd8\xff\xe0\0\2" + b"\x01" * 5_000_000,
    "JPEG of restart markers": lambda: b"\xff\xd8" + b"\xff\xd0" * 2_500_000,
    "JPEG of Huffman tables": lambda: with_segments(
        jpeg(), segment(0xC4, (b"\0" + b"\1" + b"\0" * 15 + b"\0") * 3600) * 75
    )[:-2000],
    "JPEG arithmetic of no data": lambda: jpeg(1000, 1000).replace(b"\xff\xc0", b"\xff\xc9"),
    "JPEG of 12 bits": lambda: jpeg().replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc1\x00\x11\x0c"),
    "JPEG lossless": lambda: jpeg().replace(b"\xff\xc0", b"\xff\xc3"),
}
"""Must be answered with a modelled error at once, in little memory."""


def _resized(data: bytes, width: int, height: int) -> bytes:
    """A JPEG whose header claims another size."""
    frame = next(at for at in (data.find(b"\xff\xc0"), data.find(b"\xff\xc2")) if at >= 0)
    return data[: frame + 5] + struct.pack(">HH", height, width) + data[frame + 9 :]


_MANY_ENTRIES = _tiff(*[(n, 1, 1, 0) for n in range(5400)])

ACCEPTED: dict[str, Make] = {
    "PNG with a colour profile that inflates": lambda: png(100, 100, chunk(b"iCCP", b"x\0\0" + _zeros(1 << 27))),
    "PNG with text that inflates": lambda: png(100, 100, chunk(b"zTXt", b"x\0\0" + _zeros(1 << 27))),
    "PNG with international text that inflates": lambda: png(
        100, 100, chunk(b"iTXt", b"x\0\1\0\0\0" + _zeros(1 << 27))
    ),
    "PNG with many texts that inflate": lambda: png(
        100, 100, *[chunk(b"zTXt", b"x%d\0\0" % n + _zeros(1 << 19)) for n in range(1000)]
    ),
    "PNG animated": lambda: _animated("PNG"),
    "PNG flat and transparent at the most pixels": lambda: png(5_600, 5_600, depth=8, colour=6),
    "PNG 16-bit transparent at the most pixels": lambda: png(5_600, 5_600, depth=16, colour=6),
    "PNG with rubbish for a colour profile": lambda: png(100, 100, chunk(b"iCCP", b"x\0\0rubbish")),
    "PNG with rubbish for EXIF": lambda: png(100, 100, chunk(b"eXIf", b"rubbish" * 100)),
    "JPEG of several pictures": lambda: _animated("MPO"),
    "JPEG at the most pixels to a side": lambda: jpeg(10_000, 10_000),
    "JPEG CMYK without Adobe marker": lambda: _without_adobe(jpeg(mode="CMYK")),
    "JPEG progressive": lambda: noise(1000, 1000, "JPEG", progressive=True),
    "JPEG with a restart interval longer than itself": lambda: with_segments(jpeg(), segment(0xDD, b"\xff\xff")),
    "JPEG with a restart marker for every block": lambda: noise(1000, 1000, "JPEG", restart_marker_blocks=1),
    "JPEG with EXIF that leads to itself": lambda: with_segments(
        jpeg(), _exif(_tiff((0x8769, 4, 1, 8), (0x8825, 4, 1, 8), (0xA005, 4, 1, 8), next_offset=8))
    ),
    "JPEG with EXIF that leads outside": lambda: with_segments(
        jpeg(), _exif(_tiff((0x010F, 2, 2**31 - 1, 2**31 - 1), (0x0112, 3, 2**30, 8), next_offset=2**32 - 1))
    ),
    "JPEG with rubbish for EXIF": lambda: with_segments(jpeg(), _exif(b"rubbish" * 1000)),
    "JPEG with much EXIF": lambda: with_segments(jpeg(), _exif(_MANY_ENTRIES)),
    "JPEG with orientation 99": lambda: with_segments(jpeg(), _exif(_tiff((0x0112, 3, 1, 99)))),
    "JPEG with orientation of text": lambda: with_segments(jpeg(), _exif(_tiff((0x0112, 2, 4, 0x61616161)))),
    "JPEG with rubbish for a colour profile": lambda: with_segments(
        jpeg(), segment(0xE2, b"ICC_PROFILE\0\2\1" + b"rubbish" * 100)
    ),
    "JPEG with rubbish for its table of pictures": lambda: with_segments(
        jpeg(), segment(0xE2, b"MPF\0" + b"rubbish" * 100)
    ),
    "JPEG with a table of no pictures": lambda: with_segments(
        jpeg(), segment(0xE2, b"MPF\0" + _tiff((0xB001, 4, 1, 2**32 - 1), (0xB002, 7, 2**31, 0)))
    ),
    "JPEG with rubbish behind its end": lambda: jpeg() + b"rubbish" * 1000,
}
"""Must be read: what is wrong with them does not spoil the picture."""


def _without_adobe(data: bytes) -> bytes:
    at = data.find(b"\xff\xee")
    return data if at < 0 else data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]
