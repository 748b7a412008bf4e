"""The face pipeline in this process: the same code and networks as the model server, without its HTTP."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from inference import networks
from inference.images import decode
from inference.networks import ModelServerSettings
from inference.pictures import Picture
from inference.pipelines.faces import find_faces
from inference.pipelines.request import FacesRequest
from inference.types import Face, FacesResult, Pixels

PICTURES_AT_ONCE = 4


@dataclass(frozen=True)
class Models:
    """A pack, in the folder where `openrek models pull` put it."""

    folder: Path
    pack: str


def faces_of(pictures: Sequence[bytes], request: FacesRequest, models: Models) -> list[FacesResult]:
    """The faces of each picture file. Raises packs.errors.ModelMissing, the errors of images.decode."""
    return faces_in(map(decode, pictures), len(pictures), request, models)


def faces_in(pictures: Iterator[Pixels], count: int, request: FacesRequest, models: Models) -> list[FacesResult]:
    """The faces of `count` pictures, which are taken from `pictures` one by one. Raises packs.errors.ModelMissing."""
    return asyncio.run(_faces_in(pictures, count, request, models))


async def _faces_in(pictures: Iterator[Pixels], count: int, request: FacesRequest, models: Models) -> list[FacesResult]:
    loaded = networks.load(ModelServerSettings("", models.folder, models.pack)).faces
    results = []
    with tqdm(total=count, desc="faces", file=sys.stderr, mininterval=5) as progress:
        while some := list(islice(pictures, PICTURES_AT_ONCE)):
            results += await asyncio.gather(*(find_faces(Picture(image), request, loaded) for image in some))
            progress.update(len(some))
    return results


def central(result: FacesResult) -> Face | None:
    """The face nearest to the middle of its picture: the named one in the data sets of named faces."""

    def from_the_middle(face: Face) -> float:
        box = face.box
        return (box.left + box.width / 2 - 0.5) ** 2 + (box.top + box.height / 2 - 0.5) ** 2

    return min(result.faces, key=from_the_middle, default=None)
