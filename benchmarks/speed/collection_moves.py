"""How long the owner's tools take for a large collection, and how much memory: import, verify, export, and the moment
in which a collection goes over to another face model (the embedding before it is the model server's).

Faces and users are made up: random unit vectors, and a user for each of the first tenth of the faces. The
stack is one of its own.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from benchmarks import own_stack, record
from benchmarks.own_stack import Stack
from openrek import collection_file
from openrek.collection_file import Header
from openrek.collections import STATEMENT_SECONDS
from storage import collections, reembedding
from storage.database import open_pool
from storage.tenant import Tenant
from storage.transfer import MovedFace, MovedUser
from storage.vectors import Vector

NAME, DIMENSION, FACES_PER_USER, BLOCK = "made-up", 128, 10, 1000
EXAMPLE = "Example: python -m benchmarks.speed.collection_moves --faces 200000"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed.collection_moves", description=__doc__, epilog=EXAMPLE
    )
    parser.add_argument("--faces", type=int, default=200_000, help="default %(default)s")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rek") as folder, own_stack.serve(Path(folder)) as stack:
        result = measure(stack, Path(folder) / "made-up.rekcoll", arguments.faces)
    for step, figures in result["steps"].items():
        print(f"{step:10}  " + ", ".join(f"{name} {value}" for name, value in figures.items()))
    if arguments.save:
        print(f"saved {record.save(arguments.save, result)}")
    return 0


def measure(stack: Stack, file: Path, face_count: int) -> dict[str, Any]:
    """Seconds of each step, and the most memory that its command took."""
    users = face_count // FACES_PER_USER
    header = Header(NAME, "7.1", DIMENSION, datetime.now(UTC), face_count, users, 0, {})
    collection_file.write(file, header, _users(users), _faces(face_count, users), [])
    steps = {
        "import": _command(stack, "import", str(file)),
        "verify": _command(stack, "verify", NAME),
        "export": _command(stack, "export", NAME, str(file.with_suffix(".again"))),
        "swap": {"seconds": _swap(stack, face_count)},
        "verify 2": _command(stack, "verify", NAME),
    }
    return {"faces": face_count, "users": users, "file_megabytes": round(file.stat().st_size / 1e6), "steps": steps}


def _command(stack: Stack, *arguments: str) -> dict[str, float]:
    start = time.monotonic()
    command = [sys.executable, "-m", "openrek", "collections", *arguments]
    pid = os.posix_spawn(sys.executable, command, dict(stack.environment))
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} failed")
    return {"seconds": round(time.monotonic() - start, 1), "megabytes": round(usage.ru_maxrss / 1024)}


def _swap(stack: Stack, face_count: int) -> float:
    """How long writers wait when a collection goes over to another face model."""
    tenant = Tenant(stack.settings.account, stack.settings.region)
    with open_pool(stack.database_url, 2, STATEMENT_SECONDS) as pool:
        with pool.connection() as connection:
            collection = collections.get(connection, tenant, NAME)
            made = dict(zip(_ids(0, face_count), _vectors(face_count, seed=2), strict=True))
            reembedding.put(connection, collection.id, "7.1", made)
        start = time.monotonic()
        with pool.connection() as connection:
            reembedding.finish(connection, collections.lock(connection, tenant, NAME), "7.1")
        return round(time.monotonic() - start, 1)


def _users(count: int) -> Iterator[MovedUser]:
    for number, vector in enumerate(_vectors(count)):
        yield MovedUser(UUID(int=number), f"user-{number}", datetime.now(UTC), vector)


def _faces(count: int, users: int) -> Iterator[MovedFace]:
    """The first faces are those of the users, one each, so that a user's vector is its face's."""
    for number, (face_id, vector) in enumerate(zip(_ids(0, count), _vectors(count), strict=True)):
        user_id = f"user-{number}" if number < users else None
        yield MovedFace(face_id, UUID(int=number), None, 0.1, 0.1, 0.5, 0.5, 99.0, user_id, vector)


def _ids(start: int, end: int) -> Iterator[UUID]:
    return (UUID(int=(number << 64) + number) for number in range(start, end))


def _vectors(count: int, seed: int = 1) -> Iterator[Vector]:
    """The same ones each time, however many are asked for."""
    random = np.random.default_rng(seed)
    for start in range(0, count, BLOCK):
        block = random.standard_normal((BLOCK, DIMENSION), dtype=np.float32)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
        yield from block[: min(BLOCK, count - start)]


if __name__ == "__main__":
    sys.exit(main())
