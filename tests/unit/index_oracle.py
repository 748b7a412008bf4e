"""A plain numpy oracle with the interface of the index, and vectors to try both with."""

from typing import Any

import numpy as np

from vectorindex.index import VectorIndex

TOLERANCE = 1e-6
NONE = np.empty((0, 16), np.uint8)


class Oracle:
    """Faces in a dict, searched by sorting all cosines."""

    def __init__(self) -> None:
        self.faces: dict[bytes, Any] = {}

    def update(self, removed: Any, added: Any, vectors: Any) -> None:
        for face_id in removed:
            self.faces.pop(face_id.tobytes(), None)
        self.faces |= {face_id.tobytes(): vector for face_id, vector in zip(added, vectors, strict=True)}

    def cosines(self, query: Any) -> dict[bytes, float]:
        return {face_id: float(vector.astype(float) @ query.astype(float)) for face_id, vector in self.faces.items()}


def check(index: VectorIndex, oracle: Oracle, query: Any, k: int, min_score: float, exclude: bytes | None) -> None:
    ids, scores = index.search(query, k, min_score, exclude)
    cosines = {face_id: cosine for face_id, cosine in oracle.cosines(query).items() if face_id != exclude}
    found = [face_id.tobytes() for face_id in ids]
    assert len(set(found)) == len(found) <= k
    assert all(abs(cosines[face_id] - score) < TOLERANCE for face_id, score in zip(found, scores, strict=True))
    assert list(scores) == sorted(scores, reverse=True)
    assert all(-1.0 <= score <= 1.0 and score >= np.float32(min_score) for score in scores)
    # What is missing is no better than what is there, up to rounding: ties may fall either way.
    worst = scores[-1] if len(found) == k else min_score
    assert all(cosines[face_id] <= worst + TOLERANCE for face_id in cosines.keys() - found)


def unit(values: Any) -> Any:
    vector = np.asarray(values, np.float32)
    length = np.linalg.norm(vector)
    return vector / length if length > 1e-3 else np.eye(1, len(vector), dtype=np.float32)[0]


def face_id(number: int) -> Any:
    """Few distinct bytes, so that ids share halves with each other, and zero bytes at both ends."""
    return np.frombuffer(bytes([0, number % 3]) + bytes(12) + bytes([number // 3, 0]), np.uint8)


def random_faces(count: int, dimension: int, seed: int = 0) -> tuple[Any, Any]:
    dice = np.random.default_rng(seed)
    made = dice.standard_normal((count, dimension), dtype=np.float32)
    return dice.integers(0, 256, (count, 16), np.uint8), made / np.linalg.norm(made, axis=1, keepdims=True)
