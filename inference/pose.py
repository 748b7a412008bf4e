"""Head pose from the mesh, or from the detector's five points where there is no mesh.

The mesh is symmetric and, brows and mouth apart, rigid: what joins its mirrored points is the head's right axis, what
joins the forehead to the base of the nose its down axis.

The five points are fitted to a rigid face seen from far away (scaled orthography, as in DeMenthon and Davis's POSIT): a
2 x 3 linear map from the model's millimetres to pixels, whose rows are the camera's right and down axes.
"""

import math

import numpy as np

from inference.types import Pose

_FACE_MM = np.array(
    [[-32.0, -37.0, -38.0], [32.0, -37.0, -38.0], [0.0, 0.0, 0.0], [-25.0, 32.0, -32.0], [25.0, 32.0, -32.0]]
)
"""Eyes, nose tip and mouth corners (picture's left first) of a typical adult; x right, y down, z to the camera."""

_MIRRORED = np.array(
    [(33, 263), (133, 362), (234, 454), (127, 356), (93, 323), (132, 361), (58, 288), (172, 397), (61, 291), (48, 278),
     (70, 300), (105, 334), (63, 293), (205, 425), (50, 280)]
)  # fmt: skip
_DOWNWARDS = np.array([(10, 164), (151, 2), (9, 94), (105, 203), (334, 423)])
"""Pairs of mesh points: the picture's left and right, and above and below."""

_FIT = np.linalg.pinv(_FACE_MM - _FACE_MM.mean(axis=0))


def head_pose(points: np.ndarray) -> Pose:
    """The pose of the face at `points` (float [5, 2], picture pixels, picture's left first), degrees."""
    points = np.asarray(points, np.float64)
    linear = (_FIT @ (points - points.mean(axis=0))).T
    if np.linalg.norm(linear) < 1e-9:
        return Pose(0.0, 0.0, 0.0)
    u, _, vt = np.linalg.svd(linear, full_matrices=False)
    right, down = u @ vt
    return angles((right[0], down[0]), np.array([right[2], down[2], right[0] * down[1] - right[1] * down[0]]))


def mesh_pose(mesh: np.ndarray) -> Pose:
    """The pose of a mesh (float [468, 3] x, y, z in pixels, z growing away from the camera), degrees."""
    right, _, nose = head_axes(mesh)
    return angles((right[0], right[1]), nose)


def head_axes(mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The head's right (the picture's), down and nose axes: unit vectors, x right, y down, z to the camera."""
    towards = np.asarray(mesh, np.float64) * [1, 1, -1]
    right = (towards[_MIRRORED[:, 1]] - towards[_MIRRORED[:, 0]]).sum(axis=0)
    right /= max(math.hypot(*right), 1e-9)
    down = (towards[_DOWNWARDS[:, 1]] - towards[_DOWNWARDS[:, 0]]).sum(axis=0)
    down -= right * (down @ right)
    down /= max(math.hypot(*down), 1e-9)
    nose = [right[1] * down[2] - right[2] * down[1], right[2] * down[0] - right[0] * down[2],
            right[0] * down[1] - right[1] * down[0]]  # fmt: skip
    return right, down, np.array(nose)


def angles(right: tuple[float, float], nose: np.ndarray) -> Pose:
    """The pose of a head, or the direction of its eyes. `right`: where the head's right axis points in the picture
    (x, y); `nose`: the unit vector that the nose or the eyes point along, x right, y down, z to the camera."""
    roll = math.atan2(right[1], right[0])
    sideways = nose[0] * math.cos(roll) + nose[1] * math.sin(roll)
    downwards = nose[1] * math.cos(roll) - nose[0] * math.sin(roll)
    return Pose(
        roll=math.degrees(roll),
        yaw=math.degrees(math.atan2(sideways, nose[2])),
        pitch=math.degrees(math.asin(min(max(-downwards, -1.0), 1.0))),
    )
