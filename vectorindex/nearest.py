"""The nearest of many vectors to several queries at once: exactly, or by a smaller copy of the vectors first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import faiss
import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Products = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

# From this many queries a matrix product, which reads the vectors once for all of them, is faster than one by one.
_LEAST_QUERIES_OF_PRODUCT = 3
# A copy is asked only for what is a small part of it: further candidates cost more than comparing everything.
_LEAST_ROWS_PER_CANDIDATE = 16
# What a copy left out is taken to be nearer than it seemed by at most this many times its root mean square error.
_ERRORS = 3.5
_FAR_ABOVE_ZERO = 0.2


@dataclass(frozen=True, eq=False)
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

    def nearest(self, queries: Vectors, count: int, /) -> tuple[Products, Rows]:
        """For each query float32[Q, D] the `count` rows with the highest inner products by the copy, highest first:
        those products float32[Q, count] and rows int64[Q, count]."""


def nearest(probes: Sequence[Probe], vectors: Vectors, copy: Copy | None) -> list[Rows]:
    """The wanted rows of vectors, float32[N, D], for each probe, in any order."""
    found = _by_copy(probes, vectors, copy) if copy is not None else {}
    left = [probe for probe in probes if probe not in found]
    if left:
        found |= zip(left, exact(left, vectors), strict=True)
    return [found[probe] for probe in probes]


def exact(probes: Sequence[Probe], vectors: Vectors) -> list[Rows]:
    """As `nearest`, all compared."""
    k = min(max(probe.k for probe in probes), len(vectors))
    # FAISS compares it with the numbers in all queries. It is of the process, where vectors mostly have one length.
    faiss.cvar.distance_compute_blas_threshold = _LEAST_QUERIES_OF_PRODUCT * vectors.shape[1]
    products, rows = faiss.knn(_queries(probes), vectors, k, faiss.METRIC_INNER_PRODUCT)
    return [rows[n, : probe.k][products[n, : probe.k] >= probe.at_least] for n, probe in enumerate(probes)]


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
    """The wanted ones of candidates, by seeming product, and of more rows; None if others may have to be among them."""
    products = vectors[rows] @ probe.query
    bound = seeming[-1] + _ERRORS * np.sqrt(np.mean((seeming - products) ** 2))
    rows, products = np.concatenate([rows, more]), np.concatenate([products, vectors[more] @ probe.query])
    if len(rows) > probe.k:
        best = np.argpartition(products, len(rows) - probe.k)[-probe.k :]
        rows, products = rows[best], products[best]
    if max(probe.at_least, products.min()) < bound:
        return None
    return rows[products >= probe.at_least]


def _queries(probes: Sequence[Probe]) -> Vectors:
    return np.stack([probe.query for probe in probes])
