"""A small copy of a gallery's vectors, four bits per dimension, which is scanned in a fraction of the time.

Product quantisation with 16 centroids, one dimension each (two above 256), read from registers: André, Kermarrec and Le
Scouarnec, "Quicker ADC" (2019), as in FAISS's IndexPQFastScan. Its inner products are near, not right: whoever uses it
takes more candidates than are wanted and compares those with the vectors themselves.
"""

from dataclasses import dataclass
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
# Of the 16 levels that quantise a normal distribution with the least square error, those above its mean, in standard
# deviations: Max, "Quantizing for minimum distortion" (1960). Coordinates of embeddings are near normal, and training
# gives the same error after half a second.
_NORMAL_LEVELS = (0.1284, 0.3881, 0.6568, 0.9424, 1.2562, 1.6181, 2.0690, 2.7326)
# Candidates for each vector wanted, and beside them, by the dimensions that share four bits: measured, see
# docs/decisions/0007.
_CANDIDATES = {1: (4, 512), 2: (12, 2048)}
_ROWS_PER_CANDIDATE = 64
# From this many queries a matrix product with all vectors is faster, if those are not too many.
_QUERIES_OF_PRODUCT = 8
_VALUES_OF_PRODUCT = 1 << 24


@dataclass(frozen=True, eq=False)
class Packed:
    """Codes of so many rows as the scan reads them, uint8[blocks, bytes of a block]."""

    rows: int
    blocks: Codes


class Quantised:
    """Codes of rows 0..len-1: a `nearest.Copy`."""

    def __init__(self, index: Any) -> None:
        """Of a trained and empty IndexPQFastScan, whose type stubs lack what is needed here."""
        self._empty = index
        self._index: Any = faiss.clone_index(index)
        self._packer = index.get_CodePacker()

    @classmethod
    def of(cls, sample: Vectors) -> Self | None:
        """An empty copy, its centroids those of the sample float32[N, D]; None if it would be of no use."""
        count, dimension = sample.shape
        shared = -(-dimension // _MOST_QUANTISERS)
        if count < _LEAST_SAMPLE or shared not in _CANDIDATES or dimension % shared:
            return None
        index = faiss.IndexPQFastScan(dimension, dimension // shared, _BITS, faiss.METRIC_INNER_PRODUCT)
        if shared == 1:
            index.is_trained = True
            faiss.copy_array_to_vector(_levels(sample).ravel(), index.pq.centroids)
        else:
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

    def encode(self, vectors: Vectors) -> Packed:
        scratch: Any = faiss.clone_index(self._empty)
        scratch.add(vectors)
        return Packed(len(vectors), self._blocks(scratch).copy())

    def put(self, rows: Rows, packed: Packed) -> None:
        blocks, rows_per_block = self._blocks(self._index), self._index.bbs
        for n, row in enumerate(rows.tolist()):
            source, target = n // rows_per_block, row // rows_per_block
            code = self._packer.unpack_1(packed.blocks[source : source + 1], n % rows_per_block)
            self._packer.pack_1(code, row % rows_per_block, blocks[target : target + 1])

    def append(self, packed: Packed) -> None:
        start, full_blocks = len(self), len(self) % self._index.bbs == 0
        self.resize(start + packed.rows)
        if full_blocks:
            self._blocks(self._index)[start // self._index.bbs :] = packed.blocks
        else:
            self.put(np.arange(start, start + packed.rows), packed)

    def resize(self, count: int) -> None:
        index = self._index
        index.ntotal = count
        index.ntotal2 = -(-count // index.bbs) * index.bbs
        index.codes.resize(index.ntotal2 // index.bbs * self._packer.block_size)

    def candidates(self, k: int) -> int:
        factor, more = _CANDIDATES[self._index.pq.dsub]
        return factor * k + min(more, len(self) // _ROWS_PER_CANDIDATE)

    def pays(self, queries: int) -> bool:
        return queries < _QUERIES_OF_PRODUCT or self._index.ntotal * self._index.d > _VALUES_OF_PRODUCT

    def nearest(self, queries: Vectors, count: int) -> tuple[Vectors, Rows]:
        products, rows = self._index.search(queries, count)
        return products, rows

    def _blocks(self, index: Any) -> Codes:
        """Codes of an index, in each block those of `bbs` rows."""
        codes: Codes = faiss.rev_swig_ptr(index.codes.get(), index.codes.size())
        return codes.reshape(-1, self._packer.block_size)


def _levels(sample: Vectors) -> Vectors:
    """For each dimension the values that four bits stand for, float32[D, 16]."""
    above = np.array(_NORMAL_LEVELS, np.float32)
    levels: Vectors = sample.mean(axis=0)[:, None] + sample.std(axis=0)[:, None] * np.concatenate([-above[::-1], above])
    return levels
