"""The model server: pixels in, dataclasses out, over HTTP on a Unix socket or a TCP port.

One process and one event loop. On the CPU a picture has a core to itself; on a device networks run in threads, behind a
batch queue each. What it cannot take on is refused at once, and work whose caller has gone is dropped.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from inference import errors, memory, networks, raw_frames, wire
from inference.images import pixel_count
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
Answer = TypeVar("Answer")
Asked = TypeVar("Asked", bound=PictureRequest)
Pipeline = Callable[[Picture, Asked, Networks], Awaitable[object]]
"""From a picture and what is asked of it to a dataclass of types.py."""


def create_app(settings: ModelServerSettings) -> Starlette:
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

    def task(kind: type[Asked], pipeline: Pipeline[Asked]) -> Route:
        async def answer(request: Request) -> Response:
            try:
                asked = kind.from_query(request.query_params)
                size = raw_frames.size(request.headers, asked.max_side)
                if size is None:
                    data = await request.body()
                    with _place(request.app, settings, pixel_count(data, asked.min_side, asked.max_side)):
                        result = await _unless_gone(request, _run(request.app, data, asked, pipeline))
                else:
                    with _place(request.app, settings, size[0] * size[1]):
                        # Not kept: a frame does not come again.
                        frame = Picture(await raw_frames.read(request.stream(), *size))
                        result = await _unless_gone(request, _run(request.app, frame, asked, pipeline))
            except errors.InferenceError as error:
                _let_go(error)
                return _refusal(error)
            except (ClientDisconnect, asyncio.CancelledError) as error:
                _let_go(error)
                return _refusal(errors.CallerGone("the caller has gone"))
            return Response(result, media_type="application/msgpack")

        return Route(f"/{kind.task}", answer, methods=["POST"])

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

    routes = [
        task(FacesRequest, lambda picture, asked, loaded: find_faces(picture, asked, loaded.faces)),
        Route("/embeddings", embeddings, methods=["POST"]),
        task(ModerationRequest, lambda picture, _, loaded: moderate(picture, loaded.moderation)),
        task(TextRequest, lambda picture, asked, loaded: find_text(picture, loaded.text)),
        task(LabelsRequest, lambda picture, asked, loaded: find_labels(picture, asked, loaded.labels)),
        task(ProtectiveEquipmentRequest, lambda picture, _, loaded: find_equipment(picture, loaded.equipment)),
        task(PersonsRequest, lambda picture, asked, loaded: find_persons(picture, asked, loaded.persons)),
        Route("/requests/{request_id}", take_back, methods=["DELETE"]),
        Route("/status", status),
        Route("/healthz", alive),
        Route("/readyz", alive),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


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


async def _run(app: Starlette, given: bytes | Picture, asked: Asked, pipeline: Pipeline[Asked]) -> bytes:
    """The encoded answer."""
    loaded: Networks = app.state.networks

    async def work() -> bytes:
        picture = given if isinstance(given, Picture) else await app.state.pictures.open(given)
        return wire.encode(await pipeline(picture, asked, loaded))

    return await (loaded.chores.run_whole(work) if loaded.whole_pictures else work())


@contextmanager
def _place(app: Starlette, settings: ModelServerSettings, pixels: int) -> Iterator[None]:
    """Holds room for a picture of so many pixels. Raises Overloaded when there is none.

    A picture on its own always finds room.
    """
    state = app.state
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


async def _unless_gone(request: Request, work: Coroutine[None, None, Answer]) -> Answer:
    """The result of `work`, which is cancelled when the caller hangs up or takes its request back.

    Raises ClientDisconnect, CancelledError.
    """
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_gone(request))
    in_work, request_id = request.app.state.in_work, request.headers.get(REQUEST_ID_HEADER, "")
    in_work[request_id] = task
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnect
    finally:
        gone.cancel()
        task.cancel()
        in_work.pop(request_id, None)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _refusal(error: errors.InferenceError) -> Response:
    code = STATUS.get(type(error), 500)
    return JSONResponse({"error": type(error).__name__, "message": str(error), **vars(error)}, status_code=code)


def _let_go(error: BaseException | None) -> None:
    """Parts an error from the frames that it came through: these hold the picture, and some hold the error, so that all
    would stay until the next collection of garbage."""
    while error is not None:
        error.__traceback__ = None
        error = error.__context__
