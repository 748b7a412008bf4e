"""Collections: named galleries of faces."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from storage import idempotency, queries, tags
from storage.errors import CollectionExists, CollectionNotFound, TooManyCollections
from storage.tenant import Tenant

# Longer than a page token lives.
NAME_KEPT = timedelta(hours=25)
_SQL = queries.load("collections")


@dataclass(frozen=True)
class Collection:
    """A live collection as of `version`, which counts its changes; `id` is never used again, unlike `name`.

    `dimension` is the length of its embeddings, None before the first face. `keeps_crops`: see storage.crops.
    """

    id: int
    name: str
    face_model_version: str
    version: int
    created_at: datetime
    face_count: int
    user_count: int
    dimension: int | None
    keeps_crops: bool = False


def create(
    connection: Connection[Any],
    tenant: Tenant,
    name: str,
    face_model_version: str,
    new_tags: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> Collection:
    """Create an empty collection. Raises CollectionExists, TooManyTags, and TooManyCollections beyond `limit`."""
    with connection.transaction():
        if limit is not None:
            connection.execute(_SQL["lock_tenant"], vars(tenant))
        with connection.cursor(row_factory=class_row(Collection)) as cursor:
            values = vars(tenant) | {"name": name, "face_model_version": face_model_version}
            collection = cursor.execute(_SQL["insert"], values).fetchone()
        if collection is None:
            raise CollectionExists(name=name)
        if limit is not None and _count(connection, tenant) > limit:
            raise TooManyCollections(limit=limit)
        # Tagging may have raced with the deletion of a collection of this name.
        tags.remove_all(connection, tenant, tags.of_collection(name))
        tags.put(connection, tenant, tags.of_collection(name), new_tags or {})
    return collection


def get(connection: Connection[Any], tenant: Tenant, name: str) -> Collection:
    """Find a live collection. Raises CollectionNotFound."""
    return _one(connection, "get", tenant, name)


def lock(connection: Connection[Any], tenant: Tenant, name: str) -> Collection:
    """Find a live collection and keep other writers off it until the transaction ends. Raises CollectionNotFound."""
    return _one(connection, "lock", tenant, name)


def advance(
    connection: Connection[Any],
    collection: Collection,
    *,
    changes: int = 0,
    faces: int = 0,
    users: int = 0,
    dimension: int | None = None,
) -> Collection:
    """A locked collection after so many entries in its log, and so many more (or fewer) faces and users.

    `dimension` is the length of its embeddings, if this is the first to tell.
    """
    values = {"collection_id": collection.id, "changes": changes, "faces": faces, "users": users}
    with connection.cursor(row_factory=class_row(Collection)) as cursor:
        advanced = cursor.execute(_SQL["advance"], values | {"dimension": dimension}).fetchone()
    assert advanced is not None
    return advanced


def page(connection: Connection[Any], tenant: Tenant, after: int | None, limit: int) -> list[Collection]:
    """At most `limit` live collections, ordered by the bytes of their names, behind that of the collection `after`.

    `after` is an id (a name may be longer than a page token), also of a collection deleted since.
    """
    with connection.cursor(row_factory=class_row(Collection)) as cursor:
        return cursor.execute(_SQL["page"], vars(tenant) | {"after": after, "limit": limit}).fetchall()


def delete(connection: Connection[Any], tenant: Tenant, name: str) -> None:
    """Make a collection, its faces, users and tags invisible at once. Raises CollectionNotFound.

    The rows stay until `purge_deleted`; the name is free from the commit on.
    """
    with connection.transaction():
        if connection.execute(_SQL["delete"], vars(tenant) | {"name": name}).fetchone() is None:
            raise CollectionNotFound(name=name)
        tags.remove_all(connection, tenant, tags.of_collection(name))
        idempotency.forget(connection, tenant, tags.of_collection(name))


def purge_deleted(connection: Connection[Any], batch: int, keep_names: timedelta = NAME_KEPT) -> int:
    """Remove up to `batch` rows of each kind that deleted collections left; return how many, 0 when all are gone.

    The names stay for `keep_names` after the deletion: pages that began before go on behind them.
    """
    purged = 0
    with connection.transaction():
        for query in ("purge_faces", "purge_users", "purge_changes"):
            purged += connection.execute(_SQL[query], {"batch": batch}).rowcount
        purged += connection.execute(_SQL["purge_collections"], {"batch": batch, "keep": keep_names}).rowcount
    return purged


def _one(connection: Connection[Any], query: str, tenant: Tenant, name: str) -> Collection:
    with connection.cursor(row_factory=class_row(Collection)) as cursor:
        collection = cursor.execute(_SQL[query], vars(tenant) | {"name": name}).fetchone()
    if collection is None:
        raise CollectionNotFound(name=name)
    return collection


def _count(connection: Connection[Any], tenant: Tenant) -> int:
    row = connection.execute(_SQL["count"], vars(tenant)).fetchone()
    assert row is not None
    return int(row[0])
