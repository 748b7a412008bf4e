"""Shows the frames of a part to the model server, several at a time."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import BinaryIO, TypeVar

from inference import wire
from inference.errors import InferenceUnavailable, Overloaded
from inference.types import Pixels
from inference.video.frames import frames
from inference.video.types import Part
from workers.services import WorkerSettings

Answer = TypeVar("Answer")
PAUSE_SECONDS = 0.1


def each_frame(
    file: BinaryIO, part: Part, per_second: float, see: Callable[[Pixels], object], settings: WorkerSettings
) -> Iterator[bytes]:
    """(time, what `see` says of the frame) for the frames of a part, in order, encoded. Raises what `see` raises."""
    with ThreadPoolExecutor(settings.frames_in_flight) as threads:
        waiting: deque[tuple[int, Future[object]]] = deque()
        try:
            for frame in frames(file, part, per_second):
                # Decoded before there is a place for it, so that no place is left empty for that.
                under_way = [one for _, one in waiting if not one.done()]
                if len(under_way) >= settings.frames_in_flight:
                    wait(under_way, return_when=FIRST_COMPLETED)
                waiting.append((frame.at_ms, threads.submit(patiently, see, frame.pixels, settings.patience_seconds)))
                while waiting and waiting[0][1].done():
                    yield _next(waiting)
            while waiting:
                yield _next(waiting)
        finally:
            for _, one in waiting:
                one.cancel()


def patiently(see: Callable[[Pixels], Answer], pixels: Pixels, seconds: float) -> Answer:
    """What `see` says, also when the model server is busy or away for a while. Raises what `see` raises after that."""
    give_up = time.monotonic() + seconds
    pause = PAUSE_SECONDS
    while True:
        try:
            return see(pixels)
        except (Overloaded, InferenceUnavailable):
            if time.monotonic() > give_up:
                raise
        time.sleep(pause)
        pause = min(2 * pause, 2.0)


def _next(waiting: deque[tuple[int, Future[object]]]) -> bytes:
    at_ms, seen = waiting.popleft()
    return wire.encode((at_ms, seen.result()))
