"""Made pictures to load an endpoint with: so many faces of a size on a photograph, and a line of text under them."""

import io
import math
import random
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

PICTURES = Path(__file__).parents[2] / "openrek" / "pictures"
PORTRAITS = (("eileen_collins.jpg", (95, 0, 355, 300)), ("grace_hopper.jpg", (60, 10, 450, 460)))
"""Files, and what of them is head and shoulders: pixels from left, top, right, bottom, all of one shape."""
BACKGROUNDS = ("chelsea.jpg", "coffee.jpg")
"""Without people."""
SHAPE = 3 / 4
"""Height to width of a picture."""
TEXT_SHARE, TEXT = 0.1, "NORTH GATE  Platform {}  Mind the step"
"""Of the height, at the bottom."""
LARGEST_PORTRAIT = 0.7
"""Height of a portrait in its share of the picture."""


@dataclass(frozen=True)
class Crowd:
    """`side`: of the long side, pixels."""

    side: int
    faces: int


def picture(crowd: Crowd, seed: int = 0) -> bytes:
    """A JPEG file with so many faces, none hidden by another, and no more."""
    draw = random.Random(f"{crowd} {seed}")
    width, height = crowd.side, round(crowd.side * SHAPE)
    background = Image.open(PICTURES / BACKGROUNDS[(crowd.faces + seed) % len(BACKGROUNDS)]).convert("RGB")
    canvas = ImageOps.fit(background, (width, height), Image.Resampling.BICUBIC)
    free = round(height * (1 - TEXT_SHARE))
    for left, top, right, bottom in cells(width, free, crowd.faces):
        portrait = _portrait(draw, (right - left, round((bottom - top) * LARGEST_PORTRAIT)))
        room = right - left - portrait.width, bottom - top - portrait.height
        canvas.paste(portrait, (left + draw.randint(0, room[0]), top + draw.randint(0, room[1])))
    _write(canvas, TEXT.format(draw.randint(1, 40)), free)
    encoded = io.BytesIO()
    canvas.save(encoded, "JPEG", quality=88)
    return encoded.getvalue()


def cells(width: int, height: int, count: int) -> list[tuple[int, int, int, int]]:
    """A grid with the largest portraits."""
    if not count:
        return []
    columns = max(range(1, count + 1), key=lambda columns: _portrait_height(width, height, columns, count))
    rows = math.ceil(count / columns)
    x = [width * column // columns for column in range(columns + 1)]
    y = [height * row // rows for row in range(rows + 1)]
    places = [divmod(number, columns) for number in range(count)]
    return [(x[column], y[row], x[column + 1], y[row + 1]) for row, column in places]


def _portrait_height(width: int, height: int, columns: int, count: int) -> float:
    left, top, right, bottom = PORTRAITS[0][1]
    return min(height / math.ceil(count / columns), width / columns * (bottom - top) / (right - left))


def _portrait(draw: random.Random, most: tuple[int, int]) -> Image.Image:
    """One of the two, in light and direction of its own, at most so wide and high."""
    name, box = PORTRAITS[draw.randrange(len(PORTRAITS))]
    portrait = Image.open(PICTURES / name).convert("RGB").crop(box)
    if draw.random() < 0.5:
        portrait = ImageOps.mirror(portrait)
    portrait = ImageEnhance.Brightness(portrait).enhance(draw.uniform(0.85, 1.15))
    return ImageOps.contain(portrait, most, Image.Resampling.BICUBIC)


def _write(canvas: Image.Image, text: str, top: int) -> None:
    pen, height = ImageDraw.Draw(canvas), canvas.height - top
    pen.rectangle((0, top, canvas.width, canvas.height), "white")
    pen.text((height // 3, top + height // 5), text, "black", ImageFont.load_default(height * 0.5))
