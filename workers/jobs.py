"""Jobs on stored videos, task by task. A worker claims whatever is due, and holds it by a lease while it works."""

import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO, cast

import msgspec
from psycopg import Connection

from inference import memory, wire
from inference.errors import InferenceUnavailable, InvalidVideo, Overloaded
from inference.video import limits
from inference.video.container import probe, split
from inference.video.types import Part, VideoInfo
from storage import job_tasks, jobs
from storage.errors import (
    BucketNotFound,
    CollectionNotFound,
    DatabaseUnavailable,
    FaceModelChanged,
    JobNotFound,
    LeaseLost,
    ObjectChanged,
    ObjectNotFound,
    ObjectStoreUnavailable,
    ObjectTooLarge,
)
from storage.job_tasks import Task
from storage.jobs import Job, Result
from vectorindex.client import IndexUnavailable
from workers import notifications
from workers.analyses import ANALYSES
from workers.leases import Lease, leased
from workers.progress import Watched
from workers.services import WorkerServices
from workers.spool import spooled

log = logging.getLogger(__name__)

AWAY = (DatabaseUnavailable, InferenceUnavailable, IndexUnavailable, ObjectStoreUnavailable, Overloaded)
"""Errors that pass by themselves."""
FINAL = (
    InvalidVideo,
    ObjectNotFound,
    BucketNotFound,
    ObjectTooLarge,
    ObjectChanged,
    CollectionNotFound,
    FaceModelChanged,
)
"""Errors that stay, with texts for the owner of the job."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2.0, 60.0
# What was done is kept for so long when it cannot be written.
WRITE_SECONDS = 900.0
NOTIFICATION_SECONDS = 24 * 3600.0
LONGEST_NOTIFICATION_PAUSE_SECONDS = 3600.0


def work(services: WorkerServices) -> int:
    """Do all tasks that are due, one after the other, until the worker is to stop; return how many.

    Raises DatabaseUnavailable.
    """
    done = 0
    while not services.stopping.is_set():
        with services.pool.connection() as connection:
            task = job_tasks.claim(connection, services.settings.lease_seconds)
        if task is None:
            break
        try:
            _attempt(task, services)
        except (LeaseLost, JobNotFound):
            log.info("job_id=%s step=%s number=%d is another worker's, or its job is over", *task.place)
        done += 1
    if done:
        memory.give_back()
    return done


def _attempt(task: Task, services: WorkerServices) -> None:
    """Do a task; on failure let it be tried again, or end its job, as the kind of failure is."""
    start = time.monotonic()
    try:
        with services.pool.connection() as connection:
            job = jobs.get(connection, task.job_id)
        if task.deaths >= services.settings.deaths:
            _give_up(task, services, f"The analysis broke off {task.deaths} times at the same place.")
            return
        with leased(task, services) as lease:
            STEPS[task.step](task, job, services, lease)
        took = time.monotonic() - start
        log.info("job_id=%s step=%s number=%d kind=%s claim=%d took %.1f s", *task.place, job.kind, task.claims, took)
    except (LeaseLost, JobNotFound):
        raise
    except FINAL as error:
        _give_up(task, services, str(error))
    except AWAY as error:
        log.warning("job_id=%s step=%s number=%d waits: %s", *task.place, error)
        if task.away_seconds > services.settings.away_seconds:
            _give_up(task, services, "A part of the service was away for too long. The worker's log says which.")
        else:
            pause = min(max(task.away_seconds / 4, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
            _write(services, lambda connection: job_tasks.give_back(connection, task, "away", pause))
    except Exception:
        log.exception("job_id=%s step=%s number=%d failed", *task.place)
        if task.failures + 1 >= services.settings.attempts:
            _give_up(task, services, "The analysis failed. The worker's log says why.")
        else:
            pause = FIRST_PAUSE_SECONDS * 2**task.failures
            _write(services, lambda connection: job_tasks.give_back(connection, task, "failed", pause))


def _give_up(task: Task, services: WorkerServices, message: str) -> None:
    """End the job of a task as failed; a notification only stays untold."""
    log.warning("job_id=%s step=%s number=%d is given up: %s", *task.place, message)
    if task.step == "notify":
        _write(services, lambda connection: job_tasks.notified(connection, task))
    else:
        _write(services, lambda connection: job_tasks.job_failed(connection, task, message))


def _write(services: WorkerServices, write: Callable[[Connection[Any]], None]) -> None:
    """Write what came of a task, also when the database is away for a while: until then nobody else can take it.

    Raises LeaseLost, and DatabaseUnavailable when it stays away or the worker is to stop.
    """
    give_up = time.monotonic() + WRITE_SECONDS
    while True:
        try:
            with services.pool.connection() as connection:
                write(connection)
            return
        except DatabaseUnavailable as error:
            if services.stopping.is_set() or time.monotonic() > give_up:
                raise
            log.warning("what was done waits to be written: %s", error)
        services.stopping.wait(1.0)


def _plan(task: Task, job: Job, services: WorkerServices, lease: Lease) -> None:
    with _video(job, services) as file:
        info = probe(file)
        bounds = [(part.start, part.end) for part in split(file, services.settings.part_seconds)]
    _write(services, lambda connection: job_tasks.planned(connection, task, wire.encode(info), bounds))
    if len(bounds) > 1:
        services.wake_workers()


def _look(task: Task, job: Job, services: WorkerServices, lease: Lease) -> None:
    part = Part(task.number, task.start, task.end)
    with services.pool.connection() as connection:
        parts = job_tasks.part_count(connection, job.id)
    seen = []
    with _video(job, services) as file:
        watched = Watched(file, parts)
        for observation in ANALYSES[job.kind].look(cast(BinaryIO, watched), part, job, services):
            lease.check()
            lease.progress = watched.progress
            seen.append(observation)
    _write(services, lambda connection: job_tasks.looked(connection, task, wire.encode(seen)))


def _conclude(task: Task, job: Job, services: WorkerServices, lease: Lease) -> None:
    """Makes all results before it writes any: the transaction is as short as it can be, and may be tried again."""
    assert job.info is not None
    info = wire.decode(job.info, VideoInfo)
    observations = (
        one
        for part in job_tasks.observations(services.pool, job.id)
        for one in msgspec.msgpack.decode(part, type=list[bytes])
    )

    def found() -> Iterator[Result]:
        for result in ANALYSES[job.kind].conclude(observations, job, info, services):
            lease.check()
            yield result

    with spooled(found()) as results:
        _write(services, lambda connection: job_tasks.concluded(connection, task, results()))
    log.info("job_id=%s kind=%s is done", job.id, job.kind)


def _notify(task: Task, job: Job, services: WorkerServices, lease: Lease) -> None:
    assert job.finished_at is not None
    try:
        notifications.tell(job, services.notifications)
    except notifications.Refused as error:
        log.error("job_id=%s its end cannot be told: %s", job.id, error)
    except notifications.NotTold as error:
        if (datetime.now(UTC) - job.finished_at).total_seconds() < NOTIFICATION_SECONDS:
            pause = min(FIRST_PAUSE_SECONDS * 2.0**task.failures, LONGEST_NOTIFICATION_PAUSE_SECONDS)
            log.warning("job_id=%s its end is told again in %.0f s: %s", job.id, pause, error)
            _write(services, lambda connection: job_tasks.give_back(connection, task, "failed", pause))
            return
        log.error("job_id=%s its end is not told any more: %s", job.id, error)
    _write(services, lambda connection: job_tasks.notified(connection, task))


def _video(job: Job, services: WorkerServices) -> BinaryIO:
    file = services.objects.open(job.tenant, job.bucket, job.object_name, job.object_version, limits.MOST_BYTES)
    return cast(BinaryIO, file)  # it has all that reading needs


STEPS = {"plan": _plan, "look": _look, "conclude": _conclude, "notify": _notify}
