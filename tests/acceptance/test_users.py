"""Users of a collection through boto3, on real photographs."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from PIL import Image, ImageFilter, ImageOps

NOBODY = str(uuid4())


def _index(client: Any, collection: str, data: bytes, **options: Any) -> list[str]:
    answer = client.index_faces(CollectionId=collection, Image={"Bytes": data}, **options)
    return [record["Face"]["FaceId"] for record in answer["FaceRecords"]]


def _create(client: Any, collection: str, *user_ids: str) -> None:
    for user_id in user_ids:
        assert _members(client.create_user(CollectionId=collection, UserId=user_id)) == {}


def _associate(client: Any, collection: str, user_id: str, *face_ids: str, **options: Any) -> dict[str, Any]:
    return _members(client.associate_faces(CollectionId=collection, UserId=user_id, FaceIds=list(face_ids), **options))


def _members(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def _statuses(client: Any, collection: str) -> dict[str, str]:
    return {user["UserId"]: user["UserStatus"] for user in client.list_users(CollectionId=collection)["Users"]}


def _found(answer: dict[str, Any]) -> list[str]:
    return [match["User"]["UserId"] for match in answer["UserMatches"]]


@pytest.fixture(scope="session")
def changed(collins: bytes, as_jpeg: Callable[..., bytes]) -> bytes:
    """Collins mirrored, smaller and blurred."""
    return as_jpeg(
        ImageOps.mirror(Image.open(io.BytesIO(collins)).resize((300, 300))).filter(ImageFilter.GaussianBlur(1))
    )


def test_from_creation_to_deletion(client: Any, collection: str, collins: bytes, hopper: bytes, changed: bytes) -> None:
    ids = [_index(client, collection, collins, ExternalImageId=name)[0] for name in ("a", "b")]
    other = _index(client, collection, hopper)[0]
    _create(client, collection, "collins", "hopper", "nobody")
    assert _statuses(client, collection) == dict.fromkeys(("collins", "hopper", "nobody"), "CREATED")
    assert client.describe_collection(CollectionId=collection)["UserCount"] == 3

    assert _associate(client, collection, "collins", *ids) == {
        "AssociatedFaces": [{"FaceId": face_id} for face_id in ids],
        "UnsuccessfulFaceAssociations": [],
        "UserStatus": "UPDATING",
    }
    _associate(client, collection, "hopper", other)
    assert _statuses(client, collection) == {"collins": "ACTIVE", "hopper": "ACTIVE", "nobody": "CREATED"}
    of_collins = client.list_faces(CollectionId=collection, UserId="collins")["Faces"]
    assert [(face["FaceId"], face["UserId"]) for face in of_collins] == [(face_id, "collins") for face_id in ids]

    answer = client.search_users_by_image(CollectionId=collection, Image={"Bytes": changed})
    (match,) = answer["UserMatches"]
    assert match["User"] == {"UserId": "collins", "UserStatus": "ACTIVE"} and match["Similarity"] > 99
    assert answer["SearchedFace"]["FaceDetail"]["Confidence"] > 99 and answer["UnsearchedFaces"] == []
    matched = client.search_faces(CollectionId=collection, FaceId=ids[0])["FaceMatches"]
    assert [face["Face"].get("UserId") for face in matched] == ["collins"]

    refused = client.delete_faces(CollectionId=collection, FaceIds=[ids[0]])["UnsuccessfulFaceDeletions"]
    assert refused == [{"FaceId": ids[0], "UserId": "collins", "Reasons": ["ASSOCIATED_TO_AN_EXISTING_USER"]}]
    left = client.disassociate_faces(CollectionId=collection, UserId="collins", FaceIds=[ids[0]])
    assert _members(left) == {
        "DisassociatedFaces": [{"FaceId": ids[0]}],
        "UnsuccessfulFaceDisassociations": [],
        "UserStatus": "UPDATING",
    }
    assert client.delete_faces(CollectionId=collection, FaceIds=[ids[0]])["DeletedFaces"] == [ids[0]]
    client.disassociate_faces(CollectionId=collection, UserId="collins", FaceIds=[ids[1]])
    assert _statuses(client, collection)["collins"] == "CREATED"
    assert _found(client.search_users_by_image(CollectionId=collection, Image={"Bytes": changed})) == []

    _associate(client, collection, "collins", ids[1])
    assert _members(client.delete_user(CollectionId=collection, UserId="collins")) == {}
    assert _found(client.search_users_by_image(CollectionId=collection, Image={"Bytes": changed})) == []
    (face,) = client.list_faces(CollectionId=collection, FaceIds=[ids[1]])["Faces"]
    assert "UserId" not in face
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.delete_user(CollectionId=collection, UserId="collins")
    assert client.describe_collection(CollectionId=collection)["UserCount"] == 2


def test_every_reason_why_a_face_is_not_associated(
    client: Any, collection: str, collins: bytes, hopper: bytes, changed: bytes
) -> None:
    first, second = (_index(client, collection, collins, ExternalImageId=name)[0] for name in ("a", "b"))
    similar, other = _index(client, collection, changed)[0], _index(client, collection, hopper)[0]
    _create(client, collection, "ann", "bob", "mixed")
    _associate(client, collection, "ann", first)
    _associate(client, collection, "bob", second)
    answer = _associate(client, collection, "ann", first, NOBODY, second, other, similar)
    assert answer["AssociatedFaces"] == [{"FaceId": similar}] and answer["UserStatus"] == "UPDATING"
    not_found, different, low = answer["UnsuccessfulFaceAssociations"]
    assert not_found == {"FaceId": NOBODY, "Reasons": ["FACE_NOT_FOUND"]}
    assert different == {"FaceId": second, "UserId": "bob", "Reasons": ["ASSOCIATED_TO_A_DIFFERENT_USER"]}
    assert 0 <= low.pop("Confidence") < 75 and low == {"FaceId": other, "Reasons": ["LOW_MATCH_CONFIDENCE"]}
    unchanged = _associate(client, collection, "ann", first, NOBODY)
    assert unchanged["AssociatedFaces"] == [] and unchanged["UserStatus"] == "ACTIVE"
    forced = _associate(client, collection, "ann", other, UserMatchThreshold=0)
    assert forced["AssociatedFaces"] == [{"FaceId": other}]
    client.disassociate_faces(CollectionId=collection, UserId="ann", FaceIds=[other, similar])
    identical = _associate(client, collection, "ann", _index(client, collection, collins)[0], UserMatchThreshold=100)
    assert identical["UnsuccessfulFaceAssociations"] == []
    unchecked = _associate(client, collection, "mixed", similar, other, UserMatchThreshold=100)
    assert len(unchecked["AssociatedFaces"]) == 2, "a user without faces takes any"


def test_every_reason_why_a_face_is_not_disassociated(client: Any, collection: str, collins: bytes) -> None:
    mine, others, free = (_index(client, collection, collins, ExternalImageId=name)[0] for name in "abc")
    _create(client, collection, "ann", "bob")
    _associate(client, collection, "ann", mine)
    _associate(client, collection, "bob", others)

    def disassociate(*face_ids: str) -> dict[str, Any]:
        return _members(client.disassociate_faces(CollectionId=collection, UserId="ann", FaceIds=list(face_ids)))

    assert disassociate(free, others, NOBODY) == {
        "DisassociatedFaces": [],
        "UnsuccessfulFaceDisassociations": [
            {"FaceId": others, "UserId": "bob", "Reasons": ["ASSOCIATED_TO_A_DIFFERENT_USER"]},
            {"FaceId": NOBODY, "Reasons": ["FACE_NOT_FOUND"]},
        ],
        "UserStatus": "ACTIVE",
    }
    assert disassociate(mine, free)["DisassociatedFaces"] == [{"FaceId": mine}]
    assert disassociate(mine)["UserStatus"] == "CREATED"


def test_a_user_has_at_most_a_hundred_faces(client: Any, collection: str, crowd: bytes, collins: bytes) -> None:
    hundred = _index(client, collection, crowd, QualityFilter="NONE")
    extra = _index(client, collection, collins)
    _create(client, collection, "many")
    assert len(_associate(client, collection, "many", *hundred[:99], extra[0])["AssociatedFaces"]) == 100
    with pytest.raises(client.exceptions.ServiceQuotaExceededException):
        _associate(client, collection, "many", hundred[99])
    assert _associate(client, collection, "many", *hundred[:99])["AssociatedFaces"] == []
    client.disassociate_faces(CollectionId=collection, UserId="many", FaceIds=extra)
    assert len(_associate(client, collection, "many", hundred[99])["AssociatedFaces"]) == 1


def test_searches_for_users_leave_out_and_keep_what_they_should(
    client: Any, collection: str, collins: bytes, hopper: bytes
) -> None:
    ids = [_index(client, collection, collins, ExternalImageId=f"{n}")[0] for n in range(4)]
    other = _index(client, collection, hopper)[0]
    _create(client, collection, "c0", "c1", "c2", "hopper", "empty")
    for number in range(3):
        _associate(client, collection, f"c{number}", ids[number])
    _associate(client, collection, "hopper", other)

    def search(**options: Any) -> dict[str, Any]:
        return _members(client.search_users(CollectionId=collection, **options))

    by_user = search(UserId="c0")
    assert by_user["SearchedUser"] == {"UserId": "c0"} and "SearchedFace" not in by_user
    assert set(_found(by_user)) == {"c1", "c2"}
    assert [match["Similarity"] for match in by_user["UserMatches"]] == [100, 100]
    by_face = search(FaceId=ids[0])
    assert by_face["SearchedFace"] == {"FaceId": ids[0]} and "SearchedUser" not in by_face
    assert set(_found(by_face)) == {"c0", "c1", "c2"}, "a face finds its own user too"
    assert set(_found(search(FaceId=ids[3]))) == {"c0", "c1", "c2"}, "it needs no user"
    assert len(_found(search(FaceId=ids[0], MaxUsers=2))) == 2
    everyone = search(UserId="c0", UserMatchThreshold=0)["UserMatches"]
    similarities = [match["Similarity"] for match in everyone]
    assert len(everyone) == 3 and similarities == sorted(similarities, reverse=True)
    assert everyone[-1]["User"] == {"UserId": "hopper", "UserStatus": "ACTIVE"} and similarities[-1] < 50
    nothing = search(UserId="empty")
    assert nothing["UserMatches"] == [] and nothing["SearchedUser"] == {"UserId": "empty"}
    assert by_user["FaceModelVersion"] == client.describe_collection(CollectionId=collection)["FaceModelVersion"]


def test_pictures_with_several_faces_none_and_bad_ones(
    client: Any,
    collection: str,
    collins: bytes,
    hopper: bytes,
    group: bytes,
    blank: bytes,
    as_jpeg: Callable[..., bytes],
) -> None:
    _create(client, collection, "hopper")
    _associate(client, collection, "hopper", *_index(client, collection, hopper))

    def search(data: bytes, **options: Any) -> dict[str, Any]:
        return _members(client.search_users_by_image(CollectionId=collection, Image={"Bytes": data}, **options))

    answer = search(group)
    assert _found(answer) == ["hopper"]
    (left_out,) = answer["UnsearchedFaces"]
    assert left_out["Reasons"] == ["FACE_NOT_LARGEST"] and left_out["FaceDetails"]["Confidence"] > 50
    searched = answer["SearchedFace"]["FaceDetail"]["BoundingBox"]
    assert searched["Width"] > left_out["FaceDetails"]["BoundingBox"]["Width"]
    nobody = search(blank)
    assert nobody["UserMatches"] == nobody["UnsearchedFaces"] == [] and "SearchedFace" not in nobody
    blurred = as_jpeg(Image.open(io.BytesIO(collins)).filter(ImageFilter.GaussianBlur(7)))
    refused = search(blurred, QualityFilter="HIGH")
    assert refused["UserMatches"] == [] and "SearchedFace" not in refused
    assert "LOW_SHARPNESS" in refused["UnsearchedFaces"][0]["Reasons"]


def test_a_face_is_described_alike_by_every_operation(
    client: Any, collection: str, collins: bytes, group: bytes
) -> None:
    wanted = client.detect_faces(Image={"Bytes": group})["FaceDetails"]
    assert len(wanted) == 2
    compared = client.compare_faces(
        SourceImage={"Bytes": collins}, TargetImage={"Bytes": group}, SimilarityThreshold=0
    )["FaceMatches"]
    records = client.index_faces(CollectionId=collection, Image={"Bytes": group}, MaxFaces=1, QualityFilter="NONE")
    searched = client.search_users_by_image(CollectionId=collection, Image={"Bytes": group})
    described = {
        "CompareFaces": sorted((match["Face"] for match in compared), key=lambda face: -face["BoundingBox"]["Width"]),
        "IndexFaces": [record["FaceDetail"] for record in (*records["FaceRecords"], *records["UnindexedFaces"])],
        "SearchUsersByImage": [searched["SearchedFace"]["FaceDetail"], searched["UnsearchedFaces"][0]["FaceDetails"]],
    }
    for operation, faces in described.items():
        assert faces == wanted, operation


def test_listing_pages_through_all_users_with_botocores_paginator(client: Any, collection: str) -> None:
    # as long as an id may be, of all its characters
    names = sorted(f"{'aZ09_.-:' * 16}"[: 128 - 1] + letter for letter in "edcba")
    _create(client, collection, *reversed(names))
    pages = client.get_paginator("list_users").paginate(CollectionId=collection, PaginationConfig={"PageSize": 2})
    found = [[user["UserId"] for user in page["Users"]] for page in pages]
    assert found == [names[:2], names[2:4], names[4:]]
    token = client.list_users(CollectionId=collection, MaxResults=1)["NextToken"]
    assert len(token) <= 255 and names[0] not in token
    with pytest.raises(client.exceptions.InvalidPaginationTokenException):
        client.list_users(CollectionId=collection, NextToken=token[:-2] + "xx")
    with pytest.raises(client.exceptions.InvalidPaginationTokenException):
        client.list_users(CollectionId="another", NextToken=token)
    with pytest.raises(client.exceptions.ClientError, match="ValidationException"):
        client.list_users(CollectionId=collection, MaxResults=501)


def test_a_request_with_the_same_token_is_done_once(client: Any, collection: str, collins: bytes) -> None:
    face_id = _index(client, collection, collins)[0]
    user = {"CollectionId": collection, "UserId": "ann"}
    faces = user | {"FaceIds": [face_id]}
    token = {"ClientRequestToken": str(uuid4())}

    def at_once(operation: Callable[..., dict[str, Any]], request: dict[str, Any]) -> dict[str, Any]:
        """The one answer that eight callers get at the same time, and one more later."""
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: _members(operation(**request, **token)), range(8)))
        answers.append(_members(operation(**request, **token)))
        assert answers == answers[:1] * 9
        return answers[0]

    # one token for all: it is bound to its operation
    assert at_once(client.create_user, user) == {}
    assert at_once(client.associate_faces, faces)["AssociatedFaces"] == [{"FaceId": face_id}]
    assert at_once(client.disassociate_faces, faces)["DisassociatedFaces"] == [{"FaceId": face_id}]
    assert at_once(client.delete_user, user) == {}
    for operation, request in (
        (client.create_user, user | {"UserId": "bob"}),
        (client.delete_user, user | {"UserId": "bob"}),
        (client.associate_faces, faces | {"UserMatchThreshold": 1}),
        (client.disassociate_faces, faces | {"FaceIds": [NOBODY]}),
    ):
        with pytest.raises(client.exceptions.IdempotentParameterMismatchException, match=token["ClientRequestToken"]):
            operation(**request, **token)
    assert _statuses(client, collection) == {}
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.delete_user(**user)


def test_a_token_is_of_its_account_and_region_and_free_after_a_failure(
    stack: Any, client: Any, collection: str
) -> None:
    credentials = client._request_signer._credentials
    session = boto3.Session(credentials.access_key, credentials.secret_key, region_name="us-west-2")
    elsewhere = session.client("rekognition", endpoint_url=stack.endpoint)
    request = {"CollectionId": collection, "UserId": "ann", "ClientRequestToken": str(uuid4())}
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.delete_user(**request)
    client.create_user(**request)
    client.delete_user(**request)
    with pytest.raises(elsewhere.exceptions.ResourceNotFoundException):
        elsewhere.create_user(**request)


def test_conflicts_and_what_is_missing(client: Any, collection: str, collins: bytes) -> None:
    face_id = _index(client, collection, collins)[0]
    _create(client, collection, "ann")
    with pytest.raises(client.exceptions.ConflictException, match="ann"):
        client.create_user(CollectionId=collection, UserId="ann")
    missing = client.exceptions.ResourceNotFoundException
    for place in ({"CollectionId": "absent", "UserId": "ann"}, {"CollectionId": collection, "UserId": "bob"}):
        for operation in (client.associate_faces, client.disassociate_faces):
            with pytest.raises(missing):
                operation(**place, FaceIds=[face_id])
        for operation in (client.delete_user, client.search_users, client.list_faces):
            with pytest.raises(missing):
                operation(**place)
    for operation, request in (
        (client.create_user, {"UserId": "ann"}),
        (client.list_users, {}),
        (client.search_users, {"FaceId": face_id}),
        (client.search_users_by_image, {"Image": {"Bytes": collins}}),
    ):
        with pytest.raises(missing, match="absent"):
            operation(CollectionId="absent", **request)
    wrong = client.exceptions.InvalidParameterException
    with pytest.raises(wrong, match="not found"):
        client.search_users(CollectionId=collection, FaceId=NOBODY)
    for neither_or_both in ({}, {"UserId": "ann", "FaceId": face_id}):
        with pytest.raises(wrong):
            client.search_users(CollectionId=collection, **neither_or_both)


def test_bad_pictures(stack: Any, client: Any, collection: str, collins: bytes, tmp_path: Path) -> None:
    bucket = f"users-{uuid4()}"
    stack.openrek("buckets", "add", bucket, str(tmp_path), "--region", stack.region)
    (tmp_path / "huge.jpg").write_bytes(collins + bytes(15 * 1024 * 1024))
    for image, error in (
        ({}, "InvalidParameterException"),
        ({"Bytes": b"no picture"}, "InvalidImageFormatException"),
        ({"S3Object": {"Bucket": bucket, "Name": "absent.jpg"}}, "InvalidS3ObjectException"),
        ({"S3Object": {"Bucket": bucket, "Name": "huge.jpg"}}, "ImageTooLargeException"),
    ):
        with pytest.raises(getattr(client.exceptions, error)):
            client.search_users_by_image(CollectionId=collection, Image=image)


def test_users_go_with_their_collection(client: Any, collection: str, collins: bytes) -> None:
    _create(client, collection, "ann")
    _associate(client, collection, "ann", *_index(client, collection, collins))
    client.delete_collection(CollectionId=collection)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.list_users(CollectionId=collection)
    client.create_collection(CollectionId=collection)
    assert client.describe_collection(CollectionId=collection)["UserCount"] == 0
    assert _statuses(client, collection) == {}
    assert _found(client.search_users_by_image(CollectionId=collection, Image={"Bytes": collins})) == []
