"""Faces of the parts below as members of answers."""

from typing import Any, Protocol

from inference.types import Face, Quality
from storage.faces import StoredFace

LANDMARK_TYPES = {
    "eye_left": "eyeLeft",
    "eye_right": "eyeRight",
    "mouth_left": "mouthLeft",
    "mouth_right": "mouthRight",
    "nose": "nose",
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


def bounding_box(box: Rectangle) -> dict[str, float]:
    return {"Width": box.width, "Height": box.height, "Left": box.left, "Top": box.top}


def face_detail(face: Face) -> dict[str, Any]:
    """The members that every analysed face has (the DEFAULT attributes)."""
    return {
        "BoundingBox": bounding_box(face.box),
        "Landmarks": [{"Type": LANDMARK_TYPES[point.kind], "X": point.x, "Y": point.y} for point in face.landmarks],
        "Pose": {"Roll": face.pose.roll, "Yaw": face.pose.yaw, "Pitch": face.pose.pitch},
        "Quality": _image_quality(face.quality),
        "Confidence": face.confidence,
    }


def stored_face(face: StoredFace) -> dict[str, Any]:
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
