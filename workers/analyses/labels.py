"""Labels of a video: what each looked-at frame shows, and for how long."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import BinaryIO

import msgspec

from inference import label_filters, wire
from inference.label_filters import LabelFilter
from inference.types import Label, Pixels
from inference.video.types import Part, VideoInfo
from storage.jobs import Job, Result
from workers.analyses.looking import each_frame
from workers.analyses.named import moments_and_stretches
from workers.services import WorkerServices

Seen = tuple[int, tuple[Label, ...]]
"""A time in the video, and what the frame then shows."""


def look(file: BinaryIO, part: Part, job: Job, services: WorkerServices) -> Iterator[bytes]:
    """The labels of each frame. `job.params`: min_confidence, 0..100; filters, a LabelFilter.

    What is filtered out is not kept: it belongs to no page and no stretch.
    """
    wanted = msgspec.convert(job.params["filters"], LabelFilter)

    def see(pixels: Pixels) -> tuple[Label, ...]:
        found = services.inference.labels(pixels, min_confidence=job.params["min_confidence"], min_side=1)
        return label_filters.select(found.labels, wanted)

    return each_frame(file, part, services.settings.frames_per_second, see, services.settings)


def conclude(observations: Iterable[bytes], job: Job, info: VideoInfo, services: WorkerServices) -> Iterator[Result]:
    """View moments: each Label of each frame. View segments: each Stretch of a Label, without instances."""
    looks = (wire.decode(observation, Seen) for observation in observations)
    return moments_and_stretches(looks, lambda label: replace(label, instances=()))
