"""What the bytes of a request cost: bytes that are no picture, sent as one, are refused before anything is looked at.

At one client, for several sizes: how long the refusal takes, the processor time of the API processes and the pages that
are new to them; beside it what reading such a body takes in a plain loop, by SHA-256, JSON and base64.
"""

import argparse
import hashlib
import statistics
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pybase64
from tqdm import tqdm

from benchmarks import own_stack, record
from benchmarks.harness.load import Connection, signed
from benchmarks.own_stack import Stack

SIZES = (50_000, 200_000, 1_000_000, 4_000_000)
REQUESTS = 60
MAGIC = b"\xff\xd8\xff"
NEW_PAGES = 7
"""Where /proc/PID/stat has them, behind the name of the program."""


def main() -> int:
    example = "Example: python -m benchmarks.speed.bodies --save bodies"
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.bodies", description=__doc__, epilog=example)
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder, own_stack.serve(Path(folder)) as stack:
        for size in tqdm(SIZES, "sizes", disable=None):
            rows.append({"bytes": size, **measure(stack, size, REQUESTS)})
    for row in rows:
        print(
            "{bytes:9,} bytes: refused in {wait_ms:.1f} ms; in the API {processor_ms:.1f} ms of processor time and "
            "{new_pages:.0f} new pages; {loop_ms:.2f} ms in a plain loop".format(**row)
        )
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'rows': rows})}")
    return 0


def measure(stack: Stack, size: int, requests: int) -> dict[str, Any]:
    """Medians of the times, means of the rest, over so many requests behind as many that are not counted."""
    body = b'{"Image": {"Bytes": "%s"}}' % b64encode(MAGIC + bytes(size))
    request = signed(stack.endpoint, "DetectFaces", body)
    with Connection(stack.endpoint) as client:
        refusals = {client.exchange(request) for _ in range(requests)}
        if refusals != {"InvalidImageFormatException"}:
            raise RuntimeError(f"not refused as no picture: {refusals}")
        before = _spent(stack)
        waits = [_seconds(lambda: client.exchange(request)) for _ in range(requests)]
        processor, pages = (after - past for after, past in zip(_spent(stack), before, strict=True))
    loop = [_seconds(lambda: _read(body)) for _ in range(requests)]
    return {
        "wait_ms": 1e3 * statistics.median(waits),
        "processor_ms": 1e3 * processor / requests,
        "new_pages": pages / requests,
        "loop_ms": 1e3 * statistics.median(loop),
    }


def _read(body: bytes) -> None:
    hashlib.sha256(body).hexdigest()
    pybase64.b64decode(msgspec.json.decode(body)["Image"]["Bytes"], validate=True)


def _spent(stack: Stack) -> tuple[float, int]:
    """Seconds of processor time and new pages of the API processes up to now."""
    pids = [stack.pid(part) for part in stack.parts() if part.startswith("api")]
    seconds = sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)
    stats = [Path(f"/proc/{pid}/stat").read_text() for pid in pids]
    return seconds, sum(int(stat.rpartition(")")[2].split()[NEW_PAGES]) for stat in stats)


def _seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


if __name__ == "__main__":
    sys.exit(main())
