"""The tasks of jobs, and their leases: who holds a task's latest claim is the one whose work counts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from psycopg import Connection
from psycopg.rows import class_row

from storage import jobs, queries
from storage.database import Pool
from storage.errors import LeaseLost
from storage.jobs import Result

Step = Literal["plan", "look", "conclude", "notify"]
Why = Literal["stopped", "away", "failed"]
"""Why a task is given back: its worker is to stop, something else is away, or it ended with an error."""
Bounds = tuple[int | None, int | None]
"""Of a part of a video, in ticks of its clock; None for its beginning or end."""
_SQL = queries.load("job_tasks")


@dataclass(frozen=True)
class Task:
    """A claimed task; `start` and `end` are there for parts. `claims` tells this claim from all others. Of those
    before, `failures` ended with an error, and of `deaths` nothing more was heard: their workers died. For so many
    `away_seconds` it could not be done because something else was away."""

    job_id: str
    step: Step
    number: int
    start: int | None
    end: int | None
    claims: int
    failures: int
    deaths: int
    away_seconds: float

    @property
    def place(self) -> tuple[str, Step, int]:
        """The key of its row."""
        return self.job_id, self.step, self.number


def claim(connection: Connection[Any], lease_seconds: float) -> Task | None:
    """Take a task that is due and that nobody holds, for so long; None when there is none."""
    with connection.cursor(row_factory=class_row(Task)) as cursor:
        return cursor.execute(_SQL["claim"], {"lease_seconds": lease_seconds}).fetchone()


def renew(connection: Connection[Any], task: Task, lease_seconds: float, progress: float) -> None:
    """Hold a task for so long from now; `progress`, 0..1, is for who asks. Raises LeaseLost."""
    held = vars(task) | {"lease_seconds": lease_seconds, "progress": progress}
    if connection.execute(_SQL["renew"], held).fetchone() is None:
        raise LeaseLost(job_id=task.job_id)


def give_back(connection: Connection[Any], task: Task, why: Why, pause_seconds: float = 0.0) -> None:
    """Let a task be claimed again after a pause, if it is still held; it no longer is."""
    connection.execute(_SQL["give_back"], vars(task) | {"pause_seconds": pause_seconds, "why": why})


def planned(connection: Connection[Any], task: Task, info: bytes, parts: Iterable[Bounds]) -> None:
    """End the task that opened a video: note what it is and make a task for each part. Raises LeaseLost."""
    with connection.transaction():
        _finish(connection, task)
        connection.execute(_SQL["note_info"], {"job_id": task.job_id, "info": info})
        for number, (start, end) in enumerate(parts):
            _insert(connection, task.job_id, "look", number, start, end)


def looked(connection: Connection[Any], task: Task, observations: bytes) -> None:
    """End the task of a part; the last one makes the task that concludes. Raises LeaseLost."""
    with connection.transaction():
        _finish(connection, task, observations)
        left = connection.execute(_SQL["count_looks"], {"job_id": task.job_id}).fetchone()
        if left is not None and left[0] == 0:
            _insert(connection, task.job_id, "conclude", 0)


def observations(pool: Pool, job_id: str) -> Iterator[bytes]:
    """What was seen, part by part in the order of the video."""
    with pool.connection() as connection:
        count = part_count(connection, job_id)
    for number in range(count):
        with pool.connection() as connection:
            seen = connection.execute(_SQL["observations"], {"job_id": job_id, "number": number}).fetchone()
        if seen is None:
            raise LeaseLost(job_id=job_id)
        yield seen[0]


def part_count(connection: Connection[Any], job_id: str) -> int:
    """How many parts the video of a job has, once it was opened."""
    row = connection.execute(_SQL["part_count"], {"job_id": job_id}).fetchone()
    assert row is not None
    return int(row[0])


def concluded(connection: Connection[Any], task: Task, found: Iterable[Result]) -> None:
    """End the job of a task with its results, in the order of time, all at once. Raises LeaseLost."""
    with connection.transaction():
        _finish(connection, task)
        jobs.store_results(connection, task.job_id, found)
        jobs.end(connection, task.job_id, "done")


def job_failed(connection: Connection[Any], task: Task, message: str) -> None:
    """End the job of a task without results. Raises LeaseLost."""
    with connection.transaction():
        _finish(connection, task)
        jobs.end(connection, task.job_id, "failed", message)


def notified(connection: Connection[Any], task: Task) -> None:
    """End a task that told about a job's end, or gave it up. Raises LeaseLost."""
    with connection.transaction():
        _finish(connection, task)


def _finish(connection: Connection[Any], task: Task, observations: bytes | None = None) -> None:
    connection.execute(_SQL["lock_job"], {"job_id": task.job_id})
    if connection.execute(_SQL["finish"], vars(task) | {"observations": observations}).fetchone() is None:
        raise LeaseLost(job_id=task.job_id)


def _insert(
    connection: Connection[Any], job_id: str, step: Step, number: int, start: int | None = None, end: int | None = None
) -> None:
    connection.execute(_SQL["insert"], {"job_id": job_id, "step": step, "number": number, "start": start, "end": end})
