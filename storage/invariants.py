"""What must hold within the rows of a collection."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
from psycopg import Connection, ServerCursor

from storage import queries
from storage.users import mean
from storage.vectors import Vector

# Of float32 sums whose order may differ.
_TOLERANCE = 1e-6
_BLOCK_ROWS = 4096
_SQL = queries.load("invariants")


def broken(connection: Connection[Any], collection_id: int) -> list[str]:
    """What does not hold in a live collection, one line each, none when all is well.

    Its counts are those of its rows, its embeddings of one length, its log has no gaps, and the vector of each user is
    the mean of those of its faces. The connection must be in a transaction that sees one state.
    """
    return [*_counts(connection, collection_id), *_users(connection, collection_id)]


def means(connection: Connection[Any], collection_id: int) -> Iterator[tuple[str, Vector]]:
    """The users that have faces, in the order of their ids, with the means of their embeddings, streamed."""
    rows = _streamed(connection, "embeddings_by_user", collection_id)
    for user_id, group in groupby(rows, key=lambda row: row[0]):
        yield user_id, mean([embedding for _, embedding in group])


def _counts(connection: Connection[Any], collection_id: int) -> Iterator[str]:
    target = {"collection_id": collection_id}
    row = connection.execute(_SQL["counts"], target).fetchone()
    assert row is not None
    version, face_count, user_count, dimension, faces, users, entries, first, last = row
    if face_count != faces:
        yield f"the collection counts {face_count} faces and has {faces}"
    if user_count != users:
        yield f"the collection counts {user_count} users and has {users}"
    if version and not (last == version and entries == last - first + 1):
        yield f"the change log has {entries} entries from {first} to {last}, and the collection is at {version}"
    for length, number in connection.execute(_SQL["lengths"], target):
        if length != dimension:
            yield f"{number} embeddings are of {length} dimensions, not {dimension}"


def _users(connection: Connection[Any], collection_id: int) -> Iterator[str]:
    stored = _streamed(connection, "user_vectors", collection_id)
    expected = means(connection, collection_id)
    for user_id, vector, wanted in _side_by_side(stored, expected):
        if vector is None:
            yield f"the user {user_id} has faces and no vector"
        elif wanted is None:
            yield f"the user {user_id} has a vector and no faces"
        elif vector.shape != wanted.shape or not np.allclose(vector, wanted, rtol=0, atol=_TOLERANCE):
            yield f"the vector of the user {user_id} is not the mean of those of its faces"


def _side_by_side(
    left: Iterator[tuple[str, Vector]], right: Iterator[tuple[str, Vector]]
) -> Iterator[tuple[str, Vector | None, Vector | None]]:
    """Two sequences in the order of the bytes of their keys, joined by key; None where one has no entry."""
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        key = min(entry[0].encode() for entry in (one, other) if entry is not None).decode()
        of_left = one[1] if one is not None and one[0] == key else None
        of_right = other[1] if other is not None and other[0] == key else None
        yield key, of_left, of_right
        one = next(left, None) if of_left is not None else one
        other = next(right, None) if of_right is not None else other


def _streamed(connection: Connection[Any], query: str, collection_id: int) -> Iterator[Any]:
    with ServerCursor(connection, query) as cursor:
        cursor.execute(_SQL[query], {"collection_id": collection_id}, binary=True)
        while rows := cursor.fetchmany(_BLOCK_ROWS):
            yield from rows
