"""Small films of photographs and of drawn text, made on the spot."""

import io
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
from clips import Clip, of_pictures
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 320, 240
RATE = Fraction(10)
FILM = Clip(rate=RATE, width=WIDTH, height=HEIGHT, key_every=10)
Picture = NDArray[np.uint8]
"""uint8 [H, W, 3] RGB."""


def film(pictures: Sequence[Picture], clip: Clip = FILM) -> bytes:
    return of_pictures(pictures, replace(clip, frames=len(pictures)))


def scenes(*lengths: tuple[Picture, int]) -> list[Picture]:
    """Each picture for so many frames."""
    return [picture for picture, frames in lengths for _ in range(frames)]


def portrait(photograph: bytes, left: int = 40) -> Picture:
    """A photograph as high as the frame, on grey."""
    canvas = Image.new("RGB", (WIDTH, HEIGHT), "grey")
    face = Image.open(io.BytesIO(photograph)).convert("RGB")
    canvas.paste(face.resize((round(face.width * HEIGHT / face.height), HEIGHT)), (left, 0))
    return np.asarray(canvas, np.uint8)


def sign(*lines: str) -> Picture:
    """Black writing on white."""
    canvas = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(canvas)
    for number, line in enumerate(lines):
        draw.text((24, 40 + 80 * number), line, "black", ImageFont.load_default(36))
    return np.asarray(canvas, np.uint8)
