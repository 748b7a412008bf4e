"""Decoded pictures, and what networks said of them, kept a short while.

A picture that goes through several operations is decoded once and seen by each network once.
"""

import asyncio
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from inference.cores import Cores
from inference.images import Opened
from inference.types import Pixels

Answer = TypeVar("Answer")


@dataclass(eq=False)
class _Shared:
    task: "asyncio.Task[Any]"
    callers: int = 0


class Picture:
    """`pixels`: uint8 [H, W, 3] RGB, upright; nobody may write to them."""

    def __init__(self, pixels: Pixels) -> None:
        pixels.flags.writeable = False
        self.pixels = pixels
        self._answers: dict[str, _Shared] = {}

    async def once(self, what: str, work: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        """The answer of `work`, which runs once for all that ask for `what`, now or later, but for two pieces at work
        on two cores at once: they do it each, and one answer is kept.

        It is dropped when all who wait for it have gone, and not kept when it fails.
        """
        shared = self._answers.get(what)
        if shared is None or _is_of_no_use(shared.task):
            shared = self._answers[what] = _Shared(asyncio.ensure_future(work()))
        shared.callers += 1
        try:
            answer: Answer = await asyncio.shield(shared.task)
            return answer
        except BaseException:
            if shared.callers == 1 or shared.task.done():
                self._forget(what, shared)
            raise
        finally:
            shared.callers -= 1

    def _forget(self, what: str, shared: _Shared) -> None:
        shared.task.cancel()
        if self._answers.get(what) is shared:
            del self._answers[what]


class RecentPictures:
    """The pictures opened last, with `most_pixels` pixels in all. May be opened in several threads."""

    def __init__(self, most_pixels: int, chores: Cores) -> None:
        self._most_pixels = most_pixels
        self._chores = chores
        self._kept: OrderedDict[bytes, Picture] = OrderedDict()
        self._pixels = 0
        self._lock = threading.Lock()

    async def open(self, opened: Opened) -> Picture:
        """The decoded picture. Raises InvalidImage."""
        return await self._chores.run(self._open, opened)

    def forget(self) -> None:
        """Lets go of all pictures; those who have one open go on with it."""
        with self._lock:
            self._kept.clear()
            self._pixels = 0

    def _open(self, opened: Opened) -> Picture:
        key = hashlib.sha256(bytes([opened.file.orientation]) + opened.file.data).digest()
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        picture = Picture(opened.decode())
        with self._lock:
            self._keep(key, picture)
        return picture

    def _keep(self, key: bytes, picture: Picture) -> None:
        self._pixels += _size(picture)
        replaced = self._kept.pop(key, None)
        if replaced is not None:
            self._pixels -= _size(replaced)
        self._kept[key] = picture
        while self._pixels > self._most_pixels:
            _, oldest = self._kept.popitem(last=False)
            self._pixels -= _size(oldest)


def _is_of_no_use(task: "asyncio.Task[Any]") -> bool:
    """Whether another core is at it, or has just given it up with its caller."""
    return task.cancelled() or (not task.done() and task.get_loop() is not asyncio.get_running_loop())


def _size(picture: Picture) -> int:
    height, width = picture.pixels.shape[:2]
    return int(height * width)
