"""Looks at labelled clips in this process: the pipelines and networks of the model server, without its HTTP."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.pipeline import Models
from inference import networks
from inference.figures import Tile
from inference.networks import ModelServerSettings, Networks
from inference.pictures import Picture
from inference.pipelines import persons
from inference.pipelines.request import PersonsRequest
from inference.types import Pixels
from inference.video.frames import frames
from inference.video.people import Look
from inference.video.types import Part

Layout = Callable[[int, int], list[Tile]]
"""From the width and height of a picture to the parts that are looked at beside the whole."""
WHOLE_VIDEO = Part(0, None, None)


@dataclass(frozen=True)
class Seen:
    """A clip: what was seen at each time, and how long a look took, in milliseconds, decoding left out."""

    looks: list[Look]
    milliseconds: float


def annotations(folder: Path, clip: str) -> dict[str, Any]:
    """What is known of a clip of the labelled set, by the name of its file."""
    items: list[dict[str, Any]] = json.loads((folder / "annotations.json").read_text())["items"]
    return next(item for item in items if Path(item["file"]).stem == clip)


def pictures(path: Path, per_second: float) -> list[tuple[int, Pixels]]:
    """The looked-at frames of a clip and their times in milliseconds."""
    with path.open("rb") as file:
        return [(frame.at_ms, frame.pixels) for frame in frames(file, WHOLE_VIDEO, per_second)]


def load(models: Models) -> Networks:
    """Raises packs.errors.ModelMissing."""
    return networks.load(ModelServerSettings("", models.folder, models.pack))


def looked_at(shown: list[tuple[int, Pixels]], loaded: Networks, layout: Layout = persons.halves) -> Seen:
    """The people of each frame, one frame after the other."""
    with patch.object(persons, "halves", layout):
        start = time.perf_counter()
        looks = asyncio.run(_looked_at(shown, loaded))
    return Seen(looks, 1000 * (time.perf_counter() - start) / max(len(shown), 1))


async def _looked_at(shown: list[tuple[int, Pixels]], loaded: Networks) -> list[Look]:
    return [
        (at_ms, await persons.find_persons(Picture(pixels), PersonsRequest(), loaded.persons))
        for at_ms, pixels in shown
    ]
