"""Labels of stored videos."""

from typing import Any

from api.context import Context
from api.operations import video_jobs
from api.operations.labels import LABEL_MODEL_VERSION, label_members
from inference import wire
from inference.types import Label
from storage.jobs import Row

KIND = "labels"
DEFAULT_MIN_CONFIDENCE = 50.0


def start_label_detection(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Starts a job that names what a video shows, five times a second.

    Networks: object_detector, image_classifier, face_detector, face_mesh, iris, face_attributes.
    """
    params = {"min_confidence": request.get("MinConfidence", DEFAULT_MIN_CONFIDENCE)}
    return video_jobs.start(ctx, request, "StartLabelDetection", KIND, params)


def get_label_detection(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Gives the labels of a video, by time or by name."""
    sort = request.get("SortBy", "TIMESTAMP")
    _, answer = video_jobs.page(
        ctx, request, "GetLabelDetection", KIND, "Labels", _moment, view="moments", by_name=sort == "NAME"
    )
    return answer | {"LabelModelVersion": LABEL_MODEL_VERSION}


def _moment(row: Row) -> dict[str, Any]:
    return {"Timestamp": row.at_ms, "Label": label_members(wire.decode(row.payload, Label))}
