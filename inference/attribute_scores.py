"""Cues of yes-or-no attributes: the few numbers a face from which each is told.

No cue is learnt: each is a distance on the mesh, grey or colour in places that the mesh names, or the output of a
network of the pack. Only how they are weighed is fitted (see `attributes`). Grey and colour are taken in the upright
crop around the mesh and compared with the same face's skin, so that light and complexion matter little; most cues are
logarithms, so that a few odd faces do not bend the fit.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from inference.crops import Crop
from inference.face_geometry import EYE_CORNERS, EYELIDS, FaceGeometry
from inference.models import iris

Cues = tuple[float, ...]

SKIN = (50, 280, 205, 425, 151, 9, 108, 337, 101, 330, 36, 266)
"""Cheeks and forehead."""

USUAL_OPENING = 0.32
"""Of eyes, as `eyes_open` measures them: the median of the labelled faces. For eyes too small to be seen."""

Region = tuple[tuple[int, ...], ...]
NOSE_BASE = 2
BRIDGE: Region = ((55,), (285,), (399,), (174,))
UPPER_LIP: Region = ((165,), (391,), (270, 269), (40, 39))
LIPS: Region = ((40, 39), (270, 269), (321, 320), (91, 90))
JAW: Region = ((205,), (425,), (379,), (150,))
FOREHEAD: Region = ((103,), (332,), (334,), (105,))
UNDER_EYES: tuple[Region, Region] = (((226,), (244,), (121,), (117,)), ((464,), (446,), (346,), (350,)))
EYES: tuple[Region, Region] = (
    ((224, 225), (222, 221), (121,), (117,)),
    ((441, 442), (444, 445), (346,), (350,)),
)
"""Corners of regions, clockwise from the upper left; a corner is the mean of its mesh points."""


@dataclass(frozen=True)
class UprightFace:
    """`grey`: float32 [H, W], 0..255; `colour`: float32 [H, W, 2], a and b of CIE L*a*b*; `points`: float64 [468, 2],
    the mesh in their pixels; `skin`: its skin's grey."""

    grey: np.ndarray
    colour: np.ndarray
    points: np.ndarray
    skin: float


def upright_face(crop: Crop, geometry: FaceGeometry) -> UprightFace:
    grey = cv2.cvtColor(crop.pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    colour = cv2.cvtColor(crop.pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[:, :, 1:]
    linear, shift = crop.to_picture[:, :2], crop.to_picture[:, 2]
    points = (geometry.mesh[:, :2] - shift) @ np.linalg.inv(linear).T
    columns, rows = (np.clip(points[list(SKIN), axis], 0, grey.shape[1 - axis] - 1).astype(int) for axis in (0, 1))
    return UprightFace(grey, colour, points, float(np.median(grey[rows, columns])) + 1.0)


def mouth_open(geometry: FaceGeometry) -> Cues:
    """The gap between the lips against the face's height."""
    mesh = geometry.mesh
    gap = np.mean([np.linalg.norm(mesh[a, :2] - mesh[b, :2]) for a, b in ((13, 14), (82, 87), (312, 317))])
    return (float(gap / _distance(mesh, 10, 152)),)


def smile(geometry: FaceGeometry, happy: float) -> Cues:
    """The emotion network's HAPPY (0..1), how wide the mouth is and how high its corners lie (eye distances)."""
    mesh = geometry.mesh
    eyes = _distance(mesh, 33, 263)
    down = (mesh[152] - mesh[10]) / _distance(mesh, 10, 152)
    raised = float((mesh[[0, 17]].mean(axis=0) - mesh[[61, 291]].mean(axis=0)) @ down)
    return math.log(happy + 1e-3), _distance(mesh, 61, 291) / eyes, raised / eyes


def expression(geometry: FaceGeometry) -> Cues:
    """Beside the emotion network: the gap between the lips, how open the eyes are, and how wide the mouth is."""
    mesh = geometry.mesh
    opening = eyes_open(geometry)
    eyes = USUAL_OPENING if opening is None else opening[0]
    return *mouth_open(geometry), eyes, _distance(mesh, 61, 291) / _distance(mesh, 33, 263)


def eyes_open(geometry: FaceGeometry) -> Cues | None:
    """The lids' distance against the eye's width (eye aspect ratio, Soukupova and Cech 2016), on the iris network's
    contour and on the mesh; the mean of the eyes that are large enough to be seen, None when neither is."""
    seen = [_aspect(eye) for eye in geometry.eyes if eye is not None]
    if not seen:
        return None
    lids = zip(EYELIDS, EYE_CORNERS, strict=True)
    meshed = [_distance(geometry.mesh, *lid) / _distance(geometry.mesh, *corners) for lid, corners in lids]
    return float(np.mean(seen)), float(np.mean(meshed))


def eyeglasses(face: UprightFace) -> Cues:
    """The strongest edge across the bridge of the nose, where a frame joins its rims; the contrast around the eyes,
    which lenses lower; edges along the temples, where the arms are."""
    bridge = _smooth(_patch(face.grey, face, BRIDGE, (32, 32)))
    across = float(np.abs(np.diff(bridge, axis=0)).mean(axis=1).max())
    contrast = float(np.mean([_patch(face.grey, face, region, (32, 32)).std() for region in EYES]))
    down = np.diff(_smooth(_eye_strip(face)), axis=0)[10:46]
    temples = float(np.mean([np.ptp(down[:, side].mean(axis=1)) for side in (slice(4, 24), slice(136, 156))]))
    return tuple(_log(value / face.skin) for value in (across, contrast, temples))


def sunglasses(face: UprightFace) -> Cues:
    """How dark it is under the eyes against the skin."""
    return (
        _log(float(np.mean([_patch(face.grey, face, region, (32, 32)).mean() for region in UNDER_EYES])) / face.skin),
    )


def mustache(face: UprightFace, male: float) -> Cues:
    """How dark the upper lip is against the skin, its texture across, and the network's log odds of a man (0..1)."""
    lip = _patch(face.grey, face, UPPER_LIP, (32, 16))
    return _log(float(lip.mean()) / face.skin), _texture(lip, face), log_odds(male)


def beard(face: UprightFace, male: float) -> Cues:
    """How dark the upper lip is against the skin, the texture from cheeks to jaw, and the network's log odds of a man
    (0..1)."""
    lip = _patch(face.grey, face, UPPER_LIP, (32, 16))
    return _log(float(lip.mean()) / face.skin), _texture(_patch(face.grey, face, JAW, (48, 48)), face), log_odds(male)


def face_occluded(face: UprightFace, geometry: FaceGeometry) -> Cues:
    """How surely the mesh network sees a face; how much lighter and darker lines cross the lips, how red they are
    against the forehead, and how far the colour of the lower face is from the forehead's."""
    crossing = float(np.ptp(_patch(face.grey, face, LIPS, (32, 24)).mean(axis=1))) / face.skin
    lips, jaw, forehead = (
        np.median(_patch(face.colour, face, region, (32, 24)).reshape(-1, 2), axis=0)
        for region in (LIPS, JAW, FOREHEAD)
    )
    sure = float(np.clip(log_odds(geometry.presence, 1e-4), -6, 9))
    return sure, _log(crossing), float(lips[0] - forehead[0]), math.log(1 + float(np.linalg.norm(jaw - forehead)))


def log_odds(probability: float, least: float = 1e-3) -> float:
    return math.log((probability + least) / (1 + least - probability))


def _aspect(eye: np.ndarray) -> float:
    opening = np.mean([np.linalg.norm(eye[lower] - eye[lower + 8]) for lower in (3, 4, 5)])
    return float(opening / max(np.linalg.norm(eye[iris.LEFT_CORNER] - eye[iris.RIGHT_CORNER]), 1e-6))


def _texture(patch: np.ndarray, face: UprightFace) -> float:
    """Hair stands upright there: its edges lie across."""
    return _log(float(np.abs(np.diff(_smooth(patch), axis=1)).mean()) / face.skin)


def _eye_strip(face: UprightFace) -> np.ndarray:
    """Grey from temple to temple: float32 [90, 160]; eyes at (45, 30) and (115, 30), nose at (80, 75)."""
    eyes = [face.points[list(corners)].mean(axis=0) for corners in EYE_CORNERS]
    places = np.array([*eyes, face.points[NOSE_BASE]], np.float32)
    onto = np.array([[45, 30], [115, 30], [80, 75]], np.float32)
    return np.asarray(cv2.warpAffine(face.grey, cv2.getAffineTransform(places, onto), (160, 90)))


def _smooth(patch: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(patch, (0, 0), 1))


def _log(value: float) -> float:
    return math.log(value + 1e-3)


def _patch(image: np.ndarray, face: UprightFace, region: Region, shape: tuple[int, int]) -> np.ndarray:
    corners = np.array([face.points[list(points)].mean(axis=0) for points in region], np.float32)
    wide, high = shape
    onto = np.array([[0, 0], [wide - 1, 0], [wide - 1, high - 1], [0, high - 1]], np.float32)
    return np.asarray(cv2.warpPerspective(image, cv2.getPerspectiveTransform(corners, onto), shape))


def _distance(mesh: np.ndarray, one: int, other: int) -> float:
    return max(float(np.linalg.norm(mesh[one] - mesh[other])), 1e-6)
