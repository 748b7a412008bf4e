"""DetectLabels through boto3: labels of real portraits, filters, image properties, and pictures made to hurt."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from PIL import Image

from api import validation
from benchmarks.inputs import hostile_pictures

REFUSALS = {"InvalidImageFormatException", "ImageTooLargeException", "InvalidParameterException"}
REFUSED = (
    "GIF", "PNG bomb", "PNG cut off", "PNG 10001 wide", "PNG with rubbish for data", "JPEG cut off",
    "JPEG 65535 x 65535", "JPEG 1 x 1", "JPEG of thousands of scans",
)  # fmt: skip
ODD = (
    "PNG animated", "PNG flat and transparent at the most pixels", "JPEG at the most pixels to a side",
    "JPEG CMYK without Adobe marker", "JPEG with orientation 99",
)  # fmt: skip
"""Some of what test_hostile_pictures.py sends in full to another operation: there is one decoder for all."""
BOTH = ["GENERAL_LABELS", "IMAGE_PROPERTIES"]
PEOPLE = "Person Description"


def _detect(client: Any, picture: bytes, **more: Any) -> dict[str, Any]:
    answer = client.detect_labels(Image={"Bytes": picture}, **more)
    del answer["ResponseMetadata"]
    assert validation.check_output("DetectLabels", answer) == []
    assert answer["LabelModelVersion"] == "3.0"
    return dict(answer)


def _labels(client: Any, picture: bytes, **more: Any) -> dict[str, dict[str, Any]]:
    """By name, in the order of the answer."""
    return {label["Name"]: label for label in _detect(client, picture, **more)["Labels"]}


def _filtered(client: Any, picture: bytes, **filters: list[str]) -> dict[str, dict[str, Any]]:
    return _labels(client, picture, Settings={"GeneralLabels": filters})


def test_a_portrait_of_a_woman(client: Any, collins: bytes) -> None:
    labels = _labels(client, collins)
    assert {"Person", "Adult", "Female", "Woman", "Face", "Head"} <= labels.keys()
    assert labels["Person"]["Aliases"] == [{"Name": "Human"}]
    assert labels["Woman"]["Parents"] == [{"Name": "Adult"}, {"Name": "Female"}, {"Name": "Person"}]
    (box,) = [instance["BoundingBox"] for instance in labels["Woman"]["Instances"]]
    assert box == labels["Person"]["Instances"][0]["BoundingBox"]
    assert box["Left"] < 0.5 < box["Left"] + box["Width"] and box["Width"] * box["Height"] > 0.3


def test_the_list_is_closed_sorted_and_complete(client: Any, group: bytes) -> None:
    for least in (0, 55, 90):
        labels = _labels(client, group, MinConfidence=least)
        order = [(-label["Confidence"], name) for name, label in labels.items()]
        assert order == sorted(order) and len(order) == len({name for _, name in order})
        for label in labels.values():
            assert label.keys() == {"Name", "Confidence", "Instances", "Parents", "Aliases", "Categories"}
            assert least <= label["Confidence"] <= 100 and len(label["Categories"]) == 1
            parents = [parent["Name"] for parent in label["Parents"]]
            assert parents == sorted(parents)
            assert all(labels[parent]["Confidence"] >= label["Confidence"] for parent in parents)
            sure = [instance["Confidence"] for instance in label["Instances"]]
            assert sure == sorted(sure, reverse=True) and all(least <= one <= 100 for one in sure)
            for box in (instance["BoundingBox"] for instance in label["Instances"]):
                assert box["Left"] >= 0 <= box["Top"]
                assert box["Left"] + box["Width"] <= 1.00001 and box["Top"] + box["Height"] <= 1.00001


def test_two_people_are_people(client: Any, group: bytes) -> None:
    labels = _labels(client, group)
    assert len(labels["Person"]["Instances"]) == 2
    assert labels["People"]["Instances"] == [] and labels["People"]["Parents"] == [{"Name": "Person"}]


def test_min_confidence_is_55_unless_given_and_max_labels_cuts_the_tail(client: Any, collins: bytes) -> None:
    labels = list(_labels(client, collins).values())
    assert labels == list(_labels(client, collins, MinConfidence=55).values())
    more = _labels(client, collins, MinConfidence=20).values()
    assert len(more) > len(labels)
    assert [one["Name"] for one in labels] == [one["Name"] for one in more if one["Confidence"] >= 55]
    for most in (0, 1, 3, 1000):
        assert list(_labels(client, collins, MaxLabels=most).values()) == labels[:most]


def test_inclusion_and_exclusion_by_name_and_category(client: Any, collins: bytes) -> None:
    every = _labels(client, collins)
    people = {name for name, label in every.items() if label["Categories"] == [{"Name": PEOPLE}]}
    assert (people and people < every.keys()) or people == every.keys()
    kept = {
        "LabelInclusionFilters": (["Woman", "Person"], {"Woman", "Person"}),
        "LabelExclusionFilters": (["Woman"], every.keys() - {"Woman"}),
        "LabelCategoryInclusionFilters": ([PEOPLE], people),
        "LabelCategoryExclusionFilters": ([PEOPLE], every.keys() - people),
    }
    for name, (values, names) in kept.items():
        left = _filtered(client, collins, **{name: values})
        assert left.keys() == names and all(left[one] == every[one] for one in left), name
    both = _filtered(client, collins, LabelInclusionFilters=["Woman", "Face"], LabelExclusionFilters=["Face"])
    assert both == {"Woman": every["Woman"]}, "its parents stay although they are filtered out"
    assert _filtered(client, collins, LabelInclusionFilters=["woman", "Human", "No such label"]) == {}
    first = _labels(client, collins, MaxLabels=1, Settings={"GeneralLabels": {"LabelInclusionFilters": ["Woman"]}})
    assert first.keys() == {"Woman"}, "filters come before the cut"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("LabelInclusionFilters", ["x"] * 101),
        ("LabelExclusionFilters", ["x" * 51]),
        ("LabelCategoryInclusionFilters", ["x"] * 101),
        ("LabelCategoryExclusionFilters", ["x" * 51]),
    ],
)
def test_filters_beyond_the_models_limits_are_refused(client: Any, collins: bytes, name: str, values: Any) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        _filtered(client, collins, **{name: values})


def test_properties_of_the_picture_its_foreground_and_its_background(client: Any, collins: bytes) -> None:
    answer = _detect(client, collins, Features=BOTH)
    properties = answer["ImageProperties"]
    assert properties["Quality"].keys() == {"Brightness", "Sharpness", "Contrast"}
    for part in ("Foreground", "Background"):
        assert properties[part]["Quality"].keys() == {"Brightness", "Sharpness"}
    for region in (properties, properties["Foreground"], properties["Background"]):
        assert all(0 < value <= 100 for value in region["Quality"].values())
        shares = [color["PixelPercent"] for color in region["DominantColors"]]
        assert shares and shares == sorted(shares, reverse=True) and min(shares) >= 10 and sum(shares) <= 100
        for color in region["DominantColors"]:
            assert color["HexCode"] == "#{Red:02x}{Green:02x}{Blue:02x}".format(**color)
            assert color["CSSColor"].islower() and color["SimplifiedColor"].islower()
    labels = {label["Name"]: label for label in answer["Labels"]}
    assert (
        labels["Person"]["Instances"][0]["DominantColors"] and labels["Woman"]["Instances"][0]["DominantColors"] == []
    )
    plain = _labels(client, collins)
    assert all("DominantColors" not in instance for label in plain.values() for instance in label["Instances"])
    assert "ImageProperties" not in _detect(client, collins, Features=["GENERAL_LABELS"])


def test_properties_alone_have_no_labels(client: Any, collins: bytes) -> None:
    answer = _detect(client, collins, Features=["IMAGE_PROPERTIES"], MinConfidence=99, MaxLabels=1)
    assert answer["Labels"] == []
    assert answer["ImageProperties"] == _detect(client, collins, Features=BOTH)["ImageProperties"]


@pytest.mark.parametrize("most", [0, 1, 2, 20])
def test_max_dominant_colors_caps_each_list(client: Any, collins: bytes, most: int) -> None:
    settings = {"ImageProperties": {"MaxDominantColors": most}}
    capped, every = (
        _detect(client, collins, Features=BOTH, **more)["ImageProperties"] for more in ({"Settings": settings}, {})
    )
    for part in ("Foreground", "Background"):
        assert capped[part]["DominantColors"] == every[part]["DominantColors"][:most]
    assert capped["DominantColors"] == every["DominantColors"][:most]


def test_a_plain_picture_has_one_color_and_no_foreground(client: Any, as_jpeg: Callable[..., bytes]) -> None:
    answer = _detect(client, as_jpeg(Image.new("RGB", (300, 200), "crimson")), Features=["IMAGE_PROPERTIES"])
    properties = answer["ImageProperties"]
    (color,) = properties["DominantColors"]
    assert color == {
        "Red": 220, "Green": 20, "Blue": 60, "HexCode": "#dc143c", "CSSColor": "crimson", "SimplifiedColor": "red",
        "PixelPercent": 100.0,
    }  # fmt: skip
    assert properties["Quality"]["Contrast"] < 1
    assert properties.keys() == {"Quality", "DominantColors"}


def test_a_mirrored_portrait_has_mirrored_boxes(client: Any, collins: bytes, as_jpeg: Callable[..., bytes]) -> None:
    turned = as_jpeg(Image.open(io.BytesIO(collins)).transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    box, mirrored = (_labels(client, picture)["Person"]["Instances"][0]["BoundingBox"] for picture in (collins, turned))
    assert mirrored["Left"] == pytest.approx(1 - box["Left"] - box["Width"], abs=0.06)
    assert mirrored["Top"] == pytest.approx(box["Top"], abs=0.06)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_decent_picture_is_refused(client: Any, name: str) -> None:
    with pytest.raises(ClientError) as refused:
        client.detect_labels(Image={"Bytes": hostile_pictures.REFUSED[name]()}, Features=BOTH)
    assert refused.value.response["Error"]["Code"] in REFUSALS


@pytest.mark.parametrize("name", ODD)
def test_what_is_only_odd_is_answered(client: Any, name: str) -> None:
    answer = _detect(client, hostile_pictures.ACCEPTED[name](), Features=BOTH, MinConfidence=0)
    assert answer["Labels"] and answer["ImageProperties"]["Quality"]
