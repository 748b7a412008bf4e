import random
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from psycopg import Connection

from storage import changes, collections, faces
from storage.collections import Collection
from storage.database import Pool
from storage.errors import CollectionNotFound, FaceNotFound, GalleryFull
from storage.faces import Box4, NewFace
from storage.tenant import Tenant

LIMIT = 1000


def unit(seed: int, dimension: int = 128) -> Any:
    vector = np.random.default_rng(seed).standard_normal(dimension, dtype=np.float32)
    return vector / np.linalg.norm(vector)


def new_face(seed: int = 0, left: float = 0.1, dimension: int = 128) -> NewFace:
    return NewFace(Box4(left, 0.2, 0.3, 0.4), 99.5, unit(seed, dimension))


@pytest.fixture
def collection(connection: Connection[Any], tenant: Tenant) -> Collection:
    return collections.create(connection, tenant, "c", "base-1")


def test_faces_come_back_rounded_as_float32(
    connection: Connection[Any], tenant: Tenant, collection: Collection
) -> None:
    sure = NewFace(Box4(0.32592591643333435, -0.01234567, 1.23456789, 1 / 3), 99.99950408935547, unit(1))
    certain = NewFace(Box4(0.9, 0.9, 0.1, 0.1), 99.99999, unit(2))
    image_id = uuid4()
    after, stored = faces.add(connection, tenant, "c", image_id, "Ann", [sure, certain], LIMIT)
    assert stored[0].box.left == 0.3259260058403015
    assert stored[0].box.top == float(np.float32(-0.012346))
    assert stored[0].confidence == 99.99949645996094
    assert stored[1].confidence == 100.0
    assert {(face.image_id, face.external_image_id, face.user_id, face.face_model_version) for face in stored} == {
        (image_id, "Ann", None, "base-1")
    }
    assert (after.face_count, after.version, after.dimension) == (2, 2, 128)
    assert collections.get(connection, tenant, "c") == after
    assert [face for _, face in faces.page(connection, tenant, "c", 0, 10)] == stored
    assert faces.by_ids(connection, collection.id, [stored[1].face_id, uuid4()]) == {stored[1].face_id: stored[1]}
    present, embedding = faces.get_embedding(connection, tenant, "c", stored[0].face_id)
    assert present == after
    np.testing.assert_array_equal(embedding, sure.embedding, strict=True)
    with pytest.raises(FaceNotFound):
        faces.get_embedding(connection, tenant, "c", uuid4())
    with pytest.raises(CollectionNotFound):
        faces.get_embedding(connection, tenant, "other", stored[0].face_id)
    assert faces.page(connection, tenant, "other", 0, 10) == []


def test_the_same_image_is_stored_once_per_external_id(
    connection: Connection[Any], tenant: Tenant, collection: Collection
) -> None:
    image_id = uuid4()
    _, first = faces.add(connection, tenant, "c", image_id, "Ann", [new_face(1)], LIMIT)
    _, again = faces.add(connection, tenant, "c", image_id, "Ann", [new_face(2, left=0.8), new_face(1)], LIMIT)
    assert again[1] == first[0]
    assert again[0].face_id != first[0].face_id
    for other_id in (None, "Bob"):
        _, other = faces.add(connection, tenant, "c", image_id, other_id, [new_face(1)], LIMIT)
        _, repeated = faces.add(connection, tenant, "c", image_id, other_id, [new_face(1)], LIMIT)
        assert other == repeated != first
    _, another_image = faces.add(connection, tenant, "c", uuid4(), "Ann", [new_face(1)], LIMIT)
    assert another_image[0].face_id != first[0].face_id
    after = collections.get(connection, tenant, "c")
    assert (after.face_count, after.version) == (5, 5)


@pytest.mark.parametrize(("left", "same"), [(0.1, True), (0.115, True), (0.116, False)])
def test_a_face_is_the_same_if_its_box_overlaps_by_more_than_nine_tenths(
    connection: Connection[Any], tenant: Tenant, collection: Collection, left: float, same: bool
) -> None:
    image_id = uuid4()
    _, first = faces.add(connection, tenant, "c", image_id, None, [new_face(1, left=0.1)], LIMIT)
    _, second = faces.add(connection, tenant, "c", image_id, None, [new_face(1, left=left)], LIMIT)
    assert (first == second) is same


def test_a_deleted_face_is_not_what_the_image_finds_again(
    connection: Connection[Any], tenant: Tenant, collection: Collection
) -> None:
    image_id = uuid4()
    _, first = faces.add(connection, tenant, "c", image_id, None, [new_face(1)], LIMIT)
    faces.delete(connection, tenant, "c", [first[0].face_id])
    _, second = faces.add(connection, tenant, "c", image_id, None, [new_face(1)], LIMIT)
    assert second[0].face_id != first[0].face_id
    assert collections.get(connection, tenant, "c").version == 3


def test_a_full_gallery_takes_nothing_but_what_it_has(
    connection: Connection[Any], tenant: Tenant, collection: Collection
) -> None:
    image_id = uuid4()
    _, stored = faces.add(connection, tenant, "c", image_id, None, [new_face(1), new_face(2, left=0.8)], 2)
    with pytest.raises(GalleryFull):
        faces.add(connection, tenant, "c", uuid4(), None, [new_face(3)], 2)
    with pytest.raises(GalleryFull):
        faces.add(connection, tenant, "c", image_id, None, [new_face(1), new_face(3, left=0.5)], 2)
    assert collections.get(connection, tenant, "c").version == 2
    _, again = faces.add(connection, tenant, "c", image_id, None, [new_face(1), new_face(2, left=0.8)], 2)
    assert again == stored


def test_embeddings_that_no_search_could_use_are_refused(
    connection: Connection[Any], tenant: Tenant, collection: Collection
) -> None:
    box = Box4(0.1, 0.1, 0.1, 0.1)
    for wrong in (unit(1) * 2, unit(1) * np.float32(np.nan), np.zeros(128, np.float32)):
        with pytest.raises(ValueError, match="unit length"):
            faces.add(connection, tenant, "c", uuid4(), None, [NewFace(box, 99.0, wrong)], LIMIT)
    faces.add(connection, tenant, "c", uuid4(), None, [new_face(1)], LIMIT)
    with pytest.raises(ValueError, match="dimensions"):
        faces.add(connection, tenant, "c", uuid4(), None, [new_face(1, dimension=512)], LIMIT)
    after = collections.get(connection, tenant, "c")
    assert (after.face_count, after.version, after.dimension) == (1, 1, 128)
    assert len(changes.since(connection, collection.id, 0, 10)) == 1


def test_no_faces_is_no_change(connection: Connection[Any], tenant: Tenant, collection: Collection) -> None:
    assert faces.add(connection, tenant, "c", uuid4(), None, [], LIMIT) == (collection, [])
    with pytest.raises(CollectionNotFound):
        faces.add(connection, tenant, "unknown", uuid4(), None, [], LIMIT)


def test_deletion_tells_each_face_apart(connection: Connection[Any], tenant: Tenant, collection: Collection) -> None:
    _, stored = faces.add(connection, tenant, "c", uuid4(), None, [new_face(i, left=i / 2) for i in range(3)], LIMIT)
    of_user, *others = [face.face_id for face in stored]
    connection.execute("INSERT INTO users VALUES (%s, 'ann')", [collection.id])
    connection.execute("UPDATE faces SET user_id = 'ann' WHERE face_id = %s", [of_user])
    unknown = uuid4()
    deletion = faces.delete(connection, tenant, "c", [unknown, others[1], of_user, others[0], others[1]])
    assert deletion.deleted == [others[1], others[0]]
    assert deletion.failed == [
        faces.FailedDeletion(unknown, None, "not_found"),
        faces.FailedDeletion(of_user, "ann", "has_user"),
    ]
    after = collections.get(connection, tenant, "c")
    assert (after.face_count, after.version) == (1, 5)
    log = changes.since(connection, collection.id, 3, 10)
    assert [(change.action, UUID(bytes=change.id)) for change in log] == [
        ("delete", others[1]),
        ("delete", others[0]),
    ]
    assert faces.delete(connection, tenant, "c", others).deleted == []
    assert collections.get(connection, tenant, "c").version == 5


def test_pages_hold_every_face_once_with_the_filters_asked_for(
    connection: Connection[Any], tenant: Tenant, collection: Collection
) -> None:
    stored = [
        faces.add(connection, tenant, "c", uuid4(), None, [new_face(number)], LIMIT)[1][0].face_id
        for number in range(7)
    ]
    connection.execute("INSERT INTO users VALUES (%s, 'ann')", [collection.id])
    connection.execute("UPDATE faces SET user_id = 'ann' WHERE face_id = ANY(%s)", [stored[2:5]])

    def all_pages(**filters: Any) -> list[UUID]:
        seen: list[UUID] = []
        position = 0
        while page := faces.page(connection, tenant, "c", position, 2, **filters):
            seen += [face.face_id for _, face in page]
            position = page[-1][0]
        return seen

    assert all_pages() == stored
    assert all_pages(user_id="ann") == stored[2:5]
    assert all_pages(face_ids=[stored[6], uuid4(), stored[0]]) == [stored[0], stored[6]]
    assert all_pages(face_ids=[stored[0], stored[4]], user_id="ann") == [stored[4]]
    assert all_pages(face_ids=[]) == []


def test_one_image_indexed_by_many_at_once_is_stored_once(pool: Pool, tenant: Tenant, run_in_threads: Any) -> None:
    with pool.connection() as connection:
        collections.create(connection, tenant, "c", "base-1")
    image_id = uuid4()
    found: list[tuple[UUID, ...]] = []

    def index() -> None:
        with pool.connection() as connection:
            new = [new_face(1), new_face(2, left=0.6)]
            _, stored = faces.add(connection, tenant, "c", image_id, "same", new, LIMIT)
        found.append(tuple(face.face_id for face in stored))

    run_in_threads([index] * 8)
    assert len(found) == 8
    assert len(set(found)) == 1
    with pool.connection() as connection:
        after = collections.get(connection, tenant, "c")
    assert (after.face_count, after.version) == (2, 2)


def test_many_writers_leave_a_log_without_gaps_and_the_right_count(
    pool: Pool, tenant: Tenant, run_in_threads: Any
) -> None:
    with pool.connection() as connection:
        collection = collections.create(connection, tenant, "c", "base-1")

    def write(seed: int) -> None:
        dice = random.Random(seed)
        mine: list[UUID] = []
        for step in range(12):
            with pool.connection() as connection:
                if mine and dice.random() < 0.4:
                    chosen = dice.sample(mine, dice.randint(1, len(mine)))
                    assert faces.delete(connection, tenant, "c", chosen).deleted == chosen
                    mine = [face_id for face_id in mine if face_id not in chosen]
                else:
                    new = [new_face(seed * 100 + step, left=left) for left in (0.0, 0.4)]
                    mine += [face.face_id for face in faces.add(connection, tenant, "c", uuid4(), None, new, LIMIT)[1]]

    run_in_threads([partial(write, seed) for seed in range(8)])
    with pool.connection() as connection:
        after = collections.get(connection, tenant, "c")
        log = changes.since(connection, collection.id, 0, 10_000)
        stored = {face.face_id for _, face in faces.page(connection, tenant, "c", 0, 10_000)}
    assert [change.version for change in log] == list(range(1, after.version + 1))
    assert after.face_count == len(stored)
    replayed: set[UUID] = set()
    for change in log:
        (replayed.add if change.action == "add" else replayed.remove)(UUID(bytes=change.id))
    assert replayed == stored


def test_writers_of_a_collection_that_goes_away_fail_cleanly(pool: Pool, tenant: Tenant, run_in_threads: Any) -> None:
    with pool.connection() as connection:
        collections.create(connection, tenant, "c", "base-1")

    def index() -> None:
        with pytest.raises(CollectionNotFound):
            while True:
                with pool.connection() as connection:
                    faces.add(connection, tenant, "c", uuid4(), None, [new_face(1)], 100_000)

    def delete() -> None:
        with pool.connection() as connection:
            collections.delete(connection, tenant, "c")

    run_in_threads([index, index, delete])
    with pool.connection() as connection:
        rows = connection.execute(
            "SELECT face_count, version, (SELECT count(*) FROM faces), (SELECT count(*) FROM collection_changes)"
            " FROM collections"
        ).fetchone()
    assert rows is not None
    assert len(set(rows)) == 1
