"""A face's dense mesh and eyes in the picture, and the named landmarks read from them.

Crops are upright squares as MediaPipe's face and iris graphs cut them: the mesh sees the detector's box enlarged, an
eye 2.3 times the distance of its corners. Mesh indices are those of MediaPipe's canonical face.
"""

import math
from dataclasses import dataclass

import numpy as np

from inference.crops import Crop, cut
from inference.models import face_mesh, iris
from inference.types import Landmark, Pixels

MESH_ENLARGEMENT = 1.4
"""Of the box's longer side. Measured on 68-point faces: the error has its least between 1.25 and 1.5."""
HULL_ENLARGEMENT = 1.5
"""Of the longer side of the mesh itself, where it is looked at again."""
MOST_TILT_DEGREES = 6.0
"""Between a mesh and the crop that it was seen in. The detector's eyes say too little about a face that lies on its
side; the mesh says more, so that seen again upright it is right."""
MOST_LOOKS = 4
SURE_PRESENCE, LEAST_PRESENCE = 0.98, 0.9
"""Under the first, a face is looked at in other turns, too; a turn that gives less than the second says nothing."""
TURNS = (90.0, 180.0, 270.0)
"""The detector finds faces that lie on their side or upside down, but gives them upright points. Of the crops turned
so, the one is right in which the mesh network is surest of a face; it is unsure of such faces and of many masked ones,
which it is sure of in no turn."""
LEAST_TURNED_PIXELS = 48.0
"""Shorter side of the box of a face worth turning: of smaller ones the mesh network is seldom sure either way."""
EYE_ENLARGEMENT = 2.3
LEAST_EYE_PIXELS = 8.0
"""Between the corners of an eye. In a smaller one the iris network sees nothing that the mesh did not."""

EYE_CORNERS = ((33, 133), (362, 263))
"""Left and right corner of the picture's left and right eye."""
EYELIDS = ((159, 145), (386, 374))
"""Middle of the upper and lower lid."""

LANDMARKS = {
    "mouth_left": 61, "mouth_right": 291, "nose": 1,
    "left_eyebrow_left": 70, "left_eyebrow_right": 107, "left_eyebrow_up": 105,
    "right_eyebrow_left": 336, "right_eyebrow_right": 300, "right_eyebrow_up": 334,
    "nose_left": 75, "nose_right": 305, "mouth_up": 0, "mouth_down": 17,
    "upper_jawline_left": 127, "mid_jawline_left": 172, "chin_bottom": 152,
    "mid_jawline_right": 397, "upper_jawline_right": 356,
}  # fmt: skip
"""Mesh index by landmark; left is the picture's left. Of several candidates, the nearest to 68-point labels."""

FIVE = ("eye_left", "eye_right", "mouth_left", "mouth_right", "nose")
ALL = (
    *FIVE,
    "left_eyebrow_left", "left_eyebrow_right", "left_eyebrow_up",
    "right_eyebrow_left", "right_eyebrow_right", "right_eyebrow_up",
    "left_eye_left", "left_eye_right", "left_eye_up", "left_eye_down",
    "right_eye_left", "right_eye_right", "right_eye_up", "right_eye_down",
    "nose_left", "nose_right", "mouth_up", "mouth_down", "left_pupil", "right_pupil",
    "upper_jawline_left", "mid_jawline_left", "chin_bottom", "mid_jawline_right", "upper_jawline_right",
)  # fmt: skip
"""In the order of the service's answers (faces.md section 1)."""


@dataclass(frozen=True)
class FaceGeometry:
    """`mesh`: float64 [468, 3] x, y, z in picture pixels, z growing away from the camera; `eyes`: the iris network's
    points, float64 [76, 2] in picture pixels, for the picture's left and right eye, None for an eye too small;
    `presence`: how surely the mesh network saw a face there, 0..1."""

    mesh: np.ndarray
    eyes: tuple[np.ndarray | None, np.ndarray | None]
    presence: float


def mesh_crop(image: Pixels, box: np.ndarray, degrees: float) -> Crop:
    """The square that the mesh network sees of the face in `box` (x, y, width, height, picture pixels), which is turned
    clockwise by `degrees`."""
    side = MESH_ENLARGEMENT * float(max(box[2:]))
    centre = np.asarray(box[:2], np.float64) + np.asarray(box[2:], np.float64) / 2
    return cut(image, centre, (side, side), degrees, (face_mesh.SIDE, face_mesh.SIDE))


def tilt(points: np.ndarray) -> float:
    """The clockwise turn of the detector's eyes (the first two of `points`), degrees."""
    return _degrees(points[1] - points[0])


def is_upright(mesh: np.ndarray, seen: Crop) -> bool:
    """Whether a mesh (in picture pixels) stands upright in the crop that it was seen in."""
    turn = roll(mesh) - _degrees(seen.to_picture[:, 0])
    return abs((turn + 180) % 360 - 180) <= MOST_TILT_DEGREES


def upright_crop(image: Pixels, mesh: np.ndarray) -> Crop:
    """The square in which the mesh network sees a face again, now upright."""
    centre, size = _upright_hull(mesh)
    side = HULL_ENLARGEMENT * float(size.max())
    return cut(image, centre, (side, side), roll(mesh), (face_mesh.SIDE, face_mesh.SIDE))


def eye_crops(image: Pixels, mesh: np.ndarray) -> tuple[Crop | None, Crop | None]:
    """The squares that the iris network sees of the picture's left and right eye, None for an eye too small."""
    left, right = (_eye_crop(image, mesh, corners) for corners in EYE_CORNERS)
    return left, right


def _eye_crop(image: Pixels, mesh: np.ndarray, corners: tuple[int, int]) -> Crop | None:
    one, other = mesh[list(corners), :2]
    width = float(np.linalg.norm(one - other))
    if width < LEAST_EYE_PIXELS:
        return None
    side = EYE_ENLARGEMENT * width
    return cut(image, (one + other) / 2, (side, side), roll(mesh), (iris.SIDE, iris.SIDE))


def face_crop(image: Pixels, mesh: np.ndarray, enlargement: float, side: int) -> Crop:
    """The upright rectangle around the mesh, `enlargement` times its width and height, as side x side pixels."""
    centre, size = _upright_hull(mesh)
    width, height = (size * enlargement).tolist()
    return cut(image, centre, (width, height), roll(mesh), (side, side))


def _upright_hull(mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and size (width, height) of the rectangle around the mesh that stands upright with the face."""
    turn = math.radians(roll(mesh))
    axes = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    upright = mesh[:, :2] @ axes
    low, high = upright.min(axis=0), upright.max(axis=0)
    return axes @ ((low + high) / 2), high - low


def roll(mesh: np.ndarray) -> float:
    """The eye line's clockwise turn in the picture, degrees."""
    (left, right), (other_left, other_right) = EYE_CORNERS
    return _degrees(mesh[other_left] + mesh[other_right] - mesh[left] - mesh[right])


def landmarks(geometry: FaceGeometry, width: int, height: int, kinds: tuple[str, ...]) -> tuple[Landmark, ...]:
    """The named landmarks as ratios of the picture's `width` and `height` (pixels)."""
    places = {kind: geometry.mesh[index, :2] for kind, index in LANDMARKS.items()}
    for side, name in enumerate(("left", "right")):
        centre, *lids = _eye(geometry, side)
        places |= {f"eye_{name}": centre, f"{name}_pupil": centre}
        places |= {f"{name}_eye_{end}": place for end, place in zip(("left", "right", "up", "down"), lids, strict=True)}
    return tuple(Landmark(kind, float(places[kind][0]) / width, float(places[kind][1]) / height) for kind in kinds)


def _eye(geometry: FaceGeometry, side: int) -> np.ndarray:
    """Centre, left and right corner, upper and lower lid: float64 [5, 2]."""
    seen = geometry.eyes[side]
    if seen is not None:
        return np.asarray(seen[[iris.IRIS_CENTRE, iris.LEFT_CORNER, iris.RIGHT_CORNER, iris.UPPER_LID, iris.LOWER_LID]])
    contour = geometry.mesh[[*EYE_CORNERS[side], *EYELIDS[side]], :2]
    return np.vstack([contour.mean(axis=0), contour])


def _degrees(along: np.ndarray) -> float:
    return math.degrees(math.atan2(along[1], along[0]))
