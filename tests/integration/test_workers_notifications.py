"""The end of a job reaches a real queue behind a real topic, or a webhook that checks its signature."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from inference.client import InferenceClient
from storage import job_tasks, jobs
from storage.database import Pool
from storage.jobs import NewJob, Result
from storage.objects import ObjectStore
from storage.tenant import Tenant
from vectorindex.client import IndexClient
from workers import jobs as working
from workers import notifications
from workers.notifications import Destinations
from workers.services import WorkerServices

SECRET = "a shared secret"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:ends"
NOWHERE = "unix:///nowhere"
TIMEOUT_SECONDS = 20.0
ROOT = Path(__file__).parents[2]


@pytest.fixture
def end_job(pool: Pool, tenant: Tenant) -> Callable[..., str]:
    """A job that ended, whose topic is to be told."""

    def end(topic: str, status: Any = "done", **values: Any) -> str:
        new = NewJob("labels", {}, "films", "a b.mp4", topic=topic, operation="StartLabelDetection", **values)
        with pool.connection() as connection:
            job_id = jobs.start(connection, tenant, new, 20)
            if status == "failed":
                jobs.end(connection, job_id, "failed", "why")
                return job_id
            for step in (
                lambda task: job_tasks.planned(connection, task, b"", [(None, None)]),
                lambda task: job_tasks.looked(connection, task, b""),
                lambda task: job_tasks.concluded(connection, task, [Result("moments", 0, b"x")]),
            ):
                step(job_tasks.claim(connection, 60.0))
        return job_id

    return end


def services(pool: Pool, destinations: Destinations) -> WorkerServices:
    inference, index, objects = InferenceClient(NOWHERE), IndexClient(NOWHERE), ObjectStore(pool, None)
    return WorkerServices(pool, inference, index, objects, notifications=destinations)


def is_told(pool: Pool, job_id: str) -> bool:
    with pool.connection() as connection:
        query = "SELECT done FROM job_tasks WHERE job_id = %s AND step = 'notify'"
        return connection.execute(query, [job_id]).fetchone() == (True,)


@pytest.fixture
def topic(s3_endpoint_url: str) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    """The ARN of a topic, and a function that takes the messages out of a queue subscribed to it."""
    region = {"region_name": "eu-central-1", "endpoint_url": s3_endpoint_url}
    sns, sqs = boto3.client("sns", **region), boto3.client("sqs", **region)
    arn = sns.create_topic(Name="ends")["TopicArn"]
    queue = sqs.create_queue(QueueName="ends")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)

    def taken() -> list[str]:
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"])["Message"] for message in messages]

    yield arn, taken
    sns.delete_topic(TopicArn=arn)
    sqs.delete_queue(QueueUrl=queue)


@pytest.mark.parametrize(("status", "word", "tag"), [("done", "SUCCEEDED", None), ("failed", "FAILED", "mine")])
def test_a_queue_behind_a_topic_gets_the_message(
    pool: Pool, s3_endpoint_url: str, topic: Any, end_job: Any, status: str, word: str, tag: str | None
) -> None:
    arn, taken = topic
    job_id = end_job(arn, status, tag=tag)
    working.work(services(pool, Destinations(sns_endpoint_url=s3_endpoint_url)))
    (text,) = taken()
    message = json.loads(text)
    assert abs(message.pop("Timestamp") / 1000 - time.time()) < 60
    assert message == {
        "JobId": job_id,
        "Status": word,
        "API": "StartLabelDetection",
        **({} if tag is None else {"JobTag": tag}),
        "Video": {"S3ObjectName": "a b.mp4", "S3Bucket": "films"},
    }
    assert is_told(pool, job_id) and working.work(services(pool, Destinations())) == 0, "it is told once"


def test_a_topic_that_is_not_there_is_given_up(
    pool: Pool, s3_endpoint_url: str, end_job: Any, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = end_job("arn:aws:sns:eu-central-1:123456789012:none")
    assert working.work(services(pool, Destinations(sns_endpoint_url=s3_endpoint_url))) == 1
    assert is_told(pool, job_id)
    assert f"job_id={job_id} its end cannot be told" in caplog.text


def test_an_endpoint_that_is_away_is_told_later(
    pool: Pool, s3_endpoint_url: str, topic: Any, end_job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "FIRST_PAUSE_SECONDS", 0.01)
    arn, taken = topic
    job_id = end_job(arn)
    working.work(services(pool, Destinations(sns_endpoint_url="http://127.0.0.1:9")))
    assert not is_told(pool, job_id)
    _until(lambda: working.work(services(pool, Destinations(sns_endpoint_url=s3_endpoint_url))))
    assert len(taken()) == 1


@dataclass
class Webhook:
    """A server that answers with `answers` in turn, the last one from then on, and keeps what it got."""

    answers: list[int]
    got: list[tuple[dict[str, str], bytes, float]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    kept = Webhook([200])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.got.append((dict(self.headers), body, time.time()))
            self.send_response(kept.answers[min(len(kept.got), len(kept.answers)) - 1])
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_port}/hook"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield kept
    server.shutdown()
    server.server_close()


def _until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def verification_of_the_docs() -> Callable[[bytes, str, str], bool]:
    """The function that docs/jobs.md gives to receivers."""
    text = (ROOT / "docs" / "jobs.md").read_text()
    code = re.search(r"```python\n(import hashlib.*?)```", text, re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)
    verify: Callable[[bytes, str, str], bool] = names["is_from_openrek"]
    return verify


def test_a_webhook_that_refuses_twice_is_told_the_third_time(
    pool: Pool, webhook: Webhook, end_job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "FIRST_PAUSE_SECONDS", 0.2)
    webhook.answers = [500, 429, 204]
    job_id = end_job(TOPIC, tag="mine")
    at_work = services(pool, Destinations(webhook_url=webhook.url, webhook_secret=SECRET))
    _until(lambda: working.work(at_work) == 0 and is_told(pool, job_id))
    assert len(webhook.got) == 3
    first, second, third = (at for _, _, at in webhook.got)
    assert 0.2 <= second - first < third - second
    verify = verification_of_the_docs()
    for headers, body, _ in webhook.got:
        assert verify(body, headers["OpenRek-Signature"], SECRET)
        assert not verify(body + b" ", headers["OpenRek-Signature"], SECRET)
        assert not verify(body, headers["OpenRek-Signature"], "another secret")
    old = notifications.signature(webhook.got[0][1], SECRET, int(time.time()) - 3600)
    assert not verify(webhook.got[0][1], old, SECRET), "an old message played again"
    members = [json.loads(body) for _, body, _ in webhook.got]
    assert len({one["MessageId"] for one in members}) == 1
    assert (members[0]["Type"], members[0]["TopicArn"]) == ("Notification", TOPIC)
    assert json.loads(members[0]["Message"])["JobId"] == job_id


@pytest.mark.parametrize("answer", [400, 403, 404, 410])
def test_a_webhook_that_refuses_for_good_is_given_up(
    pool: Pool, webhook: Webhook, end_job: Any, caplog: pytest.LogCaptureFixture, answer: int
) -> None:
    webhook.answers = [answer]
    job_id = end_job(TOPIC)
    working.work(services(pool, Destinations(webhook_url=webhook.url, webhook_secret=SECRET)))
    assert is_told(pool, job_id) and len(webhook.got) == 1
    assert f"the webhook answered {answer}" in caplog.text


@pytest.mark.parametrize("answer", [302, 408, 429, 503])
def test_other_answers_are_tried_again_for_a_day(
    pool: Pool, webhook: Webhook, end_job: Any, answer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "FIRST_PAUSE_SECONDS", 0.0)
    webhook.answers = [answer]
    job_id = end_job(TOPIC)
    at_work = services(pool, Destinations(webhook_url=webhook.url, webhook_secret=SECRET))
    with pool.connection() as connection:
        connection.execute("UPDATE jobs SET finished_at = now() - interval '23 hours 59 minutes 59 seconds'")
    _until(lambda: working.work(at_work) and is_told(pool, job_id))
    assert len(webhook.got) > 1


def test_without_a_destination_the_log_is_told(pool: Pool, end_job: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    job_id = end_job(TOPIC)
    working.work(services(pool, Destinations()))
    assert is_told(pool, job_id)
    assert '"API":"StartLabelDetection"' in caplog.text


def test_secrets_are_not_shown() -> None:
    assert SECRET not in repr(Destinations(webhook_secret=SECRET))
