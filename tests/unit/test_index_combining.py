import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from index_oracle import NONE, random_faces

from vectorindex.combining import Combined
from vectorindex.index import VectorIndex
from vectorindex.nearest import Probe, exact


def test_those_who_wait_share_the_next_call() -> None:
    batches: list[list[int]] = []
    first_runs, first_may_end = threading.Event(), threading.Event()

    def square_all(numbers: list[int]) -> list[int]:
        batches.append(numbers)
        if len(batches) == 1:
            first_runs.set()
            assert first_may_end.wait(10)
        return [number**2 for number in numbers]

    combined = Combined(square_all, lanes=1, most=3)
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(combined, 0)
        assert first_runs.wait(10)
        others = [threads.submit(combined, number) for number in range(1, 6)]
        while len(combined._waiting) < 5:
            pass
        first_may_end.set()
        assert [one.result(10) for one in (first, *others)] == [0, 1, 4, 9, 16, 25]
    assert [len(batch) for batch in batches] == [1, 3, 2]


def test_each_lane_runs_a_call_of_its_own() -> None:
    meet = threading.Barrier(2, timeout=10)

    def wait_for_other(names: list[str]) -> list[str]:
        meet.wait()
        return names

    combined = Combined(wait_for_other, lanes=2, most=1)
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(combined, ["a", "b"])) == ["a", "b"]


def test_a_failure_reaches_its_callers_and_frees_the_lane() -> None:
    def invert(numbers: list[int]) -> list[float]:
        return [1 / number for number in numbers]

    combined = Combined(invert, lanes=1, most=8)
    with pytest.raises(ZeroDivisionError):
        combined(0)
    assert combined(4) == 0.25


def test_a_batch_gives_what_single_searches_give() -> None:
    ids, vectors = random_faces(5000, 64)
    index = VectorIndex()
    index.update(NONE, ids, vectors)
    questions = [(vectors[n], [1, 7, 80, 4096][n % 4], [-1.0, 0.1, 0.3][n % 3]) for n in range(60)]
    alone = [index.search(*question) for question in questions]
    with ThreadPoolExecutor(16) as threads:
        together = list(threads.map(lambda question: index.search(*question), questions))
    for (ids_alone, scores_alone), (ids_together, scores_together) in zip(alone, together, strict=True):
        assert (ids_alone == ids_together).all()
        assert (scores_alone == scores_together).all()


def test_probes_of_one_batch_keep_their_own_limits() -> None:
    _, vectors = random_faces(300, 16)
    probes = [
        Probe(vectors[n], k, least) for n, (k, least) in enumerate([(1, -1.0), (300, 0.2), (9, 2.0), (999, -1.0)])
    ]
    together = exact(probes, vectors)
    for probe, rows in zip(probes, together, strict=True):
        (alone,) = exact([probe], vectors)
        assert set(rows) == set(alone)
        assert len(rows) <= probe.k
        assert (vectors[rows] @ probe.query >= probe.at_least - 1e-5).all()
    assert [len(rows) for rows in (together[0], together[2], together[3])] == [1, 0, 300]
    assert len(together[1]) == int(np.sum(vectors @ vectors[1] >= 0.2))
