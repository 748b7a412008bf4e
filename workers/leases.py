"""Holds a task while it is worked on, and lets go of it when the worker is to stop."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from storage import job_tasks
from storage.errors import DatabaseUnavailable, LeaseLost
from storage.job_tasks import Task
from workers.services import WorkerServices

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2


class Lease:
    """What a task in work tells about itself (`progress`, 0..1), and whether it is still its worker's."""

    def __init__(self, task: Task) -> None:
        self.progress = 0.0
        self._task = task
        self._lost = threading.Event()

    def check(self) -> None:
        """Raises LeaseLost."""
        if self._lost.is_set():
            raise LeaseLost(job_id=self._task.job_id)

    def lose(self) -> None:
        """The task is somebody else's from now on."""
        self._lost.set()


@contextmanager
def leased(task: Task, services: WorkerServices) -> Iterator[Lease]:
    """Renews the lease of a claimed task inside the `with` block, from a thread of its own.

    When the worker is to stop the task is given back at once, whatever the block is doing: what it does then is in
    vain, and nobody has to wait for it.
    """
    lease, over = Lease(task), threading.Event()
    holding = threading.Thread(target=_hold, args=(task, services, lease, over), name="lease", daemon=True)
    holding.start()
    try:
        yield lease
    finally:
        over.set()
        holding.join()


def _hold(task: Task, services: WorkerServices, lease: Lease, over: threading.Event) -> None:
    seconds = services.settings.lease_seconds
    renewal = time.monotonic() + seconds / 3
    while not over.wait(LOOK_SECONDS):
        try:
            if services.stopping.is_set():
                lease.lose()
                with services.pool.connection() as connection:
                    job_tasks.give_back(connection, task, "stopped")
                log.info("job_id=%s step=%s number=%d is given back: the worker stops", *task.place)
                return
            if time.monotonic() >= renewal:
                renewal = time.monotonic() + seconds / 3
                with services.pool.connection() as connection:
                    job_tasks.renew(connection, task, seconds, lease.progress)
        except LeaseLost:
            lease.lose()
            return
        except DatabaseUnavailable as error:
            log.warning("job_id=%s step=%s number=%d the lease waits: %s", *task.place, error)
