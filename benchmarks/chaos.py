"""Kills the processes of a stack at random moments while clients index, delete and search, and checks every answer.

Every acknowledged face must be found at once and every acknowledged deletion stay gone, a repeated IndexFaces must not
store a face twice, every killed part must come back by itself, and clients that retry must get through.
"""

import argparse
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psutil
import psycopg
import redis
from tqdm import tqdm

from benchmarks import own_stack, record
from benchmarks.chaos_clients import Client, Tally, variants
from benchmarks.chaos_ledger import Ledger, disagreements
from benchmarks.own_stack import Stack
from inference.client import InferenceClient
from inference.errors import InferenceUnavailable
from storage import changes, collections
from storage.database import open_pool
from storage.tenant import Tenant
from vectorindex.client import IndexClient
from workers.app import ping

EXAMPLE = "Example: python -m benchmarks.chaos --kills 300"
BACK_SECONDS = 60.0
PROBE_SECONDS = 0.05
BACKEND = "postgres backend"  # a session of the database, which then restarts all of them


@dataclass
class Outcome:
    """What happened. `back_seconds`: part -> seconds from each kill until it was ready again."""

    seed: int
    seconds: float
    back_seconds: Mapping[str, list[float]]
    tally: Tally
    faces: int

    @property
    def violations(self) -> list[str]:
        return self.tally.violations


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("--kills", type=int, default=300, help="default %(default)s")
    parser.add_argument("--pause", type=float, default=6.0, help="longest time between kills, s (default %(default)s)")
    parser.add_argument("--clients", type=int, default=4, help="writing clients (default %(default)s)")
    parser.add_argument("--seed", type=int, help="of all that is random (default: the time)")
    parser.add_argument("--home", type=Path, help="home of a running stack (default: one of its own)")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    seed = int(time.time()) if arguments.seed is None else arguments.seed
    with tempfile.TemporaryDirectory(prefix="rek") as folder:
        given = nullcontext(own_stack.at(arguments.home)) if arguments.home else None
        with given or own_stack.serve(Path(folder)) as stack:
            outcome = run(stack, arguments.kills, arguments.pause, arguments.clients, seed, sys.stderr.isatty)
    print(table(outcome))
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'chaos': summary(outcome)})}")
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
