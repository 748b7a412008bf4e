"""Collections: create, describe, list, delete."""

from typing import Any

from api import arns
from api.context import Context
from api.errors import ResourceNotFoundException
from storage import collections
from storage.errors import CollectionNotFound

DEFAULT_PAGE = 1000


def create_collection(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Makes an empty collection, bound to the face model of the day."""
    name, settings = request["CollectionId"], ctx.services.settings
    with ctx.services.pool.connection() as connection:
        collection = collections.create(
            connection,
            ctx.tenant,
            name,
            settings.face_model_version,
            request.get("Tags"),
            settings.most_collections,
        )
    return {
        "StatusCode": 200,
        "CollectionArn": arns.created_collection(ctx.tenant, name),
        "FaceModelVersion": collection.face_model_version,
    }


def describe_collection(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Counts a collection's faces and users."""
    name = request["CollectionId"]
    try:
        collection = ctx.services.pool.read(collections.get, ctx.tenant, name)
    except CollectionNotFound:
        # This operation alone words it so (protocol.md section 7).
        raise ResourceNotFoundException(f"Collection:{name} not found!") from None
    return {
        "FaceCount": collection.face_count,
        "FaceModelVersion": collection.face_model_version,
        "CollectionARN": arns.collection(ctx.tenant, name),
        "CreationTimestamp": collection.created_at,
        "UserCount": collection.user_count,
    }


def list_collections(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Lists collections by name, in pages."""
    tokens, size = ctx.services.tokens, request.get("MaxResults") or DEFAULT_PAGE
    token = request.get("NextToken")
    after = int(tokens.open("ListCollections", ctx.tenant, request, token)) if token else None
    found = ctx.services.pool.read(collections.page, ctx.tenant, after, size + 1)
    page = found[:size]
    answer: dict[str, Any] = {
        "CollectionIds": [collection.name for collection in page],
        "FaceModelVersions": [collection.face_model_version for collection in page],
    }
    if len(found) > size:
        answer["NextToken"] = tokens.seal("ListCollections", ctx.tenant, request, str(page[-1].id))
    return answer


def delete_collection(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Deletes a collection with its faces, users and tags, at once."""
    with ctx.services.pool.connection() as connection:
        collections.delete(connection, ctx.tenant, request["CollectionId"])
    return {"StatusCode": 200}
