"""How a worker shows the frames of a part to the model server."""

import io
import threading
import time

import pytest
from clips import Clip, made, number_of

from inference import wire
from inference.errors import InvalidImage
from inference.types import Pixels
from inference.video.types import Part
from workers.analyses.looking import each_frame
from workers.services import WorkerSettings

FRAMES, IN_FLIGHT = 12, 3
SETTINGS = WorkerSettings(frames_in_flight=IN_FLIGHT)


def test_frames_come_in_order_and_a_slow_one_holds_nobody_up() -> None:
    lock, late = threading.Lock(), threading.Event()
    at_once, most, begun = 0, 0, list[int]()

    def see(pixels: Pixels) -> int:
        nonlocal at_once, most
        number = number_of(pixels)
        with lock:
            at_once += 1
            most = max(most, at_once)
            begun.append(number)
        if number == 0:
            assert late.wait(20), "the others wait for the first"
        elif number == FRAMES - 1:
            late.set()
        time.sleep(0.005)
        with lock:
            at_once -= 1
        return number

    video = io.BytesIO(made(Clip(frames=FRAMES)))
    seen = [wire.decode(one, tuple[int, int]) for one in each_frame(video, Part(0, None, None), 30, see, SETTINGS)]
    assert [number for _, number in seen] == list(range(FRAMES))
    assert [at_ms for at_ms, _ in seen] == sorted(at_ms for at_ms, _ in seen)
    assert sorted(begun) == list(range(FRAMES)) and most == IN_FLIGHT


def test_what_is_wrong_with_a_frame_is_told_and_ends_the_part() -> None:
    begun = list[int]()

    def see(pixels: Pixels) -> int:
        begun.append(number_of(pixels))
        if begun[-1] == 2:
            raise InvalidImage("broken")
        return begun[-1]

    video = io.BytesIO(made(Clip(frames=60)))
    with pytest.raises(InvalidImage, match="broken"):
        list(each_frame(video, Part(0, None, None), 30, see, SETTINGS))
    assert len(begun) < 60
