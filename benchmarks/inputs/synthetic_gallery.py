"""Unit vectors with the statistics of face embeddings, in any number.

A face is `mean + person + noise`, made a unit vector: `person` is normal and the same for all faces of one person,
`noise` is normal with a strength of its own for each face, log-normal, as pictures differ in quality. The variance of
the axes declines exponentially, by a factor of e^0.9 from the first to the last. The five numbers were fitted so that
cosines in 128 dimensions are distributed as those of the base pack's embedder on labelled faces of LFW (600 pictures
of 300 people): pairs of one person 0.665 +- 0.116 (median 0.673, first percentile 0.37), of two people 0.090 +- 0.090
(99.99th percentile 0.42). In other dimensions the same numbers give the spread that goes with them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

_MEAN, _PERSON, _NOISE, _SPREAD, _DECLINE = 0.31, 0.78, 0.55, 0.36, 0.9
_BLOCK_PEOPLE = 65536


@dataclass(frozen=True, eq=False)
class Gallery:
    """Ids uint8[N, 16] and vectors float32[N, D] of N / `faces` people, and probes float32[P, D], each another picture
    of a person in it."""

    ids: npt.NDArray[np.uint8]
    vectors: Vectors
    probes: Vectors


def make(count: int, dimension: int, probe_count: int, faces: int = 4, seed: int = 0) -> Gallery:
    """A gallery with `faces` faces of each person, those of one person far apart."""
    dice = np.random.default_rng(seed)
    axes = np.exp(-0.5 * _DECLINE * np.arange(dimension) / dimension).astype(np.float32)
    axes /= np.linalg.norm(axes)
    mean = dice.standard_normal(dimension, dtype=np.float32)
    mean *= _MEAN / np.linalg.norm(mean)
    people = -(-count // faces)
    vectors = np.empty((count, dimension), np.float32)
    probes = np.empty((0, dimension), np.float32)
    for start in range(0, people, _BLOCK_PEOPLE):
        block = min(_BLOCK_PEOPLE, people - start)
        centres = mean + dice.standard_normal((block, dimension), dtype=np.float32) * axes * _PERSON
        for face in range(faces):
            first = face * people + start
            vectors[first : first + block] = _faces(centres[: max(0, count - first)], axes, dice)
        probes = np.concatenate([probes, _faces(centres[: probe_count - len(probes)], axes, dice)])
    return Gallery(dice.integers(0, 256, (count, 16), np.uint8), vectors, probes)


def _faces(centres: Vectors, axes: Vectors, dice: np.random.Generator) -> Vectors:
    strength = _NOISE * np.exp(_SPREAD * dice.standard_normal((len(centres), 1), dtype=np.float32))
    made = centres + dice.standard_normal(centres.shape, dtype=np.float32) * axes * strength
    unit: Vectors = made / np.linalg.norm(made, axis=1, keepdims=True)
    return unit
