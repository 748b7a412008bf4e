"""Reads parts of large objects, as a file."""

import io
import os
from collections.abc import Callable
from typing import Any

FIRST_BYTES = 64 << 10
MOST_BYTES = 4 << 20
"""Fetched at once: `FIRST_BYTES` after a jump, then ever more, up to these, while reading goes on from there."""


class RangedReader(io.RawIOBase):
    """A seekable file of `size` bytes over `fetch`, which gives the bytes from one offset up to another, all of them.

    What `fetch` raises passes through. `release` is called when the file is closed. Not for several threads at once.
    """

    def __init__(
        self, size: int, fetch: Callable[[int, int], bytes], release: Callable[[], object] = lambda: None
    ) -> None:
        self.size = size
        self._fetch = fetch
        self._release = release
        self._at = 0
        self._fetched = memoryview(b"")
        self._fetched_at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        at = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence] + offset
        if at < 0:
            raise ValueError(f"offset {at} is before the start")
        self._at = at
        return at

    def readinto(self, buffer: Any, /) -> int:
        """As much as is at hand, at least a byte but at the end."""
        if self.closed:
            raise ValueError("the file is closed")
        there = self._at_hand(len(buffer))
        buffer[: len(there)] = there
        self._at += len(there)
        return len(there)

    def close(self) -> None:
        if not self.closed:
            self._fetched = memoryview(b"")
            self._release()
        super().close()

    def _at_hand(self, most: int) -> memoryview:
        if self._at >= self.size:
            return memoryview(b"")
        skipped = self._at - self._fetched_at
        if not 0 <= skipped < len(self._fetched):
            goes_on = 0 < len(self._fetched) <= skipped <= 2 * len(self._fetched)
            count = min(2 * len(self._fetched), MOST_BYTES) if goes_on else FIRST_BYTES
            until = min(self._at + max(count, most), self.size)
            self._fetched, self._fetched_at, skipped = memoryview(self._fetch(self._at, until)), self._at, 0
        return self._fetched[skipped : skipped + most]
