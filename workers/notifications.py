"""Tells the end of a job where its caller wants to know it: in a message of the form that SNS topics carry.

Where it goes is the owner's choice: an endpoint that speaks SNS, or a webhook, which gets the same message signed.
"""

import hashlib
import hmac
import json
import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

import httpx

from storage.jobs import Job

log = logging.getLogger(__name__)

STATUS = {"done": "SUCCEEDED", "failed": "FAILED"}
SIGNATURE_HEADER = "OpenRek-Signature"
TIMEOUT_SECONDS = 10.0
# Of the statuses from 400 to 499 these pass.
_PASSING_STATUSES = (408, 429)
# What an SNS endpoint says of a topic that will not be there the next time either.
_FINAL_CODES = ("NotFound", "NotFoundException", "InvalidParameter", "InvalidParameterException")


class NotTold(Exception):
    """Somebody could not be told now."""


class Refused(Exception):
    """Somebody does not want to be told."""


@dataclass(frozen=True)
class Destinations:
    """Where messages go: to `sns_endpoint_url` with credentials from where boto3 looks, else to `webhook_url`, signed
    with `webhook_secret`, else into the log."""

    sns_endpoint_url: str | None = None
    webhook_url: str | None = None
    webhook_secret: str = field(default="", repr=False)


def tell(job: Job, destinations: Destinations) -> None:
    """Tell the end of a job to its topic. Raises NotTold, Refused."""
    assert job.topic is not None
    if destinations.sns_endpoint_url is not None:
        _publish(job.topic, message(job), destinations.sns_endpoint_url)
    elif destinations.webhook_url is not None:
        _post(envelope(job), destinations.webhook_url, destinations.webhook_secret)
    else:
        log.info("job_id=%s nobody is set to be told: %s", job.id, message(job))


def message(job: Job) -> str:
    """The message of a job that ended, JSON."""
    assert job.finished_at is not None
    members: dict[str, Any] = {"JobId": job.id, "Status": STATUS[job.status], "API": job.operation}
    if job.tag is not None:
        members["JobTag"] = job.tag
    members["Timestamp"] = int(job.finished_at.timestamp() * 1000)
    members["Video"] = {"S3ObjectName": job.object_name, "S3Bucket": job.bucket}
    return json.dumps(members, separators=(",", ":"))


def envelope(job: Job) -> bytes:
    """The message as SNS sends it to its subscribers, JSON; its MessageId is the same whenever it is sent again."""
    assert job.finished_at is not None
    members = {
        "Type": "Notification",
        "MessageId": str(uuid.UUID(job.id[:32])),
        "TopicArn": job.topic,
        "Message": message(job),
        "Timestamp": job.finished_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
    }
    return json.dumps(members).encode()


def signature(body: bytes, secret: str, seconds: int) -> str:
    """The signature header: when it was signed (epoch seconds), and the HMAC-SHA256 of `<seconds>.<body>`."""
    signed = hmac.new(secret.encode(), b"%d.%s" % (seconds, body), hashlib.sha256).hexdigest()
    return f"t={seconds},v1={signed}"


def _post(body: bytes, url: str, secret: str) -> None:
    headers = {
        "Content-Type": "application/json",
        SIGNATURE_HEADER: signature(body, secret, int(time.time())),
    }
    try:
        with httpx.stream("POST", url, content=body, headers=headers, timeout=TIMEOUT_SECONDS) as answer:
            status = answer.status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotTold(f"the webhook does not answer: {error!r}") from error
    if 200 <= status < 300:
        return
    if 400 <= status < 500 and status not in _PASSING_STATUSES:
        raise Refused(f"the webhook answered {status}")
    raise NotTold(f"the webhook answered {status}")


def _publish(topic: str, text: str, endpoint_url: str) -> None:
    # Imported here because most installations never need it.
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    config = Config(connect_timeout=TIMEOUT_SECONDS, read_timeout=TIMEOUT_SECONDS, retries={"total_max_attempts": 1})
    try:
        session = boto3.session.Session()
        client = session.client("sns", region_name=_region(topic), endpoint_url=endpoint_url, config=config)
        client.publish(TopicArn=topic, Message=text)
    except ClientError as error:
        if _code(error.response) in _FINAL_CODES:
            raise Refused(str(error)) from error
        raise NotTold(str(error)) from error
    except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint or a region that is none
        raise NotTold(str(error)) from error


def _region(topic: str) -> str:
    return topic.split(":")[3]


def _code(response: Mapping[str, Any]) -> str:
    code: str = response.get("Error", {}).get("Code", "")
    return code
