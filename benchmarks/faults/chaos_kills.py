"""Ends processes of a stack without warning and sees that they come back."""

import os
import random
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial

import psutil
import psycopg
import redis

from benchmarks.own_stack import Stack
from inference.client import InferenceClient
from inference.errors import InferenceUnavailable
from openrek.stack import index_servers, workers
from vectorindex.client import IndexClient
from workers.app import ping

BACK_SECONDS = 60.0
PROBE_SECONDS = 0.05
ANSWER_SECONDS = 1.0
SESSION = "postgres session"  # one of the database's own processes, whose death makes it restart all of them


class Killer:
    """Kills one part after the other. `back_seconds`: part -> seconds from each kill until it was ready again."""

    def __init__(self, stack: Stack, seed: int, kinds: Collection[str] | None = None) -> None:
        """`kinds` are the parts to kill, such as "worker" for all workers; None for all parts."""
        self._stack, self._random = stack, random.Random(seed)
        probes = _probes(stack)
        self._ready = {part: probes[part] for part in probes if kinds is None or part.partition("-")[0] in kinds}
        self._recovering: set[str] = set()
        self._lock = threading.Lock()
        self.back_seconds: dict[str, list[float]] = {part: [] for part in self._ready}
        self.lost: list[str] = []

    def kill(self, kills: int, longest_pause_seconds: float) -> Iterator[str]:
        """Kill that many parts, each as often as the others, at random moments; yields what was killed.

        A part may be killed while another is still coming back. Returns when all of them are back.
        """
        with ThreadPoolExecutor() as watchers:
            bag: list[str] = []
            for _ in range(kills):
                bag = bag or self._random.sample(sorted(self._ready), len(self._ready))
                part = bag.pop()
                time.sleep(self._random.uniform(0, longest_pause_seconds))
                self._wait_until_up(part)
                watchers.submit(self._follow, part, self._end(part))
                yield part

    def _wait_until_up(self, part: str) -> None:
        process = part.partition(" ")[0]
        while any(recovering.partition(" ")[0] == process for recovering in list(self._recovering)):
            time.sleep(PROBE_SECONDS)
        with self._lock:
            self._recovering.add(part)

    def _end(self, part: str) -> int | None:
        """The id of the part's process, which ends, or of which a child ends."""
        pid = self._stack.pid(part.partition(" ")[0])
        if pid is not None:
            ending = pid if part != SESSION else self._a_session(pid)
            with suppress(ProcessLookupError):
                os.kill(ending, signal.SIGKILL)
        return pid

    def _a_session(self, postgres: int) -> int:
        pid: int = self._random.choice(psutil.Process(postgres).children()).pid
        return pid

    def _follow(self, part: str, pid: int | None) -> None:
        start = time.monotonic()
        while not self._is_back(part, pid):
            if time.monotonic() - start > BACK_SECONDS:
                self.lost.append(f"{part} did not come back in {BACK_SECONDS:.0f} s")
                break
            time.sleep(PROBE_SECONDS)
        else:
            self.back_seconds[part].append(time.monotonic() - start)
        with self._lock:
            self._recovering.discard(part)

    def _is_back(self, part: str, old_pid: int | None) -> bool:
        pid = self._stack.pid(part.partition(" ")[0])
        return pid is not None and (pid != old_pid or part == SESSION) and self._ready[part]()


@contextmanager
def suspended(pid: int) -> Iterator[None]:
    """A process and its children do nothing, as behind a cable that was pulled out; their connections stay."""
    family = [psutil.Process(pid)]
    try:
        family[0].suspend()  # first, so that it starts no more children
        family += family[0].children()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        yield
    finally:
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def _probes(stack: Stack) -> dict[str, Callable[[], bool]]:
    """Part -> whether it does its work, asked as its users ask it."""
    settings = stack.settings
    inference = InferenceClient(settings.inference_url, ANSWER_SECONDS)
    broker = redis.Redis.from_url(settings.redis_url, socket_timeout=ANSWER_SECONDS)

    def api() -> bool:
        try:
            with urllib.request.urlopen(f"{settings.endpoint}/healthz", timeout=ANSWER_SECONDS):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def postgres() -> bool:
        try:
            with psycopg.connect(settings.database_url, connect_timeout=2) as connection:
                connection.execute("SELECT")
        except psycopg.OperationalError:
            return False
        return True

    def model_server() -> bool:
        try:
            inference.status()
        except InferenceUnavailable:
            return False
        return True

    def valkey() -> bool:
        try:
            return bool(broker.ping())
        except redis.RedisError:
            return False

    known: dict[str, Callable[[], bool]] = {
        "inference": model_server,
        "postgres": postgres,
        "valkey": valkey,
        **{name: IndexClient(url).is_ready for name, url in index_servers(settings).items()},
        **{name: partial(ping, settings.redis_url, ANSWER_SECONDS, name) for name in workers(settings)},
    }
    probes = {part: known.get(part, api) for part in stack.parts()}
    return probes | ({SESSION: postgres} if "postgres" in probes else {})
