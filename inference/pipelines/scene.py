"""What the networks that look at whole pictures say, once for all pipelines that ask."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from inference import figures
from inference.batcher import Batcher
from inference.cores import Cores
from inference.figures import Tile
from inference.models import image_classifier, object_detector
from inference.models.image_classifier import Classes
from inference.models.object_detector import Objects
from inference.pictures import Picture
from inference.types import Pixels

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class SceneNetworks:
    """The queues of the networks, and where the pixel work beside them runs."""

    detector: Batcher[Pixels, Objects]
    classifier: Batcher[Pixels, Classes]
    chores: Cores


async def objects(picture: Picture, networks: SceneNetworks) -> Objects:
    """The objects that the detector sees in a picture. Raises Overloaded."""
    return await picture.once(
        "objects", lambda: _ask(picture.pixels, object_detector.fit, networks.detector, networks.chores)
    )


async def objects_by_parts(
    picture: Picture, tiles: Sequence[Tile], networks: SceneNetworks, margin: float = figures.EDGE_PIXELS
) -> Objects:
    """The objects of the whole picture and of its parts, each perhaps several times; `margin` is of_tile's.

    Raises Overloaded.
    """
    image = picture.pixels
    height, width = image.shape[:2]

    def fitted() -> list[Pixels]:
        return [object_detector.fit(image[top : top + high, left : left + wide]) for left, top, wide, high in tiles]

    async def look_closer() -> list[Objects]:
        found = await networks.detector.submit_all(await networks.chores.run(fitted))
        return [figures.of_tile(one, tile, width, height, margin) for one, tile in zip(found, tiles, strict=True)]

    whole, parts = await asyncio.gather(objects(picture, networks), look_closer())
    return figures.joined([whole, *parts])


async def classes(picture: Picture, networks: SceneNetworks) -> Classes:
    """What the classifier takes a picture for. Raises Overloaded."""
    return await picture.once(
        "classes", lambda: _ask(picture.pixels, image_classifier.fit, networks.classifier, networks.chores)
    )


async def _ask(
    image: Pixels, fit: Callable[[Pixels], Pixels], network: Batcher[Pixels, Answer], chores: Cores
) -> Answer:
    return await network.submit(await chores.run(fit, image))
