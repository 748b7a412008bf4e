"""Unwelcome content of pictures: DetectModerationLabels."""

from collections.abc import Sequence
from typing import Any

from api.context import Context
from api.errors import ResourceNotFoundException
from api.operations.human_review import start_review
from api.operations.images import image_bytes
from inference.taxonomy.moderation import TREE, sure
from inference.types import Confident

DEFAULT_CONFIDENCE = 50.0


def detect_moderation_labels(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Finds explicit and suggestive content, weapons, alcohol, gambling, pills and swimwear, each with its parents.

    Networks: explicit_classifier, image_classifier, object_detector.
    """
    if "ProjectVersion" in request:
        raise ResourceNotFoundException(f"The adapter {request['ProjectVersion']} does not exist.")
    least = request.get("MinConfidence", DEFAULT_CONFIDENCE)
    result = ctx.services.inference.moderation(image_bytes(ctx, request["Image"]), request_id=ctx.request_id)
    answer: dict[str, Any] = {
        "ModerationLabels": [moderation_label(label.name, label.confidence) for label in sure(result.labels, least)],
        "ModerationModelVersion": TREE.version,
        "ContentTypes": content_types(sure(result.content_types, least)),
    }
    if "HumanLoopConfig" in request:
        answer["HumanLoopActivationOutput"] = start_review(ctx, request, answer)
    return answer


def moderation_label(name: str, confidence: float) -> dict[str, Any]:
    """A ModerationLabel."""
    return {
        "Confidence": confidence,
        "Name": name,
        "ParentName": TREE.parents[name],
        "TaxonomyLevel": TREE.level(name),
    }


def content_types(found: Sequence[Confident]) -> list[dict[str, Any]]:
    return [{"Confidence": one.confidence, "Name": one.name} for one in found]
