"""What callers may ask of the pipelines; it travels in the query of a URL, the picture in the body."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import msgspec

from inference.images import MAX_SIDE


@dataclass(frozen=True, kw_only=True)
class PictureRequest:
    """Pictures with a side under `min_side` or over `max_side` pixels are refused. `task` names the pipeline and its
    route."""

    task: ClassVar[str]
    min_side: int = 1
    max_side: int = MAX_SIDE

    def to_query(self) -> dict[str, str | int | float]:
        """As the parameters of a URL; `from_query` undoes it. Names in a tuple have no commas."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: ",".join(value) if isinstance(value, tuple) else value
            for name, value in given.items()
            if value is not None
        }

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Raises msgspec.ValidationError."""
        lists = {field.name for field in fields(cls) if isinstance(field.default, tuple)}
        values: dict[str, Any] = {
            name: tuple(filter(None, value.split(","))) if name in lists else value for name, value in query.items()
        }
        return msgspec.convert(values, cls, strict=False)


@dataclass(frozen=True, kw_only=True)
class FacesRequest(PictureRequest):
    """`embed` is none, largest or all (the faces to embed); `quality` a level of quality.BARS; faces beyond
    `max_faces` are rejected. Embeddings are of `face_model_version` where that is given, else of the default pack; with
    `crops` they come with the crops they are of. With any of `attributes` ("default", "all", names of
    attributes.ASKABLE) landmarks and pose come from the mesh."""

    task = "faces"
    min_side: int = 80
    embed: str = "none"
    quality: str = "none"
    max_faces: int | None = None
    face_model_version: str | None = None
    attributes: tuple[str, ...] = ()
    crops: bool = False


@dataclass(frozen=True, kw_only=True)
class LabelsRequest(PictureRequest):
    """Labels of at least `min_confidence` where `labels` is set; image properties, with at most `max_colors` colours
    for a region, where `properties` is."""

    task = "labels"
    min_side: int = 80
    labels: bool = True
    min_confidence: float = 55.0
    properties: bool = False
    max_colors: int = 10


@dataclass(frozen=True, kw_only=True)
class ModerationRequest(PictureRequest):
    """Nothing more: all labels come back, however unsure."""

    task = "moderation"
    min_side: int = 80


@dataclass(frozen=True, kw_only=True)
class TextRequest(PictureRequest):
    """All text of a picture; what callers leave out of it is theirs (text_filters.py)."""

    task = "text"
    min_side: int = 80


@dataclass(frozen=True, kw_only=True)
class ProtectiveEquipmentRequest(PictureRequest):
    """Nothing more."""

    task = "protective_equipment"
    min_side: int = 64
    max_side: int = 4096


@dataclass(frozen=True, kw_only=True)
class PersonsRequest(PictureRequest):
    """Bodies and faces, those with landmarks and pose from the mesh and with embeddings of `face_model_version`, of the
    default pack where that is not given."""

    task = "persons"
    min_side: int = 80
    face_model_version: str | None = None
