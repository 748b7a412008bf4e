"""Jobs on the clips of a bucket, from a client's side."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.own_stack import Stack
from storage import buckets
from storage.database import open_pool
from storage.tenant import Tenant

BUCKET = "clips"
POLL_SECONDS = 0.05

Answer = dict[str, Any]


def add_bucket(stack: Stack, folder: Path) -> None:
    """Names a folder as the bucket of the clips."""
    settings = stack.settings
    with open_pool(stack.database_url, 1) as pool, pool.connection() as connection:
        buckets.add(connection, Tenant(settings.account, settings.region), BUCKET, folder)


def begun(client: Any, operation: str, clip: str, bucket: str = BUCKET, **more: Any) -> str:
    """The id of a new job; `operation` without Start and Get, as boto3 spells it."""
    video = {"S3Object": {"Bucket": bucket, "Name": clip}}
    return str(getattr(client, f"start_{operation}")(Video=video, **more)["JobId"])


def waited(client: Any, operation: str, job_id: str, poll_seconds: float = POLL_SECONDS) -> Answer:
    """What is answered once a job has ended. Raises RuntimeError when it failed."""
    while True:
        answer: Answer = getattr(client, f"get_{operation}")(JobId=job_id, MaxResults=1)
        if answer["JobStatus"] == "FAILED":
            raise RuntimeError(answer.get("StatusMessage"))
        if answer["JobStatus"] == "SUCCEEDED":
            return answer
        time.sleep(poll_seconds)


def finished(client: Any, operation: str, clip: str) -> list[Answer]:
    """All results of a job on a clip of the bucket. Raises RuntimeError when it fails."""
    job_id = begun(client, operation, clip)
    waited(client, operation, job_id)
    found: list[Answer] = []
    token: dict[str, str] = {}
    while True:
        answer = getattr(client, f"get_{operation}")(JobId=job_id, **token)
        found += next(value for name, value in answer.items() if isinstance(value, list) and name != "AudioMetadata")
        if "NextToken" not in answer:
            return found
        token = {"NextToken": answer["NextToken"]}


def timed(
    client: Any,
    operation: str,
    clips: Sequence[str],
    bucket: str,
    more: Mapping[str, Any],
    rest_seconds: float = 0.0,
    poll_seconds: float = POLL_SECONDS,
) -> tuple[float, float]:
    """Seconds from the start of a job on each clip to the end of the last, and how long the clips are together.

    For `rest_seconds` nothing is asked, since each question costs what is measured. Raises RuntimeError when one fails.
    """
    begin = time.perf_counter()
    started = [begun(client, operation, clip, bucket, **more) for clip in clips]
    time.sleep(max(0.0, rest_seconds - (time.perf_counter() - begin)))
    answers = [waited(client, operation, job_id, poll_seconds) for job_id in started]
    took = time.perf_counter() - begin
    return took, sum(video_milliseconds(answer) for answer in answers) / 1000


def video_milliseconds(answer: Answer) -> int:
    """The length of a job's video. Segments have one entry for each stream."""
    video = answer["VideoMetadata"]
    first: Answer = video[0] if isinstance(video, list) else video
    return int(first["DurationMillis"])
