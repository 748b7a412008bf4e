"""The index server as a process, asked through its client."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import numpy as np
import pytest

from storage import collections, faces, migrations, users
from storage.collections import Collection
from storage.database import Pool
from storage.faces import Box4, NewFace
from storage.tenant import Tenant
from vectorindex.client import IndexClient, IndexUnavailable, UnknownCollection
from vectorindex.messages import Matches

TENANT = Tenant("123456789012", "eu-central-1")
START_TIMEOUT_SECONDS = 20.0
PROGRAM = """
import sys
from pathlib import Path
from vectorindex.server import run
run(sys.argv[1], sys.argv[2], Path(sys.argv[3]), 0.05, "warning")
"""


class IndexServer:
    """A server process on a socket in a folder, which also keeps its snapshots."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.url = f"unix://{folder}/index.sock"
        self.client = IndexClient(self.url)
        self._arguments = [self.url, database_url, str(folder / "snapshots")]
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", PROGRAM, *self._arguments])
        wait_until(self.client.is_ready)

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(10) in (0, -15)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def index_server(database_url: str) -> Iterator[IndexServer]:
    with tempfile.TemporaryDirectory(prefix="rek") as folder:
        server = IndexServer(Path(folder), database_url)
        server.start()
        try:
            yield server
        finally:
            server.stop()
            server.client.close()


@pytest.fixture
def servers(database_url: str) -> Iterator[list[IndexServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(index_server(database_url)) for _ in range(2)]


@pytest.fixture
def server(database_url: str) -> Iterator[IndexServer]:
    with index_server(database_url) as server:
        yield server


@pytest.fixture
def collection(pool: Pool) -> Collection:
    with pool.connection() as connection:
        return collections.create(connection, TENANT, "c", "base-1")


def unit(seed: int, dimension: int = 32) -> Any:
    vector = np.random.default_rng(seed).standard_normal(dimension, dtype=np.float32)
    return vector / np.linalg.norm(vector)


def store(pool: Pool, vector: Any) -> tuple[int, UUID]:
    with pool.connection() as connection:
        new = [NewFace(Box4(0, 0, 1, 1), 99.0, vector)]
        after, stored = faces.add(connection, TENANT, "c", uuid4(), None, new, 100_000)
    return after.version, stored[0].face_id


def delete(pool: Pool, face_id: UUID) -> int:
    with pool.connection() as connection:
        faces.delete(connection, TENANT, "c", [face_id])
        return collections.get(connection, TENANT, "c").version


def test_search_finds_the_best_first(server: IndexServer, pool: Pool, collection: Collection) -> None:
    stored = [store(pool, unit(seed))[1] for seed in range(5)]
    matches = server.client.search(collection.id, "faces", 5, unit(3), 10, -1.0)
    assert {match.id for match in matches} == set(stored)
    assert (matches[0].id, matches[0].score) == (stored[3], 1.0)
    assert [match.score for match in matches] == sorted((match.score for match in matches), reverse=True)
    assert server.client.search(collection.id, "faces", 5, unit(3), 2, -1.0) == matches[:2]
    assert server.client.search(collection.id, "faces", 5, unit(3), 10, matches[1].score) == matches[:2]
    assert server.client.search(collection.id, "faces", 5, unit(3), 3, -1.0, exclude=stored[3]) == matches[1:4]


def test_refusals(server: IndexServer, pool: Pool, collection: Collection) -> None:
    store(pool, unit(1))
    with pytest.raises(UnknownCollection):
        server.client.search(collection.id + 1, "faces", 0, unit(1), 1, 0.0)
    with pytest.raises(ValueError, match="16"):
        server.client.search(collection.id, "faces", 0, unit(1, 16), 1, 0.0)
    with pytest.raises(IndexUnavailable, match="version"):
        server.client.search(collection.id, "faces", 99, unit(1), 1, 0.0)
    with httpx.Client(transport=httpx.HTTPTransport(uds=server.url.removeprefix("unix://"))) as http:
        assert http.post("http://index/search", content=b"nonsense").status_code == 400
        assert http.get("http://index/healthz").status_code == 200


def test_two_servers_never_give_an_old_answer(
    servers: list[IndexServer], pool: Pool, collection: Collection, run_in_threads: Any
) -> None:
    def write(seed: int) -> None:
        mine = unit(seed)

        def sees(face_id: UUID, version: int) -> list[bool]:
            answers = [server.client.search(collection.id, "faces", version, mine, 5, 0.99) for server in servers]
            return [face_id in {match.id for match in matches} for matches in answers]

        for _ in range(10):
            version, face_id = store(pool, mine)
            assert sees(face_id, version) == [True, True]
            assert sees(face_id, delete(pool, face_id)) == [False, False]

    run_in_threads([lambda seed=seed: write(seed) for seed in range(4)])


def test_clients_survive_a_restart_of_the_server(server: IndexServer, pool: Pool, collection: Collection) -> None:
    version, face_id = store(pool, unit(1))
    for end in ("terminate", "kill"):
        assert server.client.search(collection.id, "faces", version, unit(1), 1, 0.9)[0].id == face_id
        getattr(server.process, end)()
        server.process.wait(10)
        with pytest.raises(IndexUnavailable):
            server.client.search(collection.id, "faces", version, unit(1), 1, 0.9)
        server.start()
    assert server.client.search(collection.id, "faces", version, unit(1), 1, 0.9)[0].id == face_id


def test_a_deleted_collection_is_forgotten(server: IndexServer, pool: Pool, collection: Collection) -> None:
    version, _ = store(pool, unit(1))
    server.client.search(collection.id, "faces", version, unit(1), 1, 0.9)
    with pool.connection() as connection:
        collections.delete(connection, TENANT, "c")

    def is_forgotten() -> bool:
        try:
            server.client.search(collection.id, "faces", version, unit(1), 1, 0.9)
        except UnknownCollection:
            return True
        return False

    wait_until(is_forgotten)


def test_a_restart_of_the_database_is_healed(own_postgres: Any) -> None:
    database_url = own_postgres.url("postgres")
    migrations.apply(database_url)
    with index_server(database_url) as server:
        own_postgres.stop()
        wait_until(lambda: not server.client.is_ready())
        with pytest.raises(IndexUnavailable):
            server.client.search(1, "faces", 0, unit(1), 1, 0.9)
        own_postgres.start()
        wait_until(server.client.is_ready)
        with pytest.raises(UnknownCollection):
            server.client.search(1, "faces", 0, unit(1), 1, 0.9)


def test_the_server_loads_no_model_runtime() -> None:
    program = (
        "import sys, vectorindex.server; print({'cv2', 'onnxruntime', 'boto3', 'PIL', 'celery'} & sys.modules.keys())"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_a_connection_that_ends_under_a_request_is_tried_again(tmp_path: Path, run_in_threads: Any) -> None:
    """As when a server closes an idle connection at the moment that it is used."""
    body = msgspec.msgpack.encode(Matches(1, b"", b""))
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    path = str(tmp_path / "index.sock")
    with socket.create_server(path, family=socket.AF_UNIX) as listener:
        listener.settimeout(10)

        def serve() -> None:
            for reply in (b"", answer):
                connection, _ = listener.accept()
                with connection, connection.makefile("rb") as request:
                    # A socket that is closed with something unread in it tells the other side of a reset instead.
                    head = dict(line.split(b": ") for line in iter(request.readline, b"\r\n") if b": " in line)
                    request.read(int(head[b"content-length"]))
                    connection.sendall(reply)

        def search() -> None:
            assert IndexClient(f"unix://{path}").search(1, "faces", 0, unit(1), 1, 0.0) == []

        run_in_threads([serve, search])


@pytest.mark.alone
def test_nobody_there_is_told_soon(tmp_path: Path) -> None:
    start = time.monotonic()
    client = IndexClient(f"unix://{tmp_path}/none.sock", patience_seconds=0.2)
    assert not client.is_ready()
    with pytest.raises(IndexUnavailable):
        client.search(1, "faces", 0, unit(1), 1, 0.0)
    assert time.monotonic() - start < 1


def test_a_search_waits_for_a_server_that_is_being_started_again(
    server: IndexServer, pool: Pool, collection: Collection, run_in_threads: Any
) -> None:
    version, face_id = store(pool, unit(1))
    patient = IndexClient(server.url, patience_seconds=START_TIMEOUT_SECONDS)
    assert patient.search(collection.id, "faces", version, unit(1), 1, 0.9)[0].id == face_id
    server.process.kill()
    server.process.wait()

    def search() -> None:
        assert patient.search(collection.id, "faces", version, unit(1), 1, 0.9)[0].id == face_id

    run_in_threads([search, server.start])


def test_a_client_is_shared_by_threads(
    server: IndexServer, pool: Pool, collection: Collection, run_in_threads: Any
) -> None:
    version, face_id = store(pool, unit(1))
    found: list[UUID] = []

    def search() -> None:
        for _ in range(20):
            found.append(server.client.search(collection.id, "faces", version, unit(1), 1, 0.9)[0].id)

    run_in_threads([search] * 4)
    assert found == [face_id] * 80


def test_users_are_searched_apart_from_faces(server: IndexServer, pool: Pool, collection: Collection) -> None:
    stored = [store(pool, unit(seed))[1] for seed in range(3)]
    keys = []
    with pool.connection() as connection:
        for user_id, face_id in zip("ab", stored, strict=False):
            users.create(connection, TENANT, "c", user_id, 10)
            users.associate(connection, TENANT, "c", user_id, [face_id], -1.0, 10)
            keys.append(users.get(connection, collection.id, user_id).key)
        version = collections.get(connection, TENANT, "c").version
    matches = server.client.search(collection.id, "users", version, unit(1), 10, -1.0)
    assert (matches[0].id, matches[0].score) == (keys[1], 1.0)
    assert [match.id for match in matches] == [keys[1], keys[0]]
    assert server.client.search(collection.id, "users", version, unit(1), 10, -1.0, exclude=keys[1]) == matches[1:]
    assert len(server.client.search(collection.id, "faces", version, unit(1), 10, -1.0)) == 3
    with pool.connection() as connection:
        users.delete(connection, TENANT, "c", "b")
        version = collections.get(connection, TENANT, "c").version
    assert server.client.search(collection.id, "users", version, unit(1), 10, -1.0) == matches[1:]
    with pytest.raises(ValueError, match="dogs"):
        server.client.search(collection.id, "dogs", version, unit(1), 1, 0.0)  # type: ignore[arg-type]
