"""The people of one frame: bodies with the faces that are theirs, and faces without a body."""

from dataclasses import dataclass

import numpy as np

from inference import appearance, figures
from inference.types import Body, Box, Embedding, Face, PersonsResult
from inference.video.assignment import assigned

HEAD_SHARE = 0.6
"""The middle of a face is in so much of its body's height, from the top: half would do but for people cut off by the
frame below the chest."""
FACE_BELOW_TOP = 0.75
"""How far the middle of a face is below the top of its body, in face heights."""
MOST_DISTANCE = 2.0
"""Between the middle of a face and where its body's should be, in face heights."""
INSIDE = 0.9
"""Of a body without a face, in the box of one that has a face, which it then is a part of."""
LEAST_FACE_CONFIDENCE = 50.0
"""Of a face that is shown. Backs of heads reach 40."""
LEAST_TELLING_CONFIDENCE, LEAST_TELLING_SIDE, FULL_SIDE = 80.0, 24.0, 80.0
"""Confidence and width in pixels of a face that tells whose it is, and the width from which it tells no less."""


@dataclass(frozen=True, eq=False)
class TellingFace:
    """An embedding; `weight`, 0..1, says how well it tells whose it is."""

    weight: float
    embedding: Embedding


@dataclass(frozen=True, eq=False)
class Detection:
    """A person in one frame.

    `box` is the body's, or the face's where no body was found, as ratios; `body` float64 [4], centre x, centre y, width
    and height in pixels, then is what the face tells of it. `confidence`, 0..100, is the surer one's. `appearance` is
    None without a body.
    """

    box: Box
    body: np.ndarray
    confidence: float
    appearance: appearance.Vector | None
    face: Face | None
    telling: TellingFace | None


def detections(found: PersonsResult) -> list[Detection]:
    """In an order that does not depend on that of `found`."""
    bodies = sorted(found.bodies, key=lambda body: (-body.confidence, _corners(body.box)))
    shown = (face for face in found.faces if face.confidence >= LEAST_FACE_CONFIDENCE)
    faces = sorted(shown, key=lambda face: (-face.confidence, _corners(face.box)))
    size = np.array([found.width, found.height, found.width, found.height], np.float64)
    owners = {body: face for face, body in assigned(_distances(faces, bodies, size), MOST_DISTANCE)}
    people = [
        _of_body(body, faces[owners[n]] if n in owners else None, size)
        for n, body in enumerate(bodies)
        if n in owners or not any(_is_inside(body.box, bodies[other].box) for other in owners)
    ]
    alone = (face for n, face in enumerate(faces) if n not in owners.values())
    return people + [_of_face(face, size) for face in alone]


def _is_inside(box: Box, other: Box) -> bool:
    """Whether a box is part of a larger one."""
    wide = min(box.left + box.width, other.left + other.width) - max(box.left, other.left)
    high = min(box.top + box.height, other.top + other.height) - max(box.top, other.top)
    return max(wide, 0.0) * max(high, 0.0) > INSIDE * box.area and box.area < other.area


def _of_body(body: Body, face: Face | None, size: np.ndarray) -> Detection:
    seen = appearance.vector(body.appearance)
    confidence = body.confidence if face is None else max(body.confidence, face.confidence)
    return Detection(body.box, _centred(_pixels(body.box, size)), confidence, seen, face, _telling(face, size))


def _of_face(face: Face, size: np.ndarray) -> Detection:
    body = figures.body_of_face(_pixels(face.box, size), int(size[0]), int(size[1]))
    return Detection(face.box, _centred(body), face.confidence, None, face, _telling(face, size))


def _telling(face: Face | None, size: np.ndarray) -> TellingFace | None:
    """A large, sharp face that looks into the camera tells best."""
    if face is None or face.embedding is None or face.confidence < LEAST_TELLING_CONFIDENCE:
        return None
    side = face.box.width * size[0]
    if side < LEAST_TELLING_SIDE:
        return None
    towards = np.cos(np.radians([face.pose.yaw, face.pose.pitch])).clip(0.05).prod()
    return TellingFace(float(towards * min(side / FULL_SIDE, 1) * max(face.quality.sharpness, 5) / 100), face.embedding)


def _distances(faces: list[Face], bodies: list[Body], size: np.ndarray) -> np.ndarray:
    """[faces, bodies], in face heights; infinite where a face is not in the upper part of a body."""
    costs = np.full((len(faces), len(bodies)), np.inf)
    for row, face in enumerate(faces):
        left, top, wide, high = _pixels(face.box, size).tolist()
        x, y = left + wide / 2, top + high / 2
        for column, body in enumerate(bodies):
            of_body = _pixels(body.box, size).tolist()
            across, down = (x - of_body[0]) / of_body[2], (y - of_body[1]) / of_body[3]
            if 0 < across < 1 and 0 < down < HEAD_SHARE and wide < of_body[2] * 1.2:
                expected = of_body[1] + FACE_BELOW_TOP * high
                costs[row, column] = np.hypot((x - of_body[0] - of_body[2] / 2) / 2, y - expected) / high
    return costs


def _pixels(box: Box, size: np.ndarray) -> np.ndarray:
    return np.asarray(np.array(_corners(box)) * size)


def _corners(box: Box) -> tuple[float, float, float, float]:
    return box.left, box.top, box.width, box.height


def _centred(box: np.ndarray) -> np.ndarray:
    return np.concatenate([box[:2] + box[2:] / 2, box[2:]])
