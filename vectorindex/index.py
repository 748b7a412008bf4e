"""Cosine search over the embeddings of the faces, or the users, of one collection, in memory.

A small gallery is compared as a whole, as is a middling one by many searches at once. Otherwise a copy in four bits per
dimension is scanned, and the candidates it gives are compared exactly; when others may have to be among them,
everything is. On a GPU the copy is in half precision.
"""

import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import faiss
import numpy as np
import numpy.typing as npt

from vectorindex.combining import Combined
from vectorindex.idtable import IdTable
from vectorindex.locks import SharedLock
from vectorindex.nearest import Copy, Probe, nearest
from vectorindex.quantised import Quantised

Ids = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]
_Numbers = npt.NDArray[np.uint64]
_Rows = npt.NDArray[np.int64]

ID_BYTES = 16
COPY_FROM_BYTES = 8 * 1024 * 1024
"""Vectors of fewer bytes are compared as a whole: in 128 dimensions up to 16,384 faces, about 0.2 ms."""
SMALL_BYTES = 2 * 1024 * 1024
"""Of vectors that are compared in about 0.05 ms."""
_GROWTH = 1.25
_SMALLEST_CAPACITY = 16
# Inner products of unit vectors in single precision, of lengths that storage tolerates, are this close to the cosine.
_ROUNDING = 5e-3
# Rows that a copy is made from, is brought on by at a time, and may lag behind by.
_SAMPLE_ROWS = 16384
_BLOCK_ROWS = 1024
_MOST_ROWS_BEHIND = 4096
# Searches that run at once, with all cores between them; more wait and share the next ones. In a gallery of fewer bytes
# one runs at a time: it is done before several would have had their turns at the interpreter.
_CORES = os.cpu_count() or 1
_LANES = min(_CORES, 4)
_LANES_FROM_BYTES = 16 * 1024 * 1024
_MOST_QUERIES = 64


class DimensionMismatch(ValueError):
    """A vector is not as long as those of the index."""


def new(device: str = "cpu", capacity: int = 0) -> "VectorIndex":
    """An empty index with room for `capacity` vectors, searched on `device`: cpu, cuda, or another of torch's.

    Raises ValueError if there is no such device, ImportError if PyTorch, which others than the CPU need, is missing.
    """
    if device == "cpu":
        return VectorIndex(capacity)
    from vectorindex.halfprecision import HalfPrecision, check_device

    check_device(device)
    return VectorIndex(capacity, lambda sample: HalfPrecision(sample.shape[1], device), copy_from_bytes=1)


class _Wanted(NamedTuple):
    """What one search asks for, see VectorIndex.search."""

    query: Vectors
    k: int
    min_score: float
    exclude: bytes | None

    @property
    def probe(self) -> Probe:
        # One more, in case the excluded one is among them.
        return Probe(self.query, self.k + (self.exclude is not None), self.min_score - _ROUNDING)


class VectorIndex:
    """Ids (16 bytes each) and unit vectors, float32[N, D]; D is that of the first vectors.

    Thread safe: searches run side by side, and an update is seen by them as a whole or not at all.
    """

    def __init__(
        self,
        capacity: int = 0,
        make_copy: Callable[[Vectors], Copy | None] = Quantised.of,
        copy_from_bytes: int = COPY_FROM_BYTES,
    ) -> None:
        """`make_copy` gives an empty copy for vectors such as a sample of them, float32[M, D], or None if there is
        none; it is used while there are vectors of `copy_from_bytes` or more."""
        # Held to change anything; the shared lock beside it only while what searches read is changed.
        self._writing = threading.Lock()
        self._lock = SharedLock()
        self._capacity = capacity
        self._count = 0
        # An id is two numbers, which compare faster than bytes. Rows from _count on are unused.
        self._ids = np.empty((0, 2), np.uint64)
        self._vectors = np.empty((0, 0), np.float32)
        self._table = IdTable(capacity)
        self._make_copy = make_copy
        self._copy_from_bytes = copy_from_bytes
        self._copy: Copy | None = None
        self._copying = False
        self._search_small = Combined(self._answer, 1, _MOST_QUERIES)
        self._search_large = Combined(self._answer, _LANES, _MOST_QUERIES)

    def __len__(self) -> int:
        return self._count

    @property
    def dimension(self) -> int | None:
        """D, None before the first vector."""
        return self._vectors.shape[1] or None

    @property
    def is_small(self) -> bool:
        """Whether a search takes less time than a way to another thread and back."""
        return self._bytes_of_vectors() < min(SMALL_BYTES, self._copy_from_bytes)

    @property
    def nbytes(self) -> int:
        """Memory held now, that of a GPU included."""
        copied = self._copy.nbytes if self._copy is not None else 0
        return self._ids.nbytes + self._vectors.nbytes + self._table.nbytes + copied

    def update(self, removed: Ids, added: Ids, vectors: Vectors) -> None:
        """Remove ids uint8[M, 16] (those not there are ignored), then add ids uint8[N, 16] with vectors float32[N, D].

        Ids to add must not be there. Raises DimensionMismatch, changing nothing.
        """
        with self._writing:
            if len(added) and self.dimension not in (None, vectors.shape[1]):
                raise DimensionMismatch(f"vectors of {vectors.shape[1]} dimensions in an index of {self.dimension}")
            rows = self._table.find(self._ids, _as_numbers(removed))
            rows = np.unique(rows[rows >= 0])
            left = self._count - len(rows)
            holes = rows[rows < left]
            movers = np.setdiff1d(np.arange(left, self._count), rows, assume_unique=True)
            codes = self._codes_of(movers, holes)
            self._table.remove(self._ids, rows)
            self._table.move(self._ids, movers, holes)
            with self._lock.exclusive():
                if len(rows):
                    self._close_up(left, holes, movers, codes)
                self._add(_as_numbers(added), vectors)
            self._table.add(self._ids, left, self._count)
            if len(rows) and self._table.is_sparse(self._count):
                self._table = IdTable(self._count)
                self._table.add(self._ids, 0, self._count)
            self._bring_copy_on()

    def search(self, query: Vectors, k: int, min_score: float, exclude: bytes | None = None) -> tuple[Ids, Scores]:
        """The at most `k` vectors with the highest cosine to the unit vector `query`, float32[D], best first.

        Only cosines of at least `min_score`, and not the id `exclude`. Returns ids uint8[M, 16] and cosines
        float32[M] in -1..1, exactly 1 for the query itself. Equal cosines are ordered by id. Raises DimensionMismatch.
        """
        if k <= 0 or not self._count:
            return _as_bytes(self._ids[:0]), np.empty(0, np.float32)
        if query.shape != (self.dimension,):
            raise DimensionMismatch(f"a query of shape {query.shape} in an index of {self.dimension} dimensions")
        search = self._search_large if self._bytes_of_vectors() >= _LANES_FROM_BYTES else self._search_small
        return search(_Wanted(query, k, min_score, exclude))

    @contextmanager
    def contents(self) -> Iterator[tuple[Ids, Vectors]]:
        """All ids uint8[N, 16] and vectors float32[N, D], which nobody changes inside the `with` block."""
        with self._lock:
            yield _as_bytes(self._ids[: self._count]), self._vectors[: self._count]

    def settle(self) -> None:
        """Wait until the copy, if there is to be one, has every row; searches are right without, but slower."""
        while self._copy_rows():
            pass

    def _answer(self, wanted: Sequence[_Wanted]) -> list[tuple[Ids, Scores]]:
        probes = [one.probe for one in wanted]
        with self._lock:
            if self._copy is not None:
                # The setting is that of the calling thread.
                faiss.omp_set_num_threads(_CORES // _LANES)
            found = nearest(probes, self._vectors[: self._count], self._copy)
            rows = np.concatenate(found) if len(found) > 1 else found[0]
            ids, vectors = self._ids.take(rows, 0), self._vectors.take(rows, 0)
        return _answers(wanted, [len(one) for one in found], ids, vectors)

    def _add(self, ids: _Numbers, vectors: Vectors) -> None:
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

    def _close_up(self, left: int, holes: _Rows, movers: _Rows, codes: Any) -> None:
        """Move rows to holes and let go of all from `left`; `codes` are for the holes that the copy has."""
        self._ids[holes] = self._ids[movers]
        self._vectors[holes] = self._vectors[movers]
        self._count = left
        if self._copy is not None:
            if codes is not None:
                self._copy.put(holes[holes < len(self._copy)], codes)
            self._copy.resize(min(left, len(self._copy)))
            if self._bytes_of_vectors() < self._copy_from_bytes // 2:
                self._copy = None
        if left < len(self._ids) // 2:
            self._resize(max(int(left * _GROWTH), _SMALLEST_CAPACITY))

    def _codes_of(self, movers: _Rows, holes: _Rows) -> Any:
        """Those movers in the copy's form that come to be in the copy; None if there are none."""
        if self._copy is None or not (moved := holes < len(self._copy)).any():
            return None
        return self._copy.encode(self._vectors[movers[moved]])

    def _resize(self, capacity: int) -> None:
        # In place where the system can: growing does not need twice the memory. No view of them outlives the lock.
        self._ids.resize((capacity, 2), refcheck=False)
        self._vectors.resize((capacity, self._vectors.shape[1]), refcheck=False)

    def _bytes_of_vectors(self) -> int:
        return self._count * self._vectors.shape[1] * self._vectors.itemsize

    def _rows_behind(self) -> int:
        """How many rows the copy lacks, if there is to be one."""
        if self._copy is not None:
            return self._count - len(self._copy)
        return self._count if self._bytes_of_vectors() >= self._copy_from_bytes else 0

    def _bring_copy_on(self) -> None:
        """Start to bring the copy on in the background, when it is far behind."""
        if not self._copying and self._rows_behind() > _MOST_ROWS_BEHIND:
            self._copying = True
            threading.Thread(target=_copy, args=(weakref.ref(self),), name="copy vectors", daemon=True).start()

    def _copy_rows(self) -> bool:
        """Bring the copy on by a few rows; False when there was nothing to do."""
        faiss.omp_set_num_threads(max(1, _CORES // 2))
        if self._copy is None and not self._begin_copy():
            self._copying = False
            return False
        with self._writing:
            if self._copy is None or not self._rows_behind():
                self._copying = False
                return False
            start = len(self._copy)
            end = min((start // _BLOCK_ROWS + 1) * _BLOCK_ROWS, self._count)
            codes = self._copy.encode(self._vectors[start:end])
            with self._lock.exclusive():
                self._copy.append(codes)
        return True

    def _begin_copy(self) -> bool:
        with self._lock:
            if not self._rows_behind():
                return False
            rows = np.unique(np.linspace(0, self._count - 1, min(_SAMPLE_ROWS, self._count), dtype=np.int64))
            sample = self._vectors[rows]
        # Takes seconds, for which neither searches nor updates wait.
        made = self._make_copy(sample)
        with self._writing:
            if made is None:
                # Perhaps when there are more.
                self._copy_from_bytes = 2 * max(self._copy_from_bytes, self._bytes_of_vectors())
            elif self._copy is None:
                self._copy = made
        return made is not None


def _copy(reference: "weakref.ref[VectorIndex]") -> None:
    """Bring the copy of an index on until it has all rows, or nobody uses the index any more."""
    while True:
        index = reference()
        if index is None or not index._copy_rows():
            return
        del index


def _cosines(queries: Vectors, of: _Rows | int, vectors: Vectors) -> Scores:
    """Of each vector and its query, whose number is in `of`.

    In double precision, so that a score does not depend on the order of summation, that of a copy is 1, and none is
    beyond.
    """
    wide, others = queries.astype(np.float64), vectors.astype(np.float64)
    lengths = np.sqrt(np.vecdot(wide, wide)[of] * np.vecdot(others, others))
    cosines: Scores = (np.vecdot(others, wide[of]) / lengths).astype(np.float32)
    return cosines


def _order(ids: _Numbers, scores: Scores, of: _Rows | int) -> _Rows:
    """By query, best first, equal ones by id."""
    low, high = ids.view(">u8").T[::-1]
    keys = (low, high, -scores)
    return np.lexsort(keys if isinstance(of, int) else (*keys, of))


def _answers(wanted: Sequence[_Wanted], counts: list[int], ids: _Numbers, vectors: Vectors) -> list[tuple[Ids, Scores]]:
    """For each of those who want them so many of the ids and vectors, in any order, some of which may not suit."""
    queries = np.array([one.query for one in wanted])
    if len(wanted) == 1:
        scores = _cosines(queries, 0, vectors)
        order = _order(ids, scores, 0)[: np.count_nonzero(scores >= wanted[0].min_score)]
        return [_cut(wanted[0], _as_bytes(ids.take(order, 0)), scores.take(order))]
    of = np.repeat(np.arange(len(wanted)), counts)
    scores = _cosines(queries, of, vectors)
    order = _order(ids, scores, of)
    least = np.array([one.min_score for one in wanted], np.float32)
    ends = np.bincount(of[scores >= least[of]], minlength=len(wanted)).tolist()
    found, scores = _as_bytes(ids.take(order, 0)), scores.take(order)
    answers, start = [], 0
    for one, count, end in zip(wanted, counts, ends, strict=True):
        answers.append(_cut(one, found[start : start + end], scores[start : start + end]))
        start += count
    return answers


def _cut(wanted: _Wanted, ids: Ids, scores: Scores) -> tuple[Ids, Scores]:
    """The answer, of all ids with scores that suffice, best first."""
    if wanted.exclude is not None:
        is_other = (ids != np.frombuffer(wanted.exclude, np.uint8)).any(axis=1)
        ids, scores = ids[is_other], scores[is_other]
    return ids[: wanted.k], scores[: wanted.k]


def _as_numbers(ids: Ids) -> npt.NDArray[np.uint64]:
    return np.ascontiguousarray(ids).view(np.uint64).reshape(-1, 2)


def _as_bytes(ids: npt.NDArray[np.uint64]) -> Ids:
    return ids.view(np.uint8)
