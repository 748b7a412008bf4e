"""Tags of resources."""

from typing import Any

from psycopg import Connection

from api import arns
from api.context import Context
from api.errors import ResourceNotFoundException
from storage import collections, tags
from storage.errors import CollectionNotFound


def tag_resource(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Sets tags of a collection, up to 200."""
    with ctx.services.pool.connection() as connection:
        tags.put(connection, ctx.tenant, _resource(ctx, connection, request["ResourceArn"]), request["Tags"])
    return {}


def untag_resource(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Removes tags of a collection."""
    with ctx.services.pool.connection() as connection:
        tags.remove(connection, ctx.tenant, _resource(ctx, connection, request["ResourceArn"]), request["TagKeys"])
    return {}


def list_tags_for_resource(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Lists the tags of a collection."""
    with ctx.services.pool.connection() as connection:
        resource = _resource(ctx, connection, request["ResourceArn"])
        return {"Tags": tags.all_of(connection, ctx.tenant, resource)}


def _resource(ctx: Context, connection: Connection[Any], text: str) -> str:
    """The storage name of a resource that exists, which is kept from being deleted until the transaction ends."""
    arn = arns.parse(text)
    missing = ResourceNotFoundException(f"The resource {text} does not exist")
    if arn.tenant != ctx.tenant or arn.kind != "collection":
        raise missing
    try:
        return tags.of_collection(collections.lock(connection, ctx.tenant, arn.name).name)
    except CollectionNotFound:
        raise missing from None
