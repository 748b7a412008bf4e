"""Text in single images: DetectText."""

from math import isfinite
from typing import Any

from api.context import Context
from api.errors import InvalidParameterException
from api.operations.images import LEAST_SIDE_PIXELS, image_bytes
from api.operations.rendering import bounding_box
from inference.polygons import bounds
from inference.text_filters import TextFilter, listed, select
from inference.types import Point, Polygon, TextPiece

TEXT_MODEL_VERSION = "3.0"
WORD_FILTER_CONFIDENCE = 80.0
"""MinConfidence of a WordFilter that does not say (limits.md section 10)."""
POLYGON_POINTS = range(3, 11)


def detect_text(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Finds lines of text and their up to 100 words, also turned ones, with box, polygon and confidence; all filters.

    Networks: text_detector, text_orientation, text_recognizer.
    """
    wanted = text_filter(request.get("Filters", {}))
    data = image_bytes(ctx, request["Image"])
    found = ctx.services.inference.text(data, min_side=LEAST_SIDE_PIXELS, request_id=ctx.request_id)
    return {
        "TextDetections": [text_detection(piece) for piece in listed(select(found, wanted))],
        "TextModelVersion": TEXT_MODEL_VERSION,
    }


def text_filter(filters: dict[str, Any], least_without: float = 0.0) -> TextFilter:
    """The filters of a request; without a WordFilter words of confidence `least_without` pass.

    Raises InvalidParameterException.
    """
    words = filters.get("WordFilter", {"MinConfidence": least_without})
    return TextFilter(
        words.get("MinConfidence", WORD_FILTER_CONFIDENCE),
        words.get("MinBoundingBoxWidth", 0.0),
        words.get("MinBoundingBoxHeight", 0.0),
        tuple(_region(region) for region in filters.get("RegionsOfInterest", ())),
    )


def text_detection(piece: TextPiece) -> dict[str, Any]:
    """A TextDetection."""
    members = {
        "DetectedText": piece.text,
        "Type": "LINE" if piece.parent is None else "WORD",
        "Id": piece.number,
        "Confidence": piece.confidence,
        "Geometry": {
            "BoundingBox": bounding_box(bounds(piece.polygon)),
            "Polygon": [{"X": point.x, "Y": point.y} for point in piece.polygon],
        },
    }
    return members if piece.parent is None else members | {"ParentId": piece.parent}


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
    if not (isfinite(right) and isfinite(bottom)):
        raise InvalidParameterException
    return Point(left, top), Point(right, top), Point(right, bottom), Point(left, bottom)
