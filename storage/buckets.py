"""Buckets that are folders of this machine."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from storage import queries
from storage.errors import BucketExists, BucketNotFound
from storage.tenant import Tenant

_SQL = queries.load("buckets")


@dataclass(frozen=True)
class Bucket:
    """A folder whose files are objects: the object `a/b.jpg` is that file in it."""

    name: str
    directory: str
    created_at: datetime


def add(connection: Connection[Any], tenant: Tenant, name: str, directory: Path) -> Bucket:
    """Register a folder (an absolute path; it need not exist yet) as a bucket. Raises BucketExists."""
    if not directory.is_absolute():
        raise ValueError(f"{directory} is not an absolute path")
    with connection.cursor(row_factory=class_row(Bucket)) as cursor:
        values = vars(tenant) | {"name": name, "directory": str(directory)}
        bucket = cursor.execute(_SQL["insert"], values).fetchone()
    if bucket is None:
        raise BucketExists(bucket=name)
    return bucket


def find(connection: Connection[Any], tenant: Tenant, name: str) -> Bucket | None:
    """The bucket of this name, if there is one."""
    with connection.cursor(row_factory=class_row(Bucket)) as cursor:
        return cursor.execute(_SQL["find"], vars(tenant) | {"name": name}).fetchone()


def all_of(connection: Connection[Any], tenant: Tenant) -> list[Bucket]:
    """The buckets of a tenant, by name."""
    with connection.cursor(row_factory=class_row(Bucket)) as cursor:
        return cursor.execute(_SQL["list"], vars(tenant)).fetchall()


def remove(connection: Connection[Any], tenant: Tenant, name: str) -> None:
    """Forget a bucket; its folder stays. Raises BucketNotFound."""
    if connection.execute(_SQL["remove"], vars(tenant) | {"name": name}).fetchone() is None:
        raise BucketNotFound(bucket=name)
