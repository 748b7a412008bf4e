"""The worker as a process on a real queue, tidying a real database."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import psutil
import pytest

from openrek import valkey
from storage import changes, collections, faces, idempotency
from storage.database import Pool
from storage.faces import Box4, NewFace
from storage.tenant import Tenant
from workers import app, maintenance

TIMEOUT_SECONDS = 20.0
PROGRAM = """
import sys
from inference.client import InferenceClient
from storage.database import open_pool
from storage.objects import ObjectStore
from vectorindex.client import IndexClient
from workers import app, maintenance
from workers.services import WorkerServices
seconds = float(sys.argv[3])
if seconds:
    maintenance.PERIODIC.update(dict.fromkeys(maintenance.PERIODIC, seconds))
with open_pool(sys.argv[2], app.CONNECTIONS, app.STATEMENT_SECONDS) as pool:
    nowhere = "unix:///nowhere"
    services = WorkerServices(pool, InferenceClient(nowhere), IndexClient(nowhere), ObjectStore(pool, None))
    app.run(sys.argv[1], services, "warning")
"""


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def start_worker(broker_url: str, database_url: str) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a worker process; its periodic tasks run every so many seconds, or at the times they have (0)."""
    started: list[subprocess.Popen[bytes]] = []

    def start(period_seconds: float = 0) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", PROGRAM, broker_url, database_url, str(period_seconds)]
        worker = subprocess.Popen(command)
        started.append(worker)
        wait_until(lambda: worker.poll() is not None or app.ping(broker_url, 1.0))
        assert worker.poll() is None
        return worker

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.wait(TIMEOUT_SECONDS)


@pytest.fixture
def tombstone(pool: Pool, tenant: Tenant) -> None:
    """A deleted collection with a face."""
    vector = np.eye(1, 8, dtype=np.float32)[0]
    with pool.connection() as connection:
        collections.create(connection, tenant, "gone", "base-1")
        faces.add(connection, tenant, "gone", uuid4(), None, [NewFace(Box4(0, 0, 1, 1), 99.0, vector)], 10)
        collections.delete(connection, tenant, "gone")


def rows(pool: Pool, table: str) -> int:
    with pool.connection() as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.usefixtures("tombstone")
def test_a_purge_sent_by_name_is_done(pool: Pool, broker_url: str, start_worker: Any) -> None:
    start_worker()
    assert rows(pool, "faces") == 1
    app.create_app(broker_url).send_task("workers.maintenance.purge_deleted_collections")
    wait_until(lambda: rows(pool, "faces") == rows(pool, "collection_changes") == 0)


@pytest.mark.usefixtures("tombstone")
def test_tasks_come_round_by_themselves(pool: Pool, start_worker: Any) -> None:
    start_worker(period_seconds=0.2)
    wait_until(lambda: rows(pool, "faces") == rows(pool, "collection_changes") == 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_worker_stops_when_asked(broker_url: str, start_worker: Any, number: signal.Signals) -> None:
    worker = start_worker()
    assert not psutil.Process(worker.pid).children(), "one process is enough"
    worker.send_signal(number)
    assert worker.wait(10) == 0
    assert not app.ping(broker_url, 0.5)


def test_nobody_answers_without_a_worker_or_a_broker(tmp_path: Path) -> None:
    socket = tmp_path / "valkey.sock"
    valkey_process = subprocess.Popen(valkey.command(socket), stdout=subprocess.DEVNULL)
    wait_until(socket.exists)

    def nobody_answers() -> bool:
        start = time.monotonic()
        return not app.ping(f"unix://{socket}", 0.3) and time.monotonic() - start < 2

    assert nobody_answers()
    valkey_process.terminate()
    assert nobody_answers()
    valkey_process.wait(TIMEOUT_SECONDS)
    assert nobody_answers()


def test_logs_are_trimmed_and_tokens_expire(pool: Pool, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "_BATCH_ROWS", 2)
    monkeypatch.setattr(maintenance, "_LOG_ENTRIES_KEPT", 3)
    vector = np.eye(1, 8, dtype=np.float32)[0]
    with pool.connection() as connection:
        collection = collections.create(connection, tenant, "c", "base-1")
        for _ in range(8):
            faces.add(connection, tenant, "c", uuid4(), None, [NewFace(Box4(0, 0, 1, 1), 99.0, vector)], 10)
        for token in "abc":
            idempotency.once(connection, tenant, "Start", token, b"", dict)
        connection.execute("UPDATE idempotency_tokens SET created_at = now() - interval '8 days' WHERE token <> 'c'")
    assert maintenance.trim_change_logs(pool) == 5
    assert maintenance.expire_idempotency_tokens(pool) == 2
    assert maintenance.purge_deleted_collections(pool) == 0
    with pool.connection() as connection:
        assert [change.version for change in changes.since(connection, collection.id, 0, 10)] == [6, 7, 8]
    assert rows(pool, "idempotency_tokens") == 1
