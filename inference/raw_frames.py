"""How frames of videos travel to the model server: as their pixels, row by row, with a content type of their own and
their size in a header.

API callers cannot send them: what they give is a body of bytes, and those are JPEG or PNG files.
"""

import math
from collections.abc import AsyncIterable, Mapping

import numpy as np

from inference.errors import ImageDimensionsTooLarge, InvalidImage
from inference.images import MAX_PIXELS
from inference.types import Pixels

CONTENT_TYPE = "image/x-rgb24"
SIZE_HEADER = "x-frame-size"


def headers(pixels: Pixels) -> dict[str, str]:
    height, width, _ = pixels.shape
    return {"content-type": CONTENT_TYPE, "content-length": str(pixels.nbytes), SIZE_HEADER: f"{width}x{height}"}


def content(pixels: Pixels) -> memoryview:
    """The body of a request with a frame."""
    return np.ascontiguousarray(pixels).data.cast("B")


def size(given: Mapping[str, str], max_side: int) -> tuple[int, int] | None:
    """Width and height of the frame in a request's body, by its headers; None where the body is a picture.

    Frames may be as small as can be. Raises InvalidImage, ImageDimensionsTooLarge.
    """
    if given.get("content-type") != CONTENT_TYPE:
        return None
    width, cross, height = given.get(SIZE_HEADER, "").partition("x")
    if not (cross and width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
        raise InvalidImage("a frame without its size")
    # Longer numbers are too large in any case.
    size = int(width[:9]), int(height[:9])
    if min(size) < 1:
        raise InvalidImage("a frame without pixels")
    if max(size) > max_side:
        raise ImageDimensionsTooLarge(*size, max_side)
    if size[0] * size[1] > MAX_PIXELS:
        raise ImageDimensionsTooLarge(*size, math.isqrt(MAX_PIXELS))
    return size


async def read(body: AsyncIterable[bytes], width: int, height: int) -> Pixels:
    """The frame that comes in a request's body, piece by piece: uint8 [H, W, 3]. Raises InvalidImage."""
    pixels = np.empty((height, width, 3), np.uint8)
    room, count = pixels.data.cast("B"), 0
    async for piece in body:
        if count + len(piece) > len(room):
            raise InvalidImage(f"more than {len(room)} bytes for {width} x {height} pixels")
        room[count : count + len(piece)] = piece
        count += len(piece)
    if count < len(room):
        raise InvalidImage(f"{count} bytes for {width} x {height} pixels, {len(room)} are needed")
    return pixels
