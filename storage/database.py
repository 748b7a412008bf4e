"""The connection pool."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import Connection, Cursor, OperationalError
from psycopg.pq import Format
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from storage import vectors
from storage.errors import DatabaseUnavailable

CHECKOUT_TIMEOUT_SECONDS = 5.0
# connection_exception, insufficient_resources (too many connections), operator_intervention (shutdown, start-up)
_LOST_STATES = ("08", "53", "57P")


class BinaryCursor(Cursor[Any]):
    """A cursor that asks for results in binary: exact floats, and embeddings as arrays."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.format = Format.BINARY


class Pool(ConnectionPool[Connection[TupleRow]]):
    """A pool whose `connection()` raises DatabaseUnavailable when the server cannot be reached or is lost meanwhile."""

    @contextmanager
    def connection(self, timeout: float | None = None) -> Iterator[Connection[TupleRow]]:
        """Check a working connection out for one transaction: committed at the end, rolled back on an exception."""
        try:
            with super().connection(timeout) as connection:
                yield connection
        except OperationalError as error:
            if not _is_lost(error):
                raise
            raise DatabaseUnavailable(reason=str(error)) from error


def open_pool(database_url: str, max_connections: int) -> Pool:
    """Open a pool of at most `max_connections`; returns at once, also while the database is down.

    A connection is tested when it is checked out, so a restarted database is noticed and connected to again.
    """
    return Pool(
        database_url,
        min_size=1,
        max_size=max_connections,
        open=True,
        configure=configure,
        check=ConnectionPool.check_connection,
        timeout=CHECKOUT_TIMEOUT_SECONDS,
        # Give up early: a later checkout tries anew at once, where a long backoff would sleep through the recovery.
        reconnect_timeout=CHECKOUT_TIMEOUT_SECONDS,
    )


def configure(connection: Connection[Any]) -> None:
    """Make one connection speak binary, with embeddings as float32 arrays."""
    vectors.register(connection)
    connection.cursor_factory = BinaryCursor


def _is_lost(error: OperationalError) -> bool:
    if isinstance(error, PoolTimeout | PoolClosed) or error.sqlstate is None:
        return True
    return error.sqlstate.startswith(_LOST_STATES)
