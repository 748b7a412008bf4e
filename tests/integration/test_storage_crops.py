"""Crops of faces, kept on request, sealed, and gone with their faces."""

from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from psycopg import Connection

from storage import collections, crops, faces
from storage.collections import Collection
from storage.errors import CollectionNotFound, CropSealedWithAnotherKey
from storage.faces import Box4, NewFace
from storage.tenant import Tenant

KEY = bytes(range(32))
PNG = b"\x89PNG and a face"


@pytest.fixture
def collection(connection: Connection[Any], tenant: Tenant) -> Collection:
    return collections.create(connection, tenant, "c", "base-1")


@pytest.fixture
def face_ids(connection: Connection[Any], tenant: Tenant, collection: Collection) -> list[UUID]:
    new = [NewFace(Box4(left, 0, 0.1, 1), 99.0, np.eye(1, 8, dtype=np.float32)[0]) for left in (0.0, 0.5)]
    return [face.face_id for face in faces.add(connection, tenant, "c", uuid4(), None, new, 10)[1]]


def test_crops_come_back_and_are_sealed_in_between(
    connection: Connection[Any], collection: Collection, face_ids: list[UUID]
) -> None:
    kept = {face_id: PNG + bytes([number]) for number, face_id in enumerate(face_ids)}
    crops.put(connection, KEY, collection.id, kept)
    crops.put(connection, KEY, collection.id, {face_ids[0]: b"another"})
    assert crops.of_faces(connection, KEY, collection.id, [*face_ids, uuid4()]) == kept
    with connection.transaction():
        assert dict(crops.all_of(connection, KEY, collection.id)) == kept
    assert crops.count(connection, collection.id) == 2
    stored = [bytes(sealed) for (sealed,) in connection.execute("SELECT sealed FROM face_crops")]
    assert len(set(stored)) == 2 and not any(b"PNG" in sealed for sealed in stored)


def test_a_crop_opens_only_with_its_key_and_in_its_place(
    connection: Connection[Any], collection: Collection, face_ids: list[UUID]
) -> None:
    crops.put(connection, KEY, collection.id, {face_ids[0]: PNG})
    with pytest.raises(CropSealedWithAnotherKey):
        crops.of_faces(connection, bytes(32), collection.id, face_ids)
    connection.execute("UPDATE face_crops SET face_id = %s", [face_ids[1]])
    with pytest.raises(CropSealedWithAnotherKey):
        crops.of_faces(connection, KEY, collection.id, face_ids)


def test_crops_go_with_their_faces(
    connection: Connection[Any], tenant: Tenant, collection: Collection, face_ids: list[UUID]
) -> None:
    crops.put(connection, KEY, collection.id, dict.fromkeys(face_ids, PNG))
    faces.delete(connection, tenant, "c", face_ids[:1])
    assert crops.of_faces(connection, KEY, collection.id, face_ids) == {face_ids[1]: PNG}
    collections.delete(connection, tenant, "c")
    while collections.purge_deleted(connection, 100):
        pass
    assert crops.count(connection, collection.id) == 0


def test_the_owner_begins_and_ends_the_keeping(
    connection: Connection[Any], tenant: Tenant, collection: Collection, face_ids: list[UUID]
) -> None:
    assert not collections.get(connection, tenant, "c").keeps_crops
    assert crops.keep(connection, tenant, "c", True) == 0
    assert collections.get(connection, tenant, "c").keeps_crops
    crops.put(connection, KEY, collection.id, dict.fromkeys(face_ids, PNG))
    assert crops.keep(connection, tenant, "c", False) == 2
    assert not collections.get(connection, tenant, "c").keeps_crops
    assert crops.count(connection, collection.id) == 0
    with pytest.raises(CollectionNotFound):
        crops.keep(connection, tenant, "nothing", True)
