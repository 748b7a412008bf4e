"""Attributes of faces on real portraits, and on copies that are mirrored, turned, shrunk and cut off."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageOps

from api import validation

BOOLEANS = (
    "Smile", "Eyeglasses", "Sunglasses", "Beard", "Mustache", "EyesOpen", "MouthOpen", "FaceOccluded",
)  # fmt: skip
DEFAULT = {"BoundingBox", "Landmarks", "Pose", "Quality", "Confidence"}
FIVE = ["eyeLeft", "eyeRight", "mouthLeft", "mouthRight", "nose"]
ATTRIBUTES = {
    "AGE_RANGE": {"AgeRange"}, "EMOTIONS": {"Emotions"}, "GENDER": {"Gender"}, "SMILE": {"Smile"},
    "EYEGLASSES": {"Eyeglasses"}, "MUSTACHE": {"Mustache"}, "EYES_OPEN": {"EyesOpen"}, "MOUTH_OPEN": {"MouthOpen"},
    "BEARD": {"Beard"}, "SUNGLASSES": {"Sunglasses"}, "FACE_OCCLUDED": {"FaceOccluded"},
    "EYE_DIRECTION": {"EyeDirection"}, "DEFAULT": set(),
}  # fmt: skip
"""What each adds to the default members."""


def _faces(client: Any, picture: bytes, *attributes: str) -> list[dict[str, Any]]:
    answer = client.detect_faces(Image={"Bytes": picture}, Attributes=list(attributes))
    assert validation.check_output("DetectFaces", {"FaceDetails": answer["FaceDetails"]}) == []
    faces: list[dict[str, Any]] = answer["FaceDetails"]
    return faces


def _points(face: dict[str, Any]) -> dict[str, tuple[float, float]]:
    return {point["Type"]: (point["X"], point["Y"]) for point in face["Landmarks"]}


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_a_named_attribute_comes_alone_with_the_default_members(client: Any, collins: bytes, attribute: str) -> None:
    (face,) = _faces(client, collins, attribute)
    assert set(face) == DEFAULT | ATTRIBUTES[attribute]
    assert [point["Type"] for point in face["Landmarks"]] == FIVE


def test_all_attributes_of_a_smiling_woman(client: Any, collins: bytes) -> None:
    (face,) = _faces(client, collins, "ALL", "DEFAULT")
    assert set(face) == DEFAULT | {"AgeRange", "Gender", "Emotions", "EyeDirection", *BOOLEANS}
    values = {name: face[name]["Value"] for name in BOOLEANS}
    assert {name for name, value in values.items() if value} == {"Smile", "EyesOpen", "MouthOpen"}
    assert all(50 <= face[name]["Confidence"] <= 99 for name in (*BOOLEANS, "Gender"))
    assert face["Gender"]["Value"] == "Female"
    # the portrait is of 1998, she was 41
    assert face["AgeRange"]["Low"] <= 41 <= face["AgeRange"]["High"]
    confidences = [emotion["Confidence"] for emotion in face["Emotions"]]
    assert face["Emotions"][0]["Type"] == "HAPPY" and confidences == sorted(confidences, reverse=True)
    assert 95 < sum(confidences) <= 100
    # she looks into the camera
    assert abs(face["EyeDirection"]["Yaw"]) < 12 and abs(face["EyeDirection"]["Pitch"]) < 8
    assert 50 <= face["EyeDirection"]["Confidence"] <= 99


def test_eyeglasses_are_seen(client: Any, hopper: bytes) -> None:
    (face,) = _faces(client, hopper, "EYEGLASSES", "SMILE", "MOUTH_OPEN", "EYES_OPEN")
    values = {name: face[name]["Value"] for name in ("Eyeglasses", "Smile", "MouthOpen", "EyesOpen")}
    assert values == {"Eyeglasses": True, "Smile": False, "MouthOpen": False, "EyesOpen": True}


def _painted(face: dict[str, Any], data: bytes, corners: tuple[str, str], colour: tuple[int, int, int]) -> Image.Image:
    """The picture with a rectangle over the face, from the first landmark's left and top to the other's."""
    picture, points = _open(data), _points(face)
    eyes = points["eyeRight"][0] - points["eyeLeft"][0]
    (left, top), (right, bottom) = (points[kind] for kind in corners)
    reach = 0.25 * eyes
    box = [(left - reach) * picture.width, top * picture.height, (right + reach) * picture.width]
    ImageDraw.Draw(picture).rectangle((*box, (bottom + reach) * picture.height), fill=colour)
    return picture


def test_dark_lenses_and_a_covered_mouth_are_seen(client: Any, collins: bytes, as_jpeg: Callable[..., bytes]) -> None:
    (face,) = _faces(client, collins, "ALL")
    (dark,) = _faces(
        client, as_jpeg(_painted(face, collins, ("leftEyeUp", "rightEyeDown"), (25, 25, 25))), "SUNGLASSES"
    )
    assert dark["Sunglasses"]["Value"] is True
    (masked,) = _faces(
        client, as_jpeg(_painted(face, collins, ("noseLeft", "midJawlineRight"), (120, 170, 210))), "FACE_OCCLUDED"
    )
    assert masked["FaceOccluded"]["Value"] is True


def test_eyes_look_the_other_way_in_the_mirror(
    client: Any, collins: bytes, hopper: bytes, as_jpeg: Callable[..., bytes]
) -> None:
    for portrait in (collins, hopper):
        (face,), (mirrored,) = (
            _faces(client, picture, "EYE_DIRECTION")
            for picture in (portrait, as_jpeg(ImageOps.mirror(_open(portrait))))
        )
        assert mirrored["EyeDirection"]["Yaw"] == pytest.approx(-face["EyeDirection"]["Yaw"], abs=8)
        assert mirrored["EyeDirection"]["Pitch"] == pytest.approx(face["EyeDirection"]["Pitch"], abs=6)


def test_thirty_landmarks_lie_on_the_face_in_their_order(client: Any, collins: bytes) -> None:
    (face,), (plain,) = _faces(client, collins, "ALL"), _faces(client, collins)
    points = _points(face)
    assert len(points) == 30 and list(points)[:5] == FIVE
    assert _points(plain) == {kind: points[kind] for kind in FIVE}
    assert points["leftPupil"] == points["eyeLeft"] and points["rightPupil"] == points["eyeRight"]
    rising_x = ["leftEyeBrowLeft", "leftEyeBrowUp", "leftEyeBrowRight", "rightEyeBrowLeft", "rightEyeBrowUp"]
    across = ["upperJawlineLeft", "leftEyeLeft", "leftPupil", "leftEyeRight", "rightEyeLeft", "rightPupil"]
    for row in (rising_x, [*across, "rightEyeRight", "upperJawlineRight"], ["noseLeft", "nose", "noseRight"]):
        xs = [points[kind][0] for kind in row]
        assert xs == sorted(xs)
    down = ["leftEyeBrowUp", "leftEyeUp", "leftPupil", "leftEyeDown", "nose", "mouthUp", "mouthDown", "chinBottom"]
    ys = [points[kind][1] for kind in down]
    assert ys == sorted(ys)


def test_a_mirrored_picture_has_mirrored_landmarks_and_pose(
    client: Any, collins: bytes, as_jpeg: Callable[..., bytes]
) -> None:
    (face,) = _faces(client, collins, "ALL")
    (mirrored,) = _faces(client, as_jpeg(ImageOps.mirror(_open(collins))), "ALL")
    points, back = _points(face), _points(mirrored)
    eyes = points["eyeRight"][0] - points["eyeLeft"][0]
    for kind, (x, y) in points.items():
        other = kind.translate(str.maketrans({})).replace("Left", "@").replace("Right", "Left").replace("@", "Right")
        other = {"leftPupil": "rightPupil", "rightPupil": "leftPupil"}.get(kind, other)
        if kind.startswith(("leftEye", "rightEye")):
            side, rest = ("right", kind[4:]) if kind.startswith("left") else ("left", kind[5:])
            other = side + rest.replace("Left", "@").replace("Right", "Left").replace("@", "Right")
        assert (1 - back[other][0], back[other][1]) == pytest.approx((x, y), abs=0.12 * eyes), kind
    for angle, sign in (("Roll", -1), ("Yaw", -1), ("Pitch", 1)):
        assert mirrored["Pose"][angle] == pytest.approx(sign * face["Pose"][angle], abs=4)


@pytest.mark.parametrize("degrees", [-90, -60, -40, -15, 15, 40, 60, 90])
def test_landmarks_and_roll_turn_with_the_picture(
    client: Any, collins: bytes, as_jpeg: Callable[..., bytes], degrees: int
) -> None:
    (face,) = _faces(client, collins, "ALL")
    (turned,) = _faces(client, as_jpeg(_open(collins).rotate(-degrees, Image.Resampling.BICUBIC)), "ALL")
    assert turned["Pose"]["Roll"] == pytest.approx(face["Pose"]["Roll"] + degrees, abs=4)
    straight, points = _points(face), _points(turned)
    eyes = straight["eyeRight"][0] - straight["eyeLeft"][0]
    turn = complex(0.5, 0.5), (1j ** (degrees / 90))
    for kind, (x, y) in straight.items():
        expected = turn[0] + (complex(x, y) - turn[0]) * turn[1]
        assert abs(complex(*points[kind]) - expected) < 0.16 * eyes, kind


def test_shrinking_moves_no_landmark_and_cutting_keeps_the_answer_valid(
    client: Any, collins: bytes, as_jpeg: Callable[..., bytes]
) -> None:
    (face,) = _faces(client, collins, "ALL")
    points = _points(face)
    eyes = points["eyeRight"][0] - points["eyeLeft"][0]
    (small,) = _faces(client, as_jpeg(_open(collins).resize((160, 160), Image.Resampling.LANCZOS)), "ALL")
    for kind, (x, y) in _points(small).items():
        assert points[kind] == pytest.approx((x, y), abs=0.12 * eyes), kind
    left = round(512 * (points["nose"][0] - 0.4 * eyes))
    for cut in _faces(client, as_jpeg(_open(collins).crop((left, 0, 512, 512))), "ALL"):
        assert len(cut["Landmarks"]) == 30


def test_indexed_faces_carry_what_was_asked_for_and_searches_do_not(
    client: Any, collection: str, collins: bytes
) -> None:
    answer = client.index_faces(CollectionId=collection, Image={"Bytes": collins}, DetectionAttributes=["ALL"])
    ((record),) = answer["FaceRecords"]
    (face,) = _faces(client, collins, "ALL")
    assert record["FaceDetail"] == face
    again = client.index_faces(CollectionId=collection, Image={"Bytes": collins})["FaceRecords"][0]["FaceDetail"]
    assert set(again) == DEFAULT


def test_every_face_of_a_group_has_its_own_attributes(client: Any, group: bytes) -> None:
    first, second = _faces(client, group, "ALL")
    assert (first["Eyeglasses"]["Value"], second["Eyeglasses"]["Value"]) == (True, False)
    assert (first["Smile"]["Value"], second["Smile"]["Value"]) == (False, True)
