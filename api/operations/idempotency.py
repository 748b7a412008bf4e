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
    resource: str | None = None,
) -> dict[str, Any]:
    """The answer of `work`, or the one given before to the same token of this operation and tenant.

    `work` is done in one transaction with the token's record. The token is forgotten with its `resource` (as in
    storage.idempotency), which is the request's collection unless another one is given.
    Raises TokenReused when the request was another then.
    """
    token = request.get(TOKEN)
    if token is None:
        return work()
    others = {name: value for name, value in request.items() if name != TOKEN}
    digest = hashlib.sha256(msgspec.json.encode(others, order="deterministic")).digest()
    if resource is None and "CollectionId" in request:
        resource = tags.of_collection(request["CollectionId"])
    return idempotency.once(connection, ctx.tenant, operation, token, digest, work, resource)
