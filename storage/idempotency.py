"""Tokens by which a caller repeats a request without repeating the work."""

from collections.abc import Callable
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from storage import queries
from storage.errors import TokenReused
from storage.tenant import Tenant

LIFETIME_SECONDS = 7 * 24 * 3600.0
_SQL = queries.load("idempotency")


def once(
    connection: Connection[Any],
    tenant: Tenant,
    operation: str,
    token: str,
    request_digest: bytes,
    work: Callable[[], dict[str, Any]],
    resource: str | None = None,
) -> dict[str, Any]:
    """Do `work` in a transaction and keep its answer (plain JSON) under the token, or return the answer kept before.

    Callers with the same token wait for each other. If `work` raises, nothing is kept. A token lives for seven days,
    or until its `resource` (as in storage.tags) is deleted.
    Raises TokenReused if the token was used with another `request_digest`.
    """
    key = vars(tenant) | {"operation": operation, "token": token}
    with connection.transaction():
        claim = key | {
            "request_digest": request_digest,
            "resource": resource,
            "lifetime_seconds": LIFETIME_SECONDS,
        }
        if connection.execute(_SQL["claim"], claim).fetchone() is not None:
            answer = work()
            connection.execute(_SQL["record"], key | {"answer": Jsonb(answer)})
            return answer
        row = connection.execute(_SQL["find"], key).fetchone()
    assert row is not None
    if bytes(row[0]) != request_digest:
        raise TokenReused(token=token)
    kept: dict[str, Any] = row[1]
    return kept


def forget(connection: Connection[Any], tenant: Tenant, resource: str) -> None:
    """Forget the tokens of requests about a resource, with their answers."""
    connection.execute(_SQL["forget"], vars(tenant) | {"resource": resource})


def expire(connection: Connection[Any], batch: int, lifetime_seconds: float = LIFETIME_SECONDS) -> int:
    """Remove up to `batch` tokens past their lifetime; return how many."""
    return connection.execute(_SQL["expire"], {"batch": batch, "lifetime_seconds": lifetime_seconds}).rowcount
