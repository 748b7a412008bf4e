"""What all jobs on stored videos share: how they are started, and how their results are read page by page."""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from api.context import Context
from api.errors import InvalidParameterException, InvalidS3ObjectException, VideoTooLargeException
from api.operations.idempotency import once
from inference import wire
from inference.video import limits
from inference.video.types import Stretch, VideoInfo
from storage import jobs
from storage.errors import ObjectTooLarge
from storage.jobs import Job, NewJob, Row

MOST_RESULTS = 1000
Render = Callable[[Row], dict[str, Any]]
BY_TIME = {"SortBy": "TIMESTAMP"}
BY_TIME_EACH = {"SortBy": "TIMESTAMP", "AggregateBy": "TIMESTAMPS"}
"""How results are read when a request does not say."""
VIEWS = {"TIMESTAMPS": "moments", "SEGMENTS": "segments"}
"""By AggregateBy."""
STATUS = {"running": "IN_PROGRESS", "done": "SUCCEEDED", "failed": "FAILED"}
FORMATS = {"mov": "QuickTime / MOV", "avi": "AVI"}
"""By the first of FFmpeg's names (video.md section 2)."""


@dataclass(frozen=True)
class Page:
    """A page of a job's results; `members` are those that each Get answer has."""

    job: Job
    rows: list[Row]
    members: dict[str, Any]


def start(ctx: Context, request: dict[str, Any], operation: str, kind: str, params: dict[str, Any]) -> dict[str, Any]:
    """The answer of a Start operation: a new job of this kind, or the one that its ClientRequestToken stands for.

    Raises InvalidParameterException, InvalidS3ObjectException, VideoTooLargeException, TooManyJobs, TokenReused, the
    errors of ObjectStore.open.
    """
    place = _place(request["Video"])
    _refuse_too_large(ctx, place)
    new = NewJob(
        kind=kind,
        params=params,
        bucket=place["Bucket"],
        object_name=place["Name"],
        object_version=place.get("Version"),
        tag=request.get("JobTag"),
        topic=_topic(request),
        operation=operation,
    )
    job_id = jobs.new_id()

    def write() -> dict[str, Any]:
        return {"JobId": jobs.start(connection, ctx.tenant, new, ctx.services.settings.most_unfinished_jobs, job_id)}

    with ctx.services.pool.connection() as connection:
        answer = once(ctx, connection, operation, request, write, resource=jobs.resource(job_id))
    ctx.services.wake_workers()
    return answer


def page(
    ctx: Context,
    request: dict[str, Any],
    operation: str,
    kind: str,
    *,
    view: str = "moments",
    by_name: bool = False,
) -> Page:
    """What a Get operation answers of a view of a job's results. A NextToken belongs to all other members of `request`.

    Raises JobNotFound, InvalidPaginationTokenException.
    """
    with ctx.services.pool.connection() as connection:
        job = jobs.of_tenant(connection, ctx.tenant, kind, request["JobId"])
        after = _position(ctx, operation, request)
        most = min(request.get("MaxResults", MOST_RESULTS), MOST_RESULTS)
        rows = jobs.results(connection, job.id, view, after, most + 1, by_name=by_name)
    members = described(job)
    if len(rows) > most:
        members["NextToken"] = ctx.services.tokens.seal(operation, ctx.tenant, request, str(rows[most - 1].place))
    return Page(job, rows[:most], members)


def sorted_page(ctx: Context, request: dict[str, Any], operation: str, kind: str, *, other_order: str) -> Page:
    """A page by time, or by name where SortBy is `other_order`. Raises what `page` raises."""
    asked = BY_TIME | request
    return page(ctx, asked, operation, kind, by_name=asked["SortBy"] == other_order)


def aggregated(
    ctx: Context, request: dict[str, Any], operation: str, kind: str, listed: str, moment: Render, stretch: Render
) -> dict[str, Any]:
    """The answer of a Get operation with AggregateBy: under the member `listed` each row as a moment or a stretch.

    Raises what `page` raises.
    """
    asked = BY_TIME_EACH | request
    view = VIEWS[asked["AggregateBy"]]
    found = page(ctx, asked, operation, kind, view=view, by_name=asked["SortBy"] == "NAME")
    render = stretch if asked["AggregateBy"] == "SEGMENTS" else moment
    return found.members | {
        listed: [render(row) for row in found.rows],
        "GetRequestMetadata": {name: asked[name] for name in BY_TIME_EACH},
    }


def described(job: Job) -> dict[str, Any]:
    """The members that each Get answer has."""
    info = video_info(job)
    video = {"Bucket": job.bucket, "Name": job.object_name}
    optional = {
        "StatusMessage": job.message,
        "JobTag": job.tag,
        "VideoMetadata": None if info is None else metadata(info),
    }
    return {
        "JobId": job.id,
        "JobStatus": STATUS[job.status],
        "Video": {"S3Object": video | ({} if job.object_version is None else {"Version": job.object_version})},
        **{name: value for name, value in optional.items() if value is not None},
    }


def video_info(job: Job) -> VideoInfo | None:
    """What is known of a job's video, once a worker has opened it."""
    info: VideoInfo | None = None if job.info is None else wire.decode(job.info, VideoInfo)
    return info


def metadata(info: VideoInfo) -> dict[str, Any]:
    """A VideoMetadata."""
    return {
        "Codec": info.codec,
        "DurationMillis": info.duration_ms,
        "Format": FORMATS.get(info.container.partition(",")[0], info.container),
        "FrameRate": _single(info.rate),
        "FrameHeight": info.height,
        "FrameWidth": info.width,
        "ColorRange": "FULL" if info.full_range else "LIMITED",
    }


def stretch_times(stretch: Stretch[Any]) -> dict[str, int]:
    """The times of what is aggregated by SEGMENTS."""
    return {
        "Timestamp": stretch.start_ms,
        "StartTimestampMillis": stretch.start_ms,
        "EndTimestampMillis": stretch.end_ms,
        "DurationMillis": stretch.end_ms - stretch.start_ms,
    }


def _position(ctx: Context, operation: str, request: dict[str, Any]) -> int:
    if "NextToken" not in request:
        return -1
    return int(ctx.services.tokens.open(operation, ctx.tenant, request, request["NextToken"]))


def _refuse_too_large(ctx: Context, place: Mapping[str, str]) -> None:
    try:
        ctx.services.objects.open(
            ctx.tenant, place["Bucket"], place["Name"], place.get("Version"), limits.MOST_BYTES
        ).close()
    except ObjectTooLarge as error:
        size, most = error.values["size"], error.values["max_bytes"]
        raise VideoTooLargeException(
            f"Video size in bytes: {size} is more than the maximum limit of: {most} bytes."
        ) from error


def _topic(request: Mapping[str, Any]) -> str | None:
    """Where the end is to be told. The pattern of topics lets NUL pass, which rows cannot hold."""
    topic: str | None = request.get("NotificationChannel", {}).get("SNSTopicArn")
    if topic is not None and "\0" in topic:
        raise InvalidParameterException
    return topic


def _place(video: Mapping[str, Any]) -> dict[str, str]:
    if "S3Object" not in video:
        raise InvalidParameterException
    place: dict[str, str] = video["S3Object"]
    if not place.get("Bucket") or not place.get("Name"):
        raise InvalidS3ObjectException("Request has invalid S3 object.")
    return place


def _single(rate: Fraction) -> float:
    """At the precision of the real service's 32-bit floats."""
    (rounded,) = struct.unpack("<f", struct.pack("<f", rate))
    return float(rounded)
