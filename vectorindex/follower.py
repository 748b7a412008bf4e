"""Keeps indexes in memory in step with the collections in the database.

A collection has an index of its faces and one of its users, both of one version. They are opened from a snapshot or,
failing that, from all rows as of one version; after that the change log brings them from version to version. The
newest entry that they hold must be in the log they follow: if the log was trimmed past it, or the database restored to
another past, they are opened anew.
"""

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from storage import changes
from storage.changes import Change
from storage.database import Pool
from storage.errors import CollectionNotFound, DatabaseUnavailable
from vectorindex import snapshots
from vectorindex.index import ID_BYTES, Ids, VectorIndex
from vectorindex.snapshots import Indexes, Snapshot

log = logging.getLogger(__name__)

# Changes applied, and faces read, at a time.
_BLOCK_ROWS = 4096
# Fewer changes are not worth a snapshot: the database gives them back in no time.
_SNAPSHOT_CHANGES = 1000
# A snapshot is written when at least this part of the vectors changed since the last one.
_SNAPSHOT_SHARE = 0.1
# After one that failed, on a full disk for instance: a large index is not to be written again and again.
_SNAPSHOT_RETRY_SECONDS = 60.0


class OutOfStep(Exception):
    """The database has not reached a version that was asked for."""


@dataclass
class _Followed:
    """One collection. The lock is held to change it; `state` is replaced as a whole and may be read without."""

    collection_id: int
    lock: threading.Lock = field(default_factory=threading.Lock)
    state: Snapshot | None = None
    saved_version: int = 0
    erase_at: float = float("inf")  # on the monotonic clock: when the snapshot is to lose what was deleted
    save_from: float = 0.0  # on the monotonic clock


class Follower:
    """The indexes of all collections. Thread safe."""

    def __init__(self, pool: Pool, snapshot_dir: Path, erase_seconds: float = 60.0) -> None:
        """`snapshot_dir` belongs to this follower alone; it is made if need be. What was deleted from a collection is
        gone from its snapshot `erase_seconds` later."""
        self._pool = pool
        self._erase_seconds = erase_seconds
        self._snapshot_dir = snapshot_dir
        self._followed: dict[int, _Followed] = {}
        self._lock = threading.Lock()
        snapshot_dir.mkdir(parents=True, exist_ok=True)

    def at_least(self, collection_id: int, version: int) -> tuple[Indexes, int]:
        """The indexes of a collection with all changes up to `version`, and the version they have.

        Raises CollectionNotFound if the collection is deleted and not held any more, OutOfStep if it never had that
        version, DatabaseUnavailable.
        """
        followed = self._follow(collection_id)
        state = followed.state
        if state is None or state.version < version:
            with followed.lock:
                state = followed.state
                if state is None or state.version < version:
                    state = self._catch_up(followed)
        if state.version < version:
            raise OutOfStep(f"collection {collection_id} is at version {state.version}, not {version}")
        return state.indexes, state.version

    @contextmanager
    def unchanged(self, collection_id: int) -> Iterator[Snapshot]:
        """A collection at the newest version, which stays as it is inside the `with` block.

        Raises CollectionNotFound, DatabaseUnavailable.
        """
        followed = self._follow(collection_id)
        with followed.lock:
            yield self._catch_up(followed)

    def poll(self) -> None:
        """Bring every live collection up to date, most recently changed first, and let go of deleted ones.

        What fails for one collection is logged and does not hold up the others. Raises DatabaseUnavailable.
        """
        with self._pool.connection() as connection:
            heads = changes.heads(connection)
        for collection_id, version in heads.items():
            # Without faces there is nothing to hold before it is asked for.
            if version > 0:
                self._bring_to(collection_id, version)
        for collection_id in self._held() - heads.keys():
            self._forget_if_deleted(collection_id)

    def _bring_to(self, collection_id: int, version: int) -> None:
        followed = self._follow(collection_id)
        try:
            with followed.lock:
                # A version that is not the database's, even a higher one, may be of another past.
                if followed.state is None or followed.state.version != version:
                    self._catch_up(followed)
            self._save_if_due(followed)
        except DatabaseUnavailable:
            raise
        except CollectionNotFound:
            pass
        except Exception:
            log.exception("cannot follow collection %d", collection_id)

    def _follow(self, collection_id: int) -> _Followed:
        with self._lock:
            return self._followed.setdefault(collection_id, _Followed(collection_id))

    def _held(self) -> set[int]:
        with self._lock:
            return set(self._followed) | snapshots.stored(self._snapshot_dir)

    def _forget(self, collection_id: int) -> None:
        with self._lock:
            self._followed.pop(collection_id, None)
        snapshots.remove(self._snapshot_dir, collection_id)
        snapshots.discard(self._snapshot_dir, collection_id)

    def _forget_if_deleted(self, collection_id: int) -> None:
        """Forget a collection that was not among the live ones with faces: it may be empty, or newer than that list."""
        try:
            with self._pool.connection() as connection:
                changes.head(connection, collection_id)
        except CollectionNotFound:
            self._forget(collection_id)

    def _catch_up(self, followed: _Followed) -> Snapshot:
        """Bring one collection, whose lock is held, to the newest version."""
        try:
            if followed.state is None:
                followed.state = snapshots.read(self._snapshot_dir, followed.collection_id)
                followed.saved_version = followed.state.version if followed.state else 0
            if followed.state is None or not self._apply_log(followed, followed.state):
                # Let go of the old indexes first: both may not fit. Their snapshot is of no use either.
                followed.state, followed.saved_version, followed.erase_at = None, 0, float("inf")
                snapshots.remove(self._snapshot_dir, followed.collection_id)
                followed.state = self._read_all(followed.collection_id)
        except CollectionNotFound:
            self._forget(followed.collection_id)
            raise
        return followed.state

    def _apply_log(self, followed: _Followed, state: Snapshot) -> bool:
        """Apply the log to the state; False if the log does not go on where the state ends."""
        while True:
            with self._pool.connection() as connection:
                head = changes.head(connection, followed.collection_id)
                # The entry of our own version comes first, to see that the log is the one we followed.
                entries = changes.since(connection, followed.collection_id, max(state.version - 1, 0), _BLOCK_ROWS)
            if state.version:
                if not entries or (entries[0].version, entries[0].id) != (state.version, state.last_id):
                    return False
                entries = entries[1:]
            if not entries:
                return head == state.version
            if entries[0].version != state.version + 1:
                return False
            # Should applying them fail halfway, the indexes are of no version.
            followed.state = None
            for kind, index in state.indexes.items():
                _apply(index, [entry for entry in entries if entry.kind == kind])
            followed.state = state = Snapshot(entries[-1].version, entries[-1].id, state.indexes)
            if any(entry.action != "add" for entry in entries):
                followed.erase_at = min(followed.erase_at, time.monotonic() + self._erase_seconds)
            if state.version >= head:
                return True

    def _read_all(self, collection_id: int) -> Snapshot:
        with (
            self._pool.connection() as connection,
            changes.gallery(connection, collection_id, _BLOCK_ROWS) as gallery,
        ):
            indexes: Indexes = {"faces": VectorIndex(gallery.face_count), "users": VectorIndex()}
            for kind, blocks in gallery.blocks.items():
                for block in blocks:
                    indexes[kind].update(block.ids[:0], block.ids, block.embeddings)
        log.info("read %d vectors of collection %d at version %d", _size(indexes), collection_id, gallery.version)
        return Snapshot(gallery.version, gallery.last_id or bytes(ID_BYTES), indexes)

    def _save_if_due(self, followed: _Followed) -> None:
        state = followed.state
        if state is None or time.monotonic() < followed.save_from:
            return
        changed = state.version - followed.saved_version
        is_small = changed < max(_SNAPSHOT_CHANGES, _size(state.indexes) * _SNAPSHOT_SHARE)
        holds_deleted = followed.saved_version > 0 and time.monotonic() >= followed.erase_at
        if is_small and not holds_deleted:
            return
        try:
            self._save(followed)
        except OSError as error:
            log.warning("cannot write the snapshot of collection %d: %s", followed.collection_id, error)
            snapshots.discard(self._snapshot_dir, followed.collection_id)
            followed.erase_at = 0.0
            followed.save_from = time.monotonic() + _SNAPSHOT_RETRY_SECONDS

    def _save(self, followed: _Followed) -> None:
        with followed.lock:
            state = followed.state
            if state is None:
                return
            followed.erase_at = float("inf")
            snapshots.prepare(self._snapshot_dir, followed.collection_id, state)
        # Searches need not wait for the disk.
        snapshots.commit(self._snapshot_dir, followed.collection_id)
        followed.saved_version = state.version


def _apply(index: VectorIndex, entries: list[Change]) -> None:
    """Apply log entries of one kind at once: of each face or user only its last entry counts."""
    removed = {entry.id for entry in entries if entry.action != "add"}
    last = {entry.id: entry for entry in entries}
    # What was added without having an embedding was deleted since: its deletion is still to come.
    present = {
        one: entry.embedding for one, entry in last.items() if entry.action != "delete" and entry.embedding is not None
    }
    vectors = np.stack(list(present.values())) if present else np.empty((0, 0), np.float32)
    index.update(_ids(removed), _ids(present), vectors)


def _ids(ids: Iterable[bytes]) -> Ids:
    return np.frombuffer(b"".join(ids), np.uint8).reshape(-1, ID_BYTES)


def _size(indexes: Indexes) -> int:
    return sum(map(len, indexes.values()))
