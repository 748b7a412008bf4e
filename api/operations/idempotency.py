"""Requests that carry a ClientRequestToken: repeated, they give the same answer and change nothing more."""

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
from psycopg import Connection

from api.context import Context
from storage import idempotency, tags

TOKEN = "ClientRequestToken"


def once(
    ctx: Context,
    connection: Connection[Any],
    operation: str,
    request: dict[str, Any],
    work: Callable[[], dict[str, Any]],
) -> dict[str, Any]:
    """The answer of `work`, or the one given before to the same token of this operation and tenant.

    `work` is done in one transaction with the token's record. Raises TokenReused when the request was another then.
    """
    token = request.get(TOKEN)
    if token is None:
        return work()
    others = {name: value for name, value in request.items() if name != TOKEN}
    digest = hashlib.sha256(msgspec.json.encode(others, order="deterministic")).digest()
    resource = tags.of_collection(request["CollectionId"]) if "CollectionId" in request else None
    return idempotency.once(connection, ctx.tenant, operation, token, digest, work, resource)
