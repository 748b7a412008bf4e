"""Analyses of videos by a real model server: the same results however a video is split."""

import io
import threading
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from scenes import film, portrait, scenes, sign

from inference.client import InferenceClient
from inference.networks import ModelServerSettings
from inference.server import create_app
from inference.video.container import probe, split
from storage.database import Pool
from storage.jobs import Job, Result
from storage.objects import ObjectStore
from vectorindex.client import IndexClient
from workers.analyses import ANALYSES
from workers.services import WorkerServices

START_SECONDS = 20.0
PARAMS: dict[str, dict[str, Any]] = {
    "faces": {"attributes": ["all", "default"]},
    "labels": {"min_confidence": 30.0, "filters": {}},
    "moderation": {"min_confidence": 0.0},
    "text": {"filters": {}},
}


@pytest.fixture(scope="module")
def model_server(models_dir: Path, service_folder: Path) -> Iterator[InferenceClient]:
    settings = ModelServerSettings(url=f"unix://{service_folder / 'analyses.sock'}", models_dir=models_dir)
    app = create_app(settings)
    server = uvicorn.Server(uvicorn.Config(app, uds=str(service_folder / "analyses.sock"), log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    client = InferenceClient(settings.url)
    yield client
    client.close()
    server.should_exit = True
    thread.join(START_SECONDS)


@pytest.fixture
def services(pool: Pool, model_server: InferenceClient) -> WorkerServices:
    return WorkerServices(pool, model_server, IndexClient("unix:///nowhere"), ObjectStore(pool, None))


@pytest.fixture(scope="module")
def video(collins: bytes, hopper: bytes) -> bytes:
    """Five seconds, with a key frame each second, in which no scene ends where a part of two seconds does."""
    people, gate = (portrait(collins), 13), (sign("NORTH GATE", "Closed"), 9)
    return film(scenes(people, gate, (portrait(hopper), 16), (gate[0], 4), (people[0], 8)))


def _results(video: bytes, kind: str, part_seconds: float, services: WorkerServices) -> tuple[int, list[Result]]:
    """The number of parts, and the rows of a job."""
    job, analysis = Job(kind, PARAMS[kind], "bucket", "name"), ANALYSES[kind]
    parts = split(io.BytesIO(video), part_seconds)
    observations = [list(analysis.look(io.BytesIO(video), part, job, services)) for part in parts]
    found = analysis.conclude(chain.from_iterable(observations), job, probe(io.BytesIO(video)), services)
    return len(parts), list(found)


@pytest.mark.parametrize("kind", PARAMS)
def test_a_video_in_parts_gives_what_the_whole_gives(kind: str, video: bytes, services: WorkerServices) -> None:
    parts, in_parts = _results(video, kind, 2.0, services)
    one, whole = _results(video, kind, 3600.0, services)
    assert (parts, one) == (3, 1)
    assert in_parts == whole and len(whole) > 5
    for view in {row.view for row in whole}:
        times = [row.at_ms for row in whole if row.view == view]
        assert times == sorted(times) and (view != "moments" or times[-1] >= 4000)
