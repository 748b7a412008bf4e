"""The raw work behind an answer, in a plain loop: what the model server did for a picture is written down once and then
done again, one call after the other, with nothing of a server around it.

Written down are the decoding, every piece of pixel work (a function and its arguments) and every run of a network (its
inputs), second looks included. The networks are those of the server's code with its settings.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from inference import cores, networks
from inference.cores import Cores
from inference.images import decode
from inference.networks import ModelServerSettings, Networks
from inference.pictures import Picture
from inference.pipelines.faces import find_faces
from inference.pipelines.labels import find_labels
from inference.pipelines.moderation import moderate
from inference.pipelines.protective_equipment import find_equipment
from inference.pipelines.request import FacesRequest, LabelsRequest
from inference.pipelines.text import find_text

Call = Callable[[], object]
Pipeline = Callable[[Picture, Networks], Awaitable[object]]

FACES, LABELS = FacesRequest(attributes=("default",)), LabelsRequest()
PIPELINES: dict[str, Pipeline] = {
    "DetectFaces": lambda picture, loaded: find_faces(picture, FACES, loaded.faces),
    "DetectLabels": lambda picture, loaded: find_labels(picture, LABELS, loaded.labels),
    "DetectModerationLabels": lambda picture, loaded: moderate(picture, loaded.moderation),
    "DetectProtectiveEquipment": lambda picture, loaded: find_equipment(picture, loaded.equipment),
    "DetectText": lambda picture, loaded: find_text(picture, loaded.text),
}
"""What an operation asks of the model server when nothing but the picture is given."""


@dataclass
class Recording:
    """The calls of each picture, in the order in which they were begun."""

    calls: dict[bytes, list[Call]] = field(default_factory=dict)

    def replay(self, picture: bytes) -> None:
        """Does all that was done for a picture again."""
        with cores.taken():
            decode(picture)
            for call in self.calls[picture]:
                call()


def record(operation: str, pictures: Sequence[bytes], models: Path, threads: int | None = None) -> Recording:
    """What the pipeline of an operation does for each picture. Raises packs.errors.ModelMissing."""
    loaded = networks.load(ModelServerSettings("", models, threads=threads or os.cpu_count() or 1))
    recording = Recording()
    for picture in pictures:
        with _written_down() as calls:
            asyncio.run(_run(PIPELINES[operation], picture, loaded))
        recording.calls[picture] = calls
    return recording


async def _run(pipeline: Pipeline, picture: bytes, loaded: Networks) -> None:
    await pipeline(Picture(decode(picture)), loaded)


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
