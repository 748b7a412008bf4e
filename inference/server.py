"""The model server: pixels in, dataclasses out, over HTTP on a Unix socket or a TCP port.

One process and one event loop. On the CPU a picture has a core to itself; on a device networks run in threads, behind a
batch queue each. What it cannot take on is refused at once, and work whose caller has gone is dropped.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from inference import errors, memory, networks, raw_frames, wire
from inference.images import Opened, opened
from inference.networks import ModelServerSettings, Networks
from inference.pictures import Picture, RecentPictures
from inference.pipelines.faces import embed_crops, find_faces
from inference.pipelines.labels import find_labels
from inference.pipelines.moderation import moderate
from inference.pipelines.persons import find_persons
from inference.pipelines.protective_equipment import find_equipment
from inference.pipelines.request import (
    FacesRequest,
    LabelsRequest,
    ModerationRequest,
    PersonsRequest,
    PictureRequest,
    ProtectiveEquipmentRequest,
    TextRequest,
)
from inference.pipelines.text import find_text

log = logging.getLogger("inference")

STATUS: dict[type[errors.InferenceError], int] = {
    errors.InvalidImage: 422,
    errors.ImageTooSmall: 422,
    errors.ImageDimensionsTooLarge: 422,
    errors.UnknownFaceModel: 409,
    errors.Overloaded: 503,
    errors.CallerGone: 499,
}
REQUEST_ID_HEADER = "x-request-id"
CROPS_PER_REQUEST = 64
Asked = TypeVar("Asked", bound=PictureRequest)
Pipeline = Callable[[Picture, Asked, Networks], Awaitable[object]]
"""From a picture and what is asked of it to a dataclass of types.py."""


class ModelServer(Starlette):
    """The ASGI app. Tasks, by their paths, get requests as they come: routing, middleware and Starlette's requests take
    longer than all else that is done around a picture."""

    tasks: Mapping[str, ASGIApp]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = self.tasks.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        await (task or super().__call__)(scope, receive, send)


def create_app(settings: ModelServerSettings) -> ModelServer:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.in_work = {}
        app.state.pictures_in_work = app.state.pixels_in_work = app.state.pictures_taken = 0
        app.state.networks = await asyncio.to_thread(networks.load, settings)
        app.state.pictures = RecentPictures(settings.kept_pixels, app.state.networks.chores)
        log.info("pack %s is loaded on %s", settings.pack, settings.device)
        resting = asyncio.create_task(_give_memory_back_at_rest(app))
        yield
        resting.cancel()

    def task(kind: type[Asked], pipeline: Pipeline[Asked]) -> tuple[str, ASGIApp]:
        asked_by = lru_cache(
            lambda query: kind.from_query(dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)))
        )

        async def result(scope: Scope, receive: Receive) -> bytes:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            asked: Asked = asked_by(scope["query_string"])
            request_id, size = headers.get(REQUEST_ID_HEADER, ""), raw_frames.size(headers, asked.max_side)
            if size is None:
                picture = opened(b"".join([piece async for piece in _body(receive)]), asked.min_side, asked.max_side)
                with _place(app.state, settings, picture.pixel_count):
                    return await _unless_gone(
                        app.state, receive, request_id, _begun(app.state, picture, asked, pipeline)
                    )
            with _place(app.state, settings, size[0] * size[1]):
                # Not kept: a frame does not come again.
                frame = Picture(await raw_frames.read(_body(receive), *size))
                return await _unless_gone(app.state, receive, request_id, _begun(app.state, frame, asked, pipeline))

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                response = Response(await result(scope, receive), media_type="application/msgpack")
            except errors.InferenceError as error:
                _let_go(error)
                response = _refusal(error)
            except (ClientDisconnect, asyncio.CancelledError) as error:
                _let_go(error)
                response = _refusal(errors.CallerGone("the caller has gone"))
            await response(scope, receive, send)

        return f"/{kind.task}", answer

    async def embeddings(request: Request) -> Response:
        try:
            crops = wire.decode_crops(await request.body())
            if len(crops) > CROPS_PER_REQUEST:
                raise errors.Overloaded(f"{len(crops)} crops in one request, {CROPS_PER_REQUEST} are accepted")
            version = request.query_params.get("face_model_version")
            result = await embed_crops(crops, version, request.app.state.networks.faces)
        except errors.InferenceError as error:
            return _refusal(error)
        return Response(wire.encode(result), media_type="application/msgpack")

    async def take_back(request: Request) -> Response:
        task = request.app.state.in_work.get(request.path_params["request_id"])
        if task is not None:
            task.cancel()
        return Response(status_code=204)

    async def status(request: Request) -> Response:
        faces = request.app.state.networks.faces
        return JSONResponse(
            {
                "pack": settings.pack,
                "device": settings.device,
                "face_model_version": faces.calibration.face_model_version,
                "face_model_versions": list(faces.embedders),
                "pictures_in_work": request.app.state.pictures_in_work,
                "waiting": {"face_detector": faces.detector.waiting, "face_embedder": faces.embedder.waiting},
            }
        )

    async def alive(_request: Request) -> Response:
        return JSONResponse({"ready": True})

    app = ModelServer(
        routes=[
            Route("/embeddings", embeddings, methods=["POST"]),
            Route("/requests/{request_id}", take_back, methods=["DELETE"]),
            Route("/status", status),
            Route("/healthz", alive),
            Route("/readyz", alive),
        ],
        lifespan=lifespan,
    )
    app.tasks = dict(
        (
            task(FacesRequest, lambda picture, asked, loaded: find_faces(picture, asked, loaded.faces)),
            task(ModerationRequest, lambda picture, _, loaded: moderate(picture, loaded.moderation)),
            task(TextRequest, lambda picture, _, loaded: find_text(picture, loaded.text)),
            task(LabelsRequest, lambda picture, asked, loaded: find_labels(picture, asked, loaded.labels)),
            task(ProtectiveEquipmentRequest, lambda picture, _, loaded: find_equipment(picture, loaded.equipment)),
            task(PersonsRequest, lambda picture, asked, loaded: find_persons(picture, asked, loaded.persons)),
        )
    )
    return app


def run(settings: ModelServerSettings, log_level: str = "info") -> None:
    """Serves until the process is told to stop. The socket opens once the networks are loaded."""
    memory.keep_little()
    address = urlsplit(settings.url)
    place = {"uds": address.path} if address.scheme == "unix" else {"host": address.hostname, "port": address.port}
    if address.scheme == "unix" and os.path.exists(address.path):
        os.unlink(address.path)
    uvicorn.run(
        create_app(settings),
        log_level=log_level.lower(),
        log_config=None,
        access_log=False,
        loop="uvloop",
        http="httptools",
        **place,
    )


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    """The pieces of a request's body. Raises ClientDisconnect."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        more = message.get("more_body", False)
        yield message.get("body", b"")


def _begun(state: State, given: Opened | Picture, asked: Asked, pipeline: Pipeline[Asked]) -> "asyncio.Future[bytes]":
    """The encoded answer, under way."""
    loaded: Networks = state.networks

    async def work() -> bytes:
        picture = given if isinstance(given, Picture) else await state.pictures.open(given)
        return wire.encode(await pipeline(picture, asked, loaded))

    return loaded.chores.run_whole(work) if loaded.whole_pictures else asyncio.ensure_future(work())


@contextmanager
def _place(state: State, settings: ModelServerSettings, pixels: int) -> Iterator[None]:
    """Holds room for a picture of so many pixels. Raises Overloaded when there is none.

    A picture on its own always finds room.
    """
    if state.pictures_in_work >= settings.queue_limit:
        raise errors.Overloaded(f"{state.pictures_in_work} pictures are in work")
    if state.pictures_in_work and state.pixels_in_work + pixels > settings.queue_pixels:
        raise errors.Overloaded(f"{state.pixels_in_work} pixels are in work")
    state.pictures_in_work += 1
    state.pictures_taken += 1
    state.pixels_in_work += pixels
    try:
        yield
    finally:
        state.pictures_in_work -= 1
        state.pixels_in_work -= pixels


async def _give_memory_back_at_rest(app: Starlette) -> None:
    """Once after each time of work, when there was none for a while. No picture of anybody stays longer either."""
    given_back_after = -1
    while True:
        taken = app.state.pictures_taken
        await asyncio.sleep(memory.REST_SECONDS)
        if app.state.pictures_taken == taken != given_back_after and not app.state.pictures_in_work:
            app.state.pictures.forget()
            await asyncio.to_thread(memory.give_back)
            given_back_after = taken


async def _unless_gone(state: State, receive: Receive, request_id: str, work: "asyncio.Future[bytes]") -> bytes:
    """The result of `work`, which is cancelled when the caller hangs up or takes its request back.

    Raises CancelledError.
    """
    watching = asyncio.create_task(_cancel_when_gone(receive, work))
    state.in_work[request_id] = work
    try:
        return await work
    finally:
        watching.cancel()
        work.cancel()
        state.in_work.pop(request_id, None)


async def _cancel_when_gone(receive: Receive, work: "asyncio.Future[bytes]") -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
    work.cancel()


def _refusal(error: errors.InferenceError) -> Response:
    code = STATUS.get(type(error), 500)
    return JSONResponse({"error": type(error).__name__, "message": str(error), **vars(error)}, status_code=code)


def _let_go(error: BaseException | None) -> None:
    """Parts an error from the frames that it came through: these hold the picture, and some hold the error, so that all
    would stay until the next collection of garbage."""
    while error is not None:
        error.__traceback__ = None
        error = error.__context__
