"""The change log of collections: what happened to the faces, version by version without gaps."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from psycopg import Connection, ServerCursor
from psycopg.rows import class_row

from storage import queries
from storage.errors import CollectionNotFound
from storage.vectors import Vector

_SQL = queries.load("changes")


@dataclass(frozen=True, eq=False)
class Change:
    """One log entry. `face_id` has 16 bytes; `embedding` is None for a deletion, or if the face is gone since."""

    version: int
    kind: Literal["add", "delete"]
    face_id: bytes
    embedding: Vector | None


@dataclass(frozen=True, eq=False)
class Block:
    """Some faces: ids uint8[N, 16] and embeddings float32[N, D]."""

    face_ids: npt.NDArray[np.uint8]
    embeddings: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Gallery:
    """All faces of a collection at one version; `last_face_id` (16 bytes) is that of the log entry of that version.

    `last_face_id` is None and `dimension` may be None at version 0.
    """

    version: int
    last_face_id: bytes | None
    face_count: int
    dimension: int | None
    blocks: Iterator[Block]


def heads(connection: Connection[Any]) -> dict[int, int]:
    """Id and version of every live collection, most recently changed first."""
    return dict(connection.execute(_SQL["heads"]).fetchall())


def head(connection: Connection[Any], collection_id: int) -> int:
    """The version of a live collection. Raises CollectionNotFound."""
    row = connection.execute(_SQL["head"], {"collection_id": collection_id}).fetchone()
    if row is None:
        raise CollectionNotFound(name=collection_id)
    return int(row[0])


def since(connection: Connection[Any], collection_id: int, version: int, limit: int) -> list[Change]:
    """At most `limit` entries behind `version`, in order.

    The log has no gaps but may have been trimmed: the first entry is that of `version` + 1 only if nothing is missing.
    """
    values = {"collection_id": collection_id, "version": version, "limit": limit}
    with connection.cursor(row_factory=class_row(Change)) as cursor:
        return cursor.execute(_SQL["since"], values).fetchall()


@contextmanager
def gallery(connection: Connection[Any], collection_id: int, block_rows: int) -> Iterator[Gallery]:
    """Read all faces of a live collection as of one version, in blocks streamed from the server while iterated over.

    The connection must not be in a transaction. Raises CollectionNotFound.
    """
    with connection.transaction():
        connection.execute(_SQL["begin_snapshot"])
        state = connection.execute(_SQL["state"], {"collection_id": collection_id}).fetchone()
        if state is None:
            raise CollectionNotFound(name=collection_id)
        with ServerCursor(connection, "gallery") as cursor:
            cursor.execute(_SQL["embeddings"], {"collection_id": collection_id}, binary=True)
            version, last_face_id, face_count, dimension = state
            yield Gallery(version, last_face_id, face_count, dimension, _blocks(cursor, block_rows))


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
