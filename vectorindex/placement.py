"""Which server a collection belongs to, when there are several."""

from collections.abc import Iterable
from hashlib import blake2b


def order(collection_id: int, urls: Iterable[str]) -> list[str]:
    """The servers in the order in which they are asked for a collection; the first ones keep it in memory.

    Rendezvous hashing (Thaler and Ravishankar, 1998): every process that knows the same addresses finds the same order,
    and a server that comes or goes moves only the collections that are its own.
    """
    return sorted(urls, key=lambda url: blake2b(f"{collection_id} {url}".encode(), digest_size=8).digest())
