"""Searches through a vector index server's socket, as the API asks it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from benchmarks.inputs.synthetic_gallery import Vectors
from benchmarks.speed import index_servers, search_load
from benchmarks.speed.search_load import LEAST_COSINE, MAX_FACES
from storage import collections, faces
from storage.database import Pool, open_pool
from storage.faces import Box4, NewFace
from storage.tenant import Tenant
from vectorindex.client import IndexClient, IndexUnavailable

TENANT = Tenant("000000000000", "us-east-1")
BOX = Box4(0.0, 0.0, 0.5, 0.5)
FACES_AT_ONCE = 1000
OPEN_SECONDS = 120.0


@dataclass(frozen=True)
class Served:
    """A stored collection of so many faces, which is also its version."""

    client: IndexClient
    process: psutil.Process
    collection_id: int
    faces: int
    probes: Vectors

    def search(self, probe: Vectors) -> None:
        self.client.search(self.collection_id, "faces", self.faces, probe, MAX_FACES, LEAST_COSINE)

    def open(self) -> None:
        """Waits until the first search is answered. Raises IndexUnavailable."""
        deadline = time.monotonic() + OPEN_SECONDS
        while True:
            try:
                return self.search(self.probes[0])
            except IndexUnavailable:
                if time.monotonic() > deadline:
                    raise

    def searches(self, clients: int, seconds: float) -> dict[str, Any]:
        """Beside the rate and times, the memory of the server, which holds the smaller collections too."""
        figures = search_load.closed_loop([self.search] * clients, self.probes, seconds)
        return figures | {"resident_megabytes": self.process.memory_info().rss / 1e6}


@dataclass(frozen=True)
class Server:
    """A running server on a database."""

    pool: Pool
    client: IndexClient
    process: psutil.Process

    def filled(self, count: int, dimension: int) -> Served:
        """A new collection with the vectors of the gallery of that size, opened."""
        gallery = search_load.gallery(count, dimension)
        with self.pool.connection() as connection:
            made = collections.create(connection, TENANT, str(uuid4()), "base-1")
        for start in range(0, count, FACES_AT_ONCE):
            new = [NewFace(BOX, 99.0, vector) for vector in gallery.vectors[start : start + FACES_AT_ONCE]]
            with self.pool.connection() as connection:
                faces.add(connection, TENANT, made.name, uuid4(), None, new, count)
        served = Served(self.client, self.process, made.id, count, gallery.probes)
        served.open()
        return served


@contextmanager
def opened(folder: Path, database_url: str) -> Iterator[Server]:
    """One server, as `openrek vectorindex` starts it, with its files in a folder."""
    # A busy machine takes long to open a large collection.
    patient = {"OPENREK_DATABASE_STATEMENT_SECONDS": str(OPEN_SECONDS)}
    with index_servers.running(folder, database_url, 1, **patient) as servers, open_pool(database_url, 2) as pool:
        client = IndexClient(*servers.urls)
        try:
            yield Server(pool, client, psutil.Process(servers.processes[servers.urls[0]].pid))
        finally:
            client.close()
