"""Collections move between machines: exported to a file, imported from it."""

import argparse
import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from psycopg import Connection
from tqdm import tqdm

from inference.packs import catalogue
from openrek import collection_file, secret_key
from openrek.collection_file import Crop, FileUnusable, Header
from openrek.collections import STATEMENT_SECONDS, tenant
from openrek.errors import OperatorError
from openrek.settings import Settings
from storage import crops, transfer
from storage.collections import Collection
from storage.database import open_pool
from storage.transfer import Contents

Row = TypeVar("Row")


def export(chosen: argparse.Namespace, settings: Settings) -> int:
    """Write a collection, as of one moment, to a file. Others may search and change it meanwhile."""
    key = secret_key.read(settings.secret_key_file)
    with (
        open_pool(settings.database_url, 1, STATEMENT_SECONDS) as pool,
        pool.connection() as connection,
        transfer.contents(connection, key, tenant(settings), chosen.name) as contents,
    ):
        collection = contents.collection
        header = _header(contents, with_crops=chosen.with_crops)
        pictures = (Crop(*crop) for crop in contents.crops) if chosen.with_crops else iter(())
        with tqdm(total=_rows(header), unit="row", disable=None) as progress:
            collection_file.write(
                chosen.file,
                header,
                _counted(progress, contents.users),
                _counted(progress, contents.faces),
                _counted(progress, pictures),
            )
    print(f"{chosen.file} holds {_summary(header)} of {collection.name}")
    return 0


def import_(chosen: argparse.Namespace, settings: Settings) -> int:
    """Make a collection from a file, in one transaction: it is there as a whole or not at all."""
    header = collection_file.check(chosen.file)
    name = chosen.new_name or header.name
    _require_room(header, name, settings)
    key = secret_key.read(settings.secret_key_file)
    owner, model = tenant(settings), header.face_model_version
    with open_pool(settings.database_url, 1, STATEMENT_SECONDS) as pool, pool.connection() as connection:
        collection = transfer.create(connection, owner, name, model, header.created_at, header.tags)
        with tqdm(total=_rows(header), unit="row", disable=None) as progress:
            _fill(connection, collection, chosen, header, key, progress)
        transfer.finish(connection, collection, header.face_count, header.user_count, header.dimension)
        if header.crop_count:
            crops.keep(connection, owner, name, True)
    print(f"{name} has {_summary(header)} from {chosen.file}")
    return 0


def _fill(
    connection: Connection[Any],
    collection: Collection,
    chosen: argparse.Namespace,
    header: Header,
    key: bytes,
    progress: "tqdm[Any]",
) -> None:
    users = faces = pictures = 0
    for block in collection_file.blocks(chosen.file):
        transfer.add_users(connection, collection, block.users)
        transfer.add_faces(connection, collection, block.faces)
        crops.put(connection, key, collection.id, {crop.face_id: crop.png for crop in block.crops})
        users, faces, pictures = users + len(block.users), faces + len(block.faces), pictures + len(block.crops)
        progress.update(len(block.users) + len(block.faces) + len(block.crops))
    if (users, faces, pictures) != (header.user_count, header.face_count, header.crop_count):
        raise FileUnusable(f"{chosen.file} has other numbers of users, faces and crops than it says")


def _require_room(header: Header, name: str, settings: Settings) -> None:
    """Raises OperatorError when this installation could not serve the collection."""
    if not re.fullmatch(r"[a-zA-Z0-9_.\-]{1,255}", name):
        raise OperatorError(f"{name!r} is no name for a collection")
    packs = (settings.model_pack, *settings.more_face_packs)
    served = [catalogue.load(pack).face_model_version for pack in packs]
    if header.face_model_version not in served:
        raise OperatorError(
            f"{name} is of face model {header.face_model_version}; served here: {', '.join(served)}. "
            "Add its pack to OPENREK_FACE_PACKS"
        )
    if header.face_count > settings.face_limit or header.user_count > settings.user_limit:
        raise OperatorError(f"{name} has {_summary(header)}, more than OPENREK_FACE_LIMIT or OPENREK_USER_LIMIT")


def _header(contents: Contents, with_crops: bool) -> Header:
    collection = contents.collection
    return Header(
        name=collection.name,
        face_model_version=collection.face_model_version,
        dimension=collection.dimension,
        created_at=collection.created_at,
        face_count=collection.face_count,
        user_count=collection.user_count,
        crop_count=contents.crop_count if with_crops else 0,
        tags=contents.tags,
    )


def _rows(header: Header) -> int:
    return header.face_count + header.user_count + header.crop_count


def _summary(header: Header) -> str:
    return f"{header.face_count} faces, {header.user_count} users and {header.crop_count} crops"


def _counted(progress: "tqdm[Any]", rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        progress.update()
        yield row
