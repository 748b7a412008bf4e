"""DetectProtectiveEquipment through boto3."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, ImageDraw

from benchmarks.inputs import hostile_pictures

PARTS = ["FACE", "LEFT_HAND", "RIGHT_HAND", "HEAD"]
TYPES = {"FACE": "FACE_COVER", "LEFT_HAND": "HAND_COVER", "RIGHT_HAND": "HAND_COVER", "HEAD": "HEAD_COVER"}
REFUSALS = ("InvalidImageFormatException", "ImageTooLargeException", "InvalidParameterException")


def _detect(client: Any, data: bytes, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = client.detect_protective_equipment(Image={"Bytes": data}, **more)
    return answer


def _summary(client: Any, data: bytes, least: float, *types: str) -> list[list[int]]:
    asked = {"MinConfidence": least, "RequiredEquipmentTypes": list(types)}
    found = _detect(client, data, SummarizationAttributes=asked)["Summary"]
    names = ("PersonsWithRequiredEquipment", "PersonsWithoutRequiredEquipment", "PersonsIndeterminate")
    assert set(found) == set(names)
    return [found[name] for name in names]


def _worn(person: dict[str, Any]) -> set[str]:
    return {item["Type"] for part in person["BodyParts"] for item in part["EquipmentDetections"]}


@pytest.fixture(scope="module")
def helmet(hopper: bytes, as_jpeg: Callable[..., bytes]) -> bytes:
    """Hopper with a yellow hard hat drawn over her cap."""
    picture = Image.open(io.BytesIO(hopper)).convert("RGB")
    draw = ImageDraw.Draw(picture)
    draw.pieslice((135, 7, 398, 280), 180, 360, fill=(250, 205, 20))
    draw.rectangle((118, 133, 415, 151), fill=(240, 190, 10))
    return as_jpeg(picture)


@pytest.fixture(scope="module")
def mask(collins: bytes, as_jpeg: Callable[..., bytes]) -> bytes:
    """Collins with a surgical mask drawn over mouth and nose."""
    picture = Image.open(io.BytesIO(collins)).convert("RGB")
    corners = [(179, 114), (221, 105), (269, 114), (260, 168), (221, 179), (188, 168)]
    ImageDraw.Draw(picture).polygon(corners, fill=(150, 195, 225))
    return as_jpeg(picture)


def test_persons_their_parts_and_nothing_on_them(client: Any, hopper: bytes) -> None:
    answer = _detect(client, hopper)
    assert answer["ProtectiveEquipmentModelVersion"] == "1.0" and "Summary" not in answer
    (person,) = answer["Persons"]
    assert person["Id"] == 0 and person["Confidence"] > 90
    assert person["BoundingBox"]["Height"] > 0.8
    parts = {part["Name"]: part for part in person["BodyParts"]}
    assert {"FACE", "HEAD"} <= parts.keys()
    assert parts["FACE"]["EquipmentDetections"] == parts["HEAD"]["EquipmentDetections"] == []


def test_everything_stated_is_in_its_bounds(client: Any, group: bytes, helmet: bytes, mask: bytes) -> None:
    for data in (group, helmet, mask):
        persons = _detect(client, data)["Persons"]
        assert [person["Id"] for person in persons] == list(range(len(persons))) and persons
        for person in persons:
            names = [part["Name"] for part in person["BodyParts"]]
            assert names == [name for name in PARTS if name in names], "each part once, in the order of the samples"
            items = [(part["Name"], item) for part in person["BodyParts"] for item in part["EquipmentDetections"]]
            assert all(item["Type"] == TYPES[name] for name, item in items)
            stated = [person, *person["BodyParts"], *(item for _, item in items)]
            covering = [item["CoversBodyPart"] for _, item in items]
            assert all(50 <= one["Confidence"] <= 100 for one in [*stated, *covering])
            for box in (person["BoundingBox"], *(item["BoundingBox"] for _, item in items)):
                assert box["Left"] >= 0 and box["Top"] >= 0 and box["Width"] > 0 and box["Height"] > 0
                assert box["Left"] + box["Width"] <= 1.0001 and box["Top"] + box["Height"] <= 1.0001


def test_a_hard_hat_is_seen_where_it_is(client: Any, helmet: bytes) -> None:
    (person,) = _detect(client, helmet)["Persons"]
    (head,) = (part for part in person["BodyParts"] if part["Name"] == "HEAD")
    (item,) = head["EquipmentDetections"]
    assert item["Type"] == "HEAD_COVER" and item["Confidence"] > 80 and item["CoversBodyPart"]["Value"] is True
    box = item["BoundingBox"]
    assert 0.15 < box["Left"] < 0.35 and 0.65 < box["Left"] + box["Width"] < 0.85
    assert box["Top"] < 0.15 and 0.2 < box["Top"] + box["Height"] < 0.4


def test_a_mask_is_seen_on_the_face(client: Any, mask: bytes, collins: bytes) -> None:
    ((before,), (after,)) = (_detect(client, data)["Persons"] for data in (collins, mask))
    assert "FACE_COVER" not in _worn(before) and "FACE_COVER" in _worn(after)


def test_a_summary_sorts_the_persons(client: Any, helmet: bytes, hopper: bytes) -> None:
    assert _summary(client, helmet, 50, "HEAD_COVER") == [[0], [], []]
    assert _summary(client, hopper, 50, "HEAD_COVER") == [[], [0], []]
    assert _summary(client, hopper, 100, "HEAD_COVER") == [[], [], [0]], "nothing is so sure"
    assert _summary(client, helmet, 50, "HEAD_COVER", "FACE_COVER") == [[], [0], []]
    assert _summary(client, hopper, 0, "HEAD_COVER") == _summary(client, hopper, 50, "HEAD_COVER")


def test_nobody_is_an_answer(client: Any, blank: bytes) -> None:
    assert _detect(client, blank)["Persons"] == []
    assert _summary(client, blank, 80, "HEAD_COVER") == [[], [], []]


def test_a_crowd_is_answered_with_15(client: Any, crowd: bytes) -> None:
    persons = _detect(client, crowd)["Persons"]
    assert len(persons) == 15
    sizes = [person["BoundingBox"]["Width"] * person["BoundingBox"]["Height"] for person in persons]
    assert sizes == sorted(sizes, reverse=True)


def test_the_sizes_of_pictures(client: Any, hopper: bytes, as_jpeg: Callable[..., bytes]) -> None:
    picture = Image.open(io.BytesIO(hopper))
    _detect(client, as_jpeg(picture.resize((64, 75))))
    with pytest.raises(client.exceptions.InvalidParameterException):
        _detect(client, as_jpeg(picture.resize((63, 75))))
    _detect(client, as_jpeg(Image.new("RGB", (4096, 64))))
    with pytest.raises(client.exceptions.ImageTooLargeException, match="4096"):
        _detect(client, as_jpeg(Image.new("RGB", (4097, 64))))
    # the bytes behind the end of a picture are not read, but they are sent
    with pytest.raises(client.exceptions.ImageTooLargeException):
        _detect(client, hopper + bytes(4 * 1024 * 1024))


def test_the_required_types_are_checked(client: Any, hopper: bytes) -> None:
    for wrong in ({"MinConfidence": 101.0}, {"RequiredEquipmentTypes": ["BOOTS"]}):
        asked: dict[str, Any] = {"MinConfidence": 80.0, "RequiredEquipmentTypes": ["HEAD_COVER"]}
        with pytest.raises(client.exceptions.ClientError) as refused:
            _detect(client, hopper, SummarizationAttributes=asked | wrong)
        assert refused.value.response["Error"]["Code"] in ("InvalidParameterException", "ValidationException")


@pytest.mark.parametrize("name", hostile_pictures.REFUSED)
def test_what_is_no_decent_picture_is_refused(client: Any, name: str) -> None:
    with pytest.raises(client.exceptions.ClientError) as refused:
        _detect(client, hostile_pictures.REFUSED[name]())
    assert refused.value.response["Error"]["Code"] in REFUSALS


@pytest.mark.parametrize("name", ["JPEG progressive", "PNG animated", "JPEG CMYK without Adobe marker"])
def test_what_is_only_odd_is_answered(client: Any, name: str) -> None:
    assert _detect(client, hostile_pictures.ACCEPTED[name]())["Persons"] == []
