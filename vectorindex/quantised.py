"""A small copy of a gallery's vectors, four bits per dimension, which is scanned in a fraction of the time.

Product quantisation with 16 centroids, one dimension each (two above 256), read from registers: André, Kermarrec and Le
Scouarnec, "Quicker ADC" (2019), as in FAISS's IndexPQFastScan. Its inner products are near, not right: whoever uses it
takes more candidates than are wanted and compares those with the vectors themselves.
"""

from typing import Any, Self

import faiss
import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Codes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]

# The scan adds up one byte of each quantiser in two bytes.
_MOST_QUANTISERS = 256
_BITS = 4
_LEAST_SAMPLE = 1 << _BITS
# Candidates for each vector wanted, and beside them, by the dimensions that share four bits: measured, see
# docs/decisions/0007.
_CANDIDATES = {1: (4, 512), 2: (12, 2048)}


class Quantised:
    """Codes of rows 0..len-1. Searches may run side by side, nothing else; `encode` may run at any time."""

    def __init__(self, index: Any) -> None:
        """Of a trained IndexPQFastScan, whose type stubs lack what is needed here."""
        self._index = index
        self._packer = index.get_CodePacker()

    @classmethod
    def of(cls, sample: Vectors) -> Self | None:
        """An empty copy, its centroids those of the sample float32[N, D]; None if it would be of no use."""
        count, dimension = sample.shape
        shared = -(-dimension // _MOST_QUANTISERS)
        if count < _LEAST_SAMPLE or shared not in _CANDIDATES or dimension % shared:
            return None
        index = faiss.IndexPQFastScan(dimension, dimension // shared, _BITS, faiss.METRIC_INNER_PRODUCT)
        index.pq.cp.min_points_per_centroid = 1
        index.train(sample)
        return cls(index)

    def __len__(self) -> int:
        count: int = self._index.ntotal
        return count

    @property
    def nbytes(self) -> int:
        size: int = self._index.codes.size()
        return size

    def encode(self, vectors: Vectors) -> Codes:
        """The codes uint8[N, C] of float32[N, D]."""
        codes: Codes = self._index.pq.compute_codes(vectors)
        return np.pad(codes, ((0, 0), (0, self._packer.code_size - codes.shape[1])))

    def put(self, rows: Rows, codes: Codes) -> None:
        """Set the codes of rows that are held."""
        blocks = self._blocks()
        for row, code in zip(rows.tolist(), codes, strict=True):
            self._packer.pack_1(code, row, blocks)

    def append(self, codes: Codes) -> None:
        count = len(self)
        self.resize(count + len(codes))
        self.put(np.arange(count, count + len(codes)), codes)

    def resize(self, count: int) -> None:
        """Hold `count` rows; codes of further ones are undefined."""
        index = self._index
        index.ntotal = count
        index.ntotal2 = -(-count // index.bbs) * index.bbs
        index.codes.resize(index.ntotal2 // index.bbs * self._packer.block_size)

    def candidates(self, k: int) -> int:
        """How many rows to ask for so that the k nearest are among them."""
        factor, more = _CANDIDATES[self._index.pq.dsub]
        return factor * k + more

    def nearest(self, queries: Vectors, count: int) -> tuple[Vectors, Rows]:
        """For each query float32[Q, D] the rows, int64[Q, count], that seem to have the highest inner products, and
        those, float32[Q, count], highest first. `count` is at most the number of rows."""
        products, rows = self._index.search(queries, count)
        return products, rows

    def _blocks(self) -> Codes:
        codes: Codes = faiss.rev_swig_ptr(self._index.codes.get(), self._index.codes.size())
        return codes.reshape(-1, self._packer.block_size)
