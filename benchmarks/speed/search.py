"""The search of galleries: the vector index alone, its server as SearchFaces asks it, raw FAISS, and pgvector.

Vectors are synthetic, see benchmarks/inputs/synthetic_gallery.py. Each search asks as SearchFaces does by default: 80
results above the cosine of similarity 80 in the base pack. The index and raw FAISS take turns, in a process whose
libraries use one core for each search as those of the vector index server do.
"""

import functools
import itertools
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.harness.definition import Definition
from benchmarks.harness.kinds import Options, Plan
from benchmarks.harness.runner import Case
from benchmarks.speed import index_servers, search_pgvector, search_served, search_sides
from benchmarks.speed.search_load import FAISS, FAISS_AT_ONCE, INDEX, PGVECTOR_EXACT, PGVECTOR_HNSW, SERVED

ENDPOINTS = {
    INDEX: "the vector index, in a process",
    SERVED: "a vector index server, through its socket",
    FAISS: "faiss.knn, one query at a time in as many threads as clients",
    FAISS_AT_ONCE: "faiss.knn with the queries of all clients in one call on all cores",
    PGVECTOR_HNSW: "pgvector's HNSW in the PostgreSQL of the stack",
    PGVECTOR_EXACT: "pgvector comparing all",
}


@contextmanager
def prepare(definition: Definition, _: Options) -> Iterator[Plan]:
    """For each number of faces: the gallery as held, and searches of each number of clients."""
    asked = definition.content
    with ExitStack() as opened:
        folder = Path(opened.enter_context(TemporaryDirectory(prefix="rek")))
        process = opened.enter_context(_one_core_process())
        database = _once(opened, lambda: index_servers.database(folder))
        servers = _once(opened, lambda: search_served.opened(folder, database()[0]))
        cases = []
        for faces in asked["faces"]:
            cases += _alone(process, asked, faces)
            if faces <= asked["served_up_to"]:
                served = functools.cache(lambda faces=faces: servers().filled(faces, asked["dimension"]))
                cases += [
                    Case(_searches(SERVED, faces, clients), partial(_served, served, clients, asked["seconds"]))
                    for clients in asked["clients"]
                ]
            if faces <= asked["pgvector_up_to"]:
                cases += _in_pgvector(database, asked, faces)
        yield Plan(cases, ENDPOINTS)


def _alone(process: ProcessPoolExecutor, asked: Mapping[str, Any], faces: int) -> list[Case]:
    """The index in a process of its own, and FAISS in turns with it."""
    setting = search_sides.Setting(faces, asked["dimension"], asked["device"], asked["seconds"], asked["rounds"])

    @functools.cache
    def turns(clients: int) -> dict[str, dict[str, Any]]:
        return process.submit(search_sides.searches, setting, clients).result()

    return [
        Case(
            {"measured": "gallery", "system": INDEX, "faces": faces},
            lambda: process.submit(search_sides.gallery, setting).result(),
        ),
        *(
            Case(
                _searches(system, faces, clients),
                partial(lambda system, clients: turns(clients)[system], system, clients),
            )
            for clients, system in itertools.product(asked["clients"], (INDEX, FAISS, FAISS_AT_ONCE))
        ),
    ]


def _served(served: Callable[[], Any], clients: int, seconds: float) -> dict[str, Any]:
    figures: dict[str, Any] = served().searches(clients, seconds)
    return figures


def _in_pgvector(database: Callable[[], tuple[str, int]], asked: Mapping[str, Any], faces: int) -> list[Case]:
    @functools.cache
    def table() -> search_pgvector.Table:
        return search_pgvector.filled(database()[0], faces, asked["dimension"], asked["maintenance_work_mem"])

    def searched(clients: int, is_exact: bool) -> dict[str, Any]:
        return table().searches(clients, asked["seconds"], is_exact)

    return [
        Case({"measured": "gallery", "system": PGVECTOR_HNSW, "faces": faces}, lambda: table().figures),
        *(
            Case(_searches(system, faces, clients), partial(searched, clients, system == PGVECTOR_EXACT))
            for clients, system in itertools.product(asked["clients"], (PGVECTOR_HNSW, PGVECTOR_EXACT))
        ),
    ]


def _searches(system: str, faces: int, clients: int) -> dict[str, Any]:
    return {"measured": "searches", "system": system, "faces": faces, "clients": clients}


@contextmanager
def _one_core_process() -> Iterator[ProcessPoolExecutor]:
    """One process, started anew, in which a call of NumPy or FAISS takes one core."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        yield process


def _once(opened: ExitStack, open_it: Callable[[], Any]) -> Callable[[], Any]:
    """Opens something when it is first asked for."""
    return functools.cache(lambda: opened.enter_context(open_it()))
