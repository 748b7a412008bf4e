import asyncio
import gc
import threading
from collections import deque

import pytest

from inference import cores
from inference.cores import Cores
from inference.errors import CallerGone


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


def test_the_steps_of_a_whole_run_on_its_core() -> None:
    async def scenario() -> None:
        threads = Cores(2)

        async def whole() -> set[threading.Thread]:
            steps = [threads.run(threading.current_thread) for _ in range(3)]
            assert cores.within_a_whole() and all(step.done() for step in steps), "there was nothing to wait for"
            return {threading.current_thread(), *await asyncio.gather(*steps)}

        assert len(await threads.run_whole(whole)) == 1
        assert not await threads.run(cores.within_a_whole)

    asyncio.run(scenario())


def test_a_failed_whole_leaves_nothing_behind_and_costs_no_thread() -> None:
    async def scenario() -> None:
        threads, ended = Cores(1), []

        async def other() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(True)

        async def whole() -> None:
            waiting = asyncio.ensure_future(other())
            await asyncio.sleep(0)
            await threads.run(divmod, 7, 0)
            await waiting

        for failures in (1, 2):
            with pytest.raises(ZeroDivisionError):
                await threads.run_whole(whole)
            assert len(ended) == failures
        assert await threads.run(divmod, 9, 2) == (4, 1)

    asyncio.run(scenario())


def test_a_whole_ends_before_its_next_step_when_nobody_waits() -> None:
    async def scenario() -> None:
        threads, gate, begun, ran = Cores(1), threading.Event(), threading.Event(), list[int]()

        def first() -> None:
            begun.set()
            assert gate.wait(5)

        async def whole() -> None:
            await threads.run(first)
            await threads.run(ran.append, 1)

        running = threads.run_whole(whole)
        assert await asyncio.to_thread(begun.wait, 5)
        running.cancel()
        gate.set()
        assert await threads.run(divmod, 9, 2) == (4, 1)
        assert not ran

    asyncio.run(scenario())


def test_a_core_that_rests_helps() -> None:
    async def scenario() -> None:
        threads, meeting = Cores(2), threading.Barrier(2, timeout=5)
        seen = list[int]()

        def work(piece: int) -> None:
            meeting.wait()
            seen.append(piece)

        async def whole() -> None:
            threads.share(work, deque(range(4)))

        await threads.run_whole(whole)
        assert sorted(seen) == [0, 1, 2, 3]

    asyncio.run(scenario())


def test_who_is_to_help_is_at_work_before_it_has_woken_up() -> None:
    async def scenario() -> None:
        threads, seen, others = Cores(2), list[int](), list[bool]()

        def work(piece: int) -> None:
            others.append(cores.others_at_work())
            seen.append(piece)

        async def whole() -> None:
            threads.share(work, deque(range(2)))
            assert not cores.others_at_work(), "nor after it was not needed any more"

        for _ in range(50):
            others.clear()
            await threads.run_whole(whole)
            assert others[0], "else the first piece would take all cores"

    asyncio.run(scenario())


def test_nobody_is_waited_for_who_has_other_work() -> None:
    async def scenario() -> None:
        threads, gate, begun = Cores(2), threading.Event(), threading.Event()

        def first() -> None:
            begun.set()
            assert gate.wait(5)

        async def whole() -> list[int]:
            pieces, seen = deque([1, 2, 3]), list[int]()
            threads.share(seen.append, pieces)
            return seen

        busy = threads.run(first)
        assert await asyncio.to_thread(begun.wait, 5)
        assert await threads.run_whole(whole) == [1, 2, 3]
        gate.set()
        await busy

    asyncio.run(scenario())


@pytest.mark.parametrize("failing", range(4))
def test_what_fails_in_a_shared_piece_is_raised(failing: int) -> None:
    async def scenario() -> None:
        threads = Cores(2)

        def work(piece: int) -> None:
            if piece == failing:
                raise ValueError("it failed")

        async def whole() -> None:
            threads.share(work, deque(range(4)))

        with pytest.raises(ValueError, match="it failed"):
            await threads.run_whole(whole)

    asyncio.run(scenario())


def test_shared_pieces_that_nobody_waits_for_are_not_begun() -> None:
    async def scenario() -> None:
        threads, gate, begun, seen = Cores(1), threading.Event(), threading.Event(), list[int]()

        def work(piece: int) -> None:
            seen.append(piece)
            begun.set()
            assert gate.wait(5)

        async def whole() -> None:
            threads.share(work, deque(range(4)))

        running = threads.run_whole(whole)
        assert await asyncio.to_thread(begun.wait, 5)
        running.cancel()
        gate.set()
        await threads.run(divmod, 9, 2)
        assert seen == [0]

    asyncio.run(scenario())


def test_a_whole_that_cancels_itself_is_no_answer() -> None:
    async def scenario() -> None:
        async def whole() -> None:
            raise asyncio.CancelledError

        with pytest.raises(CallerGone):
            await Cores(1).run_whole(whole)

    asyncio.run(scenario())


def test_threads_end_with_their_cores() -> None:
    async def scenario() -> list[threading.Thread]:
        threads = Cores(2)
        return [await threads.run(threading.current_thread)]

    (thread,) = asyncio.run(scenario())
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()
