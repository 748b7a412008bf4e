"""The whole life of a collection through boto3, on real photographs."""

import io
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from PIL import Image, ImageFilter, ImageOps

NOBODY = str(uuid4())


def _index(client: Any, collection: str, data: bytes, **options: Any) -> dict[str, Any]:
    answer: dict[str, Any] = client.index_faces(CollectionId=collection, Image={"Bytes": data}, **options)
    return answer


def _ids(answer: dict[str, Any]) -> list[str]:
    return [record["Face"]["FaceId"] for record in answer["FaceRecords"]]


def test_from_creation_to_deletion(client: Any, collins: bytes, hopper: bytes, as_jpeg: Callable[..., bytes]) -> None:
    name = f"life-{uuid4()}"
    created = client.create_collection(CollectionId=name, Tags={"team": "door"})
    assert created["StatusCode"] == 200
    assert created["CollectionArn"] == f"aws:rekognition:eu-central-1:000000000000:collection/{name}"
    with pytest.raises(client.exceptions.ResourceAlreadyExistsException):
        client.create_collection(CollectionId=name)

    indexed = _index(client, name, collins, ExternalImageId="collins")
    (record,) = indexed["FaceRecords"]
    assert record["Face"]["ExternalImageId"] == "collins"
    assert UUID(record["Face"]["FaceId"]).version == 4 and UUID(record["Face"]["ImageId"]).version == 5
    assert record["Face"]["BoundingBox"] == record["FaceDetail"]["BoundingBox"]
    assert record["Face"]["Confidence"] == record["FaceDetail"]["Confidence"] > 99
    assert indexed["UnindexedFaces"] == [] and indexed["FaceModelVersion"] == created["FaceModelVersion"]
    _index(client, name, hopper, ExternalImageId="hopper")

    described = client.describe_collection(CollectionId=name)
    assert (described["FaceCount"], described["UserCount"]) == (2, 0)
    assert described["CollectionARN"] == f"arn:aws:rekognition:eu-central-1:000000000000:collection/{name}"

    changed = ImageOps.mirror(Image.open(io.BytesIO(collins)).resize((300, 300))).filter(ImageFilter.GaussianBlur(1))
    found = client.search_faces_by_image(CollectionId=name, Image={"Bytes": as_jpeg(changed)})
    (match,) = found["FaceMatches"]
    assert match["Face"]["FaceId"] == record["Face"]["FaceId"] and match["Similarity"] > 99
    assert match["Face"]["ExternalImageId"] == "collins"
    assert found["SearchedFaceConfidence"] > 99 and found["SearchedFaceBoundingBox"]["Width"] > 0

    deleted = client.delete_faces(CollectionId=name, FaceIds=[record["Face"]["FaceId"], NOBODY])
    assert deleted["DeletedFaces"] == [record["Face"]["FaceId"]]
    assert deleted["UnsuccessfulFaceDeletions"] == [{"FaceId": NOBODY, "Reasons": ["FACE_NOT_FOUND"]}]
    assert client.search_faces_by_image(CollectionId=name, Image={"Bytes": collins})["FaceMatches"] == []
    assert client.delete_collection(CollectionId=name)["StatusCode"] == 200
    for call in (client.describe_collection, client.list_faces, client.delete_collection):
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            call(CollectionId=name)


def test_the_same_picture_is_stored_once_for_each_external_id(client: Any, collection: str, collins: bytes) -> None:
    first = _ids(_index(client, collection, collins, ExternalImageId="a"))
    assert _ids(_index(client, collection, collins, ExternalImageId="a")) == first
    assert _ids(_index(client, collection, collins, ExternalImageId="b")) != first
    assert client.describe_collection(CollectionId=collection)["FaceCount"] == 2
    (match,) = client.search_faces(CollectionId=collection, FaceId=first[0], FaceMatchThreshold=100)["FaceMatches"]
    assert match["Similarity"] == 100 and match["Face"]["ExternalImageId"] == "b"


def test_faces_come_largest_first_and_max_faces_keeps_the_largest(client: Any, collection: str, group: bytes) -> None:
    limited = _index(client, collection, group, MaxFaces=1)
    assert len(limited["FaceRecords"]) == 1
    (left_out,) = limited["UnindexedFaces"]
    assert left_out["Reasons"] == ["EXCEEDS_MAX_FACES"]
    assert _area(limited["FaceRecords"][0]["FaceDetail"]) > _area(left_out["FaceDetail"])
    everyone = _index(client, collection, group)["FaceRecords"]
    assert [_area(record["FaceDetail"]) for record in everyone] == sorted(
        (_area(record["FaceDetail"]) for record in everyone), reverse=True
    )
    assert everyone[0]["Face"]["FaceId"] == limited["FaceRecords"][0]["Face"]["FaceId"]
    assert client.describe_collection(CollectionId=collection)["FaceCount"] == 2


def test_of_a_crowd_the_hundred_largest_count(client: Any, collection: str, crowd: bytes) -> None:
    faces = client.detect_faces(Image={"Bytes": crowd})["FaceDetails"]
    assert len(faces) == 100
    assert len(_index(client, collection, crowd, QualityFilter="NONE")["FaceRecords"]) == 100
    # the picture's 21 smallest faces fill its first two rows
    assert min(face["BoundingBox"]["Top"] for face in faces) > 0.9 / 11


def test_the_quality_filter_leaves_out_a_blurred_face_with_its_reason(
    client: Any, collection: str, collins: bytes, as_jpeg: Callable[..., bytes]
) -> None:
    blurred = as_jpeg(Image.open(io.BytesIO(collins)).filter(ImageFilter.GaussianBlur(7)))
    answer = _index(client, collection, blurred, QualityFilter="HIGH")
    assert answer["FaceRecords"] == []
    assert "LOW_SHARPNESS" in answer["UnindexedFaces"][0]["Reasons"]
    assert len(_index(client, collection, blurred, QualityFilter="NONE")["FaceRecords"]) == 1


def test_a_picture_without_faces(client: Any, collection: str, blank: bytes, collins: bytes) -> None:
    answer = _index(client, collection, blank)
    assert answer["FaceRecords"] == [] and answer["UnindexedFaces"] == []
    assert client.detect_faces(Image={"Bytes": blank})["FaceDetails"] == []
    with pytest.raises(client.exceptions.InvalidParameterException, match="There are no faces in the image"):
        client.search_faces_by_image(CollectionId=collection, Image={"Bytes": blank})
    for source, target in ((blank, collins), (collins, blank)):
        with pytest.raises(client.exceptions.InvalidParameterException):
            client.compare_faces(SourceImage={"Bytes": source}, TargetImage={"Bytes": target})


def test_comparing_finds_the_person_among_others(client: Any, collins: bytes, group: bytes) -> None:
    answer = client.compare_faces(SourceImage={"Bytes": collins}, TargetImage={"Bytes": group})
    assert [match["Similarity"] > 99 for match in answer["FaceMatches"]] == [True]
    assert len(answer["UnmatchedFaces"]) == 1 and answer["SourceImageFace"]["Confidence"] > 99
    assert answer["FaceMatches"][0]["Face"]["BoundingBox"]["Left"] < 0.4
    everyone = client.compare_faces(SourceImage={"Bytes": collins}, TargetImage={"Bytes": group}, SimilarityThreshold=0)
    similarities = [match["Similarity"] for match in everyone["FaceMatches"]]
    assert len(similarities) == 2 and everyone["UnmatchedFaces"] == []
    assert similarities == sorted(similarities, reverse=True) and similarities[1] < 50


def test_searching_never_gives_the_face_itself_and_keeps_the_best(
    client: Any, collection: str, collins: bytes, hopper: bytes
) -> None:
    ids = [_ids(_index(client, collection, collins, ExternalImageId=f"c{n}"))[0] for n in range(4)]
    other = _ids(_index(client, collection, hopper))[0]
    found = client.search_faces(CollectionId=collection, FaceId=ids[0])["FaceMatches"]
    assert {match["Face"]["FaceId"] for match in found} == set(ids[1:])
    assert len(client.search_faces(CollectionId=collection, FaceId=ids[0], MaxFaces=2)["FaceMatches"]) == 2
    everyone = client.search_faces(CollectionId=collection, FaceId=ids[0], FaceMatchThreshold=0)["FaceMatches"]
    assert everyone[-1]["Face"]["FaceId"] == other and len(everyone) == 4
    with pytest.raises(client.exceptions.InvalidParameterException, match="faceId was not found in the collection"):
        client.search_faces(CollectionId=collection, FaceId=NOBODY)


def test_listing_pages_through_all_faces_with_botocores_paginator(client: Any, collection: str, collins: bytes) -> None:
    ids = [_ids(_index(client, collection, collins, ExternalImageId=f"n{n}"))[0] for n in range(5)]
    pages = list(client.get_paginator("list_faces").paginate(CollectionId=collection, PaginationConfig={"PageSize": 2}))
    assert [len(page["Faces"]) for page in pages] == [2, 2, 1]
    assert [face["FaceId"] for page in pages for face in page["Faces"]] == ids
    chosen = client.list_faces(CollectionId=collection, FaceIds=[ids[3], NOBODY, ids[1]])["Faces"]
    assert [face["FaceId"] for face in chosen] == [ids[1], ids[3]]
    face = chosen[0]
    assert face["ExternalImageId"] == "n1" and face["IndexFacesModelVersion"] == pages[0]["FaceModelVersion"]
    assert face["BoundingBox"]["Left"] == pytest.approx(round(face["BoundingBox"]["Left"], 6), abs=1e-7)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.list_faces(CollectionId=collection, UserId="nobody")
    with pytest.raises(client.exceptions.InvalidPaginationTokenException):
        client.list_faces(CollectionId=collection, NextToken="bm8gc3VjaCB0b2tlbg")


def test_collections_are_listed_by_name_also_while_they_come_and_go(client: Any) -> None:
    stem = f"page-{uuid4()}"
    # as long as a name may be, so that no token can hold it
    names = [f"{stem}{'x' * (254 - len(stem))}{letter}" for letter in "abcd"]
    for name in reversed(names):
        client.create_collection(CollectionId=name)
    pages = client.get_paginator("list_collections").paginate(PaginationConfig={"PageSize": 1})
    seen = []
    for page in pages:
        seen += [name for name in page["CollectionIds"] if name.startswith(stem)]
        assert len(page["FaceModelVersions"]) == len(page["CollectionIds"])
        if page["CollectionIds"] == [names[1]]:
            client.delete_collection(CollectionId=names[1])
    assert seen == names
    for name in (names[0], *names[2:]):
        client.delete_collection(CollectionId=name)


def test_a_new_collection_of_an_old_name_is_empty(client: Any, collection: str, collins: bytes) -> None:
    _index(client, collection, collins)
    client.delete_collection(CollectionId=collection)
    client.create_collection(CollectionId=collection)
    assert client.describe_collection(CollectionId=collection)["FaceCount"] == 0
    assert client.search_faces_by_image(CollectionId=collection, Image={"Bytes": collins})["FaceMatches"] == []


def test_tags(client: Any, collection: str) -> None:
    arn = client.describe_collection(CollectionId=collection)["CollectionARN"]
    client.tag_resource(ResourceArn=arn, Tags={"team": "door", "floor": "2"})
    client.tag_resource(ResourceArn=arn, Tags={"floor": "3"})
    assert client.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"team": "door", "floor": "3"}
    client.untag_resource(ResourceArn=arn, TagKeys=["team", "absent"])
    assert client.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"floor": "3"}
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.list_tags_for_resource(ResourceArn=arn + "-not")
    with pytest.raises(client.exceptions.ServiceQuotaExceededException):
        client.tag_resource(ResourceArn=arn, Tags={f"key{n}": "x" for n in range(200)})
    assert client.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"floor": "3"}


def _area(detail: dict[str, Any]) -> float:
    return float(detail["BoundingBox"]["Width"] * detail["BoundingBox"]["Height"])
