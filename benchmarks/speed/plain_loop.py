"""The limit of an endpoint's rate: the raw work behind its answers in a plain loop in this process."""

import itertools
import math
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from benchmarks.speed import replay
from benchmarks.speed.image_operations import OPERATIONS
from benchmarks.speed.replay import Pictures
from inference.packs.errors import ModelMissing
from inference.packs.store import network_path

TRIALS = 3
"""Passes over all pictures before anything counts, of each number of callers and of the endpoint under each load: the
first one pays for memory that is new to its threads."""


@dataclass(frozen=True)
class PlainLoop:
    """The raw work of an operation in this process; `callers` at a time are the fastest, at this rate."""

    replay: Callable[[Pictures], None]
    callers: int
    per_second: float


def limits(models: Path, pack: str, requests: Mapping[str, Sequence[Pictures]]) -> Callable[[str], PlainLoop] | None:
    """The loop of an operation, or None when the pack is not on this machine. The one asked for last is kept."""
    try:
        network_path(models, pack, "face_detector")
    except ModelMissing:
        return None

    @cache
    def loaded() -> Any:
        return replay.load(models, pack)

    @lru_cache(maxsize=1)
    def loop(operation: str) -> PlainLoop:
        asked = requests[operation]
        replayed = replay.record(OPERATIONS[operation], asked, loaded()).replay
        rates = {
            callers: max(looped(replayed, callers, asked, len(asked), turn) for turn in range(TRIALS))
            for callers in {1, os.cpu_count() or 1}
        }
        callers = max(rates, key=lambda callers: rates[callers])
        return PlainLoop(replayed, callers, rates[callers])

    return loop


def looped(
    replayed: Callable[[Pictures], None], callers: int, asked: Sequence[Pictures], count: float, seed: int
) -> float:
    """Requests a second of the plain loop, over about `count` of them in whole passes."""
    work = [*itertools.islice(passes(asked, seed), whole_passes(count, asked))]
    with ThreadPoolExecutor(callers) as threads:
        start = time.perf_counter()
        for _ in threads.map(replayed, work):
            pass
        return len(work) / (time.perf_counter() - start)


def passes(asked: Sequence[Pictures], seed: int) -> Iterator[Pictures]:
    """All of them, in an order drawn anew for each pass, without end."""
    draw = random.Random(seed)
    while True:
        yield from draw.sample(asked, len(asked))


def whole_passes(least: float, asked: Sequence[Pictures]) -> int:
    return math.ceil(least / len(asked)) * len(asked)
