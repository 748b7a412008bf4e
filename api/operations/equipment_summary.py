"""Who wears the required equipment: the Summary of DetectProtectiveEquipment."""

from collections.abc import Sequence
from enum import Enum
from typing import Any

from inference.types import BodyPart, Person

LEAST_CONFIDENCE = 50.0
"""Nothing less sure is ever reported, so a lower MinConfidence is the same as this."""

PARTS = {"FACE_COVER": ("face",), "HAND_COVER": ("left_hand", "right_hand"), "HEAD_COVER": ("head",)}
"""The body parts that each type of equipment covers."""


class Wearing(Enum):
    """What is known of a person and the required equipment; the values are the members of a Summary."""

    YES = "PersonsWithRequiredEquipment"
    NO = "PersonsWithoutRequiredEquipment"
    UNSURE = "PersonsIndeterminate"


def summary(persons: Sequence[Person], min_confidence: float, required: Sequence[str]) -> dict[str, Any]:
    """The persons' indexes by what is known of them; each is in one list. `required`: keys of PARTS."""
    least = max(min_confidence, LEAST_CONFIDENCE)
    known = [wearing(person, least, required) for person in persons]
    return {case.value: [n for n, found in enumerate(known) if found is case] for case in Wearing}


def wearing(person: Person, least: float, required: Sequence[str]) -> Wearing:
    """Whether a person wears all required types; unsure as soon as something that decides is less sure than `least`."""
    if person.confidence < least:
        return Wearing.UNSURE
    return _all([_wearing_type(person, least, kind) for kind in required])


def _wearing_type(person: Person, least: float, kind: str) -> Wearing:
    parts = [part for part in person.parts if part.name in PARTS[kind]]
    # a part that is not seen may or may not be covered
    return _all([_covered(part, least, kind) for part in parts]) if parts else Wearing.UNSURE


def _covered(part: BodyPart, least: float, kind: str) -> Wearing:
    if part.confidence < least:
        return Wearing.UNSURE
    items = [item for item in part.equipment if item.kind == kind.lower()]
    sure = [item for item in items if item.confidence >= least and item.covers.confidence >= least]
    if any(item.covers.value for item in sure):
        return Wearing.YES
    return Wearing.NO if len(sure) == len(items) else Wearing.UNSURE


def _all(found: Sequence[Wearing]) -> Wearing:
    if Wearing.UNSURE in found:
        return Wearing.UNSURE
    return Wearing.NO if Wearing.NO in found else Wearing.YES
