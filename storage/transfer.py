"""A collection read as a whole, as of one moment, and written as a whole elsewhere."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Connection, ServerCursor
from psycopg.rows import class_row

from storage import changes, collections, crops, queries, tags
from storage.collections import Collection
from storage.tenant import Tenant
from storage.vectors import Vector

_BLOCK_ROWS = 1024
_SQL = queries.load("transfer")


@dataclass(frozen=True, eq=False)
class MovedUser:
    """A user with the key that indexes know it by, and its vector, float32[D]; None without faces."""

    key: UUID
    user_id: str
    created_at: datetime
    embedding: Vector | None


@dataclass(frozen=True, eq=False)
class MovedFace:
    """A face as it is stored: its box in ratios, its confidence 0..100, its embedding, float32[D]."""

    face_id: UUID
    image_id: UUID
    external_image_id: str | None
    box_left: float
    box_top: float
    box_width: float
    box_height: float
    confidence: float
    user_id: str | None
    embedding: Vector


@dataclass(frozen=True, eq=False)
class Contents:
    """A collection at one version. Users come in the order of their ids, faces in that in which they were stored;
    crops are PNG files by face. Each is streamed while it is iterated over, once."""

    collection: Collection
    tags: dict[str, str]
    crop_count: int
    users: Iterator[MovedUser]
    faces: Iterator[MovedFace]
    crops: Iterator[tuple[UUID, bytes]]


@contextmanager
def contents(connection: Connection[Any], secret_key: bytes, tenant: Tenant, name: str) -> Iterator[Contents]:
    """Read a live collection as of one moment, inside the `with` block. Others may write to it meanwhile.

    The connection must not be in a transaction. Raises CollectionNotFound; iterating over the crops raises
    CropSealedWithAnotherKey.
    """
    with connection.transaction():
        changes.begin_snapshot(connection)
        collection = collections.get(connection, tenant, name)
        yield Contents(
            collection,
            tags.all_of(connection, tenant, tags.of_collection(name)),
            crops.count(connection, collection.id),
            _rows(connection, "users", MovedUser, collection.id),
            _rows(connection, "faces", MovedFace, collection.id),
            crops.all_of(connection, secret_key, collection.id),
        )


def create(
    connection: Connection[Any],
    tenant: Tenant,
    name: str,
    face_model_version: str,
    created_at: datetime,
    new_tags: Mapping[str, str],
) -> Collection:
    """Create a collection to add users and then faces to, in the transaction that ends with `finish`.

    Raises CollectionExists, TooManyTags.
    """
    collection = collections.create(connection, tenant, name, face_model_version, new_tags)
    connection.execute(_SQL["set_created_at"], {"collection_id": collection.id, "created_at": created_at})
    return collection


def add_users(connection: Connection[Any], collection: Collection, users: Iterable[MovedUser]) -> None:
    """Add users to a collection that this transaction created."""
    _insert(connection, collection, "insert_user", users)


def add_faces(connection: Connection[Any], collection: Collection, faces: Iterable[MovedFace]) -> None:
    """Add faces, in the order that listings show, to a collection that this transaction created."""
    _insert(connection, collection, "insert_face", faces)


def finish(
    connection: Connection[Any], collection: Collection, face_count: int, user_count: int, dimension: int | None
) -> None:
    """Give a collection that this transaction filled its counts, and the first version that indexes follow."""
    filled = collections.advance(connection, collection, faces=face_count, users=user_count, dimension=dimension)
    changes.restart(connection, filled)


def _rows(connection: Connection[Any], query: str, kind: type[Any], collection_id: int) -> Iterator[Any]:
    with ServerCursor(connection, query, row_factory=class_row(kind)) as cursor:
        cursor.execute(_SQL[query], {"collection_id": collection_id}, binary=True)
        while rows := cursor.fetchmany(_BLOCK_ROWS):
            yield from rows


def _insert(connection: Connection[Any], collection: Collection, query: str, rows: Iterable[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(_SQL[query], [vars(row) | {"collection_id": collection.id} for row in rows])
