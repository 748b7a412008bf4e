"""Protective equipment on persons: DetectProtectiveEquipment."""

from typing import Any

from api.context import Context
from api.errors import ImageTooLargeException
from api.operations.equipment_summary import summary
from api.operations.images import image_bytes
from api.operations.rendering import bounding_box
from inference.types import BodyPart, Equipment, Person

MODEL_VERSION = "1.0"
MOST_INLINE_BYTES = 4 * 1024 * 1024
"""Of an image for this operation (limits.md section 1); the service model allows others more."""


def detect_protective_equipment(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Finds up to 15 persons, their faces, heads and hands, and the masks, gloves and helmets on them.

    Networks: object_detector, body_pose, face_detector, image_classifier.
    """
    data = image_bytes(ctx, request["Image"])
    if "Bytes" in request["Image"] and len(data) > MOST_INLINE_BYTES:
        raise ImageTooLargeException
    persons = ctx.services.inference.protective_equipment(data, request_id=ctx.request_id).persons
    answer: dict[str, Any] = {
        "ProtectiveEquipmentModelVersion": MODEL_VERSION,
        "Persons": [_person(number, person) for number, person in enumerate(persons)],
    }
    if "SummarizationAttributes" in request:
        asked = request["SummarizationAttributes"]
        answer["Summary"] = summary(persons, asked["MinConfidence"], asked["RequiredEquipmentTypes"])
    return answer


def _person(number: int, person: Person) -> dict[str, Any]:
    return {
        "BodyParts": [_body_part(part) for part in person.parts],
        "BoundingBox": bounding_box(person.box),
        "Confidence": person.confidence,
        "Id": number,
    }


def _body_part(part: BodyPart) -> dict[str, Any]:
    return {
        "Name": part.name.upper(),
        "Confidence": part.confidence,
        "EquipmentDetections": [_equipment(item) for item in part.equipment],
    }


def _equipment(item: Equipment) -> dict[str, Any]:
    return {
        "BoundingBox": bounding_box(item.box),
        "Confidence": item.confidence,
        "Type": item.kind.upper(),
        "CoversBodyPart": {"Confidence": item.covers.confidence, "Value": item.covers.value},
    }
