"""Embeddings of aligned faces; cosine between unit-length outputs measures likeness.

In the base pack SFace 2021dec, 128 numbers (Zhong et al., "SFace", IEEE TIP 2021). Other packs may have any network
whose input is a face of 112 x 112 pixels, aligned as ArcFace's are; the catalogue says in which form.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.engine import Session
from inference.packs.catalogue import Input
from inference.planes import planes
from inference.types import Embedding, Pixels

MAX_BATCH = {"cpu": 8, "cuda": 128, "tensorrt": 128}


class FaceEmbedder:
    def __init__(self, session: Session, form: Input) -> None:
        self._session, self._form = session, form
        self.max_batch = MAX_BATCH[session.device]

    def predict(self, batch: list[Pixels]) -> list[Embedding]:
        """Embeds aligned crops, uint8 [112, 112, 3] RGB, to float32 [D] of unit length."""
        embeddings = next(iter(self._session.run([_blob(batch, self._form)]).values()))
        return list(unit_length(embeddings))


def load(path: Path, device: str, threads: int, form: Input) -> FaceEmbedder:
    """A network that takes what `form` says, the entry of a pack's catalogue."""
    return FaceEmbedder(Session(path, device, threads), form)


def _blob(batch: list[Pixels], form: Input) -> NDArray[np.float32]:
    """Crops in the colours, range and layout of a network."""
    low, high = form.range
    scale = (high - low) / 255
    blob = planes(batch, -low / scale, scale, form.colour == "BGR")
    return np.asarray(blob if form.layout == "NCHW" else blob.transpose(0, 2, 3, 1), np.float32)


def unit_length(vectors: np.ndarray) -> NDArray[np.float32]:
    """float32 [N, D] with every row scaled to length 1."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
