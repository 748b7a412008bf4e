"""How good a face picture is, and which faces a quality filter leaves out.

The real service publishes neither its scales nor its bars (faces.md, known gaps); these are our own and measured in
docs/accuracy.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from inference.types import Face, Pixels, Pose, Quality

REASONS = (
    "low_confidence",
    "small_bounding_box",
    "extreme_pose",
    "low_brightness",
    "low_sharpness",
    "low_face_quality",
    "exceeds_max_faces",
)


@dataclass(frozen=True)
class Bars:
    """The least that a face must show, and the most of yaw, pitch, roll (degrees) and `glare`, the brightness over
    which a face is over-exposed. `side_pixels` is the shorter side of its box."""

    confidence: float
    side_pixels: float
    yaw: float
    pitch: float
    roll: float
    brightness: float
    sharpness: float
    glare: float


BARS: dict[str, Bars | None] = {
    "none": None,
    "low": Bars(confidence=70, side_pixels=16, yaw=75, pitch=60, roll=120, brightness=3.5, sharpness=1.5, glare=97),
    "auto": Bars(confidence=80, side_pixels=20, yaw=65, pitch=50, roll=90, brightness=4.5, sharpness=4, glare=95),
    "medium": Bars(confidence=92, side_pixels=28, yaw=50, pitch=40, roll=60, brightness=8, sharpness=15, glare=91),
    "high": Bars(confidence=98, side_pixels=48, yaw=35, pitch=30, roll=45, brightness=15, sharpness=45, glare=85),
}
"""Every bar gets stricter from low to high. They lie where faces made worse step by step stop matching themselves."""


def measure(crop: Pixels) -> Quality:
    """Brightness and sharpness, 0..100, of an aligned crop (uint8 [112, 112, 3] RGB).

    Brightness is the mean luma. Sharpness is the energy of the Laplacian against the crop's own contrast (Pech-Pacheco
    et al. 2000, normalised so that a darker print of the same face is as sharp, and smoothed a little, so that
    rounding of dark values is no sharpness), through a logistic whose middle lies between faces blurred by 1 and 2
    pixels.
    """
    luma = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    smooth = cv2.GaussianBlur(luma, (0, 0), 0.7)[16:104, 16:96]
    detail = float(cv2.Laplacian(smooth, cv2.CV_32F).var()) / (float(smooth.var()) + 1.0)
    return Quality(
        brightness=float(luma[16:104, 16:96].mean()) / 2.55,
        sharpness=100.0 / (1.0 + math.exp(-6.0 * (math.log10(detail + 1e-4) + 1.8))),
    )


def shortcomings(face: Face, side_pixels: float, level: str) -> tuple[str, ...]:
    """The reasons why a face fails the filter `level` of BARS; none when it passes."""
    bars = BARS[level]
    if bars is None:
        return ()
    failed = {
        "low_confidence": face.confidence < bars.confidence,
        "small_bounding_box": side_pixels < bars.side_pixels,
        "extreme_pose": _turned_away(face.pose, bars),
        "low_brightness": face.quality.brightness < bars.brightness,
        "low_sharpness": face.quality.sharpness < bars.sharpness,
        "low_face_quality": face.quality.brightness > bars.glare,
    }
    return tuple(reason for reason, fails in failed.items() if fails)


def select(faces: Sequence[Face], width: int, height: int, level: str, max_faces: int | None) -> tuple[Face, ...]:
    """Marks the faces (largest first) that a filter, then a limit, leave out with their reasons.

    `width` and `height` are the picture's, in pixels. Raises KeyError for an unknown level.
    """
    chosen = []
    room = len(faces) if max_faces is None else max_faces
    for face in faces:
        reasons = shortcomings(face, min(face.box.width * width, face.box.height * height), level)
        if not reasons:
            reasons = () if room > 0 else ("exceeds_max_faces",)
            room -= 1
        chosen.append(replace(face, rejected=reasons))
    return tuple(chosen)


def _turned_away(pose: Pose, bars: Bars) -> bool:
    return abs(pose.yaw) > bars.yaw or abs(pose.pitch) > bars.pitch or abs(pose.roll) > bars.roll
