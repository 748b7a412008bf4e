"""Faces and text of stored videos through boto3."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from films import Films, times
from PIL import Image, ImageDraw, ImageFont
from scenes import FILM, HEIGHT, WIDTH, film

LOOKS_OF_COLLINS, LOOKS_OF_HOPPER = [0, 200, 400, 600, 800], [2000, 2200, 2400, 2600, 2800]
ATTRIBUTES = {
    "AgeRange", "Beard", "Emotions", "Eyeglasses", "EyesOpen", "Gender", "MouthOpen", "Mustache", "Smile", "Sunglasses"
}  # fmt: skip
WIDE = 0.36
NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hal", "Ina", "Joe", "Kim", "Leo")


@pytest.fixture(scope="module")
def crowded(films: Films) -> str:
    """A film of two frames, half a second each, with 12 columns and 11 rows of words."""
    canvas = Image.new("RGB", (1280, 720), "white")
    draw = ImageDraw.Draw(canvas)
    for n in range(132):
        draw.text(
            (20 + n % 12 * 104, 10 + n // 12 * 64), f"{NAMES[n % 12]}{n // 12}", "black", ImageFont.load_default(28)
        )
    clip = replace(FILM, rate=Fraction(2), width=1280, height=720, key_every=1)
    films.add("crowded.mp4", film([np.asarray(canvas)] * 2, clip))
    return "crowded.mp4"


@pytest.fixture(scope="module")
def jobs(films: Films, programme: str, crowded: str) -> dict[str, str]:
    """Job ids by name."""
    upper = {"RegionsOfInterest": [{"BoundingBox": {"Left": 0.0, "Top": 0.0, "Width": 1.0, "Height": 0.4}}]}
    words = {"WordFilter": {"MinConfidence": 50, "MinBoundingBoxWidth": WIDE}}
    return films.side_by_side(
        {
            "faces": ("FaceDetection", programme, {}),
            "attributes": ("FaceDetection", programme, {"FaceAttributes": "ALL"}),
            "text": ("TextDetection", programme, {}),
            "above": ("TextDetection", programme, {"Filters": upper}),
            "crowded": ("TextDetection", crowded, {"Filters": {"WordFilter": {"MinConfidence": 10}}}),
            "wide": ("TextDetection", programme, {"Filters": words}),
        }
    )


def _faces(films: Films, job_id: str) -> list[dict[str, Any]]:
    return [one for page in films.pages("FaceDetection", job_id) for one in page["Faces"]]


def _text(films: Films, job_id: str) -> list[dict[str, Any]]:
    return [one for page in films.pages("TextDetection", job_id) for one in page["TextDetections"]]


def test_faces_are_found_when_and_where_they_are(films: Films, jobs: dict[str, str]) -> None:
    faces = _faces(films, jobs["faces"])
    assert times(faces) == LOOKS_OF_COLLINS + LOOKS_OF_HOPPER
    for one in faces:
        face = one["Face"]
        assert face.keys() == {"BoundingBox", "Landmarks", "Pose", "Quality", "Confidence"}
        assert len(face["Landmarks"]) == 5 and face["Confidence"] > 90
        box = face["BoundingBox"]
        assert 0.2 < box["Left"] + box["Width"] / 2 < 0.6 and box["Top"] + box["Height"] / 2 < 0.6


def test_all_attributes_but_those_of_pictures(films: Films, jobs: dict[str, str]) -> None:
    faces = _faces(films, jobs["attributes"])
    assert times(faces) == LOOKS_OF_COLLINS + LOOKS_OF_HOPPER
    told = [one["Face"].keys() - {"BoundingBox", "Landmarks", "Pose", "Quality", "Confidence"} for one in faces]
    assert all(names <= ATTRIBUTES for names in told) and ATTRIBUTES in told
    collins = faces[0]["Face"]
    assert collins["Gender"]["Value"] == "Female" and collins["Smile"]["Value"] is True
    assert len(collins["Landmarks"]) == 30


def test_a_face_is_where_it_is_in_the_picture(films: Films, client: Any, jobs: dict[str, str], collins: bytes) -> None:
    """In the frame the photograph is HEIGHT pixels wide and begins at 40."""
    of_picture = client.detect_faces(Image={"Bytes": collins})["FaceDetails"][0]["BoundingBox"]
    of_video = _faces(films, jobs["faces"])[0]["Face"]["BoundingBox"]
    left = (40 + of_picture["Left"] * HEIGHT) / WIDTH
    assert of_video["Left"] == pytest.approx(left, abs=0.03)
    assert of_video["Width"] == pytest.approx(of_picture["Width"] * HEIGHT / WIDTH, abs=0.03)
    assert of_video["Top"] == pytest.approx(of_picture["Top"], abs=0.04)


def test_text_is_read_when_it_is_there(films: Films, jobs: dict[str, str]) -> None:
    found = _text(films, jobs["text"])
    assert set(times(found)) == {1000}, "once a second, and nothing is read in the portraits"
    details = [one["TextDetection"] for one in found]
    assert [(one["Type"], one["DetectedText"], one["Id"], one.get("ParentId")) for one in details] == [
        ("LINE", "NORTH GATE", 0, None),
        ("LINE", "Closed", 1, None),
        ("WORD", "NORTH", 2, 0),
        ("WORD", "GATE", 3, 0),
        ("WORD", "Closed", 4, 1),
    ]
    assert all(len(one["Geometry"]["Polygon"]) == 4 and one["Confidence"] >= 80 for one in details)
    assert films.call("GetTextDetection", JobId=jobs["text"])["TextModelVersion"] == "3.0"


def test_filters_of_text(films: Films, jobs: dict[str, str]) -> None:
    above = [one["TextDetection"]["DetectedText"] for one in _text(films, jobs["above"])]
    assert above == ["NORTH GATE", "NORTH", "GATE"]
    wide = [one["TextDetection"]["DetectedText"] for one in _text(films, jobs["wide"])]
    words = [one["TextDetection"] for one in _text(films, jobs["text"]) if one["TextDetection"]["Type"] == "WORD"]
    assert wide[-1:] == [word["DetectedText"] for word in words if word["Geometry"]["BoundingBox"]["Width"] >= WIDE]
    assert len(wide) == 2 and wide[0].split()[0] == wide[1], "the line of that word"


def test_of_many_words_the_hundred_most_certain(films: Films, jobs: dict[str, str]) -> None:
    found = _text(films, jobs["crowded"])
    assert set(times(found)) == {0}, "the frame shown at each second"
    words = [one["TextDetection"] for one in found if one["TextDetection"]["Type"] == "WORD"]
    assert len(words) == 100
    ids = [one["TextDetection"]["Id"] for one in found]
    assert ids == list(range(len(found))) and all(word["ParentId"] < len(found) - 100 for word in words)
