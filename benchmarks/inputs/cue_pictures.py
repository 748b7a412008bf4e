"""Draws what technical cues show, and what could be taken for them: colour bars, credits, slates, captions, slides."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.inputs.programmes import SIZE
from inference.types import Pixels

FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral", "cmss10")
_FONT_FOLDER = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
STRIPES = ((1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1))
CREDITS = (
    ("Directed by", "Ada Brandt"),
    ("Written by", "Noor Hakimi"),
    ("Camera", "Luis Ortega"),
    ("Edited by", "Mei Tanaka"),
    ("Music", "Jonas Keller"),
    ("Sound", "Priya Nair"),
    ("Costumes", "Eva Lund"),
    ("Produced by", "Tom Okafor"),
    ("Assistant Director", "Rosa Marini"),
    ("Visual Effects", "Studio Nord"),
)
SLATE = ("Title: Harbour Lights", "Episode: 104", "Scene: 12", "Take: 3", "Director: A. Brandt", "Date: 2024-05-06")
SUBTITLES = ("I never said that we would go.", "Then why did you pack the bags?", "Because it is raining again.")
SLIDES = (
    ("Results of the year", "Revenue grew by a tenth", "Two new offices opened", "Thank you to all teams"),
    ("Next steps", "Hire four people", "Move to the new building", "Meet again in June"),
)


def smpte(level: float = 0.75) -> Pixels:
    """Bars of EG 1: seven stripes over two rows of other fields."""
    picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    stripes = ((1, 1, 1), *STRIPES)
    for n, color in enumerate(stripes):
        columns = slice(n * SIZE[0] // 7, (n + 1) * SIZE[0] // 7)
        picture[: SIZE[1] * 2 // 3, columns] = np.array(color) * 255 * level
        picture[SIZE[1] * 2 // 3 : SIZE[1] * 3 // 4, columns] = np.array(stripes[6 - n]) * 255 * level * (n % 2 == 0)
    picture[SIZE[1] * 3 // 4 :, SIZE[0] // 6 : SIZE[0] // 3] = 255
    return picture


def ebu(level: float = 0.75) -> Pixels:
    """Eight stripes over the whole height."""
    picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    for n, color in enumerate(((1, 1, 1), *STRIPES, (0, 0, 0))):
        picture[:, n * SIZE[0] // 8 : (n + 1) * SIZE[0] // 8] = np.array(color) * 255 * level
    return picture


def wide() -> Pixels:
    """Bars of RP 219: grey at both sides of seven stripes."""
    picture = np.full((SIZE[1], SIZE[0], 3), 102, np.uint8)
    inner = cv2.resize(smpte(), (SIZE[0] * 3 // 4, SIZE[1]), interpolation=cv2.INTER_NEAREST)
    picture[: SIZE[1] * 7 // 12, SIZE[0] // 8 : SIZE[0] // 8 + inner.shape[1]] = inner[: SIZE[1] * 7 // 12]
    return picture


def pillarboxed(picture: Pixels) -> Pixels:
    """A picture in the middle of black, 4:3."""
    framed = np.zeros_like(picture)
    width = SIZE[1] * 4 // 3
    left = (SIZE[0] - width) // 2
    framed[:, left : left + width] = cv2.resize(picture, (width, SIZE[1]), interpolation=cv2.INTER_AREA)
    return framed


def striped(seed: int) -> Pixels:
    """Upright stripes of vivid colours in another order, another number or of unequal width."""
    random = np.random.default_rng(seed)
    colors = [STRIPES[n] for n in random.permutation(6)[: random.integers(3, 7)]]
    if tuple(colors) == STRIPES:
        colors.reverse()
    edges = np.sort(random.integers(0, SIZE[0], len(colors) - 1))
    picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    for color, left, right in zip(colors, [0, *edges], [*edges, SIZE[0]], strict=True):
        picture[:, left:right] = np.array(color) * 200
    return picture


def rainbow() -> Pixels:
    """All hues from left to right, in the order of the bars' own."""
    hues = np.linspace(30, 130, SIZE[0]).astype(np.uint8)
    row = np.stack([hues, np.full_like(hues, 255), np.full_like(hues, 220)], -1)
    return np.asarray(cv2.cvtColor(np.repeat(row[None], SIZE[1], 0), cv2.COLOR_HSV2RGB), np.uint8)


def noisy(picture: Pixels, amount: float, seed: int) -> Pixels:
    random = np.random.default_rng(seed)
    return np.clip(picture + random.normal(0, amount, picture.shape), 0, 255).astype(np.uint8)


def rolling(count: int, font: str, ground: Pixels, pairs: Sequence[tuple[str, str]] = CREDITS) -> Iterator[Pixels]:
    """Credits that roll upwards through `count` frames, over a ground that stands still."""
    lines = [line for pair in pairs for line in (*pair, "")]
    step = 26
    strip = _written(lines, font, 18, np.zeros((step * len(lines) + 2 * SIZE[1], SIZE[0], 3), np.uint8), SIZE[1], step)
    for n in range(count):
        top = round(SIZE[1] * 0.5 + n * (step * len(lines)) / count)
        yield np.maximum(ground, strip[top : top + SIZE[1]])


def card(lines: Sequence[str], font: str, ground: Pixels, size: int = 26) -> Pixels:
    """Centred lines on a ground."""
    step = round(size * 1.6)
    return _written(lines, font, size, ground, (SIZE[1] - step * len(lines)) // 2, step)


def subtitled(picture: Pixels, text: str, font: str) -> Pixels:
    """A line at the foot of a picture."""
    return _written([text], font, 20, picture, SIZE[1] - 50, 30)


def lower_third(picture: Pixels, name: str, role: str, font: str) -> Pixels:
    """A plate with a name and a role at the lower left."""
    framed = picture.copy()
    framed[SIZE[1] - 90 : SIZE[1] - 30, 30:290] = (200, 110, 20)
    image = Image.fromarray(framed)
    draw = ImageDraw.Draw(image)
    draw.text((40, SIZE[1] - 86), name, (255, 255, 255), _font(font, 22))
    draw.text((40, SIZE[1] - 58), role, (255, 255, 255), _font(font, 18))
    return np.asarray(image)


def plain(color: tuple[int, int, int]) -> Pixels:
    return np.full((SIZE[1], SIZE[0], 3), color, np.uint8)


def _written(lines: Sequence[str], font: str, size: int, ground: Pixels, top: int, step: int) -> Pixels:
    image = Image.fromarray(ground.copy())
    draw = ImageDraw.Draw(image)
    color = (255, 255, 255) if ground.mean() < 128 else (20, 20, 20)
    for n, line in enumerate(lines):
        draw.text((SIZE[0] / 2, top + n * step), line, color, _font(font, size), anchor="ma")
    return np.asarray(image)


def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(_FONT_FOLDER / f"{name}.ttf"), size)
