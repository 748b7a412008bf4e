"""The paths of people through a video."""

from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from inference import wire
from inference.types import PersonsResult, Pixels
from inference.video import people
from inference.video.people import Look
from inference.video.types import Part, SeenPerson, VideoInfo
from storage.jobs import Job, Result
from workers.analyses.looking import each_frame
from workers.services import WorkerServices


def look(file: BinaryIO, part: Part, job: Job, services: WorkerServices) -> Iterator[bytes]:
    """The bodies and faces of each frame. `job.params` are not read."""
    return look_for_people(file, part, None, services)


def conclude(observations: Iterable[bytes], job: Job, info: VideoInfo, services: WorkerServices) -> Iterator[Result]:
    """View moments: each SeenPerson of each frame, by index."""
    with people.followed(looks(observations)) as followed:
        yield from moments(followed, lambda person: person)


def look_for_people(
    file: BinaryIO, part: Part, face_model_version: str | None, services: WorkerServices
) -> Iterator[bytes]:
    """Each `Look` at a part, encoded; with embeddings of the model server's own face model for None."""

    def see(pixels: Pixels) -> PersonsResult:
        return services.inference.persons(pixels, face_model_version=face_model_version, min_side=1)

    return each_frame(file, part, services.settings.frames_per_second, see, services.settings)


def looks(observations: Iterable[bytes]) -> Iterator[Look]:
    return (wire.decode(observation, Look) for observation in observations)


def moments(followed: people.Followed, described: Callable[[SeenPerson], SeenPerson]) -> Iterator[Result]:
    """Who is where at each time; `described` adds what else is known of a person."""
    for at_ms, seen in followed.moments():
        for person in seen:
            # The numbers have one length, so that they are in order as texts.
            payload = wire.encode(described(person))
            yield Result("moments", at_ms, payload, f"{person.index:08}", person.confidence)
