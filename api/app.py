"""The ASGI app: one endpoint for all operations, and two for whoever watches the process."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from typing import Any

import anyio
import anyio.to_thread
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from api import arns, protocol, validation
from api.auth import Authenticate, Caller, HttpRequest
from api.connection import Connection
from api.context import Context, Services
from api.errors import (
    UNAVAILABLE,
    AccessDeniedException,
    AwsError,
    ClientClosedRequest,
    InternalServerError,
    ModelledError,
    ProvisionedThroughputExceededException,
    RequestEntityTooLargeException,
    RequestTimeoutException,
    ThrottlingException,
    UnknownOperationException,
    UnsupportedOperationException,
    from_domain,
    to_response,
)
from api.model import Operation, targeted
from api.operations import HANDLERS, Handler
from api.rates import RateLimit
from inference.client import InferenceClient
from storage.tenant import Tenant

log = logging.getLogger(__name__)
access_log = logging.getLogger("api.access")

# What the server framework of the real service answers to anything that is not an AWS JSON POST.
NOT_THE_PROTOCOL = b"<UnknownOperationException/>\n"

Part = Callable[[], str | None]


@dataclass(eq=False)
class Record:
    """What becomes known of a request while it is handled, for its log line."""

    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: float = field(default_factory=time.perf_counter)
    operation: Operation | None = None
    caller: Caller | None = None
    gone: bool = False


@dataclass(frozen=True)
class Answer:
    """An ASGI application that sends one answer: a Response of Starlette, without what that does for others."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def create_app(
    services: Services,
    authenticate: Authenticate,
    *,
    handlers: Mapping[str, Handler] = HANDLERS,
    parts: Mapping[str, Part] | None = None,
) -> ASGIApp:
    """The front end: operations, and FastAPI for everything else.

    `authenticate` gives the caller of a request or raises an AuthenticationError. `parts` are what readiness
    depends on: name -> a function that gives None when the part is ready, else what is wrong with it.
    """
    settings = services.settings
    per_second = settings.account_requests_per_second
    rate = None if per_second is None else RateLimit(per_second)
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    threads = ThreadPoolExecutor(settings.threads, "request")
    in_progress: set[Record] = set()

    async def operate(scope: Scope, receive: Receive) -> Answer:
        record = Record()
        headers = _joined_headers(scope)
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type not in protocol.ACCEPTED_CONTENT_TYPES:
            return _not_the_protocol(record)
        if len(in_progress) >= settings.in_progress_limit:
            return _failed(record, ThrottlingException())
        in_progress.add(record)
        try:
            async with asyncio.timeout(settings.body_timeout_seconds):
                body = await _read_body(headers, receive, settings.max_body_bytes)
            query = scope["query_string"].decode("latin-1")
            request = HttpRequest(query, headers, body)
            working = threads.submit(respond, request, record)
            watching = asyncio.create_task(_drop_when_gone(receive, record, services.inference, working))
            try:
                return await asyncio.wrap_future(working)
            finally:
                watching.cancel()
        except AwsError as error:
            return _failed(record, error)
        except TimeoutError:
            return _failed(record, RequestTimeoutException())
        except asyncio.CancelledError:
            if not record.gone:
                raise
            return _failed(record, ClientClosedRequest())  # before its turn came
        finally:
            in_progress.remove(record)

    def respond(request: HttpRequest, record: Record) -> Answer:
        try:
            return _succeeded(record, answer(request, record))
        except Exception as error:
            return _failed(record, error)

    def answer(request: HttpRequest, record: Record) -> bytes:
        body = protocol.load(request.body)
        operation = record.operation = targeted(request.headers.get("x-amz-target", ""))
        if operation is None:
            raise UnknownOperationException
        caller = record.caller = authenticate(request)
        parsed = protocol.parse(operation, body)
        validation.check(operation, parsed)
        authorise(caller, operation)
        if rate is not None and not rate.allows(caller.account, operation.name):
            raise ProvisionedThroughputExceededException
        if operation.name not in handlers:
            raise UnsupportedOperationException(f"OpenRek {settings.version} does not implement {operation.name} yet.")
        context = Context(record.request_id, Tenant(caller.account, caller.region), caller.arn, services)
        result = handlers[operation.name](context, parsed)
        if settings.check_answers:
            check_answer(operation, result)
        return protocol.serialise(operation, result)

    @app.get("/healthz")
    async def healthz() -> dict[str, bool]:
        return {"alive": True}

    checks = anyio.CapacityLimiter(4 * max(1, len(parts or {})))

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        problems = await _problems(parts or {}, settings.readiness_timeout_seconds, checks)
        ready = not any(problems.values())
        states = {name: problem or "ready" for name, problem in problems.items()}
        return JSONResponse({"ready": ready, "parts": states}, status_code=200 if ready else 503)

    @app.exception_handler(404)
    @app.exception_handler(405)
    async def elsewhere(http: Request, error: Exception) -> Answer:
        return _not_the_protocol(Record())

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        # Routing, middleware and telemetry take a good part of an operation's time, and do nothing for it.
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == "/":
            answer = await operate(scope, receive)
            await answer(scope, receive, send)
        else:
            await app(scope, receive, send)

    return front


def authorise(caller: Caller, operation: Operation) -> None:
    """Raises AccessDeniedException when the caller's key is limited to other operations."""
    if caller.operations is not None and operation.name not in caller.operations:
        resource = arns.everything(Tenant(caller.account, caller.region))
        raise AccessDeniedException(
            f"User: {caller.arn} is not authorized to perform: rekognition:{operation.name} on resource: {resource}"
        )


def check_answer(operation: Operation, result: dict[str, Any]) -> None:
    """Raises ValueError when an answer breaks the service model."""
    found = validation.check_output(operation.name, result)
    if found:
        raise ValueError(f"the answer of {operation.name} breaks the service model: {'; '.join(found)}")


def serve(
    app: ASGIApp,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    bound: socket.socket | None = None,
    stop_seconds: int = 10,
) -> None:
    """Serves until SIGTERM or SIGINT, then lets the requests in progress finish for up to `stop_seconds`.

    Listens on `bound`, an already bound socket, or else on `host` and `port`. Logging is the caller's to set up.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        date_header=False,
        server_header=False,
        proxy_headers=False,
        # Longer than SDKs keep an idle connection, so that they never send into one that is just being closed.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=stop_seconds,
    )
    # What is loaded by now stays: the collector would look through all of it again and again.
    gc.collect()
    gc.freeze()
    uvicorn.Server(config).run(sockets=[bound] if bound is not None else None)


async def _drop_when_gone(
    receive: Receive, record: Record, inference: InferenceClient, working: Future[Answer]
) -> None:
    """Waits until the client hangs up; then its request does not begin any more, or its pictures are dropped."""
    while (await receive())["type"] != "http.disconnect":
        continue
    record.gone = True
    if not working.cancel():
        asyncio.get_running_loop().run_in_executor(None, inference.take_back, record.request_id)


async def _read_body(headers: Mapping[str, str], receive: Receive, limit: int) -> bytes:
    """The body; raises RequestEntityTooLargeException as soon as it is known to be longer than `limit` bytes.

    The server discards what the client still sends after that, so the client gets to read the answer.
    Raises ClientClosedRequest when the client does not send all of it.
    """
    declared = headers.get("content-length", "0")
    chunks: list[bytes] = []
    size = int(declared) if declared.isdecimal() else 0
    if size <= limit:
        size, more = 0, True
        while more and size <= limit:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientClosedRequest
            chunk, more = message.get("body", b""), message.get("more_body", False)
            size += len(chunk)
            chunks.append(chunk)
    if size > limit:
        raise RequestEntityTooLargeException(f"The request body is longer than {limit} bytes.")
    return b"".join(chunks)


def _joined_headers(scope: Scope) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _answer(
    record: Record, status: int, body: bytes, error_type: str | None = None, content_type: str = protocol.CONTENT_TYPE
) -> Answer:
    headers = {
        "x-amzn-RequestId": record.request_id,
        # Clients set their clock by the Date of an answer that refuses their signature.
        "Date": _date(int(time.time())),
        **({"x-amzn-ErrorType": error_type} if error_type else {}),
        "Content-Length": str(len(body)),
        "Content-Type": content_type,
    }
    return Answer(status, body, headers)


@lru_cache(1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


def _succeeded(record: Record, body: bytes) -> Answer:
    _log_access(record, 200, None)
    return _answer(record, 200, body)


def _failed(record: Record, raised: Exception) -> Answer:
    error = raised if isinstance(raised, AwsError) else from_domain(raised)
    name = record.operation.name if record.operation else "-"
    if error is None:
        known = isinstance(raised, UNAVAILABLE)
        text = "request_id=%s operation=%s failed: %s"
        log.error(text, record.request_id, name, raised, exc_info=None if known else raised)
        error = InternalServerError()
    if isinstance(error, ModelledError) and record.operation and error.code not in record.operation.errors:
        log.warning("request_id=%s operation=%s does not declare %s", record.request_id, name, error.code)
    status, body = to_response(error, record.request_id)
    _log_access(record, status, error.code)
    return _answer(record, status, body, error.code)


def _not_the_protocol(record: Record) -> Answer:
    _log_access(record, 404, "UnknownOperationException")
    return _answer(record, 404, NOT_THE_PROTOCOL, content_type="application/xml")


def _log_access(record: Record, status: int, code: str | None) -> None:
    access_log.info(
        "request_id=%s operation=%s status=%d error=%s ms=%.1f account=%s",
        record.request_id,
        record.operation.name if record.operation else "-",
        status,
        code or "-",
        (time.perf_counter() - record.started) * 1000,
        record.caller.account if record.caller else "-",
    )


async def _problems(
    parts: Mapping[str, Part], timeout_seconds: float, limiter: anyio.CapacityLimiter
) -> dict[str, str | None]:
    """What is wrong with each part, None where nothing is; the checks run side by side."""
    problems: dict[str, str | None] = {name: f"no answer within {timeout_seconds:g} s" for name in parts}

    async def check(name: str, part: Part) -> None:
        with anyio.move_on_after(timeout_seconds):
            try:
                problems[name] = await anyio.to_thread.run_sync(part, abandon_on_cancel=True, limiter=limiter)
            except Exception as error:
                log.warning("readiness check of %s failed", name, exc_info=True)
                problems[name] = type(error).__name__

    async with anyio.create_task_group() as group:
        for name, part in parts.items():
            group.start_soon(check, name, part)
    return problems
