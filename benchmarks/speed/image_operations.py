"""Every operation on images: what is asked with a picture, and the raw work behind the answer."""

import base64
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from benchmarks.endpoint import Endpoint
from inference.networks import Networks
from inference.pictures import Picture
from inference.pipelines.faces import find_faces
from inference.pipelines.labels import find_labels
from inference.pipelines.moderation import moderate
from inference.pipelines.protective_equipment import find_equipment
from inference.pipelines.request import FacesRequest, LabelsRequest
from inference.pipelines.text import find_text

Pipeline = Callable[[Picture, Networks], Awaitable[object]]

SEARCHED, FILLED = "openrek-bench-searched", "openrek-bench-filled"
"""Collections: with the faces and the user that are searched for, and the one that is indexed into."""
USER = "openrek-bench-user"
CELEBRITIES_AT_ONCE = 64
DEFAULT, ALL = ("default",), ("all", "default")


@dataclass(frozen=True)
class ImageOperation:
    """`work`: the pipelines that the pictures of a request go through, one for each picture. `pictures`: the members of
    the request that these are. `faces`: the pictures must have some."""

    name: str
    work: tuple[Pipeline, ...]
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


def _faces(request: FacesRequest) -> Pipeline:
    return lambda picture, loaded: find_faces(picture, request, loaded.faces)


def _labels(request: LabelsRequest) -> Pipeline:
    return lambda picture, loaded: find_labels(picture, request, loaded.labels)


OPERATIONS: Mapping[str, ImageOperation] = {
    "DetectFaces": ImageOperation("DetectFaces", (_faces(FacesRequest(attributes=DEFAULT)),)),
    "DetectFaces ALL": ImageOperation(
        "DetectFaces", (_faces(FacesRequest(attributes=ALL)),), parameters={"Attributes": ["ALL"]}
    ),
    "DetectLabels": ImageOperation("DetectLabels", (_labels(LabelsRequest()),)),
    "DetectLabels IMAGE_PROPERTIES": ImageOperation(
        "DetectLabels",
        (_labels(LabelsRequest(labels=False, properties=True)),),
        parameters={"Features": ["IMAGE_PROPERTIES"]},
    ),
    "DetectModerationLabels": ImageOperation(
        "DetectModerationLabels", (lambda picture, loaded: moderate(picture, loaded.moderation),)
    ),
    "DetectText": ImageOperation("DetectText", (lambda picture, loaded: find_text(picture, loaded.text),)),
    "DetectProtectiveEquipment": ImageOperation(
        "DetectProtectiveEquipment", (lambda picture, loaded: find_equipment(picture, loaded.equipment),)
    ),
    "CompareFaces": ImageOperation(
        "CompareFaces",
        tuple(_faces(FacesRequest(embed=which, attributes=DEFAULT)) for which in ("largest", "all")),
        pictures=("SourceImage", "TargetImage"),
        faces=True,
    ),
    "RecognizeCelebrities": ImageOperation(
        "RecognizeCelebrities",
        (
            _faces(
                FacesRequest(embed="all", max_faces=CELEBRITIES_AT_ONCE, attributes=("default", "emotions", "smile"))
            ),
        ),
    ),
    "IndexFaces": ImageOperation(
        "IndexFaces",
        (_faces(FacesRequest(embed="all", quality="auto", attributes=DEFAULT)),),
        parameters={"CollectionId": FILLED},
    ),
    "SearchFacesByImage": ImageOperation(
        "SearchFacesByImage",
        (_faces(FacesRequest(embed="largest")),),
        parameters={"CollectionId": SEARCHED},
        faces=True,
    ),
    "SearchUsersByImage": ImageOperation(
        "SearchUsersByImage",
        (_faces(FacesRequest(embed="largest", attributes=DEFAULT)),),
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
