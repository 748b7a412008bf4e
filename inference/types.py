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
class EyeDirection:
    """Where the eyes look, in the axes of `Pose`; `confidence`: how often such a direction is right (50..100)."""

    yaw: float
    pitch: float
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
    sunglasses: Judgement | None = None
    beard: Judgement | None = None
    face_occluded: Judgement | None = None
    eye_direction: EyeDirection | None = None


@dataclass(frozen=True)
class Face:
    """One detected face.

    `rejected` holds the reasons for which a quality filter or a face limit left it out (see `quality.REASONS`);
    `embedding` is there only when it was asked for and the face was not rejected; then `crop` is too, if asked for: the
    aligned face that the embedding is of, a PNG file.
    """

    box: Box
    confidence: float
    landmarks: tuple[Landmark, ...]
    pose: Pose
    quality: Quality
    attributes: Attributes = Attributes()
    rejected: tuple[str, ...] = ()
    embedding: Embedding | None = None
    crop: bytes | None = None


@dataclass(frozen=True)
class FacesResult:
    """Faces of one picture, largest box first, at most 100. `width` and `height` are of the upright picture, pixels."""

    width: int
    height: int
    faces: tuple[Face, ...]


@dataclass(frozen=True)
class DominantColor:
    """A named colour of CSS: red, green and blue 0..255, its name, the simple name of its kind, and the percentage of
    the region's pixels that are nearest to it."""

    red: int
    green: int
    blue: int
    css: str
    simplified: str
    percent: float


@dataclass(frozen=True)
class Instance:
    """One thing of a label's kind. `colors` is there when colours were asked for."""

    box: Box
    confidence: float
    colors: tuple[DominantColor, ...] | None = None


@dataclass(frozen=True)
class Label:
    """`parents` are all its ancestors, alphabetical; `instances` the surest first."""

    name: str
    confidence: float
    parents: tuple[str, ...]
    aliases: tuple[str, ...]
    category: str
    instances: tuple[Instance, ...] = ()


@dataclass(frozen=True)
class PictureQuality:
    """0..100; contrast is measured on whole pictures only."""

    brightness: float
    sharpness: float
    contrast: float | None = None


@dataclass(frozen=True)
class RegionProperties:
    """`colors`: largest share first."""

    quality: PictureQuality
    colors: tuple[DominantColor, ...]


@dataclass(frozen=True)
class ImageProperties:
    """Of the picture, of what was found in it, and of the rest; None for a part that is not there."""

    image: RegionProperties
    foreground: RegionProperties | None
    background: RegionProperties | None


@dataclass(frozen=True)
class LabelsResult:
    """Labels, the surest first, equals by name; None for properties that were not asked for."""

    labels: tuple[Label, ...]
    properties: ImageProperties | None = None


@dataclass(frozen=True)
class Confident:
    """A name and how sure it is, 0..100."""

    name: str
    confidence: float


@dataclass(frozen=True)
class ModerationResult:
    """`labels`: names of taxonomy.moderation, ancestors included, surest first and of equals the deepest first."""

    labels: tuple[Confident, ...]
    content_types: tuple[Confident, ...]


@dataclass(frozen=True)
class Point:
    x: float
    y: float


Polygon = tuple[Point, ...]


@dataclass(frozen=True)
class Word:
    """`polygon`: the text's own top left, top right, bottom right, bottom left."""

    text: str
    confidence: float
    polygon: Polygon


@dataclass(frozen=True)
class Line:
    """Words that follow each other evenly, in reading order, never none. `polygon` as a word's; `confidence` is the
    mean of all its words'."""

    text: str
    confidence: float
    polygon: Polygon
    words: tuple[Word, ...]


@dataclass(frozen=True)
class TextPiece:
    """A line or a word with its number in the list of all lines and words; of a word, `parent` is its line's."""

    number: int
    parent: int | None
    text: str
    confidence: float
    polygon: Polygon


@dataclass(frozen=True)
class TextResult:
    """Lines of one picture in reading order. `width` and `height` are of the upright picture, pixels."""

    width: int
    height: int
    lines: tuple[Line, ...]


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


@dataclass(frozen=True)
class Body:
    """A person's box; `appearance` as of inference.appearance."""

    box: Box
    confidence: float
    appearance: bytes


@dataclass(frozen=True)
class PersonsResult:
    """The bodies, surest first, and the faces, largest first, of one picture, each found on its own; `appearance` is
    the whole picture's. `width` and `height` are of the upright picture, pixels; the faces' embeddings are of
    `face_model_version`."""

    width: int
    height: int
    bodies: tuple[Body, ...]
    faces: tuple[Face, ...]
    appearance: bytes
    face_model_version: str
