"""Faces in single images: DetectFaces and CompareFaces."""

from typing import Any

import numpy as np

from api.context import Context
from api.errors import InvalidParameterException
from api.operations.images import LEAST_SIDE_PIXELS, image_bytes
from api.operations.rendering import asked_attributes, bounding_box, face_detail, percent
from inference import similarity
from inference.types import Face

DEFAULT_SIMILARITY_THRESHOLD = 80.0


def detect_faces(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Finds up to 100 faces, largest first: box, landmarks, pose, quality, and the attributes asked for.

    Networks: face_detector, face_mesh, iris, face_attributes, emotion.
    """
    data = image_bytes(ctx, request["Image"])
    result = ctx.services.inference.faces(
        data,
        min_side=LEAST_SIDE_PIXELS,
        attributes=asked_attributes(request.get("Attributes")),
        request_id=ctx.request_id,
    )
    return {"FaceDetails": [face_detail(face) for face in result.faces]}


def compare_faces(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Compares the largest face of one picture with up to 100 faces of another.

    Networks: face_detector, face_mesh, iris, face_embedder.
    """
    level = request.get("QualityFilter", "NONE").lower()
    threshold = request.get("SimilarityThreshold", DEFAULT_SIMILARITY_THRESHOLD)
    sources = _embedded(ctx, request["SourceImage"], "largest", level)
    targets = _embedded(ctx, request["TargetImage"], "all", level)
    if not sources or not targets:
        raise InvalidParameterException
    source = sources[0]
    calibration = similarity.of_version(ctx.services.settings.face_model_version)
    likeness = [percent(calibration.similarity(_cosine(source, target))) for target in targets]
    by_likeness = sorted(zip(likeness, targets, strict=True), key=lambda pair: -pair[0])
    return {
        "SourceImageFace": {"BoundingBox": bounding_box(source.box), "Confidence": source.confidence},
        "FaceMatches": [
            {"Similarity": value, "Face": face_detail(face)} for value, face in by_likeness if value >= threshold
        ],
        "UnmatchedFaces": [face_detail(face) for value, face in by_likeness if value < threshold],
    }


def _embedded(ctx: Context, image: dict[str, Any], which: str, level: str) -> list[Face]:
    data = image_bytes(ctx, image)
    result = ctx.services.inference.faces(
        data,
        embed=which,
        quality=level,
        min_side=LEAST_SIDE_PIXELS,
        attributes=asked_attributes(None),
        request_id=ctx.request_id,
    )
    return [face for face in result.faces if face.embedding is not None]


def _cosine(one: Face, other: Face) -> float:
    assert one.embedding is not None and other.embedding is not None
    return float(np.dot(one.embedding, other.embedding))
