"""DetectText through boto3: what it reads, its geometry, its filters, and pictures made to hurt."""

import io
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import matplotlib
import numpy as np
import pytest
from botocore.exceptions import ClientError
from PIL import Image, ImageDraw, ImageFont

from api import validation
from benchmarks.inputs import hostile_pictures

LINES = ["NORTH GATE", "Closed", "Mind the step"]
WORDS = ["NORTH", "GATE", "Closed", "Mind", "the", "step"]


def _detect(client: Any, data: bytes, **filters: Any) -> list[dict[str, Any]]:
    more = {"Filters": filters} if filters else {}
    answer = client.detect_text(Image={"Bytes": data}, **more)
    answer.pop("ResponseMetadata")
    assert validation.check_output("DetectText", answer) == []
    assert answer["TextModelVersion"] == "3.0"
    found: list[dict[str, Any]] = answer["TextDetections"]
    return found


def _texts(found: list[dict[str, Any]], kind: str) -> list[str]:
    return [one["DetectedText"] for one in found if one["Type"] == kind]


def _corners(one: dict[str, Any], width: int, height: int) -> np.ndarray:
    return np.array([[point["X"] * width, point["Y"] * height] for point in one["Geometry"]["Polygon"]])


def _turned(data: bytes, degrees: float) -> bytes:
    """Turned clockwise."""
    encoded = io.BytesIO()
    picture = Image.open(io.BytesIO(data))
    picture.rotate(-degrees, Image.Resampling.BICUBIC, expand=True, fillcolor="white").save(encoded, "PNG")
    return encoded.getvalue()


def test_lines_come_first_then_words_with_their_parents(client: Any, sign: bytes) -> None:
    found = _detect(client, sign)
    assert [one["Id"] for one in found] == list(range(len(LINES) + len(WORDS)))
    assert [one["Type"] for one in found] == ["LINE"] * len(LINES) + ["WORD"] * len(WORDS)
    assert _texts(found, "LINE") == LINES and _texts(found, "WORD") == WORDS
    assert [one.get("ParentId") for one in found] == [None] * 3 + [0, 0, 1, 2, 2, 2]
    for line in found[: len(LINES)]:
        assert "ParentId" not in line
        own = [one["Confidence"] for one in found if one.get("ParentId") == line["Id"]]
        assert line["Confidence"] == pytest.approx(sum(own) / len(own))
        assert 80 < line["Confidence"] <= 100


def test_words_lie_in_their_lines_where_they_were_drawn(client: Any, sign: bytes) -> None:
    found = _detect(client, sign)
    mind, the, step = found[-3:]
    font = ImageFont.load_default(60)
    draw = ImageDraw.Draw(Image.new("RGB", (800, 400)))
    for word, text, before in ((mind, "Mind", ""), (the, "the", "Mind "), (step, "step", "Mind the ")):
        left, top, right, bottom = draw.textbbox((60 + draw.textlength(before, font), 250), text, font)
        box = word["Geometry"]["BoundingBox"]
        assert box["Left"] * 800 == pytest.approx(left, abs=14)
        assert (box["Left"] + box["Width"]) * 800 == pytest.approx(right, abs=14)
        assert box["Top"] * 400 == pytest.approx(top, abs=14)
        assert (box["Top"] + box["Height"]) * 400 == pytest.approx(bottom, abs=14)
    for left_word, right_word in pairwise((mind, the, step)):
        ends, begins = _corners(left_word, 800, 400)[1, 0], _corners(right_word, 800, 400)[0, 0]
        assert ends <= begins


@pytest.mark.parametrize("degrees", [-90, -35, -12, 12, 35, 90])
def test_turned_text_is_read_and_its_polygons_turn_along(client: Any, sign: bytes, degrees: float) -> None:
    data = _turned(sign, degrees)
    width, height = Image.open(io.BytesIO(data)).size
    found = _detect(client, data)
    assert _texts(found, "LINE") == LINES
    for line in found[: len(LINES)]:
        first, second, third, fourth = _corners(line, width, height)
        along, down = second - first, fourth - first
        angle = math.degrees(math.atan2(along[1], along[0]))
        assert abs((angle - degrees + 180) % 360 - 180) < 4, (angle, line["DetectedText"])
        assert along[0] * down[1] - along[1] * down[0] > 0, "clockwise"
        assert np.linalg.norm(second - first) > np.linalg.norm(fourth - first)
        box, corners = line["Geometry"]["BoundingBox"], np.array([first, second, third, fourth])
        assert box["Left"] * width == pytest.approx(corners[:, 0].min())
        assert box["Height"] * height == pytest.approx(np.ptp(corners[:, 1]))


def test_accents_low_contrast_and_small_print(client: Any) -> None:
    font = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"
    canvas = Image.new("RGB", (700, 400), (128, 128, 128))
    draw = ImageDraw.Draw(canvas)
    draw.text((40, 40), "déjà vu à Zürich", "black", ImageFont.truetype(font, 48))
    draw.text((40, 180), "Lost and Found", (150, 150, 150), ImageFont.load_default(48))
    draw.text((40, 320), "small print 12.50", "white", ImageFont.load_default(15))
    encoded = io.BytesIO()
    canvas.save(encoded, "PNG")
    lines = _texts(_detect(client, encoded.getvalue()), "LINE")
    assert lines == ["déjà vu à Zürich", "Lost and Found", "small print 12.50"]


def test_at_most_a_hundred_words(client: Any, as_jpeg: Callable[..., bytes]) -> None:
    canvas = Image.new("RGB", (1200, 900), "white")
    draw = ImageDraw.Draw(canvas)
    for row in range(15):
        words = " ".join(f"word{row * 8 + n:03d}" for n in range(8))
        draw.text((30, 20 + 58 * row), words, "black", ImageFont.load_default(30))
    found = _detect(client, as_jpeg(canvas))
    assert len(_texts(found, "WORD")) == 100
    assert len(_texts(found, "LINE")) <= 15
    assert sum(text.startswith("word") for text in _texts(found, "WORD")) >= 95


def test_a_picture_without_text(client: Any, blank: bytes) -> None:
    assert _detect(client, blank) == []


def test_words_under_a_confidence_are_left_out(client: Any, sign: bytes) -> None:
    everything = _detect(client, sign)
    confidences = sorted(one["Confidence"] for one in everything if one["Type"] == "WORD")
    bar = (confidences[2] + confidences[3]) / 2
    found = _detect(client, sign, WordFilter={"MinConfidence": bar})
    expected = [one["DetectedText"] for one in everything if one["Type"] == "WORD" and one["Confidence"] >= bar]
    assert 0 < len(expected) < len(WORDS) and _texts(found, "WORD") == expected
    assert [one["Id"] for one in found] == list(range(len(found))), "numbered anew"
    assert set(_texts(found, "LINE")) <= set(LINES), "a line keeps its text"
    assert {one["ParentId"] for one in found if one["Type"] == "WORD"} == {
        one["Id"] for one in found if one["Type"] == "LINE"
    }


def test_small_words_are_left_out(client: Any, sign: bytes) -> None:
    everything = {one["DetectedText"]: one["Geometry"]["BoundingBox"] for one in _detect(client, sign)}
    tall, wide = everything["Mind"]["Height"] - 0.01, everything["step"]["Width"] + 0.001
    assert _texts(_detect(client, sign, WordFilter={"MinConfidence": 0, "MinBoundingBoxHeight": tall}), "WORD") == [
        word for word in WORDS if everything[word]["Height"] >= tall
    ]
    assert _texts(_detect(client, sign, WordFilter={"MinConfidence": 0, "MinBoundingBoxWidth": wide}), "WORD") == [
        word for word in WORDS if everything[word]["Width"] >= wide
    ]
    assert _detect(client, sign, WordFilter={"MinBoundingBoxHeight": 1}) == []


def test_regions_of_interest(client: Any, sign: bytes) -> None:
    def words(*regions: dict[str, Any]) -> list[str]:
        return _texts(_detect(client, sign, RegionsOfInterest=list(regions)), "WORD")

    below = {"BoundingBox": {"Left": 0, "Top": 0.5, "Width": 1, "Height": 0.5}}
    right = {"Polygon": [{"X": 0.6, "Y": 0}, {"X": 1, "Y": 0}, {"X": 1, "Y": 0.5}, {"X": 0.6, "Y": 0.5}]}
    triangle = {"Polygon": [{"X": 0, "Y": 0}, {"X": 0.35, "Y": 0}, {"X": 0, "Y": 0.9}]}
    halves = [
        {"BoundingBox": {"Left": 0.6, "Top": 0, "Width": 0.16, "Height": 0.5}},
        {"BoundingBox": {"Left": 0.76, "Top": 0, "Width": 0.24, "Height": 0.5}},
    ]
    assert words(below) == ["Mind", "the", "step"]
    assert words(right) == ["Closed"]
    assert words(right, below) == ["Closed", "Mind", "the", "step"]
    assert words(triangle)[0] == "NORTH" and "Closed" not in words(triangle)
    assert words(*halves) in ([], ["Closed"]), "regions are judged one by one"
    assert words({"BoundingBox": {"Left": 0, "Top": 0.9, "Width": 0.1, "Height": 0.1}}) == []


@pytest.mark.parametrize(
    "region",
    [
        {},
        {"BoundingBox": {"Left": 0, "Top": 0, "Width": 1, "Height": 1}, "Polygon": [{"X": 0, "Y": 0}] * 3},
        {"BoundingBox": {"Left": 0, "Top": 0, "Width": 1}},
        {"BoundingBox": {"Left": 0, "Top": 0, "Width": 0, "Height": 1}},
        {"Polygon": [{"X": 0, "Y": 0}, {"X": 1, "Y": 1}]},
        {"Polygon": [{"X": 0, "Y": 0}] * 11},
        {"Polygon": [{"X": 0, "Y": 0}, {"X": 1}, {"X": 1, "Y": 1}]},
    ],
)
def test_regions_that_are_none(client: Any, sign: bytes, region: dict[str, Any]) -> None:
    with pytest.raises(client.exceptions.InvalidParameterException):
        _detect(client, sign, RegionsOfInterest=[region])


@pytest.mark.parametrize("name", hostile_pictures.REFUSED)
def test_what_is_no_decent_picture_is_refused(client: Any, name: str) -> None:
    with pytest.raises(ClientError) as caught:
        _detect(client, hostile_pictures.REFUSED[name]())
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize("name", hostile_pictures.ACCEPTED)
def test_what_is_only_odd_is_answered(client: Any, name: str) -> None:
    _detect(client, hostile_pictures.ACCEPTED[name]())
