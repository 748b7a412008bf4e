"""Jobs on videos against the limit: the same decoding and networks in a plain loop on the same cores.

The loop decodes the same frames with the same code and shows them to the pipelines in this process, one at a time and
several at a time; the better of the two is the limit. Loop and service take turns, since machines drift. Each number of
workers gets a stack of its own.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks import own_stack, record
from inference import networks
from inference.networks import ModelServerSettings, Networks
from inference.pictures import Picture
from inference.pipelines.faces import find_faces
from inference.pipelines.labels import find_labels
from inference.pipelines.moderation import moderate
from inference.pipelines.request import FacesRequest, LabelsRequest
from inference.pipelines.text import find_text
from inference.types import Pixels
from inference.video.frames import frames
from inference.video.types import Part
from openrek.settings import Settings
from storage import buckets
from storage.database import open_pool
from storage.tenant import Tenant

EXAMPLE = (
    "Example: python -m benchmarks.speed.video ../shared/evaldata/video/clips/shots.mp4 --workers 1 2 --save video"
)
BUCKET = "clips"
AT_ONCE = 4
POLL_SECONDS = 0.05

See = Callable[[Picture, Networks], Awaitable[object]]


@dataclass(frozen=True)
class Kind:
    """A kind of job: its operations without Start and Get, the setting of its frames per second, and what the model
    server does with a frame."""

    operation: str
    frames_per_second: str
    see: See


FACES, LABELS = FacesRequest(attributes=("default",), min_side=1), LabelsRequest(min_confidence=50.0, min_side=1)
KINDS = {
    "labels": Kind(
        "label_detection", "video_frames_per_second", lambda seen, loaded: find_labels(seen, LABELS, loaded.labels)
    ),
    "faces": Kind(
        "face_detection", "video_frames_per_second", lambda seen, loaded: find_faces(seen, FACES, loaded.faces)
    ),
    "moderation": Kind(
        "content_moderation",
        "video_moderation_frames_per_second",
        lambda seen, loaded: moderate(seen, loaded.moderation),
    ),
    "text": Kind("text_detection", "video_text_frames_per_second", lambda seen, loaded: find_text(seen, loaded.text)),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.video", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("clips", type=Path, nargs="+", help="videos in one folder")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="default all")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="parts in work (default 1 2)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (default %(default)s)")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    result = {str(count): measure(arguments, count) for count in arguments.workers}
    for count, rows in result.items():
        for row in rows:
            print(
                f"{count} workers, {row['kind']:10s}: {row['job_frames_per_second']:6.1f} frames a second, "
                f"loop {row['loop_frames_per_second']:6.1f}, ratio {row['ratio']:.2f}"
            )
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'video': result})}")
    return 0


def measure(arguments: argparse.Namespace, workers: int) -> list[dict[str, Any]]:
    """Medians over the rounds; a ratio is that of one round's job and loop."""
    with (
        tempfile.TemporaryDirectory(prefix="rek") as folder,
        own_stack.serve(Path(folder), OPENREK_WORKER_PROCESSES=str(workers)) as stack,
    ):
        add_bucket(stack, arguments.clips[0].resolve().parent)
        loaded = networks.load(ModelServerSettings("", stack.settings.models_dir, stack.settings.model_pack))
        return [_measure_kind(name, arguments, stack, loaded) for name in arguments.kinds]


def _measure_kind(name: str, arguments: argparse.Namespace, stack: own_stack.Stack, loaded: Networks) -> dict[str, Any]:
    kind, client = KINDS[name], stack.endpoint.client()
    per_second = getattr(stack.settings, kind.frames_per_second)
    loops, jobs, ratios = [], [], []
    for _ in tqdm(range(arguments.rounds + 1), desc=name, file=sys.stderr):
        seen, alone = run_loop(arguments.clips, per_second, kind.see, loaded, 1)
        limit = seen / min(alone, run_loop(arguments.clips, per_second, kind.see, loaded, AT_ONCE)[1])
        reached = seen / run_jobs(client, kind.operation, [clip.name for clip in arguments.clips])
        loops.append(limit)
        jobs.append(reached)
        ratios.append(reached / limit)
    # The first round warms both up.
    return {
        "kind": name,
        "frames": seen,
        "loop_frames_per_second": statistics.median(loops[1:]),
        "job_frames_per_second": statistics.median(jobs[1:]),
        "ratio": statistics.median(ratios[1:]),
    }


def run_loop(clips: Iterable[Path], per_second: float, see: See, loaded: Networks, at_once: int) -> tuple[int, float]:
    """Frames seen, and the seconds they took, `at_once` at a time."""
    start = time.perf_counter()
    seen = asyncio.run(_loop(_pictures(clips, per_second), see, loaded, at_once))
    return seen, time.perf_counter() - start


def run_jobs(client: Any, operation: str, clips: Sequence[str]) -> float:
    """Seconds from the start of a job on each clip to the end of the last. Raises RuntimeError when one fails."""
    start = time.perf_counter()
    for job_id in [begun(client, operation, clip) for clip in clips]:
        wait(client, operation, job_id)
    return time.perf_counter() - start


def begun(client: Any, operation: str, clip: str) -> str:
    """The id of a new job on a clip of the bucket."""
    video = {"S3Object": {"Bucket": BUCKET, "Name": clip}}
    return str(getattr(client, f"start_{operation}")(Video=video)["JobId"])


def wait(client: Any, operation: str, job_id: str) -> None:
    """Waits for the end of a job. Raises RuntimeError when it failed."""
    while True:
        answer = getattr(client, f"get_{operation}")(JobId=job_id, MaxResults=1)
        if answer["JobStatus"] == "FAILED":
            raise RuntimeError(answer.get("StatusMessage"))
        if answer["JobStatus"] == "SUCCEEDED":
            return
        time.sleep(POLL_SECONDS)


def finished(client: Any, operation: str, clip: str) -> list[dict[str, Any]]:
    """All results of a job on a clip of the bucket. Raises RuntimeError when it fails."""
    job_id = begun(client, operation, clip)
    wait(client, operation, job_id)
    found: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        answer = getattr(client, f"get_{operation}")(JobId=job_id, **token)
        found += next(value for name, value in answer.items() if isinstance(value, list) and name != "AudioMetadata")
        if "NextToken" not in answer:
            return found
        token = {"NextToken": answer["NextToken"]}


def _pictures(clips: Iterable[Path], per_second: float) -> Iterator[Pixels]:
    for clip in clips:
        with clip.open("rb") as file:
            for frame in frames(file, Part(0, None, None), per_second):
                yield frame.pixels


async def _loop(pictures: Iterator[Pixels], see: See, loaded: Networks, at_once: int) -> int:
    seen = 0
    while some := list(islice(pictures, at_once)):
        await asyncio.gather(*(see(Picture(pixels), loaded) for pixels in some))
        seen += len(some)
    return seen


def add_bucket(stack: own_stack.Stack, folder: Path) -> None:
    """Names a folder as the bucket that the jobs read."""
    settings: Settings = stack.settings
    with open_pool(stack.database_url, 1) as pool, pool.connection() as connection:
        buckets.add(connection, Tenant(settings.account, settings.region), BUCKET, folder)


if __name__ == "__main__":
    sys.exit(main())
