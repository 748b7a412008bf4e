"""The connection pool. Nothing in it waits for ever: not for a connection, a lock, a statement or a dead server."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

from psycopg import Connection, Cursor, Error, OperationalError, errors
from psycopg.abc import PQGen
from psycopg.pq import Format
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from storage import queries, vectors
from storage.errors import DatabaseUnavailable

CHECKOUT_TIMEOUT_SECONDS = 5.0
# Once somebody waited in vain, others need not find that out as slowly, until somebody succeeds.
_CHECKOUT_TIMEOUT_WHILE_AWAY_SECONDS = 1.0
# A checkout that waits asks anew this often.
_ASK_AGAIN_SECONDS = 0.25
STATEMENT_SECONDS = 10.0
# A transaction of ours that says nothing for so long is of a process that hangs, and holds others up.
SILENCE_SECONDS = 60.0
# The server cancels by itself; only one that is unreachable does not answer for this much longer.
_GRACE_SECONDS = 1.0
# connection_exception, insufficient_resources (disk full, too many connections), lock_not_available,
# operator_intervention (shutdown, start-up, statement_timeout), system_error
_UNAVAILABLE_STATES = ("08", "53", "55P03", "57", "58")
_ENDED_BY_THE_SERVER = "57P"
_SQL = queries.load("database")
P = ParamSpec("P")
Found = TypeVar("Found")


class BinaryCursor(Cursor[Any]):
    """A cursor that asks for results in binary: exact floats, and embeddings as arrays."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.format = Format.BINARY


class BoundedConnection(Connection[TupleRow]):
    """A connection that is closed, with an OperationalError, when the server leaves it without an answer for too long.

    Without it, a machine that vanished from the network is waited for until the system gives up, about a quarter of
    an hour.
    """

    answer_seconds: float | None = None

    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        """Run one exchange with the server."""
        bound = self.answer_seconds if timeout is None else timeout
        try:
            return super().wait(gen, interval, bound)
        except errors._WaitTimeout as error:
            self.pgconn.finish()
            raise OperationalError(f"no answer within {bound} s") from error


class Pool(ConnectionPool[Connection[TupleRow]]):
    """A pool that raises DatabaseUnavailable when the server cannot serve: it cannot be reached, is lost meanwhile,
    takes too long or has no room."""

    _is_away = False

    @contextmanager
    def connection(self, timeout: float | None = None) -> Iterator[Connection[TupleRow]]:
        """Check a working connection out for one transaction: committed at the end, rolled back on an exception."""
        with self._watched(), self._working(timeout) as connection:
            connection.autocommit = False
            try:
                with connection:
                    yield connection
            finally:
                if not connection.closed:
                    connection.autocommit = True

    def read(
        self, look: Callable[Concatenate[Connection[TupleRow], P], Found], *args: P.args, **named: P.kwargs
    ) -> Found:
        """What `look(connection, ...)` finds, which only reads, and does without a transaction around its statements.

        That leaves out the rounds of testing the connection, of the beginning and of the end: one that turns out to be
        lost is replaced, and `look` called again.
        """
        with self._watched():
            connection = self.getconn(self._patience)
            try:
                found = look(connection, *args, **named)
                self._is_away = False
                return found
            except OperationalError as error:
                if not connection.closed and not (error.sqlstate or "").startswith(_ENDED_BY_THE_SERVER):
                    raise
                connection.close()
            finally:
                self.putconn(connection)
            with self._working(None) as other:
                return look(other, *args, **named)

    def getconn(self, timeout: float | None = None) -> Connection[TupleRow]:
        """Check a connection out, not known to work. Raises PoolTimeout.

        The pool tries to connect when somebody asks, and between failures sleeps up to 4 s: too long for a server that
        restarts within half a second. So it is to give up at the first failure, and be asked again.
        """
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            left = deadline - time.monotonic()
            try:
                return super().getconn(min(left, _ASK_AGAIN_SECONDS))
            except PoolTimeout:
                if left <= _ASK_AGAIN_SECONDS:
                    raise

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Tells in the words of this room that the server is away, and notes it."""
        try:
            yield
        except OperationalError as error:
            if not _is_unavailable(error):
                raise
            self._is_away = isinstance(error, PoolTimeout)
            raise DatabaseUnavailable(reason=str(error)) from error

    @contextmanager
    def _working(self, timeout: float | None) -> Iterator[Connection[TupleRow]]:
        """A connection that answered just now. Raises PoolTimeout."""
        deadline = time.monotonic() + (self._patience if timeout is None else timeout)
        while True:
            connection = self.getconn(deadline - time.monotonic())
            try:
                _check(connection)
                self._is_away = False
                break
            except Error:
                connection.close()
                self.putconn(connection)
            except BaseException:
                self.putconn(connection)
                raise
        try:
            yield connection
        finally:
            self.putconn(connection)

    @property
    def _patience(self) -> float:
        return _CHECKOUT_TIMEOUT_WHILE_AWAY_SECONDS if self._is_away else self.timeout


def open_pool(database_url: str, max_connections: int, statement_seconds: float = STATEMENT_SECONDS) -> Pool:
    """Open a pool of at most `max_connections`; returns at once, also while the database is down.

    A restarted database is noticed and connected to again when a connection is checked out or lost in a read.
    A statement that takes longer than `statement_seconds`, waiting for locks included, is cancelled.
    """

    def prepare(connection: Connection[TupleRow]) -> None:
        configure(connection, statement_seconds)
        connection.autocommit = True

    return Pool(
        database_url,
        connection_class=BoundedConnection,
        kwargs={"connect_timeout": int(CHECKOUT_TIMEOUT_SECONDS)},
        min_size=1,
        max_size=max_connections,
        open=True,
        configure=prepare,
        timeout=CHECKOUT_TIMEOUT_SECONDS,
        reconnect_timeout=0.0,  # see getconn
    )


def configure(connection: Connection[Any], statement_seconds: float = STATEMENT_SECONDS) -> None:
    """Bound what one connection waits for, and make it speak binary, with embeddings as float32 arrays."""
    assert isinstance(connection, BoundedConnection)
    connection.answer_seconds = statement_seconds + _GRACE_SECONDS
    limits = {"statement": round(statement_seconds * 1000), "silence": round(SILENCE_SECONDS * 1000)}
    connection.execute(_SQL["set_limits"], limits)
    connection.commit()
    vectors.register(connection)
    connection.cursor_factory = BinaryCursor


def vacuum_tables(connection: Connection[Any]) -> None:
    """Clear deleted and replaced rows of people's data out of the tables, in a connection without a transaction.

    PostgreSQL would wait until a fifth of a table is of that kind.
    """
    connection.autocommit = True
    try:
        connection.execute(_SQL["vacuum"])
    finally:
        connection.autocommit = False


def _check(connection: Connection[Any]) -> None:
    assert isinstance(connection, BoundedConnection)
    bound = connection.answer_seconds
    connection.answer_seconds = CHECKOUT_TIMEOUT_SECONDS
    ConnectionPool.check_connection(connection)
    connection.answer_seconds = bound


def _is_unavailable(error: OperationalError) -> bool:
    if isinstance(error, PoolTimeout | PoolClosed) or error.sqlstate is None:
        return True
    return error.sqlstate.startswith(_UNAVAILABLE_STATES)
