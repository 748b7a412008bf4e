"""Exact cosine search over the embeddings of the faces, or the users, of one collection, in memory."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import faiss
import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]

ID_BYTES = 16
_GROWTH = 1.25
_SMALLEST_CAPACITY = 16
# Inner products of unit vectors in single precision, of lengths that storage tolerates, are this close to the cosine.
_ROUNDING = 5e-3


class DimensionMismatch(ValueError):
    """A vector is not as long as those of the index."""


class VectorIndex:
    """Ids (16 bytes each) and unit vectors, float32[N, D]; D is that of the first vectors.

    Thread safe: searches run side by side, and an update is seen by them as a whole or not at all.
    """

    def __init__(self, capacity: int = 0) -> None:
        self._lock = _SharedLock()
        self._capacity = capacity
        self._count = 0
        # An id is two numbers, which compare faster than bytes. Rows from _count on are unused.
        self._ids = np.empty((0, 2), np.uint64)
        self._vectors = np.empty((0, 0), np.float32)

    def __len__(self) -> int:
        return self._count

    @property
    def dimension(self) -> int | None:
        """D, None before the first vector."""
        return self._vectors.shape[1] or None

    def update(self, removed: Ids, added: Ids, vectors: Vectors) -> None:
        """Remove ids uint8[M, 16] (those not there are ignored), then add ids uint8[N, 16] with vectors float32[N, D].

        Ids to add must not be there. Raises DimensionMismatch, changing nothing.
        """
        with self._lock.exclusive():
            if len(added) and self.dimension not in (None, vectors.shape[1]):
                raise DimensionMismatch(f"vectors of {vectors.shape[1]} dimensions in an index of {self.dimension}")
            self._remove(_as_numbers(removed))
            self._add(_as_numbers(added), vectors)

    def search(self, query: Vectors, k: int, min_score: float, exclude: bytes | None = None) -> tuple[Ids, Scores]:
        """The at most `k` vectors with the highest cosine to the unit vector `query`, float32[D], best first.

        Only cosines of at least `min_score`, and not the id `exclude`. Returns ids uint8[M, 16] and cosines
        float32[M] in -1..1, exactly 1 for the query itself. Equal cosines are ordered by id. Raises DimensionMismatch.
        """
        with self._lock.shared():
            # One more, in case the excluded one is among them.
            wanted = min(k + (exclude is not None), self._count)
            if wanted <= 0:
                return _as_bytes(self._ids[:0]), np.empty(0, np.float32)
            if query.shape != (self.dimension,):
                raise DimensionMismatch(f"a query of shape {query.shape} in an index of {self.dimension} dimensions")
            rows = _nearest(query, self._vectors[: self._count], wanted, min_score - _ROUNDING)
            ids, scores = self._ids[rows], _cosines(query, self._vectors[rows])
        chosen = scores >= min_score
        if exclude is not None:
            chosen &= (ids != np.frombuffer(exclude, np.uint64)).any(axis=1)
        ids, scores = ids[chosen], scores[chosen]
        low, high = ids.view(">u8").T[::-1]
        order = np.lexsort((low, high, -scores))[:k]
        return _as_bytes(ids[order]), scores[order]

    @contextmanager
    def contents(self) -> Iterator[tuple[Ids, Vectors]]:
        """All ids uint8[N, 16] and vectors float32[N, D], which nobody changes inside the `with` block."""
        with self._lock.shared():
            yield _as_bytes(self._ids[: self._count]), self._vectors[: self._count]

    def _add(self, ids: npt.NDArray[np.uint64], vectors: Vectors) -> None:
        if not len(ids):
            return
        end = self._count + len(ids)
        if self._vectors.shape[1] == 0:
            self._ids = np.empty((max(end, self._capacity), 2), np.uint64)
            self._vectors = np.empty((max(end, self._capacity), vectors.shape[1]), np.float32)
        if end > len(self._ids):
            self._resize(max(int(end * _GROWTH), _SMALLEST_CAPACITY))
        self._ids[self._count : end] = ids
        self._vectors[self._count : end] = vectors
        self._count = end

    def _remove(self, ids: npt.NDArray[np.uint64]) -> None:
        rows = self._rows(ids) if len(ids) else np.empty(0, np.intp)
        if not len(rows):
            return
        left = self._count - len(rows)
        holes = rows[rows < left]
        movers = np.setdiff1d(np.arange(left, self._count), rows, assume_unique=True)
        self._ids[holes] = self._ids[movers]
        self._vectors[holes] = self._vectors[movers]
        self._count = left
        if left < len(self._ids) // 2:
            self._resize(max(int(left * _GROWTH), _SMALLEST_CAPACITY))

    def _rows(self, ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
        """Where ids are, by a scan: an index of them would take as much memory as short vectors do."""
        candidates = np.flatnonzero(np.isin(self._ids[: self._count, 1], ids[:, 1]))
        wanted = {tuple(pair) for pair in ids.tolist()}
        return np.array([row for row in candidates if tuple(self._ids[row].tolist()) in wanted], np.intp)

    def _resize(self, capacity: int) -> None:
        # In place where the system can: growing does not need twice the memory. No view of them outlives the lock.
        self._ids.resize((capacity, 2), refcheck=False)
        self._vectors.resize((capacity, self._vectors.shape[1]), refcheck=False)


class _SharedLock:
    """Held by any number of readers or by one writer, who goes before readers that come later."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._writers = 0  # active or waiting
        self._writing = threading.Lock()

    @contextmanager
    def shared(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._writers)
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with self._changed:
            self._writers += 1
        try:
            with self._writing:
                with self._changed:
                    self._changed.wait_for(lambda: not self._readers)
                yield
        finally:
            with self._changed:
                self._writers -= 1
                self._changed.notify_all()


def _nearest(query: Vectors, vectors: Vectors, k: int, at_least: float) -> npt.NDArray[np.int64]:
    """Rows of the k highest inner products, those of at least `at_least`, in any order."""
    # One vector is compared with the others as fast as memory delivers them: more threads would only wait for each
    # other. The setting is that of the calling thread.
    faiss.omp_set_num_threads(1)
    products, rows = faiss.knn(query[None], vectors, k, faiss.METRIC_INNER_PRODUCT)
    nearest: npt.NDArray[np.int64] = rows[0][products[0] >= at_least]
    return nearest


def _cosines(query: Vectors, vectors: Vectors) -> Scores:
    """In double precision, so that a score does not depend on the order of summation and that of a copy is 1."""
    wide, others = query.astype(np.float64), vectors.astype(np.float64)
    lengths = np.sqrt(np.einsum("nd,nd->n", others, others) * np.einsum("d,d->", wide, wide))
    cosines: Scores = np.clip(np.einsum("nd,d->n", others, wide) / lengths, -1.0, 1.0).astype(np.float32)
    return cosines


def _as_numbers(ids: Ids) -> npt.NDArray[np.uint64]:
    return np.ascontiguousarray(ids).view(np.uint64).reshape(-1, 2)


def _as_bytes(ids: npt.NDArray[np.uint64]) -> Ids:
    return np.ascontiguousarray(ids).view(np.uint8).reshape(-1, ID_BYTES)
