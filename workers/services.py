"""What a worker's jobs use."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from inference.client import InferenceClient
from storage.database import Pool
from storage.jobs import KEPT_SECONDS
from storage.objects import ObjectStore
from vectorindex.client import IndexClient
from workers.notifications import Destinations


@dataclass(frozen=True)
class WorkerSettings:
    """Videos are split into parts of about `part_seconds`. Of each second of a video so many frames are looked at:
    `frames_per_second` in general, of them `moderation_frames_per_second` for moderation and `text_frames_per_second`
    for text. `frames_in_flight` are at the model server at a time, for each part in work. A worker that says nothing
    for `lease_seconds` has its task given to another. The model server may be away for `patience_seconds` before a task
    is given back, and something or other for `away_seconds` before its job fails. It fails, too, when a task ended with
    `attempts` errors, or in the death of `deaths` workers. Jobs that ended are kept for `results_seconds`."""

    part_seconds: float = 20.0
    frames_per_second: float = 5.0
    moderation_frames_per_second: float = 1.0
    text_frames_per_second: float = 1.0
    frames_in_flight: int = 4
    lease_seconds: float = 15.0
    patience_seconds: float = 30.0
    away_seconds: float = 6 * 3600.0
    attempts: int = 5
    deaths: int = 6
    results_seconds: float = KEPT_SECONDS


@dataclass(frozen=True)
class WorkerServices:
    """The other parts, one of each per worker; all are safe to share between threads. Once `stopping` is set the worker
    ends what it is doing. `wake_workers` has all workers look for tasks at once."""

    pool: Pool
    inference: InferenceClient
    index: IndexClient
    objects: ObjectStore
    settings: WorkerSettings = WorkerSettings()
    notifications: Destinations = field(default_factory=Destinations)
    stopping: threading.Event = field(default_factory=threading.Event)
    wake_workers: Callable[[], None] = lambda: None
