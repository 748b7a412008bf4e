"""What each side of the comparison is asked, and how its searches are counted."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from benchmarks.inputs import synthetic_gallery
from benchmarks.inputs.synthetic_gallery import Gallery
from vectorindex.nearest import Vectors

INDEX, SERVED, FAISS, FAISS_AT_ONCE = "index", "index server", "FAISS", "FAISS, queries at once"
PGVECTOR_HNSW, PGVECTOR_EXACT = "pgvector HNSW", "pgvector, exact"
MAX_FACES = 80
"""Results asked for: the default of SearchFaces. Its least cosine is that of similarity 80 in the base pack."""
LEAST_COSINE = 0.36
TOLERANCE = 1e-4
PROBES = 256
Search = Callable[[Vectors], object]
Scores = npt.NDArray[np.float32]


def gallery(faces: int, dimension: int) -> Gallery:
    return synthetic_gallery.make(faces, dimension, probe_count=min(PROBES, max(1, faces // 4)))


def closed_loop(searches: list[Search], probes: Vectors, seconds: float) -> dict[str, Any]:
    """Each client has a search of its own and begins the next when it has the answer to the last."""
    end = time.perf_counter() + seconds

    def client(number: int) -> list[float]:
        times: list[float] = []
        while not times or time.perf_counter() < end:
            probe = probes[(7 * number + len(times)) % len(probes)]
            times.append(seconds_of(searches[number], probe))
        return times

    begin = time.perf_counter()
    with ThreadPoolExecutor(len(searches)) as threads:
        times = [one for some in threads.map(client, range(len(searches))) for one in some]
    return {"per_second": len(times) / (time.perf_counter() - begin), **percentiles(times)}


def recall(answer: Callable[[Vectors], Scores], held: Vectors, probes: Vectors, k: int, least: float) -> float:
    """Of the right answers, how many are given: those with a cosine as high as the last right one, to a tolerance."""
    found = wanted = 0
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    right, _ = faiss.knn(probes, held, min(k, len(held)), faiss.METRIC_INNER_PRODUCT)
    for probe, cosines in zip(probes, right, strict=True):
        cosines = cosines[cosines >= least + TOLERANCE]
        if len(cosines):
            found += min(len(cosines), int((answer(probe) >= cosines[-1] - TOLERANCE).sum()))
            wanted += len(cosines)
    return found / wanted if wanted else 1.0


def percentiles(seconds: list[float]) -> dict[str, float]:
    return {f"p{q}_ms": 1e3 * float(np.percentile(seconds, q)) for q in (50, 99)}


def seconds_of(work: Callable[..., object], *arguments: object) -> float:
    begin = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - begin
