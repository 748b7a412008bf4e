from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vectorindex.idtable import IdTable


def ids_of(numbers: Any) -> Any:
    """Ids that differ in few bits, in either half."""
    numbers = np.asarray(numbers, np.uint64)
    return np.stack([numbers % np.uint64(7), (numbers // np.uint64(7)) << np.uint64(50)], axis=1)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 60)), max_size=30), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_it_finds_what_a_dict_finds(steps: list[tuple[int, int]], seed: int) -> None:
    """Each step adds rows at the end, then takes some away, the last ones filling their places."""
    dice, table = np.random.default_rng(seed), IdTable()
    held, fresh = ids_of([]), 0
    for added, removed in steps:
        first = len(held)
        held = np.concatenate([held, ids_of(np.arange(fresh, fresh + added))])
        fresh += added
        table.add(held, first, len(held))
        for row in dice.permutation(len(held))[:removed]:
            row = int(row) % len(held)
            last = len(held) - 1
            table.remove(held, np.array([row]))
            if row != last:
                table.move(held, np.array([last]), np.array([row]))
                held[row] = held[last]
            held = held[:last]
        rows = {tuple(one): row for row, one in enumerate(held.tolist())}
        every = ids_of(np.arange(fresh + 5))
        assert table.find(held, every).tolist() == [rows.get(tuple(one), -1) for one in every.tolist()]


def test_it_takes_few_bytes_and_gets_small_again() -> None:
    ids = np.random.default_rng(0).integers(0, 2**63, (100_000, 2)).astype(np.uint64)
    table = IdTable()
    for start in range(0, len(ids), 1000):
        table.add(ids, start, start + 1000)
    assert table.nbytes <= 14 * len(ids)
    assert not table.is_sparse(len(ids))
    assert table.is_sparse(len(ids) // 10)
    assert not IdTable().is_sparse(0)


def test_coming_and_going_does_not_make_it_grow() -> None:
    ids = np.random.default_rng(0).integers(0, 2**63, (50_000, 2)).astype(np.uint64)
    table = IdTable(1000)
    before = table.nbytes
    for start in range(0, len(ids), 1000):
        block = ids[start : start + 1000]
        table.add(block, 0, 1000)
        assert table.find(block, block).tolist() == list(range(1000))
        table.remove(block, np.arange(1000))
    assert table.nbytes <= 2 * before
