"""What an API process needs from the other parts, and how it sees that each is there."""

from collections.abc import Callable, Mapping

import redis
from psycopg import Connection
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from inference.client import InferenceClient
from inference.errors import InferenceUnavailable
from storage.errors import DatabaseUnavailable
from vectorindex.client import IndexClient
from workers.app import ping as worker_answers

Check = Callable[[], str | None]


def checks(
    pool: ConnectionPool[Connection[TupleRow]],
    inference: InferenceClient,
    index: IndexClient,
    redis_url: str,
    timeout_seconds: float,
) -> Mapping[str, Check]:
    """Part -> a function that gives None when the part is ready, else what is wrong with it."""
    broker = redis.Redis.from_url(redis_url, socket_timeout=timeout_seconds, socket_connect_timeout=timeout_seconds)

    def database_ready() -> str | None:
        try:
            with pool.connection() as connection:
                connection.execute("SELECT 1")
        except DatabaseUnavailable as error:
            return str(error)
        return None

    def inference_ready() -> str | None:
        try:
            inference.status()
        except InferenceUnavailable as error:
            return str(error)
        return None

    def vectorindex_ready() -> str | None:
        return None if index.is_ready() else "no vector index server answers"

    def queue_ready() -> str | None:
        try:
            broker.ping()
        except redis.RedisError as error:
            return f"the queue does not answer: {error}"
        return None

    def worker_ready() -> str | None:
        return None if worker_answers(redis_url, timeout_seconds) else "no worker answers"

    return {
        "database": database_ready,
        "inference": inference_ready,
        "vectorindex": vectorindex_ready,
        "queue": queue_ready,
        "worker": worker_ready,
    }
