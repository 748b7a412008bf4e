"""What callers may ask of the pipelines."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FacesRequest:
    """`embed` is none, largest or all (the faces to embed); `quality` a level of quality.BARS; faces beyond
    `max_faces` are rejected; pictures with a side under `min_side` pixels are refused. Embeddings are of
    `face_model_version` where that is given, else of the model the server has."""

    embed: str = "none"
    quality: str = "none"
    max_faces: int | None = None
    min_side: int = 80
    face_model_version: str | None = None
