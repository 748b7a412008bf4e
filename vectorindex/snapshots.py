"""Files that hold an index as of one version, so that a start need not read it all from the database.

Layout: a header, ids uint8[N, 16], vectors float32[N, D] (little endian), and the SHA-256 of all that.
A file that does not add up is as good as none.
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

from vectorindex.index import ID_BYTES, Ids, VectorIndex, Vectors

log = logging.getLogger(__name__)

# Magic and format number, collection, version, last face, count, dimension.
_HEADER = struct.Struct("<8sqq16sqi")
_MAGIC = b"rekvec\x00\x01"
_DIGEST_BYTES = 32
_BLOCK_ROWS = 65536


@dataclass(frozen=True, eq=False)
class Snapshot:
    """An index that holds a collection as of `version`; `last_face_id` is that of the log entry of that version."""

    version: int
    last_face_id: bytes
    index: VectorIndex


class _Corrupt(Exception):
    pass


def prepare(directory: Path, collection_id: int, snapshot: Snapshot) -> None:
    """Copy an index to a file beside the snapshot of its collection. Raises OSError.

    Nobody may update the index meanwhile: it would be newer than its version.
    """
    with open(_path(directory, collection_id, "part"), "wb") as file, snapshot.index.contents() as (ids, vectors):
        _write(file, collection_id, snapshot, ids, vectors)


def commit(directory: Path, collection_id: int) -> None:
    """Make the prepared file the snapshot; a crash leaves the old one or the new one. Raises OSError."""
    _sync(_path(directory, collection_id, "part"))
    _path(directory, collection_id, "part").replace(_path(directory, collection_id))
    _sync(directory)


def discard(directory: Path, collection_id: int) -> None:
    """Remove what `prepare` or `commit` left when they failed; the snapshot before stays."""
    _path(directory, collection_id, "part").unlink(missing_ok=True)


def read(directory: Path, collection_id: int) -> Snapshot | None:
    """The snapshot of a collection, None if there is none that can be used."""
    try:
        with open(_path(directory, collection_id), "rb") as file:
            return _read(file, collection_id)
    except FileNotFoundError:
        return None
    except (OSError, _Corrupt) as error:
        log.warning("ignoring the snapshot of collection %d: %s", collection_id, error)
        return None


def remove(directory: Path, collection_id: int) -> None:
    """Remove the snapshot of a collection, if there is one."""
    _path(directory, collection_id).unlink(missing_ok=True)


def stored(directory: Path) -> set[int]:
    """The ids of the collections that have a snapshot."""
    return {int(path.stem) for path in directory.glob("*.vectors") if path.stem.isdecimal()}


def _path(directory: Path, collection_id: int, kind: str = "vectors") -> Path:
    return directory / f"{collection_id}.{kind}"


def _write(file: BufferedWriter, collection_id: int, snapshot: Snapshot, ids: Ids, vectors: Vectors) -> None:
    digest = hashlib.sha256()
    header = _HEADER.pack(_MAGIC, collection_id, snapshot.version, snapshot.last_face_id, *vectors.shape)
    for part in (header, _bytes_of(ids), _bytes_of(vectors.astype("<f4", copy=False))):
        digest.update(part)
        file.write(part)
    file.write(digest.digest())


def _read(file: BufferedReader, collection_id: int) -> Snapshot:
    digest = hashlib.sha256()

    def take(shape: tuple[int, ...], dtype: str) -> Any:
        block = np.empty(shape, dtype)
        view = _bytes_of(block)
        if file.readinto(view) != len(view):
            raise _Corrupt("it ends early")
        digest.update(view)
        return block

    header = take((_HEADER.size,), "u1").tobytes()
    magic, collection, version, last_face_id, count, dimension = _HEADER.unpack(header)
    size = _HEADER.size + count * (ID_BYTES + 4 * dimension) + _DIGEST_BYTES
    if magic != _MAGIC or collection != collection_id or min(version, count, dimension) < 0:
        raise _Corrupt("it is not one of this collection")
    if os.fstat(file.fileno()).st_size != size:
        raise _Corrupt("it has the wrong size")
    ids = take((count, ID_BYTES), "u1")
    index = VectorIndex(count)
    for start in range(0, count, _BLOCK_ROWS):
        rows = slice(start, min(start + _BLOCK_ROWS, count))
        index.update(ids[:0], ids[rows], take((rows.stop - rows.start, dimension), "<f4"))
    if file.read() != digest.digest():
        raise _Corrupt("its checksum is wrong")
    return Snapshot(version, last_face_id, index)


def _bytes_of(array: npt.NDArray[Any]) -> memoryview:
    """The memory of a contiguous array, which may be empty."""
    return array.reshape(-1).view(np.uint8).data


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
