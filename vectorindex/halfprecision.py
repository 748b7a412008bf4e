"""A copy of a gallery's vectors in half precision on a GPU, or on any device of PyTorch's."""

import numpy as np
import numpy.typing as npt
import torch

Vectors = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

_GROWTH = 1.25
# Rows of one matrix product: with 64 queries its result takes 128 MiB.
_BLOCK_ROWS = 1 << 20
_MORE_CANDIDATES = 64


def check_device(device: str) -> None:
    """Raises ValueError if there is no such device."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"PyTorch has no device {device}: {error}") from error


class HalfPrecision:
    """Rows 0..len-1, float16[D] each: a `nearest.Copy`, empty at first."""

    def __init__(self, dimension: int, device: str) -> None:
        self._rows = torch.empty((0, dimension), dtype=torch.float16, device=device)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def nbytes(self) -> int:
        return int(self._rows.nbytes)

    def encode(self, vectors: Vectors) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(vectors)).to(self._rows.device).half()

    def put(self, rows: Rows, encoded: torch.Tensor) -> None:
        self._rows[torch.from_numpy(rows).to(self._rows.device)] = encoded

    def append(self, encoded: torch.Tensor) -> None:
        end = self._count + len(encoded)
        if end > len(self._rows):
            self._keep(int(end * _GROWTH))
        self._rows[self._count : end] = encoded
        self._count = end

    def resize(self, count: int) -> None:
        self._count = count
        if count < len(self._rows) // 2:
            self._keep(int(count * _GROWTH))

    def candidates(self, k: int) -> int:
        return 2 * k + _MORE_CANDIDATES

    def pays(self, queries: int) -> bool:
        return True

    def nearest(self, queries: Vectors, count: int) -> tuple[Vectors, Rows]:
        """Sums are in single precision, products of the whole rounded to half."""
        wide = self.encode(queries)
        best = torch.empty((len(queries), 0), dtype=torch.float16, device=wide.device)
        rows = torch.empty((len(queries), 0), dtype=torch.int64, device=wide.device)
        for start in range(0, self._count, _BLOCK_ROWS):
            block = self._rows[start : min(start + _BLOCK_ROWS, self._count)]
            products, places = torch.topk(wide @ block.T, min(count, len(block)), dim=1)
            best, rows = torch.cat([best, products], 1), torch.cat([rows, places + start], 1)
            best, chosen = torch.topk(best, min(count, best.shape[1]), dim=1)
            rows = rows.gather(1, chosen)
        return best.float().cpu().numpy(), rows.cpu().numpy()

    def _keep(self, capacity: int) -> None:
        rows = torch.empty((capacity, self._rows.shape[1]), dtype=torch.float16, device=self._rows.device)
        kept = min(self._count, capacity)
        rows[:kept] = self._rows[:kept]
        self._rows = rows
