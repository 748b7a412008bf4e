"""What an index server holds of a collection, told so that it can be compared with the rows: `POST /contents`."""

import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import numpy as np
import numpy.typing as npt

from storage.changes import Kind
from vectorindex.client import IndexUnavailable, UnknownCollection
from vectorindex.follower import Follower
from vectorindex.index import ID_BYTES, Ids, Vectors

# All of a large collection is read and hashed meanwhile.
_TIMEOUT_SECONDS = 600.0
_DIGEST_BYTES = 16

Digests = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Asked:
    collection_id: int


@dataclass(frozen=True)
class Told:
    """The `version` that is held; per kind N ids of 16 bytes and N digests of 16 bytes, in any one order."""

    version: int
    ids: dict[Kind, bytes]
    digests: dict[Kind, bytes]


@dataclass(frozen=True, eq=False)
class Held:
    """Per kind ids uint8[N, 16] and digests (see `digests`) uint8[N, 16], in any one order, all of one `version`."""

    version: int
    kinds: dict[Kind, tuple[Ids, Digests]]


def digests(vectors: Vectors) -> Digests:
    """Of each of the vectors, float32[N, D], the BLAKE2b of its bytes (little endian): uint8[N, 16]."""
    rows = np.ascontiguousarray(vectors, "<f4")
    hashes = (hashlib.blake2b(row.data, digest_size=_DIGEST_BYTES).digest() for row in rows)
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, _DIGEST_BYTES)


def answer(follower: Follower, body: bytes) -> bytes:
    """The server's side. Raises msgspec.DecodeError, CollectionNotFound, DatabaseUnavailable."""
    asked = msgspec.msgpack.decode(body, type=Asked)
    ids: dict[Kind, bytes] = {}
    hashes: dict[Kind, bytes] = {}
    with follower.unchanged(asked.collection_id) as state:
        for kind, index in state.indexes.items():
            with index.contents() as (of_kind, vectors):
                ids[kind], hashes[kind] = of_kind.tobytes(), digests(vectors).tobytes()
    return msgspec.msgpack.encode(Told(state.version, ids, hashes))


def ask(url: str, collection_id: int) -> Held:
    """What the server at `http://host:port` or `unix:///path` holds, brought to the newest version.

    Raises UnknownCollection, IndexUnavailable.
    """
    parts = urlsplit(url)
    is_socket = parts.scheme == "unix"
    transport = httpx.HTTPTransport(uds=parts.path if is_socket else None)
    base_url = "http://vectorindex" if is_socket else url
    with httpx.Client(transport=transport, base_url=base_url, timeout=_TIMEOUT_SECONDS, trust_env=False) as http:
        try:
            response = http.post("/contents", content=msgspec.msgpack.encode(Asked(collection_id)))
        except httpx.TransportError as error:
            raise IndexUnavailable(str(error)) from error
    if response.status_code == httpx.codes.NOT_FOUND:
        raise UnknownCollection(collection_id)
    if response.status_code != httpx.codes.OK:
        raise IndexUnavailable(f"{response.status_code} {response.text}")
    told = msgspec.msgpack.decode(response.content, type=Told)
    return Held(told.version, {kind: (_rows(told.ids[kind]), _rows(told.digests[kind])) for kind in told.ids})


def _rows(data: bytes) -> npt.NDArray[Any]:
    return np.frombuffer(data, np.uint8).reshape(-1, ID_BYTES)
