"""What the client and the server say to each other, as MessagePack."""

from dataclasses import dataclass

from storage.changes import Kind


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
