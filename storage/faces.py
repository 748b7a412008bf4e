"""Faces stored in collections."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID, uuid4

import numpy as np
from psycopg import Connection, Cursor
from psycopg.rows import RowMaker

from storage import collections, queries
from storage.collections import Collection
from storage.errors import FaceModelChanged, FaceNotFound, GalleryFull
from storage.tenant import Tenant
from storage.vectors import Vector

# A face of the same image whose box overlaps a stored one by more than this (intersection over union) is that face.
SAME_BOX_IOU = 0.9
_UNIT_LENGTH_TOLERANCE = 1e-3
_SQL = queries.load("faces")


@dataclass(frozen=True)
class Box4:
    """A box in ratios of the upright image's width and height; may leave 0..1."""

    left: float
    top: float
    width: float
    height: float

    def iou(self, other: "Box4") -> float:
        """Intersection over union, 0..1."""
        width = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        height = min(self.top + self.height, other.top + other.height) - max(self.top, other.top)
        if width <= 0 or height <= 0:
            return 0.0
        intersection = width * height
        return intersection / (self.width * self.height + other.width * other.height - intersection)


@dataclass(frozen=True, eq=False)
class NewFace:
    """A face to store: its confidence 0..100 and its embedding, float32[D] of unit length."""

    box: Box4
    confidence: float
    embedding: Vector


@dataclass(frozen=True)
class StoredFace:
    """A stored face. Box members have six decimals and confidence six significant digits, as float32."""

    face_id: UUID
    image_id: UUID
    external_image_id: str | None
    box: Box4
    confidence: float
    user_id: str | None
    face_model_version: str


@dataclass(frozen=True)
class FailedDeletion:
    """Why a face was not deleted, with the user it belongs to if that is why."""

    face_id: UUID
    user_id: str | None
    reason: Literal["not_found", "has_user"]


@dataclass(frozen=True)
class Deletion:
    """The outcome of a deletion, each list in the order of the request."""

    deleted: list[UUID]
    failed: list[FailedDeletion]


def add(
    connection: Connection[Any],
    tenant: Tenant,
    collection_name: str,
    image_id: UUID,
    external_image_id: str | None,
    new: Sequence[NewFace],
    limit: int,
    face_model_version: str | None = None,
) -> tuple[Collection, list[StoredFace]]:
    """Store the faces of one image in one transaction; return the collection as it then is and the faces, as `new`.

    A face that was stored before for the same image and external id is returned, not stored again.
    Raises CollectionNotFound; GalleryFull if the collection would hold more than `limit` faces; FaceModelChanged if
    it is not of `face_model_version`, where that is given; ValueError if an embedding is not of unit length or not as
    long as the others of the collection. Nothing is stored then.
    """
    for face in new:
        if not abs(float(np.linalg.norm(face.embedding)) - 1.0) < _UNIT_LENGTH_TOLERANCE:
            raise ValueError("an embedding must be of unit length")
    with connection.transaction():
        collection = collections.lock(connection, tenant, collection_name)
        if face_model_version not in (None, collection.face_model_version):
            raise FaceModelChanged(name=collection_name, face_model_version=collection.face_model_version)
        before = _of_image(connection, collection.id, image_id, external_image_id)
        faces: list[StoredFace] = []
        fresh: list[tuple[StoredFace, Vector]] = []
        for face in new:
            box = _rounded(face.box)
            stored = _same(before, box)
            if stored is None:
                confidence = float(np.float32(f"{face.confidence:.6g}"))
                stored = StoredFace(
                    uuid4(), image_id, external_image_id, box, confidence, None, collection.face_model_version
                )
                fresh.append((stored, face.embedding))
            faces.append(stored)
        if collection.face_count + len(fresh) > limit:
            raise GalleryFull(name=collection_name, limit=limit)
        if fresh:
            collection = _insert(connection, collection, fresh)
    return collection, faces


def delete(connection: Connection[Any], tenant: Tenant, collection_name: str, face_ids: Iterable[UUID]) -> Deletion:
    """Delete faces in one transaction; those of users stay. Raises CollectionNotFound."""
    wanted = list(dict.fromkeys(face_ids))
    with connection.transaction():
        collection = collections.lock(connection, tenant, collection_name)
        target = {"collection_id": collection.id, "face_ids": wanted}
        gone = {face_id for (face_id,) in connection.execute(_SQL["delete"], target)}
        owners: dict[UUID, str] = dict(connection.execute(_SQL["users_of"], target).fetchall())
        deleted = [face_id for face_id in wanted if face_id in gone]
        if deleted:
            log = {"collection_id": collection.id, "version": collection.version, "face_ids": deleted}
            connection.execute(_SQL["log_deletions"], log)
            collections.advance(connection, collection, changes=len(deleted), faces=-len(deleted))
    failed = [
        FailedDeletion(face_id, owners.get(face_id), "has_user" if face_id in owners else "not_found")
        for face_id in wanted
        if face_id not in gone
    ]
    return Deletion(deleted, failed)


def page(
    connection: Connection[Any],
    tenant: Tenant,
    collection_name: str,
    after_seq: int,
    limit: int,
    face_ids: Sequence[UUID] | None = None,
    user_id: str | None = None,
) -> list[tuple[int, StoredFace]]:
    """At most `limit` faces behind position `after_seq` (0 at first) with their positions, oldest first.

    None, too, where there is no such collection or user.
    """
    values: dict[str, object] = {**vars(tenant), "name": collection_name, "after_seq": after_seq, "limit": limit}
    query = "page"
    if face_ids is not None:
        query = "page_of_ids"
        values |= {"face_ids": list(face_ids), "user_id": user_id}
    elif user_id is not None:
        query = "page_of_user"
        values |= {"user_id": user_id}
    return [(row[0], _stored(*row[1:])) for row in connection.execute(_SQL[query], values)]


def by_ids(connection: Connection[Any], collection_id: int, face_ids: Iterable[UUID]) -> dict[UUID, StoredFace]:
    """Those of the given faces that are in the collection."""
    values = {"collection_id": collection_id, "face_ids": list(face_ids)}
    with connection.cursor(row_factory=_face_row) as cursor:
        return {face.face_id: face for face in cursor.execute(_SQL["by_ids"], values)}


def get_embedding(
    connection: Connection[Any], tenant: Tenant, collection_name: str, face_id: UUID
) -> tuple[Collection, Vector]:
    """The embedding of a face, float32[D] of unit length, and the collection at that moment.

    Raises CollectionNotFound, FaceNotFound.
    """
    values = {**vars(tenant), "name": collection_name, "face_id": face_id}
    row = connection.execute(_SQL["embedding"], values).fetchone()
    if row is None:
        collections.get(connection, tenant, collection_name)
        raise FaceNotFound(face_id=face_id)
    *collection, embedding = row
    return Collection(*collection), embedding


def _of_image(
    connection: Connection[Any], collection_id: int, image_id: UUID, external_image_id: str | None
) -> list[StoredFace]:
    values = {"collection_id": collection_id, "image_id": image_id, "external_image_id": external_image_id}
    with connection.cursor(row_factory=_face_row) as cursor:
        return cursor.execute(_SQL["of_image"], values).fetchall()


def _same(stored: list[StoredFace], box: Box4) -> StoredFace | None:
    best = max(((face.box.iou(box), index) for index, face in enumerate(stored)), default=(0.0, 0))
    return stored[best[1]] if best[0] > SAME_BOX_IOU else None


def _insert(connection: Connection[Any], collection: Collection, fresh: list[tuple[StoredFace, Vector]]) -> Collection:
    rows = [
        {
            "collection_id": collection.id,
            "version": version,
            "face_id": face.face_id,
            "image_id": face.image_id,
            "external_image_id": face.external_image_id,
            "box_left": face.box.left,
            "box_top": face.box.top,
            "box_width": face.box.width,
            "box_height": face.box.height,
            "confidence": face.confidence,
            "embedding": embedding,
        }
        for version, (face, embedding) in enumerate(fresh, collection.version + 1)
    ]
    with connection.cursor() as cursor:
        cursor.executemany(_SQL["insert"], rows)
    dimensions = {len(embedding) for _, embedding in fresh}
    advanced = collections.advance(
        connection, collection, changes=len(fresh), faces=len(fresh), dimension=max(dimensions)
    )
    if dimensions != {advanced.dimension}:
        raise ValueError(f"embeddings of {dimensions} dimensions in a collection of {advanced.dimension}")
    return advanced


def _rounded(box: Box4) -> Box4:
    """To six decimals, as the float32 numbers that the database gives back."""
    return Box4(*(float(np.float32(round(value, 6))) for value in (box.left, box.top, box.width, box.height)))


def _face_row(_: Cursor[Any]) -> RowMaker[StoredFace]:
    return lambda values: _stored(*values)


def _stored(
    face_id: UUID,
    image_id: UUID,
    external_image_id: str | None,
    left: float,
    top: float,
    width: float,
    height: float,
    confidence: float,
    user_id: str | None,
    face_model_version: str,
) -> StoredFace:
    box = Box4(left, top, width, height)
    return StoredFace(face_id, image_id, external_image_id, box, confidence, user_id, face_model_version)
