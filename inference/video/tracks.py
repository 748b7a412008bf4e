"""What is kept of a person's track through a scene."""

from dataclasses import dataclass, replace

import numpy as np

from inference import appearance
from inference.types import Embedding, Face
from inference.video import motion
from inference.video.detections import Detection
from inference.video.motion import Motion

KEPT_FACES = 10
FORGETTING = 0.8
"""What stays of a track's appearance when a new one is seen."""
FULL_SIDE = 0.1
"""Of a face's width to the frame's: larger faces are not better."""


@dataclass(frozen=True, eq=False)
class GoodFace:
    """An embedding; `weight` says how much of a template it makes."""

    weight: float
    at_ms: int
    embedding: Embedding


@dataclass(frozen=True, eq=False)
class Track:
    """`looks` is how often it was seen, `last_body` where last, as `Detection.body`; `appearance` is that of late;
    `faces` are the best ones, best first."""

    number: int
    first_ms: int
    last_ms: int
    looks: int
    motion: Motion
    last_body: np.ndarray
    appearance: appearance.Vector | None
    faces: tuple[GoodFace, ...]


def begun(number: int, at_ms: int, one: Detection) -> Track:
    return Track(number, at_ms, at_ms, 1, motion.started(one.body), one.body, one.appearance, _good_faces(at_ms, one))


def continued(track: Track, at_ms: int, one: Detection) -> Track:
    there = motion.predicted(track.motion, (at_ms - track.last_ms) / 1000)
    return replace(
        track,
        last_ms=at_ms,
        looks=track.looks + 1,
        motion=motion.corrected(there, one.body),
        last_body=one.body,
        appearance=_blended(track.appearance, one.appearance),
        faces=best(track.faces + _good_faces(at_ms, one)),
    )


def best(faces: tuple[GoodFace, ...]) -> tuple[GoodFace, ...]:
    return tuple(sorted(faces, key=lambda face: (-face.weight, face.at_ms))[:KEPT_FACES])


def template(faces: tuple[GoodFace, ...]) -> Embedding | None:
    """The mean of the embeddings by weight, unit length; None without any."""
    if not faces:
        return None
    total = np.sum([face.weight * face.embedding for face in faces], axis=0)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-6), np.float32)


def weight(face: Face) -> float:
    """How well a face tells whose it is, 0..1: a large, sharp one that looks into the camera does best."""
    turned = np.cos(np.radians([face.pose.yaw, face.pose.pitch])).clip(0.05)
    size = min(face.box.width / FULL_SIDE, 1.0)
    return float(turned.prod() * size * max(face.quality.sharpness, 1.0) / 100 * face.confidence / 100)


def _good_faces(at_ms: int, one: Detection) -> tuple[GoodFace, ...]:
    if one.face is None or one.face.embedding is None:
        return ()
    return (GoodFace(weight(one.face), at_ms, one.face.embedding),)


def _blended(old: appearance.Vector | None, new: appearance.Vector | None) -> appearance.Vector | None:
    if old is None or new is None:
        return new if old is None else old
    mixed = FORGETTING * old + (1 - FORGETTING) * new
    return mixed / max(float(np.linalg.norm(mixed)), 1e-6)
