"""Makes short videos to try jobs with: pictures that move, one after the other."""

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from inference.types import Pixels

PICTURES = Path(__file__).parents[2] / "openrek" / "pictures"
SCENE_SECONDS = 2.0
STEP_PIXELS = 2


def write(path: Path, seconds: float, *, first: int = 0, rate: int = 25, width: int = 320, height: int = 240) -> Path:
    """Writes H.264 in MP4 with a key frame each second; the scenes begin with picture `first`. Returns the path."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate), options={"g": str(rate), "sc_threshold": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for pixels in itertools.islice(_frames(first, rate, width, height), round(seconds * rate)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def _frames(first: int, rate: int, width: int, height: int) -> Iterator[Pixels]:
    pictures = [Image.open(path).convert("RGB").resize((height, height)) for path in sorted(PICTURES.glob("*.jpg"))]
    scene = round(SCENE_SECONDS * rate)
    for number in itertools.count():
        picture = pictures[(first + number // scene) % len(pictures)]
        canvas = Image.new("RGB", (width, height), "gray")
        canvas.paste(picture, (number % scene * STEP_PIXELS % (width - height), 0))
        yield np.asarray(canvas)
