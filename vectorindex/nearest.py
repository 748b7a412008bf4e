"""The nearest of many vectors to several queries at once: exactly, or by a smaller copy of the vectors first."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Products = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

# Products computed at a time, of so many rows at most, which then lie in the cache for the comparison with the limits.
_BLOCK_PRODUCTS = 1 << 18
_BLOCK_ROWS = 1 << 14
# A copy is asked only for what is a small part of it: further candidates cost more than comparing everything.
_LEAST_ROWS_PER_CANDIDATE = 16
# What a copy left out is taken to be nearer than it seemed by at most this many times its root mean square error.
_ERRORS = 3.5
_FAR_ABOVE_ZERO = 0.2
# Candidates that seem to be less than this below the limit are compared, and at least so many, which tell the error.
_NEARLY = 0.05
_LEAST_CHECKED = 64


@dataclass(frozen=True, eq=False, slots=True)
class Probe:
    """A query float32[D], whose `k` highest inner products of at least `at_least` are wanted."""

    query: Vectors
    k: int
    at_least: float


class Copy(Protocol):
    """The first rows of an index in another form, in which the nearest ones are found faster but not exactly.

    Searches run side by side; `put`, `append` and `resize` run alone; `encode` may run at any time.
    """

    def __len__(self) -> int: ...

    @property
    def nbytes(self) -> int: ...

    def encode(self, vectors: Vectors, /) -> Any:
        """Vectors float32[N, D] in the copy's form, for `put` and `append`."""

    def put(self, rows: Rows, encoded: Any, /) -> None:
        """Replace rows that are held."""

    def append(self, encoded: Any, /) -> None:
        """Hold more rows."""

    def resize(self, count: int, /) -> None:
        """Let go of all rows from `count` on."""

    def candidates(self, k: int, /) -> int:
        """How many rows to ask for so that the k nearest are among them."""

    def pays(self, queries: int, /) -> bool:
        """Whether asking it for so many queries at once is faster than comparing them with all vectors."""

    def nearest(self, queries: Vectors, count: int, /) -> tuple[Products, Rows]:
        """For each query float32[Q, D] the `count` rows with the highest inner products by the copy, highest first:
        those products float32[Q, count] and rows int64[Q, count]."""


def nearest(probes: Sequence[Probe], vectors: Vectors, copy: Copy | None) -> list[Rows]:
    """The wanted rows of vectors, float32[N, D], for each probe, in any order."""
    if copy is None or not copy.pays(len(probes)):
        return exact(probes, vectors)
    found = _by_copy(probes, vectors, copy)
    left = [probe for probe in probes if probe not in found]
    if left:
        found |= zip(left, exact(left, vectors), strict=True)
    return [found[probe] for probe in probes]


def exact(probes: Sequence[Probe], vectors: Vectors) -> list[Rows]:
    """As `nearest`, all compared: by one matrix product, and few products are above the limits."""
    if len(probes) == 1 and len(vectors) <= _BLOCK_ROWS:
        return [_exact_for_one(probes[0], vectors)]
    queries = np.ascontiguousarray(_queries(probes).T)
    # What is kept is above its limit, which rises to the least of the best so far when there are enough of them.
    limits = np.nextafter(np.array([probe.at_least for probe in probes], np.float32), np.float32(-np.inf))
    most = np.array([probe.k for probe in probes])
    held = _Held(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    rows_of_block = min(max(_BLOCK_PRODUCTS // len(probes), 1), _BLOCK_ROWS)
    for start in range(0, len(vectors), rows_of_block):
        products = vectors[start : start + rows_of_block] @ queries
        hits = np.flatnonzero(products > limits)
        found = _Held(hits // len(probes) + start, hits % len(probes), products.ravel()[hits])
        held = _best(held.joined_by(found) if start else found, most, limits)
    return held.by_probe(len(probes))


def _exact_for_one(probe: Probe, vectors: Vectors) -> Rows:
    """For few vectors the calls beside the product take as long as the product itself."""
    products = vectors.dot(probe.query)
    rows: Rows = (products >= np.float32(probe.at_least)).nonzero()[0]
    if len(rows) > probe.k:
        rows = rows[products[rows].argpartition(len(rows) - probe.k)[-probe.k :]]
    return rows


class _Held(NamedTuple):
    """Rows int64[M], the number of the probe that each is for, int64[M], and their products float32[M]."""

    rows: Rows
    of: Rows
    products: Products

    def joined_by(self, other: "_Held") -> "_Held":
        rows, of = np.concatenate([self.rows, other.rows]), np.concatenate([self.of, other.of])
        return _Held(rows, of, np.concatenate([self.products, other.products]))

    def by_probe(self, count: int) -> list[Rows]:
        if count == 1:
            return [self.rows]
        order = np.argsort(self.of, kind="stable")
        ends = np.cumsum(np.bincount(self.of, minlength=count)).tolist()
        rows = self.rows[order]
        return [rows[start:end] for start, end in pairwise([0, *ends])]


def _best(held: _Held, most: Rows, limits: Products) -> _Held:
    """The best of each probe, at most so many; where there are more, its limit rises."""
    if len(held.rows) <= most.min():
        return held
    crowded = np.flatnonzero(np.bincount(held.of, minlength=len(most)) > most)
    if not len(crowded):
        return held
    is_kept = np.ones(len(held.rows), bool)
    for probe in crowded.tolist():
        own = np.flatnonzero(held.of == probe)
        first = len(own) - most[probe]
        order = np.argpartition(held.products[own], first)
        is_kept[own[order[:first]]] = False
        limits[probe] = held.products[own[order[first]]]
    return _Held(held.rows[is_kept], held.of[is_kept], held.products[is_kept])


def _by_copy(probes: Sequence[Probe], vectors: Vectors, copy: Copy) -> dict[Probe, Rows]:
    """The rows for those probes for which all that is wanted must be among the copy's candidates."""
    most = len(copy) // _LEAST_ROWS_PER_CANDIDATE
    # Few rows have a cosine far above 0, whatever k is.
    probes = [probe for probe in probes if probe.at_least > _FAR_ABOVE_ZERO or copy.candidates(probe.k) <= most]
    counts = [min(copy.candidates(probe.k), most) for probe in probes]
    if not any(counts):
        return {}
    products, rows = copy.nearest(_queries(probes), max(counts))
    # Rows that are not in the copy yet.
    rest = [more + len(copy) for more in exact(probes, vectors[len(copy) :])] if len(copy) < len(vectors) else []
    found = {}
    for n, (probe, count) in enumerate(zip(probes, counts, strict=True)):
        more = rest[n] if rest else rows[n, :0]
        chosen = _chosen(probe, vectors, products[n, :count], rows[n, :count], more)
        if chosen is not None:
            found[probe] = chosen
    return found


def _chosen(probe: Probe, vectors: Vectors, seeming: Products, rows: Rows, more: Rows) -> Rows | None:
    """The wanted ones of candidates, by seeming product, and of more rows; None if others may have to be among them.

    Mostly those that seem to be above the limit, or nearly, suffice.
    """
    near = max(_LEAST_CHECKED, int(np.searchsorted(-seeming, _NEARLY - probe.at_least)))
    chosen = _checked(probe, vectors, seeming[:near], rows[:near], more)
    if chosen is None and near < len(rows):
        chosen = _checked(probe, vectors, seeming, rows, more)
    return chosen


def _checked(probe: Probe, vectors: Vectors, seeming: Products, rows: Rows, more: Rows) -> Rows | None:
    products = vectors[rows] @ probe.query
    errors = seeming - products
    bound = seeming[-1] + _ERRORS * sqrt(errors @ errors / len(errors))
    if len(more):
        rows, products = np.concatenate([rows, more]), np.concatenate([products, vectors[more] @ probe.query])
    hits = np.flatnonzero(products >= probe.at_least)
    least = probe.at_least
    if len(hits) > probe.k:
        hits = hits[np.argpartition(products[hits], len(hits) - probe.k)[-probe.k :]]
        least = products[hits].min()
    elif len(hits) == probe.k:
        least = products[hits].min()
    return None if least < bound else rows[hits]


def _queries(probes: Sequence[Probe]) -> Vectors:
    return np.array([probe.query for probe in probes])
