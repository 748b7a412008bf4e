"""Asks the vector index servers; used by the API and the workers.

A collection has an order of servers. They are asked one after the other until one answers: a search changes nothing,
and every server can open every collection. One that did not answer is asked last until it has opened what is its own.
"""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from uuid import UUID

import msgspec
import numpy as np
import numpy.typing as npt

from inference.connections import Connections, NobodyListens
from storage.changes import Kind
from vectorindex import placement
from vectorindex.messages import HEARTBEAT, HEARTBEAT_SECONDS, Late, Matches, Search

log = logging.getLogger(__name__)

_CONNECT_SECONDS = 1.0
_MOST_KEPT = 32
# A collection that nobody asked for yet may have to be read from the database first.
_SEARCH_SECONDS = 30.0
# A server that works says so; one that says nothing for so long hangs, and another is asked if there is one.
_SILENCE_SECONDS = 3 * HEARTBEAT_SECONDS
# A server that ended is started again within this time, and a search may be sent twice.
_PATIENCE_SECONDS = 3.0
_PAUSE_SECONDS = 0.05
_READY_SECONDS = 1.0
_LOOK_SECONDS = 0.5
_decode = msgspec.msgpack.Decoder(Matches).decode
_decode_late = msgspec.msgpack.Decoder(Late).decode
_encode = msgspec.msgpack.Encoder().encode


class IndexUnavailable(Exception):
    """The vector index server cannot answer: {reason}"""

    def __init__(self, reason: str) -> None:
        super().__init__((self.__doc__ or "").format(reason=reason))


class UnknownCollection(Exception):
    """The vector index server knows of no collection {collection_id}; it was deleted."""

    def __init__(self, collection_id: int) -> None:
        super().__init__((self.__doc__ or "").format(collection_id=collection_id))


@dataclass(frozen=True)
class Match:
    """A face (its id) or user (its key) found, with the cosine (-1..1) of its embedding and the query."""

    id: UUID
    score: float


class IndexClient:
    """Connections to the servers, each at `http://host:port` or `unix:///path`. Thread safe."""

    def __init__(self, *urls: str, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        """A search waits for up to `patience_seconds` for a server to be there."""
        self._servers = {url: Connections(url, _CONNECT_SECONDS, _MOST_KEPT) for url in urls}
        self._patience_seconds = patience_seconds
        self._away: set[str] = set()
        self._missing: list[str] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def search(
        self,
        collection_id: int,
        kind: Kind,
        at_least: int,
        query: npt.NDArray[np.float32],
        k: int,
        min_score: float,
        exclude: UUID | None = None,
    ) -> list[Match]:
        """The at most `k` faces or users most similar to the unit vector `query`, float32[D], best first.

        Every change of the collection up to version `at_least` is seen, later ones may be. Only cosines of at least
        `min_score`; without `exclude`.
        Raises UnknownCollection, IndexUnavailable; ValueError if the query does not fit the collection.
        """
        excluded = None if exclude is None else exclude.bytes
        search = Search(
            collection_id, kind, at_least, query.astype("<f4", copy=False).tobytes(), k, min_score, excluded
        )
        answer = self._ask(collection_id, _encode(search))
        if answer.status == HTTPStatus.NOT_FOUND:
            raise UnknownCollection(collection_id)
        if answer.status == HTTPStatus.BAD_REQUEST:
            raise ValueError(answer.body.decode())
        matches = _decode(answer.body)
        ids = (matches.ids[start : start + 16] for start in range(0, len(matches.ids), 16))
        scores = np.frombuffer(matches.scores, "<f4").tolist()
        return [Match(UUID(bytes=one), score) for one, score in zip(ids, scores, strict=True)]

    def is_ready(self) -> bool:
        """Whether a server answers and reaches its database. Those that do not are logged when they change."""
        with ThreadPoolExecutor(len(self._servers)) as threads:
            are_ready = list(threads.map(partial(self._gives_ok, path="/readyz"), self._servers))
        missing = [url for url, is_ready in zip(self._servers, are_ready, strict=True) if not is_ready]
        if missing != self._missing:
            log.warning("index servers that are not ready: %s", ", ".join(missing) or "none")
            self._missing = missing
        return any(are_ready)

    def has_opened(self) -> bool:
        """Whether every server has opened what it is to hold before it is searched."""
        return all(self._gives_ok(url, "/openedz") for url in self._servers)

    def close(self) -> None:
        """Close the connections."""
        self._closed.set()
        for connections in self._servers.values():
            connections.close()

    def _ask(self, collection_id: int, body: bytes) -> Late:
        """The first answer that a server gives. Raises IndexUnavailable."""
        start = time.monotonic()
        deadline, give_up = start + _SEARCH_SECONDS, start + self._patience_seconds
        while True:
            someone_may_come_back = False
            # Those that are away come last.
            servers = sorted(placement.order(collection_id, self._servers), key=self._away.__contains__)
            for url in servers:
                try:
                    answer = _post(self._servers[url], body, deadline, patient=url == servers[-1])
                except TimeoutError as error:
                    reason = f"no answer in time ({error})"
                except OSError as error:
                    reason = str(error)
                    someone_may_come_back = True
                else:
                    if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                        return answer
                    reason = f"{answer.status} {answer.body.decode(errors='replace')}"
                self._set_away(url, reason)
            if not someone_may_come_back or time.monotonic() > give_up:
                raise IndexUnavailable(reason)
            time.sleep(_PAUSE_SECONDS)

    def _set_away(self, url: str, reason: str) -> None:
        with self._lock:
            if url in self._away or len(self._servers) == 1:
                return
            self._away.add(url)
        log.warning("index server %s is away, others are asked for its collections: %s", url, reason)
        threading.Thread(target=self._wait_for, args=[url], name="index-server-back", daemon=True).start()

    def _wait_for(self, url: str) -> None:
        while not self._closed.wait(_LOOK_SECONDS):
            if self._gives_ok(url, "/openedz"):
                self._away.discard(url)
                log.info("index server %s is back", url)
                return

    def _gives_ok(self, url: str, path: str) -> bool:
        try:
            return self._servers[url].request("GET", path, silence_seconds=_READY_SECONDS).status == HTTPStatus.OK
        except OSError:
            return False


def _post(connections: Connections, body: bytes, deadline: float, *, patient: bool) -> Late:
    """One server's answer; a `patient` caller waits until the deadline also for one that is silent. Raises OSError."""
    left = max(deadline - time.monotonic(), 0.001)
    send = partial(
        connections.request,
        "POST",
        "/search",
        body,
        silence_seconds=left if patient else min(left, _SILENCE_SECONDS),
        deadline=deadline,
    )
    try:
        answer = send()
    except NobodyListens:
        raise
    except ConnectionError:
        # A kept connection may end as it is used, by a server that is well.
        answer = send()
    if answer.status == HTTPStatus.ACCEPTED:
        return _decode_late(answer.body.lstrip(HEARTBEAT))
    return Late(answer.status, answer.body)
