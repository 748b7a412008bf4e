"""PP-OCRv6 small recogniser: the characters of one text line (PaddleOCR; CTC after Graves et al., 2006).

Input float32 [N, 3, 48, W], BGR -1..1, an upright line. Per step of 8 pixels it gives the probabilities of the blank,
of 18708 characters in the file's metadata entry `character`, and of the space.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from inference.engine import Session
from inference.planes import planes
from inference.types import Pixels

HEIGHT, STEP, GRID = 48, 8, 32
STRETCH = 1.15
"""Of a line's width, so that narrow letters do not share a step; much more confuses the network."""
LEAST_MARGIN = 32
"""Of grey pixels behind a line; without them last characters get lost."""
MOST_WIDTH = 2400
"""Of a line, in pixels of the network; longer ones are squeezed, to bound memory."""
SPACE_WEIGHT = 30.0
"""Of the space against the blank: between words that stand close the network is shy to see one. Fitted."""
MAX_BATCH = {"cpu": 1, "cuda": 32, "tensorrt": 32}
"""On the CPU, batches cost more per line than single runs."""


@dataclass(frozen=True)
class Reading:
    """What a line says. Per character: `scores` float32 [N], its probability, and `centres` float32 [N], where in the
    line it is (0..1 of the line's length)."""

    text: str
    scores: np.ndarray
    centres: np.ndarray


@dataclass(frozen=True)
class Strip:
    """A line scaled for the network. `pixels`: uint8 [48, W, 3] RGB, W a multiple of 32; the line is `length` of W."""

    pixels: Pixels
    length: int


class TextRecognizer:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._characters = ["", *session.metadata("character").split("\n"), " "]
        self.max_batch = MAX_BATCH[session.device]

    def predict(self, batch: list[Strip]) -> list[Reading]:
        """Reads strips of one shape."""
        probabilities = self._session.run([preprocess(batch)])["fetch_name_0"]
        return [
            decode(steps, strip.length, self._characters) for steps, strip in zip(probabilities, batch, strict=True)
        ]


def load(path: Path, device: str, threads: int) -> TextRecognizer:
    return TextRecognizer(Session(path, device, threads))


def strip(line: Pixels) -> Strip:
    """An upright line of any size (uint8 [H, W, 3] RGB), scaled for the network, grey behind it."""
    height, width = line.shape[:2]
    length = min(max(STEP, round(width * STRETCH * HEIGHT / height)), MOST_WIDTH)
    scaled = cv2.resize(line, (length, HEIGHT), interpolation=cv2.INTER_AREA if height > HEIGHT else cv2.INTER_CUBIC)
    pixels = np.full((HEIGHT, -(-(length + LEAST_MARGIN) // GRID) * GRID, 3), 127, np.uint8)
    pixels[:, :length] = scaled
    return Strip(pixels, length)


def preprocess(strips: list[Strip]) -> np.ndarray:
    """Strips of one shape to float32 [N, 3, 48, W] BGR, -1..1."""
    return planes([one.pixels for one in strips], mean=127.5, scale=1 / 127.5)


def decode(steps: np.ndarray, length: int, characters: list[str]) -> Reading:
    """The likeliest class of each step, repeats and blanks taken out. `steps`: float32 [S, classes]."""
    best = steps.argmax(axis=1)
    space = steps.shape[1] - 1
    best[(best == 0) & (steps[:, space] * SPACE_WEIGHT > steps[:, 0])] = space
    likely = steps[np.arange(len(best)), best]
    begins = np.flatnonzero(np.diff(best, prepend=-1))
    ends = np.append(begins[1:], len(best))
    spans = [(begin, end) for begin, end in zip(begins, ends, strict=True) if best[begin]]
    return Reading(
        "".join(characters[best[begin]] for begin, _ in spans),
        np.array([likely[begin:end].max() for begin, end in spans], np.float32),
        np.array([(begin + end) / 2 * STEP / length for begin, end in spans], np.float32).clip(0, 1),
    )
