"""Searches in collections: SearchFaces and SearchFacesByImage."""

from typing import Any
from uuid import UUID

from api.context import Context
from api.errors import InvalidParameterException
from api.operations.images import LEAST_SIDE_PIXELS, image_bytes
from api.operations.rendering import bounding_box, percent, stored_face
from inference import similarity
from inference.types import Embedding
from storage import collections, faces
from storage.collections import Collection

DEFAULT_FACE_MATCH_THRESHOLD = 80.0
DEFAULT_MOST_MATCHES = 4096
"""The real default is not documented; all that the range allows loses no match."""


def search_faces(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Finds the stored faces most like a stored one, by exact search over all."""
    face_id = UUID(request["FaceId"])
    with ctx.services.pool.connection() as connection:
        collection = collections.get(connection, ctx.tenant, request["CollectionId"])
        embedding = faces.get_embedding(connection, collection.id, face_id)
    return {
        "SearchedFaceId": str(face_id),
        "FaceMatches": _matches(ctx, request, collection, embedding, leave_out=face_id),
        "FaceModelVersion": collection.face_model_version,
    }


def search_faces_by_image(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Finds the stored faces most like the largest face of a picture, by exact search over all.

    Networks: face_detector, face_embedder.
    """
    with ctx.services.pool.connection() as connection:
        collection = collections.get(connection, ctx.tenant, request["CollectionId"])
    result = ctx.services.inference.faces(
        image_bytes(ctx, request["Image"]),
        embed="largest",
        quality=request.get("QualityFilter", "NONE").lower(),
        min_side=LEAST_SIDE_PIXELS,
        face_model_version=collection.face_model_version,
        request_id=ctx.request_id,
    )
    probe = next((face for face in result.faces if face.embedding is not None), None)
    if probe is None or probe.embedding is None:
        raise InvalidParameterException("There are no faces in the image. Should be at least 1.")
    return {
        "SearchedFaceBoundingBox": bounding_box(probe.box),
        "SearchedFaceConfidence": probe.confidence,
        "FaceMatches": _matches(ctx, request, collection, probe.embedding),
        "FaceModelVersion": collection.face_model_version,
    }


def _matches(
    ctx: Context,
    request: dict[str, Any],
    collection: Collection,
    embedding: Embedding,
    leave_out: UUID | None = None,
) -> list[dict[str, Any]]:
    """The stored faces most like an embedding, best first, no older than the collection row that the caller read."""
    threshold = request.get("FaceMatchThreshold", DEFAULT_FACE_MATCH_THRESHOLD)
    calibration = similarity.of_version(collection.face_model_version)
    near = ctx.services.index.search(
        collection.id,
        collection.version,
        embedding,
        request.get("MaxFaces", DEFAULT_MOST_MATCHES),
        calibration.cosine_at(threshold) - COSINE_ERROR,
        exclude=leave_out,
    )
    with ctx.services.pool.connection() as connection:
        stored = faces.by_ids(connection, collection.id, [match.face_id for match in near])
    scored = [(percent(calibration.similarity(match.score)), match.face_id) for match in near]
    return [
        {"Similarity": value, "Face": stored_face(stored[face_id])}
        for value, face_id in scored
        # A face deleted since the index was read is no match.
        if value >= threshold and face_id in stored
    ]


COSINE_ERROR = 1e-6
"""Of float32 sums; without this room a threshold of 100 would miss identical faces."""
