"""People of stored videos through boto3: their paths, whom a collection knows, and celebrities."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from films import Films, times
from scenes import film, portrait, scenes, sign

PICTURES = Path(__file__).parents[2] / "openrek" / "pictures"
LOOKS_OF_COLLINS, LOOKS_OF_HOPPER = [0, 200, 400, 600, 800], [2000, 2200, 2400, 2600, 2800]
BY_INDEX, BY_ID = {"SortBy": "INDEX"}, {"SortBy": "ID"}
REGION = "ca-central-1"
"""In which nobody else has celebrities."""


@pytest.fixture(scope="module")
def gallery(client: Any, collins: bytes) -> Iterator[tuple[str, str]]:
    """A collection with one face, Collins', and the face's id."""
    name = f"films-{uuid4()}"
    client.create_collection(CollectionId=name)
    stored = client.index_faces(CollectionId=name, Image={"Bytes": collins}, ExternalImageId="collins")
    yield name, stored["FaceRecords"][0]["Face"]["FaceId"]
    client.delete_collection(CollectionId=name)


@pytest.fixture(scope="module")
def jobs(films: Films, programme: str, gallery: tuple[str, str]) -> dict[str, str]:
    """Job ids by name."""
    collection = {"CollectionId": gallery[0]}
    return films.side_by_side(
        {
            "paths": ("PersonTracking", programme, {}),
            "search": ("FaceSearch", programme, collection),
            "all alike": ("FaceSearch", programme, collection | {"FaceMatchThreshold": 0}),
        }
    )


def _persons(films: Films, job: str, job_id: str, **parameters: Any) -> list[dict[str, Any]]:
    return [one for page in films.pages(job, job_id, **parameters) for one in page["Persons"]]


def _places(persons: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(one["Person"]["Index"], one["Timestamp"]) for one in persons]


def test_each_person_has_a_number_of_its_own(films: Films, jobs: dict[str, str]) -> None:
    persons = _persons(films, "PersonTracking", jobs["paths"])
    expected = [(0, look) for look in LOOKS_OF_COLLINS] + [(1, look) for look in LOOKS_OF_HOPPER]
    assert _places(persons) == expected
    for one in persons:
        assert "FaceMatches" not in one
        box, face = one["Person"]["BoundingBox"], one["Person"]["Face"]["BoundingBox"]
        assert box["Height"] >= face["Height"] > 0.2
        middle = face["Left"] + face["Width"] / 2
        assert box["Left"] < middle < box["Left"] + box["Width"]
        assert len(one["Person"]["Face"]["Landmarks"]) == 5 and "Emotions" not in one["Person"]["Face"]


def test_people_who_are_there_together_by_time_and_by_index(
    films: Films, collins: bytes, hopper: bytes, client: Any
) -> None:
    both = portrait(collins, left=0).copy()
    both[:, 160:] = portrait(hopper, left=200)[:, 160:]
    films.add("both.mp4", film(scenes((both, 12))))
    job_id = films.of("PersonTracking", "both.mp4")["JobId"]
    by_time = _persons(films, "PersonTracking", job_id)
    assert {index for index, _ in _places(by_time)} == {0, 1}
    assert times(by_time) == sorted(times(by_time)) and len(set(times(by_time))) == 6
    by_index = _persons(films, "PersonTracking", job_id, **BY_INDEX)
    numbers = [index for index, _ in _places(by_index)]
    assert numbers == sorted(numbers) and sorted(_places(by_index)) == sorted(_places(by_time))
    pages = films.pages("PersonTracking", job_id, MaxResults=5, **BY_INDEX)
    assert [one for page in pages for one in page["Persons"]] == by_index and len(pages) > 1
    with pytest.raises(client.exceptions.InvalidPaginationTokenException):
        films.call("GetPersonTracking", JobId=job_id, NextToken=pages[0]["NextToken"])


def test_who_is_in_the_collection(films: Films, jobs: dict[str, str], gallery: tuple[str, str]) -> None:
    persons = _persons(films, "FaceSearch", jobs["search"])
    matched = [one for one in persons if "FaceMatches" in one]
    assert times(matched) == LOOKS_OF_COLLINS and {one["Person"]["Index"] for one in matched} == {0}
    assert {one["Timestamp"] for one in persons} == {*LOOKS_OF_COLLINS, *LOOKS_OF_HOPPER}, "others are seen too"
    for one in matched:
        (match,) = one["FaceMatches"]
        assert match["Similarity"] >= 80
        assert (match["Face"]["FaceId"], match["Face"]["ExternalImageId"]) == (gallery[1], "collins")
        assert match["Face"]["IndexFacesModelVersion"]


def test_the_threshold_is_the_callers(films: Films, jobs: dict[str, str], gallery: tuple[str, str]) -> None:
    alike = _persons(films, "FaceSearch", jobs["all alike"])
    hopper = [one for one in alike if one["Timestamp"] in LOOKS_OF_HOPPER and "Face" in one["Person"]]
    assert hopper and all(one["FaceMatches"][0]["Face"]["FaceId"] == gallery[1] for one in hopper)
    assert all(one["FaceMatches"][0]["Similarity"] < 80 for one in hopper)
    by_index = _persons(films, "FaceSearch", jobs["all alike"], **BY_INDEX)
    assert _places(by_index) == sorted(_places(by_index), key=lambda place: place[0])


def test_a_collection_that_goes_before_the_end(films: Films, client: Any, worker_held: Any) -> None:
    name = f"going-{uuid4()}"
    films.add("nobody.mp4", film(scenes((sign("Nobody"), 3))))
    client.create_collection(CollectionId=name)
    with worker_held():
        job_id = films.start("FaceSearch", "nobody.mp4", CollectionId=name)
        client.delete_collection(CollectionId=name)
        client.create_collection(CollectionId=name)
    answer = films.ended("FaceSearch", job_id)
    assert answer["JobStatus"] == "FAILED" and name in answer["StatusMessage"]
    client.delete_collection(CollectionId=name)


def test_celebrities_of_the_owners_gallery(
    stack: Any, films: Films, programme: str, client_in: Any, tmp_path: Path
) -> None:
    stack.openrek("buckets", "add", films.bucket, str(films.folder), "--region", REGION)
    there = Films(client_in(REGION), films.bucket, films.folder)
    assert there.of("CelebrityRecognition", programme)["Celebrities"] == [], "nobody is known yet"
    shutil.copy(PICTURES / "eileen_collins.jpg", tmp_path)
    row = "Eileen Collins,female,www.example.org/collins,eileen_collins.jpg"
    (tmp_path / "celebrities.csv").write_text(f"name,gender,urls,photographs\n{row}\n")
    stack.openrek("celebrities", "import", str(tmp_path), "--region", REGION)
    answer = there.of("CelebrityRecognition", programme)
    found = answer["Celebrities"]
    assert times(found) == LOOKS_OF_COLLINS
    for one in found:
        celebrity = one["Celebrity"]
        assert (celebrity["Name"], celebrity["Urls"]) == ("Eileen Collins", ["www.example.org/collins"])
        assert celebrity["KnownGender"] == {"Type": "Female"} and celebrity["Confidence"] > 90
        assert celebrity["BoundingBox"]["Height"] >= celebrity["Face"]["BoundingBox"]["Height"]
        assert len(celebrity["Face"]["Landmarks"]) == 5
    info = there.client.get_celebrity_info(Id=found[0]["Celebrity"]["Id"])
    assert info["Name"] == "Eileen Collins"
    by_id = there.pages("CelebrityRecognition", answer["JobId"], MaxResults=2, **BY_ID)
    assert sorted(times(one for page in by_id for one in page["Celebrities"])) == LOOKS_OF_COLLINS
    confidences = [one["Celebrity"]["Confidence"] for page in by_id for one in page["Celebrities"]]
    assert confidences == sorted(confidences, reverse=True)
    stack.openrek("celebrities", "remove", "--all", "--region", REGION)
