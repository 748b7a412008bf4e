"""Text of one picture: look coarsely, look closely where text may be, read each box, put words and lines together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inference import text_boxes, text_regions
from inference.batcher import Batcher
from inference.cores import Cores
from inference.crops import Crop
from inference.models import text_orientation, text_recognizer
from inference.models.text_recognizer import Reading, Strip
from inference.pictures import Picture
from inference.text_boxes import TextBox
from inference.text_lines import certainty, lines
from inference.types import Pixels, TextResult

MOST_TURNS = 2
"""Times that a picture is turned until its lines are level."""
UPSIDE_DOWN, SURE = 0.5, 0.7
"""Lines that are likelier upside down than this, or read with less certainty, or stand on end, are read the other way
as well; the better reading counts."""


@dataclass(frozen=True)
class TextNetworks:
    """The queues of the text networks, and where the pixel work beside them runs."""

    detector: Batcher[Pixels, np.ndarray]
    orientation: Batcher[Pixels, float]
    recognizer: Batcher[Strip, Reading]
    chores: Cores


async def find_text(picture: Picture, networks: TextNetworks) -> TextResult:
    """All text of a picture. Raises Overloaded."""
    return await picture.once("text", lambda: _find(picture.pixels, networks))


async def _find(image: Pixels, networks: TextNetworks) -> TextResult:
    boxes = await detect(image, networks)
    read = await _read(image, boxes, networks)
    height, width = image.shape[:2]
    return TextResult(width, height, lines(read, width, height))


async def detect(image: Pixels, networks: TextNetworks) -> list[TextBox]:
    """The boxes of all text. Raises Overloaded."""

    async def look_at_all(degrees: float) -> tuple[Crop, np.ndarray]:
        seen = await networks.chores.run(text_regions.whole, image, degrees)
        return seen, await networks.detector.submit(seen.pixels, seen.pixels.shape)

    degrees = 0.0
    first, probabilities = await look_at_all(degrees)
    for _ in range(MOST_TURNS):
        more = text_regions.tilt(probabilities)
        if not more:
            break
        degrees += more
        first, probabilities = await look_at_all(degrees)
    looks = await networks.chores.run(text_regions.close_looks, image, first, probabilities, degrees)
    if not looks:
        return text_boxes.find(probabilities, first.to_picture)
    maps = await networks.detector.submit_all([one.pixels for one in looks], [one.pixels.shape for one in looks])
    return await networks.chores.run(_boxes, maps, looks)


def _boxes(maps: Sequence[np.ndarray], looks: Sequence[Crop]) -> list[TextBox]:
    return [box for found, seen in zip(maps, looks, strict=True) for box in text_boxes.find(found, seen.to_picture)]


async def _read(image: Pixels, boxes: Sequence[TextBox], networks: TextNetworks) -> list[tuple[TextBox, Reading]]:
    """What each box says, and the box as it is to be held for that."""

    async def read(held: Sequence[TextBox]) -> list[tuple[TextBox, Reading]]:
        strips = await networks.chores.run(lambda: [_strip(image, box) for box in held])
        readings = await networks.recognizer.submit_all(strips, [strip.pixels.shape for strip in strips])
        return list(zip(held, readings, strict=True))

    best = await read(boxes)
    sure = [n for n, (box, found) in enumerate(best) if _is_sure(box, found)]
    glimpses = await networks.chores.run(lambda: [_glimpse(image, boxes[n]) for n in sure])
    turned = dict(zip(sure, await networks.orientation.submit_all(glimpses), strict=True))
    doubted = [n for n in range(len(boxes)) if turned.get(n, 1.0) >= UPSIDE_DOWN]
    for n, other in zip(doubted, await read([text_boxes.upside_down(boxes[n]) for n in doubted]), strict=True):
        best[n] = max(best[n], other, key=lambda way: certainty(way[1].scores))
    return best


def _is_sure(box: TextBox, found: Reading) -> bool:
    return certainty(found.scores) >= SURE and not text_boxes.is_on_end(box)


def _strip(image: Pixels, box: TextBox) -> Strip:
    return text_recognizer.strip(text_boxes.cut(image, box))


def _glimpse(image: Pixels, box: TextBox) -> Pixels:
    return text_orientation.glimpse(text_boxes.cut(image, box))
