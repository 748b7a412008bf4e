"""Forward-only schema migrations: numbered .sql files, each applied once, in its own transaction."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection

from storage import queries
from storage.errors import DatabaseUnavailable, MigrationHistoryChanged

DIRECTORY = Path(__file__).resolve().parent.parent / "migrations"
_SQL = queries.load("migrations")


@dataclass(frozen=True)
class Migration:
    """A migration by its number (from 1), file name and the SHA-256 (hex) of its file."""

    number: int
    name: str
    sha256: str


def available(directory: Path = DIRECTORY) -> list[Migration]:
    """The migrations of a directory of `NNNN_words.sql` files, in order. Raises ValueError if NNNN is not 1, 2, 3..."""
    found: list[Migration] = []
    for path in sorted(directory.glob("*.sql")):
        matched = re.fullmatch(r"(\d{4})_\w+\.sql", path.name)
        if not matched or int(matched[1]) != len(found) + 1:
            raise ValueError(f"{path.name} breaks the numbering of the migrations in {directory}")
        found.append(Migration(int(matched[1]), path.name, hashlib.sha256(path.read_bytes()).hexdigest()))
    if not found:
        raise ValueError(f"no migrations in {directory}")
    return found


def applied(connection: Connection[Any]) -> list[Migration]:
    """The migrations this database has, in order."""
    row = connection.execute(_SQL["history_exists"]).fetchone()
    if row is None or not row[0]:
        return []
    return [Migration(*row) for row in connection.execute(_SQL["applied"])]


def pending(connection: Connection[Any], directory: Path = DIRECTORY) -> list[Migration]:
    """The migrations this database lacks, in order.

    Raises MigrationHistoryChanged when it has one that the files lack or hold with other content.
    """
    files = available(directory)
    history = applied(connection)
    for index, migration in enumerate(history):
        if index >= len(files) or files[index] != migration:
            raise MigrationHistoryChanged(name=migration.name)
    return files[len(history) :]


def apply(
    database_url: str, on_step: Callable[[Migration], None] | None = None, directory: Path = DIRECTORY
) -> list[Migration]:
    """Apply what is pending and return it; `on_step` hears of each migration once it is committed.

    Any number of processes may do this at once. Raises DatabaseUnavailable, MigrationHistoryChanged, and whatever
    error of psycopg a faulty migration causes (it leaves no trace).
    """
    done = []
    try:
        connection = psycopg.connect(database_url, autocommit=True)
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(reason=str(error)) from error
    with connection:
        while (step := _apply_next(connection, directory)) is not None:
            done.append(step)
            if on_step:
                on_step(step)
    return done


def _apply_next(connection: Connection[Any], directory: Path) -> Migration | None:
    with connection.transaction():
        connection.execute(_SQL["lock"])
        connection.execute(_SQL["create_history"])
        todo = pending(connection, directory)
        if not todo:
            return None
        connection.execute((directory / todo[0].name).read_bytes())
        connection.execute(_SQL["record"], vars(todo[0]))
        return todo[0]
