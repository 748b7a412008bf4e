"""Scores of yes-or-no attributes: one number a face that rises with the attribute.

No score is learnt: each is a distance on the mesh, a ratio of grey values in places that the mesh names, or the output
of a network of the pack. Only where a score becomes a yes is fitted (see `attributes`). Grey values are taken in the
upright crop around the mesh, and compared with the same face's skin, so that light and complexion matter little.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from inference.crops import Crop
from inference.face_geometry import FaceGeometry
from inference.models import iris

SKIN = (50, 280, 205, 425, 151, 9, 108, 337, 101, 330, 36, 266)
"""Cheeks and forehead."""
PATCH = (32, 16)
BRIDGE_PATCH = (32, 32)
BRIDGE = ((55,), (285,), (399,), (174,))
MUSTACHE = ((165,), (391,), (270, 269), (40, 39))
"""Corners of regions, clockwise from the upper left; a corner is the mean of its mesh points."""

Region = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class FaceInGrey:
    """`grey`: float32 [H, W], 0..255; `points`: float64 [468, 2], the mesh in its pixels; `skin`: its skin's value."""

    grey: np.ndarray
    points: np.ndarray
    skin: float


def in_grey(crop: Crop, geometry: FaceGeometry) -> FaceInGrey:
    grey = cv2.cvtColor(crop.pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    linear, shift = crop.to_picture[:, :2], crop.to_picture[:, 2]
    points = (geometry.mesh[:, :2] - shift) @ np.linalg.inv(linear).T
    columns, rows = (np.clip(points[list(SKIN), axis], 0, grey.shape[1 - axis] - 1).astype(int) for axis in (0, 1))
    return FaceInGrey(grey, points, float(np.median(grey[rows, columns])) + 1.0)


def mouth_open(geometry: FaceGeometry) -> float:
    """The gap between the lips against the face's height."""
    mesh = geometry.mesh
    gap = np.mean([np.linalg.norm(mesh[a, :2] - mesh[b, :2]) for a, b in ((13, 14), (82, 87), (312, 317))])
    return float(gap / _distance(mesh, 10, 152))


def smile(geometry: FaceGeometry, happy: float) -> float:
    """The emotion network's HAPPY (0..1), with how wide the mouth is and how high its corners lie (eye distances)."""
    mesh = geometry.mesh
    eyes = _distance(mesh, 33, 263)
    down = (mesh[152] - mesh[10]) / _distance(mesh, 10, 152)
    raised = float((mesh[[0, 17]].mean(axis=0) - mesh[[61, 291]].mean(axis=0)) @ down)
    return float(np.log(happy + 1e-3)) / 7 + 4 * (_distance(mesh, 61, 291) / eyes - 0.6) + 4 * raised / eyes


def eyes_open(geometry: FaceGeometry) -> float | None:
    """The lids' distance against the eye's width (eye aspect ratio, Soukupova and Cech 2016), on the iris network's
    contour; the mean of the eyes that are large enough to be seen, None when neither is."""
    seen = [_aspect(eye) for eye in geometry.eyes if eye is not None]
    return float(np.mean(seen)) if seen else None


def eyeglasses(face: FaceInGrey) -> float:
    """The strongest edge across the bridge of the nose, where a frame joins its rims."""
    patch = cv2.GaussianBlur(_patch(face, BRIDGE, BRIDGE_PATCH), (0, 0), 1)
    return float(np.abs(np.diff(patch, axis=0)).mean(axis=1).max()) / (face.skin + 5)


def mustache(face: FaceInGrey, male: float) -> float:
    """How dark the upper lip is against the skin, with the network's probability of a man (0..1)."""
    return -float(_patch(face, MUSTACHE, PATCH).mean()) / face.skin + 0.2 * float(np.log(male + 1e-3))


def _aspect(eye: np.ndarray) -> float:
    opening = np.mean([np.linalg.norm(eye[lower] - eye[lower + 8]) for lower in (3, 4, 5)])
    return float(opening / max(np.linalg.norm(eye[iris.LEFT_CORNER] - eye[iris.RIGHT_CORNER]), 1e-6))


def _patch(face: FaceInGrey, region: Region, shape: tuple[int, int]) -> np.ndarray:
    corners = np.array([face.points[list(points)].mean(axis=0) for points in region], np.float32)
    wide, high = shape
    onto = np.array([[0, 0], [wide - 1, 0], [wide - 1, high - 1], [0, high - 1]], np.float32)
    return np.asarray(cv2.warpPerspective(face.grey, cv2.getPerspectiveTransform(corners, onto), shape))


def _distance(mesh: np.ndarray, one: int, other: int) -> float:
    return max(float(np.linalg.norm(mesh[one] - mesh[other])), 1e-6)
