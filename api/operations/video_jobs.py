"""What all jobs on stored videos share: how they are started, and how their results are read page by page."""

from collections.abc import Callable, Mapping
from typing import Any

from api.context import Context
from api.errors import InvalidParameterException, InvalidS3ObjectException, VideoTooLargeException
from api.operations.idempotency import once
from inference import wire
from inference.video import limits
from inference.video.types import VideoInfo
from storage import jobs
from storage.errors import ObjectTooLarge
from storage.jobs import Job, NewJob, Row

MOST_RESULTS = 1000
STATUS = {"running": "IN_PROGRESS", "done": "SUCCEEDED", "failed": "FAILED"}
FORMATS = {"mov": "QuickTime / MOV", "avi": "AVI"}
"""By the first of FFmpeg's names (video.md section 2)."""


def start(ctx: Context, request: dict[str, Any], operation: str, kind: str, params: dict[str, Any]) -> dict[str, Any]:
    """The answer of a Start operation: a new job of this kind, or the one that its ClientRequestToken stands for.

    Raises InvalidS3ObjectException, VideoTooLargeException, LimitExceededException.
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
        topic=request.get("NotificationChannel", {}).get("SNSTopicArn"),
    )

    def write() -> dict[str, Any]:
        return {"JobId": jobs.start(connection, ctx.tenant, new, ctx.services.settings.most_unfinished_jobs)}

    with ctx.services.pool.connection() as connection:
        answer = once(ctx, connection, operation, request, write)
    ctx.services.wake_workers()
    return answer


def page(
    ctx: Context,
    request: dict[str, Any],
    operation: str,
    kind: str,
    list_name: str,
    render: Callable[[Row], dict[str, Any]],
    *,
    view: str = "moments",
    by_name: bool = False,
) -> tuple[Job, dict[str, Any]]:
    """A job, and the answer of a Get operation with one page of its results. Raises ResourceNotFoundException."""
    with ctx.services.pool.connection() as connection:
        job = jobs.of_tenant(connection, ctx.tenant, kind, request["JobId"])
        after = _position(ctx, operation, request)
        most = min(request.get("MaxResults", MOST_RESULTS), MOST_RESULTS)
        rows = jobs.results(connection, job.id, view, after, most + 1, by_name=by_name)
    answer = described(job) | {list_name: [render(row) for row in rows[:most]]}
    if len(rows) > most:
        answer["NextToken"] = ctx.services.tokens.seal(operation, ctx.tenant, request, str(rows[most - 1].place))
    return job, answer


def described(job: Job) -> dict[str, Any]:
    """The members that each Get answer has."""
    video = {"Bucket": job.bucket, "Name": job.object_name}
    optional = {
        "StatusMessage": job.message,
        "JobTag": job.tag,
        "VideoMetadata": None if job.info is None else metadata(wire.decode(job.info, VideoInfo)),
    }
    return {
        "JobId": job.id,
        "JobStatus": STATUS[job.status],
        "Video": {"S3Object": video | ({} if job.object_version is None else {"Version": job.object_version})},
        **{name: value for name, value in optional.items() if value is not None},
    }


def metadata(info: VideoInfo) -> dict[str, Any]:
    """A VideoMetadata."""
    return {
        "Codec": info.codec,
        "DurationMillis": info.duration_ms,
        "Format": FORMATS.get(info.container.partition(",")[0], info.container),
        "FrameRate": float(info.rate),
        "FrameHeight": info.height,
        "FrameWidth": info.width,
        "ColorRange": "FULL" if info.full_range else "LIMITED",
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


def _place(video: Mapping[str, Any]) -> dict[str, str]:
    if "S3Object" not in video:
        raise InvalidParameterException
    place: dict[str, str] = video["S3Object"]
    if not place.get("Bucket") or not place.get("Name"):
        raise InvalidS3ObjectException("Request has invalid S3 object.")
    return place
