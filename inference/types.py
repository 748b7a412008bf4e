"""What the model server answers with: plain data, free of AWS names.

Boxes and points are ratios of the upright picture's width and height (origin top-left); they may leave 0..1 where a
face is cut off by the frame. Confidences and qualities are 0..100, angles are degrees.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Embedding = NDArray[np.float32]
"""float32 [D], unit length."""

Pixels = NDArray[np.uint8]
"""uint8 [H, W, 3], RGB, upright."""


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    width: float
    height: float

    @property
    def area(self) -> float:
        return self.width * self.height


@dataclass(frozen=True)
class Landmark:
    kind: str
    x: float
    y: float


@dataclass(frozen=True)
class Pose:
    """Roll is positive clockwise, yaw positive when the nose points to the picture's right, pitch positive upwards."""

    roll: float
    yaw: float
    pitch: float


@dataclass(frozen=True)
class Quality:
    brightness: float
    sharpness: float


@dataclass(frozen=True)
class AgeRange:
    """Whole years."""

    low: int
    high: int


@dataclass(frozen=True)
class Judgement:
    """A yes or no, and how often such a judgement is right (50..100)."""

    value: bool
    confidence: float


@dataclass(frozen=True)
class Gender:
    """`value` is male or female; `confidence` 50..100."""

    value: str
    confidence: float


@dataclass(frozen=True)
class Emotion:
    kind: str
    confidence: float


@dataclass(frozen=True)
class Attributes:
    """What was asked for and could be measured; None for everything else. `emotions` are the likeliest first; their
    confidences sum to 100 less the share of those that are not answered."""

    age_range: AgeRange | None = None
    gender: Gender | None = None
    emotions: tuple[Emotion, ...] | None = None
    smile: Judgement | None = None
    eyeglasses: Judgement | None = None
    mustache: Judgement | None = None
    eyes_open: Judgement | None = None
    mouth_open: Judgement | None = None


@dataclass(frozen=True)
class Face:
    """One detected face.

    `rejected` holds the reasons for which a quality filter or a face limit left it out (see `quality.REASONS`);
    `embedding` is there only when it was asked for and the face was not rejected.
    """

    box: Box
    confidence: float
    landmarks: tuple[Landmark, ...]
    pose: Pose
    quality: Quality
    attributes: Attributes = Attributes()
    rejected: tuple[str, ...] = ()
    embedding: Embedding | None = None


@dataclass(frozen=True)
class FacesResult:
    """Faces of one picture, largest box first, at most 100. `width` and `height` are of the upright picture, pixels."""

    width: int
    height: int
    faces: tuple[Face, ...]


@dataclass(frozen=True)
class Equipment:
    """An item of protective equipment on a body part: `kind` is face_cover, hand_cover or head_cover; `covers` tells
    whether it covers the part."""

    kind: str
    box: Box
    confidence: float
    covers: Judgement


@dataclass(frozen=True)
class BodyPart:
    """`name` is face, left_hand, right_hand (the person's own left and right) or head."""

    name: str
    confidence: float
    equipment: tuple[Equipment, ...]


@dataclass(frozen=True)
class Person:
    """With the body parts that are seen, in the order of BodyPart's names."""

    box: Box
    confidence: float
    parts: tuple[BodyPart, ...]


@dataclass(frozen=True)
class ProtectiveEquipmentResult:
    """Persons of one picture, at most 15, the largest. All confidences are 50..100: what is less sure is left out."""

    persons: tuple[Person, ...]
