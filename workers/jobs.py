"""Jobs on stored videos, task by task. A worker claims whatever is due, and holds it by a lease while it works."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import msgspec

from inference import wire
from inference.errors import InferenceUnavailable, InvalidVideo, Overloaded
from inference.video import limits
from inference.video.container import probe, split
from inference.video.types import Part, VideoInfo
from storage import job_tasks, jobs
from storage.errors import (
    BucketNotFound,
    DatabaseUnavailable,
    LeaseLost,
    ObjectChanged,
    ObjectNotFound,
    ObjectStoreUnavailable,
    ObjectTooLarge,
)
from storage.job_tasks import Task
from storage.jobs import Job
from vectorindex.client import IndexUnavailable
from workers.analyses import ANALYSES
from workers.services import WorkerServices

log = logging.getLogger(__name__)

AWAY = (DatabaseUnavailable, InferenceUnavailable, IndexUnavailable, ObjectStoreUnavailable, Overloaded)
"""Errors that pass by themselves."""
PAUSE_SECONDS = 2.0


def work(services: WorkerServices) -> int:
    """Do all tasks that are due, one after the other; return how many."""
    done = 0
    while True:
        with services.pool.connection() as connection:
            task = job_tasks.claim(connection, services.settings.lease_seconds)
        if task is None:
            return done
        _attempt(task, services)
        done += 1


def _attempt(task: Task, services: WorkerServices) -> None:
    """Do a task; on failure let it be tried again, or end its job, as the kind of failure is."""
    try:
        with services.pool.connection() as connection:
            job = jobs.get(connection, task.job_id)
        with _leased(task, services) as lease:
            STEPS[task.step](task, job, services, lease)
    except LeaseLost:
        log.warning("job_id=%s step=%s number=%d was given up", task.job_id, task.step, task.number)
    except (InvalidVideo, ObjectNotFound, BucketNotFound, ObjectTooLarge, ObjectChanged) as error:
        _fail(task, services, str(error))
    except AWAY as error:
        log.warning("job_id=%s step=%s number=%d waits: %s", task.job_id, task.step, task.number, error)
        _retry(task, services)
    except Exception:
        log.exception("job_id=%s step=%s number=%d failed", task.job_id, task.step, task.number)
        _retry(task, services)


def _retry(task: Task, services: WorkerServices) -> None:
    if task.failures + 1 >= services.settings.attempts:
        _fail(task, services, "The analysis failed. The worker's log says why.")
        return
    with services.pool.connection() as connection:
        job_tasks.give_back(connection, task, PAUSE_SECONDS * 2**task.failures, failed=True)


def _fail(task: Task, services: WorkerServices, message: str) -> None:
    log.warning("job_id=%s failed: %s", task.job_id, message)
    with services.pool.connection() as connection:
        job_tasks.job_failed(connection, task, message)


class Lease:
    """What a task at work tells about itself, and whether it is still its worker's."""

    def __init__(self) -> None:
        self.progress = 0.0
        self.lost = threading.Event()

    def check(self) -> None:
        """Raises LeaseLost."""
        if self.lost.is_set():
            raise LeaseLost(job_id="")


@contextmanager
def _leased(task: Task, services: WorkerServices) -> Iterator[Lease]:
    """Renews the lease of a task, from a thread of its own, inside the `with` block."""
    lease, over = Lease(), threading.Event()
    seconds = services.settings.lease_seconds

    def renew() -> None:
        while not over.wait(seconds / 3):
            try:
                with services.pool.connection() as connection:
                    job_tasks.renew(connection, task, seconds, lease.progress)
            except LeaseLost:
                lease.lost.set()
                return
            except DatabaseUnavailable as error:
                log.warning("job_id=%s the lease could not be renewed: %s", task.job_id, error)

    renewing = threading.Thread(target=renew, name=f"lease of {task.job_id[:8]}", daemon=True)
    renewing.start()
    try:
        yield lease
    finally:
        over.set()
        renewing.join()


def _plan(task: Task, job: Job, services: WorkerServices, lease: Lease) -> None:
    with _video(job, services) as file:
        info = probe(file)
        parts = split(file, services.settings.part_seconds)
    with services.pool.connection() as connection:
        job_tasks.planned(connection, task, wire.encode(info), [(part.start, part.end) for part in parts])


def _look(task: Task, job: Job, services: WorkerServices, lease: Lease) -> None:
    part = Part(task.number, task.start, task.end)
    seen = []
    with _video(job, services) as file:
        for observation in ANALYSES[job.kind].look(file, part, job, services):
            lease.check()
            seen.append(observation)
    with services.pool.connection() as connection:
        job_tasks.looked(connection, task, wire.encode(seen))


def _conclude(task: Task, job: Job, services: WorkerServices, lease: Lease) -> None:
    assert job.info is not None
    info = wire.decode(job.info, VideoInfo)
    observations = (
        one
        for part in job_tasks.observations(services.pool, job.id)
        for one in msgspec.msgpack.decode(part, type=list[bytes])
    )
    results = ANALYSES[job.kind].conclude(observations, job, info, services)
    with services.pool.connection() as connection:
        job_tasks.concluded(connection, task, results)
    log.info("job_id=%s kind=%s is done", job.id, job.kind)


def _notify(task: Task, job: Job, services: WorkerServices, lease: Lease) -> None:
    log.info("job_id=%s status=%s topic=%s", job.id, job.status, job.topic)
    with services.pool.connection() as connection:
        job_tasks.notified(connection, task)


def _video(job: Job, services: WorkerServices) -> BinaryIO:
    file = services.objects.open(job.tenant, job.bucket, job.object_name, job.object_version, limits.MOST_BYTES)
    return cast(BinaryIO, file)  # it has all that reading needs


STEPS = {"plan": _plan, "look": _look, "conclude": _conclude, "notify": _notify}
