"""Tags of resources.

A resource is named by the last part of its ARN (`collection/NAME`); the tenant holds the other parts.
Whether the resource exists is for the caller to check.
"""

from collections.abc import Collection, Mapping
from typing import Any

from psycopg import Connection

from storage import queries
from storage.errors import TooManyTags
from storage.tenant import Tenant

LIMIT = 200
_SQL = queries.load("tags")


def of_collection(name: str) -> str:
    """The resource name of a collection."""
    return f"collection/{name}"


def put(connection: Connection[Any], tenant: Tenant, resource: str, tags: Mapping[str, str]) -> None:
    """Set tags, replacing those of the same keys. Raises TooManyTags beyond 200, changing nothing."""
    target = vars(tenant) | {"resource": resource}
    with connection.transaction():
        connection.execute(_SQL["lock"], target)
        with connection.cursor() as cursor:
            cursor.executemany(_SQL["put"], [target | {"key": key, "value": value} for key, value in tags.items()])
        row = connection.execute(_SQL["count"], target).fetchone()
        if row is None or row[0] > LIMIT:
            raise TooManyTags(resource=resource, limit=LIMIT)


def remove(connection: Connection[Any], tenant: Tenant, resource: str, keys: Collection[str]) -> None:
    """Remove tags; keys that are not there are ignored."""
    connection.execute(_SQL["remove"], vars(tenant) | {"resource": resource, "keys": list(keys)})


def remove_all(connection: Connection[Any], tenant: Tenant, resource: str) -> None:
    """Remove every tag of a resource."""
    connection.execute(_SQL["remove_all"], vars(tenant) | {"resource": resource})


def all_of(connection: Connection[Any], tenant: Tenant, resource: str) -> dict[str, str]:
    """The tags of a resource, ordered by the bytes of their keys."""
    return dict(connection.execute(_SQL["list"], vars(tenant) | {"resource": resource}).fetchall())
