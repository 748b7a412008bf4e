"""Crops of faces, kept where the owner of a collection asked for it, so that a better face model can embed them anew.

A crop is a PNG file. It is encrypted (AES-GCM) with a key made (HKDF-SHA256) from the secret key of the installation,
which is handed in and lives outside the database, and is bound to its collection and face. It goes when its face goes.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from psycopg import Connection, ServerCursor

from storage import collections, queries
from storage.errors import CropSealedWithAnotherKey
from storage.tenant import Tenant

_NONCE_BYTES = 12
_BLOCK_ROWS = 256
_SQL = queries.load("crops")


def keep(connection: Connection[Any], tenant: Tenant, collection_name: str, kept: bool) -> int:
    """Begin to keep the crops of faces stored from now on, or end it and remove those that there are.

    Returns how many were removed. Raises CollectionNotFound.
    """
    with connection.transaction():
        collection = collections.lock(connection, tenant, collection_name)
        target = {"collection_id": collection.id, "kept": kept}
        connection.execute(_SQL["set_kept"], target)
        return 0 if kept else connection.execute(_SQL["remove_all"], target).rowcount


def put(connection: Connection[Any], secret_key: bytes, collection_id: int, crops: Mapping[UUID, bytes]) -> None:
    """Keep the crops of faces that are stored; one that is kept stays as it is."""
    rows = [
        {"collection_id": collection_id, "face_id": face_id, "sealed": _seal(secret_key, collection_id, face_id, crop)}
        for face_id, crop in crops.items()
    ]
    with connection.cursor() as cursor:
        cursor.executemany(_SQL["put"], rows)


def of_faces(
    connection: Connection[Any], secret_key: bytes, collection_id: int, face_ids: Iterable[UUID]
) -> dict[UUID, bytes]:
    """The crops of those of the given faces that have one. Raises CropSealedWithAnotherKey."""
    values = {"collection_id": collection_id, "face_ids": list(face_ids)}
    rows = connection.execute(_SQL["of_faces"], values)
    return {face_id: _open(secret_key, collection_id, face_id, sealed) for face_id, sealed in rows}


def all_of(connection: Connection[Any], secret_key: bytes, collection_id: int) -> Iterator[tuple[UUID, bytes]]:
    """The faces that have crops, in any order, with them, streamed. Raises CropSealedWithAnotherKey.

    The connection must be in a transaction for as long as it is iterated over.
    """
    with ServerCursor(connection, "crops") as cursor:
        cursor.execute(_SQL["all"], {"collection_id": collection_id}, binary=True)
        while rows := cursor.fetchmany(_BLOCK_ROWS):
            for face_id, sealed in rows:
                yield face_id, _open(secret_key, collection_id, face_id, sealed)


def count(connection: Connection[Any], collection_id: int) -> int:
    """How many crops a collection has."""
    row = connection.execute(_SQL["count"], {"collection_id": collection_id}).fetchone()
    assert row is not None
    return int(row[0])


def _seal(secret_key: bytes, collection_id: int, face_id: UUID, crop: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + _cipher(secret_key).encrypt(nonce, crop, _bound_to(collection_id, face_id))


def _open(secret_key: bytes, collection_id: int, face_id: UUID, sealed: bytes) -> bytes:
    nonce, encrypted = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return _cipher(secret_key).decrypt(nonce, encrypted, _bound_to(collection_id, face_id))
    except InvalidTag as error:
        raise CropSealedWithAnotherKey(face_id=face_id) from error


@cache
def _cipher(secret_key: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), length=32, salt=None, info=b"crops of faces").derive(secret_key))


def _bound_to(collection_id: int, face_id: UUID) -> bytes:
    return f"{collection_id}:{face_id}".encode()
