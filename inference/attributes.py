"""From networks' outputs and cues to what a face's answer says, with confidences that were measured.

The numbers here were fitted by `python -m benchmarks.fits.attribute_fits` on the development half of the evaluation
data (docs/accuracy.md says on what, and how right the answers are); no network was trained on it.
"""

import math
from dataclasses import dataclass

import numpy as np

from inference import attribute_scores as scores
from inference.attribute_scores import Cues, UprightFace
from inference.face_geometry import FaceGeometry
from inference.gaze import gaze
from inference.models import emotion
from inference.models.face_attributes import AgeAndGender
from inference.types import AgeRange, Attributes, Emotion, EyeDirection, Gender, Judgement

ASKABLE = (
    "age_range", "gender", "emotions", "smile", "eyeglasses", "sunglasses", "beard", "mustache", "eyes_open",
    "mouth_open", "face_occluded", "eye_direction",
)  # fmt: skip
"""Every attribute of the service, as the model server names them."""
FROM_CROP = frozenset({"eyeglasses", "sunglasses", "beard", "mustache", "face_occluded"})
FROM_FACERES = frozenset({"age_range", "gender", "beard", "mustache"})
FROM_EMOTION = frozenset({"emotions", "smile"})


@dataclass(frozen=True)
class Observed:
    """A face as attributes are told from it; None for what none of the asked ones needs. `emotions`: float [7],
    probabilities of emotion.KINDS."""

    geometry: FaceGeometry
    upright: UprightFace | None
    people: AgeAndGender | None
    emotions: np.ndarray | None


@dataclass(frozen=True)
class Fit:
    """Logistic: a yes has the log odds `weights` times the cues plus `bias`, and is said at `threshold` or more.

    Where an attribute is rare, the threshold lies under even odds, for else most faces that have it would be missed.
    """

    weights: tuple[float, ...]
    bias: float
    threshold: float


FITS = {
    "smile": Fit((1.069, 25.3, 22.79), -15.75, 0.0),
    "mouth_open": Fit((116.1,), -4.234, 0.0),
    "eyes_open": Fit((42.7, -12.32), -5.26, 2.41),
    "eyeglasses": Fit((1.478, -4.68, 1.727), 0.5526, -1.09),
    "sunglasses": Fit((-7.112,), -7.82, -4.54),
    "beard": Fit((-4.384, 2.483, 0.4348), 3.983, -2.32),
    "mustache": Fit((-4.776, 1.968, 0.5603), 2.426, -1.48),
    "face_occluded": Fit((-0.1228, -1.007, -0.1014, 1.018), -4.855, -0.7),
    "gender": Fit((1.472,), -0.5034, 0.0),
    "eye_direction": Fit((-6.531, -9.198), 2.704, 1.61),
}
"""By attribute: the cues of attribute_scores, of gaze (whether the direction is right), and of `gender`."""
SUREST = 0.99
"""No set is large and clean enough to tell more."""

YEARS = (0.0, 5.0, 15.0, 25.0, 35.0, 45.0, 55.0, 67.0, 90.0)
LOWEST = (0.0, 1.0, 4.0, 12.0, 25.0, 38.0, 53.0, 62.0, 70.0)
HIGHEST = (3.0, 6.0, 19.0, 35.0, 53.0, 70.0, 84.0, 90.0, 98.0)
"""By the network's years, the ages between which about 80 % of the faces lie; the network itself is too young for old
faces and too old for children."""

LEAST_EMOTION = 1e-4
EMOTION_SHARPNESS = 0.5922
EMOTION_SHIFT = np.array([-2.197, -1.289, -2.083, -1.476, -0.014, 4.211, 3.473])
EMOTION_CUES = np.array(
    [
        [11.58, 0.0, 0.0, -9.921, -14.545, 20.729, -10.07],
        [-0.886, 0.0, 0.0, -0.282, -5.191, -1.339, 4.49],
        [2.947, 0.0, 0.0, 3.708, 4.218, -4.716, -5.336],
    ]
)
"""Log probabilities of emotion.KINDS times the first, plus the second (vector scaling, Guo et al. 2017), plus the cues
of attribute_scores.expression times the third, a row each. Nothing is fitted for what is not answered."""

ANSWERED_EMOTIONS = ("angry", "happy", "sad", "surprised", "calm")
"""Of emotion.KINDS. Fear and disgust hardly occur in the labelled set: nobody knows how right they would be."""


def wanted(asked: tuple[str, ...]) -> frozenset[str]:
    """The names of ASKABLE among what was asked for; all of them for "all"."""
    return frozenset(ASKABLE if "all" in asked else [name for name in ASKABLE if name in asked])


def cues(names: frozenset[str], seen: Observed) -> dict[str, Cues]:
    """The cues of the yes-or-no attributes among `names`, as far as what they need is there."""
    found = {name: _cues(name, seen) for name in FITS if name in names and name != "eye_direction"}
    return {name: values for name, values in found.items() if values is not None}


def _cues(name: str, seen: Observed) -> Cues | None:
    geometry, upright, people = seen.geometry, seen.upright, seen.people
    match name:
        case "mouth_open":
            return scores.mouth_open(geometry)
        case "eyes_open":
            return scores.eyes_open(geometry)
        case "smile":
            happy = emotion.KINDS.index("happy")
            return None if seen.emotions is None else scores.smile(geometry, float(seen.emotions[happy]))
        case "gender":
            return None if people is None else (scores.log_odds(people.male),)
        case "eyeglasses":
            return None if upright is None else scores.eyeglasses(upright)
        case "sunglasses":
            return None if upright is None else scores.sunglasses(upright)
        case "face_occluded":
            return None if upright is None else scores.face_occluded(upright, geometry)
        case "beard":
            return None if upright is None or people is None else scores.beard(upright, people.male)
        case "mustache":
            return None if upright is None or people is None else scores.mustache(upright, people.male)
    raise KeyError(name)


def judge(names: frozenset[str], seen: Observed) -> Attributes:
    """The attributes `names`, as far as what they need is there."""
    told = {name: judgement(values, FITS[name]) for name, values in cues(names, seen).items()}
    man = told.pop("gender", None)
    return Attributes(
        age_range=age_range(seen.people.years) if seen.people and "age_range" in names else None,
        gender=None if man is None else Gender("male" if man.value else "female", man.confidence),
        emotions=ranked(seen.emotions, scores.expression(seen.geometry))
        if seen.emotions is not None and "emotions" in names
        else None,
        eye_direction=eye_direction(seen.geometry) if "eye_direction" in names else None,
        **told,
    )


def judgement(values: Cues, fit: Fit) -> Judgement:
    """Yes or no, with how often such a judgement is right (50 at least)."""
    likely, value = probability(values, fit), log_odds(values, fit) >= fit.threshold
    return Judgement(value, confidence(likely if value else 1 - likely))


def confidence(likely: float) -> float:
    """A probability (0..1) as it is stated: 50 at least, 99 at most."""
    return 100 * min(max(likely, 0.5), SUREST)


def probability(values: Cues, fit: Fit) -> float:
    """Of a yes, 0..1."""
    return 1 / (1 + math.exp(-log_odds(values, fit)))


def log_odds(values: Cues, fit: Fit) -> float:
    """Of a yes, -30..30."""
    return float(np.clip(np.dot(fit.weights, values) + fit.bias, -30, 30))


def eye_direction(geometry: FaceGeometry) -> EyeDirection | None:
    """None where no eye is large enough to be seen."""
    seen = gaze(geometry)
    if seen is None:
        return None
    return EyeDirection(seen.yaw, seen.pitch, confidence(probability(seen.cues, FITS["eye_direction"])))


def age_range(years: float) -> AgeRange:
    """From the network's mean, 0..99."""
    low, high = (round(float(np.interp(years, YEARS, ends))) for ends in (LOWEST, HIGHEST))
    return AgeRange(low, high)


def ranked(probabilities: np.ndarray, expression: Cues) -> tuple[Emotion, ...]:
    """The calibrated ANSWERED_EMOTIONS, likeliest first, from the network's probabilities of emotion.KINDS and the cues
    of attribute_scores.expression.

    They sum to 100 less what falls to the others.
    """
    log_odds = EMOTION_SHARPNESS * np.log(np.asarray(probabilities, np.float64) + LEAST_EMOTION)
    log_odds += EMOTION_SHIFT + np.asarray(expression) @ EMOTION_CUES
    shares = np.exp(log_odds - log_odds.max())
    percents = (100 * shares / shares.sum()).tolist()
    return tuple(
        Emotion(kind, percent)
        for percent, kind in sorted(zip(percents, emotion.KINDS, strict=True), key=lambda pair: -pair[0])
        if kind in ANSWERED_EMOTIONS
    )
