"""The vector index server: `POST /search`, `POST /contents`, `GET /healthz`, `GET /readyz`, `GET /openedz`."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from storage.database import STATEMENT_SECONDS, Pool, open_pool
from storage.errors import CollectionNotFound, DatabaseUnavailable
from vectorindex import contents, placement
from vectorindex.follower import Follower, OutOfStep
from vectorindex.index import DimensionMismatch
from vectorindex.messages import HEARTBEAT, HEARTBEAT_SECONDS, Late, Matches, Search
from vectorindex.snapshots import Indexes

log = logging.getLogger(__name__)

_STATUS: dict[type[Exception], int] = {
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


def create_app(pool: Pool, follower: Follower, poll_seconds: float, threads: int) -> ASGIApp:
    """The app, which opens and follows collections in the background for as long as it runs."""
    opened = threading.Event()
    searching = ThreadPoolExecutor(threads, "search")

    async def search(request: Request) -> Response:
        body = await request.body()
        answer = _search_at_once(follower, body)
        if answer is None:
            work = asyncio.get_running_loop().run_in_executor(searching, _search, follower, body)
            done, _ = await asyncio.wait([work], timeout=HEARTBEAT_SECONDS)
            if not done:
                return StreamingResponse(_late(work), status_code=202)
            answer = work.result()
        return Response(answer.body, answer.status)

    async def held(request: Request) -> Response:
        body = await request.body()
        return Response(await run_in_threadpool(contents.answer, follower, body), media_type="application/msgpack")

    async def is_healthy(_: Request) -> Response:
        return Response()

    async def has_opened(_: Request) -> Response:
        """Whether what is to be held was opened once, so that clients may come back."""
        return Response(status_code=200 if opened.is_set() else 503)

    def is_ready(_: Request) -> Response:
        with pool.connection(_READY_TIMEOUT_SECONDS) as connection:
            connection.execute("SELECT")
        return Response()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        stop = threading.Event()
        polling = threading.Thread(
            target=_poll, args=(follower, poll_seconds, opened, stop), name="follower", daemon=True
        )
        polling.start()
        yield
        stop.set()
        await run_in_threadpool(polling.join, 5.0)

    app = Starlette(
        routes=[
            Route("/contents", held, methods=["POST"]),
            Route("/healthz", is_healthy),
            Route("/readyz", is_ready),
            Route("/openedz", has_opened),
        ],
        exception_handlers={DatabaseUnavailable: _refuse},
        lifespan=lifespan,
    )

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        # Routing and middleware take as long as the search of a small collection.
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == "/search":
            response = await search(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await app(scope, receive, send)

    return front


def run(
    url: str,
    database_url: str,
    snapshot_dir: Path,
    poll_seconds: float,
    log_level: str,
    *,
    servers: Sequence[str] = (),
    copies: int = 1,
    memory_bytes: int | None = None,
    max_connections: int = 4,
    threads: int = 16,
    statement_seconds: float = STATEMENT_SECONDS,
    erase_seconds: float = 60.0,
    device: str = "cpu",
) -> None:
    """Serve at `http://host:port` or `unix:///path` until SIGTERM or SIGINT.

    `snapshot_dir` belongs to this server alone. `servers` are the addresses of all, this one among them; it holds the
    collections for which it is one of the first `copies`, and those that others ask it for, in about `memory_bytes`.
    `threads` searches run at a time, each on one core. `max_connections` bounds those to the database,
    `statement_seconds` each of its statements. Snapshots hold nothing that was deleted longer than `erase_seconds` ago.
    Searches run on `device`, see `index.new`.
    """

    def is_own(collection_id: int) -> bool:
        return url in placement.order(collection_id, servers or [url])[:copies]

    with open_pool(database_url, max_connections, statement_seconds) as pool:
        follower = Follower(pool, snapshot_dir, is_own, memory_bytes, erase_seconds, device)
        app = create_app(pool, follower, poll_seconds, threads)
        uvicorn.run(app, **_address(url), log_level=log_level.lower(), log_config=None, access_log=False, ws="none")


def _search(follower: Follower, body: bytes) -> Late:
    try:
        wanted = _decode(body)
        return _answer(wanted, *follower.at_least(wanted.collection_id, wanted.at_least))
    except tuple(_STATUS) as error:
        return _failed(error)


def _search_at_once(follower: Follower, body: bytes) -> Late | None:
    """The answer where finding it takes less time than the way to a thread and back; else None."""
    try:
        wanted = _decode(body)
        held = follower.held(wanted.collection_id, wanted.at_least)
        return _answer(wanted, *held) if held is not None and held[0][wanted.kind].is_small else None
    except tuple(_STATUS) as error:
        return _failed(error)


def _answer(wanted: Search, indexes: Indexes, version: int) -> Late:
    query = np.frombuffer(wanted.query, "<f4").astype(np.float32, copy=False)
    ids, scores = indexes[wanted.kind].search(query, wanted.k, wanted.min_score, wanted.exclude)
    return Late(200, _encode(Matches(version, ids.tobytes(), scores.astype("<f4", copy=False).tobytes())))


def _failed(error: Exception) -> Late:
    return Late(_STATUS[type(error)], str(error).encode())


async def _late(work: "asyncio.Future[Late]") -> AsyncIterator[bytes]:
    while not work.done():
        yield HEARTBEAT
        await asyncio.wait([work], timeout=HEARTBEAT_SECONDS)
    yield _encode(work.result())


def _refuse(_: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), status_code=_STATUS[type(error)])


def _poll(follower: Follower, poll_seconds: float, opened: threading.Event, stop: threading.Event) -> None:
    while True:
        try:
            follower.poll()
            opened.set()
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
