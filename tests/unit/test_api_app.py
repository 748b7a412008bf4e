"""The pipeline of a request: its order, its answers, its log lines; and the two watchers' endpoints."""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

import anyio
import httpx
import pytest
from fastapi import FastAPI

import inference.errors
import storage.errors
from api import errors
from api.app import create_app
from api.auth import Caller, HttpRequest
from api.context import ApiSettings, Context, Services
from api.model import OPERATIONS
from api.operations import Handler

ARN = "arn:aws:iam::111122223333:user/someone"
LIMIT = 5000


class FakePart:
    """A fake for the services that the handlers here do not use."""


def services(**settings: Any) -> Services:
    part = cast(Any, FakePart())
    known: dict[str, Any] = {"version": "0.1.0", "face_model_version": "1", "max_body_bytes": LIMIT}
    return Services(part, part, part, part, part, ApiSettings(**known | settings), bytes(32), lambda: None)


def fake_authenticate(request: HttpRequest) -> Caller:
    """Takes the header x-user for the caller's name."""
    user = request.headers.get("x-user")
    if user is None:
        raise errors.MissingAuthenticationTokenException
    allowed = frozenset({"ListFaces"}) if user == "limited" else None
    return Caller("111122223333", "eu-west-1", ARN, allowed)


def raising(error: Exception) -> Handler:
    def handler(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        raise error

    return handler


def front(handlers: dict[str, Handler] | None = None, parts: Any = None, **settings: Any) -> FastAPI:
    return create_app(services(**settings), fake_authenticate, handlers=handlers or {}, parts=parts)


def ask(app: FastAPI, method: str, path: str, **request: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, **request)

    return anyio.run(send)


def post(
    app: FastAPI, operation: str, body: Any = None, headers: dict[str, str] | None = None, user: str | None = "u"
) -> httpx.Response:
    sent = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"RekognitionService.{operation}"}
    content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    return ask(app, "POST", "/", content=content, headers=sent | ({"x-user": user} if user else {}) | (headers or {}))


def list_collections(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    return {"CollectionIds": [ctx.request_id, ctx.tenant.account, ctx.tenant.region, ctx.caller_arn], "NextToken": None}


def test_an_answer() -> None:
    response = post(front({"ListCollections": list_collections}), "ListCollections", {"Unknown": 1, "MaxResults": None})
    assert response.status_code == 200
    request_id = response.headers["x-amzn-requestid"]
    assert str(uuid.UUID(request_id)) == request_id
    assert response.json() == {"CollectionIds": [request_id, "111122223333", "eu-west-1", ARN]}
    assert response.headers["content-type"] == "application/x-amz-json-1.1"
    assert int(response.headers["content-length"]) == len(response.content)
    assert abs((parsedate_to_datetime(response.headers["date"]) - datetime.now(UTC)).total_seconds()) < 5
    assert response.headers["date"].endswith(" GMT")


@pytest.mark.parametrize("content_type", ["application/x-amz-json-1.0", "Application/X-Amz-JSON-1.1; charset=utf-8"])
def test_content_types(content_type: str) -> None:
    to = front({"ListCollections": list_collections})
    assert post(to, "ListCollections", headers={"content-type": content_type}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "content_type"),
    [
        ("GET", "/", "application/x-amz-json-1.1"),
        ("PUT", "/", "application/x-amz-json-1.1"),
        ("OPTIONS", "/", "application/x-amz-json-1.1"),
        ("POST", "/elsewhere", "application/x-amz-json-1.1"),
        ("GET", "/docs", ""),
        ("GET", "/healthz/", ""),
        ("GET", "/openapi.json", ""),
        ("POST", "/healthz", "application/x-amz-json-1.1"),
        ("POST", "/", "application/json"),
        ("POST", "/", "application/x-www-form-urlencoded"),
        ("POST", "/", ""),
    ],
)
def test_anything_else_is_no_operation(method: str, path: str, content_type: str) -> None:
    response = ask(front(), method, path, content=b"{}", headers={"content-type": content_type})
    assert (response.status_code, response.content) == (404, b"<UnknownOperationException/>\n")
    assert response.headers["content-type"] == "application/xml"
    assert response.headers["x-amzn-requestid"]


NOT_FOUND = "ResourceNotFoundException"


# Each request has every fault of the ones below it, so the order shows.
ORDER: list[tuple[str, Any, str | None, dict[str, str]]] = [
    ("Nonsense", b"{", None, {"__type": "SerializationException", "Message": "The request body is not a JSON object."}),
    ("Nonsense", {"MaxResults": "x"}, None, {"__type": "UnknownOperationException"}),
    (
        "ListFaces",
        {"MaxResults": "x"},
        None,
        {"__type": "MissingAuthenticationTokenException", "message": "Request is missing Authentication Token"},
    ),
    (
        "DescribeCollection",
        {"CollectionId": 1},
        "limited",
        {"__type": "SerializationException", "Message": "NUMBER_VALUE can not be converted to a String"},
    ),
    (
        "DescribeCollection",
        {},
        "limited",
        {
            "__type": "ValidationException",
            "message": "1 validation error detected: Value null at 'collectionId' failed to satisfy constraint: "
            "Member must not be null",
        },
    ),
    (
        "DescribeCollection",
        {"CollectionId": "c"},
        "limited",
        {
            "__type": "AccessDeniedException",
            "Code": "AccessDeniedException",
            "Message": f"User: {ARN} is not authorized to perform: rekognition:DescribeCollection on resource: "
            "arn:aws:rekognition:eu-west-1:111122223333:*",
        },
    ),
    (
        "DescribeCollection",
        {"CollectionId": "c"},
        "u",
        {"__type": NOT_FOUND, "Code": NOT_FOUND, "Message": "The collection id: c does not exist"},
    ),
    (
        "DeleteCollection",
        {"CollectionId": "c"},
        "u",
        {
            "__type": "UnsupportedOperationException",
            "message": "OpenRek 0.1.0 does not implement DeleteCollection yet.",
        },
    ),
]


@pytest.mark.parametrize(("operation", "body", "user", "expected"), ORDER)
def test_the_order_of_checks(operation: str, body: Any, user: str | None, expected: dict[str, str]) -> None:
    to = front({"DescribeCollection": raising(storage.errors.CollectionNotFound(name="c"))})
    response = post(to, operation, body, user=user)
    found = response.json()
    assert found.pop("Logref", response.headers["x-amzn-requestid"]) == response.headers["x-amzn-requestid"]
    assert (response.status_code, found) == (400, expected)
    assert response.headers["x-amzn-errortype"] == found["__type"]
    assert response.headers["content-type"] == "application/x-amz-json-1.1"


def test_a_missing_or_unsigned_target() -> None:
    response = ask(front(), "POST", "/", content=b"{}", headers={"content-type": "application/x-amz-json-1.1"})
    assert (response.status_code, response.json()) == (400, {"__type": "UnknownOperationException"})


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.InvalidParameterException("no"), 400, "InvalidParameterException"),
        (errors.InternalServerError(), 500, "InternalServerError"),
        (errors.ThrottlingException(), 500, "ThrottlingException"),
        (inference.errors.Overloaded(), 500, "ThrottlingException"),
        (inference.errors.InvalidImage(), 400, "InvalidImageFormatException"),
        (inference.errors.InferenceUnavailable("host"), 500, "InternalServerError"),
        (storage.errors.DatabaseUnavailable(reason="host"), 500, "InternalServerError"),
        (RuntimeError("host"), 500, "InternalServerError"),
        (RecursionError(), 500, "InternalServerError"),
    ],
)
def test_what_handlers_raise(error: Exception, status: int, code: str, caplog: pytest.LogCaptureFixture) -> None:
    response = post(front({"DetectFaces": raising(error)}), "DetectFaces", {"Image": {}})
    assert (response.status_code, response.json()["__type"]) == (status, code)
    assert "host" not in response.text
    failures = [record for record in caplog.records if record.levelno == logging.ERROR]
    unforeseen = code == "InternalServerError" and not isinstance(error, errors.AwsError)
    assert len(failures) == unforeseen
    for failure in failures:
        assert "operation=DetectFaces" in failure.getMessage()
        assert response.headers["x-amzn-requestid"] in failure.getMessage()
        # Nobody needs the stack of a part that is down.
        expected = None if isinstance(error, errors.UNAVAILABLE) else error
        assert (failure.exc_info and failure.exc_info[1]) is expected
        assert str(error) in failure.getMessage()


def test_an_error_that_the_operation_does_not_declare_is_answered_and_noted(caplog: pytest.LogCaptureFixture) -> None:
    response = post(front({"DetectFaces": raising(errors.VideoTooLargeException("no"))}), "DetectFaces", {"Image": {}})
    assert response.json()["__type"] == "VideoTooLargeException"
    assert "operation=DetectFaces does not declare VideoTooLargeException" in caplog.text


@pytest.mark.parametrize("answer", [{"Status": 1}, {"StatusCode": -1}, {"StatusCode": "200"}])
def test_answers_can_be_checked(answer: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    to = front({"DeleteCollection": lambda ctx, request: answer}, check_answers=True)
    assert post(to, "DeleteCollection", {"CollectionId": "c"}).status_code == 500
    assert "the answer of DeleteCollection breaks the service model" in caplog.text


def test_access_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "api.access")
    to = front({"DetectFaces": lambda ctx, request: {}})
    first = post(to, "DetectFaces", {"Image": {"Bytes": "cGljdHVyZQ=="}}, {"x-amz-security-token": "hidden"})
    second = post(to, "DetectFaces", b"{", user=None)
    lines = [record.getMessage() for record in caplog.records if record.name == "api.access"]
    assert [line.partition(" ms=")[0] for line in lines] == [
        f"request_id={first.headers['x-amzn-requestid']} operation=DetectFaces status=200 error=-",
        f"request_id={second.headers['x-amzn-requestid']} operation=- status=400 error=SerializationException",
    ]
    assert lines[0].endswith(" account=111122223333") and lines[1].endswith(" account=-")
    assert "cGljdHVyZQ" not in caplog.text and "picture" not in caplog.text and "hidden" not in caplog.text


def test_the_longest_body() -> None:
    to = front({"ListCollections": lambda ctx, request: {}})
    assert post(to, "ListCollections", b"{" + b" " * (LIMIT - 2) + b"}").status_code == 200
    for body in (b"{" + b" " * (LIMIT - 1) + b"}", b"x" * LIMIT * 20):
        response = post(to, "ListCollections", body, user=None)
        assert response.status_code == 413
        assert response.json() == {
            "__type": "RequestEntityTooLargeException",
            "message": "The request body is longer than 5000 bytes.",
        }


def test_all_operations_are_routed_and_validated() -> None:
    to = front()
    for name, operation in OPERATIONS.items():
        found = post(to, name).json()
        expected = "ValidationException" if operation.input_shape.required_members else "UnsupportedOperationException"
        assert found["__type"] == expected, name
        if expected == "UnsupportedOperationException":
            assert name in found["message"]


def test_more_requests_than_may_be_in_progress_are_throttled() -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        entered.set()
        leave.wait(10)
        return {}

    answers: list[int] = []
    app = front({"ListCollections": slow}, threads=1, in_progress_limit=1)
    first = threading.Thread(target=lambda: answers.append(post(app, "ListCollections").status_code))
    first.start()
    assert entered.wait(10)
    refused = post(app, "ListCollections")
    leave.set()
    first.join()
    assert (refused.status_code, refused.json()["__type"]) == (500, "ThrottlingException")
    assert answers == [200]
    assert post(app, "ListCollections").status_code == 200


def test_healthz() -> None:
    assert ask(front(), "GET", "/healthz").json() == {"alive": True}


def test_readyz() -> None:
    hang = threading.Event()
    all_at_once = threading.Barrier(3)

    def broken() -> str | None:
        raise RuntimeError("secret")

    def hanging() -> str | None:
        hang.wait(20)
        return None

    def waits_for_the_others() -> str | None:
        all_at_once.wait(20)
        return None

    def ready() -> str | None:
        return None

    def readiness(parts: dict[str, Callable[[], str | None]], timeout_seconds: float = 30) -> tuple[int, Any]:
        response = ask(front(parts=parts, readiness_timeout_seconds=timeout_seconds), "GET", "/readyz")
        return response.status_code, response.json()

    assert readiness({}) == (200, {"ready": True, "parts": {}})
    side_by_side = dict.fromkeys(("a", "b", "c"), waits_for_the_others)
    assert readiness({"database": ready, **side_by_side}) == (
        200,
        {"ready": True, "parts": {"database": "ready", "a": "ready", "b": "ready", "c": "ready"}},
    )
    expected = {
        "database": "ready",
        "models": "loading",
        "index": "RuntimeError",
        "queue": "no answer within 2 s",
    }
    checks = {"database": ready, "models": lambda: "loading", "index": broken, "queue": hanging}
    found = readiness(checks, timeout_seconds=2)
    hang.set()
    assert found == (503, {"ready": False, "parts": expected})
