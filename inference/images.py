"""Bytes to upright RGB: the only decoder.

JPEG and PNG by content. A JPEG's EXIF orientation is applied (faces.md section 2); a PNG is taken as stored.
Palette, grey, CMYK, 16-bit and alpha pictures become 8-bit RGB; what is transparent shows white.
"""

import io
import warnings

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin

from inference.errors import ImageDimensionsTooLarge, ImageTooSmall, InvalidImage
from inference.types import Pixels

FORMATS = ("JPEG", "PNG")
MAX_SIDE = 10_000
"""Pixels to a side (limits.md section 1)."""

# Our own check on the header's size replaces Pillow's warning at 89 megapixels.
Image.MAX_IMAGE_PIXELS = None
PngImagePlugin.MAX_TEXT_MEMORY = 1 << 20


def decode(data: bytes, min_side: int = 1) -> Pixels:
    """Decodes a picture to uint8 [H, W, 3] RGB, upright.

    Sizes are judged on the header, before any pixel is decoded. Raises InvalidImage, ImageTooSmall (a side under
    `min_side` pixels) or ImageDimensionsTooLarge (a side over 10,000 pixels).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # broken metadata beside a good picture is no reason to complain
            picture: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
            _check_size(picture.width, picture.height, min_side)
            picture.load()
            if picture.format == "JPEG":
                picture = _upright(picture)
            return np.asarray(_rgb(picture))
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise InvalidImage(str(error)) from error


def _check_size(width: int, height: int, min_side: int) -> None:
    if max(width, height) > MAX_SIDE:
        raise ImageDimensionsTooLarge(width, height, MAX_SIDE)
    if min(width, height) < min_side:
        raise ImageTooSmall(f"{width} x {height} is under {min_side} pixels to a side")


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
