"""Every operation on images: what is asked with a picture, and what of the model server."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from benchmarks.endpoint import Endpoint
from inference.pipelines.request import (
    FacesRequest,
    LabelsRequest,
    ModerationRequest,
    PictureRequest,
    ProtectiveEquipmentRequest,
    TextRequest,
)

SEARCHED, FILLED = "openrek-bench-searched", "openrek-bench-filled"
"""Collections: with the faces and the user that are searched for, and the one that is indexed into."""
USER = "openrek-bench-user"
CELEBRITIES_AT_ONCE = 64
DEFAULT, ALL = ("default",), ("all", "default")


@dataclass(frozen=True)
class ImageOperation:
    """`asks`: what the model server is asked about each picture of a request. `pictures`: the members of the request
    that these are. `faces`: the pictures must have some."""

    name: str
    asks: tuple[PictureRequest, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    pictures: tuple[str, ...] = ("Image",)
    faces: bool = False

    def content(self, pictures: Sequence[bytes]) -> dict[str, Any]:
        """A request about so many pictures."""
        images = {
            member: {"Bytes": base64.b64encode(picture).decode()}
            for member, picture in zip(self.pictures, pictures, strict=True)
        }
        return {**images, **self.parameters}


OPERATIONS: Mapping[str, ImageOperation] = {
    "DetectFaces": ImageOperation("DetectFaces", (FacesRequest(attributes=DEFAULT),)),
    "DetectFaces ALL": ImageOperation(
        "DetectFaces", (FacesRequest(attributes=ALL),), parameters={"Attributes": ["ALL"]}
    ),
    "DetectLabels": ImageOperation("DetectLabels", (LabelsRequest(),)),
    "DetectLabels IMAGE_PROPERTIES": ImageOperation(
        "DetectLabels",
        (LabelsRequest(labels=False, properties=True),),
        parameters={"Features": ["IMAGE_PROPERTIES"]},
    ),
    "DetectModerationLabels": ImageOperation("DetectModerationLabels", (ModerationRequest(),)),
    "DetectText": ImageOperation("DetectText", (TextRequest(),)),
    "DetectProtectiveEquipment": ImageOperation("DetectProtectiveEquipment", (ProtectiveEquipmentRequest(),)),
    "CompareFaces": ImageOperation(
        "CompareFaces",
        tuple(FacesRequest(embed=which, attributes=DEFAULT) for which in ("largest", "all")),
        pictures=("SourceImage", "TargetImage"),
        faces=True,
    ),
    "RecognizeCelebrities": ImageOperation(
        "RecognizeCelebrities",
        (FacesRequest(embed="all", max_faces=CELEBRITIES_AT_ONCE, attributes=("default", "emotions", "smile")),),
    ),
    "IndexFaces": ImageOperation(
        "IndexFaces",
        (FacesRequest(embed="all", quality="auto", attributes=DEFAULT),),
        parameters={"CollectionId": FILLED},
    ),
    "SearchFacesByImage": ImageOperation(
        "SearchFacesByImage",
        (FacesRequest(embed="largest"),),
        parameters={"CollectionId": SEARCHED},
        faces=True,
    ),
    "SearchUsersByImage": ImageOperation(
        "SearchUsersByImage",
        (FacesRequest(embed="largest", attributes=DEFAULT),),
        parameters={"CollectionId": SEARCHED},
        faces=True,
    ),
}
"""Name in a definition -> the operation."""


@contextmanager
def collections(place: Endpoint, portraits: Sequence[bytes]) -> Iterator[None]:
    """The two collections, for as long as the block runs; the faces of the portraits are those of a user.

    An endpoint that refuses this refuses the operations that need it too, which is what their rows then say.
    """
    client = place.client(retries={"total_max_attempts": 1})
    _remove(client)
    with suppress(ClientError, BotoCoreError):
        for name in (SEARCHED, FILLED):
            client.create_collection(CollectionId=name)
        indexed = [client.index_faces(CollectionId=SEARCHED, Image={"Bytes": one}) for one in portraits]
        ids = [record["Face"]["FaceId"] for answer in indexed for record in answer["FaceRecords"]]
        client.create_user(CollectionId=SEARCHED, UserId=USER)
        client.associate_faces(CollectionId=SEARCHED, UserId=USER, FaceIds=ids)
    try:
        yield
    finally:
        _remove(client)


def _remove(client: Any) -> None:
    for name in (SEARCHED, FILLED):
        with suppress(ClientError, BotoCoreError):
            client.delete_collection(CollectionId=name)
