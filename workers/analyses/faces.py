"""Faces of a video: those of each looked-at frame, on their own."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import BinaryIO

from inference import wire
from inference.types import Face, Pixels
from inference.video.types import Part, VideoInfo
from storage.jobs import Job, Result
from workers.analyses.looking import each_frame
from workers.services import WorkerServices

Seen = tuple[int, tuple[Face, ...]]
"""A time in the video, and the faces that the frame then shows."""


def look(file: BinaryIO, part: Part, job: Job, services: WorkerServices) -> Iterator[bytes]:
    """The faces of each frame. `job.params`: attributes, as FacesRequest has them."""
    asked = tuple(job.params["attributes"])

    def see(pixels: Pixels) -> tuple[Face, ...]:
        found = services.inference.faces(pixels, attributes=asked, min_side=1)
        return tuple(map(_as_in_videos, found.faces))

    return each_frame(file, part, services.settings.frames_per_second, see, services.settings)


def conclude(observations: Iterable[bytes], job: Job, info: VideoInfo, services: WorkerServices) -> Iterator[Result]:
    """View moments: each Face of each frame, largest first."""
    for observation in observations:
        at_ms, faces = wire.decode(observation, Seen)
        for face in faces:
            yield Result("moments", at_ms, wire.encode(face))


def _as_in_videos(face: Face) -> Face:
    """These two are told of pictures alone (video.md section 4)."""
    return replace(face, attributes=replace(face.attributes, face_occluded=None, eye_direction=None))
