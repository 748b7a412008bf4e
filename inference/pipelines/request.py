"""What callers may ask of the pipelines."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec


@dataclass(frozen=True)
class FacesRequest:
    """`embed` is none, largest or all (the faces to embed); `quality` a level of quality.BARS; faces beyond
    `max_faces` are rejected; pictures with a side under `min_side` pixels are refused. Embeddings are of
    `face_model_version` where that is given, else of the default pack; with `crops` they come with the crops they are
    of. With any of `attributes` ("default", "all", names of attributes.ASKABLE) landmarks and pose come from the mesh.
    """

    embed: str = "none"
    quality: str = "none"
    max_faces: int | None = None
    min_side: int = 80
    face_model_version: str | None = None
    attributes: tuple[str, ...] = ()
    crops: bool = False

    def to_query(self) -> dict[str, str | int]:
        """As the parameters of a URL; `from_query` undoes it."""
        given = {name: value for name, value in vars(self).items() if value is not None and name != "attributes"}
        return given | {"attributes": ",".join(self.attributes)}

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "FacesRequest":
        """Raises msgspec.ValidationError."""
        names = tuple(name for name in query.get("attributes", "").split(",") if name)
        return msgspec.convert({**query, "attributes": names}, cls, strict=False)
