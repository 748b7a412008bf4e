"""The change log of collections: what happened to faces and users, version by version without gaps."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from psycopg import Connection, ServerCursor
from psycopg.rows import class_row

from storage import collections, queries
from storage.collections import Collection
from storage.errors import CollectionNotFound
from storage.vectors import Vector

Kind = Literal["faces", "users"]
"""What has a vector in a collection: faces, known by their ids, and users with faces, known by their keys."""

_SQL = queries.load("changes")


@dataclass(frozen=True, eq=False)
class Change:
    """One log entry. `id` has 16 bytes; `embedding` is the present one, None for a deletion, or if there is none since.

    Faces are added and deleted; users are replaced, also where they were not there before, and deleted.
    """

    version: int
    kind: Kind
    action: Literal["add", "replace", "delete"]
    id: bytes
    embedding: Vector | None


@dataclass(frozen=True, eq=False)
class Block:
    """Some faces or users: ids uint8[N, 16] and embeddings float32[N, D]."""

    ids: npt.NDArray[np.uint8]
    embeddings: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Gallery:
    """All that has a vector in a collection at one version; `last_id` (16 bytes) is that of the log entry of it.

    `last_id` is None and `dimension` may be None at version 0.
    """

    version: int
    last_id: bytes | None
    face_count: int
    dimension: int | None
    blocks: dict[Kind, Iterator[Block]]


def pulse(connection: Connection[Any]) -> tuple[object, ...]:
    """A value that differs from an earlier one whenever a collection was created, changed or deleted in between."""
    return tuple(connection.execute(_SQL["pulse"]).fetchall())


def heads(connection: Connection[Any]) -> dict[int, int]:
    """Id and version of every live collection, most recently changed first."""
    return dict(connection.execute(_SQL["heads"]).fetchall())


def has_lost(connection: Connection[Any], collection_id: int, version: int) -> bool:
    """Whether something of a collection was deleted or replaced after a version, as far as the log can tell."""
    row = connection.execute(_SQL["has_lost"], {"collection_id": collection_id, "version": version}).fetchone()
    return bool(row and row[0])


def head(connection: Connection[Any], collection_id: int) -> int:
    """The version of a live collection. Raises CollectionNotFound."""
    row = connection.execute(_SQL["head"], {"collection_id": collection_id}).fetchone()
    if row is None:
        raise CollectionNotFound(name=collection_id)
    return int(row[0])


def living(connection: Connection[Any], collection_ids: Iterable[int]) -> set[int]:
    """Those of the given collections that are live."""
    rows = connection.execute(_SQL["living"], {"collection_ids": list(collection_ids)})
    return {collection_id for (collection_id,) in rows}


def vector_bytes(connection: Connection[Any], collection_id: int) -> int:
    """What the ids and vectors of a live collection take at most, in bytes; 0 if there is none."""
    row = connection.execute(_SQL["vector_bytes"], {"collection_id": collection_id}).fetchone()
    return row[0] if row else 0


def since(connection: Connection[Any], collection_id: int, version: int, limit: int) -> list[Change]:
    """At most `limit` entries behind `version`, in order.

    The log has no gaps but may have been trimmed: the first entry is that of `version` + 1 only if nothing is missing.
    """
    values = {"collection_id": collection_id, "version": version, "limit": limit}
    with connection.cursor(row_factory=class_row(Change)) as cursor:
        return cursor.execute(_SQL["since"], values).fetchall()


def begin_snapshot(connection: Connection[Any]) -> None:
    """Make the transaction that just began see one state and change nothing."""
    connection.execute(_SQL["begin_snapshot"])


@contextmanager
def gallery(connection: Connection[Any], collection_id: int, block_rows: int) -> Iterator[Gallery]:
    """Read all vectors of a live collection as of one version, in blocks streamed from the server while iterated over.

    The connection must not be in a transaction. Raises CollectionNotFound.
    """
    with connection.transaction():
        begin_snapshot(connection)
        state = connection.execute(_SQL["state"], {"collection_id": collection_id}).fetchone()
        if state is None:
            raise CollectionNotFound(name=collection_id)
        with ServerCursor(connection, "faces") as faces, ServerCursor(connection, "users") as users:
            faces.execute(_SQL["embeddings_of_faces"], {"collection_id": collection_id}, binary=True)
            users.execute(_SQL["embeddings_of_users"], {"collection_id": collection_id}, binary=True)
            version, last_id, face_count, dimension = state
            blocks: dict[Kind, Iterator[Block]] = {
                "faces": _blocks(faces, block_rows),
                "users": _blocks(users, block_rows),
            }
            yield Gallery(version, last_id, face_count, dimension, blocks)


def restart(connection: Connection[Any], collection: Collection) -> None:
    """Begin the log of a locked collection anew, so that whoever follows it reads all of the collection again.

    The first entry is the deletion of an id that nothing ever had: it tells this history from any other.
    """
    target = {"collection_id": collection.id, "version": collection.version + 1}
    connection.execute(_SQL["forget"], target)
    connection.execute(_SQL["mark"], target)
    collections.advance(connection, collection, changes=1)


def trim(connection: Connection[Any], keep: int, batch: int) -> int:
    """Remove up to `batch` entries that are not among the newest `keep` (1 or more) of their collection.

    Returns how many were removed. The oldest go first, so what stays of a log has no gaps.
    """
    if keep < 1:
        raise ValueError("the newest entry tells whether a copy is of this history, and must stay")
    return connection.execute(_SQL["trim"], {"keep": keep, "batch": batch}).rowcount


def _blocks(cursor: ServerCursor[Any], block_rows: int) -> Iterator[Block]:
    while rows := cursor.fetchmany(block_rows):
        ids = np.frombuffer(b"".join(row[0] for row in rows), np.uint8).reshape(-1, 16)
        yield Block(ids, np.stack([row[1] for row in rows]))
