"""Faces of stored videos."""

from typing import Any

from api.context import Context
from api.operations import video_jobs
from api.operations.rendering import asked_attributes, face_detail
from inference import wire
from inference.types import Face
from storage.jobs import Row

KIND = "faces"


def start_face_detection(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Starts a job that finds the faces of a video, five times a second, with the attributes asked for.

    Networks: face_detector, face_mesh, iris, face_attributes, emotion.
    """
    params = {"attributes": asked_attributes([request.get("FaceAttributes", "DEFAULT")])}
    return video_jobs.start(ctx, request, "StartFaceDetection", KIND, params)


def get_face_detection(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Gives the faces of a video by time."""
    page = video_jobs.page(ctx, request, "GetFaceDetection", KIND)
    return page.members | {"Faces": [_moment(row) for row in page.rows]}


def _moment(row: Row) -> dict[str, Any]:
    return {"Timestamp": row.at_ms, "Face": face_detail(wire.decode(row.payload, Face))}
