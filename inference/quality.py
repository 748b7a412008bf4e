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
    "exceeds_max_faces",
)


@dataclass(frozen=True)
class Bars:
    """The least that a face must show. `side_pixels` is the shorter side of its box; angles are degrees."""

    confidence: float
    side_pixels: float
    yaw: float
    pitch: float
    roll: float
    brightness: float
    sharpness: float


BARS: dict[str, Bars | None] = {
    "none": None,
    "low": Bars(confidence=60, side_pixels=20, yaw=75, pitch=60, roll=120, brightness=8, sharpness=3),
    "auto": Bars(confidence=75, side_pixels=24, yaw=65, pitch=50, roll=90, brightness=12, sharpness=8),
    "medium": Bars(confidence=90, side_pixels=36, yaw=50, pitch=40, roll=60, brightness=20, sharpness=20),
    "high": Bars(confidence=97, side_pixels=60, yaw=35, pitch=30, roll=45, brightness=30, sharpness=45),
}
"""Every bar rises from low to high."""


def measure(crop: Pixels) -> Quality:
    """Brightness and sharpness, 0..100, of an aligned crop (uint8 [112, 112, 3] RGB).

    Brightness is the mean luma. Sharpness is the energy of the Laplacian against the crop's own contrast (Pech-Pacheco
    et al. 2000, normalised so that a darker print of the same face is as sharp), through a logistic whose middle lies
    between faces blurred by 1 and 2 pixels.
    """
    luma = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[16:104, 16:96].astype(np.float32)
    detail = float(cv2.Laplacian(luma, cv2.CV_32F).var()) / (float(luma.var()) + 1.0)
    return Quality(
        brightness=float(luma.mean()) / 2.55,
        sharpness=100.0 / (1.0 + math.exp(-4.0 * (math.log10(detail + 1e-4) + 1.65))),
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
