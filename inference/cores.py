"""The processor's cores, as one set of threads for all work of a process: as many pieces of work run at a time as there
are threads, whatever they belong to, so that none waits half done for a core."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")

_lock = threading.Lock()
_taken = 0


class Cores(ThreadPoolExecutor):
    """An executor with `count` threads, each of which takes a core while it works."""

    def __init__(self, count: int) -> None:
        super().__init__(count, thread_name_prefix="core")

    def submit(self, work: Callable[Given, Result], /, *args: Given.args, **kwargs: Given.kwargs) -> Future[Result]:
        return super().submit(_on_a_core, partial(work, *args, **kwargs))


@contextmanager
def taken() -> Iterator[None]:
    """Counts the calling thread as at work."""
    global _taken
    with _lock:
        _taken += 1
    try:
        yield
    finally:
        with _lock:
            _taken -= 1


def others_at_work() -> bool:
    """Whether threads beside the calling one are at work, in this process."""
    return _taken > 1


def _on_a_core(work: Callable[[], Result]) -> Result:
    with taken():
        return work()
