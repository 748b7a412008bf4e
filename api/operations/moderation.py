"""Unwelcome content of pictures: DetectModerationLabels."""

from collections.abc import Sequence
from typing import Any

from api.context import Context
from api.errors import ResourceNotFoundException
from api.operations.human_review import start_review
from api.operations.images import image_bytes
from api.operations.rendering import percent
from inference.taxonomy.moderation import TREE
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
        "ModerationLabels": [
            entry | {"ParentName": TREE.parents[entry["Name"]], "TaxonomyLevel": TREE.level(entry["Name"])}
            for entry in _sure(result.labels, least)
        ],
        "ModerationModelVersion": TREE.version,
        "ContentTypes": _sure(result.content_types, least),
    }
    if "HumanLoopConfig" in request:
        answer["HumanLoopActivationOutput"] = start_review(ctx, request, answer)
    return answer


def _sure(found: Sequence[Confident], least: float) -> list[dict[str, Any]]:
    rounded = [(percent(one.confidence), one.name) for one in found]
    return [{"Confidence": confidence, "Name": name} for confidence, name in rounded if confidence >= least]
