"""Estimators of covers, for packs without a detector of protective equipment: one function for each cover.

Nothing is learnt here but how a handful of measures weigh (fitted on the development half of the evaluation data,
docs/accuracy.md): how a classifier of everyday pictures names a crop, and colours in places that points of the body and
the face name, against the skin of the same person. Colours are CIE L*a*b*, L 0..100.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from inference.calibration import Logistic
from inference.crops import Crop, cut
from inference.figures import Figure, Part, Sides
from inference.models import image_classifier
from inference.models.image_classifier import Classes
from inference.types import Pixels

HELMETS = (518, 560)
MASKS = (570, 643, 691, 796)
"""ImageNet: crash helmet, football helmet; gas mask, mask, oxygen mask, ski mask."""

HEAD_CROP, FACE_CROP, HAND_CROP = 2.2, 1.5, 1.3
"""Sides in units (see figures)."""
HEAD_CROP_RISE = 0.5
COLOUR_SIDE = 96

HEAD_COVER = Logistic((0.93, 3.85, -4.62, -1.85, -5.34, 2.34), 7.66)
FACE_COVER = Logistic((0.83, -0.45, 2.43, -4.5), 0.7)
HAND_COVER = Logistic((-4.84,), 1.14)
NOSE = Logistic((10.0,), -3.0)
"""Whether a mask covers the nose: 0.3 of the way from the brow's colour to the mask's, half of each are right."""

CAP: Sides = (-0.5, -0.95, 0.5, -0.3)
CAP_MIDDLE: Sides = (-0.35, -0.95, 0.35, -0.4)
BROW: Sides = (-0.4, -0.5, 0.4, -0.2)
FACE: Sides = (-0.35, 0.0, 0.35, 0.4)
"""Left, top, right and bottom around the head's middle, in units."""
HELMET: Sides = (-0.72, -1.23, 0.78, -0.11)
LOWEST_HELMET = 0.15
SAME_COLOUR = 16.0


@dataclass(frozen=True)
class Cover:
    """`probability` 0..1 of a cover; `box` float64 [4], left, top, width, height in pixels, where it then is;
    `covering` 0..1, the probability that it covers the part."""

    probability: float
    box: np.ndarray
    covering: float


def head_crop(image: Pixels, figure: Figure) -> Crop:
    middle = figure.head - [0, HEAD_CROP_RISE * figure.unit]
    return _square(image, middle, HEAD_CROP * figure.unit, image_classifier.SIDE)


def face_crop(image: Pixels, face: np.ndarray) -> Crop:
    """Around a face's box, left, top, width, height in pixels."""
    side = FACE_CROP * float(np.sqrt(face[2] * face[3]))
    return _square(image, face[:2] + face[2:] / 2, side, image_classifier.SIDE)


def hand_crop(image: Pixels, part: Part, figure: Figure) -> Crop:
    return _square(image, part.middle, HAND_CROP * figure.unit, COLOUR_SIDE)


def head_cover(crop: Crop, classes: Classes, figure: Figure) -> Cover:
    """A hard hat or helmet: what the classifier names one, and a cap that is vivid or light, even, and not of the
    face's colour."""
    lab = _lab(crop)
    cap, brow = _place(lab, CAP).reshape(-1, 3), _place(lab, BROW).reshape(-1, 3)
    skin = np.median(_place(lab, FACE).reshape(-1, 3), axis=0)
    vivid = ((np.hypot(cap[:, 1], cap[:, 2]) - 15) / 25).clip(0, 1)
    light = ((cap[:, 0] - 60) / 15).clip(0, 1)
    measures = (
        named(classes, HELMETS),
        float(np.maximum(vivid, light).mean()),
        float((cap[:, 0] < 35).mean()),
        float(cap[:, 0].std()) / 20,
        float(np.median(brow[:, 0])) / 100,
        float((np.linalg.norm(cap[:, 1:] - skin[1:], axis=1) / 25).clip(0, 2).mean()),
    )
    probability = HEAD_COVER.probability(measures)
    return Cover(probability, _helmet_box(lab, crop, figure), probability)


def face_cover(crop: Crop, classes: Classes, points: np.ndarray) -> Cover:
    """A mask: what the classifier names one (a helmet above it says less), how far the lower face's colour is from that
    around the eyes, and that it is not of skin.

    points: float [5, 2], eyes, nose and mouth corners in picture pixels. It covers the face when the nose has its
    colour too.
    """
    lab = _lab(crop)
    five = _in_crop(points, crop)
    eyes, mouth, across = five[:2].mean(axis=0), five[3:].mean(axis=0), five[1] - five[0]
    down = mouth - eyes
    upper = _patch(lab, eyes + 0.15 * down, across, down, (0.6, 0.12))
    nose = _patch(lab, eyes + 0.58 * down, across, down, (0.15, 0.1))
    lower = _patch(lab, eyes + 1.0 * down, across, down, (0.5, 0.3))
    measures = (
        named(classes, MASKS),
        named(classes, HELMETS),
        float(np.linalg.norm(lower[1:] - upper[1:])) / 20,
        float(_reddish(lower)),
    )
    to_lower, to_nose = (lower - upper) * [0.5, 1, 1], (nose - upper) * [0.5, 1, 1]
    way = float(to_nose @ to_lower / (to_lower @ to_lower + 30))
    corners = np.array([eyes + 0.4 * down + a * across + b * down for a in (-0.85, 0.85) for b in (0.0, 1.1)])
    return Cover(FACE_COVER.probability(measures), _hull(corners, crop), NOSE.probability((way,)))


def hand_cover(crop: Crop, part: Part) -> Cover:
    """A glove: a hand that has not the colour of skin. Skin in odd light and gloves of its colour are told wrongly."""
    lab = _lab(crop)
    quarter = COLOUR_SIDE * 3 // 10
    hand = lab[quarter:-quarter, quarter:-quarter].reshape(-1, 3)
    probability = HAND_COVER.probability((float(_reddish(hand).mean()),))
    return Cover(probability, part.box, probability)


def named(classes: Classes, numbers: tuple[int, ...]) -> float:
    """The log of the probability that the classifier gives to some classes."""
    raised = np.exp(classes.logits.astype(np.float64) - classes.logits.max())
    return float(np.log(raised[list(numbers)].sum() / raised.sum() + 1e-4))


def _reddish(lab: np.ndarray) -> np.ndarray:
    """How much colours [..., 3] are those of skin in daylight: 0..1 each."""
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    tint = ((lab[..., 1] - 4) / 8).clip(0, 1)
    return np.asarray(tint * ((chroma - 8) / 8).clip(0, 1) * ((60 - chroma) / 15).clip(0, 1))


def _square(image: Pixels, middle: np.ndarray, side: float, pixels: int) -> Crop:
    return cut(image, middle, (side, side), 0.0, (pixels, pixels))


def _lab(crop: Crop) -> np.ndarray:
    """float32 [96, 96, 3]."""
    small = cv2.resize(crop.pixels, (COLOUR_SIDE, COLOUR_SIDE), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def _place(lab: np.ndarray, sides: Sides) -> np.ndarray:
    """A part of a head crop's colours."""
    left, top, right, bottom = _head_pixels(sides)
    return lab[max(0, int(top)) : int(bottom), max(0, int(left)) : int(right)]


def _head_pixels(sides: Sides) -> np.ndarray:
    unit, middle = COLOUR_SIDE / HEAD_CROP, COLOUR_SIDE / 2
    return np.array(sides) * unit + [middle, middle + HEAD_CROP_RISE * unit] * 2


def _patch(
    lab: np.ndarray, middle: np.ndarray, across: np.ndarray, down: np.ndarray, reach: tuple[float, float]
) -> np.ndarray:
    """The median colour of a patch that is turned with the face."""
    columns, rows = np.meshgrid(*(np.linspace(-half, half, 9) for half in reach))
    at = middle + columns.reshape(-1, 1) * across + rows.reshape(-1, 1) * down
    x, y = at.clip(0, COLOUR_SIDE - 1).astype(int).T
    return np.asarray(np.median(lab[y, x], axis=0), np.float64)


def _helmet_box(lab: np.ndarray, crop: Crop, figure: Figure) -> np.ndarray:
    """Half from where helmets are on heads, half from what has the cap's colour and hangs together."""
    usual = np.array(HELMET) * figure.unit + np.tile(figure.head, 2)
    same = np.linalg.norm((lab - np.median(_place(lab, CAP_MIDDLE).reshape(-1, 3), axis=0)) * [0.5, 1, 1], axis=2)
    near = (same < SAME_COLOUR).astype(np.uint8)
    near[int(_head_pixels((0, 0, 0, LOWEST_HELMET))[3]) :] = 0
    _, areas, extents, _ = cv2.connectedComponentsWithStats(near)
    votes = np.bincount(_place(areas, CAP_MIDDLE).reshape(-1), minlength=len(extents))
    votes[0] = 0
    left, top, width, height = extents[votes.argmax()][:4].tolist() if votes.any() else (0, 0, 0, 0)
    if not width:
        return _box(usual)
    seen = _hull(np.array([[left, top], [left + width, top + height]]), crop)
    edges = np.array([*seen[:2], *(seen[:2] + seen[2:])])
    trusted = np.where(np.abs(edges - usual) < 0.45 * figure.unit, edges, usual)
    return _box((trusted + usual) / 2)


def _hull(points: np.ndarray, crop: Crop) -> np.ndarray:
    """The box around points of the colours' pixels, in the picture's."""
    scale = crop.pixels.shape[0] / COLOUR_SIDE
    at = (points + 0.5) * scale - 0.5
    at = at @ crop.to_picture[:, :2].T + crop.to_picture[:, 2]
    return _box(np.concatenate([at.min(axis=0), at.max(axis=0)]))


def _in_crop(points: np.ndarray, crop: Crop) -> np.ndarray:
    """Points of the picture in the colours' pixels."""
    at = (points - crop.to_picture[:, 2]) @ np.linalg.inv(crop.to_picture[:, :2]).T
    return np.asarray((at + 0.5) * COLOUR_SIDE / crop.pixels.shape[0] - 0.5)


def _box(corners: np.ndarray) -> np.ndarray:
    return np.array([*corners[:2], *(corners[2:] - corners[:2])])
