"""Jobs, their tasks and leases, and their results, in a real database."""

import itertools
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import Connection

from storage import idempotency, job_tasks, jobs
from storage.database import Pool, vacuum_tables
from storage.errors import JobNotFound, LeaseLost, TooManyJobs
from storage.job_tasks import Task
from storage.jobs import NewJob, Result
from storage.tenant import Tenant

LONG_SECONDS = 60.0
LIMIT = 20
RunInThreads = Callable[[Sequence[Callable[[], object]]], None]


def new(**values: Any) -> NewJob:
    return NewJob(**{"kind": "labels", "params": {"min": 1}, "bucket": "b", "object_name": "v.mp4", **values})


def claim(connection: Connection[Any], seconds: float = LONG_SECONDS) -> Task:
    task = job_tasks.claim(connection, seconds)
    assert task is not None
    return task


def planned(connection: Connection[Any], tenant: Tenant, parts: int = 1, **values: Any) -> str:
    """A job whose video was opened."""
    job_id = jobs.start(connection, tenant, new(**values), LIMIT)
    bounds = [None, *range(100, 100 * parts, 100), None]
    job_tasks.planned(connection, claim(connection), b"info", list(itertools.pairwise(bounds)))
    return job_id


def concluding(connection: Connection[Any], tenant: Tenant, **values: Any) -> Task:
    """The claimed last task of a job of one part."""
    planned(connection, tenant, **values)
    job_tasks.looked(connection, claim(connection), b"seen")
    return claim(connection)


def test_a_job_goes_from_its_start_to_its_results(connection: Connection[Any], tenant: Tenant) -> None:
    job_id = jobs.start(connection, tenant, new(tag="mine", operation="StartIt"), LIMIT)
    job = jobs.of_tenant(connection, tenant, "labels", job_id)
    assert (job.status, job.params, job.tag, job.operation) == ("running", {"min": 1}, "mine", "StartIt")
    plan = claim(connection)
    assert (plan.place, plan.claims, plan.deaths) == ((job_id, "plan", 0), 1, 0)
    assert job_tasks.claim(connection, LONG_SECONDS) is None
    job_tasks.planned(connection, plan, b"info", [(None, 100), (100, None)])
    first, second = claim(connection), claim(connection)
    assert [(one.step, one.number, one.start, one.end) for one in (first, second)] == [
        ("look", 0, None, 100),
        ("look", 1, 100, None),
    ]
    job_tasks.looked(connection, second, b"later")
    assert job_tasks.claim(connection, LONG_SECONDS) is None, "a part is still looked at"
    job_tasks.looked(connection, first, b"sooner")
    last = claim(connection)
    assert last.step == "conclude"
    assert jobs.results(connection, job_id, "moments", -1, 10) == []
    job_tasks.concluded(connection, last, [Result("moments", 7, b"found")])
    job = jobs.get(connection, job_id)
    assert (job.status, job.info, job.finished_at is not None) == ("done", b"info", True)
    assert [row.payload for row in jobs.results(connection, job_id, "moments", -1, 10)] == [b"found"]
    assert job_tasks.claim(connection, LONG_SECONDS) is None, "nobody wants to be told"


def test_observations_come_in_the_order_of_the_video(pool: Pool, tenant: Tenant) -> None:
    with pool.connection() as connection:
        job_id = planned(connection, tenant, parts=12)
        tasks = [claim(connection) for _ in range(12)]
        for task in reversed(tasks):
            job_tasks.looked(connection, task, b"%d" % task.number)
    assert list(job_tasks.observations(pool, job_id)) == [b"%d" % number for number in range(12)]
    with pool.connection() as connection:
        jobs.end(connection, job_id, "failed")
    assert list(job_tasks.observations(pool, job_id)) == []


def test_what_many_workers_claim_never_overlaps(pool: Pool, tenant: Tenant, run_in_threads: RunInThreads) -> None:
    with pool.connection() as connection:
        for _ in range(5):
            planned(connection, tenant, parts=40)
    claimed: list[tuple[Any, ...]] = []

    def work() -> None:
        while True:
            with pool.connection() as connection:
                task = job_tasks.claim(connection, LONG_SECONDS)
            if task is None:
                return
            claimed.append(task.place)
            with pool.connection() as connection:
                job_tasks.looked(connection, task, b"") if task.step == "look" else job_tasks.concluded(
                    connection, task, [Result("moments", 0, b"")]
                )

    run_in_threads([work] * 8)
    assert max(Counter(claimed).values()) == 1
    assert Counter(step for _, step, _ in claimed) == {"look": 200, "conclude": 5}


def test_early_parts_of_all_jobs_come_before_later_ones(connection: Connection[Any], tenant: Tenant) -> None:
    long, short = planned(connection, tenant, parts=5), planned(connection, tenant, parts=1)
    order = [claim(connection).place for _ in range(3)]
    assert order == [(long, "look", 0), (short, "look", 0), (long, "look", 1)]


def _ways_to_end(task: Task) -> Iterator[Callable[[Connection[Any]], None]]:
    yield lambda connection: job_tasks.renew(connection, task, LONG_SECONDS, 0.5)
    yield lambda connection: job_tasks.planned(connection, task, b"", [(None, None)])
    yield lambda connection: job_tasks.looked(connection, task, b"")
    yield lambda connection: job_tasks.concluded(connection, task, [Result("moments", 0, b"")])
    yield lambda connection: job_tasks.job_failed(connection, task, "no")
    yield lambda connection: job_tasks.notified(connection, task)


def test_whoever_lost_a_lease_changes_nothing(connection: Connection[Any], tenant: Tenant) -> None:
    job_id = jobs.start(connection, tenant, new(), LIMIT)
    lost = claim(connection, 0.0)
    held = claim(connection)
    assert (held.place, held.claims, held.deaths) == (lost.place, 2, 1)
    for end in _ways_to_end(lost):
        with pytest.raises(LeaseLost):
            end(connection)
    job_tasks.give_back(connection, lost, "failed")
    assert job_tasks.claim(connection, LONG_SECONDS) is None, "it is held by another"
    assert jobs.get(connection, job_id).status == "running"
    job_tasks.planned(connection, held, b"", [(None, None)])


def test_a_lease_that_ran_out_holds_until_somebody_takes_it(connection: Connection[Any], tenant: Tenant) -> None:
    jobs.start(connection, tenant, new(), LIMIT)
    task = claim(connection, 0.0)
    job_tasks.renew(connection, task, LONG_SECONDS, 0.5)
    assert job_tasks.claim(connection, LONG_SECONDS) is None


@pytest.mark.parametrize(
    ("why", "failures", "is_away"), [("stopped", 0, False), ("away", 0, True), ("failed", 1, False)]
)
def test_what_is_given_back_is_counted_as_what_it_is(
    connection: Connection[Any], tenant: Tenant, why: Any, failures: int, is_away: bool
) -> None:
    jobs.start(connection, tenant, new(), LIMIT)
    before = claim(connection)
    job_tasks.give_back(connection, before, why)
    with pytest.raises(LeaseLost):
        job_tasks.renew(connection, before, LONG_SECONDS, 0.5)
    task = claim(connection)
    assert (task.failures, task.deaths, task.away_seconds > 0) == (failures, 0, is_away)
    job_tasks.give_back(connection, task, why, LONG_SECONDS)
    assert job_tasks.claim(connection, LONG_SECONDS) is None, "there is a pause"


def test_deaths_are_counted_and_orderly_ends_between_them_are_not(connection: Connection[Any], tenant: Tenant) -> None:
    jobs.start(connection, tenant, new(), LIMIT)
    for _ in range(3):
        claim(connection, 0.0)
        job_tasks.give_back(connection, claim(connection), "stopped")
    assert claim(connection).deaths == 3


@pytest.mark.parametrize("step", ["plan", "look", "conclude"])
def test_a_job_that_was_ended_is_lost_to_its_workers(connection: Connection[Any], tenant: Tenant, step: str) -> None:
    if step == "plan":
        jobs.start(connection, tenant, new(), LIMIT)
    elif step == "look":
        planned(connection, tenant, parts=2)
    task = concluding(connection, tenant) if step == "conclude" else claim(connection)
    assert jobs.end(connection, task.job_id, "failed", "The owner ended it.")
    assert not jobs.end(connection, task.job_id, "done"), "it is over"
    for end in _ways_to_end(task):
        with pytest.raises(LeaseLost):
            end(connection)
    job = jobs.get(connection, task.job_id)
    assert (job.status, job.message) == ("failed", "The owner ended it.")
    assert job_tasks.claim(connection, LONG_SECONDS) is None


def test_results_are_read_by_time_and_by_name_in_pages(connection: Connection[Any], tenant: Tenant) -> None:
    found = [
        Result("moments", 0, b"b 50", "b", 50.0),
        Result("moments", 0, b"B 90", "B", 90.0),
        Result("moments", 200, b"b 99", "b", 99.0),
        Result("moments", 200, b"a 10", "a", 10.0),
        Result("moments", 400, b"b 50 later", "b", 50.0),
        Result("stretches", 0, b"other view", "a", 1.0),
    ]
    task = concluding(connection, tenant)
    job_tasks.concluded(connection, task, found)

    def pages(by_name: bool) -> list[bytes]:
        read: list[bytes] = []
        after = -1
        while rows := jobs.results(connection, task.job_id, "moments", after, 2, by_name=by_name):
            read += [row.payload for row in rows]
            after = rows[-1].place
        return read

    assert pages(by_name=False) == [b"b 50", b"B 90", b"b 99", b"a 10", b"b 50 later"]
    assert pages(by_name=True) == [b"B 90", b"a 10", b"b 99", b"b 50", b"b 50 later"]
    assert len(jobs.results(connection, task.job_id, "stretches", -1, 9)) == 1


def test_a_hundred_thousand_results_are_there_at_once_or_not_at_all(pool: Pool, tenant: Tenant) -> None:
    count = 100_000
    with pool.connection() as connection:
        task = concluding(connection, tenant)

    def breaking() -> Iterator[Result]:
        for number in range(count):
            yield Result("moments", number // 10, b"%d" % number, f"name {number % 97}", float(number % 11))
            if number == count // 2:
                raise ValueError

    with pytest.raises(ValueError), pool.connection() as connection:
        job_tasks.concluded(connection, task, breaking())
    with pool.connection() as connection:
        assert jobs.get(connection, task.job_id).status == "running"
        assert jobs.results(connection, task.job_id, "moments", -1, 10) == []
    found = [Result("moments", n // 10, b"%d" % n, f"name {n % 97}", float(n % 11)) for n in range(count)]
    with pool.connection() as connection:
        job_tasks.concluded(connection, task, found)
    with pool.connection() as connection:
        read = jobs.results(connection, task.job_id, "moments", -1, count + 1)
        assert [int(row.payload) for row in read] == list(range(count))
        by_name = jobs.results(connection, task.job_id, "moments", -1, count + 1, by_name=True)
    expected = sorted(range(count), key=lambda n: (f"name {n % 97}", -(n % 11), n))
    assert [int(row.payload) for row in by_name] == expected


def test_the_limit_of_unfinished_jobs_holds_in_a_race(pool: Pool, tenant: Tenant, run_in_threads: RunInThreads) -> None:
    started: list[str] = []
    refused: list[TooManyJobs] = []

    def start() -> None:
        try:
            with pool.connection() as connection:
                started.append(jobs.start(connection, tenant, new(), 5))
        except TooManyJobs as error:
            refused.append(error)

    run_in_threads([start] * 16)
    assert (len(started), len(refused)) == (5, 11)
    with pool.connection() as connection:
        jobs.start(connection, Tenant(tenant.account, "elsewhere"), new(), 5)
        jobs.end(connection, started[0], "failed")
        jobs.start(connection, tenant, new(), 5)


def test_jobs_are_of_their_tenant_and_kind(connection: Connection[Any], tenant: Tenant) -> None:
    job_id = jobs.start(connection, tenant, new(), LIMIT)
    for owner, kind, asked in (
        (Tenant(tenant.account, "elsewhere"), "labels", job_id),
        (tenant, "faces", job_id),
        (tenant, "labels", "0" * 64),
    ):
        with pytest.raises(JobNotFound):
            jobs.of_tenant(connection, owner, kind, asked)


def test_only_where_somebody_wants_to_be_told_is_a_task_to_tell(connection: Connection[Any], tenant: Tenant) -> None:
    task = concluding(connection, tenant, topic="arn:aws:sns:eu-central-1:123456789012:ends")
    job_tasks.concluded(connection, task, [])
    last = claim(connection)
    assert last.place == (task.job_id, "notify", 0)
    assert jobs.get(connection, task.job_id).status == "done", "its results can be read before anybody is told"
    job_tasks.notified(connection, last)
    assert job_tasks.claim(connection, 0.0) is None


def test_jobs_expire_with_their_results_and_tokens(connection: Connection[Any], tenant: Tenant) -> None:
    ended: dict[str, str] = {}
    for token in ("old", "young"):
        job_id = jobs.new_id()

        def work(job_id: str = job_id) -> dict[str, str]:
            return {"JobId": jobs.start(connection, tenant, new(), LIMIT, job_id)}

        for _ in range(2):
            answer = idempotency.once(connection, tenant, "Start", token, b"same", work, jobs.resource(job_id))
            assert answer == {"JobId": job_id}
        job_tasks.planned(connection, claim(connection), b"", [(None, None)])
        job_tasks.looked(connection, claim(connection), b"")
        job_tasks.concluded(connection, claim(connection), [Result("moments", 0, b"x")])
        ended[token] = job_id
    running = jobs.start(connection, tenant, new(), LIMIT)
    long_ago = {"at": datetime.now(UTC) - timedelta(days=7, minutes=1), "old": [ended["old"], running]}
    connection.execute("UPDATE jobs SET finished_at = %(at)s WHERE job_id = %(old)s", long_ago | {"old": ended["old"]})
    connection.execute("UPDATE jobs SET created_at = %(at)s WHERE job_id = ANY(%(old)s)", long_ago)
    assert jobs.expire(connection, 10) == 1
    with pytest.raises(JobNotFound):
        jobs.get(connection, ended["old"])
    assert jobs.results(connection, ended["old"], "moments", -1, 10) == []
    assert jobs.get(connection, ended["young"]).status == "done" and jobs.get(connection, running).status == "running"
    again = idempotency.once(connection, tenant, "Start", "old", b"same", lambda: {"JobId": "new"})
    assert again == {"JobId": "new"}
    kept = idempotency.once(connection, tenant, "Start", "young", b"same", lambda: {"JobId": "new"})
    assert kept == {"JobId": ended["young"]}
    assert jobs.expire(connection, 10, kept_seconds=0.0) == 1


def test_progress_grows_and_ends_at_one(connection: Connection[Any], tenant: Tenant) -> None:
    def progress() -> float:
        (job,) = jobs.newest(connection, tenant, 10)
        return job.progress

    planned(connection, tenant, parts=2)
    seen = [progress()]
    first, second = claim(connection), claim(connection)
    job_tasks.renew(connection, first, LONG_SECONDS, 0.5)
    seen.append(progress())
    for task in (first, second):
        job_tasks.looked(connection, task, b"")
        seen.append(progress())
    job_tasks.concluded(connection, claim(connection), [])
    seen.append(progress())
    assert seen == pytest.approx([0.0, 0.2375, 0.475, 0.95, 1.0])


@pytest.mark.parametrize("status", ["done", "failed"])
def test_what_was_observed_goes_when_the_job_ends(pool: Pool, tenant: Tenant, status: Any) -> None:
    embeddings = os.urandom(20_000)
    with pool.connection() as connection:
        job_id = planned(connection, tenant, topic="arn:aws:sns:eu-central-1:123456789012:ends")
        job_tasks.looked(connection, claim(connection), embeddings)
        if status == "done":
            job_tasks.concluded(connection, claim(connection), [Result("moments", 0, b"what is told")])
        else:
            jobs.end(connection, job_id, "failed")
        assert connection.execute("SELECT step FROM job_tasks").fetchall() == [("notify",)]

    def kept_bytes() -> int:
        with pool.connection() as connection:
            vacuum_tables(connection)
        with pool.connection() as connection:
            toast = "SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE relname = 'job_tasks'"
            row = connection.execute(toast).fetchone()
        assert row is not None
        return int(row[0])

    # another session's glance at the tables can hold the vacuum up for a moment
    deadline = time.monotonic() + 20
    while kept_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.1)
