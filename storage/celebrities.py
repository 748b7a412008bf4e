"""Celebrities: the people of an owner's gallery. The gallery is a collection of a name that no request can have; each
celebrity is a user of it, with the same id, so that it is searched, followed and purged as any collection is."""

import hashlib
import string
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from storage import collections, faces, queries, users
from storage.collections import Collection
from storage.errors import (
    CelebrityNotFound,
    CollectionExists,
    CollectionNotFound,
    OtherFaceModel,
    SeveralOfTheName,
)
from storage.faces import Box4, NewFace
from storage.tenant import Tenant
from storage.vectors import Vector

GALLERY = "/celebrities"
"""The slash keeps it out of listings and counts of collections, and names of requests have none."""

Gender = Literal["male", "female", "nonbinary", "unlisted"]
Change = Literal["added", "changed", "unchanged"]

_NO_LIMIT = sys.maxsize
_ID_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH = 7
_SQL = queries.load("celebrities")


@dataclass(frozen=True)
class Celebrity:
    """A person of the gallery. `id` is of letters and digits; `urls` have a host and path, without a scheme."""

    id: str
    name: str
    gender: Gender
    urls: list[str]


@dataclass(frozen=True)
class ListedCelebrity(Celebrity):
    """A person, and of how many faces its vector is the mean."""

    faces: int


@dataclass(frozen=True, eq=False)
class GalleryFace:
    """The face of one photograph: the photograph's id, the face's confidence 0..100, embedding float32[D]."""

    image_id: UUID
    box: Box4
    confidence: float
    embedding: Vector


def gallery(connection: Connection[Any], tenant: Tenant) -> Collection | None:
    """The collection that holds the celebrities' faces; None before the first import and after `remove_all`."""
    try:
        return collections.get(connection, tenant, GALLERY)
    except CollectionNotFound:
        return None


def get(connection: Connection[Any], tenant: Tenant, celebrity_id: str) -> Celebrity:
    """Find a celebrity by its id. Raises CelebrityNotFound."""
    there = gallery(connection, tenant)
    found = None if there is None else _get(connection, there, celebrity_id)
    if found is None:
        raise CelebrityNotFound(name=celebrity_id)
    return found


def find(connection: Connection[Any], tenant: Tenant, name_or_id: str) -> Celebrity:
    """Find a celebrity by its id or else by its name. Raises CelebrityNotFound, SeveralOfTheName."""
    try:
        return get(connection, tenant, name_or_id)
    except CelebrityNotFound:
        there = gallery(connection, tenant)
        found = None if there is None else _named(connection, there, name_or_id)
        if found is None:
            raise
        return found


def all_of(connection: Connection[Any], tenant: Tenant) -> list[ListedCelebrity]:
    """All celebrities by name."""
    there = gallery(connection, tenant)
    if there is None:
        return []
    with connection.cursor(row_factory=class_row(ListedCelebrity)) as cursor:
        return cursor.execute(_SQL["list"], {"collection_id": there.id}).fetchall()


def by_keys(connection: Connection[Any], collection_id: int, keys: Iterable[UUID]) -> dict[UUID, Celebrity]:
    """Those of the celebrities whose users have the given keys."""
    rows = connection.execute(_SQL["by_keys"], {"collection_id": collection_id, "keys": list(keys)})
    return {row[0]: Celebrity(*row[1:]) for row in rows}


def faces_of(
    connection: Connection[Any], tenant: Tenant, celebrity_id: str | None, name: str = ""
) -> list[GalleryFace]:
    """The faces of a celebrity, by its id or else by its name, oldest first; none where it is not known.

    Raises SeveralOfTheName.
    """
    there = gallery(connection, tenant)
    if there is None:
        return []
    if celebrity_id is None:
        named = _named(connection, there, name)
        celebrity_id = named.id if named else ""
    return [face for _, face in _faces(connection, there, celebrity_id)]


def put(
    connection: Connection[Any],
    tenant: Tenant,
    face_model_version: str,
    *,
    name: str,
    celebrity_id: str | None,
    gender: Gender,
    urls: Sequence[str],
    new_faces: Sequence[GalleryFace] | None,
) -> tuple[str, Change]:
    """Add a celebrity, or make a known one as given, in one transaction; its id and what became of it.

    Without `celebrity_id` a celebrity of that name keeps its id, and a new one gets an id that follows from the name.
    `new_faces`, one of each photograph, replace those it had; None keeps them.
    Raises SeveralOfTheName when only an id would tell who is meant, CelebrityNotFound for an unknown celebrity without
    faces, and OtherFaceModel when the gallery holds embeddings of another face model.
    """
    with connection.transaction():
        there = _open(connection, tenant, face_model_version)
        chosen = celebrity_id if celebrity_id is not None else _id_for(connection, there, name)
        known = _get(connection, there, chosen)
        if known is None and not new_faces:
            raise CelebrityNotFound(name=name)
        wanted = Celebrity(chosen, name, gender, list(urls))
        if known is None:
            users.create(connection, tenant, GALLERY, chosen, _NO_LIMIT)
        if known != wanted:
            values = vars(wanted) | {"collection_id": there.id, "name_key": name_key(name)}
            connection.execute(_SQL["put"], values)
        replaced = new_faces is not None and _replace_faces(connection, tenant, there, chosen, new_faces)
    if known is None:
        return chosen, "added"
    return chosen, "changed" if replaced or known != wanted else "unchanged"


def remove(connection: Connection[Any], tenant: Tenant, celebrity_id: str) -> None:
    """Remove a celebrity with its faces and vectors, in one transaction. Raises CelebrityNotFound."""
    with connection.transaction():
        get(connection, tenant, celebrity_id)
        there = collections.lock(connection, tenant, GALLERY)
        face_ids = [face_id for face_id, _ in _faces(connection, there, celebrity_id)]
        users.delete(connection, tenant, GALLERY, celebrity_id)
        faces.delete(connection, tenant, GALLERY, face_ids)


def remove_all(connection: Connection[Any], tenant: Tenant) -> None:
    """Delete the gallery as a collection is deleted; no search finds anybody from now on."""
    if gallery(connection, tenant) is not None:
        collections.delete(connection, tenant, GALLERY)


def name_key(name: str) -> str:
    """A name as it is looked up."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def derived_ids(name: str) -> Iterator[str]:
    """The ids that a name may get, the likeliest first: seven letters and digits of a hash of it."""
    attempt = 0
    while True:
        digest = hashlib.sha256(f"{name_key(name)}\n{attempt}".encode()).digest()
        number = int.from_bytes(digest, "big")
        yield "".join(_ID_DIGITS[number // len(_ID_DIGITS) ** place % len(_ID_DIGITS)] for place in range(_ID_LENGTH))
        attempt += 1


def _open(connection: Connection[Any], tenant: Tenant, face_model_version: str) -> Collection:
    """The gallery, made if need be, with other writers kept off. Raises OtherFaceModel."""
    if gallery(connection, tenant) is None:
        with suppress(CollectionExists):
            collections.create(connection, tenant, GALLERY, face_model_version)
    there = collections.lock(connection, tenant, GALLERY)
    if there.face_model_version != face_model_version:
        raise OtherFaceModel(there=there.face_model_version, given=face_model_version)
    return there


def _id_for(connection: Connection[Any], there: Collection, name: str) -> str:
    known = _named(connection, there, name)
    if known is not None:
        return known.id
    return next(free for free in derived_ids(name) if _get(connection, there, free) is None)


def _get(connection: Connection[Any], there: Collection, celebrity_id: str) -> Celebrity | None:
    with connection.cursor(row_factory=class_row(Celebrity)) as cursor:
        return cursor.execute(_SQL["get"], {"collection_id": there.id, "id": celebrity_id}).fetchone()


def _named(connection: Connection[Any], there: Collection, name: str) -> Celebrity | None:
    with connection.cursor(row_factory=class_row(Celebrity)) as cursor:
        values = {"collection_id": there.id, "name_key": name_key(name)}
        found = cursor.execute(_SQL["named"], values).fetchall()
    if len(found) > 1:
        raise SeveralOfTheName(name=name, ids=", ".join(one.id for one in found))
    return found[0] if found else None


def _faces(connection: Connection[Any], there: Collection, celebrity_id: str) -> list[tuple[UUID, GalleryFace]]:
    rows = connection.execute(_SQL["faces"], {"collection_id": there.id, "id": celebrity_id})
    return [(row[0], GalleryFace(row[1], Box4(*row[2:6]), row[6], row[7])) for row in rows]


def _replace_faces(
    connection: Connection[Any], tenant: Tenant, there: Collection, celebrity_id: str, wanted: Sequence[GalleryFace]
) -> bool:
    """Make the photographs of a celebrity those of `wanted`; whether that changed anything."""
    kept = {face.image_id for face in wanted}
    stored = {face.image_id: face_id for face_id, face in _faces(connection, there, celebrity_id)}
    leaving = [face_id for image_id, face_id in stored.items() if image_id not in kept]
    if leaving:
        users.disassociate(connection, tenant, GALLERY, celebrity_id, leaving)
        faces.delete(connection, tenant, GALLERY, leaving)
    joining = []
    for face in wanted:
        if face.image_id not in stored:
            new = NewFace(face.box, face.confidence, face.embedding)
            # The same photograph may show two celebrities: it is known by both.
            _, added = faces.add(connection, tenant, GALLERY, face.image_id, celebrity_id, [new], _NO_LIMIT)
            joining += [one.face_id for one in added]
    if joining:
        users.associate(connection, tenant, GALLERY, celebrity_id, joining, -1.0, _NO_LIMIT)
    return bool(leaving or joining)
