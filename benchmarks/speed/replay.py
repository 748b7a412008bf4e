"""The raw work behind an operation's answers: what the model server does with the pictures of a request, written down
once and then done again, one call after the other, with nothing of a server around it.

Written down are the decoding, every piece of pixel work (a function and its arguments) and every run of a network (its
inputs), second looks included. The networks are those of the server's code with its settings. What is not written down
is what a service adds: HTTP, signatures, JSON, rows in a database, the search among stored faces.
"""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.speed.image_operations import ImageOperation
from inference import cores, memory, networks
from inference.cores import Cores
from inference.images import decode
from inference.networks import ModelServerSettings, Networks
from inference.pictures import Picture
from inference.pipelines.faces import find_faces
from inference.pipelines.labels import find_labels
from inference.pipelines.moderation import moderate
from inference.pipelines.protective_equipment import find_equipment
from inference.pipelines.request import (
    FacesRequest,
    LabelsRequest,
    ModerationRequest,
    PictureRequest,
    ProtectiveEquipmentRequest,
    TextRequest,
)
from inference.pipelines.text import find_text

Call = Callable[[], object]
Pictures = tuple[bytes, ...]
"""Those of one request."""


@dataclass
class Recording:
    """The calls of each request's pictures, in the order in which they were begun."""

    calls: dict[Pictures, list[Call]] = field(default_factory=dict)

    def replay(self, pictures: Pictures) -> None:
        """Does all that was done for the pictures of a request again."""
        with cores.taken():
            for picture in pictures:
                decode(picture)
            for call in self.calls[pictures]:
                call()


def load(models: Path, pack: str, threads: int | None = None) -> Networks:
    """The networks of a pack, with a thread for each core, and memory kept as the server keeps it.

    Raises packs.errors.ModelMissing, packs.errors.UnknownPack.
    """
    memory.keep_little()
    return networks.load(ModelServerSettings("", models, pack, threads=threads or os.cpu_count() or 1))


def record(operation: ImageOperation, asked: Sequence[Pictures], loaded: Networks) -> Recording:
    """What an operation does for each request's pictures."""
    recording = Recording()
    for pictures in asked:
        with _written_down() as calls:
            for asked_of_it, picture in zip(operation.asks, pictures, strict=True):
                asyncio.run(answer(asked_of_it, picture, loaded))
        recording.calls[pictures] = calls
    return recording


async def answer(asked: PictureRequest, data: bytes, loaded: Networks) -> object:
    """What the model server does with a picture."""
    picture = Picture(decode(data))
    match asked:
        case FacesRequest():
            return await find_faces(picture, asked, loaded.faces)
        case LabelsRequest():
            return await find_labels(picture, asked, loaded.labels)
        case ModerationRequest():
            return await moderate(picture, loaded.moderation)
        case TextRequest():
            return await find_text(picture, loaded.text)
        case ProtectiveEquipmentRequest():
            return await find_equipment(picture, loaded.equipment)
    raise TypeError(f"not asked about single images: {asked}")


@contextmanager
def _written_down() -> Iterator[list[Call]]:
    """All that is done on the cores meanwhile."""
    calls: list[Call] = []
    run = Cores.run

    def written_down(cores: Cores, work: Callable[..., Any], *given: Any) -> Any:
        calls.append(partial(work, *given))
        return run(cores, work, *given)

    with mock.patch.object(Cores, "run", written_down):
        yield calls
