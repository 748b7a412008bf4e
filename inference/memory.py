"""How this process gets its memory from the system."""

import ctypes
import sys

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # of mallopt(3)
_LARGE_BYTES = 1 << 20
_MOST_HEAPS = 2


def give_back_at_once() -> None:
    """Large blocks, such as pictures and what networks make of them, go back to the system as soon as they are free.

    Without this the C library of Linux keeps them, in a heap for each thread. Does nothing where there is no mallopt.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_ARENA_MAX, _MOST_HEAPS)
