"""SFace 2021dec: a 128-number embedding of an aligned face (Zhong et al., "SFace", IEEE TIP 2021).

Input float32 [N, 3, 112, 112], RGB 0..255; cosine between unit-length outputs measures likeness.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.engine import Session
from inference.types import Embedding, Pixels

MAX_BATCH = {"cpu": 8, "cuda": 128, "tensorrt": 128}


class FaceEmbedder:
    def __init__(self, session: Session) -> None:
        self._session = session
        self.max_batch = MAX_BATCH[session.device]

    def predict(self, batch: list[Pixels]) -> list[Embedding]:
        """Embeds aligned crops, uint8 [112, 112, 3] RGB, to float32 [128] of unit length."""
        (embeddings,) = self._session.run([cv2.dnn.blobFromImages(batch)]).values()
        return list(unit_length(embeddings))


def load(path: Path, device: str, threads: int) -> FaceEmbedder:
    return FaceEmbedder(Session(path, device, threads))


def unit_length(vectors: np.ndarray) -> NDArray[np.float32]:
    """float32 [N, D] with every row scaled to length 1."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
