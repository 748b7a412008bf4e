"""The model server: pixels in, dataclasses out, over HTTP on a Unix socket or a TCP port.

One process and one event loop; networks run in threads behind one batch queue each. What it cannot take on is refused
at once, and work whose caller has gone is dropped.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from inference import errors, similarity, wire
from inference.batcher import Batcher
from inference.engine import PARALLEL_BATCHES
from inference.images import pixel_count
from inference.models import emotion, face_attributes, face_detector, face_embedder, face_mesh, iris
from inference.packs import catalogue
from inference.packs.catalogue import Pack
from inference.packs.store import network_path
from inference.pipelines.face_attributes import AttributeNetworks
from inference.pipelines.faces import FaceNetworks, embed_crops, find_faces
from inference.pipelines.request import FacesRequest
from inference.types import Embedding, Pixels

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
CROPS_PER_PICTURE = 16
"""Room in the embedding queue for each picture that may be in work."""


@dataclass(frozen=True)
class ModelServerSettings:
    """`url`: unix:///path or http://host:port. `pack` and `face_packs` are names of packs or paths of catalogues; of
    the latter only the face embedders are loaded. `device`: a key of engine.DEVICES. `threads`: CPU threads of one
    network, and of the pixel work. `queue_limit` pictures, with `queue_pixels` pixels in all, are in work at once; more
    are refused."""

    url: str
    models_dir: Path
    pack: str = similarity.DEFAULT_PACK
    face_packs: tuple[str, ...] = ()
    device: str = "cpu"
    threads: int = 2
    queue_limit: int = 64
    queue_pixels: int = 256_000_000


Answer = TypeVar("Answer")
Item = TypeVar("Item")
Result = TypeVar("Result")


class Network(Protocol[Item, Result]):
    """What every file of `models` loads."""

    max_batch: int

    def predict(self, batch: list[Item], /) -> list[Result]: ...


def load_face_networks(settings: ModelServerSettings) -> FaceNetworks:
    """Loads the face networks of a pack, and the face embedders of more.

    Raises packs.errors.UnknownPack, packs.errors.ModelMissing, errors.EngineUnavailable; ValueError when two packs have
    one face-model version.
    """
    device, threads, lanes = settings.device, settings.threads, PARALLEL_BATCHES[settings.device]
    crops = settings.queue_limit * CROPS_PER_PICTURE

    default = catalogue.load(settings.pack)

    def path(network: str) -> Path:
        return network_path(settings.models_dir, default.name, network)

    def queue(network: Network[Item, Result], limit: int) -> Batcher[Item, Result]:
        return Batcher(network.predict, network.max_batch, limit, lanes)

    def embedder(pack: Pack) -> Batcher[Pixels, Embedding]:
        model = network_path(settings.models_dir, pack.name, "face_embedder")
        return queue(face_embedder.load(model, device, threads, pack.network("face_embedder").input), crops)

    packs = [default, *map(catalogue.load, settings.face_packs)]
    embedders = {pack.face_model_version: embedder(pack) for pack in packs}
    if len(embedders) < len(packs):
        raise ValueError(f"of the packs {', '.join(pack.name for pack in packs)} two have one face-model version")
    detector = face_detector.load(path("face_detector"), device, threads)
    return FaceNetworks(
        detector=queue(detector, settings.queue_limit),
        embedder=embedders[default.face_model_version],
        attributes=AttributeNetworks(
            mesh=queue(face_mesh.load(path("face_mesh"), device, threads), crops),
            iris=queue(iris.load(path("iris"), device, threads), 2 * crops),
            age_and_gender=queue(face_attributes.load(path("face_attributes"), device, threads), crops),
            emotion=queue(emotion.load(path("emotion"), device, threads), crops),
        ),
        calibration=similarity.of_pack(settings.pack),
        chores=ThreadPoolExecutor(threads, thread_name_prefix="pixels"),
        embedders=embedders,
        square=detector.max_batch > 1,
    )


def create_app(settings: ModelServerSettings) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.in_work = {}
        app.state.pictures_in_work = app.state.pixels_in_work = 0
        app.state.networks = await asyncio.to_thread(load_face_networks, settings)
        log.info("pack %s is loaded on %s", settings.pack, settings.device)
        yield

    async def faces(request: Request) -> Response:
        try:
            asked = FacesRequest.from_query(request.query_params)
            data = await request.body()
            networks = request.app.state.networks
            with _place(request.app, settings, pixel_count(data, asked.min_side)):
                result = await _unless_gone(request, find_faces(data, asked, networks))
        except errors.InferenceError as error:
            return _refusal(error)
        except (ClientDisconnect, asyncio.CancelledError):
            return _refusal(errors.CallerGone("the caller has gone"))
        return Response(wire.encode(result), media_type="application/msgpack")

    async def embeddings(request: Request) -> Response:
        try:
            crops = wire.decode_crops(await request.body())
            if len(crops) > CROPS_PER_REQUEST:
                raise errors.Overloaded(f"{len(crops)} crops in one request, {CROPS_PER_REQUEST} are accepted")
            version = request.query_params.get("face_model_version")
            result = await embed_crops(crops, version, request.app.state.networks)
        except errors.InferenceError as error:
            return _refusal(error)
        return Response(wire.encode(result), media_type="application/msgpack")

    async def take_back(request: Request) -> Response:
        task = request.app.state.in_work.get(request.path_params["request_id"])
        if task is not None:
            task.cancel()
        return Response(status_code=204)

    async def status(request: Request) -> Response:
        networks: FaceNetworks = request.app.state.networks
        return JSONResponse(
            {
                "pack": settings.pack,
                "device": settings.device,
                "face_model_version": networks.calibration.face_model_version,
                "face_model_versions": list(networks.embedders),
                "pictures_in_work": request.app.state.pictures_in_work,
                "waiting": {"face_detector": networks.detector.waiting, "face_embedder": networks.embedder.waiting},
            }
        )

    async def alive(_request: Request) -> Response:
        return JSONResponse({"ready": True})

    routes = [
        Route("/faces", faces, methods=["POST"]),
        Route("/embeddings", embeddings, methods=["POST"]),
        Route("/requests/{request_id}", take_back, methods=["DELETE"]),
        Route("/status", status),
        Route("/healthz", alive),
        Route("/readyz", alive),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def run(settings: ModelServerSettings, log_level: str = "info") -> None:
    """Serves until the process is told to stop. The socket opens once the networks are loaded."""
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
    state.pixels_in_work += pixels
    try:
        yield
    finally:
        state.pictures_in_work -= 1
        state.pixels_in_work -= pixels


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
