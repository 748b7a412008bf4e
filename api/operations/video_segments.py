"""Technical cues and shots of stored videos."""

from fractions import Fraction
from typing import Any

import msgspec

from api.context import Context
from api.operations import video_jobs
from inference import wire
from inference.video.timecodes import timecode
from inference.video.types import Cue, Shot, VideoInfo
from storage.jobs import Row

KIND = "segments"
SEGMENT_MODEL_VERSION = "2.0"
TYPES = {"SHOT": "shots", "TECHNICAL_CUE": "cues"}
"""In the order of SelectedSegmentTypes."""
CUE_TYPES = {
    "color_bars": "ColorBars",
    "end_credits": "EndCredits",
    "black_frames": "BlackFrames",
    "opening_credits": "OpeningCredits",
    "studio_logo": "StudioLogo",
    "slate": "Slate",
    "content": "Content",
}
DEFAULT_CONFIDENCE = 50.0
DEFAULT_PIXEL_THRESHOLD = 0.2
DEFAULT_COVERAGE = 99.0


def start_segment_detection(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Starts a job that finds the shots of a video, and black frames, colour bars, credits and slates in it.

    Networks: text_detector, text_orientation, text_recognizer.
    """
    filters = request.get("Filters", {})
    cue_filter, shot_filter = filters.get("TechnicalCueFilter", {}), filters.get("ShotFilter", {})
    black = cue_filter.get("BlackFrame", {})
    params = {
        "types": [ours for theirs, ours in TYPES.items() if theirs in request["SegmentTypes"]],
        "shot_confidence": shot_filter.get("MinSegmentConfidence", DEFAULT_CONFIDENCE),
        "cue_confidence": cue_filter.get("MinSegmentConfidence", DEFAULT_CONFIDENCE),
        "black_pixel_threshold": black.get("MaxPixelThreshold", DEFAULT_PIXEL_THRESHOLD),
        "black_coverage": black.get("MinCoveragePercentage", DEFAULT_COVERAGE),
    }
    return video_jobs.start(ctx, request, "StartSegmentDetection", KIND, params)


def get_segment_detection(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Gives the cues, then the shots of a video by time, with frame numbers and timecodes."""
    page = video_jobs.page(ctx, request, "GetSegmentDetection", KIND)
    info = video_jobs.video_info(page.job)
    return (
        page.members
        | ({} if info is None else _streams(info))
        | {
            "Segments": [] if info is None else [_segment(row, info.rate) for row in page.rows],
            "SelectedSegmentTypes": [
                {"Type": theirs, "ModelVersion": SEGMENT_MODEL_VERSION}
                for theirs, ours in TYPES.items()
                if ours in page.job.params["types"]
            ],
        }
    )


def _streams(info: VideoInfo) -> dict[str, Any]:
    """Here both are lists."""
    return {
        "VideoMetadata": [video_jobs.metadata(info)],
        "AudioMetadata": [
            {
                "Codec": sound.codec,
                "DurationMillis": sound.duration_ms,
                "SampleRate": sound.sample_rate,
                "NumberOfChannels": sound.channels,
            }
            for sound in info.audio
        ],
    }


def _segment(row: Row, rate: Fraction) -> dict[str, Any]:
    found = _found(row)
    frames = found.end_frame - found.start_frame
    members = {
        "StartTimestampMillis": found.start_ms,
        "EndTimestampMillis": found.end_ms,
        "DurationMillis": found.end_ms - found.start_ms,
        "StartTimecodeSMPTE": timecode(found.start_frame, rate),
        "EndTimecodeSMPTE": timecode(found.end_frame, rate),
        "DurationSMPTE": timecode(frames, rate),
        "StartFrameNumber": found.start_frame,
        "EndFrameNumber": found.end_frame,
        "DurationFrames": frames,
    }
    if isinstance(found, Cue):
        cue = {"Type": CUE_TYPES[found.kind], "Confidence": found.confidence}
        return members | {"Type": "TECHNICAL_CUE", "TechnicalCueSegment": cue}
    return members | {"Type": "SHOT", "ShotSegment": {"Index": found.index, "Confidence": found.confidence}}


def _found(row: Row) -> Cue | Shot:
    """Cues alone have a kind."""
    fields = msgspec.msgpack.decode(row.payload)
    kind: type[Cue | Shot] = Cue if "kind" in fields else Shot
    found: Cue | Shot = wire.decode(row.payload, kind)
    return found
