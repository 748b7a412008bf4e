"""A bucket of films, and jobs on them."""

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore import xform_name

from api import validation

JOB_SECONDS = 120.0
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Films:
    """A bucket of films, and a client of jobs. Jobs are named as their operations are without Start and Get."""

    client: Any
    bucket: str
    folder: Path

    def add(self, name: str, content: bytes) -> None:
        (self.folder / name).write_bytes(content)

    def video(self, name: str) -> dict[str, Any]:
        """A request's Video."""
        return {"S3Object": {"Bucket": self.bucket, "Name": name}}

    def start(self, job: str, name: str, **parameters: Any) -> str:
        """A new job's id."""
        started = self.call(f"Start{job}", Video=self.video(name), **parameters)
        return str(started["JobId"])

    def ended(self, job: str, job_id: str, **parameters: Any) -> dict[str, Any]:
        """What Get answers once a job has ended."""
        deadline = time.monotonic() + JOB_SECONDS
        while (answer := self.call(f"Get{job}", JobId=job_id, **parameters))["JobStatus"] == "IN_PROGRESS":
            assert time.monotonic() < deadline, f"{job} takes too long"
            time.sleep(POLL_SECONDS)
        return answer

    def of(self, job: str, name: str, **parameters: Any) -> dict[str, Any]:
        """What a new job finds, which must succeed."""
        answer = self.ended(job, self.start(job, name, **parameters))
        assert answer["JobStatus"] == "SUCCEEDED", answer["StatusMessage"]
        return answer

    def side_by_side(self, jobs: Mapping[str, tuple[str, str, dict[str, Any]]]) -> dict[str, str]:
        """The ids of new jobs, given as (job, film, parameters), once all have succeeded."""
        ids = {key: self.start(job, name, **parameters) for key, (job, name, parameters) in jobs.items()}
        with ThreadPoolExecutor(len(jobs)) as threads:
            answers = dict(zip(jobs, threads.map(lambda key: self.ended(jobs[key][0], ids[key]), jobs), strict=True))
        for key, answer in answers.items():
            assert answer["JobStatus"] == "SUCCEEDED", f"{key}: {answer['StatusMessage']}"
        return ids

    def pages(self, job: str, job_id: str, **parameters: Any) -> list[dict[str, Any]]:
        """All pages of a job's results."""
        pages = [self.call(f"Get{job}", JobId=job_id, **parameters)]
        while "NextToken" in pages[-1]:
            assert len(pages) < 1000, "the pages do not end"
            pages.append(self.call(f"Get{job}", JobId=job_id, NextToken=pages[-1]["NextToken"], **parameters))
        return pages

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        """An answer without the SDK's metadata, which keeps to the service model."""
        answer: dict[str, Any] = getattr(self.client, xform_name(operation))(**request)
        del answer["ResponseMetadata"]
        assert validation.check_output(operation, answer) == []
        return answer


def times(found: Iterable[Mapping[str, Any]]) -> list[int]:
    return [one["Timestamp"] for one in found]


def stretches(moments: Iterable[tuple[int, str, float]], looks: Sequence[int]) -> set[tuple[str, int, int, float]]:
    """(name, first look, last look, most confidence) of every maximal run of looks in which a name was seen."""
    seen: dict[str, dict[int, float]] = {}
    for at_ms, name, confidence in moments:
        seen.setdefault(name, {})[looks.index(at_ms)] = confidence
    found = set()
    for name, confidences in seen.items():
        for first in confidences:
            if first - 1 in confidences:
                continue
            last = first
            while last + 1 in confidences:
                last += 1
            most = max(confidences[look] for look in range(first, last + 1))
            found.add((name, looks[first], looks[last], most))
    return found
