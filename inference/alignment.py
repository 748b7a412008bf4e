"""Faces brought to the pose and size that embedding networks were trained on.

The template is ArcFace's (Deng et al. 2019), the same as insightface's `face_align`; a test compares the two.
"""

import cv2
import numpy as np

from inference.types import Pixels

CROP_SIDE = 112
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    dtype=np.float64,
)
"""Where eyes, nose and mouth corners (picture's left first) lie in the crop: float64 [5, 2], pixels."""

_PLANE = np.array([1, 1j])


def similarity_transform(points: np.ndarray, template: np.ndarray = TEMPLATE) -> np.ndarray:
    """The rotation, scale and shift that best maps `points` onto `template` (Umeyama 1991).

    points, template: float [N, 2], pixels. Returns float64 [2, 3], as cv2.warpAffine takes it.
    """
    # As complex numbers, of which one factor is a turn and a scale.
    source, target = np.asarray(points, np.float64) @ _PLANE, template @ _PLANE
    from_centre, to_centre = source.mean(), target.mean()
    source -= from_centre
    factor = np.vdot(source, target - to_centre) / max(np.vdot(source, source).real, 1e-12)
    shift = to_centre - factor * from_centre
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def aligned_crop(image: Pixels, points: np.ndarray) -> Pixels:
    """The face at `points` (float [5, 2], pixels, order of TEMPLATE) as uint8 [112, 112, 3] RGB.

    A face much larger than the crop is averaged down first; plain bilinear warping would alias it.
    """
    matrix = similarity_transform(points)
    factor = int(1 / max(np.hypot(matrix[0, 0], matrix[1, 0]), 1e-6))
    if factor >= 2:
        image, points = _reduced(image, np.asarray(points, np.float64), matrix, factor)
        matrix = similarity_transform(points)
    crop = cv2.warpAffine(image, matrix, (CROP_SIDE, CROP_SIDE), flags=cv2.INTER_LINEAR)
    return np.asarray(crop, np.uint8)


def _reduced(image: Pixels, points: np.ndarray, matrix: np.ndarray, factor: int) -> tuple[Pixels, np.ndarray]:
    """The part of the picture that the crop can touch, `factor` times smaller, and the points in it."""
    corners = np.array([[0, 0], [CROP_SIDE, 0], [0, CROP_SIDE], [CROP_SIDE, CROP_SIDE]], np.float64)
    back = np.linalg.inv(matrix[:, :2])
    reach = (corners - matrix[:, 2]) @ back.T
    height, width = image.shape[:2]
    left, top = np.clip(reach.min(axis=0).astype(int) - factor, 0, [width - 1, height - 1])
    right, bottom = np.clip(reach.max(axis=0).astype(int) + factor, 1, [width, height])
    # whole blocks of factor x factor pixels, so that points scale exactly
    columns, rows = max(1, (right - left) // factor), max(1, (bottom - top) // factor)
    part = image[top : top + rows * factor, left : left + columns * factor]
    small = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), (points - [left, top] + 0.5) / factor - 0.5
