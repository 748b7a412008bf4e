"""Unwelcome content of stored videos."""

from typing import Any

from api.context import Context
from api.operations import video_jobs
from api.operations.moderation import DEFAULT_CONFIDENCE, content_types, moderation_label
from inference import wire
from inference.taxonomy.moderation import TREE
from inference.video.types import Moderated, Stretch
from storage.jobs import Row

KIND = "moderation"


def start_content_moderation(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Starts a job that looks for unwelcome content in a video, once a second.

    Networks: explicit_classifier, image_classifier, object_detector.
    """
    params = {"min_confidence": request.get("MinConfidence", DEFAULT_CONFIDENCE)}
    return video_jobs.start(ctx, request, "StartContentModeration", KIND, params)


def get_content_moderation(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Gives the moderation labels of a video, by time or by name, for each moment or for how long each is seen."""
    answer = video_jobs.aggregated(ctx, request, "GetContentModeration", KIND, "ModerationLabels", _moment, _stretch)
    return answer | {"ModerationModelVersion": TREE.version}


def _moment(row: Row) -> dict[str, Any]:
    return {"Timestamp": row.at_ms} | _label(wire.decode(row.payload, Moderated))


def _stretch(row: Row) -> dict[str, Any]:
    stretch = wire.decode(row.payload, Stretch[Moderated])
    return video_jobs.stretch_times(stretch) | _label(stretch.surest)


def _label(found: Moderated) -> dict[str, Any]:
    return {
        "ModerationLabel": moderation_label(found.name, found.confidence),
        "ContentTypes": content_types(found.content_types),
    }
