"""Every operation that is built, called on real pictures; its answer, as it came over the wire, keeps to the model.

The SDKs are lenient readers: they skip members that they do not know and turn values into what they expect.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from botocore import xform_name
from films import Films
from scenes import FILM, film, portrait, scenes
from scenes import sign as drawn_sign

from api import validation
from api.model import OPERATIONS
from api.operations import HANDLERS

JSON_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "blob": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float),
}


Request = dict[str, Any]


@dataclass(frozen=True)
class Scene:
    """A collection with three faces of two people, the first a user's, a tag, and the pictures they are from;
    a picture of text; a film of all of them, and a finished job of each kind on it, by the names of their operations
    without Start and Get."""

    client: Any
    collection: str
    arn: str
    face_ids: list[str]
    collins: dict[str, bytes]
    hopper: dict[str, bytes]
    group: dict[str, bytes]
    sign: dict[str, bytes]
    film: dict[str, Any]
    jobs: dict[str, str]

    def another_user(self) -> str:
        user_id = str(uuid4())
        self.client.create_user(CollectionId=self.collection, UserId=user_id)
        return user_id

    def another_collection(self) -> str:
        name = f"answers-{uuid4()}"
        self.client.create_collection(CollectionId=name)
        return name


@dataclass(frozen=True)
class Call:
    """A request, the members of its answer that must not be empty, since an empty list shows nothing, and the
    constraints that the answer breaks on purpose."""

    request: dict[str, Any]
    filled: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()


USER, CELEBRITY = "collins", "Answers1"
TOPIC, ROLE = "arn:aws:sns:eu-central-1:000000000000:films", "arn:aws:iam::000000000000:role/films"

# The list of ids has the shape of the request's, which is never empty; programs read it whether or not it is.
NOTHING_DELETED = "Invalid length for parameter DeletedFaces, value: 0, valid min length: 1"


BY_INDEX: list[Request] = [{}, {"SortBy": "INDEX"}]
EACH_WAY: list[Request] = [{}, {"SortBy": "NAME"}, {"AggregateBy": "SEGMENTS"}, {"SortBy": "NAME", "MaxResults": 1}]

VIDEO_JOBS: dict[str, tuple[Request, list[Request], tuple[str, ...]]] = {
    "CelebrityRecognition": ({}, [{}, {"SortBy": "ID"}], ("Celebrities", "VideoMetadata")),
    "ContentModeration": ({"MinConfidence": 0}, EACH_WAY, ("ModerationLabels", "GetRequestMetadata")),
    "FaceDetection": ({"FaceAttributes": "ALL"}, [{}], ("Faces",)),
    "FaceSearch": ({"FaceMatchThreshold": 80}, BY_INDEX, ("Persons",)),
    "LabelDetection": ({"MinConfidence": 20, "Features": ["GENERAL_LABELS"]}, EACH_WAY, ("Labels",)),
    "PersonTracking": ({}, BY_INDEX, ("Persons",)),
    "SegmentDetection": (
        {"SegmentTypes": ["TECHNICAL_CUE", "SHOT"], "Filters": {"ShotFilter": {"MinSegmentConfidence": 50}}},
        [{}],
        ("Segments", "SelectedSegmentTypes", "VideoMetadata"),
    ),
    "TextDetection": ({"Filters": {"WordFilter": {}}}, [{}], ("TextDetections", "TextModelVersion")),
}
"""What is asked beside the video and a collection, the ways of reading the results, and what they have."""


def _starting(job: str, scene: Scene) -> list[Call]:
    channel = {"SNSTopicArn": TOPIC, "RoleArn": ROLE}
    request = _asked(job, scene)
    return [Call(request, ("JobId",)), Call(request | {"JobTag": "a", "NotificationChannel": channel}, ("JobId",))]


def _getting(job: str, scene: Scene) -> list[Call]:
    _, ways, filled = VIDEO_JOBS[job]
    return [Call({"JobId": scene.jobs[job]} | way, filled) for way in ways]


def _asked(job: str, scene: Scene) -> Request:
    more = {"CollectionId": scene.collection} if job == "FaceSearch" else {}
    return {"Video": scene.film} | VIDEO_JOBS[job][0] | more


# One entry for each operation in HANDLERS.
CALLS: dict[str, Callable[[Scene], list[Call]]] = {
    "AssociateFaces": lambda scene: [
        Call(
            {
                "CollectionId": scene.collection,
                "UserId": USER,
                "FaceIds": [_one_more_face(scene), scene.face_ids[1], str(uuid4())],
            },
            ("AssociatedFaces", "UnsuccessfulFaceAssociations"),
        ),
        Call(
            {"CollectionId": scene.collection, "UserId": scene.another_user(), "FaceIds": scene.face_ids[:1]},
            ("UnsuccessfulFaceAssociations",),
        ),
    ],
    "CompareFaces": lambda scene: [
        Call({"SourceImage": scene.collins, "TargetImage": scene.group}, ("FaceMatches", "UnmatchedFaces")),
    ],
    "CreateCollection": lambda scene: [
        Call({"CollectionId": f"answers-{uuid4()}"}),
        Call({"CollectionId": f"answers-{uuid4()}", "Tags": {"team": "door"}}),
    ],
    "CreateUser": lambda scene: [Call({"CollectionId": scene.collection, "UserId": str(uuid4())})],
    "DeleteCollection": lambda scene: [Call({"CollectionId": scene.another_collection()})],
    "DeleteFaces": lambda scene: [
        Call(
            {"CollectionId": scene.collection, "FaceIds": [str(uuid4())]},
            ("UnsuccessfulFaceDeletions",),
            (NOTHING_DELETED,),
        ),
        Call({"CollectionId": scene.collection, "FaceIds": [_one_more_face(scene)]}, ("DeletedFaces",)),
    ],
    "DeleteUser": lambda scene: [Call({"CollectionId": scene.collection, "UserId": scene.another_user()})],
    "DescribeCollection": lambda scene: [Call({"CollectionId": scene.collection}, ("FaceCount", "UserCount"))],
    "DetectFaces": lambda scene: [
        Call({"Image": scene.group}, ("FaceDetails",)),
        Call({"Image": scene.group, "Attributes": ["ALL"]}, ("FaceDetails",)),
    ],
    "DetectLabels": lambda scene: [
        Call({"Image": scene.group, "MinConfidence": 10}, ("Labels",)),
        Call({"Image": scene.group, "Features": ["GENERAL_LABELS", "IMAGE_PROPERTIES"]}, ("Labels", "ImageProperties")),
    ],
    "DetectModerationLabels": lambda scene: [
        Call({"Image": scene.group, "MinConfidence": 0}, ("ModerationLabels", "ContentTypes")),
    ],
    "DetectText": lambda scene: [
        Call({"Image": scene.sign}, ("TextDetections", "TextModelVersion")),
        Call({"Image": scene.sign, "Filters": {"WordFilter": {"MinBoundingBoxHeight": 0.9}}}),
    ],
    "DetectProtectiveEquipment": lambda scene: [
        Call({"Image": scene.group}, ("ProtectiveEquipmentModelVersion", "Persons")),
        Call(
            {
                "Image": scene.group,
                "SummarizationAttributes": {"MinConfidence": 50, "RequiredEquipmentTypes": ["HEAD_COVER"]},
            },
            ("Persons", "Summary"),
        ),
    ],
    "DisassociateFaces": lambda scene: [
        Call(
            {"CollectionId": scene.collection, "UserId": USER, "FaceIds": [_one_more_face(scene, USER), str(uuid4())]},
            ("DisassociatedFaces", "UnsuccessfulFaceDisassociations"),
        ),
        Call(
            {"CollectionId": scene.collection, "UserId": scene.another_user(), "FaceIds": scene.face_ids[:1]},
            ("UnsuccessfulFaceDisassociations",),
        ),
    ],
    "GetCelebrityInfo": lambda scene: [Call({"Id": CELEBRITY}, ("Name", "Urls", "KnownGender"))],
    "IndexFaces": lambda scene: [
        Call(
            {"CollectionId": scene.collection, "Image": scene.group, "ExternalImageId": "x", "MaxFaces": 1},
            ("FaceRecords", "UnindexedFaces"),
        ),
        Call(
            {"CollectionId": scene.collection, "Image": scene.hopper, "DetectionAttributes": ["ALL"]},
            ("FaceRecords",),
        ),
    ],
    "ListCollections": lambda scene: [
        Call({}, ("CollectionIds", "FaceModelVersions")),
        Call({"MaxResults": 1}, ("CollectionIds", "NextToken")),
    ],
    "ListFaces": lambda scene: [
        Call({"CollectionId": scene.collection}, ("Faces",)),
        Call({"CollectionId": scene.collection, "MaxResults": 1}, ("Faces", "NextToken")),
        Call({"CollectionId": scene.collection, "UserId": USER}, ("Faces",)),
    ],
    "ListTagsForResource": lambda scene: [Call({"ResourceArn": scene.arn}, ("Tags",))],
    "ListUsers": lambda scene: [
        Call({"CollectionId": scene.collection}, ("Users",)),
        Call({"CollectionId": scene.collection, "MaxResults": 1}, ("Users", "NextToken")),
    ],
    "RecognizeCelebrities": lambda scene: [
        Call({"Image": scene.group}, ("CelebrityFaces", "UnrecognizedFaces")),
    ],
    "SearchFaces": lambda scene: [
        Call(
            {"CollectionId": scene.collection, "FaceId": scene.face_ids[0], "FaceMatchThreshold": 0}, ("FaceMatches",)
        ),
    ],
    "SearchFacesByImage": lambda scene: [
        Call({"CollectionId": scene.collection, "Image": scene.group, "FaceMatchThreshold": 0}, ("FaceMatches",)),
    ],
    "SearchUsers": lambda scene: [
        Call({"CollectionId": scene.collection, "FaceId": scene.face_ids[0]}, ("UserMatches", "SearchedFace")),
        Call({"CollectionId": scene.collection, "UserId": scene.another_user()}, ("SearchedUser",)),
    ],
    "SearchUsersByImage": lambda scene: [
        Call(
            {"CollectionId": scene.collection, "Image": scene.group, "UserMatchThreshold": 0},
            ("UserMatches", "SearchedFace", "UnsearchedFaces"),
        ),
    ],
    **{f"Start{job}": partial(_starting, job) for job in VIDEO_JOBS},
    **{f"Get{job}": partial(_getting, job) for job in VIDEO_JOBS},
    "TagResource": lambda scene: [Call({"ResourceArn": scene.arn, "Tags": {"floor": "2"}})],
    "UntagResource": lambda scene: [Call({"ResourceArn": scene.arn, "TagKeys": ["floor"]})],
}


def _one_more_face(scene: Scene, user_id: str | None = None) -> str:
    indexed = scene.client.index_faces(
        CollectionId=scene.collection, Image=scene.hopper, ExternalImageId=f"{uuid4()}", QualityFilter="NONE"
    )
    face_id: str = indexed["FaceRecords"][0]["Face"]["FaceId"]
    if user_id is not None:
        scene.client.associate_faces(
            CollectionId=scene.collection, UserId=user_id, FaceIds=[face_id], UserMatchThreshold=0
        )
    return face_id


@pytest.fixture(scope="module")
def scene(
    stack: Any,
    client: Any,
    collins: bytes,
    hopper: bytes,
    group: bytes,
    sign: bytes,
    films: Films,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    people, gallery = tmp_path_factory.mktemp("people"), ("--region", stack.region)
    (people / "collins.jpg").write_bytes(collins)
    row = f"{CELEBRITY},Eileen Collins,female,www.example.org/collins,collins.jpg"
    (people / "celebrities.csv").write_text(f"id,name,gender,urls,photographs\n{row}\n")
    stack.openrek("celebrities", "import", str(people), *gallery)
    name = f"answers-{uuid4()}"
    client.create_collection(CollectionId=name, Tags={"team": "door"})
    pictures = {"a": collins, "b": collins, "c": hopper}
    indexed = [
        client.index_faces(CollectionId=name, Image={"Bytes": data}, ExternalImageId=external)
        for external, data in pictures.items()
    ]
    face_ids = [answer["FaceRecords"][0]["Face"]["FaceId"] for answer in indexed]
    for user_id in (USER, "another"):
        client.create_user(CollectionId=name, UserId=user_id)
    client.associate_faces(CollectionId=name, UserId=USER, FaceIds=face_ids[:1])
    pictures_of_film = scenes((portrait(collins), 6), (drawn_sign("NORTH GATE"), 10), (portrait(hopper), 4))
    films.add("answers.mp4", film(pictures_of_film, replace(FILM, sound=True)))
    made = Scene(
        client,
        name,
        client.describe_collection(CollectionId=name)["CollectionARN"],
        face_ids,
        {"Bytes": collins},
        {"Bytes": hopper},
        {"Bytes": group},
        {"Bytes": sign},
        films.video("answers.mp4"),
        {},
    )
    for job in VIDEO_JOBS:
        made.jobs[job] = films.call(f"Start{job}", **_asked(job, made))["JobId"]
    for job, job_id in made.jobs.items():
        assert films.ended(job, job_id)["JobStatus"] == "SUCCEEDED"
    yield made
    stack.openrek("celebrities", "remove", "--all", *gallery)
    for left in client.list_collections()["CollectionIds"]:
        if left.startswith("answers-"):
            client.delete_collection(CollectionId=left)


@pytest.mark.parametrize("operation", sorted(HANDLERS))
def test_answers_keep_to_the_model(scene: Scene, operation: str) -> None:
    assert operation in CALLS, f"{operation} is built, so it needs an entry in CALLS"
    for call in CALLS[operation](scene):
        answer = _answer_on_the_wire(scene.client, operation, call.request)
        assert _wrong_types(OPERATIONS[operation].output_shape, answer) == []
        assert validation.check_output(operation, answer) == list(call.broken)
        assert [name for name in call.filled if not answer.get(name)] == []


def test_what_counts_as_a_wrong_answer() -> None:
    def problems(**answer: Any) -> list[str]:
        return _wrong_types(OPERATIONS["DescribeCollection"].output_shape, answer)

    assert problems(FaceCount=3, CollectionARN="arn", CreationTimestamp=1.5) == []
    for wrong in (True, 3.0, "3", None, [3], {}):
        assert len(problems(FaceCount=wrong)) == 1, wrong
    assert len(problems(CollectionARN=None)) == len(problems(CreationTimestamp="2026-01-01T00:00:00Z")) == 1
    assert len(problems(faceCount=3)) == 1


def _answer_on_the_wire(client: Any, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """The JSON of an answer, before the SDK reads it."""
    bodies: list[bytes] = []

    def keep(response_dict: dict[str, Any], **_: Any) -> None:
        assert response_dict["headers"]["Content-Type"] == "application/x-amz-json-1.1"
        bodies.append(response_dict["body"])

    event = f"response-received.rekognition.{operation}"
    client.meta.events.register(event, keep)
    try:
        getattr(client, xform_name(operation))(**request)
    finally:
        client.meta.events.unregister(event, keep)
    (body,) = bodies
    answer: dict[str, Any] = json.loads(body)
    return answer


def _wrong_types(shape: Any, value: Any, path: str = "answer") -> list[str]:
    """Where a JSON value is not just what the shape says; `validation.check_output` lets nulls and true for 1 pass."""
    if type(value) not in JSON_TYPES[shape.type_name]:
        return [f"{path} is {value!r}, not of type {shape.type_name}"]
    if shape.type_name == "structure":
        unknown = [f"{path}.{name} is not in the model" for name in value.keys() - shape.members.keys()]
        known = ((name, item) for name, item in value.items() if name in shape.members)
        return unknown + [
            wrong for name, item in known for wrong in _wrong_types(shape.members[name], item, f"{path}.{name}")
        ]
    if shape.type_name == "list":
        return [wrong for at, item in enumerate(value) for wrong in _wrong_types(shape.member, item, f"{path}[{at}]")]
    if shape.type_name == "map":
        return [wrong for name, item in value.items() for wrong in _wrong_types(shape.value, item, f"{path}[{name!r}]")]
    return []
