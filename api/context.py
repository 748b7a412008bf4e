"""What a handler is given beside the request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from storage.tenant import Tenant

if TYPE_CHECKING:
    from api.pagination import TokenSealer
    from inference.client import InferenceClient
    from storage.database import Pool
    from storage.objects import ObjectStore
    from vectorindex.client import IndexClient


@dataclass(frozen=True)
class ApiSettings:
    """Settings of one API process.

    `threads` requests are handled at a time and `in_progress_limit` held at all; one more gets a
    ThrottlingException. With `check_answers` an answer that breaks the service model is an internal error.
    An account may call each operation `account_requests_per_second` times, and have `most_collections` in a region;
    None is no limit. New collections are made with `face_model_version`, which the model server must serve. Reviews by
    people start at `human_loop_endpoint_url`. A tenant may have `most_unfinished_jobs`.
    """

    version: str
    face_model_version: str
    max_body_bytes: int = 32 * 1024 * 1024
    threads: int = 16
    in_progress_limit: int = 256
    check_answers: bool = False
    body_timeout_seconds: float = 60.0
    readiness_timeout_seconds: float = 2.0
    account_requests_per_second: float | None = None
    most_collections: int | None = None
    most_faces_in_a_collection: int = 20_000_000
    most_users_in_a_collection: int = 10_000_000
    human_loop_endpoint_url: str | None = None
    most_unfinished_jobs: int = 20


@dataclass(frozen=True)
class Services:
    """The parts that handlers use, one of each per process; all are safe to share between threads.

    `secret_key` (32 bytes) is what crops of faces are encrypted with; `wake_workers` has a worker look for new jobs.
    """

    pool: Pool
    inference: InferenceClient
    index: IndexClient
    objects: ObjectStore
    tokens: TokenSealer
    settings: ApiSettings
    secret_key: bytes = field(repr=False)
    wake_workers: Callable[[], None]


@dataclass(frozen=True)
class Context:
    """One request: its id, whose it is, and the services."""

    request_id: str
    tenant: Tenant
    caller_arn: str
    services: Services
