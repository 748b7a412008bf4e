"""How this process gets its memory from the system, with the C library of Linux; elsewhere nothing here does anything.

Left alone, glibc keeps what was freed in a heap for each thread, and the memory of a server with many threads grows for
days. Handed back at once, every array of a network is new memory at its next run, which took a fifth of all processor
time, and every piece of a request's body when it is received, which took half of that (docs/performance.md).
"""

import ctypes
import sys
from functools import cache
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -3, -4, -8  # of mallopt(3)
_KEPT_BYTES = 192 << 20
_MOST_HEAPS = 1

REST_SECONDS = 8.0
"""A process without work for so long gives back what it kept; it looks as often, so it may take twice as long."""


def keep_little(kept_bytes: int = _KEPT_BYTES, largest_block: int | None = None) -> None:
    """From now on one heap, which keeps up to `kept_bytes` at its end.

    Blocks of more bytes than `largest_block`, at most 32 MB, are outside of it and go back when they are freed; None:
    blocks of all sizes are of the heap.
    """
    library = _glibc()
    if library is None:
        return
    if largest_block is None:
        library.mallopt(_M_MMAP_MAX, 0)
    else:
        library.mallopt(_M_MMAP_THRESHOLD, largest_block)
    library.mallopt(_M_ARENA_MAX, _MOST_HEAPS)
    library.mallopt(_M_TRIM_THRESHOLD, kept_bytes)


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
