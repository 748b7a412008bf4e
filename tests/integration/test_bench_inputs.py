"""The pictures that benchmarks make, seen by the real networks, and the raw work behind an answer done again."""

from pathlib import Path

import pytest

from benchmarks import pipeline
from benchmarks.faults import soak
from benchmarks.harness import definition
from benchmarks.inputs import crowds
from benchmarks.inputs.crowds import Crowd
from benchmarks.speed import replay
from benchmarks.speed.image_operations import OPERATIONS
from inference.networks import Networks
from inference.pipelines.request import FacesRequest

WORK_FOR_EACH_FACE = (
    "DetectFaces",
    "DetectFaces ALL",
    "CompareFaces",
    "RecognizeCelebrities",
    "IndexFaces",
    "SearchUsersByImage",
)


def asked_of(name: str) -> list[tuple[Crowd, int]]:
    """The pictures of a definition, with their seeds."""
    asked = definition.load(definition.FOLDER / name).content["pictures"]
    return [(Crowd(one["side"], one["faces"]), seed) for seed, one in enumerate(asked)]


def test_made_pictures_have_as_many_faces_as_they_say(models_dir: Path) -> None:
    made = [*asked_of("images.toml"), *((crowd, 0) for crowd in soak.CROWDS), (Crowd(320, 4), 1), (Crowd(640, 16), 2)]
    pictures = [crowds.picture(crowd, seed) for crowd, seed in made]
    found = pipeline.faces_of(pictures, FacesRequest(), pipeline.Models(models_dir, "base"))
    assert [len(result.faces) for result in found] == [crowd.faces for crowd, _ in made]
    assert [max(result.width, result.height) for result in found] == [crowd.side for crowd, _ in made]


@pytest.fixture(scope="module")
def loaded(models_dir: Path) -> Networks:
    return replay.load(models_dir, "base", threads=1)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "DetectText"])
def test_the_work_of_an_operation_is_written_down_and_done_again(loaded: Networks, name: str) -> None:
    operation = OPERATIONS[name]
    one, four = crowds.picture(Crowd(320, 1)), crowds.picture(Crowd(320, 4))
    requests = [(picture,) * len(operation.pictures) for picture in (one, four)]
    recording = replay.record(operation, requests, loaded)
    of_one, of_four = (len(recording.calls[request]) for request in requests)
    assert of_one > 0
    if name in WORK_FOR_EACH_FACE:
        assert of_four > of_one
    for request in requests:
        recording.replay(request)
