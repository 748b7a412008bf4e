"""Searches in collections, for faces and for users, by a stored face or user or by a picture."""

from typing import Any
from uuid import UUID

from psycopg import Connection

from api.context import Context
from api.errors import InvalidParameterException
from api.operations.face_models import again_if_the_model_changed, require_the_model
from api.operations.images import LEAST_SIDE_PIXELS, image_bytes
from api.operations.rendering import (
    asked_attributes,
    bounding_box,
    face_detail,
    percent,
    rejection_reasons,
    stored_face,
    user_status,
)
from inference import similarity
from inference.types import Embedding, Face, FacesResult
from storage import collections, faces, users
from storage.changes import Kind
from storage.collections import Collection
from storage.faces import StoredFace
from storage.users import KnownUser, User

DEFAULT_THRESHOLD = 80.0
DEFAULT_MOST_FACES = 4096
DEFAULT_MOST_USERS = 500
"""The real defaults of these two are not documented; all that the range allows loses no match."""


@again_if_the_model_changed
def search_faces(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Finds the stored faces most like a stored one, by exact search over all."""
    face_id = UUID(request["FaceId"])
    collection, embedding = ctx.services.pool.read(faces.get_embedding, ctx.tenant, request["CollectionId"], face_id)
    return {
        "SearchedFaceId": str(face_id),
        "FaceMatches": _face_matches(ctx, request, collection, embedding, leave_out=face_id),
        "FaceModelVersion": collection.face_model_version,
    }


@again_if_the_model_changed
def search_faces_by_image(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Finds the stored faces most like the largest face of a picture, by exact search over all.

    Networks: face_detector, face_mesh, iris, face_embedder.
    """
    collection, result = _collection_and_faces(ctx, request, described=False)
    probe = _probe(result)
    if probe is None or probe.embedding is None:
        raise InvalidParameterException("There are no faces in the image. Should be at least 1.")
    return {
        "SearchedFaceBoundingBox": bounding_box(probe.box),
        "SearchedFaceConfidence": probe.confidence,
        "FaceMatches": _face_matches(ctx, request, collection, probe.embedding),
        "FaceModelVersion": collection.face_model_version,
    }


@again_if_the_model_changed
def search_users(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Finds the users most like a stored face or another user, by exact search over all users."""
    user_id, face_id = request.get("UserId"), request.get("FaceId")
    if (user_id is None) == (face_id is None):
        raise InvalidParameterException

    def look(connection: Connection[Any]) -> tuple[Collection, User | None, Embedding | None]:
        if user_id is None:
            collection, embedding = faces.get_embedding(connection, ctx.tenant, request["CollectionId"], UUID(face_id))
            return collection, None, embedding
        collection = collections.get(connection, ctx.tenant, request["CollectionId"])
        user = users.get(connection, collection.id, user_id)
        return collection, user, user.embedding

    collection, user, embedding = ctx.services.pool.read(look)
    return {
        "UserMatches": _user_matches(ctx, request, collection, embedding, leave_out=user.key if user else None),
        "FaceModelVersion": collection.face_model_version,
        **({"SearchedUser": {"UserId": user_id}} if user else {"SearchedFace": {"FaceId": face_id}}),
    }


@again_if_the_model_changed
def search_users_by_image(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Finds the users most like the largest face of a picture, by exact search over all users.

    Networks: face_detector, face_mesh, iris, face_embedder.
    """
    collection, result = _collection_and_faces(ctx, request, described=True)
    probe = _probe(result)
    return {
        "UserMatches": _user_matches(ctx, request, collection, probe.embedding if probe else None),
        "FaceModelVersion": collection.face_model_version,
        **({"SearchedFace": {"FaceDetail": face_detail(probe)}} if probe else {}),
        "UnsearchedFaces": [
            {"FaceDetails": face_detail(face), "Reasons": rejection_reasons(face) or ["FACE_NOT_LARGEST"]}
            for face in result.faces
            if face is not probe
        ],
    }


def _collection_and_faces(ctx: Context, request: dict[str, Any], *, described: bool) -> tuple[Collection, FacesResult]:
    """`described`: with the landmarks and the pose that DetectFaces gives. A filter judges by that pose too."""
    level = request.get("QualityFilter", "NONE").lower()
    collection = ctx.services.pool.read(collections.get, ctx.tenant, request["CollectionId"])
    return collection, ctx.services.inference.faces(
        image_bytes(ctx, request["Image"]),
        embed="largest",
        quality=level,
        min_side=LEAST_SIDE_PIXELS,
        face_model_version=collection.face_model_version,
        attributes=asked_attributes(None) if described or level != "none" else (),
        request_id=ctx.request_id,
    )


def _probe(result: FacesResult) -> Face | None:
    """The largest face that the quality filter let pass: the one that has an embedding."""
    return next((face for face in result.faces if face.embedding is not None), None)


def _face_matches(
    ctx: Context,
    request: dict[str, Any],
    collection: Collection,
    embedding: Embedding,
    leave_out: UUID | None = None,
) -> list[dict[str, Any]]:
    threshold = request.get("FaceMatchThreshold", DEFAULT_THRESHOLD)
    most = request.get("MaxFaces", DEFAULT_MOST_FACES)
    near = _nearest(ctx, collection, "faces", embedding, threshold, most, leave_out)

    def look(connection: Connection[Any]) -> dict[UUID, StoredFace]:
        found = faces.by_ids(connection, collection.id, near)
        # Their rows name the present face model of the collection; where there are none, the collection's does.
        if {face.face_model_version for face in found.values()} != {collection.face_model_version}:
            require_the_model(connection, ctx.tenant, collection)
        return found

    stored = ctx.services.pool.read(look)
    return [
        {"Similarity": value, "Face": stored_face(stored[face_id])}
        for face_id, value in near.items()
        # A face deleted since the index was read is no match.
        if face_id in stored
    ]


def _user_matches(
    ctx: Context,
    request: dict[str, Any],
    collection: Collection,
    embedding: Embedding | None,
    leave_out: UUID | None = None,
) -> list[dict[str, Any]]:
    """The users most like an embedding; none where there is none to compare with."""
    if embedding is None:
        return []
    threshold = request.get("UserMatchThreshold", DEFAULT_THRESHOLD)
    most = request.get("MaxUsers", DEFAULT_MOST_USERS)
    near = _nearest(ctx, collection, "users", embedding, threshold, most, leave_out)

    def look(connection: Connection[Any]) -> dict[UUID, KnownUser]:
        found = users.by_keys(connection, collection.id, near)
        if {user.face_model_version for user in found.values()} != {collection.face_model_version}:
            require_the_model(connection, ctx.tenant, collection)
        return found

    known = ctx.services.pool.read(look)
    return [
        {"Similarity": value, "User": {"UserId": known[key].user_id, "UserStatus": user_status(has_faces=True)}}
        for key, value in near.items()
        # A user that was deleted, or lost its faces, since the index was read is no match.
        if key in known
    ]


def _nearest(
    ctx: Context,
    collection: Collection,
    kind: Kind,
    embedding: Embedding,
    threshold: float,
    most: int,
    leave_out: UUID | None,
) -> dict[UUID, float]:
    """Similarities of the faces or users most like an embedding, best first, by face id or user key.

    From an index no older than the collection row that the caller read, and perhaps of another face model.
    """
    calibration = similarity.of_version(collection.face_model_version)
    least = calibration.cosine_at(threshold) - similarity.COSINE_ERROR
    at_least = collection.version
    try:
        near = ctx.services.index.search(collection.id, kind, at_least, embedding, most, least, exclude=leave_out)
    except ValueError:
        # Embeddings of another length: those of a new face model, perhaps.
        ctx.services.pool.read(require_the_model, ctx.tenant, collection)
        raise
    scored = {match.id: percent(calibration.similarity(match.score)) for match in near}
    return {found: value for found, value in scored.items() if value >= threshold}
