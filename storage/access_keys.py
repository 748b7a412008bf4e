"""Access keys of callers. Secrets are stored encrypted: checking a signature needs them in clear.

The sealing key, 32 random bytes, is handed in and lives outside the database.
"""

import base64
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg import Connection
from psycopg.rows import class_row

from storage import queries
from storage.errors import AccessKeyNotFound, SealedWithAnotherKey

_SQL = queries.load("access_keys")
_NONCE_BYTES = 12


@dataclass(frozen=True)
class AccessKey:
    """A key without its secret; `account` has 12 digits; `operations` are all it may call, None for no limit."""

    access_key_id: str
    account: str
    operations: list[str] | None
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True)
class Credential:
    """A key with its secret in clear, and all operations it may call, None for no limit."""

    access_key_id: str
    account: str
    secret: str = field(repr=False)
    operations: frozenset[str] | None = None


def create(
    connection: Connection[Any], account: str, sealing_key: bytes, operations: Collection[str] | None = None
) -> Credential:
    """Make up a key for an account, limited to `operations` if they are given.

    Its secret can be read again only with the same `sealing_key`.
    """
    access_key_id = "AKIA" + base64.b32encode(secrets.token_bytes(10)).decode()
    secret = base64.b64encode(secrets.token_bytes(30)).decode()
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = nonce + AESGCM(sealing_key).encrypt(nonce, secret.encode(), _bound_to(access_key_id, account))
    allowed = None if operations is None else sorted(operations)
    values = {"access_key_id": access_key_id, "account": account, "encrypted_secret": sealed, "operations": allowed}
    connection.execute(_SQL["insert"], values)
    return Credential(access_key_id, account, secret, _limit(allowed))


def find(connection: Connection[Any], access_key_id: str, sealing_key: bytes) -> Credential | None:
    """The credential of a key, None if it is unknown or revoked. Raises SealedWithAnotherKey."""
    row = connection.execute(_SQL["find"], {"access_key_id": access_key_id}).fetchone()
    if row is None:
        return None
    account, sealed, operations = row
    try:
        secret = AESGCM(sealing_key).decrypt(
            sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound_to(access_key_id, account)
        )
    except InvalidTag as error:
        raise SealedWithAnotherKey(access_key_id=access_key_id) from error
    return Credential(access_key_id, account, secret.decode(), _limit(operations))


def all_of(connection: Connection[Any], account: str | None = None) -> list[AccessKey]:
    """All keys, revoked ones too, oldest first; only those of `account` if given."""
    with connection.cursor(row_factory=class_row(AccessKey)) as cursor:
        return cursor.execute(_SQL["list"], {"account": account}).fetchall()


def revoke(connection: Connection[Any], access_key_id: str) -> None:
    """End the life of a key. Raises AccessKeyNotFound if it is unknown or revoked already."""
    if connection.execute(_SQL["revoke"], {"access_key_id": access_key_id}).fetchone() is None:
        raise AccessKeyNotFound(access_key_id=access_key_id)


def _limit(operations: list[str] | None) -> frozenset[str] | None:
    return None if operations is None else frozenset(operations)


def _bound_to(access_key_id: str, account: str) -> bytes:
    """The data a secret is sealed with, so that it cannot be moved to another row."""
    return f"{access_key_id}:{account}".encode()
