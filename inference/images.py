"""Bytes to upright RGB: the only decoder.

JPEG and PNG by content. A JPEG's EXIF orientation is applied (faces.md section 2); a PNG is taken as stored.
Palette, grey, CMYK, 16-bit and alpha pictures become 8-bit RGB; what is transparent shows white.
"""

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin

from inference.errors import ImageDimensionsTooLarge, ImageTooSmall, InvalidImage
from inference.types import Pixels

FORMATS = ("JPEG", "PNG")
MAX_SIDE = 10_000
"""Pixels to a side (limits.md section 1)."""
MAX_PIXELS = 32_000_000
"""Decoded at most. A larger JPEG is decoded at half, a quarter or an eighth of its size, which costs no memory for
the rest; a larger PNG within the service's 15 MB is no photograph, and is refused."""

# Our own check on the header's size replaces Pillow's warning at 89 megapixels.
Image.MAX_IMAGE_PIXELS = None
PngImagePlugin.MAX_TEXT_MEMORY = 1 << 20


def pixel_count(data: bytes, min_side: int = 1) -> int:
    """How many pixels `decode` will give, from the picture's header alone. Raises what decode raises for its size."""
    with _opened(data, min_side) as picture:
        return picture.width * picture.height


def decode(data: bytes, min_side: int = 1) -> Pixels:
    """Decodes a picture to uint8 [H, W, 3] RGB, upright.

    Sizes are judged on the header, before any pixel is decoded. Raises InvalidImage, ImageTooSmall (a side under
    `min_side` pixels) or ImageDimensionsTooLarge (a side over MAX_SIDE, or a PNG over MAX_PIXELS).
    """
    with _opened(data, min_side) as picture:
        picture.load()
        upright = _upright(picture) if picture.format == "JPEG" else picture
        return np.asarray(_rgb(upright))


@contextmanager
def _opened(data: bytes, min_side: int) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # broken metadata beside a good picture is no reason to complain
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            _check_size(picture, min_side)
            yield picture
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise InvalidImage(str(error)) from error


def _check_size(picture: Image.Image, min_side: int) -> None:
    width, height = picture.size
    if max(width, height) > MAX_SIDE:
        raise ImageDimensionsTooLarge(width, height, MAX_SIDE)
    if min(width, height) < min_side:
        raise ImageTooSmall(f"{width} x {height} is under {min_side} pixels to a side")
    for factor in (2, 4, 8):
        if picture.width * picture.height > MAX_PIXELS:
            picture.draft(None, (width // factor, height // factor))  # has an effect on JPEG only
    if picture.width * picture.height > MAX_PIXELS:
        raise ImageDimensionsTooLarge(width, height, math.isqrt(MAX_PIXELS))


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # a damaged EXIF block can raise nearly anything; the picture itself is fine
        return picture


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB":
        return picture
    if picture.mode.startswith("I"):
        # Pillow clips 16-bit grey instead of scaling it.
        return Image.fromarray((np.asarray(picture).astype(np.uint32) >> 8).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        layered = picture.convert("RGBA")
        paper = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(paper, layered).convert("RGB")
    return picture.convert("RGB")
