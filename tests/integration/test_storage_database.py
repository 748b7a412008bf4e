import time
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies
from psycopg import Connection

from storage.database import Pool, open_pool
from storage.errors import DatabaseUnavailable


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
    with pytest.raises(psycopg.errors.QueryCanceled), pool.connection() as connection:
        connection.execute("SET LOCAL statement_timeout = 1")
        connection.execute("SELECT pg_sleep(5)")
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
        deadline = time.monotonic() + 8
        while True:
            try:
                with pool.connection() as connection:
                    assert connection.execute("SELECT 1").fetchone() == (1,)
                break
            except DatabaseUnavailable:
                assert time.monotonic() < deadline


def test_a_pool_may_be_opened_before_its_database(tmp_path: Path) -> None:
    with (
        open_pool(f"host={tmp_path} user=openrek dbname=openrek", 2) as pool,
        pytest.raises(DatabaseUnavailable),
        pool.connection(timeout=0.3),
    ):
        pass
