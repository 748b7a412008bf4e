"""Searches by pgvector, in the PostgreSQL that the stack of one machine runs."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg

from benchmarks.inputs.synthetic_gallery import Gallery, Vectors
from benchmarks.speed import search_load
from benchmarks.speed.search_load import LEAST_COSINE, MAX_FACES, Scores, Search, closed_loop, recall, seconds_of

EF_SEARCH = (80, 160, 320, 640, 1000)
"""Sizes of the list of candidates, of which the first that reaches the recall is taken: at least the results asked for,
at most what pgvector allows."""
ENOUGH_RECALL = 0.99
RECALL_PROBES = 100


@dataclass(frozen=True)
class Table:
    """A table of vectors with an HNSW index, searched with `ef_search`. `figures`: of building it."""

    database_url: str
    name: str
    gallery: Gallery
    ef_search: int
    figures: dict[str, Any]

    def searches(self, clients: int, seconds: float, is_exact: bool) -> dict[str, Any]:
        with ExitStack() as opened:
            connections = [
                opened.enter_context(_searching(self.database_url, self.ef_search, is_exact)) for _ in range(clients)
            ]
            searches = [_search(connection, self.name) for connection in connections]
            probes = self.gallery.probes[:RECALL_PROBES]
            found = recall(_scores(searches[0]), self.gallery.vectors, probes, MAX_FACES, LEAST_COSINE)
            figures = closed_loop(searches, self.gallery.probes, seconds)
        return figures | {"recall": found, "ef_search": None if is_exact else self.ef_search}


def filled(database_url: str, faces: int, dimension: int, maintenance_work_mem: str) -> Table:
    """Written with COPY, then indexed with pgvector's own m and ef_construction."""
    gallery, name = search_load.gallery(faces, dimension), f"gallery_{faces}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connection.execute(f"CREATE TABLE {name} (id uuid NOT NULL, embedding vector({dimension}) NOT NULL)")
        loaded = seconds_of(_copy, connection, name, gallery)
        connection.execute("SELECT set_config('maintenance_work_mem', %s, false)", [maintenance_work_mem])
        built = seconds_of(connection.execute, f"CREATE INDEX ON {name} USING hnsw (embedding vector_ip_ops)")
        connection.execute(f"VACUUM ANALYZE {name}")
        (size,) = connection.execute("SELECT pg_total_relation_size(%s::regclass)", [name]).fetchone() or (0,)
    ef_search, found = _least_ef_search(database_url, name, gallery)
    return Table(
        database_url,
        name,
        gallery,
        ef_search,
        {
            "recall": found,
            "ef_search": ef_search,
            "bytes_per_face": size / faces,
            "loaded_per_second": faces / loaded,
            "build_seconds": built,
        },
    )


def _copy(connection: psycopg.Connection[Any], name: str, gallery: Gallery) -> None:
    with connection.cursor().copy(f"COPY {name} (id, embedding) FROM STDIN") as copy:
        for one, vector in zip(gallery.ids, gallery.vectors, strict=True):
            copy.write_row((one.tobytes().hex(), _text(vector)))


def _least_ef_search(database_url: str, name: str, gallery: Gallery) -> tuple[int, float]:
    """The smallest that reaches the recall, or else the largest, and the recall."""
    probes = gallery.probes[:RECALL_PROBES]
    for ef_search in EF_SEARCH:
        with _searching(database_url, ef_search, is_exact=False) as connection:
            scores = _scores(_search(connection, name))
            found = recall(scores, gallery.vectors, probes, MAX_FACES, LEAST_COSINE)
        if found >= ENOUGH_RECALL:
            break
    return ef_search, found


@contextmanager
def _searching(database_url: str, ef_search: int, is_exact: bool) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=0) as connection:
        connection.execute(f"SET hnsw.ef_search = {ef_search}")
        # Left to itself the planner scans small tables.
        connection.execute(f"SET enable_{'indexscan' if is_exact else 'seqscan'} = off")
        yield connection


def _search(connection: psycopg.Connection[Any], name: str) -> Search:
    distance = "embedding <#> %(probe)s::vector"
    statement = f"SELECT id, -({distance}) FROM {name} ORDER BY {distance} LIMIT %(k)s"

    def search(probe: Vectors) -> list[Any]:
        return connection.execute(statement, {"probe": _text(probe), "k": MAX_FACES}).fetchall()

    return search


def _scores(search: Search) -> Any:
    def scores(probe: Vectors) -> Scores:
        rows: Any = search(probe)
        return np.array([score for _, score in rows], np.float32)

    return scores


def _text(vector: Vectors) -> str:
    return str(vector.tolist())
