"""Faces of the parts below as members of answers."""

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

from inference.types import Attributes, Face, Quality

LANDMARK_TYPES = {
    "eye_left": "eyeLeft",
    "eye_right": "eyeRight",
    "mouth_left": "mouthLeft",
    "mouth_right": "mouthRight",
    "nose": "nose",
    "left_eyebrow_left": "leftEyeBrowLeft",
    "left_eyebrow_right": "leftEyeBrowRight",
    "left_eyebrow_up": "leftEyeBrowUp",
    "right_eyebrow_left": "rightEyeBrowLeft",
    "right_eyebrow_right": "rightEyeBrowRight",
    "right_eyebrow_up": "rightEyeBrowUp",
    "left_eye_left": "leftEyeLeft",
    "left_eye_right": "leftEyeRight",
    "left_eye_up": "leftEyeUp",
    "left_eye_down": "leftEyeDown",
    "right_eye_left": "rightEyeLeft",
    "right_eye_right": "rightEyeRight",
    "right_eye_up": "rightEyeUp",
    "right_eye_down": "rightEyeDown",
    "nose_left": "noseLeft",
    "nose_right": "noseRight",
    "mouth_up": "mouthUp",
    "mouth_down": "mouthDown",
    "left_pupil": "leftPupil",
    "right_pupil": "rightPupil",
    "upper_jawline_left": "upperJawlineLeft",
    "mid_jawline_left": "midJawlineLeft",
    "chin_bottom": "chinBottom",
    "mid_jawline_right": "midJawlineRight",
    "upper_jawline_right": "upperJawlineRight",
}

YES_OR_NO = {
    "smile": "Smile",
    "eyeglasses": "Eyeglasses",
    "sunglasses": "Sunglasses",
    "beard": "Beard",
    "mustache": "Mustache",
    "eyes_open": "EyesOpen",
    "mouth_open": "MouthOpen",
    "face_occluded": "FaceOccluded",
}


class Rectangle(Protocol):
    """Ratios of the upright image's width and height."""

    @property
    def left(self) -> float: ...
    @property
    def top(self) -> float: ...
    @property
    def width(self) -> float: ...
    @property
    def height(self) -> float: ...


class Known(Protocol):
    """A face of a collection."""

    @property
    def face_id(self) -> UUID: ...
    @property
    def image_id(self) -> UUID: ...
    @property
    def external_image_id(self) -> str | None: ...
    @property
    def box(self) -> Rectangle: ...
    @property
    def confidence(self) -> float: ...
    @property
    def user_id(self) -> str | None: ...
    @property
    def face_model_version(self) -> str: ...


def bounding_box(box: Rectangle) -> dict[str, float]:
    return {"Width": box.width, "Height": box.height, "Left": box.left, "Top": box.top}


def asked_attributes(names: Sequence[str] | None) -> tuple[str, ...]:
    """The attributes of a request as the model server names them. DEFAULT is always among them."""
    return tuple(sorted({"default", *(name.lower() for name in names or ())}))


def face_detail(face: Face) -> dict[str, Any]:
    """An analysed face: the members that each has (the DEFAULT attributes), and the attributes that were measured."""
    return {
        "BoundingBox": bounding_box(face.box),
        "Landmarks": [{"Type": LANDMARK_TYPES[point.kind], "X": point.x, "Y": point.y} for point in face.landmarks],
        "Pose": {"Roll": face.pose.roll, "Yaw": face.pose.yaw, "Pitch": face.pose.pitch},
        "Quality": _image_quality(face.quality),
        "Confidence": face.confidence,
        **_attributes(face.attributes),
    }


def stored_face(face: Known) -> dict[str, Any]:
    """A `Face` as listings and searches give it."""
    optional = {"ExternalImageId": face.external_image_id, "UserId": face.user_id}
    return {
        "FaceId": str(face.face_id),
        "BoundingBox": bounding_box(face.box),
        "ImageId": str(face.image_id),
        "Confidence": face.confidence,
        "IndexFacesModelVersion": face.face_model_version,
        **{name: value for name, value in optional.items() if value is not None},
    }


def user_status(has_faces: bool) -> str:
    return "ACTIVE" if has_faces else "CREATED"


def rejection_reasons(face: Face) -> list[str]:
    return [reason.upper() for reason in face.rejected]


def percent(value: float) -> float:
    """A similarity at the precision of the real service's 32-bit floats, so that 99.99999 of identical faces is 100."""
    return round(value, 4)


def _image_quality(quality: Quality) -> dict[str, float]:
    return {"Brightness": quality.brightness, "Sharpness": quality.sharpness}


def _attributes(measured: Attributes) -> dict[str, Any]:
    members: dict[str, Any] = {}
    if measured.age_range is not None:
        members["AgeRange"] = {"Low": measured.age_range.low, "High": measured.age_range.high}
    if measured.gender is not None:
        members["Gender"] = {"Value": measured.gender.value.capitalize(), "Confidence": measured.gender.confidence}
    if measured.emotions is not None:
        members["Emotions"] = [{"Type": one.kind.upper(), "Confidence": one.confidence} for one in measured.emotions]
    for name, member in YES_OR_NO.items():
        stated = getattr(measured, name)
        if stated is not None:
            members[member] = {"Value": stated.value, "Confidence": stated.confidence}
    if measured.eye_direction is not None:
        gaze = measured.eye_direction
        members["EyeDirection"] = {"Yaw": gaze.yaw, "Pitch": gaze.pitch, "Confidence": gaze.confidence}
    return members
