"""Workers at work on jobs: what dies, hangs or is away, and what comes out all the same.

The analysis is of the test itself: it notes each frame, and which process saw it.
"""

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.inputs import drawn_clips
from inference import wire
from inference.client import InferenceClient
from inference.errors import InferenceUnavailable
from inference.video.frames import frames
from inference.video.types import Part
from openrek import valkey
from storage import buckets, job_tasks, jobs
from storage.database import Pool, open_pool
from storage.jobs import Job, NewJob, Result
from storage.objects import ObjectStore
from storage.tenant import Tenant
from vectorindex.client import IndexClient
from workers import app
from workers import jobs as working
from workers.analyses import ANALYSES, Analysis
from workers.services import WorkerServices, WorkerSettings

KIND = "notes"
CLIP_SECONDS, PER_SECOND = 6, 5
PARTS = 6
TIMEOUT_SECONDS = 40.0
NEVER_SECONDS = 600.0
NOWHERE = "unix:///nowhere"
SETTINGS = WorkerSettings(part_seconds=1.0, lease_seconds=1.5)


def look(file: Any, part: Any, job: Job, services: WorkerServices) -> Iterator[bytes]:
    """(time, process) of each frame; each takes `frame_seconds`, and what is in `fatal` ends the process."""
    for frame in frames(file, part, PER_SECOND):
        time.sleep(job.params.get("frame_seconds", 0.0))
        if job.params.get("fatal") == part.number:
            os.kill(os.getpid(), signal.SIGKILL)
        yield wire.encode((frame.at_ms, os.getpid()))


def conclude(observations: Iterable[bytes], job: Job, info: Any, services: WorkerServices) -> Iterator[Result]:
    for observation in observations:
        at_ms, process = wire.decode(observation, tuple[int, int])
        yield Result("moments", at_ms, observation, str(process))


def main() -> None:
    """A worker process: arguments are the broker, the database, the lease, the pause between looks, and a name."""
    broker_url, database_url, lease_seconds, look_seconds, name = sys.argv[1:]
    app.LOOK_FOR_JOBS_SECONDS = float(look_seconds)
    ANALYSES[KIND] = Analysis(look, conclude)  # type: ignore[index]
    with open_pool(database_url, app.CONNECTIONS, app.STATEMENT_SECONDS) as pool:
        settings = WorkerSettings(part_seconds=1.0, lease_seconds=float(lease_seconds), deaths=2)
        app.run(broker_url, replace(services(pool, settings), wake_workers=app.waker(broker_url)), "info", name)


def services(pool: Pool, settings: WorkerSettings = SETTINGS) -> WorkerServices:
    return WorkerServices(
        pool, InferenceClient(NOWHERE), IndexClient(NOWHERE), ObjectStore(pool, None), settings=settings
    )


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn_clips.write(tmp_path_factory.mktemp("clips") / "clip.mp4", CLIP_SECONDS)


@pytest.fixture
def start_job(pool: Pool, tenant: Tenant, clip: Path) -> Callable[..., str]:
    """Starts a job on the clip; `params` are those of `look`."""
    with pool.connection() as connection:
        buckets.add(connection, tenant, "clips", clip.parent)

    def start(**params: Any) -> str:
        with pool.connection() as connection:
            return jobs.start(connection, tenant, NewJob(KIND, params, "clips", clip.name), 20)

    return start


def wait_until(holds: Callable[[], object], seconds: float = TIMEOUT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def get(pool: Pool, job_id: str) -> Job:
    with pool.connection() as connection:
        return jobs.get(connection, job_id)


def moments(pool: Pool, job_id: str) -> list[tuple[int, int]]:
    """(time, process) of each result."""
    with pool.connection() as connection:
        rows = jobs.results(connection, job_id, "moments", -1, 10_000)
    return [wire.decode(row.payload, tuple[int, int]) for row in rows]


@pytest.fixture(scope="module")
def times(clip: Path) -> list[int]:
    """The times of the frames that are to be looked at, in order."""
    with clip.open("rb") as file:
        return [frame.at_ms for frame in frames(file, Part(0, None, None), PER_SECOND)]


@pytest.fixture
def is_complete(pool: Pool, times: list[int]) -> Callable[[str], bool]:
    """Whether a job's results have each frame once, in order."""
    return lambda job_id: [at_ms for at_ms, _ in moments(pool, job_id)] == times


def tasks_in_work(pool: Pool, step: str = "look") -> list[tuple[int, int]]:
    """(number, deaths) of the tasks that somebody holds."""
    with pool.connection() as connection:
        query = "SELECT number, deaths FROM job_tasks WHERE held AND NOT done AND step = %s AND not_before > now()"
        return connection.execute(query, [step]).fetchall()


@dataclass
class Broker:
    """A Valkey server of one test, which may be killed and started again."""

    socket: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        self.process = subprocess.Popen(valkey.command(self.socket), stdout=subprocess.DEVNULL)
        wait_until(self.socket.exists)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(TIMEOUT_SECONDS)
            self.socket.unlink(missing_ok=True)

    def flush(self) -> None:
        import redis

        redis.Redis(unix_socket_path=str(self.socket)).flushall()


@pytest.fixture
def broker() -> Iterator[Broker]:
    with tempfile.TemporaryDirectory(prefix="rek") as folder:
        broker = Broker(Path(folder) / "v.sock")
        broker.start()
        yield broker
        broker.kill()


@pytest.fixture
def start_worker(broker_url: str, database_url: str) -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Starts a worker process."""
    started: list[subprocess.Popen[bytes]] = []

    def start(
        lease_seconds: float = 1.5, look_seconds: float = 0.2, url: str = broker_url
    ) -> "subprocess.Popen[bytes]":
        arguments = [url, database_url, str(lease_seconds), str(look_seconds), f"test-{len(started)}"]
        started.append(subprocess.Popen([sys.executable, __file__, *arguments]))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(TIMEOUT_SECONDS)


@contextmanager
def analysis(
    monkeypatch: pytest.MonkeyPatch, looking: Callable[..., Iterator[bytes]], concluding: Any = conclude
) -> Iterator[None]:
    """Jobs of the test are looked at in another way, by workers inside this process, which do not wait."""
    monkeypatch.setitem(ANALYSES, KIND, Analysis(looking, concluding))  # type: ignore[arg-type]
    monkeypatch.setattr(working, "FIRST_PAUSE_SECONDS", 0.01)
    yield


def work_until_over(pool: Pool, job_id: str, at_work: WorkerServices) -> Job:
    wait_until(lambda: working.work(at_work) == 0 and get(pool, job_id).status != "running")
    return get(pool, job_id)


def test_two_workers_share_the_parts_of_a_video(
    pool: Pool, start_job: Any, is_complete: Any, start_worker: Any
) -> None:
    workers = [start_worker(), start_worker()]
    job_id = start_job(frame_seconds=0.1)
    wait_until(lambda: get(pool, job_id).status == "done")
    assert is_complete(job_id)
    assert {process for _, process in moments(pool, job_id)} == {worker.pid for worker in workers}


def test_the_work_of_a_killed_worker_is_done_by_another_once(
    pool: Pool, start_job: Any, is_complete: Any, start_worker: Any
) -> None:
    victim = start_worker()
    job_id = start_job(frame_seconds=0.2)
    wait_until(lambda: any(number == 2 for number, _ in tasks_in_work(pool)))
    victim.kill()
    victim.wait(TIMEOUT_SECONDS)
    assert moments(pool, job_id) == []
    heir = start_worker()
    wait_until(lambda: (2, 1) in tasks_in_work(pool))
    wait_until(lambda: get(pool, job_id).status == "done")
    assert is_complete(job_id)
    by_process = dict.fromkeys(process for _, process in moments(pool, job_id))
    assert list(by_process) == [victim.pid, heir.pid], "what the dead one had finished is not done again"


def test_a_part_that_kills_its_workers_ends_the_job(pool: Pool, start_job: Any, start_worker: Any) -> None:
    job_id = start_job(fatal=3)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    worker = start_worker(lease_seconds=0.3)
    while get(pool, job_id).status == "running":
        assert time.monotonic() < deadline
        if worker.poll() is not None:
            worker = start_worker(lease_seconds=0.3)
        time.sleep(0.05)
    job = get(pool, job_id)
    assert (job.status, job.message) == ("failed", "The analysis broke off 2 times at the same place.")
    assert moments(pool, job_id) == []


@pytest.mark.alone
def test_a_worker_that_stops_gives_its_part_back_at_once(
    pool: Pool, start_job: Any, is_complete: Any, start_worker: Any
) -> None:
    leaving = start_worker(lease_seconds=NEVER_SECONDS)
    job_id = start_job(frame_seconds=0.1)
    wait_until(lambda: any(number == 2 for number, _ in tasks_in_work(pool)))
    heir = start_worker(lease_seconds=NEVER_SECONDS)
    start = time.monotonic()
    leaving.send_signal(signal.SIGTERM)
    assert leaving.wait(TIMEOUT_SECONDS) == 0
    assert time.monotonic() - start < 5
    wait_until(lambda: get(pool, job_id).status == "done", 30)
    assert is_complete(job_id)
    assert heir.pid in {process for _, process in moments(pool, job_id)}


def test_a_worker_that_hangs_in_a_part_stops_all_the_same(pool: Pool, start_job: Any, start_worker: Any) -> None:
    worker = start_worker(lease_seconds=NEVER_SECONDS)
    job_id = start_job(frame_seconds=NEVER_SECONDS)
    wait_until(lambda: tasks_in_work(pool))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(8) == 0
    with pool.connection() as connection:
        task = job_tasks.claim(connection, 10)
    assert task is not None and (task.job_id, task.deaths) == (job_id, 0)


def test_an_ended_job_leaves_its_worker(pool: Pool, start_job: Any, start_worker: Any) -> None:
    start_worker(lease_seconds=1.5)
    job_id = start_job(frame_seconds=0.3)
    wait_until(lambda: tasks_in_work(pool))
    with pool.connection() as connection:
        assert jobs.end(connection, job_id, "failed", "ended")
    other = start_job()
    # one part takes 1.5 s, a lease is renewed each 0.5 s
    wait_until(lambda: get(pool, other).status == "done", 10)
    assert get(pool, job_id).message == "ended" and moments(pool, job_id) == []


@pytest.mark.alone
def test_jobs_need_no_broker(pool: Pool, start_job: Any, is_complete: Any, start_worker: Any, broker: Broker) -> None:
    broker.kill()
    worker = start_worker(url=broker.url)
    wake = app.waker(broker.url)
    before = start_job()
    start = time.monotonic()
    wake()
    assert time.monotonic() - start < 0.1, "whoever starts a job does not wait for the queue"
    wait_until(lambda: get(pool, before).status == "done")
    broker.start()
    wait_until(lambda: app.ping(broker.url, 1.0))
    during = start_job(frame_seconds=0.05)
    broker.kill()
    wait_until(lambda: get(pool, during).status == "done")
    assert is_complete(before) and is_complete(during)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0, "it stops without a broker too"


def test_a_message_wakes_the_workers_also_after_the_broker_lost_everything(
    pool: Pool, start_job: Any, is_complete: Any, start_worker: Any, broker: Broker
) -> None:
    start_worker(look_seconds=NEVER_SECONDS, url=broker.url)
    wake = app.waker(broker.url)

    def is_done_when_woken() -> bool:
        job_id = start_job()
        wait_until(lambda: (wake(), get(pool, job_id).status == "done")[1], 20)
        return is_complete(job_id)

    wait_until(lambda: app.ping(broker.url, 1.0))
    assert is_done_when_woken()
    broker.flush()
    assert is_done_when_woken()
    broker.kill()
    broker.start()
    wait_until(lambda: app.ping(broker.url, 1.0))
    assert is_done_when_woken()


def test_who_splits_a_video_wakes_the_others(pool: Pool, start_job: Any, start_worker: Any, broker: Broker) -> None:
    workers = [start_worker(look_seconds=NEVER_SECONDS, url=broker.url) for _ in range(2)]
    wait_until(lambda: all(app.ping(broker.url, 1.0, f"test-{number}") for number in range(2)))
    job_id = start_job(frame_seconds=0.1)
    app.waker(broker.url)()
    wait_until(lambda: get(pool, job_id).status == "done")
    assert {process for _, process in moments(pool, job_id)} == {worker.pid for worker in workers}


def test_what_is_away_uses_up_no_attempts(
    pool: Pool, start_job: Any, is_complete: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = itertools.count()

    def away(*arguments: Any) -> Iterator[bytes]:
        if next(attempts) < 3 * SETTINGS.attempts:
            raise InferenceUnavailable("away")
        return look(*arguments)

    with analysis(monkeypatch, away):
        job = work_until_over(pool, start_job(), services(pool))
    assert job.status == "done" and is_complete(job.id)


def test_what_is_away_for_too_long_fails_the_job(pool: Pool, start_job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> Iterator[bytes]:
        raise InferenceUnavailable("away")

    with analysis(monkeypatch, away):
        job = work_until_over(pool, start_job(), services(pool, WorkerSettings(away_seconds=0.1)))
    assert job.status == "failed" and job.message is not None and "away for too long" in job.message


@pytest.mark.parametrize("where", ["look", "conclude"])
def test_errors_are_tried_again_and_then_fail_the_job(
    pool: Pool, start_job: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    tried: list[int] = []

    def looking(file: Any, part: Any, *others: Any) -> Iterator[bytes]:
        yield from look(file, part, *others)
        if where == "look" and part.number == 1:
            tried.append(part.number)
            raise ZeroDivisionError

    def concluding(observations: Iterable[bytes], *others: Any) -> Iterator[Result]:
        yield from conclude(observations, *others)
        if where == "conclude":
            tried.append(0)
            raise ZeroDivisionError

    with analysis(monkeypatch, looking, concluding):
        job = work_until_over(pool, start_job(), services(pool))
    assert (job.status, job.message) == ("failed", "The analysis failed. The worker's log says why.")
    assert len(tried) == SETTINGS.attempts and moments(pool, job.id) == []


def test_a_finished_part_is_not_lost_while_the_database_is_away(
    own_postgres: Any, times: list[int], tenant: Tenant, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from storage import migrations

    migrations.apply(own_postgres.url("postgres"))
    seen: list[int] = []
    with open_pool(own_postgres.url("postgres"), 8, 5.0) as pool:
        with pool.connection() as connection:
            buckets.add(connection, tenant, "clips", clip.parent)
            job_id = jobs.start(connection, tenant, NewJob(KIND, {}, "clips", clip.name), 20)

        def looking(file: Any, part: Any, *others: Any) -> Iterator[bytes]:
            yield from look(file, part, *others)
            seen.append(part.number)
            if part.number == 2:
                own_postgres.stop()
                threading.Timer(2.0, own_postgres.start).start()

        with analysis(monkeypatch, looking):
            job = work_until_over(pool, job_id, services(pool))
        assert job.status == "done" and [at_ms for at_ms, _ in moments(pool, job_id)] == times
    assert seen == list(range(PARTS))


def test_results_that_come_slowly_meet_no_limit_of_the_database(
    database_url: str, start_job: Any, is_complete: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def concluding(observations: Iterable[bytes], *others: Any) -> Iterator[Result]:
        for result in conclude(observations, *others):
            time.sleep(0.1)
            yield result

    with analysis(monkeypatch, look, concluding), open_pool(database_url, 8, statement_seconds=1.0) as impatient:
        job = work_until_over(impatient, start_job(), services(impatient))
    assert job.status == "done" and is_complete(job.id)


def test_progress_is_told_within_a_part(
    pool: Pool, tenant: Tenant, start_job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = start_job(frame_seconds=0.1)
    seen: list[float] = []

    def progress() -> float:
        with pool.connection() as connection:
            return jobs.listed(connection, tenant, job_id).progress

    with analysis(monkeypatch, look):
        whole = WorkerSettings(part_seconds=100.0, lease_seconds=0.3)
        at_work = threading.Thread(target=work_until_over, args=(pool, job_id, services(pool, whole)))
        at_work.start()
        while at_work.is_alive():
            seen.append(progress())
            time.sleep(0.05)
    assert seen == sorted(seen) and len({share for share in seen if 0 < share < 0.95}) >= 2


def test_a_video_that_is_none_fails_its_job_with_the_reason(
    pool: Pool, tenant: Tenant, start_job: Any, clip: Path
) -> None:
    (clip.parent / "text.mp4").write_bytes(b"no video")
    with pool.connection() as connection:
        none = jobs.start(connection, tenant, NewJob(KIND, {}, "clips", "text.mp4"), 20)
        missing = jobs.start(connection, tenant, NewJob(KIND, {}, "clips", "missing.mp4"), 20)
    working.work(services(pool))
    assert [get(pool, job_id).status for job_id in (none, missing)] == ["failed", "failed"]
    assert "damaged" in str(get(pool, none).message)
    assert "missing.mp4" in str(get(pool, missing).message)


if __name__ == "__main__":
    main()
