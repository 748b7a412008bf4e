"""The Celery app, the worker process, and the question whether one is there."""

import logging
import threading
import warnings
from collections.abc import Callable

from celery import Celery
from celery.beat import EmbeddedService
from celery.exceptions import CPendingDeprecationWarning, OperationalError, SecurityWarning
from kombu.exceptions import OperationalError as BrokerError
from redis import RedisError

from storage import job_tasks
from storage.database import Pool
from workers import jobs, maintenance
from workers.services import WorkerServices

log = logging.getLogger(__name__)

QUEUE = "openrek"
# Nobody waits for a job as for an answer, and tidying a large collection takes its time.
STATEMENT_SECONDS = 600.0
CONNECTIONS_BESIDE_JOBS, CONNECTIONS_OF_A_JOB = 4, 4
WORK_ON_JOBS = "workers.jobs.work"
# A job whose message was lost, or whose worker died, waits no longer than this for another one.
JOB_SWEEP_SECONDS = 3.0


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


def add_tasks(app: Celery, services: WorkerServices, job_threads: int) -> None:
    """Give the app the tasks of this package, and the times of the periodic ones.

    At most `job_threads` tasks of jobs are in work at a time, so that a long video never keeps the tidying waiting.
    """
    for tidy, seconds in maintenance.PERIODIC.items():
        name = f"workers.maintenance.{tidy.__name__}"
        app.task(_task(tidy, services.pool), name=name)
        # One that waited for longer than a period is no use: the next is due.
        app.conf.beat_schedule[name] = {"task": name, "schedule": seconds, "options": {"expires": seconds}}
    free = threading.BoundedSemaphore(job_threads)

    def work_on_jobs() -> int:
        # Whoever is at work goes on until nothing is due: a message more than there are threads is not needed.
        if not free.acquire(blocking=False):
            return 0
        try:
            return jobs.work(services)
        finally:
            free.release()

    def look_for_jobs() -> int:
        with services.pool.connection() as connection:
            due = job_tasks.count_due(connection)
        for _ in range(min(due, job_threads)):
            app.send_task(WORK_ON_JOBS, expires=JOB_SWEEP_SECONDS)
        return due

    app.task(work_on_jobs, name=WORK_ON_JOBS)
    sweep = "workers.jobs.look_for_jobs"
    app.task(look_for_jobs, name=sweep)
    options = {"expires": JOB_SWEEP_SECONDS}
    app.conf.beat_schedule[sweep] = {"task": sweep, "schedule": JOB_SWEEP_SECONDS, "options": options}


def run(broker_url: str, services: WorkerServices, job_threads: int, log_level: str) -> None:
    """Work, on `job_threads` threads for jobs and one beside them, until SIGTERM or SIGINT.

    Tidying at work is finished before; tasks of jobs are given back.
    """
    # Advice for operators that is none here: messages are JSON, never pickled; tasks may safely run twice.
    for advice in (SecurityWarning, CPendingDeprecationWarning):
        warnings.simplefilter("ignore", advice)
    app = create_app(broker_url)
    add_tasks(app, services, job_threads)
    # A thread and a schedule in memory: a second process and a file would only cost.
    beat = EmbeddedService(app, thread=True, scheduler_cls="celery.beat:Scheduler")
    worker = app.Worker(
        pool_cls="threads",
        concurrency=job_threads + 1,
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


def waker(broker_url: str) -> Callable[[], None]:
    """A function that has a worker look for jobs at once. It never raises: without it they look soon by themselves."""
    app = create_app(broker_url)
    app.conf.broker_transport_options = {"socket_connect_timeout": 1.0, "socket_timeout": 1.0, "max_retries": 0}

    def wake() -> None:
        try:
            app.send_task(WORK_ON_JOBS, retry=False)
        except (OSError, OperationalError, BrokerError, RedisError) as error:
            log.warning("the queue does not answer: %s", error)

    return wake


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
