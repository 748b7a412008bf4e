"""Every error that the service model declares for a built operation, provoked through boto3."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError

from api.model import OPERATIONS
from api.operations import HANDLERS
from benchmarks.own_stack import free_port
from inference.video.limits import MOST_BYTES

START_SECONDS, STOP_SECONDS = 30.0, 30.0
REGION_OF_LIMITS = "ap-south-1"
UNKNOWN_FACE = "00000000-0000-4000-8000-000000000000"
DENIED, BROKEN, FULL, FAST = (
    "AccessDeniedException",
    "InternalServerError",
    "ThrottlingException",
    "ProvisionedThroughputExceededException",
)
EVERYWHERE = (DENIED, BROKEN, FULL, FAST)
"""Errors of whatever the request is."""

VIDEO_JOBS: dict[str, Mapping[str, Any]] = {
    "CelebrityRecognition": {},
    "ContentModeration": {},
    "FaceDetection": {},
    "FaceSearch": {},
    "LabelDetection": {},
    "PersonTracking": {},
    "SegmentDetection": {"SegmentTypes": ["SHOT"]},
    "TextDetection": {},
}
"""With what their Start operations need beside a video, but for a collection."""

NEVER = {
    ("CreateCollection", "InvalidParameterException"): "its members have no rule beyond the model's",
    ("DeleteCollection", "InvalidParameterException"): "its members have no rule beyond the model's",
    ("DeleteFaces", "InvalidParameterException"): "its members have no rule beyond the model's",
    ("DescribeCollection", "InvalidParameterException"): "its members have no rule beyond the model's",
    ("ListCollections", "InvalidParameterException"): "its members have no rule beyond the model's",
    ("ListFaces", "InvalidParameterException"): "its members have no rule beyond the model's",
    ("ListCollections", "ResourceNotFoundException"): "it names no resource",
    ("GetCelebrityInfo", "InvalidParameterException"): "its members have no rule beyond the model's",
    ("AssociateFaces", "InvalidParameterException"): "its members have no rule beyond the model's",
    ("CreateUser", "InvalidParameterException"): "its members have no rule beyond the model's",
    ("DeleteUser", "InvalidParameterException"): "its members have no rule beyond the model's",
    ("DisassociateFaces", "InvalidParameterException"): "its members have no rule beyond the model's",
    ("ListUsers", "InvalidParameterException"): "its members have no rule beyond the model's",
    ("DetectModerationLabels", "ResourceNotReadyException"): "there are no adapters yet",
    ("AssociateFaces", "ConflictException"): "changes of one collection wait for each other",
    ("DeleteUser", "ConflictException"): "changes of one collection wait for each other",
    ("DisassociateFaces", "ConflictException"): "changes of one collection wait for each other",
    **{(f"Get{job}", "InvalidParameterException"): "its members have no rule beyond the model's" for job in VIDEO_JOBS},
}
"""Declared, but without a request that has them."""

Request = dict[str, Any]


@dataclass(frozen=True)
class World:
    """What the requests below refer to: a collection, its user, a token that operations have seen, pictures; the jobs
    that were started with the token."""

    collection: str
    user: str
    token: str
    bucket: str
    portrait: bytes
    group: bytes
    jobs: dict[str, str] = field(default_factory=dict)

    def arn(self, collection: str) -> str:
        return f"arn:aws:rekognition:eu-central-1:000000000000:collection/{collection}"

    def image(self, name: str) -> Request:
        return {"S3Object": {"Bucket": self.bucket, "Name": name}}


def sound(world: World) -> dict[str, Request]:
    """A request for each built operation that nothing is wrong with."""
    here, picture = {"CollectionId": world.collection}, {"Bytes": world.portrait}
    user = here | {"UserId": world.user}
    videos = {f"Start{job}": {"Video": world.image("film.mp4")} | more for job, more in VIDEO_JOBS.items()}
    results = {f"Get{job}": {"JobId": world.jobs.get(job, "absent")} for job in VIDEO_JOBS}
    videos["StartFaceSearch"] |= here
    return {
        **videos,
        **results,
        "AssociateFaces": user | {"FaceIds": [UNKNOWN_FACE]},
        "CompareFaces": {"SourceImage": picture, "TargetImage": picture},
        "CreateCollection": {"CollectionId": f"more-{uuid4()}"},
        "CreateUser": here | {"UserId": f"more-{uuid4()}"},
        "DeleteCollection": {"CollectionId": "absent"},
        "DeleteFaces": here | {"FaceIds": [UNKNOWN_FACE]},
        "DeleteUser": here | {"UserId": "absent"},
        "DescribeCollection": here,
        "DetectFaces": {"Image": picture},
        "DetectLabels": {"Image": picture},
        "DetectModerationLabels": {"Image": picture},
        "DetectText": {"Image": picture},
        "DetectProtectiveEquipment": {"Image": picture},
        "DisassociateFaces": user | {"FaceIds": [UNKNOWN_FACE]},
        "GetCelebrityInfo": {"Id": "absent"},
        "IndexFaces": here | {"Image": picture},
        "ListCollections": {},
        "ListFaces": here,
        "ListTagsForResource": {"ResourceArn": world.arn(world.collection)},
        "ListUsers": here,
        "RecognizeCelebrities": {"Image": picture},
        "SearchFaces": here | {"FaceId": UNKNOWN_FACE},
        "SearchFacesByImage": here | {"Image": picture},
        "SearchUsers": user,
        "SearchUsersByImage": here | {"Image": picture},
        "TagResource": {"ResourceArn": world.arn(world.collection), "Tags": {"a": "b"}},
        "UntagResource": {"ResourceArn": world.arn(world.collection), "TagKeys": ["a"]},
    }


IMAGE_ERRORS: dict[str, Callable[[World], Request]] = {
    "ImageTooLargeException": lambda world: world.image("large.jpg"),
    "InvalidImageFormatException": lambda world: {"Bytes": b"GIF89a" + bytes(100)},
    "InvalidS3ObjectException": lambda world: world.image("absent.jpg"),
    "InvalidParameterException": lambda world: {},
}
"""By what is wrong with an image."""

VIDEO_ERRORS: dict[str, Callable[[World], Request]] = {
    "IdempotentParameterMismatchException": lambda world: {"ClientRequestToken": world.token, "JobTag": "other"},
    "InvalidParameterException": lambda world: {"Video": {}},
    "InvalidS3ObjectException": lambda world: {"Video": world.image("absent.mp4")},
    "VideoTooLargeException": lambda world: {"Video": world.image("large.mp4")},
}
"""By what is wrong with the start of a job."""


IN_A_COLLECTION = (
    "AssociateFaces",
    "CreateUser",
    "DeleteCollection",
    "DeleteFaces",
    "DeleteUser",
    "DescribeCollection",
    "DisassociateFaces",
    "IndexFaces",
    "ListFaces",
    "ListUsers",
    "SearchFaces",
    "SearchFacesByImage",
    "SearchUsers",
    "SearchUsersByImage",
    "StartFaceSearch",
)


def wrong(world: World) -> dict[tuple[str, str], Request]:
    """(operation, error) -> a request that has it, for the errors that lie in a request."""
    requests, absent = sound(world), {"CollectionId": f"absent-{uuid4()}"}
    images = {
        "DetectFaces": "Image",
        "DetectLabels": "Image",
        "DetectModerationLabels": "Image",
        "DetectText": "Image",
        "DetectProtectiveEquipment": "Image",
        "IndexFaces": "Image",
        "RecognizeCelebrities": "Image",
        "SearchFacesByImage": "Image",
        "SearchUsersByImage": "Image",
        "CompareFaces": "TargetImage",
    }
    found = {
        (operation, error): requests[operation] | {member: image(world)}
        for operation, member in images.items()
        for error, image in IMAGE_ERRORS.items()
    }
    for job in VIDEO_JOBS:
        for error, change in VIDEO_ERRORS.items():
            found[f"Start{job}", error] = requests[f"Start{job}"] | change(world)
        found[f"Get{job}", "ResourceNotFoundException"] = {"JobId": "absent"}
        found[f"Get{job}", "InvalidPaginationTokenException"] = requests[f"Get{job}"] | {"NextToken": "forged"}
    for operation in IN_A_COLLECTION:
        found[operation, "ResourceNotFoundException"] = requests[operation] | absent
    for operation in ("TagResource", "UntagResource", "ListTagsForResource"):
        nobody = {"ResourceArn": world.arn("absent")}
        found[operation, "ResourceNotFoundException"] = requests[operation] | nobody
        found[operation, "InvalidParameterException"] = requests[operation] | {"ResourceArn": "a" * 30}
    for operation in ("AssociateFaces", "CreateUser", "DeleteUser", "DisassociateFaces"):
        other = {"ClientRequestToken": world.token, "UserId": f"other-{uuid4()}"}
        found[operation, "IdempotentParameterMismatchException"] = requests[operation] | other
    token = {"NextToken": "forged"}
    return found | {
        ("SearchUsers", "InvalidParameterException"): requests["SearchUsers"] | {"FaceId": UNKNOWN_FACE},
        ("GetCelebrityInfo", "ResourceNotFoundException"): requests["GetCelebrityInfo"],
        ("DetectModerationLabels", "HumanLoopQuotaExceededException"): requests["DetectModerationLabels"]
        | {"HumanLoopConfig": {"HumanLoopName": "review", "FlowDefinitionArn": "arn:aws:sagemaker:x"}},
        ("DetectModerationLabels", "ResourceNotFoundException"): requests["DetectModerationLabels"]
        | {"ProjectVersion": "arn:aws:rekognition:eu-central-1:000000000000:project/p/version/v/1"},
        ("CreateUser", "ConflictException"): requests["CreateUser"] | {"UserId": world.user},
        ("ListUsers", "InvalidPaginationTokenException"): requests["ListUsers"] | token,
        ("SearchFaces", "InvalidParameterException"): requests["SearchFaces"],
        ("CreateCollection", "ResourceAlreadyExistsException"): {"CollectionId": world.collection},
        ("ListCollections", "InvalidPaginationTokenException"): token,
        ("ListFaces", "InvalidPaginationTokenException"): requests["ListFaces"] | token,
    }


LIMITED = {
    ("AssociateFaces", "ServiceQuotaExceededException"),
    ("CreateCollection", "ServiceQuotaExceededException"),
    ("CreateUser", "ServiceQuotaExceededException"),
    ("IndexFaces", "ServiceQuotaExceededException"),
    ("TagResource", "ServiceQuotaExceededException"),
    *((f"Start{job}", "LimitExceededException") for job in VIDEO_JOBS),
}
"""Errors of limits, each with a test of its own: below, in test_users.py for the faces of one user, and in
test_video_jobs.py for jobs."""


def test_every_declared_error_of_every_built_operation_is_in_these_tables(world: World) -> None:
    declared = {(name, error) for name in HANDLERS for error in OPERATIONS[name].errors}
    everywhere = {(name, error) for name in HANDLERS for error in EVERYWHERE}
    tables = [set(wrong(world)), everywhere, LIMITED, set(NEVER)]
    assert set().union(*tables) == declared
    assert sum(map(len, tables)) == len(declared), "no pair twice"
    assert set(sound(world)) == set(HANDLERS)


@pytest.fixture(scope="module")
def world(
    stack: Any, client: Any, collins: bytes, group: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    name, bucket, folder = f"errors-{uuid4()}", f"errors-{uuid4()}", tmp_path_factory.mktemp("bucket")
    (folder / "large.jpg").write_bytes(b"\xff\xd8" + bytes(15 * 1024 * 1024))
    (folder / "film.mp4").write_bytes(b"no film")
    with (folder / "large.mp4").open("wb") as large:
        large.truncate(MOST_BYTES + 1)
    stack.openrek("buckets", "add", bucket, str(folder), "--region", stack.region)
    client.create_collection(CollectionId=name)
    known, used = {"CollectionId": name, "UserId": "known"}, {"ClientRequestToken": str(uuid4())}
    client.create_user(CollectionId=name, UserId="known", **used)
    client.associate_faces(**known, FaceIds=[UNKNOWN_FACE], **used)
    client.disassociate_faces(**known, FaceIds=[UNKNOWN_FACE], **used)
    client.delete_user(**known, **used)
    client.create_user(**known)
    made = World(name, "known", used["ClientRequestToken"], bucket, collins, group)
    for job in VIDEO_JOBS:
        start = getattr(client, xform_name(f"Start{job}"))
        made.jobs[job] = start(**sound(made)[f"Start{job}"], **used)["JobId"]
    yield made
    client.delete_collection(CollectionId=name)


@dataclass(frozen=True)
class Api:
    """One more API process of the stack, with settings of its own."""

    endpoint: str
    log: Path


@contextmanager
def _api(stack: Any, log: Path, **variables: str) -> Iterator[Api]:
    port = free_port()
    command = [sys.executable, "-m", "openrek", "api", "--home", str(stack.home), "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env={**stack.environment, **variables}, stderr=out)
    try:
        api = Api(f"http://127.0.0.1:{port}", log)
        _wait_until_it_answers(f"{api.endpoint}/healthz", process, log)
        yield api
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_SECONDS)


def _wait_until_it_answers(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail(log.read_text())


def _client(stack: Any, endpoint: str, region: str, credentials: Path | None = None) -> Any:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials or stack.home / "credentials"))
        config = Config(retries={"total_max_attempts": 1}, max_pool_connections=len(HANDLERS))
        return boto3.Session().client("rekognition", region, endpoint_url=endpoint, config=config)


def _refused(client: Any, operation: str, request: Mapping[str, Any], error: str) -> dict[str, Any]:
    """Calls an operation, which must fail with the modelled error; the answer's metadata."""
    with pytest.raises(ClientError) as caught:
        getattr(client, xform_name(operation))(**request)
    assert caught.value.response["Error"]["Code"] == error
    assert type(caught.value) is getattr(client.exceptions, error), "clients catch it by its class"
    metadata: dict[str, Any] = caught.value.response["ResponseMetadata"]
    assert metadata["HTTPStatusCode"] == (500 if error in (BROKEN, FULL) else 400)
    assert re.fullmatch("[0-9a-f-]{36}", metadata["RequestId"])
    return metadata


def test_what_is_wrong_with_a_request(client: Any, world: World) -> None:
    for (operation, error), request in wrong(world).items():
        _refused(client, operation, request, error)


def test_a_key_for_other_operations(stack: Any, world: World, tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text(stack.openrek("keys", "create", "--operations", "DescribeStreamProcessor,DescribeProjects"))
    client = _client(stack, stack.endpoint, stack.region, credentials)
    for operation, request in sound(world).items():
        _refused(client, operation, request, DENIED)
    with pytest.raises(ClientError, match="UnsupportedOperationException"):
        client.describe_projects()
    assert "only DescribeProjects,DescribeStreamProcessor" in stack.openrek("keys", "list")


def test_a_key_for_one_operation_may_call_it(stack: Any, world: World, tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text(stack.openrek("keys", "create", "--operations", "DetectFaces"))
    client = _client(stack, stack.endpoint, stack.region, credentials)
    assert client.detect_faces(Image={"Bytes": world.portrait})["FaceDetails"]
    _refused(client, "ListCollections", {}, DENIED)


def test_more_requests_than_are_taken_at_a_time(stack: Any, small_server: Any, world: World) -> None:
    client = _client(stack, small_server.endpoint, stack.region)
    with small_server.full():
        for operation, request in sound(world).items():
            _refused(client, operation, request, FULL)


def test_more_requests_a_second_than_an_account_may_send(stack: Any, world: World, tmp_path: Path) -> None:
    with _api(stack, tmp_path / "log", OPENREK_ACCOUNT_REQUESTS_PER_SECOND="0.001") as api:
        client = _client(stack, api.endpoint, stack.region)
        for operation, request in sound(world).items():
            try:
                getattr(client, xform_name(operation))(**request)
            except ClientError as error:
                assert error.response["Error"]["Code"] != FAST
            _refused(client, operation, request, FAST)


def test_limits_of_collections_faces_users_and_tags(stack: Any, world: World, tmp_path: Path) -> None:
    error = "ServiceQuotaExceededException"
    with _api(
        stack, tmp_path / "log", OPENREK_COLLECTION_LIMIT="1", OPENREK_FACE_LIMIT="1", OPENREK_USER_LIMIT="1"
    ) as api:
        client = _client(stack, api.endpoint, REGION_OF_LIMITS)
        name = f"one-{uuid4()}"
        client.create_collection(CollectionId=name)
        _refused(client, "CreateCollection", {"CollectionId": f"two-{uuid4()}"}, error)
        assert client.list_collections()["CollectionIds"] == [name]
        _refused(client, "IndexFaces", {"CollectionId": name, "Image": {"Bytes": world.group}}, error)
        assert client.describe_collection(CollectionId=name)["FaceCount"] == 0, "nothing of it is stored"
        client.index_faces(CollectionId=name, Image={"Bytes": world.portrait})
        client.create_user(CollectionId=name, UserId="one")
        _refused(client, "CreateUser", {"CollectionId": name, "UserId": "two"}, error)
        assert client.describe_collection(CollectionId=name)["UserCount"] == 1
        arn = f"arn:aws:rekognition:{REGION_OF_LIMITS}:000000000000:collection/{name}"
        client.tag_resource(ResourceArn=arn, Tags={f"key-{n}": "x" for n in range(200)})
        _refused(client, "TagResource", {"ResourceArn": arn, "Tags": {"key-200": "x", "key-0": "changed"}}, error)
        tags = client.list_tags_for_resource(ResourceArn=arn)["Tags"]
        assert len(tags) == 200 and tags["key-0"] == "x"
        client.delete_collection(CollectionId=name)


def test_without_a_database_every_operation_fails_and_says_so_in_the_log(
    stack: Any, world: World, tmp_path: Path
) -> None:
    nowhere = f"postgresql://openrek@127.0.0.1:{free_port()}/openrek"
    with _api(stack, tmp_path / "log", DATABASE_URL=nowhere) as api, ThreadPoolExecutor(len(HANDLERS)) as threads:
        client = _client(stack, api.endpoint, stack.region)
        calls = {
            operation: threads.submit(_refused, client, operation, request, BROKEN)
            for operation, request in sound(world).items()
        }
        request_ids = {operation: call.result()["RequestId"] for operation, call in calls.items()}
        log = api.log.read_text()
    for operation, request_id in request_ids.items():
        line = f"ERROR api api.app: request_id={request_id} operation={operation} failed: The database cannot serve"
        assert line in log


def test_without_the_model_and_index_servers_nothing_is_half_written(
    stack: Any, client: Any, world: World, tmp_path: Path
) -> None:
    requests = sound(world)
    requests["SearchFaces"]["FaceId"] = client.index_faces(
        CollectionId=world.collection, Image={"Bytes": world.portrait}
    )["FaceRecords"][0]["Face"]["FaceId"]
    before = client.list_faces(CollectionId=world.collection)["Faces"]
    gone = {f"OPENREK_{part}_URL": f"unix://{tmp_path}/gone" for part in ("INFERENCE", "VECTORINDEX")}
    requests["IndexFaces"]["Image"] = {"Bytes": world.group}
    needing_them = (
        "CompareFaces",
        "DetectFaces",
        "DetectText",
        "IndexFaces",
        "RecognizeCelebrities",
        "SearchFaces",
        "SearchFacesByImage",
        "SearchUsersByImage",
    )
    with _api(stack, tmp_path / "log", **gone) as api, ThreadPoolExecutor(len(needing_them)) as threads:
        cut_off = _client(stack, api.endpoint, stack.region)
        calls = {name: threads.submit(_refused, cut_off, name, requests[name], BROKEN) for name in needing_them}
        request_ids = {name: call.result()["RequestId"] for name, call in calls.items()}
        log = api.log.read_text()
        for operation, request_id in request_ids.items():
            assert f"ERROR api api.app: request_id={request_id} operation={operation} failed" in log
        assert cut_off.list_faces(CollectionId=world.collection)["Faces"] == before, "what needs neither still works"
    assert client.describe_collection(CollectionId=world.collection)["FaceCount"] == len(before)


def test_a_model_server_that_is_killed_in_the_middle(stack: Any, client: Any, world: World) -> None:
    before = client.list_faces(CollectionId=world.collection)["Faces"]
    killed = int((stack.home / "run" / "inference.pid").read_text().split()[0])
    os.kill(killed, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(1) as threads:
            request = {"CollectionId": world.collection, "Image": {"Bytes": world.group}}
            call = threads.submit(_refused, client, "IndexFaces", request, BROKEN)
            time.sleep(0.5)
            assert not call.done()
            os.kill(killed, signal.SIGKILL)
            metadata = call.result(timeout=START_SECONDS)
    finally:
        _wait_until_ready_again(stack, killed)
    assert f"request_id={metadata['RequestId']} operation=IndexFaces failed" in stack.api_log()
    assert client.list_faces(CollectionId=world.collection)["Faces"] == before
    assert len(client.index_faces(**request)["FaceRecords"]) == 2, "it works again"


def _wait_until_ready_again(stack: Any, killed: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, IndexError):  # not there, empty, or not ready
            if int((stack.home / "run" / "inference.pid").read_text().split()[0]) != killed:
                urllib.request.urlopen(f"{stack.endpoint}/readyz", timeout=5).close()
                return
        time.sleep(0.1)
    pytest.fail("the model server does not come back")
