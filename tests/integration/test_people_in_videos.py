"""Jobs about people, on a film made of two portraits, with the real networks, PostgreSQL and index server."""

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from uuid import uuid4

import cv2
import numpy as np
import pytest
from clips import Clip, of_pictures
from PIL import Image
from test_inference_server import RunningServer
from test_vectorindex_server import index_server

from inference import similarity, wire
from inference.client import InferenceClient
from inference.images import decode
from inference.types import Pixels
from inference.video.container import probe, split
from inference.video.people import Look
from inference.video.types import Part, SeenCelebrity, SeenPerson, VideoInfo
from storage import celebrities, collections, faces
from storage.celebrities import GalleryFace
from storage.collections import Collection
from storage.database import open_pool
from storage.errors import CollectionNotFound, FaceModelChanged
from storage.faces import Box4, NewFace, StoredFace
from storage.jobs import Job, Result
from storage.objects import ObjectStore
from storage.tenant import Tenant
from workers.analyses import ANALYSES
from workers.services import WorkerServices, WorkerSettings

TENANT = Tenant("123456789012", "eu-central-1")
WIDTH, HEIGHT, SIDE = 640, 360, 300
FACE_MODEL = similarity.of_pack("base").face_model_version
RATE, PER_SECOND = 10, 5.0
COLLINS, HOPPER = 0, 1
"""The indices, for she is there first."""
COLLINS_MS, HOPPER_MS = [(0, 1400), (4000, 5400)], [(2000, 3400)]


@pytest.fixture(scope="module")
def film(collins: bytes, hopper: bytes) -> bytes:
    """Collins walks through, then Hopper, then Collins again, the other way; nobody is there between."""
    one, other = (_portrait(data) for data in (collins, hopper))
    walls = np.random.default_rng(5).integers(90, 110, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    shown = [
        *(_pasted(walls, one, 10 + 16 * n) for n in range(15)),
        *[walls] * 5,
        *(_pasted(walls, other, 300 - 16 * n) for n in range(15)),
        *[walls] * 5,
        *(_pasted(walls, one, 320 - 16 * n) for n in range(15)),
    ]
    return of_pictures(shown, Clip(rate=Fraction(RATE), width=WIDTH, height=HEIGHT, key_every=10))


@pytest.fixture(scope="module")
def client(service_folder: Path, models_dir: Path) -> Iterator[InferenceClient]:
    folder = service_folder / "people"
    folder.mkdir()
    with RunningServer(folder, models_dir) as running:
        yield running.client


@pytest.fixture(scope="module")
def services(module_database_url: str, client: InferenceClient, service_folder: Path) -> Iterator[WorkerServices]:
    settings = WorkerSettings(frames_per_second=PER_SECOND)
    with open_pool(module_database_url, max_connections=4) as pool, index_server(module_database_url) as index:
        yield WorkerServices(pool, client, index.client, ObjectStore(pool, None), settings)


@pytest.fixture(scope="module")
def info(film: bytes) -> VideoInfo:
    return probe(io.BytesIO(film))


@pytest.fixture(scope="module")
def observations(film: bytes, services: WorkerServices) -> list[bytes]:
    """Of the whole film in one part."""
    return list(ANALYSES["persons"].look(io.BytesIO(film), Part(0, None, None), _job("persons"), services))


@pytest.fixture
def collection(services: WorkerServices) -> Collection:
    name = f"c{uuid4().hex}"
    with services.pool.connection() as connection:
        return collections.create(connection, TENANT, name, FACE_MODEL)


def _portrait(data: bytes) -> Pixels:
    pixels = decode(data)
    side = min(pixels.shape[:2])
    return np.asarray(cv2.resize(pixels[:side, :side], (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def _pasted(walls: Pixels, portrait: Pixels, left: int) -> Pixels:
    frame = walls.copy()
    frame[HEIGHT - SIDE :, left : left + SIDE] = portrait
    return frame


def _mirrored(data: bytes) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(data)).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(file, "PNG")
    return file.getvalue()


def _job(kind: str, **params: object) -> Job:
    return Job(kind, params, "b", "film.mp4", account=TENANT.account, region=TENANT.region)


def _search(collection: Collection, threshold: float = 80.0) -> Job:
    return _job("face_search", collection=collection.name, collection_id=collection.id, threshold=threshold)


def _conclude(job: Job, observations: Iterable[bytes], info: VideoInfo, services: WorkerServices) -> list[Result]:
    return list(ANALYSES[job.kind].conclude(observations, job, info, services))


def _store(data: bytes, name: str, collection: Collection, services: WorkerServices) -> StoredFace:
    (face,) = services.inference.faces(data, embed="all").faces[:1]
    assert face.embedding is not None
    new = NewFace(Box4(face.box.left, face.box.top, face.box.width, face.box.height), face.confidence, face.embedding)
    with services.pool.connection() as connection:
        return faces.add(connection, TENANT, collection.name, uuid4(), name, [new], 10)[1][0]


def _persons(results: Iterable[Result]) -> list[tuple[int, SeenPerson]]:
    return [(one.at_ms, wire.decode(one.payload, SeenPerson)) for one in results]


def test_she_who_comes_back_has_her_index_again(
    observations: list[bytes], info: VideoInfo, services: WorkerServices
) -> None:
    results = _conclude(_job("persons"), observations, info, services)
    seen = _persons(results)
    assert {person.index for _, person in seen} == {COLLINS, HOPPER}
    for index, stretches in ((COLLINS, COLLINS_MS), (HOPPER, HOPPER_MS)):
        expected = [at for start, end in stretches for at in range(start, end + 1, 200)]
        assert [at_ms for at_ms, person in seen if person.index == index] == expected
    assert all(
        one.view == "moments" and one.name == f"{person.index:08}"
        for one, (_, person) in zip(results, seen, strict=True)
    )
    assert all(one.rank == pytest.approx(person.confidence) for one, (_, person) in zip(results, seen, strict=True))


def test_every_moment_shows_the_face_inside_the_body(
    observations: list[bytes], info: VideoInfo, services: WorkerServices
) -> None:
    for _, person in _persons(_conclude(_job("persons"), observations, info, services)):
        assert person.face is not None and person.face.embedding is None
        assert {point.kind for point in person.face.landmarks} == {
            "eye_left",
            "eye_right",
            "nose",
            "mouth_left",
            "mouth_right",
        }
        assert person.box.area >= person.face.box.area
        assert person.matches == ()


def test_parts_see_what_the_whole_film_shows(
    film: bytes, observations: list[bytes], info: VideoInfo, services: WorkerServices
) -> None:
    parts = split(io.BytesIO(film), 2.0)
    assert len(parts) > 2
    job = _job("persons")
    seen = [one for part in parts for one in ANALYSES["persons"].look(io.BytesIO(film), part, job, services)]
    assert [wire.decode(one, Look)[0] for one in seen] == [wire.decode(one, Look)[0] for one in observations]
    assert _conclude(job, seen, info, services) == _conclude(job, observations, info, services)


def test_a_search_finds_her_at_all_times_and_nobody_else(
    observations: list[bytes],
    info: VideoInfo,
    services: WorkerServices,
    collection: Collection,
    collins: bytes,
) -> None:
    stored = _store(_mirrored(collins), "collins", collection, services)
    seen = _persons(_conclude(_search(collection), observations, info, services))
    assert Counter(person.index for _, person in seen if person.matches) == Counter({COLLINS: 16})
    assert all(not person.matches for _, person in seen if person.index == HOPPER)
    match = next(person.matches[0] for _, person in seen if person.matches)
    assert match.similarity > 99
    assert (match.face_id, match.image_id, match.external_image_id) == (stored.face_id, stored.image_id, "collins")
    assert match.box.left == stored.box.left and match.confidence == stored.confidence


def test_matches_are_the_most_similar_first_and_at_least_as_similar_as_asked(
    observations: list[bytes],
    info: VideoInfo,
    services: WorkerServices,
    collection: Collection,
    collins: bytes,
    hopper: bytes,
) -> None:
    for data in (hopper, _mirrored(collins), collins):
        _store(data, "someone", collection, services)
    everyone = _persons(_conclude(_search(collection, 0.0), observations, info, services))
    similarities = [[match.similarity for match in person.matches] for _, person in everyone]
    assert all(len(one) == 3 and one == sorted(one, reverse=True) for one in similarities)
    near = _persons(_conclude(_search(collection, 90.0), observations, info, services))
    assert {(person.index, len(person.matches)) for _, person in near} == {(COLLINS, 2), (HOPPER, 1)}


def test_a_face_added_while_the_video_was_looked_at_is_found(
    observations: list[bytes], info: VideoInfo, services: WorkerServices, collection: Collection, hopper: bytes
) -> None:
    job = _search(collection)
    assert not any(person.matches for _, person in _persons(_conclude(job, observations, info, services)))
    _store(hopper, "hopper", collection, services)
    seen = _persons(_conclude(job, observations, info, services))
    assert {person.index for _, person in seen if person.matches} == {HOPPER}


def test_a_collection_that_went_is_told(
    film: bytes, observations: list[bytes], info: VideoInfo, services: WorkerServices, collection: Collection
) -> None:
    job = _search(collection)
    with services.pool.connection() as connection:
        collections.delete(connection, TENANT, collection.name)
    with pytest.raises(CollectionNotFound, match=collection.name):
        _conclude(job, observations, info, services)
    with pytest.raises(CollectionNotFound, match=collection.name):
        list(ANALYSES["face_search"].look(io.BytesIO(film), Part(0, None, None), job, services))
    with services.pool.connection() as connection:
        collections.create(connection, TENANT, collection.name, FACE_MODEL)
    with pytest.raises(CollectionNotFound, match=collection.name):
        _conclude(job, observations, info, services)


def test_embeddings_of_another_model_than_the_collections_are_not_compared(
    observations: list[bytes], info: VideoInfo, services: WorkerServices
) -> None:
    name = f"c{uuid4().hex}"
    with services.pool.connection() as connection:
        other = collections.create(connection, TENANT, name, "other-1")
    with pytest.raises(FaceModelChanged):
        _conclude(_search(other), observations, info, services)


def test_a_celebrity_is_named_wherever_her_face_shows(
    film: bytes, observations: list[bytes], info: VideoInfo, services: WorkerServices, hopper: bytes
) -> None:
    job = _job("celebrities")
    nothing = list(ANALYSES["celebrities"].look(io.BytesIO(film), Part(0, None, None), job, services))
    assert nothing == [] and _conclude(job, nothing, info, services) == []
    (face,) = services.inference.faces(_mirrored(hopper), embed="all").faces
    assert face.embedding is not None
    box = Box4(face.box.left, face.box.top, face.box.width, face.box.height)
    with services.pool.connection() as connection:
        celebrity, _ = celebrities.put(
            connection,
            TENANT,
            FACE_MODEL,
            name="Grace Hopper",
            celebrity_id=None,
            gender="female",
            urls=["example.org/hopper"],
            new_faces=[GalleryFace(uuid4(), box, face.confidence, face.embedding)],
        )
    results = _conclude(job, observations, info, services)
    seen = [wire.decode(one.payload, SeenCelebrity) for one in results]
    ((start, end),) = HOPPER_MS
    assert [one.at_ms for one in results] == list(range(start, end + 1, 200))
    assert {(one.id, one.name, one.urls, one.gender) for one in seen} == {
        (celebrity, "Grace Hopper", ("example.org/hopper",), "female")
    }
    assert {one.name for one in results} == {celebrity}
    assert all(one.confidence > 90 and one.box.area >= one.face.box.area for one in seen)
    with services.pool.connection() as connection:
        celebrities.remove_all(connection, TENANT)
    assert _conclude(job, observations, info, services) == []


def test_a_job_with_nothing_seen_has_no_results(services: WorkerServices, info: VideoInfo) -> None:
    assert _conclude(_job("persons"), [], info, services) == []
