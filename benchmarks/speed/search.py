"""`openrek bench search`: the vector index at the scale of galleries, against raw FAISS in the same run.

For each size: rate of inserting, deleting and both while searches run; memory per face; recall against comparing all;
the latency of one client, with the time it had a core, and the rate of several, FAISS and the index taking turns;
writing and reading a snapshot. Vectors are synthetic, see benchmarks/inputs/synthetic_gallery.py.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from benchmarks import record
from benchmarks.inputs import synthetic_gallery
from benchmarks.inputs.synthetic_gallery import Gallery
from vectorindex import index, snapshots
from vectorindex.index import VectorIndex
from vectorindex.nearest import Vectors
from vectorindex.snapshots import Snapshot

MAX_FACES = 80
"""Results asked for: the default of SearchFaces. Its least cosine is that of similarity 80 in the base pack."""
LEAST_COSINE = 0.36
RECALLS = ((1, -1.0), (10, -1.0), (MAX_FACES, LEAST_COSINE), (100, -1.0), (4096, LEAST_COSINE), (4096, -1.0))
"""k and least cosine of what recall is measured for; -1 is similarity 0."""
TOLERANCE = 1e-4
LOAD_ROWS = 4096
NONE = np.empty((0, 16), np.uint8)
Search = Callable[[Vectors], object]


def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and save if asked to. `arguments` are those of the command."""
    results = []
    for size in arguments.sizes:
        results.append(measure(size, arguments))
        print(_text(results[-1]), flush=True)
    if arguments.save:
        figure = record.RESULTS / f"{arguments.save}.png"
        draw(results, figure)
        print(f"saved {record.save(arguments.save, {'galleries': results})} and {figure}")
    return 0


def measure(size: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures of one gallery: times in the unit of their names, rates as faces or searches a second."""
    gallery = synthetic_gallery.make(size, arguments.dimension, probe_count=min(256, size // 4))
    held = index.new(arguments.device, size)
    uncopied = VectorIndex(size, make_copy=lambda _: None)
    _load(uncopied, gallery)
    sides = {"index": _by_index(held), "compared_with_all": _by_index(uncopied), "faiss": _by_faiss(gallery)}
    loaded = _seconds(_load, held, gallery)
    settled = _seconds(held.settle)
    result: dict[str, Any] = {
        "faces": size,
        "dimension": arguments.dimension,
        "device": arguments.device,
        "others_on_the_machine": os.getloadavg()[0],
        "loaded_per_second": size / loaded,
        "copied_seconds": settled,
        "bytes_per_face": held.nbytes / size,
        "recall": _recalls(held, gallery),
        "latency": _latency(sides, gallery.probes, arguments.seconds),
        "throughput": [_throughput(sides, gallery.probes, clients, arguments.seconds) for clients in arguments.clients],
        "changes_per_second": _changes(held, gallery, arguments.seconds),
    }
    with _searching(held, gallery) as searched:
        result["changes_per_second_while_searched"] = _changes(held, gallery, arguments.seconds)
    result["latency_while_changed"] = _percentiles(searched)
    return result | _snapshot(held)


def _load(held: VectorIndex, gallery: Gallery) -> None:
    for start in range(0, len(gallery.ids), LOAD_ROWS):
        rows = slice(start, start + LOAD_ROWS)
        held.update(NONE, gallery.ids[rows], gallery.vectors[rows])


def _recalls(held: VectorIndex, gallery: Gallery) -> list[dict[str, Any]]:
    """Of the right answers, how many are given: those with a cosine as high as the last right one, to a tolerance."""
    rows = []
    for k, least in RECALLS:
        probes = gallery.probes[: 100 if k < 4096 else 20]
        found = wanted = 0
        faiss.omp_set_num_threads(1)
        right, _ = faiss.knn(probes, gallery.vectors, min(k, len(gallery.vectors)), faiss.METRIC_INNER_PRODUCT)
        for probe, cosines in zip(probes, right, strict=True):
            cosines = cosines[cosines >= least + TOLERANCE]
            if len(cosines):
                _, scores = held.search(probe, k, least)
                found += min(len(cosines), int((scores >= cosines[-1] - TOLERANCE).sum()))
                wanted += len(cosines)
        rows.append({"k": k, "least_cosine": least, "recall": found / wanted})
    return rows


def _latency(sides: dict[str, Search], probes: Vectors, seconds: float) -> dict[str, dict[str, float]]:
    """Of one client; the sides take turns."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["faiss"]) < 50:
        probe = probes[len(times["faiss"]) % len(probes)]
        for name, search in sides.items():
            on_core = time.thread_time()
            times[name].append((_seconds(search, probe), time.thread_time() - on_core))
    return {
        name: _percentiles([waited for waited, _ in one])
        | {"on_core_ms": 1e3 * float(np.median([busy for _, busy in one]))}
        for name, one in times.items()
    }


def _throughput(sides: dict[str, Search], probes: Vectors, clients: int, seconds: float) -> dict[str, float]:
    """Searches a second of so many clients at once, medians of three rounds in which the sides take turns."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(3):
        for name, search in sides.items():
            rates[name].append(_rate(search, probes, clients, seconds))
    return {"clients": clients} | {name: float(np.median(one)) for name, one in rates.items()}


def _rate(search: Search, probes: Vectors, threads: int, seconds: float) -> float:
    begin = time.perf_counter()

    def client(first: int) -> int:
        done = 0
        while time.perf_counter() < begin + seconds:
            search(probes[(first + done) % len(probes)])
            done += 1
        return done

    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(client, range(0, 7 * threads, 7)))
    return done / (time.perf_counter() - begin)


def _changes(held: VectorIndex, gallery: Gallery, seconds: float) -> dict[str, float]:
    """Faces deleted and inserted again a second, one and a hundred at a time."""
    rates: dict[str, float] = {}
    for rows in (1, 100):
        deleted = inserted = 0.0
        done = 0
        while deleted + inserted < seconds and (done + 1) * rows <= len(gallery.ids):
            # Far apart, as those that people delete are.
            chosen = (np.arange(done * rows, (done + 1) * rows) * 7919) % len(gallery.ids)
            ids, vectors = gallery.ids[chosen], gallery.vectors[chosen]
            deleted += _seconds(held.update, ids, NONE, vectors[:0])
            inserted += _seconds(held.update, NONE, ids, vectors)
            done += 1
        rates |= {f"deleted_by_{rows}": done * rows / deleted, f"inserted_by_{rows}": done * rows / inserted}
    return rates


@contextmanager
def _searching(held: VectorIndex, gallery: Gallery) -> Iterator[list[float]]:
    """One client that searches all the while; the seconds that its searches took."""
    stop, times = threading.Event(), list[float]()
    search = _by_index(held)

    def client() -> None:
        while not stop.is_set():
            times.append(_seconds(search, gallery.probes[len(times) % len(gallery.probes)]))

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
        prepared = _seconds(snapshots.prepare, folder, 1, snapshot)
        committed = _seconds(snapshots.commit, folder, 1)
        read = _seconds(snapshots.read, folder, 1)
    return {"snapshot_written_seconds": prepared + committed, "snapshot_read_seconds": read}


def _by_index(held: VectorIndex) -> Search:
    return lambda probe: held.search(probe, MAX_FACES, LEAST_COSINE)


def _by_faiss(gallery: Gallery) -> Search:
    def search(probe: Vectors) -> object:
        faiss.omp_set_num_threads(1)
        k = min(MAX_FACES, len(gallery.vectors))
        return faiss.knn(probe[None], gallery.vectors, k, faiss.METRIC_INNER_PRODUCT)

    return search


def _seconds(work: Callable[..., object], *arguments: object) -> float:
    begin = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - begin


def _percentiles(seconds: list[float]) -> dict[str, float]:
    return {f"p{q}_ms": 1e3 * float(np.percentile(seconds, q)) for q in (50, 99)}


def _text(result: dict[str, Any]) -> str:
    lines = [
        f"{result['faces']} faces, {result['dimension']} dimensions: {result['bytes_per_face']:.0f} bytes per face, "
        f"loaded {result['loaded_per_second']:.0f}/s, copy made in {result['copied_seconds']:.1f} s",
        "  recall " + ", ".join(f"{r['recall']:.4f} (k {r['k']}, from {r['least_cosine']})" for r in result["recall"]),
    ]
    for name, latency in result["latency"].items():
        rates = ", ".join(f"{row[name]:.0f} ({row['clients']} clients)" for row in result["throughput"])
        lines.append(
            f"  {name}: median {latency['p50_ms']:.2f} ms, on a core {latency['on_core_ms']:.2f} ms, "
            f"p99 {latency['p99_ms']:.2f} ms, a second {rates}"
        )
    for name in ("changes_per_second", "changes_per_second_while_searched"):
        lines.append(f"  {name}: " + ", ".join(f"{key} {rate:.0f}" for key, rate in result[name].items()))
    lines.append(
        f"  searches meanwhile: median {result['latency_while_changed']['p50_ms']:.2f} ms; snapshot written in "
        f"{result['snapshot_written_seconds']:.1f} s, read in {result['snapshot_read_seconds']:.1f} s"
    )
    return "\n".join(lines)


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Time on a core for one client and searches a second of most clients by size, both on logarithmic axes."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    sizes = [result["faces"] for result in results]
    for name, label in (("faiss", "raw FAISS"), ("compared_with_all", "index, exact"), ("index", "index")):
        left.loglog(sizes, [result["latency"][name]["on_core_ms"] for result in results], "o-", label=label)
        right.loglog(sizes, [result["throughput"][-1][name] for result in results], "o-", label=label)
    left.set(xlabel="faces", ylabel="time on a core, one client, ms")
    right.set(xlabel="faces", ylabel=f"searches a second, {results[0]['throughput'][-1]['clients']} clients")
    for axes in (left, right):
        axes.grid(alpha=0.3, which="both")
        axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, bbox_inches="tight")
