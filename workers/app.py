"""The Celery app, the worker process, and the question whether one is there."""

import logging
import os
import socket
import threading
import warnings
from collections.abc import Callable
from functools import partial

from celery import Celery, signals
from celery.beat import EmbeddedService
from celery.exceptions import CPendingDeprecationWarning, OperationalError, SecurityWarning
from kombu.common import Broadcast
from kombu.entity import Exchange, Queue
from kombu.exceptions import OperationalError as BrokerError
from redis import RedisError

from storage.database import Pool
from storage.errors import DatabaseUnavailable
from workers import jobs, maintenance
from workers.services import WorkerServices

log = logging.getLogger(__name__)

QUEUE = "openrek"
# Nobody waits for a job as for an answer, and tidying a large collection takes its time.
STATEMENT_SECONDS = 600.0
CONNECTIONS = 8
QUEUE_THREADS = 2
WAKE, WAKE_QUEUE = "workers.jobs.wake", "openrek.wake"
# A job whose message was lost waits no longer than this.
LOOK_FOR_JOBS_SECONDS = 1.0
# For the task in work to notice that it was given back.
STOP_SECONDS = 1.0


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


def add_tasks(app: Celery, services: WorkerServices, wake: Callable[[], None]) -> None:
    """Give the app the tasks of this package, and the times of the periodic ones.

    Jobs are no tasks of the queue, whose messages may be lost: a message only wakes who looks for them.
    """
    kept_seconds = services.settings.results_seconds
    for tidy, seconds in maintenance.PERIODIC.items():
        name = f"workers.maintenance.{tidy.__name__}"
        bound = partial(tidy, kept_seconds=kept_seconds) if tidy is maintenance.expire_jobs else tidy
        app.task(_task(tidy.__name__, bound, services.pool), name=name)
        # One that waited for longer than a period is no use: the next is due.
        app.conf.beat_schedule[name] = {"task": name, "schedule": seconds, "options": {"expires": seconds}}
    app.task(wake, name=WAKE)


def run(broker_url: str, services: WorkerServices, log_level: str, name: str = "worker") -> None:
    """Work until SIGTERM or SIGINT: on jobs, one task at a time, and on whatever comes through the queue.

    Tidying at work is finished before; a job's task is given back. Workers on one machine need different names.
    """
    # Advice for operators that is none here: messages are JSON, never pickled; tasks may safely run twice.
    for advice in (SecurityWarning, CPendingDeprecationWarning):
        warnings.simplefilter("ignore", advice)
    app = create_app(broker_url)
    app.conf.task_queues = (Queue(QUEUE), Broadcast(WAKE_QUEUE, routing_key=WAKE_QUEUE))
    woken = threading.Event()
    add_tasks(app, services, woken.set)
    # A thread and a schedule in memory: a second process and a file would only cost.
    beat = EmbeddedService(app, thread=True, scheduler_cls="celery.beat:Scheduler")
    worker = app.Worker(
        hostname=node_name(name),
        pool_cls="threads",
        concurrency=QUEUE_THREADS,
        loglevel=log_level.upper(),
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        beat=False,
        quiet=True,
    )
    for chatty in ("celery.beat", "celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))

    def stop(**_: object) -> None:
        services.stopping.set()
        woken.set()

    signals.worker_shutting_down.connect(stop, weak=False)
    working = threading.Thread(target=_work_on_jobs, args=(services, woken), name="jobs", daemon=True)
    working.start()
    beat.start()
    try:
        worker.start()
    finally:
        stop()
        beat.stop()
        working.join(STOP_SECONDS)
    if working.is_alive():
        # It waits for something that does not answer, with threads that Python would wait for. Its task was given back.
        log.warning("a task is left in the middle")
        logging.shutdown()
        os._exit(0)


def _work_on_jobs(services: WorkerServices, woken: threading.Event) -> None:
    while not services.stopping.is_set():
        woken.clear()
        try:
            jobs.work(services)
        except DatabaseUnavailable as error:
            log.warning("jobs wait: %s", error)
        except Exception:
            log.exception("jobs wait")
        woken.wait(LOOK_FOR_JOBS_SECONDS)


def waker(broker_url: str) -> Callable[[], None]:
    """A function that has the workers look for jobs at once.

    It never waits nor raises: without a message they look soon by themselves.
    """
    app = create_app(broker_url)
    app.conf.broker_transport_options = {"socket_connect_timeout": 1.0, "socket_timeout": 1.0, "max_retries": 0}
    everybody = {
        "exchange": WAKE_QUEUE,
        "exchange_type": "fanout",
        "routing_key": WAKE_QUEUE,
        "declare": [Exchange(WAKE_QUEUE, type="fanout")],
    }
    asked = threading.Event()

    def send() -> None:
        while asked.wait():
            asked.clear()
            try:
                app.send_task(WAKE, **everybody, retry=False)
            except (OSError, OperationalError, BrokerError, RedisError) as error:
                log.warning("the queue does not answer: %s", error)

    threading.Thread(target=send, name="waker", daemon=True).start()
    return asked.set


def node_name(worker: str) -> str:
    """What the queue calls a worker of this machine."""
    return f"{worker}@{socket.gethostname()}"


def ping(broker_url: str, timeout: float, worker: str | None = None) -> bool:
    """Whether a worker answers within `timeout` seconds: any, or that of this machine with a name."""
    app = create_app(broker_url)
    destination = None if worker is None else [node_name(worker)]
    app.conf.broker_transport_options = {
        "socket_connect_timeout": timeout,
        "socket_timeout": timeout,
        "max_retries": 0,
    }
    try:
        # A connection of its own: one that was kept would try for ever to reach a broker that has gone.
        with app.connection_for_write() as connection:
            return bool(app.control.ping(destination, timeout=timeout, limit=1, connection=connection))
    except (OSError, OperationalError, BrokerError, RedisError):
        return False


def _task(name: str, tidy: maintenance.Tidy, pool: Pool) -> Callable[[], int]:
    def task() -> int:
        if done := tidy(pool):
            log.info("%s: %d", name, done)
        return done

    return task
