"""Jobs on stored videos: what was asked, how it stands, and what came out, until it expires."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from storage import idempotency, queries
from storage.errors import JobNotFound, TooManyJobs
from storage.tenant import Tenant

Status = Literal["running", "done", "failed"]
KEPT_SECONDS = 7 * 24 * 3600.0
"""For which finished jobs and their results are kept (video.md section 1)."""
_SQL = queries.load("jobs")
_TASKS = queries.load("job_tasks")


@dataclass(frozen=True)
class NewJob:
    """`kind` is a key of workers.analyses; `params`, plain JSON, are what that analysis reads. The video is an object
    of a bucket. The end is told to `topic`, None for nobody, as that of `operation`."""

    kind: str
    params: dict[str, Any]
    bucket: str
    object_name: str
    object_version: str | None = None
    tag: str | None = None
    topic: str | None = None
    operation: str = ""


@dataclass(frozen=True)
class Job(NewJob):
    """`info` is an encoded VideoInfo, None before the video was opened; `message` says why a job failed."""

    id: str = ""
    account: str = ""
    region: str = ""
    status: Status = "running"
    message: str | None = None
    info: bytes | None = None
    created_at: datetime = datetime.min
    finished_at: datetime | None = None

    @property
    def tenant(self) -> Tenant:
        return Tenant(self.account, self.region)


@dataclass(frozen=True)
class ListedJob(Job):
    """`progress`: the share of it that is done, 0..1; the parts of the video are nearly all of it."""

    progress: float = 0.0


@dataclass(frozen=True)
class Result:
    """One row of what a job found, in the `view` it belongs to: `payload` is an encoded dataclass of inference. In the
    order of names, rows of one `name` follow each other by falling `rank`."""

    view: str
    at_ms: int
    payload: bytes
    name: str = ""
    rank: float = 0.0


@dataclass(frozen=True)
class Row:
    """A stored result: `place` counts from 0 in the order it was read in."""

    place: int
    at_ms: int
    payload: bytes


def new_id() -> str:
    """The id of a job to be: 64 hexadecimal characters."""
    return secrets.token_hex(32)


def resource(job_id: str) -> str:
    """What the tokens of requests about a job are kept with (storage.idempotency): they end with it."""
    return f"job/{job_id}"


def start(connection: Connection[Any], tenant: Tenant, job: NewJob, limit: int, job_id: str | None = None) -> str:
    """Write a new job, ready for any worker, and return its id: `job_id` or a new one.

    Raises TooManyJobs when the tenant has `limit` unfinished ones.
    """
    job_id = job_id or new_id()
    with connection.transaction():
        connection.execute(_SQL["lock_tenant"], vars(tenant))
        row = connection.execute(_SQL["count_running"], vars(tenant)).fetchone()
        assert row is not None
        if row[0] >= limit:
            raise TooManyJobs(limit=limit)
        connection.execute(_SQL["insert"], vars(tenant) | vars(job) | {"job_id": job_id, "params": Jsonb(job.params)})
        first = {"job_id": job_id, "step": "plan", "number": 0, "start": None, "end": None}
        connection.execute(_TASKS["insert"], first)
    return job_id


def get(connection: Connection[Any], job_id: str) -> Job:
    """Find a job, whoever's it is. Raises JobNotFound."""
    with connection.cursor(row_factory=class_row(Job)) as cursor:
        found = cursor.execute(_SQL["get"], {"job_id": job_id}).fetchone()
    if found is None:
        raise JobNotFound(job_id=job_id)
    return found


def of_tenant(connection: Connection[Any], tenant: Tenant, kind: str, job_id: str) -> Job:
    """Find a tenant's job of one kind. Raises JobNotFound."""
    found = get(connection, job_id)
    if found.tenant != tenant or found.kind != kind:
        raise JobNotFound(job_id=job_id)
    return found


def newest(connection: Connection[Any], tenant: Tenant, limit: int) -> list[ListedJob]:
    """The latest jobs of a tenant, latest first."""
    with connection.cursor(row_factory=class_row(ListedJob)) as cursor:
        return cursor.execute(_SQL["list"], vars(tenant) | {"limit": limit, "job_id": None}).fetchall()


def listed(connection: Connection[Any], tenant: Tenant, job_id: str) -> ListedJob:
    """A tenant's job of any kind, with its progress. Raises JobNotFound."""
    with connection.cursor(row_factory=class_row(ListedJob)) as cursor:
        found = cursor.execute(_SQL["list"], vars(tenant) | {"limit": 1, "job_id": job_id}).fetchone()
    if found is None:
        raise JobNotFound(job_id=job_id)
    return found


def results(
    connection: Connection[Any], job_id: str, view: str, after: int, limit: int, *, by_name: bool = False
) -> list[Row]:
    """Up to `limit` results of a view, those behind place `after` (-1: from the first)."""
    target = {"job_id": job_id, "view": view, "after": after, "limit": limit}
    with connection.cursor(row_factory=class_row(Row)) as cursor:
        return cursor.execute(_SQL["results_by_name" if by_name else "results"], target).fetchall()


def store_results(connection: Connection[Any], job_id: str, found: Iterable[Result]) -> None:
    """Store all that a job found; `found` is in the order of time. The caller's transaction makes it visible."""
    places: dict[str, int] = {}
    connection.execute(_SQL["drop_results"], {"job_id": job_id})
    connection.execute(_SQL["gather_results"])
    with connection.cursor() as cursor, cursor.copy(_SQL["copy_results"]) as copy:
        copy.set_types(["text", "int4", "int8", "text", "float8", "bytea"])
        for one in found:
            place = places[one.view] = places.get(one.view, -1) + 1
            copy.write_row((one.view, place, one.at_ms, one.name, one.rank, one.payload))
    connection.execute(_SQL["order_results"], {"job_id": job_id})


def end(connection: Connection[Any], job_id: str, status: Status, message: str | None = None) -> bool:
    """End a running job: its tasks go, and a task to tell about it comes where somebody wants to know.

    Returns whether it was running. Part of the caller's transaction.
    """
    row = connection.execute(_SQL["finish"], {"job_id": job_id, "status": status, "message": message}).fetchone()
    if row is None:
        return False
    connection.execute(_SQL["drop_tasks"], {"job_id": job_id})
    if row[0] is not None:
        last = {"job_id": job_id, "step": "notify", "number": 0, "start": None, "end": None}
        connection.execute(_TASKS["insert"], last)
    return True


def expire(connection: Connection[Any], batch: int, kept_seconds: float = KEPT_SECONDS) -> int:
    """Remove up to `batch` jobs that finished longer ago, and the tokens that stand for them; return how many."""
    with connection.transaction():
        gone = connection.execute(_SQL["expire"], {"batch": batch, "kept_seconds": kept_seconds}).fetchall()
        for account, region, job_id in gone:
            idempotency.forget(connection, Tenant(account, region), resource(job_id))
    return len(gone)
