"""Jobs on videos through boto3 while their workers are killed, cancelled, too many or without a queue.

benchmarks/faults/job_chaos.py does the first at length.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from botocore.exceptions import ClientError

from benchmarks.faults import job_chaos
from benchmarks.faults.chaos_kills import suspended
from benchmarks.faults.job_chaos import Hook
from benchmarks.inputs import drawn_clips
from benchmarks.own_stack import Stack
from openrek.jobs import CANCELLED
from openrek.stack import workers
from storage import buckets, jobs
from storage.database import open_pool
from storage.tenant import Tenant

pytestmark = pytest.mark.alone

TIMEOUT_SECONDS = 60.0
LIMIT = 6
BUCKET = "films"


@pytest.fixture(scope="module")
def served(models_dir: Path) -> Iterator[tuple[Stack, Hook, list[Path]]]:
    variables = {
        "OPENREK_MODELS_DIR": str(models_dir),
        "OPENREK_JOB_LIMIT": str(LIMIT),
        "OPENREK_VIDEO_FRAMES_PER_SECOND": "2",
    }
    with tempfile.TemporaryDirectory(prefix="rek") as name, job_chaos.serve(Path(name), **variables) as (stack, hook):
        videos = job_chaos.make_clips(Path(name))
        tenant = Tenant(stack.settings.account, stack.settings.region)
        with open_pool(stack.database_url, 1) as pool, pool.connection() as connection:
            buckets.add(connection, tenant, BUCKET, videos[0].parent)
        yield stack, hook, videos


@pytest.fixture(scope="module")
def long_clip(served: Any) -> str:
    return drawn_clips.write(served[2][0].parent / "long.mp4", 90.0).name


def test_kills_change_no_result(served: Any) -> None:
    stack, hook, videos = served
    outcome = job_chaos.run(stack, hook, videos, jobs=3, kills=6, longest_pause_seconds=1.5, seed=3)
    assert list(outcome.violations) == [], job_chaos.table(outcome)
    assert {part for part, seconds in outcome.back_seconds.items() if seconds} == {
        *("inference", "valkey", "worker-1", "worker-2")
    }
    assert outcome.results > 20


def request(name: str, **options: Any) -> dict[str, Any]:
    return {"Video": {"S3Object": {"Bucket": BUCKET, "Name": name}}, **options}


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def openrek(stack: Stack, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "openrek", "jobs", *arguments]
    return subprocess.run(command, env=dict(stack.environment), capture_output=True, text=True, timeout=TIMEOUT_SECONDS)


def test_an_owner_sees_and_cancels_a_job(served: Any, long_clip: str) -> None:
    stack, hook, _ = served
    client = stack.endpoint.client()
    job_id = client.start_label_detection(**request(long_clip, NotificationChannel=job_chaos.CHANNEL))["JobId"]
    wait_until(lambda: "  0%" not in openrek(stack, "list", "--limit", "1").stdout)
    line = openrek(stack, "list", "--limit", "1").stdout
    assert line.startswith(f"{job_id}  labels       in progress") and f"{BUCKET}/long.mp4" in line
    cancelled = openrek(stack, "cancel", job_id)
    assert (cancelled.returncode, cancelled.stdout) == (0, f"{job_id} is cancelled\n")
    answer = client.get_label_detection(JobId=job_id)
    assert (answer["JobStatus"], answer["StatusMessage"]) == ("FAILED", CANCELLED)
    assert answer["Labels"] == []
    wait_until(lambda: job_id in hook.told)
    shown = openrek(stack, "show", job_id, "--wait")
    assert shown.returncode == 1 and CANCELLED in shown.stdout
    assert openrek(stack, "cancel", job_id).returncode == 1
    assert "does not exist" in openrek(stack, "show", "0" * 64).stderr
    # the workers are free again within a third of a lease
    short = client.start_label_detection(**request("0.mp4"))["JobId"]
    done = openrek(stack, "show", short, "--wait")
    assert done.returncode == 0 and "succeeded, 100% done" in done.stdout, done.stderr


def test_a_token_starts_and_tells_once(served: Any) -> None:
    stack, hook, _ = served
    client = stack.endpoint.client()
    asked = request("0.mp4", NotificationChannel=job_chaos.CHANNEL, ClientRequestToken="once", JobTag="mine")
    with ThreadPoolExecutor() as threads:
        ids = {
            done.result()["JobId"] for done in [threads.submit(client.start_label_detection, **asked) for _ in range(6)]
        }
    (job_id,) = ids
    wait_until(lambda: job_id in hook.told)
    assert client.start_label_detection(**asked)["JobId"] == job_id
    time.sleep(2)
    assert len(hook.told[job_id]) == 1


def test_more_jobs_than_the_limit_are_refused(served: Any, long_clip: str) -> None:
    stack, _, _ = served
    client = stack.endpoint.client(connections=20)

    def start(_: int) -> str | None:
        try:
            return str(client.start_label_detection(**request(long_clip))["JobId"])
        except ClientError as error:
            assert error.response["Error"]["Code"] == "LimitExceededException"
            return None

    with ExitStack() as held:
        for name in workers(stack.settings):
            held.enter_context(suspended(stack.pid(name)))
        with ThreadPoolExecutor(16) as threads:
            started = [job_id for job_id in threads.map(start, range(16)) if job_id is not None]
        assert len(started) == LIMIT
        with open_pool(stack.database_url, 1) as pool, pool.connection() as connection:
            for job_id in started:
                assert jobs.end(connection, job_id, "failed", "enough")


def test_a_queue_that_hangs_or_forgets_keeps_nobody_waiting(served: Any) -> None:
    stack, _, _ = served
    client = stack.endpoint.client()
    with suspended(stack.pid("valkey")):
        start = time.monotonic()
        during = client.start_label_detection(**request("0.mp4"))["JobId"]
        assert time.monotonic() - start < 1.0
        wait_until(lambda: client.get_label_detection(JobId=during)["JobStatus"] == "SUCCEEDED")
    redis.Redis.from_url(stack.settings.redis_url).flushall()
    after = client.start_label_detection(**request("1.mp4"))["JobId"]
    wait_until(lambda: client.get_label_detection(JobId=after)["JobStatus"] == "SUCCEEDED")
