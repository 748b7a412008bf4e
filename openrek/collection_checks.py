"""Proof that what is searched in is what is stored."""

import argparse
import time
from collections.abc import Iterator
from uuid import UUID

import numpy as np
import numpy.typing as npt

from openrek.collections import STATEMENT_SECONDS, tenant
from openrek.errors import OperatorError
from openrek.settings import Settings
from storage import changes, collections, invariants
from storage.changes import Block, Kind
from storage.collections import Collection
from storage.database import Pool, open_pool
from vectorindex import contents
from vectorindex.client import IndexUnavailable, UnknownCollection
from vectorindex.contents import Digests, Held
from vectorindex.index import Ids

_BLOCK_ROWS = 4096
_ATTEMPTS, _PAUSE_SECONDS = 20, 0.2
_SHOWN = 20


def verify(chosen: argparse.Namespace, settings: Settings) -> int:
    """Compare a collection's rows with themselves and with every index server, id by id and vector by vector.

    1 if something is wrong. Raises OperatorError when a server does not answer.
    """
    with open_pool(settings.database_url, 1, STATEMENT_SECONDS) as pool:
        with pool.connection() as connection:
            collection = collections.get(connection, tenant(settings), chosen.name)
        return max([_verify(pool, url, collection) for url in settings.vectorindex_urls])


def _verify(pool: Pool, url: str, collection: Collection) -> int:
    held, stored, problems = _at_one_version(pool, url, collection.id)
    for kind in stored.kinds:
        problems += differences(kind, stored.kinds[kind], held.kinds[kind])
    for line in problems[:_SHOWN]:
        print(line)
    place = f"{collection.name} at version {stored.version}, index server {url}"
    if problems:
        print(f"{place}: {len(problems)} problems")
        return 1
    faces, users = (len(stored.kinds[kind][0]) for kind in ("faces", "users"))
    print(f"{place}: rows and index agree on {faces} faces and {users} user vectors")
    return 0


def differences(kind: Kind, stored: tuple[Ids, Digests], held: tuple[Ids, Digests]) -> list[str]:
    """One line for each id that the rows and the index do not have alike; none when they agree."""
    (stored_ids, stored_digests), (held_ids, held_digests) = _sorted(*stored), _sorted(*held)
    lines = [f"{kind}: the index lacks {_name(one)}" for one in np.setdiff1d(stored_ids, held_ids)]
    lines += [f"{kind}: the index has {_name(one)}, which is not stored" for one in np.setdiff1d(held_ids, stored_ids)]
    twice = held_ids[1:][held_ids[1:] == held_ids[:-1]]
    lines += [f"{kind}: the index has {_name(one)} more than once" for one in np.unique(twice)]
    common, of_stored, of_held = np.intersect1d(stored_ids, held_ids, return_indices=True)
    differ = (stored_digests[of_stored] != held_digests[of_held]).any(axis=1)
    return lines + [f"{kind}: the index has another vector of {_name(one)}" for one in common[differ]]


def _at_one_version(pool: Pool, url: str, collection_id: int) -> tuple[Held, Held, list[str]]:
    """What the index holds, what is stored, and what is wrong with that, all as of one version.

    The index goes first; a write in between makes another attempt necessary. Raises OperatorError.
    """
    for _ in range(_ATTEMPTS):
        try:
            held = contents.ask(url, collection_id)
        except (IndexUnavailable, UnknownCollection) as error:
            raise OperatorError(str(error)) from error
        with pool.connection() as connection, changes.gallery(connection, collection_id, _BLOCK_ROWS) as gallery:
            if gallery.version == held.version:
                kinds = {kind: _gathered(blocks) for kind, blocks in gallery.blocks.items()}
                return held, Held(gallery.version, kinds), invariants.broken(connection, collection_id)
        time.sleep(_PAUSE_SECONDS)
    raise OperatorError("the collection is written to all the time, or the index does not follow it")


def _gathered(blocks: Iterator[Block]) -> tuple[Ids, Digests]:
    ids, digests = [np.empty((0, 16), np.uint8)], [np.empty((0, 16), np.uint8)]
    for block in blocks:
        ids.append(block.ids)
        digests.append(contents.digests(block.embeddings))
    return np.concatenate(ids), np.concatenate(digests)


def _sorted(ids: Ids, digests: Digests) -> tuple[npt.NDArray[np.bytes_], Digests]:
    names = np.ascontiguousarray(ids).view("S16").reshape(-1)
    order = np.argsort(names, kind="stable")
    return names[order], digests[order]


def _name(name: bytes) -> str:
    # numpy leaves out the zeros that a text of bytes ends with
    return str(UUID(bytes=name.ljust(16, b"\0")))
