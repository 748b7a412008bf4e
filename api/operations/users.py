"""Users of collections: create, list, delete, and which faces are theirs."""

from typing import Any
from uuid import UUID

from psycopg import Connection

from api.context import Context
from api.operations.idempotency import once
from api.operations.rendering import percent, user_status
from inference import similarity
from inference.similarity import Calibration
from storage import collections, users
from storage.users import ListedUser, Refusal

MOST_FACES_OF_A_USER = 100
DEFAULT_ASSOCIATION_THRESHOLD = 75.0
DEFAULT_PAGE = 500

REFUSAL_REASONS = {
    "not_found": "FACE_NOT_FOUND",
    "other_user": "ASSOCIATED_TO_A_DIFFERENT_USER",
    "unlike": "LOW_MATCH_CONFIDENCE",
}


def create_user(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Makes a user without faces in a collection."""
    with ctx.services.pool.connection() as connection:

        def work() -> dict[str, Any]:
            most = ctx.services.settings.most_users_in_a_collection
            users.create(connection, ctx.tenant, request["CollectionId"], request["UserId"], most)
            return {}

        return once(ctx, connection, "CreateUser", request, work)


def delete_user(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Deletes a user; its faces stay in the collection, no longer anybody's."""
    with ctx.services.pool.connection() as connection:

        def work() -> dict[str, Any]:
            users.delete(connection, ctx.tenant, request["CollectionId"], request["UserId"])
            return {}

        return once(ctx, connection, "DeleteUser", request, work)


def list_users(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Lists a collection's users by id, in pages."""
    tokens, size = ctx.services.tokens, request.get("MaxResults", DEFAULT_PAGE)
    token = request.get("NextToken")
    after = tokens.open("ListUsers", ctx.tenant, request, token) if token else ""

    def look(connection: Connection[Any]) -> list[ListedUser]:
        collection = collections.get(connection, ctx.tenant, request["CollectionId"])
        return users.page(connection, collection.id, after, size + 1)

    found = ctx.services.pool.read(look)
    page = found[:size]
    answer: dict[str, Any] = {
        "Users": [{"UserId": user.user_id, "UserStatus": user_status(user.has_faces)} for user in page]
    }
    if len(found) > size:
        answer["NextToken"] = tokens.seal("ListUsers", ctx.tenant, request, page[-1].user_id)
    return answer


def associate_faces(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Gives up to 100 stored faces to a user; those unlike the faces it already has are left out."""
    threshold = request.get("UserMatchThreshold", DEFAULT_ASSOCIATION_THRESHOLD)
    wanted = [UUID(face_id) for face_id in request["FaceIds"]]
    with ctx.services.pool.connection() as connection:

        def work() -> dict[str, Any]:
            name = request["CollectionId"]
            collection = collections.get(connection, ctx.tenant, name)
            calibration = similarity.of_version(collection.face_model_version)
            least = calibration.cosine_at(threshold) - similarity.COSINE_ERROR
            outcome = users.associate(
                connection, ctx.tenant, name, request["UserId"], wanted, least, MOST_FACES_OF_A_USER
            )
            return {
                "AssociatedFaces": [{"FaceId": str(face_id)} for face_id in outcome.changed],
                "UnsuccessfulFaceAssociations": [_refusal(one, calibration) for one in outcome.refused],
                "UserStatus": _status_of(outcome),
            }

        return once(ctx, connection, "AssociateFaces", request, work)


def disassociate_faces(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Takes faces from a user; they stay in the collection."""
    wanted = [UUID(face_id) for face_id in request["FaceIds"]]
    with ctx.services.pool.connection() as connection:

        def work() -> dict[str, Any]:
            outcome = users.disassociate(connection, ctx.tenant, request["CollectionId"], request["UserId"], wanted)
            return {
                "DisassociatedFaces": [{"FaceId": str(face_id)} for face_id in outcome.changed],
                "UnsuccessfulFaceDisassociations": [_refusal(one) for one in outcome.refused],
                "UserStatus": _status_of(outcome),
            }

        return once(ctx, connection, "DisassociateFaces", request, work)


def _status_of(outcome: users.Outcome) -> str:
    """What a change answers: that it is under way, as the real service says, though here it is already done."""
    return "UPDATING" if outcome.changed else user_status(outcome.has_faces)


def _refusal(refusal: Refusal, calibration: Calibration | None = None) -> dict[str, Any]:
    entry: dict[str, Any] = {"FaceId": str(refusal.face_id), "Reasons": [REFUSAL_REASONS[refusal.reason]]}
    if refusal.user_id is not None:
        entry["UserId"] = refusal.user_id
    if refusal.cosine is not None and calibration is not None:
        entry["Confidence"] = percent(calibration.similarity(refusal.cosine))
    return entry
