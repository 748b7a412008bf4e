import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies
from psycopg import Connection

from storage import collections, database
from storage.database import Pool, open_pool
from storage.errors import DatabaseUnavailable
from storage.tenant import Tenant

pytestmark = pytest.mark.alone


@given(
    numpy_strategies.arrays(
        np.float32, st.integers(1, 600), elements=st.floats(width=32, allow_nan=False, allow_infinity=True)
    )
)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_vectors_come_back_bit_by_bit(connection: Connection[Any], vector: Any) -> None:
    row = connection.execute("SELECT %s, array_length(%s, 1), (%s)[1]", [vector, vector, vector]).fetchone()
    assert row is not None
    np.testing.assert_array_equal(row[0], vector, strict=True)
    assert row[1:] == (len(vector), vector[0])


def test_vectors_are_writable_and_may_be_empty(connection: Connection[Any]) -> None:
    row = connection.execute("SELECT '{1,2.5}'::real[], '{}'::real[]").fetchone()
    assert row is not None
    assert row[0].flags.writeable
    assert row[1].shape == (0,)


@pytest.mark.parametrize("wrong", [np.zeros(3), np.zeros((2, 2), np.float32)], ids=["float64", "matrix"])
def test_other_arrays_are_refused(connection: Connection[Any], wrong: Any) -> None:
    with pytest.raises(TypeError, match="1-d float32"):
        connection.execute("SELECT %s", [wrong])


def test_errors_that_are_not_a_lost_connection_stay_what_they_are(pool: Pool) -> None:
    with pytest.raises(psycopg.errors.OperationalError), pool.connection() as connection:
        connection.execute("DO $$ BEGIN RAISE deadlock_detected; END $$")
    with pytest.raises(psycopg.errors.UndefinedTable), pool.connection() as connection:
        connection.execute("SELECT * FROM nowhere")


def test_a_connection_cut_in_use_is_a_domain_error_and_the_next_works(pool: Pool) -> None:
    with pytest.raises(DatabaseUnavailable), pool.connection() as connection:
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    with pool.connection() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_connections_cut_while_idle_are_not_noticed(pool: Pool) -> None:
    with pool.connection() as connection, pool.connection() as other:
        ours = [connection.info.backend_pid, other.info.backend_pid]
    with pool.connection() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid WHERE pid <> pg_backend_pid()", [ours]
        )
    for _ in range(3):
        with pool.connection() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_pool_survives_a_restart_of_the_database(own_postgres: Any) -> None:
    with open_pool(own_postgres.url("postgres"), 4) as pool:
        with pool.connection() as connection:
            connection.execute("SELECT 1")
        own_postgres.stop()
        start = time.monotonic()
        with pytest.raises(DatabaseUnavailable), pool.connection():
            pass
        assert time.monotonic() - start < 8
        own_postgres.start()
        _works_within(8, pool)


def test_who_waits_for_a_server_that_restarts_is_served_when_it_is_back(own_postgres: Any) -> None:
    with open_pool(own_postgres.url("postgres"), 2) as pool, ThreadPoolExecutor() as threads:
        _works_within(5, pool)
        own_postgres.stop()
        waiting = threads.submit(_works_within, 5, pool)
        time.sleep(1.5)  # where attempts that are ever further apart would have one at 1 s and one at 3 s
        assert not waiting.done()
        own_postgres.start()
        with _ends_within(1.0):
            waiting.result()


def test_a_server_that_does_not_answer_is_given_up_in_time_and_used_again_when_it_does(own_postgres: Any) -> None:
    with open_pool(own_postgres.url("postgres"), 2, statement_seconds=1.0) as pool:
        with pool.connection() as connection:
            connection.execute("SELECT 1")
            with own_postgres.stopped(), _ends_within(4.0), pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        with own_postgres.stopped(), _ends_within(12.0), pytest.raises(DatabaseUnavailable), pool.connection():
            pass
        _works_within(5, pool)


def test_while_the_server_is_away_only_the_first_wait_long_for_it(own_postgres: Any) -> None:
    """Else those behind them, waiting for a thread, would add it all up."""
    with open_pool(own_postgres.url("postgres"), 2) as pool:
        own_postgres.stop()
        with _ends_within(database.CHECKOUT_TIMEOUT_SECONDS + 5.0):
            for _ in range(4):
                with pytest.raises(DatabaseUnavailable), pool.connection():
                    pass
        own_postgres.start()
        _works_within(8, pool)
        own_postgres.stop()
        start = time.monotonic()
        with pytest.raises(DatabaseUnavailable), pool.connection():
            pass
        assert time.monotonic() - start > database.CHECKOUT_TIMEOUT_SECONDS - 1, "patient again"
        own_postgres.start()


def test_a_statement_that_takes_too_long_is_cancelled_and_others_go_on(database_url: str) -> None:
    with open_pool(database_url, 2, statement_seconds=0.5) as pool:
        with _ends_within(3.0), pytest.raises(DatabaseUnavailable, match="timeout"), pool.connection() as connection:
            connection.execute("SELECT pg_sleep(20)")
        with pool.connection() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_waiting_for_a_lock_counts_and_nothing_is_written(
    database_url: str, connection: Connection[Any], tenant: Tenant
) -> None:
    collections.create(connection, tenant, "c", "7.1")
    with (
        open_pool(database_url, 2, statement_seconds=0.5) as pool,
        connection.transaction(),
        _ends_within(3.0),
        pytest.raises(DatabaseUnavailable),
        pool.connection() as waiting,
    ):
        collections.lock(connection, tenant, "c")
        collections.lock(waiting, tenant, "c")


def test_a_process_that_hangs_within_a_transaction_lets_others_go_on(
    database_url: str, connection: Connection[Any], tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    collections.create(connection, tenant, "c", "7.1")
    monkeypatch.setattr(database, "SILENCE_SECONDS", 0.5)
    with open_pool(database_url, 1) as pool, pytest.raises(psycopg.Error), pool.connection() as hanging:
        collections.lock(hanging, tenant, "c")
        with _ends_within(3.0):
            collections.lock(connection, tenant, "c")
        hanging.execute("SELECT 1")


def _works_within(seconds: float, pool: Pool) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with pool.connection() as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
            return
        except DatabaseUnavailable:
            assert time.monotonic() < deadline


@contextmanager
def _ends_within(seconds: float) -> Iterator[None]:
    """Fails, after the fact or by an alarm, if what is inside takes longer."""

    def too_late(*_: object) -> None:
        pytest.fail(f"still waiting after {seconds} s")

    before = signal.signal(signal.SIGALRM, too_late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_pool_may_be_opened_before_its_database(tmp_path: Path) -> None:
    with (
        open_pool(f"host={tmp_path} user=openrek dbname=openrek", 2) as pool,
        pytest.raises(DatabaseUnavailable),
        pool.connection(timeout=0.3),
    ):
        pass


def test_a_read_goes_on_with_another_connection_when_its_own_is_lost(pool: Pool) -> None:
    asked: list[int] = []

    def look(connection: Connection[Any], cut_at: int) -> int:
        asked.append(connection.info.backend_pid)
        if len(asked) == cut_at:
            connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        row = connection.execute("SELECT 5").fetchone()
        assert row is not None
        return int(row[0])

    assert pool.read(look, cut_at=1) == 5
    assert len(set(asked)) == 2


def test_a_read_is_not_in_a_transaction_and_a_checkout_after_it_is(pool: Pool) -> None:
    def status(connection: Connection[Any]) -> str:
        connection.execute("SELECT 1")
        return connection.info.transaction_status.name

    assert pool.read(status) == "IDLE"
    with pool.connection() as connection:
        assert status(connection) == "INTRANS"
    with pytest.raises(psycopg.errors.DivisionByZero), pool.connection() as connection:
        connection.execute("SELECT 1 / 0")
    assert pool.read(status) == "IDLE"


def test_errors_of_a_read_stay_what_they_are(pool: Pool) -> None:
    asked: list[str] = []

    def fail(connection: Connection[Any], query: str) -> None:
        asked.append(query)
        connection.execute(query)

    for query, error in (
        ("SELECT * FROM nowhere", psycopg.errors.UndefinedTable),
        ("DO $$ BEGIN RAISE deadlock_detected; END $$", psycopg.errors.OperationalError),
    ):
        with pytest.raises(error):
            pool.read(fail, query)
    assert len(asked) == 2, "asked once each"


def test_a_read_of_a_database_that_is_away_ends_as_a_checkout_does(own_postgres: Any) -> None:
    with open_pool(own_postgres.url("postgres"), 2) as pool:
        assert pool.read(lambda connection: connection.execute("SELECT 1").fetchone()) == (1,)
        own_postgres.stop()
        with _ends_within(8.0), pytest.raises(DatabaseUnavailable):
            pool.read(lambda connection: connection.execute("SELECT 1"))
        own_postgres.start()
        _works_within(8, pool)
