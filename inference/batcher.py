"""Dynamic batches, one queue per network.

A batch forms while the device is busy with the one before, so there is no waiting knob: an idle device starts a lone
item at once, a busy one finds all that queued up meanwhile (after text-embeddings-inference's queue).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from inference.errors import Overloaded

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False)
class _Work(Generic[Item, Answer]):
    item: Item
    key: Hashable
    answer: "asyncio.Future[Answer]"


class Batcher(Generic[Item, Answer]):
    """Gathers single items of many callers into batches for one network.

    `predict` takes up to `max_batch` items and returns one answer for each, in order; it runs in a thread of its own.
    Only items with equal `key` (their shape) share a batch. At most `queue_limit` items wait; `parallel` batches run
    at once. All methods belong to one event loop.
    """

    def __init__(
        self, predict: Callable[[list[Item]], list[Answer]], max_batch: int, queue_limit: int, parallel: int = 1
    ) -> None:
        self._predict = predict
        self._max_batch = max_batch
        self._queue_limit = queue_limit
        self._queue: deque[_Work[Item, Answer]] = deque()
        self._free_lanes = parallel
        self._running: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(parallel, thread_name_prefix=getattr(predict, "__qualname__", "batch"))

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def submit(self, item: Item, key: Hashable = None) -> Answer:
        """The answer for one item. Raises Overloaded at once when the queue is full, or what `predict` raised.

        Cancelling the call takes the item out of the queue if its batch has not begun.
        """
        if len(self._queue) >= self._queue_limit:
            raise Overloaded(f"{len(self._queue)} items wait already")
        work: _Work[Item, Answer] = _Work(item, key, asyncio.get_running_loop().create_future())
        self._queue.append(work)
        self._fill_lanes()
        try:
            return await work.answer
        except asyncio.CancelledError:
            if work in self._queue:
                self._queue.remove(work)
            raise

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _fill_lanes(self) -> None:
        while self._free_lanes and self._queue:
            batch = self._next_batch()
            self._free_lanes -= 1
            task = asyncio.get_running_loop().create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _next_batch(self) -> list[_Work[Item, Answer]]:
        """The oldest item and all that may travel with it; others keep their place."""
        batch: list[_Work[Item, Answer]] = []
        passed: list[_Work[Item, Answer]] = []
        while self._queue and len(batch) < self._max_batch:
            work = self._queue.popleft()
            (batch if not batch or work.key == batch[0].key else passed).append(work)
        self._queue.extendleft(reversed(passed))
        return batch

    async def _run(self, batch: list[_Work[Item, Answer]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(self._threads, self._predict, [work.item for work in batch])
            for work, answer in zip(batch, answers, strict=True):
                if not work.answer.done():
                    work.answer.set_result(answer)
        except Exception as error:
            for work in batch:
                if not work.answer.done():
                    work.answer.set_exception(error)
        finally:
            self._free_lanes += 1
            self._fill_lanes()


async def together(work: Iterable[Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """The answers of all, in order. When one fails its error is raised as it is, and the others are dropped."""
    try:
        async with asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(one) for one in work]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in waiting]
