"""Labels of a video: what each looked-at frame shows."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from inference import wire
from inference.types import LabelsResult, Pixels
from inference.video.types import Part, VideoInfo
from storage.jobs import Job, Result
from workers.analyses.looking import each_frame
from workers.services import WorkerServices

Seen = tuple[int, LabelsResult]
"""A time in the video, and what the frame then shows."""


def look(file: BinaryIO, part: Part, job: Job, services: WorkerServices) -> Iterator[bytes]:
    """The labels of each frame. `job.params`: min_confidence, 0..100."""

    def see(pixels: Pixels) -> LabelsResult:
        return services.inference.labels(pixels, min_confidence=job.params["min_confidence"], min_side=1)

    return each_frame(file, part, services.settings.frames_per_second, see, services.settings)


def conclude(observations: Iterable[bytes], job: Job, info: VideoInfo, services: WorkerServices) -> Iterator[Result]:
    """One result for each label of each frame."""
    for observation in observations:
        at_ms, seen = _seen(observation)
        for label in seen.labels:
            yield Result("moments", at_ms, wire.encode(label), label.name, label.confidence)


def _seen(observation: bytes) -> Seen:
    seen: Seen = wire.decode(observation, Seen)
    return seen
