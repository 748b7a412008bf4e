"""Where each id is: a hash table of row numbers in one array; a Python dict would take far more memory than that."""

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]

_EMPTY, _GONE = -1, -2
_SMALLEST_SLOTS = 64
# Used slots, gone ones included, of all: beyond it the runs that a search walks through grow long.
_FULLEST = 0.7
_GROWTH = 1.2
_BLOCK_ROWS = 1 << 18
# Odd constants of splitmix64 (Steele, Lea, Flood, 2014): neighbouring ids fall far apart.
_MIX_LOW, _MIX_HIGH = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


class IdTable:
    """Open addressing with linear probing, many ids at a time; 6 to 14 bytes per id. Not thread safe.

    It holds row numbers only. `ids`, uint64[N, 2], which every method takes, says whose they are: row r has id ids[r].
    """

    def __init__(self, capacity: int = 0) -> None:
        self._rows = _slots_for(capacity)
        self._used = 0

    @property
    def nbytes(self) -> int:
        return self._rows.nbytes

    def is_sparse(self, count: int) -> bool:
        """Whether `count` ids, all that are left, would fit in far less memory."""
        return max(_SMALLEST_SLOTS, 4 * count / _FULLEST) < len(self._rows) // 2

    def add(self, ids: Numbers, first: int, last: int) -> None:
        """Rows first..last-1, whose ids are not in the table."""
        if last == first:
            return
        if self._used + last - first > _FULLEST * len(self._rows):
            # Those of rows that are gone are not taken along.
            held = np.concatenate([self._rows[self._rows >= 0].astype(np.int64), np.arange(first, last)])
            self._rows, self._used = _slots_for(int(_GROWTH * len(held))), 0
        else:
            held = np.arange(first, last)
        for start in range(0, len(held), _BLOCK_ROWS):
            self._place(ids, held[start : start + _BLOCK_ROWS])

    def find(self, ids: Numbers, wanted: Numbers) -> Rows:
        """The row of each wanted id, uint64[M, 2]; -1 for those that are not there."""
        rows: Rows = self._rows[self._slots(ids, wanted)].astype(np.int64)
        return np.maximum(rows, -1)

    def move(self, ids: Numbers, rows: Rows, to: Rows) -> None:
        """The ids at `rows` are about to be at the rows `to`."""
        self._rows[self._slots(ids, ids[rows])] = to

    def remove(self, ids: Numbers, rows: Rows) -> None:
        """The ids at `rows` are about to go."""
        self._rows[self._slots(ids, ids[rows])] = _GONE

    def _slots(self, ids: Numbers, wanted: Numbers) -> Rows:
        """The slot of each wanted id, or the empty one that ends the search for it."""
        if not len(wanted):
            return np.empty(0, np.int64)
        slots = self._first_slots(wanted)
        looking = np.arange(len(wanted))
        while len(looking):
            rows = self._rows[slots[looking]]
            passed = rows != _EMPTY
            passed[rows >= 0] = (ids[rows[rows >= 0]] != wanted[looking[rows >= 0]]).any(axis=1)
            looking = looking[passed]
            slots[looking] = (slots[looking] + 1) & (len(self._rows) - 1)
        return slots

    def _place(self, ids: Numbers, rows: Rows) -> None:
        self._used += len(rows)
        slots = self._first_slots(ids[rows])
        while len(rows):
            free = self._rows[slots] == _EMPTY
            self._rows[slots[free]] = rows[free]
            # Of several that chose one slot, the last has it.
            left = self._rows[slots] != rows
            rows, slots = rows[left], (slots[left] + 1) & (len(self._rows) - 1)

    def _first_slots(self, ids: Numbers) -> Rows:
        mixed = (ids[:, 0] ^ (ids[:, 0] >> np.uint64(30))) * _MIX_LOW + ids[:, 1] * _MIX_HIGH
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX_HIGH
        shift = np.uint64(64 - (len(self._rows).bit_length() - 1))
        slots: Rows = (mixed >> shift).astype(np.int64)
        return slots


def _slots_for(count: int) -> npt.NDArray[np.int32]:
    slots = max(_SMALLEST_SLOTS, 1 << int(np.ceil(np.log2(max(count, 1) / _FULLEST))))
    return np.full(slots, _EMPTY, np.int32)
