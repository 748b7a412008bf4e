"""What the benchmarks of images and of long loads compute, and the pictures that they make."""

import io
import json
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from api.errors import InvalidParameterException
from api.operations import HANDLERS
from benchmarks.faults import soak_clients, trends
from benchmarks.harness import definition, plots
from benchmarks.harness.runner import Run
from benchmarks.inputs import crowds
from benchmarks.inputs.crowds import Crowd
from benchmarks.speed.image_operations import OPERATIONS
from benchmarks.speed.images import Sample, fresh, pictures_in, requests_of
from benchmarks.speed.plain_loop import passes, whole_passes
from inference import wire
from inference.client import InferenceClient
from inference.pipelines.request import PictureRequest
from inference.types import FacesResult, LabelsResult, ModerationResult, ProtectiveEquipmentResult, TextResult
from openrek.errors import OperatorError

HOURS = [n / 60 for n in range(60)]
NOTHING = {
    "faces": FacesResult(80, 80, ()),
    "labels": LabelsResult(()),
    "moderation": ModerationResult((), ()),
    "protective_equipment": ProtectiveEquipmentResult(()),
    "text": TextResult(80, 80, ()),
}
"""By task."""
WITHOUT_DATABASE = [name for name in OPERATIONS if name.startswith(("Detect", "Compare"))]
LEVELS = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40)


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.integers(0, 59))
def test_a_slope_is_found_among_outliers(start: float, slope: float, outlier: int) -> None:
    values = [start + slope * hour for hour in HOURS]
    values[outlier] += 1e6
    assert trends.slope(HOURS, values) == pytest.approx(slope, rel=0.1, abs=1e-6)


@given(LEVELS, st.floats(-1e3, 1e3))
def test_a_slope_does_not_depend_on_the_level(values: list[float], shift: float) -> None:
    x = list(range(len(values)))
    assert trends.slope(x, [value + shift for value in values]) == pytest.approx(trends.slope(x, values), abs=1e-3)


def test_growth_is_what_goes_beyond_the_tolerance() -> None:
    leak = trends.of(HOURS, [100 + 60 * hour for hour in HOURS])
    assert leak.start == pytest.approx(102.5) and leak.end == pytest.approx(156.5)
    assert leak.grows(20) and leak.share_per_hour(20) == pytest.approx(60 / 102.5)
    assert not leak.grows(60) and leak.share_per_hour(60) == 0
    peak = trends.of(HOURS, [100.0] * 50 + [500.0] * 10)
    assert peak.end == 500 and peak.per_hour == 0 and not peak.grows(20)
    shrinking = trends.of(HOURS, [100 - 60 * hour for hour in HOURS])
    assert not shrinking.grows(0) and shrinking.share_per_hour(1) == 0
    alone = trends.of([0.0], [7.0])
    assert (alone.start, alone.end, alone.per_hour) == (7, 7, 0)


def test_what_was_nothing_grows_in_shares_of_the_tolerance() -> None:
    assert trends.of(HOURS, [50 * hour for hour in HOURS]).share_per_hour(10) == pytest.approx(5)


@given(st.integers(1, 500))
def test_a_thinned_series_keeps_its_ends(length: int) -> None:
    found = trends.thinned(range(length))
    assert len(found) == min(length, trends.MOST_POINTS) and found == sorted(found)
    assert found[0] <= length / trends.MOST_POINTS and found[-1] >= length - 1 - length / trends.MOST_POINTS


@given(st.integers(1, 30), st.floats(0.1, 200), st.integers(0, 5))
def test_rounds_are_whole_passes(count: int, least: float, seed: int) -> None:
    asked = [(bytes([n]),) for n in range(count)]
    whole = whole_passes(least, asked)
    assert whole >= least and whole % count == 0 and whole - count < least
    drawn = passes(asked, seed)
    for _ in range(3):
        assert sorted(next(drawn) for _ in asked) == asked


def test_a_request_of_two_pictures_takes_each_with_the_next() -> None:
    samples = [Sample(b"a", True), Sample(b"b", False), Sample(b"c", True)]
    assert requests_of(OPERATIONS["CompareFaces"], samples) == [(b"a", b"c"), (b"c", b"a")]
    assert requests_of(OPERATIONS["DetectLabels"], samples) == [(b"a",), (b"b",), (b"c",)]
    assert requests_of(OPERATIONS["CompareFaces"], samples[1:2]) == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_works_on_each_of_its_pictures(name: str) -> None:
    operation = OPERATIONS[name]
    assert len(operation.asks) == len(operation.pictures)
    content = operation.content([b"a"] * len(operation.pictures))
    assert set(operation.pictures) <= set(content) and json.dumps(content)


class FakeInference(InferenceClient):
    """Notes what it is asked, and finds nothing in any picture."""

    def __init__(self) -> None:
        self.asked: list[PictureRequest] = []

    def _ask(self, asked: PictureRequest, image: object, request_id: str) -> bytes:
        self.asked.append(asked)
        return wire.encode(NOTHING[asked.task])


@pytest.mark.parametrize("name", WITHOUT_DATABASE)
def test_an_operation_asks_the_model_server_what_the_loop_replays(name: str) -> None:
    operation, inference = OPERATIONS[name], FakeInference()
    services = SimpleNamespace(inference=inference, settings=SimpleNamespace(face_model_version="7.0"))
    images = {member: {"Bytes": b"a"} for member in operation.pictures}
    context: Any = SimpleNamespace(services=services, request_id="", tenant=None)
    with suppress(InvalidParameterException):
        HANDLERS[operation.name](context, {**images, **operation.parameters})
    assert tuple(inference.asked) == operation.asks


def test_a_fresh_picture_is_another_file_of_the_same_pixels() -> None:
    made = crowds.picture(Crowd(320, 1))
    other = fresh(made)
    assert other != made and other != fresh(made)
    assert Image.open(io.BytesIO(other)).tobytes() == Image.open(io.BytesIO(made)).tobytes()


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.PNG").write_bytes(b"a")
    assert pictures_in(tmp_path) == [b"a"]
    (tmp_path / "a.PNG").rename(tmp_path / "a.txt")
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(OperatorError, match="no JPEG or PNG"):
            pictures_in(folder)


@given(st.sampled_from([320, 641, 2560]), st.integers(0, 30))
def test_the_places_of_faces_do_not_overlap(side: int, count: int) -> None:
    height = side // 2
    places = crowds.cells(side, height, count)
    assert len(places) == count
    for n, (left, top, right, bottom) in enumerate(places):
        assert 0 <= left < right <= side and 0 <= top < bottom <= height
        for x, y, far_x, far_y in places[:n]:
            assert far_x <= left or right <= x or far_y <= top or bottom <= y


def test_the_mix_that_comes_along_is_of_things_that_programs_do() -> None:
    asked = definition.load(definition.FOLDER / "soak.toml").content
    called = soak_clients.operations(asked["mix"], videos=True)
    assert {"IndexFaces", "DeleteFaces", "CreateUser", "GetFaceDetection", soak_clients.ABORTED} <= set(called)
    assert not {"collection", "user", "video", "DetectFaces ALL"} & set(called)
    assert "StartFaceDetection" not in soak_clients.operations(asked["mix"], videos=False)


def test_a_series_is_plotted_as_a_line() -> None:
    row = {"name": "api", "minutes": [1, 2, 3], "values": [5, 6, 7]}
    asked = {"plot": [{"x": "minutes", "y": "values", "line": "name"}]}
    (plot,) = plots.of(Run("soak", {}, asked, {}, [row, {"name": "none"}], []))
    assert plot.lines == {"api": [(1, 5), (2, 6), (3, 7)]}
