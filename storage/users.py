"""Users: people whom a collection knows by several faces, and searches by the mean of their embeddings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import numpy as np
from psycopg import Connection
from psycopg.rows import class_row

from storage import collections, queries
from storage.collections import Collection
from storage.errors import TooManyFacesOfUser, TooManyUsers, UserExists, UserNotFound
from storage.tenant import Tenant
from storage.vectors import Vector

# A mean shorter than this points nowhere in particular: it is that of opposite embeddings.
_LEAST_LENGTH = 1e-3
_SQL = queries.load("users")


@dataclass(frozen=True, eq=False)
class User:
    """A user. `key` is never used again, unlike `user_id`.

    `embedding` is float32[D] of unit length, the mean of those of its faces; None without faces.
    """

    key: UUID
    user_id: str
    embedding: Vector | None


@dataclass(frozen=True)
class ListedUser:
    user_id: str
    has_faces: bool


@dataclass(frozen=True)
class KnownUser:
    """A user that was found, and the face model that its collection is of."""

    user_id: str
    face_model_version: str


@dataclass(frozen=True)
class Refusal:
    """Why a face was left as it was: with the user that it belongs to, or its cosine to the user it was meant for."""

    face_id: UUID
    reason: Literal["not_found", "other_user", "unlike"]
    user_id: str | None = None
    cosine: float | None = None


@dataclass(frozen=True)
class Outcome:
    """The faces that were given to or taken from a user, and those refused, each in the order of the request; faces
    that were as wanted before are in neither. `has_faces` tells of the user afterwards."""

    changed: list[UUID]
    refused: list[Refusal]
    has_faces: bool


def create(connection: Connection[Any], tenant: Tenant, collection_name: str, user_id: str, limit: int) -> None:
    """Create a user without faces. Raises CollectionNotFound, UserExists; TooManyUsers beyond `limit`."""
    with connection.transaction():
        collection = collections.lock(connection, tenant, collection_name)
        target = {"collection_id": collection.id, "user_id": user_id}
        if connection.execute(_SQL["insert"], target).fetchone() is None:
            raise UserExists(user_id=user_id)
        if collection.user_count >= limit:
            raise TooManyUsers(name=collection_name, limit=limit)
        collections.advance(connection, collection, users=1)


def delete(connection: Connection[Any], tenant: Tenant, collection_name: str, user_id: str) -> None:
    """Delete a user; its faces stay, without a user. Raises CollectionNotFound, UserNotFound."""
    with connection.transaction():
        collection = collections.lock(connection, tenant, collection_name)
        user = get(connection, collection.id, user_id)
        target = {"collection_id": collection.id, "user_id": user_id}
        connection.execute(_SQL["detach_all"], target)
        connection.execute(_SQL["remove"], target)
        if user.embedding is not None:
            _log(connection, collection, user, "delete")
        collections.advance(connection, collection, users=-1)


def get(connection: Connection[Any], collection_id: int, user_id: str) -> User:
    """Find a user. Raises UserNotFound."""
    with connection.cursor(row_factory=class_row(User)) as cursor:
        values = {"collection_id": collection_id, "user_id": user_id}
        user = cursor.execute(_SQL["get"], values).fetchone()
    if user is None:
        raise UserNotFound(user_id=user_id)
    return user


def by_keys(connection: Connection[Any], collection_id: int, keys: Iterable[UUID]) -> dict[UUID, KnownUser]:
    """Those users with the given keys that have faces."""
    values = {"collection_id": collection_id, "keys": list(keys)}
    return {key: KnownUser(*user) for key, *user in connection.execute(_SQL["by_keys"], values)}


def page(connection: Connection[Any], collection_id: int, after: str, limit: int) -> list[ListedUser]:
    """At most `limit` users behind the id `after` ("" at first), ordered by the bytes of their ids."""
    values = {"collection_id": collection_id, "after": after, "limit": limit}
    with connection.cursor(row_factory=class_row(ListedUser)) as cursor:
        return cursor.execute(_SQL["page"], values).fetchall()


def associate(
    connection: Connection[Any],
    tenant: Tenant,
    collection_name: str,
    user_id: str,
    face_ids: Iterable[UUID],
    min_cosine: float,
    limit: int,
) -> Outcome:
    """Give faces to a user in one transaction.

    If the user has faces before, those with a cosine under `min_cosine` to its embedding are refused.
    Raises CollectionNotFound, UserNotFound; TooManyFacesOfUser, changing nothing, beyond `limit` faces of the user.
    """
    wanted = list(dict.fromkeys(face_ids))
    with connection.transaction():
        collection = collections.lock(connection, tenant, collection_name)
        user = get(connection, collection.id, user_id)
        found = _faces(connection, collection, wanted)
        refused: list[Refusal] = []
        joining: list[UUID] = []
        for face_id in wanted:
            owner, embedding = found.get(face_id, (None, None))
            cosine = None if user.embedding is None or embedding is None else _cosine(user.embedding, embedding)
            if embedding is None:
                refused.append(Refusal(face_id, "not_found"))
            elif owner == user_id:
                continue
            elif owner is not None:
                refused.append(Refusal(face_id, "other_user", user_id=owner))
            elif cosine is not None and cosine < min_cosine:
                refused.append(Refusal(face_id, "unlike", cosine=cosine))
            else:
                joining.append(face_id)
        if joining:
            _change(connection, collection, user, "attach", joining, limit)
    return Outcome(joining, refused, has_faces=user.embedding is not None or bool(joining))


def disassociate(
    connection: Connection[Any], tenant: Tenant, collection_name: str, user_id: str, face_ids: Iterable[UUID]
) -> Outcome:
    """Take faces from a user in one transaction. Raises CollectionNotFound, UserNotFound."""
    wanted = list(dict.fromkeys(face_ids))
    with connection.transaction():
        collection = collections.lock(connection, tenant, collection_name)
        user = get(connection, collection.id, user_id)
        found = _faces(connection, collection, wanted)
        leaving = [face_id for face_id in wanted if face_id in found and found[face_id][0] == user_id]
        has_faces = user.embedding is not None
        if leaving:
            has_faces = _change(connection, collection, user, "detach", leaving)
    refused = []
    for face_id in wanted:
        if face_id not in found:
            refused.append(Refusal(face_id, "not_found"))
        elif found[face_id][0] not in (None, user_id):
            refused.append(Refusal(face_id, "other_user", user_id=found[face_id][0]))
    return Outcome(leaving, refused, has_faces)


def mean(embeddings: Sequence[Vector]) -> Vector:
    """The vector of a user: the mean of the embeddings of its faces, float32[D], brought to unit length."""
    total = np.stack(embeddings).sum(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(total))
    if length < _LEAST_LENGTH:
        return embeddings[0]
    unit: Vector = (total / length).astype(np.float32)
    return unit


def _change(
    connection: Connection[Any],
    collection: Collection,
    user: User,
    query: Literal["attach", "detach"],
    face_ids: list[UUID],
    limit: int | None = None,
) -> bool:
    """Give or take faces and let the user's vector follow; whether the user then has faces."""
    target = {"collection_id": collection.id, "user_id": user.user_id}
    connection.execute(_SQL[query], target | {"face_ids": face_ids})
    embeddings = [embedding for (embedding,) in connection.execute(_SQL["embeddings"], target)]
    if limit is not None and len(embeddings) > limit:
        raise TooManyFacesOfUser(user_id=user.user_id, limit=limit)
    embedding = mean(embeddings) if embeddings else None
    connection.execute(_SQL["set_embedding"], target | {"embedding": embedding})
    _log(connection, collection, user, "replace" if embeddings else "delete")
    return bool(embeddings)


def _log(connection: Connection[Any], collection: Collection, user: User, action: Literal["replace", "delete"]) -> None:
    entry = {"collection_id": collection.id, "version": collection.version + 1, "action": action, "key": user.key}
    connection.execute(_SQL["log"], entry)
    collections.advance(connection, collection, changes=1)


def _faces(
    connection: Connection[Any], collection: Collection, face_ids: list[UUID]
) -> dict[UUID, tuple[str | None, Vector]]:
    values = {"collection_id": collection.id, "face_ids": face_ids}
    rows = connection.execute(_SQL["faces"], values)
    return {face_id: (owner, embedding) for face_id, owner, embedding in rows}


def _cosine(one: Vector, other: Vector) -> float:
    return float(np.clip(np.dot(one.astype(np.float64), other.astype(np.float64)), -1.0, 1.0))
