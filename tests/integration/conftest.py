"""Real services for the integration tests: PostgreSQL and Valkey from their wheels, and a local S3 server."""

import itertools
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection, sql

from benchmarks.faults.chaos_kills import suspended
from openrek import postgres as postgres_of_wheel
from openrek import processes, valkey
from storage import migrations
from storage.database import Pool, open_pool
from storage.tenant import Tenant

MAX_CLIENTS = 80
START_TIMEOUT_SECONDS = 20.0
_database_numbers = itertools.count(1)


class Server:
    """A PostgreSQL server in a folder, reached through a socket there; may be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._sockets = folder / "sockets"
        self._server = postgres_of_wheel.choose(folder / "data", self._sockets)
        postgres_of_wheel.prepare(self._server)

    def url(self, database: str) -> str:
        return f"host={self._sockets} user=openrek dbname={database}"

    def start(self) -> None:
        command = [*postgres_of_wheel.command(self._server, MAX_CLIENTS), "-c", "fsync=off"]
        identity = processes.identity(self._server.user)
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **identity)
        _wait_until(lambda: psycopg.connect(self.url("postgres")).close(), psycopg.OperationalError)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(START_TIMEOUT_SECONDS)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """No process of the server runs, though its connections stay: as behind a cable that was pulled out."""
        with suspended(self._process.pid):
            yield


def _wait_until(attempt: Any, error: type[Exception]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while True:
        try:
            attempt()
            return
        except error:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@pytest.fixture(scope="session")
def service_folder() -> Iterator[Path]:
    """A folder with a path short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="rek") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres(service_folder: Path) -> Iterator[Server]:
    """The PostgreSQL server of the session."""
    server = Server(service_folder / "postgres")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_postgres() -> Iterator[Server]:
    """A PostgreSQL server for one test, which may stop and start it."""
    with tempfile.TemporaryDirectory(prefix="rek") as folder:
        server = Server(Path(folder) / "postgres")
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def template_database(postgres: Server) -> str:
    """The name of a migrated, empty database to copy from."""
    name = "migrated"
    _administer(postgres, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    migrations.apply(postgres.url(name))
    return name


@pytest.fixture
def empty_database_url(postgres: Server) -> Iterator[str]:
    """A database without any table."""
    yield from _database(postgres, "template0")


@pytest.fixture
def database_url(postgres: Server, template_database: str) -> Iterator[str]:
    """A migrated, empty database for one test."""
    yield from _database(postgres, template_database)


@pytest.fixture(scope="module")
def module_database_url(postgres: Server, template_database: str) -> Iterator[str]:
    """A migrated database shared by the tests of a module."""
    yield from _database(postgres, template_database)


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    with open_pool(database_url, max_connections=10) as pool:
        yield pool


@pytest.fixture
def connection(pool: Pool) -> Iterator[Connection[Any]]:
    """A connection in autocommit mode: every call to storage is a transaction of its own."""
    with pool.connection() as connection:
        connection.autocommit = True
        yield connection
        connection.autocommit = False


@pytest.fixture
def tenant() -> Tenant:
    return Tenant("123456789012", "eu-central-1")


@pytest.fixture(scope="session")
def broker_url(service_folder: Path) -> Iterator[str]:
    """The URL of a Valkey server on a socket."""
    socket = service_folder / "valkey.sock"
    process = subprocess.Popen(valkey.command(socket), stdout=subprocess.DEVNULL)
    _wait_until(socket.stat, OSError)
    yield f"unix://{socket}"
    process.terminate()
    process.wait(START_TIMEOUT_SECONDS)


@pytest.fixture
def s3_endpoint_url(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A local server that speaks S3, SNS and SQS, with credentials set in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    return s3_server


@pytest.fixture
def run_in_threads() -> Callable[[Sequence[Callable[[], object]]], None]:
    """Runs functions at the same time and waits for them; fails if one of them does."""
    return _run_in_threads


def _run_in_threads(work: Sequence[Callable[[], object]]) -> None:
    with ThreadPoolExecutor(len(work)) as executor:
        for future in [executor.submit(one) for one in work]:
            future.result(timeout=60)


def _database(postgres: Server, template: str) -> Iterator[str]:
    name = f"test{next(_database_numbers)}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
    _administer(postgres, create)
    yield postgres.url(name)
    _administer(postgres, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _administer(postgres: Server, statement: sql.Composed) -> None:
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(statement)
