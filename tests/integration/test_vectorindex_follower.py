"""Indexes follow the database: two followers, driven with an oracle through writes, restarts, snapshots and trims."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from storage import changes, collections, faces, users
from storage.changes import Kind
from storage.collections import Collection
from storage.database import Pool, open_pool
from storage.errors import CollectionNotFound
from storage.faces import Box4, NewFace
from storage.tenant import Tenant
from vectorindex import follower as follower_module
from vectorindex import snapshots
from vectorindex.follower import Follower, OutOfStep
from vectorindex.index import VectorIndex

DIMENSION = 8
TENANT = Tenant("123456789012", "eu-central-1")
LIMIT = 1_000_000


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks, and the reasons for a snapshot, of a size that a few faces reach."""
    monkeypatch.setattr(follower_module, "_BLOCK_ROWS", 3)
    monkeypatch.setattr(follower_module, "_SNAPSHOT_CHANGES", 5)


def unit(seed: int, dimension: int = DIMENSION) -> Any:
    vector = np.random.default_rng(seed).standard_normal(dimension, dtype=np.float32)
    return vector / np.linalg.norm(vector)


def store(pool: Pool, name: str, *vectors: Any) -> list[UUID]:
    new = [NewFace(Box4(place * 0.1, 0.0, 0.1, 0.1), 99.0, vector) for place, vector in enumerate(vectors)]
    with pool.connection() as connection:
        return [face.face_id for face in faces.add(connection, TENANT, name, uuid4(), None, new, LIMIT)[1]]


def delete(pool: Pool, name: str, *face_ids: UUID) -> None:
    with pool.connection() as connection:
        assert faces.delete(connection, TENANT, name, face_ids).deleted == list(face_ids)


def version_of(pool: Pool, name: str) -> int:
    with pool.connection() as connection:
        return collections.get(connection, TENANT, name).version


def held(follower: Follower, collection_id: int, version: int, kind: Kind = "faces") -> dict[UUID, bytes]:
    indexes, reached = follower.at_least(collection_id, version)
    assert reached >= version
    with indexes[kind].contents() as (ids, vectors):
        found = {UUID(bytes=bytes(one)): bytes(vector) for one, vector in zip(ids, vectors, strict=True)}
    assert len(found) == len(ids), "nothing is held twice"
    return found


def test_what_is_held_is_given_without_asking_the_database(pool: Pool, tmp_path: Path) -> None:
    name, follower = str(uuid4()), Follower(pool, tmp_path)
    with pool.connection() as connection:
        collection = collections.create(connection, TENANT, name, "base-1")
    store(pool, name, unit(1))
    version = version_of(pool, name)
    assert follower.held(collection.id, 0) is None, "nobody has searched it yet"
    opened = follower.at_least(collection.id, version)
    assert follower.held(collection.id, version) == opened == follower.held(collection.id, 0)
    store(pool, name, unit(2))
    assert follower.held(collection.id, version + 1) is None
    assert follower.held(collection.id, version) == opened
    follower.at_least(collection.id, version + 1)
    newest = follower.held(collection.id, version + 1)
    assert newest is not None and newest[1] == version + 1 and len(newest[0]["faces"]) == 2


def mean(vectors: list[Any]) -> Any:
    total = np.sum(vectors, axis=0, dtype=np.float64)
    return total / np.linalg.norm(total)


class Followers(RuleBasedStateMachine):
    """Two followers with folders of their own, one collection, and what it holds: faces, and whose they are."""

    pool: Pool

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.followers = [self.start(side) for side in (0, 1)]
        self.faces: dict[UUID, Any] = {}
        self.owners: dict[UUID, str] = {}
        self.keys: dict[str, UUID] = {}
        self.name = str(uuid4())
        with self.pool.connection() as connection:
            self.collection = collections.create(connection, TENANT, self.name, "base-1")

    def start(self, side: int) -> Follower:
        return Follower(self.pool, Path(self.folder.name) / str(side))

    def teardown(self) -> None:
        with self.pool.connection() as connection:
            collections.delete(connection, TENANT, self.name)
        self.folder.cleanup()

    @rule(seeds=st.lists(st.integers(0, 5), min_size=1, max_size=7))
    def add(self, seeds: list[int]) -> None:
        vectors = [unit(seed) for seed in seeds]
        self.faces |= dict(zip(store(self.pool, self.name, *vectors), vectors, strict=True))

    @precondition(lambda self: self.faces)
    @rule(data=st.data())
    def delete(self, data: Any) -> None:
        chosen = data.draw(st.lists(st.sampled_from(list(self.faces)), min_size=1, max_size=5, unique=True))
        free = [face_id for face_id in chosen if face_id not in self.owners]
        delete(self.pool, self.name, *free)
        for face_id in free:
            del self.faces[face_id]

    @precondition(lambda self: self.faces)
    @rule(data=st.data(), user_id=st.sampled_from("abc"))
    def associate(self, data: Any, user_id: str) -> None:
        chosen = data.draw(st.lists(st.sampled_from(list(self.faces)), min_size=1, max_size=5, unique=True))
        with self.pool.connection() as connection:
            if user_id not in self.keys:
                users.create(connection, TENANT, self.name, user_id, LIMIT)
            users.associate(connection, TENANT, self.name, user_id, chosen, -1.0, LIMIT)
            self.keys[user_id] = users.get(connection, self.collection.id, user_id).key
        self.owners = dict.fromkeys(chosen, user_id) | self.owners

    @precondition(lambda self: self.owners)
    @rule(data=st.data())
    def disassociate(self, data: Any) -> None:
        user_id = data.draw(st.sampled_from(sorted(set(self.owners.values()))))
        chosen = data.draw(st.lists(st.sampled_from(list(self.faces)), min_size=1, max_size=5, unique=True))
        with self.pool.connection() as connection:
            users.disassociate(connection, TENANT, self.name, user_id, chosen)
        self.owners = {
            face_id: owner for face_id, owner in self.owners.items() if owner != user_id or face_id not in chosen
        }

    @precondition(lambda self: self.keys)
    @rule(data=st.data())
    def delete_user(self, data: Any) -> None:
        user_id = data.draw(st.sampled_from(sorted(self.keys)))
        with self.pool.connection() as connection:
            users.delete(connection, TENANT, self.name, user_id)
        del self.keys[user_id]
        self.owners = {face_id: owner for face_id, owner in self.owners.items() if owner != user_id}

    def expected_users(self) -> dict[UUID, Any]:
        return {
            self.keys[user_id]: mean(
                [self.faces[face_id] for face_id, owner in self.owners.items() if owner == user_id]
            )
            for user_id in set(self.owners.values())
        }

    @rule(
        side=st.sampled_from([0, 1]),
        kind=st.sampled_from(["faces", "users"]),
        seed=st.integers(0, 5),
        k=st.integers(1, 30),
        cut=st.floats(-1, 1),
    )
    def search(self, side: int, kind: Kind, seed: int, k: int, cut: float) -> None:
        indexes, _ = self.followers[side].at_least(self.collection.id, version_of(self.pool, self.name))
        ids, scores = indexes[kind].search(unit(seed), k, cut)
        vectors = self.faces if kind == "faces" else self.expected_users()
        cosines = {one: float(np.float64(vector) @ unit(seed)) for one, vector in vectors.items()}
        found = {UUID(bytes=bytes(one)): score for one, score in zip(ids, scores.tolist(), strict=True)}
        assert len(found) == len(ids)
        assert all(abs(cosines[one] - score) < 1e-6 for one, score in found.items())
        worst = scores[-1] if len(found) == k else cut
        assert all(cosines[one] < worst + 1e-6 for one in cosines.keys() - found.keys())

    @rule(side=st.sampled_from([0, 1]))
    def poll(self, side: int) -> None:
        self.followers[side].poll()

    @rule(side=st.sampled_from([0, 1]))
    def restart(self, side: int) -> None:
        self.followers[side] = self.start(side)

    @rule(side=st.sampled_from([0, 1]))
    def damage_the_snapshot(self, side: int) -> None:
        for path in (Path(self.folder.name) / str(side)).glob("*.vectors"):
            path.write_bytes(path.read_bytes()[:-1] + b"?")

    @rule(keep=st.integers(1, 4))
    def trim(self, keep: int) -> None:
        with self.pool.connection() as connection:
            while changes.trim(connection, keep, 100):
                pass

    @invariant()
    def one_of_them_is_checked_whole(self) -> None:
        expected = {face_id: bytes(vector) for face_id, vector in self.faces.items()}
        version = version_of(self.pool, self.name)
        assert held(self.followers[0], self.collection.id, version) == expected
        by_key = held(self.followers[0], self.collection.id, version, "users")
        expected_users = self.expected_users()
        assert by_key.keys() == expected_users.keys()
        for key, vector in expected_users.items():
            np.testing.assert_allclose(np.frombuffer(by_key[key], np.float32), vector, atol=1e-6)


def test_followers_agree_with_an_oracle(module_database_url: str) -> None:
    with open_pool(module_database_url, 4) as pool:
        machine = type("Machine", (Followers,), {"pool": pool})
        run_state_machine_as_test(machine, settings=settings(max_examples=25, stateful_step_count=25, deadline=None))


@pytest.fixture
def collection(pool: Pool) -> Collection:
    with pool.connection() as connection:
        return collections.create(connection, TENANT, "c", "base-1")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The collections that are read as a whole from the database."""
    seen: list[int] = []
    read_all = Follower._read_all

    def record(self: Follower, collection_id: int) -> Any:
        seen.append(collection_id)
        return read_all(self, collection_id)

    monkeypatch.setattr(Follower, "_read_all", record)
    return seen


def test_a_start_uses_the_snapshot_and_then_the_log(
    pool: Pool, collection: Collection, tmp_path: Path, reads: list[int]
) -> None:
    stored = store(pool, "c", *map(unit, range(8)))
    Follower(pool, tmp_path).poll()
    assert reads == [collection.id]
    assert snapshots.stored(tmp_path) == {collection.id}
    delete(pool, "c", *stored[:2])
    after = Follower(pool, tmp_path)
    assert set(held(after, collection.id, 10)) == set(stored[2:])
    assert reads == [collection.id], "no second full read"


def test_a_trimmed_log_leads_to_a_full_read(
    pool: Pool, collection: Collection, tmp_path: Path, reads: list[int]
) -> None:
    stored = store(pool, "c", *map(unit, range(8)))
    follower = Follower(pool, tmp_path)
    follower.poll()
    stored += store(pool, "c", *map(unit, range(8)))
    with pool.connection() as connection:
        changes.trim(connection, 5, 1000)
    for one in (follower, Follower(pool, tmp_path)):
        assert set(held(one, collection.id, 16)) == set(stored)
    assert len(reads) == 3


@pytest.mark.parametrize("catches_up", [False, True], ids=["behind", "overtaking"])
def test_a_database_restored_to_another_past_is_read_anew(
    pool: Pool, collection: Collection, tmp_path: Path, reads: list[int], catches_up: bool
) -> None:
    first = store(pool, "c", *map(unit, range(8)))
    running = Follower(pool, tmp_path / "running")
    running.poll()
    Follower(pool, tmp_path / "stopped").poll()
    with pool.connection() as connection:
        connection.execute("DELETE FROM collection_changes WHERE version > 6")
        connection.execute("DELETE FROM faces WHERE face_id = ANY(%s)", [first[6:]])
        connection.execute("UPDATE collections SET version = 6, face_count = 6")
    other = store(pool, "c", *map(unit, range(20, 24 if catches_up else 21)))
    running.poll()
    assert len(reads) == 3
    # The one that ran has a good snapshot by now, the one that was stopped has none.
    for name, reads_in_all in (("running", 3), ("stopped", 4)):
        started = Follower(pool, tmp_path / name)
        for follower in (running, started):
            assert set(held(follower, collection.id, version_of(pool, "c"))) == {*first[:6], *other}
        assert len(reads) == reads_in_all


def test_users_follow_from_the_snapshot_and_the_log(
    pool: Pool, collection: Collection, tmp_path: Path, reads: list[int]
) -> None:
    stored = store(pool, "c", *map(unit, range(8)))
    with pool.connection() as connection:
        for user_id, share in (("ann", stored[:3]), ("bob", stored[3:])):
            users.create(connection, TENANT, "c", user_id, LIMIT)
            users.associate(connection, TENANT, "c", user_id, share, -1.0, LIMIT)
        keys = {user_id: users.get(connection, collection.id, user_id).key for user_id in ("ann", "bob")}
    running = Follower(pool, tmp_path)
    running.poll()
    assert set(held(running, collection.id, 10, "users")) == set(keys.values())
    with pool.connection() as connection:
        users.delete(connection, TENANT, "c", "bob")
        users.disassociate(connection, TENANT, "c", "ann", stored[:1])
    for follower in (running, Follower(pool, tmp_path)):
        ((key, vector),) = held(follower, collection.id, 12, "users").items()
        assert key == keys["ann"]
        np.testing.assert_allclose(np.frombuffer(vector, np.float32), mean([unit(1), unit(2)]), atol=1e-6)
        assert set(held(follower, collection.id, 12)) == set(stored)
    assert len(reads) == 1


def test_a_user_is_found_at_every_moment_of_its_changes(
    pool: Pool, collection: Collection, two_followers: list[Follower], run_in_threads: Any
) -> None:
    """A search between two changes of a user's vector, while followers apply them, finds it."""
    stored = store(pool, "c", *map(unit, range(3)))
    with pool.connection() as connection:
        users.create(connection, TENANT, "c", "ann", LIMIT)
        users.associate(connection, TENANT, "c", "ann", stored[:1], -1.0, LIMIT)
        key = users.get(connection, collection.id, "ann").key
    done = threading.Event()

    def change() -> None:
        for _ in range(40):
            for work in (users.associate, users.disassociate):
                extra = (-1.0, LIMIT) if work is users.associate else ()
                with pool.connection() as connection:
                    work(connection, TENANT, "c", "ann", stored[1:], *extra)
        done.set()

    def search() -> None:
        while not done.is_set():
            indexes, _ = two_followers[0].at_least(collection.id, 4)
            ids, _ = indexes["users"].search(unit(0), 5, -1.0)
            assert list(map(bytes, ids)) == [key.bytes]

    run_in_threads([change, search])


def test_a_version_that_was_never_reached_is_an_error(pool: Pool, collection: Collection, tmp_path: Path) -> None:
    store(pool, "c", unit(1))
    with pytest.raises(OutOfStep):
        Follower(pool, tmp_path).at_least(collection.id, 2)


def test_deleted_collections_are_let_go_with_their_snapshots(
    pool: Pool, collection: Collection, tmp_path: Path
) -> None:
    store(pool, "c", *map(unit, range(8)))
    follower = Follower(pool, tmp_path)
    follower.poll()
    assert snapshots.stored(tmp_path) == {collection.id}
    with pool.connection() as connection:
        collections.delete(connection, TENANT, "c")
    stopped_meanwhile = Follower(pool, tmp_path / "other")
    snapshots.prepare(tmp_path / "other", collection.id, snapshots.Snapshot(1, bytes(16), follower.at_least(1, 0)[0]))
    snapshots.commit(tmp_path / "other", collection.id)
    for one in (follower, stopped_meanwhile):
        one.poll()
        with pytest.raises(CollectionNotFound):
            one.at_least(collection.id, 0)
    assert snapshots.stored(tmp_path) == snapshots.stored(tmp_path / "other") == set()
    assert not follower._followed


def test_a_collection_that_came_and_went_between_two_looks_is_let_go(pool: Pool, tmp_path: Path) -> None:
    follower = Follower(pool, tmp_path)
    follower.poll()
    with pool.connection() as connection:
        passing = collections.create(connection, TENANT, "c", "base-1")
    store(pool, "c", unit(1))
    follower.at_least(passing.id, 1)
    with pool.connection() as connection:
        collections.delete(connection, TENANT, "c")
    follower.poll()
    with pytest.raises(CollectionNotFound):
        follower.at_least(passing.id, 1)


def test_a_new_collection_of_a_deleted_name_starts_empty(pool: Pool, collection: Collection, tmp_path: Path) -> None:
    follower = Follower(pool, tmp_path)
    store(pool, "c", *map(unit, range(8)))
    follower.poll()
    with pool.connection() as connection:
        collections.delete(connection, TENANT, "c")
        new = collections.create(connection, TENANT, "c", "base-1")
    assert held(follower, new.id, 0) == {}
    stored = store(pool, "c", unit(1))
    assert list(held(follower, new.id, 1)) == stored


def test_an_empty_collection_stays_held(pool: Pool, collection: Collection, tmp_path: Path) -> None:
    follower = Follower(pool, tmp_path)
    assert held(follower, collection.id, 0) == {}
    follower.poll()
    assert set(follower._followed) == {collection.id}
    (stored,) = store(pool, "c", unit(1))
    delete(pool, "c", stored)
    follower.poll()
    assert held(follower, collection.id, 2) == {}


def test_collections_of_different_dimension_live_side_by_side(pool: Pool, tmp_path: Path) -> None:
    follower = Follower(pool, tmp_path)
    for dimension in (128, 512):
        with pool.connection() as connection:
            made = collections.create(connection, TENANT, str(dimension), "base-1")
        store(pool, made.name, *[unit(seed, dimension) for seed in range(6)])
        assert {len(vector) for vector in held(follower, made.id, 6).values()} == {4 * dimension}
    follower.poll()
    assert len(snapshots.stored(tmp_path)) == 2


def test_a_collection_that_cannot_be_followed_does_not_hold_up_others(
    pool: Pool, collection: Collection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pool.connection() as connection:
        good = collections.create(connection, TENANT, "good", "base-1")
    stored = store(pool, "good", *map(unit, range(5)))
    store(pool, "c", *map(unit, range(5)))
    with pool.connection() as connection:
        connection.execute(
            "UPDATE faces SET embedding = '{1, 0}' WHERE collection_id = %s AND seq ="
            " (SELECT max(seq) FROM faces WHERE collection_id = %s)",
            [collection.id, collection.id],
        )
    follower = Follower(pool, tmp_path)
    follower.poll()
    assert f"cannot follow collection {collection.id}" in caplog.text
    assert follower._followed[good.id].state is not None
    assert set(held(follower, good.id, 5)) == set(stored)


def test_a_full_disk_delays_the_snapshot_and_nothing_else(
    pool: Pool,
    collection: Collection,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(follower_module, "_SNAPSHOT_RETRY_SECONDS", 0.5, raising=False)
    stored = store(pool, "c", *map(unit, range(8)))
    follower = Follower(pool, tmp_path)
    (tmp_path / f"{collection.id}.part").symlink_to("/dev/full")
    follower.poll()
    assert "No space left on device" in caplog.text
    assert list(tmp_path.iterdir()) == [], "a part of a snapshot takes room"
    assert list(held(follower, collection.id, 8)) == sorted(stored, key=stored.index)
    follower.poll()
    assert snapshots.stored(tmp_path) == set(), "a large index would be written again and again"
    time.sleep(0.5)
    follower.poll()
    assert snapshots.stored(tmp_path) == {collection.id}


@pytest.fixture
def heads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many collections each poll that was not quiet went through."""
    seen: list[int] = []
    read = changes.heads

    def record(connection: Any) -> dict[int, int]:
        found = read(connection)
        seen.append(len(found))
        return found

    monkeypatch.setattr(changes, "heads", record)
    return seen


def test_a_poll_looks_at_collections_only_after_changes(
    pool: Pool, collection: Collection, tmp_path: Path, heads: list[int]
) -> None:
    follower = Follower(pool, tmp_path)
    stored = store(pool, "c", *map(unit, range(8)))
    all_changes: list[Callable[[], object]] = [
        lambda: None,
        lambda: store(pool, "c", unit(9)),
        lambda: delete(pool, "c", stored[0]),
        lambda: [make(pool, "other"), drop(pool, "c")],
    ]
    for number, change in enumerate(all_changes, 1):
        change()
        follower.poll()
        assert len(heads) == number
        follower.poll()
        follower.poll()
        assert len(heads) == number
    assert not follower._followed


def test_a_small_collection_is_opened_by_its_first_search(pool: Pool, collection: Collection, tmp_path: Path) -> None:
    stored = store(pool, "c", *map(unit, range(4)))
    follower = Follower(pool, tmp_path)
    follower.poll()
    assert not follower._followed
    assert set(held(follower, collection.id, 4)) == set(stored)
    (more,) = store(pool, "c", unit(5))
    follower.poll()
    state = follower._followed[collection.id].state
    assert state is not None and state.version == 5, "what is held is kept up to date"
    assert set(held(follower, collection.id, 5)) == {*stored, more}


def _held_bytes() -> int:
    index = VectorIndex(8)
    ids = np.arange(8 * 16, dtype=np.uint8).reshape(8, 16)
    index.update(ids[:0], ids, np.eye(8, DIMENSION, dtype=np.float32))
    return follower_module._OVERHEAD_BYTES + index.nbytes + VectorIndex().nbytes


# Of a collection of eight faces: what it takes, and what it is expected to take before it is opened.
BYTES = _held_bytes()
EXPECTED_BYTES = follower_module._OVERHEAD_BYTES + 8 * (16 + 4 * DIMENSION)


def make(pool: Pool, name: str) -> Collection:
    with pool.connection() as connection:
        return collections.create(connection, TENANT, name, "base-1")


def drop(pool: Pool, name: str) -> None:
    with pool.connection() as connection:
        collections.delete(connection, TENANT, name)


def eight(pool: Pool, *names: str) -> list[int]:
    """The ids of new collections of eight faces each, the last one changed last."""
    ids = [make(pool, name).id for name in names]
    for name in names:
        store(pool, name, *map(unit, range(8)))
    return ids


def test_the_least_recently_searched_collections_are_let_go_with_their_snapshots(
    pool: Pool, tmp_path: Path, reads: list[int]
) -> None:
    a, b, c = eight(pool, "a", "b", "c")
    follower = Follower(pool, tmp_path, memory_bytes=2 * BYTES)
    for one, then_held in ((a, {a}), (b, {a, b}), (a, {a, b}), (c, {a, c}), (b, {b, c}), (b, {b, c}), (c, {b, c})):
        assert len(held(follower, one, 8)) == 8
        assert set(follower._followed) == then_held
        assert follower._nbytes == BYTES * len(then_held)
    assert sorted(reads) == [a, b, c], "the second time, the snapshot was there"
    drop(pool, "a")
    drop(pool, "b")
    follower.poll()
    assert set(follower._followed) == {c} and follower._nbytes == BYTES
    assert snapshots.stored(tmp_path) <= {c}


def test_growth_makes_others_go(pool: Pool, tmp_path: Path) -> None:
    a, b = eight(pool, "a", "b")
    follower = Follower(pool, tmp_path, memory_bytes=2 * BYTES)
    held(follower, b, 8)
    held(follower, a, 8)
    store(pool, "a", *map(unit, range(8)))
    follower.poll()
    follower.poll()
    assert set(follower._followed) == {a}


def test_a_collection_larger_than_the_bound_is_served_alone(
    pool: Pool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = eight(pool, "a", "b")
    follower = Follower(pool, tmp_path, memory_bytes=EXPECTED_BYTES - 1)
    for one in (a, b, a):
        assert len(held(follower, one, 8)) == 8
        follower.poll()
        assert set(follower._followed) == {one}
    assert f"collection {a} takes {EXPECTED_BYTES} bytes, more than are to be held" in caplog.text


def test_opening_beforehand_ends_when_the_room_does(pool: Pool, tmp_path: Path) -> None:
    a, b, c, d = eight(pool, "a", "b", "c", "d")
    follower = Follower(pool, tmp_path, memory_bytes=3 * BYTES)
    held(follower, a, 8)
    follower.poll()
    assert set(follower._followed) == {a, d, c}, "the most recently changed, beside what was searched"
    held(follower, b, 8)
    assert set(follower._followed) == {a, b, d}
    store(pool, "d", unit(1))
    follower.poll()
    assert {a, b} <= set(follower._followed), "what was searched is not pushed out"


def test_collections_of_others_are_opened_when_searched_and_let_go_later(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, guest = eight(pool, "own", "guest")
    follower = Follower(pool, tmp_path, is_own=lambda collection_id: collection_id == own)
    follower.poll()
    assert set(follower._followed) == {own}
    assert len(held(follower, guest, 8)) == 8
    follower.poll()
    assert set(follower._followed) == {own, guest}
    monkeypatch.setattr(follower_module, "_GUEST_SECONDS", 0.0)
    follower.poll()
    assert set(follower._followed) == {own}
    assert len(held(follower, guest, 8)) == 8


def test_searches_are_right_while_collections_come_and_go(pool: Pool, tmp_path: Path, run_in_threads: Any) -> None:
    """More collections than there is room for, searched and written by all threads, while snapshots are written."""
    names = ["a", "b", "c", "d"]
    ids = dict(zip(names, eight(pool, *names), strict=True))
    follower = Follower(pool, tmp_path, memory_bytes=2 * BYTES + BYTES // 2)
    done = threading.Event()

    def work(seed: int) -> None:
        for step in range(40):
            name = names[(seed + step) % 4]
            (face_id,) = store(pool, name, unit(seed))
            assert face_id in held(follower, ids[name], version_of(pool, name))
            delete(pool, name, face_id)
            assert face_id not in held(follower, ids[name], version_of(pool, name))

    def poll() -> None:
        while not done.is_set():
            follower.poll()
            time.sleep(0.01)

    polling = threading.Thread(target=poll)
    polling.start()
    try:
        run_in_threads([lambda seed=seed: work(seed) for seed in range(20, 24)])
    finally:
        done.set()
        polling.join(10)
    assert follower._nbytes == sum(one.nbytes for one in follower._followed.values())
    follower.poll()
    assert len(follower._followed) <= 2


@pytest.fixture
def two_followers(pool: Pool, tmp_path: Path) -> Iterator[list[Follower]]:
    """Two followers that poll all the time."""
    both = [Follower(pool, tmp_path / side) for side in ("a", "b")]
    stop = threading.Event()

    def poll(follower: Follower) -> None:
        while not stop.wait(0.01):
            follower.poll()

    threads = [threading.Thread(target=poll, args=[follower]) for follower in both]
    for thread in threads:
        thread.start()
    yield both
    stop.set()
    for thread in threads:
        thread.join(10)


def test_no_search_misses_an_acknowledged_write(
    pool: Pool, collection: Collection, two_followers: list[Follower], run_in_threads: Any
) -> None:
    """Writers search on both sides right after each write, while others write and both sides poll and snapshot."""

    def write(seed: int) -> None:
        mine = unit(seed, 64)

        def sees(face_id: UUID, version: int) -> list[bool]:
            searches = [
                follower.at_least(collection.id, version)[0]["faces"].search(mine, 50, 0.99)
                for follower in two_followers
            ]
            return [face_id.bytes in map(bytes, ids) for ids, _ in searches]

        for _ in range(15):
            (face_id,) = store(pool, "c", mine)
            assert sees(face_id, version_of(pool, "c")) == [True, True]
            delete(pool, "c", face_id)
            assert sees(face_id, version_of(pool, "c")) == [False, False]

    run_in_threads([lambda seed=seed: write(seed) for seed in range(4)])
