"""Persons of one picture and where their heads, faces and hands lie, from boxes, body points and faces.

Lengths are in units of the person's face (the square root of its box's area), and all constants were measured on the
development half of the evaluation data (docs/accuracy.md says how well they do).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from inference.calibration import Logistic
from inference.crops import Crop, cut, onto
from inference.models import body_pose
from inference.models.body_pose import POINTS
from inference.models.object_detector import CLASSES, Objects
from inference.types import Pixels

LEAST_SCORE = 0.2
"""Of a box that is looked at; a clear pose can still make a person of it."""
SAME_PERSON_OVERLAP = 0.6
MOST_CANDIDATES = 24
TILED_SIDE = 1000
"""Pixels. Larger pictures are also looked at in four parts, for the detector sees them at half the scale or less."""
TILE_SHARE = 0.6
MOST_TILES = 4
EDGE_PIXELS = 4
ENLARGEMENT = 1.15
LEAST_UNIT = 8.0
"""Pixels. Of smaller persons no part can be judged, so none is answered."""

PERSON = Logistic((10.1, 8.1), -5.7)
"""From the box's score and the mean score of the upper body's points."""
HEAD = Logistic((8.5,), -0.8)
HAND = Logistic((5.6,), -1.3)
"""From the mean score of the head's points, and from the score of the wrist."""
LEAST_HAND = 0.7
"""Of a hand that is answered; of others gloves are told less well than in three of four cases."""

HEAD_POINTS = slice(0, 5)
UPPER_BODY = slice(0, 13)
FACE_OFF_HEAD_POINTS = 0.056
"""A face's middle lies that much of its height below the mean of eyes, ears and nose."""
MOST_FACE_DISTANCE = 0.6
"""Between the middle of a face and the mean of the head points, in face heights."""
LEAST_HEAD_DISTANCE = 1.2
"""Of two persons' heads, in units of the larger."""
BODY_OF_FACE = (-1.6, -1.1, 1.6, 5.5)
"""Left, top, right and bottom of a person around the middle of a face, in units."""
HAND_FROM_WRIST, HAND_SIDE = 0.35, 0.9

Tile = tuple[int, int, int, int]
"""Left, top, width and height in pixels."""
Sides = tuple[float, float, float, float]
CRANIUM: Sides = (-0.6, -1.1, 0.6, -0.2)
LOWER_FACE: Sides = (-0.4, 0.0, 0.4, 0.6)
"""Left, top, right and bottom of what equipment has to cover, around the head's middle, in units."""


@dataclass(frozen=True)
class Part:
    """A body part: `confidence` 0..1; `box` float64 [4], left, top, width and height in pixels of what equipment has to
    cover; `middle` float64 [2], pixels."""

    name: str
    confidence: float
    box: np.ndarray
    middle: np.ndarray


@dataclass(frozen=True)
class Figure:
    """A person: `box` float64 [4], pixels; `confidence` 0..1; `points` float64 [17, 3]; the middle of the head, float64
    [2], and the unit, pixels; `face` is an index of the picture's faces, None where none is seen."""

    box: np.ndarray
    confidence: float
    points: np.ndarray
    head: np.ndarray
    unit: float
    face: int | None


def tiles(width: int, height: int) -> list[Tile]:
    """The parts of a large picture that are looked at on their own; none for others."""
    if max(width, height) < TILED_SIDE:
        return []
    wide, high = round(width * TILE_SHARE), round(height * TILE_SHARE)
    return [(left, top, wide, high) for top in (0, height - high) for left in (0, width - wide)]


def of_tile(objects: Objects, tile: Tile, width: int, height: int, margin: float = EDGE_PIXELS) -> Objects:
    """The objects seen in a part of a picture of that size, pixels, without those that the part cuts off: those that
    come within `margin` pixels of its edge, where that is not the picture's."""
    left, top, wide, high = tile
    boxes = objects.boxes * [wide, high, wide, high] + [left, top, 0, 0]
    near, far = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    cut_near = (near < np.array([left, top]) + margin) & (np.array([left, top]) > 0)
    cut_far = (far > np.array([left + wide, top + high]) - margin) & (
        np.array([left + wide, top + high]) < [width, height]
    )
    whole = ~(cut_near | cut_far).any(axis=1)
    return Objects(boxes[whole] / [width, height, width, height], objects.scores[whole], objects.classes[whole])


def joined(seen: Sequence[Objects]) -> Objects:
    return Objects(
        np.concatenate([one.boxes for one in seen]),
        np.concatenate([one.scores for one in seen]),
        np.concatenate([one.classes for one in seen]),
    )


def candidates(objects: Objects, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes that may be persons, best first: float64 [N, 4] left, top, width, height in pixels, and scores [N]."""
    chosen = (objects.classes == CLASSES.index("person")) & (objects.scores >= LEAST_SCORE)
    boxes = objects.boxes[chosen].astype(np.float64) * [width, height, width, height]
    scores = objects.scores[chosen].astype(np.float64)
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), LEAST_SCORE, SAME_PERSON_OVERLAP)
    order = np.asarray(kept, np.intp).reshape(-1)[:MOST_CANDIDATES]
    return boxes[order], scores[order]


def pose_crop(image: Pixels, box: np.ndarray) -> Crop:
    """The square around a person's box (left, top, width, height in pixels) that the pose network sees."""
    side = float(max(box[2:])) * ENLARGEMENT
    return cut(image, box[:2] + box[2:] / 2, (side, side), 0.0, (body_pose.SIDE, body_pose.SIDE))


def in_picture(points: np.ndarray, crop: Crop) -> np.ndarray:
    """The network's points, float [17, 3], in picture pixels."""
    return np.hstack([onto(points[:, :2], crop.to_picture), points[:, 2:]])


def figures(
    boxes: np.ndarray, scores: np.ndarray, poses: Sequence[np.ndarray], faces: np.ndarray
) -> tuple[list[Figure], list[int]]:
    """The likely persons among boxes, each with the face that is its own; and the faces that are nobody's.

    boxes [N, 4], scores [N], a pose [17, 3] each; faces [M, 4], left, top, width, height in pixels.
    """
    free = list(range(len(faces)))
    found = []
    for box, score, points in zip(boxes, scores, poses, strict=True):
        confidence = PERSON.probability((float(score), float(points[UPPER_BODY, 2].mean())))
        if confidence < 0.5:
            continue
        own = _own_face(points, faces, free)
        if own is not None:
            free.remove(own)
        head, unit = _head_of_points(points) if own is None else _head_of_face(faces[own])
        found.append(Figure(box, confidence, points, head, unit, own))
    return found, free


def is_alone(face: np.ndarray, others: Sequence[Figure]) -> bool:
    """Whether a face, left, top, width and height in pixels, is away from everybody's head."""
    middle, unit = _head_of_face(face)
    return all(np.linalg.norm(one.head - middle) >= LEAST_HEAD_DISTANCE * max(one.unit, unit) for one in others)


def body_of_face(face: np.ndarray, width: int, height: int) -> np.ndarray:
    """The box of a person of whom only the face was found, inside the picture: float64 [4], pixels."""
    head, unit = _head_of_face(face)
    head = head.clip(0, [width, height])
    left, top, right, bottom = (np.tile(head, 2) + np.array(BODY_OF_FACE) * unit).clip(0, [width, height] * 2)
    return np.array([left, top, right - left, bottom - top])


def of_face(box: np.ndarray, points: np.ndarray, face: np.ndarray, number: int, confidence: float) -> Figure:
    """The person of whom only the face was found. `confidence`: the face's, 0..1."""
    head, unit = _head_of_face(face)
    return Figure(box, confidence, points, head, unit, number)


def parts(figure: Figure, face_confidence: float, width: int, height: int) -> list[Part]:
    """The parts that are seen in a picture of that size, pixels, in the order of answers; `face_confidence` 0..1, 0
    without a face."""
    if figure.unit < LEAST_UNIT:
        return []
    size = np.array([width, height])
    head = HEAD.probability((float(figure.points[HEAD_POINTS, 2].mean()),))
    found = [
        Part("face", face_confidence, _around(figure, LOWER_FACE), figure.head),
        _hand(figure, "left"),
        _hand(figure, "right"),
        Part("head", max(head, face_confidence), _around(figure, CRANIUM), figure.head),
    ]
    return [part for part in found if _is_seen(part, size)]


def _is_seen(part: Part, size: np.ndarray) -> bool:
    if part.name in ("face", "head"):
        return part.confidence >= 0.5
    return part.confidence >= LEAST_HAND and bool(((part.middle >= 0) & (part.middle < size)).all())


def _hand(figure: Figure, side: str) -> Part:
    elbow, wrist = figure.points[POINTS.index(f"{side} elbow")], figure.points[POINTS.index(f"{side} wrist")]
    forearm = wrist[:2] - elbow[:2]
    along = forearm / max(float(np.linalg.norm(forearm)), 1e-6)
    middle = wrist[:2] + HAND_FROM_WRIST * figure.unit * along
    half = HAND_SIDE * figure.unit / 2
    box = np.array([*(middle - half), 2 * half, 2 * half])
    return Part(f"{side}_hand", HAND.probability((float(wrist[2]),)), box, middle)


def _around(figure: Figure, sides: Sides) -> np.ndarray:
    left, top, right, bottom = np.array(sides) * figure.unit
    return np.array([figure.head[0] + left, figure.head[1] + top, right - left, bottom - top])


def _own_face(points: np.ndarray, faces: np.ndarray, free: Sequence[int]) -> int | None:
    head = points[HEAD_POINTS, :2].mean(axis=0)
    distances = {n: float(np.linalg.norm(faces[n, :2] + faces[n, 2:] / 2 - head) / faces[n, 3]) for n in free}
    nearest = min(distances, key=distances.__getitem__, default=None)
    return nearest if nearest is not None and distances[nearest] < MOST_FACE_DISTANCE else None


def _head_of_face(face: np.ndarray) -> tuple[np.ndarray, float]:
    left, top, width, height = face.tolist()
    middle = np.array([left + width / 2, top + (0.5 - FACE_OFF_HEAD_POINTS) * height])
    return middle, float(np.sqrt(width * height))


def _head_of_points(points: np.ndarray) -> tuple[np.ndarray, float]:
    """By the median of four lengths: the shoulders' and the ears' distance, from head to shoulders, the torso."""
    at = points[:, :2]
    head, shoulders, hips = at[HEAD_POINTS].mean(axis=0), at[5:7].mean(axis=0), at[11:13].mean(axis=0)
    lengths = np.array([at[5] - at[6], at[3] - at[4], head - shoulders, shoulders - hips])
    return head, float(np.median(np.linalg.norm(lengths, axis=1) * [0.64, 1.13, 1.0, 0.42]))
