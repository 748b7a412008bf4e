import threading
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from psycopg import Connection

from storage import changes, collections, faces
from storage.database import Pool
from storage.errors import CollectionNotFound
from storage.faces import Box4, NewFace
from storage.tenant import Tenant


def store(connection: Connection[Any], tenant: Tenant, seed: int, name: str = "c") -> UUID:
    vector = np.random.default_rng(seed).standard_normal(16, dtype=np.float32)
    new = NewFace(Box4(0.1, 0.1, 0.1, 0.1), 99.0, vector / np.linalg.norm(vector))
    return faces.add(connection, tenant, name, uuid4(), None, [new], 1000)[1][0].face_id


def test_log_tells_every_change_in_order(connection: Connection[Any], tenant: Tenant) -> None:
    collection = collections.create(connection, tenant, "c", "base-1")
    first, second = store(connection, tenant, 1), store(connection, tenant, 2)
    faces.delete(connection, tenant, "c", [first])
    log = changes.since(connection, collection.id, 0, 10)
    assert [(change.version, change.kind, change.action, UUID(bytes=change.id)) for change in log] == [
        (1, "faces", "add", first),
        (2, "faces", "add", second),
        (3, "faces", "delete", first),
    ]
    assert log[0].embedding is None, "the face is gone since"
    np.testing.assert_array_equal(log[1].embedding, faces.get_embedding(connection, tenant, "c", second)[1])
    assert log[2].embedding is None
    assert [change.version for change in changes.since(connection, collection.id, 1, 1)] == [2]
    assert changes.head(connection, collection.id) == 3


def test_heads_are_those_of_live_collections_latest_first(connection: Connection[Any], tenant: Tenant) -> None:
    ids = {name: collections.create(connection, tenant, name, "base-1").id for name in ("a", "b", "c", "empty", "gone")}
    for name in ("c", "a", "b", "gone", "a"):
        store(connection, tenant, 1, name)
    collections.delete(connection, tenant, "gone")
    assert list(changes.heads(connection).items()) == [
        (ids["a"], 2),
        (ids["b"], 1),
        (ids["c"], 1),
        (ids["empty"], 0),
    ]
    for missing in (ids["gone"], 10**12):
        with pytest.raises(CollectionNotFound):
            changes.head(connection, missing)


def test_gallery_is_one_version_while_others_write(pool: Pool, tenant: Tenant) -> None:
    with pool.connection() as connection:
        collection = collections.create(connection, tenant, "c", "base-1")
        expected = {store(connection, tenant, seed) for seed in range(7)}
    with pool.connection() as reader, changes.gallery(reader, collection.id, block_rows=3) as gallery:
        with pool.connection() as writer:
            last = max(changes.since(writer, collection.id, 0, 10), key=lambda change: change.version)
            store(writer, tenant, 99)
            faces.delete(writer, tenant, "c", [next(iter(expected))])
        blocks = list(gallery.blocks["faces"])
    assert [len(block.ids) for block in blocks] == [3, 3, 1]
    assert {UUID(bytes=row.tobytes()) for block in blocks for row in block.ids} == expected
    assert all(block.embeddings.shape == (len(block.ids), 16) for block in blocks)
    assert (gallery.version, gallery.last_id, gallery.face_count, gallery.dimension) == (7, last.id, 7, 16)


def test_gallery_is_of_the_version_it_tells(
    pool: Pool, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, run_in_threads: Any
) -> None:
    """A write that commits between reading the version and reading the faces must not be seen."""
    with pool.connection() as connection:
        collection = collections.create(connection, tenant, "c", "base-1")
        store(connection, tenant, 1)
    reading = threading.Event()
    paused = f"SELECT state.* FROM ({changes._SQL['state'].rstrip(';')}) AS state, pg_sleep(0.5)"
    monkeypatch.setattr(changes, "_SQL", changes._SQL | {"state": paused})

    def read() -> None:
        with pool.connection() as connection:
            reading.set()
            with changes.gallery(connection, collection.id, 10) as gallery:
                assert sum(len(block.ids) for block in gallery.blocks["faces"]) == gallery.face_count == gallery.version

    def write() -> None:
        reading.wait(10)
        for seed in range(2, 30):
            with pool.connection() as connection:
                store(connection, tenant, seed)

    run_in_threads([read, write])


def test_gallery_of_an_empty_and_of_a_deleted_collection(pool: Pool, tenant: Tenant) -> None:
    with pool.connection() as connection:
        collection = collections.create(connection, tenant, "c", "base-1")
    with pool.connection() as connection, changes.gallery(connection, collection.id, 3) as gallery:
        assert (gallery.version, gallery.last_id, gallery.dimension) == (0, None, None)
        assert list(gallery.blocks["faces"]) == []
    with pool.connection() as connection:
        collections.delete(connection, tenant, "c")
    with (
        pytest.raises(CollectionNotFound),
        pool.connection() as connection,
        changes.gallery(connection, collection.id, 3),
    ):
        pass


def test_trimming_keeps_the_newest_entries_and_no_gaps(connection: Connection[Any], tenant: Tenant) -> None:
    ids = [collections.create(connection, tenant, name, "base-1").id for name in ("long", "short")]
    for seed in range(9):
        store(connection, tenant, seed, "long")
    store(connection, tenant, 1, "short")
    assert changes.trim(connection, keep=4, batch=3) == 3
    assert [change.version for change in changes.since(connection, ids[0], 0, 10)] == [4, 5, 6, 7, 8, 9]
    assert changes.trim(connection, keep=4, batch=3) == 2
    assert changes.trim(connection, keep=4, batch=3) == 0
    assert [change.version for change in changes.since(connection, ids[0], 0, 10)] == [6, 7, 8, 9]
    assert [change.version for change in changes.since(connection, ids[1], 0, 10)] == [1]
    with pytest.raises(ValueError, match="newest"):
        changes.trim(connection, keep=0, batch=3)
