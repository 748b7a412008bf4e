"""What has to be tidied up from time to time. Each task is idempotent, and any number may run at once."""

from collections.abc import Callable
from typing import Any

from psycopg import Connection

from storage import changes, collections, idempotency, jobs
from storage.database import Pool, vacuum_tables

_BATCH_ROWS = 5000
_BATCH_JOBS = 20
# An index server whose snapshot is older than this reads the whole collection again.
_LOG_ENTRIES_KEPT = 100_000

Tidy = Callable[[Pool], int]


def purge_deleted_collections(pool: Pool) -> int:
    """Remove the rows of deleted collections; return how many."""
    return _in_batches(pool, lambda connection: collections.purge_deleted(connection, _BATCH_ROWS))


def trim_change_logs(pool: Pool) -> int:
    """Remove what no index needs of the change logs; return how many entries."""
    return _in_batches(pool, lambda connection: changes.trim(connection, _LOG_ENTRIES_KEPT, _BATCH_ROWS))


def expire_idempotency_tokens(pool: Pool) -> int:
    """Remove tokens past their lifetime; return how many."""
    return _in_batches(pool, lambda connection: idempotency.expire(connection, _BATCH_ROWS))


def expire_jobs(pool: Pool, kept_seconds: float = jobs.KEPT_SECONDS) -> int:
    """Remove jobs that finished longer ago, with their results; return how many."""
    return _in_batches(pool, lambda connection: jobs.expire(connection, _BATCH_JOBS, kept_seconds))


def vacuum(pool: Pool) -> int:
    """Have the database give up the rows that nobody can see any more; it has no count to return."""
    with pool.connection() as connection:
        vacuum_tables(connection)
    return 0


# Task and the seconds between two runs of it.
PERIODIC: dict[Tidy, float] = {
    purge_deleted_collections: 60.0,
    trim_change_logs: 600.0,
    expire_idempotency_tokens: 3600.0,
    expire_jobs: 600.0,
    vacuum: 600.0,
}


def _in_batches(pool: Pool, work: Callable[[Connection[Any]], int]) -> int:
    """Repeat `work`, each time in a transaction of its own, until it finds nothing more; return the sum."""
    total = 0
    while True:
        with pool.connection() as connection:
            done = work(connection)
        if not done:
            return total
        total += done
