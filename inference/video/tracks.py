"""What is kept of a person's track through a scene."""

from dataclasses import dataclass, replace

import numpy as np

from inference import appearance
from inference.types import Embedding
from inference.video import motion
from inference.video.detections import Detection, TellingFace
from inference.video.motion import Motion

LEAST_SURE = 70.0
"""Confidence of a detection that is hardly false."""
KEPT_FACES = 10
FORGETTING = 0.9
"""What stays of a track's appearance when a new one is seen."""


@dataclass(frozen=True, eq=False)
class Track:
    """`sure_looks` is how often it was surely seen; `last_body` where it was last, as `Detection.body`; `appearance` is
    that of late; `faces` are the best ones, best first."""

    number: int
    first_ms: int
    last_ms: int
    sure_looks: int
    motion: Motion
    last_body: np.ndarray
    appearance: appearance.Vector | None
    faces: tuple[TellingFace, ...]


def begun(number: int, at_ms: int, one: Detection) -> Track:
    return Track(
        number, at_ms, at_ms, int(is_sure(one)), motion.started(one.body), one.body, one.appearance, _telling(one)
    )


def continued(track: Track, at_ms: int, one: Detection) -> Track:
    # Who is not sure is mostly half hidden by others.
    appearance_now = one.appearance if is_sure(one) else None
    there = motion.predicted(track.motion, (at_ms - track.last_ms) / 1000)
    return replace(
        track,
        last_ms=at_ms,
        sure_looks=track.sure_looks + is_sure(one),
        motion=motion.corrected(there, one.body),
        last_body=one.body,
        appearance=_blended(track.appearance, appearance_now),
        faces=best(track.faces + _telling(one)),
    )


def is_sure(one: Detection) -> bool:
    """Whether a detection may begin a track."""
    return one.confidence >= LEAST_SURE


def best(faces: tuple[TellingFace, ...]) -> tuple[TellingFace, ...]:
    return tuple(sorted(faces, key=lambda face: -face.weight)[:KEPT_FACES])


def template(faces: tuple[TellingFace, ...]) -> Embedding | None:
    """The mean of the embeddings by weight, unit length; None without any."""
    if not faces:
        return None
    total = np.sum([face.weight * face.embedding for face in faces], axis=0)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-6), np.float32)


def _telling(one: Detection) -> tuple[TellingFace, ...]:
    return () if one.telling is None else (one.telling,)


def _blended(old: appearance.Vector | None, new: appearance.Vector | None) -> appearance.Vector | None:
    if old is None or new is None:
        return new if old is None else old
    mixed = FORGETTING * old + (1 - FORGETTING) * new
    return np.asarray(mixed / max(float(np.linalg.norm(mixed)), 1e-6), np.float32)
