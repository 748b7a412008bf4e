"""Users: people whom a collection knows by several faces."""

from typing import Any

from psycopg import Connection

from storage import queries

_SQL = queries.load("users")


def exists(connection: Connection[Any], collection_id: int, user_id: str) -> bool:
    """Whether a collection has this user."""
    row = connection.execute(_SQL["exists"], {"collection_id": collection_id, "user_id": user_id}).fetchone()
    return row is not None
