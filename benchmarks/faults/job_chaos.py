"""Kills workers, the queue and the model server at random while jobs on videos run, and compares what comes out.

Every job must end SUCCEEDED with exactly the results of a run without any kill, and be told at least once, when its
results can be read. Killed parts must come back by themselves.
"""

import argparse
import json
import re
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tqdm import tqdm

from api.operations import HANDLERS
from benchmarks import own_stack, record
from benchmarks.faults.chaos_kills import Killer
from benchmarks.inputs import drawn_clips
from benchmarks.own_stack import Stack
from openrek import home
from storage import buckets
from storage.database import open_pool
from storage.tenant import Tenant

EXAMPLE = "Example: python -m benchmarks.faults.job_chaos --kills 100"
KILLED = ("worker", "valkey", "inference")
BUCKET, COLLECTION = "chaos-clips", "chaos-faces"
CLIP_SECONDS = (4.0, 6.0)
MOST_SECONDS = 600.0
CHANNEL = {
    "SNSTopicArn": "arn:aws:sns:us-east-1:000000000000:AmazonRekognitionChaos",
    "RoleArn": "arn:aws:iam::000000000000:role/chaos",
}
STARTED_PART = re.compile(r"job_id=(\w+) step=look number=\d+ kind=\w+ claim=(\d+) took")


@dataclass(frozen=True)
class Kind:
    """A kind of job: how boto3 starts and reads it, and what is asked beside the video."""

    start: str
    get: str
    found: str
    request: Mapping[str, Any] = field(default_factory=dict)

    @property
    def operation(self) -> str:
        return "".join(word.capitalize() for word in self.start.split("_"))


KINDS = (
    Kind("start_label_detection", "get_label_detection", "Labels"),
    Kind("start_content_moderation", "get_content_moderation", "ModerationLabels"),
    Kind("start_face_detection", "get_face_detection", "Faces", {"FaceAttributes": "ALL"}),
    Kind("start_text_detection", "get_text_detection", "TextDetections"),
    Kind("start_person_tracking", "get_person_tracking", "Persons"),
    Kind("start_face_search", "get_face_search", "Persons", {"CollectionId": COLLECTION}),
    Kind("start_segment_detection", "get_segment_detection", "Segments", {"SegmentTypes": ["SHOT", "TECHNICAL_CUE"]}),
    Kind("start_celebrity_recognition", "get_celebrity_recognition", "Celebrities"),
)


@dataclass(frozen=True)
class Outcome:
    """What happened. `told` counts the messages of each job; `repeated_parts` of `parts` were begun more than once."""

    seed: int
    back_seconds: Mapping[str, Sequence[float]]
    jobs: Mapping[str, int]
    calm_seconds: float
    batch_seconds: Sequence[float]
    results: int
    parts: int
    repeated_parts: int
    told: Mapping[str, int]
    violations: Sequence[str]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults.job_chaos", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("--kills", type=int, default=60, help="default %(default)s")
    parser.add_argument("--pause", type=float, default=5.0, help="longest time between kills, s (default %(default)s)")
    parser.add_argument("--jobs", type=int, default=10, help="jobs at a time (default %(default)s)")
    parser.add_argument("--clip", type=Path, action="append", help="a video to take (default: some are made)")
    parser.add_argument("--seed", type=int, help="of what is random here (default: the time)")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    seed = int(time.time()) if arguments.seed is None else arguments.seed
    with tempfile.TemporaryDirectory(prefix="rek") as folder, serve(Path(folder)) as (stack, hook):
        videos = arguments.clip or make_clips(Path(folder))
        outcome = run(stack, hook, videos, arguments.jobs, arguments.kills, arguments.pause, seed, show_progress=True)
    print(table(outcome))
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'job_chaos': summary(outcome)})}")
    return 1 if outcome.violations else 0


@dataclass(frozen=True)
class Hook:
    """A webhook. `told`: job -> when it was told; `listeners` are called with each of these jobs before."""

    url: str
    told: dict[str, list[float]] = field(default_factory=dict)
    listeners: list[Callable[[str], None]] = field(default_factory=list)


@contextmanager
def webhook() -> Iterator[Hook]:
    """A server that keeps what it is told."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            job_id = json.loads(body["Message"])["JobId"]
            for listener in hook.listeners:
                listener(job_id)
            hook.told.setdefault(job_id, []).append(time.time())
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook = Hook(f"http://127.0.0.1:{server.server_port}/")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def serve(folder: Path, **variables: str) -> Iterator[tuple[Stack, Hook]]:
    """A stack of its own with two workers, short parts and short leases, and the webhook it tells.

    Its model server remembers no picture, or else repeated jobs would cost it nothing.
    """
    settings: dict[str, Any] = {
        "OPENREK_WORKER_PROCESSES": "2",
        "OPENREK_VIDEO_PART_SECONDS": "1",
        "OPENREK_JOB_LEASE_SECONDS": "3",
        "OPENREK_INFERENCE_KEPT_MEGAPIXELS": "0",
        "OPENREK_WEBHOOK_SECRET": "of chaos",
    }
    with webhook() as hook, own_stack.serve(folder, OPENREK_WEBHOOK_URL=hook.url, **{**settings, **variables}) as stack:
        yield stack, hook


def make_clips(folder: Path) -> list[Path]:
    """Two short videos in a folder of their own."""
    (folder / "clips").mkdir()
    return [
        drawn_clips.write(folder / "clips" / f"{number}.mp4", seconds, first=number)
        for number, seconds in enumerate(CLIP_SECONDS)
    ]


def run(
    stack: Stack,
    hook: Hook,
    videos: Sequence[Path],
    jobs: int,
    kills: int,
    longest_pause_seconds: float,
    seed: int,
    *,
    show_progress: bool = False,
) -> Outcome:
    """One batch of jobs in peace; then further ones like it until so many parts were killed."""
    client = stack.endpoint.client(retries={"mode": "standard"})
    tenant = Tenant(stack.settings.account, stack.settings.region)
    with open_pool(stack.database_url, 1) as pool, pool.connection() as connection:
        buckets.add(connection, tenant, BUCKET, videos[0].parent)
    client.create_collection(CollectionId=COLLECTION)
    client.index_faces(
        CollectionId=COLLECTION, Image={"Bytes": (drawn_clips.PICTURES / "eileen_collins.jpg").read_bytes()}
    )
    kinds = [kind for kind in KINDS if kind.operation in HANDLERS]
    batch = [(kinds[number % len(kinds)], videos[number // len(kinds) % len(videos)].name) for number in range(jobs)]
    violations: list[str] = []
    started: dict[str, Kind] = {}

    def check_readable(job_id: str) -> None:
        kind = started.get(job_id)
        if kind is not None and _get(client, kind, job_id, MaxResults=1)["JobStatus"] == "IN_PROGRESS":
            violations.append(f"{job_id} was told before its results could be read")

    start = time.monotonic()
    calm = _results(client, batch, started)
    calm_seconds = time.monotonic() - start
    violations += [
        f"{kind.operation} of {video} in peace: {status}"
        for (kind, video), (status, _) in zip(batch, calm, strict=True)
        if status != "SUCCEEDED"
    ]
    hook.listeners.append(check_readable)
    killer, batch_seconds = Killer(stack, seed, KILLED), list[float]()

    def kill() -> None:
        killed = killer.kill(kills, longest_pause_seconds)
        for _ in tqdm(killed, total=kills, desc="kills", file=sys.stderr, disable=not show_progress):
            pass

    with ThreadPoolExecutor() as threads:
        killing = threads.submit(kill)
        while not killing.done():
            start = time.monotonic()
            for (kind, video), before, now in zip(batch, calm, _results(client, batch, started), strict=True):
                if now != before:
                    violations.append(f"{kind.operation} of {video}: {_difference(before, now)}")
            batch_seconds.append(time.monotonic() - start)
        killing.result()
    _wait_until(lambda: started.keys() <= hook.told.keys())
    hook.listeners.remove(check_readable)
    violations += [
        f"{job_id} ({kind.operation}) was not told" for job_id, kind in started.items() if job_id not in hook.told
    ]
    claims = _claims(stack, started)
    return Outcome(
        seed,
        killer.back_seconds,
        Counter(kind.operation for kind in started.values()),
        calm_seconds,
        batch_seconds,
        sum(len(found) for _, found in calm),
        len(claims),
        sum(claim > 1 for claim in claims),
        {job_id: len(times) for job_id, times in hook.told.items()},
        [*violations, *killer.lost],
    )


def summary(outcome: Outcome) -> dict[str, Any]:
    """The outcome for machines."""
    return {
        "seed": outcome.seed,
        "kills": {part: len(seconds) for part, seconds in sorted(outcome.back_seconds.items())},
        "back_after_seconds": {
            part: {"median": statistics.median(seconds), "longest": max(seconds)}
            for part, seconds in sorted(outcome.back_seconds.items())
            if seconds
        },
        "jobs": dict(sorted(outcome.jobs.items())),
        "results_of_a_batch": outcome.results,
        "parts": outcome.parts,
        "repeated_parts": outcome.repeated_parts,
        "messages": sum(outcome.told.values()),
        "jobs_told_more_than_once": sum(count > 1 for count in outcome.told.values()),
        "seconds_of_a_batch": {
            "in_peace": outcome.calm_seconds,
            "median": statistics.median(outcome.batch_seconds),
            "longest": max(outcome.batch_seconds),
        },
        "violations": list(outcome.violations),
    }


def table(outcome: Outcome) -> str:
    """The outcome for people."""
    result = summary(outcome)
    seconds = result["seconds_of_a_batch"]
    rows = [f"{'part':18}{'kills':>6}{'back after, s: median':>24}{'longest':>10}"]
    rows += [
        f"{part:18}{result['kills'][part]:6d}{back['median']:24.1f}{back['longest']:10.1f}"
        for part, back in result["back_after_seconds"].items()
    ]
    return "\n".join(
        [
            *rows,
            f"{sum(result['jobs'].values())} jobs: {result['jobs']}, seed {result['seed']}",
            f"{result['results_of_a_batch']} results of each batch, compared one by one",
            f"{result['repeated_parts']} of {result['parts']} parts were begun more than once",
            f"{result['messages']} messages; {result['jobs_told_more_than_once']} jobs were told more than once",
            f"a batch took {seconds['in_peace']:.0f} s in peace, {seconds['median']:.0f} s (median) and "
            f"{seconds['longest']:.0f} s (longest) under kills",
            f"violations: {len(result['violations'])}",
            *(f"  {violation}" for violation in result["violations"][:50]),
        ]
    )


def _results(
    client: Any, batch: Sequence[tuple[Kind, str]], started: dict[str, Kind]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """(status, everything found) of each of some jobs, run together."""
    ids = []
    for kind, video in batch:
        place = {"S3Object": {"Bucket": BUCKET, "Name": video}}
        request = {"Video": place, "NotificationChannel": CHANNEL, **kind.request}
        ids.append(getattr(client, kind.start)(**request)["JobId"])
        started[ids[-1]] = kind
    waiting = set(ids)

    def are_over() -> bool:
        for job_id in list(waiting):
            if _get(client, started[job_id], job_id, MaxResults=1)["JobStatus"] != "IN_PROGRESS":
                waiting.discard(job_id)
        return not waiting

    _wait_until(are_over)
    return [_everything(client, started[job_id], job_id) for job_id in ids]


def _everything(client: Any, kind: Kind, job_id: str) -> tuple[str, list[dict[str, Any]]]:
    answer = _get(client, kind, job_id)
    found = list(answer.get(kind.found, []))
    while "NextToken" in answer:
        answer = _get(client, kind, job_id, NextToken=answer["NextToken"])
        found += answer[kind.found]
    return answer["JobStatus"], found


def _get(client: Any, kind: Kind, job_id: str, **options: Any) -> dict[str, Any]:
    answer: dict[str, Any] = getattr(client, kind.get)(JobId=job_id, **options)
    return answer


def _difference(before: tuple[str, list[Any]], now: tuple[str, list[Any]]) -> str:
    if now[0] != "SUCCEEDED" or len(before[1]) != len(now[1]):
        return f"{now[0]} with {len(now[1])} results, {len(before[1])} in peace"
    unlike = [pair for pair in zip(before[1], now[1], strict=True) if pair[0] != pair[1]]
    return f"{len(unlike)} of {len(now[1])} results differ, the first: {unlike[0]}"


def _claims(stack: Stack, started: Mapping[str, Kind]) -> list[int]:
    """The number of the claim by which each part of the started jobs was finished, from the workers' logs."""
    text = "".join(path.read_text() for path in home.logs(stack.home).glob("worker*.log*"))
    return [int(claim) for job_id, claim in STARTED_PART.findall(text) if job_id in started]


def _wait_until(holds: Callable[[], bool]) -> None:
    """Returns after MOST_SECONDS at the latest."""
    deadline = time.monotonic() + MOST_SECONDS
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.3)


if __name__ == "__main__":
    sys.exit(main())
