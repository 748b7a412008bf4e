"""Text of stored videos."""

from typing import Any

import msgspec

from api.context import Context
from api.operations import video_jobs
from api.operations.text import TEXT_MODEL_VERSION, WORD_FILTER_CONFIDENCE, text_detection, text_filter
from inference import wire
from inference.types import TextPiece
from storage.jobs import Row

KIND = "text"


def start_text_detection(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Starts a job that reads the text of a video, once a second; filters by confidence, size and region.

    Networks: text_detector, text_orientation, text_recognizer.
    """
    wanted = text_filter(request.get("Filters", {}), least_without=WORD_FILTER_CONFIDENCE)
    return video_jobs.start(ctx, request, "StartTextDetection", KIND, {"filters": msgspec.to_builtins(wanted)})


def get_text_detection(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Gives the lines and words of a video by time, numbered from 0 in each frame."""
    page = video_jobs.page(ctx, request, "GetTextDetection", KIND)
    return page.members | {
        "TextDetections": [_moment(row) for row in page.rows],
        "TextModelVersion": TEXT_MODEL_VERSION,
    }


def _moment(row: Row) -> dict[str, Any]:
    return {"Timestamp": row.at_ms, "TextDetection": text_detection(wire.decode(row.payload, TextPiece))}
