"""The wire as boto3 and a plain socket see it: a real server process, real signatures, fake services.

Run as a program, with a file descriptor of a listening socket, this file is that server.
"""

from __future__ import annotations

import hashlib
import json
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from unittest.mock import patch
from urllib.parse import urlsplit

import boto3
import botocore.exceptions
import httpx
import psutil
import pytest
from botocore import xform_name
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

import api.connection
import inference.errors
import storage.errors
from api import errors
from api.app import create_app, serve
from api.auth import Credential, sigv4
from api.context import ApiSettings, Context, Services
from api.model import OPERATIONS, SERVICE
from api.operations import Handler

ACCOUNT = "111122223333"
ARN = f"arn:aws:iam::{ACCOUNT}:root"
CREATED = datetime(2023, 11, 14, 22, 13, 20, 250_000, UTC)
MAX_BODY_BYTES = 16 * 1024 * 1024
BODY_TIMEOUT_SECONDS = 3.0
HEAD_SECONDS = 2.0
KEYS = {
    "AKIDFAKE": Credential("fake secret", ACCOUNT, ARN),
    "ASIAFAKE": Credential("fake secret", ACCOUNT, ARN, "fake token", datetime(2100, 1, 1, tzinfo=UTC)),
    "ASIAOLD": Credential("fake secret", ACCOUNT, ARN, "fake token", datetime(2020, 1, 1, tzinfo=UTC)),
}


class FakePart:
    """A fake for the services that the handlers here do not use."""


def list_collections(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    return {"CollectionIds": [ctx.tenant.account, ctx.tenant.region], "FaceModelVersions": [], "NextToken": None}


def describe_collection(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Raises what the collection's name says, if anything."""
    name = request["CollectionId"]
    raised: dict[str, Exception] = {
        "missing": storage.errors.CollectionNotFound(name=name),
        "overloaded": inference.errors.Overloaded(),
        "denied": errors.AccessDeniedException("no"),
        "broken": RuntimeError("broken"),
    }
    if name in raised:
        raise raised[name]
    return {"FaceCount": 2**40, "CreationTimestamp": CREATED, "CollectionARN": None}


def detect_faces(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    image = request["Image"]["Bytes"]
    assert isinstance(image, bytes)
    return {"FaceDetails": [{"Confidence": len(image) / 1e6, "Landmarks": []}]}


def delete_collection(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    time.sleep(1)
    return {"StatusCode": 200}


HANDLERS: dict[str, Handler] = {
    "ListCollections": list_collections,
    "DescribeCollection": describe_collection,
    "DetectFaces": detect_faces,
    "DeleteCollection": delete_collection,
}


def main(descriptor: int) -> None:
    logging.basicConfig(level=logging.WARNING)
    api.connection.HEAD_SECONDS = HEAD_SECONDS
    part = cast(Any, FakePart())
    settings = ApiSettings(
        version="0",
        face_model_version="1",
        max_body_bytes=MAX_BODY_BYTES,
        check_answers=True,
        body_timeout_seconds=BODY_TIMEOUT_SECONDS,
    )
    services = Services(part, part, part, part, part, settings, bytes(32), lambda: None)
    app = create_app(services, sigv4(KEYS.get), handlers=HANDLERS, parts={"fake": lambda: None})
    serve(app, bound=socket.socket(fileno=descriptor), stop_seconds=5)


class WireServer:
    """The server process and its address."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as bound:
            self.port = bound.getsockname()[1]
            self.url = f"http://127.0.0.1:{self.port}"
            command = [sys.executable, __file__, str(bound.fileno())]
            self.process = subprocess.Popen(command, pass_fds=[bound.fileno()])
        # The socket listens already, so the first connection waits until the process answers.
        assert httpx.get(f"{self.url}/readyz", timeout=30).json() == {"ready": True, "parts": {"fake": "ready"}}

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)

    def client(self, access_key_id: str = "AKIDFAKE", secret: str = "fake secret", token: str | None = None) -> Any:
        return boto3.session.Session().client(
            "rekognition",
            endpoint_url=self.url,
            region_name="eu-west-1",
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
        )


@pytest.fixture(scope="module")
def server() -> Iterator[WireServer]:
    started = WireServer()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def rekognition(server: WireServer) -> Any:
    return server.client()


def code_of(raised: pytest.ExceptionInfo[botocore.exceptions.ClientError]) -> tuple[str, str, int]:
    response = raised.value.response
    assert len(response["ResponseMetadata"]["RequestId"]) == 36
    return (
        response["Error"]["Code"],
        response["Error"].get("Message", ""),
        response["ResponseMetadata"]["HTTPStatusCode"],
    )


def test_success(rekognition: Any) -> None:
    answer = rekognition.list_collections()
    assert answer["CollectionIds"] == [ACCOUNT, "eu-west-1"]
    assert answer["FaceModelVersions"] == [] and "NextToken" not in answer
    assert answer["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/x-amz-json-1.1"
    described = rekognition.describe_collection(CollectionId="any")
    assert described["CreationTimestamp"] == CREATED and described["FaceCount"] == 2**40


def test_images_up_to_the_limit_of_the_model(rekognition: Any) -> None:
    largest = bytes(5_242_880)
    assert rekognition.detect_faces(Image={"Bytes": largest})["FaceDetails"][0]["Confidence"] == pytest.approx(5.24288)
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        rekognition.detect_faces(Image={"Bytes": largest + b"x"})
    assert code_of(raised) == (
        "ValidationException",
        "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=5242881 cap=5242881]' at 'image.bytes' "
        "failed to satisfy constraint: Member must have length less than or equal to 5242880",
        400,
    )


def test_a_body_over_the_limit_is_refused_and_the_connection_lives_on(rekognition: Any) -> None:
    for _ in range(2):
        with pytest.raises(botocore.exceptions.ClientError) as raised:
            rekognition.detect_faces(Image={"Bytes": bytes(MAX_BODY_BYTES)})
        assert code_of(raised)[::2] == ("RequestEntityTooLargeException", 413)
        assert rekognition.list_collections()["CollectionIds"]


def test_an_endless_body_is_refused_before_it_ends(server: WireServer) -> None:
    head = (
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-amz-json-1.1\r\n"
        "X-Amz-Target: RekognitionService.ListCollections\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head.encode())
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        for _ in range(MAX_BODY_BYTES // 0x100000 + 1):
            connection.sendall(chunk)
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_declared_length_over_the_limit_is_refused_unread(server: WireServer) -> None:
    head = (
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-amz-json-1.1\r\nExpect: 100-continue\r\n"
        f"X-Amz-Target: RekognitionService.ListCollections\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"POST / HTTP/1.1\r\nX: ", b"a" * 60_000),
        (b"POST / HTTP/1.1\r\n", b"a: b\r\n" * 10_000),
        (b"POST /?", b"a" * 60_000),
        (
            b"POST / HTTP/1.1\r\nContent-Type: application/x-amz-json-1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            b"a: b\r\n" * 10_000,
        ),
        (
            b"POST / HTTP/1.1\r\nContent-Type: application/x-amz-json-1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;",
            b"a" * 60_000,
        ),
    ],
    ids=["a header", "headers", "a query", "trailers", "a chunk's extension"],
)
def test_nothing_beside_a_body_goes_on_without_end(server: WireServer, start: bytes, more: bytes) -> None:
    process = psutil.Process(server.process.pid)
    before, sent = process.memory_info().rss, 0
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection,
        pytest.raises((ConnectionResetError, BrokenPipeError)),
    ):
        connection.sendall(start)
        while sent < 60_000_000:
            connection.sendall(more)
            sent += len(more)
    assert process.memory_info().rss - before < 40_000_000
    assert httpx.get(f"{server.url}/healthz").status_code == 200


def test_a_head_that_stops_arriving(server: WireServer) -> None:
    for start in (b"", b"POST / HTTP/1.1\r\nHost: h\r\nX", HEALTHZ + b"GET /healthz HT"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(start)
            while connection.recv(1000):
                continue


def test_rubbish_behind_requests_in_progress_leaves_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    server = WireServer()
    body = b'{"CollectionId": "slow"}'
    url = urlsplit(presign_with_body(server.url + "/", body, "DeleteCollection"))
    headers = HEADERS | {"Host": url.netloc, "X-Amz-Target": "RekognitionService.DeleteCollection"}
    lines = [f"POST {url.path}?{url.query} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    slow = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(slow * 2 + b"\0rubbish\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
    time.sleep(1.5)
    server.stop()
    assert "Traceback" not in capfd.readouterr().err


def test_the_head_of_an_answer_comes_with_its_body(server: WireServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        for _ in range(5):
            connection.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
            answer = connection.recv(1000)
            assert answer.startswith(b"HTTP/1.1 404 ") and answer.endswith(b"\r\n\r\n<UnknownOperationException/>\n")


def test_an_answer_without_a_body(server: WireServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert connection.recv(1000).endswith(b"\r\n\r\n")


HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"


def test_a_body_that_stops_arriving(server: WireServer) -> None:
    head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: 10\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    ("name", "exception", "message", "status"),
    [
        ("missing", "ResourceNotFoundException", "The collection id: missing does not exist", 400),
        ("overloaded", "ThrottlingException", errors.ThrottlingException.__doc__, 500),
        ("denied", "AccessDeniedException", "no", 400),
        ("broken", "InternalServerError", "Internal server error", 500),
    ],
)
def test_modelled_errors(rekognition: Any, name: str, exception: str, message: str, status: int) -> None:
    with pytest.raises(getattr(rekognition.exceptions, exception)) as raised:
        rekognition.describe_collection(CollectionId=name)
    assert code_of(raised) == (exception, message, status)


def test_all_operations_are_routed(rekognition: Any) -> None:
    for name, operation in OPERATIONS.items():
        if name in HANDLERS:
            continue
        with pytest.raises(botocore.exceptions.ClientError) as raised:
            getattr(rekognition, xform_name(name))()
        filled = SERVICE.operation_model(name).idempotent_members
        missing = set(operation.input_shape.required_members) - set(filled)
        assert code_of(raised)[0] == ("ValidationException" if missing else "UnsupportedOperationException"), name


@pytest.mark.parametrize(
    ("access_key_id", "secret", "token", "code"),
    [
        ("AKIDFAKE", "wrong", None, "InvalidSignatureException"),
        ("AKIDOTHER", "fake secret", None, "UnrecognizedClientException"),
        ("AKIDFAKE", "fake secret", "fake token", "UnrecognizedClientException"),
        ("ASIAFAKE", "fake secret", "wrong", "UnrecognizedClientException"),
        ("ASIAOLD", "fake secret", "fake token", "ExpiredTokenException"),
    ],
)
def test_wrong_credentials(server: WireServer, access_key_id: str, secret: str, token: str | None, code: str) -> None:
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        server.client(access_key_id, secret, token).list_collections()
    assert code_of(raised)[::2] == (code, 400)


def test_temporary_credentials(server: WireServer) -> None:
    assert server.client("ASIAFAKE", "fake secret", "fake token").list_collections()["CollectionIds"]


@pytest.mark.parametrize(("minutes", "text"), [(-16, "Signature expired: "), (16, "Signature not yet current: ")])
def test_a_clock_that_is_wrong(rekognition: Any, minutes: int, text: str) -> None:
    wrong = datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=minutes)
    with (
        patch("botocore.auth.get_current_datetime", return_value=wrong),
        pytest.raises(botocore.exceptions.ClientError) as raised,
    ):
        rekognition.list_collections()
    code, message, _ = code_of(raised)
    assert code == "InvalidSignatureException" and message.startswith(text)
    # A client corrects its clock by this header.
    told = raised.value.response["ResponseMetadata"]["HTTPHeaders"]["date"]
    assert abs(
        datetime.strptime(told, "%a, %d %b %Y %H:%M:%S GMT") - datetime.now(UTC).replace(tzinfo=None)
    ) < timedelta(seconds=10)


HEADERS = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "RekognitionService.ListCollections"}


def test_unsigned(server: WireServer) -> None:
    response = httpx.post(server.url, content=b"{}", headers=HEADERS)
    assert (response.status_code, response.json()) == (
        400,
        {"__type": "MissingAuthenticationTokenException", "message": "Request is missing Authentication Token"},
    )
    assert httpx.post(server.url, content=b"", headers=HEADERS).json()["__type"] == "SerializationException"


def test_presigned(server: WireServer) -> None:
    presigned = presign_with_body(server.url + "/", b"{}")
    assert httpx.post(presigned, content=b"{}", headers=HEADERS).json()["CollectionIds"] == [ACCOUNT, "us-east-1"]
    tampered = httpx.post(presigned, content=b"{ }", headers=HEADERS)
    assert (tampered.status_code, tampered.json()["__type"]) == (400, "InvalidSignatureException")


def presign_with_body(url: str, body: bytes, operation: str = "ListCollections") -> str:
    """A presigned URL for a body, which botocore itself only moves into the query."""

    class PresignBody(SigV4QueryAuth):  # type: ignore[misc]
        def payload(self, request: Any) -> str:
            return hashlib.sha256(body).hexdigest()

    request = AWSRequest("POST", url, HEADERS | {"X-Amz-Target": f"RekognitionService.{operation}"})
    PresignBody(Credentials("AKIDFAKE", "fake secret"), "rekognition", "us-east-1", 60).add_auth(request)
    return str(request.url)


def test_other_requests(server: WireServer) -> None:
    for response in (httpx.get(server.url), httpx.post(f"{server.url}/other"), httpx.post(server.url, json={})):
        assert (response.status_code, response.content) == (404, b"<UnknownOperationException/>\n")
    assert httpx.get(f"{server.url}/healthz").json() == {"alive": True}


def test_a_raw_body_over_several_packets(server: WireServer) -> None:
    body = json.dumps({"Unknown": "x" * 300_000}).encode()
    response = httpx.post(presign_with_body(server.url + "/", body), content=body, headers=HEADERS)
    assert response.status_code == 200


def test_stopping_lets_requests_in_progress_finish() -> None:
    server = WireServer()
    client = server.client()
    with socket.create_connection(("127.0.0.1", server.port)):
        answers: list[int] = []
        request = threading.Thread(
            target=lambda: answers.append(client.delete_collection(CollectionId="slow")["StatusCode"])
        )
        request.start()
        time.sleep(0.4)
        server.stop()
        request.join(10)
    assert answers == [200]
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", server.port), timeout=1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
