"""Operations without inference against moto's server: requests a second, with the same client on the same cores.

moto knows none of the operations on collections; its GetFaceSearch and GetTextDetection, which answer from memory what
was written down beforehand, stand for it. The servers take turns; a ratio is that of one round, to the faster of moto's
operations.
"""

import itertools
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import own_stack
from benchmarks.endpoint import Endpoint
from benchmarks.harness import targets
from benchmarks.harness.definition import Definition
from benchmarks.harness.kinds import Options, Plan
from benchmarks.harness.load import closed_loop, signed
from benchmarks.harness.runner import Case

COLLECTION = "openrek-bench-protocol"
FACE = Path(__file__).parents[2] / "openrek" / "pictures" / "eileen_collins.jpg"
CONTENTS: Mapping[str, dict[str, Any]] = {
    "DescribeCollection": {"CollectionId": COLLECTION},
    "ListCollections": {},
    "ListFaces": {"CollectionId": COLLECTION},
}
THEIRS: Mapping[str, dict[str, Any]] = {"GetFaceSearch": {"JobId": "a"}, "GetTextDetection": {"JobId": "a"}}
START_SECONDS = 20.0


@contextmanager
def prepare(definition: Definition, options: Options) -> Iterator[Plan]:
    """Each operation of the definition with each number of clients, at each endpoint."""
    asked = definition.content
    with ExitStack() as opened:
        found = opened.enter_context(targets.opened(options.wanted))
        moto = opened.enter_context(_moto_server(next(iter(found.endpoints.values()))))
        for place in found.endpoints.values():
            opened.enter_context(_collection(place))
        cases = [
            Case(
                {"endpoint": name, "operation": operation, "clients": clients},
                partial(_measured, place, operation, clients, moto, asked["rounds"], asked["seconds"]),
            )
            for clients, operation, (name, place) in itertools.product(
                asked["clients"], asked["operations"], found.endpoints.items()
            )
        ]
        yield Plan(cases, {name: place.url for name, place in found.endpoints.items()} | {"moto": "moto's server"})


def _measured(
    place: Endpoint, operation: str, clients: int, moto: Endpoint, rounds: int, seconds: float
) -> dict[str, Any]:
    """Medians over the rounds."""
    turns = []
    for _ in range(rounds):
        ours = _figures(place, operation, CONTENTS[operation], clients, seconds)
        theirs = max(_figures(moto, name, content, clients, seconds)["per_second"] for name, content in THEIRS.items())
        turns.append({**ours, "moto_per_second": theirs, "ratio": ours["per_second"] / theirs})
    names = ("per_second", "p50_ms", "p99_ms", "moto_per_second", "ratio")
    errors = sum(turn["errors"] for turn in turns)
    return {name: statistics.median(turn[name] for turn in turns) for name in names} | {"errors": errors}


def _figures(place: Endpoint, operation: str, content: dict[str, Any], clients: int, seconds: float) -> dict[str, Any]:
    request = signed(place, operation, content)
    load = closed_loop(place, itertools.repeat(request), clients, seconds)
    if not load.latencies:
        raise RuntimeError(f"{place.url} never answers {operation}: {dict(load.errors)}")
    return load.figures()


@contextmanager
def _collection(place: Endpoint) -> Iterator[None]:
    """A collection with a face, for as long as it is measured."""
    client = place.client()
    # One may be left of a run that was killed.
    with suppress(client.exceptions.ResourceAlreadyExistsException):
        client.create_collection(CollectionId=COLLECTION)
    try:
        client.index_faces(CollectionId=COLLECTION, Image={"Bytes": FACE.read_bytes()})
        yield
    finally:
        client.delete_collection(CollectionId=COLLECTION)


@contextmanager
def _moto_server(like: Endpoint) -> Iterator[Endpoint]:
    """moto's server on a free port, for clients with the credentials of another endpoint."""
    port = own_stack.free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port, time.monotonic() + START_SECONDS)
        yield Endpoint(f"http://127.0.0.1:{port}", like.region, like.credentials, like.profile)
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, deadline: float) -> None:
    """Raises ConnectionError when nobody listens in time."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
