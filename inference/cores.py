"""The processor's cores, as one set of threads for all work of a process: as many pieces of work run at a time as there
are threads, whatever they belong to, so that none waits half done for a core.

A piece is one call, or a whole: all that is done for a picture (docs/decisions/0013). The steps of a whole are plain
calls on the core that it has, and cores that rest help with what can be shared out.
"""

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from inference.errors import CallerGone

Result = TypeVar("Result")
Piece = TypeVar("Piece")
_Waiting = SimpleQueue["Callable[[], None] | None"]

_lock = threading.Lock()
_taken = 0


class _Here(threading.local):
    """Of the calling thread: the event loop of its wholes, and whether anybody waits for the one at work."""

    runner: asyncio.Runner | None = None
    is_wanted: Callable[[], bool] | None = None


_here = _Here()


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
        """What `work` returns or raises for `given`. If nobody waits for it any more, it is not begun.

        Within a whole it is done at once; raises asyncio.CancelledError if nobody waits for that any more.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        if _here.is_wanted is None:
            self._begin(future, partial(work, *given))
        elif _here.is_wanted():
            _settle(future, *_done(future, partial(work, *given)))
        else:
            raise asyncio.CancelledError
        return future

    def run_whole(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> "asyncio.Future[Result]":
        """What the coroutine that `work` makes returns or raises; it has a core, and an event loop there, to itself.

        If nobody waits for it any more, it is not begun, or ends before its next step.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._begin(future, partial(_whole, work, lambda: not future.cancelled()))
        return future

    def share(self, work: Callable[[Piece], None], pieces: "deque[Piece]") -> None:
        """Does `work` for each piece, which is taken out first. To be called within a whole; cores that rest help.

        Raises what `work` raises, and asyncio.CancelledError when nobody waits for the whole any more.
        """
        is_wanted = whole_is_wanted()

        def take() -> None:
            while is_wanted() and (piece := _popped(pieces)):
                work(*piece)

        helpers = [self._helper(take) for _ in range(min(self.resting, len(pieces) - 1))]
        try:
            take()
        finally:
            for helper in helpers:
                if helper.cancel():
                    _count(-1)
                else:
                    helper.result()
        if not is_wanted():
            raise asyncio.CancelledError

    @property
    def resting(self) -> int:
        """Threads that have nothing to do."""
        return max(self.count - _taken, 0) if self._waiting.empty() else 0

    def _begin(self, future: "asyncio.Future[Any]", work: Callable[[], Any]) -> None:
        loop = future.get_loop()

        def piece() -> None:
            if future.cancelled():
                return
            with taken():
                outcome = _done(future, work)
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(_settle, future, *outcome)

        self._waiting.put(piece)

    def _helper(self, work: Callable[[], None]) -> "Future[None]":
        """Counts as at work before its thread has woken up, and until it is done; who cancels it counts it out."""
        future: Future[None] = Future()

        def piece() -> None:
            if not future.set_running_or_notify_cancel():
                return
            settle, outcome = _done(future, work)
            _count(-1)
            settle(outcome)

        _count(1)
        self._waiting.put(piece)
        return future


def within_a_whole() -> bool:
    """Whether the calling thread is at work for a whole, on the core that this has."""
    return _here.is_wanted is not None


def whole_is_wanted() -> Callable[[], bool]:
    """Tells, on any thread and at any time, whether somebody waits for the whole that is at work here now."""
    assert _here.is_wanted is not None, "no whole is at work here"
    return _here.is_wanted


@contextmanager
def taken() -> Iterator[None]:
    """Counts the calling thread as at work."""
    _count(1)
    try:
        yield
    finally:
        _count(-1)


def _count(more: int) -> None:
    global _taken
    with _lock:
        _taken += more


def others_at_work() -> bool:
    """Whether threads beside the calling one are at work, in this process."""
    return _taken > 1


def _whole(work: Callable[[], Coroutine[Any, Any, Result]], is_wanted: Callable[[], bool]) -> Result:
    runner = _here.runner = _here.runner or asyncio.Runner()
    _here.is_wanted = is_wanted
    try:
        return runner.run(work())
    except BaseException as error:
        runner.close()  # and what else it had begun
        _here.runner = None
        if isinstance(error, asyncio.CancelledError):
            raise CallerGone("the caller has gone") from error
        raise
    finally:
        _here.is_wanted = None


def _done(future: "asyncio.Future[Any] | Future[Any]", work: Callable[[], Any]) -> tuple[Callable[[Any], None], Any]:
    """Does the work: how to settle its future, and with what."""
    try:
        return future.set_result, work()
    except Exception as error:
        return future.set_exception, error


def _settle(future: "asyncio.Future[Any]", settle: Callable[[Any], None], outcome: Any) -> None:
    if not future.done():
        settle(outcome)


def _popped(pieces: "deque[Piece]") -> tuple[Piece] | None:
    try:
        return (pieces.popleft(),)
    except IndexError:
        return None


def _work(waiting: _Waiting) -> None:
    while (piece := waiting.get()) is not None:
        piece()
        del piece  # and the picture that it holds
    if _here.runner is not None:
        _here.runner.close()


def _end(waiting: _Waiting, count: int) -> None:
    for _ in range(count):
        waiting.put(None)
