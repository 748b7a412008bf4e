"""Unwelcome content of a video: what each looked-at frame shows, and for how long."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from inference import wire
from inference.taxonomy.moderation import sure
from inference.types import Pixels
from inference.video.types import Moderated, Part, VideoInfo
from storage.jobs import Job, Result
from workers.analyses.looking import each_frame
from workers.analyses.named import moments_and_stretches
from workers.services import WorkerServices

Seen = tuple[int, tuple[Moderated, ...]]
"""A time in the video, and what the frame then shows."""


def look(file: BinaryIO, part: Part, job: Job, services: WorkerServices) -> Iterator[bytes]:
    """The moderation labels of each frame, parents included. `job.params`: min_confidence, 0..100."""
    least = job.params["min_confidence"]

    def see(pixels: Pixels) -> tuple[Moderated, ...]:
        found = services.inference.moderation(pixels, min_side=1)
        kinds = sure(found.content_types, least)
        return tuple(Moderated(label.name, label.confidence, kinds) for label in sure(found.labels, least))

    return each_frame(file, part, services.settings.moderation_frames_per_second, see, services.settings)


def conclude(observations: Iterable[bytes], job: Job, info: VideoInfo, services: WorkerServices) -> Iterator[Result]:
    """View moments: each Moderated of each frame. View segments: each Stretch of one."""
    looks = (wire.decode(observation, Seen) for observation in observations)
    return moments_and_stretches(looks, lambda label: label)
