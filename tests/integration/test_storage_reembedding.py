"""A collection goes over to another face model at one moment, with whoever follows it."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from psycopg import Connection

from api.operations.face_models import require_the_model
from storage import changes, collections, faces, invariants, reembedding, users
from storage.collections import Collection
from storage.database import Pool
from storage.errors import BeingReembedded, FaceModelChanged
from storage.faces import Box4, NewFace
from storage.tenant import Tenant
from vectorindex.follower import Follower

LIMIT = 100


def unit(seed: int, dimension: int) -> Any:
    vector = np.random.default_rng(seed).standard_normal(dimension, dtype=np.float32)
    return vector / np.linalg.norm(vector)


@pytest.fixture
def collection(connection: Connection[Any], tenant: Tenant) -> Collection:
    return collections.create(connection, tenant, "c", "7.1")


def store(connection: Connection[Any], tenant: Tenant, seeds: range, dimension: int = 8) -> list[UUID]:
    new = [NewFace(Box4(seed * 0.01, 0, 0.005, 1), 99.0, unit(seed, dimension)) for seed in seeds]
    return [face.face_id for face in faces.add(connection, tenant, "c", uuid4(), None, new, LIMIT)[1]]


def finish(connection: Connection[Any], tenant: Tenant, version: str) -> None:
    with connection.transaction():
        reembedding.finish(connection, collections.lock(connection, tenant, "c"), version)


def test_all_changes_at_once_and_everybody_keeps_faces_and_users(
    pool: Pool, connection: Connection[Any], tenant: Tenant, collection: Collection, tmp_path: Path
) -> None:
    ids = store(connection, tenant, range(6))
    users.create(connection, tenant, "c", "ann", LIMIT)
    users.associate(connection, tenant, "c", "ann", ids[:2], -1.0, LIMIT)
    follower = Follower(pool, tmp_path)
    before, _ = follower.at_least(collection.id, 7)
    assert before["faces"].dimension == 8
    version = collections.get(connection, tenant, "c").version

    reembedding.begin(connection, collection.id, "7.2")
    reembedding.put(connection, collection.id, "7.2", {ids[0]: unit(100, 12), uuid4(): unit(1, 12)})
    assert reembedding.count_missing(connection, collection.id) == 5
    assert reembedding.missing(connection, collection.id, 2) == ids[1:3]
    assert collections.get(connection, tenant, "c").version == version, "nobody sees anything yet"

    # Taken up again after a while, in which a face was deleted and one added.
    faces.delete(connection, tenant, "c", ids[5:])
    ids[5:] = store(connection, tenant, range(6, 7))
    reembedding.begin(connection, collection.id, "7.2")
    rest = reembedding.missing(connection, collection.id, 100)
    assert rest == ids[1:]
    reembedding.put(connection, collection.id, "7.2", {one: unit(100 + n, 12) for n, one in enumerate(rest, 1)})
    assert reembedding.count_missing(connection, collection.id) == 0
    finish(connection, tenant, "7.2")

    after = collections.get(connection, tenant, "c")
    assert (after.face_model_version, after.dimension, after.face_count, after.user_count) == ("7.2", 12, 6, 1)
    for number, face_id in enumerate(ids):
        _, embedding = faces.get_embedding(connection, tenant, "c", face_id)
        np.testing.assert_array_equal(embedding, unit(100 + number, 12))
    assert [face.face_id for _, face in faces.page(connection, tenant, "c", 0, 10, user_id="ann")] == ids[:2]
    expected = users.mean([unit(100, 12), unit(101, 12)])
    np.testing.assert_allclose(users.get(connection, collection.id, "ann").embedding, expected, atol=1e-6)
    with changes.gallery(connection, collection.id, 10):
        assert invariants.broken(connection, collection.id) == []
    for one in (follower, Follower(pool, tmp_path / "fresh")):
        indexes, reached = one.at_least(collection.id, after.version)
        assert reached == after.version and indexes["faces"].dimension == indexes["users"].dimension == 12
        found, scores = indexes["faces"].search(unit(103, 12), 1, 0.0)
        assert (bytes(found[0]), scores[0]) == (ids[3].bytes, 1.0)
    # And the log goes on from there.
    (later,) = store(connection, tenant, range(7, 8), dimension=12)
    indexes, _ = follower.at_least(collection.id, after.version + 1)
    assert len(indexes["faces"]) == 7 and later


def test_faces_embedded_for_the_old_model_are_not_stored_in_the_new_one(
    connection: Connection[Any], tenant: Tenant, collection: Collection
) -> None:
    finish(connection, tenant, "7.2")
    new = [NewFace(Box4(0, 0, 1, 1), 99.0, unit(1, 8))]
    with pytest.raises(FaceModelChanged):
        faces.add(connection, tenant, "c", uuid4(), None, new, LIMIT, "7.1")
    assert collections.get(connection, tenant, "c").face_count == 0
    faces.add(connection, tenant, "c", uuid4(), None, new, LIMIT, "7.2")


def test_a_request_that_met_the_change_notices(
    connection: Connection[Any], tenant: Tenant, collection: Collection
) -> None:
    require_the_model(connection, tenant, collection)
    finish(connection, tenant, "7.2")
    with pytest.raises(FaceModelChanged):
        require_the_model(connection, tenant, collection)
    require_the_model(connection, tenant, collections.get(connection, tenant, "c"))


def test_faces_may_be_given_up(connection: Connection[Any], tenant: Tenant, collection: Collection) -> None:
    ids = store(connection, tenant, range(3))
    users.create(connection, tenant, "c", "ann", LIMIT)
    users.associate(connection, tenant, "c", "ann", ids[:1], -1.0, LIMIT)
    reembedding.begin(connection, collection.id, "7.2")
    reembedding.put(connection, collection.id, "7.2", {ids[2]: unit(1, 12)})
    with connection.transaction():
        locked = reembedding.drop_missing(connection, collections.lock(connection, tenant, "c"))
        reembedding.finish(connection, locked, "7.2")
    assert [face.face_id for _, face in faces.page(connection, tenant, "c", 0, 10)] == ids[2:]
    assert users.get(connection, collection.id, "ann").embedding is None
    with changes.gallery(connection, collection.id, 10):
        assert invariants.broken(connection, collection.id) == []


def test_what_was_made_for_another_model_is_forgotten_and_deleted_faces_leave_nothing(
    connection: Connection[Any], tenant: Tenant, collection: Collection
) -> None:
    ids = store(connection, tenant, range(2))
    reembedding.begin(connection, collection.id, "7.2")
    reembedding.put(connection, collection.id, "7.2", {one: unit(1, 12) for one in ids})
    faces.delete(connection, tenant, "c", ids[:1])
    row = connection.execute("SELECT array_agg(face_id) FROM new_embeddings").fetchone()
    assert row is not None and row[0] == ids[1:]
    reembedding.begin(connection, collection.id, "7.3")
    assert reembedding.missing(connection, collection.id, 10) == ids[1:]


def test_one_command_at_a_time(pool: Pool, connection: Connection[Any], collection: Collection) -> None:
    with pool.connection() as other:
        other.autocommit = True
        with (
            reembedding.held(connection, collection),
            pytest.raises(BeingReembedded),
            reembedding.held(other, collection),
        ):
            pass
        with reembedding.held(other, collection):
            pass
        other.autocommit = False


def test_broken_invariants_are_told(connection: Connection[Any], tenant: Tenant, collection: Collection) -> None:
    ids = store(connection, tenant, range(4))
    for user_id in ("ann", "bob", "cyd"):
        users.create(connection, tenant, "c", user_id, LIMIT)
    users.associate(connection, tenant, "c", "ann", ids[:1], -1.0, LIMIT)
    users.associate(connection, tenant, "c", "cyd", ids[1:2], -1.0, LIMIT)
    with changes.gallery(connection, collection.id, 10):
        assert invariants.broken(connection, collection.id) == []
    connection.execute("UPDATE users SET embedding = NULL WHERE user_id = 'ann'")
    connection.execute("UPDATE users SET embedding = '{1}' WHERE user_id = 'bob'")
    connection.execute("UPDATE users SET embedding = embedding[2:] || 0::real WHERE user_id = 'cyd'")
    connection.execute("UPDATE faces SET embedding = '{1}' WHERE face_id = %s", [ids[3]])
    connection.execute("DELETE FROM collection_changes WHERE version = 2")
    connection.execute("UPDATE collections SET face_count = 9, user_count = 8")
    with changes.gallery(connection, collection.id, 10):
        assert invariants.broken(connection, collection.id) == [
            "the collection counts 9 faces and has 4",
            "the collection counts 8 users and has 3",
            "the change log has 5 entries from 1 to 6, and the collection is at 6",
            "1 embeddings are of 1 dimensions, not 8",
            "the user ann has faces and no vector",
            "the user bob has a vector and no faces",
            "the vector of the user cyd is not the mean of those of its faces",
        ]
