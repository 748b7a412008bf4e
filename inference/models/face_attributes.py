"""Faceres: age and gender of a face (from the Human library; no paper).

Input float32 [N, 224, 224, 3], RGB 0..255, an upright face crop.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inference.engine import Session
from inference.types import Pixels

SIDE = 224
MAX_BATCH = {"cpu": 1, "cuda": 64, "tensorrt": 64}
"""On the CPU, batches cost more per face than single runs."""


@dataclass(frozen=True)
class AgeAndGender:
    """`years`: the mean of the network's distribution over 0..99 years; `male`: its probability, 0..1."""

    years: float
    male: float


class FaceAttributes:
    def __init__(self, session: Session) -> None:
        self._session = session
        self.max_batch = MAX_BATCH[session.device]

    def predict(self, batch: list[Pixels]) -> list[AgeAndGender]:
        """Age and gender of face crops, uint8 [224, 224, 3] RGB."""
        return postprocess(self._session.run([preprocess(batch)]))


def load(path: Path, device: str, threads: int) -> FaceAttributes:
    return FaceAttributes(Session(path, device, threads))


def preprocess(crops: list[Pixels]) -> np.ndarray:
    """uint8 crops to float32 [N, 224, 224, 3], 0..255."""
    return np.stack(crops).astype(np.float32)


def postprocess(outputs: dict[str, np.ndarray]) -> list[AgeAndGender]:
    ages, males = outputs["age"].astype(np.float64), outputs["gender"][:, 0]
    years = ages @ np.arange(ages.shape[1]) / np.maximum(ages.sum(axis=1), 1e-9)
    return [AgeAndGender(float(year), float(male)) for year, male in zip(years, males, strict=True)]
