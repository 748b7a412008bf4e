"""Jobs on videos, from Start… to SUCCEEDED, against the same decoding and networks in a plain loop on the same cores.

Loop and jobs take turns, since machines drift. Each number of workers gets a stack of its own.
"""

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmarks import video_jobs
from benchmarks.endpoint import Endpoint
from benchmarks.harness import targets
from benchmarks.harness.definition import Definition
from benchmarks.harness.kinds import Options, Plan
from benchmarks.harness.runner import Case
from benchmarks.harness.targets import OURS, Wanted
from benchmarks.inputs import broadcasts
from benchmarks.own_stack import Stack
from benchmarks.speed import video_loop
from inference import memory, networks
from inference.networks import ModelServerSettings, Networks
from openrek.errors import OperatorError

COLLECTION = "openrek-bench-video"
OPERATIONS: Mapping[str, str] = {
    "labels": "label_detection",
    "faces": "face_detection",
    "moderation": "content_moderation",
    "text": "text_detection",
    "persons": "person_tracking",
    "face_search": "face_search",
    "celebrities": "celebrity_recognition",
    "segments": "segment_detection",
}
"""By kind of job, as boto3 spells them without start and get."""
MORE: Mapping[str, dict[str, Any]] = {
    "face_search": {"CollectionId": COLLECTION},
    "segments": {"SegmentTypes": ["SHOT", "TECHNICAL_CUE"]},
}
"""What their Start operations need beside a video."""
AT_ONCE = (1, 4)
"""Frames that the loop shows to the networks at a time."""
REST_SHARE = 0.8
"""Of the time that the loop took. So long nobody asks whether jobs have ended: that would cost what is measured."""
FAR_POLL_SECONDS = 0.5


@contextmanager
def prepare(definition: Definition, options: Options) -> Iterator[Plan]:
    """Each kind of job of the definition, with each number of workers; at endpoints that run already, each kind."""
    kinds = list(definition.content["seconds"])
    if unknown := set(kinds) - set(OPERATIONS):
        raise OperatorError(f"kinds of jobs are {', '.join(OPERATIONS)}; not {', '.join(sorted(unknown))}")
    with (_of_endpoints if options.wanted.endpoints else _of_own_stacks)(definition.content, options, kinds) as plan:
        yield plan


@contextmanager
def _of_endpoints(asked: Mapping[str, Any], options: Options, kinds: Sequence[str]) -> Iterator[Plan]:
    """Rates alone: nobody knows the cores there, nor how many frames are looked at."""
    bucket, objects = asked.get("s3_bucket"), asked.get("s3_objects")
    if not bucket or not objects:
        raise OperatorError(
            "An endpoint that runs already reads clips from a bucket, not from here: copy the definition, name the "
            'bucket and the clips (s3_bucket = "...", s3_objects = ["...mp4"]), and give it with --definition. '
            "Without --endpoint a stack of its own is measured."
        )
    with targets.opened(options.wanted) as found, ExitStack() as opened:
        for place in found.endpoints.values():
            if "face_search" in kinds:
                opened.enter_context(_collection(place))
        cases = [
            Case(
                {"endpoint": name, "kind": kind}, partial(_measured_far, place, kind, bucket, objects, asked["rounds"])
            )
            for kind, (name, place) in itertools.product(kinds, found.endpoints.items())
        ]
        yield Plan(cases, {name: place.url for name, place in found.endpoints.items()})


def _measured_far(place: Endpoint, kind: str, bucket: str, objects: Sequence[str], rounds: int) -> dict[str, Any]:
    client, more = place.client(), MORE.get(kind, {})
    turns = [
        video_jobs.timed(client, OPERATIONS[kind], objects, bucket, more, poll_seconds=FAR_POLL_SECONDS)
        for _ in range(rounds)
    ]
    return {"times_real_time": statistics.median(length / took for took, length in turns)}


@contextmanager
def _of_own_stacks(asked: Mapping[str, Any], options: Options, kinds: Sequence[str]) -> Iterator[Plan]:
    with tempfile.TemporaryDirectory(prefix="rek") as folder, ExitStack() as opened:
        clips = _clips(asked, options.data, kinds, Path(folder))
        stage = _Stage(options.wanted, next(iter(clips.values()))[0].parent)
        opened.callback(stage.close)
        cases = [
            Case(
                {"endpoint": OURS, "kind": kind, "workers": workers},
                partial(_measured, stage, kind, workers, clips[kind], asked["rounds"]),
            )
            for workers, kind in itertools.product(asked["workers"], kinds)
        ]
        yield Plan(cases, {OURS: "a stack of its own for each number of workers"})


class _Stage:
    """The stack that is measured, and the same networks in this process; one stack runs at a time."""

    def __init__(self, wanted: Wanted, clips: Path) -> None:
        self._wanted, self._clips = wanted, clips
        self._opened, self._workers = ExitStack(), 0
        self.stack: Stack

    def with_workers(self, workers: int) -> Stack:
        """The stack with so many workers, a collection, celebrities, and a bucket of the clips."""
        if workers != self._workers:
            self.close()
            found = self._opened.enter_context(
                targets.opened(self._wanted, OPENREK_WORKER_PROCESSES=str(workers), OPENREK_JOB_LIMIT="1000")
            )
            assert found.stack is not None
            self._workers, self.stack = workers, found.stack
            self._opened.enter_context(_collection(self.stack.endpoint))
            _add_celebrities(self.stack)
            video_jobs.add_bucket(self.stack, self._clips)
        return self.stack

    def close(self) -> None:
        self._opened.close()
        self._workers = 0


def _measured(stage: _Stage, kind: str, workers: int, clips: Sequence[Path], rounds: int) -> dict[str, Any]:
    """Medians over the rounds. The first one tells how many frames at a time are best for the loop."""
    stack = stage.with_workers(workers)
    settings, client, look = stack.settings, stack.endpoint.client(), video_loop.LOOKS[kind]
    threads = settings.inference_threads or len(os.sched_getaffinity(0))
    loaded = _loaded(ModelServerSettings("", settings.models_dir, settings.model_pack, threads=threads))
    best: Sequence[int] = AT_ONCE
    frames, turns = 0, list[dict[str, float]]()
    for _ in range(rounds):
        runs = {at_once: video_loop.run(look, clips, settings, loaded, at_once) for at_once in best}
        best = [min(runs, key=lambda at_once: runs[at_once][1])]
        frames, alone = runs[best[0]]
        names = [clip.name for clip in clips]
        took, length = video_jobs.timed(
            client, OPERATIONS[kind], names, video_jobs.BUCKET, MORE.get(kind, {}), REST_SHARE * alone
        )
        turns.append(
            {
                "frames_per_second": frames / took,
                "loop_frames_per_second": frames / alone,
                "ratio": alone / took,
                "times_real_time": length / took,
            }
        )
    medians = {name: statistics.median(turn[name] for turn in turns) for name in turns[0]}
    return {"frames": frames, "loop_at_once": best[0], **medians}


@cache
def _loaded(settings: ModelServerSettings) -> Networks:
    memory.keep_little()
    return networks.load(settings)


def _clips(asked: Mapping[str, Any], data: Path | None, kinds: Sequence[str], folder: Path) -> dict[str, list[Path]]:
    """The clips by kind of job, all in one folder: those of the user, or drawn ones. Raises OperatorError."""
    if data is not None:
        found = sorted(path for path in data.resolve().iterdir() if path.suffix.lower() in (".mp4", ".mov"))
        if not found:
            raise OperatorError(f"no MP4 or MOV files in {data}")
        return dict.fromkeys(kinds, found)
    drawn = cache(lambda seconds, n: broadcasts.write(folder / f"{seconds}s-{n}.mp4", seconds, first=2 * n))
    return {kind: [drawn(asked["seconds"][kind], n) for n in range(asked["clips"])] for kind in kinds}


def _add_celebrities(stack: Stack) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in broadcasts.PORTRAITS:
            person = Path(folder) / name
            person.mkdir()
            (person / "1.jpg").write_bytes(_portrait(name))
        command = [sys.executable, "-P", "-m", "openrek", "celebrities", "import", folder]
        subprocess.run(command, env=dict(stack.environment), check=True, stdout=sys.stderr)


@contextmanager
def _collection(place: Endpoint) -> Iterator[None]:
    """A collection with two faces, for as long as jobs search it."""
    client = place.client()
    client.create_collection(CollectionId=COLLECTION)
    try:
        for name in broadcasts.PORTRAITS:
            client.index_faces(CollectionId=COLLECTION, Image={"Bytes": _portrait(name)})
        yield
    finally:
        client.delete_collection(CollectionId=COLLECTION)


def _portrait(name: str) -> bytes:
    return (broadcasts.PICTURES / f"{name}.jpg").read_bytes()
