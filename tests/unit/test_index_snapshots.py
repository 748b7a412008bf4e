import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vectorindex import snapshots
from vectorindex.index import VectorIndex
from vectorindex.snapshots import Snapshot

NONE = np.empty((0, 16), np.uint8)
LAST = bytes(range(16))


def index_of(count: int, dimension: int) -> VectorIndex:
    dice = np.random.default_rng(count)
    index = VectorIndex()
    index.update(NONE, dice.integers(0, 256, (count, 16), np.uint8), dice.random((count, dimension), np.float32))
    return index


def write(
    directory: Path, collection_id: int, version: int, faces: VectorIndex, users: VectorIndex | None = None
) -> None:
    snapshots.prepare(directory, collection_id, snapshot_of(version, faces, users))
    snapshots.commit(directory, collection_id)


def snapshot_of(version: int, faces: VectorIndex, users: VectorIndex | None = None) -> Snapshot:
    return Snapshot(version, LAST, {"faces": faces, "users": users or VectorIndex()})


def contents(index: VectorIndex) -> Any:
    with index.contents() as (ids, vectors):
        return sorted(zip(map(bytes, ids), map(bytes, vectors), strict=True))


@pytest.mark.parametrize(("count", "dimension"), [(0, 0), (1, 1), (5, 128), (70_000, 4)])
def test_what_was_written_is_read(tmp_path: Path, count: int, dimension: int) -> None:
    faces, users = index_of(count, dimension), index_of(count // 2, dimension)
    write(tmp_path, 7, 42, faces, users)
    snapshot = snapshots.read(tmp_path, 7)
    assert snapshot is not None
    assert (snapshot.version, snapshot.last_id) == (42, LAST)
    assert contents(snapshot.indexes["faces"]) == contents(faces)
    assert contents(snapshot.indexes["users"]) == contents(users)
    assert snapshot.indexes["faces"].dimension == (dimension or None)


def test_one_of_the_format_before_there_were_users_is_ignored(tmp_path: Path) -> None:
    header = struct.pack("<8sqq16sqi", b"rekvec\x00\x01", 7, 1, LAST, 0, 0)
    (tmp_path / "7.vectors").write_bytes(header + hashlib.sha256(header).digest())
    assert snapshots.read(tmp_path, 7) is None


def test_an_emptied_index_can_be_written(tmp_path: Path) -> None:
    index = index_of(3, 8)
    with index.contents() as (ids, _):
        every = ids.copy()
    index.update(every, NONE, np.empty((0, 8), np.float32))
    write(tmp_path, 7, 1, index)
    snapshot = snapshots.read(tmp_path, 7)
    assert snapshot is not None
    assert len(snapshot.indexes["faces"]) == 0


def test_there_may_be_none(tmp_path: Path) -> None:
    assert snapshots.read(tmp_path, 7) is None
    snapshots.remove(tmp_path, 7)


def test_snapshots_are_listed_and_removed(tmp_path: Path) -> None:
    write(tmp_path, 7, 1, index_of(1, 1))
    write(tmp_path, 12, 1, index_of(1, 1))
    (tmp_path / "note.vectors").write_text("")
    snapshots.prepare(tmp_path, 99, snapshot_of(1, index_of(1, 1)))
    assert snapshots.stored(tmp_path) == {7, 12}
    snapshots.remove(tmp_path, 7)
    assert snapshots.stored(tmp_path) == {12}


def test_any_damaged_byte_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, 7, 1, index_of(2, 3), index_of(1, 3))
    path = tmp_path / "7.vectors"
    good = path.read_bytes()
    for position in range(len(good)):
        path.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        assert snapshots.read(tmp_path, 7) is None, position
    for size in range(len(good)):
        path.write_bytes(good[:size])
        assert snapshots.read(tmp_path, 7) is None, size
    path.write_bytes(good + b"\0")
    assert snapshots.read(tmp_path, 7) is None
    path.write_bytes(good)
    assert snapshots.read(tmp_path, 7) is not None


def test_a_snapshot_of_another_collection_is_ignored(tmp_path: Path) -> None:
    write(tmp_path, 7, 1, index_of(2, 3))
    (tmp_path / "7.vectors").rename(tmp_path / "8.vectors")
    assert snapshots.read(tmp_path, 8) is None


def test_a_crash_before_the_commit_leaves_the_old_one(tmp_path: Path) -> None:
    old = index_of(2, 3)
    write(tmp_path, 7, 1, old)
    snapshots.prepare(tmp_path, 7, snapshot_of(2, index_of(9, 3)))
    snapshot = snapshots.read(tmp_path, 7)
    assert snapshot is not None
    assert (snapshot.version, contents(snapshot.indexes["faces"])) == (1, contents(old))
