import asyncio
import io
import threading

import numpy as np
import pytest
from PIL import Image

from inference.cores import Cores
from inference.images import Opened, opened
from inference.pictures import Picture, RecentPictures, _Shared


class Counted:
    """Work that notes how often it ran, and waits for its gate."""

    def __init__(self, failing: bool = False) -> None:
        self.runs = 0
        self.dropped = 0
        self.gate = asyncio.Event()
        self._failing = failing

    async def __call__(self) -> int:
        self.runs += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.dropped += 1
            raise
        if self._failing:
            raise ValueError("it failed")
        return self.runs


def _picture() -> Picture:
    return Picture(np.zeros((4, 4, 3), np.uint8))


def _file(side: int, shade: int) -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (side, side), (shade, shade, shade)).save(encoded, "PNG")
    return encoded.getvalue()


def test_work_runs_once_for_all_who_ask_together_or_later() -> None:
    async def scenario() -> None:
        picture, work = _picture(), Counted()
        callers = [asyncio.ensure_future(picture.once("words", work)) for _ in range(3)]
        await asyncio.sleep(0)
        work.gate.set()
        assert await asyncio.gather(*callers) == [1, 1, 1]
        assert await picture.once("words", work) == 1
        assert await picture.once("other", work) == 2

    asyncio.run(scenario())


def test_work_goes_on_while_anybody_waits_and_is_dropped_with_the_last() -> None:
    async def scenario() -> None:
        picture, work = _picture(), Counted()
        first, second = (asyncio.ensure_future(picture.once("words", work)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        assert (work.runs, work.dropped, second.done()) == (1, 0, False)
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        await asyncio.sleep(0)
        assert work.dropped == 1
        work.gate.set()
        assert await picture.once("words", work) == 2

    asyncio.run(scenario())


def test_a_failure_reaches_all_and_is_not_kept() -> None:
    async def scenario() -> None:
        picture, failing, working = _picture(), Counted(failing=True), Counted()
        callers = [asyncio.ensure_future(picture.once("words", failing)) for _ in range(2)]
        await asyncio.sleep(0)
        failing.gate.set()
        assert all(isinstance(error, ValueError) for error in await asyncio.gather(*callers, return_exceptions=True))
        working.gate.set()
        assert await picture.once("words", working) == 1

    asyncio.run(scenario())


def _opened(side: int, shade: int) -> Opened:
    return opened(_file(side, shade))


def test_the_oldest_pictures_make_room() -> None:
    async def scenario() -> None:
        shades = (0, 100, 200)
        recent = RecentPictures(2 * 10 * 10, Cores(1))
        first, second = [await recent.open(_opened(10, shade)) for shade in shades[:2]]
        assert await recent.open(_opened(10, shades[0])) is first
        await recent.open(_opened(10, shades[2]))
        assert await recent.open(_opened(10, shades[0])) is first
        again = await recent.open(_opened(10, shades[1]))
        assert again is not second and (again.pixels == second.pixels).all()
        recent.forget()
        assert await recent.open(_opened(10, shades[1])) is not again

    asyncio.run(scenario())


def test_what_a_picture_shows_makes_it_the_same_not_what_its_file_says() -> None:
    def file(**more: object) -> bytes:
        encoded = io.BytesIO()
        Image.linear_gradient("L").save(encoded, "JPEG", **more)
        return encoded.getvalue()

    turned = Image.Exif()
    turned[0x0112] = 6  # orientation

    async def scenario() -> None:
        recent = RecentPictures(1 << 20, Cores(1))
        picture = await recent.open(opened(file()))
        assert await recent.open(opened(file(comment=b"another file"))) is picture
        other = await recent.open(opened(file(exif=turned)))
        assert (other.pixels != picture.pixels).any()

    asyncio.run(scenario())


@pytest.mark.parametrize("most_pixels", [0, 99])
def test_a_picture_larger_than_the_room_is_opened_all_the_same(most_pixels: int) -> None:
    async def scenario() -> None:
        recent = RecentPictures(most_pixels, Cores(1))
        one, other = [await recent.open(_opened(10, 7)) for _ in range(2)]
        assert one is not other and one.pixels.shape == (10, 10, 3)

    asyncio.run(scenario())


def test_nobody_changes_a_shared_picture() -> None:
    with pytest.raises(ValueError, match="read-only"):
        _picture().pixels[0, 0] = 1


def test_pictures_on_two_cores_do_not_wait_for_each_other() -> None:
    async def scenario() -> None:
        cores, picture, meeting = Cores(2), _picture(), threading.Barrier(2, timeout=5)

        async def work() -> int:
            return await cores.run(meeting.wait)

        first, second = (cores.run_whole(lambda: picture.once("words", work)) for _ in range(2))
        assert {await first, await second} == {0, 1}, "each did it for itself"
        assert await picture.once("words", work) in (0, 1), "and one answer is kept"

    asyncio.run(scenario())


def test_what_another_core_has_just_given_up_is_done_again() -> None:
    async def scenario() -> None:
        picture, work = _picture(), Counted()
        given_up = asyncio.ensure_future(work())
        given_up.cancel()
        await asyncio.wait([given_up])
        picture._answers["words"] = _Shared(given_up)  # as before its caller has taken it out
        work.gate.set()
        assert await picture.once("words", work) == work.runs

    asyncio.run(scenario())
