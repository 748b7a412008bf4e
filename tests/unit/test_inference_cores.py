import asyncio
import gc
import threading

import pytest

from inference import cores
from inference.cores import Cores


def test_work_gives_what_it_returns_and_raises() -> None:
    async def scenario() -> None:
        threads = Cores(2)
        assert await threads.run(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await threads.run(divmod, 7, 0)
        assert await threads.run(divmod, 9, 2) == (4, 1), "a failure costs no thread"

    asyncio.run(scenario())


def test_as_many_pieces_run_at_a_time_as_there_are_threads() -> None:
    async def scenario() -> None:
        threads, gate, begun = Cores(2), threading.Event(), threading.Semaphore(0)

        def piece() -> bool:
            begun.release()
            assert gate.wait(5)
            return cores.others_at_work()

        running = [threads.run(piece) for _ in range(3)]
        assert begun.acquire(timeout=5) and begun.acquire(timeout=5)
        assert not begun.acquire(timeout=0.1), "the third waits for a thread"
        gate.set()
        assert sum(await asyncio.gather(*running)) >= 1

    asyncio.run(scenario())


def test_lone_work_has_no_others_beside_it() -> None:
    async def scenario() -> None:
        assert not await Cores(2).run(cores.others_at_work)
        with cores.taken():
            assert await Cores(2).run(cores.others_at_work)

    asyncio.run(scenario())


def test_what_nobody_waits_for_is_not_begun() -> None:
    async def scenario() -> None:
        threads, gate, ran = Cores(1), threading.Event(), []
        first = threads.run(gate.wait, 5)
        second = threads.run(ran.append, 1)
        second.cancel()
        gate.set()
        assert await first
        await threads.run(ran.append, 2)
        assert ran == [2]

    asyncio.run(scenario())


def test_threads_end_with_their_cores() -> None:
    async def scenario() -> list[threading.Thread]:
        threads = Cores(2)
        return [await threads.run(threading.current_thread)]

    (thread,) = asyncio.run(scenario())
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()
