"""The Celery app, the worker process, and the question whether one is there."""

import logging
import warnings
from collections.abc import Callable

from celery import Celery
from celery.beat import EmbeddedService
from celery.exceptions import CPendingDeprecationWarning, OperationalError, SecurityWarning
from kombu.exceptions import OperationalError as BrokerError
from redis import RedisError

from storage.database import Pool, open_pool
from workers import maintenance

log = logging.getLogger(__name__)

QUEUE = "openrek"
# Nobody waits for a job as for an answer, and tidying a large collection takes its time.
STATEMENT_SECONDS = 600.0


def create_app(broker_url: str) -> Celery:
    """An app without tasks: enough to send tasks by name and to ask for workers.

    `broker_url` is `redis://...`, `rediss://...` or, for a socket, `unix:///path` (or Celery's `redis+socket:///path`).
    """
    if broker_url.startswith("unix://"):
        path, _, query = broker_url.removeprefix("unix://").partition("?")
        broker_url = f"redis+socket://{path}?{query.replace('db=', 'virtual_host=')}"
    app = Celery("openrek", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        # A task is taken off the queue when it is done: one whose worker died is given to another.
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
    )
    return app


def add_tasks(app: Celery, pool: Pool) -> None:
    """Give the app the tasks of this package, which work on `pool`, and the times of the periodic ones."""
    for tidy, seconds in maintenance.PERIODIC.items():
        name = f"workers.maintenance.{tidy.__name__}"
        app.task(_task(tidy, pool), name=name)
        # One that waited for longer than a period is no use: the next is due.
        app.conf.beat_schedule[name] = {"task": name, "schedule": seconds, "options": {"expires": seconds}}


def run(broker_url: str, database_url: str, concurrency: int, log_level: str, *, max_connections: int = 4) -> None:
    """Work, on `concurrency` threads, until SIGTERM or SIGINT; tasks at work are finished before."""
    # Advice for operators that is none here: messages are JSON, never pickled; tasks may safely run twice.
    for advice in (SecurityWarning, CPendingDeprecationWarning):
        warnings.simplefilter("ignore", advice)
    app = create_app(broker_url)
    with open_pool(database_url, max_connections, STATEMENT_SECONDS) as pool:
        add_tasks(app, pool)
        # A thread and a schedule in memory: a second process and a file would only cost.
        beat = EmbeddedService(app, thread=True, scheduler_cls="celery.beat:Scheduler")
        worker = app.Worker(
            pool_cls="threads",
            concurrency=concurrency,
            loglevel=log_level.upper(),
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            beat=False,
            quiet=True,
        )
        beat.start()
        try:
            worker.start()
        finally:
            beat.stop()


def ping(broker_url: str, timeout: float) -> bool:
    """Whether a worker answers within `timeout` seconds."""
    app = create_app(broker_url)
    app.conf.broker_transport_options = {
        "socket_connect_timeout": timeout,
        "socket_timeout": timeout,
        "max_retries": 0,
    }
    try:
        # A connection of its own: one that was kept would try for ever to reach a broker that has gone.
        with app.connection_for_write() as connection:
            return bool(app.control.ping(timeout=timeout, limit=1, connection=connection))
    except (OSError, OperationalError, BrokerError, RedisError):
        return False


def _task(tidy: maintenance.Tidy, pool: Pool) -> Callable[[], int]:
    def task() -> int:
        return tidy(pool)

    return task
