"""Dynamic batches, one queue per network.

A batch forms while the device is busy with the one before, so there is no waiting knob: an idle device starts a lone
item at once, a busy one finds all that queued up meanwhile (after text-embeddings-inference's queue).
"""

import asyncio
import heapq
import math
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Any, Generic, TypeVar

from inference.cores import Cores, whole_is_wanted, within_a_whole
from inference.errors import Overloaded

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Shape = tuple[int, ...]

SPEED_OF_ALL = 0.65
"""N cores together get a run done N to the power of this times as fast as one: two of them 1.3 to 1.75 times. With
a run each they get more done, but end one after the other."""


@dataclass(eq=False)
class _Call(Generic[Answer]):
    """What a caller waits for: one answer for each of its items."""

    answers: list[Any]
    missing: int
    done: "asyncio.Future[list[Answer]]"

    def take(self, place: int, answer: Answer) -> None:
        self.answers[place] = answer
        self.missing -= 1
        if not self.missing and not self.done.done():
            self.done.set_result(self.answers)


@dataclass(frozen=True, eq=False)
class _Work(Generic[Item, Answer]):
    item: Item
    key: Shape
    call: _Call[Answer]
    place: int


@dataclass(frozen=True, eq=False)
class _Told:
    """What a whole still has to be told: places of items, in batches."""

    left: deque[list[int]]
    is_wanted: Callable[[], bool]


class Batcher(Generic[Item, Answer]):
    """Gathers the items of many callers into batches for one network.

    `predict` takes up to `max_batch` items and returns one answer for each, in order; it runs on one of `cores`,
    on threads of its own where none are given. Only items with equal `key` (their shape) share a batch. At most
    `queue_limit` items wait; `parallel` batches run at once, and what waits is shared out among them. All methods
    belong to one event loop.
    """

    def __init__(
        self,
        predict: Callable[[list[Item]], list[Answer]],
        max_batch: int,
        queue_limit: int,
        parallel: int = 1,
        cores: Cores | None = None,
    ) -> None:
        self._predict = predict
        self._max_batch = max_batch
        self._queue_limit = queue_limit
        self._queue: deque[_Work[Item, Answer]] = deque()
        self._told: set[_Told] = set()
        self._free_lanes = parallel
        self._cores = cores or Cores(parallel)

    @property
    def waiting(self) -> int:
        """Items that have not been begun, but for those that nobody waits for any more."""
        told = (len(batch) for one in self._told.copy() if one.is_wanted() for batch in one.left.copy())
        return len(self._queue) + sum(told)

    async def submit(self, item: Item, key: Shape = ()) -> Answer:
        """The answer for one item. Raises what submit_all raises."""
        return (await self.submit_all([item], [key]))[0]

    async def submit_all(self, items: Sequence[Item], keys: Iterable[Shape] = repeat(())) -> list[Answer]:
        """The answers for all items, in order. Raises Overloaded at once when the queue has no room for them, or what
        `predict` raised.

        Items whose batch has not begun leave the queue when the call is cancelled or has failed.
        """
        if not items:
            return []
        if within_a_whole():
            return self._at_once(items, keys)
        if len(self._queue) + len(items) > self._queue_limit:
            raise Overloaded(f"{len(self._queue)} items wait already")
        call: _Call[Answer] = _Call([None] * len(items), len(items), asyncio.get_running_loop().create_future())
        self._queue.extend(
            _Work(item, key, call, place) for place, (item, key) in enumerate(zip(items, keys, strict=False))
        )
        self._fill_lanes()
        try:
            return await call.done
        except BaseException:
            self._drop_settled()
            raise

    def _at_once(self, items: Sequence[Item], keys: Iterable[Shape]) -> list[Answer]:
        """The answers for all items, in order, told on the core of the calling whole and on those that rest.

        The largest items come first, so that no core has one left when the others are done; those that would last much
        longer than the rest have all cores, before the rest is shared out.
        """
        answers: list[Any] = [None] * len(items)
        alike: defaultdict[Shape, list[int]] = defaultdict(list)
        for place, (_, key) in enumerate(zip(items, keys, strict=False)):
            alike[key].append(place)
        size = min(self._max_batch, -(-len(items) // (1 + self._cores.resting)))
        largest_first = sorted(alike.items(), key=lambda one: math.prod(one[0]), reverse=True)
        batches = [
            (places[start : start + size], math.prod(key))
            for key, places in largest_first
            for start in range(0, len(places), size)
        ]
        left = deque(places for places, _ in batches)

        def tell(places: list[int]) -> None:
            for place, answer in zip(places, self._predict([items[place] for place in places]), strict=True):
                answers[place] = answer

        told = _Told(left, whole_is_wanted())
        self._told.add(told)
        try:
            # Of one shape are crops, most of whose networks cannot use more than one core.
            costs = [len(places) * one for places, one in batches] if len(alike) > 1 else []
            for _ in range(_first_on_all(costs, 1 + self._cores.resting)):
                self._cores.share(tell, deque([left.popleft()]))
            self._cores.share(tell, left)
        finally:
            self._told.discard(told)
        return answers

    def _fill_lanes(self) -> None:
        while self._free_lanes and self._queue:
            batch = self._next_batch(min(self._max_batch, -(-len(self._queue) // self._free_lanes)))
            self._free_lanes -= 1
            run = self._cores.run(self._predict, [work.item for work in batch])
            run.add_done_callback(partial(self._hand_out, batch))

    def _next_batch(self, most: int) -> list[_Work[Item, Answer]]:
        """The oldest item and all that may travel with it; others keep their place."""
        batch: list[_Work[Item, Answer]] = []
        passed: list[_Work[Item, Answer]] = []
        while self._queue and len(batch) < most:
            work = self._queue.popleft()
            (batch if not batch or work.key == batch[0].key else passed).append(work)
        self._queue.extendleft(reversed(passed))
        return batch

    def _hand_out(self, batch: list[_Work[Item, Answer]], run: "asyncio.Future[list[Answer]]") -> None:
        self._free_lanes += 1
        if run.cancelled():  # the process ends
            return
        error = run.exception()
        if error is None:
            for work, answer in zip(batch, run.result(), strict=True):
                work.call.take(work.place, answer)
        else:
            for work in batch:
                if not work.call.done.done():
                    work.call.done.set_exception(error)
            self._drop_settled()
        self._fill_lanes()

    def _drop_settled(self) -> None:
        """Takes out what nobody waits for any more: of calls that failed or were cancelled."""
        self._queue = deque(work for work in self._queue if not work.call.done.done())


def _first_on_all(costs: Sequence[float], cores: int) -> int:
    """How many of the runs, the dearest of which come first, are better done on all cores, one after the other, than
    shared out with the rest, one core each."""

    def seconds(first: int) -> float:
        busy, rest = [0.0] * cores, costs[first:]
        for cost in rest:
            heapq.heapreplace(busy, busy[0] + cost)
        on_all = sum(costs[:first]) + (rest[0] if len(rest) == 1 else 0.0)
        return on_all / math.pow(cores, SPEED_OF_ALL) + (max(busy) if len(rest) > 1 else 0.0)

    return min(range(min(len(costs), cores) + 1), key=seconds)


async def together(work: Iterable[Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """The answers of all, in order. When one fails its error is raised as it is, and the others are dropped."""
    try:
        async with asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(one) for one in work]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in waiting]
