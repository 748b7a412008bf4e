"""What was acknowledged stays, whatever dies, hangs or fills up; benchmarks/faults/chaos.py does the same at length.

A stack of its own, whose index server never looks for changes by itself, so that only the versions asked for keep it
in step.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import psycopg
import pytest
from botocore.exceptions import ClientError

from benchmarks import own_stack
from benchmarks.faults import chaos
from benchmarks.faults.chaos_kills import suspended
from benchmarks.faults.chaos_ledger import Ledger
from benchmarks.own_stack import Stack

pytestmark = pytest.mark.alone

NEVER_SECONDS = "3600"
STATEMENT_SECONDS = 2.0
# A request that finds its connection dead waits for an answer, then for a new connection.
BOUND_SECONDS = 12.0
A_FEW_SECONDS = 10.0
ONCE = {"retries": {"total_max_attempts": 1}}
ALL = {"FaceMatchThreshold": 0.0, "MaxFaces": 4096}
DISK_MEGABYTES = 200


@pytest.fixture(scope="module")
def stack(models_dir: Path) -> Iterator[Stack]:
    variables = {
        "OPENREK_API_PROCESSES": "2",
        "OPENREK_VECTORINDEX_POLL_SECONDS": NEVER_SECONDS,
        "OPENREK_DATABASE_STATEMENT_SECONDS": str(STATEMENT_SECONDS),
        "OPENREK_MODELS_DIR": str(models_dir),
    }
    with tempfile.TemporaryDirectory(prefix="rek") as folder, own_stack.serve(Path(folder), **variables) as stack:
        yield stack


@pytest.fixture
def ledger(stack: Stack) -> Iterator[Ledger]:
    """A collection for one test, and what it should hold, which is compared at the end."""
    yield from _checked(stack)


def _checked(stack: Stack) -> Iterator[Ledger]:
    ledger = Ledger(f"durable-{uuid4()}")
    stack.endpoint.client().create_collection(CollectionId=ledger.collection)
    yield ledger
    assert chaos.final_disagreements(stack, ledger) == []


def test_nothing_is_lost_or_doubled_when_processes_are_killed(stack: Stack) -> None:
    outcome = chaos.run(stack, kills=12, longest_pause_seconds=2.5, clients=3, seed=1)
    assert outcome.tally.violations == [], chaos.table(outcome)
    assert all(outcome.back_seconds.values()), "not every part was killed"
    assert {"postgres", "valkey", "inference", "vectorindex", "worker", "api-1", "api-2"} < set(outcome.back_seconds)
    assert outcome.tally.acknowledged["index_faces"] > 20 and outcome.tally.acknowledged["delete_faces"] > 5
    assert max(outcome.killing.waits) < A_FEW_SECONDS, chaos.table(outcome)


def test_api_processes_with_index_servers_of_their_own_never_give_an_old_answer(
    stack: Stack, ledger: Ledger, collins: bytes, tmp_path: Path
) -> None:
    with _second_api(stack, tmp_path) as second:
        probe = _index(second.endpoint.client(), ledger, "probe", collins)
        external_ids = (f"face-{number}" for number in count())

        def work() -> None:
            clients = [place.endpoint.client() for place in (stack, second, stack, second)]
            for number in range(6):
                writer = clients[number % 4]
                external_id = next(external_ids)
                face_id = _index(writer, ledger, external_id, collins)
                assert [face_id in _found(client, ledger, probe) for client in clients] == [True] * 4
                ledger.move(external_id, "deleting")
                writer.delete_faces(CollectionId=ledger.collection, FaceIds=[face_id])
                ledger.move(external_id, "deleted")
                assert [face_id in _found(client, ledger, probe) for client in clients] == [False] * 4

        with ThreadPoolExecutor(4) as threads:
            for done in [threads.submit(work) for _ in range(4)]:
                done.result()


def test_without_a_database_requests_fail_clearly_in_time_and_then_work_again(
    stack: Stack, ledger: Ledger, collins: bytes
) -> None:
    client = stack.endpoint.client(connections=60, **ONCE)
    _index(client, ledger, "before", collins)
    ledger.begin("meanwhile", 0, collins)
    with ThreadPoolExecutor(60) as threads:
        with suspended(stack.pid("postgres")):
            # more than there are threads
            reading = [threads.submit(_failure, client.list_faces, CollectionId=ledger.collection) for _ in range(40)]
            writing = threads.submit(_failure, client.index_faces, **_request(ledger, "meanwhile", collins))
            failures = [(failure.result(), failure) for failure in (*reading, writing)]
        patient = [threads.submit(_found, stack.endpoint.client(), ledger, None) for _ in range(20)]
        start = time.monotonic()
        assert [len(found.result()) for found in patient] == [1] * 20
        assert time.monotonic() - start < A_FEW_SECONDS
    log = "".join(path.read_text() for path in (stack.home / "logs").glob("api-*.log"))
    for (error, seconds), _ in failures:
        assert error.response["Error"]["Code"] == "InternalServerError"
        assert seconds < BOUND_SECONDS
        assert f"request_id={error.response['ResponseMetadata']['RequestId']} operation=" in log
    assert "failed: The database cannot serve" in log
    _index(client, ledger, "meanwhile", collins)


def test_a_lock_held_by_another_fails_its_writers_in_time_and_nobody_else(
    stack: Stack, ledger: Ledger, collins: bytes
) -> None:
    client, impatient = stack.endpoint.client(), stack.endpoint.client(**ONCE)
    other = Ledger(f"other-{uuid4()}")
    client.create_collection(CollectionId=other.collection)
    probe = _index(client, ledger, "before", collins)
    with psycopg.connect(stack.settings.database_url) as holder, ThreadPoolExecutor() as threads:
        holder.execute("SELECT FROM collections WHERE name = %s FOR UPDATE", [ledger.collection])
        ledger.begin("waiting", 0, collins)
        waiting = threads.submit(_failure, impatient.index_faces, **_request(ledger, "waiting", collins))
        while waiting.running():
            start = time.monotonic()
            _index(client, other, f"meanwhile-{start}", collins)
            assert _found(client, ledger, probe) == set()
            assert time.monotonic() - start < STATEMENT_SECONDS
        error, seconds = waiting.result()
        assert error.response["Error"]["Code"] == "InternalServerError"
        assert seconds < STATEMENT_SECONDS + 2
        assert len(other.view()) > 1
        again = threads.submit(_index, client, ledger, "waiting", collins)
        time.sleep(STATEMENT_SECONDS / 2)
        holder.rollback()
        again.result()
    assert chaos.final_disagreements(stack, other) == []


@pytest.fixture
def small_disk(models_dir: Path) -> Iterator[Stack]:
    """A stack whose home lies on a disk of its own, seen by no other process."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("a disk of its own needs mount namespaces, which are not permitted here")
    mount = f'mount -t tmpfs -o size={DISK_MEGABYTES}m,mode=711 tmpfs "$0" && exec "$@"'
    with tempfile.TemporaryDirectory(prefix="rek") as folder:
        prefix = ("unshare", "-m", "sh", "-c", mount, folder)
        with own_stack.serve(Path(folder), prefix=prefix, OPENREK_MODELS_DIR=str(models_dir)) as stack:
            yield stack


def test_a_full_disk_fails_writes_and_nothing_else(small_disk: Stack, collins: bytes) -> None:
    (checking,) = [_checked(small_disk)]
    ledger = next(checking)
    client, impatient = small_disk.endpoint.client(), small_disk.endpoint.client(**ONCE)
    probe = _index(client, ledger, "before", collins)
    ballast = small_disk.home.parent / "ballast"
    _fill(ballast)
    failed = _index_until_it_fails(impatient, ledger, collins)
    _fill(ballast)
    acknowledged = {entry.face_id for entry in ledger.present().values()}
    assert _found(client, ledger, probe) == acknowledged - {probe}
    listed = client.list_faces(CollectionId=ledger.collection)["Faces"]
    assert {face["FaceId"] for face in listed} == acknowledged
    # A part that dies now comes back all the same.
    psutil.Process(small_disk.pid("vectorindex")).kill()
    assert _found(client, ledger, probe) == acknowledged - {probe}
    ballast.unlink()
    _index(client, ledger, failed, collins)
    with pytest.raises(StopIteration):
        next(checking)


def _index_until_it_fails(client: Any, ledger: Ledger, picture: bytes) -> str:
    """The external id that could not be stored."""
    for number in range(1000):
        external_id = f"face-{number}"
        try:
            _index(client, ledger, external_id, picture)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "InternalServerError"
            return external_id
    pytest.fail("the disk is never full")


def _fill(path: Path) -> None:
    with path.open("ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


@contextmanager
def _second_api(stack: Stack, folder: Path) -> Iterator[Stack]:
    """An API process of the same installation, asking an index server of its own."""
    with tempfile.TemporaryDirectory(prefix="rek") as sockets:
        shared = {
            **stack.environment,
            "OPENREK_VECTORINDEX_URL": f"unix://{sockets}/vectorindex.sock",
            "DATABASE_URL": stack.settings.database_url,
        }
        port = own_stack.free_port()
        with (
            _process("vectorindex", folder / "index.log", {**shared, "OPENREK_HOME": str(folder)}),
            _process("api", log := folder / "api.log", {**shared, "OPENREK_PORT": str(port)}) as api,
        ):
            own_stack.wait_until_ready(f"http://127.0.0.1:{port}", api, log)
            yield replace(stack, settings=replace(stack.settings, port=port))


@contextmanager
def _process(part: str, log: Path, environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as out:
        command = [sys.executable, "-P", "-m", "openrek", part]
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(own_stack.STOP_SECONDS)


def _request(ledger: Ledger, external_id: str, picture: bytes) -> dict[str, Any]:
    return {"CollectionId": ledger.collection, "ExternalImageId": external_id, "Image": {"Bytes": picture}}


def _index(client: Any, ledger: Ledger, external_id: str, picture: bytes) -> str:
    ledger.begin(external_id, 0, picture)
    (face,) = client.index_faces(**_request(ledger, external_id, picture))["FaceRecords"]
    ledger.move(external_id, "present", face["Face"]["FaceId"])
    return str(face["Face"]["FaceId"])


def _found(client: Any, ledger: Ledger, probe: str | None) -> set[str]:
    """The ids of all faces a search finds, or a listing when there is no probe."""
    if probe is None:
        return {face["FaceId"] for face in client.list_faces(CollectionId=ledger.collection)["Faces"]}
    answer = client.search_faces(CollectionId=ledger.collection, FaceId=probe, **ALL)
    return {match["Face"]["FaceId"] for match in answer["FaceMatches"]}


def _failure(call: Callable[..., Any], **request: Any) -> tuple[ClientError, float]:
    """The error of a call and the seconds until it came."""
    start = time.monotonic()
    with pytest.raises(ClientError) as caught:
        call(**request)
    return caught.value, time.monotonic() - start
