"""Files that hold the indexes of a collection as of one version, so that a start need not read it from the database.

Layout: a header; of faces and then of users: ids uint8[N, 16], vectors float32[N, D] (little endian); their SHA-256.
A file that does not add up, or is of another format, is as good as none.
"""

import hashlib
import logging
import os
import struct
from dataclasses import dataclass
from io import BufferedReader, BufferedWriter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from storage.changes import Kind
from vectorindex.index import ID_BYTES, Ids, VectorIndex, Vectors, new

log = logging.getLogger(__name__)

# Magic and format number, collection, version, last entry's id; counts and dimensions of faces and users.
_HEADER = struct.Struct("<8sqq16sqiqi")
_MAGIC = b"rekvec\x00\x02"
_DIGEST_BYTES = 32
_BLOCK_ROWS = 65536


Indexes = dict[Kind, VectorIndex]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Indexes that hold a collection as of `version`; `last_id` is that of the log entry of that version."""

    version: int
    last_id: bytes
    indexes: Indexes


class _Corrupt(Exception):
    pass


def prepare(directory: Path, collection_id: int, snapshot: Snapshot) -> None:
    """Copy the indexes of a collection to a file beside its snapshot. Raises OSError.

    Nobody may update them meanwhile: they would be newer than their version.
    """
    faces, users = snapshot.indexes["faces"], snapshot.indexes["users"]
    with (
        open(_path(directory, collection_id, "part"), "wb") as file,
        faces.contents() as of_faces,
        users.contents() as of_users,
    ):
        _write(file, collection_id, snapshot, [of_faces, of_users])


def commit(directory: Path, collection_id: int) -> None:
    """Make the prepared file the snapshot; a crash leaves the old one or the new one. Raises OSError."""
    _sync(_path(directory, collection_id, "part"))
    _path(directory, collection_id, "part").replace(_path(directory, collection_id))
    _sync(directory)


def discard(directory: Path, collection_id: int) -> None:
    """Remove what `prepare` or `commit` left when they failed; the snapshot before stays."""
    _path(directory, collection_id, "part").unlink(missing_ok=True)


def discard_all(directory: Path) -> None:
    """Remove what a process that was killed left when it prepared snapshots: nobody would, of deleted collections."""
    for path in directory.glob("*.part"):
        path.unlink()


def read(directory: Path, collection_id: int, device: str = "cpu") -> Snapshot | None:
    """The snapshot of a collection, searched on `device`; None if there is none that can be used."""
    try:
        with open(_path(directory, collection_id), "rb") as file:
            return _read(file, collection_id, device)
    except FileNotFoundError:
        return None
    except (OSError, _Corrupt) as error:
        log.warning("ignoring the snapshot of collection %d: %s", collection_id, error)
        return None


def version(directory: Path, collection_id: int) -> int | None:
    """The version of the snapshot of a collection, from its header; None if there is none that can be used."""
    try:
        with open(_path(directory, collection_id), "rb") as file:
            magic, collection, found, *_ = _HEADER.unpack(file.read(_HEADER.size))
    except (OSError, struct.error):
        return None
    return int(found) if (magic, collection) == (_MAGIC, collection_id) else None


def remove(directory: Path, collection_id: int) -> None:
    """Remove the snapshot of a collection, if there is one."""
    _path(directory, collection_id).unlink(missing_ok=True)


def stored(directory: Path) -> set[int]:
    """The ids of the collections that have a snapshot."""
    return {int(path.stem) for path in directory.glob("*.vectors") if path.stem.isdecimal()}


def _path(directory: Path, collection_id: int, kind: str = "vectors") -> Path:
    return directory / f"{collection_id}.{kind}"


def _write(file: BufferedWriter, collection_id: int, snapshot: Snapshot, contents: list[tuple[Ids, Vectors]]) -> None:
    digest = hashlib.sha256()
    shapes = [length for _, vectors in contents for length in vectors.shape]
    parts: list[bytes | memoryview] = [_HEADER.pack(_MAGIC, collection_id, snapshot.version, snapshot.last_id, *shapes)]
    for ids, vectors in contents:
        parts += [_bytes_of(ids), _bytes_of(vectors.astype("<f4", copy=False))]
    for part in parts:
        digest.update(part)
        file.write(part)
    file.write(digest.digest())


def _read(file: BufferedReader, collection_id: int, device: str) -> Snapshot:
    digest = hashlib.sha256()

    def take(shape: tuple[int, ...], dtype: str) -> Any:
        block = np.empty(shape, dtype)
        view = _bytes_of(block)
        if file.readinto(view) != len(view):
            raise _Corrupt("it ends early")
        digest.update(view)
        return block

    header = take((_HEADER.size,), "u1").tobytes()
    magic, collection, version, last_id, *shapes = _HEADER.unpack(header)
    if magic != _MAGIC or collection != collection_id or min(version, *shapes) < 0:
        raise _Corrupt("it is of another collection or format")
    faces, users = shapes[:2], shapes[2:]
    size = _HEADER.size + sum(count * (ID_BYTES + 4 * dimension) for count, dimension in (faces, users)) + _DIGEST_BYTES
    if os.fstat(file.fileno()).st_size != size:
        raise _Corrupt("it has the wrong size")

    def index(count: int, dimension: int) -> VectorIndex:
        ids = take((count, ID_BYTES), "u1")
        index = new(device, count)
        for start in range(0, count, _BLOCK_ROWS):
            rows = slice(start, min(start + _BLOCK_ROWS, count))
            index.update(ids[:0], ids[rows], take((rows.stop - rows.start, dimension), "<f4"))
        return index

    indexes: Indexes = {"faces": index(*faces), "users": index(*users)}
    if file.read() != digest.digest():
        raise _Corrupt("its checksum is wrong")
    return Snapshot(version, last_id, indexes)


def _bytes_of(array: npt.NDArray[Any]) -> memoryview:
    """The memory of a contiguous array, which may be empty."""
    return array.reshape(-1).view(np.uint8).data


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
