"""Segments of a video: its shots, and the technical cues that cover it.

`job.params`: types, of "shots" and "cues"; shot_confidence and cue_confidence, the least that is answered, 0..100;
black_pixel_threshold, 0..1 of the range from black to white, under which a pixel is black; black_coverage, the
percentage of such pixels in a black frame.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from math import ceil
from typing import BinaryIO

import numpy as np

from inference import wire
from inference.types import Pixels, TextResult
from inference.video import sound
from inference.video.credits import Look, may_be_text
from inference.video.cues import cues, is_black
from inference.video.frame_features import FEATURES, Features, Measured, measured
from inference.video.frames import decoded
from inference.video.pixels import Converter
from inference.video.runs import runs
from inference.video.shots import changes, shots
from inference.video.types import Part, VideoInfo
from storage.jobs import Job, Result
from workers.analyses.looking import patiently
from workers.services import WorkerServices

SHOT = "shot"
Observation = bytes | Look
"""The features of all frames of a part, or the text of one of its frames."""


def look(file: BinaryIO, part: Part, job: Job, services: WorkerServices) -> Iterator[bytes]:
    """The text of frames that may show little else, for cues only, and then the features of all frames."""
    settings = services.settings
    rate = Fraction(settings.text_frames_per_second) if "cues" in job.params["types"] else None

    def read(pixels: Pixels) -> TextResult:
        return services.inference.text(pixels, min_side=1)

    records: list[Features] = []
    waiting: deque[tuple[int, Future[TextResult]]] = deque()
    origin, until_ms = 0.0, 0
    with ThreadPoolExecutor(settings.frames_in_flight) as threads:
        for frame, pixels in measured_frames(file, part, job.params["black_pixel_threshold"], rate):
            records.append(frame.features)
            origin, until_ms = _origin(frame), frame.until_ms or frame.shown.at_ms + 1
            if pixels is not None:
                waiting.append((frame.shown.at_ms, threads.submit(patiently, read, pixels, settings.patience_seconds)))
            while len(waiting) >= settings.frames_in_flight:
                yield _next(waiting)
        while waiting:
            yield _next(waiting)
    features = np.concatenate(records) if records else np.empty(0, FEATURES)
    if "cues" in job.params["types"]:
        hear(file, features, until_ms, origin, job.params["black_coverage"])
    yield wire.encode(features.tobytes())


def measured_frames(
    file: BinaryIO, part: Part, black_pixel_threshold: float, rate: Fraction | None
) -> Iterator[tuple[Measured, Pixels | None]]:
    """All frames of a part; with their pixels those that may show little but text, of the `rate` due each second."""
    converter = Converter()
    for frame in measured(decoded(file, part), black_pixel_threshold):
        is_looked_at = rate is not None and _is_due(frame, rate) and may_be_text(frame.features)[0]
        yield frame, converter.pixels(frame.shown.picture) if is_looked_at else None


def conclude(observations: Iterable[bytes], job: Job, info: VideoInfo, services: WorkerServices) -> Iterator[Result]:
    """The cues, then the shots, each by time, in one view: Cue and Shot, named by the cue's kind and SHOT."""
    records, looks = [np.empty(0, FEATURES)], []
    for encoded in observations:
        observation: Observation = wire.decode(encoded, Observation)
        if isinstance(observation, bytes):
            records.append(np.frombuffer(observation, FEATURES))
        else:
            looks.append(observation)
    features = np.concatenate(records)
    found = changes(features)
    if "cues" in job.params["types"]:
        for cue in cues(features, found, looks, job.params["black_coverage"], job.params["cue_confidence"]):
            yield Result("moments", cue.start_ms, wire.encode(cue), cue.kind, cue.confidence)
    if "shots" in job.params["types"]:
        for shot in shots(features, found, job.params["shot_confidence"]):
            yield Result("moments", shot.start_ms, wire.encode(shot), SHOT, shot.confidence)


def hear(file: BinaryIO, features: Features, until_ms: int, origin: float, black_coverage: float) -> None:
    """Fills in the sound of black frames. until_ms: to which the last frame is shown; origin: when the first frame of
    the video is, in seconds of the container's clock."""
    ends = np.append(features["at_ms"][1:], until_ms)
    for black, first, end in runs(is_black(features, black_coverage)):
        if black:
            starts = features["at_ms"][first:end] / 1000 + origin
            features["sound"][first:end] = sound.levels(file, starts, ends[end - 1] / 1000 + origin)


def _is_due(frame: Measured, rate: Fraction) -> bool:
    """Whether a frame is the one shown at a whole multiple of 1 / `rate` seconds."""
    until_ms = frame.until_ms or frame.shown.at_ms + 1
    return ceil(frame.shown.at_ms * rate / 1000) * 1000 < until_ms * rate


def _origin(frame: Measured) -> float:
    picture = frame.shown.picture
    if picture.pts is None or picture.time_base is None:
        return 0.0
    return float(picture.pts * picture.time_base) - frame.shown.at_ms / 1000


def _next(waiting: deque[tuple[int, Future[TextResult]]]) -> bytes:
    at_ms, text = waiting.popleft()
    return wire.encode((at_ms, text.result()))
