"""Labels of stored videos."""

from typing import Any

import msgspec

from api.context import Context
from api.operations import video_jobs
from api.operations.labels import LABEL_MODEL_VERSION, label_filter, label_members
from inference import wire
from inference.types import Label
from inference.video.types import Stretch
from storage.jobs import Row

KIND = "labels"
DEFAULT_MIN_CONFIDENCE = 50.0


def start_label_detection(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Starts a job that names what a video shows, five times a second; filters by label and category.

    Networks: object_detector, image_classifier, face_detector, face_mesh, face_attributes.
    """
    params = {
        "min_confidence": request.get("MinConfidence", DEFAULT_MIN_CONFIDENCE),
        "filters": msgspec.to_builtins(label_filter(request.get("Settings", {}).get("GeneralLabels", {}))),
    }
    return video_jobs.start(ctx, request, "StartLabelDetection", KIND, params)


def get_label_detection(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Gives the labels of a video, by time or by name, for each moment or for how long each is seen."""
    answer = video_jobs.aggregated(ctx, request, "GetLabelDetection", KIND, "Labels", _moment, _stretch)
    return answer | {"LabelModelVersion": LABEL_MODEL_VERSION}


def _moment(row: Row) -> dict[str, Any]:
    return {"Timestamp": row.at_ms, "Label": label_members(wire.decode(row.payload, Label))}


def _stretch(row: Row) -> dict[str, Any]:
    stretch = wire.decode(row.payload, Stretch[Label])
    label = label_members(stretch.surest)
    del label["Instances"]
    return video_jobs.stretch_times(stretch) | {"Label": label}
