"""Kills the processes of a stack at random moments while clients index, delete and search, and checks every answer.

Every acknowledged face must be found at once and every acknowledged deletion stay gone, a repeated IndexFaces must not
store a face twice, every killed part must come back by itself, and clients that retry must get through.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from botocore.exceptions import ClientError
from tqdm import tqdm

from benchmarks import own_stack, record
from benchmarks.faults.chaos_clients import Client, Phase, Tally, variants
from benchmarks.faults.chaos_kills import Killer, suspended
from benchmarks.faults.chaos_ledger import Ledger, disagreements
from benchmarks.own_stack import Stack
from storage import changes, collections
from storage.database import open_pool
from storage.tenant import Tenant

EXAMPLE = "Example: python -m benchmarks.faults.chaos --kills 300"
COLLECTIONS = 2
A_FEW_SECONDS = 10.0
SETTLE_SECONDS = 3.0
MOST_CHANGES = 10_000_000


@dataclass(frozen=True)
class Outage:
    """How clients fared while the database was gone; `back_seconds` is the time from its return to a first answer."""

    seconds: float
    back_seconds: float
    phase: Phase


@dataclass(frozen=True)
class Outcome:
    """What happened. `back_seconds`: part -> seconds from each kill until it was ready again."""

    seed: int
    seconds: float
    back_seconds: Mapping[str, Sequence[float]]
    tally: Tally
    killing: Phase
    outage: Outage | None
    faces: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults.chaos", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("--kills", type=int, default=300, help="default %(default)s")
    parser.add_argument("--pause", type=float, default=6.0, help="longest time between kills, s (default %(default)s)")
    parser.add_argument(
        "--database-gone", type=float, default=60.0, help="then stop the database for so long, s (default %(default)s)"
    )
    parser.add_argument("--clients", type=int, default=4, help="writing clients (default %(default)s)")
    parser.add_argument("--seed", type=int, help="of what is random here (default: the time)")
    parser.add_argument(
        "--home",
        type=Path,
        help="home of a running stack, other settings as in its environment (default: one of its own)",
    )
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    seed = int(time.time()) if arguments.seed is None else arguments.seed
    with _stack(arguments.home) as stack:
        outcome = run(
            stack,
            arguments.kills,
            arguments.pause,
            arguments.clients,
            seed,
            database_gone_seconds=arguments.database_gone,
            show_progress=True,
        )
    print(table(outcome))
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'chaos': summary(outcome)})}")
    return 1 if outcome.tally.violations else 0


def run(
    stack: Stack,
    kills: int,
    longest_pause_seconds: float,
    clients: int,
    seed: int,
    *,
    database_gone_seconds: float = 0.0,
    show_progress: bool = False,
) -> Outcome:
    """Kill parts of a stack while `clients` write and one more watches; then compare what is stored with the ledgers.

    Makes collections of its own and removes them.
    """
    start, stop = time.monotonic(), threading.Event()
    rekognition = stack.endpoint.client()
    ledgers = [Ledger(f"chaos-{uuid4()}") for _ in range(COLLECTIONS)]
    for ledger in ledgers:
        rekognition.create_collection(CollectionId=ledger.collection)
    tally, killer, pictures = Tally(), Killer(stack, seed), variants()
    programs = [Client(number, stack.endpoint, ledgers, pictures, tally, seed) for number in range(clients + 1)]
    with ThreadPoolExecutor() as threads:
        working = [threads.submit(program.work, stop) for program in programs[:-1]]
        working.append(threads.submit(programs[-1].watch, stop))
        try:
            killed = killer.kill(kills, longest_pause_seconds)
            for _ in tqdm(killed, total=kills, desc="kills", file=sys.stderr, disable=not show_progress):
                pass
            killing, tally.phase = tally.phase, Phase()
            outage = _outage(stack, ledgers[0], tally.phase, database_gone_seconds) if database_gone_seconds else None
        finally:
            stop.set()
    for done in working:
        done.result()
    tally.violated(killer.lost)
    if max(killing.waits) > A_FEW_SECONDS:
        tally.violated([f"a client waited {max(killing.waits):.1f} s"])
    for ledger in ledgers:
        tally.violated([f"at the end, {ledger.collection}: {one}" for one in final_disagreements(stack, ledger)])
        rekognition.delete_collection(CollectionId=ledger.collection)
    faces = sum(len(ledger.present()) for ledger in ledgers)
    return Outcome(seed, time.monotonic() - start, killer.back_seconds, tally, killing, outage, faces)


def table(outcome: Outcome) -> str:
    """The outcome for people."""
    result = summary(outcome)
    rows = [f"{'part':18}{'kills':>6}{'back after, s: median':>24}{'longest':>10}"]
    rows += [
        f"{part:18}{figures['kills']:6d}{figures['median_seconds']:24.1f}{figures['longest_seconds']:10.1f}"
        for part, figures in result["parts"].items()
    ]
    wait = result["wait_seconds"]
    return "\n".join(
        [
            *rows,
            f"{result['kills']} kills in {result['seconds']:.0f} s, seed {result['seed']}",
            f"acknowledged: {_listed(result['acknowledged'])}; {result['faces']} faces at the end",
            f"answers of searches held against the ledgers: {result['answers_checked']}",
            f"errors that came through the SDK's retries: {_listed(result['errors'])}",
            f"from an operation's first attempt to its success: median {wait['median']:.2f} s, "
            f"99th percentile {wait['p99']:.1f} s, longest {wait['longest']:.1f} s",
            *_outage_lines(result["database_gone"]),
            f"violations: {len(result['violations'])}",
            *(f"  {violation}" for violation in result["violations"][:50]),
        ]
    )


def summary(outcome: Outcome) -> dict[str, Any]:
    """The outcome for machines."""
    tally = outcome.tally
    return {
        "seed": outcome.seed,
        "seconds": outcome.seconds,
        "kills": sum(len(seconds) for seconds in outcome.back_seconds.values()),
        "parts": {
            part: {
                "kills": len(seconds),
                "median_seconds": statistics.median(seconds),
                "longest_seconds": max(seconds),
            }
            for part, seconds in sorted(outcome.back_seconds.items())
            if seconds
        },
        "acknowledged": dict(sorted(tally.acknowledged.items())),
        "answers_checked": tally.answers_checked,
        "faces": outcome.faces,
        "errors": dict(sorted(outcome.killing.errors.items())),
        "wait_seconds": {
            "median": statistics.median(outcome.killing.waits),
            "p99": statistics.quantiles(outcome.killing.waits, n=100)[98],
            "longest": max(outcome.killing.waits),
        },
        "database_gone": outcome.outage
        and {
            "seconds": outcome.outage.seconds,
            "longest_call_seconds": max(outcome.outage.phase.calls),
            "errors": dict(sorted(outcome.outage.phase.errors.items())),
            "back_after_seconds": outcome.outage.back_seconds,
        },
        "violations": tally.violations,
    }


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


def _outage_lines(outage: Mapping[str, Any] | None) -> list[str]:
    if outage is None:
        return []
    return [
        f"database gone for {outage['seconds']:.0f} s: longest call with the SDK's retries "
        f"{outage['longest_call_seconds']:.1f} s, errors {_listed(outage['errors'])}, "
        f"first answer {outage['back_after_seconds']:.1f} s after its return",
    ]


def _outage(stack: Stack, ledger: Ledger, phase: Phase, seconds: float) -> Outage:
    time.sleep(SETTLE_SECONDS)
    postgres = stack.pid("postgres")
    if postgres is None:
        raise RuntimeError("PostgreSQL is not one of the parts of this stack; use --database-gone 0")
    with suspended(postgres):
        time.sleep(seconds)
    start, client = time.monotonic(), stack.endpoint.client(retries={"total_max_attempts": 1})
    while True:
        with suppress(ClientError):
            client.list_faces(CollectionId=ledger.collection)
            break
    outage = Outage(seconds, time.monotonic() - start, phase)
    time.sleep(SETTLE_SECONDS)
    return outage


def _stack(home: Path | None) -> AbstractContextManager[Stack]:
    return _own() if home is None else nullcontext(own_stack.at(home))


@contextmanager
def _own() -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="rek") as folder, own_stack.serve(Path(folder)) as stack:
        yield stack


def final_disagreements(stack: Stack, ledger: Ledger) -> list[str]:
    """What is wrong with a collection that nobody changes any more: its listing, counts, searches and change log."""
    rekognition, name, view = stack.endpoint.client(), ledger.collection, ledger.view()
    pages = rekognition.get_paginator("list_faces").paginate(CollectionId=name)
    listed = [(face["ExternalImageId"], face["FaceId"]) for page in pages for face in page["Faces"]]
    wrong = disagreements(view, view, listed)
    counted = rekognition.describe_collection(CollectionId=name)["FaceCount"]
    if counted != len(listed):
        wrong.append(f"FaceCount is {counted}, {len(listed)} faces are listed")
    for external_id, face_id in listed:
        answer = rekognition.search_faces(CollectionId=name, FaceId=face_id, FaceMatchThreshold=0.0, MaxFaces=4096)
        found = [(match["Face"]["ExternalImageId"], match["Face"]["FaceId"]) for match in answer["FaceMatches"]]
        if sorted([*found, (external_id, face_id)]) != sorted(listed):
            wrong.append(f"a search for {external_id} does not find what is listed")
    return wrong + _log_disagreements(stack, name, {UUID(face_id) for _, face_id in listed})


def _log_disagreements(stack: Stack, name: str, listed: set[UUID]) -> list[str]:
    """What is wrong with the change log of a collection: every version once, and together the faces that are there."""
    settings = stack.settings
    with open_pool(stack.database_url, 1) as pool, pool.connection() as connection:
        collection = collections.get(connection, Tenant(settings.account, settings.region), name)
        log = changes.since(connection, collection.id, 0, MOST_CHANGES)
    wrong = []
    if [change.version for change in log] != list(range(1, collection.version + 1)):
        wrong.append(f"the change log has gaps or ends before version {collection.version}")
    left: set[UUID] = set()
    for change in log:
        (left.add if change.action == "add" else left.discard)(UUID(bytes=change.id))
    if left != listed:
        wrong.append(f"the change log gives {len(left)} faces, {len(listed)} are listed")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
