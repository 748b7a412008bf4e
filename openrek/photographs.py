"""From photographs of a person to the faces that stand for that person, and why the others do not."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np

from api.operations.images import MOST_OBJECT_BYTES, image_id
from inference import errors
from inference.client import InferenceClient
from inference.types import Face, FacesResult
from storage.celebrities import GalleryFace
from storage.faces import Box4
from storage.users import mean

DOMINANT_AREA = 2.0
"""A face stands for its picture when its box has so many times the area of any other."""

LEAST_AGREEMENT = 0.2
"""Cosine to the mean of a person's other faces under which a photograph is taken for one of somebody else. Both bars
are measured in docs/accuracy.md."""

_PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True)
class Unused:
    """A photograph that does not count, and why."""

    file: Path
    reason: str


def faces_of(
    files: Sequence[Path],
    known: Mapping[UUID, GalleryFace],
    client: InferenceClient,
    face_model_version: str,
) -> tuple[list[GalleryFace], list[Unused]]:
    """The faces of a person's photographs, and the photographs left out.

    `known` photographs, by id, are not looked at again. Raises InferenceUnavailable, UnknownFaceModel.
    """
    found: dict[UUID, tuple[Path, GalleryFace]] = {}
    unused = []
    for file in files:
        try:
            data = _read(file)
            photograph = image_id(data)
            if photograph in found:
                raise ValueError(f"it is the same as {found[photograph][0].name}")
            face = known.get(photograph) or _only_face(photograph, _analyse(client, data, face_model_version))
            found[photograph] = (file, face)
        except (OSError, ValueError, errors.InvalidImage, errors.ImageTooSmall, errors.ImageDimensionsTooLarge) as why:
            unused.append(Unused(file, str(why)))
    kept, strangers = agreeing([face for _, face in found.values()])
    places = list(found.values())
    unused += [Unused(places[n][0], "it is unlike the other photographs, as if of somebody else") for n in strangers]
    return [places[n][1] for n in kept], unused


def agreeing(faces: Sequence[GalleryFace]) -> tuple[list[int], list[int]]:
    """The places of the faces that are one person's, and of the others, the least likely left out one by one.

    Of two faces that differ none can be told to be the right one: both are left out.
    """
    kept, strangers = list(range(len(faces))), []
    while len(kept) > 1:
        agreements = [
            float(np.dot(faces[n].embedding, mean([faces[other].embedding for other in kept if other != n])))
            for n in kept
        ]
        worst = int(np.argmin(agreements))
        if agreements[worst] >= LEAST_AGREEMENT:
            break
        strangers += kept if len(kept) == 2 else [kept[worst]]
        kept = [n for n in kept if n not in strangers]
    return kept, strangers


def _read(file: Path) -> bytes:
    """Raises OSError, ValueError."""
    if file.stat().st_size > MOST_OBJECT_BYTES:
        raise ValueError(f"it is larger than {MOST_OBJECT_BYTES // 2**20} MiB")
    return file.read_bytes()


def _analyse(client: InferenceClient, data: bytes, face_model_version: str) -> FacesResult:
    """The faces of a picture, the largest one embedded if it is good enough to index."""
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return client.faces(data, embed="largest", quality="auto", face_model_version=face_model_version)
        except errors.Overloaded:
            # Callers of the endpoint go first.
            if time.monotonic() > give_up:
                raise
            time.sleep(_PAUSE_SECONDS)


def _only_face(image_id: UUID, result: FacesResult) -> GalleryFace:
    """Raises ValueError where it is not plain whose face is meant, or the face is too poor."""
    if not result.faces:
        raise ValueError("it shows no face")
    largest, *others = result.faces
    if others and largest.box.area < DOMINANT_AREA * others[0].box.area:
        raise ValueError(f"it shows {len(result.faces)} faces, and none is much larger than the others")
    if largest.embedding is None:
        raise ValueError(f"its face is too poor: {_words(largest)}")
    box = Box4(largest.box.left, largest.box.top, largest.box.width, largest.box.height)
    return GalleryFace(image_id, box, largest.confidence, largest.embedding)


def _words(face: Face) -> str:
    return ", ".join(reason.replace("_", " ") for reason in face.rejected)
