"""Frames arrive as they were sent, or are refused."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import raw_frames
from inference.errors import ImageDimensionsTooLarge, InvalidImage
from inference.images import MAX_PIXELS


async def _pieces(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def _read(parts: Iterable[bytes], width: int, height: int) -> np.ndarray:
    return asyncio.run(raw_frames.read(_pieces(parts), width, height))


@given(st.integers(1, 700), st.integers(1, 500), st.booleans(), st.integers(1, 5000))
def test_round_trip(width: int, height: int, turned: bool, piece: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    if turned:
        pixels = pixels.transpose(1, 0, 2)  # not contiguous
    size = raw_frames.size(raw_frames.headers(pixels), 10_000)
    assert size == (pixels.shape[1], pixels.shape[0])
    sent = bytes(raw_frames.content(pixels))
    assert str(len(sent)) == raw_frames.headers(pixels)["content-length"]
    pieces = [sent[start : start + piece * 50] for start in range(0, len(sent), piece * 50)]
    assert np.array_equal(_read(pieces, *size), pixels)


@pytest.mark.parametrize("parts", [[], [b"12345"], [b"1" * 12, b"1"], [b"1" * 13], [b"1" * 6, b"1" * 5]])
def test_the_bytes_must_be_those_of_the_size(parts: list[bytes]) -> None:
    with pytest.raises(InvalidImage, match="for 2 x 2 pixels"):
        _read(parts, 2, 2)


@pytest.mark.parametrize(
    ("size", "error"),
    [
        ("", InvalidImage),
        ("640", InvalidImage),
        ("640x", InvalidImage),
        ("0x480", InvalidImage),
        ("-1x480", InvalidImage),
        ("+1x480", InvalidImage),
        ("1e3x480", InvalidImage),
        ("\u0661x\u0662", InvalidImage),
        ("640x480x3", InvalidImage),
        ("10001x1", ImageDimensionsTooLarge),
        ("9" * 5000 + "x1", ImageDimensionsTooLarge),
        (f"10000x{MAX_PIXELS // 10_000 + 1}", ImageDimensionsTooLarge),
    ],
)
def test_sizes_are_checked(size: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        raw_frames.size({"content-type": raw_frames.CONTENT_TYPE, raw_frames.SIZE_HEADER: size}, 10_000)


def test_other_bodies_are_pictures() -> None:
    assert raw_frames.size({raw_frames.SIZE_HEADER: "2x2"}, 10_000) is None
    assert raw_frames.size({"content-type": "image/jpeg"}, 10_000) is None
