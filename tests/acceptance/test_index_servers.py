"""Several API processes and several index servers on one database, through boto3, while index servers are killed."""

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from benchmarks import own_stack
from benchmarks.faults.chaos_kills import suspended
from benchmarks.own_stack import Stack
from openrek.stack import index_servers
from vectorindex.client import IndexClient
from vectorindex.placement import order

ONCE = {"retries": {"total_max_attempts": 1}}
ALL = {"FaceMatchThreshold": 0.0, "MaxFaces": 4096}
BACK_SECONDS = 15.0
# Longer than reading a small collection takes, shorter than a server that hangs is waited for.
SOON_SECONDS = 2.5


@contextmanager
def _stack(models_dir: Path, servers: int) -> Iterator[Stack]:
    """Index servers look for changes only when a search needs them."""
    variables = {
        "OPENREK_VECTORINDEX_SERVERS": str(servers),
        "OPENREK_VECTORINDEX_POLL_SECONDS": "3600",
        "OPENREK_MODELS_DIR": str(models_dir),
    }
    with tempfile.TemporaryDirectory(prefix="rek") as folder, own_stack.serve(Path(folder), **variables) as stack:
        yield stack


@contextmanager
def _second_api(stack: Stack, log: Path) -> Iterator[Stack]:
    """One more API process of the same installation, on a port of its own."""
    port = own_stack.free_port()
    command = [sys.executable, "-P", "-m", "openrek", "api", "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=dict(stack.environment), stdout=out, stderr=subprocess.STDOUT)
    try:
        own_stack.wait_until_ready(f"http://127.0.0.1:{port}", process, log)
        yield replace(stack, settings=replace(stack.settings, port=port))
    finally:
        process.terminate()
        process.wait(own_stack.STOP_SECONDS)


@dataclass(frozen=True)
class Gallery:
    """A collection with one face to search with; `server` is the part that is asked first for it."""

    name: str
    probe: str
    server: str


@dataclass
class Killer:
    """Kills index servers, one at a time; the next one when the last one is back."""

    stack: Stack
    rounds: int = 0

    def run(self, done: threading.Event) -> None:
        while not done.is_set():
            for name, url in index_servers(self.stack.settings).items():
                kill(self.stack, name)
                wait_until_opened(url)
                done.wait(1.0)  # that API processes notice and use it again
            self.rounds += 1


def kill(stack: Stack, name: str) -> None:
    pid = stack.pid(name)
    assert pid
    os.kill(pid, signal.SIGKILL)


def wait_until_opened(url: str) -> None:
    client = IndexClient(url)
    deadline = time.monotonic() + BACK_SECONDS
    while not client.has_opened():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    client.close()


def galleries(stack: Stack, picture: bytes, per_server: int = 1) -> list[Gallery]:
    """Collections of each index server."""
    client, servers = stack.endpoint.client(), index_servers(stack.settings)
    wanted = dict.fromkeys(servers, per_server)
    made = []
    while any(wanted.values()):
        name = f"gallery-{uuid4()}"
        client.create_collection(CollectionId=name)
        with psycopg.connect(stack.settings.database_url) as connection:
            row = connection.execute("SELECT collection_id FROM collections WHERE name = %s", [name]).fetchone()
        assert row
        first = order(row[0], servers.values())[0]
        server = next(part for part, url in servers.items() if url == first)
        if wanted[server]:
            wanted[server] -= 1
            made.append(Gallery(name, index(client, name, "probe", picture), server))
    return made


def index(client: Any, collection: str, external_id: str, picture: bytes) -> str:
    answer = client.index_faces(CollectionId=collection, ExternalImageId=external_id, Image={"Bytes": picture})
    (face,) = answer["FaceRecords"]
    return str(face["Face"]["FaceId"])


def found(client: Any, gallery: Gallery) -> set[str]:
    answer = client.search_faces(CollectionId=gallery.name, FaceId=gallery.probe, **ALL)
    return {match["Face"]["FaceId"] for match in answer["FaceMatches"]}


def at_once(*work: Callable[[], None]) -> None:
    with ThreadPoolExecutor(len(work)) as threads:
        for done in [threads.submit(one) for one in work]:
            done.result()


def test_what_one_api_process_acknowledged_the_other_finds_whichever_server_answers(
    models_dir: Path, collins: bytes, tmp_path: Path
) -> None:
    """Faces come and go through either API process while the two index servers die in turn."""
    with _stack(models_dir, 2) as stack, _second_api(stack, tmp_path / "api.log") as second:
        clients = [place.endpoint.client(**ONCE) for place in (stack, second)]
        places, killer, done = galleries(stack, collins), Killer(stack), threading.Event()

        def write(writer: Any, gallery: Gallery) -> None:
            # Each server is away while the other is asked, comes back, and is asked again.
            for number in itertools.takewhile(lambda number: number < 5 or killer.rounds < 2, itertools.count()):
                face_id = index(writer, gallery.name, f"{id(writer)}-{number}", collins)
                assert [face_id in found(client, gallery) for client in clients] == [True, True]
                writer.delete_faces(CollectionId=gallery.name, FaceIds=[face_id])
                assert [face_id in found(client, gallery) for client in clients] == [False, False]

        killing = threading.Thread(target=killer.run, args=[done])
        killing.start()
        try:
            at_once(*[lambda one=client, place=place: write(one, place) for client in clients for place in places])
        finally:
            done.set()
            killing.join()


@pytest.mark.alone
def test_one_of_three_index_servers_dies_and_nobody_notices(models_dir: Path, collins: bytes) -> None:
    with _stack(models_dir, 3) as stack:
        servers = index_servers(stack.settings)
        places, client = galleries(stack, collins, per_server=2), stack.endpoint.client(8, **ONCE)
        expected = {place: {index(client, place.name, "other", collins)} for place in places}
        victim, *others = servers
        done, seconds = threading.Event(), list[float]()

        def search() -> None:
            while not done.is_set():
                for place in places:
                    start = time.monotonic()
                    assert found(client, place) == expected[place]
                    seconds.append(time.monotonic() - start)

        def kill_and_wait() -> None:
            try:
                for _ in range(3):
                    time.sleep(0.5)
                    kill(stack, victim)
                    wait_until_opened(servers[victim])
                time.sleep(1.0)
            finally:
                done.set()

        at_once(kill_and_wait, *[search] * 3)
        assert len(seconds) > 100 and max(seconds) < SOON_SECONDS

        # With the others hanging, only the one that was killed can answer soon.
        with ExitStack() as stopped:
            for name in others:
                pid = stack.pid(name)
                assert pid
                stopped.enter_context(suspended(pid))
            for place in places:
                if place.server == victim:
                    start = time.monotonic()
                    assert found(client, place) == expected[place]
                    assert time.monotonic() - start < SOON_SECONDS
