"""Asks the vector index server; used by the API and the workers."""

import time
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import msgspec
import numpy as np
import numpy.typing as npt

from storage.changes import Kind
from vectorindex.messages import Matches, Search

_CONNECT_TIMEOUT_SECONDS = 2.0
# A collection that nobody asked for yet may have to be read from the database first.
_SEARCH_TIMEOUT_SECONDS = 30.0
# A server that ended is started again within this time, and a search may be sent twice.
_PATIENCE_SECONDS = 3.0
_PAUSE_SECONDS = 0.05
_decode = msgspec.msgpack.Decoder(Matches).decode
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
    """Connections to the server at `http://host:port` or `unix:///path`. Thread safe."""

    def __init__(self, url: str, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        """A search waits for up to `patience_seconds` for a server to be there."""
        self._patience_seconds = patience_seconds
        parts = urlsplit(url)
        is_socket = parts.scheme == "unix"
        transport = httpx.HTTPTransport(
            uds=parts.path if is_socket else None,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
        )
        self._http = httpx.Client(
            transport=transport,
            base_url="http://vectorindex" if is_socket else url,
            timeout=httpx.Timeout(_SEARCH_TIMEOUT_SECONDS, connect=_CONNECT_TIMEOUT_SECONDS),
            trust_env=False,
        )

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
        answer = self._post(_encode(search))
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise UnknownCollection(collection_id)
        if answer.status_code == httpx.codes.BAD_REQUEST:
            raise ValueError(answer.text)
        if answer.status_code != httpx.codes.OK:
            raise IndexUnavailable(f"{answer.status_code} {answer.text}")
        matches = _decode(answer.content)
        ids = (matches.ids[start : start + 16] for start in range(0, len(matches.ids), 16))
        scores = np.frombuffer(matches.scores, "<f4").tolist()
        return [Match(UUID(bytes=one), score) for one, score in zip(ids, scores, strict=True)]

    def is_ready(self) -> bool:
        """Whether the server answers and reaches its database."""
        try:
            return self._http.get("/readyz", timeout=_CONNECT_TIMEOUT_SECONDS).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _post(self, body: bytes) -> httpx.Response:
        give_up = time.monotonic() + self._patience_seconds
        while True:
            try:
                return self._http.post("/search", content=body)
            except httpx.TimeoutException as error:
                raise IndexUnavailable(f"no answer in time ({error})") from error
            except httpx.TransportError as error:
                if time.monotonic() > give_up:
                    raise IndexUnavailable(str(error)) from error
            time.sleep(_PAUSE_SECONDS)
