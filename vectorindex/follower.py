"""Keeps indexes in memory in step with the collections in the database.

A collection has an index of its faces and one of its users, both of one version. They are opened from a snapshot or,
failing that, from all rows as of one version; after that the change log brings them from version to version. The
newest entry that they hold must be in the log they follow: if the log was trimmed past it, or the database restored to
another past, they are opened anew.

What is held is bounded: collections searched least recently are let go. In the background only those are opened that
are this server's own and large enough for somebody to wait for; any other is opened by the first search of it.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from storage import changes
from storage.changes import Change
from storage.database import Pool
from storage.errors import CollectionNotFound, DatabaseUnavailable
from vectorindex import snapshots
from vectorindex.index import COPY_FROM_BYTES, ID_BYTES, Ids, VectorIndex, new
from vectorindex.snapshots import Indexes, Snapshot

log = logging.getLogger(__name__)

# Changes applied, and faces read, at a time.
_BLOCK_ROWS = 4096
# Fewer changes are not worth a snapshot, nor to be opened beforehand: the database gives them back in no time.
_SNAPSHOT_CHANGES = 1000
# A snapshot is written when at least this part of the vectors changed since the last one.
_SNAPSHOT_SHARE = 0.1
# After one that failed, on a full disk for instance: a large index is not to be written again and again.
_SNAPSHOT_RETRY_SECONDS = 60.0
# A collection of another server's, opened while that was away, is let go when it was not searched for so long.
_GUEST_SECONDS = 600.0
# What a collection takes beside its vectors, in bytes.
_OVERHEAD_BYTES = 5000


class OutOfStep(Exception):
    """The database has not reached a version that was asked for."""


@dataclass
class _Followed:
    """One collection. The lock is held to change it; `state` is replaced as a whole and may be read without.

    Times are those of the monotonic clock.
    """

    collection_id: int
    is_own: bool
    lock: threading.Lock = field(default_factory=threading.Lock)
    state: Snapshot | None = None
    nbytes: int = 0
    searched_at: float = field(default_factory=time.monotonic)
    saved_version: int = 0
    erase_at: float = float("inf")  # when the snapshot is to lose what was deleted
    save_from: float = 0.0


class Follower:
    """The indexes of collections. Thread safe."""

    def __init__(
        self,
        pool: Pool,
        snapshot_dir: Path,
        is_own: Callable[[int], bool] = lambda _: True,
        memory_bytes: int | None = None,
        erase_seconds: float = 60.0,
        device: str = "cpu",
    ) -> None:
        """`snapshot_dir` belongs to this follower alone; it is made if need be.

        `is_own` tells of a collection's id whether it is to be held also when nobody searches. What is held takes at
        most about `memory_bytes`, or one collection if that is larger; searches under way may need more. What was
        deleted from a collection is gone from its snapshot `erase_seconds` later. Searches run on `device`, see
        `index.new`.
        """
        self._pool = pool
        self._erase_seconds = erase_seconds
        self._device = device
        self._snapshot_dir = snapshot_dir
        self._is_own = is_own
        self._memory_bytes = memory_bytes
        # Least recently searched first.
        self._followed: OrderedDict[int, _Followed] = OrderedDict()
        self._nbytes = 0
        self._lock = threading.Lock()
        # Taken before a collection's lock.
        self._saving = threading.Lock()
        self._settled_pulse: object = None
        # Counts what searches opened: a collection that came and went between two looks leaves the pulse as it was.
        self._opened = 0
        snapshot_dir.mkdir(parents=True, exist_ok=True)
        snapshots.discard_all(snapshot_dir)

    def at_least(self, collection_id: int, version: int) -> tuple[Indexes, int]:
        """The indexes of a collection with all changes up to `version`, and the version they have.

        Raises CollectionNotFound if the collection is deleted and not held any more, OutOfStep if it never had that
        version, DatabaseUnavailable.
        """
        state = None
        while state is None:
            followed = self._searched(collection_id)
            state = followed.state
            if state is None:
                self._make_room_for(collection_id)
            if state is None or state.version < version:
                state = self._brought_to(followed, version)
        if state.version < version:
            raise OutOfStep(f"collection {collection_id} is at version {state.version}, not {version}")
        return state.indexes, state.version

    def held(self, collection_id: int, version: int) -> tuple[Indexes, int] | None:
        """What `at_least` gives where that waits for nothing, else None."""
        followed = self._followed.get(collection_id)
        state = followed.state if followed else None
        if state is None or state.version < version:
            return None
        self._searched(collection_id)
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
        """Bring what is held up to date, open what is to be held, and let go of what is not.

        The most recently changed collections come first. What fails for one collection is logged and does not hold up
        the others. Raises DatabaseUnavailable.
        """
        self._count_copies()
        self._erase_in_time()
        self._let_guests_go()
        self._make_room(0)
        with self._pool.connection() as connection:
            pulse = self._opened, changes.pulse(connection)
            if pulse == self._settled_pulse:
                return
            heads = changes.heads(connection)
        has_settled = True
        for collection_id in self._wanted(heads):
            has_settled &= self._bring_to(collection_id, heads[collection_id])
        self._forget_deleted(heads)
        self._erase_stale_snapshots(heads)
        self._settled_pulse = pulse if has_settled else None

    def _wanted(self, heads: dict[int, int]) -> Iterator[int]:
        """The held collections that something is to be done for, and those to be held as long as there is room."""
        has_room = True
        for collection_id, version in heads.items():
            followed = self._followed.get(collection_id)
            state = followed.state if followed else None
            if followed and state:
                if state.version != version or _is_due(followed, state):
                    yield collection_id
            elif has_room and version >= _SNAPSHOT_CHANGES and self._is_own(collection_id):
                has_room = self._has_room_for(collection_id)
                if has_room:
                    yield collection_id

    def _bring_to(self, collection_id: int, version: int) -> bool:
        """Bring a collection to a version; False if that, or its snapshot, is to be tried again."""
        followed = self._follow(collection_id)
        try:
            with followed.lock:
                # A version that is not the database's, even a higher one, may be of another past.
                if followed.state is None or followed.state.version != version:
                    self._catch_up(followed)
            return self._save_if_due(followed)
        except DatabaseUnavailable:
            raise
        except CollectionNotFound:
            return True
        except Exception:
            log.exception("cannot follow collection %d", collection_id)
            return False

    def _brought_to(self, followed: _Followed, version: int) -> Snapshot | None:
        """The state of a collection, brought to the newest version if need be; None if it was let go meanwhile."""
        with followed.lock:
            if self._followed.get(followed.collection_id) is not followed:
                return None
            state = followed.state
            return self._catch_up(followed) if state is None or state.version < version else state

    def _searched(self, collection_id: int) -> _Followed:
        if collection_id not in self._followed:
            self._opened += 1
        followed = self._follow(collection_id)
        followed.searched_at = time.monotonic()
        with self._lock:
            if collection_id in self._followed:
                self._followed.move_to_end(collection_id)
        return followed

    def _follow(self, collection_id: int) -> _Followed:
        """The collection among those followed; one that was not is the first to be let go."""
        with self._lock:
            followed = self._followed.get(collection_id)
            if followed is None:
                followed = self._followed[collection_id] = _Followed(collection_id, self._is_own(collection_id))
                self._followed.move_to_end(collection_id, last=False)
            return followed

    def _forget_deleted(self, live: Container[int]) -> None:
        """Forget what is not among the live collections, unless it is newer than that list."""
        with self._lock:
            known = set(self._followed)
        missing = {one for one in known | snapshots.stored(self._snapshot_dir) if one not in live}
        if missing:
            with self._pool.connection() as connection:
                missing -= changes.living(connection, missing)
        for collection_id in missing:
            self._forget(collection_id)

    def _forget(self, collection_id: int) -> None:
        self._drop(collection_id)
        snapshots.remove(self._snapshot_dir, collection_id)
        snapshots.discard(self._snapshot_dir, collection_id)

    def _erase_in_time(self) -> None:
        """Write the snapshots anew that still hold what was deleted some time ago."""
        for followed in list(self._followed.values()):
            if followed.erase_at <= time.monotonic():
                self._save_if_due(followed)

    def _erase_stale_snapshots(self, heads: dict[int, int]) -> None:
        """Remove the snapshots of collections that are not held and have lost something since."""
        for collection_id in snapshots.stored(self._snapshot_dir) & heads.keys():
            followed = self._followed.get(collection_id)
            version = snapshots.version(self._snapshot_dir, collection_id)
            if (followed and followed.state) or version is None or version == heads[collection_id]:
                continue
            with self._pool.connection() as connection:
                has_lost = changes.has_lost(connection, collection_id, version)
            if has_lost:
                snapshots.remove(self._snapshot_dir, collection_id)

    def _drop(self, collection_id: int) -> None:
        with self._lock:
            followed = self._followed.pop(collection_id, None)
            if followed:
                self._nbytes -= followed.nbytes

    def _let_go(self, followed: _Followed) -> None:
        if followed.erase_at < float("inf"):
            followed.erase_at = 0.0
        self._save_if_due(followed)
        with followed.lock:
            if self._followed.get(followed.collection_id) is followed:
                self._drop(followed.collection_id)
            followed.state = None

    def _let_guests_go(self) -> None:
        oldest = time.monotonic() - _GUEST_SECONDS
        for followed in list(self._followed.values()):
            if not followed.is_own and followed.searched_at < oldest:
                self._let_go(followed)

    def _make_room_for(self, collection_id: int) -> None:
        """Let go of others for one that is about to be opened."""
        if self._memory_bytes is None:
            return
        needed = self._expected_bytes(collection_id)
        if needed > self._memory_bytes:
            log.warning("collection %d takes %d bytes, more than are to be held", collection_id, needed)
        self._make_room(needed)

    def _make_room(self, needed: int) -> None:
        """Let go of the least recently searched, except the last, until so many bytes more may be held."""
        while self._memory_bytes is not None and self._nbytes + needed > self._memory_bytes:
            with self._lock:
                last = next(reversed(self._followed), None)
                held = (one for one in self._followed.values() if one.nbytes and one.collection_id != last)
                followed = next(held, None)
            if followed is None:
                return
            self._let_go(followed)

    def _has_room_for(self, collection_id: int) -> bool:
        if self._memory_bytes is None:
            return True
        return self._nbytes + self._expected_bytes(collection_id) <= self._memory_bytes

    def _expected_bytes(self, collection_id: int) -> int:
        with self._pool.connection() as connection:
            return _OVERHEAD_BYTES + changes.vector_bytes(connection, collection_id)

    def _count_copies(self) -> None:
        """Count large collections again, whose copies grow in the background."""
        for followed in list(self._followed.values()):
            if followed.nbytes > COPY_FROM_BYTES:
                self._count(followed)

    def _count(self, followed: _Followed) -> None:
        nbytes = _nbytes(followed.state.indexes) if followed.state else 0
        with self._lock:
            if self._followed.get(followed.collection_id) is followed:
                self._nbytes += nbytes - followed.nbytes
                followed.nbytes = nbytes

    def _catch_up(self, followed: _Followed) -> Snapshot:
        """Bring one collection, whose lock is held, to the newest version."""
        try:
            if followed.state is None:
                followed.state = snapshots.read(self._snapshot_dir, followed.collection_id, self._device)
                followed.saved_version = followed.state.version if followed.state else 0
            if followed.state is None or not self._apply_log(followed, followed.state):
                # Let go of the old indexes first: both may not fit. Their snapshot is of no use either.
                followed.state, followed.saved_version, followed.erase_at = None, 0, float("inf")
                snapshots.remove(self._snapshot_dir, followed.collection_id)
                followed.state = self._read_all(followed.collection_id)
        except CollectionNotFound:
            self._forget(followed.collection_id)
            raise
        finally:
            self._count(followed)
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
            indexes: Indexes = {"faces": new(self._device, gallery.face_count), "users": new(self._device)}
            for kind, blocks in gallery.blocks.items():
                for block in blocks:
                    indexes[kind].update(block.ids[:0], block.ids, block.embeddings)
        log.info("read %d vectors of collection %d at version %d", _size(indexes), collection_id, gallery.version)
        return Snapshot(gallery.version, gallery.last_id or bytes(ID_BYTES), indexes)

    def _save_if_due(self, followed: _Followed) -> bool:
        """Write the snapshot if so much changed; False if that has to wait."""
        state = followed.state
        if state is None or not _is_due(followed, state):
            return True
        if time.monotonic() < followed.save_from:
            return False
        with self._saving:
            try:
                self._save(followed)
            except OSError as error:
                log.warning("cannot write the snapshot of collection %d: %s", followed.collection_id, error)
                snapshots.discard(self._snapshot_dir, followed.collection_id)
                followed.erase_at = 0.0
                followed.save_from = time.monotonic() + _SNAPSHOT_RETRY_SECONDS
                return False
        return True

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


def _is_due(followed: _Followed, state: Snapshot) -> bool:
    """Whether another snapshot is to be written: much changed since the last, or that still holds what is deleted."""
    changed = state.version - followed.saved_version
    holds_deleted = followed.saved_version > 0 and time.monotonic() >= followed.erase_at
    return holds_deleted or changed >= max(_SNAPSHOT_CHANGES, _size(state.indexes) * _SNAPSHOT_SHARE)


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


def _nbytes(indexes: Indexes) -> int:
    return _OVERHEAD_BYTES + sum(index.nbytes for index in indexes.values())
