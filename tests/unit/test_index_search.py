"""The index against a plain numpy oracle with the same interface."""

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from index_oracle import NONE, Oracle, check, face_id, random_faces, unit

from vectorindex.index import DimensionMismatch, VectorIndex

# Few distinct values: equal vectors and ties are common.
coordinates = st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0])
vectors = st.lists(coordinates, min_size=3, max_size=3).map(unit)
numbers = st.integers(0, 40)


class IndexAgainstOracle(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.index = VectorIndex()
        self.oracle = Oracle()

    @rule(new=st.dictionaries(numbers, vectors, max_size=12), removed=st.lists(numbers, max_size=12))
    def update(self, new: dict[int, Any], removed: list[int]) -> None:
        gone = {face_id(number).tobytes() for number in removed}
        fresh = {n: v for n, v in new.items() if face_id(n).tobytes() not in self.oracle.faces.keys() - gone}
        arguments = (
            np.array([face_id(number) for number in removed], np.uint8).reshape(-1, 16),
            np.array([face_id(number) for number in fresh], np.uint8).reshape(-1, 16),
            np.array(list(fresh.values()), np.float32).reshape(-1, 3),
        )
        self.oracle.update(*arguments)
        self.index.update(*arguments)

    @rule(query=vectors, k=st.integers(1, 50), min_score=st.floats(-1, 1), exclude=st.none() | numbers)
    def search(self, query: Any, k: int, min_score: float, exclude: int | None) -> None:
        excluded = None if exclude is None else face_id(exclude).tobytes()
        check(self.index, self.oracle, query, k, min_score, excluded)

    @precondition(lambda self: self.oracle.faces)
    @rule()
    def remove_all(self) -> None:
        removed = np.array([np.frombuffer(one, np.uint8) for one in self.oracle.faces])
        self.index.update(removed, NONE, np.empty((0, 3), np.float32))
        self.oracle.faces.clear()

    @invariant()
    def holds_the_same(self) -> None:
        with self.index.contents() as (ids, held):
            assert {one.tobytes(): vector.tobytes() for one, vector in zip(ids, held, strict=True)} == {
                one: vector.tobytes() for one, vector in self.oracle.faces.items()
            }
        assert len(self.index) == len(self.oracle.faces)


IndexAgainstOracle.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestIndexAgainstOracle = IndexAgainstOracle.TestCase


@pytest.mark.parametrize("dimension", [1, 2, 128, 512])
@pytest.mark.parametrize("k", [1, 20, 100, 999, 1000, 4096])
def test_search_is_exact(dimension: int, k: int) -> None:
    ids, held = random_faces(1000, dimension)
    index, oracle = VectorIndex(), Oracle()
    for side in (index, oracle):
        side.update(NONE, ids, held)
    _, queries = random_faces(3, dimension, seed=1)
    for query in (*queries, held[17]):
        check(index, oracle, query, k, -1.0, None)
        check(index, oracle, query, k, 0.05, ids[17].tobytes())


@given(vectors=st.integers(0, 2**32).map(lambda seed: random_faces(20, 128, seed)))
@settings(max_examples=30, deadline=None)
def test_a_vector_finds_itself_with_cosine_one(vectors: tuple[Any, Any]) -> None:
    ids, held = vectors
    index = VectorIndex()
    index.update(NONE, ids, held)
    for row, query in enumerate(held):
        found, scores = index.search(query, 1, 1.0)
        assert found.tobytes() == ids[row].tobytes()
        assert scores.tolist() == [1.0]


def test_lengths_slightly_off_one_do_not_leave_the_range() -> None:
    index = VectorIndex()
    long = np.full((1, 4), 0.5001, np.float32)
    index.update(NONE, face_id(1)[None], long)
    assert index.search(long[0], 1, -1.0)[1].tolist() == [1.0]
    assert index.search(-long[0], 1, -1.0)[1].tolist() == [-1.0]


def test_minimum_is_inclusive() -> None:
    ids, held = random_faces(50, 8)
    index = VectorIndex()
    index.update(NONE, ids, held)
    _, scores = index.search(held[0], 50, -1.0)
    for rank, score in enumerate(scores.tolist(), 1):
        assert len(index.search(held[0], 50, score)[1]) == rank
        above = float(np.nextafter(np.float32(score), np.float32(2)))
        assert len(index.search(held[0], 50, above)[1]) == rank - 1


def test_equal_vectors_are_all_found_ordered_by_id() -> None:
    _, held = random_faces(1, 128)
    ids, _ = random_faces(300, 1)
    index = VectorIndex()
    index.update(NONE, ids, np.repeat(held, 300, axis=0))
    found, scores = index.search(held[0], 300, 1.0)
    assert [one.tobytes() for one in found] == sorted(one.tobytes() for one in ids)
    assert set(scores.tolist()) == {1.0}
    assert len(index.search(held[0], 10, 1.0, exclude=ids[5].tobytes())[0]) == 10


def test_excluding_leaves_room_for_the_others() -> None:
    ids, held = random_faces(5, 16)
    index = VectorIndex()
    index.update(NONE, ids, held)
    found, _ = index.search(held[2], 4, -1.0, exclude=ids[2].tobytes())
    assert {one.tobytes() for one in found} == {one.tobytes() for row, one in enumerate(ids) if row != 2}


def test_a_removed_face_comes_back_with_what_it_is_added_with() -> None:
    ids, held = random_faces(3, 16)
    index = VectorIndex()
    index.update(NONE, ids, held)
    index.update(ids[:1], ids[:1], held[1:2])
    found, scores = index.search(held[1], 2, 0.999)
    assert {one.tobytes() for one in found} == {ids[0].tobytes(), ids[1].tobytes()}
    assert scores.tolist() == [1.0, 1.0]


def test_other_dimensions_are_refused_and_change_nothing() -> None:
    index = VectorIndex()
    ids, held = random_faces(2, 16)
    assert index.search(held[0], 5, -1.0)[0].shape == (0, 16), "an empty index has no dimension"
    index.update(NONE, ids, held)
    with pytest.raises(DimensionMismatch):
        index.update(ids[:1], *random_faces(1, 8))
    with pytest.raises(DimensionMismatch):
        index.search(random_faces(1, 8)[1][0], 1, -1.0)
    assert len(index) == 2


def test_memory_follows_the_number_of_faces() -> None:
    ids, held = random_faces(10_000, 128)
    index = VectorIndex()
    for start in range(0, len(ids), 100):
        index.update(NONE, ids[start : start + 100], held[start : start + 100])
    assert index._vectors.nbytes < 1.3 * held.nbytes
    index.update(ids[100:], NONE, held[:0])
    assert index._vectors.nbytes < 0.02 * held.nbytes
    assert {one.tobytes() for one in index.search(held[0], 4096, -1.0)[0]} == {one.tobytes() for one in ids[:100]}


def test_searches_see_each_update_as_a_whole() -> None:
    """One face is moved from row to row in memory; every search meanwhile must find it, once."""
    ids, held = random_faces(30_000, 64)
    index = VectorIndex()
    index.update(NONE, ids, held)
    wanted, filler = slice(0, 1), slice(1, 2)
    stop, misses = threading.Event(), []

    def search() -> None:
        while not stop.is_set():
            found, _ = index.search(held[0], 5, 0.9999)
            if [one.tobytes() for one in found] != [ids[0].tobytes()]:
                misses.append(found)

    searchers = [threading.Thread(target=search) for _ in range(2)]
    for searcher in searchers:
        searcher.start()
    for _ in range(150):
        for part in (wanted, filler):
            index.update(ids[part], ids[part], held[part])
    stop.set()
    for searcher in searchers:
        searcher.join(10)
    assert not misses
