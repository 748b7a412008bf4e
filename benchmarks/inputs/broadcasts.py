"""Draws short programmes that give every kind of job something to do: people near and far, text, and credits.

Four scenes follow each other: somebody speaks, with a caption; people pass signs; a still life without either; credits.
"""

import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.Image import Resampling

from inference.types import Pixels

PICTURES = Path(__file__).parents[2] / "openrek" / "pictures"
PORTRAITS = ("eileen_collins", "grace_hopper")
WIDTH, HEIGHT, RATE = 1280, 720, 25
SCENE_SECONDS = 2.5
KEY_FRAME_SECONDS = 2
CREDITS = ("Directed by", "Ada Fields", "Produced by", "Robin Marsh", "Camera", "Kim Stone", "Music", "Lee Harper")


def write(path: Path, seconds: float, first: int = 0) -> Path:
    """Writes H.264 in MP4, 1280 x 720, beginning with scene `first`. Returns the path."""
    with av.open(path, "w") as container:
        options = {"g": str(KEY_FRAME_SECONDS * RATE), "preset": "veryfast"}
        stream = container.add_stream("libx264", rate=Fraction(RATE), options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for pixels in itertools.islice(frames(first), round(seconds * RATE)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def frames(first: int = 0) -> Iterator[Pixels]:
    """The frames, without end: uint8 [720, 1280, 3] RGB."""
    for number in itertools.count(first):
        scene = SCENES[number % len(SCENES)]
        for n in range(round(SCENE_SECONDS * RATE)):
            drawn: Pixels = np.asarray(scene(n), np.uint8)
            yield drawn if scene is _credits else np.asarray(cv2.add(drawn, _texture()), np.uint8)


def _speaker(n: int) -> Image.Image:
    canvas = Image.new("RGB", (WIDTH, HEIGHT), (40, 60, 90))
    canvas.paste(_picture("eileen_collins", HEIGHT - 60), (320 + n, 60))
    _say(canvas, (80, 560), "Eileen Collins", 56)
    _say(canvas, (80, 630), "Commander, STS-93", 40)
    return canvas


def _street(n: int) -> Image.Image:
    canvas = Image.new("RGB", (WIDTH, HEIGHT), (150, 150, 140))
    for number, height in enumerate((360, 280, 220, 300)):
        left = 40 + 300 * number + (2 * n if number % 2 else -n)
        canvas.paste(_picture(PORTRAITS[number % 2], height), (left, HEIGHT - height - 40))
    _say(canvas, (120, 80), "MARKET STREET 42", 64)
    _say(canvas, (900, 110), "OPEN", 80)
    return canvas


def _still_life(n: int) -> Image.Image:
    margin = n // 4
    picture = _picture("coffee", HEIGHT + 200)
    return picture.crop((margin, margin, margin + WIDTH, margin + HEIGHT))


def _credits(n: int) -> Image.Image:
    canvas = Image.new("RGB", (WIDTH, HEIGHT))
    for number, line in enumerate(CREDITS):
        _say(canvas, (440, HEIGHT // 3 + 90 * number - 4 * n), line, 48)
    return canvas


@cache
def _texture() -> Pixels:
    """What surfaces have and drawings lack; without it each frame could be one of text alone."""
    spots = np.random.default_rng(0).normal(20, 15, (HEIGHT // 4, WIDTH // 4, 1)).repeat(3, 2).clip(0, 255)
    return np.asarray(cv2.resize(spots.astype(np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR), np.uint8)


SCENES: tuple[Callable[[int], Image.Image], ...] = (_speaker, _street, _still_life, _credits)


@cache
def _picture(name: str, height: int) -> Image.Image:
    picture = Image.open(PICTURES / f"{name}.jpg").convert("RGB")
    return picture.resize((round(picture.width * height / picture.height), height), Resampling.BICUBIC)


def _say(canvas: Image.Image, place: tuple[int, int], text: str, size: int) -> None:
    ImageDraw.Draw(canvas).text(place, text, "white", _font(size))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
