"""What is deleted leaves the snapshots too, and what an index holds can be compared with the rows."""

import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import numpy as np
import pytest

from openrek.collection_checks import differences
from storage import collections, faces, users
from storage.database import Pool
from storage.errors import CollectionNotFound
from storage.faces import Box4, NewFace
from storage.tenant import Tenant
from vectorindex import contents, snapshots
from vectorindex import follower as follower_module
from vectorindex.follower import Follower

ERASE_SECONDS = 0.3


def unit(seed: int) -> Any:
    vector = np.random.default_rng(seed).standard_normal(16, dtype=np.float32)
    return vector / np.linalg.norm(vector)


def store(pool: Pool, tenant: Tenant, count: int) -> list[Any]:
    new = [NewFace(Box4(seed * 0.001, 0, 0.0005, 1), 99.0, unit(seed)) for seed in range(count)]
    with pool.connection() as connection:
        return faces.add(connection, tenant, "c", uuid4(), None, new, 10_000)[1]


def on_disk(folder: Path, vector: Any) -> bool:
    return any(vector.tobytes() in path.read_bytes() for path in folder.iterdir())


def test_deleted_faces_and_users_leave_the_snapshot_in_time(
    pool: Pool, tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "_SNAPSHOT_CHANGES", 40)
    with pool.connection() as connection:
        collections.create(connection, tenant, "c", "base-1")
    stored = store(pool, tenant, 50)
    with pool.connection() as connection:
        users.create(connection, tenant, "c", "ann", 10)
        users.associate(connection, tenant, "c", "ann", [stored[1].face_id, stored[2].face_id], -1.0, 100)
    of_user = users.mean([unit(1), unit(2)])
    follower = Follower(pool, tmp_path, erase_seconds=ERASE_SECONDS)
    follower.poll()
    assert all(on_disk(tmp_path, vector) for vector in (unit(0), unit(1), unit(40), of_user))
    with pool.connection() as connection:
        faces.delete(connection, tenant, "c", [stored[0].face_id])
        users.delete(connection, tenant, "c", "ann")
    written = next(tmp_path.iterdir()).stat().st_mtime_ns
    follower.poll()
    assert next(tmp_path.iterdir()).stat().st_mtime_ns == written, "a large snapshot is not written for each deletion"
    time.sleep(ERASE_SECONDS)
    follower.poll()
    assert not on_disk(tmp_path, unit(0)) and not on_disk(tmp_path, of_user)
    assert on_disk(tmp_path, unit(1)) and on_disk(tmp_path, unit(40))
    again = next(tmp_path.iterdir()).stat().st_mtime_ns
    time.sleep(ERASE_SECONDS)
    follower.poll()
    assert next(tmp_path.iterdir()).stat().st_mtime_ns == again


def test_a_follower_that_was_away_during_a_deletion_erases_too(
    pool: Pool, tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "_SNAPSHOT_CHANGES", 40)
    with pool.connection() as connection:
        collections.create(connection, tenant, "c", "base-1")
    stored = store(pool, tenant, 50)
    Follower(pool, tmp_path).poll()
    with pool.connection() as connection:
        faces.delete(connection, tenant, "c", [stored[0].face_id])
    assert on_disk(tmp_path, unit(0))
    Follower(pool, tmp_path, erase_seconds=0).poll()
    assert not on_disk(tmp_path, unit(0)) and on_disk(tmp_path, unit(1))
    with pool.connection() as connection:
        collections.delete(connection, tenant, "c")
    Follower(pool, tmp_path).poll()
    assert snapshots.stored(tmp_path) == set() and list(tmp_path.iterdir()) == []


def test_the_snapshot_of_a_collection_that_is_not_held_goes_when_something_was_deleted(
    pool: Pool, tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "_SNAPSHOT_CHANGES", 40)
    with pool.connection() as connection:
        collections.create(connection, tenant, "c", "base-1")
    stored = store(pool, tenant, 50)
    Follower(pool, tmp_path).poll()
    of_another = Follower(pool, tmp_path, is_own=lambda _: False)
    with pool.connection() as connection:
        faces.add(connection, tenant, "c", uuid4(), None, [NewFace(Box4(0.9, 0, 0.05, 1), 99.0, unit(77))], 10_000)
    of_another.poll()
    assert on_disk(tmp_path, unit(0)), "what was only added to can still be opened from it"
    with pool.connection() as connection:
        faces.delete(connection, tenant, "c", [stored[0].face_id])
    of_another.poll()
    assert list(tmp_path.iterdir()) == []


def test_contents_are_told_and_every_difference_is_found(pool: Pool, tenant: Tenant, tmp_path: Path) -> None:
    with pool.connection() as connection:
        made = collections.create(connection, tenant, "c", "base-1")
    stored = store(pool, tenant, 5)
    follower = Follower(pool, tmp_path)
    asked = msgspec.msgpack.encode(contents.Asked(made.id))
    told = msgspec.msgpack.decode(contents.answer(follower, asked), type=contents.Told)
    ids = np.stack([np.frombuffer(face.face_id.bytes, np.uint8) for face in stored])
    rows = ids, contents.digests(np.stack([unit(seed) for seed in range(5)]))
    held = (
        np.frombuffer(told.ids["faces"], np.uint8).reshape(-1, 16),
        np.frombuffer(told.digests["faces"], np.uint8).reshape(-1, 16),
    )
    assert told.version == 5 and told.ids["users"] == b""
    assert differences("faces", rows, held) == []
    fewer, other, twice = (
        (held[0][1:], held[1][1:]),
        rows[1].copy(),
        [np.concatenate([part, part[:1]]) for part in held],
    )
    other[2, 0] ^= 1
    names = [str(face.face_id) for face in stored]
    order = [bytes(one) for one in held[0]]
    first = names[[face.face_id.bytes for face in stored].index(order[0])]
    assert differences("faces", rows, fewer) == [f"faces: the index lacks {first}"]
    assert differences("faces", fewer, held) == [f"faces: the index has {first}, which is not stored"]
    assert differences("faces", rows, (twice[0], twice[1])) == [f"faces: the index has {first} more than once"]
    assert differences("faces", (ids, other), held) == [f"faces: the index has another vector of {names[2]}"]
    with pytest.raises(CollectionNotFound):
        contents.answer(follower, msgspec.msgpack.encode(contents.Asked(made.id + 1)))
