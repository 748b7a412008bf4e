"""Where the eyes look, from the irises' places between the corners of the eyes and the pose of the head.

The eye is a ball that turns behind its two corners (Ishikawa, Baker, Matthews and Kanade, "Passive Driver Gaze Tracking
with Active Appearance Models", 2004): an iris that stands in the middle between them looks straight ahead of the head
only where the head is frontal, for the corners lie in front of the ball's middle. Small eyes are
seen uncertainly, so what the irises say against the head counts in part, and not at all for a head in profile.
"""

from dataclasses import dataclass

import numpy as np

from inference.face_geometry import EYE_CORNERS, FaceGeometry
from inference.models import iris
from inference.pose import angles, head_axes

RADIUS, CORNERS_AHEAD = 0.40, 0.14
"""Of the ball at the iris, and how far the corners lie before its middle, in eye widths (about 29 mm). With these the
gaze of faces that look into the camera does not follow their heads."""
RAISED_DEGREES, LEFT_DEGREES = 8.0, 6.6
"""An iris that looks straight ahead lies so far above the line between the corners, and the iris network, which was
made for one eye of the two, sees it so far to the left: the means of faces that look into the camera."""
TRUST = 0.7
PROFILE, FRONTAL = 0.6, 0.9
"""Cosines of the head's turn between which trust in the irises rises from nothing."""


@dataclass(frozen=True)
class Gaze:
    """`yaw`, `pitch`: degrees, as Pose. `cues`: how far the head is turned (0..1) and how far apart the eyes say."""

    yaw: float
    pitch: float
    cues: tuple[float, ...]


def gaze(geometry: FaceGeometry, trust: float = TRUST) -> Gaze | None:
    """None where no eye is large enough to be seen."""
    right, down, nose = head_axes(geometry.mesh)
    seen = [
        _offset(eye, geometry.mesh[list(corners)])
        for eye, corners in zip(geometry.eyes, EYE_CORNERS, strict=True)
        if eye is not None
    ]
    if not seen:
        return None
    offsets, widths = np.array([offset for offset, _ in seen]), np.array([width for _, width in seen])
    offset = np.average(offsets, axis=0, weights=widths**2)
    ball = offset / RADIUS + CORNERS_AHEAD / RADIUS * nose[:2]
    ball += np.sin(np.radians(RAISED_DEGREES)) * down[:2] + np.sin(np.radians(LEFT_DEGREES)) * right[:2]
    share = trust * float(np.clip((nose[2] - PROFILE) / (FRONTAL - PROFILE), 0, 1))
    flat = nose[:2] + share * (ball - nose[:2])
    flat /= max(1.0, float(np.linalg.norm(flat)))
    direction = angles((right[0], right[1]), np.array([*flat, np.sqrt(max(0.0, 1 - float(flat @ flat)))]))
    apart = float(np.linalg.norm(offsets[0] - offsets[-1]))
    return Gaze(direction.yaw, direction.pitch, (float(1 - nose[2]), apart))


def _offset(eye: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, float]:
    """Of the iris from the middle between the corners (x, y), and how wide the eye looks, both in eye widths: the
    distance of its corners on the mesh, in three dimensions."""
    whole = max(float(np.linalg.norm(corners[0] - corners[1])), 1e-6)
    ends = eye[[iris.LEFT_CORNER, iris.RIGHT_CORNER]]
    offset = (eye[iris.IRIS_CENTRE] - ends.mean(axis=0)) / whole
    return offset, max(float(np.linalg.norm(ends[0] - ends[1])) / whole, 1e-3)
