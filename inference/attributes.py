"""From networks' outputs and scores to what a face's answer says, with confidences that were measured.

The numbers here were fitted on the development half of the evaluation data (docs/accuracy.md says on what, and how
right the answers are); no network was trained on it.
"""

import math
from dataclasses import dataclass

import numpy as np

from inference import attribute_scores as scores
from inference.attribute_scores import FaceInGrey
from inference.face_geometry import FaceGeometry
from inference.models import emotion
from inference.models.face_attributes import AgeAndGender
from inference.types import AgeRange, Attributes, Emotion, Gender, Judgement

ASKABLE = ("age_range", "gender", "emotions", "smile", "eyeglasses", "mustache", "eyes_open", "mouth_open")
"""What can be measured; anything else that is asked for is left out."""
FROM_GREY = frozenset({"eyeglasses", "mustache"})
FROM_FACERES = frozenset({"age_range", "gender", "mustache"})
FROM_EMOTION = frozenset({"emotions", "smile"})


@dataclass(frozen=True)
class Fit:
    """A score of at least `threshold` is a yes, which is right with the probability logistic(slope * (score - middle)).

    Where an attribute is rare, the threshold lies under the middle, for else most faces that have it would be missed.
    """

    slope: float
    middle: float
    threshold: float


FITS = {
    "mouth_open": Fit(125.6, 0.0360, 0.0345),
    "smile": Fit(6.40, 0.115, 0.08),
    "eyes_open": Fit(35.0, 0.174, 0.235),
    "eyeglasses": Fit(41.6, 0.0795, 0.042),
    "mustache": Fit(8.15, -0.529, -0.67),
}
MALE = Fit(1.375, 0.222, 0.222)
"""Of the log odds of the network's probability."""
SUREST = 0.99
"""No set is large and clean enough to tell more."""

YEARS = (0.0, 5.0, 15.0, 25.0, 35.0, 45.0, 55.0, 67.0, 90.0)
LOWEST = (0.0, 1.0, 4.0, 12.0, 25.0, 38.0, 53.0, 62.0, 70.0)
HIGHEST = (3.0, 6.0, 19.0, 35.0, 53.0, 70.0, 84.0, 90.0, 98.0)
"""By the network's years, the ages between which about 80 % of the faces lie; the network itself is too young for old
faces and too old for children."""

EMOTION_SHARPNESS = 0.623
EMOTION_SHIFT = np.array([-0.25, -1.09, -2.0, -0.02, 0.11, 2.0, 1.26])
"""Log probabilities of emotion.KINDS times the one, plus the other (vector scaling, Guo et al. 2017)."""

ANSWERED_EMOTIONS = ("angry", "happy", "sad", "surprised", "calm")
"""Of emotion.KINDS. Fear and disgust hardly occur in the labelled set: nobody knows how right they would be."""


def wanted(asked: tuple[str, ...]) -> frozenset[str]:
    """The names of ASKABLE among what was asked for; all of them for "all"."""
    return frozenset(ASKABLE if "all" in asked else [name for name in ASKABLE if name in asked])


def judge(
    names: frozenset[str],
    geometry: FaceGeometry,
    grey: FaceInGrey | None,
    people: AgeAndGender | None,
    emotions: np.ndarray | None,
) -> Attributes:
    """The attributes `names`, as far as what they need is there."""
    rated: dict[str, float | None] = {
        "mouth_open": scores.mouth_open(geometry),
        "eyes_open": scores.eyes_open(geometry),
        "smile": None if emotions is None else scores.smile(geometry, float(emotions[emotion.KINDS.index("happy")])),
        "eyeglasses": None if grey is None else scores.eyeglasses(grey),
        "mustache": None if grey is None or people is None else scores.mustache(grey, people.male),
    }
    yes_or_no = {
        name: judgement(score, FITS[name]) for name, score in rated.items() if name in names and score is not None
    }
    return Attributes(
        age_range=age_range(people.years) if people and "age_range" in names else None,
        gender=gender(people.male) if people and "gender" in names else None,
        emotions=ranked(emotions) if emotions is not None and "emotions" in names else None,
        **yes_or_no,
    )


def judgement(score: float, fit: Fit) -> Judgement:
    """Yes or no, with how often such a judgement is right (50 at least)."""
    likely = 1 / (1 + math.exp(-float(np.clip(fit.slope * (score - fit.middle), -30, 30))))
    value = score >= fit.threshold
    return Judgement(value, 100 * min(max(likely if value else 1 - likely, 0.5), SUREST))


def gender(male: float) -> Gender:
    """From the network's probability of a man, 0..1."""
    stated = judgement(math.log((male + 1e-3) / (1.001 - male)), MALE)
    return Gender("male" if stated.value else "female", stated.confidence)


def age_range(years: float) -> AgeRange:
    """From the network's mean, 0..99."""
    low, high = (round(float(np.interp(years, YEARS, ends))) for ends in (LOWEST, HIGHEST))
    return AgeRange(low, high)


def ranked(probabilities: np.ndarray) -> tuple[Emotion, ...]:
    """The calibrated ANSWERED_EMOTIONS, likeliest first, from the network's probabilities of emotion.KINDS.

    They sum to 100 less what falls to the others.
    """
    log_odds = EMOTION_SHARPNESS * np.log(np.asarray(probabilities, np.float64) + 1e-4) + EMOTION_SHIFT
    shares = np.exp(log_odds - log_odds.max())
    percents = (100 * shares / shares.sum()).tolist()
    return tuple(
        Emotion(kind, percent)
        for percent, kind in sorted(zip(percents, emotion.KINDS, strict=True), key=lambda pair: -pair[0])
        if kind in ANSWERED_EMOTIONS
    )
