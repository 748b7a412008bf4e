"""The index when it searches a copy of its vectors: a quantised one, and half precision on PyTorch's CPU device."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from index_oracle import NONE, TOLERANCE, Oracle, random_faces

from vectorindex import index, nearest, quantised
from vectorindex.halfprecision import HalfPrecision
from vectorindex.index import VectorIndex
from vectorindex.nearest import Copy
from vectorindex.quantised import Quantised

MakeCopy = Callable[[Any], Copy | None]
COPIES: dict[str, MakeCopy] = {
    "quantised": Quantised.of,
    "half": lambda sample: HalfPrecision(sample.shape[1], "cpu"),
}
DIMENSION = 24
every_copy = pytest.mark.parametrize("make_copy", COPIES.values(), ids=COPIES)


@pytest.fixture(autouse=True)
def small_galleries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies are asked in galleries of a thousand."""
    monkeypatch.setattr(nearest, "_LEAST_ROWS_PER_CANDIDATE", 1)
    monkeypatch.setattr(quantised, "_CANDIDATES", {1: (4, 128), 2: (12, 256)})
    monkeypatch.setattr(index, "_BLOCK_ROWS", 160)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each time that a copy was asked, whether its candidates sufficed."""
    outcomes: list[bool] = []
    choose = nearest._chosen

    def chosen(*arguments: Any) -> Any:
        rows = choose(*arguments)
        outcomes.append(rows is not None)
        return rows

    monkeypatch.setattr(nearest, "_chosen", chosen)
    return outcomes


def filled(make_copy: MakeCopy, ids: Any, vectors: Any) -> VectorIndex:
    made = VectorIndex(make_copy=make_copy, copy_from_bytes=1)
    made.update(NONE, ids, vectors)
    made.settle()
    return made


def recall(searched: VectorIndex, oracle: Oracle, query: Any, k: int, least: float, exclude: bytes | None) -> float:
    """Checks what is found and returns how much of what there is it is; ties within 1e-4 may fall either way."""
    ids, scores = searched.search(query, k, least, exclude)
    cosines = {one: cosine for one, cosine in oracle.cosines(query).items() if one != exclude}
    found = [one.tobytes() for one in ids]
    assert len(set(found)) == len(found) <= k
    assert all(abs(cosines[one] - score) < TOLERANCE for one, score in zip(found, scores, strict=True))
    assert list(scores) == sorted(scores, reverse=True)
    assert all(score >= np.float32(least) for score in scores)
    right = [cosine for cosine in sorted(cosines.values(), reverse=True)[:k] if cosine >= least + 1e-4]
    return sum(score >= right[-1] - 1e-4 for score in scores) / len(right) if right else 1.0


class CopiesAgainstOracle(RuleBasedStateMachine):
    make_copy: MakeCopy

    @initialize(seed=st.integers(0, 2**32), count=st.integers(1000, 1300))
    def fill(self, seed: int, count: int) -> None:
        self.dice = np.random.default_rng(seed)
        ids, vectors = random_faces(count, DIMENSION, seed)
        self.index = filled(type(self).make_copy, ids, vectors)
        self.oracle = Oracle()
        self.oracle.update(NONE, ids, vectors)

    @rule(removed=st.integers(0, 90), replaced=st.integers(0, 20), added=st.integers(0, 70), settle=st.booleans())
    def update(self, removed: int, replaced: int, added: int, settle: bool) -> None:
        held = [np.frombuffer(one, np.uint8) for one in self.oracle.faces]
        chosen = self.dice.choice(len(held), min(len(held), removed + replaced), replace=False)
        gone = np.array([held[n] for n in chosen], np.uint8).reshape(-1, 16)
        fresh, vectors = random_faces(added + len(gone[removed:]), DIMENSION, int(self.dice.integers(2**32)))
        arguments = gone, np.concatenate([fresh[:added], gone[removed:]]), vectors
        self.oracle.update(*arguments)
        self.index.update(*arguments)
        if settle:
            self.index.settle()

    @rule(k=st.integers(1, 60), least=st.sampled_from([-1.0, 0.0, 0.3, 0.5]), known=st.booleans(), leave=st.booleans())
    def search(self, k: int, least: float, known: bool, leave: bool) -> None:
        face, query = random_faces(1, DIMENSION, int(self.dice.integers(2**32)))
        chosen = list(self.oracle.faces)[int(self.dice.integers(len(self.oracle.faces)))] if known else face.tobytes()
        query = self.oracle.faces.get(chosen, query[0])
        found = recall(self.index, self.oracle, query, k, least, chosen if leave else None)
        assert found >= 1 - max(0.01, 1 / k)

    @invariant()
    def holds_the_same(self) -> None:
        with self.index.contents() as (ids, held):
            assert {one.tobytes(): vector.tobytes() for one, vector in zip(ids, held, strict=True)} == {
                one: vector.tobytes() for one, vector in self.oracle.faces.items()
            }
        assert len(self.index) == len(self.oracle.faces)


class QuantisedAgainstOracle(CopiesAgainstOracle):
    make_copy = staticmethod(COPIES["quantised"])


class HalfPrecisionAgainstOracle(CopiesAgainstOracle):
    make_copy = staticmethod(COPIES["half"])


TestQuantisedAgainstOracle = QuantisedAgainstOracle.TestCase
TestHalfPrecisionAgainstOracle = HalfPrecisionAgainstOracle.TestCase
for case in (TestQuantisedAgainstOracle, TestHalfPrecisionAgainstOracle):
    case.settings = settings(max_examples=8, stateful_step_count=10, deadline=None)


@every_copy
@pytest.mark.parametrize("dimension", [3, 128, 512])
def test_recall_is_that_of_comparing_all(make_copy: MakeCopy, dimension: int, asked: list[bool]) -> None:
    ids, vectors = random_faces(2500, dimension)
    searched, oracle = filled(make_copy, ids, vectors), Oracle()
    oracle.update(NONE, ids, vectors)
    _, queries = random_faces(10, dimension, seed=1)
    for k, least in ((1, -1.0), (10, -1.0), (100, -1.0), (4096, 0.3), (4096, -1.0)):
        found = [recall(searched, oracle, query, k, least, None) for query in queries]
        assert np.mean(found) >= 0.99, (k, least)
    assert any(asked), "no answer came by the copy"


@every_copy
def test_a_copy_is_made_only_of_large_galleries(make_copy: MakeCopy) -> None:
    ids, vectors = random_faces(2000, 32)
    searched = VectorIndex(make_copy=make_copy, copy_from_bytes=vectors.nbytes)
    searched.update(NONE, ids[:1999], vectors[:1999])
    searched.settle()
    assert searched._copy is None and searched.is_small
    small = searched.nbytes
    searched.update(NONE, ids[1999:], vectors[1999:])
    searched.settle()
    assert searched._copy is not None and len(searched._copy) == 2000 and not searched.is_small
    assert searched.nbytes >= small + searched._copy.nbytes
    searched.update(ids[:1500], NONE, vectors[:0])
    assert searched._copy is None
    assert searched.nbytes < small


@every_copy
def test_deletions_and_insertions_count_at_once(make_copy: MakeCopy, asked: list[bool]) -> None:
    """Rows are not in the copy before it is brought on, which is held off here."""
    ids, vectors = random_faces(3000, 128)
    searched = filled(make_copy, ids[:2000], vectors[:2000])
    searched._copying = True
    for row in range(2000, 3000):
        searched.update(ids[row - 2000][None], ids[row][None], vectors[row][None])
        if row % 10 == 0:
            assert not len(searched.search(vectors[row - 2000], 5, 0.999)[0])
            found, scores = searched.search(vectors[row], 5, 0.999)
            assert found.tobytes() == ids[row].tobytes()
            assert scores.tolist() == [1.0]
    assert all(asked) and asked


def test_many_equal_vectors_are_compared_with_all(asked: list[bool]) -> None:
    ids, vectors = random_faces(3000, 64)
    vectors[500:2500] = vectors[0]
    searched = filled(Quantised.of, ids, vectors)
    found, scores = searched.search(vectors[0], 10, 1.0)
    assert len(found) == 10
    assert {one.tobytes() for one in found} <= {one.tobytes() for one in (ids[0], *ids[500:2500])}
    assert set(scores.tolist()) == {1.0}
    assert asked == [False], "what the copy left out is as near as what it found"


@every_copy
def test_searches_meanwhile_miss_nothing(make_copy: MakeCopy) -> None:
    """Several search for faces that stay, while others come and go and the copy is brought on."""
    ids, vectors = random_faces(6000, 64)
    searched = filled(make_copy, ids[:3000], vectors[:3000])
    stop, misses = threading.Event(), []

    def search(first: int) -> None:
        for row in iter(lambda: int(np.random.default_rng().integers(first, 1500)), None):
            found, scores = searched.search(vectors[row], 3, 0.9999)
            if [one.tobytes() for one in found] != [ids[row].tobytes()] or scores.tolist() != [1.0]:
                misses.append(row)
            if stop.is_set():
                return

    searchers = [threading.Thread(target=search, args=(first,)) for first in (0, 500, 1000)]
    for searcher in searchers:
        searcher.start()
    for start in range(3000, 6000, 50):
        block = slice(start, start + 50)
        searched.update(ids[start - 1500 : start - 1450], ids[block], vectors[block])
        searched.settle()
    stop.set()
    for searcher in searchers:
        searcher.join(30)
    assert not misses
    assert len(searched) == 3000


def test_half_precision_can_be_chosen() -> None:
    chosen = index.new("cpu")
    assert chosen._make_copy == Quantised.of
    with pytest.raises(ValueError, match="no device"):
        index.new("nowhere")
