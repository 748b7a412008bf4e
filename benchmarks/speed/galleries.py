"""Many collections on one or several vector index servers, with a database of their own, all on this machine.

Collections of 20 to 100 made-up faces (128 dimensions), and one large one, are stored as the API stores them. Then, for
each number of servers: how long they take to start, what they cost while nothing happens (processor time, memory), how
long the first search of each collection takes and how long later ones, and how long searches take when a server is
killed, hangs, or comes back. Each search's best match is checked.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import psutil
from tqdm import tqdm

from benchmarks import record
from benchmarks.faults.chaos_kills import suspended
from benchmarks.speed import index_servers
from benchmarks.speed.index_servers import IndexServers
from storage import collections, faces
from storage.database import Pool, open_pool
from storage.faces import Box4, NewFace
from storage.tenant import Tenant
from vectorindex.client import IndexClient
from vectorindex.placement import order

EXAMPLE = "Example: python -m benchmarks.speed.galleries --collections 1000 --servers 1 3 --save galleries"
TENANT = Tenant("000000000000", "us-east-1")
DIMENSION = 128
FACES_OF_AN_IMAGE = 100
WRITERS = 4
IDLE_SECONDS = 10.0
BOX = Box4(0.0, 0.0, 0.5, 0.5)


@dataclass(frozen=True)
class Gallery:
    """A stored collection of `size` faces, which is also its version."""

    id: int
    size: int

    def vector(self) -> npt.NDArray[np.float32]:
        """The embedding of its first face."""
        return _vectors(self.id, 1).reshape(-1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.galleries", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("--collections", type=int, default=10_000, help="small collections (default %(default)s)")
    parser.add_argument("--large", type=int, default=100_000, help="faces of the large one (default %(default)s)")
    parser.add_argument("--servers", type=int, nargs="+", default=[1, 3], help="numbers of servers (default 1 3)")
    parser.add_argument("--searches", type=int, default=10_000, help="later searches (default %(default)s)")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="rek") as folder,
        index_servers.database(Path(folder)) as (url, postgres),
        open_pool(url, WRITERS) as pool,
    ):
        galleries, result = fill(pool, arguments.collections, arguments.large)
        result["servers"] = {}
        for count in arguments.servers:
            place = Path(folder) / str(count)
            place.mkdir()
            with index_servers.running(place, url, count) as servers:
                result["servers"][count] = measure(servers, postgres, pool, galleries, arguments.searches)
            print(f"{count} servers: {result['servers'][count]}")
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'galleries': result})}")
    return 0


def fill(pool: Pool, count: int, large: int) -> tuple[list[Gallery], dict[str, Any]]:
    """Store the collections, the large one last; return them, and how fast that went."""
    sizes = np.random.default_rng(0).integers(20, 101, count).tolist()

    def store(size: int) -> Gallery:
        with pool.connection() as connection:
            collection = collections.create(connection, TENANT, str(uuid4()), "base-1")
        vectors = _vectors(collection.id, size)
        for first in range(0, size, FACES_OF_AN_IMAGE):
            new = [NewFace(BOX, 99.0, vector) for vector in vectors[first : first + FACES_OF_AN_IMAGE]]
            with pool.connection() as connection:
                faces.add(connection, TENANT, collection.name, uuid4(), None, new, size)
        return Gallery(collection.id, size)

    start = time.monotonic()
    with ThreadPoolExecutor(WRITERS) as threads:
        galleries = list(tqdm(threads.map(store, sizes), "store", count, file=sys.stderr))
    seconds = time.monotonic() - start
    galleries.append(store(large))
    return galleries, {
        "collections": count,
        "faces": sum(sizes),
        "faces_of_the_large_collection": large,
        "dimension": DIMENSION,
        "collections_stored_per_second": count / seconds,
        "faces_stored_per_second": sum(sizes) / seconds,
    }


def measure(
    servers: IndexServers, postgres: int, pool: Pool, galleries: Sequence[Gallery], searches: int
) -> dict[str, Any]:
    """The figures of one number of servers, which have just been started without snapshots."""
    *small, large = galleries
    client = IndexClient(*servers.urls)
    shares = Counter(order(gallery.id, servers.urls)[0] for gallery in galleries)
    result: dict[str, Any] = {"shares": sorted(shares.values()), "load_average": os.getloadavg()[0]}
    result["opened_after_seconds"] = _seconds(lambda: _wait_for(client.has_opened))
    result["megabytes_at_start"] = _megabytes(servers)
    result["quiet_at_start"] = _idle_cost(servers, postgres, time.sleep)
    shuffled = random.Random(1).sample(small, len(small))
    result["first_search"] = _times(client, tqdm(shuffled, "first searches", file=sys.stderr))
    result["megabytes_with_all_held"] = _megabytes(servers)
    result["quiet_with_all_held"] = _idle_cost(servers, postgres, time.sleep)
    result["written_to_with_all_held"] = _idle_cost(servers, postgres, partial(_write, pool))
    chosen = random.Random(2).choices(small, k=searches)
    result["later_search"] = _times(client, tqdm(chosen, "later searches", file=sys.stderr))
    with ThreadPoolExecutor(WRITERS) as threads:
        seconds = _seconds(lambda: list(threads.map(lambda gallery: _search(client, gallery), chosen)))
    result["later_searches_per_second_of_four_clients"] = searches / seconds
    result["large_search"] = _times(client, [large] * 100)
    result["restart_seconds"] = _restart(servers)
    if len(servers.urls) > 1:
        result |= _failover(servers, client, large, chosen)
    client.close()
    return result


def _failover(servers: IndexServers, client: IndexClient, large: Gallery, chosen: Sequence[Gallery]) -> dict[str, Any]:
    """What searches cost while the server of the large collection hangs, dies, and comes back."""
    result: dict[str, Any] = {}
    first = order(large.id, servers.urls)[0]
    mine = [gallery for gallery in chosen if order(gallery.id, servers.urls)[0] == first][:500]
    _wait_for(client.has_opened)
    _search(client, large)
    with suspended(servers.processes[first].pid):
        result["hanging_first_search_seconds"] = _seconds(lambda: _search(client, mine[0]))
        result["hanging_later_search"] = _times(client, mine)
    _wait_for(client.has_opened)
    time.sleep(1.0)  # that the client notices
    servers.kill(first)
    result["killed_first_search_seconds"] = _seconds(lambda: _search(client, mine[0]))
    result["killed_first_search_of_the_large_seconds"] = _seconds(lambda: _search(client, large))
    result["killed_later_search"] = _times(client, mine)
    result["back_seconds"] = _start(servers, first)
    time.sleep(1.0)
    result["back_search"] = _times(client, mine)
    return result


def _restart(servers: IndexServers) -> list[float]:
    """Seconds from the start of each server to having opened what it holds, from its snapshots."""
    seconds = []
    for url in servers.urls:
        servers.kill(url)
        seconds.append(_start(servers, url))
    return seconds


def _start(servers: IndexServers, url: str) -> float:
    return servers.start(url) + _seconds(lambda: _wait_for(IndexClient(url).has_opened))


def _search(client: IndexClient, gallery: Gallery) -> None:
    (best, *_) = client.search(gallery.id, "faces", gallery.size, gallery.vector(), 10, -1.0)
    assert best.score > 0.999, "the wrong face was found"


def _times(client: IndexClient, galleries: Iterator[Gallery] | Sequence[Gallery]) -> dict[str, float]:
    """Milliseconds of one search after the other."""
    times = [_seconds(partial(_search, client, gallery)) * 1000 for gallery in galleries]
    low, high = np.percentile(times, [50, 99]).tolist()
    return {"median_ms": low, "p99_ms": high, "longest_ms": max(times)}


def _idle_cost(servers: IndexServers, postgres: int, meanwhile: Callable[[float], object]) -> dict[str, Any]:
    """Processor time of each server, and of the database's processes together, in ms per second without a search.

    `meanwhile` is given the seconds that it is to take.
    """
    running = [psutil.Process(process.pid) for process in servers.processes.values()]
    database = [psutil.Process(postgres), *psutil.Process(postgres).children()]
    time.sleep(2.0)
    before = [_cpu_seconds([one]) for one in running], _cpu_seconds(database)
    meanwhile(IDLE_SECONDS)
    after = [_cpu_seconds([one]) for one in running], _cpu_seconds(database)
    each = [1000 * (end - start) / IDLE_SECONDS for start, end in zip(before[0], after[0], strict=True)]
    return {"server_ms_per_second": each, "database_ms_per_second": 1000 * (after[1] - before[1]) / IDLE_SECONDS}


def _write(pool: Pool, seconds: float) -> None:
    """Create a collection twice a second, so that no look for changes finds nothing new."""
    for _ in range(round(2 * seconds)):
        with pool.connection() as connection:
            collections.create(connection, TENANT, str(uuid4()), "base-1")
        time.sleep(0.5)


def _cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes if process.is_running()]
    return sum(float(one.user + one.system) for one in times)


def _megabytes(servers: IndexServers) -> list[float]:
    """Memory of each server that it shares with nobody."""
    return [psutil.Process(process.pid).memory_full_info().uss / 1e6 for process in servers.processes.values()]


def _seconds(work: Callable[[], object]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


def _wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + index_servers.START_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError("a server has not opened its collections")
        time.sleep(index_servers.PROBE_SECONDS)


def _vectors(seed: int, count: int) -> npt.NDArray[np.float32]:
    """Random unit vectors, float32[count, D]; fewer are the first of more."""
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSION), dtype=np.float32)
    unit: npt.NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


if __name__ == "__main__":
    sys.exit(main())
