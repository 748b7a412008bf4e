"""Text of a video: what can be read in each looked-at frame."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import msgspec

from inference import text_filters, wire
from inference.text_filters import TextFilter
from inference.types import Pixels, TextPiece
from inference.video.types import Part, VideoInfo
from storage.jobs import Job, Result
from workers.analyses.looking import each_frame
from workers.services import WorkerServices

Seen = tuple[int, list[TextPiece]]
"""A time in the video, and what can be read then, numbered from 0 in each frame."""


def look(file: BinaryIO, part: Part, job: Job, services: WorkerServices) -> Iterator[bytes]:
    """The lines of each frame and their up to 100 words. `job.params`: filters, a TextFilter."""
    wanted = msgspec.convert(job.params["filters"], TextFilter)

    def see(pixels: Pixels) -> list[TextPiece]:
        return text_filters.listed(text_filters.select(services.inference.text(pixels, min_side=1), wanted))

    return each_frame(file, part, services.settings.text_frames_per_second, see, services.settings)


def conclude(observations: Iterable[bytes], job: Job, info: VideoInfo, services: WorkerServices) -> Iterator[Result]:
    """View moments: each TextPiece of each frame."""
    for observation in observations:
        at_ms, pieces = wire.decode(observation, Seen)
        for piece in pieces:
            yield Result("moments", at_ms, wire.encode(piece))
