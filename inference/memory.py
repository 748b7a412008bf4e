"""How this process gets its memory from the system, with the C library of Linux; elsewhere nothing here does anything.

Left alone, glibc keeps what was freed in a heap for each thread, and the memory of a server with many threads grows for
days. Handed back at once, every array of a network is new memory at its next run, which took a fifth of all processor
time (docs/performance.md).
"""

import ctypes
import sys
from functools import cache
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8  # of mallopt(3)
_KEPT_BYTES = 192 << 20
_MOST_BLOCKS_OF_THEIR_OWN = 0
_MOST_HEAPS = 1

REST_SECONDS = 8.0
"""A process without work for so long gives back what it kept; it looks as often, so it may take twice as long."""


def keep_little() -> None:
    """From now on one heap for blocks of all sizes, which keeps up to 192 MB at its end."""
    library = _glibc()
    if library is not None:
        library.mallopt(_M_MMAP_MAX, _MOST_BLOCKS_OF_THEIR_OWN)
        library.mallopt(_M_ARENA_MAX, _MOST_HEAPS)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def give_back() -> None:
    """Hands all that is free back to the system; takes some milliseconds."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


@cache
def _glibc() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
