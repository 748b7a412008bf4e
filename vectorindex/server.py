"""The vector index server: `POST /search`, `POST /contents`, `GET /healthz`, `GET /readyz`."""

import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread
import msgspec
import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from storage.database import STATEMENT_SECONDS, Pool, open_pool
from storage.errors import CollectionNotFound, DatabaseUnavailable
from vectorindex import contents, snapshots
from vectorindex.follower import Follower, OutOfStep
from vectorindex.index import DimensionMismatch
from vectorindex.messages import Matches, Search

log = logging.getLogger(__name__)

_STATUS = {
    msgspec.DecodeError: 400,
    msgspec.ValidationError: 400,
    DimensionMismatch: 400,
    CollectionNotFound: 404,
    OutOfStep: 503,
    DatabaseUnavailable: 503,
}
_READY_TIMEOUT_SECONDS = 1.0
_decode = msgspec.msgpack.Decoder(Search).decode
_encode = msgspec.msgpack.Encoder().encode


def create_app(
    pool: Pool, snapshot_dir: Path, poll_seconds: float, threads: int, erase_seconds: float = 60.0
) -> Starlette:
    """The app, which opens and follows collections in the background for as long as it runs."""
    snapshots.discard_all(snapshot_dir)
    follower = Follower(pool, snapshot_dir, erase_seconds)

    async def search(request: Request) -> Response:
        body = await request.body()
        return Response(await run_in_threadpool(_search, follower, body), media_type="application/msgpack")

    async def held(request: Request) -> Response:
        body = await request.body()
        return Response(await run_in_threadpool(contents.answer, follower, body), media_type="application/msgpack")

    async def is_healthy(_: Request) -> Response:
        return Response()

    def is_ready(_: Request) -> Response:
        with pool.connection(_READY_TIMEOUT_SECONDS) as connection:
            connection.execute("SELECT")
        return Response()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = threads
        stop = threading.Event()
        polling = threading.Thread(target=_poll, args=(follower, poll_seconds, stop), name="follower", daemon=True)
        polling.start()
        yield
        stop.set()
        await run_in_threadpool(polling.join, 5.0)

    return Starlette(
        routes=[
            Route("/search", search, methods=["POST"]),
            Route("/contents", held, methods=["POST"]),
            Route("/healthz", is_healthy),
            Route("/readyz", is_ready),
        ],
        exception_handlers=dict.fromkeys(_STATUS, _refuse),
        lifespan=lifespan,
    )


def run(
    url: str,
    database_url: str,
    snapshot_dir: Path,
    poll_seconds: float,
    log_level: str,
    *,
    max_connections: int = 4,
    threads: int = 16,
    statement_seconds: float = STATEMENT_SECONDS,
    erase_seconds: float = 60.0,
) -> None:
    """Serve at `http://host:port` or `unix:///path` until SIGTERM or SIGINT.

    `snapshot_dir` belongs to this server alone. `threads` searches run at a time, each on one core.
    `max_connections` bounds those to the database, `statement_seconds` each of its statements. Snapshots hold nothing
    that was deleted longer than `erase_seconds` ago.
    """
    with open_pool(database_url, max_connections, statement_seconds) as pool:
        app = create_app(pool, snapshot_dir, poll_seconds, threads, erase_seconds)
        uvicorn.run(app, **_address(url), log_level=log_level.lower(), log_config=None, access_log=False, ws="none")


def _search(follower: Follower, body: bytes) -> bytes:
    wanted = _decode(body)
    indexes, version = follower.at_least(wanted.collection_id, wanted.at_least)
    query = np.frombuffer(wanted.query, "<f4").astype(np.float32, copy=False)
    ids, scores = indexes[wanted.kind].search(query, wanted.k, wanted.min_score, wanted.exclude)
    return _encode(Matches(version, ids.tobytes(), scores.astype("<f4", copy=False).tobytes()))


def _refuse(_: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), status_code=_STATUS[type(error)])


def _poll(follower: Follower, poll_seconds: float, stop: threading.Event) -> None:
    while True:
        try:
            follower.poll()
        except DatabaseUnavailable as error:
            log.warning("%s", error)
        except Exception:
            # Searches catch up by themselves; the next round may succeed.
            log.exception("following the collections failed")
        if stop.wait(poll_seconds):
            return


def _address(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme == "unix" and parts.path:
        return {"uds": parts.path}
    if parts.scheme == "http" and parts.hostname and parts.port:
        return {"host": parts.hostname, "port": parts.port}
    raise ValueError(f"{url} is neither http://host:port nor unix:///path")
