"""JPEG and PNG files as far as pixels depend on them, cut out and judged before any decoder sees them.

Metadata is where files grow without end and parsers fail, and nothing of it is needed but the EXIF orientation of a
JPEG. What is left may still ask for much work: a progressive JPEG goes over all its coefficients once for every scan,
and holds them all, at whatever size it is decoded.
"""

import re
import struct
from dataclasses import dataclass

from inference.errors import ImageDimensionsTooLarge, InvalidImage

MOST_SEGMENTS = 4_000
"""Of a JPEG before its first scan; photographs have at most some hundred."""
MOST_SCANS = 40
"""Encoders write about ten."""
MOST_COEFFICIENTS = 48_000_000
"""Held at once, two bytes each: those of 32 megapixels with halved colour."""
MOST_CHUNKS = 20_000
"""Of a PNG; an encoder with small chunks writes 4,000 in 15 MB."""

JPEG_START, PNG_START = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"

_UP_TO_A_MARKER = re.compile(rb"[^\xff]*+\xff++")
_WITHOUT_LENGTH = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = 0xC2
_DECODED_FRAMES = frozenset({0xC0, 0xC1, _PROGRESSIVE})
"""With Huffman codes; hardly anybody writes the others."""
_EXIF = 0xE1
# Tables, restart interval, and the two segments that say what the colours are (JFIF, Adobe).
_KEPT = _DECODED_FRAMES | {0xC4, 0xDB, 0xDD, 0xE0, 0xEE}
_MARKER_IN_A_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7]")

_ORIENTATION_TAG, _SHORT = 0x0112, 3
_CHUNKS_OF_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})


@dataclass(frozen=True)
class Essentials:
    """A file without its metadata. `orientation`: EXIF's, 1 to 8, 1 when there is none or no sound one. `scans`: where
    the data of a JPEG's first one begin."""

    data: bytes
    orientation: int = 1
    scans: int = 0

    def is_one_scan(self) -> bool:
        """Whether this is a JPEG with one scan, in which no other marker comes up to that of the picture's end."""
        found = _MARKER_IN_A_SCAN.search(self.data, self.scans) if self.scans else None
        return found is not None and self.data[found.start() + 1] == _END_OF_IMAGE


def essentials(data: bytes) -> Essentials:
    """Raises InvalidImage for what is no JPEG or PNG or has too many parts, ImageDimensionsTooLarge for a JPEG with
    more coefficients than are held."""
    if data.startswith(JPEG_START):
        return _jpeg(data)
    if data.startswith(PNG_START):
        return Essentials(_png(data))
    raise InvalidImage("neither a JPEG nor a PNG")


def _jpeg(data: bytes) -> Essentials:
    kept, orientation, frame = [data[:2]], 1, b""
    at = 2
    for _ in range(MOST_SEGMENTS):
        found = _UP_TO_A_MARKER.match(data, at)
        marker = data[found.end()] if found and found.end() < len(data) else _END_OF_IMAGE
        if found is None or marker == _END_OF_IMAGE:
            raise InvalidImage("a JPEG without a picture")
        at = found.end() + 1
        if marker in _WITHOUT_LENGTH:
            continue
        end = at + int.from_bytes(data[at : at + 2], "big")
        content = data[at + 2 : end]
        if end < at + 2 or end > len(data):
            raise InvalidImage("a JPEG's segment is longer than the file")
        if marker == _START_OF_SCAN:
            _judge_work(frame, content, data, end)
            begin = sum(len(one) for one in kept) + end - (at - 2)
            return Essentials(b"".join([*kept, data[at - 2 :]]), orientation, begin)
        if marker in _FRAMES:
            if frame or marker not in _DECODED_FRAMES:
                raise InvalidImage("a JPEG of another kind, or of two")
            frame = bytes([marker]) + content
        if marker in _KEPT:
            kept.append(data[at - 2 : end])
        if marker == _EXIF and content.startswith(b"Exif\0\0"):
            orientation = _orientation(content[6:])
        at = end
    raise InvalidImage(f"a JPEG with more than {MOST_SEGMENTS} segments")


def _judge_work(frame: bytes, first_scan: bytes, data: bytes, begin: int) -> None:
    """What decoding will cost, by the frame's marker and header, the header of the first scan and what follows it."""
    if len(frame) < 7 or len(frame) < 7 + 3 * frame[6] or not first_scan:
        raise InvalidImage("a JPEG's frame is not whole")
    height, width, components = struct.unpack_from(">HHB", frame, 2)
    factors = [(sampling >> 4, sampling & 15) for sampling in frame[8 : 7 + 3 * components : 3]]
    most = max((h for h, _ in factors), default=0) * max((v for _, v in factors), default=0)
    coefficients = width * height * sum(h * v for h, v in factors) / max(most, 1)
    if coefficients / 64 > 8 * (len(data) - begin):
        raise InvalidImage("a JPEG with less than a bit for each of its blocks")
    if frame[0] == _PROGRESSIVE or first_scan[0] < components:
        if data.count(bytes([0xFF, _START_OF_SCAN]), begin) >= MOST_SCANS:
            raise InvalidImage(f"a JPEG with more than {MOST_SCANS} scans")
        if coefficients > MOST_COEFFICIENTS:
            raise ImageDimensionsTooLarge(width, height, int(MOST_COEFFICIENTS**0.5))


def _orientation(tiff: bytes) -> int:
    """Of the first directory of an EXIF block."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, directory)
        for at in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, at)
            if tag == _ORIENTATION_TAG:
                return value if kind == _SHORT and 1 <= value <= 8 else 1
    except struct.error:  # it leads outside
        pass
    return 1


def _png(data: bytes) -> bytes:
    kept = [PNG_START]
    at = len(PNG_START)
    for _ in range(MOST_CHUNKS):
        if at + 8 > len(data):
            return b"".join(kept)
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if kind in _CHUNKS_OF_PIXELS:
            kept.append(data[at:end])
        if kind == b"IEND":
            return b"".join(kept)
        at = end
    raise InvalidImage(f"a PNG with more than {MOST_CHUNKS} chunks")
