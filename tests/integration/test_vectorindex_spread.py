"""Several index servers on one database: searches go on when one dies or hangs, and never give an old answer."""

import logging
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest

from benchmarks.faults.chaos_kills import suspended
from benchmarks.speed import index_servers
from benchmarks.speed.index_servers import IndexServers
from storage import collections, faces
from storage.database import Pool
from storage.faces import Box4, NewFace
from storage.tenant import Tenant
from vectorindex import client as client_module
from vectorindex.client import IndexClient, IndexUnavailable, Match, UnknownCollection
from vectorindex.placement import order

TENANT = Tenant("123456789012", "eu-central-1")
NEVER = {"OPENREK_VECTORINDEX_POLL_SECONDS": "3600"}
AT_ONCE_SECONDS = 1.0
# Opening, and the silence of one server.
BOUND_SECONDS = 5.0


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rek") as folder:
        yield Path(folder)


@pytest.fixture
def two(folder: Path, database_url: str) -> Iterator[IndexServers]:
    """Two servers that look for changes only when a search needs them."""
    with index_servers.running(folder, database_url, 2, **NEVER) as servers:
        yield servers


@pytest.fixture
def client(two: IndexServers) -> Iterator[IndexClient]:
    client = IndexClient(*two.urls)
    yield client
    client.close()


def unit(seed: int) -> Any:
    vector = np.random.default_rng(seed).standard_normal(32, dtype=np.float32)
    return vector / np.linalg.norm(vector)


def create(pool: Pool, name: str) -> int:
    with pool.connection() as connection:
        return collections.create(connection, TENANT, name, "base-1").id


def create_of(pool: Pool, urls: Sequence[str], first: str) -> tuple[int, str]:
    """A collection for which a given server is asked first: its id and name."""
    while True:
        name = str(uuid4())
        collection_id = create(pool, name)
        if order(collection_id, urls)[0] == first:
            return collection_id, name


def store(pool: Pool, name: str, vector: Any) -> tuple[int, UUID]:
    """The version then and the face's id."""
    with pool.connection() as connection:
        new = [NewFace(Box4(0, 0, 1, 1), 99.0, vector)]
        after, stored = faces.add(connection, TENANT, name, uuid4(), None, new, 100_000)
    return after.version, stored[0].face_id


def delete(pool: Pool, name: str, face_id: UUID) -> int:
    with pool.connection() as connection:
        faces.delete(connection, TENANT, name, [face_id])
        return collections.get(connection, TENANT, name).version


def found(client: IndexClient, collection_id: int, version: int, seed: int) -> tuple[list[UUID], float]:
    """The faces like one that was made with a seed, and the seconds that the search took."""
    start = time.monotonic()
    matches = client.search(collection_id, "faces", version, unit(seed), 5, 0.99)
    return [match.id for match in matches], time.monotonic() - start


class FakeStaleClient(IndexClient):
    """A client with a fault: it does not say which version it has to see."""

    def search(self, collection_id: int, kind: Any, at_least: int, *rest: Any, **named: Any) -> list[Match]:
        return super().search(collection_id, kind, 0, *rest, **named)


def old_answers(pool: Pool, clients: Sequence[IndexClient], rounds: int = 8) -> list[str]:
    """Four writers at a time add and delete faces of two collections; what each then misses, or still finds."""
    names = {name: create(pool, name) for name in ("first", "second")}
    old: list[str] = []

    def write(seed: int) -> None:
        name = list(names)[seed % 2]
        for _ in range(rounds):
            version, face_id = store(pool, name, unit(seed))
            old.extend("missed" for client in clients if face_id not in found(client, names[name], version, seed)[0])
            version = delete(pool, name, face_id)
            old.extend("still found" for client in clients if face_id in found(client, names[name], version, seed)[0])

    writers = [threading.Thread(target=write, args=[seed]) for seed in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    return old


def test_no_server_gives_an_old_answer_and_a_client_that_would_is_noticed(two: IndexServers, pool: Pool) -> None:
    clients = [IndexClient(*two.urls), *map(IndexClient, two.urls)]
    assert old_answers(pool, clients) == []
    with pool.connection() as connection:
        for name in ("first", "second"):
            collections.delete(connection, TENANT, name)
    assert set(old_answers(pool, [FakeStaleClient(two.urls[0]), *clients])) == {"missed", "still found"}


@pytest.mark.alone
def test_when_a_server_dies_the_next_one_answers_until_it_is_back(
    two: IndexServers, pool: Pool, client: IndexClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first, second = two.urls
    collection_id, name = create_of(pool, two.urls, first)
    version, face_id = store(pool, name, unit(1))
    assert found(client, collection_id, version, 1)[0] == [face_id]
    two.kill(first)
    for _ in range(3):
        ids, seconds = found(client, collection_id, version, 1)
        assert ids == [face_id] and seconds < AT_ONCE_SECONDS
    assert caplog.text.count(f"index server {first} is away") == 1
    assert client.is_ready()
    assert f"index servers that are not ready: {first}\n" in caplog.text
    version, other = store(pool, name, unit(2))
    assert found(client, collection_id, version, 2)[0] == [other]
    two.start(first)
    deadline = time.monotonic() + BOUND_SECONDS
    while f"index server {first} is back" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    two.kill(second)
    assert found(client, collection_id, version, 2)[0] == [other]
    assert "others are asked" in caplog.text and f"index server {second} is away" not in caplog.text


@pytest.mark.alone
def test_when_a_server_hangs_one_search_waits_for_it_and_no_other(
    two: IndexServers, pool: Pool, client: IndexClient
) -> None:
    first = two.urls[0]
    collection_id, name = create_of(pool, two.urls, first)
    version, face_id = store(pool, name, unit(1))
    assert found(client, collection_id, version, 1)[0] == [face_id]
    with suspended(two.processes[first].pid):
        ids, seconds = found(client, collection_id, version, 1)
        assert ids == [face_id] and 1.0 < seconds < BOUND_SECONDS
        for _ in range(3):
            ids, seconds = found(client, collection_id, version, 1)
            assert ids == [face_id] and seconds < AT_ONCE_SECONDS
        start = time.monotonic()
        assert client.is_ready() and time.monotonic() - start < 1.5


def test_a_server_that_works_for_long_is_waited_for(
    two: IndexServers, pool: Pool, client: IndexClient, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As one that opens a large collection: here a lock holds up its reading."""
    collection_id, name = create_of(pool, two.urls, two.urls[0])
    version, face_id = store(pool, name, unit(1))
    with psycopg.connect(database_url) as holder:
        holder.execute("LOCK TABLE faces IN ACCESS EXCLUSIVE MODE")
        threading.Timer(BOUND_SECONDS, holder.rollback).start()
        ids, seconds = found(client, collection_id, version, 1)
    assert ids == [face_id] and seconds > BOUND_SECONDS - 0.5
    assert "away" not in caplog.text
    with psycopg.connect(database_url) as holder:
        holder.execute("LOCK TABLE collections IN ACCESS EXCLUSIVE MODE")
        threading.Timer(2.5, holder.rollback).start()
        with pytest.raises(UnknownCollection):
            found(client, collection_id + 1, 0, 1)
    assert "away" not in caplog.text


@pytest.mark.alone
def test_when_all_servers_are_away_that_is_told_soon_and_they_are_used_again(
    two: IndexServers, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_LOOK_SECONDS", 3600.0)
    collection_id = create(pool, "c")
    version, face_id = store(pool, "c", unit(1))
    client = IndexClient(*two.urls, patience_seconds=0.2)
    for url in two.urls:
        two.kill(url)
    assert not client.is_ready()
    start = time.monotonic()
    with pytest.raises(IndexUnavailable):
        found(client, collection_id, version, 1)
    assert time.monotonic() - start < AT_ONCE_SECONDS
    two.start(two.urls[1])
    assert found(client, collection_id, version, 1)[0] == [face_id], "although it was seen to be away"


def test_a_server_opens_only_its_own_collections_beforehand(folder: Path, database_url: str, pool: Pool) -> None:
    names = [str(uuid4()) for _ in range(6)]
    ids = {name: create(pool, name) for name in names}
    for name in names:
        with pool.connection() as connection:
            new = [NewFace(Box4(place / 1000, 0, 0.0005, 1), 99.0, unit(place)) for place in range(1000)]
            faces.add(connection, TENANT, name, uuid4(), None, new, 100_000)
    with index_servers.running(folder, database_url, 2) as servers:
        deadline = time.monotonic() + 20

        def held() -> list[set[int]]:
            folders = (folder / "vectorindex", folder / "vectorindex-2")
            return [{int(path.stem) for path in one.glob("*.vectors")} for one in folders]

        while len(set.union(*held())) < len(names):
            assert time.monotonic() < deadline, held()
            time.sleep(0.05)
        expected = [{one for one in ids.values() if order(one, servers.urls)[0] == url} for url in servers.urls]
        assert held() == expected
