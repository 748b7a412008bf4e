"""Celebrities of the owner's gallery in a video, each person recognised by the mean of its best faces."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO
from uuid import UUID

from inference import similarity, wire
from inference.video import people
from inference.video.people import Followed
from inference.video.types import Part, SeenCelebrity, VideoInfo
from storage import celebrities
from storage.celebrities import Celebrity
from storage.collections import Collection
from storage.errors import FaceModelChanged
from storage.jobs import Job, Result
from vectorindex.client import UnknownCollection
from workers.analyses import persons
from workers.services import WorkerServices


def look(file: BinaryIO, part: Part, job: Job, services: WorkerServices) -> Iterator[bytes]:
    """The bodies and faces of each frame, with embeddings of the gallery's face model; nothing without a gallery.

    `job.params` are not read.
    """
    gallery = _gallery(job, services)
    if gallery is None:
        return iter(())
    return persons.look_for_people(file, part, gallery.face_model_version, services)


def conclude(observations: Iterable[bytes], job: Job, info: VideoInfo, services: WorkerServices) -> Iterator[Result]:
    """View moments: each SeenCelebrity whose face shows, of each frame; named by its id.

    Raises FaceModelChanged, IndexUnavailable.
    """
    gallery = _gallery(job, services)
    if gallery is None or not gallery.user_count:
        return
    with people.followed(persons.looks(observations)) as followed:
        if followed.face_model_version not in (None, gallery.face_model_version):
            raise FaceModelChanged(name="of celebrities", face_model_version=gallery.face_model_version)
        known = _recognised(followed, gallery, services)
        for at_ms, seen in followed.moments():
            for person in seen:
                if person.index in known and person.face is not None:
                    celebrity, confidence = known[person.index]
                    one = SeenCelebrity(
                        celebrity.id,
                        celebrity.name,
                        tuple(celebrity.urls),
                        celebrity.gender,
                        confidence,
                        person.box,
                        person.face,
                    )
                    yield Result("moments", at_ms, wire.encode(one), celebrity.id, confidence)


def _gallery(job: Job, services: WorkerServices) -> Collection | None:
    with services.pool.connection() as connection:
        return celebrities.gallery(connection, job.tenant)


def _recognised(
    followed: Followed, gallery: Collection, services: WorkerServices
) -> dict[int, tuple[Celebrity, float]]:
    """By index: who it is, and with which confidence, 0..100. Raises IndexUnavailable."""
    identification = similarity.of_version(gallery.face_model_version).identification
    least = identification.cosine_at(similarity.LEAST_IDENTIFICATION, gallery.user_count) - similarity.COSINE_ERROR
    nearest: dict[int, tuple[UUID, float]] = {}
    try:
        for person in followed.persons:
            if person.template is not None:
                for one in services.index.search(gallery.id, "users", gallery.version, person.template, 1, least):
                    nearest[person.index] = (one.id, one.score)
    except UnknownCollection:
        # The gallery was removed since it was looked at.
        return {}
    with services.pool.connection() as connection:
        there = celebrities.by_keys(connection, gallery.id, {key for key, _ in nearest.values()})
    return {
        index: (there[key], identification.confidence(score, gallery.user_count))
        for index, (key, score) in nearest.items()
        # A celebrity removed since the index was read is no match.
        if key in there
    }
