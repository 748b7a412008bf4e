"""Jobs on stored videos, as their owner sees them."""

import argparse
import sys
import time
from datetime import UTC, datetime

from tqdm import tqdm

from openrek.settings import Settings
from storage import jobs
from storage.database import open_pool
from storage.jobs import ListedJob
from storage.tenant import Tenant

CANCELLED = "The owner of the installation cancelled the job."
LOOK_SECONDS = 0.5
_STATUS = {"running": "in progress", "done": "succeeded", "failed": "failed"}


def show_all(chosen: argparse.Namespace, settings: Settings) -> int:
    """Print one line for each of the latest jobs of the account and region of `settings`."""
    with open_pool(settings.database_url, 1) as pool, pool.connection() as connection:
        found = jobs.newest(connection, _tenant(settings), chosen.limit)
    for job in found:
        print(_line(job))
    return 0


def show(chosen: argparse.Namespace, settings: Settings) -> int:
    """Print what is known of a job, with --wait once it has ended. Exit code 1 if it failed."""
    with open_pool(settings.database_url, 1) as pool:

        def look() -> ListedJob:
            with pool.connection() as connection:
                return jobs.listed(connection, _tenant(settings), chosen.job_id)

        job = look()
        if chosen.wait:
            with tqdm(total=100, unit="%", file=sys.stderr, bar_format="{percentage:3.0f}% |{bar}| {elapsed}") as bar:
                while job.status == "running":
                    bar.update(100 * job.progress - bar.n)
                    time.sleep(LOOK_SECONDS)
                    job = look()
                bar.update(100 - bar.n)
    for name, value in _details(job).items():
        print(f"{name:9} {value}")
    return 1 if job.status == "failed" else 0


def cancel(chosen: argparse.Namespace, settings: Settings) -> int:
    """End a running job as failed. Exit code 1 if it has ended already."""
    with open_pool(settings.database_url, 1) as pool, pool.connection() as connection:
        job = jobs.listed(connection, _tenant(settings), chosen.job_id)
        cancelled = jobs.end(connection, job.id, "failed", CANCELLED)
    if not cancelled:
        print(f"{job.id} had ended before", file=sys.stderr)
        return 1
    print(f"{job.id} is cancelled")
    return 0


def _line(job: ListedJob) -> str:
    line = f"{job.id}  {job.kind:11}  {_STATUS[job.status]:11}  {job.progress:4.0%}  {_age(job):>6}  {_video(job)}"
    return line if job.message is None else f"{line}  {job.message}"


def _details(job: ListedJob) -> dict[str, str]:
    ended = "" if job.finished_at is None else f", ended {job.finished_at.astimezone():%Y-%m-%d %H:%M:%S}"
    details = {
        "job": job.id,
        "kind": f"{job.kind} ({job.operation})",
        "video": _video(job),
        "tag": job.tag,
        "asked": f"{job.created_at.astimezone():%Y-%m-%d %H:%M:%S} ({_age(job)} ago){ended}",
        "status": f"{_STATUS[job.status]}, {job.progress:.0%} done",
        "message": job.message,
        "topic": job.topic,
    }
    return {name: value for name, value in details.items() if value is not None}


def _video(job: ListedJob) -> str:
    version = "" if job.object_version is None else f" (version {job.object_version})"
    return f"{job.bucket}/{job.object_name}{version}"


def _age(job: ListedJob) -> str:
    seconds = int((datetime.now(UTC) - job.created_at).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _tenant(settings: Settings) -> Tenant:
    return Tenant(settings.account, settings.region)
