"""The people of a collection in a video.

Each person of the video is searched for once, by the mean of its best faces; so the similarity is that of the person,
not of the face in one frame.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import BinaryIO

from inference import similarity
from inference.types import Box, Embedding
from inference.video import people
from inference.video.types import FaceMatch, Part, SeenPerson, VideoInfo
from storage import collections, faces
from storage.collections import Collection
from storage.errors import CollectionNotFound, FaceModelChanged
from storage.faces import StoredFace
from storage.jobs import Job, Result
from vectorindex.client import UnknownCollection
from workers.analyses import persons
from workers.services import WorkerServices

MOST_MATCHES = 100
"""Of a person: they are repeated at each time."""


def look(file: BinaryIO, part: Part, job: Job, services: WorkerServices) -> Iterator[bytes]:
    """The bodies and faces of each frame, with embeddings of the collection's face model.

    `job.params`: collection, its name; collection_id; threshold, 0..100. Raises CollectionNotFound.
    """
    return persons.look_for_people(file, part, _collection(job, services).face_model_version, services)


def conclude(observations: Iterable[bytes], job: Job, info: VideoInfo, services: WorkerServices) -> Iterator[Result]:
    """View moments: each SeenPerson of each frame, by index; with matches when its face shows.

    Raises CollectionNotFound, FaceModelChanged, IndexUnavailable.
    """
    # As it is now: faces that were added while the video was looked at are found.
    collection = _collection(job, services)
    with people.followed(persons.looks(observations)) as followed:
        if followed.face_model_version not in (None, collection.face_model_version):
            raise FaceModelChanged(name=collection.name, face_model_version=collection.face_model_version)
        found = {
            person.index: _matches(person.template, collection, job, services)
            for person in followed.persons
            if person.template is not None
        }

        def described(person: SeenPerson) -> SeenPerson:
            return person if person.face is None else replace(person, matches=found.get(person.index, ()))

        yield from persons.moments(followed, described)


def _collection(job: Job, services: WorkerServices) -> Collection:
    """The collection of the job, not another one that was created under its name. Raises CollectionNotFound."""
    with services.pool.connection() as connection:
        collection = collections.get(connection, job.tenant, job.params["collection"])
    if collection.id != job.params["collection_id"]:
        raise CollectionNotFound(name=collection.name)
    return collection


def _matches(template: Embedding, collection: Collection, job: Job, services: WorkerServices) -> tuple[FaceMatch, ...]:
    """The stored faces that a person looks like, the most similar first.

    Raises CollectionNotFound, IndexUnavailable.
    """
    calibration, threshold = similarity.of_version(collection.face_model_version), job.params["threshold"]
    least = calibration.cosine_at(threshold) - similarity.COSINE_ERROR
    try:
        near = services.index.search(collection.id, "faces", collection.version, template, MOST_MATCHES, least)
    except UnknownCollection as error:
        raise CollectionNotFound(name=collection.name) from error
    with services.pool.connection() as connection:
        stored = faces.by_ids(connection, collection.id, [one.id for one in near])
    # Four decimals are what callers see: identical faces are 100. A face deleted since the index was read is no match.
    scored = [(round(calibration.similarity(one.score), 4), stored[one.id]) for one in near if one.id in stored]
    return tuple(_match(value, face) for value, face in scored if value >= threshold)


def _match(value: float, face: StoredFace) -> FaceMatch:
    return FaceMatch(
        value,
        face.face_id,
        face.image_id,
        face.external_image_id,
        Box(face.box.left, face.box.top, face.box.width, face.box.height),
        face.confidence,
        face.user_id,
        face.face_model_version,
    )
