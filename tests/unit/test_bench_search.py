"""How `openrek bench search` counts, and what its two sides find."""

import time

import numpy as np
import pytest

from benchmarks.speed import search_load, search_sides
from benchmarks.speed.search_load import FAISS, FAISS_AT_ONCE, INDEX
from benchmarks.speed.search_sides import Setting


def test_recall_is_the_part_of_what_is_to_be_found_above_the_least_cosine() -> None:
    held = np.eye(8, dtype=np.float32)
    probe = np.array([[0.8, 0.6, 0, 0, 0, 0, 0, 0]], np.float32)
    for scores, k, least, expected in (
        ([0.8, 0.6], 8, 0.5, 1.0),
        ([0.8], 8, 0.5, 0.5),
        ([0.6], 1, 0.5, 0.0),
        ([], 8, 0.9, 1.0),
        ([0.8, 0.6, 0.0, 0.0], 8, -1.0, 0.5),
    ):
        given = np.array(scores, np.float32)
        assert search_load.recall(lambda _, given=given: given, held, probe, k, least) == expected


def test_a_closed_loop_gives_each_client_its_own_search() -> None:
    asked: list[list[float]] = [[], []]

    def search(number: int, probe: float) -> None:
        asked[number].append(probe)
        time.sleep(0.005)

    searches = [lambda probe, number=number: search(number, probe) for number in range(2)]
    figures = search_load.closed_loop(searches, np.arange(3, dtype=np.float32), 0.05)
    assert figures["per_second"] == pytest.approx(sum(map(len, asked)) / 0.05, rel=0.8)
    assert 5 <= figures["p50_ms"] <= figures["p99_ms"]
    assert [one[:3] for one in asked] == [[0, 1, 2], [1, 2, 0]]


@pytest.mark.parametrize("faces", [1, 300, 5000])
def test_both_sides_are_searched_and_the_gallery_is_as_it_was(faces: int) -> None:
    setting = Setting(faces, 128, "cpu", seconds=0.01, rounds=1)
    sides = search_sides.searches(setting, clients=2)
    assert sides.keys() == {INDEX, FAISS, FAISS_AT_ONCE}
    ours, theirs = sides[INDEX], sides[FAISS]
    assert ours["latency_ratio"] == ours["p50_ms"] / theirs["p50_ms"]
    assert ours["rate_ratio"] == ours["per_second"] / theirs["per_second"]
    figures = search_sides.gallery(setting)
    assert figures["recall"] >= figures["lowest_recall"] >= 0.99
    assert figures["bytes_per_face"] >= 128 * 4 + 16
    assert len(search_sides._held(setting).index) == faces
