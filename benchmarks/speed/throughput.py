"""An operation under load against the limit: the raw work behind its answers, replayed in a loop on the same cores.

Requests are signed beforehand and sent again and again over kept connections, so that the client costs little of the
cores it shares with the server. The loop runs in this process, once with one caller and once with one per core; the
better of the two is the limit. Loop and endpoint take turns, since machines drift.
"""

import argparse
import base64
import http.client
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from tqdm import tqdm

from benchmarks import endpoint, record
from benchmarks.speed import replay

EXAMPLE = "Example: python -m benchmarks.speed.throughput ../shared/evaldata/face_detection/images --clients 1 4 16"
Job = Callable[[bytes], object]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.throughput", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("folder", type=Path, help="folder with JPEG pictures")
    parser.add_argument("--operation", choices=replay.PIPELINES, default="DetectFaces", help="default %(default)s")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16], help="default 1 4 16")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default %(default)s)")
    parser.add_argument("--models", type=Path, default=Path.home() / ".openrek" / "models", help="default %(default)s")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    endpoint.add_arguments(parser)
    arguments = parser.parse_args()
    pictures = [path.read_bytes() for path in sorted(arguments.folder.glob("*.jpg"))]
    loop = replay.record(arguments.operation, pictures, arguments.models).replay
    place, operation = endpoint.chosen(arguments), arguments.operation
    result = measure(place, operation, pictures, arguments.clients, arguments.rounds, loop)
    print(f"{len(pictures)} pictures; plain loop: {result['loop_per_second']:.1f} pictures a second")
    for row in result["endpoint"]:
        print(
            f"{row['clients']:3d} clients: {row['per_second']:6.1f} a second, ratio {row['ratio']:.2f}, "
            f"median {row['median_ms']:.1f} ms, 99th percentile {row['p99_ms']:.1f} ms"
        )
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'throughput': result})}")
    return 0


def measure(
    place: endpoint.Endpoint,
    operation: str,
    pictures: Sequence[bytes],
    clients: Sequence[int],
    rounds: int,
    loop: Job,
) -> dict[str, Any]:
    """Medians over the rounds; a ratio is that of one round's endpoint and loop."""
    cores = os.cpu_count() or 1
    rates: dict[int, list[float]] = {count: [] for count in clients}
    ratios: dict[int, list[float]] = {count: [] for count in clients}
    times: dict[int, list[float]] = {count: [] for count in clients}
    limits = []
    for _ in tqdm(range(rounds), desc="rounds", file=sys.stderr):
        limit = max(run(loop, pictures, 1)[0], run(loop, pictures, cores)[0])
        limits.append(limit)
        for count in clients:
            requests = {
                picture: [signed_request(place, operation, fresh(picture)) for _ in range(2)] for picture in pictures
            }
            with Sender(place, requests, count) as sender:
                rate, seconds = run(sender.send, pictures, count)
            rates[count].append(rate)
            ratios[count].append(rate / limit)
            times[count] += seconds
    return {
        "pictures": len(pictures),
        "rounds": rounds,
        "loop_per_second": statistics.median(limits),
        "endpoint": [
            {
                "clients": count,
                "per_second": statistics.median(rates[count]),
                "ratio": statistics.median(ratios[count]),
                "median_ms": statistics.median(times[count]) * 1e3,
                "p99_ms": statistics.quantiles(times[count], n=100)[98] * 1e3,
            }
            for count in clients
        ],
    }


def run(job: Job, pictures: Sequence[bytes], callers: int) -> tuple[float, list[float]]:
    """Pictures a second and each picture's seconds, with `callers` at a time."""

    def timed(picture: bytes) -> float:
        start = time.perf_counter()
        job(picture)
        return time.perf_counter() - start

    with ThreadPoolExecutor(callers) as threads:
        list(threads.map(job, pictures[:callers]))
        start = time.perf_counter()
        seconds = list(threads.map(timed, pictures))
        return len(pictures) / (time.perf_counter() - start), seconds


def fresh(picture: bytes) -> bytes:
    """The same picture as a file that nobody has seen: the endpoint knows those again that it saw just now."""
    return picture + os.urandom(8)


def signed_request(place: endpoint.Endpoint, operation: str, picture: bytes) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a request about a picture, good for 15 minutes."""
    return signed(place, operation, {"Image": {"Bytes": base64.b64encode(picture).decode()}})


def signed(place: endpoint.Endpoint, operation: str, content: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a request, good for 15 minutes."""
    body = json.dumps(content).encode()
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"RekognitionService.{operation}"}
    request = AWSRequest("POST", place.url + "/", headers=headers, data=body)
    SigV4Auth(place.session().get_credentials(), "rekognition", place.region).add_auth(request)
    return body, dict(request.headers.items())


class Sender:
    """Kept connections, one per caller. Each request is sent once."""

    def __init__(
        self, place: endpoint.Endpoint, requests: dict[bytes, list[tuple[bytes, dict[str, str]]]], callers: int
    ) -> None:
        host = urlsplit(place.url)
        self._requests = requests
        self._idle = [http.client.HTTPConnection(host.hostname or "", host.port) for _ in range(callers)]

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._idle:
            connection.close()

    def send(self, picture: bytes) -> None:
        connection = self._idle.pop()
        try:
            body, headers = self._requests[picture].pop()
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise RuntimeError(text.decode())
        finally:
            self._idle.append(connection)


if __name__ == "__main__":
    sys.exit(main())
