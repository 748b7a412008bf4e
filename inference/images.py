"""Bytes to upright RGB: the only decoder.

JPEG and PNG by content. OpenCV decodes plain JPEG files in which all is as it should be: the library behind both is
the same and so are the pixels, but Pillow, which judges all headers and decodes the other files, copies them twice.
A JPEG's EXIF orientation is applied (faces.md section 2); a PNG is taken as stored. Palette, grey, CMYK, 16-bit and
alpha pictures become 8-bit RGB; what is transparent shows white.
"""

import io
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import Image

from inference.containers import Essentials, essentials
from inference.errors import ImageDimensionsTooLarge, ImageTooSmall, InvalidImage
from inference.types import Pixels

FORMATS = ("JPEG", "PNG")
MAX_SIDE = 10_000
"""Pixels to a side (limits.md section 1)."""
MAX_PIXELS = 32_000_000
"""Decoded at most. A larger JPEG is decoded at half, a quarter or an eighth of its size, which costs no memory for
the rest; a larger PNG within the service's 15 MB is no photograph, and is refused."""
BAND_PIXELS = 1 << 20
"""Converted at a time, so that the forms between the decoder's and ours take little memory."""

AS_STORED = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION

# Our own check on the header's size replaces Pillow's warning at 89 megapixels.
Image.MAX_IMAGE_PIXELS = None

UPRIGHT: dict[int, Callable[[Pixels], Any]] = {
    2: lambda pixels: cv2.flip(pixels, 1),
    3: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_180),
    4: lambda pixels: cv2.flip(pixels, 0),
    5: lambda pixels: cv2.transpose(pixels),
    6: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE),
    7: lambda pixels: cv2.rotate(cv2.transpose(pixels), cv2.ROTATE_180),
    8: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE),
}
"""By EXIF orientation; 1 is upright already."""


@dataclass(frozen=True, eq=False)
class Opened:
    """A picture of which only the header was read, by Pillow. `reduced`: whether it is to be decoded at less than its
    size."""

    file: Essentials
    image: Image.Image
    reduced: bool

    @property
    def pixel_count(self) -> int:
        """How many `decode` will give."""
        return self.image.width * self.image.height

    def decode(self) -> Pixels:
        """uint8 [H, W, 3] RGB, upright. To be called once. Raises InvalidImage."""
        pixels = self._straight() if self.image.mode in ("L", "RGB") and not self.reduced else None
        if pixels is None:
            with _damage_refused():
                self.image.load()
            pixels = _pixels(self.image)
        self.image.close()
        orientation = self.file.orientation
        upright: Pixels = UPRIGHT[orientation](pixels) if orientation > 1 else pixels
        return upright

    def _straight(self) -> Pixels | None:
        """What OpenCV makes of a JPEG with one unbroken scan. Of a broken one it gives what it could read, and says
        nothing."""
        if not self.file.is_one_scan():
            return None
        with suppress(cv2.error):
            pixels = cv2.imdecode(np.frombuffer(self.file.data, np.uint8), AS_STORED)
            return None if pixels is None else np.asarray(pixels, np.uint8)
        return None


def opened(data: bytes, min_side: int = 1, max_side: int = MAX_SIDE) -> Opened:
    """Reads a picture's header and judges its size, before any pixel is decoded.

    Raises InvalidImage, ImageTooSmall (a side under `min_side` pixels) or ImageDimensionsTooLarge (a side over
    `max_side`, a PNG over MAX_PIXELS, or a progressive JPEG over containers.MOST_COEFFICIENTS).
    """
    file = essentials(data)
    with _damage_refused():
        image = Image.open(io.BytesIO(file.data), formats=FORMATS)
    size = image.size
    _check_size(image, min_side, max_side)
    return Opened(file, image, image.size != size)


def decode(data: bytes, min_side: int = 1, max_side: int = MAX_SIDE) -> Pixels:
    """Decodes a picture to uint8 [H, W, 3] RGB, upright. Raises what `opened` raises."""
    return opened(data, min_side, max_side).decode()


@contextmanager
def _damage_refused() -> Iterator[None]:
    """Pillow's readers raise nearly anything on damaged files."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise InvalidImage(str(error)) from error


def _check_size(picture: Image.Image, min_side: int, max_side: int) -> None:
    width, height = picture.size
    if max(width, height) > max_side:
        raise ImageDimensionsTooLarge(width, height, max_side)
    if min(width, height) < min_side:
        raise ImageTooSmall(f"{width} x {height} is under {min_side} pixels to a side")
    for factor in (2, 4, 8):
        if picture.width * picture.height > MAX_PIXELS:
            picture.draft(None, (width // factor, height // factor))  # has an effect on JPEG only
    if picture.width * picture.height > MAX_PIXELS:
        raise ImageDimensionsTooLarge(width, height, math.isqrt(MAX_PIXELS))


def _pixels(picture: Image.Image) -> Pixels:
    """A decoded picture as uint8 [H, W, 3] RGB."""
    width, height = picture.size
    rows = max(1, BAND_PIXELS // width)
    if rows >= height:
        return np.asarray(_rgb(picture))
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        pixels[top : top + rows] = np.asarray(_rgb(picture.crop((0, top, width, min(height, top + rows)))))
    return pixels


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
