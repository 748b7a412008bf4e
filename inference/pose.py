"""Head pose from five points.

The points are fitted to a rigid face seen from far away (scaled orthography, as in DeMenthon and Davis's POSIT): a
2 x 3 linear map from the model's millimetres to pixels, whose rows are the camera's right and down axes.
"""

import math

import numpy as np

from inference.types import Pose

_FACE_MM = np.array(
    [[-32.0, -35.0, -27.0], [32.0, -35.0, -27.0], [0.0, 0.0, 0.0], [-27.0, 29.0, -22.0], [27.0, 29.0, -22.0]]
)
"""Eyes, nose tip and mouth corners (picture's left first) of a typical adult; x right, y down, z to the camera."""

_FIT = np.linalg.pinv(_FACE_MM - _FACE_MM.mean(axis=0))


def head_pose(points: np.ndarray) -> Pose:
    """The pose of the face at `points` (float [5, 2], picture pixels, picture's left first), degrees."""
    points = np.asarray(points, np.float64)
    linear = (_FIT @ (points - points.mean(axis=0))).T
    if np.linalg.norm(linear) < 1e-9:
        return Pose(0.0, 0.0, 0.0)
    u, _, vt = np.linalg.svd(linear, full_matrices=False)
    right, down = u @ vt
    nose = np.array([right[2], down[2], right[0] * down[1] - right[1] * down[0]])
    roll = math.atan2(down[0], right[0])
    sideways = nose[0] * math.cos(roll) + nose[1] * math.sin(roll)
    downwards = nose[1] * math.cos(roll) - nose[0] * math.sin(roll)
    return Pose(
        roll=math.degrees(roll),
        yaw=math.degrees(math.atan2(sideways, nose[2])),
        pitch=math.degrees(math.asin(np.clip(-downwards, -1.0, 1.0))),
    )
