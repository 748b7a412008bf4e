"""The processor's cores, as one set of threads for all work of a process: as many pieces of work run at a time as there
are threads, whatever they belong to, so that none waits half done for a core."""

import asyncio
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import Any, TypeVar

Result = TypeVar("Result")
_Waiting = SimpleQueue["Callable[[], None] | None"]

_lock = threading.Lock()
_taken = 0


class Cores:
    """`count` threads, each of which takes a core while it works. They end when this is dropped, or with the process.

    A way to a thread and back costs half of what an executor's does, which has futures of two kinds.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._waiting: _Waiting = SimpleQueue()
        for number in range(count):
            threading.Thread(target=_work, args=(self._waiting,), name=f"core {number}", daemon=True).start()
        weakref.finalize(self, _end, self._waiting, count)

    def run(self, work: Callable[..., Result], *given: Any) -> "asyncio.Future[Result]":
        """What `work` returns or raises for `given`. If nobody waits for it any more, it is not begun."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def piece() -> None:
            settle: Callable[[Any], None] = future.set_result
            outcome: object
            if future.cancelled():
                return
            with taken():
                try:
                    outcome = work(*given)
                except Exception as error:
                    settle, outcome = future.set_exception, error
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(_settle, future, settle, outcome)

        self._waiting.put(piece)
        return future


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


def _settle(future: "asyncio.Future[Any]", settle: Callable[[Any], None], outcome: Any) -> None:
    if not future.done():
        settle(outcome)


def _work(waiting: _Waiting) -> None:
    while (piece := waiting.get()) is not None:
        piece()
        del piece  # and the picture that it holds


def _end(waiting: _Waiting, count: int) -> None:
    for _ in range(count):
        waiting.put(None)
