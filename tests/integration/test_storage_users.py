"""Users of collections: whose faces are whose, what a user's vector is, and what the change log tells of it."""

import threading
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from psycopg import Connection

from storage import changes, collections, faces, users
from storage.collections import Collection
from storage.database import Pool
from storage.errors import (
    CollectionNotFound,
    StorageError,
    TooManyFacesOfUser,
    TooManyUsers,
    UserExists,
    UserNotFound,
)
from storage.faces import Box4, NewFace
from storage.tenant import Tenant
from storage.users import ListedUser, Refusal

LIMIT = 100


def unit(seed: int) -> Any:
    vector = np.random.default_rng(seed).standard_normal(16, dtype=np.float32)
    return vector / np.linalg.norm(vector)


def store(connection: Connection[Any], tenant: Tenant, *vectors: Any) -> list[UUID]:
    return [
        faces.add(connection, tenant, "c", uuid4(), None, [NewFace(Box4(0, 0, 1, 1), 99.0, vector)], 1000)[1][0].face_id
        for vector in vectors
    ]


def create(connection: Connection[Any], tenant: Tenant, *user_ids: str) -> None:
    for user_id in user_ids:
        users.create(connection, tenant, "c", user_id, LIMIT)


def associate(
    connection: Connection[Any], tenant: Tenant, user_id: str, face_ids: list[UUID], least: float = -1.0
) -> users.Outcome:
    return users.associate(connection, tenant, "c", user_id, face_ids, least, LIMIT)


def owners(connection: Connection[Any], tenant: Tenant) -> dict[UUID, str | None]:
    return {face.face_id: face.user_id for _, face in faces.page(connection, tenant, "c", 0, 1000)}


def vector_of(connection: Connection[Any], collection: Collection, user_id: str) -> Any:
    return users.get(connection, collection.id, user_id).embedding


@pytest.fixture
def collection(connection: Connection[Any], tenant: Tenant) -> Collection:
    return collections.create(connection, tenant, "c", "base-1")


def test_users_are_created_listed_and_deleted(
    connection: Connection[Any], tenant: Tenant, collection: Collection
) -> None:
    create(connection, tenant, "b", "a", "a-b", "A")
    with pytest.raises(UserExists):
        create(connection, tenant, "a")
    assert [user.user_id for user in users.page(connection, collection.id, "", 10)] == ["A", "a", "a-b", "b"]
    assert [user.user_id for user in users.page(connection, collection.id, "A", 2)] == ["a", "a-b"]
    assert collections.get(connection, tenant, "c").user_count == 4
    first = users.get(connection, collection.id, "a")
    users.delete(connection, tenant, "c", "a")
    with pytest.raises(UserNotFound):
        users.get(connection, collection.id, "a")
    create(connection, tenant, "a")
    assert users.get(connection, collection.id, "a").key != first.key
    after = collections.get(connection, tenant, "c")
    assert (after.user_count, after.version) == (4, 0), "without a vector nothing changes for the index"


def test_a_vector_is_the_mean_of_the_faces_it_has(
    connection: Connection[Any], tenant: Tenant, collection: Collection
) -> None:
    vectors = [unit(seed) for seed in range(4)]
    stored = store(connection, tenant, *vectors)
    create(connection, tenant, "ann")

    def vector() -> Any:
        return vector_of(connection, collection, "ann")

    def mean(*which: int) -> Any:
        total = np.sum([vectors[n].astype(float) for n in which], axis=0)
        return total / np.linalg.norm(total)

    assert vector() is None
    outcome = associate(connection, tenant, "ann", [stored[2], stored[0], stored[2]])
    assert (outcome.changed, outcome.refused, outcome.has_faces) == ([stored[2], stored[0]], [], True)
    np.testing.assert_allclose(vector(), mean(0, 2), atol=1e-6)
    associate(connection, tenant, "ann", [stored[1]])
    np.testing.assert_allclose(vector(), mean(0, 1, 2), atol=1e-6)
    assert abs(np.linalg.norm(vector()) - 1) < 1e-6 and vector().dtype == np.float32
    users.disassociate(connection, tenant, "c", "ann", [stored[0]])
    np.testing.assert_allclose(vector(), mean(1, 2), atol=1e-6)
    assert users.page(connection, collection.id, "", 10) == [ListedUser("ann", True)]
    outcome = users.disassociate(connection, tenant, "c", "ann", stored)
    assert (outcome.changed, outcome.has_faces) == (stored[1:3], False)
    assert vector() is None
    assert users.page(connection, collection.id, "", 10) == [ListedUser("ann", False)]


def test_opposite_faces_still_have_a_vector(
    connection: Connection[Any], tenant: Tenant, collection: Collection
) -> None:
    stored = store(connection, tenant, unit(1), -unit(1))
    create(connection, tenant, "ann")
    associate(connection, tenant, "ann", stored)
    np.testing.assert_array_equal(vector_of(connection, collection, "ann"), unit(1))


def test_every_reason_not_to_associate(connection: Connection[Any], tenant: Tenant, collection: Collection) -> None:
    stored = store(connection, tenant, *map(unit, range(5)))
    unknown = uuid4()
    create(connection, tenant, "ann", "bob")
    associate(connection, tenant, "bob", stored[:1], 1.0)
    first = associate(connection, tenant, "ann", stored[1:3], 1.0)
    assert first.changed == stored[1:3], "a user without faces takes any"
    cosine = float(unit(3) @ vector_of(connection, collection, "ann"))
    again = associate(connection, tenant, "ann", [unknown, stored[3], stored[1], stored[0]], cosine + 1e-3)
    assert (again.changed, again.has_faces) == ([], True)
    not_found, unlike, other = again.refused
    assert (not_found, other) == (Refusal(unknown, "not_found"), Refusal(stored[0], "other_user", user_id="bob"))
    assert (unlike.face_id, unlike.reason, unlike.user_id) == (stored[3], "unlike", None)
    assert unlike.cosine == pytest.approx(cosine, abs=1e-6)
    assert associate(connection, tenant, "ann", stored[3:4], cosine - 1e-3).changed == stored[3:4]
    assert owners(connection, tenant) == dict(zip(stored, ["bob", "ann", "ann", "ann", None], strict=True))


def test_every_reason_not_to_disassociate(connection: Connection[Any], tenant: Tenant, collection: Collection) -> None:
    stored = store(connection, tenant, *map(unit, range(3)))
    unknown = uuid4()
    create(connection, tenant, "ann", "bob")
    associate(connection, tenant, "ann", stored[:1])
    associate(connection, tenant, "bob", stored[1:2])
    outcome = users.disassociate(connection, tenant, "c", "ann", [stored[2], stored[1], unknown, stored[0]])
    assert outcome == users.Outcome(
        [stored[0]], [Refusal(stored[1], "other_user", user_id="bob"), Refusal(unknown, "not_found")], False
    )
    assert owners(connection, tenant) == dict(zip(stored, [None, "bob", None], strict=True))


def test_limits_change_nothing(connection: Connection[Any], tenant: Tenant, collection: Collection) -> None:
    stored = store(connection, tenant, *map(unit, range(5)))
    create(connection, tenant, "ann")
    with pytest.raises(TooManyUsers):
        users.create(connection, tenant, "c", "bob", 1)
    with pytest.raises(UserNotFound):
        users.get(connection, collection.id, "bob")
    limited = partial(users.associate, connection, tenant, "c", "ann")
    limited(stored[:2], -1.0, 3)
    before = collections.get(connection, tenant, "c")
    with pytest.raises(TooManyFacesOfUser):
        limited(stored[2:4], -1.0, 3)
    assert collections.get(connection, tenant, "c") == before
    assert limited(stored[1:3], -1.0, 3).changed == stored[2:3]
    assert limited(stored[:3], -1.0, 3).changed == [], "those it has need no room"
    with pytest.raises(TooManyFacesOfUser):
        limited(stored[4:], -1.0, 3)


def test_the_log_tells_each_change_of_a_vector_once(
    connection: Connection[Any], tenant: Tenant, collection: Collection
) -> None:
    stored = store(connection, tenant, *map(unit, range(3)))
    create(connection, tenant, "ann", "bob")
    associate(connection, tenant, "ann", stored[:2])
    associate(connection, tenant, "ann", stored[:2])
    users.disassociate(connection, tenant, "c", "ann", stored[:1])
    associate(connection, tenant, "bob", stored[2:])
    keys = [users.get(connection, collection.id, user_id).key for user_id in ("ann", "bob")]
    users.delete(connection, tenant, "c", "bob")
    log = changes.since(connection, collection.id, 3, 10)
    assert [(entry.version, entry.kind, entry.action, UUID(bytes=entry.id)) for entry in log] == [
        (4, "users", "replace", keys[0]),
        (5, "users", "replace", keys[0]),
        (6, "users", "replace", keys[1]),
        (7, "users", "delete", keys[1]),
    ]
    assert log[0].embedding is not None
    np.testing.assert_allclose(log[0].embedding, unit(1), atol=1e-6)
    assert log[2].embedding is None and log[3].embedding is None
    assert collections.get(connection, tenant, "c").version == 7
    assert users.by_keys(connection, collection.id, keys) == {
        keys[0]: users.KnownUser("ann", collection.face_model_version)
    }
    users.disassociate(connection, tenant, "c", "ann", stored)
    assert users.by_keys(connection, collection.id, keys) == {}


def test_deletion_frees_the_faces_which_can_then_be_deleted(
    connection: Connection[Any], tenant: Tenant, collection: Collection
) -> None:
    stored = store(connection, tenant, unit(1), unit(2))
    create(connection, tenant, "ann")
    associate(connection, tenant, "ann", stored)
    assert faces.delete(connection, tenant, "c", stored).failed == [
        faces.FailedDeletion(face_id, "ann", "has_user") for face_id in stored
    ]
    users.delete(connection, tenant, "c", "ann")
    assert set(owners(connection, tenant).values()) == {None}
    assert faces.delete(connection, tenant, "c", stored).deleted == stored


def test_a_deleted_collection_takes_its_users_along(
    connection: Connection[Any], tenant: Tenant, collection: Collection
) -> None:
    stored = store(connection, tenant, unit(1))
    create(connection, tenant, "ann", "bob")
    associate(connection, tenant, "ann", stored)
    collections.delete(connection, tenant, "c")
    with pytest.raises(CollectionNotFound):
        associate(connection, tenant, "ann", stored)
    while collections.purge_deleted(connection, 1):
        pass
    assert connection.execute("SELECT count(*) FROM users").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM collection_changes").fetchone() == (0,)


def test_a_face_wanted_by_two_users_goes_to_one(pool: Pool, tenant: Tenant, run_in_threads: Any) -> None:
    with pool.connection() as connection:
        collection = collections.create(connection, tenant, "c", "base-1")
        stored = store(connection, tenant, *map(unit, range(6)))
        create(connection, tenant, "ann", "bob")
    together = threading.Barrier(2)
    outcomes: dict[str, list[users.Outcome]] = {"ann": [], "bob": []}

    def want(user_id: str) -> None:
        for face_id in stored:
            together.wait(10)
            with pool.connection() as connection:
                outcomes[user_id].append(associate(connection, tenant, user_id, [face_id]))

    run_in_threads([partial(want, user_id) for user_id in outcomes])
    with pool.connection() as connection:
        owner = owners(connection, tenant)
        for face_id, ann, bob in zip(stored, outcomes["ann"], outcomes["bob"], strict=True):
            winner, loser = ("ann", bob) if ann.changed else ("bob", ann)
            assert (ann.changed, bob.changed) in (([face_id], []), ([], [face_id]))
            assert loser.refused == [Refusal(face_id, "other_user", user_id=winner)]
            assert owner[face_id] == winner
        for user_id in outcomes:
            mine = [unit(n) for n, face_id in enumerate(stored) if owner[face_id] == user_id]
            vector = vector_of(connection, collection, user_id)
            assert (vector is None) == (not mine)
            if mine:
                np.testing.assert_allclose(vector, np.asarray(users.mean(mine)), atol=1e-6)


def test_many_writers_leave_exact_counts_and_a_gapless_log(pool: Pool, tenant: Tenant, run_in_threads: Any) -> None:
    """Users come and go, and take and lose faces, from four threads; the log replayed gives the users with faces."""
    with pool.connection() as connection:
        collection = collections.create(connection, tenant, "c", "base-1")
        stored = store(connection, tenant, *map(unit, range(8)))

    def write(seed: int) -> None:
        dice = np.random.default_rng(seed)
        for _ in range(25):
            user_id, some = f"u{dice.integers(3)}", [stored[n] for n in dice.choice(8, 3, replace=False)]
            with suppress(UserExists, UserNotFound), pool.connection() as connection:
                match dice.choice(["create", "delete", "take", "leave"], p=[0.3, 0.1, 0.4, 0.2]):
                    case "create":
                        create(connection, tenant, user_id)
                    case "delete":
                        users.delete(connection, tenant, "c", user_id)
                    case "take":
                        associate(connection, tenant, user_id, some)
                    case "leave":
                        users.disassociate(connection, tenant, "c", user_id, some)

    run_in_threads([partial(write, seed) for seed in range(4)])
    with pool.connection() as connection:
        after = collections.get(connection, tenant, "c")
        log = changes.since(connection, collection.id, 0, 1000)
        listed = users.page(connection, collection.id, "", 1000)
        assert [entry.version for entry in log] == list(range(1, after.version + 1))
        assert after.user_count == len(listed)
        left: set[UUID] = set()
        for entry in log:
            if entry.kind == "users":
                (left.discard if entry.action == "delete" else left.add)(UUID(bytes=entry.id))
        known = users.by_keys(connection, collection.id, left)
        assert set(known) == left
        assert {user.user_id for user in known.values()} == {user.user_id for user in listed if user.has_faces}
        assert set(owners(connection, tenant).values()) - {None} == {u.user_id for u in listed if u.has_faces}


@pytest.mark.parametrize("error", [UserNotFound, CollectionNotFound])
def test_what_is_missing_is_told(
    connection: Connection[Any], tenant: Tenant, collection: Collection, error: type[StorageError]
) -> None:
    name = "c" if error is UserNotFound else "unknown"
    if error is CollectionNotFound:
        create(connection, tenant, "ann")
        with pytest.raises(error):
            users.create(connection, tenant, name, "ann", LIMIT)
    for work in (
        lambda: users.delete(connection, tenant, name, "ann"),
        lambda: users.associate(connection, tenant, name, "ann", [uuid4()], 0.0, LIMIT),
        lambda: users.disassociate(connection, tenant, name, "ann", [uuid4()]),
    ):
        with pytest.raises(error):
            work()
