"""The vector index and raw FAISS on one gallery in this process, taking turns."""

import functools
import os
import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import psutil

from benchmarks.inputs.synthetic_gallery import Gallery
from benchmarks.speed import search_load
from benchmarks.speed.search_load import (
    FAISS,
    FAISS_AT_ONCE,
    INDEX,
    LEAST_COSINE,
    MAX_FACES,
    Search,
    closed_loop,
    percentiles,
    recall,
    seconds_of,
)
from vectorindex import index, snapshots
from vectorindex.index import VectorIndex
from vectorindex.nearest import Vectors
from vectorindex.snapshots import Snapshot

RECALLS = ((1, -1.0), (10, -1.0), (MAX_FACES, LEAST_COSINE), (100, -1.0), (4096, LEAST_COSINE), (4096, -1.0))
"""k and least cosine of what recall is measured for; -1 is similarity 0."""
LOAD_ROWS = 4096
NONE = np.empty((0, 16), np.uint8)


@dataclass(frozen=True)
class Setting:
    """`seconds` for each side in each of so many `rounds`."""

    faces: int
    dimension: int
    device: str
    seconds: float
    rounds: int


@dataclass(frozen=True, eq=False)
class _Held:
    """A gallery and the index of it, how long that took, and by how many bytes the process grew."""

    gallery: Gallery
    index: VectorIndex
    load_seconds: float
    copy_seconds: float
    grown_bytes: int


def searches(setting: Setting, clients: int) -> dict[str, dict[str, Any]]:
    """Of each side, the medians of the rounds; of the index also its ratios to FAISS, medians of those of a round."""
    held = _held(setting)
    probes, vectors = held.gallery.probes, held.gallery.vectors
    rounds = []
    for _ in range(setting.rounds):
        ours = closed_loop([_by_index(held.index)] * clients, probes, setting.seconds)
        theirs = closed_loop([_by_faiss(vectors)] * clients, probes, setting.seconds)
        ours |= {
            "latency_ratio": ours["p50_ms"] / theirs["p50_ms"],
            "rate_ratio": ours["per_second"] / theirs["per_second"],
        }
        rounds.append({INDEX: ours, FAISS: theirs, FAISS_AT_ONCE: _at_once(vectors, probes, clients, setting.seconds)})
    return {
        side: {name: statistics.median(one[side][name] for one in rounds) for name in rounds[0][side]}
        for side in rounds[0]
    }


def gallery(setting: Setting) -> dict[str, Any]:
    """What holding it takes, how right its answers are, and how fast it changes; rates in faces a second."""
    held = _held(setting)
    recalls = [_recall(held, k, least) for k, least in RECALLS]
    figures: dict[str, Any] = {
        "recall": recalls[RECALLS.index((MAX_FACES, LEAST_COSINE))],
        "lowest_recall": min(recalls),
        "bytes_per_face": held.index.nbytes / setting.faces,
        "resident_bytes_per_face": held.grown_bytes / setting.faces,
        "loaded_per_second": setting.faces / held.load_seconds,
        "copy_seconds": held.copy_seconds,
        **_changes(held, setting.seconds),
    }
    with _searched(held) as times:
        figures |= {f"{name}_while_searched": rate for name, rate in _changes(held, setting.seconds).items()}
    return figures | {"p50_ms_while_changed": percentiles(times)["p50_ms"], **_snapshot(held.index)}


@functools.lru_cache(1)
def _held(setting: Setting) -> _Held:
    made = search_load.gallery(setting.faces, setting.dimension)
    held = index.new(setting.device, setting.faces)
    before = psutil.Process().memory_info().rss
    loaded = seconds_of(_load, held, made)
    settled = seconds_of(held.settle)
    return _Held(made, held, loaded, settled, psutil.Process().memory_info().rss - before)


def _load(held: VectorIndex, made: Gallery) -> None:
    for start in range(0, len(made.ids), LOAD_ROWS):
        rows = slice(start, start + LOAD_ROWS)
        held.update(NONE, made.ids[rows], made.vectors[rows])


def _recall(held: _Held, k: int, least: float) -> float:
    probes = held.gallery.probes[: 100 if k < 4096 else 20]
    return recall(lambda probe: held.index.search(probe, k, least)[1], held.gallery.vectors, probes, k, least)


def _at_once(vectors: Vectors, probes: Vectors, clients: int, seconds: float) -> dict[str, Any]:
    """One caller with the queries of all clients; an answer comes for all of them."""
    k = min(MAX_FACES, len(vectors))

    def search(probe: Vectors) -> None:
        faiss.omp_set_num_threads(os.cpu_count() or 1)
        faiss.knn(np.repeat(probe[None], clients, axis=0), vectors, k, faiss.METRIC_INNER_PRODUCT)

    figures = closed_loop([search], probes, seconds)
    return figures | {"per_second": clients * figures["per_second"]}


def _changes(held: _Held, seconds: float) -> dict[str, float]:
    """Faces deleted and inserted again, a hundred at a time."""
    deleted = inserted = 0.0
    done, rows, ids, vectors = 0, min(100, len(held.gallery.ids)), held.gallery.ids, held.gallery.vectors
    while not done or (deleted + inserted < seconds and (done + 1) * rows <= len(ids)):
        # Far apart, as those that people delete are.
        chosen = (np.arange(done * rows, (done + 1) * rows) * 7919) % len(ids)
        deleted += seconds_of(held.index.update, ids[chosen], NONE, vectors[:0])
        inserted += seconds_of(held.index.update, NONE, ids[chosen], vectors[chosen])
        done += 1
    return {"deleted_per_second": done * rows / deleted, "inserted_per_second": done * rows / inserted}


@contextmanager
def _searched(held: _Held) -> Iterator[list[float]]:
    """One client that searches all the while; the seconds that its searches took."""
    stop, times, search = threading.Event(), list[float](), _by_index(held.index)

    def client() -> None:
        while not times or not stop.is_set():
            times.append(seconds_of(search, held.gallery.probes[len(times) % len(held.gallery.probes)]))

    thread = threading.Thread(target=client)
    thread.start()
    try:
        yield times
    finally:
        stop.set()
        thread.join()


def _snapshot(held: VectorIndex) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder, snapshot = Path(name), Snapshot(1, bytes(16), {"faces": held, "users": VectorIndex()})
        written = seconds_of(snapshots.prepare, folder, 1, snapshot) + seconds_of(snapshots.commit, folder, 1)
        return {
            "snapshot_written_seconds": written,
            "snapshot_read_seconds": seconds_of(snapshots.read, folder, 1),
        }


def _by_index(held: VectorIndex) -> Search:
    return lambda probe: held.search(probe, MAX_FACES, LEAST_COSINE)


def _by_faiss(vectors: Vectors) -> Search:
    k = min(MAX_FACES, len(vectors))

    def search(probe: Vectors) -> object:
        # The setting is that of the calling thread.
        faiss.omp_set_num_threads(1)
        return faiss.knn(probe[None], vectors, k, faiss.METRIC_INNER_PRODUCT)

    return search
