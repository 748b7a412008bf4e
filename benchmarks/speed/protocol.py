"""Operations without inference against moto's server: requests a second, with the same client on the same cores.

Requests are signed beforehand and sent over kept connections. moto knows none of the operations on collections; its
GetFaceSearch and GetTextDetection, which answer from memory what was written down beforehand, stand for it. The two
servers take turns.
"""

import argparse
import http.client
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tqdm import tqdm

from benchmarks import own_stack, record
from benchmarks.endpoint import Endpoint
from benchmarks.speed.throughput import signed

EXAMPLE = "Example: python -m benchmarks.speed.protocol --clients 1 4 16 --save protocol"
COLLECTION = "protocol"
FACE = Path(__file__).parents[2] / "openrek" / "pictures" / "eileen_collins.jpg"
OURS: Mapping[str, dict[str, Any]] = {
    "DescribeCollection": {"CollectionId": COLLECTION},
    "ListCollections": {},
    "ListFaces": {"CollectionId": COLLECTION},
}
THEIRS: Mapping[str, dict[str, Any]] = {"GetFaceSearch": {"JobId": "a"}, "GetTextDetection": {"JobId": "a"}}
START_SECONDS = 20.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.protocol", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16], help="default 1 4 16")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one turn (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (default %(default)s)")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="rek") as folder,
        own_stack.serve(Path(folder)) as stack,
        moto_server(stack.endpoint) as moto,
    ):
        client = stack.endpoint.client()
        client.create_collection(CollectionId=COLLECTION)
        client.index_faces(CollectionId=COLLECTION, Image={"Bytes": FACE.read_bytes()})
        servers = {"ours": (stack.endpoint, OURS), "moto": (moto, THEIRS)}
        rows = [
            {"server": server, "operation": operation, "clients": count, "rates": []}
            for count, (server, (_, requests)) in itertools.product(arguments.clients, servers.items())
            for operation in requests
        ]
        for _, row in tqdm(list(itertools.product(range(arguments.rounds), rows)), desc="turns", file=sys.stderr):
            place, requests = servers[row["server"]]
            row["rates"].append(
                rate(place, row["operation"], requests[row["operation"]], row["clients"], arguments.seconds)
            )
    result = [row | {"per_second": statistics.median(row.pop("rates"))} for row in rows]
    for row in result:
        print(
            f"{row['server']:5s} {row['operation']:20s} {row['clients']:3d} clients: {row['per_second']:7.0f} a second"
        )
    for count in arguments.clients:
        print(f"{count} clients: our slowest is {_ratio(result, count):.2f} times moto's fastest")
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'protocol': result})}")
    return 0


def rate(place: Endpoint, operation: str, content: dict[str, Any], clients: int, seconds: float) -> float:
    """Requests a second of so many clients, each sending the next request when it has the answer to the last."""
    body, headers = signed(place, operation, content)

    def send(_: int) -> int:
        host = urlsplit(place.url)
        connection = http.client.HTTPConnection(host.hostname or "", host.port)
        done = 0
        while time.perf_counter() < end:
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise RuntimeError(text.decode())
            done += 1
        connection.close()
        return done

    end = time.perf_counter() + seconds
    with ThreadPoolExecutor(clients) as threads:
        return sum(threads.map(send, range(clients))) / seconds


@contextmanager
def moto_server(like: Endpoint) -> Iterator[Endpoint]:
    """moto's server on a free port, for clients with the credentials of another endpoint."""
    port = own_stack.free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    place = Endpoint(f"http://127.0.0.1:{port}", like.region, like.credentials)
    deadline = time.monotonic() + START_SECONDS
    try:
        while True:
            try:
                http.client.HTTPConnection("127.0.0.1", port).connect()
                break
            except ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        yield place
    finally:
        process.terminate()
        process.wait()


def _ratio(rows: Sequence[Mapping[str, Any]], clients: int) -> float:
    def rates(server: str) -> list[float]:
        return [row["per_second"] for row in rows if (row["server"], row["clients"]) == (server, clients)]

    return min(rates("ours")) / max(rates("moto"))


if __name__ == "__main__":
    sys.exit(main())
