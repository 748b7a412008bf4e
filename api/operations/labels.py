"""What single images show: DetectLabels."""

from collections.abc import Mapping
from typing import Any

from api.context import Context
from api.operations.images import LEAST_SIDE_PIXELS, image_bytes
from api.operations.rendering import bounding_box
from inference.label_filters import LabelFilter, select
from inference.types import DominantColor, ImageProperties, Instance, Label, RegionProperties

LABEL_MODEL_VERSION = "3.0"
"""Of the label names and their categories."""
DEFAULT_MIN_CONFIDENCE = 55.0
DEFAULT_MAX_COLORS = 10


def detect_labels(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Names what a picture shows, with boxes of objects and the hierarchy of labels; its quality and dominant colours.

    Networks: object_detector, image_classifier, face_detector, face_mesh, face_attributes.
    """
    features = request.get("Features") or ["GENERAL_LABELS"]
    settings = request.get("Settings", {})
    result = ctx.services.inference.labels(
        image_bytes(ctx, request["Image"]),
        labels="GENERAL_LABELS" in features,
        min_confidence=request.get("MinConfidence", DEFAULT_MIN_CONFIDENCE),
        properties="IMAGE_PROPERTIES" in features,
        max_colors=settings.get("ImageProperties", {}).get("MaxDominantColors", DEFAULT_MAX_COLORS),
        min_side=LEAST_SIDE_PIXELS,
        request_id=ctx.request_id,
    )
    kept = select(result.labels, label_filter(settings.get("GeneralLabels", {})))[: request.get("MaxLabels")]
    answer: dict[str, Any] = {
        "Labels": [label_members(label) for label in kept],
        "LabelModelVersion": LABEL_MODEL_VERSION,
    }
    if result.properties is not None:
        answer["ImageProperties"] = _properties(result.properties)
    return answer


def label_filter(members: Mapping[str, Any]) -> LabelFilter:
    """The filters of a GeneralLabels."""
    return LabelFilter(
        included=tuple(members.get("LabelInclusionFilters", ())),
        included_categories=tuple(members.get("LabelCategoryInclusionFilters", ())),
        excluded=tuple(members.get("LabelExclusionFilters", ())),
        excluded_categories=tuple(members.get("LabelCategoryExclusionFilters", ())),
    )


def label_members(label: Label) -> dict[str, Any]:
    """A Label."""
    return {
        "Name": label.name,
        "Confidence": label.confidence,
        "Instances": [_instance(instance) for instance in label.instances],
        "Parents": [{"Name": name} for name in label.parents],
        "Aliases": [{"Name": name} for name in label.aliases],
        "Categories": [{"Name": label.category}],
    }


def _instance(instance: Instance) -> dict[str, Any]:
    members: dict[str, Any] = {"BoundingBox": bounding_box(instance.box), "Confidence": instance.confidence}
    if instance.colors is not None:
        members["DominantColors"] = [_color(color) for color in instance.colors]
    return members


def _properties(properties: ImageProperties) -> dict[str, Any]:
    parts = {"Foreground": properties.foreground, "Background": properties.background}
    return _region(properties.image) | {name: _region(part) for name, part in parts.items() if part is not None}


def _region(region: RegionProperties) -> dict[str, Any]:
    quality = {"Brightness": region.quality.brightness, "Sharpness": region.quality.sharpness}
    if region.quality.contrast is not None:
        quality["Contrast"] = region.quality.contrast
    return {"Quality": quality, "DominantColors": [_color(color) for color in region.colors]}


def _color(color: DominantColor) -> dict[str, Any]:
    return {
        "Red": color.red,
        "Green": color.green,
        "Blue": color.blue,
        "HexCode": f"#{color.red:02x}{color.green:02x}{color.blue:02x}",
        "CSSColor": color.css,
        "SimplifiedColor": color.simplified,
        "PixelPercent": color.percent,
    }
