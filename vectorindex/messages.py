"""What the client and the server say to each other, as MessagePack.

An answer that takes longer than a moment comes with status 202: first HEARTBEATs while the work goes on, then a Late.
"""

from dataclasses import dataclass

from storage.changes import Kind

HEARTBEAT = b"\xc0"
"""MessagePack's nil; no Late begins with it."""
HEARTBEAT_SECONDS = 1.0


@dataclass(frozen=True)
class Search:
    """A search of a collection's faces or users that has all changes up to version `at_least`.

    `query` holds a unit vector as little-endian float32; `exclude` is a face's id or a user's key of 16 bytes.
    """

    collection_id: int
    kind: Kind
    at_least: int
    query: bytes
    k: int
    min_score: float
    exclude: bytes | None = None


@dataclass(frozen=True)
class Matches:
    """What a search found at `version`, best first: N ids of 16 bytes, and N cosines as little-endian float32."""

    version: int
    ids: bytes
    scores: bytes


@dataclass(frozen=True)
class Late:
    """The status and the body that an answer would have had, had it come at once."""

    status: int
    body: bytes
