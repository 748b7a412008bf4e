"""Faces of collections: index, list, delete."""

from typing import Any
from uuid import UUID

from psycopg import Connection

from api.context import Context
from api.operations.face_models import again_if_the_model_changed
from api.operations.images import LEAST_SIDE_PIXELS, image_bytes, image_id
from api.operations.rendering import asked_attributes, bounding_box, face_detail, rejection_reasons, stored_face
from inference.types import Face
from storage import collections, crops, faces, users
from storage.faces import StoredFace

DEFAULT_PAGE = 1000

DELETION_REASONS = {"not_found": "FACE_NOT_FOUND", "has_user": "ASSOCIATED_TO_AN_EXISTING_USER"}


@again_if_the_model_changed
def index_faces(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Finds, filters and embeds the faces of a picture and stores them; the same picture is stored once.

    Networks: face_detector, face_mesh, iris, face_attributes, emotion, face_embedder.
    """
    name = request["CollectionId"]
    collection = ctx.services.pool.read(collections.get, ctx.tenant, name)
    data = image_bytes(ctx, request["Image"])
    result = ctx.services.inference.faces(
        data,
        embed="all",
        quality=request.get("QualityFilter", "AUTO").lower(),
        max_faces=request.get("MaxFaces"),
        min_side=LEAST_SIDE_PIXELS,
        face_model_version=collection.face_model_version,
        attributes=asked_attributes(request.get("DetectionAttributes")),
        crops=collection.keeps_crops,
        request_id=ctx.request_id,
    )
    indexed = [face for face in result.faces if face.embedding is not None]
    with ctx.services.pool.connection() as connection:
        after, stored = faces.add(
            connection,
            ctx.tenant,
            name,
            image_id(data),
            request.get("ExternalImageId"),
            [_new(face) for face in indexed],
            ctx.services.settings.most_faces_in_a_collection,
            collection.face_model_version,
        )
        # An owner who ends the keeping of crops in between is obeyed.
        if after.keeps_crops:
            kept = {entry.face_id: face.crop for face, entry in zip(indexed, stored, strict=True) if face.crop}
            crops.put(connection, ctx.services.secret_key, after.id, kept)
    return {
        "FaceRecords": [_record(face, entry) for face, entry in zip(indexed, stored, strict=True)],
        "FaceModelVersion": collection.face_model_version,
        "UnindexedFaces": [
            {"Reasons": rejection_reasons(face), "FaceDetail": face_detail(face)}
            for face in result.faces
            if face.rejected
        ],
    }


def list_faces(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Lists stored faces in the order they came, in pages, also of one user or of given ids."""
    tokens, size = ctx.services.tokens, request.get("MaxResults") or DEFAULT_PAGE
    token, user_id = request.get("NextToken"), request.get("UserId")
    after = int(tokens.open("ListFaces", ctx.tenant, request, token)) if token else 0
    wanted = [UUID(face_id) for face_id in request["FaceIds"]] if "FaceIds" in request else None

    def look(connection: Connection[Any]) -> tuple[str, list[tuple[int, StoredFace]]]:
        found = faces.page(connection, ctx.tenant, request["CollectionId"], after, size + 1, wanted, user_id)
        if found:
            return found[0][1].face_model_version, found
        # Because nothing is there to be listed, or nothing to list it from.
        collection = collections.get(connection, ctx.tenant, request["CollectionId"])
        if user_id is not None:
            users.get(connection, collection.id, user_id)
        return collection.face_model_version, found

    face_model_version, found = ctx.services.pool.read(look)
    page = found[:size]
    answer: dict[str, Any] = {
        "Faces": [stored_face(face) for _, face in page],
        "FaceModelVersion": face_model_version,
    }
    if len(found) > size:
        answer["NextToken"] = tokens.seal("ListFaces", ctx.tenant, request, str(page[-1][0]))
    return answer


def delete_faces(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Deletes stored faces; no later search finds them."""
    wanted = [UUID(face_id) for face_id in request["FaceIds"]]
    with ctx.services.pool.connection() as connection:
        outcome = faces.delete(connection, ctx.tenant, request["CollectionId"], wanted)
    return {
        "DeletedFaces": [str(face_id) for face_id in outcome.deleted],
        "UnsuccessfulFaceDeletions": [
            {
                "FaceId": str(failure.face_id),
                **({"UserId": failure.user_id} if failure.user_id is not None else {}),
                "Reasons": [DELETION_REASONS[failure.reason]],
            }
            for failure in outcome.failed
        ],
    }


def _new(face: Face) -> faces.NewFace:
    assert face.embedding is not None
    box = faces.Box4(face.box.left, face.box.top, face.box.width, face.box.height)
    return faces.NewFace(box, face.confidence, face.embedding)


def _record(face: Face, stored: faces.StoredFace) -> dict[str, Any]:
    # Box and confidence are as measured here; listings and searches give the stored, rounded ones.
    measured = {"BoundingBox": bounding_box(face.box), "Confidence": face.confidence}
    return {"Face": stored_face(stored) | measured, "FaceDetail": face_detail(face)}
