"""The move of a collection to another face model.

New embeddings gather in a table beside the faces, which may be left and taken up again at any time; they go when their
face goes. Once every face has one, a single transaction puts them in place. Until then nobody sees anything of them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any
from uuid import UUID

from psycopg import Connection

from storage import changes, collections, invariants, queries
from storage.collections import Collection
from storage.errors import BeingReembedded
from storage.faces import Box4
from storage.vectors import Vector

_BLOCK_ROWS = 1000
_SQL = queries.load("reembedding")


@contextmanager
def held(connection: Connection[Any], collection: Collection) -> Iterator[None]:
    """Be the only one who moves a collection, inside the `with` block. Raises BeingReembedded."""
    target = {"collection_id": collection.id}
    row = connection.execute(_SQL["hold"], target).fetchone()
    if row is None or not row[0]:
        raise BeingReembedded(name=collection.name)
    try:
        yield
    finally:
        connection.execute(_SQL["release"], target)


def begin(connection: Connection[Any], collection_id: int, face_model_version: str) -> None:
    """Begin, or take up again, the move to a face model; what was made for another one is forgotten."""
    connection.execute(
        _SQL["forget_others"], {"collection_id": collection_id, "face_model_version": face_model_version}
    )


def put(
    connection: Connection[Any], collection_id: int, face_model_version: str, embeddings: Mapping[UUID, Vector]
) -> None:
    """Note the new embeddings of faces; those of faces deleted since are dropped."""
    target = {"collection_id": collection_id, "face_model_version": face_model_version}
    with connection.cursor() as cursor:
        cursor.executemany(
            _SQL["put"],
            [target | {"face_id": face_id, "embedding": embedding} for face_id, embedding in embeddings.items()],
        )


def count_missing(connection: Connection[Any], collection_id: int) -> int:
    """How many faces have no new embedding yet."""
    row = connection.execute(_SQL["count_missing"], {"collection_id": collection_id}).fetchone()
    assert row is not None
    return int(row[0])


def missing(connection: Connection[Any], collection_id: int, limit: int) -> list[UUID]:
    """At most `limit` faces that have no new embedding yet, in the order they were stored."""
    rows = connection.execute(_SQL["missing"], {"collection_id": collection_id, "limit": limit})
    return [face_id for (face_id,) in rows]


def missing_with_crops(
    connection: Connection[Any], collection_id: int, after_seq: int, limit: int
) -> list[tuple[int, UUID]]:
    """At most `limit` faces, behind position `after_seq`, that have a crop and no new embedding, with positions."""
    values = {"collection_id": collection_id, "after_seq": after_seq, "limit": limit}
    return connection.execute(_SQL["missing_with_crops"], values).fetchall()


def missing_of_image(connection: Connection[Any], collection_id: int, image_id: UUID) -> dict[UUID, Box4]:
    """The faces of an image that have no new embedding yet, with their boxes."""
    rows = connection.execute(_SQL["missing_of_image"], {"collection_id": collection_id, "image_id": image_id})
    return {face_id: Box4(*box) for face_id, *box in rows}


def drop_missing(connection: Connection[Any], collection: Collection) -> Collection:
    """Delete the faces of a locked collection that have no new embedding, also those of users."""
    dropped = connection.execute(_SQL["drop_missing"], {"collection_id": collection.id}).rowcount
    return collections.advance(connection, collection, faces=-dropped)


def finish(connection: Connection[Any], collection: Collection, face_model_version: str) -> None:
    """Put the new embeddings of a locked collection in place, all faces having one, with the vectors of its users.

    Must be in the transaction that holds the lock. Whoever follows the change log reads the collection anew.
    """
    target = {"collection_id": collection.id}
    row = connection.execute(_SQL["dimension"], target).fetchone()
    connection.execute(_SQL["swap"], target)
    connection.execute(_SQL["clear_users"], target)
    with connection.cursor() as cursor:
        means = invariants.means(connection, collection.id)
        while block := list(islice(means, _BLOCK_ROWS)):
            rows = [target | {"user_id": user_id, "embedding": embedding} for user_id, embedding in block]
            cursor.executemany(_SQL["set_user"], rows)
    dimension = None if row is None else row[0]
    connection.execute(_SQL["set_model"], target | {"face_model_version": face_model_version, "dimension": dimension})
    connection.execute(_SQL["clear"], target)
    changes.restart(connection, collection)
