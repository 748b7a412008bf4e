"""The life of a collection through the AWS command line, as somebody types it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from films import JOB_SECONDS, Films

PICTURES = Path(__file__).parents[2] / "openrek" / "pictures"
AWS = Path(sys.executable).with_name("aws")
FAILED = 255  # version 1 has one exit code for all errors

Aws = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def aws(stack: Any) -> Aws:
    """Runs `aws rekognition` with credentials and region in its environment, and the endpoint as an option."""
    environment = stack.environment_of_clients()
    del environment["AWS_ENDPOINT_URL_REKOGNITION"]

    def run(*arguments: str, endpoint: str = stack.endpoint, **more: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, AWS, "rekognition", *arguments, "--endpoint-url", endpoint]
        return subprocess.run(command, env=environment | more, capture_output=True, text=True, timeout=60)

    return run


def _answer(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_from_creation_to_deletion(aws: Aws) -> None:
    name = f"cli-{uuid4()}"
    collection, picture = ("--collection-id", name), f"fileb://{PICTURES / 'eileen_collins.jpg'}"
    assert _answer(aws("create-collection", *collection, "--tags", "team=door"))["StatusCode"] == 200
    indexed = [
        _answer(aws("index-faces", *collection, "--image-bytes", picture, "--external-image-id", letter))
        for letter in "abc"
    ]
    ids = [answer["FaceRecords"][0]["Face"]["FaceId"] for answer in indexed]

    found = _answer(aws("search-faces-by-image", *collection, "--image-bytes", picture))
    assert sorted(match["Face"]["FaceId"] for match in found["FaceMatches"]) == sorted(ids)
    assert found["FaceMatches"][0]["Similarity"] > 99
    everyone = _answer(aws("list-faces", *collection, "--page-size", "2"))
    assert [face["FaceId"] for face in everyone["Faces"]] == ids and "NextToken" not in everyone
    two = _answer(aws("list-faces", *collection, "--page-size", "1", "--max-items", "2"))
    rest = _answer(aws("list-faces", *collection, "--page-size", "1", "--starting-token", two["NextToken"]))
    assert [[face["FaceId"] for face in page["Faces"]] for page in (two, rest)] == [ids[:2], ids[2:]]

    deleted = _answer(aws("delete-faces", *collection, "--face-ids", *ids[:2]))
    assert sorted(deleted["DeletedFaces"]) == sorted(ids[:2])
    described = _answer(aws("describe-collection", *collection))
    assert described["FaceCount"] == 1 and described["CollectionARN"].endswith(f":collection/{name}")
    assert _answer(aws("delete-collection", *collection))["StatusCode"] == 200


def test_comparing_two_pictures(aws: Aws) -> None:
    source, target = (f"fileb://{PICTURES / name}.jpg" for name in ("eileen_collins", "grace_hopper"))
    done = aws("compare-faces", "--source-image-bytes", source, "--target-image-bytes", target)
    answer = _answer(done)
    assert answer["FaceMatches"] == [] and len(answer["UnmatchedFaces"]) == 1


def test_a_job_on_a_stored_video(aws: Aws, films: Films, programme: str) -> None:
    place = json.dumps(films.video(programme))
    started = _answer(aws("start-label-detection", "--video", place, "--job-tag", "cli", "--min-confidence", "60"))
    job = ("get-label-detection", "--job-id", started["JobId"])
    deadline = time.monotonic() + JOB_SECONDS
    while (answer := _answer(aws(*job)))["JobStatus"] == "IN_PROGRESS":
        assert time.monotonic() < deadline
    assert (answer["JobStatus"], answer["JobTag"]) == ("SUCCEEDED", "cli")
    assert "Person" in {one["Label"]["Name"] for one in answer["Labels"]}
    first = _answer(aws(*job, "--max-results", "2"))
    rest = _answer(aws(*job, "--next-token", first["NextToken"]))
    assert first["Labels"] + rest["Labels"] == answer["Labels"] and len(first["Labels"]) == 2
    done = aws("get-face-detection", "--job-id", started["JobId"])
    assert done.returncode == FAILED and "(ResourceNotFoundException)" in done.stderr


def test_the_endpoint_in_the_environment(stack: Any, client: Any) -> None:
    stem = f"cli-{uuid4()}"
    names = [f"{stem}-{letter}" for letter in "ab"]
    for name in names:
        client.create_collection(CollectionId=name)
    command = [sys.executable, AWS, "rekognition", "list-collections", "--page-size", "1"]
    environment = stack.environment_of_clients()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert [name for name in _answer(done)["CollectionIds"] if name.startswith(stem)] == names
    done = subprocess.run([*command, "--max-items", "1"], env=environment, capture_output=True, text=True, timeout=60)
    assert len(_answer(done)["CollectionIds"]) == 1 and _answer(done)["NextToken"]
    for name in names:
        client.delete_collection(CollectionId=name)


def test_an_error_is_told_by_its_code_and_message(aws: Aws) -> None:
    done = aws("describe-collection", "--collection-id", "absent")
    assert done.returncode == FAILED and done.stdout == ""
    assert "An error occurred (ResourceNotFoundException) when calling the DescribeCollection operation" in done.stderr
    assert "Collection:absent not found!" in done.stderr


def test_without_retries_a_throttled_call_fails(aws: Aws, small_server: Any) -> None:
    with small_server.full():
        done = aws("list-collections", endpoint=small_server.endpoint, AWS_MAX_ATTEMPTS="1")
    assert done.returncode == FAILED and "(ThrottlingException)" in done.stderr


def test_a_throttled_call_is_retried_and_succeeds(aws: Aws, small_server: Any) -> None:
    with small_server.full_until_it_throttles():
        done = aws("list-collections", endpoint=small_server.endpoint)
    assert "CollectionIds" in _answer(done)
