"""Celebrities of the owner's gallery in stored videos."""

from typing import Any

from api.context import Context
from api.operations import video_jobs
from api.operations.celebrities import celebrity_info
from api.operations.rendering import bounding_box, face_detail, percent
from inference import wire
from inference.video.types import SeenCelebrity
from storage.jobs import Row

KIND = "celebrities"


def start_celebrity_recognition(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Starts a job that looks in a video for people of the owner's gallery of celebrities; it is empty at first.

    Networks: object_detector, face_detector, face_mesh, iris, face_embedder.
    """
    return video_jobs.start(ctx, request, "StartCelebrityRecognition", KIND, {})


def get_celebrity_recognition(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Gives where each celebrity of a video is, by time or by celebrity."""
    page = video_jobs.sorted_page(ctx, request, "GetCelebrityRecognition", KIND, other_order="ID")
    return page.members | {"Celebrities": [_moment(row) for row in page.rows]}


def _moment(row: Row) -> dict[str, Any]:
    seen = wire.decode(row.payload, SeenCelebrity)
    detail = {
        "Id": seen.id,
        "Confidence": percent(seen.confidence),
        "BoundingBox": bounding_box(seen.box),
        "Face": face_detail(seen.face),
    }
    return {"Timestamp": row.at_ms, "Celebrity": celebrity_info(seen) | detail}
