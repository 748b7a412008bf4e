"""Collections, as their owner sees them: what there is, and whether crops of faces are kept."""

import argparse
from collections.abc import Iterator

from psycopg import Connection
from psycopg.rows import TupleRow

from openrek.settings import Settings
from storage import collections, crops
from storage.collections import Collection
from storage.database import open_pool
from storage.tenant import Tenant

STATEMENT_SECONDS = 3600.0
"""For commands that read or write a collection as a whole."""
_PAGE = 1000


def show(_: argparse.Namespace, settings: Settings) -> int:
    """Print one line for each collection of the account and region of `settings`."""
    with open_pool(settings.database_url, 1) as pool, pool.connection() as connection:
        for one in _all(connection, tenant(settings)):
            kept = f"  keeps crops ({crops.count(connection, one.id)})" if one.keeps_crops else ""
            counts = f"{one.face_count} faces  {one.user_count} users"
            print(f"{one.name}  {settings.account}  {settings.region}  {counts}  model {one.face_model_version}{kept}")
    return 0


def keep_crops(chosen: argparse.Namespace, settings: Settings) -> int:
    """Begin to keep the crops of faces that are indexed from now on, or end it and remove those kept."""
    with open_pool(settings.database_url, 1, STATEMENT_SECONDS) as pool, pool.connection() as connection:
        removed = crops.keep(connection, tenant(settings), chosen.name, chosen.kept == "on")
    if chosen.kept == "on":
        print(f"crops of faces that are indexed in {chosen.name} from now on are kept, encrypted")
    else:
        print(f"{chosen.name} keeps no crops; {removed} were removed")
    return 0


def tenant(settings: Settings) -> Tenant:
    """The account and region that a command works for."""
    return Tenant(settings.account, settings.region)


def _all(connection: Connection[TupleRow], owner: Tenant) -> Iterator[Collection]:
    page = collections.page(connection, owner, None, _PAGE)
    while page:
        yield from page
        page = collections.page(connection, owner, page[-1].id, _PAGE)
