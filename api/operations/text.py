"""Text in single images: DetectText."""

from typing import Any

from api.context import Context
from api.errors import InvalidParameterException
from api.operations.images import LEAST_SIDE_PIXELS, image_bytes
from api.operations.rendering import bounding_box
from inference.polygons import bounds
from inference.text_filters import TextFilter, select
from inference.types import Line, Point, Polygon, Word

TEXT_MODEL_VERSION = "3.0"
WORD_FILTER_CONFIDENCE = 80.0
"""MinConfidence of a WordFilter that does not say; without a WordFilter every word passes (limits.md section 10)."""
POLYGON_POINTS = range(3, 11)


def detect_text(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Finds lines of text and their up to 100 words, also turned ones, with box, polygon and confidence; all filters.

    Networks: text_detector, text_orientation, text_recognizer.
    """
    wanted = text_filter(request.get("Filters", {}))
    data = image_bytes(ctx, request["Image"])
    found = ctx.services.inference.text(data, min_side=LEAST_SIDE_PIXELS, request_id=ctx.request_id)
    return {
        "TextDetections": text_detections(select(found, wanted).lines),
        "TextModelVersion": TEXT_MODEL_VERSION,
    }


def text_filter(filters: dict[str, Any]) -> TextFilter:
    """The filters of a request. Raises InvalidParameterException."""
    regions = tuple(_region(region) for region in filters.get("RegionsOfInterest", ()))
    words = filters.get("WordFilter")
    if words is None:
        return TextFilter(regions=regions)
    return TextFilter(
        words.get("MinConfidence", WORD_FILTER_CONFIDENCE),
        words.get("MinBoundingBoxWidth", 0.0),
        words.get("MinBoundingBoxHeight", 0.0),
        regions,
    )


def text_detections(lines: tuple[Line, ...]) -> list[dict[str, Any]]:
    """All lines, then all words, numbered on from 0."""
    words = [(parent, word) for parent, line in enumerate(lines) for word in line.words]
    return [_entry("LINE", n, line) for n, line in enumerate(lines)] + [
        _entry("WORD", n, word) | {"ParentId": parent} for n, (parent, word) in enumerate(words, len(lines))
    ]


def _entry(kind: str, number: int, found: Line | Word) -> dict[str, Any]:
    return {
        "DetectedText": found.text,
        "Type": kind,
        "Id": number,
        "Confidence": found.confidence,
        "Geometry": {
            "BoundingBox": bounding_box(bounds(found.polygon)),
            "Polygon": [{"X": point.x, "Y": point.y} for point in found.polygon],
        },
    }


def _region(region: dict[str, Any]) -> Polygon:
    """The one shape of a region. Raises InvalidParameterException."""
    if ("BoundingBox" in region) == ("Polygon" in region):
        raise InvalidParameterException
    if "BoundingBox" in region:
        return _corners(region["BoundingBox"])
    points = region["Polygon"]
    if len(points) not in POLYGON_POINTS or any(point.keys() < {"X", "Y"} for point in points):
        raise InvalidParameterException
    return tuple(Point(point["X"], point["Y"]) for point in points)


def _corners(box: dict[str, float]) -> Polygon:
    if box.keys() < {"Left", "Top", "Width", "Height"} or box["Width"] <= 0 or box["Height"] <= 0:
        raise InvalidParameterException
    left, top, right, bottom = box["Left"], box["Top"], box["Left"] + box["Width"], box["Top"] + box["Height"]
    return Point(left, top), Point(right, top), Point(right, bottom), Point(left, bottom)
