import asyncio
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.batcher import Batcher, together
from inference.cores import Cores, others_at_work
from inference.errors import Overloaded


class GatedNetwork:
    """A fake network that doubles numbers, notes its batches, and works only while its gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.batches: list[list[int]] = []

    def predict(self, batch: list[int]) -> list[int]:
        self.batches.append(batch)
        assert self.gate.wait(5)
        if any(number < 0 for number in batch):
            raise ValueError("negative")
        return [number * 2 for number in batch]


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def _submit(batcher: Batcher[int, int], numbers: list[int]) -> list[asyncio.Task[int]]:
    tasks = [asyncio.ensure_future(batcher.submit(number, key=(number % 2,))) for number in numbers]
    await asyncio.sleep(0)
    return tasks


def test_a_lone_item_starts_at_once_and_a_batch_forms_while_it_runs() -> None:
    async def scenario() -> None:
        network = GatedNetwork()
        batcher = Batcher(network.predict, max_batch=3, queue_limit=10)
        tasks = await _submit(batcher, [2])
        await _until(lambda: network.batches == [[2]])
        tasks += await _submit(batcher, [4, 6, 8, 10])
        network.gate.set()
        assert await asyncio.gather(*tasks) == [4, 8, 12, 16, 20]
        assert network.batches == [[2], [4, 6, 8], [10]]

    asyncio.run(scenario())


def test_only_equal_keys_travel_together_and_nobody_is_overtaken_for_long() -> None:
    async def scenario() -> None:
        network = GatedNetwork()
        batcher = Batcher(network.predict, max_batch=4, queue_limit=10)
        tasks = await _submit(batcher, [0])
        await _until(lambda: network.batches == [[0]])
        tasks += await _submit(batcher, [1, 2, 3, 4, 5])
        network.gate.set()
        assert await asyncio.gather(*tasks) == [0, 2, 4, 6, 8, 10]
        assert network.batches == [[0], [1, 3, 5], [2, 4]]

    asyncio.run(scenario())


def test_a_full_queue_refuses_at_once() -> None:
    async def scenario() -> None:
        network = GatedNetwork()
        batcher = Batcher(network.predict, max_batch=1, queue_limit=2)
        tasks = await _submit(batcher, [2, 4, 6])
        with pytest.raises(Overloaded):
            await batcher.submit(8)
        network.gate.set()
        assert await asyncio.gather(*tasks) == [4, 8, 12]

    asyncio.run(scenario())


def test_work_of_a_caller_that_left_is_never_run() -> None:
    async def scenario() -> None:
        network = GatedNetwork()
        batcher = Batcher(network.predict, max_batch=1, queue_limit=10)
        tasks = await _submit(batcher, [2, 4, 6])
        await _until(lambda: network.batches == [[2]])
        tasks[1].cancel()
        await asyncio.sleep(0)
        assert batcher.waiting == 1
        network.gate.set()
        assert [await tasks[0], await tasks[2]] == [4, 12]
        assert network.batches == [[2], [6]]

    asyncio.run(scenario())


def test_a_failing_batch_fails_its_callers_only() -> None:
    async def scenario() -> None:
        network = GatedNetwork()
        network.gate.set()
        batcher = Batcher(network.predict, max_batch=1, queue_limit=10)
        tasks = await _submit(batcher, [-2, 4])
        with pytest.raises(ValueError, match="negative"):
            await tasks[0]
        assert await tasks[1] == 8

    asyncio.run(scenario())


def test_parallel_batches_run_side_by_side() -> None:
    async def scenario() -> None:
        network = GatedNetwork()
        batcher = Batcher(network.predict, max_batch=1, queue_limit=10, parallel=2)
        tasks = await _submit(batcher, [2, 4, 6])
        await _until(lambda: len(network.batches) == 2)
        network.gate.set()
        assert await asyncio.gather(*tasks) == [4, 8, 12]

    asyncio.run(scenario())


def test_the_items_of_a_call_are_shared_out_among_free_lanes_and_answered_in_order() -> None:
    async def scenario() -> None:
        network = GatedNetwork()
        network.gate.set()
        batcher = Batcher(network.predict, max_batch=4, queue_limit=10, parallel=2)
        assert await batcher.submit_all([2, 4, 6, 8, 10]) == [4, 8, 12, 16, 20]
        assert sorted(map(len, network.batches)) == [2, 3]
        assert await batcher.submit_all([]) == []

    asyncio.run(scenario())


def test_a_call_that_failed_or_left_takes_all_its_items_with_it() -> None:
    async def scenario() -> None:
        network = GatedNetwork()
        batcher = Batcher(network.predict, max_batch=1, queue_limit=10)
        failing = asyncio.ensure_future(batcher.submit_all([-2, 4, 6]))
        leaving = asyncio.ensure_future(batcher.submit_all([8, 10]))
        staying = asyncio.ensure_future(batcher.submit_all([12, 14]))
        await _until(lambda: network.batches == [[-2]])
        leaving.cancel()
        await asyncio.sleep(0)
        assert batcher.waiting == 4
        network.gate.set()
        with pytest.raises(ValueError, match="negative"):
            await failing
        assert await staying == [24, 28]
        assert network.batches == [[-2], [12], [14]]

    asyncio.run(scenario())


def test_a_call_that_finds_no_room_for_all_its_items_leaves_none() -> None:
    async def scenario() -> None:
        network = GatedNetwork()
        batcher = Batcher(network.predict, max_batch=1, queue_limit=2)
        with pytest.raises(Overloaded):
            await batcher.submit_all([2, 4, 6])
        assert batcher.waiting == 0 and not network.batches

    asyncio.run(scenario())


def test_the_first_failure_is_raised_as_it_is_and_the_others_are_dropped() -> None:
    async def scenario() -> None:
        network = GatedNetwork()
        batcher = Batcher(network.predict, max_batch=1, queue_limit=2)
        with pytest.raises(Overloaded):
            await together(batcher.submit(number) for number in (2, 4, 6, 8))
        assert batcher.waiting == 0, "nobody waits for these any more"
        network.gate.set()
        assert await together(batcher.submit(number) for number in (2, 4)) == [4, 8]

    asyncio.run(scenario())


@given(numbers=st.lists(st.integers(0, 5), max_size=20), max_batch=st.integers(1, 4), count=st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_within_a_whole_all_are_told_in_order(numbers: list[int], max_batch: int, count: int) -> None:
    async def scenario() -> None:
        network, cores = GatedNetwork(), Cores(count)
        network.gate.set()
        batcher = Batcher(network.predict, max_batch, queue_limit=1, parallel=count, cores=cores)
        told = await cores.run_whole(lambda: batcher.submit_all(numbers, [(number % 2,) for number in numbers]))
        assert told == [number * 2 for number in numbers]
        assert sorted(number for batch in network.batches for number in batch) == sorted(numbers)
        for batch in network.batches:
            assert len(batch) <= max_batch and len({number % 2 for number in batch}) == 1
        assert batcher.waiting == 0

    asyncio.run(scenario())


def test_within_a_whole_the_largest_items_are_told_first() -> None:
    async def scenario() -> None:
        network, cores = GatedNetwork(), Cores(1)
        network.gate.set()
        batcher = Batcher(network.predict, max_batch=2, queue_limit=1, cores=cores)
        shapes = [(3, 8, 8), (3, 8, 16), (3, 8, 8), (3, 4, 8), (3, 8, 16)]
        assert await cores.run_whole(lambda: batcher.submit_all(range(5), shapes)) == [0, 2, 4, 6, 8]
        assert network.batches == [[1, 4], [0, 2], [3]]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("sizes", "on_all_cores"),
    [
        ([100, 90], []),
        ([100, 100, 100, 100], []),
        ([100, 40, 40], []),
        ([12, 100], [0, 1]),
        ([20, 300, 20], [1]),
    ],
)
def test_within_a_whole_an_item_that_would_outlast_the_rest_has_all_cores(
    sizes: list[int], on_all_cores: list[int]
) -> None:
    beside: dict[int, bool] = {}

    def predict(batch: list[int]) -> list[int]:
        """A fake network, which takes as long as an item is large."""
        beside.update(dict.fromkeys(batch, others_at_work()))
        time.sleep(sum(sizes[number] for number in batch) / 1000)
        return batch

    async def scenario() -> None:
        cores = Cores(2)
        batcher = Batcher(predict, 1, queue_limit=1, cores=cores)
        numbers = range(len(sizes))
        assert await cores.run_whole(lambda: batcher.submit_all(numbers, [(size,) for size in sizes])) == [*numbers]

    asyncio.run(scenario())
    assert sorted(number for number in beside if not beside[number]) == on_all_cores
